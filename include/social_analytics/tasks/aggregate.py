"""The task ``analytics_aggregate``."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, timedelta

import structlog
from airflow.sdk.exceptions import AirflowSkipException

from include.social_analytics.airflow_compat import task_states
from include.social_analytics.connectors import lookback_days
from include.social_analytics.dag_ids import LIST_TASK
from include.social_analytics.databases import Database, open_analytics
from include.social_analytics.errors import JobError
from include.social_analytics.jobs import AggregateJob
from include.social_analytics.runs import Run, current_run
from include.social_analytics.settings import Settings
from include.social_analytics.tasks.deletion import drop_old_snapshots
from include.social_analytics.tasks.outcome import airflow_outcome
from include.social_analytics.warehouse import integrations
from include.social_analytics.warehouse.aggregate import aggregate_day

log = structlog.get_logger(__name__)


def analytics_aggregate() -> dict[str, int]:
    """Add up the run's day and its look-back for all organizations, and the past of channels that are new.

    :returns: rows written by day.
    """
    settings = Settings.from_environment()
    if task_states(LIST_TASK).get(LIST_TASK) != "success":
        raise AirflowSkipException(f"{LIST_TASK} did not succeed, so it is not known what to aggregate.")
    with airflow_outcome():
        run = current_run(settings)
        written: dict[str, int] = {}
        with open_analytics() as analytics:
            for back in range(lookback_days(settings), -1, -1):
                day = run.day - timedelta(days=back)
                with AggregateJob(day, run.organization_id).log_context():
                    written[day.isoformat()] = _aggregate(analytics, day)
            written |= _aggregate_history(analytics, run, {date.fromisoformat(day) for day in written})
            if settings.snapshot_retention_months is not None:
                with AggregateJob(run.day, run.organization_id).log_context():
                    drop_old_snapshots(analytics, settings.snapshot_retention_months, settings)
        return written


def _aggregate_history(analytics: Database, run: Run, done: Collection[date]) -> dict[str, int]:
    """Add up what was read of channels' pasts, for their organizations; returns rows written by day.

    :param done: days that are added up for all organizations.
    """
    written = {}
    pasts = integrations.history_to_add(analytics)
    days = {one.first + timedelta(days=n) for one in pasts for n in range((one.last - one.first).days + 1)}
    for day in sorted(days.difference(done)):
        with AggregateJob(day, run.organization_id).log_context():
            of_day = {one.organization_id for one in pasts if one.first <= day <= one.last}
            written[day.isoformat()] = _aggregate(analytics, day, of_day)
    integrations.history_is_added(analytics, pasts)
    return written


def _aggregate(analytics: Database, day: date, organizations: Collection[str] | None = None) -> int:
    log.info("aggregate started")
    try:
        rows = aggregate_day(analytics, day, organizations)
    except JobError as error:
        log.error(  # noqa: TRY400 - Airflow logs the traceback of what ends a task
            "aggregate failed", errorClass=error.error_class, errorCode=error.code, reason=error.reason
        )
        raise
    log.info("aggregate finished", rows=rows)
    return rows
