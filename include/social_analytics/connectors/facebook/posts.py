"""A page's posts with their totals: https://developers.facebook.com/docs/graph-api/reference/page/feed."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

import structlog

from include.social_analytics.connectors.facebook import PROVIDER
from include.social_analytics.connectors.facebook.values import midnight, pacific_day
from include.social_analytics.connectors.reading import Content, UnsupportedMetric, Window
from include.social_analytics.errors import ErrorCode, JobError
from include.social_analytics.graph_api.client import GraphClient
from include.social_analytics.graph_api.paging import items_of, read_listing
from include.social_analytics.json_values import amount, at, moment, objects, text

log = structlog.get_logger(__name__)

#: Meta's lifetime metrics of a post -> ours. The others come with the post's own fields.
SOURCES: Mapping[str, str] = {
    source: name for name, source in PROVIDER.content_metrics.items() if source.startswith("post_")
}
FIELDS = (
    "id,created_time,message,permalink_url,status_type,shares,attachments{media_type,type,target{id}},"
    "comments.limit(0).summary(true),reactions.limit(0).summary(total_count)"
)
FIELDS_WITH_INSIGHTS = f"{FIELDS},insights.metric({','.join(SOURCES)})"

#: Facebook's own limit for a post.
MAX_MESSAGE_LENGTH = 63_206
#: Errors that the API may give for one post while the page is fine.
_ABOUT_ONE_POST = frozenset(
    {ErrorCode.REQUEST_INVALID, ErrorCode.OBJECT_NOT_FOUND, ErrorCode.PERMISSION_MISSING}
)
_VIDEO_IN_PERMALINK = re.compile(r"/(?:reel|videos)/(?:[^/?]+/)?(\d{1,30})", re.ASCII)

Totals = dict[str, Decimal | None]


@dataclass(frozen=True)
class PagePosts:
    """The window's content; ``published`` by day, None when the listing was not read to its end."""

    content: tuple[Content, ...]
    published: Mapping[date, int] | None
    unsupported: tuple[UnsupportedMetric, ...] = ()


@dataclass(frozen=True)
class _Post:
    """A post whose identity and day are known; the other fields as the API gave them."""

    id: str
    created: datetime
    fields: Mapping[str, object]


def read_posts(client: GraphClient, page_id: str, window: Window) -> PagePosts:
    """The posts of the window, with their totals as they stand now: one call per 100 posts.

    If one post has no insights (a story, a reel), or one metric no longer exists, the API refuses a listing
    with insights. Then the posts are listed without insights, and one call per post asks for its insights.

    :raises JobError: what a request raises, unless it is about one post only.
    """
    # The metrics' look-back may be longer than the posts' window, and posts are counted for all its days.
    first = min(window.first_post_day, window.days[0])
    path = (page_id, "published_posts")
    since, until = midnight(first), midnight(window.day + timedelta(days=1))
    by_post: _InsightsByPost | None = None
    try:
        listing = read_listing(client, path, fields=FIELDS_WITH_INSIGHTS, since=since, until=until)
    except JobError as error:
        if error.code not in _ABOUT_ONE_POST:
            raise
        log.warning("posts with insights refused, asking post by post", reason=error.reason)
        by_post = _InsightsByPost(client)
    if by_post:
        listing = read_listing(client, path, fields=FIELDS, since=since, until=until)

    posts = _posts(listing.items, first, window.day)
    content = []
    for post in posts:
        if pacific_day(post.created) >= window.first_post_day:
            insights = by_post.totals(post.id) if by_post else _nested_totals(post.fields)
            content.append(_content(post, insights))
    counts = Counter(pacific_day(post.created) for post in posts)
    return PagePosts(
        content=tuple(content),
        published={day: counts[day] for day in window.days} if listing.complete else None,
        unsupported=by_post.unsupported if by_post else (),
    )


def _posts(items: tuple[object, ...], first: date, last: date) -> list[_Post]:
    """The usable posts from ``first`` to ``last``, each once."""
    posts: dict[str, _Post] = {}
    malformed = 0
    for item in items:
        post_id, created = text(at(item, "id"), 200), moment(at(item, "created_time"))
        if not isinstance(item, dict) or post_id is None or created is None:
            malformed += 1
        elif first <= pacific_day(created) <= last:
            posts.setdefault(post_id, _Post(post_id, created, item))
    if malformed:
        log.warning("malformed posts skipped", posts=malformed)
    return list(posts.values())


def _content(post: _Post, insights: Totals) -> Content:
    fields = post.fields
    attachments = objects(at(fields, "attachments", "data"))
    permalink = text(fields.get("permalink_url"), 2000)
    video = _VIDEO_IN_PERMALINK.search(permalink or "")
    other_ids = [text(at(attachment, "target", "id"), 200) for attachment in attachments]
    other_ids.append(video[1] if video else None)
    kinds = [*(text(attachment.get("media_type"), 50) for attachment in attachments[:1])]
    kinds += [text(fields.get("status_type"), 50), "post"]
    reactions = insights.get("reactions")
    if reactions is None:
        reactions = amount(at(fields, "reactions", "summary", "total_count"))
    return Content(
        content_id=post.id,
        published_at=post.created,
        kind=next(filter(None, kinds)),
        message=text(fields.get("message"), MAX_MESSAGE_LENGTH),
        permalink=permalink,
        also_known_as=tuple(dict.fromkeys(i for i in other_ids if i and i != post.id)),
        metrics={
            **insights,
            "reactions": reactions,
            "comments": amount(at(fields, "comments", "summary", "total_count")),
            # The API leaves out this count when it is zero, and no other.
            "shares": amount(at(fields, "shares", "count")) if "shares" in fields else Decimal(0),
        },
    )


def _nested_totals(fields: Mapping[str, object]) -> Totals:
    """The totals that came with a listed post; empty for a post that has no insights."""
    items = at(fields, "insights", "data")
    return _totals(items, SOURCES) if isinstance(items, list) else {}


def _totals(items: list[object], sources: Mapping[str, str]) -> Totals:
    """One total for each of ``sources``; None where ``items`` has no number for it."""
    totals: Totals = dict.fromkeys(sources.values())
    for item in objects(items):
        name = sources.get(str(item.get("name")))
        values = objects(item.get("values"))
        if name and values and item.get("period", "lifetime") == "lifetime" and totals[name] is None:
            totals[name] = amount(values[0].get("value"))
    return totals


class _InsightsByPost:
    """Asks post by post, and remembers which metrics the API refuses."""

    def __init__(self, client: GraphClient) -> None:
        self._client = client
        self._sources = dict(SOURCES)
        self._refusals: dict[str, JobError] = {}

    @property
    def unsupported(self) -> tuple[UnsupportedMetric, ...]:
        """The refused metrics."""
        return tuple(
            UnsupportedMetric(self._client.api_version, source, error.reason)
            for source, error in self._refusals.items()
        )

    def totals(self, post_id: str) -> Totals:
        """One post's totals from its insights; empty when it has none.

        :raises JobError: for errors that are not about this post only.
        """
        if not self._sources:
            return {}
        try:
            return self._request(post_id, self._sources)
        except JobError as error:
            if error.code not in _ABOUT_ONE_POST:
                raise
            if not _is_about_a_metric(error):
                log.warning("post without insights", post=post_id, reason=error.reason)
                return {}
        totals: Totals = {}
        for source, name in list(self._sources.items()):
            try:
                totals |= self._request(post_id, {source: name})
            except JobError as error:
                if error.code not in _ABOUT_ONE_POST:
                    raise
                if _is_about_a_metric(error):
                    self._refusals[source] = error
                    del self._sources[source]
        return totals

    def _request(self, post_id: str, sources: Mapping[str, str]) -> Totals:
        return _totals(items_of(self._client.get(post_id, "insights", metric=",".join(sources))), sources)


def _is_about_a_metric(error: JobError) -> bool:
    """Whether it is ``(#100) The value must be a valid insights metric``, which names no metric."""
    return error.code is ErrorCode.REQUEST_INVALID and "insights metric" in error.reason
