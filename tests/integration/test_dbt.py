"""include/deploy/dbt/sources.yml in a project of dbt, on a database as runs leave it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import yaml

from include.sandbox.local_airflow import PROJECT
from tests.support.filled import READER, filled

SOURCES = PROJECT / "include/deploy/dbt/sources.yml"
#: `make dbt` installs it.
DBT = PROJECT / ".dbt/bin/dbt"
TABLES = {table["name"]: table for table in yaml.safe_load(SOURCES.read_text())["sources"][0]["tables"]}
#: What only this package needs.
OURS = {"alembic_version", "alert"}


@pytest.fixture(scope="module")
def database(postgres, analytics_template) -> Iterator[str]:
    with filled(postgres, analytics_template) as name:
        yield name


@pytest.fixture(scope="module")
def analytics(postgres, database) -> Iterator[psycopg.Connection]:
    with psycopg.connect(postgres.dsn(database), autocommit=True) as connection:
        yield connection


class Project:
    """A project of dbt whose only file is ours. It connects as the reader."""

    def __init__(self, directory: Path, host: str, database: str) -> None:
        self.directory = directory
        (directory / "models").mkdir()
        shutil.copy(SOURCES, directory / "models")
        project = {"name": "figures", "profile": "figures", "model-paths": ["models"]}
        output = {
            "type": "postgres", "host": host, "port": 5432, "user": READER, "password": "none",
            "dbname": database, "schema": "public", "threads": 4,
        }  # fmt: skip
        profile = {"figures": {"target": "it", "outputs": {"it": output}}}
        for name, text in (("dbt_project.yml", project), ("profiles.yml", profile)):
            (directory / name).write_text(yaml.safe_dump(text))

    def run(self, *arguments: str) -> tuple[int, dict[str, str], str]:
        """Run a command; returns its exit status, the status of each test or source by name, its output."""
        done = subprocess.run(
            [DBT, "--no-use-colors", *arguments],
            cwd=self.directory,
            env={**os.environ, "DBT_SEND_ANONYMOUS_USAGE_STATS": "false", "DBT_VERSION_CHECK": "false"},
            capture_output=True,
            text=True,
            check=False,
        )
        kind = "sources" if arguments[0] == "source" else "run_results"
        results = json.loads((self.directory / "target" / f"{kind}.json").read_text())["results"]
        return done.returncode, {one["unique_id"]: one["status"] for one in results}, done.stdout


@pytest.fixture(scope="module")
def project(postgres, database, tmp_path_factory) -> Project:
    return Project(tmp_path_factory.mktemp("dbt"), postgres.socket_directory, database)


def test_each_table_and_column_is_a_source_described_as_in_the_database(analytics):
    described = dict(
        analytics.execute(
            "SELECT relname, obj_description(oid, 'pg_class') FROM pg_class WHERE NOT relispartition"
            " AND relnamespace = 'analytics'::regnamespace AND relkind IN ('r', 'p', 'v')"
        ).fetchall()
    )
    assert {name: table["description"] for name, table in TABLES.items()} == {
        name: words for name, words in described.items() if name not in OURS
    }
    for name, table in TABLES.items():
        columns = analytics.execute(
            "SELECT attname, col_description(attrelid, attnum) FROM pg_attribute"
            " WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped",
            [f"analytics.{name}"],
        ).fetchall()
        assert {one["name"]: one["description"] for one in table["columns"]} == dict(columns), name


def test_each_source_has_a_test_that_its_rows_are_unique():
    for name, table in TABLES.items():
        tests = [*table.get("data_tests", [])]
        for column in table["columns"]:
            tests += column.get("data_tests", [])
        assert "unique" in {next(iter(test)) if isinstance(test, dict) else test for test in tests}, name


def test_all_tests_pass_on_a_database_as_runs_leave_it(analytics, project):
    for name in TABLES.keys() - {"unsupported_metric"}:
        assert analytics.execute(f"SELECT FROM analytics.{name} LIMIT 1").fetchone() is not None, name
    status, results, output = project.run("test")
    assert status == 0, output
    assert len(results) > 100
    assert set(results.values()) == {"pass"}
    assert "Deprecat" not in output


def test_the_sources_are_fresh_after_a_run_and_stale_without_one(analytics, project):
    status, results, output = project.run("source", "freshness")
    assert (status, list(results.values())) == (0, ["pass"]), output
    analytics.execute("UPDATE analytics.ingest_job SET observed_at = observed_at - interval '4 days'")
    status, results, output = project.run("source", "freshness")
    assert (status, list(results.values())) == (1, ["error"]), output


def test_the_tests_see_what_is_wrong(analytics, project):
    analytics.execute(
        "ALTER TABLE analytics.ingest_job DROP CONSTRAINT ingest_job_status_check,"
        " ALTER COLUMN provider DROP NOT NULL;"
        "UPDATE analytics.ingest_job SET status = 'odd', provider = NULL WHERE integration_id = 'words';"
        "ALTER TABLE analytics.organization DROP CONSTRAINT organization_pkey;"
        "INSERT INTO analytics.organization VALUES ('acme', 'Twice')"
    )
    _, results, output = project.run(
        "test", "--select", "source:social_analytics.ingest_job", "source:social_analytics.organization"
    )
    failed = {name.split(".")[2] for name, status in results.items() if status == "fail"}
    assert {name for name in failed if name.startswith("source_accepted_values")}, output
    assert "source_not_null_social_analytics_ingest_job_provider" in failed
    assert "source_unique_social_analytics_organization_organization_id" in failed
    assert len(failed) == 3
