"""The other DAGs on a real scheduler.

The documented DAG that follows: it runs once for each day that is in. The deadline: a late run sends one
alert, and a run that is done sends none. The reports: a file for each organization and customer, for any week
that has ended.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from include.sandbox.local_airflow import PROJECT
from include.sandbox.postiz_db import insert_customer
from include.social_analytics.dag_ids import DAILY_DAG, REPORTS_DAG
from include.social_analytics.days import DaySchedule
from include.social_analytics.reports.period import PeriodKind, latest
from include.social_analytics.settings import Settings
from tests.support.stage import DAY, Stage

FOLLOWER = "social_analytics_report"
DEADLINE = "dags/social_analytics_deadline"
OWN_RUN = f"scheduled__{DAY}"


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


@pytest.fixture
def done(stage: Stage) -> Iterator[None]:
    """The day's scheduled run has ended, and has ended again after the test."""
    stage.ended(OWN_RUN)
    yield
    stage.world.faults.clear(stage.caught_up[1][0].id)
    stage.airflow.unpause()
    stage.ended(OWN_RUN)


def at_the_deadline(stage: Stage, **body: str) -> list[tuple[str, str]]:
    """Let the deadline pass; returns the alerts that were sent."""
    before = len(stage.outbox)
    run = stage.airflow.api("POST", f"{DEADLINE}/dagRuns", {"logical_date": None, **body})
    path = f"{DEADLINE}/dagRuns/{run['dag_run_id']}"
    stage.wait_for(lambda: stage.airflow.api("GET", path)["state"] in ("success", "failed"))
    assert stage.airflow.api("GET", path)["state"] == "success"
    return stage.outbox[before:]


def followed(stage: Stage) -> dict[str, list[str]]:
    """The states of the follower's runs, by partition."""
    found: dict[str, list[str]] = {}
    for run in stage.airflow.api("GET", f"dags/{FOLLOWER}/dagRuns", limit=100)["dag_runs"]:
        found.setdefault(run["partition_key"], []).append(run["state"])
    return found


def events(stage: Stage) -> list[dict[str, Any]]:
    """The events of all assets."""
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


def test_the_deadline_dag_is_scheduled_without_being_unpaused(stage):
    stage.wait_for(
        lambda: any(f"dags/{one['dag_id']}" == DEADLINE for one in stage.airflow.api("GET", "dags")["dags"])
    )
    planned = stage.airflow.api("GET", DEADLINE)
    assert planned["is_paused"] is False
    assert (
        datetime.fromisoformat(planned["next_dagrun_run_after"])
        .astimezone(Settings().timezone)
        .strftime("%H:%M")
        == "23:59"
    )


def test_a_run_that_is_done_in_time_sends_nothing(stage, done):
    assert at_the_deadline(stage) == []


def test_a_run_that_misses_the_deadline_sends_one_alert_and_one_at_its_end(stage, done):
    [page] = stage.caught_up[1]
    stage.fault(page, "page_throttled_32")
    stage.clear(OWN_RUN)
    stage.wait_for(
        lambda: (stage.job(page)["status"], stage.job(page)["error_code"]) == ("queued", "rate_limited")
    )
    [(subject, text)] = at_the_deadline(stage)
    assert subject == f"Social analytics, {DAY}: not complete at the deadline"
    assert "Its run is still running." in text
    assert "1 queued" in text
    assert at_the_deadline(stage) == []

    stage.world.faults.clear(page.id)
    before = len(stage.outbox)
    stage.ended(OWN_RUN)
    [(subject, _)] = stage.outbox[before:]
    assert "deadline" not in subject


def test_a_run_that_has_not_begun_by_the_deadline_sends_an_alert(stage, done):
    stage.airflow.api("PATCH", "dags/social_analytics_daily", {"is_paused": True})
    stage.clear(OWN_RUN)
    [(_, text)] = at_the_deadline(stage)
    assert "Its run has not started" in text


def test_a_day_run_by_hand_sends_nothing_and_a_day_without_a_run_sends_an_alert(stage, done):
    """Last in this file: it deletes runs."""
    day = DAY - timedelta(days=1)
    stage.airflow.api("DELETE", f"dags/social_analytics_daily/dagRuns/scheduled__{day}")
    # At moments when the day before is the latest due one. Airflow names a run after its moment.
    due = DaySchedule(Settings().timezone, Settings().run_at).run_time(DAY).astimezone(UTC)
    first, second = ((due - timedelta(seconds=left)).isoformat() for left in (2, 1))
    by_hand = stage.run(date=day.isoformat())
    assert at_the_deadline(stage, run_after=first) == []

    stage.airflow.api("DELETE", f"dags/social_analytics_daily/dagRuns/{by_hand.run_id}")
    [(subject, text)] = at_the_deadline(stage, run_after=second)
    assert str(day) in subject
    assert "It has no run" in text


def test_a_backfill_of_a_sunday_writes_the_reports_of_its_week(stage, done):
    week = latest(PeriodKind.WEEK, DAY)
    organization, [page] = stage.caught_up

    def backfill(dag_id: str) -> None:
        """Run the week's last day, and wait until Airflow is done with the backfill."""
        day = f"{week.last}T00:00:00Z"
        how = {"dag_id": dag_id, "from_date": day, "to_date": day, "reprocess_behavior": "completed"}
        id_ = stage.airflow.api("POST", "backfills", how)["id"]
        stage.wait_for(lambda: stage.airflow.api("GET", f"backfills/{id_}")["completed_at"] is not None, 120)

    # Postiz's ids are folders: none of them may lead to another.
    insert_customer(stage.postiz, "../c1", organization, name="Shops")
    stage.postiz.execute('UPDATE "Integration" SET "customerId" = %s WHERE "id" = %s', ["../c1", page.id])
    backfill(DAILY_DAG)
    assert stage.job(page, week.last)["status"] == "succeeded"
    backfill(REPORTS_DAG)
    [run] = stage.airflow.api("GET", f"dags/{REPORTS_DAG}/dagRuns", run_type="backfill")["dag_runs"]
    assert run["state"] == "success"
    # A Sunday can be a month's last day, too.
    files = {
        path.relative_to(stage.home / "reports").as_posix()
        for path in (stage.home / "reports").rglob("*.html")
    }
    theirs = f"{organization}/customers/%2E%2E%2Fc1/{week.name}.html"
    assert {f"{organization}/{week.name}.html", theirs} <= files
    assert f"<h1>Shops, {organization}</h1>" in (stage.home / "reports" / theirs).read_text()
    report = (stage.home / "reports" / organization / f"{week.name}.html").read_text()
    assert f"{week.title}: {week.first} to {week.last}" in report
    # The first run brought the channel's past.
    assert "not every channel has reported" not in report
    assert "Views" in report
