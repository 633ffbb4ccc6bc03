"""
### Daily social analytics for Postiz

One run covers one day. It reads the active channels from a Postiz database, ingests each one's metrics and
content for that day from its provider's API, stores them in the schema `analytics`, and adds them up per
organization.

    list_active_integrations -> analytics_ingest[ ] -> analytics_aggregate -> check_coverage

**When.** Every day at `SOCIAL_ANALYTICS_RUN_AT` in `SOCIAL_ANALYTICS_TIMEZONE`, once the day has ended for
every provider. The logical date is that day at 00:00 UTC.

**Run a day again.** Any day can be run, cleared or backfilled at any time: a new reading replaces the old.
A manual run takes the day from `date`, else from a logical date at midnight, else the latest day due.

**What fails.** A broken token or a lost permission stops that one channel, with the reason in
`analytics.ingest_job`. A temporary fault is retried. When a quota is spent, the task waits and uses no try.
The run is red only when the Airflow operator must act. The log of `check_coverage` says who must act
and how.

**Needs** the connections `postiz_db` (read-only) and `analytics_db`. The providers' connections and
`analytics_redis` are optional. Settings are environment variables, see `docs/settings.md`.
"""

from datetime import UTC, datetime, time, timedelta
from typing import Any

from airflow.sdk import DAG, Param, task

from include.social_analytics.assets import ORGANIZATION_DAILY
from include.social_analytics.connectors import providers
from include.social_analytics.dag_ids import AGGREGATE_TASK, CHECK_TASK, DAILY_DAG, INGEST_TASK, LIST_TASK
from include.social_analytics.retry import SpreadRetryPolicy
from include.social_analytics.settings import Settings
from include.social_analytics.timetable import CalendarDayTimetable

RETRIES = 3

# A provider's package that cannot be imported is this file's import error, where Airflow shows it.
providers()
settings = Settings.from_environment()
start_date = datetime.combine(settings.start_date, time(), UTC)

with DAG(
    dag_id=DAILY_DAG,
    doc_md=__doc__,
    schedule=CalendarDayTimetable(settings.timezone, settings.run_at, settings.start_date),
    start_date=start_date,
    catchup=True,
    max_active_runs=settings.max_active_runs,
    max_active_tasks=settings.max_concurrent_tasks,
    # No dagrun_timeout: Airflow would skip the tasks that are left. Nothing would be added up, no job would
    # be marked as failed, and no alert would be sent. Each task has a limit, so each run ends.
    default_args={
        "owner": "social-analytics",
        # Set here, so that `airflow dags trigger` refuses an earlier logical date.
        "start_date": start_date,
        "retries": RETRIES,
        "retry_delay": settings.retry_delay,
        "retry_exponential_backoff": 2.0,
        "max_retry_delay": settings.max_retry_delay,
        # The longest honest task reads a hundred channels, eight at a time, from an API that uses up each
        # time-out. Listing, adding up and checking take minutes. A wait for quota takes no task's time. The
        # limit is shorter than Celery's visibility_timeout: no second worker gets the task.
        "execution_timeout": timedelta(hours=3),
    },
    params={
        "date": Param(None, type=["null", "string"], format="date", description="The day to ingest."),
        "organization_id": Param(
            None, type=["null", "string"], minLength=1, description="Only this organization's channels."
        ),
        "customer_id": Param(
            None,
            type=["null", "string"],
            minLength=1,
            description="Only this customer's channels, by the customer's id in Postiz.",
        ),
        "integration_ids": Param(
            None,
            type=["null", "array"],
            items={"type": "string", "minLength": 1},
            minItems=1,
            description="Only these channels, by their ids in Postiz.",
        ),
    },
    tags=["social-analytics", "postiz"],
) as dag:

    @task(task_id=LIST_TASK)
    def list_integrations() -> list[Any]:
        from include.social_analytics.tasks.list_integrations import list_active_integrations

        return list_active_integrations()

    @task(
        task_id=INGEST_TASK,
        # Airflow gives all mapped instances the same wait. This policy spreads the waits.
        retry_policy=SpreadRetryPolicy(RETRIES, settings.retry_delay, settings.max_retry_delay),
        # Over all runs: backfill, catch-up and the daily run share the API's quota.
        max_active_tis_per_dag=settings.max_concurrent_tasks,
        map_index_template="{{ task.op_kwargs['batch']['label'] }}",
        # The result is in the log and the ledger. An XCom would cost each task one more call.
        do_xcom_push=False,
    )
    def ingest(batch: Any) -> dict[str, int]:
        from include.social_analytics.tasks.ingest import analytics_ingest

        return analytics_ingest(batch)

    # all_done: add up what is stored, also when some ingests failed ...
    @task(
        task_id=AGGREGATE_TASK,
        trigger_rule="all_done",
        multiple_outputs=False,
        retries=1,
        retry_delay=timedelta(seconds=5),
        retry_exponential_backoff=0,
    )
    def aggregate() -> dict[str, int]:
        from include.social_analytics.tasks.aggregate import analytics_aggregate

        return analytics_aggregate()

    # ... and judge it: the state of a run is that of its last task. A day that is in is a partition of the
    # asset. Other DAGs can be scheduled on it.
    @task(
        task_id=CHECK_TASK,
        trigger_rule="all_done",
        multiple_outputs=False,
        outlets=[ORGANIZATION_DAILY],
    )
    def check() -> dict[str, Any]:
        from include.social_analytics.tasks.check import check_coverage

        return check_coverage()

    ingest.expand(batch=list_integrations()) >> aggregate() >> check()

# A run before the start date must fail in its first task, with a reason. Airflow leaves out tasks whose own
# start date is later, and marks the empty run as a success.
for each in dag.tasks:
    each.start_date = datetime.fromtimestamp(0, UTC)
