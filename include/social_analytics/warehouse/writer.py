"""Stores one integration's day: its rows and its status appear together or not at all.

It also erases integrations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any

from include.social_analytics.connectors import provider_named
from include.social_analytics.connectors.base import Provider
from include.social_analytics.connectors.reading import Content, DayStatus, Reading
from include.social_analytics.databases import Database
from include.social_analytics.days import is_on_time
from include.social_analytics.jobs import IngestJob
from include.social_analytics.warehouse import integrations, ledger, unsupported
from include.social_analytics.warehouse.snapshots import ensure_month


@dataclass(frozen=True)
class Stored:
    """What was stored: the job's status, and the rows written for all days of the window."""

    status: DayStatus
    metric_rows: int
    content_rows: int


_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('social_analytics.integration:' || %s, 0))"

# All statements below find their rows by the primary key. An older reading never overwrites a newer one.

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

# Values that exist only as of now: the first one that is read on time stays. It replaces a null.
_KEEP_FIRST_METRICS = f"""
INSERT INTO analytics.integration_metric_daily AS stored
    (integration_id, metric, date, organization_id, provider, value, source_metric, observed_at, job_id)
{_NEW_METRICS}
ON CONFLICT (integration_id, metric, date) DO UPDATE
SET value = excluded.value, source_metric = excluded.source_metric, observed_at = excluded.observed_at,
    job_id = excluded.job_id, organization_id = excluded.organization_id, provider = excluded.provider
WHERE stored.value IS NULL
"""

_CLEAR_METRICS = """
UPDATE analytics.integration_metric_daily AS stored
SET value = NULL, observed_at = %(observed_at)s
FROM unnest(%(metrics)s::text[], %(dates)s::date[]) AS gone (metric, date)
WHERE stored.integration_id = %(integration_id)s AND stored.metric = gone.metric AND stored.date = gone.date
  AND stored.observed_at <= %(observed_at)s
"""

# An empty answer about an account that had figures lately is a fault of the API, or a delay.
_HAS_FIGURES = """
SELECT EXISTS (
    SELECT FROM analytics.integration_metric_daily
    WHERE integration_id = %(integration_id)s AND metric = ANY (%(metrics)s)
      AND date BETWEEN %(day)s::date - 28 AND %(day)s AND value IS NOT NULL
)
"""

# Arrays of text and times go in binary ("b"): psycopg packs them faster than it formats them as text.
# postiz_post_id stays, even if Postiz has deleted the post since. So do the latest totals if this reading has
# none; those of two readings on one day go together, like their snapshots.
_CONTENT = """
INSERT INTO analytics.content AS stored
    (integration_id, content_id, organization_id, provider, published_at, kind, message, permalink,
     postiz_post_id, first_seen_at, updated_at, totals, totals_read_on)
SELECT %(integration_id)s, content_id, %(organization_id)s, %(provider)s, published_at, kind, message,
       permalink, postiz_post_id, %(observed_at)s, %(observed_at)s, totals::jsonb,
       CASE WHEN totals IS NOT NULL THEN %(snapshot_date)s::date END
FROM unnest(%(content_ids)b::text[], %(published_at)b::timestamptz[], %(kinds)b::text[],
            %(messages)b::text[], %(permalinks)b::text[], %(postiz_post_ids)b::text[], %(totals)b::text[])
     AS new (content_id, published_at, kind, message, permalink, postiz_post_id, totals)
ON CONFLICT (integration_id, content_id) DO UPDATE
SET organization_id = excluded.organization_id, provider = excluded.provider,
    published_at = excluded.published_at, kind = excluded.kind, message = excluded.message,
    permalink = excluded.permalink, updated_at = excluded.updated_at,
    totals = CASE WHEN stored.totals_read_on = excluded.totals_read_on THEN stored.totals || excluded.totals
                  ELSE coalesce(excluded.totals, stored.totals) END,
    totals_read_on = coalesce(excluded.totals_read_on, stored.totals_read_on),
    postiz_post_id = coalesce(excluded.postiz_post_id, stored.postiz_post_id)
WHERE stored.updated_at <= excluded.updated_at
"""

# A Postiz post is one post of the integration: the one with the release id as its own id, else the earliest
# that has it as another id. A later one is a re-post: it loses a name that it was once given.
_TAKE_BACK = """
UPDATE analytics.content AS later
SET postiz_post_id = NULL
FROM (
    SELECT DISTINCT ON (postiz_post_id) postiz_post_id, content_id
    FROM analytics.content
    WHERE integration_id = %(integration_id)s AND postiz_post_id = ANY (%(shared)s)
    ORDER BY postiz_post_id, content_id = ANY (%(own_ids)s) DESC, published_at, content_id
) AS origin
WHERE later.integration_id = %(integration_id)s AND later.postiz_post_id = origin.postiz_post_id
  AND later.content_id <> origin.content_id
"""

_SNAPSHOTS = """
INSERT INTO analytics.content_metric_snapshot AS stored
    (integration_id, content_id, metric, snapshot_date, value, observed_at)
SELECT %(integration_id)s, content_id, metric, %(snapshot_date)s, value, %(observed_at)s
FROM unnest(%(content_ids)b::text[], %(metrics)b::text[], %(values)s::numeric[])
     AS new (content_id, metric, value)
ON CONFLICT (integration_id, content_id, metric, snapshot_date) DO UPDATE
SET value = excluded.value, observed_at = excluded.observed_at
WHERE stored.observed_at <= excluded.observed_at
"""


_SETTLED = """
SELECT metric, date
FROM analytics.integration_metric_daily
WHERE integration_id = %(integration_id)s AND metric = ANY (%(metrics)s) AND date = ANY (%(days)s)
  AND value IS NOT NULL AND (observed_at AT TIME ZONE %(timezone)s)::date >= date + %(final_after)s
"""


# The listing that the day's own reading has read to its end. If that reading lacked something, a post may be
# missing here.
_COUNTED_POSTS = """
SELECT (published_at AT TIME ZONE %(timezone)s)::date AS day, count(*)
FROM analytics.content
WHERE integration_id = %(integration_id)s AND kind <> ALL (%(uncounted)s)
  AND EXISTS (
      SELECT
      FROM analytics.integration_metric_daily AS listed JOIN analytics.ingest_job AS job USING (job_id)
      WHERE listed.integration_id = %(integration_id)s AND listed.metric = 'posts_published'
        AND listed.date = %(day)s AND listed.value IS NOT NULL AND job.reason IS NULL
  )
GROUP BY day
"""

_FORGET_TEXTS = """
UPDATE analytics.content SET message = NULL, permalink = NULL WHERE integration_id = ANY (%(ids)s)
"""

# The provider's ids of posts lead to the posts, and some hold the account's id. A random one takes the place
# of each, so that the post's figures stay together. An account that was connected again is a new integration
# with the same posts, each of which counts once: while one of them is not erased, the id stays; afterwards
# they share the new one. By the index on organizations and times, and by the primary keys.
_FORGET_POSTS = """
WITH renamed AS MATERIALIZED (
    SELECT content_id, array_agg(integration_id) AS integrations, 'erased-' || gen_random_uuid() AS new_id
    FROM (
        SELECT DISTINCT organization_id, published_at, provider, content_id
        FROM analytics.content
        WHERE integration_id = ANY (%(ids)s) AND content_id NOT LIKE 'erased-%%'
    ) AS erased
    JOIN analytics.content USING (organization_id, published_at, provider, content_id)
    JOIN analytics.integration USING (integration_id)
    GROUP BY content.organization_id, content.provider, content_id
    HAVING bool_and(erased_at IS NOT NULL)
), snapshots AS (
    UPDATE analytics.content_metric_snapshot AS snapshot
    SET content_id = new_id
    FROM renamed
    WHERE snapshot.integration_id = ANY (integrations) AND snapshot.content_id = renamed.content_id
)
UPDATE analytics.content AS content
SET content_id = new_id
FROM renamed
WHERE content.integration_id = ANY (integrations) AND content.content_id = renamed.content_id
"""


class _Effect(Enum):
    """What a metric's new row does to the stored one."""

    REPLACE = _REPLACE_METRICS
    #: Insert the row if there is none; never overwrite a value.
    ADD = _ADD_METRICS
    KEEP_FIRST = _KEEP_FIRST_METRICS
    #: Remove the stored value; insert nothing.
    CLEAR = _CLEAR_METRICS


@dataclass(frozen=True)
class _MetricRow:
    metric: str
    source_metric: str
    day: date
    value: Decimal | None
    effect: _Effect


def settled(analytics: Database, job: IngestJob, days: Sequence[date]) -> frozenset[tuple[str, date]]:
    """The metrics, with the day, whose stored value was read when the day was final."""
    provider = provider_named(job.integration.provider)
    found = analytics.execute(
        _SETTLED,
        {
            "integration_id": job.integration.id,
            "metrics": list(provider.metrics),
            "days": list(days),
            "timezone": provider.timezone.key,
            "final_after": provider.final_after_days,
        },
    )
    return frozenset(tuple(row) for row in found)


def erase(analytics: Database, integration_ids: Sequence[str]) -> list[str]:
    """Erase integrations: their names, their posts' texts and links, the ids of their accounts and posts.

    All in one transaction, which waits for readings that are being stored. Figures stay.

    :returns: the erased ones. An integration that was listed again meanwhile is not.
    """
    with analytics.transaction():
        for id_ in sorted(integration_ids):
            analytics.execute(_LOCK, [id_])
        erased = integrations.forget(analytics, integration_ids)
        for statement in (_FORGET_TEXTS, _FORGET_POSTS):
            analytics.execute(statement, {"ids": erased})
        ledger.forget(analytics, erased)
    return erased


def store(
    analytics: Database,
    start: ledger.Start,
    reading: Reading,
    *,
    http_calls: int,
    postiz_posts: Mapping[str, str],
) -> Stored:
    """Store a complete reading and the job's status in one short transaction.

    A job without data is ``pending`` if the account has had figures for the day or the 28 days before it.

    Transactions on the same integration follow one another. What several integrations share is
    written last, so that a transaction that holds such a row waits for no other.

    :param start: of the reading, from :func:`ledger.start`.
    :param http_calls: requests that the reading took.
    :param postiz_posts: release id -> id of the Postiz post. A release id is a content's own id or one of
        its other ids.
    """
    job = start.job
    provider = provider_named(job.integration.provider)
    common: dict[str, Any] = {
        "integration_id": job.integration.id,
        "organization_id": job.integration.organization_id,
        "provider": provider.name,
        "observed_at": start.observed_at,
    }
    # A snapshot has the date of its reading in the provider's calendar.
    snapshot_date = start.observed_at.astimezone(provider.timezone).date()
    ensure_month(analytics, snapshot_date)
    with analytics.transaction():
        analytics.execute(_LOCK, [job.integration.id])
        status = _status(analytics, common, provider, job, reading)
        ended = ledger.ended_days(analytics, job, reading.window.days)
        writable = [day for day in reading.window.days if day == job.date or day in ended]
        metric_rows = _store_metrics(analytics, common, job, _metric_rows(start, provider, reading, writable))
        content_rows = _store_content(
            analytics, common | {"snapshot_date": snapshot_date}, reading.content, postiz_posts
        )
        earlier = ended.keys() - {job.date}
        brought_in = [day for day in earlier if reading.days[day] is DayStatus.SUCCEEDED]
        # Mostly there is nothing to recover or to fill: then Postgres is not asked.
        if recovered := [day for day in brought_in if not ended[day].status.has_figures]:
            ledger.recover(analytics, start, recovered, reading.reason if reading.missing else None)
        lacked = [day for day in brought_in if ended[day].status.has_figures and ended[day].reason]
        if lacked and not reading.missing:
            ledger.fill(analytics, start, lacked)
        if withdrawn := [day for day in earlier if reading.days[day] is DayStatus.PENDING]:
            ledger.withdraw(analytics, start, withdrawn)
        if doubtful := _doubtful_days(reading, snapshot_date):
            ledger.doubt(analytics, start, doubtful)
        ledger.finish(
            analytics,
            start,
            status,
            http_calls=http_calls,
            metric_rows=metric_rows,
            content_rows=content_rows,
            reason=reading.reason,
        )
        unsupported.record(analytics, provider.name, reading.unsupported, start.observed_at)
    return Stored(status, metric_rows, content_rows)


def store_past(
    analytics: Database,
    job: IngestJob,
    reading: Reading,
    *,
    observed_at: datetime,
    dag_run_id: str,
    map_index: int | None,
    account_id: str,
    lookback_days: int,
    post_window_days: int,
) -> int:
    """Store a channel's days before it was connected, in one short transaction of their own.

    The past begins with the first day that has a figure other than 0: before that the channel may not have
    existed. A day that has a job, and a figure that is stored, stay as they are. Metrics that the reading
    does not have are null. ``posts_published`` is counted from the posts that the day's own reading stored.

    :param job: the day's job; its posts are stored.
    :param reading: of a window before the day (:meth:`Window.of_past`).
    :param observed_at: the database's clock before the first request.
    :param lookback_days: of the day's own reading. So many days may still be published.
    :param post_window_days: of the day's own reading.
    :returns: how many days were stored.
    """
    provider = provider_named(job.integration.provider)
    common: dict[str, Any] = {
        "integration_id": job.integration.id,
        "organization_id": job.integration.organization_id,
        "provider": provider.name,
        "observed_at": observed_at,
    }
    known = [on for on in reading.window.days if reading.days[on] is DayStatus.SUCCEEDED]
    alive = [on for on in known if any(days.get(on) for days in reading.series.values())]
    late = [
        on
        for on, status in reading.days.items()
        if status is DayStatus.PENDING and on >= job.date - timedelta(days=lookback_days)
    ]
    with analytics.transaction():
        analytics.execute(_LOCK, [job.integration.id])
        days = ledger.add_past(
            analytics,
            job,
            [on for on in known if alive and on >= alive[0]],
            dag_run_id=dag_run_id,
            map_index=map_index,
            account_id=account_id,
            metric_rows=len(provider.metrics),
            reason=reading.reason,
            observed_at=observed_at,
        )
        posts = _counted_posts(analytics, common, job, provider, post_window_days)
        rows = [
            _MetricRow(
                metric,
                source,
                on,
                posts.get(on) if metric == "posts_published" else reading.series.get(metric, {}).get(on),
                _Effect.KEEP_FIRST,
            )
            for metric, source in provider.metrics.items()
            for on in sorted(days)
        ]
        _store_metrics(analytics, common, job, rows)
        integrations.history_is_read(
            analytics, job.integration.id, min(days, default=None), is_complete=not late
        )
    return len(days)


def _counted_posts(
    analytics: Database, common: dict[str, Any], job: IngestJob, provider: Provider, window_days: int
) -> dict[date, Decimal]:
    """How many posts were published on each day of the window before the job's; empty if it is not known."""
    counted = dict(
        analytics.execute(
            _COUNTED_POSTS,
            common
            | {
                "timezone": provider.timezone.key,
                "uncounted": list(provider.uncounted_kinds),
                "day": job.date,
            },
        ).fetchall()
    )
    if not counted:
        return {}
    days = (job.date - timedelta(days=n) for n in range(1, window_days))
    return {day: Decimal(counted.get(day, 0)) for day in days}


def _status(
    analytics: Database, common: dict[str, Any], provider: Provider, job: IngestJob, reading: Reading
) -> DayStatus:
    """The job's status. Only the stored figures tell whether an account without an answer has no data."""
    if reading.status is not DayStatus.NO_DATA:
        return reading.status
    # Posts are counted here, and values as of now are known of every account: neither is a sign of figures.
    signs = set(provider.metrics) - {"posts_published", *reading.now}
    row = analytics.execute(_HAS_FIGURES, common | {"metrics": list(signs), "day": job.date}).fetchone()
    return DayStatus.PENDING if row and row[0] else DayStatus.NO_DATA


def _doubtful_days(reading: Reading, today: date) -> list[date]:
    """The days that cannot be without data, because the reading has figures of the 28 days before them."""
    series = [days for metric, days in reading.series.items() if metric != "posts_published"]
    answered = {day for days in series for day, value in days.items() if value is not None}
    later = {day + timedelta(days=n) for day in answered for n in range(1, 29)}
    return sorted(day for day in later - answered - {reading.window.day} if day < today)


def _metric_rows(
    start: ledger.Start, provider: Provider, reading: Reading, days: Sequence[date]
) -> list[_MetricRow]:
    """What a reading stores about ``days``, by the table in :class:`Reading`."""
    rows = []
    job_day = start.job.date
    on_time = is_on_time(job_day, provider.timezone, start.observed_at)
    for metric, source in provider.metrics.items():
        series = reading.series.get(metric)
        for day in days:
            value: Decimal | None = None
            effect: _Effect | None = None
            is_unread = series is None or (metric, day) in reading.unread
            if day == job_day and on_time and (now := reading.now.get(metric)) is not None:
                value, effect = now, _Effect.KEEP_FIRST
            elif series is not None and day in series:
                value, effect = series[day], _Effect.KEEP_FIRST if is_unread else _Effect.REPLACE
            elif reading.days[day] is DayStatus.SUCCEEDED:
                effect = _Effect.ADD if is_unread else _Effect.REPLACE
            elif not is_unread:
                effect = _Effect.CLEAR
            if effect is not None:
                rows.append(_MetricRow(metric, source, day, value, effect))
    return rows


def _store_metrics(
    analytics: Database, common: dict[str, Any], job: IngestJob, rows: Sequence[_MetricRow]
) -> int:
    """Returns how many rows were written, without added nulls: the same number each time it is stored."""
    said = 0
    for effect in _Effect:
        chosen = [row for row in rows if row.effect is effect]
        if not chosen:
            continue
        written = analytics.execute(
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
            said += written.rowcount
    return said


def _store_content(
    analytics: Database,
    common: dict[str, Any],
    content: Sequence[Content],
    postiz_posts: Mapping[str, str],
) -> int:
    if not content:
        return 0
    origins = _origins(content, postiz_posts)
    written = analytics.execute(
        _CONTENT,
        common
        | {
            "content_ids": [one.content_id for one in content],
            "published_at": [one.published_at for one in content],
            "kinds": [one.kind for one in content],
            "messages": [one.message for one in content],
            "permalinks": [one.permalink for one in content],
            "postiz_post_ids": [origins.get(one.content_id) for one in content],
            "totals": [_json(one.metrics) if one.metrics else None for one in content],
        },
    )
    rows = written.rowcount
    if shared := {
        postiz_posts[name]
        for one in content
        for name in one.also_known_as
        if name in postiz_posts and postiz_posts[name] != postiz_posts.get(one.content_id)
    }:
        own_ids = [one.content_id for one in content if one.content_id in postiz_posts]
        analytics.execute(_TAKE_BACK, common | {"shared": sorted(shared), "own_ids": own_ids})
    snapshots = [(one.content_id, metric, value) for one in content for metric, value in one.metrics.items()]
    analytics.execute(
        _SNAPSHOTS,
        common
        | {
            "content_ids": [content_id for content_id, _, _ in snapshots],
            "metrics": [metric for _, metric, _ in snapshots],
            "values": [value for _, _, value in snapshots],
        },
    )
    return rows


def _json(metrics: Mapping[str, Decimal | None]) -> str:
    """The metrics as a JSON object. Numbers stay exact."""
    members = (f'"{name}": {"null" if value is None else f"{value:f}"}' for name, value in metrics.items())
    return f"{{{', '.join(members)}}}"


def _origins(content: Sequence[Content], postiz_posts: Mapping[str, str]) -> dict[str, str]:
    """Content id -> id of the Postiz post that it was published from.

    A content's own id comes before its other ids. Of several with the same other id, the earliest has it.
    """
    origins = {
        one.content_id: postiz_posts[one.content_id] for one in content if one.content_id in postiz_posts
    }
    given = set(origins.values())
    for one in sorted(content, key=lambda one: (one.published_at, one.content_id)):
        for name in one.also_known_as:
            post_id = postiz_posts.get(name)
            if post_id is not None and one.content_id not in origins and post_id not in given:
                origins[one.content_id] = post_id
                given.add(post_id)
    return origins
