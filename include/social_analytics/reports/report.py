"""What a report of an organization or customer says about a period, in the order in which it says it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from include.social_analytics.connectors import advice_on, providers
from include.social_analytics.connectors.base import Provider
from include.social_analytics.databases import Database
from include.social_analytics.errors import ErrorCode
from include.social_analytics.health import queries
from include.social_analytics.health.answers import BestPosts, Choice, Trend
from include.social_analytics.health.attention import RUN_ENDED, WORKS_AGAIN
from include.social_analytics.health.calendar import days_of
from include.social_analytics.health.filters import Filter
from include.social_analytics.health.trends import best_posts, trends
from include.social_analytics.metrics import DAILY_METRICS
from include.social_analytics.reports.period import Period

#: The figures of a report, if the provider has them. No provider has more than seven.
FIGURES = (
    "views", "reach", "engagements", "watch_minutes", "clicks", "saves",
    "follows", "net_follows", "followers", "posts_published",
)  # fmt: skip
MOST_FIGURES = 7
#: Channels that are named as incomplete, of one provider.
MOST_NAMED = 20


@dataclass(frozen=True)
class ProviderReport:
    """One provider's part. Figures of different providers never add up, so each has its own.

    ``incomplete`` holds sentences; there are none if every figure of every day is complete.
    """

    title: str
    figures: Sequence[Trend]
    best_posts: BestPosts | None
    incomplete: Sequence[str]


@dataclass(frozen=True)
class Report:
    """The figures of a period, by provider, as stored at ``made_at`` (UTC).

    They are those of the customer, if there is one: of the channels that it had on each day.
    """

    organization: Choice
    customer: Choice | None
    period: Period
    days: Sequence[date]
    providers: Sequence[ProviderReport]
    made_at: datetime

    @property
    def title(self) -> str:
        """Whose figures these are."""
        return ", ".join(one.label for one in (self.customer, self.organization) if one)


def report_on(analytics: Database, organization: Choice, customer: Choice | None, period: Period) -> Report:
    """The report, from what is stored now.

    :param analytics: opened for reading (``databases.open_analytics_to_read``).
    """
    of = organization.id, customer.id if customer else None
    parts = [
        _provider_report(analytics, *of, provider, period)
        for provider in providers().values()
        if queries.has_figures(analytics, *of, provider.name, period.first, period.last)
    ]
    return Report(
        organization, customer, period, days_of(period.first, period.last), parts, datetime.now(UTC)
    )


def _provider_report(
    analytics: Database, organization: str, customer: str | None, provider: Provider, period: Period
) -> ProviderReport:
    of = organization, customer, provider, period.first, period.last
    found = {trend.name: trend for trend in trends(analytics, *of)}
    shown = [DAILY_METRICS[name].organization_name for name in FIGURES if name in provider.metrics]
    figures = [found[name] for name in shown[:MOST_FIGURES]]
    return ProviderReport(
        title=provider.title,
        figures=figures,
        best_posts=best_posts(analytics, *of),
        incomplete=[
            *_incomplete_days(figures, days_of(period.first, period.last)),
            *_failed_channels(analytics, organization, customer, provider, period),
        ],
    )


def _incomplete_days(figures: Sequence[Trend], days: Sequence[date]) -> list[str]:
    """A sentence for each set of days on which the same figures are incomplete."""
    by_days: dict[tuple[date, ...], list[str]] = {}
    for figure in figures:
        lacking = tuple(day for day, complete in zip(days, figure.complete, strict=True) if not complete)
        if lacking:
            by_days.setdefault(lacking, []).append(figure.label)
    return [
        f"{'All figures' if len(labels) == len(figures) else _listed(labels)}: "
        f"not every channel has reported {_in_words(lacking)}."
        for lacking, labels in by_days.items()
    ]


def _failed_channels(
    analytics: Database, organization: str, customer: str | None, provider: Provider, period: Period
) -> list[str]:
    """A sentence for each channel with a failed day: which days, and what helps."""
    failures = queries.failures(
        analytics,
        period.first,
        period.last,
        Filter(organization=organization, provider=provider.name),
        open_days=(),
        ended_runs=(),
        run_ended=RUN_ENDED,
        works_again=WORKS_AGAIN,
        most=MOST_NAMED,
        customer_then=customer,
    )
    sentences = [
        f"{one.name} could not be read {_in_words(one.days)}. {_help(provider, one)}"
        for one in failures[:MOST_NAMED]
    ]
    # The rows of an error have the count of all its channels.
    alike = {(one.error_code, one.is_common): one.integrations for one in failures}
    more = sum(alike.values()) - len(sentences)
    return [*sentences, *([f"{more} more channels could not be read."] if more > 0 else [])]


def _help(provider: Provider, failure: queries.Failure) -> str:
    if failure.error_code == WORKS_AGAIN:
        return "It works again."
    return advice_on(provider.name, ErrorCode.named(failure.error_code), is_common=failure.is_common)


def _in_words(days: Sequence[date]) -> str:
    """Days as spans: "on 3 November" or "from 3 to 5 November and on 9 November"."""
    spans: list[list[date]] = []
    for day in sorted(days):
        if spans and day - spans[-1][-1] == timedelta(days=1):
            spans[-1][1:] = [day]
        else:
            spans.append([day])
    return _listed(
        [
            f"on {_day(span[0])}" if len(span) == 1 else f"from {_day(span[0])} to {_day(span[1])}"
            for span in spans
        ]
    )


def _day(day: date) -> str:
    return f"{day.day} {day:%B}"


def _listed(words: Sequence[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last
