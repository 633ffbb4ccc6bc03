"""One deployment of the compose file for all of its tests, with two workers."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import psycopg
import pytest

from include.sandbox.faults import Faults
from include.sandbox.local_airflow import PROJECT
from include.sandbox.postiz_db import create_tables
from include.sandbox.stand_ins.facebook.graph_api import serve
from tests.support.deployed_stage import CATCH_UP, MAX_ACTIVE_RUNS, MAX_CONCURRENT_TASKS, DeployedStage
from tests.support.deployment import Deployment, resolve
from tests.support.hostile import hostile_world

SERVICES = {
    "postgres", "demo-postiz", "redis", "init", "api-server", "scheduler", "dag-processor", "worker",
}  # fmt: skip

#: Shorter intervals, so that tests take seconds instead of minutes. All else is as in the file.
HURRIED = {
    "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_SEC": "2",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "15",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "30",
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "5",
}


@pytest.fixture(scope="session")
def deployed() -> Iterator[DeployedStage]:
    """The deployment: up and healthy, the DAG paused. Its Postiz is that of the profile `demo`, empty."""
    # The API's clock is fixed, so that it gives the same answers twice.
    now = datetime.now(UTC)
    world = hostile_world(range(1, 400), now=lambda: now)
    # Not in pytest's own directory: Postgres's user cannot read it.
    with (
        tempfile.TemporaryDirectory(prefix="social-analytics-compose-") as name,
        serve(world) as sandbox,
    ):
        directory = Path(name)
        reader = "postgresql://social_analytics_reader:demo@demo-postiz:5432/postiz"
        api = json.dumps({"conn_type": "http", "host": sandbox.url})
        config = resolve(
            directory,
            f"AIRFLOW_CONN_POSTIZ_DB={reader}\n"
            f"AIRFLOW_CONN_FACEBOOK_GRAPH='{api}'\n"
            f"SOCIAL_ANALYTICS_START_DATE={CATCH_UP[0]}\n"
            f"SOCIAL_ANALYTICS_MAX_ACTIVE_RUNS={MAX_ACTIVE_RUNS}\n"
            f"SOCIAL_ANALYTICS_MAX_CONCURRENT_TASKS={MAX_CONCURRENT_TASKS}\n"
            # With four channels or more, a task takes a batch.
            "SOCIAL_ANALYTICS_MAX_MAPPED_TASKS=3\n"
            "SOCIAL_ANALYTICS_RETRY_DELAY=0\n"
            "SOCIAL_ANALYTICS_MAX_RETRY_DELAY=1\n"
            "SOCIAL_ANALYTICS_REQUEST_BACKOFF=0\n",
        )
        deployment = Deployment(directory, config, HURRIED)
        try:
            deployment.up({"worker": 2}, SERVICES)
            postiz = psycopg.connect(deployment.dsn("postiz", "demo-postiz"), autocommit=True)
            create_tables(postiz)
            postiz.execute((PROJECT / "include/deploy/roles/postiz_reader.sql").read_bytes())
            postiz.execute("ALTER ROLE social_analytics_reader PASSWORD 'demo'")
            yield DeployedStage(
                deployment.airflow,
                world,
                sandbox,
                postiz,
                psycopg.connect(deployment.dsn("analytics"), autocommit=True),
                deployment.airflow_home,
                iter(list(world.pages.values())),
                count(1),
                deployment=deployment,
            )
        finally:
            deployment.processes.stop()


@pytest.fixture(autouse=True)
def _no_faults(deployed: DeployedStage) -> Iterator[None]:
    """Clear a test's faults at its end."""
    yield
    for page_id in (Faults.APP, *deployed.world.pages):
        deployed.world.faults.clear(page_id)


@pytest.fixture(scope="session")
def stage(deployed: DeployedStage) -> DeployedStage:
    """The deployment, its DAG unpaused and caught up for the organization org-1, which has six channels."""
    deployed.caught_up = deployed.organization(6)
    deployed.wait_for(deployed.airflow.knows_the_dag, 60)
    deployed.airflow.unpause()
    for day in CATCH_UP:
        deployed.wait_for(lambda day=day: f"scheduled__{day}" in deployed.run_ids(), 120)
        deployed.ended(f"scheduled__{day}")
    return deployed
