"""What the health page asks of the analytics database: one function for each file in ``sql/``.

Every function takes a database that was opened for reading, and whose rows are dictionaries
(``databases.open_analytics_to_read``).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, LiteralString, TypedDict, TypeVar
from zoneinfo import ZoneInfo

from psycopg import sql
from pydantic.dataclasses import dataclass

from include.social_analytics.databases import Database
from include.social_analytics.days import day_ended_at
from include.social_analytics.errors import ErrorCode
from include.social_analytics.health.answers import Choice, CustomerChoice, Number
from include.social_analytics.health.filters import Filter, State
from include.social_analytics.warehouse import complete_days, ledger
from include.social_analytics.warehouse.ledger import JobStatus

_SQL = Path(__file__).parent / "sql"

# Whether a post is of a customer: of a channel that it had on the day of the post, or, if that day has no
# job, that it has now. By the primary keys: jobs.py makes the ids of jobs.
_OF_CUSTOMER: LiteralString = """(%(customer)s::text IS NULL OR %(customer)s = (
    SELECT CASE WHEN job.job_id IS NULL THEN channel.customer_id ELSE job.customer_id END
    FROM analytics.integration AS channel LEFT JOIN analytics.ingest_job AS job
        ON job.job_id = 'analytics-ingest:' || channel.integration_id || ':'
                        || to_char(content.published_at AT TIME ZONE %(zone)s::text, 'YYYY-MM-DD')
    WHERE channel.integration_id = content.integration_id
))"""

Row = TypeVar("Row")


@cache
def _question(name: str) -> sql.Composed:
    return sql.SQL((_SQL / f"{name}.sql").read_text()).format(
        is_complete=sql.SQL(complete_days.IS_COMPLETE),
        common_failures=sql.SQL(complete_days.COMMON_FAILURES),
        is_common=sql.SQL(complete_days.IS_COMMON),
        of_customer=sql.SQL(_OF_CUSTOMER),
    )


def _ask(analytics: Database, name: str, row: Callable[..., Row], **parameters: object) -> list[Row]:
    """The rows that answer the question in ``sql/<name>.sql``."""
    return [row(**found) for found in analytics.execute(_question(name), parameters)]


def _is_true(analytics: Database, name: str, **parameters: object) -> bool:
    [answer] = _ask(analytics, name, dict[str, bool], **parameters)
    return answer["is_true"]


def has_integrations(analytics: Database) -> bool:
    """Whether any listing has been stored; not before the first run of this version."""
    return _is_true(analytics, "is_migrated") and _is_true(analytics, "has_integrations")


def organizations(analytics: Database) -> list[Choice]:
    """All organizations, by name."""
    return _ask(analytics, "organizations", Choice)


def customers(analytics: Database) -> list[CustomerChoice]:
    """The customers that channels have, by name."""
    return _ask(analytics, "customers", CustomerChoice)


@dataclass(frozen=True)
class DayCount:
    """How many of a day's jobs have the same status and error.

    ``expected`` integrations should have a job on the day; ``expected_jobs`` of these jobs are theirs. A day
    without jobs has one count, without a status.
    """

    day: date
    expected: int
    status: JobStatus | None
    jobs: int
    expected_jobs: int
    is_complete: bool


def day_counts(analytics: Database, first: date, last: date, which: Filter) -> list[DayCount]:
    """Each day's jobs, over an organization's, customer's or provider's integrations."""
    return _ask(
        analytics,
        "day_counts",
        DayCount,
        first=first,
        last=last,
        organization=which.organization,
        customer=which.customer,
        provider=which.provider,
        **complete_days.COMPLETE,
    )


@dataclass(frozen=True)
class ListedIntegration:
    """An integration, and the days between which it is expected to have jobs."""

    id: str
    name: str
    organization_id: str
    organization_name: str
    customer_id: str | None
    customer_name: str | None
    provider: str
    expected_from: date
    last_day: date


def calendar(
    analytics: Database,
    first: date,
    last: date,
    which: Filter,
    after: tuple[str, str] | None,
    limit: int,
) -> list[ListedIntegration]:
    """The integrations that the filter leaves, by name.

    :param after: name and id of the last integration on the page before.
    """
    after_name, after_id = after or (None, None)
    return _ask(
        analytics,
        "calendar",
        ListedIntegration,
        first=first,
        last=last,
        search=which.search,
        organization=which.organization,
        customer=which.customer,
        provider=which.provider,
        state=which.state,
        statuses=list(which.state.statuses) if which.state else None,
        failed=State.FAILED,
        missing=State.MISSING,
        after_name=after_name,
        after_id=after_id,
        limit=limit,
    )


@dataclass(frozen=True)
class Job:
    """An integration's job for a day."""

    integration_id: str
    date: date
    status: JobStatus
    error_class: str | None
    error_code: str | None
    run_id: str
    map_index: int | None


def jobs(analytics: Database, job_ids: Sequence[str]) -> list[Job]:
    """The jobs that exist."""
    return _ask(analytics, "jobs", Job, job_ids=list(job_ids))


class Counts(TypedDict):
    """Integrations that a run has listed: ``all``, those that are ``done``, and those that ``failed``."""

    all: int
    done: int
    failed: int


def progress(
    analytics: Database,
    day: date,
    since: datetime,
    organization: str | None = None,
    customer: str | None = None,
    integrations: Sequence[str] | None = None,
) -> Counts:
    """How far a run for ``day`` is.

    :param since: when its listing began, by Airflow's clock. The database's clock should agree with it.
    :param organization: the run was narrowed to this one; likewise ``customer`` and ``integrations``, by id.
    """
    [counts] = _ask(
        analytics,
        "progress",
        Counts,
        day=day,
        since=since,
        organization=organization,
        customer=customer,
        integrations=integrations,
        failed=JobStatus.FAILED,
        open=list(ledger.OPEN),
    )
    return counts


@dataclass(frozen=True)
class Failure:
    """An integration's latest failure, and the counts of all failures with its provider and error.

    ``is_common``: it is one of ``complete_days.COMMON_FAILURES``.
    """

    error_code: str
    is_common: bool
    provider: str
    integrations: int
    oldest: date
    newest: date
    id: str
    name: str
    organization_id: str
    organization_name: str
    customer_id: str | None
    customer_name: str | None
    since: date
    days: list[date]
    reason: str | None
    trace_id: str | None
    run_id: str
    map_index: int | None


def open_runs(analytics: Database, days: Sequence[date]) -> list[str]:
    """The ids of the runs to which these days' jobs belong that have not ended."""
    found = _ask(analytics, "open_runs", dict[str, str], days=list(days), open=list(ledger.OPEN))
    return [one["run_id"] for one in found]


def failures(
    analytics: Database,
    first: date,
    last: date,
    which: Filter,
    *,
    open_days: Sequence[date],
    ended_runs: Collection[str],
    run_ended: str,
    works_again: str,
    most: int,
    customer_then: str | None = None,
) -> list[Failure]:
    """The integrations with failed days. The one that has failed longest comes first.

    :param open_days: days with jobs that have not ended.
    :param ended_runs: runs that have ended. Their open jobs are failures.
    :param run_ended: the code of such a failure.
    :param works_again: replaces the error's code if a later day is stored.
    :param most: the most integrations for one provider and error.
    :param customer_then: only days on which this customer had the integration. ``which`` is about now.
    """
    return _ask(
        analytics,
        "failures",
        Failure,
        first=first,
        last=last,
        organization=which.organization,
        customer=which.customer,
        customer_then=customer_then,
        provider=which.provider,
        open_days=list(open_days),
        open=list(ledger.OPEN),
        ended_runs=list(ended_runs),
        run_ended=run_ended,
        works_again=works_again,
        unexpected=ErrorCode.UNEXPECTED,
        not_published=ErrorCode.NOT_PUBLISHED,
        most=most,
        **complete_days.COMPLETE,
    )


@dataclass(frozen=True)
class Lack:
    """What an integration's latest reading lacks, and the counts of all with its provider and reason.

    ``newest`` is the newest day of these. ``reasons`` counts the different reasons of all providers.
    """

    provider: str
    reason: str
    integrations: int
    newest: date
    id: str
    name: str
    organization_id: str
    organization_name: str
    customer_id: str | None
    customer_name: str | None
    date: date
    run_id: str
    map_index: int | None
    reasons: int


def lacking(
    analytics: Database, first: date, last: date, which: Filter, *, most: int, named: int
) -> list[Lack]:
    """What stored readings lack, and whose. The reasons of the most integrations come first.

    :param most: the most reasons.
    :param named: the most integrations for one provider and reason.
    """
    return _ask(
        analytics,
        "lacking",
        Lack,
        first=first,
        last=last,
        organization=which.organization,
        customer=which.customer,
        provider=which.provider,
        most=most,
        named=named,
    )


def channels_by_provider(analytics: Database, organization: str, customer: str | None) -> dict[str, int]:
    """Active channels of an organization or customer by provider: 0 where there are only former ones."""
    found = _ask(analytics, "providers_of", dict[str, Any], organization=organization, customer=customer)
    return {one["provider"]: one["channels"] for one in found}


@dataclass(frozen=True)
class Figure:
    """A metric of an organization or customer on a day, and how many of its integrations are in it."""

    metric: str
    date: date
    value: Decimal | None
    reported: int
    expected: int


def figures(
    analytics: Database, organization: str, customer: str | None, provider: str, first: date, last: date
) -> dict[tuple[str, date], Figure]:
    """An organization's figures on a provider, or those of one of its customers, by metric and day."""
    found = _ask(
        analytics,
        "figures",
        Figure,
        organization=organization,
        customer=customer,
        provider=provider,
        first=first,
        last=last,
    )
    return {(one.metric, one.date): one for one in found}


def has_figures(
    analytics: Database, organization: str, customer: str | None, provider: str, first: date, last: date
) -> bool:
    """Whether an organization or customer has figures for a provider in a period, complete or not."""
    return _is_true(
        analytics,
        "has_figures",
        organization=organization,
        customer=customer,
        provider=provider,
        first=first,
        last=last,
    )


@dataclass(frozen=True)
class WithoutFigure:
    """How many channels have no figure of a metric on a day: no data; or, without a metric, no job."""

    date: date
    metric: str | None
    channels: int


def without_figure(
    analytics: Database,
    organization: str,
    customer: str | None,
    provider: str,
    metrics: Sequence[str],
    first: date,
    last: date,
) -> dict[tuple[str | None, date], int]:
    """How many channels of an organization or customer have no data and no figure, by metric and day.

    Under ``None``: how many should have a job on the day and have none.
    """
    found = _ask(
        analytics,
        "without_figure",
        WithoutFigure,
        organization=organization,
        customer=customer,
        provider=provider,
        metrics=list(metrics),
        first=first,
        last=last,
    )
    return {(one.metric, one.date): one.channels for one in found}


@dataclass(frozen=True)
class LikeForLike:
    """A metric's totals in two periods, over the channels that reported every day of both."""

    metric: str
    channels: int
    total: Decimal
    previous: Decimal


def like_for_like(
    analytics: Database,
    organization: str,
    customer: str | None,
    provider: str,
    are_gauges: Mapping[str, bool],
    *,
    first: date,
    last: date,
    most: int,
) -> dict[str, LikeForLike]:
    """Totals of an organization or customer from ``first`` to ``last`` and in as many days before, by metric.

    :param are_gauges: metric -> whether only the last day of a period counts.
    :param most: with more channels there are no such totals: to add them up takes seconds.
    """
    found = _ask(
        analytics,
        "like_for_like",
        LikeForLike,
        organization=organization,
        customer=customer,
        provider=provider,
        metrics=list(are_gauges),
        are_gauges=list(are_gauges.values()),
        first=first,
        last=last,
        days=(last - first).days + 1,
        most=most,
    )
    return {one.metric: one for one in found}


@dataclass(frozen=True)
class RankedPost:
    """One of the best posts, out of ``compared`` posts. ``read_on``: the day of its latest totals."""

    integration_id: str
    integration_name: str
    message: str | None
    permalink: str | None
    kind: str
    published_at: datetime
    read_on: date
    figures: dict[str, Number | None]
    compared: int


def best_posts(
    analytics: Database,
    organization: str,
    customer: str | None,
    provider: str,
    ranked_by: str,
    *,
    first: date,
    last: date,
    zone: ZoneInfo,
    compared: int,
    best: int,
) -> list[RankedPost]:
    """The best posts by a metric, of the latest that were published in a period.

    :param zone: of the period's days.
    :param compared: how many of the latest posts to look at.
    :param best: how many of those to return.
    """
    return _ask(
        analytics,
        "best_posts",
        RankedPost,
        organization=organization,
        customer=customer,
        zone=zone.key,
        provider=provider,
        ranked_by=ranked_by,
        first=first,
        begin=day_ended_at(first - timedelta(days=1), zone),
        end=day_ended_at(last, zone),
        compared=compared,
        best=best,
    )


@dataclass(frozen=True)
class StoredPost:
    """A post with its latest totals by metric; ``read_on``: their day, ``None`` if it has none."""

    integration_id: str
    integration_name: str
    content_id: str
    kind: str
    message: str | None
    permalink: str | None
    published_at: datetime
    postiz_post_id: str | None
    read_on: date | None
    figures: dict[str, Number | None]


def posts(
    analytics: Database,
    organization: str,
    customer: str | None,
    provider: str,
    *,
    first: date,
    last: date,
    zone: ZoneInfo,
    most: int,
) -> list[StoredPost]:
    """The posts of an organization or customer that were published in a period, newest first.

    :param zone: of the period's days.
    :param most: so many of the newest.
    """
    return _ask(
        analytics,
        "posts",
        StoredPost,
        organization=organization,
        customer=customer,
        zone=zone.key,
        provider=provider,
        begin=day_ended_at(first - timedelta(days=1), zone),
        end=day_ended_at(last, zone),
        most=most,
    )
