"""A profile's posts with their totals: https://developers.facebook.com/docs/threads/retrieve-and-discover-posts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from decimal import Decimal

import structlog

from include.social_analytics.connectors.derived import metrics_of, parts_of, total_of
from include.social_analytics.connectors.reading import (
    Content,
    Posts,
    Window,
    as_sentence,
    posts_published,
    unlisted,
)
from include.social_analytics.connectors.threads import PROVIDER
from include.social_analytics.connectors.threads.asking import Asking
from include.social_analytics.errors import ErrorCode, JobError
from include.social_analytics.graph_api.client import GraphClient
from include.social_analytics.graph_api.days import midnight
from include.social_analytics.graph_api.paging import read_listing
from include.social_analytics.graph_api.posts import ListedPost, listed_posts, shortcode
from include.social_analytics.json_values import amount, at, objects, text

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
#: A post's totals grow fast at first. They are read on these days; the day of publication is the first. After
#: the last of them they are read whenever the window reaches so far back, which is once a week.
DAYS_OF_READING = frozenset({*range(1, 8), 14, 28})
#: The API's answers to questions about a post that has no insights, or is gone.
_HAS_NO_INSIGHTS = frozenset({ErrorCode.REQUEST_INVALID, ErrorCode.OBJECT_NOT_FOUND})
#: After so many posts in a row without an answer, the others are not asked for.
MAX_FAILURES_IN_A_ROW = 3


def is_due(published: date, day: date) -> bool:
    """Whether the totals of a post of the day ``published`` are read for ``day``."""
    age = (day - published).days + 1
    return age in DAYS_OF_READING or age > max(DAYS_OF_READING)


def read_posts(client: GraphClient, profile_id: str, window: Window) -> Posts:
    """The posts of the window: a call for 100 posts, and one for each post whose totals are due.

    A failed listing costs neither the day's figures nor the posts that came before.

    :raises JobError: for a failure that is about the whole account (:attr:`ErrorCode.ends_reading`).
    """
    if window.is_past:
        return Posts()
    first = window.first_listed_day
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
    missing = [*unlisted("posts", listing.error, some=bool(posts))]
    if bare:
        missing.append(f"Posts that the API fails to give in full: {len(bare)}.")
    return Posts(
        content=tuple(content),
        published=posts_published((post.day for post in (bare | posts).values()), window.days)
        if listing.complete
        else {},
        unsupported=totals.asking.unsupported,
        withheld=totals.asking.withheld,
        missing=(*missing, *totals.asking.missing, *totals.missing),
    )


def _posts(items: Iterable[object], first: date, last: date) -> dict[str, ListedPost]:
    """The profile's own posts from ``first`` to ``last``, by id."""
    own = (item for item in items if at(item, "media_type") != REPOST)
    return listed_posts(own, first, last, published="timestamp")


def _content(post: ListedPost, totals: Mapping[str, Decimal | None]) -> Content:
    permalink = text(post.fields.get("permalink"), 2000)
    return Content(
        content_id=post.id,
        published_at=post.published_at,
        kind=KINDS.get(str(post.fields.get("media_type")), "post"),
        message=text(post.fields.get("text"), MAX_MESSAGE_LENGTH),
        permalink=permalink,
        also_known_as=shortcode(permalink),
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
