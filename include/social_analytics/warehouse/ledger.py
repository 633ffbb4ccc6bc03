"""The ledger ``ingest_job``: the state of each integration's day. No other module writes this table.

The states of a job, and what moves it from one to the next::

    register ──▶ queued ──start──▶ running ──finish──▶ succeeded, no_data or pending
                  ▲  ▲                │ │
                  │  └─wait_for_quota─┘ └──fail──▶ failed
                  │
    any state ──claim      failed, pending, no_data ──recover──▶ recovered      pending ──give_up──▶ failed
                           succeeded, recovered ──withdraw──▶ pending    queued, running ──settle──▶ failed
                           no_data ──doubt──▶ pending

- ``register``: the listing found the integration. A job that has ended stays as it is.
- ``claim``: a task takes all jobs of its batch before anything else. A job that ended becomes queued again.
- ``start``: the reading of one job begins. It reads the database's clock before its first request.
- ``wait_for_quota``: throttled is not failed. The job is queued again until it is due.
- ``finish``, ``fail``: the reading has ended.
- ``recover``: the look-back of a later day has brought the figures in.
- ``fill``: the look-back of a later day has brought in what an earlier reading lacked.
- ``withdraw``: the look-back of a later day has found the day no longer published. Its figures are cleared.
- ``doubt``: a reading has brought in figures of the four weeks before, so the account does have figures.
- ``add_past``: a channel's past was read at once. Each of its days without a job gets one that has succeeded.
  No task has claimed or started it.
- ``settle``: the task ended without a result.
- ``give_up``: the first run of a later day whose look-back does not reach the day any more. The code is
  ``not_published``. A backfilled day is no exception: the next daily run gives it up.

**Who owns a row.** ``claimed_by`` names the task that claimed it, by its run and the first try since the task
was last cleared. ``attempts`` counts the starts. A reading may end a job only while both are what they were
at its own start. Once another task has claimed the job, or another start has begun, the older reading
changes nothing in the ledger. ``observed_at`` only orders figures.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import LiteralString

from include.social_analytics.connectors.reading import DayStatus
from include.social_analytics.databases import Database
from include.social_analytics.errors import ErrorCode, JobError
from include.social_analytics.jobs import IngestJob


class JobStatus(StrEnum):
    """``ingest_job.status``."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    NO_DATA = "no_data"
    PENDING = "pending"
    FAILED = "failed"
    RECOVERED = "recovered"

    @property
    def is_open(self) -> bool:
        """Whether the job has not ended."""
        return self in OPEN

    @property
    def has_figures(self) -> bool:
        """Whether the job ended with the day's figures. A failed job keeps those of an earlier reading."""
        return self in (JobStatus.SUCCEEDED, JobStatus.RECOVERED)

    @property
    def is_settled_well(self) -> bool:
        """Whether the reading was good: nobody has to act. The day may still be missing."""
        return self in SETTLED_WELL


#: The statuses of a job that has not ended.
OPEN = (JobStatus.QUEUED, JobStatus.RUNNING)

#: The statuses of a day that misses nothing: its figures are stored, or the provider has none.
COMPLETE_STATUSES = (JobStatus.SUCCEEDED, JobStatus.RECOVERED, JobStatus.NO_DATA)

#: The statuses after a good reading: the run has nothing more to do, and they count for its coverage. Among
#: them is pending, which is not complete: a later day's run reads the day again.
SETTLED_WELL = (*COMPLETE_STATUSES, JobStatus.PENDING)


@dataclass(frozen=True)
class Claim:
    """A task that works on jobs: its run, and its first try in the run or since it was last cleared."""

    dag_run_id: str
    first_try: int

    def __str__(self) -> str:
        return f"{self.dag_run_id}#{self.first_try}"


@dataclass(frozen=True)
class Start:
    """One start of a job. It owns the row while the row has the same ``claimed_by`` and ``attempts``.

    Moments are by the database's clock. ``working_since`` is the moment of the first start; a start after a
    wait for quota keeps it.
    """

    job: IngestJob
    claimed_by: str
    attempts: int
    observed_at: datetime
    working_since: datetime


@dataclass(frozen=True)
class JobState:
    """The columns of a ledger row that other modules use."""

    job_id: str
    integration_id: str
    date: date
    status: JobStatus
    error_class: str | None
    error_code: str | None
    reason: str | None
    attempts: int
    http_calls: int
    dag_run_id: str
    observed_at: datetime | None


_NO_CODE: LiteralString = """
error_class = NULL, error_code = NULL, provider_code = NULL, provider_subcode = NULL, trace_id = NULL
"""
_NO_ERROR: LiteralString = f"{_NO_CODE}, reason = NULL"

# In a fixed order, so that two runs that queue the same jobs cannot deadlock. A day keeps the first customer
# that is known of it: the listing knows only today's.
_QUEUED: LiteralString = """
INSERT INTO analytics.ingest_job AS job
    (job_id, organization_id, customer_id, integration_id, provider, date, status, is_backfill, dag_run_id,
     claimed_by, queued_at)
SELECT job_id, organization_id,
       (SELECT customer_id FROM analytics.integration WHERE integration_id = new.integration_id),
       integration_id, provider, date, 'queued', is_backfill, %(dag_run_id)s, %(claimed_by)s::text,
       clock_timestamp()
FROM unnest(%(job_ids)s::text[], %(organization_ids)s::text[], %(integration_ids)s::text[],
            %(providers)s::text[], %(dates)s::date[], %(are_backfill)s::boolean[])
     AS new (job_id, organization_id, integration_id, provider, date, is_backfill)
ORDER BY integration_id, date
ON CONFLICT (job_id) DO UPDATE
SET status = 'queued', dag_run_id = excluded.dag_run_id, queued_at = excluded.queued_at,
    is_backfill = excluded.is_backfill, organization_id = excluded.organization_id,
    customer_id = coalesce(job.customer_id, excluded.customer_id), finished_at = NULL
"""

# A reading that is under way keeps its claim, and may still end the job. A job that waits for quota keeps its
# reason, and goes on counting its wait.
_REGISTER: LiteralString = f"""
{_QUEUED}
WHERE job.status IN ('queued', 'running')
"""

_CLAIM: LiteralString = f"""
{_QUEUED}, claimed_by = excluded.claimed_by, started_at = NULL, {_NO_ERROR}
WHERE %(force)s OR job.claimed_by IS DISTINCT FROM excluded.claimed_by
"""

# Two runs of a day that both wait for quota take turns. Each start would begin the wait anew, and neither run
# would end: after the first start of either, the wait goes on.
_TAKE_OVER_WAIT: LiteralString = """
UPDATE analytics.ingest_job AS job
SET claimed_by = %(claimed_by)s, dag_run_id = %(dag_run_id)s
FROM (
    SELECT job_id
    FROM analytics.ingest_job
    WHERE job_id = ANY (%(job_ids)s) AND status = 'queued' AND error_code = 'rate_limited'
    -- In the order in which jobs are queued, so that no deadlock is possible.
    ORDER BY integration_id, date
    FOR UPDATE
) AS waiting
WHERE job.job_id = waiting.job_id
"""

_START: LiteralString = f"""
UPDATE analytics.ingest_job AS job
SET status = 'running', attempts = job.attempts + 1, organization_id = %(organization_id)s,
    is_backfill = %(is_backfill)s, dag_run_id = %(dag_run_id)s, claimed_by = %(claimed_by)s,
    map_index = %(map_index)s, account_id = coalesce(%(account_id)s, job.account_id), observed_at = clock,
    started_at = CASE
        WHEN job.status = 'queued' AND job.error_code = 'rate_limited' AND job.claimed_by = %(claimed_by)s
        THEN job.started_at ELSE clock END,
    finished_at = NULL, {_NO_ERROR}
FROM clock_timestamp() AS clock
WHERE job_id = %(job_id)s
RETURNING job.claimed_by, job.attempts, job.observed_at, job.started_at
"""

_OWNED: LiteralString = """
WHERE job_id = %(job_id)s AND claimed_by = %(claimed_by)s AND attempts = %(attempts)s
"""

_END_WITH_ERROR: LiteralString = f"""
UPDATE analytics.ingest_job
SET status = %(status)s, error_class = %(error_class)s, error_code = %(error_code)s,
    provider_code = %(provider_code)s, provider_subcode = %(provider_subcode)s, reason = %(reason)s,
    trace_id = %(trace_id)s, http_calls = %(http_calls)s,
    finished_at = CASE WHEN %(status)s = 'failed' THEN clock_timestamp() END
-- A look-back may have brought in what was settled meanwhile: its figures are newer than this failure.
{_OWNED} AND status <> 'recovered'
"""

_FINISH: LiteralString = f"""
UPDATE analytics.ingest_job
SET status = %(status)s, http_calls = %(http_calls)s, metric_rows = %(metric_rows)s,
    content_rows = %(content_rows)s, finished_at = clock_timestamp(), {_NO_CODE}, reason = %(reason)s
{_OWNED}
"""

_FILL: LiteralString = """
UPDATE analytics.ingest_job
SET reason = NULL
WHERE job_id = ANY (%(job_ids)s) AND status IN ('succeeded', 'recovered') AND reason IS NOT NULL
  AND observed_at <= %(observed_at)s
"""

_RECOVER: LiteralString = f"""
UPDATE analytics.ingest_job
SET status = 'recovered', observed_at = %(observed_at)s, {_NO_CODE}, reason = %(reason)s
WHERE job_id = ANY (%(job_ids)s) AND status IN ('failed', 'pending', 'no_data')
  -- Null in a job that never started.
  AND coalesce(observed_at <= %(observed_at)s, true)
"""

_WITHDRAW: LiteralString = """
UPDATE analytics.ingest_job
SET status = 'pending', observed_at = %(observed_at)s
WHERE job_id = ANY (%(job_ids)s) AND status IN ('succeeded', 'recovered') AND observed_at <= %(observed_at)s
"""

_DOUBT: LiteralString = """
UPDATE analytics.ingest_job
SET status = 'pending'
WHERE job_id = ANY (%(job_ids)s) AND status = 'no_data'
"""

# Whether a day of ``past`` may have been read before, when the account was another channel: one that is gone,
# and whose account was erased or never stored. Nobody can tell any more that it is the same, so the day would
# count twice.
_MAY_BE_KNOWN: LiteralString = """
EXISTS (
    SELECT
    FROM analytics.integration AS gone JOIN analytics.ingest_job AS job
        -- By the primary key, as jobs.py makes it.
        ON job.job_id = 'analytics-ingest:' || gone.integration_id || ':' || to_char(past.date, 'YYYY-MM-DD')
    WHERE gone.organization_id = %(organization_id)s AND gone.provider = %(provider)s AND NOT gone.is_active
      AND (gone.erased_at IS NOT NULL OR job.account_id IS NULL)
)
"""

_PAST_TO_READ: LiteralString = f"""
SELECT date
FROM unnest(%(job_ids)s::text[], %(dates)s::date[]) AS past (job_id, date)
WHERE NOT EXISTS (SELECT FROM analytics.ingest_job AS own WHERE own.job_id = past.job_id)
  AND NOT {_MAY_BE_KNOWN}
ORDER BY date
"""

# A day that any run has listed is that run's. In the order in which jobs are queued, against deadlocks.
_ADD_PAST: LiteralString = f"""
INSERT INTO analytics.ingest_job
    (job_id, organization_id, customer_id, integration_id, provider, date, status, is_backfill, dag_run_id,
     map_index, account_id, metric_rows, reason, observed_at, finished_at)
SELECT job_id, %(organization_id)s,
       (SELECT customer_id FROM analytics.integration WHERE integration_id = %(integration_id)s),
       %(integration_id)s, %(provider)s, date, 'succeeded', true, %(dag_run_id)s, %(map_index)s,
       %(account_id)s, %(metric_rows)s, %(reason)s, %(observed_at)s, clock_timestamp()
FROM unnest(%(job_ids)s::text[], %(dates)s::date[]) AS past (job_id, date)
WHERE NOT {_MAY_BE_KNOWN}
ORDER BY date
ON CONFLICT (job_id) DO NOTHING
RETURNING date
"""

_HAS_OPEN: LiteralString = """
SELECT EXISTS (
    SELECT FROM analytics.ingest_job
    -- By the index on waiting jobs. The planner uses it only for literals.
    WHERE status IN ('queued', 'running') AND date = %s
)
"""

_OPEN_RUNS: LiteralString = """
SELECT DISTINCT dag_run_id
FROM analytics.ingest_job
-- By the index on waiting jobs. The planner uses it only for literals.
WHERE status IN ('queued', 'running')
"""

#: Why a job failed whose run was marked as ended by hand, or was deleted.
RUN_ENDED = "Its run ended, or was deleted, before it read this channel: run the day again."

# A killed task and a deleted run leave jobs that are running or queued. Every task has ended within a day.
# A job that waited for quota keeps that reason.
_SETTLE: LiteralString = """
UPDATE analytics.ingest_job AS job
SET status = 'failed', finished_at = clock_timestamp(), error_class = coalesce(error_class, %(error_class)s),
    error_code = coalesce(error_code, %(error_code)s),
    reason = coalesce(
        reason, CASE WHEN dag_run_id = ANY (%(ended_runs)s) THEN %(run_ended)s ELSE %(reason)s END
    )
FROM (
    SELECT job_id
    FROM analytics.ingest_job
    -- By the index on waiting jobs. The planner uses it only for literals.
    WHERE status IN ('queued', 'running')
      AND (dag_run_id = %(dag_run_id)s OR dag_run_id = ANY (%(ended_runs)s)
           OR greatest(queued_at, observed_at) < clock_timestamp() - interval '1 day')
    -- In the order in which jobs are queued, so that no deadlock is possible.
    ORDER BY integration_id, date
    FOR UPDATE
) AS open
WHERE job.job_id = open.job_id
"""

#: Why a job fails that was pending for too long.
NEVER_PUBLISHED = JobError(
    ErrorCode.NOT_PUBLISHED, "The provider has not published the day, and no later run reads it again."
)

_GIVE_UP: LiteralString = """
UPDATE analytics.ingest_job AS job
SET status = 'failed', error_class = %(error_class)s, error_code = %(error_code)s, reason = %(reason)s,
    finished_at = clock_timestamp()
FROM (
    SELECT job_id
    FROM analytics.ingest_job
    LEFT JOIN unnest(%(providers)s::text[], %(lookback_days)s::integer[]) AS declared (provider, lookback)
        USING (provider)
    -- By the index on waiting jobs. The planner uses it only for literals.
    WHERE status = 'pending' AND date < %(day)s::date - coalesce(lookback, 0)
    -- A reading that is being stored may bring the day in. It holds its rows in another order.
    FOR UPDATE OF ingest_job SKIP LOCKED
) AS pending
WHERE job.job_id = pending.job_id
RETURNING job.provider
"""

_GIVEN_UP: LiteralString = """
SELECT integration_id, array_agg(date ORDER BY date)
FROM analytics.ingest_job
-- By the index on failures. The planner uses it only for exactly this literal.
WHERE status = 'failed' AND error_code = %(error_code)s AND date BETWEEN %(last)s::date - 27 AND %(last)s
  AND integration_id = ANY (%(integration_ids)s)
GROUP BY integration_id
ORDER BY integration_id
"""

_BY_STATUS: LiteralString = """
SELECT status, count(*)
-- By the index on date.
FROM analytics.ingest_job
WHERE date = %s
GROUP BY status
ORDER BY status
"""

# A channel without a job that has ended has no run. An integration that is not active any more has no say.
_RUNS: LiteralString = """
SELECT DISTINCT job.dag_run_id
FROM analytics.integration LEFT JOIN (
    SELECT integration_id, dag_run_id
    -- By the index on date.
    FROM analytics.ingest_job
    WHERE date = %(day)s AND status NOT IN ('queued', 'running')
) AS job USING (integration_id)
WHERE is_active AND first_day <= %(day)s
"""

# In the order in which jobs are queued, so that no deadlock is possible.
_LOCK_JOBS: LiteralString = """
SELECT FROM analytics.ingest_job WHERE integration_id = ANY (%(ids)s) ORDER BY integration_id, date FOR UPDATE
"""

# Providers' messages may name an account.
_FORGET_REASONS: LiteralString = """
UPDATE analytics.ingest_job SET reason = NULL WHERE integration_id = ANY (%(ids)s) AND reason IS NOT NULL
"""

# An account counts once in an organization's day, whichever integrations read it (aggregate.sql). So while
# one of them is not erased, its account stays known. Afterwards the first of them stands for the account.
_FORGET_ACCOUNTS: LiteralString = """
UPDATE analytics.ingest_job AS job
SET account_id = nullif(gone.integration_id, job.integration_id)
FROM (
    SELECT job.organization_id, job.provider, job.account_id, min(job.integration_id) AS integration_id
    FROM analytics.ingest_job AS job JOIN analytics.integration USING (integration_id)
    WHERE job.account_id IN (
        SELECT account_id
        FROM analytics.ingest_job
        WHERE integration_id = ANY (%(ids)s) AND account_id IS NOT NULL
    )
    GROUP BY job.organization_id, job.provider, job.account_id
    HAVING bool_and(erased_at IS NOT NULL)
) AS gone
WHERE job.organization_id = gone.organization_id AND job.provider = gone.provider
  AND job.account_id = gone.account_id
"""

_STATES: LiteralString = """
SELECT job_id, integration_id, date, status, error_class, error_code, reason, attempts, http_calls,
       dag_run_id, observed_at
FROM analytics.ingest_job
WHERE job_id = ANY (%s)
"""


def register(analytics: Database, jobs: Sequence[IngestJob], dag_run_id: str) -> None:
    """Insert the jobs as ``queued``, so that a job that never runs is noticed. Ended jobs stay.

    Remember their integrations before (:func:`integrations.remember`): jobs take their customers from there.
    """
    analytics.execute(_REGISTER, _to_queue(jobs, dag_run_id) | {"claimed_by": None})


def claim(analytics: Database, jobs: Sequence[IngestJob], claim: Claim, *, force: bool) -> None:
    """Make the jobs ``queued`` for a task, so that a later start of the task knows what is left.

    A job that the same task has already claimed stays as it is, unless ``force``.

    :param force: claim all jobs: the task starts for the first time in the run or since it was cleared.
    """
    claimed = _to_queue(jobs, claim.dag_run_id) | {"claimed_by": str(claim), "force": force}
    if not force:
        analytics.execute(_TAKE_OVER_WAIT, claimed)
    analytics.execute(_CLAIM, claimed)


def _to_queue(jobs: Sequence[IngestJob], dag_run_id: str) -> dict[str, object]:
    return {
        "dag_run_id": dag_run_id,
        "job_ids": [job.job_id for job in jobs],
        "organization_ids": [job.integration.organization_id for job in jobs],
        "integration_ids": [job.integration.id for job in jobs],
        "providers": [job.integration.provider for job in jobs],
        "dates": [job.date for job in jobs],
        "are_backfill": [job.is_backfill for job in jobs],
    }


def start(
    analytics: Database,
    job: IngestJob,
    claim: Claim,
    *,
    map_index: int | None = None,
    account_id: str | None = None,
) -> Start:
    """Mark a claimed job ``running`` and read the database's clock, before the job's first request.

    From now on this start owns the row, even if another task has claimed it.

    :param map_index: of the mapped task, so that its log can be found.
    :param account_id: the provider's id of the account. It is the same when the account is connected again.
    """
    row = analytics.execute(
        _START,
        {
            "job_id": job.job_id,
            "organization_id": job.integration.organization_id,
            "is_backfill": job.is_backfill,
            "dag_run_id": claim.dag_run_id,
            "claimed_by": str(claim),
            "map_index": map_index,
            "account_id": account_id,
        },
    ).fetchone()
    if row is None:
        raise LookupError(f"{job.job_id} was not claimed before it was started.")
    return Start(job, *row)


def fail(analytics: Database, start: Start, error: JobError, http_calls: int) -> None:
    """Record why a reading failed. Figures of earlier readings stay."""
    _end_with_error(analytics, JobStatus.FAILED, start, error, error.reason, http_calls)


def wait_for_quota(
    analytics: Database, start: Start, error: JobError, pause: timedelta, http_calls: int
) -> datetime:
    """Put the job back to ``queued``, and record until when it waits: throttled is not failed.

    :returns: when it is due again, by the database's clock.
    """
    row = analytics.execute("SELECT clock_timestamp() + %s", [pause]).fetchone()
    assert row is not None  # noqa: S101 - a SELECT without FROM has one row
    due: datetime = row[0]
    reason = f"Waits for the API's quota until {due.isoformat(timespec='seconds')}. {error.reason}"
    _end_with_error(analytics, JobStatus.QUEUED, start, error, reason, http_calls)
    return due


def _end_with_error(
    analytics: Database, status: JobStatus, start: Start, error: JobError, reason: str, http_calls: int
) -> None:
    analytics.execute(
        _END_WITH_ERROR,
        _owner(start)
        | {
            "status": status,
            "error_class": error.error_class,
            "error_code": error.code,
            "provider_code": error.provider_code,
            "provider_subcode": error.provider_subcode,
            "reason": reason,
            "trace_id": error.trace_id,
            "http_calls": http_calls,
        },
    )


def finish(
    analytics: Database,
    start: Start,
    status: DayStatus,
    *,
    http_calls: int,
    metric_rows: int,
    content_rows: int,
    reason: str | None = None,
) -> None:
    """Record that a reading was stored. Part of the transaction that stores it.

    :param reason: what the reading lacks although the day is stored.
    """
    analytics.execute(
        _FINISH,
        _owner(start)
        | {
            "status": status,
            "http_calls": http_calls,
            "metric_rows": metric_rows,
            "content_rows": content_rows,
            "reason": reason,
        },
    )


def fill(analytics: Database, start: Start, days: Sequence[date]) -> None:
    """Clear what readings of earlier days lacked: a full reading has brought these days in again."""
    analytics.execute(
        _FILL,
        {"observed_at": start.observed_at, "job_ids": [start.job.on(day).job_id for day in days]},
    )


def _owner(start: Start) -> dict[str, object]:
    return {"job_id": start.job.job_id, "claimed_by": start.claimed_by, "attempts": start.attempts}


def recover(analytics: Database, start: Start, days: Sequence[date], reason: str | None = None) -> None:
    """Make the integration's jobs of earlier days ``recovered`` if they had no figures: now they have.

    :param reason: what the reading lacks, if anything.
    """
    analytics.execute(_RECOVER, _earlier(start, days) | {"reason": reason})


def withdraw(analytics: Database, start: Start, days: Sequence[date]) -> None:
    """Make the integration's stored jobs of earlier days ``pending``: the provider omits the days now."""
    analytics.execute(_WITHDRAW, _earlier(start, days))


def doubt(analytics: Database, start: Start, days: Sequence[date]) -> None:
    """Make the integration's jobs of these days ``pending`` that have no data: the account has figures."""
    analytics.execute(_DOUBT, {"job_ids": [start.job.on(day).job_id for day in days]})


def _earlier(start: Start, days: Sequence[date]) -> dict[str, object]:
    return {"observed_at": start.observed_at, "job_ids": [start.job.on(day).job_id for day in days]}


def ended_days(analytics: Database, job: IngestJob, days: Sequence[date]) -> dict[date, JobState]:
    """Those of ``days`` on which the integration's job has ended, each with its job's state."""
    found = states(analytics, [job.on(day).job_id for day in days])
    return {state.date: state for state in found if not state.status.is_open}


def past_to_read(analytics: Database, job: IngestJob, days: Sequence[date]) -> list[date]:
    """Those of ``days`` that :func:`add_past` would add, oldest first."""
    return [day for (day,) in analytics.execute(_PAST_TO_READ, _past(job, days))]


def add_past(
    analytics: Database,
    job: IngestJob,
    days: Sequence[date],
    *,
    dag_run_id: str,
    map_index: int | None,
    account_id: str,
    metric_rows: int,
    reason: str | None,
    observed_at: datetime,
) -> set[date]:
    """Give the integration a job for each of ``days`` that has none, in the transaction that stores them.

    Days of a former channel of the organization are left out if it may have been the same account.

    :param metric_rows: of each day.
    :param reason: what the reading lacks, if anything.
    :returns: the days that were added.
    """
    rows = analytics.execute(
        _ADD_PAST,
        _past(job, days)
        | {
            "dag_run_id": dag_run_id,
            "map_index": map_index,
            "account_id": account_id,
            "metric_rows": metric_rows,
            "reason": reason,
            "observed_at": observed_at,
        },
    )
    return {day for (day,) in rows}


def _past(job: IngestJob, days: Sequence[date]) -> dict[str, object]:
    return {
        "organization_id": job.integration.organization_id,
        "integration_id": job.integration.id,
        "provider": job.integration.provider,
        "job_ids": [job.on(day).job_id for day in days],
        "dates": list(days),
    }


def has_open_jobs(analytics: Database, day: date) -> bool:
    """Whether some of the day's jobs are still to be read, by whichever run."""
    row = analytics.execute(_HAS_OPEN, [day]).fetchone()
    return row is not None and bool(row[0])


def open_runs(analytics: Database) -> list[str]:
    """The ids of the runs to which jobs belong that have not ended."""
    return [run_id for (run_id,) in analytics.execute(_OPEN_RUNS)]


def settle(analytics: Database, dag_run_id: str, ended_runs: Sequence[str] = ()) -> int:
    """Fail jobs that have not ended although their task has, whatever their day; returns how many.

    :param dag_run_id: a run whose ingest tasks have all ended.
    :param ended_runs: other runs that have ended: marked so by hand, or deleted.
    """
    error = JobError(
        ErrorCode.UNEXPECTED,
        "The task ended without a result: see its log. It says nothing if the process was killed.",
    )
    return analytics.execute(
        _SETTLE,
        {"dag_run_id": dag_run_id, "ended_runs": list(ended_runs), "run_ended": RUN_ENDED} | _error(error),
    ).rowcount


def give_up(analytics: Database, day: date, lookback_days: Mapping[str, int]) -> dict[str, int]:
    """Fail jobs that are pending and that the look-back of a run for ``day`` does not reach any more.

    If a run for an earlier day is late and still brings such a day in, the job becomes ``recovered``.

    :param lookback_days: of each provider. A provider that is not in it is read no more.
    :returns: how many, by provider.
    """
    parameters = {
        "day": day,
        "providers": list(lookback_days),
        "lookback_days": list(lookback_days.values()),
    }
    rows = analytics.execute(_GIVE_UP, parameters | _error(NEVER_PUBLISHED))
    return Counter(provider for (provider,) in rows)


def _error(error: JobError) -> dict[str, object]:
    return {"error_class": error.error_class, "error_code": error.code, "reason": error.reason}


def given_up(analytics: Database, integration_ids: Sequence[str], last: date) -> dict[str, list[date]]:
    """Each integration's days that were given up (:func:`give_up`), of the four weeks up to ``last``."""
    rows = analytics.execute(
        _GIVEN_UP,
        {"error_code": ErrorCode.NOT_PUBLISHED, "integration_ids": list(integration_ids), "last": last},
    )
    return dict(rows.fetchall())


def by_status(analytics: Database, day: date) -> dict[str, int]:
    """How many of a day's jobs have each status."""
    return dict(analytics.execute(_BY_STATUS, [day]).fetchall())


def runs_that_covered(analytics: Database, day: date) -> set[str]:
    """The runs in which the day's jobs have ended, by id. Empty if an active integration has no such job.

    It knows the integrations that any run has listed.
    """
    found = {run_id for (run_id,) in analytics.execute(_RUNS, {"day": day})}
    return set() if None in found else found


def forget(analytics: Database, integration_ids: Sequence[str]) -> None:
    """Empty what the jobs of erased integrations tell about their accounts. Part of the transaction that
    erases them.
    """
    for statement in (_LOCK_JOBS, _FORGET_REASONS, _FORGET_ACCOUNTS):
        analytics.execute(statement, {"ids": list(integration_ids)})


def states(analytics: Database, job_ids: Sequence[str]) -> list[JobState]:
    """The ledger rows of the jobs. A job without a row is absent."""
    rows = analytics.execute(_STATES, [list(job_ids)])
    return [
        JobState(job_id, integration_id, day, JobStatus(status), *others)
        for job_id, integration_id, day, status, *others in rows
    ]
