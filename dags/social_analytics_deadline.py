"""
### Are the day's figures in by the hour?

At `SOCIAL_ANALYTICS_DEADLINE` it asks whether the run of the latest due day has ended. If not, it sends one
message by `SOCIAL_ANALYTICS_NOTIFIER`: how the run stands, and how many channels are done. A run that has
ended has told by itself, in `check_coverage`, what is missing. Without the two settings there is no such DAG.

**Why a DAG of its own.** A run that waits for its turn, or that nobody made, can send nothing itself.
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
            # Not at once where the DAG is new and the hour has just passed, which is the default.
            run_immediately=timedelta(),
        ),
        catchup=False,
        # A deadline that is set is to be watched.
        is_paused_upon_creation=False,
        default_args={
            "owner": "social-analytics",
            "retries": 3,
            "retry_delay": timedelta(minutes=2),
            "execution_timeout": timedelta(minutes=10),
        },
        tags=["social-analytics", "postiz"],
    ):
        # Before all ingests that wait for a slot: they may be the reason.
        @task(priority_weight=1000, multiple_outputs=False)
        def check_deadline() -> None:
            from include.social_analytics.tasks.deadline import check_deadline

            check_deadline()

        check_deadline()
