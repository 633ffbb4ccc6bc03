"""Made-up Facebook pages: their figures and posts are the same each time.

Nothing is stored. Every figure is computed from its page, metric and date, so any date of any page has one,
and a test can compute what the warehouse must hold.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from include.sandbox import faults
from include.sandbox.faults import Faults

PACIFIC = ZoneInfo("America/Los_Angeles")

#: Meta's page metrics with a typical size for a day; ``page_follows`` is a level, not a flow.
PAGE_METRICS = {
    "page_media_view": 4000,
    "page_total_media_view_unique": 2500,
    "page_post_engagements": 300,
    "page_daily_follows": 20,
    "page_daily_follows_unique": 19,
    "page_daily_unfollows_unique": 6,
    "page_follows": 12000,
    "page_views_total": 150,
    "page_total_actions": 40,
    **{
        f"page_actions_post_reactions_{reaction}_total": 20
        for reaction in ("like", "love", "wow", "haha", "sorry", "anger")
    },
}

#: Meta's lifetime metrics of a post, with the typical size for an old post.
POST_METRICS = {
    "post_media_view": 900,
    "post_total_media_view_unique": 600,
    "post_clicks": 40,
    "post_clicks_by_type": 40,
    "post_reactions_by_type_total": 60,
}

#: Meta's lifetime metrics of a video. Only a bare video id has them.
VIDEO_METRICS = {
    "total_video_impressions": 500,
    "total_video_views": 300,
    "total_video_reactions_by_type_total": 60,
    "blue_reels_play_count": 400,
}

_LIFETIME = POST_METRICS | VIDEO_METRICS

#: Every kind of fault, and what it does.
FAULT_KINDS = {
    **faults.SERVER_FAULTS,
    "token_revoked": "code 190, subcode 460",
    "token_expired": "code 190, subcode 463",
    "permission_missing": "code 200",
    "permission_denied": "code 10",
    "object_gone": "code 100, subcode 33",
    "app_off": "code 190, without a subcode, about the application",
    "account_blocked": "code 368",
    "page_throttled": "code 80001, with X-Business-Use-Case-Usage",
    "page_throttled_32": "code 32, with X-Page-Usage",
    "app_throttled": "code 4, HTTP 403, with X-App-Usage",
    "down": "code 2, HTTP 500",
    "invalid_metric": "any call that asks for ``metric`` is refused",
    "reduce_data": "a listing of more than ``limit`` is refused: code 1, HTTP 500",
    "bad_post": "``post``, or each reel, has no insights, and fails the listing that asks for them",
    "counts_refused": "comments and reactions of posts are refused: code 10",
    "posts_refused": "each listing of posts is refused: code 10",
    "posts_down": "each listing of posts fails: code 2, HTTP 500",
    "broken_post": "each listing with ``post`` in it fails: code 1, HTTP 500",
    "lost_page": "a listing's second page is refused: code 100, subcode 33",
    "not_published": "a day that ended in the last 26 hours is not in the insights yet",
    "no_insights": "the insights are empty",
    "repeated_cursor": "each page of a listing leads to the first",
    "empty_page": "a listing begins with an empty page",
    "foreign_next": "a listing leads to another host",
}

#: The first digit of bare ids, for the kinds whose bare ids the API knows.
_TARGETS = {"video": "9", "reel": "9", "story": "8"}
_KINDS = ("photo", "status", "video", "photo", "reel", "photo", "story", "video")
_NAMES = ("Bakery {}", "Bookshop {}", "Garden Centre {}", "Museum {}", "Rowing Club {}", "Theatre {}")
#: The texts of posts; a post without a message has None.
MESSAGES = (
    "New this week: our autumn menu 🍂 Come and taste!",
    "Open until 9 tonight. See you later?",
    "A look behind the scenes, from early this morning.",
    "Thank you for 5,000 follows!\nYou are the best.",
    None,
)


@dataclass(frozen=True)
class Page:
    """A Facebook page and the token that its owner gave Postiz.

    ``quota`` is how many calls are allowed before it is throttled. Without one, it never is.
    """

    id: str
    name: str
    token: str = field(repr=False)
    likes: int = 5000
    quota: int | None = None
    #: Postiz's ``providerIdentifier``.
    identifier: str = "facebook"


@dataclass(frozen=True)
class Post:
    """A page's post."""

    id: str
    page_id: str
    created_at: datetime
    kind: str
    message: str | None

    @property
    def target_id(self) -> str | None:
        """The bare id of the photo, video or story in the post; a status has none."""
        if self.kind == "status":
            return None
        return _TARGETS.get(self.kind, "7") + self.id.replace("_", "")

    @property
    def video_id(self) -> str | None:
        """The bare id that videos and reels also have."""
        return self.target_id if self.kind in ("video", "reel") else None

    @property
    def release_id(self) -> str:
        """The id that Postiz got when it published: a bare id for videos, reels and stories."""
        return self.target_id if self.kind in _TARGETS and self.target_id else self.id


@dataclass(frozen=True)
class Fault(faults.Fault):
    """How the Graph API misbehaves.

    :param minutes: the wait that a throttled answer names; 0 names none.
    :param limit: the largest listing that ``reduce_data`` allows.
    :param metric: the metric that ``invalid_metric`` refuses.
    :param post: the id of the post for ``broken_post`` and ``bad_post``. ``None``: each reel is bad.
    """

    KINDS = FAULT_KINDS

    minutes: int = 0
    limit: int = 25
    metric: str | None = None
    post: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.kind == "invalid_metric") != (self.metric is not None):
            raise ValueError("A metric goes with invalid_metric, and only with it.")


class World:
    """Pages by id, their figures, and the active faults.

    With an ``app_secret``, each request must have its proof ("Require App Secret"). Without one, a request
    with a proof is refused, as for a token of another app. With an ``app_quota``, the app is throttled after
    so many calls. ``messages`` are the texts of posts.
    """

    def __init__(
        self,
        pages: Iterable[Page],
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        app_secret: str | None = None,
        app_quota: int | None = None,
        messages: tuple[str | None, ...] = MESSAGES,
    ) -> None:
        self.pages = {page.id: page for page in pages}
        self._by_token = {page.token: page for page in self.pages.values()}
        self._user_tokens = {user_token(page_id) for page_id in self.pages}
        self.now = now
        self.app_secret = app_secret
        self.app_quota = app_quota
        self._messages = messages
        self._percent: dict[tuple[str, date], int] = {}
        self.faults = Faults()

    @property
    def tokens(self) -> list[str]:
        """Every page's token. Tests check that none appears anywhere."""
        return [page.token for page in self.pages.values()]

    def page_of(self, token: str) -> Page | None:
        """The page whose token this is."""
        return self._by_token.get(token)

    def is_user_token(self, token: str) -> bool:
        """Whether the token is valid, but belongs to a page's owner, not to a page."""
        return token in self._user_tokens

    def restate(self, page_id: str, day: date, percent: int) -> None:
        """Set a day's flows to ``percent`` of their usual value. At 0 the page has no posts."""
        self._percent[page_id, day] = percent

    def page_value(self, page_id: str, metric: str, day: date) -> int:
        """A page's metric of ``PAGE_METRICS`` for a day."""
        size = PAGE_METRICS[metric]
        scale = 20 + _number("size", page_id) % 180
        if metric == "page_follows":
            return size * scale // 100 + (day - date(2024, 1, 1)).days
        weekday = (80, 95, 100, 105, 110, 130, 120)[day.weekday()]
        noise = 70 + _number("day", page_id, metric, day.isoformat()) % 60
        percent = self._percent.get((page_id, day), 100)
        return size * scale * weekday * noise // 1_000_000 * percent // 100

    def posts(self, page_id: str, first: date, last: date) -> list[Post]:
        """What a page published from ``first`` to ``last`` (Pacific days) and before now, newest first."""
        now = self.now()
        last = min(last, now.astimezone(PACIFIC).date())
        found = [
            post
            for offset in range((last - first).days + 1)
            for post in _posts_of_day(page_id, first + timedelta(days=offset), self._messages)
            if post.created_at <= now and self._percent.get((page_id, first + timedelta(days=offset))) != 0
        ]
        return sorted(found, key=lambda post: post.created_at, reverse=True)

    def find_post(self, post_id: str) -> Post | None:
        """The post with this id, or the video or story with this bare id."""
        page_id, _, rest = post_id.partition("_")
        if not rest:
            page_id, rest = post_id[1:16], post_id[16:]
        if page_id not in self.pages or len(rest) != 9 or not rest.isdigit():
            return None
        try:
            day = datetime.strptime(rest[:8], "%Y%m%d").date()  # noqa: DTZ007 - only a date
        except ValueError:
            return None
        posts = self.posts(page_id, day, day)
        return next((post for post in posts if post_id in (post.id, post.release_id)), None)

    def post_value(self, post: Post, metric: str) -> int:
        """A post's lifetime total now. It grows more slowly as the post ages."""
        hours = max((self.now() - post.created_at).total_seconds() / 3600, 0)
        final = _LIFETIME.get(metric, 12) * (20 + _number(post.id, metric) % 180) / 100
        return int(final * hours / (hours + 24))


def make_page(number: int, **overrides: object) -> Page:
    """The ``number``-th page: a 15-digit id, a name, and a token that looks like a real one."""
    page_id = f"1{number:014}"
    page = Page(page_id, _NAMES[number % len(_NAMES)].format(number), _token("token", page_id))
    return replace(page, **overrides)  # type: ignore[arg-type]


def user_token(page_id: str) -> str:
    """The token of the user who owns a page. A channel may hold it by mistake instead of the page's."""
    return _token("user", page_id)


def _token(kind: str, page_id: str) -> str:
    parts = [hashlib.sha256(f"{kind}:{page_id}:{n}".encode()).hexdigest() for n in range(2)]
    return "EAAG" + "".join(parts).upper()[:120]


def _number(*parts: str) -> int:
    return int.from_bytes(hashlib.blake2b("|".join(parts).encode(), digest_size=8).digest())


@lru_cache(maxsize=200_000)
def _posts_of_day(page_id: str, day: date, messages: tuple[str | None, ...]) -> tuple[Post, ...]:
    seed = _number("posts", page_id, day.isoformat())
    posts = []
    for n in range((0, 1, 1, 2, 2, 3)[seed % 6]):
        chance = _number(str(seed), str(n))
        kind = _KINDS[chance % len(_KINDS)]
        rest = f"{day:%Y%m%d}{n}"
        at = datetime.combine(day, time(6 + 5 * n, chance % 60), PACIFIC).astimezone(UTC)
        posts.append(
            Post(
                id=f"{page_id}_{rest}",
                page_id=page_id,
                created_at=at,
                kind=kind,
                message=messages[chance // 8 % len(messages)],
            )
        )
    return tuple(posts)
