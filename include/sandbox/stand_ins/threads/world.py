"""Made-up Threads profiles: their figures and posts are the same each time.

Nothing is stored. Every figure is computed from its profile, metric and date.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import ClassVar
from zoneinfo import ZoneInfo

from include.sandbox import faults
from include.sandbox.faults import Faults

PACIFIC = ZoneInfo("America/Los_Angeles")

#: The metrics of a profile with a typical size for a day. ``followers_count`` is a level, not a flow.
PROFILE_METRICS = {
    "views": 1500,
    "likes": 90,
    "replies": 14,
    "reposts": 8,
    "quotes": 3,
    "clicks": 12,
    "followers_count": 2400,
}
#: The lifetime metrics of a post, with the typical size for an old post.
POST_METRICS = {"views": 700, "likes": 40, "replies": 6, "reposts": 4, "quotes": 2, "shares": 3}

_MEDIA_TYPES = ("TEXT_POST", "IMAGE", "TEXT_POST", "CAROUSEL_ALBUM", "REPOST_FACADE", "VIDEO", "TEXT_POST")
_TEXTS = (
    "What should we put on the menu next week?",
    "Doors open at six tonight. Who is coming?",
    "Three things that we learned this month, a thread 🧵",
    "The first snow of the year, seen from our window.",
    None,
)


@dataclass(frozen=True)
class Profile:
    """A Threads profile and the token that its owner gave Postiz."""

    id: str
    name: str
    token: str = field(repr=False)
    #: Postiz's ``providerIdentifier``.
    identifier: str = "threads"


@dataclass(frozen=True)
class Post:
    """A profile's root post, or somebody else's that it reposted."""

    id: str
    profile_id: str
    published_at: datetime
    media_type: str
    text: str | None

    @property
    def is_repost(self) -> bool:
        """Whether it is somebody else's post."""
        return self.media_type == "REPOST_FACADE"


@dataclass(frozen=True)
class Fault(faults.Fault):
    """How the Threads API misbehaves.

    :param metric: the metric of ``metric_retired`` and ``metric_broken``.
    :param post: the id of the post of ``bad_post``.
    """

    KINDS: ClassVar[Mapping[str, str]] = {
        **faults.SERVER_FAULTS,
        "token_revoked": "code 190, subcode 460",
        "token_expired": "code 190, subcode 463",
        "permission_missing": "code 10, HTTP 500",
        "object_gone": "code 100, subcode 33",
        "app_off": "code 190, without a subcode, about the application",
        "profile_throttled": "code 17, with Retry-After",
        "down": "code 2, HTTP 500",
        "unknown_error": "insights fail: code 1, HTTP 500",
        "metric_retired": "a call that asks for ``metric`` is refused: code 100, with a list of metrics",
        "metric_broken": "a call that asks for ``metric`` fails: code 1, HTTP 500",
        "totals_refused": "a call for likes of the profile is refused: code 10",
        "totals_down": "a call for likes of the profile fails: code 2, HTTP 500",
        "not_published": "a day that ended in the last 26 hours is not in the views yet",
        "quiet_days_left_out": "a day without views is not in the views",
        "no_insights": "the insights are empty",
        "posts_refused": "each listing is refused: code 10",
        "posts_down": "each listing fails: code 2, HTTP 500",
        "lost_page": "a listing shows five posts at once; its second page is refused: code 100, subcode 33",
        "short_pages": "a listing shows five posts at once",
        "next_left_out": "a listing shows five posts at once, and only the cursor leads on",
        "repeated_page": "a listing shows its last page again and again, without a next",
        "foreign_next": "a listing leads to another host",
        "bad_post": "the insights of ``post`` are refused: code 100",
        "post_insights_down": "the insights of each post fail: code 2, HTTP 500",
    }

    metric: str | None = None
    post: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.kind in ("metric_retired", "metric_broken")) != (self.metric is not None):
            raise ValueError("A metric goes with metric_retired and metric_broken, and only with them.")
        if (self.kind == "bad_post") != (self.post is not None):
            raise ValueError("A post goes with bad_post, and only with it.")


class World:
    """Profiles by id, their figures, and the active faults."""

    def __init__(
        self, profiles: Iterable[Profile], *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self.profiles = {profile.id: profile for profile in profiles}
        self._by_token = {profile.token: profile for profile in self.profiles.values()}
        self._by_number = {_number_in_posts(profile.id): profile.id for profile in self.profiles.values()}
        self.now = now
        self.faults = Faults()
        self._percent: dict[tuple[str, date], int] = {}

    def profile_of(self, token: str) -> Profile | None:
        """The profile whose token this is."""
        return self._by_token.get(token)

    def restate(self, profile_id: str, day: date, percent: int) -> None:
        """Set a day's flows to ``percent`` of their usual value. At 0 the profile has no posts."""
        self._percent[profile_id, day] = percent

    def value(self, profile_id: str, metric: str, day: date) -> int:
        """A profile's metric of ``PROFILE_METRICS`` for a Pacific day."""
        size = PROFILE_METRICS[metric]
        scale = 20 + _number("size", profile_id) % 180
        if metric == "followers_count":
            return size * scale // 100 + (day - date(2024, 1, 1)).days
        noise = 70 + _number("day", profile_id, metric, day.isoformat()) % 60
        return size * scale * noise // 10_000 * self._percent.get((profile_id, day), 100) // 100

    def followers(self, profile_id: str) -> int:
        """The number of followers now."""
        return self.value(profile_id, "followers_count", self.now().astimezone(PACIFIC).date())

    def listed(self, profile_id: str, first: date, last: date) -> list[Post]:
        """What a profile published from ``first`` to ``last`` (Pacific days) and before now, newest first.

        Reposts are among them.
        """
        now = self.now()
        last = min(last, now.astimezone(PACIFIC).date())
        found = [
            post
            for offset in range((last - first).days + 1)
            for post in _posts_of_day(profile_id, first + timedelta(days=offset))
            if post.published_at <= now
            and self._percent.get((profile_id, first + timedelta(days=offset))) != 0
        ]
        return sorted(found, key=lambda post: post.published_at, reverse=True)

    def posts(self, profile_id: str, first: date, last: date) -> list[Post]:
        """As :meth:`listed`, without the reposts."""
        return [post for post in self.listed(profile_id, first, last) if not post.is_repost]

    def find_post(self, post_id: str) -> Post | None:
        """The post with this id."""
        profile_id = self._by_number.get(post_id[2:7])
        if profile_id is None or len(post_id) != 16:
            return None
        try:
            day = datetime.strptime(post_id[7:15], "%Y%m%d").date()  # noqa: DTZ007 - only a date
        except ValueError:
            return None
        return next((post for post in self.listed(profile_id, day, day) if post.id == post_id), None)

    def post_value(self, post: Post, metric: str) -> int:
        """A post's lifetime total now. It grows more slowly as the post ages."""
        hours = max((self.now() - post.published_at).total_seconds() / 3600, 0)
        final = POST_METRICS[metric] * (20 + _number(post.id, metric) % 180) / 100
        return int(final * hours / (hours + 6))


def make_profile(number: int, **overrides: object) -> Profile:
    """The ``number``-th profile: a 17-digit id, a name, and a token that looks like a real one."""
    profile_id = f"2{number:016}"
    digest = "".join(hashlib.sha256(f"{part}:{profile_id}".encode()).hexdigest() for part in range(2))
    profile = Profile(profile_id, f"Studio {number}", f"THAA{digest.upper()[:140]}")
    return replace(profile, **overrides)  # type: ignore[arg-type]


def _number_in_posts(profile_id: str) -> str:
    return profile_id[-5:]


def _posts_of_day(profile_id: str, day: date) -> list[Post]:
    seed = _number("posts", profile_id, day.isoformat())
    posts = []
    for n in range((0, 1, 1, 1, 2, 3)[seed % 6]):
        chance = _number(str(seed), str(n))
        media_type = _MEDIA_TYPES[chance % len(_MEDIA_TYPES)]
        posts.append(
            Post(
                id=f"18{_number_in_posts(profile_id)}{day:%Y%m%d}{n}",
                profile_id=profile_id,
                published_at=datetime.combine(day, time(6 + 5 * n, chance % 60), PACIFIC).astimezone(UTC),
                media_type=media_type,
                text=None if media_type == "REPOST_FACADE" else _TEXTS[chance // 8 % len(_TEXTS)],
            )
        )
    return posts


def _number(*parts: str) -> int:
    return int.from_bytes(hashlib.blake2b("|".join(parts).encode(), digest_size=8).digest())
