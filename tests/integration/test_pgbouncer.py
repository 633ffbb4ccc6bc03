"""The databases behind a real pgbouncer in transaction mode: each transaction may get another backend."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime
from threading import Barrier

import psycopg
import pytest

from include.sandbox.postgres import EmbeddedPostgres
from include.social_analytics import alerts
from include.social_analytics.databases import open_analytics, open_analytics_to_read, open_postiz
from include.social_analytics.errors import ErrorCode, JobError
from include.social_analytics.ingest import Ingester
from tests.support.bench import SETTINGS, Bench, ingest
from tests.support.pgbouncer import PgBouncer, pgbouncer


@pytest.fixture(scope="module")
def pooler(postgres: EmbeddedPostgres) -> Iterator[PgBouncer]:
    """Two backends for each database."""
    with pgbouncer(postgres, pool_size=2) as server:
        yield server


@pytest.fixture
def empty(postgres: EmbeddedPostgres) -> Iterator[str]:
    """The name of an empty database."""
    name = f"test_{uuid.uuid4().hex}"
    postgres.create_database(name)
    yield name
    postgres.drop_database(name)


@pytest.mark.parametrize("bench", [60], indirect=True)
def test_sixty_channels_in_four_batches_are_stored(
    bench: Bench, pooler: PgBouncer, monkeypatch, postiz_database: str, analytics_database: str
):
    monkeypatch.setenv("AIRFLOW_CONN_POSTIZ_DB", pooler.airflow_connection(postiz_database))
    monkeypatch.setenv("AIRFLOW_CONN_ANALYTICS_DB", pooler.airflow_connection(analytics_database))

    def task(number: int) -> dict[str, int]:
        with open_postiz() as postiz, open_analytics() as analytics:
            worker = Ingester(postiz, analytics, lambda _: bench.connector, bench.masked.extend, SETTINGS)
            return ingest(worker, bench.jobs[number::4], "run")

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(task, range(4))) == [{"succeeded": 15}] * 4
    assert bench.states() == [("succeeded", None, 1)] * 60


def test_a_connection_to_postgres_itself_keeps_its_prepared_statements(
    postgres: EmbeddedPostgres, monkeypatch, analytics_database: str
):
    monkeypatch.setenv("AIRFLOW_CONN_ANALYTICS_DB", postgres.airflow_connection(analytics_database))
    with open_analytics() as analytics:
        for _ in range(10):
            analytics.execute("SELECT count(*) FROM analytics.ingest_job WHERE job_id = %s", ["one"])
        prepared = analytics.execute("SELECT statement FROM pg_prepared_statements").fetchall()
    assert ("SELECT count(*) FROM analytics.ingest_job WHERE job_id = $1",) in prepared


def test_migrating_with_a_pool_of_one_ends(postgres: EmbeddedPostgres, monkeypatch, empty: str):
    with pgbouncer(postgres, pool_size=1) as pooler:
        monkeypatch.setenv("AIRFLOW_CONN_ANALYTICS_DB", pooler.airflow_connection(empty))
        with open_analytics() as analytics:
            assert analytics.execute("SELECT count(*) FROM analytics.ingest_job").fetchone() == (0,)


def test_several_processes_can_migrate_at_once(pooler: PgBouncer, monkeypatch, empty: str):
    monkeypatch.setenv("AIRFLOW_CONN_ANALYTICS_DB", pooler.airflow_connection(empty))
    together = Barrier(4, timeout=30)

    def opened(_: int) -> tuple[int]:
        together.wait()
        with open_analytics() as analytics:
            return analytics.execute("SELECT count(*) FROM analytics.ingest_job").fetchone()

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(opened, range(4))) == [(0,)] * 4


def test_our_settings_hold_in_each_transaction_and_only_for_us(
    postgres: EmbeddedPostgres, pooler: PgBouncer, monkeypatch, empty: str
):
    with psycopg.connect(postgres.dsn("postgres"), autocommit=True) as superuser:
        superuser.execute(f"ALTER DATABASE {empty} SET datestyle TO 'German, DMY'")
        superuser.execute(f"ALTER DATABASE {empty} SET timezone TO 'Asia/Tokyo'")
        superuser.execute(f"ALTER DATABASE {empty} SET client_encoding TO 'LATIN1'")
    monkeypatch.setenv("AIRFLOW_CONN_POSTIZ_DB", pooler.airflow_connection(empty))
    ours = (
        "SELECT current_setting('DateStyle'), current_setting('TimeZone'), current_setting('client_encoding')"
    )
    with ExitStack() as stack:
        neighbours = [
            stack.enter_context(psycopg.connect(pooler.dsn(empty), prepare_threshold=None)) for _ in range(2)
        ]
        postiz = stack.enter_context(open_postiz())
        for _ in range(3):
            for neighbour in neighbours:
                assert neighbour.execute(ours).fetchone() == ("German, DMY", "Asia/Tokyo", "LATIN1")
                neighbour.commit()
                [date_style, zone, encoding] = postiz.execute(ours).fetchone()
                assert (date_style.split(",")[0], zone, encoding) == ("ISO", "UTC", "UTF8")
            # Both backends are in use, one by each.
            with neighbours[0].transaction(), postiz.transaction():
                pids = [one.execute("SELECT pg_backend_pid()").fetchone() for one in (neighbours[0], postiz)]
                assert pids[0] != pids[1]
                moment = postiz.execute("SELECT timestamptz '2026-11-20 12:00+00', '🍞'").fetchone()
                assert moment == (datetime(2026, 11, 20, 12, tzinfo=UTC), "🍞")


def test_the_pages_limits_end_with_its_transaction(
    postgres: EmbeddedPostgres, monkeypatch, analytics_database: str
):
    with pgbouncer(postgres, pool_size=1) as pooler:
        monkeypatch.setenv("AIRFLOW_CONN_ANALYTICS_DB", pooler.airflow_connection(analytics_database))
        with open_analytics_to_read() as page:
            assert page.execute("SHOW statement_timeout").fetchone() == {"statement_timeout": "10s"}
            assert page.execute("SHOW jit").fetchone() == {"jit": "off"}
            assert page.execute("SHOW transaction_read_only").fetchone() == {"transaction_read_only": "on"}
        with open_analytics() as analytics:
            assert analytics.execute("SHOW statement_timeout").fetchone() == ("0",)
            assert analytics.execute("SHOW jit").fetchone() == ("on",)
            analytics.execute("DELETE FROM analytics.alert")


def test_the_lock_of_an_alert_holds_and_ends(pooler: PgBouncer, monkeypatch, analytics_database: str):
    monkeypatch.setenv("AIRFLOW_CONN_ANALYTICS_DB", pooler.airflow_connection(analytics_database))
    locked = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted"
    try_lock = "SELECT pg_try_advisory_xact_lock(hashtextextended('social_analytics.alert', 0))"
    with open_analytics() as analytics, psycopg.connect(pooler.dsn(analytics_database)) as neighbour:
        with alerts.one_at_a_time(analytics):
            # In use until the lock has ended: without a transaction, by the backend that has the lock.
            assert neighbour.execute(try_lock).fetchone() == (False,)
        neighbour.commit()
        assert neighbour.execute(locked).fetchone() == (0,)


def test_what_pgbouncer_refuses_is_a_configuration_error_in_its_words(
    pooler: PgBouncer, monkeypatch, analytics_database: str
):
    connection = pooler.airflow_connection(analytics_database, options="-c statement_timeout=5s")
    monkeypatch.setenv("AIRFLOW_CONN_ANALYTICS_DB", connection)
    with pytest.raises(JobError, match="unsupported startup parameter") as refused, open_analytics():
        pass
    assert refused.value.code is ErrorCode.CONFIG_INVALID
