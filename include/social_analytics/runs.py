"""The DAG run of a task: what this package needs of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime

from include.social_analytics.airflow_compat import current_context
from include.social_analytics.days import day_of_run
from include.social_analytics.errors import ErrorCode, JobError, is_storable
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
    customer_id: str | None = None
    is_scheduled: bool = False

    @property
    def is_whole(self) -> bool:
        """Whether it covers all integrations."""
        return self.organization_id is None and self.customer_id is None and self.integration_ids is None

    def jobs(self, integrations: Iterable[Integration]) -> list[IngestJob]:
        """One ingest job for each integration."""
        return [IngestJob(integration, self.day, self.is_backfill) for integration in integrations]


def current_run(settings: Settings) -> Run:
    """The run of the task that is executing.

    :raises JobError: ``config_invalid`` when the run's date or configuration cannot be used.
    """
    context = current_context()
    dag_run, params = context["dag_run"], context["params"]
    _require_overrides(dag_run.conf or {}, params)
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
    organization_id, customer_id = params.get("organization_id"), params.get("customer_id")
    for field, given in (
        ("organization_id", [organization_id]),
        ("customer_id", [customer_id]),
        ("integration_ids", ids or []),
    ):
        for one in given:
            _require_storable(field, one)
    return Run(
        run_id=dag_run.run_id,
        day=day,
        is_backfill=dag_run.run_type == "backfill",
        organization_id=organization_id,
        integration_ids=tuple(ids) if ids is not None else None,
        customer_id=customer_id,
        is_scheduled=dag_run.run_type == "scheduled",
    )


def _require_storable(field: str, given: str | None) -> None:
    """Refuse an id that Postgres cannot hold: it would be a database error, and be retried."""
    if given is not None and not is_storable(given):
        raise JobError(ErrorCode.CONFIG_INVALID, f"{field} has an id that cannot exist: {given!r}.")


def _require_overrides(conf: Mapping[str, object], params: Mapping[str, object]) -> None:
    """Refuse a run whose configuration Airflow has not merged into its params.

    :raises JobError: ``config_invalid``.
    """
    dropped = [name for name in params if conf.get(name, params[name]) != params[name]]
    if dropped:
        raise JobError(
            ErrorCode.CONFIG_INVALID,
            f"Airflow ignores what the run was given ({', '.join(dropped)}): "
            "set [core] dag_run_conf_overrides_params to True.",
        )
