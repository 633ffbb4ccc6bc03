"""`make run` and `make up` in a terminal, to the end or interrupted."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from contextlib import suppress
from datetime import date, timedelta
from pathlib import Path

import psutil
import psycopg
import pytest

from include.sandbox.local_airflow import LocalAirflow
from include.sandbox.postgres import EmbeddedPostgres
from include.sandbox.postiz_db import insert_integration, insert_organization
from include.sandbox.stand_ins.facebook.graph_api import serve
from include.sandbox.stand_ins.facebook.world import World, make_page
from tests.support.stage import DAY

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture
def terminal(tmp_path):
    """Starts `make run` in its own process group, as a shell does; kills what is left of it at the end.

    ``target="up"`` starts `make up`.
    """
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str, target: str = "run", **environment: str) -> subprocess.Popen[str]:
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        process = subprocess.Popen(
            ["make", target, *arguments],
            cwd=PROJECT,
            # Everything that it starts has its temporary files here, and is found by them.
            env={**kept, "TMPDIR": str(tmp_path), **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    for left in left_over(tmp_path):
        left.kill()


def left_over(directory: Path) -> list[psutil.Process]:
    """Processes that run in a directory, or have a path below it in their command line."""
    found = []
    for process in psutil.process_iter(["cmdline", "cwd", "status"]):
        places = [*(process.info["cmdline"] or []), process.info["cwd"] or ""]
        if process.info["status"] != psutil.STATUS_ZOMBIE and any(
            str(directory) in place for place in places
        ):
            found.append(process)
    return found


def test_make_up_prints_the_day_and_has_a_quarter_of_history_reports_and_filled_views(terminal, tmp_path):
    # In batches, progress is still counted in channels.
    process = terminal(target="up", SOCIAL_ANALYTICS_MAX_MAPPED_TASKS="3")
    output = ""
    for line in process.stdout:
        output += line
        if line.startswith("Airflow's UI"):
            break
    assert_that_the_day_is_printed(output)
    report = Path(re.search(r"\nReports: \d+ files, such as (\S+)\n", output)[1])
    assert re.search(r"[+-]\d+\.\d%</strong> against the 7 days before", report.read_text())
    assert f"/social-analytics/report.html?organization={report.parent.name}\n" in output
    assert {path.name for path in report.parents[1].glob("*/customers/*/*.html")} == {report.name}

    environments = []
    for one in left_over(tmp_path):
        # Some processes of Airflow end at any moment.
        with suppress(psutil.NoSuchProcess):
            environments.append(one.environ())
    [given] = {one[name] for one in environments if (name := "AIRFLOW_CONN_ANALYTICS_DB") in one}
    database = json.loads(given)
    with psycopg.connect(host=database["host"], user=database["login"], dbname="analytics") as connection:
        for view, column, days in (
            ("customer_daily", "date", 89),
            ("organization_week", "week", 83),
            ("organization_month", "month", 59),
        ):
            query = f"SELECT min({column}) FROM analytics.{view} WHERE value IS NOT NULL"
            [(first,)] = connection.execute(query)
            assert first <= DAY - timedelta(days=days), view
        for view in ("engagement_rate", "best_hours", "post_latest", "freshness"):
            assert connection.execute(f"SELECT FROM analytics.{view} LIMIT 1").rowcount == 1, view

    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=60)
    assert left_over(tmp_path) == []
    assert not list(tmp_path.glob("social-analytics-*"))


def assert_that_the_day_is_printed(output: str) -> None:
    """Progress, figures, coverage, failures and the run's end, as `make run` and `make up` print them."""
    assert "analytics_ingest 72 of 72 channels (14 failed), analytics_aggregate" in output
    assert f"Figures of {DAY}, by organization and provider" in output
    assert re.search(r"\n +views +engagements +followers +posts published\n", output)
    assert re.search(r"\n  Northwind Bakery\n    Facebook  ( +[\d,]+ +\d/6){4}\n    Instagram ", output)
    assert re.search(r"\n    Facebook +[\d,]+ +4/6 ", output)
    figures = output[output.index("Figures of") : output.index("14 failed, ")]
    assert len(figures.splitlines()) < 40
    # On some days a LinkedIn page has only zeros, which are pending at first.
    summary = (
        r"\n14 failed, 3 no_data, (\d+) pending, (\d+) succeeded. Coverage 100%, 14 left to their owners.\n"
    )
    pending, succeeded = re.search(summary, output).groups()
    assert int(pending) >= 4
    assert int(pending) + int(succeeded) == 72 - 14 - 3
    for code in ("token_invalid", "permission_missing", "object_not_found"):
        assert re.search(rf"\(demo-[a-z]+-\d+\): {code}: \S.*\. \S", output)
    assert "\nResolved by the channel's owner\n  'Northwind Bakery Station' (demo-facebook-03)" in output
    assert "The run ended: success." in output


@pytest.mark.parametrize("moment", ["Starting Postgres", "Starting Airflow"])
def test_ctrl_c_while_servers_start_leaves_nothing_running(terminal, tmp_path, moment):
    process = terminal()
    for line in process.stdout:
        if line.startswith(moment):
            break
    os.killpg(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "Interrupted" in output
    assert left_over(tmp_path) == []


def test_ctrl_c_while_a_process_starts_leaves_nothing_running(tmp_path, monkeypatch):
    class Interrupted(subprocess.Popen):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            raise KeyboardInterrupt

    monkeypatch.setattr(subprocess, "Popen", Interrupted)
    with pytest.raises(KeyboardInterrupt), LocalAirflow(tmp_path, "postgresql://nowhere/airflow", {}):
        pass
    assert left_over(tmp_path) == []


def test_with_connections_given_it_uses_them_starts_no_sandbox_and_leaves_nothing_running(
    terminal, tmp_path, postgres: EmbeddedPostgres, postiz: psycopg.Connection
):
    world = World([make_page(1)])
    [page] = world.pages.values()
    insert_organization(postiz, "mine")
    insert_integration(postiz, "i1", "mine", page)
    postgres.create_database("own_analytics")
    day = DAY - timedelta(days=40)
    with serve(world) as api:
        process = terminal(
            f"DATE={day}",
            # Each way to write a connection that Airflow accepts.
            AIRFLOW_CONN_POSTIZ_DB=f"postgresql://postgres@/{postiz.info.dbname}"
            f"?host={postgres.socket_directory.replace('/', '%2F')}",
            AIRFLOW_CONN_ANALYTICS_DB=postgres.airflow_connection("own_analytics"),
            AIRFLOW_CONN_FACEBOOK_GRAPH=json.dumps({"conn_type": "http", "host": api.url}),
        )
        output, _ = process.communicate(timeout=240)
    assert process.returncode == 0, output
    assert "The run ended: success." in output
    assert left_over(tmp_path) == []
    assert not list(tmp_path.glob("social-analytics-*"))
    assert {call.page_id for call in api.calls} == {page.id}
    with psycopg.connect(postgres.dsn("own_analytics")) as connection:
        rows = connection.execute(
            "SELECT date, value FROM analytics.integration_metric_daily WHERE metric = 'views'"
        ).fetchall()
    assert rows == [(day, world.page_value(page.id, "page_media_view", day))]


@pytest.mark.parametrize(
    ("arguments", "environment", "sentence"),
    [
        (["DATE=yesterday"], {}, "DATE must be a date such as 2026-11-20, not 'yesterday'."),
        ([f"DATE={date(2999, 1, 1)}"], {}, "DATE asks for 2999-01-01, which has not ended"),
        ([], {"SOCIAL_ANALYTICS_MAX_ACTIVE_RUNS": "three"}, "SOCIAL_ANALYTICS_MAX_ACTIVE_RUNS must be"),
        ([], {"AIRFLOW_CONN_POSTIZ_DB": "postgresql://x"}, "AIRFLOW_CONN_ANALYTICS_DB is not: set both"),
    ],
)
def test_invalid_input_gives_one_sentence_before_anything_starts(terminal, arguments, environment, sentence):
    process = terminal(*arguments, **environment)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 2
    assert sentence in output
    assert "Starting" not in output
