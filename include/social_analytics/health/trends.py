"""The view "Trends": an organization's figures day by day, and its best posts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal

from include.social_analytics.connectors.base import Provider
from include.social_analytics.databases import Database
from include.social_analytics.health import queries
from include.social_analytics.health.answers import BestPosts, Choice, Number, Post, Trend
from include.social_analytics.health.calendar import days_of
from include.social_analytics.health.queries import Figure
from include.social_analytics.metrics import CONTENT_METRICS, DAILY_METRICS, Kind, Metric

#: So many of an organization's latest posts are compared; the best are shown.
POSTS_COMPARED = 2000
BEST_POSTS = 10


def trends(
    analytics: Database, organization: str, provider: Provider, first: date, last: date
) -> list[Trend]:
    """The provider's daily metrics, each compared with the same number of days before ``first``."""
    days = days_of(first, last)
    before = days_of(first - timedelta(days=len(days)), first - timedelta(days=1))
    figures = queries.figures(analytics, organization, provider.name, before[0], last)
    no_data = queries.no_data_days(analytics, organization, provider.name, before[0], last)
    return [
        _trend(
            metric,
            {day: figures.get((metric.organization_name, day)) for day in before + days},
            {} if _is_counted_from_posts(metric) else no_data,
            before,
            days,
        )
        for metric in DAILY_METRICS.values()
        if metric.name in provider.metrics
    ]


def _is_counted_from_posts(metric: Metric) -> bool:
    """Whether a channel without data still has the metric: its posts are listed and counted."""
    return metric.unit == "posts"


def _trend(
    metric: Metric,
    figures: Mapping[date, Figure | None],
    excused: Mapping[date, int],
    before: Sequence[date],
    days: Sequence[date],
) -> Trend:
    """
    :param excused: day -> how many channels need not report the metric.
    """
    complete = {
        day: figure is not None
        and figure.value is not None
        and figure.reported + excused.get(day, 0) >= figure.expected
        for day, figure in figures.items()
    }
    total, is_complete = _total(metric.kind, figures, complete, days)
    previous, was_complete = _total(metric.kind, figures, complete, before)
    shown = [figures[day] for day in days]
    return Trend(
        name=metric.organization_name,
        label=Choice.of(metric.organization_name).label,
        unit=metric.unit,
        kind=metric.kind,
        values=[_number(figure.value) if figure else None for figure in shown],
        complete=[complete[day] for day in days],
        reported=[figure.reported if figure else 0 for figure in shown],
        expected=[figure.expected if figure else 0 for figure in shown],
        total=total,
        total_is_complete=is_complete,
        previous=previous if was_complete else None,
        change=(total - previous) / previous
        if is_complete and was_complete and total is not None and previous
        else None,
    )


def _total(
    kind: Kind, figures: Mapping[date, Figure | None], complete: Mapping[date, bool], period: Sequence[date]
) -> tuple[Number | None, bool]:
    """A period's sum, or a gauge's value on its last day; and whether every day of it is complete."""
    counted = period[-1:] if kind is Kind.GAUGE else period
    values = [figure.value for day in counted if (figure := figures[day]) and figure.value is not None]
    total = sum(values, start=Decimal()) if values else None
    return _number(total), all(complete[day] for day in counted)


def _number(value: Decimal | None) -> Number | None:
    """A number for JSON: whole ones without a decimal point."""
    if value is None:
        return None
    return int(value) if value == int(value) else float(value)


def best_posts(
    analytics: Database, organization: str, provider: Provider, first: date, last: date
) -> BestPosts | None:
    """The best posts that were published in a period.

    They are ranked by the provider's first metric in the order of ``CONTENT_METRICS``. ``None`` if the
    provider has no such metric.
    """
    metrics = [name for name in CONTENT_METRICS if name in provider.content_metrics]
    if not metrics:
        return None
    posts = queries.best_posts(
        analytics,
        organization,
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
                published_at=one.published_at,
                figures={name: one.figures.get(name) for name in metrics},
            )
            for one in posts
        ],
        note=f"Of the latest {POSTS_COMPARED:,} posts." if cut else None,
    )
