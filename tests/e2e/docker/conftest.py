"""One deployment of docker-compose.yaml in a real Docker engine. The tests use it in their order."""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
import requests

from include.sandbox.local_airflow import PROJECT, AirflowApi
from include.social_analytics.connectors import providers
from include.social_analytics.dag_ids import DAILY_DAG
from tests.support.composed import Composed
from tests.support.engine import Engine, run
from tests.support.stage import DAY, Run

#: Seconds. On an idle machine no wait takes a fifth of it.
PATIENCE = 300
#: One of each provider, and of Facebook's one that fails, one whose figures are late and one without any.
CHANNELS = [
    *(f"demo-{name}-01" for name in providers()),
    *(f"demo-facebook-{number}" for number in ("03", "17", "18")),
]
_REPORT = pytest.StashKey[list[str]]()


@dataclass
class DockerStage:
    """The demo, deployed."""

    composed: Composed
    airflow: AirflowApi
    #: Ends what :meth:`hold` began.
    releases: list[Callable[[], None]] = field(default_factory=list)

    def wait_for(self, condition: Callable[[], Any]) -> None:
        """Poll until a condition holds. An error of a server that is down counts as no."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                if condition():
                    return
            except (requests.RequestException, psycopg.OperationalError):
                pass
            assert time.monotonic() < deadline, "waited in vain"
            time.sleep(0.5)

    def start(self, **conf: Any) -> str:
        """Trigger a run for ``DAY``; returns its id."""
        return self.airflow.trigger({"date": DAY.isoformat(), **conf})

    def ended(self, run_id: str) -> Run:
        """Wait for the end of a run."""
        self.wait_for(lambda: self.airflow.run_state(run_id) in ("success", "failed"))
        return Run(run_id, self.airflow.run_state(run_id), self.airflow.task_instances(run_id), self.airflow)

    def run_ids(self, **query: Any) -> list[str]:
        """The ids of the DAG's runs."""
        runs = self.airflow.api("GET", f"dags/{DAILY_DAG}/dagRuns", limit=100, **query)["dag_runs"]
        return [run["dag_run_id"] for run in runs]

    def job(self, channel: str) -> dict[str, Any]:
        """The ledger's row for a channel's day; an empty one if there is none."""
        query = "SELECT * FROM analytics.ingest_job WHERE integration_id = %s AND date = %s"
        return next(iter(self.composed.rows(query, channel, DAY)), {})

    def stored_of_others(self, channel: str) -> list[dict[str, Any]]:
        """All stored values of all other channels, with the times of reading."""
        return self.composed.rows(
            "SELECT * FROM analytics.integration_metric_daily WHERE integration_id <> %s"
            " ORDER BY integration_id, metric, date",
            channel,
        )

    def hold(self, channel: str) -> Callable[[], None]:
        """Let the API answer nothing about a channel until the returned function is called."""
        with self.composed.database("postiz", "demo-postiz") as connection:
            [row] = connection.execute(
                'SELECT "internalId" AS id FROM "Integration" WHERE "id" = %s', [channel]
            ).fetchall()

        def url() -> str:
            return f"http://{self.composed.address('demo')}:8080/facebook/sandbox/accounts/{row['id']}/fault"

        def release() -> None:
            requests.delete(url(), timeout=10).raise_for_status()

        requests.put(url(), json={"kind": "held"}, timeout=10).raise_for_status()
        self.releases.append(release)
        return release

    def run_that_waits(self, channel: str) -> tuple[str, Callable[[], None]]:
        """Start a run of one channel that waits for the API; returns its id, and what lets it go on."""
        release = self.hold(channel)
        before = self.job(channel).get("attempts", 0)
        run_id = self.start(integration_ids=[channel])
        self.wait_for(lambda: self.is_running(channel, before))
        return run_id, release

    def is_running(self, channel: str, attempts_before: int) -> bool:
        """Whether a task has claimed a channel's day since."""
        job = self.job(channel)
        return job.get("status") == "running" and job["attempts"] > attempts_before


@pytest.fixture(scope="session")
def report(request: pytest.FixtureRequest) -> list[str]:
    """Lines to print at the end."""
    return request.config.stash.setdefault(_REPORT, [])


@pytest.fixture(scope="session")
def engine(report: list[str]) -> Iterator[Engine]:
    """A running engine that has all images that docker-compose.yaml names."""
    with tempfile.TemporaryDirectory(prefix="social-analytics-docker-") as name, Engine(Path(name)) as engine:
        start = time.monotonic()
        text = (PROJECT / "docker-compose.yaml").read_text()
        named = dict.fromkeys(re.findall(r"(?m)^ *(?:image:|FROM) (\w[\w./-]*:\S+)", text))
        made = engine.provide(list(named))
        report.append(f"images: {time.monotonic() - start:.0f} s")
        report += [f"no registry gives {one}: made from Debian's packages" for one in made]
        yield engine


@pytest.fixture(scope="session")
def stage(engine: Engine, report: list[str]) -> Iterator[DockerStage]:
    """The demo is up and healthy, and its DAG is paused."""
    with tempfile.TemporaryDirectory(prefix="social-analytics-checkout-") as name:
        composed = Composed.check_out(engine, Path(name))
        run(["make", "env"], cwd=name)
        with (composed.directory / ".env").open("a") as file:
            file.write((composed.directory / "include/sandbox/demo.env").read_text())
        composed.write_env(SOCIAL_ANALYTICS_RETRY_DELAY="0", SOCIAL_ANALYTICS_REQUEST_BACKOFF="0")
        start = time.monotonic()
        composed.compose("--profile", "demo", "build")
        report.append(f"docker compose build: {time.monotonic() - start:.0f} s")
        start = time.monotonic()
        with composed.measured():
            try:
                composed.up()
                report.append(f"docker compose up --wait: {time.monotonic() - start:.0f} s")
                keep_few(composed)
                yield DockerStage(composed, composed.api())
            finally:
                composed.compose("--profile", "*", "down", "--volumes", "--timeout", "5")
        report += [
            f"| {service} | {'' if one.seconds_to_healthy is None else f'{one.seconds_to_healthy:.0f}'}"
            f" | {one.peak_mib:.0f} | {one.limit_mib:.0f} |"
            for service, one in sorted(composed.figures.items())
        ]


def keep_few(composed: Composed) -> None:
    """Leave only ``CHANNELS``, so that a run takes less time."""
    with composed.database("postiz", "demo-postiz") as connection:
        connection.execute('UPDATE "Integration" SET "disabled" = "id" <> ALL (%s)', [CHANNELS])


@pytest.fixture(autouse=True)
def _nothing_held(stage: DockerStage) -> Iterator[None]:
    """No test waits for what a failed one held."""
    yield
    while stage.releases:
        stage.releases.pop()()


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Print what docs/deploying.md keeps."""
    terminalreporter.section("docker: service, seconds to healthy, peak MiB, limit MiB")
    for line in config.stash.get(_REPORT, []):
        terminalreporter.line(line)
