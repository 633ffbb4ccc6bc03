"""Tells Airflow of the timetable, without which the scheduler could not read the DAG's schedule back."""

from __future__ import annotations

from typing import Any

from airflow.configuration import conf
from airflow.plugins_manager import AirflowPlugin

from include.social_analytics.timetable import CalendarDayTimetable


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
            import include.social_analytics.connectors.facebook.connector
            import include.social_analytics.ingest
            import include.social_analytics.retry
            import include.social_analytics.runs
            import include.social_analytics.tasks  # noqa: F401
