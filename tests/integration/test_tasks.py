"""The tasks' bodies, called with a context as Airflow gives them."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import nullcontext, suppress
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowRescheduleException
from airflow.sdk.execution_time.context import OutletEventAccessors, set_current_context
from structlog.testing import capture_logs

from include.sandbox.faults import Faults
from include.sandbox.postgres import EmbeddedPostgres
from include.sandbox.postiz_db import insert_customer, insert_organization, insert_subscription
from include.sandbox.stand_ins.facebook.world import Fault
from include.social_analytics import telemetry
from include.social_analytics.assets import ORGANIZATION_DAILY
from include.social_analytics.batches import Batch, deal_out, integrations_of
from include.social_analytics.connectors import providers
from include.social_analytics.dag_ids import AGGREGATE_TASK, INGEST_TASK, LIST_TASK
from include.social_analytics.days import day_ended_at, label_of
from include.social_analytics.errors import ErrorCode, JobError
from include.social_analytics.jobs import IngestJob
from include.social_analytics.runs import current_run
from include.social_analytics.settings import Settings
from include.social_analytics.tasks.check import check_coverage
from include.social_analytics.tasks.ingest import analytics_ingest
from include.social_analytics.tasks.list_integrations import list_active_integrations
from include.social_analytics.warehouse import complete_days, integrations, ledger
from include.social_analytics.warehouse.snapshots import ensure_month
from tests.support.bench import DAY, Bench
from tests.support.bench import ingest as start
from tests.support.notifiers import ARGUMENTS, OUTBOX, Outbox
from tests.support.readings import Warehouse, reading
from tests.support.scripted_http import Answer, scripted_server

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
def announced() -> dict[str, Any]:
    """The days that the check announces: the extras of the asset's partitions."""
    return {}


@pytest.fixture
def check(batch: Batch, run: SimpleNamespace, announced: dict[str, Any]) -> Callable[..., dict[str, Any]]:
    """A function that runs the check, with the ingest task in a given state."""

    def start(ingested: str = "success", params: dict[str, Any] | None = None) -> dict[str, Any]:
        states = dict.fromkeys((LIST_TASK, AGGREGATE_TASK), "success") | {f"{INGEST_TASK}_0": ingested}
        ti = SimpleNamespace(
            dag_id="dag",
            run_id=run.run_id,
            try_number=1,
            max_tries=RETRIES,
            task=SimpleNamespace(outlets=[ORGANIZATION_DAILY]),
            get_task_states=lambda **_: {run.run_id: states},
            get_dr_count=lambda _, run_ids, states: 0 if run_ids == ["ended"] else 1,
            xcom_pull=lambda **_: [batch],
        )
        context: Any = {
            "dag_run": run,
            "params": params or {},
            "ti": ti,
            "outlet_events": OutletEventAccessors(),
        }
        with set_current_context(context):
            found = check_coverage()
        for asset in ti.task.outlets:
            event = context["outlet_events"][asset]
            announced.update(dict.fromkeys(event.partition_keys, event.extra))
        return found

    return start


@pytest.fixture
def outbox(monkeypatch) -> list[tuple[str, str]]:
    """The alerts that are sent."""
    notifier = {"class": OUTBOX.path, "arguments": ARGUMENTS}
    monkeypatch.setenv("SOCIAL_ANALYTICS_NOTIFIER", json.dumps(notifier))
    Outbox.sent.clear()
    return Outbox.sent


@pytest.fixture
def sent(monkeypatch) -> dict[str, float]:
    """The metrics that the check sends about the bench's provider, by name, with their latest values."""
    metrics: dict[str, float] = {}

    def send(name: str, value: float = 1, *, tags: dict[str, str] | None = None, **_: object) -> None:
        if (tags or {}).get("provider", "facebook") == "facebook":
            metrics[name.removeprefix("social_analytics.")] = value

    for kind in ("gauge", "incr"):
        monkeypatch.setattr(telemetry.stats, kind, send)
    return metrics


def pending(bench: Bench, days_ago: int, channels: int) -> None:
    """Store an earlier day that some channels' provider has not published."""
    warehouse, day = Warehouse(bench.analytics, lambda: bench.analytics), DAY - timedelta(days_ago)
    for job in bench.jobs[:channels]:
        warehouse.store(job.on(day), reading({}, day=day))


@pytest.mark.parametrize("fault", [None, "token_revoked"])
def test_the_task_reads_the_past_when_its_days_are_done_whatever_became_of_them(bench, ingest, fault):
    integrations.remember(bench.analytics, [job.integration for job in bench.jobs], {}, DAY, DAY)
    if fault:
        bench.fault(0, fault)
    with pytest.raises(AirflowFailException) if fault else nullcontext():
        ingest(1)
    query = "SELECT count(DISTINCT integration_id) FROM analytics.ingest_job WHERE date < %s"
    assert bench.analytics.execute(query, [DAY]).fetchone() == (2 if fault else 3,)


def test_a_task_whose_channel_waits_for_quota_leaves_the_past_to_its_next_start(bench, ingest):
    integrations.remember(bench.analytics, [job.integration for job in bench.jobs], {}, DAY, DAY)
    bench.fault(0, "page_throttled", minutes=19, times=1)
    past = "SELECT count(DISTINCT integration_id) FROM analytics.ingest_job WHERE date < %s"
    with pytest.raises(AirflowRescheduleException):
        ingest(1)
    assert bench.analytics.execute(past, [DAY]).fetchone() == (0,)
    ingest(1, reschedules=1)
    assert bench.analytics.execute(past, [DAY]).fetchone() == (3,)


@pytest.mark.parametrize("run_type", ["manual", "backfill"])
@pytest.mark.parametrize("given", ["a\0b", "\ud800"], ids=["NUL", "lone surrogate"])
@pytest.mark.parametrize("field", ["organization_id", "customer_id", "integration_ids"])
def test_an_id_that_postgres_cannot_hold_is_bad_input_and_is_not_retried(batch, run, field, given, run_type):
    run.run_type = run_type
    params = {field: [given] if field == "integration_ids" else given}
    with (
        set_current_context({"dag_run": run, "params": params}),
        pytest.raises(AirflowFailException, match="config_invalid") as refused,
    ):
        list_active_integrations()
    assert f"{field} has an id that cannot exist: {given!r}." in str(refused.value)


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


def test_a_quota_that_returns_after_hours_is_waited_for_by_no_task_and_not_retried(bench, ingest):
    bench.world.faults.set(Faults.APP, Fault("app_throttled", minutes=300))
    with pytest.raises(AirflowFailException, match="3 of 3 channels failed: 3 rate_limited"):
        ingest(1)
    assert [state[:2] for state in bench.states()] == [("failed", "rate_limited")] * 3


def test_a_quota_that_returns_after_hours_costs_the_other_channels_no_call(bench):
    bench.fault(0, "app_throttled", minutes=300)
    first, *others = bench.jobs
    with pytest.raises(JobError, match="Application request limit"):
        start(bench.ingester, [first], "run")
    with pytest.raises(JobError, match="2 rate_limited"):
        start(bench.ingester, others, "run")
    calls = bench.analytics.execute("SELECT http_calls FROM analytics.ingest_job ORDER BY job_id").fetchall()
    assert calls == [(1,), (0,), (0,)]


def test_no_all_clear_is_sent_while_another_run_still_reads_the_day(bench, ingest, check, outbox):
    bench.fault(0, "token_revoked")
    with pytest.raises(AirflowFailException):
        ingest(1)
    check("failed")
    ledger.claim(bench.analytics, bench.jobs, ledger.Claim("another", 1), force=True)
    check("failed")
    assert [subject.split(": ")[1] for subject, _ in outbox] == ["1 of 3 channels are missing"]


def test_a_day_without_any_channel_is_green_and_not_announced(check, announced, batch):
    batch["integrations"] = "[]"
    assert check()["jobs"] == 0
    assert announced == {}


@pytest.mark.parametrize("taken_over", [0, 1, 2, 3])
def test_a_day_that_another_run_still_reads_is_announced_by_that_run(
    bench, ingest, check, announced, taken_over
):
    ingest(1)
    ledger.claim(bench.analytics, bench.jobs[:taken_over], ledger.Claim("another", 1), force=True)
    assert check()["coverage"] == 1
    # At least half of the channels were read.
    expected = {} if taken_over > 1 else {str(DAY): pytest.approx(1 - taken_over / 3)}
    assert {day: extra["coverage"] for day, extra in announced.items()} == expected


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


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("token_revoked", "token_invalid"),
        ("permission_missing", "permission_missing"),
        ("object_gone", "object_not_found"),
        ("account_blocked", "account_blocked"),
    ],
)
def test_an_owners_failure_of_every_channel_is_the_operators(bench, ingest, check, outbox, sent, kind, code):
    for number in range(3):
        bench.fault(number, kind)
    with pytest.raises(AirflowFailException):
        ingest(1)
    with pytest.raises(AirflowFailException) as red:
        check("failed")
    assert str(red.value).startswith(
        f"{DAY}: 3 facebook channels failed with {code}, like at least half of those that were read, "
        "so the cause is not their owners: check the app at the provider"
    )
    [(_, text)] = outbox
    assert "The run is red." in text
    assert f"3 with {code}. Resolved by the Airflow operator: So many channels failed alike" in text
    assert "owner:" not in text
    assert {"coverage": 0, "failed_for_owner": 0}.items() <= sent.items()
    assert "newest_complete_day.end" not in sent


#: Answers that do not come from the channels' owners, though the first two have an owner's code.
NOT_THE_OWNERS = {
    "inactive app": Answer(
        {
            "error": {
                "code": 200,
                "message": "(#200) Access to this data is temporarily disabled for non-active apps or apps "
                "that have not recently accessed this data",
            }
        },
        400,
    ),
    "deleted app": Answer(
        {
            "error": {
                "code": 190,
                "message": "Error validating application. Application has been deleted.",
            }
        },
        400,
    ),
    "proxy": Answer("<html><body><h1>403 Forbidden</h1></body></html>", 403),
    "wrong host": Answer({"detail": "Not Found"}, 404),
}


@pytest.mark.parametrize("answer", NOT_THE_OWNERS.values(), ids=NOT_THE_OWNERS)
def test_what_every_channel_is_told_is_not_blamed_on_their_owners(
    bench, ingest, check, outbox, sent, monkeypatch, answer
):
    with scripted_server(answer) as server:
        graph = {"conn_type": "http", "host": server.base_url}
        monkeypatch.setenv("AIRFLOW_CONN_FACEBOOK_GRAPH", json.dumps(graph))
        with pytest.raises((AirflowFailException, JobError)):
            ingest(1)
    with pytest.raises(AirflowFailException, match=r"3 (facebook )?channels failed"):
        check("failed")
    [(_, text)] = outbox
    assert "The run is red." in text
    assert "the Airflow operator" in text
    assert "owner:" not in text
    assert {"coverage": 0, "failed_for_owner": 0}.items() <= sent.items()
    assert "newest_complete_day.end" not in sent
    assert complete_days.newest_complete_day(bench.analytics, "facebook", DAY) is None


def test_an_error_code_of_a_later_version_is_reported_and_alerted(bench, ingest, check, outbox, sent):
    bench.fault(0, "token_revoked")
    with pytest.raises(AirflowFailException):
        ingest(1)
    bench.analytics.execute(
        "UPDATE analytics.ingest_job SET error_code = 'of_a_later_version' WHERE status = 'failed'"
    )
    with pytest.raises(AirflowFailException, match=r"1 channels failed, .*: unexpected: "):
        check("failed")
    [(_, text)] = outbox
    assert "1 with unexpected. Resolved by the Airflow operator" in text
    assert {"coverage": pytest.approx(2 / 3), "failed_for_owner": 0}.items() <= sent.items()
    assert "newest_complete_day.end" not in sent


def test_the_check_settles_what_runs_that_have_ended_left_open(bench, ingest, check):
    ingest(1)
    left = [job.on(DAY - timedelta(days=1)) for job in bench.jobs]
    for run_id, job in zip(("ended", "under way", "ended"), left, strict=True):
        ledger.register(bench.analytics, [job], run_id)
    ledger.start(bench.analytics, left[0], ledger.Claim("ended", 1))
    check()
    states = {one.job_id: one for one in ledger.states(bench.analytics, [job.job_id for job in left])}
    assert [states[job.job_id].status for job in left] == ["failed", "queued", "failed"]
    assert states[left[0].job_id].reason == ledger.RUN_ENDED


@pytest.mark.parametrize(
    "given",
    [{"date": "2026-11-20"}, {"organization_id": "org-1"}, {"customer_id": "c"}, {"integration_ids": ["a"]}],
    ids=lambda given: next(iter(given)),
)
def test_a_run_whose_configuration_airflow_ignores_is_refused(run, given):
    # As Airflow merges them with [core] dag_run_conf_overrides_params = False.
    params = {"date": None, "organization_id": None, "customer_id": None, "integration_ids": None}
    run.conf = params | given
    context: Any = {"dag_run": run, "params": params}
    with (
        set_current_context(context),
        pytest.raises(JobError, match="dag_run_conf_overrides_params") as refusal,
    ):
        current_run(Settings())
    assert refusal.value.code is ErrorCode.CONFIG_INVALID
    assert next(iter(given)) in refusal.value.reason
    context["params"] = run.conf
    with set_current_context(context):
        assert current_run(Settings()).run_id == "run"


@pytest.mark.parametrize(
    ("run_type", "days_ago", "expected_days_ago"),
    # The schedule covers each later day, too. Other runs only tell that the channels are active now.
    [("scheduled", 5, 5), ("backfill", 160, 0), ("manual", 5, 0), ("manual", 0, 0)],
)
def test_a_channel_is_expected_from_the_day_on_which_it_was_first_known_to_be_active(
    bench, batch, run, run_type, days_ago, expected_days_ago
):
    def list_for(run_type: str, days_ago: int) -> set[date]:
        run.run_type, run.logical_date = run_type, label_of(DAY - timedelta(days=days_ago))
        context: Any = {"dag_run": run, "params": {}}
        with set_current_context(context):
            list_active_integrations()
        return {
            day
            for (day,) in bench.analytics.execute(
                "SELECT expected_from FROM analytics.integration"
            ).fetchall()
        }

    expected = {DAY - timedelta(days=expected_days_ago)}
    assert list_for(run_type, days_ago) == expected
    # Running an earlier day says nothing about the days between.
    for later_type in ("backfill", "scheduled"):
        assert list_for(later_type, 200) == expected


@pytest.fixture
def list_for(batch: Batch, run: SimpleNamespace) -> Callable[..., list[str]]:
    """A function that lists for a day; returns the channels of its batches, by id and in order."""

    def start(day: date, **params: object) -> list[str]:
        run.logical_date = label_of(day)
        context: Any = {"dag_run": run, "params": params}
        with set_current_context(context):
            batches = list_active_integrations()
        return [one.id for each in batches for one in integrations_of(each)]

    return start


def test_each_day_keeps_the_customer_that_its_channels_first_had(bench, list_for, ingest, monkeypatch):
    monkeypatch.setenv("SOCIAL_ANALYTICS_HISTORY_DAYS", "0")

    def customers_of(table: str, columns: str) -> set[tuple[str | None, ...]]:
        return set(bench.analytics.execute(f"SELECT {columns} FROM analytics.{table}").fetchall())

    before, day = DAY - timedelta(1), DAY
    list_for(before)
    insert_customer(bench.postiz, "c1", "acme", name="Shops")
    insert_customer(bench.postiz, "c2", "acme", name="Cafés")
    bench.postiz.execute("""UPDATE "Integration" SET "customerId" = 'c1'""")
    list_for(day)
    assert customers_of("integration", "customer_id, customer_name") == {("c1", "Shops")}
    assert customers_of("ingest_job", "date, customer_id") == {(before, None), (day, "c1")}
    ingest(1)
    bench.postiz.execute("""UPDATE "Integration" SET "customerId" = 'c2'""")
    list_for(day)
    ingest(1)
    assert customers_of("integration", "customer_id, customer_name") == {("c2", "Cafés")}
    # A day of which no customer was known gets today's.
    list_for(before)
    assert customers_of("ingest_job", "date, customer_id") == {(before, "c2"), (day, "c1")}


def test_a_day_that_ended_without_a_customer_gets_todays_when_it_is_read_again(
    bench, list_for, ingest, monkeypatch
):
    monkeypatch.setenv("SOCIAL_ANALYTICS_HISTORY_DAYS", "0")
    list_for(DAY)
    ingest(1)
    insert_customer(bench.postiz, "c1", "acme")
    bench.postiz.execute("""UPDATE "Integration" SET "customerId" = 'c1'""")
    list_for(DAY)
    ingest(1)
    found = bench.analytics.execute("SELECT DISTINCT customer_id FROM analytics.ingest_job").fetchall()
    assert found == [("c1",)]


def test_a_run_of_one_customer_lists_its_channels_and_retires_no_other(bench, list_for):
    everybody = list_for(DAY)
    insert_customer(bench.postiz, "c1", "acme")
    bench.postiz.execute("""UPDATE "Integration" SET "customerId" = 'c1' WHERE "id" = %s""", everybody[:1])
    assert list_for(DAY, customer_id="c1") == everybody[:1]
    active = bench.analytics.execute("SELECT count(*) FROM analytics.integration WHERE is_active")
    assert active.fetchone() == (3,)
    with pytest.raises(AirflowFailException, match="customer_id 'c2' is unknown"):
        list_for(DAY, customer_id="c2")


def test_channels_of_higher_tiers_are_in_earlier_batches_and_start_first_in_each(
    bench, list_for, run, monkeypatch
):
    monkeypatch.setenv("SOCIAL_ANALYTICS_MAX_MAPPED_TASKS", "2")
    pages = sorted(bench.world.pages)
    for page, tier in zip(pages, (None, "STANDARD", "ULTIMATE"), strict=True):
        insert_organization(bench.postiz, f"of-{page}")
        bench.postiz.execute(
            'UPDATE "Integration" SET "organizationId" = %s WHERE "id" = %s', [f"of-{page}", page]
        )
        if tier:
            insert_subscription(bench.postiz, f"of-{page}", tier)
    best_first = list(reversed(pages))
    assert list_for(DAY) == best_first
    context: Any = {"dag_run": run, "params": {}}
    with set_current_context(context):
        batches = list_active_integrations()
    assert [[one.id for one in integrations_of(each)] for each in batches] == [best_first[:2], best_first[2:]]
    jobs = [job for each in batches for job in current_jobs(run, each)]
    start(bench.ingester, jobs, "run")
    started = bench.analytics.execute("SELECT integration_id FROM analytics.ingest_job ORDER BY started_at")
    assert [id_ for (id_,) in started] == best_first


def current_jobs(run: SimpleNamespace, batch: Batch) -> list[IngestJob]:
    """The jobs of a batch of the run."""
    context: Any = {"dag_run": run, "params": {}}
    with set_current_context(context):
        return current_run(Settings()).jobs(integrations_of(batch))


def names(bench: Bench) -> set[str]:
    """The names of the channels as they are stored."""
    return {name for (name,) in bench.analytics.execute("SELECT name FROM analytics.integration").fetchall()}


@pytest.fixture
def a_channel_to_erase(bench: Bench, list_for, ingest) -> str:
    """The name of a channel that was deleted in Postiz 31 days ago. All others are stored."""
    everybody = list_for(DAY)
    ingest(1)
    [(gone, name)] = bench.analytics.execute(
        "UPDATE analytics.integration"
        " SET is_active = false, deleted_in_postiz_at = now() - interval '31 days'"
        " WHERE integration_id = %s RETURNING integration_id, name",
        everybody[:1],
    ).fetchall()
    bench.postiz.execute(
        """UPDATE "Integration" SET "deletedAt" = now() - interval '31 days' WHERE "id" = %s""", [gone]
    )
    return str(name)


def test_the_check_erases_channels_that_postiz_has_deleted(bench, a_channel_to_erase, check):
    assert a_channel_to_erase in names(bench)
    assert check()["coverage"] == 1.0
    assert a_channel_to_erase not in names(bench)
    assert len(names(bench)) == 3


@pytest.mark.parametrize(
    "change",
    [
        {"run_type": "backfill", "logical_date": label_of(DAY - timedelta(days=3))},
        {"conf": {"customer_id": "c"}},
    ],
    ids=["an earlier day", "a narrowed run"],
)
def test_only_the_newest_full_run_erases(bench, a_channel_to_erase, run, check, change):
    vars(run).update(change)
    # Nothing was read for the earlier day.
    with suppress(AirflowFailException):
        check(params=run.conf)
    assert a_channel_to_erase in names(bench)


@pytest.mark.parametrize("how", ["unreachable", "no rights", "a hostile answer"])
def test_an_erasure_that_fails_costs_nobody_the_day_and_is_reported(
    bench, a_channel_to_erase, check, outbox, sent, monkeypatch, tmp_path, how
):
    if how == "unreachable":
        nowhere = json.dumps({"conn_type": "postgres", "host": str(tmp_path)})
        monkeypatch.setenv("AIRFLOW_CONN_POSTIZ_DB", nowhere)
    elif how == "no rights":
        bench.postiz.execute('ALTER TABLE "Organization" RENAME "deletedAt" TO "gone"')
    else:
        # Not a time any more.
        bench.postiz.execute('ALTER TABLE "Integration" ALTER "deletedAt" TYPE text')
    for _ in range(2):
        assert check()["coverage"] == sent["coverage"] == 1.0
    [(subject, text)] = outbox
    assert subject.endswith("some data was not deleted")
    assert "The run is green." in text
    assert "Channels that were deleted in Postiz could not be erased" in text
    assert a_channel_to_erase in names(bench)


def test_the_check_deletes_what_is_older_than_the_months_to_keep(bench, ingest, check, monkeypatch):
    def days() -> set[date]:
        rows = bench.analytics.execute("SELECT date FROM analytics.ingest_job").fetchall()
        return {day for (day,) in rows}

    ingest(1)
    old = DAY - timedelta(days=100)
    warehouse = Warehouse(bench.analytics, lambda: bench.analytics)
    warehouse.store(bench.jobs[0].on(old), reading({old: 3}, day=old))
    ensure_month(bench.analytics, old)
    partition = f"SELECT to_regclass('analytics.content_metric_snapshot_{old:%Y_%m}') IS NOT NULL"
    check()
    assert days() == {old, DAY}
    monkeypatch.setenv("SOCIAL_ANALYTICS_RETENTION_MONTHS", "2")
    monkeypatch.setenv("SOCIAL_ANALYTICS_DELETION_DRY_RUN", "true")
    with capture_logs() as lines:
        check()
    assert days() == {old, DAY}
    [foretold] = [line for line in lines if line["event"] == "old rows would be deleted"]
    assert foretold["ingest_job"] == 1
    [partitions] = [line["partitions"] for line in lines if line["event"] == "old snapshots would be dropped"]
    assert partitions == [f"content_metric_snapshot_{old:%Y_%m}"]
    assert bench.analytics.execute(partition).fetchone() == (True,)
    monkeypatch.setenv("SOCIAL_ANALYTICS_DELETION_DRY_RUN", "false")
    check()
    assert days() == {DAY}
    assert bench.analytics.execute(partition).fetchone() == (False,)


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
