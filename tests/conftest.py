"""Servers that the tests share: one real Postgres for the session, a new database for each test."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from include.sandbox.postgres import EmbeddedPostgres, embedded_postgres

# Airflow reads its configuration at its first import, so this comes before any test's imports.
_PROJECT = Path(__file__).resolve().parents[1]
_HOME = tempfile.TemporaryDirectory(prefix="social-analytics-tests-")
os.environ.update(
    AIRFLOW_HOME=_HOME.name,
    AIRFLOW__CORE__DAGS_FOLDER=str(_PROJECT / "dags"),
    AIRFLOW__CORE__PLUGINS_FOLDER=str(_PROJECT / "plugins"),
    AIRFLOW__CORE__LOAD_EXAMPLES="False",
    AIRFLOW__CORE__UNIT_TEST_MODE="False",
)

# On SIGTERM pytest would leave its servers running. This way it tears its fixtures down first.
signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    """A real Postgres server."""
    with embedded_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def analytics_template(postgres: EmbeddedPostgres) -> str:
    """The name of a database that holds the migrated schema ``analytics``; copy it, don't use it."""
    from include.social_analytics.databases import Database
    from include.social_analytics.warehouse.migrate import migrate

    postgres.create_database("analytics_template")
    with psycopg.connect(postgres.dsn("analytics_template")) as connection:
        migrate(Database("analytics_db", connection))
    return "analytics_template"


@pytest.fixture(scope="session")
def postiz_template(postgres: EmbeddedPostgres) -> str:
    """The name of a database with Postiz's tables as Prisma makes them, empty; copy it, don't use it."""
    from include.sandbox.postiz_db import create_tables

    postgres.create_database("postiz_template")
    with psycopg.connect(postgres.dsn("postiz_template")) as connection:
        create_tables(connection)
    return "postiz_template"


def _copy(postgres: EmbeddedPostgres, template: str) -> Iterator[str]:
    name = f"test_{uuid.uuid4().hex}"
    postgres.create_database(name, template)
    yield name
    postgres.drop_database(name)


@pytest.fixture
def analytics_database(postgres: EmbeddedPostgres, analytics_template: str) -> Iterator[str]:
    """The name of a migrated, empty analytics database of this test's own."""
    yield from _copy(postgres, analytics_template)


@pytest.fixture
def postiz_database(postgres: EmbeddedPostgres, postiz_template: str) -> Iterator[str]:
    """The name of an empty Postiz database of this test's own."""
    yield from _copy(postgres, postiz_template)


@pytest.fixture
def analytics(postgres: EmbeddedPostgres, analytics_database: str) -> Iterator[psycopg.Connection]:
    """A connection to ``analytics_database``, autocommit as in production."""
    with psycopg.connect(postgres.dsn(analytics_database), autocommit=True) as connection:
        yield connection


@pytest.fixture
def postiz(postgres: EmbeddedPostgres, postiz_database: str) -> Iterator[psycopg.Connection]:
    """A connection to ``postiz_database``, autocommit as in production."""
    with psycopg.connect(postgres.dsn(postiz_database), autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="session")
def airflow_home() -> str:
    """The directory that Airflow, once imported in this process, has its configuration in."""
    return os.environ["AIRFLOW_HOME"]
