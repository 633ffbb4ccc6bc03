"""A complete Airflow on this machine: real scheduler, DAG processor and API server, LocalExecutor.

For `make run`, `make up` and the end-to-end tests. Everything lives in one directory and ends with it.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import requests

from include.sandbox.processes import Processes
from include.social_analytics.dag_ids import DAILY_DAG

PROJECT = Path(__file__).resolve().parents[2]
USER = "admin"


class StartError(RuntimeError):
    """A local server did not start; the message says where its log is."""


def free_port() -> int:
    """A TCP port on loopback that is free at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class AirflowApi:
    """Airflow's public REST API, as its user would call it."""

    def __init__(self, url: str, user: str, password: str) -> None:
        """:param url: of the API server, without a trailing slash."""
        self.url = url
        self.user = user
        self.password = password
        self._session = requests.Session()
        self._session.trust_env = False

    def is_healthy(self) -> bool:
        """Whether the server answers that scheduler, DAG processor and database are healthy."""
        try:
            answer = self._session.get(f"{self.url}/api/v2/monitor/health", timeout=10)
            answer.raise_for_status()
            health = answer.json()
        except requests.RequestException:
            return False
        return all(
            health[part]["status"] == "healthy" for part in ("metadatabase", "scheduler", "dag_processor")
        )

    def knows_the_dag(self) -> bool:
        """Whether the DAG can be triggered.

        :raises StartError: when a DAG file cannot be imported.
        """
        errors = self.api("GET", "importErrors")["import_errors"]
        if errors:
            raise StartError(errors[0]["stack_trace"].strip().splitlines()[-1])
        return any(dag["dag_id"] == DAILY_DAG for dag in self.api("GET", "dags")["dags"])

    def api(self, method: str, path: str, body: Mapping[str, Any] | None = None, **query: Any) -> Any:
        """Call a path below ``/api/v2``.

        :returns: the JSON of the answer, or ``None`` for an empty one.
        :raises requests.HTTPError: with the answer, if it is an error.
        """
        if "Authorization" not in self._session.headers:
            login = self._session.post(
                f"{self.url}/auth/token", json={"username": self.user, "password": self.password}, timeout=30
            )
            login.raise_for_status()
            self._session.headers["Authorization"] = f"Bearer {login.json()['access_token']}"
        answer = self._session.request(
            method, f"{self.url}/api/v2/{path}", json=body, params=query or None, timeout=60
        )
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def unpause(self) -> None:
        """Let the scheduler run the DAG."""
        self.api("PATCH", f"dags/{DAILY_DAG}", {"is_paused": False})

    def trigger(
        self, conf: Mapping[str, Any] | None = None, logical_date: str | None = None, dag_id: str = DAILY_DAG
    ) -> str:
        """Start a manual run; returns its run id."""
        run = self.api("POST", f"dags/{dag_id}/dagRuns", {"logical_date": logical_date, "conf": conf or {}})
        return str(run["dag_run_id"])

    def run_state(self, run_id: str, dag_id: str = DAILY_DAG) -> str:
        """``queued``, ``running``, ``success`` or ``failed``."""
        return str(self.api("GET", f"dags/{dag_id}/dagRuns/{run_id}")["state"])

    def xcom(self, run_id: str, task_id: str) -> Any:
        """What an unmapped task returned."""
        path = f"dags/{DAILY_DAG}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/return_value"
        return self.api("GET", path, deserialize=True)["value"]

    def failure_of(self, run_id: str, task: Mapping[str, Any]) -> str:
        """The message of the exception that ended a task instance (an item of ``task_instances``)."""
        log = self.api(
            "GET",
            f"dags/{DAILY_DAG}/dagRuns/{run_id}/taskInstances/{task['task_id']}/logs/{task['try_number']}",
            map_index=task["map_index"],
        )
        errors = [
            detail["exc_value"]
            for line in log["content"]
            if isinstance(line, dict)
            for detail in line.get("error_detail") or []
        ]
        return str(errors[-1]) if errors else "see its log"

    def task_instances(self, run_id: str) -> list[dict[str, Any]]:
        """All task instances of a run, mapped ones included."""
        found: list[dict[str, Any]] = []
        while True:
            page = self.api(
                "GET", f"dags/{DAILY_DAG}/dagRuns/{run_id}/taskInstances", limit=100, offset=len(found)
            )
            found += page["task_instances"]
            if not page["task_instances"] or len(found) >= page["total_entries"]:
                return found


class LocalAirflow(AirflowApi):
    """Starts on entering, stops on leaving and leaves no process behind."""

    def __init__(
        self, home: Path, metadata_url: str, environment: Mapping[str, str], *, port: int | None = None
    ) -> None:
        """
        :param home: an empty directory for configuration, logs and passwords.
        :param metadata_url: SQLAlchemy URL of an empty Postgres database.
        :param environment: connections and settings, on top of this process's environment.
        :param port: of the UI and API, on loopback; a free one by default.
        """
        self.home = home
        self.port = port or free_port()
        super().__init__(f"http://127.0.0.1:{self.port}", USER, secrets.token_urlsafe(12))
        self.environment = {
            **os.environ,
            "AIRFLOW_HOME": str(home),
            "PYTHONPATH": str(PROJECT),
            "AIRFLOW__CORE__DAGS_FOLDER": str(PROJECT / "dags"),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(PROJECT / "plugins"),
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home / "passwords.json"),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": metadata_url,
            "AIRFLOW__API__BASE_URL": self.url,
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_urlsafe(32),
            "AIRFLOW__API__SECRET_KEY": secrets.token_urlsafe(32),
            "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
            # What tasks need is imported once, before the first task (plugins/social_analytics.py).
            "AIRFLOW__CORE__LAZY_LOAD_PLUGINS": "False",
            # A batch's tokens are masked at once (include/social_analytics/masking.py).
            "AIRFLOW__LOGGING__SECRET_MASK_ADAPTER": "include.social_analytics.masking.each_token",
            # Nothing here runs for days, so short intervals cost little and save waiting.
            "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "5",
            **environment,
        }
        self._processes = Processes(home)
        self._servers: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _start(self) -> None:
        (self.home / "passwords.json").write_text(json.dumps({USER: self.password}))
        if self._airflow("db", "migrate").wait() != 0:
            raise StartError(f"Airflow's database could not be made: see {self.home}/db.log")
        self._servers = [
            self._airflow("api-server", "--host", "127.0.0.1", "--port", str(self.port), "--workers", "1"),
            self._airflow("dag-processor"),
            self._airflow("scheduler", "--skip-serve-logs"),
        ]
        self.wait_for(self.is_healthy, "Airflow's API server, scheduler and DAG processor", seconds=120)
        self.wait_for(self.knows_the_dag, f"the DAG {DAILY_DAG}", seconds=60)

    def _airflow(self, *command: str) -> subprocess.Popen[bytes]:
        return self._processes.start(
            [sys.executable, "-m", "airflow", *command],
            self.environment,
            log=self.home / f"{command[0]}.log",
        )

    def stop(self) -> None:
        """End every process that was started here, and all their child processes."""
        self._processes.stop()

    def wait_for(self, condition: Callable[[], bool], what: str, *, seconds: float) -> None:
        """Poll until ``condition`` holds.

        :raises StartError: when it does not hold within ``seconds``, or a server has ended.
        """
        deadline = time.monotonic() + seconds
        while not condition():
            dead = [process.args for process in self._servers if process.poll() is not None]
            if dead or time.monotonic() > deadline:
                raise StartError(f"Waited for {what} in vain: see the logs in {self.home}")
            time.sleep(0.2)
