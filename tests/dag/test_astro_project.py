"""The Astro CLI's project: what `astro dev parse` runs, and the files it reads."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

from include.social_analytics import connections

PROJECT = Path(__file__).resolve().parents[2]


def parse(project: Path, home: Path) -> subprocess.CompletedProcess[str]:
    """Run the integrity test of a project as the Astro CLI does: in its directory, with a fresh Airflow."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            ".astro/test_dag_integrity_default.py",
        ],
        cwd=project,
        env={
            **environment,
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(project / "plugins"),
        },
        capture_output=True,
        text=True,
        check=False,
    )


def copy_of_the_project(directory: Path) -> Path:
    for name in (".astro", "dags", "include", "plugins"):
        shutil.copytree(PROJECT / name, directory / name)
    return directory


def test_astro_finds_nothing_to_complain_about(tmp_path):
    done = parse(PROJECT, tmp_path)
    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout


def test_astro_names_a_dag_that_cannot_be_imported_and_one_without_retries(tmp_path):
    project = copy_of_the_project(tmp_path / "project")
    (project / "dags" / "broken.py").write_text("from airflow.sdk import DAG, nothing_of_this_name\n")
    (project / "dags" / "careless.py").write_text(
        "from airflow.sdk import DAG\nwith DAG('careless', tags=['any']):\n    pass\n"
    )
    done = parse(project, tmp_path)
    assert done.returncode == 1
    assert "nothing_of_this_name" in done.stdout
    assert "careless tries less than three times" in done.stdout
    assert "2 failed, 2 passed" in done.stdout


def test_its_runtime_is_of_the_locks_airflow_minor():
    [runtime] = re.findall(r"(?m)^FROM \S+/runtime:(\d+\.\d+)-\d+$", (PROJECT / "Dockerfile").read_text())
    lock = (PROJECT / "requirements.lock").read_text()
    assert f"\napache-airflow=={runtime}." in lock


def test_the_lock_holds_each_requirement():
    locked = set(re.findall(r"(?m)^([\w.-]+==[\w.]+)", (PROJECT / "requirements.lock").read_text()))
    requirements = (PROJECT / "requirements.txt").read_text()
    wanted = {re.sub(r"\[.*\]", "", line.split(";")[0].strip()) for line in requirements.splitlines()}
    wanted = {line for line in wanted if line and not line.startswith("#")}
    assert wanted
    assert {line.lower() for line in wanted} - {line.lower() for line in locked} == set()


def test_the_example_of_settings_names_the_connections_and_no_password():
    example = yaml.safe_load((PROJECT / "airflow_settings.example.yaml").read_text())["airflow"][
        "connections"
    ]
    assert [one["conn_id"] for one in example] == [
        connections.POSTIZ_DB,
        connections.ANALYTICS_DB,
        connections.FACEBOOK_GRAPH,
        connections.ANALYTICS_REDIS,
    ]
    assert [one.get("conn_password") for one in example] == [None] * 4
