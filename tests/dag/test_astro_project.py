"""The Astro CLI's project: what `astro dev parse` runs, and the files it reads."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from include.social_analytics.cooldown import ANALYTICS_REDIS
from include.social_analytics.databases import ANALYTICS_DB, POSTIZ_DB
from tests.support.images import PROJECT, copied, lay_out

DOCKERFILE = (PROJECT / "Dockerfile").read_text()


def parse(project: Path, home: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run a project's integrity test as the Astro CLI does: in its directory, with a new Airflow."""
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
            **settings,
        },
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def project(tmp_path) -> Path:
    """The files of the image, and the directory .astro, which the CLI copies into the container."""
    directory = tmp_path / "project"
    lay_out(DOCKERFILE, "", ".", directory)
    shutil.copytree(PROJECT / ".astro", directory / ".astro")
    return directory


def test_the_image_holds_the_package_but_no_sandbox_and_no_tests():
    assert [source for source, _ in copied(DOCKERFILE)] == [
        "packages.txt",
        "requirements.txt",
        "dags",
        "plugins",
        "include/__init__.py",
        "include/social_analytics",
    ]


def test_astro_dev_parse_accepts_the_project(project, tmp_path):
    done = parse(project, tmp_path)
    assert done.returncode == 0, done.stdout
    assert "4 passed" in done.stdout


def test_the_dag_parses_with_settings_and_with_astros_mocked_variables(project, tmp_path):
    with (project / ".astro" / "test_dag_integrity_default.py").open("a") as test:
        test.write(
            "import os\n"
            "os.getenv = lambda key, default=None: os.environ.get(key) or default or f'MOCKED_{key}_VALUE'\n"
        )
    settings = {"TIMEZONE": "UTC", "RUN_AT": "23:58", "START_DATE": "", "MIN_COVERAGE": "1"}
    done = parse(project, tmp_path, **{f"SOCIAL_ANALYTICS_{name}": value for name, value in settings.items()})
    assert done.returncode == 0, done.stdout


def test_astro_names_a_dag_that_breaks_the_rules(project, tmp_path):
    (project / "dags" / "broken.py").write_text("from airflow.sdk import DAG, nothing_of_this_name\n")
    (project / "dags" / "careless.py").write_text(
        "from airflow.sdk import DAG\nwith DAG('careless', tags=['any']):\n    pass\n"
    )
    (project / "dags" / "old.py").write_text("from airflow.hooks.base import BaseHook  # no DAG\n")
    done = parse(project, tmp_path)
    assert done.returncode == 1
    assert "nothing_of_this_name" in done.stdout
    assert "careless has fewer than two retries" in done.stdout
    assert "`airflow.hooks.base.BaseHook` attribute is deprecated" in done.stdout
    assert "3 failed, 4 passed" in done.stdout


def test_the_astro_runtime_has_the_airflow_version_of_the_lock():
    [(runtime, airflow)] = re.findall(r"Runtime (\S+) is Airflow (\d+\.\d+\.\d+)\.", DOCKERFILE)
    assert f"/runtime:{runtime}-python-3.12-base\n" in DOCKERFILE
    assert f"\napache-airflow=={airflow} " in (PROJECT / "requirements.lock").read_text()


def test_the_dockerfile_removes_the_requirements_that_its_base_image_refuses():
    requirements = (PROJECT / "requirements.txt").read_text()
    [unwanted] = re.findall(r"sed --in-place '/(.+)/d' requirements.txt", DOCKERFILE)
    left = [line for line in requirements.splitlines() if not re.search(unwanted, line)]
    assert [line for line in left if re.match(r"apache-airflow\s*[=~<>\[]", line)] == []
    assert len(left) == len(requirements.splitlines()) - 1


def test_the_settings_example_names_the_connections_and_no_password():
    example = yaml.safe_load((PROJECT / "airflow_settings.example.yaml").read_text())["airflow"][
        "connections"
    ]
    assert [one["conn_id"] for one in example] == [POSTIZ_DB, ANALYTICS_DB, ANALYTICS_REDIS]
    assert [one.get("conn_password") for one in example] == [None] * 3
