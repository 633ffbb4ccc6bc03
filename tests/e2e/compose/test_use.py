"""The compose file's deployment, used through Airflow's REST API and command line."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import psutil
import pytest
import requests

from include.sandbox.postiz_db import insert_integration
from tests.support.deployed_stage import CATCH_UP, MAX_ACTIVE_RUNS, MAX_CONCURRENT_TASKS, DeployedStage
from tests.support.stage import DAY, expected, tables

DAILY_DAG = "social_analytics_daily"


def at_once(intervals: list[tuple[str, str]]) -> int:
    """The largest number of overlapping intervals. Starts and ends are as Airflow's API returns them."""
    moments = [(datetime.fromisoformat(start), 1) for start, _ in intervals]
    # An end sorts before a start at the same moment: the slot is handed on.
    moments += [(datetime.fromisoformat(end), -1) for _, end in intervals]
    most = now = 0
    for _, change in sorted(moments):
        now += change
        most = max(most, now)
    return most


def wait_for_backfills(stage: DeployedStage) -> None:
    """Wait until no backfill is under way: Airflow takes one at a time, and notices its end late."""
    stage.wait_for(
        lambda: all(
            one["completed_at"]
            for one in stage.airflow.api("GET", "backfills", dag_id=DAILY_DAG)["backfills"]
        )
    )


def test_an_unpaused_dag_catches_up_within_its_limits(stage):
    organization_id, pages = stage.caught_up
    runs = stage.airflow.api("GET", f"dags/{DAILY_DAG}/dagRuns", run_type="scheduled")["dag_runs"]
    assert sorted(run["dag_run_id"] for run in runs) == [f"scheduled__{day}" for day in CATCH_UP]
    assert {run["state"] for run in runs} == {"success"}
    assert 1 < at_once([(run["start_date"], run["end_date"]) for run in runs]) <= MAX_ACTIVE_RUNS
    ingests = [
        one
        for run in runs
        for one in stage.airflow.task_instances(run["dag_run_id"])
        if one["task_id"] == "analytics_ingest"
    ]
    # Three mapped tasks of two channels each, five days.
    assert len(ingests) == 15
    assert 1 < at_once([(one["start_date"], one["end_date"]) for one in ingests]) <= MAX_CONCURRENT_TASKS
    for day in CATCH_UP:
        assert stage.figures(organization_id, day)["views"] == (
            expected(stage, pages, "page_media_view", day), 6, 6,
        )  # fmt: skip


def test_a_trigger_can_narrow_the_run_to_a_day_an_organization_and_channels(stage):
    organization_id, [one, other] = stage.organization(2)
    day = DAY - timedelta(days=2)
    run = stage.run(date=day.isoformat(), organization_id=organization_id, integration_ids=[one.id])
    assert run.state == "success"
    assert [task["rendered_map_index"] for task in run.of("analytics_ingest")] == [one.name]
    jobs = stage.rows(
        "SELECT integration_id, date FROM analytics.ingest_job WHERE dag_run_id = %s", run.run_id
    )
    assert jobs == [{"integration_id": one.id, "date": day}]
    assert stage.figures(organization_id, day)["views"][1:] == (1, 1)
    assert other.id not in {job["integration_id"] for job in jobs}


@pytest.mark.parametrize(
    "conf",
    [
        {"date": "2026-13-45"},
        {"organization_id": ""},
        {"customer_id": ""},
        {"integration_ids": "abc"},
        {"integration_ids": [""]},
    ],
)
def test_the_trigger_form_refuses_malformed_values(stage, conf):
    with pytest.raises(requests.HTTPError) as refusal:
        stage.airflow.trigger(conf)
    assert refusal.value.response.status_code == 400
    assert next(iter(conf)) in refusal.value.response.text


def test_clearing_a_batch_with_a_bad_token_reruns_it_and_no_other_batch(stage):
    organization_id, pages = stage.organization(6)
    bad = pages[0]
    stage.fault(bad, "token_revoked")
    run = stage.run(organization_id=organization_id)
    assert sorted(run.states("analytics_ingest")) == ["failed", "success", "success"]
    assert stage.figures(organization_id)["views"][1:] == (5, 6)
    [failed] = [one["map_index"] for one in run.of("analytics_ingest") if one["state"] == "failed"]

    for token_works_again in (False, True):
        if token_works_again:
            stage.world.faults.clear(bad.id)
        stage.sandbox.clear_calls()
        stage.clear(run.run_id, failed)
        again = stage.ended(run.run_id)
        # The batch's two channels, and no others.
        assert {call.page_id for call in stage.sandbox.calls} == {bad.id, pages[1].id}
        assert again.states("analytics_ingest")[failed] == ("success" if token_works_again else "failed")
    assert [one["try_number"] for one in again.of("analytics_ingest") if one["map_index"] != failed] == [1, 1]
    assert [one["try_number"] for one in again.of("analytics_aggregate")] == [3]
    assert stage.figures(organization_id)["views"] == (expected(stage, pages, "page_media_view"), 6, 6)


def test_clearing_a_running_channel_stops_it_and_runs_it_again(stage):
    organization_id, pages = stage.organization(2)
    slow = pages[0]
    stage.fault(slow, "held")
    run_id = stage.start(organization_id=organization_id)
    stage.wait_for(lambda: len(stage.deployment.task_processes(stage.api_port)) == 1)
    killed = stage.deployment.task_process(stage.api_port)
    [index] = [
        one["map_index"]
        for one in stage.airflow.task_instances(run_id)
        if one["rendered_map_index"] == slow.name
    ]
    stage.clear(run_id, index)
    stage.wait_for(lambda: not psutil.pid_exists(killed.pid))
    stage.world.faults.clear(slow.id)
    run = stage.ended(run_id)
    assert run.state == "success"
    assert {one["rendered_map_index"]: one["try_number"] for one in run.of("analytics_ingest")} == {
        slow.name: 2,
        pages[1].name: 1,
    }
    assert stage.job(slow)["status"] == "succeeded"
    assert stage.figures(organization_id)["views"] == (expected(stage, pages, "page_media_view"), 2, 2)


def test_a_backfill_over_a_clock_change_stores_each_day_once_and_is_repeatable(stage):
    organization_id, pages = stage.organization(2)
    # Summer time in Los Angeles ends on 1 November.
    days = [date(2026, 10, 27) + timedelta(days=n) for n in range(10)]
    command = [
        "backfill", "create", "--dag-id", DAILY_DAG, "--from-date", str(days[0]), "--to-date", str(days[-1]),
        "--max-active-runs", "4", "--dag-run-conf", f'{{"organization_id": "{organization_id}"}}',
    ]  # fmt: skip

    def backfill(*arguments: str) -> dict[str, list]:
        stage.deployment.cli(*command, *arguments)
        stage.wait_for(lambda: len(stage.run_ids(run_type="backfill")) == len(days), 60)
        for run_id in stage.run_ids(run_type="backfill"):
            assert stage.ended(run_id).state == "success"
        wait_for_backfills(stage)
        return tables(stage, organization_id)

    once = backfill()
    jobs = stage.rows(
        "SELECT integration_id, date, status, is_backfill, attempts FROM analytics.ingest_job"
        " WHERE organization_id = %s ORDER BY date, integration_id",
        organization_id,
    )
    assert [(job["date"], job["integration_id"]) for job in jobs] == [
        (day, page.id) for day in days for page in sorted(pages, key=lambda page: page.id)
    ]
    assert {(job["status"], job["is_backfill"], job["attempts"]) for job in jobs} == {("succeeded", True, 1)}
    for day in days:
        assert stage.figures(organization_id, day)["views"] == (
            expected(stage, pages, "page_media_view", day), 2, 2,
        )  # fmt: skip

    assert backfill("--reprocess-behavior", "completed") == once
    assert stage.rows(
        "SELECT min(attempts), max(attempts) FROM analytics.ingest_job WHERE organization_id = %s",
        organization_id,
    ) == [{"min": 2, "max": 2}]


def test_a_run_and_a_backfill_of_one_day_at_once_store_what_one_run_stores(stage):
    organization_id, pages = stage.organization(2)
    assert stage.run(organization_id=organization_id).state == "success"
    once = tables(stage, organization_id)
    stage.fault(pages[0], "held")
    run_id = stage.start(organization_id=organization_id)
    stage.deployment.cli(
        "backfill", "create", "--dag-id", DAILY_DAG, "--from-date", str(DAY), "--to-date", str(DAY),
        "--reprocess-behavior", "completed", "--dag-run-conf", f'{{"organization_id": "{organization_id}"}}',
    )  # fmt: skip
    stage.wait_for(lambda: len(stage.deployment.task_processes(stage.api_port)) == 2)
    stage.world.faults.clear(pages[0].id)
    assert stage.ended(run_id).state == "success"
    # The backfill takes over the day's scheduled run.
    assert stage.ended(f"scheduled__{DAY}").state == "success"
    wait_for_backfills(stage)
    assert tables(stage, organization_id) == once
    assert stage.job(pages[0])["attempts"] == 3


def test_a_repeated_run_sees_channels_added_disabled_and_deleted_in_postiz(stage):
    organization_id, [kept, disabled, deleted] = stage.organization(3)
    run = stage.run(organization_id=organization_id)
    assert run.state == "success"
    before = stage.figures(organization_id)["views"]
    [added] = [next(stage._pages)]
    insert_integration(stage.postiz, added.id, organization_id, added)
    stage.postiz.execute('UPDATE "Integration" SET "disabled" = true WHERE "id" = %s', [disabled.id])
    stage.postiz.execute('UPDATE "Integration" SET "deletedAt" = now() WHERE "id" = %s', [deleted.id])

    stage.sandbox.clear_calls()
    [index] = [
        one["map_index"] for one in run.of("analytics_ingest") if one["rendered_map_index"] == disabled.name
    ]
    stage.clear(run.run_id, index)
    again = stage.ended(run.run_id)
    assert stage.sandbox.calls == []
    assert again.states("analytics_ingest")[index] == "failed"
    job = stage.job(disabled)
    assert (job["status"], job["error_code"]) == ("failed", "object_not_found")
    assert "disabled" in job["reason"]
    # The earlier figures stay, and count.
    assert stage.figures(organization_id)["views"] == before

    stage.clear(run.run_id)
    again = stage.ended(run.run_id)
    assert again.state == "success"
    assert {call.page_id for call in stage.sandbox.calls} == {kept.id, added.id}
    everybody = [kept, disabled, deleted, added]
    assert stage.figures(organization_id)["views"] == (expected(stage, everybody, "page_media_view"), 4, 4)
