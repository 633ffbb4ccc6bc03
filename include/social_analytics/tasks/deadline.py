"""The task of the deadline's DAG."""

from __future__ import annotations

from datetime import date

import structlog

from include.social_analytics import alerts
from include.social_analytics.airflow_compat import (
    RunState,
    current_context,
    is_last_try,
    run_state,
    task_state_in,
)
from include.social_analytics.alerts import Alert
from include.social_analytics.dag_ids import CHECK_TASK, DAILY_DAG
from include.social_analytics.databases import Database
from include.social_analytics.days import label_of, latest_due_day
from include.social_analytics.settings import Settings
from include.social_analytics.tasks.tell import tell
from include.social_analytics.warehouse import ledger

log = structlog.get_logger(__name__)


def check_deadline() -> None:
    """Send one message when the latest day that was due at the deadline has not been checked.

    Its own run may have checked it, or any other runs that together covered all channels.
    """
    settings = Settings.from_environment()
    context = current_context()
    day = latest_due_day(context["dag_run"].run_after, settings)
    if day < settings.start_date or settings.notifier is None:
        return

    def alert(analytics: Database | None) -> Alert | None:
        state = run_state(DAILY_DAG, label_of(day))
        log.info("deadline", date=day.isoformat(), run=state)
        if state is RunState.ENDED or (analytics is not None and _was_checked(analytics, day)):
            return None
        return alerts.late(day, state, ledger.by_status(analytics, day) if analytics else None)

    if not tell(settings.notifier, alert, context):
        raise RuntimeError("The notifier failed: see the error in this log.")


def _was_checked(analytics: Database, day: date) -> bool:
    """Whether the runs that covered the day have reported what is missing.

    :raises RuntimeError: when one is just about to. Airflow asks again in some minutes.
    """
    runs = ledger.runs_that_covered(analytics, day)
    checks = task_state_in(DAILY_DAG, CHECK_TASK, sorted(runs)) if runs else {}
    states = {checks.get(run_id) for run_id in runs}
    if "running" in states and states <= {"success", "failed", "running"} and not is_last_try():
        raise RuntimeError(f"{CHECK_TASK} is at work: this task asks again.")
    return bool(states) and states <= {"success", "failed"}
