"""docker-compose.yaml in a Docker engine, used as its user does: with `make env` and `docker compose`."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from threading import Event, Thread
from typing import Any

import psycopg
from dotenv import dotenv_values
from psycopg.rows import dict_row

from include.sandbox.local_airflow import PROJECT, AirflowApi
from tests.support.engine import Engine, run

_OURS = '/containers/json?all=1&filters={"label":["com.docker.compose.project=social-analytics"]}'
_SERVICE, _NUMBER = "com.docker.compose.service", "com.docker.compose.container-number"


@dataclass
class Figures:
    """What a service took."""

    #: Seconds from its container's start to the first successful health check.
    seconds_to_healthy: float | None = None
    peak_mib: float = 0
    limit_mib: float = 0


@dataclass
class Composed:
    """A checkout of the project, and the engine in which it is deployed."""

    engine: Engine
    directory: Path
    figures: dict[str, Figures] = field(default_factory=dict)
    _overrides: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def check_out(cls, engine: Engine, directory: Path) -> Composed:
        """Copy the project as Git would under umask 077: others may read nothing."""
        for name in run(["git", "ls-files", "-z"], cwd=PROJECT).split("\0"):
            if name and (PROJECT / name).exists():
                (directory / name).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                shutil.copy(PROJECT / name, directory / name)
        run(["chmod", "-R", "go=", directory])
        return cls(engine, directory)

    @property
    def env(self) -> dict[str, str]:
        """What is in .env."""
        return {name: value or "" for name, value in dotenv_values(self.directory / ".env").items()}

    def write_env(self, **lines: str) -> None:
        """Add lines to .env. The last one counts."""
        with (self.directory / ".env").open("a") as file:
            file.writelines(f"{name}={value}\n" for name, value in lines.items())

    @contextmanager
    def override(self, service: str, **environment: str) -> Iterator[None]:
        """Let `up`, within the block, give a service other variables than docker-compose.yaml does."""
        before = self._overrides
        self._override(before | {service: {**before.get(service, {}), "environment": environment}})
        try:
            yield
        finally:
            self._override(before)

    def check_often(self) -> None:
        """Let each health check come every 2 s after the next `up`, so that a wait for it takes less."""
        services = json.loads(self.compose("--profile", "*", "config", "--format", "json"))["services"]
        self._override(
            {
                name: {"healthcheck": {"interval": "2s"}}
                for name, one in services.items()
                if "healthcheck" in one
            }
        )

    def _override(self, services: dict[str, Any]) -> None:
        self._overrides = services
        (self.directory / "docker-compose.override.yaml").write_text(json.dumps({"services": services}))

    def compose(self, *arguments: str) -> str:
        """Run `docker compose`; returns its output."""
        return run(
            ["docker", "compose", "--progress", "quiet", *arguments],
            cwd=self.directory, env=self.engine.environment,
        )  # fmt: skip

    def up(self, *arguments: str, profiles: tuple[str, ...] = ("demo",)) -> None:
        """Start or change the deployment, and wait until each service is healthy."""
        chosen = [f"--profile={profile}" for profile in profiles]
        self.compose(*chosen, "up", "--detach", "--wait", *arguments)

    def in_background(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start `docker compose`."""
        return subprocess.Popen(
            ["docker", "compose", "--progress", "quiet", *arguments],
            cwd=self.directory, env=self.engine.environment, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def log(self, service: str) -> str:
        """What a service's containers have printed."""
        return self.compose("logs", "--no-color", service)

    def airflow(self, *arguments: str) -> str:
        """A command of Airflow, as the docs write it."""
        return self.compose("exec", "-T", "scheduler", "airflow", *arguments)

    def api(self) -> AirflowApi:
        """Airflow's API, as the browser reaches it."""
        env = self.env
        url = env.get("AIRFLOW_BASE_URL") or f"http://localhost:{env.get('AIRFLOW_PORT', '8080')}"
        return AirflowApi(url, "admin", env["AIRFLOW_ADMIN_PASSWORD"])

    def containers(self, service: str) -> list[dict[str, Any]]:
        """A service's containers, by number, as the engine describes them."""
        found = [one for one in self.engine.get(_OURS) if one["Labels"][_SERVICE] == service]
        found.sort(key=lambda one: int(one["Labels"][_NUMBER]))
        return [self.engine.get(f"/containers/{one['Id']}/json") for one in found]

    def address(self, service: str) -> str:
        """The address of a service's first container. A restart may change it."""
        networks = self.containers(service)[0]["NetworkSettings"]["Networks"]
        return str(networks["social-analytics_default"]["IPAddress"])

    def database(self, name: str, service: str = "postgres") -> psycopg.Connection[dict[str, Any]]:
        """A new connection, as the superuser, to see what happened."""
        password = "demo" if service == "demo-postiz" else self.env["POSTGRES_PASSWORD"]
        return psycopg.connect(
            host=self.address(service), user="postgres", password=password, dbname=name,
            autocommit=True, row_factory=dict_row,
        )  # fmt: skip

    def rows(self, query: str, *parameters: Any) -> list[dict[str, Any]]:
        """Rows of the analytics database."""
        with self.database("analytics") as connection:
            return connection.execute(query, parameters).fetchall()

    def kill(self, service: str, number: int = 0) -> None:
        """``kill -9`` of a container's first process, so that the whole container ends and is restarted."""
        os.kill(self.containers(service)[number]["State"]["Pid"], signal.SIGKILL)

    def is_healthy(self) -> bool:
        """Whether all containers run and are healthy, and Airflow says so too."""
        ours = [one for one in self.engine.get(_OURS) if one["Labels"][_SERVICE] != "init"]
        return (
            all(one["State"] == "running" for one in ours)
            and all("(un" not in one["Status"] and "starting)" not in one["Status"] for one in ours)
            and self.api().is_healthy()
        )

    def processor_seconds(self) -> float:
        """The processor time that the running containers have used."""
        return (
            sum(
                self._stats(one["Id"])["cpu_stats"]["cpu_usage"]["total_usage"]
                for one in self.engine.get(_OURS)
                if one["State"] == "running"
            )
            / 1e9
        )

    def _stats(self, container: str) -> dict[str, Any]:
        found: dict[str, Any] = self.engine.get(f"/containers/{container}/stats?stream=false&one-shot=true")
        return found

    @contextmanager
    def measured(self) -> Iterator[None]:
        """Fill in :attr:`figures` meanwhile."""
        end = Event()

        def measure() -> None:
            while not end.wait(1):
                for container in self.engine.get(_OURS):
                    self._measure(container)

        thread = Thread(target=measure, daemon=True)
        thread.start()
        try:
            yield
        finally:
            end.set()
            thread.join()

    def _measure(self, container: dict[str, Any]) -> None:
        if container["State"] != "running":
            return
        figures = self.figures.setdefault(container["Labels"][_SERVICE], Figures())
        if figures.seconds_to_healthy is None and "(healthy)" in container["Status"]:
            started = self.engine.get(f"/containers/{container['Id']}/json")["State"]["StartedAt"]
            figures.seconds_to_healthy = time.time() - datetime.fromisoformat(started).timestamp()
        memory = (self._stats(container["Id"]) or {}).get("memory_stats") or {}
        if memory:
            # Pages of files that nobody uses can be taken away at any time.
            reclaimable = memory["stats"].get("total_inactive_file", memory["stats"].get("inactive_file", 0))
            figures.peak_mib = max(figures.peak_mib, (memory["usage"] - reclaimable) / 2**20)
            figures.limit_mib = memory["limit"] / 2**20
