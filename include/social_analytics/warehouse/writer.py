"""Storing one integration-day: its rows and its status appear together or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import psycopg

from include.social_analytics.connectors.base import Reading
from include.social_analytics.jobs import IngestJob
from include.social_analytics.metrics import POSTS_PUBLISHED, metrics_of


@dataclass(frozen=True)
class Stored:
    """What a reading came to: the job's status, and the rows written for all days of its window."""

    status: str
    metric_rows: int
    content_rows: int


_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('social_analytics.integration:' || %s, 0))"

# Made once a connection and emptied by each commit: a table a transaction would bloat the catalogue.
_STAGING = """
CREATE TEMPORARY TABLE IF NOT EXISTS staged_metric (
    metric text, date date, value numeric, source_metric text, job_id text, mode text
) ON COMMIT DELETE ROWS;
CREATE TEMPORARY TABLE IF NOT EXISTS staged_content (
    content_id text, published_at timestamptz, kind text, message text, permalink text, postiz_post_id text
) ON COMMIT DELETE ROWS;
CREATE TEMPORARY TABLE IF NOT EXISTS staged_snapshot (
    content_id text, metric text, value numeric
) ON COMMIT DELETE ROWS;
"""

_FINISHED_DAYS = """
SELECT date, status FROM analytics.ingest_job
WHERE job_id = ANY (%s) AND status NOT IN ('queued', 'running')
"""

#: What a staged metric does to the stored one.
_REPLACE, _FILL, _BLANK = "replace", "fill", "blank"

# Each MERGE finds its rows by the primary key. Rows of a newer reading are left alone.
_MERGE_METRICS = """
MERGE INTO analytics.integration_metric_daily AS stored
USING staged_metric AS new
ON stored.integration_id = %(integration_id)s AND stored.metric = new.metric AND stored.date = new.date
WHEN MATCHED AND new.mode <> 'fill' AND stored.observed_at <= %(observed_at)s THEN UPDATE SET
    value = new.value, source_metric = new.source_metric, observed_at = %(observed_at)s,
    job_id = new.job_id, organization_id = %(organization_id)s, provider = %(provider)s
WHEN NOT MATCHED AND new.mode <> 'blank' THEN INSERT
    (integration_id, metric, date, organization_id, provider, value, source_metric, observed_at, job_id)
    VALUES (%(integration_id)s, new.metric, new.date, %(organization_id)s, %(provider)s, new.value,
            new.source_metric, %(observed_at)s, new.job_id)
"""

_MERGE_CONTENT = """
MERGE INTO analytics.content AS stored
USING staged_content AS new
ON stored.integration_id = %(integration_id)s AND stored.content_id = new.content_id
WHEN MATCHED AND stored.updated_at <= %(observed_at)s THEN UPDATE SET
    organization_id = %(organization_id)s, provider = %(provider)s, published_at = new.published_at,
    kind = new.kind, message = new.message, permalink = new.permalink,
    postiz_post_id = new.postiz_post_id, updated_at = %(observed_at)s
WHEN NOT MATCHED THEN INSERT
    (integration_id, content_id, organization_id, provider, published_at, kind, message, permalink,
     postiz_post_id, first_seen_at, updated_at)
    VALUES (%(integration_id)s, new.content_id, %(organization_id)s, %(provider)s, new.published_at,
            new.kind, new.message, new.permalink, new.postiz_post_id, %(observed_at)s, %(observed_at)s)
"""

_MERGE_SNAPSHOTS = """
MERGE INTO analytics.content_metric_snapshot AS stored
USING staged_snapshot AS new
ON stored.integration_id = %(integration_id)s AND stored.content_id = new.content_id
   AND stored.metric = new.metric AND stored.snapshot_date = %(snapshot_date)s
WHEN MATCHED AND stored.observed_at <= %(observed_at)s THEN UPDATE SET
    value = new.value, observed_at = %(observed_at)s
WHEN NOT MATCHED THEN INSERT (integration_id, content_id, metric, snapshot_date, value, observed_at)
    VALUES (%(integration_id)s, new.content_id, new.metric, %(snapshot_date)s, new.value, %(observed_at)s)
"""

_UNSUPPORTED = """
INSERT INTO analytics.unsupported_metric AS known
    (provider, api_version, metric, first_seen_at, last_seen_at, reason)
VALUES (%(provider)s, %(api_version)s, %(metric)s, %(observed_at)s, %(observed_at)s, %(reason)s)
ON CONFLICT (provider, api_version, metric) DO UPDATE
SET last_seen_at = greatest(known.last_seen_at, excluded.last_seen_at), reason = excluded.reason
"""

_NO_ERROR = """
error_class = NULL, error_code = NULL, provider_code = NULL, provider_subcode = NULL, reason = NULL,
trace_id = NULL
"""

_RECOVER = f"""
UPDATE analytics.ingest_job
SET status = 'recovered', observed_at = %(observed_at)s, {_NO_ERROR}
WHERE job_id = ANY (%(recovered)s) AND status IN ('failed', 'pending') AND observed_at <= %(observed_at)s
"""

_FINISH = f"""
UPDATE analytics.ingest_job
SET status = %(status)s, http_calls = %(http_calls)s, metric_rows = %(metric_rows)s,
    content_rows = %(content_rows)s, finished_at = clock_timestamp(), {_NO_ERROR}
WHERE job_id = %(job_id)s AND observed_at <= %(observed_at)s
"""

_StagedMetric = tuple[str, date, Decimal | int | None, str, str, str]


def store(
    connection: psycopg.Connection[Any],
    job: IngestJob,
    reading: Reading,
    *,
    observed_at: datetime,
    http_calls: int,
    postiz_posts: Mapping[str, str],
    snapshot_zone: ZoneInfo,
) -> Stored:
    """Store a complete reading and the job's status in one short transaction.

    :param observed_at: when the reading began, by this database's clock (``ledger.start``).
    :param http_calls: requests that the reading took.
    :param postiz_posts: content id -> id of the Postiz post that it was published from.
    :param snapshot_zone: in whose calendar a snapshot has its date.
    """
    parameters: dict[str, Any] = {
        "job_id": job.job_id,
        "integration_id": job.integration.id,
        "organization_id": job.integration.organization_id,
        "provider": job.integration.provider,
        "observed_at": observed_at,
        "snapshot_date": observed_at.astimezone(snapshot_zone).date(),
        "status": reading.status,
        "http_calls": http_calls,
    }
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute(_LOCK, [job.integration.id])
        cursor.execute(_STAGING)
        finished = _finished_days(cursor, job, reading)
        writable = [day for day in reading.window.days if day == job.date or day in finished]
        _copy(cursor, "staged_metric", _staged_metrics(job, reading, writable))
        parameters["metric_rows"] = cursor.execute(_MERGE_METRICS, parameters).rowcount
        parameters["content_rows"] = 0
        if reading.content:
            _copy(
                cursor,
                "staged_content",
                [
                    (
                        one.content_id,
                        one.published_at,
                        one.kind,
                        one.message,
                        one.permalink,
                        postiz_posts.get(one.content_id),
                    )
                    for one in reading.content
                ],
            )
            parameters["content_rows"] = cursor.execute(_MERGE_CONTENT, parameters).rowcount
            _copy(
                cursor,
                "staged_snapshot",
                [
                    (one.content_id, metric, value)
                    for one in reading.content
                    for metric, value in one.metrics.items()
                ],
            )
            cursor.execute(_MERGE_SNAPSHOTS, parameters)
        for unsupported in reading.unsupported:
            cursor.execute(
                _UNSUPPORTED,
                {
                    **parameters,
                    "api_version": unsupported.api_version,
                    "metric": unsupported.source_metric,
                    "reason": unsupported.reason,
                },
            )
        parameters["recovered"] = [
            job.on(day).job_id for day in finished if day != job.date and reading.has_day(day)
        ]
        cursor.execute(_RECOVER, parameters)
        cursor.execute(_FINISH, parameters)
    return Stored(reading.status, parameters["metric_rows"], parameters["content_rows"])


def _finished_days(cursor: psycopg.Cursor[Any], job: IngestJob, reading: Reading) -> set[date]:
    """The window's days for which this integration has a job that has ended: only those are re-read."""
    job_ids = [job.on(day).job_id for day in reading.window.days]
    return {day for day, _ in cursor.execute(_FINISHED_DAYS, [job_ids])}


def _staged_metrics(job: IngestJob, reading: Reading, days: Sequence[date]) -> Iterable[_StagedMetric]:
    """What a reading says about ``days``, and what to do where it says nothing."""
    for metric in metrics_of(job.integration.provider):
        source = metric.sources[job.integration.provider]
        for day in days:
            job_id = job.on(day).job_id
            if metric is POSTS_PUBLISHED:
                if reading.posts_published is not None:
                    yield metric.name, day, reading.posts_published[day], source, job_id, _REPLACE
                elif reading.has_day(day):
                    yield metric.name, day, None, source, job_id, _FILL
            elif reading.has_day(day):
                if (series := reading.series.get(metric.name)) is not None:
                    yield metric.name, day, series.get(day), source, job_id, _REPLACE
                else:
                    # It failed, or the answer lacks it: what is stored stays.
                    yield metric.name, day, None, source, job_id, _FILL
            elif metric.name in reading.series:
                # The API has series, but no longer this day: not a day to add, and no figure to keep.
                yield metric.name, day, None, source, job_id, _BLANK


def _copy(cursor: psycopg.Cursor[Any], table: str, rows: Iterable[Sequence[Any]]) -> None:
    with cursor.copy(f"COPY {table} FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)
