"""Registers the timetables, which Airflow needs to read the schedules back, and the health page."""

from __future__ import annotations

from importlib import import_module
from pkgutil import resolve_name
from typing import Any

import structlog
from airflow.configuration import conf
from airflow.plugins_manager import AirflowPlugin

from include.social_analytics.connectors import providers
from include.social_analytics.timetable import CalendarDayTimetable, PeriodEndTimetable

log = structlog.get_logger(__name__)

#: What an ingest task loads, and Airflow and the DAG file for it. The providers' connectors come on top.
NEEDED_BY_TASKS = (
    "airflow.providers.postgres.hooks.postgres",
    "airflow.providers.standard.decorators.python",
    "airflow.sdk.definitions.asset.metadata",
    "airflow.sdk.definitions.decorators",
    "airflow.sdk.execution_time.supervisor",
    "airflow.sdk.execution_time.task_runner",
    "include.social_analytics.assets",
    "include.social_analytics.retry",
    "include.social_analytics.tasks.ingest",
    "include.social_analytics.warehouse.migrate",
    "jinja2.ext",
)


async def health_page(scope: Any, receive: Any, send: Any) -> None:
    """The page's server. The first request imports it, because every Airflow process loads the plugins."""
    from include.social_analytics.health.app import app

    await app(scope, receive, send)


class SocialAnalyticsPlugin(AirflowPlugin):
    """The timetables that the files in ``dags/`` name, and the page "Social analytics"."""

    name = "social_analytics"
    timetables = [CalendarDayTimetable, PeriodEndTimetable]  # noqa: RUF012 - Airflow's own way to register
    fastapi_apps = [  # noqa: RUF012
        {"name": "Social analytics", "url_prefix": "/social-analytics", "app": health_page}
    ]
    external_views = [  # noqa: RUF012
        {
            "name": "Social analytics",
            # Relative, because Airflow may be served below any path.
            "href": "social-analytics/",
            "destination": "nav",
            "url_route": "social-analytics",
            "nav_top_level": True,
        }
    ]

    @classmethod
    def on_load(cls, *args: Any, **kwargs: Any) -> None:
        """Import what ingest tasks need, if Airflow loads plugins before it forks the first task.

        Each task then starts with the modules in memory. With ``[core] lazy_load_plugins`` (Airflow's
        default), each task of every DAG would import them: then only ingest tasks do.
        """
        if not conf.getboolean("core", "lazy_load_plugins"):
            try:
                from psycopg.types.array import ListDumper

                for module in NEEDED_BY_TASKS:
                    import_module(module)
                for provider in providers().values():
                    resolve_name(provider.connector)
                # psycopg compiles a pattern for the first list that it sends.
                ListDumper(list).dump([])
            except Exception:
                # The timetable and the page do not need it, and the DAG file reports what cannot be imported.
                log.exception("preloading failed")
