"""
### A report for each organization and customer, every week and month

With the daily run of each Sunday and of each month's last day, this DAG writes a report for every
organization with figures and for each of its customers: one HTML file, to read, to send or to print. It waits
until that run has ended, at most six hours, and says in words what is incomplete.

The files go to `SOCIAL_ANALYTICS_REPORTS`, as `<organization>/2026-W47.html` and
`<organization>/2026-11.html`, those of a customer to `<organization>/customers/<customer>/`. A run again
replaces them. The DAG exists only with that setting.
"""

from datetime import UTC, datetime, time, timedelta

from airflow.sdk import DAG, Param, task

from include.social_analytics.dag_ids import REPORTS_DAG
from include.social_analytics.settings import Settings
from include.social_analytics.timetable import PeriodEndTimetable

settings = Settings.from_environment()

if settings.reports is not None:
    with DAG(
        dag_id=REPORTS_DAG,
        doc_md=__doc__,
        schedule=PeriodEndTimetable(settings.timezone, settings.run_at, settings.start_date),
        start_date=datetime.combine(settings.start_date, time(), UTC),
        catchup=False,
        # The setting turns the DAG on: nobody needs to unpause it.
        is_paused_upon_creation=False,
        params={
            "date": Param(
                None,
                type=["null", "string"],
                format="date",
                description="Report on the week and the month that ended last by this day.",
            )
        },
        default_args={
            "owner": "social-analytics",
            "retries": 3,
            "retry_delay": timedelta(minutes=5),
            # Some ten queries for each organization and customer.
            "execution_timeout": timedelta(hours=1),
        },
        tags=["social-analytics", "postiz"],
    ):

        @task(multiple_outputs=False)
        def make_reports() -> dict[str, int]:
            from include.social_analytics.tasks.reports import make_reports

            return make_reports()

        make_reports()
