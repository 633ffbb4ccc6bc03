"""The monthly partitions of ``content_metric_snapshot``. The first write to a month makes its partition."""

from __future__ import annotations

from datetime import date
from typing import LiteralString

from psycopg import errors, sql

from include.social_analytics.databases import Database, translated_errors

_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('social_analytics.snapshots', 0))"
_QUICK_CHECK = "SELECT to_regclass(%s) IS NOT NULL"
# Not to_regclass(): after waiting for the lock, it does not see a table that was made meanwhile.
_CHECK_AFTER_LOCK = """
SELECT EXISTS (
    SELECT FROM pg_class WHERE relnamespace = 'analytics'::regnamespace AND relname = %s
)
"""

# First create the table, then attach it: this does not wait for readers or writers of other months.
_CREATE = """
CREATE TABLE {month} (LIKE analytics.content_metric_snapshot INCLUDING ALL);
ALTER TABLE analytics.content_metric_snapshot ATTACH PARTITION {month} FOR VALUES FROM ({first}) TO ({end})
"""
# By the database's clock: a worker whose clock is wrong drops nothing. Names sort like their months.
_OLDER = """
SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
WHERE inhparent = 'analytics.content_metric_snapshot'::regclass
  AND relname COLLATE "C" < to_char(
      clock_timestamp() AT TIME ZONE 'UTC' - make_interval(months => %s), '"content_metric_snapshot_"YYYY_MM'
  )
ORDER BY relname COLLATE "C"
"""


def ensure_month(analytics: Database, day: date) -> None:
    """Make the partition for ``day``'s snapshots if it is missing. If it exists, this is one small query.

    Safe when several processes call it at once.
    """
    month = f"content_metric_snapshot_{day:%Y_%m}"
    if _holds(analytics, _QUICK_CHECK, f"analytics.{month}"):
        return
    with analytics.transaction():
        analytics.execute(_LOCK)
        if not _holds(analytics, _CHECK_AFTER_LOCK, month):
            analytics.execute(
                sql.SQL(_CREATE).format(
                    month=sql.Identifier("analytics", month),
                    first=sql.Literal(day.replace(day=1)),
                    end=sql.Literal(date(day.year + day.month // 12, day.month % 12 + 1, 1)),
                )
            )


def older(analytics: Database, months: int) -> list[str]:
    """The names of all partitions but the current month and the ``months`` full months before it."""
    return [name for (name,) in analytics.execute(_OLDER, [months])]


def drop_older(analytics: Database, months: int) -> list[str] | None:
    """Drop all partitions but the current month and the ``months`` full months before it.

    :returns: the names of the dropped partitions; ``None`` if they were in use for five seconds.
    """
    connection = analytics.connection
    with translated_errors(analytics.conn_id):
        try:
            with connection.transaction():
                connection.execute(_LOCK)
                # While this waits for its lock, all writers wait behind it.
                connection.execute("SET LOCAL lock_timeout = '5s'")
                names = older(analytics, months)
                for name in names:
                    connection.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier("analytics", name)))
        except errors.LockNotAvailable:
            return None
    return names


def _holds(analytics: Database, condition: LiteralString, table: str) -> bool:
    row = analytics.execute(condition, [table]).fetchone()
    return bool(row and row[0])
