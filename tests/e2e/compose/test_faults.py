"""Faults of the deployment, each caused for real. Their marks make a table in the docs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest
import redis
from celery import Celery

from include.sandbox.faults import Faults
from include.sandbox.stand_ins.facebook.world import Fault, Page
from tests.support.deployed_stage import DeployedStage
from tests.support.stage import expected


def views(stage: DeployedStage, organization_id: str) -> tuple:
    """The organization's views, with how many channels reported and were expected."""
    return stage.figures(organization_id)["views"]


def run_that_waits(stage: DeployedStage, channels: int = 2) -> tuple[str, str, list[Page]]:
    """Start a run whose first channel waits for the API; returns run, organization and channels."""
    organization_id, pages = stage.organization(channels)
    stage.fault(pages[0], "held")
    run_id = stage.start(organization_id=organization_id)
    process_that_waits_for_the_api(stage)
    return run_id, organization_id, pages


def process_that_waits_for_the_api(stage: DeployedStage) -> psutil.Process:
    """Wait for the one task process that waits for an answer; returns it."""
    stage.wait_for(lambda: len(stage.deployment.task_processes(stage.api_port)) == 1, 90)
    return stage.deployment.task_process(stage.api_port)


def broker(stage: DeployedStage) -> str:
    """The broker's URL."""
    return stage.deployment.environment("worker")["AIRFLOW__CELERY__BROKER_URL"]


def all_stored_once(stage: DeployedStage, organization_id: str, pages: list) -> None:
    """Each channel's day is stored once and completely, and the ledger says so."""
    for page in pages:
        job = stage.job(page)
        assert (job["status"], job["error_code"]) == ("succeeded", None)
        [row] = stage.rows(
            "SELECT count(*) FILTER (WHERE date = %s) AS metrics FROM analytics.integration_metric_daily"
            " WHERE integration_id = %s",
            job["date"],
            page.id,
        )
        assert row["metrics"] == job["metric_rows"] == 8
    assert views(stage, organization_id) == (
        expected(stage, pages, "page_media_view"), len(pages), len(pages),
    )  # fmt: skip


@pytest.mark.fault(
    "A task is killed after it has stored its data and before it reports success",
    "It is retried, and makes no further call.",
)
def test_a_task_killed_after_its_commit_is_not_read_again(stage):
    run_id, organization_id, [page] = run_that_waits(stage, 1)
    task = process_that_waits_for_the_api(stage)
    supervisor = task.parent()
    # With its supervisor suspended, the task's report reaches nobody.
    supervisor.suspend()
    stage.world.faults.clear(page.id)
    stage.wait_for(lambda: stage.job(page)["status"] == "succeeded")
    for process in (task, supervisor):
        process.kill()
    calls = len(stage.sandbox.calls)
    run = stage.ended(run_id)
    assert run.state == "success"
    [ingest] = run.of("analytics_ingest")
    assert (ingest["state"], ingest["try_number"]) == ("success", 2)
    assert stage.job(page)["attempts"] == 1
    assert len(stage.sandbox.calls) == calls
    all_stored_once(stage, organization_id, [page])


@pytest.mark.fault("A task is killed on every try", "check_coverage marks its job as failed.")
def test_a_task_killed_on_every_try_fails_its_job(stage):
    run_id, organization_id, pages = run_that_waits(stage)
    for attempt in range(1, 5):
        task = process_that_waits_for_the_api(stage)
        assert stage.job(pages[0])["attempts"] == attempt
        task.kill()
        psutil.wait_procs([task], 10)
    run = stage.ended(run_id)
    assert run.state == "failed"
    assert repr(pages[0].name) in run.failure("check_coverage")
    job = stage.job(pages[0])
    assert (job["status"], job["error_code"]) == ("failed", "unexpected")
    assert "killed" in job["reason"]
    assert views(stage, organization_id)[1:] == (1, 2)

    stage.world.faults.clear(pages[0].id)
    assert stage.run(organization_id=organization_id).state == "success"
    all_stored_once(stage, organization_id, pages)


@pytest.mark.fault("Redis is killed while tasks are queued", "It still has them when it is back.")
def test_redis_keeps_queued_tasks(stage):
    organization_id, pages = stage.organization(2)
    workers = [stage.deployment.the("worker", number) for number in (1, 2)]
    for worker in workers:
        stage.deployment.stop(worker)
    run_id = stage.start(organization_id=organization_id)
    queue = redis.from_url(broker(stage))
    stage.wait_for(lambda: queue.llen("default") == 1)
    server = stage.deployment.the("redis")
    # It cannot save anything.
    stage.deployment.kill(server)
    stage.deployment.restart(server)
    assert queue.llen("default") == 1
    for worker in workers:
        stage.deployment.restart(worker)
    run = stage.ended(run_id)
    assert run.state == "success"
    assert {one["try_number"] for one in run.instances} == {1}
    all_stored_once(stage, organization_id, pages)


@pytest.mark.fault(
    "Postiz's database cannot be reached", "The run is red and says so. Cleared later, it is green."
)
def test_an_unreachable_postiz_database_fails_the_run(stage):
    organization_id, pages = stage.organization(2)
    database = stage.deployment.the("demo-postiz")
    stage.deployment.kill(database)
    run = stage.run(organization_id=organization_id)
    stage.deployment.restart(database)
    stage.reconnect()
    assert run.state == "failed"
    [listed] = run.of("list_active_integrations")
    assert (listed["state"], listed["try_number"]) == ("failed", 4)
    assert "postiz_db" in run.failure("list_active_integrations")
    assert run.states("analytics_aggregate") == ["skipped"]
    query = "SELECT count(*) FROM analytics.ingest_job WHERE organization_id = %s"
    assert stage.rows(query, organization_id) == [{"count": 0}]

    stage.clear(run.run_id)
    assert stage.ended(run.run_id).state == "success"
    all_stored_once(stage, organization_id, pages)


@pytest.mark.fault(
    "The provider throttles the whole app", "No worker calls it until the wait is over. No try is lost."
)
def test_no_worker_calls_a_throttled_app(stage):
    first, [canary] = stage.organization(1)
    organization_id, pages = stage.organization(3)
    stage.world.faults.set(Faults.APP, Fault("app_throttled", times=1, minutes=1))
    with the_only_worker(stage, 1):
        throttled = stage.start(organization_id=first)
        stage.wait_for(lambda: states_of_ingests(stage, throttled) == ["up_for_reschedule"])
    assert stage.job(canary)["error_code"] == "rate_limited"
    stage.sandbox.clear_calls()

    # Within the cooldown's minute, on the worker that did not get the throttle.
    with the_only_worker(stage, 2):
        others = stage.start(organization_id=organization_id)
        stage.wait_for(lambda: states_of_ingests(stage, others) == ["up_for_reschedule"] * 3)
        assert stage.sandbox.calls == []
        logs = [stage.deployment.log(stage.deployment.the("worker", number)) for number in (1, 2)]
        assert [others in log.read_text() for log in logs] == [False, True]
    for run_id, members in ((throttled, [canary]), (others, pages)):
        run = stage.ended(run_id)
        assert run.state == "success"
        assert {one["try_number"] for one in run.of("analytics_ingest")} == {1}
        assert all(stage.job(page)["status"] == "succeeded" for page in members)
    all_stored_once(stage, organization_id, pages)


def states_of_ingests(stage: DeployedStage, run_id: str) -> list[str]:
    """The states of a run's mapped ingests; none before the listing has ended."""
    instances = stage.airflow.task_instances(run_id)
    return [
        one["state"] for one in instances if one["task_id"] == "analytics_ingest" and one["map_index"] >= 0
    ]


@contextmanager
def the_only_worker(stage: DeployedStage, number: int) -> Iterator[None]:
    """Let only one worker take tasks from the queue during the block."""
    control = Celery(broker=broker(stage)).control
    other = [f"worker@{stage.deployment.the('worker', 3 - number).hostname}"]
    [answer] = control.cancel_consumer("default", destination=other, reply=True, timeout=10)
    assert "ok" in answer[other[0]]
    try:
        yield
    finally:
        control.add_consumer("default", destination=other, reply=True, timeout=10)
