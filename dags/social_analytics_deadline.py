"""
### Are the day's figures in by the hour?

At `SOCIAL_ANALYTICS_DEADLINE` it asks whether the run of the latest due day has ended, and if not, sends one
message by `SOCIAL_ANALYTICS_NOTIFIER`: how the run stands, and how many integrations are done. What a run
that has ended lacks, its own `check_coverage` has told. Without the two settings there is no such DAG.

**Why a DAG of its own.** A run that waits for its turn, or that nobody made, can tell nothing itself.
"""

from datetime import timedelta

from airflow.sdk import DAG, CronTriggerTimetable, task

from include.social_analytics.dag_ids import DEADLINE_DAG
from include.social_analytics.settings import Settings
from include.social_analytics.tasks import check_deadline

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
        # Whoever sets a deadline wants it watched.
        is_paused_upon_creation=False,
        default_args={"owner": "social-analytics", "retries": 3, "retry_delay": timedelta(minutes=2)},
        tags=["social-analytics", "postiz"],
    ):
        # Before all ingests that wait for a slot: they may be the reason.
        task(priority_weight=1000, multiple_outputs=False)(check_deadline)()
