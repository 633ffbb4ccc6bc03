"""An account's media and live stories, with their totals.

https://developers.facebook.com/docs/instagram-platform/api-reference/instagram-media/insights.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import structlog

from include.social_analytics.connectors.instagram import PROVIDER
from include.social_analytics.connectors.instagram.insights import metrics_in
from include.social_analytics.connectors.reading import (
    Content,
    Posts,
    UnsupportedMetric,
    Window,
    as_sentence,
    posts_published,
    unlisted,
)
from include.social_analytics.errors import ErrorCode, JobError
from include.social_analytics.graph_api.client import GraphClient
from include.social_analytics.graph_api.days import midnight
from include.social_analytics.graph_api.paging import Listing, items_of, read_listing
from include.social_analytics.graph_api.posts import ListedPost, listed_posts, shortcode
from include.social_analytics.json_values import amount, at, objects, text

log = structlog.get_logger(__name__)

#: The API's metrics of a medium -> ours. Every kind of media has them.
MEDIA_SOURCES: Mapping[str, str] = {
    source: name for name, source in PROVIDER.content_metrics.items() if not source.endswith("_count")
}
#: Those that a story has, too.
STORY_SOURCES: Mapping[str, str] = {source: name for source, name in MEDIA_SOURCES.items() if name != "saves"}
#: Counts that come with a medium: our metric -> the field.
COUNTS: Mapping[str, str] = {
    name: source for name, source in PROVIDER.content_metrics.items() if source.endswith("_count")
}
FIELDS = "id,caption,media_type,media_product_type,permalink,timestamp"

#: Instagram's own limit is 2,200.
MAX_CAPTION_LENGTH = 10_000
#: The edge of the live stories.
STORIES = "stories"
#: A story's life, in seconds.
STORY_LIFE = 24 * 60 * 60
#: The API's answers to questions about a medium that has no such insights.
_HAS_NO_INSIGHTS = frozenset({ErrorCode.REQUEST_INVALID, ErrorCode.OBJECT_NOT_FOUND})
#: After so many media in a row without an answer, the others are not asked for.
MAX_FAILURES_IN_A_ROW = 3
_KINDS = {"REELS": "reel", "STORY": "story", "CAROUSEL_ALBUM": "carousel", "IMAGE": "image", "VIDEO": "video"}

Totals = dict[str, Decimal | None]


def read_media(client: GraphClient, account_id: str, window: Window) -> Posts:
    """The window's media, with their totals as they stand now, one call per 100; and the live stories.

    :raises JobError: for a failure that is about the whole account.
    """
    if window.is_past:
        return Posts()
    first = window.first_listed_day
    end = midnight(window.day + timedelta(days=1))
    media = _Edge(
        client, account_id, "media", MEDIA_SOURCES, COUNTS, window, since=midnight(first), until=end
    )
    published, content = media.read(first, window.day)
    edges = [media]
    # No story of an older day is live. One that was posted after midnight may be gone at the next day's run.
    if end + STORY_LIFE > window.read_at.timestamp():
        stories = _Edge(client, account_id, STORIES, STORY_SOURCES, {}, window)
        _, live = stories.read(window.first_post_day, window.day + timedelta(days=1))
        content = live | content
        edges.append(stories)
    return Posts(
        content=tuple(content.values()),
        published=published,
        unsupported=tuple(one for edge in edges for one in edge.unsupported),
        withheld=tuple(one for edge in edges for one in edge.withheld),
        missing=tuple(sentence for edge in edges for sentence in edge.missing),
    )


class _Edge:
    """Lists media with their insights. If one of them has none, the API refuses the listing.

    Then they are listed without, and each is asked for its insights.
    """

    def __init__(
        self,
        client: GraphClient,
        account_id: str,
        name: str,
        sources: Mapping[str, str],
        counts: Mapping[str, str],
        window: Window,
        **params: int,
    ) -> None:
        self._client = client
        self._path = (account_id, name)
        self._name = name
        self._window = window
        refused = {one.source_metric: one for one in window.refused if one.api_version == client.api_version}
        lately = {source: one for source in sources if (one := refused.get(self._named(source)))}
        if len(lately) == len(sources):
            lately = {}
        #: Lately refused, so not asked for now.
        self.withheld = tuple(lately.values())
        self._sources = {source: name for source, name in sources.items() if source not in lately}
        self._counts = counts
        #: What the API refused in this reading.
        self.unsupported: list[UnsupportedMetric] = []
        self._params: dict[str, Any] = params
        self._missing: list[str] = []
        self._failures: list[JobError] = []

    @property
    def missing(self) -> tuple[str, ...]:
        """What the reading lacks, in sentences."""
        if not self._failures:
            return tuple(self._missing)
        reason = as_sentence(self._failures[0].reason)
        return (
            *self._missing,
            f"Insights of {self._name} that could not be read: {len(self._failures)}. The first: {reason}",
        )

    def read(
        self, first: date, last: date
    ) -> tuple[Mapping[str, Mapping[date, Decimal | None]], dict[str, Content]]:
        """The series ``posts_published``, and the content by id, from the window's first day on.

        :param first: the first day to count.
        :param last: the last day of the content.
        :raises JobError: for a failure that is about the whole account.
        """
        listing = self._list(nested=True)
        while (error := listing.error) and (retired := self._retired(error)):
            for source in retired:
                del self._sources[source]
                self.unsupported.append(
                    UnsupportedMetric(self._client.api_version, self._named(source), error.reason)
                )
            listing = self._list(nested=True)
        nested = not (error and error.code is ErrorCode.REQUEST_INVALID)
        if not nested:
            log.warning("listing with insights refused, asking one by one", reason=error and error.reason)
            listing = self._list(nested=False)
        self._missing += unlisted(self._name, listing.error, some=bool(listing.items))
        media = listed_posts((*listing.items, *listing.bare), first, last, published="timestamp").values()
        content = {}
        in_a_row = 0
        for medium in media:
            if medium.day < self._window.first_post_day:
                continue
            totals: Totals = {}
            if nested:
                totals = _nested_totals(medium, self._sources)
            elif in_a_row < MAX_FAILURES_IN_A_ROW:
                before = len(self._failures)
                totals = self._totals_of(medium)
                in_a_row = in_a_row + 1 if len(self._failures) > before else 0
            content[medium.id] = _content(medium, totals, self._counts, vanishes=self._name == STORIES)
        days = self._window.days
        counted = posts_published((medium.day for medium in media), days) if listing.complete else {}
        return counted, content

    def _named(self, source: str) -> str:
        """The metric's name in the ledger, apart from the account's own metric: "views of media"."""
        return f"{source} of {self._name}"

    def _retired(self, error: JobError) -> list[str]:
        """The metrics that the API no longer has. It refuses them by position, whatever the medium."""
        if error.code is not ErrorCode.REQUEST_INVALID or "metric[" not in error.reason:
            return []
        retired = metrics_in(error.reason, list(self._sources))
        return retired if len(retired) < len(self._sources) else []

    def _list(self, *, nested: bool) -> Listing:
        bare = ",".join((FIELDS, *self._counts.values()))
        fields = f"{bare},insights.metric({','.join(self._sources)})" if nested else bare
        return read_listing(self._client, self._path, fields=fields, bare_fields=bare, **self._params)

    def _totals_of(self, medium: ListedPost) -> Totals:
        """A medium's totals from its insights; empty when it has none, or when they cannot be read."""
        asked = list(self._sources)
        try:
            try:
                return self._request(medium, asked)
            except JobError as error:
                unsuited = metrics_in(error.reason, asked)
                if error.code is not ErrorCode.REQUEST_INVALID or not 0 < len(unsuited) < len(asked):
                    raise
            return self._request(medium, [source for source in asked if source not in unsuited])
        except JobError as error:
            if error.code.ends_reading:
                raise
            log.warning("medium without insights", medium=medium.id, reason=error.reason)
            if error.code not in _HAS_NO_INSIGHTS:
                self._failures.append(error)
            return {}

    def _request(self, medium: ListedPost, asked: list[str]) -> Totals:
        items = items_of(self._client.get(medium.id, "insights", metric=",".join(asked)))
        return _totals(items, {source: self._sources[source] for source in asked})


def _nested_totals(medium: ListedPost, sources: Mapping[str, str]) -> Totals:
    """The totals that came with a listed medium; empty if none came."""
    items = at(medium.fields, "insights", "data")
    return _totals(items, sources) if isinstance(items, list) else {}


def _totals(items: list[object], sources: Mapping[str, str]) -> Totals:
    """One total for each of ``sources``; None where ``items`` has no number for it."""
    totals: Totals = dict.fromkeys(sources.values())
    for item in objects(items):
        name = sources.get(str(item.get("name")))
        values = objects(item.get("values"))
        if name and values and totals[name] is None:
            totals[name] = amount(values[0].get("value"))
    return totals


def _content(medium: ListedPost, totals: Totals, counts: Mapping[str, str], *, vanishes: bool) -> Content:
    """The medium with its totals. The API leaves out a count that the owner hides."""
    fields = medium.fields
    permalink = text(fields.get("permalink"), 2000)
    kinds = (_KINDS.get(str(fields.get(name))) for name in ("media_product_type", "media_type"))
    return Content(
        content_id=medium.id,
        published_at=medium.published_at,
        kind=next(filter(None, kinds), "post"),
        message=text(fields.get("caption"), MAX_CAPTION_LENGTH),
        permalink=permalink,
        also_known_as=shortcode(permalink),
        vanishes=vanishes,
        metrics={**totals, **{name: amount(fields.get(source)) for name, source in counts.items()}},
    )
