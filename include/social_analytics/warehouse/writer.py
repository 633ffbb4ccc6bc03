"""Storing one integration-day: its rows and its status appear together or not at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any
from zoneinfo import ZoneInfo

import psycopg

from include.social_analytics.connectors.base import Content, Reading
from include.social_analytics.jobs import IngestJob
from include.social_analytics.metrics import POSTS_PUBLISHED, metrics_of
from include.social_analytics.warehouse.snapshots import ensure_month


@dataclass(frozen=True)
class Stored:
    """What a reading came to: the job's status, and the rows written for all days of its window."""

    status: str
    metric_rows: int
    content_rows: int


_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('social_analytics.integration:' || %s, 0))"

_FINISHED_DAYS = """
SELECT date FROM analytics.ingest_job
WHERE job_id = ANY (%(job_ids)s) AND status NOT IN ('queued', 'running')
"""

# All that follow find their rows by the primary key, and leave those of a newer reading alone.

_NEW_METRICS = """
SELECT %(integration_id)s, metric, date, %(organization_id)s, %(provider)s, value, source_metric,
       %(observed_at)s, job_id
FROM unnest(%(metrics)s::text[], %(dates)s::date[], %(values)s::numeric[], %(source_metrics)s::text[],
            %(job_ids)s::text[]) AS new (metric, date, value, source_metric, job_id)
"""

_REPLACE_METRICS = f"""
INSERT INTO analytics.integration_metric_daily AS stored
    (integration_id, metric, date, organization_id, provider, value, source_metric, observed_at, job_id)
{_NEW_METRICS}
ON CONFLICT (integration_id, metric, date) DO UPDATE
SET value = excluded.value, source_metric = excluded.source_metric, observed_at = excluded.observed_at,
    job_id = excluded.job_id, organization_id = excluded.organization_id, provider = excluded.provider
WHERE stored.observed_at <= excluded.observed_at
"""

_ADD_METRICS = f"""
INSERT INTO analytics.integration_metric_daily
    (integration_id, metric, date, organization_id, provider, value, source_metric, observed_at, job_id)
{_NEW_METRICS}
ON CONFLICT (integration_id, metric, date) DO NOTHING
"""

_BLANK_METRICS = """
UPDATE analytics.integration_metric_daily AS stored
SET value = NULL, observed_at = %(observed_at)s
FROM unnest(%(metrics)s::text[], %(dates)s::date[]) AS gone (metric, date)
WHERE stored.integration_id = %(integration_id)s AND stored.metric = gone.metric AND stored.date = gone.date
  AND stored.observed_at <= %(observed_at)s
"""

# A post's origin is a fact: it stays known when Postiz has forgotten the post.
_CONTENT = """
INSERT INTO analytics.content AS stored
    (integration_id, content_id, organization_id, provider, published_at, kind, message, permalink,
     postiz_post_id, first_seen_at, updated_at)
SELECT %(integration_id)s, content_id, %(organization_id)s, %(provider)s, published_at, kind, message,
       permalink, postiz_post_id, %(observed_at)s, %(observed_at)s
FROM unnest(%(content_ids)s::text[], %(published_at)s::timestamptz[], %(kinds)s::text[],
            %(messages)s::text[], %(permalinks)s::text[], %(postiz_post_ids)s::text[])
     AS new (content_id, published_at, kind, message, permalink, postiz_post_id)
ON CONFLICT (integration_id, content_id) DO UPDATE
SET organization_id = excluded.organization_id, provider = excluded.provider,
    published_at = excluded.published_at, kind = excluded.kind, message = excluded.message,
    permalink = excluded.permalink, updated_at = excluded.updated_at,
    postiz_post_id = coalesce(excluded.postiz_post_id, stored.postiz_post_id)
WHERE stored.updated_at <= excluded.updated_at
"""

_SNAPSHOTS = """
INSERT INTO analytics.content_metric_snapshot AS stored
    (integration_id, content_id, metric, snapshot_date, value, observed_at)
SELECT %(integration_id)s, content_id, metric, %(snapshot_date)s, value, %(observed_at)s
FROM unnest(%(content_ids)s::text[], %(metrics)s::text[], %(values)s::numeric[])
     AS new (content_id, metric, value)
ON CONFLICT (integration_id, content_id, metric, snapshot_date) DO UPDATE
SET value = excluded.value, observed_at = excluded.observed_at
WHERE stored.observed_at <= excluded.observed_at
"""

# In one order, because all integrations of a provider share these rows.
_UNSUPPORTED = """
INSERT INTO analytics.unsupported_metric AS known
    (provider, api_version, metric, first_seen_at, last_seen_at, reason)
SELECT DISTINCT ON (api_version, metric)
       %(provider)s, api_version, metric, %(observed_at)s, %(observed_at)s, reason
FROM unnest(%(api_versions)s::text[], %(metrics)s::text[], %(reasons)s::text[])
     AS new (api_version, metric, reason)
ORDER BY api_version, metric
ON CONFLICT (provider, api_version, metric) DO UPDATE
SET last_seen_at = excluded.last_seen_at, reason = excluded.reason
WHERE known.last_seen_at <= excluded.last_seen_at
"""

_NO_ERROR = """
error_class = NULL, error_code = NULL, provider_code = NULL, provider_subcode = NULL, reason = NULL,
trace_id = NULL
"""

_RECOVER = f"""
UPDATE analytics.ingest_job
SET status = 'recovered', observed_at = %(observed_at)s, {_NO_ERROR}
WHERE job_id = ANY (%(job_ids)s) AND status IN ('failed', 'pending')
  -- Null in one that never started.
  AND coalesce(observed_at <= %(observed_at)s, true)
"""

# started_at is null when a run has asked for the job anew since: then it is that run's to end.
_FINISH = f"""
UPDATE analytics.ingest_job
SET status = %(status)s, http_calls = %(http_calls)s, metric_rows = %(metric_rows)s,
    content_rows = %(content_rows)s, finished_at = clock_timestamp(), {_NO_ERROR}
WHERE job_id = %(job_id)s AND observed_at <= %(observed_at)s AND started_at IS NOT NULL
"""


class _Effect(Enum):
    """What a metric's new row does to the stored one."""

    #: Takes its place.
    REPLACE = _REPLACE_METRICS
    #: Stands where there is none: the day has a row for each metric, and a known figure stays.
    ADD = _ADD_METRICS
    #: Takes away its value, and adds nothing where there is none.
    BLANK = _BLANK_METRICS


@dataclass(frozen=True)
class _MetricRow:
    metric: str
    source_metric: str
    day: date
    value: Decimal | None
    effect: _Effect


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

    Transactions on the same integration follow one another. What several integrations share is
    written last, so that nobody who holds such a row waits for another one.

    :param observed_at: when the reading began, by this database's clock (``ledger.start``).
    :param http_calls: requests that the reading took.
    :param postiz_posts: content id -> id of the Postiz post that it was published from.
    :param snapshot_zone: in whose calendar a snapshot has its date.
    """
    common: dict[str, Any] = {
        "integration_id": job.integration.id,
        "organization_id": job.integration.organization_id,
        "provider": job.integration.provider,
        "observed_at": observed_at,
    }
    snapshot_date = observed_at.astimezone(snapshot_zone).date()
    ensure_month(connection, snapshot_date)
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute(_LOCK, [job.integration.id])
        finished = _finished_days(cursor, job, reading)
        writable = [day for day in reading.window.days if day == job.date or day in finished]
        metric_rows = _store_metrics(cursor, common, job, _metric_rows(job, reading, writable))
        content_rows = _store_content(
            cursor,
            common | {"snapshot_date": snapshot_date},
            reading.content,
            postiz_posts,
        )
        recovered = [day for day in finished if day != job.date and reading.has_day(day)]
        if recovered:
            cursor.execute(_RECOVER, common | {"job_ids": [job.on(day).job_id for day in recovered]})
        cursor.execute(
            _FINISH,
            common
            | {
                "job_id": job.job_id,
                "status": reading.status,
                "http_calls": http_calls,
                "metric_rows": metric_rows,
                "content_rows": content_rows,
            },
        )
        if reading.unsupported:
            cursor.execute(
                _UNSUPPORTED,
                common
                | {
                    "api_versions": [one.api_version for one in reading.unsupported],
                    "metrics": [one.source_metric for one in reading.unsupported],
                    "reasons": [one.reason for one in reading.unsupported],
                },
            )
    return Stored(reading.status, metric_rows, content_rows)


def _finished_days(cursor: psycopg.Cursor[Any], job: IngestJob, reading: Reading) -> set[date]:
    """The window's days for which this integration has a job that has ended: only those are re-read."""
    job_ids = [job.on(day).job_id for day in reading.window.days]
    return {day for (day,) in cursor.execute(_FINISHED_DAYS, {"job_ids": job_ids})}


def _metric_rows(job: IngestJob, reading: Reading, days: Sequence[date]) -> list[_MetricRow]:
    """What a reading says about ``days``, and what to do where it says nothing."""
    rows = []
    for metric in metrics_of(job.integration.provider):
        counted = metric is POSTS_PUBLISHED
        said: Mapping[date, Decimal | int | None] | None
        said = reading.posts_published if counted else reading.series.get(metric.name)
        for day in days:
            value, effect = None, None
            if said is not None and day in said:
                value, effect = said[day], _Effect.REPLACE
            elif said is None or counted:
                # It failed, or the answer lacks it: what is stored stays.
                effect = _Effect.ADD if reading.has_day(day) else None
            else:
                # Its series omits the day: no figure to keep, and a day to add only if others name it.
                effect = _Effect.REPLACE if reading.has_day(day) else _Effect.BLANK
            if effect is not None:
                rows.append(
                    _MetricRow(
                        metric.name,
                        metric.sources[job.integration.provider],
                        day,
                        None if value is None else Decimal(value),
                        effect,
                    )
                )
    return rows


def _store_metrics(
    cursor: psycopg.Cursor[Any], common: dict[str, Any], job: IngestJob, rows: Sequence[_MetricRow]
) -> int:
    """Returns how many rows the reading had something to say about, the same however often it is stored."""
    said = 0
    for effect in _Effect:
        chosen = [row for row in rows if row.effect is effect]
        if not chosen:
            continue
        cursor.execute(
            effect.value,
            common
            | {
                "metrics": [row.metric for row in chosen],
                "dates": [row.day for row in chosen],
                "values": [row.value for row in chosen],
                "source_metrics": [row.source_metric for row in chosen],
                "job_ids": [job.on(row.day).job_id for row in chosen],
            },
        )
        if effect is not _Effect.ADD:
            said += cursor.rowcount
    return said


def _store_content(
    cursor: psycopg.Cursor[Any],
    common: dict[str, Any],
    content: Sequence[Content],
    postiz_posts: Mapping[str, str],
) -> int:
    if not content:
        return 0
    cursor.execute(
        _CONTENT,
        common
        | {
            "content_ids": [one.content_id for one in content],
            "published_at": [one.published_at for one in content],
            "kinds": [one.kind for one in content],
            "messages": [one.message for one in content],
            "permalinks": [one.permalink for one in content],
            "postiz_post_ids": [postiz_posts.get(one.content_id) for one in content],
        },
    )
    rows = cursor.rowcount
    snapshots = [(one.content_id, metric, value) for one in content for metric, value in one.metrics.items()]
    cursor.execute(
        _SNAPSHOTS,
        common
        | {
            "content_ids": [content_id for content_id, _, _ in snapshots],
            "metrics": [metric for _, metric, _ in snapshots],
            "values": [value for _, _, value in snapshots],
        },
    )
    return rows
