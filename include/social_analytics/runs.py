"""The DAG run that a task belongs to, as far as the package cares."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Any

from airflow.sdk import get_current_context

from include.social_analytics.dag_ids import DAILY_DAG
from include.social_analytics.days import day_of_run, label_of
from include.social_analytics.jobs import IngestJob, Integration
from include.social_analytics.settings import Settings


@dataclass(frozen=True)
class Run:
    """One DAG run: the day it covers and what it was narrowed to."""

    run_id: str
    day: date
    is_backfill: bool
    organization_id: str | None
    integration_ids: tuple[str, ...] | None

    @property
    def is_whole(self) -> bool:
        """Whether it covers all integrations."""
        return self.organization_id is None and self.integration_ids is None

    def jobs(self, integrations: Iterable[Integration]) -> list[IngestJob]:
        """One ingest job for each integration."""
        return [IngestJob(integration, self.day, self.is_backfill) for integration in integrations]


def current_run(settings: Settings) -> Run:
    """The run of the task that is executing.

    :raises JobError: ``config_invalid`` when the run's date or configuration cannot be used.
    """
    context: Any = get_current_context()
    dag_run, params = context["dag_run"], context["params"]
    day = day_of_run(
        run_type=dag_run.run_type,
        logical_date=dag_run.logical_date,
        run_after=dag_run.run_after,
        params=params,
        conf=dag_run.conf,
        now=datetime.now(UTC),
        settings=settings,
    )
    ids = params.get("integration_ids")
    return Run(
        run_id=dag_run.run_id,
        day=day,
        is_backfill=dag_run.run_type == "backfill",
        organization_id=params.get("organization_id"),
        integration_ids=tuple(ids) if ids is not None else None,
    )


class OwnRun(StrEnum):
    """How a day's own run stands: the one that was made for it, scheduled or by a backfill."""

    QUEUED = "queued"
    RUNNING = "running"
    ENDED = "ended"
    MISSING = "missing"


def own_run_of(day: date) -> OwnRun:
    """Ask Airflow how the run that has ``day`` as its logical date stands."""
    context: Any = get_current_context()
    # In the order in which a run goes through them, so that it is not missed between two questions.
    for found, states in (
        (OwnRun.QUEUED, ["queued"]),
        (OwnRun.RUNNING, ["running"]),
        (OwnRun.ENDED, ["success", "failed"]),
    ):
        if context["ti"].get_dr_count(DAILY_DAG, logical_dates=[label_of(day)], states=states):
            return found
    return OwnRun.MISSING


def first_try() -> int:
    """The number of the task's first try in the run or since it was cleared."""
    ti: Any = get_current_context()["ti"]
    return int(ti.max_tries) - (ti.task.retries or 0) + 1


def is_first_start() -> bool:
    """Whether this is the task's first start in the run or since it was cleared.

    A retry has a higher try number; a start after a wait for quota has the same one.
    """
    context: Any = get_current_context()
    return bool(context["ti"].try_number == first_try() and context.get("task_reschedule_count", 0) == 0)


def task_states(*task_ids: str) -> dict[str, str]:
    """The states of tasks of this run; one that has none yet is absent.

    :returns: by task id; of a mapped task by its id, an underscore and each map index.
    """
    context: Any = get_current_context()
    ti = context["ti"]
    states: dict[str, dict[str, str]] = ti.get_task_states(
        dag_id=ti.dag_id, task_ids=list(task_ids), run_ids=[ti.run_id]
    )
    return states.get(ti.run_id, {})
