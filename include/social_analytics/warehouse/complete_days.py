"""Which days are complete, told from the ledger. Run, alert, gauges, views and health page ask here."""

from __future__ import annotations

from datetime import date, timedelta
from typing import LiteralString

from include.social_analytics.databases import Database
from include.social_analytics.errors import ErrorCode, ResolvedBy
from include.social_analytics.warehouse.ledger import COMPLETE_STATUSES

#: Owners' failures that are too many to be the owners' doing: at least three channels of a provider, and at
#: least half of those that were read, failed with the same code. This is the only definition. It looks at a
#: day as a whole, so a run of a few broken channels says nothing new. Its parameters are ``first``, ``last``
#: and :data:`COMPLETE`.
COMMON_FAILURES: LiteralString = """
SELECT alike.*
FROM (
    SELECT provider, date, error_code, count(*) AS failed
    FROM analytics.ingest_job
    -- By the index on failures. The planner uses it only for exactly this literal.
    WHERE status = 'failed' AND date BETWEEN %(first)s AND %(last)s
      AND error_code = ANY (%(owners_codes)s) AND started_at IS NOT NULL
    GROUP BY provider, date, error_code
    HAVING count(*) >= 3
) AS alike, LATERAL (
    SELECT count(*) AS jobs
    FROM (
        SELECT
        -- By the index on date. No further than it takes to know: where few fail, a few rows.
        FROM analytics.ingest_job AS job
        WHERE job.date = alike.date AND job.provider = alike.provider
          AND job.status NOT IN ('queued', 'running') AND job.started_at IS NOT NULL
        LIMIT 2 * alike.failed + 1
    ) AS counted
) AS read
WHERE read.jobs <= 2 * alike.failed
"""

#: Whether a row of ``ingest_job AS job`` is one of ``common``, a query on :data:`COMMON_FAILURES`.
IS_COMMON: LiteralString = """
(job.status = 'failed' AND EXISTS (
    SELECT FROM common
    WHERE common.provider = job.provider AND common.date = job.date AND common.error_code = job.error_code
))
"""

#: A day is complete when this is true of all its jobs, and each channel that is expected on it has a job.
#: This is the only definition. Beside the columns of ``ingest_job`` it needs ``is_common``
#: (:data:`IS_COMMON`). Its parameters are :data:`COMPLETE`.
IS_COMPLETE: LiteralString = """
(status = ANY (%(complete_statuses)s)
 OR (status = 'failed' AND coalesce(error_code, '') = ANY (%(owners_codes)s) AND NOT is_common))
"""
COMPLETE = {
    "complete_statuses": [status.value for status in COMPLETE_STATUSES],
    "owners_codes": [code.value for code in ErrorCode if code.resolved_by is ResolvedBy.OWNER],
}

# A run that was narrowed, or whose listing failed, leaves channels without a job: their day is not complete.
_DAYS: LiteralString = f"""
SELECT date, is_read AND is_complete AS is_complete, is_read AND is_settled_well AS is_settled_well
FROM (
    SELECT date, bool_and({IS_COMPLETE}) AS is_complete,
        bool_and({IS_COMPLETE} OR status = 'pending') AS is_settled_well,
        count(*) FILTER (WHERE is_expected) >= (
            SELECT count(*)
            FROM analytics.integration
            WHERE provider = %(provider)s AND expected_from <= date AND (is_active OR last_day >= date)
        ) AS is_read
    FROM (
        SELECT date, status, error_code, {IS_COMMON} AS is_common,
            date >= expected_from AND (is_active OR last_day >= date) AS is_expected
        -- By the index on date.
        FROM analytics.ingest_job AS job LEFT JOIN analytics.integration USING (integration_id)
        WHERE date BETWEEN %(first)s AND %(last)s AND job.provider = %(provider)s
    ) AS job
    GROUP BY date
) AS day
"""

#: A provider's newest complete day between two days. Its parameters are ``provider``, ``first``, ``last`` and
#: :data:`COMPLETE`.
NEWEST_COMPLETE: LiteralString = f"""
WITH common AS MATERIALIZED ({COMMON_FAILURES})
SELECT max(date) FILTER (WHERE is_complete)
FROM ({_DAYS}) AS day
"""

_COMMON: LiteralString = f"""
WITH common AS MATERIALIZED ({COMMON_FAILURES})
SELECT integration_id
-- By the index on failures. The planner uses it only for exactly this literal.
FROM analytics.ingest_job AS job
WHERE status = 'failed' AND date BETWEEN %(first)s AND %(last)s AND {IS_COMMON}
"""

_ON_TIME_UNTIL: LiteralString = f"""
WITH common AS MATERIALIZED ({COMMON_FAILURES})
SELECT least(
    coalesce(max(date) FILTER (WHERE is_settled_well), min(date) - 1),
    coalesce(max(date) FILTER (WHERE is_complete), min(date) - 1) + %(final_after_days)s::integer
)
FROM ({_DAYS}) AS day
"""


def newest_complete_day(analytics: Database, provider: str, last: date) -> date | None:
    """A provider's newest complete day in the four weeks up to ``last`` (:data:`IS_COMPLETE`)."""
    row = analytics.execute(
        NEWEST_COMPLETE,
        {"first": last - timedelta(days=27), "last": last, "provider": provider} | COMPLETE,
    ).fetchone()
    return row[0] if row else None


def failed_alike(analytics: Database, day: date) -> set[str]:
    """The integrations whose failure of the day is one of :data:`COMMON_FAILURES`, by id."""
    return {id_ for (id_,) in analytics.execute(_COMMON, {"first": day, "last": day} | COMPLETE)}


def on_time_until(analytics: Database, provider: str, last: date, final_after_days: int) -> date | None:
    """The newest day that is complete or may still be pending, in the four weeks up to ``last``.

    A day may be pending while it is at most ``final_after_days`` later than the newest complete one. Before
    there is a complete one, the day before the first counts in its place. ``None`` without jobs.
    """
    row = analytics.execute(
        _ON_TIME_UNTIL,
        {
            "first": last - timedelta(days=27),
            "last": last,
            "provider": provider,
            "final_after_days": final_after_days,
        }
        | COMPLETE,
    ).fetchone()
    return row[0] if row else None
