"""The past of new channels: real databases, and real HTTP to the stand-in for the API."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from threading import Event, current_thread, main_thread
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.execution_time.context import set_current_context
from psycopg.rows import dict_row

from include.sandbox.postgres import EmbeddedPostgres
from include.sandbox.postiz_db import insert_customer, insert_integration
from include.social_analytics.connectors import lookback_days
from include.social_analytics.connectors.base import Account, Connector, Reader
from include.social_analytics.connectors.facebook import PROVIDER
from include.social_analytics.connectors.reading import DayStatus, Reading
from include.social_analytics.dag_ids import LIST_TASK
from include.social_analytics.databases import Database
from include.social_analytics.days import label_of
from include.social_analytics.erasure import erase_deleted
from include.social_analytics.errors import ErrorCode, JobError
from include.social_analytics.history import read_history
from include.social_analytics.ingest import Ingester
from include.social_analytics.listing import list_active
from include.social_analytics.runs import Run
from include.social_analytics.tasks.aggregate import analytics_aggregate
from include.social_analytics.warehouse import complete_days, ledger
from include.social_analytics.warehouse.aggregate import aggregate_day
from tests.support.bench import DAY, SETTINGS, Bench

RUN = Run("run", DAY, is_backfill=False, organization_id=None, integration_ids=None, is_scheduled=True)
#: The past of a channel that is first read for ``DAY``.
PAST = [DAY - timedelta(days=n) for n in range(89, 0, -1)]
SERIES = {name: source for name, source in PROVIDER.metrics.items() if name != "posts_published"}


def rows(bench: Bench, query: str, *parameters: object) -> list[dict[str, Any]]:
    with bench.analytics.connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query, parameters).fetchall()


def read_day(bench: Bench, run: Run = RUN) -> None:
    """List and ingest a run's day, without the past."""
    list_active(Database("postiz_db", bench.postiz), bench.analytics, run, SETTINGS)
    jobs = run.jobs(job.integration for job in bench.jobs)
    claim = ledger.Claim(run.run_id, 1)
    ledger.claim(bench.analytics, jobs, claim, force=True)
    bench.ingester.ingest(jobs, claim)


def first_run(bench: Bench, run: Run = RUN, **settings: object) -> None:
    """List and ingest a run's day, and then the past."""
    read_day(bench, run)
    ingester = replace(bench.ingester, settings=SETTINGS.model_copy(update=settings))
    read_history(ingester, run, 0)


def past_days(bench: Bench) -> list[date]:
    return [
        row["date"]
        for row in rows(
            bench, "SELECT DISTINCT date FROM analytics.ingest_job WHERE date < %s ORDER BY 1", DAY
        )
    ]


@pytest.mark.parametrize("bench", [1], indirect=True)
def test_the_first_reading_of_a_channel_brings_all_that_the_provider_still_has(bench):
    read_day(bench)
    calls = bench.calls
    read_history(bench.ingester, RUN, 3)
    assert bench.calls - calls == 1
    [job] = bench.jobs
    stored = rows(
        bench,
        "SELECT job_id, date, status, is_backfill, dag_run_id, map_index, attempts, started_at"
        " FROM analytics.ingest_job WHERE date < %s ORDER BY date",
        DAY,
    )
    assert stored == [
        {
            "job_id": job.on(day).job_id,
            "date": day,
            "status": "succeeded",
            "is_backfill": True,
            "dag_run_id": "run",
            "map_index": 3,
            "attempts": 0,
            "started_at": None,
        }
        for day in PAST
    ]
    figures = rows(bench, "SELECT * FROM analytics.integration_metric_daily WHERE date < %s", DAY)
    assert len(figures) == len(PAST) * len(PROVIDER.metrics)
    assert {(row["metric"], row["date"]): row["value"] for row in figures if row["metric"] in SERIES} == {
        (name, day): bench.world.page_value(job.integration.id, source, day)
        for name, source in SERIES.items()
        for day in PAST
    }
    assert {row["job_id"] for row in figures} == {job.on(day).job_id for day in PAST}


@pytest.mark.parametrize("bench", [1], indirect=True)
def test_the_past_counts_for_the_customer_that_the_channel_has_when_it_is_read(bench):
    [job] = bench.jobs
    insert_customer(bench.postiz, "c1", job.integration.organization_id)
    bench.postiz.execute('UPDATE "Integration" SET "customerId" = %s', ["c1"])
    first_run(bench)
    found = rows(bench, "SELECT customer_id, count(*) AS days FROM analytics.ingest_job GROUP BY 1")
    assert found == [{"customer_id": "c1", "days": len(PAST) + 1}]


@pytest.mark.parametrize("bench", [1], indirect=True)
def test_posts_are_counted_as_far_back_as_the_days_own_listing_reaches(bench):
    first_run(bench)
    [job] = bench.jobs
    query = "SELECT date, value FROM analytics.integration_metric_daily WHERE metric = 'posts_published'"
    counted = {row["date"]: row["value"] for row in rows(bench, query)}
    for day in [*PAST, DAY]:
        posts = len(bench.world.posts(job.integration.id, day, day))
        assert counted[day] == (posts if day > DAY - timedelta(days=28) else None), day
    assert sum(filter(None, counted.values())) > 3


@pytest.mark.parametrize("bench", [1], indirect=True)
def test_posts_of_the_past_are_not_counted_when_the_listing_lacks_something(bench):
    bench.fault(0, "posts_down")
    first_run(bench)
    query = "SELECT DISTINCT value FROM analytics.integration_metric_daily WHERE metric = 'posts_published'"
    assert rows(bench, query) == [{"value": None}]


def test_past_days_have_the_channels_customer(bench):
    insert_customer(bench.postiz, "shops", "acme")
    bench.postiz.execute("""UPDATE "Integration" SET "customerId" = 'shops'""")
    first_run(bench)
    customers = rows(bench, "SELECT DISTINCT customer_id FROM analytics.ingest_job WHERE date < %s", DAY)
    assert customers == [{"customer_id": "shops"}]


def test_the_past_is_read_once(bench):
    first_run(bench)
    calls = bench.calls
    read_history(bench.ingester, replace(RUN, run_id="again"), 0)
    assert bench.calls == calls
    [row] = rows(
        bench, "SELECT DISTINCT history_tries, history_read_at IS NULL AS due FROM analytics.integration"
    )
    assert row == {"history_tries": 1, "due": False}


def test_a_channel_that_was_there_before_gets_its_past_without_a_change_to_its_days(bench):
    before = DAY - timedelta(days=5)
    for day in (before, before + timedelta(days=1)):
        read_day(bench, replace(RUN, run_id=f"run {day}", day=day))
    bench.fault(0, "token_revoked")
    with pytest.raises(JobError):
        read_day(bench, replace(RUN, run_id="failed", day=before + timedelta(days=2)))
    bench.world.faults.clear(bench.jobs[0].integration.id)
    mine = "SELECT * FROM analytics.ingest_job WHERE NOT is_backfill AND date < %s ORDER BY job_id"
    jobs = rows(bench, mine, DAY)
    assert len(jobs) == 9
    figures = "SELECT * FROM analytics.integration_metric_daily WHERE date <= %s ORDER BY job_id, metric"
    kept = rows(bench, figures, before + timedelta(days=1))
    read_day(bench)
    recovered = rows(bench, mine, DAY)
    read_history(bench.ingester, RUN, 0)
    assert rows(bench, mine, DAY) == recovered
    assert past_days(bench) == PAST
    assert [row for row in rows(bench, figures, before + timedelta(days=1)) if row["date"] >= before] == kept


def test_a_channel_with_a_job_on_every_day_costs_no_call(bench):
    read_day(bench)
    for job in bench.jobs:
        ledger.register(bench.analytics, [job.on(day) for day in PAST], "earlier")
    calls = bench.calls
    read_history(bench.ingester, RUN, 0)
    assert bench.calls == calls
    assert rows(bench, "SELECT FROM analytics.integration WHERE history_read_at IS NULL") == []


@pytest.mark.parametrize(
    ("run", "days"),
    [
        (RUN, 0),
        (replace(RUN, is_backfill=True), 90),
        (replace(RUN, organization_id="acme"), 90),
        (replace(RUN, day=DAY - timedelta(days=1)), 90),
    ],
    ids=["switched off", "backfill", "narrow", "earlier day"],
)
def test_a_run_that_is_not_the_daily_one_reads_no_past(bench, run, days):
    first_run(bench, run, history_days=days)
    assert {row["date"] for row in rows(bench, "SELECT date FROM analytics.ingest_job")} == {run.day}
    assert rows(bench, "SELECT FROM analytics.integration WHERE history_tries > 0") == []


def test_a_shorter_history_can_be_set(bench):
    first_run(bench, history_days=7)
    assert past_days(bench) == PAST[-7:]


def test_a_past_that_fails_costs_nobody_the_day_and_is_asked_for_by_the_next_days_run(bench):
    read_day(bench)
    bench.fault(0, "down")
    read_history(bench.ingester, RUN, 0)
    assert bench.states() == [("succeeded", None, 1)] * 3
    due = "SELECT integration_id, history_tries FROM analytics.integration WHERE history_read_at IS NULL"
    failed = {"integration_id": bench.jobs[0].integration.id, "history_tries": 1}
    assert rows(bench, due) == [failed]

    bench.world.faults.clear(bench.jobs[0].integration.id)
    read_history(bench.ingester, RUN, 0)
    assert rows(bench, due) == [failed]
    bench.analytics.execute("UPDATE analytics.integration SET history_asked_on = history_asked_on - 1")
    read_history(bench.ingester, RUN, 0)
    assert rows(bench, due) == []


def test_a_past_that_always_fails_is_asked_for_seven_times(bench):
    read_day(bench)
    bench.fault(0, "down")
    asked = []
    for _ in range(9):
        calls = bench.calls
        read_history(bench.ingester, RUN, 0)
        asked.append(bench.calls > calls)
        bench.analytics.execute("UPDATE analytics.integration SET history_asked_on = history_asked_on - 1")
    assert asked == [True] * 7 + [False] * 2


def test_a_spent_quota_leaves_the_past_for_the_next_days_run_and_counts_no_try(bench, monkeypatch):
    monkeypatch.setattr("include.social_analytics.history.CHANNELS_AT_ONCE", 1)
    read_day(bench)
    for number in range(3):
        bench.fault(number, "app_throttled", minutes=30)
    calls = bench.calls
    read_history(bench.ingester, RUN, 0)
    assert bench.calls == calls + 1
    assert bench.states() == [("succeeded", None, 1)] * 3
    assert {row["history_tries"] for row in rows(bench, "SELECT * FROM analytics.integration")} == {0}


@pytest.mark.parametrize("bench", [30], indirect=True)
def test_a_run_that_finds_many_new_channels_spends_no_quota_that_a_day_needs(bench):
    bench.world.app_quota = 75
    first_run(bench)
    assert bench.states() == [("succeeded", None, 1)] * 30
    done = rows(bench, "SELECT DISTINCT integration_id FROM analytics.ingest_job WHERE date < %s", DAY)
    assert 10 <= len(done) < 30
    due = rows(bench, "SELECT history_tries FROM analytics.integration WHERE history_read_at IS NULL")
    assert due == [{"history_tries": 0}] * (30 - len(done))


def test_the_past_waits_until_every_channel_of_the_run_has_its_day(bench):
    list_active(Database("postiz_db", bench.postiz), bench.analytics, RUN, SETTINGS)
    claim = ledger.Claim(RUN.run_id, 1)
    for number, job in enumerate(bench.jobs):
        ledger.claim(bench.analytics, [job], claim, force=True)
        bench.ingester.ingest([job], claim)
        read_history(bench.ingester, RUN, number)
        assert bool(past_days(bench)) == (number == 2)
    query = "SELECT DISTINCT integration_id FROM analytics.ingest_job WHERE date < %s"
    assert len(rows(bench, query, DAY)) == 3


def test_a_provider_that_hangs_keeps_the_days_figures_waiting_no_longer_than_allowed(bench, monkeypatch):
    monkeypatch.setattr("include.social_analytics.history.LONGEST", 0.5)
    monkeypatch.setattr("include.social_analytics.history.CONCURRENCY", 1)
    answers, answered = Event(), []

    def hang(reading: Reading) -> Reading:
        answers.wait(20)
        answered.append(reading)
        return reading

    read_day(bench)
    read_history(with_past(bench, hang), RUN, 0)
    assert answered == []
    answers.set()
    assert past_days(bench) == []
    # Only the one that was asked for has used a try.
    tries = rows(bench, "SELECT history_tries FROM analytics.integration ORDER BY 1")
    assert [row["history_tries"] for row in tries] == [0, 0, 1]


def test_the_past_waits_for_another_run_of_the_day(bench):
    read_day(bench)
    first, *_ = bench.jobs
    other = ledger.Claim("other", 1)
    ledger.claim(bench.analytics, [first], other, force=True)
    read_history(bench.ingester, RUN, 0)
    assert past_days(bench) == []
    bench.ingester.ingest([first], other)
    read_history(bench.ingester, replace(RUN, run_id="other"), 0)
    assert past_days(bench) == PAST


def test_a_channel_whose_day_failed_gets_no_past_yet(bench):
    bench.fault(0, "token_revoked")
    with pytest.raises(JobError):
        read_day(bench)
    calls = bench.calls
    read_history(bench.ingester, RUN, 0)
    assert bench.calls == calls + 2


@dataclass
class Changed:
    """The connector, whose readings a function changes."""

    connector: Connector
    change: Callable[[Reading], Reading]

    def reader(self, account: Account) -> Reader:
        reader = self.connector.reader(account)
        read = reader.read
        reader.read = lambda window: self.change(read(window))
        return reader


def with_past(bench: Bench, change: Callable[[Reading], Reading]) -> Ingester:
    """The bench's ingester, on an API that answers differently."""
    changed = Changed(bench.connector, change)
    return replace(bench.ingester, connector=lambda _: changed)


@pytest.mark.parametrize("bench", [1], indirect=True)
def test_zeros_from_before_the_channel_existed_are_left_out(bench):
    born, quiet = DAY - timedelta(days=40), DAY - timedelta(days=20)

    def change(reading: Reading) -> Reading:
        series = {
            name: {day: Decimal(0) if day < born or day == quiet else value for day, value in days.items()}
            for name, days in reading.series.items()
        }
        return replace(reading, series=series)

    read_day(bench)
    read_history(with_past(bench, change), RUN, 0)
    assert past_days(bench) == [day for day in PAST if day >= born]
    assert rows(bench, "SELECT FROM analytics.integration WHERE history_read_at IS NULL") == []


def without(missing: date) -> Callable[[Reading], Reading]:
    """An answer that leaves out a day."""

    def change(reading: Reading) -> Reading:
        return replace(
            reading,
            days=dict(reading.days) | {missing: DayStatus.PENDING},
            series={
                name: {day: value for day, value in days.items() if day != missing}
                for name, days in reading.series.items()
            },
        )

    return change


@pytest.mark.parametrize("bench", [1], indirect=True)
def test_an_old_day_that_the_provider_does_not_have_has_no_job(bench):
    hole = DAY - timedelta(days=30)
    read_day(bench)
    read_history(with_past(bench, without(hole)), RUN, 0)
    assert past_days(bench) == [day for day in PAST if day != hole]
    assert rows(bench, "SELECT FROM analytics.integration WHERE history_read_at IS NULL") == []


@pytest.mark.parametrize("bench", [1], indirect=True)
def test_a_past_day_that_is_not_published_yet_is_brought_in_by_the_next_days_run(bench):
    read_day(bench)
    read_history(with_past(bench, without(PAST[-1])), RUN, 0)
    assert past_days(bench) == PAST[:-1]
    bench.analytics.execute("UPDATE analytics.integration SET history_asked_on = history_asked_on - 1")
    read_history(bench.ingester, RUN, 0)
    assert past_days(bench) == PAST
    assert rows(bench, "SELECT FROM analytics.integration WHERE history_read_at IS NULL") == []


def test_a_connector_is_made_in_the_tasks_own_thread(bench):
    # It looks up Airflow connections, over one socket.
    read_day(bench)
    threads = set()

    def connector(_: str) -> Connector:
        threads.add(current_thread())
        return bench.connector

    read_history(replace(bench.ingester, connector=connector), RUN, 0)
    assert threads == {main_thread()}
    assert past_days(bench) == PAST


def test_a_connection_that_cannot_be_used_costs_only_the_past(bench):
    read_day(bench)

    def connector(_: str) -> Connector:
        raise JobError(ErrorCode.CONFIG_INVALID, "The connection is wrong.")

    read_history(replace(bench.ingester, connector=connector), RUN, 0)
    assert past_days(bench) == []
    assert rows(bench, "SELECT DISTINCT history_tries FROM analytics.integration") == [{"history_tries": 1}]


@pytest.mark.parametrize("bench", [1], indirect=True)
def test_the_days_of_a_past_say_what_they_lack(bench):
    def change(reading: Reading) -> Reading:
        series = {name: days for name, days in reading.series.items() if name != "views"}
        return replace(reading, series=series, missing=("The views could not be read: down.",))

    read_day(bench)
    read_history(with_past(bench, change), RUN, 0)
    reasons = rows(bench, "SELECT DISTINCT reason FROM analytics.ingest_job WHERE date < %s", DAY)
    assert reasons == [{"reason": "The views could not be read: down."}]
    views = (
        "SELECT DISTINCT value FROM analytics.integration_metric_daily WHERE metric = 'views' AND date < %s"
    )
    assert rows(bench, views, DAY) == [{"value": None}]


@pytest.mark.parametrize("bench", [1], indirect=True)
def test_a_day_that_another_run_reads_meanwhile_is_that_runs(bench):
    read_day(bench)
    other = bench.jobs[0].on(DAY - timedelta(days=9))
    read = bench.connector.reader

    def reader(account):
        ledger.register(bench.analytics, [other], "backfill")
        return read(account)

    connector = SimpleNamespace(reader=reader)
    read_history(replace(bench.ingester, connector=lambda _: connector), RUN, 0)
    [row] = rows(bench, "SELECT * FROM analytics.ingest_job WHERE job_id = %s", other.job_id)
    assert (row["status"], row["dag_run_id"]) == ("queued", "backfill")
    assert rows(bench, "SELECT FROM analytics.integration_metric_daily WHERE date = %s", other.date) == []
    assert past_days(bench) == PAST


@pytest.fixture
def aggregate(bench: Bench, postgres: EmbeddedPostgres, monkeypatch) -> Iterator[Any]:
    """A function that runs the task ``analytics_aggregate`` for the day."""
    database = bench.analytics.connection.info.dbname
    monkeypatch.setenv("AIRFLOW_CONN_ANALYTICS_DB", postgres.airflow_connection(database))

    def start() -> dict[str, int]:
        run = SimpleNamespace(
            run_id="run", run_type="scheduled", logical_date=label_of(DAY), run_after=label_of(DAY), conf={}
        )
        states = {"run": {LIST_TASK: "success"}}
        ti = SimpleNamespace(dag_id="dag", run_id="run", get_task_states=lambda **_: states)
        context: Any = {"dag_run": run, "params": {}, "ti": ti}
        with set_current_context(context):
            return analytics_aggregate()

    return start


def test_the_aggregate_has_the_past_of_the_channels_organizations_once(bench, aggregate):
    first_run(bench)
    day = PAST[0]
    bench.analytics.execute(
        "INSERT INTO analytics.organization_daily (organization_id, provider, metric, date, value,"
        " integrations_expected, integrations_reported, aggregated_at)"
        " VALUES ('other', 'facebook', 'views', %s, 7, 1, 1, now())",
        [day],
    )
    written = aggregate()
    assert sorted(written) == [str(one) for one in [*PAST, DAY]]
    query = "SELECT * FROM analytics.organization_daily WHERE date = %s AND metric = 'views' ORDER BY 1"
    acme, other = rows(bench, query, day)
    views = [bench.world.page_value(job.integration.id, SERIES["views"], day) for job in bench.jobs]
    assert (acme["value"], acme["integrations_reported"], acme["integrations_expected"]) == (sum(views), 3, 3)
    assert other["value"] == Decimal(7)
    assert sorted(aggregate()) == [str(one) for one in [*PAST[-lookback_days(SETTINGS) :], DAY]]


def test_the_past_of_one_organization_is_what_the_aggregate_of_all_would_be(bench, aggregate):
    first_run(bench)
    aggregate()
    query = (
        "SELECT organization_id, provider, metric, value FROM analytics.organization_daily WHERE date = %s"
    )
    once = rows(bench, query, PAST[5])
    aggregate_day(bench.analytics, PAST[5])
    assert sorted(map(str, rows(bench, query, PAST[5]))) == sorted(map(str, once))


def test_the_past_makes_no_day_missing_and_no_channel_expected_earlier(bench):
    read_day(bench)
    before = rows(bench, "SELECT expected_from FROM analytics.integration")
    assert complete_days.newest_complete_day(bench.analytics, "facebook", DAY) == DAY
    read_history(bench.ingester, RUN, 0)
    assert rows(bench, "SELECT expected_from FROM analytics.integration") == before
    assert complete_days.newest_complete_day(bench.analytics, "facebook", DAY) == DAY
    assert ledger.given_up(bench.analytics, [job.integration.id for job in bench.jobs], DAY) == {}


def test_a_past_that_cannot_be_stored_is_logged_and_costs_nothing(bench):
    read_day(bench)
    bench.analytics.execute(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'full'; END $$;"
        "CREATE TRIGGER refuse BEFORE INSERT ON analytics.ingest_job FOR EACH ROW EXECUTE FUNCTION refuse()"
    )
    read_history(bench.ingester, RUN, 0)
    assert bench.states() == [("succeeded", None, 1)] * 3
    assert past_days(bench) == []


def read_the_account_again(bench: Bench, run: Run, id_: str) -> None:
    """Connect the one account as ``id_`` in place of what it was, and list and ingest the run's day."""
    page = bench.world.pages[bench.jobs[0].integration.id]
    bench.postiz.execute(
        """UPDATE "Integration" SET "deletedAt" = now(), "internalId" = 'deleted_' || "id" """
    )
    insert_integration(bench.postiz, id_, "acme", page)
    list_active(Database("postiz_db", bench.postiz), bench.analytics, run, SETTINGS)
    jobs = run.jobs([replace(bench.jobs[0].integration, id=id_)])
    claim = ledger.Claim(run.run_id, 1)
    ledger.claim(bench.analytics, jobs, claim, force=True)
    bench.ingester.ingest(jobs, claim)


@pytest.mark.parametrize("bench", [1], indirect=True)
@pytest.mark.parametrize("account", ["known", "erased", "from before it was stored"])
def test_days_that_an_earlier_channel_of_the_account_may_have_are_not_counted_twice(bench, account):
    read = DAY - timedelta(days=40)
    read_the_account_again(bench, replace(RUN, run_id="first", day=read), "earlier")
    aggregate_day(bench.analytics, read)
    query = "SELECT value FROM analytics.organization_daily WHERE metric = 'views' AND date = %s"
    counted = rows(bench, query, read)
    if account == "erased":
        bench.postiz.execute("""UPDATE "Integration" SET "deletedAt" = now()""")
        bench.analytics.execute("UPDATE analytics.integration SET is_active = false")
        at_once = SETTINGS.model_copy(update={"erase_after_days": 0})
        erase_deleted(Database("postiz_db", bench.postiz), bench.analytics, at_once)
    elif account != "known":
        bench.analytics.execute("UPDATE analytics.ingest_job SET account_id = NULL")
    read_the_account_again(bench, replace(RUN, run_id="again"), "again")
    read_history(bench.ingester, replace(RUN, run_id="again"), 0)
    aggregate_day(bench.analytics, read)
    assert rows(bench, query, read) == counted
    # All other days are its past, also those before and after.
    days = "SELECT date FROM analytics.ingest_job WHERE integration_id = 'again' AND date < %s ORDER BY date"
    known = [day for day in PAST if day != read or account == "known"]
    assert [row["date"] for row in rows(bench, days, DAY)] == known
