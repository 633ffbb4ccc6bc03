"""An account's media and live stories, with their totals.

https://developers.facebook.com/docs/instagram-platform/api-reference/instagram-media/insights.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import structlog

from include.social_analytics.connectors.instagram import PROVIDER
from include.social_analytics.connectors.instagram.insights import metrics_in
from include.social_analytics.connectors.reading import Content, Window, as_sentence
from include.social_analytics.errors import ErrorCode, JobError
from include.social_analytics.graph_api.client import GraphClient
from include.social_analytics.graph_api.days import midnight, pacific_day
from include.social_analytics.graph_api.paging import Listing, items_of, read_listing
from include.social_analytics.json_values import amount, at, moment, objects, text

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
#: A story's life, in seconds.
STORY_LIFE = 24 * 60 * 60
#: The API's answers to questions about a medium that has no such insights.
_HAS_NO_INSIGHTS = frozenset({ErrorCode.REQUEST_INVALID, ErrorCode.OBJECT_NOT_FOUND})
#: After so many media in a row without an answer, the others are not asked for.
MAX_FAILURES_IN_A_ROW = 3
_KINDS = {"REELS": "reel", "STORY": "story", "CAROUSEL_ALBUM": "carousel", "IMAGE": "image", "VIDEO": "video"}

Totals = dict[str, Decimal | None]


@dataclass(frozen=True)
class AccountMedia:
    """The window's media and stories. ``published`` counts media by day.

    It is empty when the listing was not read to its end. ``missing`` says what is not there.
    """

    content: tuple[Content, ...]
    published: Mapping[str, Mapping[date, Decimal | None]]
    missing: tuple[str, ...]


@dataclass(frozen=True)
class _Medium:
    """A medium whose identity and day are known; the other fields as the API gave them."""

    id: str
    published: datetime
    fields: Mapping[str, object]


def read_media(client: GraphClient, account_id: str, window: Window) -> AccountMedia:
    """The window's media, with their totals as they stand now, one call per 100; and the live stories.

    :raises JobError: for a failure that is about the whole account.
    """
    if window.is_past:
        return AccountMedia((), {}, ())
    # The metrics' look-back may be longer than the posts' window, and posts are counted for all its days.
    first = min(window.first_post_day, window.days[0])
    end = midnight(window.day + timedelta(days=1))
    media = _Edge(client, account_id, "media", MEDIA_SOURCES, COUNTS, since=midnight(first), until=end)
    complete, found = media.read(window, first)
    content = {one.content_id: one for one in found if pacific_day(one.published_at) >= window.first_post_day}
    published: Mapping[str, Mapping[date, Decimal | None]] = {}
    if complete:
        counts = Counter(pacific_day(one.published_at) for one in found)
        published = {"posts_published": {day: Decimal(counts[day]) for day in window.days}}
    missing = media.missing
    # No story of an older day is live.
    if end + STORY_LIFE > time.time():
        stories = _Edge(client, account_id, "stories", STORY_SOURCES, {})
        _, live = stories.read(window, window.first_post_day)
        content = {one.content_id: one for one in live} | content
        missing = (*missing, *stories.missing)
    return AccountMedia(tuple(content.values()), published, missing)


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
        **params: int,
    ) -> None:
        self._client = client
        self._path = (account_id, name)
        self._name = name
        self._sources = dict(sources)
        self._counts = counts
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

    def read(self, window: Window, first: date) -> tuple[bool, list[Content]]:
        """Whether the listing was read to its end; what it holds from ``first`` to the window's day.

        :raises JobError: for a failure that is about the whole account.
        """
        listing = self._list(nested=True)
        while (error := listing.error) and (retired := self._retired(error)):
            names = ", ".join(retired)
            self._missing.append(f"The API refuses {names} of {self._name}: {as_sentence(error.reason)}")
            for source in retired:
                del self._sources[source]
            listing = self._list(nested=True)
        nested = not (error and error.code is ErrorCode.REQUEST_INVALID)
        if not nested:
            log.warning("listing with insights refused, asking one by one", reason=error and error.reason)
            listing = self._list(nested=False)
        if listing.error:
            what = f"Only some {self._name}" if listing.items else f"No {self._name}"
            self._missing.append(f"{what} could be listed: {as_sentence(listing.error.reason)}")
        media = _media((*listing.items, *listing.bare), first, window.day)
        content = []
        in_a_row = 0
        for medium in media:
            totals: Totals = {}
            if nested:
                totals = _nested_totals(medium, self._sources)
            elif in_a_row < MAX_FAILURES_IN_A_ROW and pacific_day(medium.published) >= window.first_post_day:
                before = len(self._failures)
                totals = self._totals_of(medium)
                in_a_row = in_a_row + 1 if len(self._failures) > before else 0
            content.append(_content(medium, totals, self._counts))
        return listing.complete, content

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

    def _totals_of(self, medium: _Medium) -> Totals:
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

    def _request(self, medium: _Medium, asked: list[str]) -> Totals:
        items = items_of(self._client.get(medium.id, "insights", metric=",".join(asked)))
        return _totals(items, {source: self._sources[source] for source in asked})


def _media(items: tuple[object, ...], first: date, last: date) -> list[_Medium]:
    """The usable media from ``first`` to ``last``, each once."""
    found: dict[str, _Medium] = {}
    malformed = 0
    for item in items:
        medium_id, published = text(at(item, "id"), 200), moment(at(item, "timestamp"))
        if not isinstance(item, dict) or medium_id is None or published is None:
            malformed += 1
        elif first <= pacific_day(published) <= last:
            found.setdefault(medium_id, _Medium(medium_id, published, item))
    if malformed:
        log.warning("malformed media skipped", media=malformed)
    return list(found.values())


def _nested_totals(medium: _Medium, sources: Mapping[str, str]) -> Totals:
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


def _content(medium: _Medium, totals: Totals, counts: Mapping[str, str]) -> Content:
    """The medium with its totals. The API leaves out a count that the owner hides."""
    fields = medium.fields
    kinds = (_KINDS.get(str(fields.get(name))) for name in ("media_product_type", "media_type"))
    return Content(
        content_id=medium.id,
        published_at=medium.published,
        kind=next(filter(None, kinds), "post"),
        message=text(fields.get("caption"), MAX_CAPTION_LENGTH),
        permalink=text(fields.get("permalink"), 2000),
        metrics={**totals, **{name: amount(fields.get(source)) for name, source in counts.items()}},
    )
