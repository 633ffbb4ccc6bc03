"""A profile's daily metrics: https://developers.facebook.com/docs/threads/insights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal

from include.social_analytics.connectors.derived import metrics_of, parts_of, total_of
from include.social_analytics.connectors.reading import (
    DayStatus,
    UnsupportedMetric,
    Window,
    costs_only,
)
from include.social_analytics.connectors.threads import PROVIDER
from include.social_analytics.connectors.threads.asking import Asking
from include.social_analytics.graph_api.client import GraphClient
from include.social_analytics.graph_api.days import midnight, pacific_day
from include.social_analytics.json_values import amount, at, moment, objects

EDGE = "threads_insights"
#: The one metric with a value for each day. It decides the days' status.
VIEWS = PROVIDER.metrics["views"]
#: Exists only as of now, whatever days are asked about, so it comes with the series.
FOLLOWERS = PROVIDER.metrics["followers"]
#: Our metrics that the API only totals over what is asked about, so that each day takes a call.
TOTALS: Mapping[str, str] = {
    name: source
    for name, source in PROVIDER.metrics.items()
    if name not in ("views", "followers", "posts_published")
}
#: The most days in one call: with the hour of a clock change, they are less than 30 times 24 hours.
MAX_DAYS = 29

Series = dict[str, dict[date, Decimal | None]]


@dataclass(frozen=True)
class ProfileInsights:
    """Our metrics' values by day, and each day's status; a metric that was refused or failed is absent.

    ``unread`` are metrics and days that were not asked for, or whose call failed, and the zeros of final days
    that the series of the views leaves out.
    ``unsupported`` was refused now, ``withheld`` lately, and so it was not asked for. ``missing`` says what
    else is not there.
    """

    days: Mapping[date, DayStatus]
    series: Series = field(default_factory=dict)
    unread: frozenset[tuple[str, date]] = frozenset()
    now: Mapping[str, Decimal | None] = field(default_factory=dict)
    unsupported: tuple[UnsupportedMetric, ...] = ()
    withheld: tuple[UnsupportedMetric, ...] = ()
    missing: tuple[str, ...] = ()


def read_insights(client: GraphClient, profile_id: str, window: Window, today: date) -> ProfileInsights:
    """Every catalogue metric for the window's days: a call for the views, and one for each day not settled.

    :param today: the date in the provider's zone.
    :raises JobError: what a request for the views raises.
    """
    asking = Asking(client, (VIEWS, FOLLOWERS), window)
    views: dict[date, Decimal | None] | None = None
    left_out: frozenset[tuple[str, date]] = frozenset()
    now: dict[str, Decimal | None] = {}
    for start in range(0, len(window.days), MAX_DAYS):
        days = window.days[start : start + MAX_DAYS]
        # end_time of day D is the midnight after D; ask for a second more in case `until` is exclusive.
        until = midnight(days[-1] + timedelta(days=1)) + 1
        items = asking.ask(profile_id, EDGE, period="day", since=midnight(days[0]), until=until)
        if VIEWS in asking.failed:
            raise asking.failed[VIEWS]
        if isinstance(values := items.get(VIEWS, {}).get("values"), list):
            views = (views or {}) | _by_day(values, days)
        if FOLLOWERS in items:
            now["followers"] = _total(items[FOLLOWERS])
    if views is None:
        statuses = dict.fromkeys(window.days, DayStatus.NO_DATA)
    else:
        given = set(views)
        statuses = {day: _settle(day, views, today) for day in window.days}
        left_out = frozenset(("views", day) for day in set(views) - given)
    published = [day for day in window.days if statuses[day] is DayStatus.SUCCEEDED]
    totals = _Totals(client, profile_id, window)
    series, unread = totals.read(published)
    if views is not None:
        series["views"] = views
    return ProfileInsights(
        days=statuses,
        series=series,
        unread=unread | left_out,
        now=now,
        unsupported=asking.unsupported + totals.asking.unsupported,
        withheld=asking.withheld + totals.asking.withheld,
        missing=(*asking.missing, *totals.asking.missing, *totals.missing),
    )


def _settle(day: date, views: dict[date, Decimal | None], today: date) -> DayStatus:
    """The day's status. A final day that the series leaves out had no views: a zero is added for it.

    Before that, a day is left out because it is not published yet.
    """
    if day not in views:
        if today < day + timedelta(days=PROVIDER.final_after_days):
            return DayStatus.PENDING
        views[day] = Decimal()
    return DayStatus.SUCCEEDED


def _by_day(values: list[object], wanted: Sequence[date]) -> dict[date, Decimal | None]:
    """A series' values. A value's day is the day before the Pacific date of its ``end_time``.

    The API moves the beginning of what is asked about to a midnight before it, and so gives a day more.
    """
    days: dict[date, Decimal | None] = {}
    for value in objects(values):
        end = moment(value.get("end_time"))
        if end is None:
            continue
        day = pacific_day(end) - timedelta(days=1)
        if day in wanted and days.get(day) is None:
            days[day] = amount(value.get("value"))
    return days


class _Totals:
    """The metrics that are asked for day by day."""

    def __init__(self, client: GraphClient, profile_id: str, window: Window) -> None:
        self.asking = Asking(client, metrics_of(TOTALS.values()), window)
        self.missing: list[str] = []
        self._profile_id = profile_id
        self._settled = window.settled

    def read(self, days: Sequence[date]) -> tuple[Series, frozenset[tuple[str, date]]]:
        """Our metrics' values for ``days``, and what is unread of them.

        The newest day comes first. When a day cannot be read, the days before it are not asked for.
        """
        series: Series = {}
        for day in reversed(days):
            if self._is_settled(day):
                continue
            with costs_only(f"The totals of {day} and earlier days", self.missing):
                given = self._day(day)
                for name, source in TOTALS.items():
                    if set(parts_of(source)) <= set(given):
                        series.setdefault(name, {})[day] = total_of(source, given)
            if self.missing:
                break
        read = {(name, day) for name, values in series.items() for day in values}
        return series, frozenset((name, day) for name in TOTALS for day in days) - read

    def _is_settled(self, day: date) -> bool:
        """Whether all that a call for the day could give is stored already."""
        asked = [name for name, source in TOTALS.items() if set(parts_of(source)) <= set(self.asking.metrics)]
        return all((name, day) in self._settled for name in asked)

    def _day(self, day: date) -> dict[str, Decimal | None]:
        """The API's metrics of one day; None where the answer has no number."""
        # A second inside the day at both ends, so that no way of rounding brings in another day.
        since, until = midnight(day) + 1, midnight(day + timedelta(days=1)) - 1
        items = self.asking.ask(self._profile_id, EDGE, period="day", since=since, until=until)
        return {
            metric: _sum_of_links(item) if "link_total_values" in item else _total(item)
            for metric, item in items.items()
        }


def _total(item: Mapping[str, object]) -> Decimal | None:
    return amount(at(item, "total_value", "value"))


def _sum_of_links(item: Mapping[str, object]) -> Decimal | None:
    """Clicks come by link, without a total. A day without clicks has no links."""
    links = item.get("link_total_values")
    if not isinstance(links, list):
        return None
    numbers = [amount(at(link, "value")) for link in links]
    known = [number for number in numbers if number is not None]
    return sum(known, Decimal()) if len(known) == len(numbers) else None
