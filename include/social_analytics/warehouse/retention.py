"""What is older than the months to keep, of every table but the snapshots (``snapshots.drop_older``)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from typing import LiteralString

from psycopg import sql

from include.social_analytics.databases import Database
from include.social_analytics.warehouse import ledger

# By the database's clock: a worker whose clock is wrong deletes nothing.
_FIRST_DAY_KEPT = """
SELECT (date_trunc('month', clock_timestamp() AT TIME ZONE 'UTC') - make_interval(months => %s))::date
"""

#: The tables with rows for a day. Each has an index on the date.
_OF_A_DAY = ("ingest_job", "integration_metric_daily", "organization_daily")

_OLDEST = """
SELECT least(
    (SELECT min(date) FROM analytics.ingest_job),
    (SELECT min(date) FROM analytics.integration_metric_daily),
    (SELECT min(date) FROM analytics.organization_daily)
)
"""

# The lock of the aggregate: it must not add up a day of which a half is deleted.
_LOCK_DAY = "SELECT pg_advisory_xact_lock(hashtextextended('social_analytics.day:' || %s, 0))"

#: Of every other table, the rows that are too old.
_OTHERS: Mapping[str, LiteralString] = {
    # A post that was read later has totals that are kept.
    "content": "published_at < %(first)s AND updated_at < %(first)s",
    "unsupported_metric": "last_seen_at < %(first)s",
    # While it has posts, they can be erased.
    "integration": """
        NOT is_active AND last_day < %(first)s AND NOT EXISTS (
            SELECT
            FROM analytics.content
            WHERE content.integration_id = integration.integration_id
              AND (published_at >= %(first)s OR updated_at >= %(first)s)
        )
    """,
    "organization": """
        NOT EXISTS (
            SELECT FROM analytics.integration
            WHERE integration.organization_id = organization.organization_id
              AND (is_active OR last_day >= %(first)s)
        )
    """,
}

# A deleted day is not a missing one.
_EXPECT_LATER = """
UPDATE analytics.integration
SET expected_from = greatest(expected_from, %(first)s), first_day = greatest(first_day, %(first)s)
WHERE expected_from < %(first)s OR first_day < %(first)s
"""


def first_day_kept(analytics: Database, months: int) -> date:
    """The first of the ``months`` full months before the current one."""
    row = analytics.execute(_FIRST_DAY_KEPT, [months]).fetchone()
    assert row is not None  # noqa: S101 - a SELECT without FROM has one row
    first: date = row[0]
    return first


def count_older(analytics: Database, first: date) -> dict[str, int]:
    """How many rows :func:`delete_older` would delete, by table."""
    conditions: dict[str, LiteralString] = {**dict.fromkeys(_OF_A_DAY, "date < %(first)s"), **_OTHERS}
    counts = {}
    for table, condition in conditions.items():
        row = analytics.execute(
            _on(table, "SELECT count(*) FROM {} WHERE ", condition), {"first": first}
        ).fetchone()
        counts[table] = row[0] if row else 0
    return counts


def delete_older(analytics: Database, first: date) -> dict[str, int]:
    """Delete what is older than ``first``; returns how many rows, by table.

    Day by day, the oldest first: whoever stops it loses one day's work. A day that a run is still reading
    stays.
    """
    deleted: Counter[str] = Counter()
    for day in _days_before(analytics, first):
        with analytics.transaction():
            analytics.execute(_LOCK_DAY, [day.isoformat()])
            if ledger.has_open_jobs(analytics, day):
                continue
            for table in _OF_A_DAY:
                deleted[table] += analytics.execute(
                    _on(table, "DELETE FROM {} WHERE ", "date = %s"), [day]
                ).rowcount
    with analytics.transaction():
        for table, condition in _OTHERS.items():
            deleted[table] = analytics.execute(
                _on(table, "DELETE FROM {} WHERE ", condition), {"first": first}
            ).rowcount
        analytics.execute(_EXPECT_LATER, {"first": first})
    return dict(deleted)


def _days_before(analytics: Database, first: date) -> Iterator[date]:
    row = analytics.execute(_OLDEST).fetchone()
    day = row[0] if row else None
    while day is not None and day < first:
        yield day
        day += timedelta(days=1)


def _on(table: str, statement: LiteralString, condition: LiteralString) -> sql.Composed:
    return sql.SQL(statement + condition).format(sql.Identifier("analytics", table))
