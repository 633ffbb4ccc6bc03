"""A complete Airflow for the end-to-end tests. Each test has its own organization and channels."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count

import psycopg
import pytest

from include.sandbox.local_airflow import PROJECT, LocalAirflow
from include.sandbox.postgres import EmbeddedPostgres
from include.sandbox.stand_ins.facebook.graph_api import serve
from tests.support.hostile import hostile_world
from tests.support.stage import DAY, Stage, statsd


@pytest.fixture(scope="module")
def stage(
    postgres: EmbeddedPostgres,
    analytics_template: str,
    postiz_template: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Stage]:
    """A running Airflow with its DAG unpaused. It has two days to catch up for the organization org-1.

    Each file has its own: one test checks all alerts so far, and another deletes a run.
    """
    # The API's clock is fixed, so that it gives the same answers twice.
    now = datetime.now(UTC)
    world = hostile_world(range(1, 400), now=lambda: now)
    for name, template in (("e2e_postiz", postiz_template), ("e2e_analytics", "template1")):
        postgres.create_database(name, template)
    postgres.create_database("e2e_airflow")
    home = tmp_path_factory.mktemp("airflow")
    # A test adds a DAG that follows.
    (home / "dags").mkdir()
    for path in (PROJECT / "dags").glob("*.py"):
        (home / "dags" / path.name).symlink_to(path)
    with (
        psycopg.connect(postgres.dsn("e2e_postiz"), autocommit=True) as postiz,
        psycopg.connect(postgres.dsn("e2e_analytics"), autocommit=True) as analytics,
        serve(world) as sandbox,
        statsd() as (port, metrics),
    ):
        environment = {
            "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
            "AIRFLOW__METRICS__STATSD_ON": "True",
            "AIRFLOW__METRICS__STATSD_PORT": str(port),
            "AIRFLOW__METRICS__STATSD_INFLUXDB_ENABLED": "True",
            "AIRFLOW_CONN_POSTIZ_DB": postgres.airflow_connection("e2e_postiz"),
            "AIRFLOW_CONN_ANALYTICS_DB": postgres.airflow_connection("e2e_analytics"),
            "AIRFLOW_CONN_FACEBOOK_GRAPH": json.dumps({"conn_type": "http", "host": sandbox.url}),
            # As people have it: the command line reads dates in this zone.
            "AIRFLOW__CORE__DEFAULT_TIMEZONE": "Europe/Berlin",
            # A full run has more channels than that.
            "AIRFLOW__CORE__MAX_MAP_LENGTH": "30",
            "SOCIAL_ANALYTICS_START_DATE": (DAY - timedelta(days=1)).isoformat(),
            # Tests start their runs together, so that one runs while another waits.
            "SOCIAL_ANALYTICS_MAX_ACTIVE_RUNS": "16",
            "SOCIAL_ANALYTICS_RETRY_DELAY": "0",
            "SOCIAL_ANALYTICS_MAX_RETRY_DELAY": "1",
            "SOCIAL_ANALYTICS_REQUEST_BACKOFF": "0",
            "SOCIAL_ANALYTICS_REQUEST_TIMEOUT": "5",
            "SOCIAL_ANALYTICS_SNAPSHOT_RETENTION_MONTHS": "24",
            "SOCIAL_ANALYTICS_REPORTS": str(home / "reports"),
            # The same calls on each weekday.
            "SOCIAL_ANALYTICS_WEEKLY_POST_WINDOW_DAYS": "28",
            # Tests don't wait for retries.
            "SOCIAL_ANALYTICS_DEADLINE": "23:59",
            "SOCIAL_ANALYTICS_NOTIFIER": json.dumps(
                {
                    "class": "tests.support.outbox.Outbox",
                    "arguments": {
                        "path": str(home / "outbox.jsonl"),
                        "subject": "{{ alert_subject }}",
                        "text": "{{ alert_message }}",
                    },
                }
            ),
        }
        with LocalAirflow(home, postgres.sqlalchemy_url("e2e_airflow"), environment) as airflow:
            stage = Stage(
                airflow, world, sandbox, postiz, analytics, home, iter(list(world.pages.values())), count(1),
                metrics,
            )  # fmt: skip
            stage.caught_up = stage.organization(1)
            airflow.unpause()
            for day in (DAY - timedelta(days=1), DAY):
                stage.wait_for(lambda day=day: f"scheduled__{day}" in stage.run_ids())
            yield stage
    for name in ("e2e_postiz", "e2e_analytics", "e2e_airflow"):
        postgres.drop_database(name)
