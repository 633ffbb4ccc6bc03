"""
### Has the day's run ended by the deadline?

At `SOCIAL_ANALYTICS_DEADLINE` this DAG checks whether the run of the latest due day has ended. If not, it
sends one message by `SOCIAL_ANALYTICS_NOTIFIER`: the state of the run, and how many channels are done. If the
run has ended, its `check_coverage` has reported what is missing. It is enough that other runs, by hand or
of a backfill, have covered the day's channels. The DAG exists only with both settings.

**Why a separate DAG.** A run that waits for its turn, or that does not exist, cannot send anything.
"""

from datetime import timedelta

from airflow.sdk import DAG, CronTriggerTimetable, task

from include.social_analytics.dag_ids import DEADLINE_DAG
from include.social_analytics.settings import Settings

settings = Settings.from_environment()

if settings.deadline is not None and settings.notifier is not None:
    with DAG(
        dag_id=DEADLINE_DAG,
        doc_md=__doc__,
        schedule=CronTriggerTimetable(
            f"{settings.deadline.minute} {settings.deadline.hour} * * *",
            timezone=settings.timezone.key,
            # By default, a new DAG runs at once if the time has just passed.
            run_immediately=timedelta(),
        ),
        catchup=False,
        # The setting turns the DAG on: nobody needs to unpause it.
        is_paused_upon_creation=False,
        default_args={
            "owner": "social-analytics",
            "retries": 3,
            "retry_delay": timedelta(minutes=2),
            # A few queries, and a notifier that is stopped after a minute. It may wait for one other alert.
            "execution_timeout": timedelta(minutes=10),
        },
        tags=["social-analytics", "postiz"],
    ):
        # Before ingest tasks that wait for a slot: they may be why the day is late.
        @task(priority_weight=1000, multiple_outputs=False)
        def check_deadline() -> None:
            from include.social_analytics.tasks.deadline import check_deadline

            check_deadline()

        check_deadline()
