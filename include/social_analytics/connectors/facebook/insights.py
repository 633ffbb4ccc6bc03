"""A page's daily metrics: https://developers.facebook.com/docs/graph-api/reference/page/insights."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

import structlog

from include.social_analytics.connectors.facebook import PROVIDER
from include.social_analytics.connectors.facebook.refusals import withheld
from include.social_analytics.connectors.reading import UnsupportedMetric, Window
from include.social_analytics.errors import ErrorCode, JobError
from include.social_analytics.graph_api.client import GraphClient
from include.social_analytics.graph_api.days import midnight, pacific_day
from include.social_analytics.graph_api.paging import items_of
from include.social_analytics.http.failures import TooMuchData
from include.social_analytics.json_values import amount, moment, objects

log = structlog.get_logger(__name__)

#: Seconds; the API refuses a longer range.
MAX_RANGE = 90 * 24 * 60 * 60

#: Meta's name -> ours.
SOURCES: Mapping[str, str] = {
    source: name for name, source in PROVIDER.metrics.items() if name != "posts_published"
}

Series = dict[str, dict[date, Decimal | None]]


@dataclass(frozen=True)
class PageInsights:
    """Our metrics' values by day; a metric that was refused or is not in the answer is absent.

    ``unsupported`` was refused now, ``withheld`` lately, and so it was not asked for.
    """

    series: Series
    unsupported: tuple[UnsupportedMetric, ...] = ()
    withheld: tuple[UnsupportedMetric, ...] = ()


def read_insights(client: GraphClient, page_id: str, window: Window) -> PageInsights:
    """Every catalogue metric for the window's days: one call, unless the API refuses a metric.

    If one metric no longer exists, the API refuses the whole call. Then there is one call per metric, and
    for a week nobody asks for that metric.

    :raises JobError: ``request_invalid`` when it refuses every metric, else what a request raises.
    """
    refused = withheld(window, client.api_version)
    asked = tuple(source for source in SOURCES if source not in refused)
    not_asked = tuple(refused[source] for source in SOURCES if source in refused)
    if not asked:
        asked, not_asked = tuple(SOURCES), ()
    try:
        return PageInsights(_series(client, page_id, window.days, asked), withheld=not_asked)
    except JobError as error:
        if error.code is not ErrorCode.REQUEST_INVALID or error.provider_code != "100":
            raise
        log.warning("insights refused, asking metric by metric", reason=error.reason)
    series: Series = {}
    refusals: dict[str, JobError] = {}
    for source in asked:
        try:
            series |= _series(client, page_id, window.days, (source,))
        except JobError as error:
            if error.code is not ErrorCode.REQUEST_INVALID:
                raise
            refusals[source] = error
    if len(refusals) == len(asked):
        raise next(iter(refusals.values()))
    return PageInsights(
        series,
        tuple(
            UnsupportedMetric(client.api_version, source, error.reason) for source, error in refusals.items()
        ),
        not_asked,
    )


def _series(client: GraphClient, page_id: str, days: Sequence[date], sources: Sequence[str]) -> Series:
    """The series of some metrics for some days. What is too much for one answer is asked for in halves."""
    try:
        return _request(client, page_id, days, sources)
    except TooMuchData:
        if len(sources) == len(days) == 1:
            raise
    if len(sources) > 1:
        middle = len(sources) // 2
        halves = [(days, sources[:middle]), (days, sources[middle:])]
    else:
        middle = len(days) // 2
        halves = [(days[:middle], sources), (days[middle:], sources)]
    series: Series = {}
    for some_days, some_sources in halves:
        for name, values in _series(client, page_id, some_days, some_sources).items():
            series.setdefault(name, {}).update(values)
    return series


def _request(client: GraphClient, page_id: str, days: Sequence[date], sources: Sequence[str]) -> Series:
    since, end = midnight(days[0]), midnight(days[-1] + timedelta(days=1))
    # end_time of day D is the midnight after D; ask for one day more in case `until` is exclusive.
    until = max(end, min(midnight(days[-1] + timedelta(days=2)), since + MAX_RANGE))
    body = client.get(
        page_id,
        "insights",
        metric=",".join(sources),
        period="day",
        since=max(since, until - MAX_RANGE),
        until=until,
    )
    # Never follow paging.next: it is always there, and leads into the future.
    return _parse(items_of(body), frozenset(days))


def _parse(items: list[object], wanted: Container[date]) -> Series:
    """The values by day. A value's day is the day before the Pacific date of its ``end_time``."""
    series: Series = {}
    for item in objects(items):
        name = SOURCES.get(str(item.get("name")))
        values = item.get("values")
        if name is None or item.get("period", "day") != "day" or not isinstance(values, list):
            continue
        days = series.setdefault(name, {})
        for value in objects(values):
            end = moment(value.get("end_time"))
            if end is None:
                continue
            day = pacific_day(end) - timedelta(days=1)
            if day in wanted and days.get(day) is None:
                days[day] = amount(value.get("value"))
    return series
