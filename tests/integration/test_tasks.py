"""The tasks' bodies, called with a context as Airflow gives them."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowRescheduleException
from airflow.sdk.execution_time.context import set_current_context

from include.sandbox.postgres import EmbeddedPostgres
from include.social_analytics import telemetry
from include.social_analytics.batches import Batch, deal_out
from include.social_analytics.connectors import providers
from include.social_analytics.dag_ids import AGGREGATE_TASK, INGEST_TASK, LIST_TASK
from include.social_analytics.days import day_ended_at, label_of
from include.social_analytics.errors import JobError
from include.social_analytics.tasks.check import check_coverage
from include.social_analytics.tasks.ingest import analytics_ingest
from include.social_analytics.warehouse import ledger
from tests.support.bench import DAY, Bench
from tests.support.notifiers import ARGUMENTS, OUTBOX, Outbox
from tests.support.readings import Warehouse, reading

RETRIES = 3


@pytest.fixture
def run() -> SimpleNamespace:
    """The day's scheduled run, as Airflow's context has it."""
    return SimpleNamespace(
        run_id="run",
        run_type="scheduled",
        logical_date=label_of(DAY),
        run_after=label_of(DAY),
        start_date=datetime.now(UTC),
        conf={},
    )


@pytest.fixture
def batch(bench: Bench, postgres: EmbeddedPostgres, monkeypatch) -> Batch:
    """All of the bench's channels in one batch, and the environment that the tasks read."""
    databases = {"POSTIZ_DB": bench.postiz, "ANALYTICS_DB": bench.analytics.connection}
    for variable, database in databases.items():
        monkeypatch.setenv(f"AIRFLOW_CONN_{variable}", postgres.airflow_connection(database.info.dbname))
    graph = {"conn_type": "http", "host": bench.graph.base_url}
    monkeypatch.setenv("AIRFLOW_CONN_FACEBOOK_GRAPH", json.dumps(graph))
    monkeypatch.setenv("SOCIAL_ANALYTICS_REQUEST_BACKOFF", "0")
    integrations = [job.integration for job in bench.jobs]
    [batch] = deal_out(integrations, len(integrations), most=1, at_once=1)
    return batch


@pytest.fixture
def ingest(batch: Batch, run: SimpleNamespace) -> Callable[..., dict[str, int]]:
    """A function that starts the mapped task once."""

    def start(try_number: int, *, max_tries: int = RETRIES, reschedules: int = 0) -> dict[str, int]:
        task = SimpleNamespace(retries=RETRIES)
        ti = SimpleNamespace(try_number=try_number, max_tries=max_tries, task=task, map_index=0)
        context: Any = {"dag_run": run, "params": {}, "ti": ti, "task_reschedule_count": reschedules}
        with set_current_context(context):
            return analytics_ingest(batch)

    return start


@pytest.fixture
def check(batch: Batch, run: SimpleNamespace) -> Callable[..., dict[str, Any]]:
    """A function that runs the check, with the ingest task in a given state."""

    def start(ingested: str = "success") -> dict[str, Any]:
        states = dict.fromkeys((LIST_TASK, AGGREGATE_TASK), "success") | {f"{INGEST_TASK}_0": ingested}
        ti = SimpleNamespace(
            dag_id="dag",
            run_id=run.run_id,
            try_number=1,
            max_tries=RETRIES,
            get_task_states=lambda **_: {run.run_id: states},
            xcom_pull=lambda **_: [batch],
        )
        context: Any = {"dag_run": run, "params": {}, "ti": ti}
        with set_current_context(context):
            return check_coverage()

    return start


@pytest.fixture
def sent(monkeypatch) -> dict[str, float]:
    """The metrics that the check sends, by name, with their latest values."""
    metrics: dict[str, float] = {}

    def send(name: str, value: float = 1, **_: object) -> None:
        metrics[name.removeprefix("social_analytics.")] = value

    for kind in ("gauge", "incr"):
        monkeypatch.setattr(telemetry.stats, kind, send)
    return metrics


def pending(bench: Bench, days_ago: int, channels: int) -> None:
    """Store an earlier day that some channels' provider has not published."""
    warehouse, day = Warehouse(bench.analytics, lambda: bench.analytics), DAY - timedelta(days_ago)
    for job in bench.jobs[:channels]:
        warehouse.store(job.on(day), reading({}, day=day))


def attempts(bench: Bench) -> list[int]:
    return [attempts for _, _, attempts in bench.states()]


@pytest.mark.parametrize("database", ["POSTIZ_DB", "ANALYTICS_DB"])
def test_a_clear_reads_everything_again_after_a_first_try_without_a_database(
    bench, ingest, monkeypatch, tmp_path, database
):
    assert ingest(1) == {"succeeded": 3}
    with monkeypatch.context() as down:
        down.setenv(f"AIRFLOW_CONN_{database}", json.dumps({"conn_type": "postgres", "host": str(tmp_path)}))
        with pytest.raises(JobError, match="storage_unavailable"):
            ingest(2, max_tries=1 + RETRIES)
    assert ingest(3, max_tries=1 + RETRIES) == {"succeeded": 3}
    assert attempts(bench) == [2, 2, 2]


def test_a_retry_does_what_is_left_and_a_clear_does_everything(bench, ingest):
    bench.fault(0, "down", times=3)
    with pytest.raises(JobError, match="api_unavailable"):
        ingest(1)
    assert ingest(2) == {"succeeded": 3}
    assert attempts(bench) == [2, 1, 1]
    bench.fault(0, "down", times=3)
    with pytest.raises(JobError, match="api_unavailable"):
        ingest(3, max_tries=2 + RETRIES)
    assert attempts(bench) == [3, 2, 2]
    assert ingest(4, max_tries=2 + RETRIES) == {"succeeded": 3}
    assert attempts(bench) == [4, 2, 2]


def test_a_run_recreated_with_the_same_id_reads_everything_again(bench, ingest):
    ingest(1)
    ingest(1)
    assert attempts(bench) == [2, 2, 2]


@pytest.mark.parametrize("max_tries", [RETRIES, 1 + RETRIES])
def test_a_start_after_a_wait_for_quota_does_what_is_left(bench, ingest, max_tries):
    bench.fault(0, "page_throttled", minutes=19, times=1)
    first_try = max_tries - RETRIES + 1
    with pytest.raises(AirflowRescheduleException):
        ingest(first_try, max_tries=max_tries)
    ingest(first_try, max_tries=max_tries, reschedules=1)
    assert attempts(bench) == [2, 1, 1]


def test_no_all_clear_is_sent_while_another_run_still_reads_the_day(bench, ingest, check, monkeypatch):
    notifier = {"class": OUTBOX.path, "arguments": ARGUMENTS}
    monkeypatch.setenv("SOCIAL_ANALYTICS_NOTIFIER", json.dumps(notifier))
    Outbox.sent.clear()
    bench.fault(0, "token_revoked")
    with pytest.raises(AirflowFailException):
        ingest(1)
    check("failed")
    ledger.claim(bench.analytics, bench.jobs, ledger.Claim("another", 1), force=True)
    check("failed")
    assert [subject.split(": ")[1] for subject, _ in Outbox.sent] == ["1 of 3 channels are missing"]


def test_a_cleared_task_without_postiz_is_not_excused_by_an_earlier_failure(
    bench, ingest, check, monkeypatch, tmp_path
):
    bench.fault(0, "token_revoked")
    with pytest.raises(AirflowFailException):
        ingest(1)
    assert check("failed")["failed"] == 1
    monkeypatch.setenv("AIRFLOW_CONN_POSTIZ_DB", json.dumps({"conn_type": "postgres", "host": str(tmp_path)}))
    for try_number in range(2, 2 + 1 + RETRIES):
        with pytest.raises(JobError, match="storage_unavailable"):
            ingest(try_number, max_tries=1 + RETRIES)
    with pytest.raises(AirflowFailException, match="3 channels failed"):
        check("failed")


def test_a_cleared_task_that_fails_before_it_can_claim_counts_as_unread_in_run_alert_and_gauge(
    bench, ingest, check, monkeypatch, tmp_path, sent
):
    notifier = {"class": OUTBOX.path, "arguments": ARGUMENTS}
    monkeypatch.setenv("SOCIAL_ANALYTICS_NOTIFIER", json.dumps(notifier))
    Outbox.sent.clear()
    assert ingest(1) == {"succeeded": 3}
    assert check()["coverage"] == sent["coverage"] == 1
    with monkeypatch.context() as down:
        nowhere = json.dumps({"conn_type": "postgres", "host": str(tmp_path)})
        down.setenv("AIRFLOW_CONN_ANALYTICS_DB", nowhere)
        with pytest.raises(JobError, match="storage_unavailable"):
            ingest(2, max_tries=1 + RETRIES)
    with pytest.raises(AirflowFailException, match=r"3 jobs never ended.*Coverage 0% is under"):
        check("failed")
    assert sent["coverage"] == 0
    [(_, text)] = Outbox.sent
    assert text.startswith("Coverage 0%. The run is red.")


def test_a_run_whose_days_are_all_pending_is_green_and_its_day_is_not_complete(bench, ingest, check, sent):
    for number in range(3):
        bench.fault(number, "not_published")
    assert ingest(1) == {"pending": 3}
    assert check() == {"coverage": 1.0, "jobs": 3, "pending": 3}
    assert "newest_complete_day.end" not in sent
    # It is not late either: no alert yet.
    zone = providers()["facebook"].timezone
    assert sent["on_time_until"] == day_ended_at(DAY, zone).timestamp()


def test_a_day_that_is_never_published_fails_and_is_named_and_counted(
    bench, ingest, check, monkeypatch, sent
):
    notifier = {"class": OUTBOX.path, "arguments": ARGUMENTS}
    monkeypatch.setenv("SOCIAL_ANALYTICS_NOTIFIER", json.dumps(notifier))
    Outbox.sent.clear()
    ingest(1)
    pending(bench, 4, channels=1)
    pending(bench, 3, channels=3)
    for _ in range(2):
        assert check()["coverage"] == 1.0
    [lost] = ledger.given_up(bench.analytics, [job.integration.id for job in bench.jobs], DAY).values()
    assert lost == [DAY - timedelta(4)]
    assert sent["ingest.jobs"] == 1
    [(subject, text)] = Outbox.sent
    assert subject.endswith("1 channels miss an earlier day")
    assert f"Not published: {DAY - timedelta(4)}." in text


def test_a_run_is_red_if_the_day_that_it_no_longer_reads_was_hardly_published(bench, ingest, check):
    ingest(1)
    pending(bench, 4, channels=2)
    complaint = f"facebook did not publish {DAY - timedelta(4)} for 2 of 3 channels: backfill the day."
    # Also when the check is run again, and not for the same day once more.
    for _ in range(2):
        with pytest.raises(AirflowFailException, match=complaint):
            check()
    pending(bench, 5, channels=3)
    Warehouse(bench.analytics, lambda: bench.analytics).store(
        bench.jobs[0].on(DAY - timedelta(4)), reading({DAY - timedelta(4): 1}, day=DAY - timedelta(4))
    )
    assert check()["coverage"] == 1.0
