"""The task ``check_coverage``: whether the run is red, the alert, and the day's gauges."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import structlog
from airflow.sdk.exceptions import AirflowFailException

from include.social_analytics import alerts, telemetry
from include.social_analytics.airflow_compat import (
    current_context,
    emit_nothing,
    emit_partition,
    has_ended,
    is_last_try,
    task_states,
)
from include.social_analytics.assets import ORGANIZATION_DAILY
from include.social_analytics.batches import integrations_of
from include.social_analytics.connectors import providers
from include.social_analytics.coverage import Coverage, Failure, assess, never_published, never_read
from include.social_analytics.dag_ids import AGGREGATE_TASK, CHECK_TASK, DAILY_DAG, INGEST_TASK, LIST_TASK
from include.social_analytics.databases import Database, open_analytics
from include.social_analytics.days import day_ended_at, latest_due_day
from include.social_analytics.errors import JobError
from include.social_analytics.jobs import Integration
from include.social_analytics.runs import Run, current_run
from include.social_analytics.settings import Settings
from include.social_analytics.tasks.deletion import delete_what_is_due
from include.social_analytics.tasks.outcome import airflow_outcome
from include.social_analytics.tasks.tell import tell
from include.social_analytics.warehouse import complete_days, ledger

log = structlog.get_logger(__name__)


def check_coverage() -> dict[str, Any]:
    """Fail the run when something is missing that the Airflow operator can resolve.

    If nothing is, and the run has read enough of all channels, the day is in: a partition of the asset.
    """
    settings = Settings.from_environment()
    context = current_context()
    states = task_states(LIST_TASK, INGEST_TASK, AGGREGATE_TASK)
    broken = [task for task in (LIST_TASK, AGGREGATE_TASK) if states.get(task) != "success"]
    if broken:
        sentence = f"{' and '.join(broken)} did not succeed: see the log of the first."
        # An unparseable day is a typo that the user sees at once: no alert.
        with suppress(JobError):
            _tell_of_failure(current_run(settings), sentence, settings, context)
        raise AirflowFailException(sentence)
    batches = [integrations_of(batch) for batch in context["ti"].xcom_pull(task_ids=LIST_TASK)]
    failed = [
        batch for index, batch in enumerate(batches) if states.get(f"{INGEST_TASK}_{index}") == "failed"
    ]
    with airflow_outcome():
        run = current_run(settings)
        undeleted = delete_what_is_due(settings) if _is_news(run, settings) else []
        try:
            coverage, complaints = _judge(run, batches, failed, undeleted, settings, context)
        except JobError as error:
            if error.code.is_final or is_last_try():
                _tell_of_failure(run, f"{CHECK_TASK} failed: {error}", settings, context)
            raise
    for failure in coverage.for_owner:
        log.warning("resolved by the channel's owner", integration=str(failure))
    if coverage.taken_over:
        log.info("channels taken over by another run of this day", integrations=len(coverage.taken_over))
    log.info("coverage", date=run.day.isoformat(), coverage=coverage.ratio, **coverage.by_status)
    if complaints:
        raise AirflowFailException(f"{run.day}: " + " ".join(complaints))
    found = {"coverage": coverage.ratio, "jobs": coverage.jobs, **coverage.by_status}
    # Channels that another run still reads are missing. If they are too many, that run announces the day.
    read = replace(coverage, taken_over=()).ratio
    # Without any channel, nothing is in: Postiz may have been read while it was empty.
    if run.is_whole and coverage.jobs and read >= settings.min_coverage:
        day = run.day.isoformat()
        emit_partition(ORGANIZATION_DAILY, day, {**found, "date": day, "coverage": read})
    else:
        emit_nothing()
    return found


def _judge(
    run: Run,
    batches: Sequence[Sequence[Integration]],
    failed: Sequence[Sequence[Integration]],
    undeleted: Sequence[str],
    settings: Settings,
    context: Any,
) -> tuple[Coverage, list[str]]:
    """The run's coverage, and why the run is red. Sends the alert and the gauges.

    :param batches: all batches of the run.
    :param failed: the batches whose task failed.
    :param undeleted: sentences about what could not be erased or deleted.
    """
    integrations = [one for batch in batches for one in batch]
    with open_analytics() as analytics:
        others = [each for each in ledger.open_runs(analytics) if each != run.run_id]
        ledger.settle(analytics, run.run_id, [each for each in others if has_ended(DAILY_DAG, each)])
        lost, complaints = _give_up(analytics, run, integrations, settings)
        rows = ledger.states(analytics, [job.job_id for job in run.jobs(integrations)])
        unread = never_read(failed, rows, run.run_id, context["dag_run"].run_after)
        alike = complete_days.failed_alike(analytics, run.day)
        coverage = assess(integrations, rows, run.run_id, unread, alike)
        complaints = coverage.complaints(settings.min_coverage) + complaints
        if _is_news(run, settings):
            for provider in providers():
                of_provider = [one for one in integrations if one.provider == provider]
                _emit_gauges(analytics, run, provider, assess(of_provider, rows, run.run_id, unread, alike))
            if settings.notifier is not None:
                alert = alerts.alert_of(run, coverage, complaints, lost, undeleted)
                # Don't send the all-clear while another run is still reading this day.
                if alert.fingerprint or not coverage.taken_over:
                    alerts.tell_of_changes(analytics, settings.notifier, alert, context)
    return coverage, complaints


def _give_up(
    analytics: Database, run: Run, integrations: Sequence[Integration], settings: Settings
) -> tuple[list[Failure], list[str]]:
    """Fail the pending days that no later run reads again.

    :returns: all such failures of the last four weeks, one for each channel; and why the run is red: of the
        day that its look-back is the first not to reach, too little was ever published.
    """
    lookback = {name: provider.lookback_days(settings) for name, provider in providers().items()}
    for provider, count in ledger.give_up(analytics, run.day, lookback).items():
        telemetry.days_given_up(provider, count)
    days = ledger.given_up(analytics, [one.id for one in integrations], run.day)
    lost = never_published(integrations, days)
    for failure in lost:
        log.warning("not published, and no longer read again", integration=str(failure))
    complaints = []
    for provider in lookback if run.is_whole else ():
        left = run.day - timedelta(lookback[provider] + 1)
        channels = [one for one in integrations if one.provider == provider]
        missing = sum(left in days.get(one.id, ()) for one in channels)
        if missing and 1 - missing / len(channels) < settings.min_coverage:
            complaints.append(
                f"{provider} did not publish {left} for {missing} of {len(channels)} channels: "
                "backfill the day."
            )
    return lost, complaints


def _emit_gauges(analytics: Database, run: Run, provider: str, coverage: Coverage) -> None:
    """Send a provider's gauges. A provider without channels is complete: it must not alarm for ever."""
    declared = providers()[provider]
    complete: date | None = run.day
    on_time: date | None = run.day
    if coverage.jobs:
        complete = complete_days.newest_complete_day(analytics, provider, run.day)
        on_time = complete_days.on_time_until(analytics, provider, run.day, declared.final_after_days)
    telemetry.day_checked(
        provider,
        ratio=coverage.ratio,
        failed_for_owner=len(coverage.for_owner),
        day_end=day_ended_at(complete, declared.timezone) if complete else None,
        on_time_until=day_ended_at(on_time or run.day, declared.timezone),
    )


def _tell_of_failure(run: Run, sentence: str, settings: Settings, context: Any) -> None:
    """Send an alert about a run that could not be checked, if it is the newest full run."""
    if settings.notifier is not None and _is_news(run, settings):
        tell(settings.notifier, lambda _: alerts.broken(run, sentence), context)


def _is_news(run: Run, settings: Settings) -> bool:
    """Whether the run covers all channels and the latest due day."""
    return run.is_whole and run.day == latest_due_day(datetime.now(UTC), settings)
