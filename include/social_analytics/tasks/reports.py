"""The task of the reports' DAG."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from urllib.parse import quote

import structlog
from airflow.sdk import ObjectStoragePath
from airflow.sdk.exceptions import AirflowRescheduleException

from include.social_analytics.airflow_compat import RunState, run_state
from include.social_analytics.dag_ids import DAILY_DAG
from include.social_analytics.databases import open_analytics_to_read
from include.social_analytics.days import DaySchedule, label_of
from include.social_analytics.health import queries
from include.social_analytics.reports import period as periods
from include.social_analytics.reports.period import Period, PeriodKind
from include.social_analytics.reports.render import as_html
from include.social_analytics.reports.report import report_on
from include.social_analytics.runs import current_run
from include.social_analytics.settings import Settings
from include.social_analytics.tasks.outcome import airflow_outcome

log = structlog.get_logger(__name__)

#: The daily run of the period's last day may take this long. After that, the reports say what is incomplete.
LONGEST_WAIT = timedelta(hours=6)
_ASK_AGAIN = timedelta(minutes=5)


def make_reports() -> dict[str, int]:
    """Write a file for each organization and customer with figures; returns how many, by the period's name.

    The periods are those that end on the run's day. A run of any other day makes those that ended last.

    :raises AirflowRescheduleException: while the daily run of that day has not ended.
    """
    settings = Settings.from_environment()
    assert settings.reports is not None  # noqa: S101 - without it, the DAG does not exist
    with airflow_outcome():
        day = current_run(settings).day
        _wait_for_the_day(day, settings)
        folder = ObjectStoragePath(settings.reports)
        due = periods.ending_on(day) or [periods.latest(kind, day) for kind in PeriodKind]
        return {period.name: _write(folder, period) for period in due}


def _wait_for_the_day(day: date, settings: Settings) -> None:
    now = datetime.now(UTC)
    given_up_at = DaySchedule(settings.timezone, settings.run_at).run_time(day) + LONGEST_WAIT
    if now < given_up_at and run_state(DAILY_DAG, label_of(day)) is not RunState.ENDED:
        log.info("the day's run has not ended", date=day.isoformat())
        raise AirflowRescheduleException(now + _ASK_AGAIN)  # type: ignore[no-untyped-call]


def _write(folder: ObjectStoragePath, period: Period) -> int:
    written = 0
    with open_analytics_to_read() as analytics:
        customers = queries.customers(analytics)
        for organization in queries.organizations(analytics):
            theirs = [one for one in customers if one.organization_id == organization.id]
            for customer in [None, *theirs]:
                report = report_on(analytics, organization, customer, period)
                if report.providers:
                    ids = [organization.id, *(["customers", customer.id] if customer else [])]
                    path = file_of(folder, ids, period)
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_text(as_html(report), encoding="utf-8")
                    written += 1
    log.info("reports written", period=period.name, reports=written, folder=str(folder))
    return written


def file_of(folder: ObjectStoragePath, ids: Sequence[str], period: Period) -> ObjectStoragePath:
    """The report's file. The ids are Postiz's: as names of folders they lead nowhere else."""
    # quote() leaves dots as they are: "..".
    for part in ids:
        folder = folder / quote(part, safe="").replace(".", "%2E")
    return folder / f"{period.name}.html"
