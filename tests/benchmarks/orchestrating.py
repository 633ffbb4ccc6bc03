"""Whole runs on a real Airflow, compared with a DAG of the same shape whose tasks do nothing."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path

import psycopg

from include.sandbox.local_airflow import PROJECT, AirflowApi, LocalAirflow
from include.sandbox.postgres import EmbeddedPostgres
from include.sandbox.postiz_db import create_tables, populate_many
from include.sandbox.stand_ins.facebook.world import make_page
from include.social_analytics.batches import deal_out
from include.social_analytics.dag_ids import DAILY_DAG
from include.social_analytics.jobs import Integration
from include.social_analytics.settings import Settings
from tests.benchmarks.ingesting import sandbox
from tests.benchmarks.report import Result, medians
from tests.support.bench import DAY
from tests.support.deployment import Deployment, resolve

#: Channels of a run. Up to the limit each has its own mapped task, above it a task takes a batch.
SIZES = (20, 100, 1_000, 10_000)
MOST = max(SIZES)
LATENCY_MS = 100
ROUNDS = 3

#: The targets in seconds: for the faster executor, and for the other.
TARGETS = {1_000: (30, 60), 10_000: (150, 300)}

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


def results(postgres: EmbeddedPostgres) -> Iterator[Result]:
    """Time runs of each size under both executors."""
    taken: dict[int, dict[str, float]] = {channels: {} for channels in SIZES}
    for name, start in (("LocalExecutor", local), ("CeleryExecutor", celery)):
        with sandbox(MOST, 0) as url, start(postgres, facebook(url)) as rig:
            ours, floor = medians(lambda _: rig.ours(100), lambda _: rig.nothing(100), ROUNDS)
        yield Result(
            f"a run of 100 channels under {name}, compared with 100 tasks that do nothing",
            f"{ours:.0f} s", f"{floor:.0f} s", ours / floor, "at most 1.3",
        )  # fmt: skip
        with sandbox(MOST, LATENCY_MS) as url, start(postgres, facebook(url)) as rig:
            for channels in SIZES:
                tasks = tasks_of(channels)
                ours, floor = medians(
                    lambda _, channels=channels: rig.ours(channels),
                    lambda _, tasks=tasks: rig.nothing(tasks),
                    ROUNDS,
                    # Only the first size needs a warm-up.
                    warm_up=channels == min(SIZES),
                )
                taken[channels][name] = ours
                yield Result(
                    f"a run of {channels:,} channels under {name}, the API answering after {LATENCY_MS} ms, "
                    f"compared with {tasks} tasks that do nothing",
                    f"{ours:.0f} s", f"{floor:.0f} s", ours / floor,
                )  # fmt: skip
    for channels, targets in TARGETS.items():
        yield Result(
            f"a run of {channels:,} channels under the faster executor, and under the other",
            " and ".join(f"{spent:.0f} s" for spent in sorted(taken[channels].values())),
            target=" and ".join(f"{target} s" for target in targets),
        )


def tasks_of(channels: int) -> int:
    """How many mapped tasks a run of this many channels has."""
    some = [Integration("", "", "", "")] * channels
    settings = Settings()
    return len(
        deal_out(some, channels, most=settings.max_mapped_tasks, at_once=settings.max_concurrent_tasks)
    )


@dataclass
class Rig:
    """An Airflow that knows both DAGs, its Postiz with ``MOST`` channels, and the stand-in for the API."""

    airflow: AirflowApi
    postiz: psycopg.Connection
    day: date = field(default=DAY)

    def ours(self, channels: int) -> float:
        """Seconds of one run over this many channels, each time for another day."""
        self.postiz.execute('UPDATE "Integration" SET "disabled" = "id" >= %s', [f"many-{channels:06}"])
        self.day -= timedelta(days=10)
        return self._run(DAILY_DAG, {"date": self.day.isoformat()})

    def nothing(self, tasks: int) -> float:
        """Seconds of one run of the DAG that does nothing, with this many mapped tasks."""
        return self._run("nothing", {"size": tasks})

    def _run(self, dag_id: str, conf: dict[str, object]) -> float:
        path = f"dags/{dag_id}/dagRuns"
        run = self.airflow.api("POST", path, {"logical_date": None, "conf": conf})
        while run["state"] in ("queued", "running"):
            # Polling uses the measured cores, so poll rarely. The run itself says when it ended.
            time.sleep(1)
            run = self.airflow.api("GET", f"{path}/{run['dag_run_id']}")
        assert run["state"] == "success", run
        ended, began = (datetime.fromisoformat(run[name]) for name in ("end_date", "queued_at"))
        return (ended - began).total_seconds()


def facebook(url: str) -> dict[str, str]:
    """The connection to the stand-in for the Graph API."""
    return {"AIRFLOW_CONN_FACEBOOK_GRAPH": json.dumps({"conn_type": "http", "host": url})}


def pages(postiz: psycopg.Connection) -> None:
    """Make a Postiz with ``MOST`` Facebook pages."""
    create_tables(postiz)
    populate_many(postiz, (make_page(number) for number in range(1, MOST + 1)))


@contextmanager
def databases(
    postgres: EmbeddedPostgres, fill: Callable[[psycopg.Connection], object], *names: str
) -> Iterator[psycopg.Connection]:
    """Databases for the block. ``fill`` makes a Postiz of the first; yields its connection."""
    for name in names:
        postgres.create_database(name)
    with psycopg.connect(postgres.dsn(names[0]), autocommit=True) as connection:
        fill(connection)
        yield connection
    for name in names:
        postgres.drop_database(name)


def _dags(directory: Path) -> Path:
    """A DAGs folder with ours and the DAG that does nothing."""
    folder = directory / "both"
    folder.mkdir()
    shutil.copy(PROJECT / "dags" / f"{DAILY_DAG}.py", folder)
    (folder / "nothing.py").write_text(NOTHING)
    return folder


def environment(directory: Path, postiz: str, connections: Mapping[str, str]) -> dict[str, str]:
    """The variables that both Airflows have besides the shipped ones.

    :param connections: to the providers' APIs, as Airflow reads them.
    """
    return {
        "AIRFLOW__CORE__DAGS_FOLDER": str(_dags(directory)),
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        # Only the measured runs.
        "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "False",
        "AIRFLOW_CONN_POSTIZ_DB": postiz,
        **connections,
        "SOCIAL_ANALYTICS_START_DATE": "2020-01-01",
        # The past is read once. These are the days after.
        "SOCIAL_ANALYTICS_HISTORY_DAYS": "0",
        "CONCURRENT_TASKS": str(Settings().max_concurrent_tasks),
    }


@contextmanager
def local(
    postgres: EmbeddedPostgres,
    connections: Mapping[str, str],
    fill: Callable[[psycopg.Connection], object] = pages,
) -> Iterator[Rig]:
    """As `make run` starts it: LocalExecutor."""
    with tempfile.TemporaryDirectory(prefix="social-analytics-bench-") as name, ExitStack() as stack:
        postiz = stack.enter_context(databases(postgres, fill, "run_postiz", "run_airflow", "run_analytics"))
        airflow = LocalAirflow(
            Path(name),
            postgres.sqlalchemy_url("run_airflow"),
            environment(Path(name), postgres.airflow_connection("run_postiz"), connections)
            | {"AIRFLOW_CONN_ANALYTICS_DB": postgres.airflow_connection("run_analytics")},
        )
        stack.enter_context(airflow)
        rig = Rig(airflow, postiz)
        _wait_for_both(rig)
        yield rig


@contextmanager
def celery(postgres: EmbeddedPostgres, connections: Mapping[str, str]) -> Iterator[Rig]:
    """As docker-compose.yaml starts it: CeleryExecutor, Redis, one worker."""
    # A directory that Postgres's user can read.
    with tempfile.TemporaryDirectory(prefix="social-analytics-bench-") as name, ExitStack() as stack:
        postiz = stack.enter_context(databases(postgres, pages, "run_postiz"))
        directory = Path(name)
        deployment = Deployment(
            directory,
            resolve(directory),
            environment(directory, postgres.airflow_connection("run_postiz"), connections),
        )
        stack.callback(deployment.processes.stop)
        services = {"postgres", "redis", "init", "api-server", "scheduler", "dag-processor", "worker"}
        deployment.up({}, services)
        rig = Rig(deployment.airflow, postiz)
        _wait_for_both(rig)
        yield rig


def _wait_for_both(rig: Rig) -> None:
    deadline = time.monotonic() + 90
    while {dag["dag_id"] for dag in rig.airflow.api("GET", "dags")["dags"]} != {DAILY_DAG, "nothing"}:
        assert time.monotonic() < deadline
        time.sleep(0.5)
    rig.ours(1)
