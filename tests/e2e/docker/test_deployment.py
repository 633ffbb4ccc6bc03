"""docker-compose.yaml from `make env` on. Each test continues where the one before ended."""

from __future__ import annotations

import re
import time
from datetime import timedelta

import requests

from include.social_analytics.dag_ids import DAILY_DAG
from include.social_analytics.errors import ErrorCode, ResolvedBy
from tests.e2e.docker.conftest import CHANNELS, PATIENCE, DockerStage
from tests.support.stage import DAY

CHANNEL = "demo-facebook-01"
SCHEDULED = f"scheduled__{DAY}"


def log_in(url: str, password: str) -> requests.Response:
    """Log in through the form, to which the UI sends a browser; returns where that leads."""
    session = requests.Session()
    form = session.get(f"{url}/api/v2/auth/login", timeout=30)
    assert form.url.startswith(f"{url}/auth/login"), form.url
    token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', form.text)[1]
    answer = session.post(
        form.url, data={"username": "admin", "password": password, "csrf_token": token}, timeout=30
    )
    answer.raise_for_status()
    return answer


def logs(stage: DockerStage, run_id: str) -> dict[tuple[str, int], str]:
    """The log of each task's last try, as the UI shows it."""
    return {
        (one["task_id"], one["map_index"]): str(
            stage.airflow.api(
                "GET",
                f"dags/{DAILY_DAG}/dagRuns/{run_id}/taskInstances/{one['task_id']}/logs/{one['try_number']}",
                map_index=one["map_index"],
            )["content"]
        )
        for one in stage.airflow.task_instances(run_id)
    }


def tries(stage: DockerStage) -> dict[int, int]:
    """How often each ingest task of the scheduled run was tried, by map index."""
    return {
        one["map_index"]: one["try_number"]
        for one in stage.airflow.task_instances(SCHEDULED)
        if one["task_id"] == "analytics_ingest"
    }


def test_everything_is_healthy_and_nothing_was_compiled_again(stage):
    for service in ("scheduler", "worker"):
        [container] = stage.composed.containers(service)
        changed = stage.composed.engine.docker("diff", container["Id"])
        assert [line for line in changed.splitlines() if line.endswith(".pyc")] == []


def test_the_user_of_the_env_file_logs_in(stage):
    assert log_in(stage.airflow.url, stage.airflow.password).url.rstrip("/") == stage.airflow.url


def test_45_idle_seconds_cost_less_than_one_of_airflows_own_probes(stage, report):
    stage.wait_for(stage.airflow.knows_the_dag)
    spent = stage.composed.processor_seconds

    def is_idle() -> bool:
        before, start = spent(), time.monotonic()
        # Two rounds of the health checks.
        time.sleep(30)
        cores = (spent() - before) / (time.monotonic() - start)
        # The yardstick, some 4.5 s of a core: a tenth of a core. On slow machines both take longer.
        before = spent()
        stage.composed.airflow("jobs", "check", "--job-type", "SchedulerJob", "--local")
        probe = spent() - before
        report.append(f"idle: {cores:.3f} cores; one probe of Airflow's own: {probe:.1f} s of a core")
        return cores * 45 < probe

    # What has just started still works for a while.
    stage.wait_for(is_idle)


def test_an_unpaused_dag_runs_its_day(stage):
    stage.composed.airflow("dags", "unpause", DAILY_DAG)
    stage.wait_for(lambda: stage.airflow.run_state(SCHEDULED))
    run = stage.ended(SCHEDULED)
    assert run.state == "success"
    jobs = stage.composed.rows("SELECT status, error_code FROM analytics.ingest_job WHERE date = %s", DAY)
    assert len(jobs) == len(run.of("analytics_ingest")) == len(CHANNELS)
    assert {job["status"] for job in jobs} == {"succeeded", "no_data", "pending", "failed"}
    failed = {ErrorCode(job["error_code"]) for job in jobs if job["status"] == "failed"}
    assert {code.resolved_by for code in failed} == {ResolvedBy.OWNER}


def test_each_log_is_readable_when_its_worker_is_gone(stage):
    before = {one["Id"] for one in stage.composed.containers("worker")}
    stage.composed.compose("rm", "--stop", "--force", "worker")
    stage.composed.check_often()
    # Only the workers are new.
    stage.composed.up("--no-recreate", "--scale", "worker=3")
    workers = stage.composed.containers("worker")
    assert len(workers) == 3
    assert before.isdisjoint(one["Id"] for one in workers)
    found = logs(stage, SCHEDULED)
    assert len(found) == len(CHANNELS) + 3
    for task, text in found.items():
        assert "Could not read" not in text, task
        assert "task_id" in text or "jobId" in text or "Task" in text, (task, text)


def test_one_channel_can_be_cleared(stage):
    job, others, before = stage.job(CHANNEL), stage.stored_of_others(CHANNEL), tries(stage)
    how = {
        "only_failed": False, "dry_run": False, "include_downstream": True, "dag_run_id": SCHEDULED,
        "task_ids": [["analytics_ingest", job["map_index"]]],
    }  # fmt: skip
    stage.airflow.api("POST", f"dags/{DAILY_DAG}/clearTaskInstances", how)
    run = stage.ended(SCHEDULED)
    assert run.state == "success"
    assert stage.job(CHANNEL)["attempts"] == job["attempts"] + 1
    changed = {index for index, number in tries(stage).items() if number != before[index]}
    assert changed == {job["map_index"]}
    assert stage.stored_of_others(CHANNEL) == others


def test_a_backfill_fills_two_days_on_three_workers(stage):
    days = [DAY - timedelta(days=n) for n in (3, 2)]
    stage.composed.airflow(
        "backfill", "create", "--dag-id", DAILY_DAG,
        "--from-date", f"{days[0]}T00:00+00:00", "--to-date", f"{days[-1]}T00:00+00:00",
    )  # fmt: skip
    stage.wait_for(lambda: len(stage.run_ids(run_type="backfill")) == len(days))
    runs = [stage.ended(run_id) for run_id in stage.run_ids(run_type="backfill")]
    assert {run.state for run in runs} == {"success"}
    rows = stage.composed.rows(
        "SELECT DISTINCT date FROM analytics.ingest_job WHERE is_backfill AND dag_run_id = ANY(%s)"
        " ORDER BY date",
        [run.run_id for run in runs],
    )
    assert [row["date"] for row in rows] == days
    assert {one["hostname"] for run in runs for one in run.of("analytics_ingest")} <= {
        one["Config"]["Hostname"] for one in stage.composed.containers("worker")
    }


def test_stop_lets_a_task_end_and_down_and_up_keep_the_data(stage):
    run_id, release = stage.run_that_waits(CHANNEL)
    attempts, others = stage.job(CHANNEL)["attempts"], stage.stored_of_others(CHANNEL)
    assert others
    stopping = stage.composed.in_background("stop")
    stage.wait_for(lambda: "Warm shutdown" in stage.composed.log("worker"))
    release()
    assert stopping.wait(PATIENCE) == 0
    stage.composed.compose("--profile", "demo", "down")
    assert stage.composed.containers("postgres") == []
    stage.composed.up()
    assert stage.job(CHANNEL)["status"] == "succeeded"
    assert stage.ended(run_id).state == "success"
    assert stage.job(CHANNEL)["attempts"] == attempts
    assert stage.stored_of_others(CHANNEL) == others
    assert stage.airflow.run_state(SCHEDULED) == "success"
    assert all(logs(stage, SCHEDULED).values())
