"""Faults during ingesting, each caused for real. Their marks make a table in the docs."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import Event

import psycopg
import pytest
from freezegun import freeze_time

from include.sandbox.faults import Faults
from include.sandbox.postgres import EmbeddedPostgres
from include.sandbox.stand_ins.facebook.world import Fault
from include.social_analytics.connectors.base import Account, Connector, Reader
from include.social_analytics.connectors.facebook.connector import connect_to
from include.social_analytics.connectors.reading import Reading, Window
from include.social_analytics.databases import Database
from include.social_analytics.errors import JobError
from include.social_analytics.ingest import Ingester
from tests.support.bench import DAY, SETTINGS, Bench, ingest


def rows(bench: Bench) -> list[tuple]:
    """Every stored figure, without timestamps."""
    return bench.analytics.execute(
        "SELECT integration_id, metric, date, value FROM analytics.integration_metric_daily"
        " UNION ALL SELECT integration_id || '/' || content_id, metric, snapshot_date, value"
        " FROM analytics.content_metric_snapshot ORDER BY 1, 2, 3"
    ).fetchall()


def all_stored_once(bench: Bench) -> None:
    """Each channel has its eight metrics of the day with the right views, and its job succeeded."""
    assert {status for status, _, _ in bench.states()} == {"succeeded"}
    stored = bench.analytics.execute(
        "SELECT integration_id, count(*), max(value) FILTER (WHERE metric = 'views')"
        " FROM analytics.integration_metric_daily WHERE date = %s GROUP BY 1 ORDER BY 1",
        [DAY],
    ).fetchall()
    assert stored == [
        (page_id, 8, bench.world.page_value(page_id, "page_media_view", DAY))
        for page_id in sorted(bench.world.pages)
    ]


def another(
    bench: Bench, postgres: EmbeddedPostgres, connector: Connector | None = None, **settings: float
) -> Ingester:
    """A second worker's ingester: the same world, but its own connections."""
    own = SETTINGS.model_copy(update=settings)
    postiz, analytics = (
        Database(conn_id, psycopg.connect(postgres.dsn(connection.info.dbname), autocommit=True))
        for conn_id, connection in (
            ("postiz_db", bench.postiz),
            ("analytics_db", bench.analytics.connection),
        )
    )
    chosen = connector or connect_to(bench.graph, own)
    return Ingester(postiz, analytics, lambda _: chosen, lambda _: None, own)


@pytest.mark.fault(
    "An error in the middle of a write", "That channel fails and stores nothing. The others are stored."
)
def test_a_failed_write_stores_nothing_of_its_channel(bench):
    bench.analytics.execute(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " IF new.integration_id = TG_ARGV[0] AND new.metric = 'posts_published'"
        " THEN RAISE check_violation; END IF; RETURN new; END $$"
    )
    bench.analytics.execute(
        "CREATE TRIGGER refuse BEFORE INSERT ON analytics.integration_metric_daily"
        f" FOR EACH ROW EXECUTE FUNCTION refuse('{bench.jobs[1].integration.id}')"
    )
    with pytest.raises(JobError, match="1 of 3 channels failed: 1 unexpected"):
        bench.ingest()
    assert [status for status, _, _ in bench.states()] == ["succeeded", "failed", "succeeded"]
    refused = bench.jobs[1].integration.id
    assert not [row for row in rows(bench) if row[0].startswith(refused)]

    bench.analytics.execute("DROP TRIGGER refuse ON analytics.integration_metric_daily")
    assert bench.ingest(redo_all=False) == {"succeeded": 3}
    all_stored_once(bench)


@pytest.mark.fault(
    "The connection to analytics_db breaks in the middle of a write", "The next try does what is left."
)
@pytest.mark.parametrize("bench", [20], indirect=True)
def test_after_a_lost_connection_the_next_try_reads_the_rest(bench, postgres):
    bench.ingest()
    bench.analytics.execute(
        "CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " IF new.integration_id = TG_ARGV[0] THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF;"
        " RETURN new; END $$"
    )
    bench.analytics.execute(
        "CREATE TRIGGER die BEFORE INSERT ON analytics.integration_metric_daily"
        f" FOR EACH ROW EXECUTE FUNCTION die('{bench.jobs[0].integration.id}')"
    )
    with pytest.raises(JobError, match="storage_unavailable"):
        bench.ingest()

    database = bench.analytics.connection.info.dbname
    with psycopg.connect(postgres.dsn(database), autocommit=True) as connection:
        connection.execute("DROP TRIGGER die ON analytics.integration_metric_daily")
        bench.use(connection)
        # The first ingest succeeded; its rows must not count for this one.
        assert bench.states()[0][0] == "running"
        assert bench.ingest(redo_all=False) == {"succeeded": 20}
        assert all(attempts >= 2 for _, _, attempts in bench.states())
        all_stored_once(bench)


@pytest.mark.fault("The API answers 500 to a third of the calls", "Everything is stored once.")
@pytest.mark.parametrize("bench", [9], indirect=True)
def test_answers_with_status_500_are_retried(bench):
    bench.world.faults.set(Faults.APP, Fault("down", every=3))
    for attempt in range(4):
        # A try can fail; a task has four.
        with suppress(JobError):
            bench.ingest(redo_all=attempt == 0)
    all_stored_once(bench)
    [calls] = bench.analytics.execute("SELECT sum(http_calls) FROM analytics.ingest_job").fetchone()
    assert calls > 2 * 9


@pytest.mark.fault(
    "The API hangs, or sends its answer too slowly", "The try ends in time. The next one stores."
)
@pytest.mark.parametrize("kind", ["hang", "drip"])
def test_a_hanging_api_ends_the_try_in_time(bench, postgres, kind):
    bench.fault(0, kind)
    worker = another(bench, postgres, request_timeout=0.2)
    with pytest.raises(JobError) as failure:
        ingest(worker, bench.jobs, "run")
    assert not failure.value.code.is_final
    assert [(status, code) for status, code, _ in bench.states()] == [
        ("failed", "network"), ("succeeded", None), ("succeeded", None),
    ]  # fmt: skip
    bench.world.faults.clear(bench.jobs[0].integration.id)
    assert bench.ingest(redo_all=False) == {"succeeded": 3}
    all_stored_once(bench)


@dataclass
class Slow:
    """A connector that reads, then holds the reading back until ``told`` is set."""

    connector: Connector
    has_read: Event
    told: Event

    def reader(self, account: Account) -> Reader:
        reader = self.connector.reader(account)
        read = reader.read

        def slowly(window: Window) -> Reading:
            reading = read(window)
            self.has_read.set()
            assert self.told.wait(30)
            return reading

        reader.read = slowly
        return reader


@pytest.mark.fault("A slow older reading ends after a newer one", "The newer reading stays.")
@pytest.mark.parametrize("bench", [1], indirect=True)
def test_an_older_reading_never_overwrites_a_newer_one(bench, postgres):
    slow = Slow(bench.connector, Event(), Event())
    worker = another(bench, postgres, slow)
    with ThreadPoolExecutor(1) as pool:
        older = pool.submit(ingest, worker, bench.jobs, "older")
        try:
            assert slow.has_read.wait(30)
            bench.ingest("newer")
            moments = "SELECT max(observed_at), min(observed_at) FROM analytics.integration_metric_daily"
            newer = bench.analytics.execute(moments).fetchone()
        finally:
            slow.told.set()
        older.result(30)
    assert bench.analytics.execute(moments).fetchone() == newer
    assert bench.states() == [("succeeded", None, 2)]
    run = bench.analytics.execute("SELECT dag_run_id, observed_at FROM analytics.ingest_job").fetchone()
    assert run == ("newer", newer[0])
    all_stored_once(bench)


@pytest.mark.fault("Two runs for the same day at once", "The tables are the same as after one run.")
@pytest.mark.parametrize("bench", [12], indirect=True)
def test_two_runs_of_one_day_store_what_one_run_stores(bench, postgres):
    bench.ingest("alone")
    once = rows(bench)
    workers = [another(bench, postgres) for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        runs = [
            pool.submit(ingest, worker, bench.jobs, f"run {number}") for number, worker in enumerate(workers)
        ]
        for run in runs:
            run.result(60)
    assert rows(bench) == once
    all_stored_once(bench)


@pytest.mark.fault(
    "A worker's clock is wrong by an hour", "Times come from the database's clock. The figures stay the same."
)
@pytest.mark.parametrize("hours", [-1, 1])
def test_a_workers_wrong_clock_changes_nothing(bench, postgres, hours):
    bench.ingest()
    once = rows(bench)
    worker = another(bench, postgres)
    before = bench.analytics.execute("SELECT clock_timestamp()").fetchone()
    with freeze_time(datetime.now(UTC) + timedelta(hours=hours), tick=True):
        ingest(worker, bench.jobs, "off")
    after = bench.analytics.execute("SELECT clock_timestamp()").fetchone()
    [first, last] = bench.analytics.execute(
        "SELECT min(observed_at), max(observed_at) FROM analytics.ingest_job"
    ).fetchone()
    assert before[0] < first <= last < after[0]
    assert rows(bench) == once
    all_stored_once(bench)
