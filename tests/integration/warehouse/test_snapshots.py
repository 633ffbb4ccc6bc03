"""Snapshots by month: made when written to, dropped when too old."""

from __future__ import annotations

from datetime import UTC, date, datetime
from threading import Barrier, Thread

import psycopg
import pytest
from psycopg.errors import LockNotAvailable

from include.social_analytics.warehouse.migrate import migrate
from include.social_analytics.warehouse.snapshots import drop_before, ensure_month

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


def test_a_month_takes_its_first_and_its_last_day(analytics):
    days = [date(2026, 11, 1), date(2026, 11, 30), date(2026, 12, 1), date(2026, 12, 31), date(2027, 1, 1)]
    for day in days:
        ensure_month(analytics, day)
        analytics.execute(INSERT, [day])
    assert months(analytics) == ["2026_11", "2026_12", "2027_01"]
    assert snapshot_dates(analytics) == days


def test_many_processes_that_need_a_new_month_at_once_make_it_once(analytics, postgres, analytics_database):
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


def test_a_new_month_waits_for_nobody_who_writes_to_another(analytics, postgres, analytics_database):
    ensure_month(analytics, date(2026, 11, 30))
    with psycopg.connect(postgres.dsn(analytics_database)) as other:
        other.execute(INSERT, [date(2026, 11, 30)])
        analytics.execute("SET lock_timeout = '1s'")
        ensure_month(analytics, date(2026, 12, 1))
    assert months(analytics) == ["2026_11", "2026_12"]


def test_months_before_those_to_keep_are_dropped_and_no_others(analytics):
    for month in (10, 11, 12):
        ensure_month(analytics, date(2025, month, 15))
        analytics.execute(INSERT, [date(2025, month, 15)])
    for month in (1, 2):
        ensure_month(analytics, date(2026, month, 1))
    # February has begun; the two full months before it are kept with it.
    assert drop_before(analytics, date(2026, 2, 28), 2) == [
        "content_metric_snapshot_2025_10",
        "content_metric_snapshot_2025_11",
    ]
    assert months(analytics) == ["2025_12", "2026_01", "2026_02"]
    assert snapshot_dates(analytics) == [date(2025, 12, 15)]
    assert drop_before(analytics, date(2026, 2, 28), 2) == []


def test_dropping_gives_way_to_who_reads_for_long(analytics, postgres, analytics_database):
    ensure_month(analytics, date(2025, 1, 1))
    with psycopg.connect(postgres.dsn(analytics_database)) as reader:
        reader.execute("SELECT count(*) FROM analytics.content_metric_snapshot")
        with pytest.raises(LockNotAvailable):
            drop_before(analytics, date(2026, 2, 1), 1)
    assert months(analytics) == ["2025_01"]


def test_snapshots_that_were_there_before_move_into_their_months(postgres):
    postgres.create_database("before_partitions")
    with psycopg.connect(postgres.dsn("before_partitions"), autocommit=True) as connection:
        migrate(connection)
        # As the first revision left it.
        connection.execute(
            "DROP TABLE analytics.content_metric_snapshot;"
            "CREATE TABLE analytics.content_metric_snapshot ("
            "  integration_id text NOT NULL, content_id text NOT NULL, metric text NOT NULL,"
            "  snapshot_date date NOT NULL, value numeric, observed_at timestamptz NOT NULL,"
            "  PRIMARY KEY (integration_id, content_id, metric, snapshot_date));"
            "UPDATE analytics.alembic_version SET version_num = '0001'"
        )
        days = [date(2025, 12, 31), date(2026, 1, 1), date(2026, 11, 24)]
        for day in days:
            connection.execute(INSERT, [day])
        migrate(connection)
        assert snapshot_dates(connection) == days
        assert months(connection) == ["2025_12", "2026_01", "2026_11"]
        # And goes on from there.
        ensure_month(connection, date(2026, 11, 25))
        connection.execute(INSERT, [date(2026, 11, 25)])
    postgres.drop_database("before_partitions")


def test_the_aggregate_task_drops_by_the_setting(analytics):
    from include.social_analytics.tasks import _drop_old_snapshots

    ensure_month(analytics, date(2020, 1, 1))
    ensure_month(analytics, datetime.now(UTC).date())
    _drop_old_snapshots(analytics, 1)
    assert len(months(analytics)) == 1
