"""The DAG run of a task: what this package needs of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime

from include.social_analytics.airflow_compat import current_context
from include.social_analytics.days import day_of_run
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
    is_scheduled: bool = False

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
    context = current_context()
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
        is_scheduled=dag_run.run_type == "scheduled",
    )
