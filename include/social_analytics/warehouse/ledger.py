"""The ledger ``ingest_job``: what became of each integration's day. The only writer of its failures.

A row belongs to the newest reading: whoever ends an older one leaves it alone (``observed_at``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import psycopg
from psycopg.rows import class_row

from include.social_analytics.errors import ErrorCode, JobError, ResolvedBy
from include.social_analytics.jobs import IngestJob

#: The statuses of a day that is as complete as the provider lets it be.
SETTLED_WELL = ("succeeded", "recovered", "no_data", "pending")

#: The statuses of a job that is not ended.
OPEN = ("queued", "running")


@dataclass(frozen=True)
class Start:
    """One start of a job, by the database's clock.

    ``working_since`` is the first start that only a wait for quota separates from this one.
    """

    observed_at: datetime
    working_since: datetime
    attempts: int


@dataclass(frozen=True)
class JobState:
    """A ledger row, as far as others decide by it."""

    job_id: str
    integration_id: str
    date: date
    status: str
    error_class: str | None
    error_code: str | None
    reason: str | None
    attempts: int
    http_calls: int
    dag_run_id: str
    observed_at: datetime | None


# With a first try for the task that claims the jobs, without one for the listing that registers them.
_QUEUE = """
INSERT INTO analytics.ingest_job AS job
    (job_id, organization_id, integration_id, provider, date, status, is_backfill, dag_run_id, first_try,
     queued_at)
SELECT job_id, organization_id, integration_id, provider, date, 'queued', is_backfill, %(dag_run_id)s,
       %(first_try)s::integer, clock_timestamp()
FROM unnest(%(job_ids)s::text[], %(organization_ids)s::text[], %(integration_ids)s::text[],
            %(providers)s::text[], %(dates)s::date[], %(are_backfill)s::boolean[])
     AS new (job_id, organization_id, integration_id, provider, date, is_backfill)
-- In one order, so that two runs that register the same jobs do not wait for each other in a circle.
ORDER BY integration_id, date
ON CONFLICT (job_id) DO UPDATE
SET status = 'queued', dag_run_id = excluded.dag_run_id, first_try = excluded.first_try,
    queued_at = excluded.queued_at, is_backfill = excluded.is_backfill,
    organization_id = excluded.organization_id,
    started_at = CASE WHEN excluded.first_try IS NULL THEN job.started_at END, finished_at = NULL,
    error_class = NULL, error_code = NULL, provider_code = NULL,
    provider_subcode = NULL, reason = NULL, trace_id = NULL
WHERE CASE
    WHEN excluded.first_try IS NULL THEN job.status IN ('queued', 'running')
    ELSE %(force)s
        OR (job.dag_run_id, job.first_try) IS DISTINCT FROM (excluded.dag_run_id, excluded.first_try)
END
"""

_START = """
INSERT INTO analytics.ingest_job AS job
    (job_id, organization_id, integration_id, provider, date, status, attempts, is_backfill, dag_run_id,
     map_index, account_id, observed_at, started_at)
SELECT %(job_id)s, %(organization_id)s, %(integration_id)s, %(provider)s, %(date)s, 'running', 1,
       %(is_backfill)s, %(dag_run_id)s, %(map_index)s, %(account_id)s, clock, clock
FROM clock_timestamp() AS clock
ON CONFLICT (job_id) DO UPDATE
SET status = 'running', attempts = job.attempts + 1, organization_id = excluded.organization_id,
    is_backfill = excluded.is_backfill, dag_run_id = excluded.dag_run_id, map_index = excluded.map_index,
    account_id = coalesce(excluded.account_id, job.account_id),
    observed_at = excluded.observed_at,
    started_at = CASE
        WHEN job.status = 'queued' AND job.error_code = 'rate_limited'
            AND job.dag_run_id = excluded.dag_run_id
        THEN job.started_at ELSE excluded.started_at END,
    finished_at = NULL, error_class = NULL, error_code = NULL, provider_code = NULL,
    provider_subcode = NULL, reason = NULL, trace_id = NULL
RETURNING observed_at, started_at, attempts
"""

# started_at is null when a run has asked for the job anew since: then it is that run's to end.
_END_WITH_ERROR = """
UPDATE analytics.ingest_job
SET status = %(status)s, error_class = %(error_class)s, error_code = %(error_code)s,
    provider_code = %(provider_code)s, provider_subcode = %(provider_subcode)s, reason = %(reason)s,
    trace_id = %(trace_id)s, http_calls = %(http_calls)s,
    finished_at = CASE WHEN %(status)s = 'failed' THEN clock_timestamp() END
WHERE job_id = %(job_id)s AND observed_at <= %(observed_at)s AND started_at IS NOT NULL
"""

# A task that died with its process leaves its job running, or queued, and so does a run that was deleted.
# Within a day each task has ended. One that was waiting for quota keeps saying so.
_SETTLE = """
UPDATE analytics.ingest_job AS job
SET status = 'failed', finished_at = clock_timestamp(), error_class = coalesce(error_class, %(error_class)s),
    error_code = coalesce(error_code, %(error_code)s), reason = coalesce(reason, %(reason)s)
FROM (
    SELECT job_id
    FROM analytics.ingest_job
    WHERE date BETWEEN %(first)s AND %(last)s AND status IN ('queued', 'running')
      AND (dag_run_id = %(dag_run_id)s
           OR greatest(queued_at, observed_at) < clock_timestamp() - interval '1 day')
    -- As jobs are queued: so that nobody waits in a circle.
    ORDER BY integration_id, date
    FOR UPDATE
) AS open
WHERE job.job_id = open.job_id
"""

_NEWEST_COMPLETE = """
SELECT max(date)
FROM (
    SELECT date
    -- By the index on date.
    FROM analytics.ingest_job
    WHERE date BETWEEN %(last)s - 27 AND %(last)s
    GROUP BY date
    HAVING bool_and(status = ANY (%(well)s) OR (status = 'failed' AND error_code = ANY (%(owners)s)))
) AS complete
"""

_BY_STATUS = """
SELECT status, count(*)
-- By the index on date.
FROM analytics.ingest_job
WHERE date = %s
GROUP BY status
ORDER BY status
"""

_STATES = """
SELECT job_id, integration_id, date, status, error_class, error_code, reason, attempts, http_calls,
       dag_run_id, observed_at
FROM analytics.ingest_job
WHERE job_id = ANY (%s)
"""


def register(connection: psycopg.Connection[Any], jobs: Sequence[IngestJob], dag_run_id: str) -> None:
    """Make the jobs known as ``queued``, so that one that never runs is missed. Finished rows stay."""
    _queue(connection, jobs, dag_run_id, None)


def claim(
    connection: psycopg.Connection[Any],
    jobs: Sequence[IngestJob],
    dag_run_id: str,
    *,
    first_try: int,
    force: bool,
) -> None:
    """Make the jobs ``queued`` for a task, so that a later start of it can tell what is still to do.

    A start that is under way elsewhere no longer decides what becomes of its job.

    :param first_try: the number of the task's first try in the run or since it was cleared. A job that was
        claimed for the same run and first try stays as it is, whatever has become of it.
    :param force: claim that one, too.
    """
    _queue(connection, jobs, dag_run_id, first_try, force=force)


def _queue(
    connection: psycopg.Connection[Any],
    jobs: Sequence[IngestJob],
    dag_run_id: str,
    first_try: int | None,
    *,
    force: bool = False,
) -> None:
    connection.execute(
        _QUEUE,
        {
            "dag_run_id": dag_run_id,
            "first_try": first_try,
            "force": force,
            "job_ids": [job.job_id for job in jobs],
            "organization_ids": [job.integration.organization_id for job in jobs],
            "integration_ids": [job.integration.id for job in jobs],
            "providers": [job.integration.provider for job in jobs],
            "dates": [job.date for job in jobs],
            "are_backfill": [job.is_backfill for job in jobs],
        },
    )


def start(
    connection: psycopg.Connection[Any],
    job: IngestJob,
    dag_run_id: str,
    *,
    map_index: int | None = None,
    account_id: str | None = None,
) -> Start:
    """Mark the job ``running`` and read the database's clock, before the job's first request.

    :param map_index: of the mapped task that does it, for who looks for its log.
    :param account_id: the provider's id of what is read, the same however often it is connected.
    """
    row = connection.execute(
        _START,
        {
            "job_id": job.job_id,
            "organization_id": job.integration.organization_id,
            "integration_id": job.integration.id,
            "provider": job.integration.provider,
            "date": job.date,
            "is_backfill": job.is_backfill,
            "dag_run_id": dag_run_id,
            "map_index": map_index,
            "account_id": account_id,
        },
    ).fetchone()
    assert row is not None  # noqa: S101 - an upsert without a condition returns its row
    return Start(*row)


def fail(
    connection: psycopg.Connection[Any],
    job: IngestJob,
    observed_at: datetime,
    error: JobError,
    http_calls: int,
) -> None:
    """Record why the reading that began at ``observed_at`` failed. Figures of earlier readings stay."""
    _record(connection, "failed", job, observed_at, error, error.reason, http_calls)


def throttle(
    connection: psycopg.Connection[Any],
    job: IngestJob,
    observed_at: datetime,
    error: JobError,
    pause: timedelta,
    http_calls: int,
) -> datetime:
    """Put the job back to ``queued``, saying until when it waits for quota: throttled is not failed.

    :returns: when it is due again, by the database's clock.
    """
    row = connection.execute("SELECT clock_timestamp() + %s", [pause]).fetchone()
    assert row is not None  # noqa: S101 - a SELECT without FROM has one row
    due: datetime = row[0]
    reason = f"Waits for the API's quota until {due.isoformat(timespec='seconds')}. {error.reason}"
    _record(connection, "queued", job, observed_at, error, reason, http_calls)
    return due


def _record(
    connection: psycopg.Connection[Any],
    status: str,
    job: IngestJob,
    observed_at: datetime,
    error: JobError,
    reason: str,
    http_calls: int,
) -> None:
    connection.execute(
        _END_WITH_ERROR,
        {
            "status": status,
            "error_class": error.error_class,
            "error_code": error.code,
            "provider_code": error.provider_code,
            "provider_subcode": error.provider_subcode,
            "reason": reason,
            "trace_id": error.trace_id,
            "http_calls": http_calls,
            "job_id": job.job_id,
            "observed_at": observed_at,
        },
    )


def settle(connection: psycopg.Connection[Any], first: date, last: date, dag_run_id: str) -> int:
    """Fail the jobs of some days that are not ended though their task is; returns how many.

    :param dag_run_id: a run all of whose ingest tasks have ended.
    """
    error = JobError(
        ErrorCode.UNEXPECTED,
        "The task ended without telling how: its log says more, unless its process was killed.",
    )
    return connection.execute(
        _SETTLE,
        {
            "first": first,
            "last": last,
            "dag_run_id": dag_run_id,
            "error_class": error.error_class,
            "error_code": error.code,
            "reason": error.reason,
        },
    ).rowcount


def newest_complete_day(connection: psycopg.Connection[Any], last: date) -> date | None:
    """The newest of four weeks' days whose jobs all went well, but for what only owners can cure."""
    owners = [code.value for code in ErrorCode if code.resolved_by is ResolvedBy.OWNER]
    row = connection.execute(
        _NEWEST_COMPLETE, {"last": last, "well": list(SETTLED_WELL), "owners": owners}
    ).fetchone()
    return row[0] if row else None


def by_status(connection: psycopg.Connection[Any], day: date) -> dict[str, int]:
    """How many of a day's jobs have each status."""
    return dict(connection.execute(_BY_STATUS, [day]).fetchall())


def states(connection: psycopg.Connection[Any], job_ids: Sequence[str]) -> list[JobState]:
    """The rows of those of the jobs that the ledger knows."""
    with connection.cursor(row_factory=class_row(JobState)) as cursor:
        return cursor.execute(_STATES, [list(job_ids)]).fetchall()
