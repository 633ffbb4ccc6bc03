"""What end-to-end tests use: Airflow, the databases, the stand-in, and queries to each of them."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from threading import Thread
from typing import Any

import psycopg

from include.sandbox.local_airflow import AirflowApi
from include.sandbox.postiz_db import insert_integration, insert_organization
from include.sandbox.stand_ins.facebook.world import Fault, Page, World
from include.social_analytics.dag_ids import DAILY_DAG
from include.social_analytics.days import latest_due_day
from include.social_analytics.settings import Settings

#: The latest due day: the one that a scheduler would run now.
DAY = latest_due_day(datetime.now(UTC), Settings())


@dataclass
class Stage:
    """Everything a test needs: Airflow, the databases, and the stand-in for the Graph API."""

    airflow: AirflowApi
    world: World
    sandbox: Any
    postiz: psycopg.Connection
    analytics: psycopg.Connection
    home: Path
    _pages: Iterator[Page]
    _organizations: Iterator[int]
    #: What Airflow and the package sent to StatsD: one line for each metric.
    metrics: set[str] = field(default_factory=set)
    #: The organization that catch-up ran for, and its pages.
    caught_up: tuple[str, list[Page]] = ("", [])

    def organization(self, pages: int) -> tuple[str, list[Page]]:
        """Add an organization with this many healthy channels. An integration has its Facebook page's id."""
        organization_id = f"org-{next(self._organizations)}"
        members = [next(self._pages) for _ in range(pages)]
        insert_organization(self.postiz, organization_id)
        for page in members:
            insert_integration(self.postiz, page.id, organization_id, page)
        return organization_id, members

    def fault(self, page: Page, kind: str, **how: Any) -> None:
        """Set a fault of the API for a page."""
        self.world.faults.set(page.id, Fault(kind, **how))

    def start(self, **conf: Any) -> str:
        """Trigger a manual run, by default for ``DAY``; returns its id."""
        return self.airflow.trigger({"date": DAY.isoformat(), **conf})

    def run(self, **conf: Any) -> Run:
        """Trigger a manual run and wait for its end."""
        return self.ended(self.start(**conf))

    def ended(self, run_id: str, seconds: float = 240) -> Run:
        """Wait for the end of a run."""
        self.wait_for(lambda: self.airflow.run_state(run_id) in ("success", "failed"), seconds)
        return Run(run_id, self.airflow.run_state(run_id), self.airflow.task_instances(run_id), self.airflow)

    def clear(self, run_id: str, map_index: int | None = None) -> None:
        """Clear a run, or one mapped ingest and its downstream tasks, as the UI's dialogs do."""
        how = {"only_failed": False, "dry_run": False}
        if map_index is None:
            self.airflow.api("POST", f"dags/{DAILY_DAG}/dagRuns/{run_id}/clear", how)
            return
        how |= {
            "dag_run_id": run_id,
            "task_ids": [["analytics_ingest", map_index]],
            "include_downstream": True,
        }
        self.airflow.api("POST", f"dags/{DAILY_DAG}/clearTaskInstances", how)

    def run_ids(self, **query: Any) -> list[str]:
        """The ids of the DAG's runs."""
        runs = self.airflow.api("GET", f"dags/{DAILY_DAG}/dagRuns", limit=100, **query)["dag_runs"]
        return [run["dag_run_id"] for run in runs]

    def wait_for(self, condition: Callable[[], bool], seconds: float = 60) -> None:
        """Poll until a condition holds."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "waited in vain"
            time.sleep(0.2)

    @property
    def outbox(self) -> list[tuple[str, str]]:
        """The alerts that were sent: subject and text."""
        path = self.home / "outbox.jsonl"
        return [tuple(json.loads(line)) for line in path.read_text().splitlines()] if path.exists() else []

    def job(self, page: Page, day: date = DAY) -> dict[str, Any]:
        """The ledger's row for a page's day."""
        [row] = self.rows(
            "SELECT * FROM analytics.ingest_job WHERE integration_id = %s AND date = %s", page.id, day
        )
        return row

    def figures(self, organization_id: str, day: date = DAY) -> dict[str, tuple[Any, int, int]]:
        """An organization's day: metric -> value, integrations reported, integrations expected."""
        rows = self.rows(
            "SELECT * FROM analytics.organization_daily WHERE organization_id = %s AND date = %s",
            organization_id,
            day,
        )
        return {
            row["metric"]: (row["value"], row["integrations_reported"], row["integrations_expected"])
            for row in rows
        }

    def lines_of(self, run: Run, instance: dict[str, Any]) -> list[dict[str, Any]]:
        """The lines that this package wrote to the log of a task instance's first try."""
        [folder] = self.home.glob(f"logs/**/run_id={run.run_id}/task_id={instance['task_id']}")
        if instance["map_index"] >= 0:
            folder /= f"map_index={instance['map_index']}"
        lines = [json.loads(line) for line in (folder / "attempt=1.log").read_text().splitlines()]
        return [line for line in lines if str(line.get("logger", "")).startswith("include.social_analytics")]

    def rows(self, query: str, *parameters: Any) -> list[dict[str, Any]]:
        """The rows of a query on the analytics database."""
        with self.analytics.cursor(row_factory=psycopg.rows.dict_row) as cursor:
            return cursor.execute(query, parameters).fetchall()


@dataclass(frozen=True)
class Run:
    """A run that has ended."""

    run_id: str
    state: str
    instances: list[dict[str, Any]]
    airflow: AirflowApi

    def states(self, task_id: str) -> list[str]:
        """The states of a task's instances, by map index."""
        return [one["state"] for one in self.of(task_id)]

    def of(self, task_id: str) -> list[dict[str, Any]]:
        """A task's instances, by map index."""
        found = [one for one in self.instances if one["task_id"] == task_id]
        return sorted(found, key=lambda one: one["map_index"])

    def failure(self, task_id: str) -> str:
        """The exception that failed an unmapped task."""
        [instance] = self.of(task_id)
        return self.airflow.failure_of(self.run_id, instance)


#: Must be equal after two runs of a day that read the same answers.
COMPARED = {
    "integration_metric_daily": "integration_id, metric, date, organization_id, provider, value,"
    " source_metric, job_id",
    "content": "integration_id, content_id, organization_id, provider, published_at, kind, message,"
    " permalink, postiz_post_id, first_seen_at",
    "content_metric_snapshot": "integration_id, content_id, metric, snapshot_date, value",
    "organization_daily": "organization_id, provider, metric, date, value, integrations_expected,"
    " integrations_reported",
}


def tables(stage: Stage, organization_id: str) -> dict[str, list[tuple]]:
    """An organization's rows of all tables, without the times of reading and writing."""
    pages = "SELECT integration_id FROM analytics.ingest_job WHERE organization_id = %s"
    found = {}
    for table, columns in COMPARED.items():
        mine = "organization_id = %s" if table == "organization_daily" else f"integration_id IN ({pages})"
        query = f"SELECT {columns} FROM analytics.{table} WHERE {mine} ORDER BY {columns}"
        found[table] = stage.analytics.execute(query, [organization_id]).fetchall()
    return found


def expected(stage: Stage, pages: list[Page], source_metric: str, day: date = DAY) -> int:
    """An organization's sum of a metric, from its pages' figures in the stand-in."""
    return sum(stage.world.page_value(page.id, source_metric, day) for page in pages)


@contextmanager
def statsd() -> Iterator[tuple[int, set[str]]]:
    """A StatsD server on loopback: its port, and the lines that it receives."""
    lines: set[str] = set()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))

        def receive() -> None:
            while packet := server.recv(65_535):
                lines.update(packet.decode().splitlines())

        receiver = Thread(target=receive)
        receiver.start()
        try:
            yield server.getsockname()[1], lines
        finally:
            # An empty packet ends the thread.
            server.sendto(b"", server.getsockname())
            receiver.join()
