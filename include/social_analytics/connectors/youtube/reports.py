"""A channel's figures by day: https://developers.google.com/youtube/analytics/channel_reports."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import structlog

from include.social_analytics.connectors.derived import metrics_of, parts_of, total_of
from include.social_analytics.connectors.reading import (
    DayStatus,
    UnsupportedMetric,
    Window,
    costs_only,
)
from include.social_analytics.connectors.youtube import PROVIDER
from include.social_analytics.connectors.youtube.google import GoogleClient
from include.social_analytics.errors import ErrorCode, JobError
from include.social_analytics.json_values import amount, at

log = structlog.get_logger(__name__)

API_VERSION = "v2"
#: Our metrics that a report has, and their sources.
SOURCES: Mapping[str, str] = {
    name: source for name, source in PROVIDER.metrics.items() if name not in ("followers", "posts_published")
}
#: Metrics that YouTube computes later than the others. A report ends with the last day for which it has all
#: that is asked for, so they have a report of their own.
SLOW = ("estimatedMinutesWatched", "engagedViews")
#: The report of these decides the status of the days.
PROMPT = tuple(metric for metric in metrics_of(SOURCES.values()) if metric not in SLOW)

#: The API's metrics of one day.
Row = Mapping[str, Decimal | None]


@dataclass(frozen=True)
class ChannelReports:
    """Our metrics' values by day, and each day's status; a metric that was refused or failed is absent.

    ``unread`` holds the zeros of final days without a row.
    ``unsupported`` was refused now, ``withheld`` lately, and so it was not asked for. ``missing`` says what
    else is not there.
    """

    days: Mapping[date, DayStatus]
    series: Mapping[str, Mapping[date, Decimal | None]]
    unread: frozenset[tuple[str, date]] = frozenset()
    unsupported: tuple[UnsupportedMetric, ...] = ()
    withheld: tuple[UnsupportedMetric, ...] = ()
    missing: tuple[str, ...] = ()


def read_reports(client: GoogleClient, window: Window, today: date) -> ChannelReports:
    """Every catalogue metric for the window's days, in two calls.

    A day without a row is a quiet one, or one that is not there yet. So it is 0 once the day is final, and
    pending before that.

    :param today: the date in the provider's zone.
    :raises JobError: what the report of the prompt metrics raises.
    """
    missing: list[str] = []
    final = [day for day in window.days if day + timedelta(days=PROVIDER.final_after_days) <= today]
    prompt = _Report(client, window, PROMPT)
    rows = prompt.read()
    slow = _Report(client, window, SLOW)
    slow_rows: dict[date, Row] | None = None
    with costs_only(f"The metrics {', '.join(SLOW)}", missing):
        slow_rows = slow.read()
    given = {day: {**rows[day]} for day in rows}
    asked = set(prompt.metrics) | (set(slow.metrics) if slow_rows is not None else set())
    for day in final:
        given.setdefault(day, dict.fromkeys(prompt.metrics, Decimal()))
    for day, values in given.items():
        quiet = dict.fromkeys(slow.metrics, Decimal()) if day in final else {}
        values |= (slow_rows or {}).get(day, quiet)
    return ChannelReports(
        days={day: DayStatus.SUCCEEDED if day in given else DayStatus.PENDING for day in window.days},
        series={
            name: {
                day: total_of(source, values)
                for day, values in given.items()
                if set(parts_of(source)) <= set(values)
            }
            for name, source in SOURCES.items()
            if set(parts_of(source)) <= asked
        },
        unread=frozenset(
            (name, day)
            for name, source in SOURCES.items()
            for day in final
            if day not in ((slow_rows or {}) if parts_of(source)[0] in SLOW else rows)
        ),
        unsupported=prompt.unsupported + slow.unsupported,
        withheld=prompt.withheld + slow.withheld,
        missing=tuple(missing),
    )


@dataclass
class _Report:
    """A report by day. If the API refuses some of its metrics by name, it does without them."""

    client: GoogleClient
    window: Window
    wanted: tuple[str, ...]
    unsupported: tuple[UnsupportedMetric, ...] = field(default=(), init=False)

    def __post_init__(self) -> None:
        lately = {one.source_metric: one for one in self.window.refused if one.api_version == API_VERSION}
        #: Lately refused, so not asked for now.
        self.withheld = tuple(lately[metric] for metric in self.wanted if metric in lately)
        #: What is asked for.
        self.metrics = tuple(metric for metric in self.wanted if metric not in lately)

    def read(self) -> dict[date, Row]:
        """The rows of the window's days."""
        # Google names only the first of the metrics that it refuses.
        while self.metrics:
            try:
                return self._request()
            except JobError as error:
                refused = [metric for metric in self.metrics if re.search(rf"\b{metric}\b", error.reason)]
                if error.code is not ErrorCode.REQUEST_INVALID or len(refused) in (0, len(self.metrics)):
                    raise
                log.warning("metrics refused, asking for the others", refused=refused, reason=error.reason)
                self.unsupported += tuple(
                    UnsupportedMetric(API_VERSION, metric, error.reason) for metric in refused
                )
                self.metrics = tuple(metric for metric in self.metrics if metric not in refused)
        return {}

    def _request(self) -> dict[date, Row]:
        body = self.client.report(
            startDate=str(self.window.days[0]),
            endDate=str(self.window.day),
            dimensions="day",
            metrics=",".join(self.metrics),
            sort="day",
        )
        days = {str(day): day for day in self.window.days}
        return {
            days[key]: {metric: amount(row.get(metric)) for metric in self.metrics}
            for row in rows_of(body)
            if (key := str(row.get("day"))) in days
        }


def rows_of(body: Mapping[str, Any]) -> Iterable[Mapping[str, object]]:
    """A report's rows as objects. The key ``rows`` is absent when there is none.

    :raises JobError: ``response_invalid`` for a report without headers, which say what a number is.
    """
    headers = body.get("columnHeaders")
    if not isinstance(headers, list):
        raise JobError(ErrorCode.RESPONSE_INVALID, "A report of the API has no column headers.")
    names = [str(at(header, "name")) for header in headers]
    rows = body.get("rows", [])
    if not isinstance(rows, list):
        raise JobError(ErrorCode.RESPONSE_INVALID, "A report of the API has rows that are no list.")
    return [dict(zip(names, row, strict=False)) for row in rows if isinstance(row, list)]
