"""Tells Airflow of the timetable, without which the scheduler could not read the DAG's schedule back."""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin

from include.social_analytics.timetable import CalendarDayTimetable


class SocialAnalyticsPlugin(AirflowPlugin):
    """The timetable that ``dags/social_analytics_daily.py`` names."""

    name = "social_analytics"
    timetables = [CalendarDayTimetable]  # noqa: RUF012 - Airflow's own way to register
