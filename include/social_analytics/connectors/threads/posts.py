"""A profile's posts with their totals: https://developers.facebook.com/docs/threads/retrieve-and-discover-posts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

import structlog

from include.social_analytics.connectors.reading import Content, UnsupportedMetric, Window, as_sentence
from include.social_analytics.connectors.threads import PROVIDER
from include.social_analytics.connectors.threads.asking import Asking
from include.social_analytics.connectors.threads.values import metrics_of, parts_of, total_of
from include.social_analytics.errors import ErrorCode, JobError
from include.social_analytics.graph_api.client import GraphClient
from include.social_analytics.graph_api.days import midnight, pacific_day
from include.social_analytics.graph_api.paging import read_listing
from include.social_analytics.json_values import amount, at, moment, objects, text

log = structlog.get_logger(__name__)

FIELDS = "id,media_type,permalink,text,timestamp"
#: Enough to count a post whose other fields fail.
BARE_FIELDS = "id,media_type,timestamp"
#: Somebody else's post, shown again.
REPOST = "REPOST_FACADE"
KINDS: Mapping[str, str] = {
    "TEXT_POST": "text",
    "IMAGE": "image",
    "VIDEO": "video",
    "CAROUSEL_ALBUM": "carousel",
    "AUDIO": "audio",
}
#: Far above the limit of Threads for a post.
MAX_MESSAGE_LENGTH = 20_000
#: A post's totals grow fast at first. They are read on these days; the day of publication is the first.
DAYS_OF_READING = frozenset({*range(1, 8), 14, 28})
#: The API's answers to questions about a post that has no insights, or is gone.
_HAS_NO_INSIGHTS = frozenset({ErrorCode.REQUEST_INVALID, ErrorCode.OBJECT_NOT_FOUND})
#: After so many posts in a row without an answer, the others are not asked for.
MAX_FAILURES_IN_A_ROW = 3


@dataclass(frozen=True)
class ProfilePosts:
    """The window's content; ``published`` by day, None when the listing was not read to its end.

    ``unsupported`` was refused now, ``withheld`` lately, and so it was not asked for. ``missing`` says what
    else is not there.
    """

    content: tuple[Content, ...]
    published: Mapping[date, int] | None
    unsupported: tuple[UnsupportedMetric, ...] = ()
    withheld: tuple[UnsupportedMetric, ...] = ()
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Post:
    """A post whose identity and day are known; the other fields as the API gave them."""

    id: str
    published_at: datetime
    fields: Mapping[str, object]

    @property
    def day(self) -> date:
        return pacific_day(self.published_at)


def is_due(published: date, day: date) -> bool:
    """Whether the totals of a post of the day ``published`` are read for ``day``."""
    return (day - published).days + 1 in DAYS_OF_READING


def read_posts(client: GraphClient, profile_id: str, window: Window) -> ProfilePosts:
    """The posts of the window: a call for 100 posts, and one for each post whose totals are due.

    A failed listing costs neither the day's figures nor the posts that came before.

    :raises JobError: for a failure that is about the whole account (:attr:`ErrorCode.ends_reading`).
    """
    if window.is_past:
        return ProfilePosts((), None)
    # The metrics' look-back may be longer than the posts' window, and posts are counted for all its days.
    first = min(window.first_post_day, window.days[0])
    listing = read_listing(
        client,
        (profile_id, "threads"),
        bare_fields=BARE_FIELDS,
        next_may_be_missing=True,
        fields=FIELDS,
        since=midnight(first),
        until=midnight(window.day + timedelta(days=1)),
    )
    posts = _posts(listing.items, first, window.day)
    bare = _posts(listing.bare, first, window.day)
    totals = _PostTotals(client, window)
    content = [
        _content(post, totals.read(post.id) if is_due(post.day, window.day) else {})
        for post in posts.values()
        if post.day >= window.first_post_day
    ]
    counts = Counter(post.day for post in (bare | posts).values())
    missing = []
    if listing.error:
        what = "Only some posts" if posts else "No posts"
        missing.append(f"{what} could be listed: {as_sentence(listing.error.reason)}")
    if bare:
        missing.append(f"Posts that the API fails to give in full: {len(bare)}.")
    return ProfilePosts(
        content=tuple(content),
        published={day: counts[day] for day in window.days} if listing.complete else None,
        unsupported=totals.asking.unsupported,
        withheld=totals.asking.withheld,
        missing=(*missing, *totals.asking.missing, *totals.missing),
    )


def _posts(items: tuple[object, ...], first: date, last: date) -> dict[str, _Post]:
    """The profile's own posts from ``first`` to ``last``, by id."""
    posts: dict[str, _Post] = {}
    malformed = 0
    for item in items:
        post_id, published = text(at(item, "id"), 200), moment(at(item, "timestamp"))
        if not isinstance(item, dict) or post_id is None or published is None:
            malformed += 1
        elif item.get("media_type") != REPOST and first <= pacific_day(published) <= last:
            posts.setdefault(post_id, _Post(post_id, published, item))
    if malformed:
        log.warning("malformed posts skipped", posts=malformed)
    return posts


def _content(post: _Post, totals: Mapping[str, Decimal | None]) -> Content:
    return Content(
        content_id=post.id,
        published_at=post.published_at,
        kind=KINDS.get(str(post.fields.get("media_type")), "post"),
        message=text(post.fields.get("text"), MAX_MESSAGE_LENGTH),
        permalink=text(post.fields.get("permalink"), 2000),
        metrics=totals,
    )


class _PostTotals:
    """Asks for the totals post by post."""

    def __init__(self, client: GraphClient, window: Window) -> None:
        self.asking = Asking(client, metrics_of(PROVIDER.content_metrics.values()), window, whose="of posts")
        self._first_failure: JobError | None = None
        self._failures = 0
        self._in_a_row = 0

    @property
    def missing(self) -> tuple[str, ...]:
        """How many posts have no totals because a call failed, and why, if any."""
        if self._first_failure is None:
            return ()
        reason = as_sentence(self._first_failure.reason)
        return (f"Posts whose totals could not be read: {self._failures}. The first: {reason}",)

    def read(self, post_id: str) -> dict[str, Decimal | None]:
        """One post's totals by our names; empty when it has none, or when they cannot be read.

        :raises JobError: for a failure that is about the whole account.
        """
        if self._in_a_row == MAX_FAILURES_IN_A_ROW:
            self._failures += 1
            return {}
        try:
            items = self.asking.ask(post_id, "insights")
        except JobError as error:
            if error.code.ends_reading:
                raise
            log.warning("post without totals", post=post_id, errorCode=error.code, reason=error.reason)
            if error.code not in _HAS_NO_INSIGHTS:
                self._first_failure = self._first_failure or error
                self._failures += 1
                self._in_a_row += 1
                return {}
            items = {}
        self._in_a_row = 0
        given = {metric: _lifetime(item) for metric, item in items.items()}
        return {
            name: total_of(source, given)
            for name, source in PROVIDER.content_metrics.items()
            if set(parts_of(source)) <= set(given)
        }


def _lifetime(item: Mapping[str, object]) -> Decimal | None:
    values = objects(item.get("values"))
    return amount(values[0].get("value")) if values else None
