"""An account's daily metrics.

https://developers.facebook.com/docs/instagram-platform/api-reference/instagram-user/insights. Only the reach
comes as a series. The other metrics are one total for the time that is asked for, so each day has calls of
its own.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

import structlog

from include.social_analytics.connectors.instagram import PROVIDER
from include.social_analytics.connectors.reading import DayStatus, UnsupportedMetric, Window, costs_only
from include.social_analytics.errors import ErrorCode, JobError
from include.social_analytics.graph_api.client import GraphClient
from include.social_analytics.graph_api.days import midnight, pacific_day
from include.social_analytics.graph_api.paging import items_of
from include.social_analytics.json_values import amount, at, moment, objects

log = structlog.get_logger(__name__)

REACH = PROVIDER.metrics["reach"]
FOLLOWERS = PROVIDER.metrics["followers"]
FOLLOWS = "follows_and_unfollows"
#: The API's follow type -> our metric.
FOLLOW_TYPES: Mapping[str, str] = {
    source.removeprefix(f"{FOLLOWS}."): name
    for name, source in PROVIDER.metrics.items()
    if source.startswith(FOLLOWS)
}
#: The API's metrics that are one total for a day -> ours.
TOTALS: Mapping[str, str] = {
    source: name
    for name, source in PROVIDER.metrics.items()
    if name not in ("reach", "followers", "posts_published", *FOLLOW_TYPES.values())
}
#: The API refuses more than 30 days. A clock change makes 30 days an hour longer.
MAX_DAYS = 29

Days = dict[date, Decimal | None]


@dataclass(frozen=True)
class AccountInsights:
    """The days' statuses, our metrics' values by day and as of now.

    ``unread`` are metrics and days that were not asked for, or whose call failed. ``unsupported`` was refused
    now, ``withheld`` lately, and so it was not asked for. ``missing`` says what else is not there.
    """

    days: Mapping[date, DayStatus]
    series: Mapping[str, Days]
    unread: frozenset[tuple[str, date]]
    now: Mapping[str, Decimal | None]
    unsupported: tuple[UnsupportedMetric, ...]
    withheld: tuple[UnsupportedMetric, ...]
    missing: tuple[str, ...]


def read_insights(client: GraphClient, account_id: str, window: Window) -> AccountInsights:
    """Every metric for the window's days: one call for the reach and the followers, two for each day.

    A day without reach is not published yet, and nothing else is asked about it: its totals would be zeros.

    :raises JobError: for a failure of the reach, or one that is about the whole account.
    """
    reach, followers = _reach(client, account_id, window.days)
    if reach is None:
        days = dict.fromkeys(window.days, DayStatus.NO_DATA)
        return AccountInsights(days, {}, frozenset(), {"followers": followers}, (), (), ())
    days = {day: DayStatus.SUCCEEDED if day in reach else DayStatus.PENDING for day in window.days}
    by_day = _ByDay(client, account_id, window, reach)
    by_day.read_totals()
    by_day.read_follows()
    return AccountInsights(
        days=days,
        series={"reach": reach, **by_day.series},
        unread=frozenset(
            (name, day) for name, values in by_day.series.items() for day in reach if day not in values
        ),
        now={"followers": followers},
        unsupported=tuple(
            UnsupportedMetric(client.api_version, source, error.reason)
            for source, error in by_day.refused.items()
        ),
        withheld=by_day.withheld,
        missing=tuple(by_day.missing),
    )


def metrics_in(reason: str, asked: Sequence[str]) -> list[str]:
    """The metrics that a refusal is about: it has their names, or their positions in the request."""
    positions = [int(position) for position in re.findall(r"metric\[(\d{1,3})\]", reason)]
    if positions:
        return [asked[position] for position in positions if position < len(asked)]
    words = set(re.findall(r"\w+", reason))
    return [source for source in asked if source in words]


def _reach(client: GraphClient, account_id: str, days: Sequence[date]) -> tuple[Days | None, Decimal | None]:
    """The reach by day, None if the account has no such series; and the number of followers now."""
    parts = [days[max(end - MAX_DAYS, 0) : end] for end in range(len(days), 0, -MAX_DAYS)]
    # The end of a day bears its label, so a day is found between its own midnight and the next one.
    since, until = _bounds(parts[0][0], parts[0][-1])
    asked = f"insights.metric({REACH}).period(day).since({since}).until({until})"
    node = client.get(account_id, fields=f"{FOLLOWERS},{asked}")
    # An edge without entries may be left out.
    items = items_of(node["insights"] or {}) if isinstance(node.get("insights"), dict) else []
    for part in parts[1:]:
        since, until = _bounds(part[0], part[-1])
        # Never follow paging.next: it is always there, and leads into the future.
        items += items_of(
            client.get(account_id, "insights", metric=REACH, period="day", since=since, until=until)
        )
    return _series(items, frozenset(days)), amount(node.get(FOLLOWERS))


def _bounds(first: date, last: date) -> tuple[int, int]:
    """A second after midnight, because the figures of the day before have the label of this midnight."""
    return midnight(first) + 1, midnight(last + timedelta(days=1)) + 1


def _series(items: list[object], wanted: Collection[date]) -> Days | None:
    """The values by day. A value's day is the day before the Pacific date of its ``end_time``."""
    series: Days | None = None
    for item in objects(items):
        if item.get("name") != REACH or item.get("period", "day") != "day":
            continue
        series = {} if series is None else series
        for value in objects(item.get("values")):
            end = moment(value.get("end_time"))
            day = pacific_day(end) - timedelta(days=1) if end else None
            if day is not None and day in wanted and series.get(day) is None:
                series[day] = amount(value.get("value"))
    return series


class _ByDay:
    """Reads the totals of one day after another, newest first.

    A failure that outlasts the client's tries ends the calls of its kind: the other days would fail alike.
    """

    def __init__(self, client: GraphClient, account_id: str, window: Window, reach: Days) -> None:
        self._client = client
        self._account_id = account_id
        self._window = window
        self._reach = reach
        self._days = sorted(reach, reverse=True)
        known = {
            one.source_metric: one
            for one in window.refused
            if one.source_metric in TOTALS and one.api_version == client.api_version
        }
        self._asked = [source for source in TOTALS if source not in known]
        #: By our names.
        self.series: dict[str, Days] = {}
        self.withheld = tuple(known.values())
        #: By the API's name, what it refuses.
        self.refused: dict[str, JobError] = {}
        self.missing: list[str] = []

    def read_totals(self) -> None:
        """One call a day. The reach of the same call must be the series': only then it is about that day."""
        left_out: list[str] = []
        for day in self._days:
            if self._are_settled((TOTALS[source] for source in self._asked), day):
                continue
            before = len(self.missing)
            with costs_only(f"The totals of {day}", self.missing):
                totals = self._totals(day)
                is_days = totals.pop(REACH, None) == self._reach[day] is not None
                if not is_days:
                    left_out.append(str(day))
                for source, value in totals.items():
                    self.series.setdefault(TOTALS[source], {})[day] = value if is_days else None
            if len(self.missing) > before:
                break
        if left_out:
            self.missing.append(
                f"The totals of {', '.join(left_out)} are left out: their reach is not the day's, "
                "so they may be about other hours."
            )

    def read_follows(self) -> None:
        """One call a day. They are published a day or two after the reach."""
        for day in self._days:
            if self._are_settled(FOLLOW_TYPES.values(), day):
                continue
            before = len(self.missing)
            with costs_only(f"The follows of {day}", self.missing):
                follows = self._follows(day)
                for name in FOLLOW_TYPES.values():
                    self.series.setdefault(name, {})[day] = follows.get(name)
            if len(self.missing) > before:
                break

    def _are_settled(self, names: Iterable[str], day: date) -> bool:
        return all((name, day) in self._window.settled for name in names)

    def _totals(self, day: date) -> dict[str, Decimal | None]:
        """The answer's totals by the API's names. A metric that the API no longer has is left out."""
        while True:
            asked = [*self._asked, REACH]
            try:
                items = self._insights(day, metric=",".join(asked))
            except JobError as error:
                refused = metrics_in(error.reason, asked)
                if error.code is not ErrorCode.REQUEST_INVALID or not refused or REACH in refused:
                    raise
                log.warning("metrics refused, asking without them", metrics=refused, reason=error.reason)
                self._asked = [source for source in self._asked if source not in refused]
                self.refused |= dict.fromkeys(refused, error)
                continue
            return {
                str(item["name"]): amount(at(item, "total_value", "value"))
                for item in objects(items)
                if item.get("name") in asked
            }

    def _follows(self, day: date) -> dict[str, Decimal | None]:
        """Our metrics' values; empty when they are not published, which has no ``results``.

        A type that is not in the results is 0.
        """
        found: dict[str, Decimal | None] = {}
        for item in objects(self._insights(day, metric=FOLLOWS, breakdown="follow_type")):
            for breakdown in objects(at(item, "total_value", "breakdowns")):
                if item.get("name") != FOLLOWS or not isinstance(breakdown.get("results"), list):
                    continue
                found = dict.fromkeys(FOLLOW_TYPES.values(), Decimal(0))
                for result in objects(breakdown["results"]):
                    types = result.get("dimension_values")
                    name = FOLLOW_TYPES.get(str(types[0])) if isinstance(types, list) and types else None
                    if name:
                        found[name] = amount(result.get("value"))
        return found

    def _insights(self, day: date, **params: str) -> list[object]:
        since, until = _bounds(day, day)
        return items_of(
            self._client.get(
                self._account_id,
                "insights",
                period="day",
                metric_type="total_value",
                since=since,
                until=until,
                **params,
            )
        )
