"""Tells Airflow of the timetable, without which the scheduler could not read the DAG's schedule back."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from airflow.configuration import conf
from airflow.plugins_manager import AirflowPlugin

from include.social_analytics.timetable import CalendarDayTimetable

#: What an ingest task loads, and Airflow for it.
NEEDED_BY_TASKS = (
    "airflow.providers.postgres.hooks.postgres",
    "airflow.providers.standard.decorators.python",
    "airflow.sdk.execution_time.supervisor",
    "airflow.sdk.execution_time.task_runner",
    "include.social_analytics.connectors.facebook.connector",
    "include.social_analytics.ingest",
    "include.social_analytics.retry",
    "include.social_analytics.runs",
    "include.social_analytics.tasks",
)


class SocialAnalyticsPlugin(AirflowPlugin):
    """The timetable that ``dags/social_analytics_daily.py`` names."""

    name = "social_analytics"
    timetables = [CalendarDayTimetable]  # noqa: RUF012 - Airflow's own way to register

    @classmethod
    def on_load(cls, *args: Any, **kwargs: Any) -> None:
        """Load what ingest tasks need, where Airflow loads plugins before it forks the first task.

        A task then finds it loaded. Where plugins are loaded in each task (``[core] lazy_load_plugins``,
        which is Airflow's default), it would cost the tasks of all DAGs, and is left to those that need it.
        """
        if not conf.getboolean("core", "lazy_load_plugins"):
            for module in NEEDED_BY_TASKS:
                import_module(module)
