"""Made-up Instagram accounts: their figures, media and stories are the same each time.

Nothing is stored. Every figure is computed from its account, metric and date.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from include.sandbox import faults
from include.sandbox.faults import Faults

PACIFIC = ZoneInfo("America/Los_Angeles")
STANDALONE = "instagram-standalone"

#: Meta's account metrics with a typical size for a day.
ACCOUNT_METRICS = {
    "reach": 900,
    "follower_count": 12,
    "views": 2600,
    "total_interactions": 140,
    "likes": 110,
    "comments": 14,
    "shares": 9,
    "saves": 7,
    "replies": 2,
    "reposts": 1,
    "accounts_engaged": 80,
    "profile_links_taps": 3,
    "profile_views": 60,
    "website_clicks": 4,
    "follows_and_unfollows": 0,
}
#: What ``follows_and_unfollows`` counts, by follow type.
FOLLOW_TYPES = {"FOLLOWER": 12, "NON_FOLLOWER": 5}

#: Meta's lifetime metrics of a medium, with the typical size for an old one.
MEDIA_METRICS = {
    "views": 700,
    "reach": 450,
    "likes": 60,
    "comments": 8,
    "saved": 6,
    "shares": 5,
    "total_interactions": 80,
    "reposts": 1,
}
STORY_METRICS = {"views": 200, "reach": 150, "shares": 2, "replies": 1, "total_interactions": 4, "reposts": 1}

#: Every kind of fault, and what it does.
FAULT_KINDS = {
    **faults.SERVER_FAULTS,
    "token_revoked": "code 190, subcode 460",
    "checkpoint": "code 190: the owner must log in to Instagram",
    "permission_denied": "code 10",
    "object_gone": "code 100, subcode 33",
    "app_off": "code 190, without a subcode, about the application",
    "throttled": "code 80002, with X-Business-Use-Case-Usage",
    "down": "code 2, HTTP 500",
    "retired_metric": "each call for the account's ``metric`` is refused, by its position in the call",
    "retired_on_media": "each call for media's ``metric`` is refused, by its position in the call",
    "not_published": "a day that ended in the last 26 hours is not in the insights yet",
    "no_insights": "the insights are empty",
    "late_follows": "the follows of days that ended in the last 50 hours are not published yet",
    "other_hours": "the totals of a day are about other hours",
    "totals_down": "each call for totals fails: code 2, HTTP 500",
    "converted": "the carousels are from before the account's conversion: they fail a listing with insights",
    "unsuited": "carousels do not have ``metric``, and fail a listing that asks for it",
    "hidden_likes": "the counts of likes are hidden",
    "few_viewers": "each story has fewer than five viewers, and fails a listing with insights",
    "media_refused": "each listing of media is refused: code 10",
    "media_down": "each listing of media fails: code 2, HTTP 500",
    "lost_page": "a listing's second page is refused: code 100, subcode 33",
    "short_pages": "a listing shows five media at once",
    "foreign_next": "a listing leads to another host",
}
_KINDS = ("IMAGE", "REELS", "CAROUSEL_ALBUM", "IMAGE", "REELS")
_CAPTIONS = (
    "Fresh from the oven 🥐",
    "Which one is yours?",
    "A look behind the scenes.",
    "Thank you for being with us!\n#weekend",
    None,
)


@dataclass(frozen=True)
class Fault(faults.Fault):
    """How the API misbehaves.

    :param metric: the metric that ``retired_metric``, ``retired_on_media`` and ``unsuited`` refuse.
    :param minutes: the wait that a throttled answer names.
    """

    KINDS = FAULT_KINDS

    metric: str | None = None
    minutes: int = 10

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.kind in ("retired_metric", "retired_on_media", "unsuited")) != (self.metric is not None):
            raise ValueError(
                "A metric goes with retired_metric, retired_on_media and unsuited, and only with them."
            )


@dataclass(frozen=True)
class InstagramAccount:
    """A professional account, and the token that its owner gave Postiz.

    With fewer than 100 ``followers`` the API does not say who followed.
    """

    id: str
    name: str
    token: str = field(repr=False)
    followers: int = 5000
    identifier: str = "instagram"

    @property
    def access_token(self) -> str:
        """What the API accepts: for Facebook's login, the part before the user's token."""
        return self.token if self.identifier == STANDALONE else self.token.partition("___")[0]


@dataclass(frozen=True)
class Medium:
    """A post, a reel or a story. ``kind`` is its media type, REELS or STORY."""

    id: str
    account_id: str
    published_at: datetime
    kind: str
    caption: str | None

    @property
    def metrics(self) -> dict[str, int]:
        """The metrics that such a medium has, with their sizes."""
        return STORY_METRICS if self.kind == "STORY" else MEDIA_METRICS


class World:
    """Accounts by id, their figures, and the active faults."""

    def __init__(
        self, accounts: Iterable[InstagramAccount], *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self.accounts = {account.id: account for account in accounts}
        self.now = now
        self.faults = Faults()
        self._percent: dict[tuple[str, date], int] = {}

    def restate(self, account_id: str, day: date, percent: int) -> None:
        """Set a day's figures to ``percent`` of their usual value. At 0 the day has no media either."""
        self._percent[account_id, day] = percent

    def value(self, account_id: str, metric: str, day: date) -> int:
        """An account's metric, or a follow type's, for a day."""
        size = (ACCOUNT_METRICS | FOLLOW_TYPES)[metric]
        scale = 20 + _number("size", account_id) % 180
        noise = 70 + _number("day", account_id, metric, day.isoformat()) % 60
        return size * scale * noise // 10_000 * self._percent.get((account_id, day), 100) // 100

    def followers(self, account_id: str) -> int:
        """The number of followers now."""
        today = self.now().astimezone(PACIFIC).date()
        return self.accounts[account_id].followers + (today - date(2024, 1, 1)).days // 7

    def media(self, account_id: str, first: date, last: date) -> list[Medium]:
        """What an account posted from ``first`` to ``last`` (Pacific days) and before now, newest first."""
        found = [
            medium
            for offset in range((last - first).days + 1)
            for medium in self._of_day(account_id, first + timedelta(days=offset))
            if medium.kind != "STORY"
        ]
        return sorted(found, key=lambda medium: medium.published_at, reverse=True)

    def live_stories(self, account_id: str) -> list[Medium]:
        """The stories of the last 24 hours, newest first."""
        now = self.now()
        today = now.astimezone(PACIFIC).date()
        found = [
            medium
            for offset in range(3)
            for medium in self._of_day(account_id, today - timedelta(days=offset))
            if medium.kind == "STORY" and now - timedelta(days=1) < medium.published_at
        ]
        return sorted(found, key=lambda medium: medium.published_at, reverse=True)

    def find_medium(self, medium_id: str) -> Medium | None:
        """The medium with this id."""
        if len(medium_id) != 24 or not medium_id.isdigit():
            return None
        account_id = f"1784{medium_id[1:14]}"
        try:
            day = datetime.strptime(medium_id[14:22], "%Y%m%d").date()  # noqa: DTZ007 - only a date
        except ValueError:
            return None
        if account_id not in self.accounts:
            return None
        return next((one for one in self._of_day(account_id, day) if one.id == medium_id), None)

    def medium_value(self, medium: Medium, metric: str) -> int:
        """A medium's lifetime total now. It grows more slowly as the medium ages."""
        hours = max((self.now() - medium.published_at).total_seconds() / 3600, 0)
        final = medium.metrics.get(metric, 20) * (50 + _number(medium.id, metric) % 100) / 100
        return int(final * hours / (hours + 24))

    def _of_day(self, account_id: str, day: date) -> list[Medium]:
        if self._percent.get((account_id, day)) == 0:
            return []
        seed = _number("media", account_id, day.isoformat())
        kinds = [_KINDS[(seed + n) % len(_KINDS)] for n in range((0, 1, 1, 2)[seed % 4])] + ["STORY"]
        media = []
        for n, kind in enumerate(kinds):
            # A story at 11:00, others from 8:00 on.
            at = datetime.combine(day, time(11 if kind == "STORY" else 8 + 5 * n, seed % 60), PACIFIC)
            number = 9 if kind == "STORY" else n
            media.append(
                Medium(
                    id=f"9{account_id[4:]}{day:%Y%m%d}{number:02}",
                    account_id=account_id,
                    published_at=at.astimezone(UTC),
                    kind=kind,
                    caption=None if kind == "STORY" else _CAPTIONS[(seed // 8 + n) % len(_CAPTIONS)],
                )
            )
        return [medium for medium in media if medium.published_at <= self.now()]


def make_account(number: int, **overrides: Any) -> InstagramAccount:
    """The ``number``-th account: a 17-digit id, a name, and a token as Postiz stores it for its login."""
    account_id = f"1784{number:013}"
    standalone = overrides.get("identifier") == STANDALONE
    page, user, own = (
        prefix + hashlib.sha256(f"{kind}:{account_id}".encode()).hexdigest().upper()
        for prefix, kind in (("EAAG", "ig-page"), ("EAAU", "ig-user"), ("IGAA", "ig-own"))
    )
    token = own if standalone else f"{page}___{user}"
    return replace(InstagramAccount(account_id, f"account_{number}", token), **overrides)


def _number(*parts: str) -> int:
    return int.from_bytes(hashlib.blake2b("|".join(parts).encode(), digest_size=8).digest())
