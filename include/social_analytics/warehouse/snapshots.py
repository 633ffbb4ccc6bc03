"""The months of ``content_metric_snapshot``: each a partition, made when it is first written to."""

from __future__ import annotations

from datetime import date

from psycopg import errors, sql

from include.social_analytics.databases import Database, translated_errors

_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('social_analytics.snapshots', 0))"
# Not to_regclass(): in a transaction that waited for the lock, it does not see what was made meanwhile.
_IS_THERE = """
SELECT EXISTS (
    SELECT FROM pg_class WHERE relnamespace = 'analytics'::regnamespace AND relname = %s
)
"""

# Made beside the table and then attached, which waits for no reader or writer of the other months.
_CREATE = """
CREATE TABLE {month} (LIKE analytics.content_metric_snapshot INCLUDING ALL);
ALTER TABLE analytics.content_metric_snapshot ATTACH PARTITION {month} FOR VALUES FROM ({first}) TO ({end})
"""
# By the database's clock: no worker whose clock is ahead drops anything. Names sort as their months do.
_OLDER = """
SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
WHERE inhparent = 'analytics.content_metric_snapshot'::regclass
  AND relname COLLATE "C" < to_char(
      clock_timestamp() AT TIME ZONE 'UTC' - make_interval(months => %s), '"content_metric_snapshot_"YYYY_MM'
  )
ORDER BY relname COLLATE "C"
"""


def ensure_month(analytics: Database, day: date) -> None:
    """Make the partition that ``day``'s snapshots go to, if it is not there; costs a small query then.

    Safe when several processes call it at once.
    """
    month = f"content_metric_snapshot_{day:%Y_%m}"
    if _is_there(analytics, month):
        return
    with analytics.transaction():
        analytics.execute(_LOCK)
        if not _is_there(analytics, month):
            analytics.execute(
                sql.SQL(_CREATE).format(
                    month=sql.Identifier("analytics", month),
                    first=sql.Literal(day.replace(day=1)),
                    end=sql.Literal(date(day.year + day.month // 12, day.month % 12 + 1, 1)),
                )
            )


def drop_older(analytics: Database, months: int) -> list[str] | None:
    """Keep the current month and ``months`` full ones before it.

    :returns: the names of what was dropped; ``None`` when somebody reads it for five seconds.
    """
    connection = analytics.connection
    with translated_errors(analytics.conn_id):
        try:
            with connection.transaction():
                connection.execute(_LOCK)
                # All writers wait behind a lock that is waited for.
                connection.execute("SET LOCAL lock_timeout = '5s'")
                older = [name for (name,) in connection.execute(_OLDER, [months]).fetchall()]
                for name in older:
                    connection.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier("analytics", name)))
        except errors.LockNotAvailable:
            return None
    return older


def _is_there(analytics: Database, table: str) -> bool:
    row = analytics.execute(_IS_THERE, [table]).fetchone()
    return bool(row and row[0])
