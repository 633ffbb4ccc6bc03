"""The view "Trends": the figures of an organization or customer day by day, and its best posts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise

from include.social_analytics.connectors import providers
from include.social_analytics.connectors.base import Provider
from include.social_analytics.databases import Database
from include.social_analytics.health import queries
from include.social_analytics.health.answers import (
    BestPosts,
    ChannelChange,
    Choice,
    LikeForLike,
    Number,
    Post,
    Side,
    SideBySide,
    SideFigure,
    SideMetric,
    Trend,
)
from include.social_analytics.health.calendar import days_of
from include.social_analytics.health.queries import Figure
from include.social_analytics.metrics import CONTENT_METRICS, DAILY_METRICS, Kind, Metric

#: So many of the latest posts are compared; the best are shown.
POSTS_COMPARED = 2000
BEST_POSTS = 10
#: Up to so many channels, the change of only the same channels is shown.
CHANNELS_COMPARED = 1000


def trends(
    analytics: Database,
    organization: str,
    customer: str | None,
    provider: Provider,
    first: date,
    last: date,
    *,
    like_for_like: bool = True,
) -> list[Trend]:
    """The provider's daily metrics, each compared with the same number of days before ``first``.

    :param customer: its figures, over the channels that it had on each day; ``None``: the organization's.
    :param like_for_like: whether to compare the same channels, too.
    """
    days = days_of(first, last)
    before = days_of(first - timedelta(days=len(days)), first - timedelta(days=1))
    metrics = [metric for metric in DAILY_METRICS.values() if metric.name in provider.metrics]
    of = organization, customer, provider.name
    figures = queries.figures(analytics, *of, before[0], last)
    may_have_none = [metric.name for metric in metrics if not _is_counted_from_posts(metric)]
    without = queries.without_figure(analytics, *of, may_have_none, before[0], last)
    gauges = {metric.name: metric.kind is Kind.GAUGE for metric in metrics}
    alike = (
        queries.like_for_like(analytics, *of, gauges, first=first, last=last, most=CHANNELS_COMPARED)
        if like_for_like
        else {}
    )
    return [
        _trend(
            metric,
            provider.metrics[metric.name],
            {
                day: _Day(
                    figures.get((metric.organization_name, day)),
                    without.get((metric.name, day), 0),
                    without.get((None, day), 0),
                )
                for day in before + days
            },
            before,
            days,
            alike.get(metric.name),
        )
        for metric in metrics
    ]


def _is_counted_from_posts(metric: Metric) -> bool:
    """Whether a channel without data still has the metric: its posts are listed and counted."""
    return metric.unit == "posts"


@dataclass(frozen=True)
class _Day:
    """A metric of an organization or customer on a day.

    ``no_data`` channels need not report it. ``missing`` channels have no job, and the figure does not know
    of them.
    """

    figure: Figure | None
    no_data: int
    missing: int

    @property
    def value(self) -> Decimal | None:
        return self.figure.value if self.figure else None

    @property
    def reported(self) -> int:
        return self.figure.reported if self.figure else 0

    @property
    def expected(self) -> int:
        return (self.figure.expected if self.figure else 0) + self.missing

    @property
    def is_complete(self) -> bool:
        """Whether every channel reported the metric or has no data."""
        return self.value is not None and self.reported + self.no_data >= self.expected


def _trend(
    metric: Metric,
    source: str,
    by_day: Mapping[date, _Day],
    before: Sequence[date],
    days: Sequence[date],
    alike: queries.LikeForLike | None,
) -> Trend:
    counted, counted_before = (
        period[-1:] if metric.kind is Kind.GAUGE else period for period in (days, before)
    )
    total, is_complete = _total([by_day[day] for day in counted])
    previous, was_complete = _total([by_day[day] for day in counted_before])
    # If all channels are alike, the comparison of the totals is the same.
    differs = {by_day[day].reported for day in (*counted_before, *counted)} != {alike and alike.channels}
    shown = [by_day[day] for day in days]
    return Trend(
        name=metric.organization_name,
        label=Choice.of(metric.organization_name).label,
        source=source,
        unit=metric.unit,
        kind=metric.kind,
        values=[_number(one.value) for one in shown],
        complete=[one.is_complete for one in shown],
        reported=[one.reported for one in shown],
        expected=[one.expected for one in shown],
        channel_changes=_channel_changes(by_day, days[0]),
        total=_number(total),
        total_is_complete=is_complete,
        previous=_number(previous) if was_complete else None,
        change=_change(total, previous) if is_complete and was_complete else None,
        like_for_like=_like_for_like(alike) if alike and differs else None,
    )


def _total(period: Sequence[_Day]) -> tuple[Decimal | None, bool]:
    """The sum of the days, and whether every one of them is complete."""
    values = [one.value for one in period if one.value is not None]
    return sum(values, start=Decimal()) if values else None, all(one.is_complete for one in period)


def _change(total: Decimal | None, previous: Decimal | None) -> float | None:
    return None if total is None or not previous else float((total - previous) / previous)


def _channel_changes(by_day: Mapping[date, _Day], first: date) -> list[ChannelChange]:
    """The days from ``first`` on when not as many channels reported as on the day with figures before."""
    with_figures = [(day, one.reported) for day, one in sorted(by_day.items()) if one.figure]
    return [
        ChannelChange(day=day, before=before, after=after)
        for (_, before), (day, after) in pairwise(with_figures)
        if day >= first and before != after
    ]


def _like_for_like(alike: queries.LikeForLike) -> LikeForLike:
    return LikeForLike(
        channels=alike.channels,
        total=_number(alike.total),
        previous=_number(alike.previous),
        change=_change(alike.total, alike.previous),
    )


def _number(value: Decimal | None) -> Number | None:
    """A number for JSON: whole ones without a decimal point."""
    if value is None:
        return None
    return int(value) if value == int(value) else float(value)


def side_by_side(
    analytics: Database, organization: str, customer: str | None, first: date, last: date
) -> SideBySide:
    """The totals of an organization or customer on each of its providers."""
    sides = []
    for name, channels in queries.channels_by_provider(analytics, organization, customer).items():
        # A provider whose package is gone has no declaration.
        if (provider := providers().get(name)) is None:
            continue
        found = trends(analytics, organization, customer, provider, first, last, like_for_like=False)
        sides.append(
            Side(
                provider=Choice(id=name, label=provider.title),
                channels=channels,
                figures={
                    one.name: SideFigure(
                        total=one.total, total_is_complete=one.total_is_complete, change=one.change
                    )
                    for one in found
                },
            )
        )
    had = {name for side in sides for name in side.figures}
    return SideBySide(
        metrics=[
            SideMetric(**Choice.of(metric.organization_name).model_dump(), kind=metric.kind)
            for metric in DAILY_METRICS.values()
            if metric.organization_name in had
        ],
        sides=sides,
    )


def best_posts(
    analytics: Database, organization: str, customer: str | None, provider: Provider, first: date, last: date
) -> BestPosts | None:
    """The best posts of an organization or customer that were published in a period.

    They are ranked by the provider's first metric in the order of ``CONTENT_METRICS``. ``None`` if the
    provider has no such metric.
    """
    metrics = [name for name in CONTENT_METRICS if name in provider.content_metrics]
    if not metrics:
        return None
    posts = queries.best_posts(
        analytics,
        organization,
        customer,
        provider.name,
        metrics[0],
        first=first,
        last=last,
        zone=provider.timezone,
        compared=POSTS_COMPARED,
        best=BEST_POSTS,
    )
    cut = bool(posts) and posts[0].compared == POSTS_COMPARED
    return BestPosts(
        ranked_by=Choice.of(metrics[0]),
        metrics=[Choice.of(name) for name in metrics],
        posts=[
            Post(
                integration_id=one.integration_id,
                integration_name=one.integration_name,
                message=one.message,
                permalink=one.permalink,
                kind=one.kind,
                published_on=one.published_at.astimezone(provider.timezone).date(),
                read_on=one.read_on,
                figures={name: one.figures.get(name) for name in metrics},
            )
            for one in posts
        ],
        note=f"Of the latest {POSTS_COMPARED:,} posts." if cut else None,
    )
