"""Made-up LinkedIn pages: their figures and posts are the same each time.

Nothing is stored. Every figure is computed from its page, metric and date. Days are in UTC.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import ClassVar

from include.sandbox import faults
from include.sandbox.faults import Faults

#: The statistics of shares with a typical size for a day.
SHARE_METRICS = {
    "impressionCount": 900,
    "uniqueImpressionsCount": 520,
    "clickCount": 45,
    "likeCount": 30,
    "commentCount": 8,
    "shareCount": 6,
}
#: What else a page has, with a typical size for a day. ``firstDegreeSize`` is a level, not a flow.
PAGE_METRICS = {
    "organicFollowerGain": 9,
    "paidFollowerGain": 4,
    "pageViews": 60,
    "uniquePageViews": 40,
    "firstDegreeSize": 3100,
}
#: The lifetime statistics of a post, with the typical size for an old post.
POST_METRICS = {
    "impressionCount": 640,
    "uniqueImpressionsCount": 410,
    "clickCount": 30,
    "likeCount": 24,
    "commentCount": 5,
    "shareCount": 3,
}
#: LinkedIn counts follower gains only up to so many days before the request's own.
FOLLOWERS_LAG = timedelta(days=2)

_KINDS = ("text", "image", "video", "link", "reshare", "ad", "document")
_TEXTS = (
    r"We are hiring\! Meet the team at our stand \(hall 3\).",
    "What we learned this quarter, in five slides.",
    r"With @[Harbour Books](urn:li:organization:300000004) for {hashtag|\#|WorldBookDay}",
    "A new season begins.",
    None,
)


@dataclass(frozen=True)
class Page:
    """A LinkedIn page, and the token of the member who connected it to Postiz."""

    id: str
    name: str
    token: str = field(repr=False)
    #: Postiz's ``providerIdentifier``.
    identifier: str = "linkedin-page"

    @property
    def urn(self) -> str:
        """Its URN."""
        return f"urn:li:organization:{self.id}"


@dataclass(frozen=True)
class Post:
    """What a page published, or an advertisement that only its audience sees."""

    urn: str
    page_id: str
    created_at: datetime
    published_at: datetime
    kind: str
    text: str | None

    @property
    def is_ad(self) -> bool:
        """Whether it is not on the page itself."""
        return self.kind == "ad"


@dataclass(frozen=True)
class Fault(faults.Fault):
    """How LinkedIn's API misbehaves.

    :param resource: the resource of ``refused`` and ``failing``, such as "posts". "totals" are the share
        statistics of posts.
    """

    KINDS: ClassVar[Mapping[str, str]] = {
        **faults.SERVER_FAULTS,
        "token_revoked": "HTTP 401, REVOKED_ACCESS_TOKEN",
        "token_expired": "HTTP 401, EXPIRED_ACCESS_TOKEN",
        "not_admin": "HTTP 403, without a code: the member is no administrator of the page",
        "no_product": "HTTP 403, ACCESS_DENIED: the app may not use the resource",
        "page_gone": "HTTP 404, NOT_FOUND",
        "version_ended": "HTTP 426, NONEXISTENT_VERSION",
        "unpermitted_fields": "HTTP 403, ACCESS_DENIED: a parameter is unknown",
        "app_throttled": "HTTP 429: the app's quota of the day is spent",
        "member_throttled": "HTTP 429: the member's quota of the day is spent",
        "down": "HTTP 500, in LinkedIn's own format",
        "refused": "each call of ``resource`` is refused: HTTP 403, ACCESS_DENIED",
        "failing": "each call of ``resource`` fails: HTTP 500",
        "not_counted": "the statistics of a day that ended in the last 36 hours are zeros",
        "days_left_out": "the statistics have no days",
        "short_pages": "a listing shows five posts at once",
        "without_links": "a listing shows five posts at once, without a link to the next page",
        "lost_page": "a listing shows five posts at once; its second page is not found",
        "foreign_next": "a listing leads to another host",
    }

    resource: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.kind in ("refused", "failing")) != (self.resource is not None):
            raise ValueError("A resource goes with refused and failing, and only with them.")


class World:
    """Pages by id, their figures, and the active faults."""

    def __init__(
        self, pages: Iterable[Page], *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self.pages = {page.id: page for page in pages}
        self._by_token = {page.token: page for page in self.pages.values()}
        self.now = now
        self.faults = Faults()
        self._percent: dict[tuple[str, date], int] = {}

    @property
    def today(self) -> date:
        """The date in UTC."""
        return self.now().astimezone(UTC).date()

    def page_of(self, token: str) -> Page | None:
        """The page whose token this is."""
        return self._by_token.get(token)

    def restate(self, page_id: str, day: date, percent: int) -> None:
        """Set a day's flows to ``percent`` of their usual value. At 0 the page has no posts."""
        self._percent[page_id, day] = percent

    def value(self, page_id: str, metric: str, day: date) -> int:
        """A page's metric of ``SHARE_METRICS`` or ``PAGE_METRICS`` for a day in UTC."""
        size = (SHARE_METRICS | PAGE_METRICS)[metric]
        scale = 20 + _number("size", page_id) % 180
        if metric == "firstDegreeSize":
            return size * scale // 100 + (day - date(2024, 1, 1)).days
        noise = 70 + _number("day", page_id, metric, day.isoformat()) % 60
        percent = self._percent.get((page_id, day), 100)
        if metric == "organicFollowerGain" and _number("loss", page_id, day.isoformat()) % 4 == 0:
            # On some days more people leave than come.
            return -(8 + noise // 10) * percent // 100
        return (size * scale * noise // 10_000 + 1) * percent // 100

    def followers(self, page_id: str) -> int:
        """The number of followers now."""
        return self.value(page_id, "firstDegreeSize", self.today)

    def listed(self, page_id: str) -> list[Post]:
        """What a page published in the last 90 days, newest creation first. Advertisements are among it."""
        now = self.now()
        found = [
            post
            for age in range(90)
            for post in _posts_of_day(page_id, self.today - timedelta(days=age))
            if post.published_at <= now and self._percent.get((page_id, post.published_at.date())) != 0
        ]
        return sorted(found, key=lambda post: post.created_at, reverse=True)

    def posts(self, page_id: str, first: date, last: date) -> list[Post]:
        """What is on the page of what was published from ``first`` to ``last`` (days in UTC)."""
        return [
            post
            for post in self.listed(page_id)
            if first <= post.published_at.date() <= last and not post.is_ad
        ]

    def post_values(self, post: Post) -> dict[str, int]:
        """A post's lifetime totals now. They grow more slowly as the post ages."""
        hours = max((self.now() - post.published_at).total_seconds() / 3600, 0)
        return {
            metric: int(size * (20 + _number(post.urn, metric) % 180) / 100 * hours / (hours + 6))
            for metric, size in POST_METRICS.items()
        }


def make_page(number: int, **overrides: object) -> Page:
    """The ``number``-th page: a 9-digit id, a name, and a token that looks like a real one."""
    page_id = str(300_000_000 + number)
    digest = "".join(hashlib.sha256(f"{part}:{page_id}".encode()).hexdigest() for part in range(4))
    page = Page(page_id, f"Company {number}", f"AQ{digest[:60]}-{digest[60:200].upper()}")
    return replace(page, **overrides)  # type: ignore[arg-type]


def _posts_of_day(page_id: str, day: date) -> list[Post]:
    seed = _number("posts", page_id, day.isoformat())
    posts = []
    for n in range((0, 1, 1, 1, 2, 3)[seed % 6]):
        chance = _number(str(seed), str(n))
        kind = _KINDS[chance % len(_KINDS)]
        published = datetime.combine(day, time(1 + 7 * n, chance % 60, tzinfo=UTC))
        # Some are scheduled on the day before. LinkedIn lists them by that moment.
        ahead = timedelta(hours=30) if chance % 3 == 0 else timedelta(milliseconds=31)
        posts.append(
            Post(
                urn=f"urn:li:{'ugcPost' if kind == 'video' else 'share'}:7{page_id[-6:]}{day:%Y%m%d}{n:04}",
                page_id=page_id,
                created_at=published - ahead,
                published_at=published,
                kind=kind,
                text=_TEXTS[chance // 8 % len(_TEXTS)],
            )
        )
    return posts


def _number(*parts: str) -> int:
    return int.from_bytes(hashlib.blake2b("|".join(parts).encode(), digest_size=8).digest())
