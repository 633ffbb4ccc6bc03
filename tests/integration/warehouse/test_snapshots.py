"""Snapshots by month: a partition is made when it is needed, and dropped when it is too old."""

from __future__ import annotations

from datetime import date
from threading import Barrier, Thread

import psycopg

from include.social_analytics.databases import Database
from include.social_analytics.warehouse.snapshots import drop_older, ensure_month

INSERT = "INSERT INTO analytics.content_metric_snapshot VALUES ('i', 'c', 'views', %s, 1, now())"
MONTHS = """
SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
WHERE inhparent = 'analytics.content_metric_snapshot'::regclass ORDER BY 1
"""


def months(connection: psycopg.Connection) -> list[str]:
    return [name.removeprefix("content_metric_snapshot_") for (name,) in connection.execute(MONTHS)]


def snapshot_dates(connection: psycopg.Connection) -> list[date]:
    rows = connection.execute("SELECT snapshot_date FROM analytics.content_metric_snapshot ORDER BY 1")
    return [day for (day,) in rows]


def test_a_month_holds_its_first_and_its_last_day(analytics):
    days = [date(2026, 11, 1), date(2026, 11, 30), date(2026, 12, 1), date(2026, 12, 31), date(2027, 1, 1)]
    for day in days:
        ensure_month(analytics, day)
        analytics.execute(INSERT, [day])
    assert months(analytics) == ["2026_11", "2026_12", "2027_01"]
    assert snapshot_dates(analytics) == days


def test_many_processes_that_need_a_new_month_make_it_once(analytics, postgres, analytics_database):
    together, failures = Barrier(8), []

    def writer() -> None:
        with psycopg.connect(postgres.dsn(analytics_database), autocommit=True) as connection:
            together.wait()
            try:
                ensure_month(connection, date(2026, 11, 24))
            except psycopg.Error as error:
                failures.append(error)

    threads = [Thread(target=writer) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert months(analytics) == ["2026_11"]


def test_making_a_month_does_not_wait_for_writers_of_another(analytics, postgres, analytics_database):
    ensure_month(analytics, date(2026, 11, 30))
    with psycopg.connect(postgres.dsn(analytics_database)) as other:
        other.execute(INSERT, [date(2026, 11, 30)])
        analytics.execute("SET lock_timeout = '1s'")
        ensure_month(analytics, date(2026, 12, 1))
    assert months(analytics) == ["2026_11", "2026_12"]


def months_ago(connection: psycopg.Connection, number: int) -> date:
    """A day of that month."""
    [day] = connection.execute(
        "SELECT (clock_timestamp() AT TIME ZONE 'UTC' - make_interval(months => %s))::date", [number]
    ).fetchone()
    return day


def test_months_past_their_retention_are_dropped_and_no_others(analytics):
    days = [months_ago(analytics, number) for number in (14, 3, 2, 1, 0)]
    for day in days:
        ensure_month(analytics, day)
        analytics.execute(INSERT, [day])
    # The current month has begun; the two full months before it are kept with it.
    dropped = drop_older(Database("analytics_db", analytics), 2)
    assert dropped == [f"content_metric_snapshot_{day:%Y_%m}" for day in days[:2]]
    assert months(analytics) == [f"{day:%Y_%m}" for day in days[2:]]
    assert snapshot_dates(analytics) == days[2:]
    assert drop_older(Database("analytics_db", analytics), 2) == []


def test_dropping_gives_up_while_a_long_read_holds_the_table(analytics, postgres, analytics_database):
    ensure_month(analytics, date(2025, 1, 1))
    with psycopg.connect(postgres.dsn(analytics_database)) as reader:
        reader.execute("SELECT count(*) FROM analytics.content_metric_snapshot")
        assert drop_older(Database("analytics_db", analytics), 1) is None
    assert months(analytics) == ["2025_01"]
