"""The task of the deadline's DAG."""

from __future__ import annotations

import structlog

from include.social_analytics import alerts
from include.social_analytics.airflow_compat import RunState, current_context, run_state
from include.social_analytics.alerts import Alert
from include.social_analytics.dag_ids import DAILY_DAG
from include.social_analytics.databases import Database
from include.social_analytics.days import label_of, latest_due_day
from include.social_analytics.settings import Settings
from include.social_analytics.tasks.tell import tell
from include.social_analytics.warehouse import ledger

log = structlog.get_logger(__name__)


def check_deadline() -> None:
    """Send one message when the run of the latest day that was due at the deadline has not ended."""
    settings = Settings.from_environment()
    context = current_context()
    day = latest_due_day(context["dag_run"].run_after, settings)
    state = run_state(DAILY_DAG, label_of(day))
    log.info("deadline", date=day.isoformat(), run=state)
    if state is RunState.ENDED or day < settings.start_date or settings.notifier is None:
        return

    def alert(analytics: Database | None) -> Alert:
        return alerts.late(day, state, ledger.by_status(analytics, day) if analytics else None)

    if not tell(settings.notifier, alert, context):
        raise RuntimeError("The notifier failed: see the error in this log.")
