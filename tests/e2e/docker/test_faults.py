"""Faults of the deployment in Docker, each caused for real. Their marks make a table in the docs."""

from __future__ import annotations

import pytest

from tests.e2e.docker.conftest import PATIENCE, DockerStage
from tests.e2e.docker.test_deployment import CHANNEL


def stored_by_try(stage: DockerStage, run_id: str, number: int) -> None:
    """The run is green, and its one channel was stored by this try of its task."""
    run = stage.ended(run_id)
    assert run.state == "success"
    [ingest] = run.of("analytics_ingest")
    assert ingest["try_number"] == number
    assert stage.job(CHANNEL)["status"] == "succeeded"


@pytest.mark.fault(
    "A worker's container is killed while it ingests",
    "It is started again. Two minutes after the task's last heartbeat, its retry is due.",
)
def test_the_task_of_a_killed_worker_is_retried(stage):
    # Seconds instead of minutes. The next test's `up` brings the file's value back.
    with stage.composed.override("scheduler", AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT="30"):
        stage.composed.up("--no-deps", "scheduler")
    run_id, release = stage.run_that_waits(CHANNEL)
    stage.composed.kill("worker")
    release()
    stored_by_try(stage, run_id, 2)


@pytest.mark.fault(
    "`docker compose up --build` brings new code during a run",
    "The worker first ends its tasks, for two minutes at most. No try is lost.",
)
def test_new_code_lets_running_tasks_end_first(stage):
    run_id, release = stage.run_that_waits(CHANNEL)
    settings = stage.composed.directory / "include/social_analytics/dag_ids.py"
    settings.write_text(settings.read_text() + '\nNEW = "new"\n')
    # Without the profile demo: the API stays as it is.
    upgrade = stage.composed.in_background("up", "--build", "--detach", "--wait")
    try:
        stage.wait_for(lambda: "Warm shutdown" in stage.composed.log("worker"))
        release()
    finally:
        assert upgrade.wait(PATIENCE) == 0
    stored_by_try(stage, run_id, 1)
    for service in ("scheduler", "dag-processor", "api-server", "worker"):
        code = "from include.social_analytics.dag_ids import NEW; print(NEW)"
        assert stage.composed.compose("exec", "-T", service, "python", "-c", code) == "new\n"


@pytest.mark.fault("The scheduler is killed during a run", "It is started again, and finishes the run.")
def test_a_killed_scheduler_comes_back_and_finishes_the_run(stage):
    run_id, release = stage.run_that_waits(CHANNEL)
    stage.composed.kill("scheduler")
    release()
    stored_by_try(stage, run_id, 1)


@pytest.mark.fault(
    "Redis is killed, and stays away for a while",
    "A running task goes on. The scheduler and the workers reconnect. No try is lost.",
)
def test_scheduler_and_workers_reconnect_to_redis(stage):
    run_id, release = stage.run_that_waits(CHANNEL)
    told = len(stage.composed.log("scheduler"))
    stage.composed.compose("kill", "redis")
    release()
    # The task needs Redis only for the shared cooldown.
    stage.wait_for(lambda: stage.job(CHANNEL)["status"] == "succeeded")
    # The scheduler cannot queue what follows.
    stage.wait_for(lambda: "connecting to redis:6379" in stage.composed.log("scheduler")[told:])
    stage.composed.compose("start", "redis")
    stored_by_try(stage, run_id, 1)


@pytest.mark.fault(
    "Postgres is killed during a run", "Airflow's services come back after it, and finish the run."
)
def test_a_run_survives_a_killed_postgres(stage):
    run_id, release = stage.run_that_waits(CHANNEL)
    stage.composed.kill("postgres")
    stage.wait_for(stage.composed.is_healthy)
    release()
    run = stage.ended(run_id)
    assert run.state == "success"
    assert stage.job(CHANNEL)["status"] == "succeeded"


@pytest.mark.fault(
    "The API server is killed while channels are read",
    "It is started again. Running tasks wait for it, for about a minute. No try is lost.",
)
def test_running_tasks_wait_for_a_killed_api_server(stage):
    run_id, release = stage.run_that_waits(CHANNEL)
    stage.composed.kill("api-server")
    # The task ends while nobody can be told.
    release()
    stored_by_try(stage, run_id, 1)
