"""The DAGs' tasks: the edge where the package meets Airflow.

Nothing else knows of Airflow's context and exceptions. Each function takes what the DAG file hands
it, finds its run, opens its connections and says what Airflow is to make of the outcome.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

import structlog
from airflow.sdk import get_current_context
from airflow.sdk.exceptions import (
    AirflowFailException,
    AirflowRescheduleException,
    AirflowSkipException,
)

from include.social_analytics.batches import Batch, integrations_of
from include.social_analytics.dag_ids import AGGREGATE_TASK, CHECK_TASK, INGEST_TASK, LIST_TASK
from include.social_analytics.errors import JobError
from include.social_analytics.settings import Settings

if TYPE_CHECKING:
    import psycopg

    from include.social_analytics.alerts import Alert
    from include.social_analytics.connectors.base import Connector
    from include.social_analytics.coverage import Coverage
    from include.social_analytics.jobs import Integration
    from include.social_analytics.runs import Run
    from include.social_analytics.settings import Notifier

# Each task imports what it works with by itself: the DAG file is parsed all the time, and for every task.

log = structlog.get_logger(__name__)


@contextmanager
def airflow_outcome() -> Iterator[None]:
    """Tell Airflow which failures are final: it retries whatever else a task raises."""
    try:
        yield
    except JobError as error:
        if error.code.is_final:
            raise AirflowFailException(str(error)) from None
        raise


def list_active_integrations() -> list[Batch]:
    """Register a job for each active integration; return what to ingest, dealt out for mapping."""
    from include.social_analytics.connectors.facebook.connector import facebook_graph
    from include.social_analytics.databases import open_analytics, open_postiz
    from include.social_analytics.listing import list_active
    from include.social_analytics.runs import current_run

    settings = Settings.from_environment()
    with airflow_outcome():
        run = current_run(settings)
        facebook_graph()
        with open_postiz() as source, open_analytics() as analytics:
            listing = list_active(source, analytics, run, settings)
        log.info(
            "integrations listed",
            date=run.day.isoformat(),
            active=listing.count,
            leftOut=listing.left_out,
        )
        return listing.batches


def analytics_ingest(batch: Batch) -> dict[str, int]:
    """Ingest a batch; returns how many of its jobs have each status."""
    from include.social_analytics.connectors import open_connector
    from include.social_analytics.connectors.facebook.connector import facebook_graph
    from include.social_analytics.databases import ANALYTICS_DB, open_analytics, open_postiz
    from include.social_analytics.ingest import Ingester, ThrottledError
    from include.social_analytics.masking import mask
    from include.social_analytics.runs import current_run, first_try, is_first_start
    from include.social_analytics.warehouse import ledger
    from include.social_analytics.warehouse.storage import storage_errors

    settings = Settings.from_environment()
    with airflow_outcome():
        run = current_run(settings)
        jobs = run.jobs(integrations_of(batch))
        with open_analytics() as analytics:
            # Before all that may fail: a task that comes no further is not excused by what was read before.
            ledger.claim(analytics, jobs, run.run_id, first_try=first_try(), force=is_first_start())
            graph = facebook_graph()

            @cache
            def connector(provider: str) -> Connector:
                return open_connector(provider, settings=settings, graph=graph)

            # What Postgres says while ingesting is about the analytics database, unless said otherwise.
            with open_postiz() as source, storage_errors(ANALYTICS_DB):
                ingester = Ingester(source, analytics, connector, mask, settings)
                try:
                    return ingester.ingest(jobs, run.run_id, map_index=get_current_context()["ti"].map_index)
                except ThrottledError as throttled:
                    # Not a failure: it costs no try, and no slot while it waits.
                    raise AirflowRescheduleException(throttled.due) from None  # type: ignore[no-untyped-call]


def analytics_aggregate() -> dict[str, int]:
    """Roll the run's day and its look-back up per organization; returns rows written by day."""
    from include.social_analytics.connectors.base import Window
    from include.social_analytics.databases import ANALYTICS_DB, open_analytics
    from include.social_analytics.jobs import AggregateJob
    from include.social_analytics.runs import current_run, task_states
    from include.social_analytics.warehouse.aggregate import aggregate_day
    from include.social_analytics.warehouse.storage import storage_errors

    settings = Settings.from_environment()
    if task_states(LIST_TASK).get(LIST_TASK) != "success":
        raise AirflowSkipException(f"{LIST_TASK} did not succeed, so what to aggregate is not known.")
    with airflow_outcome():
        run = current_run(settings)
        written: dict[str, int] = {}
        with open_analytics() as analytics:
            for day in Window(run.day, settings.lookback_days, settings.post_window_days).days:
                with AggregateJob(day, run.organization_id).log_context():
                    log.info("aggregate started")
                    try:
                        with storage_errors(ANALYTICS_DB):
                            rows = aggregate_day(analytics, day)
                    except JobError as error:
                        log.error(  # noqa: TRY400 - Airflow logs the traceback of what ends a task
                            "aggregate failed",
                            errorClass=error.error_class,
                            errorCode=error.code,
                            reason=error.reason,
                        )
                        raise
                    log.info("aggregate finished", rows=rows)
                written[day.isoformat()] = rows
            if settings.snapshot_retention_months is not None:
                with AggregateJob(run.day, run.organization_id).log_context():
                    _drop_old_snapshots(analytics, settings.snapshot_retention_months)
        return written


def _drop_old_snapshots(analytics: psycopg.Connection, months: int) -> None:
    from psycopg.errors import LockNotAvailable

    from include.social_analytics.warehouse import snapshots

    try:
        dropped = snapshots.drop_older(analytics, months)
    except LockNotAvailable:
        log.warning("snapshots are being read: the next run drops what is too old")
    else:
        log.info("old snapshots dropped", partitions=dropped)


def check_coverage() -> dict[str, Any]:
    """Fail the run when something that someone operating Airflow can cure is missing from the day."""
    from include.social_analytics.runs import current_run, task_states

    settings = Settings.from_environment()
    context: Any = get_current_context()
    states = task_states(LIST_TASK, INGEST_TASK, AGGREGATE_TASK)
    broken = [task for task in (LIST_TASK, AGGREGATE_TASK) if states.get(task) != "success"]
    if broken:
        sentence = f"{' and '.join(broken)} did not succeed: see the log of the first."
        # Where not even the run's day can be told, somebody has just mistyped it, and sees it.
        with suppress(JobError):
            _tell_of_failure(current_run(settings), sentence, settings, context)
        raise AirflowFailException(sentence)
    batches = [integrations_of(batch) for batch in context["ti"].xcom_pull(task_ids=LIST_TASK)]
    failed = [
        batch for index, batch in enumerate(batches) if states.get(f"{INGEST_TASK}_{index}") == "failed"
    ]
    with airflow_outcome():
        run = current_run(settings)
        try:
            coverage, complaints = _judge(run, batches, failed, settings, context)
        except JobError as error:
            is_last_try = context["ti"].try_number > context["ti"].max_tries
            if error.code.is_final or is_last_try:
                _tell_of_failure(run, f"{CHECK_TASK} failed: {error}", settings, context)
            raise
    for failure in coverage.for_owner:
        log.warning("for the page's owner to cure", integration=str(failure))
    if coverage.taken_over:
        log.info("another run of this day reads these again", integrations=len(coverage.taken_over))
    log.info("coverage", date=run.day.isoformat(), coverage=coverage.ratio, **coverage.by_status)
    if complaints:
        raise AirflowFailException(f"{run.day}: " + " ".join(complaints))
    return {"coverage": coverage.ratio, "jobs": coverage.jobs, **coverage.by_status}


def _judge(
    run: Run,
    batches: Sequence[Sequence[Integration]],
    failed: Sequence[Sequence[Integration]],
    settings: Settings,
    context: dict[str, Any],
) -> tuple[Coverage, list[str]]:
    """The run's coverage and what is to complain of; told to whom it is news.

    :param batches: what was listed; ``failed`` are those whose task failed.
    """
    from include.social_analytics import alerts, telemetry
    from include.social_analytics.coverage import assess, never_read
    from include.social_analytics.databases import open_analytics
    from include.social_analytics.days import day_ended_at
    from include.social_analytics.warehouse import ledger

    integrations = [one for batch in batches for one in batch]
    with open_analytics() as analytics:
        ledger.settle(analytics, run.day - timedelta(settings.lookback_days), run.day, run.run_id)
        rows = ledger.states(analytics, [job.job_id for job in run.jobs(integrations)])
        unread = never_read(failed, rows, run.run_id, context["dag_run"].run_after)
        coverage = assess(integrations, rows, run.run_id, unread)
        complaints = coverage.complaints(settings.min_coverage)
        if _is_news(run, settings):
            newest = ledger.newest_complete_day(analytics, run.day)
            telemetry.day_checked(
                "facebook",
                ratio=coverage.ratio,
                failed_for_owner=len(coverage.for_owner),
                day_end=day_ended_at(newest) if newest else None,
            )
            if settings.notifier is not None:
                alert = alerts.alert_of(run, coverage, complaints)
                # That all is well again, nobody knows while another run still reads.
                if alert.fingerprint or not coverage.taken_over:
                    alerts.tell_of_changes(analytics, settings.notifier, alert, context)
    return coverage, complaints


def check_deadline() -> None:
    """Send one message when the run of the day that was the latest due one at the deadline has not ended."""
    from include.social_analytics import alerts
    from include.social_analytics.days import latest_due_day
    from include.social_analytics.runs import OwnRun, own_run_of
    from include.social_analytics.warehouse import ledger

    settings = Settings.from_environment()
    context: Any = get_current_context()
    day = latest_due_day(context["dag_run"].run_after, settings)
    own_run = own_run_of(day)
    log.info("deadline", date=day.isoformat(), run=own_run)
    if own_run is OwnRun.ENDED or day < settings.start_date or settings.notifier is None:
        return

    def alert(analytics: psycopg.Connection | None) -> Alert:
        return alerts.late(day, own_run, ledger.by_status(analytics, day) if analytics else None)

    if not _tell(settings.notifier, alert, context):
        raise RuntimeError("The notifier failed: this log says with what.")


def _tell(
    notifier: Notifier, alert: Callable[[psycopg.Connection | None], Alert], context: dict[str, Any]
) -> bool:
    """Send an alert unless the last one said the same, which cannot be known without the database.

    :param alert: makes it, given the analytics database where there is one.
    :returns: whether it is told, now or before.
    """
    from include.social_analytics import alerts
    from include.social_analytics.databases import open_analytics

    try:
        with open_analytics() as analytics:
            return alerts.tell_of_changes(analytics, notifier, alert(analytics), context)
    except JobError as error:
        log.warning("the analytics database cannot be asked", reason=error.reason)
        return alerts.tell(notifier, alert(None), context)


def _tell_of_failure(run: Run, sentence: str, settings: Settings, context: dict[str, Any]) -> None:
    """Send an alert of a run that could not be judged, when that is news."""
    from include.social_analytics import alerts

    if settings.notifier is not None and _is_news(run, settings):
        _tell(settings.notifier, lambda _: alerts.broken(run, sentence), context)


def _is_news(run: Run, settings: Settings) -> bool:
    """Whether the run says how all integrations stand now."""
    from include.social_analytics.days import latest_due_day

    return run.is_whole and run.day == latest_due_day(datetime.now(UTC), settings)
