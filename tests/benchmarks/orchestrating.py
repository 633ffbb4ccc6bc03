"""Whole runs on a real Airflow, beside runs of a DAG of the same shape whose tasks do nothing."""

from __future__ import annotations

import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import psycopg

from include.sandbox.local_airflow import DAG_ID, PROJECT, AirflowApi, LocalAirflow
from include.sandbox.postgres import EmbeddedPostgres
from include.sandbox.postiz_db import create_tables, populate_many
from include.sandbox.world import World, make_page
from include.social_analytics.settings import Settings
from tests.benchmarks.report import Result
from tests.e2e.compose.deployment import Deployment, resolve
from tests.integration.conftest import DAY

MOST = 10_000
LATENCY_MS = 100

NOTHING = """
import os
from datetime import datetime
from airflow.sdk import DAG, Param, task

with DAG(
    "nothing", schedule=None, start_date=datetime(2026, 1, 1), params={"size": Param(1, type="integer")},
    max_active_tasks=int(os.environ["CONCURRENT_TASKS"]),
):
    @task
    def begin(params=None):
        return list(range(params["size"]))

    @task
    def nothing(number):
        pass

    @task(trigger_rule="all_done")
    def end():
        pass

    nothing.expand(number=begin()) >> end.override(task_id="end")() >> end.override(task_id="leaf")()
"""


@dataclass
class Rig:
    """An Airflow that knows both DAGs, its Postiz with ``MOST`` channels, and the stand-in for the API."""

    airflow: AirflowApi
    postiz: psycopg.Connection
    day: date = field(default=DAY)

    def ours(self, channels: int) -> float:
        """Seconds of one run over so many channels, each time of another day."""
        self.postiz.execute('UPDATE "Integration" SET "disabled" = "id" >= %s', [f"many-{channels:06}"])
        self.day -= timedelta(days=10)
        return self._run(DAG_ID, {"date": self.day.isoformat()})

    def nothing(self, tasks: int) -> float:
        """Seconds of one run of the DAG that does nothing, with so many mapped tasks."""
        return self._run("nothing", {"size": tasks})

    def _run(self, dag_id: str, conf: dict[str, object]) -> float:
        path = f"dags/{dag_id}/dagRuns"
        run = self.airflow.api("POST", path, {"logical_date": None, "conf": conf})
        while run["state"] in ("queued", "running"):
            time.sleep(0.25)
            run = self.airflow.api("GET", f"{path}/{run['dag_run_id']}")
        assert run["state"] == "success", run
        ended, began = (datetime.fromisoformat(run[name]) for name in ("end_date", "queued_at"))
        return (ended - began).total_seconds()


@contextmanager
def sandbox(latency_ms: float) -> Iterator[str]:
    """The stand-in for the Graph API in a process of its own; its URL."""
    command = ["--port", "0", "--pages", str(MOST), "--latency-ms", str(latency_ms)]
    process = subprocess.Popen(
        [sys.executable, "-m", "include.sandbox.graph_api", *command],
        cwd=PROJECT, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        [url] = re.findall(r"http\S+", process.stdout.readline())
        yield url
    finally:
        process.terminate()
        process.wait()


@contextmanager
def postiz_of(postgres: EmbeddedPostgres, name: str) -> Iterator[psycopg.Connection]:
    """A Postiz database with ``MOST`` channels."""
    postgres.create_database(name)
    with psycopg.connect(postgres.dsn(name), autocommit=True) as connection:
        create_tables(connection)
        populate_many(connection, World(make_page(number) for number in range(1, MOST + 1)))
        yield connection


def _dags(directory: Path) -> Path:
    """A DAGs folder with ours and the DAG that does nothing."""
    folder = directory / "both"
    folder.mkdir()
    shutil.copy(PROJECT / "dags" / f"{DAG_ID}.py", folder)
    (folder / "nothing.py").write_text(NOTHING)
    return folder


def environment(directory: Path, postiz: str, url: str) -> dict[str, str]:
    """What both Airflows have on top of what is shipped."""
    return {
        "AIRFLOW__CORE__DAGS_FOLDER": str(_dags(directory)),
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        # No runs but those that are measured.
        "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "False",
        "AIRFLOW_CONN_POSTIZ_DB": postiz,
        "AIRFLOW_CONN_FACEBOOK_GRAPH": json.dumps({"conn_type": "http", "host": url}),
        "SOCIAL_ANALYTICS_START_DATE": "2020-01-01",
        "CONCURRENT_TASKS": str(Settings().max_concurrent_tasks),
    }


@contextmanager
def local(postgres: EmbeddedPostgres, url: str, **settings: str) -> Iterator[Rig]:
    """As `make run` starts it: LocalExecutor."""
    with tempfile.TemporaryDirectory(prefix="social-analytics-bench-") as name, ExitStack() as stack:
        postiz = stack.enter_context(postiz_of(postgres, "orchestrating_local"))
        for database in ("airflow_local", "analytics_local"):
            postgres.create_database(database)
        airflow = LocalAirflow(
            Path(name),
            postgres.sqlalchemy_url("airflow_local"),
            environment(Path(name), postgres.airflow_connection("orchestrating_local"), url)
            | {"AIRFLOW_CONN_ANALYTICS_DB": postgres.airflow_connection("analytics_local")}
            | settings,
        )
        stack.enter_context(airflow)
        rig = Rig(airflow, postiz)
        _wait_for_both(rig)
        yield rig


@contextmanager
def celery(postgres: EmbeddedPostgres, url: str, **settings: str) -> Iterator[Rig]:
    """As docker-compose.yaml starts it: CeleryExecutor, Redis, one worker."""
    # Not where Postgres's user may not look.
    with tempfile.TemporaryDirectory(prefix="social-analytics-bench-") as name, ExitStack() as stack:
        postiz = stack.enter_context(postiz_of(postgres, "orchestrating_celery"))
        directory = Path(name)
        deployment = Deployment(
            directory,
            resolve(directory),
            environment(directory, postgres.airflow_connection("orchestrating_celery"), url) | settings,
        )
        stack.callback(deployment.processes.stop)
        services = {"postgres", "redis", "init", "api-server", "scheduler", "dag-processor", "worker"}
        deployment.up({}, services)
        rig = Rig(deployment.airflow, postiz)
        _wait_for_both(rig)
        yield rig


def _wait_for_both(rig: Rig) -> None:
    deadline = time.monotonic() + 90
    while {dag["dag_id"] for dag in rig.airflow.api("GET", "dags")["dags"]} != {DAG_ID, "nothing"}:
        assert time.monotonic() < deadline
        time.sleep(0.5)
    rig.ours(1)
