"""The deadline on a real scheduler: who is held up past it is told of once, and who is done is not."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from include.social_analytics.days import DaySchedule
from include.social_analytics.settings import Settings
from tests.support.stage import DAY, Stage

DEADLINE = "dags/social_analytics_deadline"
OWN_RUN = f"scheduled__{DAY}"


@pytest.fixture
def done(stage: Stage) -> Iterator[None]:
    """The day's own run has ended, and ends again after the test."""
    stage.ended(OWN_RUN)
    yield
    stage.world.faults.clear(stage.caught_up[1][0].id)
    stage.airflow.unpause()
    stage.ended(OWN_RUN)


def at_the_deadline(stage: Stage, **body: str) -> list[tuple[str, str]]:
    """Let the deadline pass; returns what was sent."""
    before = len(stage.outbox)
    run = stage.airflow.api("POST", f"{DEADLINE}/dagRuns", {"logical_date": None, **body})
    path = f"{DEADLINE}/dagRuns/{run['dag_run_id']}"
    stage.wait_for(lambda: stage.airflow.api("GET", path)["state"] in ("success", "failed"))
    assert stage.airflow.api("GET", path)["state"] == "success"
    return stage.outbox[before:]


def test_it_is_planned_for_its_hour_without_anybody_unpausing_it(stage):
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


def test_a_run_that_is_done_in_time_stays_silent(stage, done):
    assert at_the_deadline(stage) == []


def test_a_run_that_waits_for_quota_past_the_deadline_is_told_once_and_its_end_too(stage, done):
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


def test_a_run_that_has_not_begun_by_the_deadline_is_told(stage, done):
    stage.airflow.api("PATCH", "dags/social_analytics_daily", {"is_paused": True})
    stage.clear(OWN_RUN)
    [(_, text)] = at_the_deadline(stage)
    assert "Its run has not started" in text


def test_a_day_that_has_no_run_is_told(stage, done):
    """Last in this file: it takes a run away."""
    stage.airflow.api("DELETE", f"dags/social_analytics_daily/dagRuns/scheduled__{DAY - timedelta(days=1)}")
    # When the day before was the latest due one.
    then = DaySchedule(Settings().timezone, Settings().run_at).run_time(DAY) - timedelta(seconds=1)
    [(subject, text)] = at_the_deadline(stage, run_after=then.astimezone(UTC).isoformat())
    assert str(DAY - timedelta(days=1)) in subject
    assert "It has no run" in text
