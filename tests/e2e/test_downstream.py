"""The documented DAG that follows, on a real scheduler: it runs once for each day that is in."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest

from include.sandbox.local_airflow import PROJECT
from include.social_analytics.dag_ids import DAILY_DAG
from tests.support.stage import DAY, Stage

FOLLOWER = "social_analytics_report"


@pytest.fixture(scope="module")
def follower(stage: Stage) -> str:
    """The documented DAG, unpaused once catch-up has ended: what was announced before, it does not see."""
    for day in (DAY - timedelta(days=1), DAY):
        assert stage.ended(f"scheduled__{day}").state == "success"
    [code] = re.findall(
        r"```python\n(.*?)```", (PROJECT / "docs/tables-and-metrics.md").read_text(), re.DOTALL
    )
    (stage.home / "dags" / "follower.py").write_text(code)
    stage.wait_for(lambda: any(one["dag_id"] == FOLLOWER for one in stage.airflow.api("GET", "dags")["dags"]))
    stage.airflow.api("PATCH", f"dags/{FOLLOWER}", {"is_paused": False})
    return FOLLOWER


def followed(stage: Stage) -> dict[str, list[str]]:
    """The states of the follower's runs, by partition."""
    found: dict[str, list[str]] = {}
    for run in stage.airflow.api("GET", f"dags/{FOLLOWER}/dagRuns", limit=100)["dag_runs"]:
        found.setdefault(run["partition_key"], []).append(run["state"])
    return found


def events(stage: Stage) -> list[dict[str, Any]]:
    return stage.airflow.api("GET", "assets/events", limit=100)["asset_events"]


def test_a_dag_that_follows_runs_once_for_each_day_that_is_in(stage, follower):
    days = [DAY - timedelta(days=back) for back in (9, 8)]
    stage.airflow.api(
        "POST",
        "backfills",
        {
            "dag_id": DAILY_DAG,
            "from_date": f"{days[0]}T00:00:00Z",
            "to_date": f"{days[-1]}T00:00:00Z",
            "max_active_runs": 2,
        },
    )
    by_hand = stage.run()
    assert by_hand.state == "success"
    stage.wait_for(lambda: len(stage.run_ids(run_type="backfill")) == 2)
    for run_id in stage.run_ids(run_type="backfill"):
        assert stage.ended(run_id).state == "success"
    expected = {str(day): ["success"] for day in [*days, DAY]}
    stage.wait_for(lambda: followed(stage) == expected, 120)
    newest = [event for event in events(stage) if event["source_run_id"] == by_hand.run_id]
    assert [(event["uri"], event["partition_key"]) for event in newest] == [
        ("x-postgres://analytics_db/analytics/organization_daily", str(DAY))
    ]
    assert newest[0]["extra"].items() >= {"date": str(DAY), "coverage": 1.0, "succeeded": 1}.items()


def test_a_red_run_and_a_run_of_some_channels_say_nothing(stage, follower):
    _, [page] = stage.caught_up
    organization_id, _ = stage.organization(1)
    before = len(events(stage))
    assert stage.run(organization_id=organization_id).state == "success"
    stage.fault(page, "app_off")
    assert stage.run().state == "failed"
    stage.world.faults.clear(page.id)
    assert len(events(stage)) == before
