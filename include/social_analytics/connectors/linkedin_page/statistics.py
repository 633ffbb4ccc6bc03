"""A page's daily metrics, and its followers as of now.

https://learn.microsoft.com/linkedin/marketing/community-management/organizations has a page for each:
share statistics, follower statistics, page statistics, organization lookup.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from include.social_analytics.connectors.derived import metrics_of, total_of
from include.social_analytics.connectors.linkedin_page import PROVIDER
from include.social_analytics.connectors.linkedin_page.restli import (
    Client,
    day_of,
    each_day,
    encoded,
    read_pages,
)
from include.social_analytics.connectors.reading import DayStatus, Window, costs_only
from include.social_analytics.json_values import amount, at

#: Each of the API's metrics in one element.
Figures = dict[str, Decimal | None]


@dataclass(frozen=True)
class Statistics:
    """One of the API's statistics: ``finder`` also names the parameter for the page."""

    resource: str
    finder: str
    #: Where an element has the figures.
    place: tuple[str, ...]
    #: Our metrics and the API's.
    metrics: Mapping[str, str]

    def question(self, page: str) -> dict[str, str]:
        """The parameters of every call."""
        return {"q": self.finder, self.finder: encoded(page)}

    def figures(self, element: Mapping[str, object], sources: Mapping[str, str]) -> Figures:
        """The API's metrics that ``sources`` need; None where the element has no number."""
        return {
            metric: amount(at(element, *self.place, *metric.split(".")))
            for metric in metrics_of(sources.values())
        }


def _declared(*names: str) -> dict[str, str]:
    return {name: PROVIDER.metrics[name] for name in names}


#: It decides the days' status. It counts organic figures only.
SHARES = Statistics(
    "organizationalEntityShareStatistics",
    "organizationalEntity",
    ("totalShareStatistics",),
    _declared("views", "reach", "engagements", "reactions", "comments", "shares", "clicks"),
)
FOLLOWER_GAINS = Statistics(
    "organizationalEntityFollowerStatistics",
    "organizationalEntity",
    ("followerGains",),
    _declared("net_follows"),
)
PAGE_VIEWS = Statistics(
    "organizationPageStatistics", "organization", ("totalPageStatistics", "views"), _declared("page_views")
)


@dataclass(frozen=True)
class PageStatistics:
    """Our metrics' values by day, and each day's status; a metric whose call failed is absent.

    ``unread`` are metrics and days about which the API said nothing. ``missing`` says what failed.
    """

    days: Mapping[date, DayStatus]
    series: Mapping[str, Mapping[date, Decimal | None]]
    unread: frozenset[tuple[str, date]]
    now: Mapping[str, Decimal | None]
    missing: tuple[str, ...]


def read_statistics(client: Client, page: str, window: Window, today: date) -> PageStatistics:
    """Every catalogue metric but the posts for the window's days, in four calls.

    :param page: the page's URN.
    :param today: the date in UTC.
    :raises JobError: what the request for the share statistics raises.
    """
    missing: list[str] = []
    read = {SHARES.resource: _by_day(client, page, SHARES, window, today)}
    for statistics in (FOLLOWER_GAINS, PAGE_VIEWS):
        with costs_only(f"The metric {', '.join(statistics.metrics)}", missing):
            read[statistics.resource] = _by_day(client, page, statistics, window, today)
    now: dict[str, Decimal | None] = {}
    if not window.is_past:
        with costs_only("The metric followers", missing):
            answer = client.get("networkSizes", page, edgeType="COMPANY_FOLLOWED_BY_MEMBER")
            now["followers"] = amount(answer.get(PROVIDER.metrics["followers"]))

    days = {
        day: DayStatus.SUCCEEDED
        if day in read[SHARES.resource] or _is_final(day, today)
        else DayStatus.PENDING
        for day in window.days
    }
    counted = [day for day, status in days.items() if status is DayStatus.SUCCEEDED]
    series = {
        name: {day: total_of(source, found[day]) for day in counted if day in found}
        for statistics in (SHARES, FOLLOWER_GAINS, PAGE_VIEWS)
        if (found := read.get(statistics.resource)) is not None
        for name, source in statistics.metrics.items()
    }
    return PageStatistics(
        days=days,
        series=series,
        unread=frozenset(
            (name, day) for name, values in series.items() for day in counted if day not in values
        ),
        now=now,
        missing=tuple(missing),
    )


def _by_day(
    client: Client, page: str, statistics: Statistics, window: Window, today: date
) -> dict[date, Figures]:
    """The figures of the window's days.

    LinkedIn answers zeros for a day that it has not counted yet. So a day of all zeros is left out until it
    is final.
    """
    question = {**statistics.question(page), "timeIntervals": each_day(window.days[0], window.day)}
    found: dict[date, Figures] = {}
    for elements in read_pages(client, statistics.resource, question):
        for element in elements:
            day = day_of(element)
            figures = statistics.figures(element, statistics.metrics)
            if day in window.days and (any(figures.values()) or _is_final(day, today)):
                found.setdefault(day, figures)
    return found


def _is_final(day: date, today: date) -> bool:
    return today >= day + timedelta(days=PROVIDER.final_after_days)
