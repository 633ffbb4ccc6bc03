"""Bringing the schema up to date."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import uuid
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from threading import Barrier, Thread

import psycopg
import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from include.sandbox.postgres import EmbeddedPostgres
from include.social_analytics.databases import Database
from include.social_analytics.errors import ErrorCode, JobError
from include.social_analytics.warehouse import migrate as module
from include.social_analytics.warehouse.migrate import HEAD, migrate
from include.social_analytics.warehouse.snapshots import ensure_month

TABLES = {
    "alembic_version",
    "alert",
    "content",
    "content_metric_snapshot",
    "ingest_job",
    "integration",
    "integration_metric_daily",
    "metric",
    "organization",
    "organization_daily",
    "unsupported_metric",
}


@pytest.fixture
def empty(postgres: EmbeddedPostgres) -> Iterator[str]:
    """A connection string to an empty database."""
    name = f"test_{uuid.uuid4().hex}"
    postgres.create_database(name)
    yield postgres.dsn(name)
    postgres.drop_database(name)


@pytest.fixture
def role(postgres: EmbeddedPostgres, empty: str) -> Iterator[str]:
    """A role that can only connect."""
    name = f"role_{uuid.uuid4().hex}"
    with psycopg.connect(empty, autocommit=True) as superuser:
        superuser.execute(f"CREATE ROLE {name} LOGIN")
        yield name
        superuser.execute(f"DROP OWNED BY {name} CASCADE; DROP ROLE {name}")


def tables(dsn: str, schema: str = "analytics") -> set[str]:
    with psycopg.connect(dsn) as connection:
        rows = connection.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = to_regnamespace(%s) AND relkind IN ('r', 'p')",
            [schema],
        )
        return {name for (name,) in rows}


@pytest.mark.parametrize("autocommit", [True, False])
def test_migrating_makes_our_tables_and_none_in_public(empty, autocommit):
    with psycopg.connect(empty, autocommit=autocommit) as connection:
        migrate(Database("analytics_db", connection))
        # Other connections see it at once, whatever the caller does next.
        assert tables(empty) == TABLES
        assert connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
    assert tables(empty, "public") == set()


def test_migrating_again_changes_nothing(empty):
    with psycopg.connect(empty, autocommit=True) as connection:
        migrate(Database("analytics_db", connection))
        query = (
            "SELECT oid, xmin::text FROM pg_class WHERE relnamespace = 'analytics'::regnamespace ORDER BY 1"
        )
        first = connection.execute(query).fetchall()
        migrate(Database("analytics_db", connection))
        assert connection.execute(query).fetchall() == first


def test_several_processes_can_migrate_at_once(empty):
    together, failures = Barrier(4), []

    def run():
        try:
            with psycopg.connect(empty, autocommit=True) as connection:
                together.wait()
                migrate(Database("analytics_db", connection))
                connection.execute("SELECT FROM analytics.ingest_job")
        except Exception as error:
            failures.append(error)

    threads = [Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert tables(empty) == TABLES


def test_the_head_constant_is_the_newest_revision():
    config = Config()
    config.set_main_option("script_location", str(Path(module.__file__).parent / "migrations"))
    assert ScriptDirectory.from_config(config).get_current_head() == HEAD


def test_views_and_comments_change_only_with_a_new_revision():
    # Databases get them anew only by a revision. Write the new one here together with the new digest.
    text = module.views() + module.COMMENTS.read_text()
    assert (HEAD, hashlib.sha256(text.encode()).hexdigest()[:16]) == ("0013", "b7bec35784d88aab")


def test_a_schema_newer_than_the_package_is_refused(empty):
    with psycopg.connect(empty, autocommit=True) as connection:
        migrate(Database("analytics_db", connection))
        connection.execute("UPDATE analytics.alembic_version SET version_num = '9999'")
        with pytest.raises(JobError, match="9999, newer than this package") as failure:
            migrate(Database("analytics_db", connection))
        assert failure.value.code is ErrorCode.CONFIG_INVALID
        assert connection.execute("SELECT version_num FROM analytics.alembic_version").fetchone() == ("9999",)


def test_a_role_that_owns_only_the_schema_can_migrate(empty, role):
    with psycopg.connect(empty, autocommit=True) as superuser:
        superuser.execute(f"CREATE SCHEMA analytics AUTHORIZATION {role}")
    with psycopg.connect(empty, user=role, autocommit=True) as connection:
        assert connection.execute(
            "SELECT has_database_privilege(current_database(), 'CREATE')"
        ).fetchone() == (False,)
        migrate(Database("analytics_db", connection))
        migrate(Database("analytics_db", connection))
    assert tables(empty) == TABLES


def test_a_role_without_the_right_to_make_the_schema_is_a_configuration_error(empty, role):
    with psycopg.connect(empty, user=role, autocommit=True) as connection:
        with pytest.raises(JobError, match="permission denied for database") as failure:
            migrate(Database("analytics_db", connection))
        assert failure.value.code is ErrorCode.CONFIG_INVALID
        assert connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
    assert tables(empty) == set()


def test_a_migration_that_fails_leaves_nothing(empty):
    with psycopg.connect(empty, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA analytics; CREATE TABLE analytics.content ()")
        with pytest.raises(psycopg.errors.DuplicateTable):
            migrate(Database("analytics_db", connection))
    assert tables(empty) == {"content"}


def at_the_first_revision(connection: psycopg.Connection) -> None:
    """Make the schema of the package's first version."""
    config = Config()
    config.set_main_option("script_location", str(module._MIGRATIONS))
    first = ScriptDirectory.from_config(config).get_revision("0001").module
    connection.execute("CREATE SCHEMA analytics")
    connection.execute(first.TABLES)
    connection.execute("CREATE TABLE analytics.alembic_version (version_num varchar(32) PRIMARY KEY)")
    connection.execute("INSERT INTO analytics.alembic_version VALUES ('0001')")


def migrate_to(connection: psycopg.Connection, revision: str) -> None:
    """Migrate a schema of the first version to a later revision, by the revisions' own statements."""
    config = Config()
    config.set_main_option("script_location", str(module._MIGRATIONS))
    scripts = ScriptDirectory.from_config(config)
    for script in reversed(list(scripts.iterate_revisions(revision, "0001"))):
        [statements] = [
            value for name, value in vars(script.module).items() if name.isupper() and isinstance(value, str)
        ]
        connection.execute(statements)
        connection.execute("UPDATE analytics.alembic_version SET version_num = %s", [script.revision])


def test_figures_stored_by_earlier_versions_are_on_the_health_page(empty):
    """Names come with the next listing. Until then the page shows a channel's id."""
    with psycopg.connect(empty, autocommit=True) as connection:
        at_the_first_revision(connection)
        for day in ("2026-11-01", "2026-11-03"):
            connection.execute(
                "INSERT INTO analytics.ingest_job (job_id, organization_id, integration_id, provider, date,"
                " status, is_backfill, dag_run_id)"
                " VALUES (%s, 'o', 'page', 'facebook', %s, 'queued', false, 'run')",
                [f"analytics-ingest:page:{day}", day],
            )
        migrate(Database("analytics_db", connection))
        rows = connection.execute(
            "SELECT integration_id, organization_id, name, first_day::text, last_day::text, is_active"
            " FROM analytics.integration"
        ).fetchall()
    assert rows == [("page", "o", "page", "2026-11-01", "2026-11-03", True)]


def test_tables_of_postiz_in_public_are_left_alone(empty):
    with psycopg.connect(empty, autocommit=True) as connection:
        connection.execute(
            'CREATE TABLE public."Integration" (id text); CREATE TABLE public.content (id int)'
        )
        migrate(Database("analytics_db", connection))
    assert tables(empty, "public") == {"Integration", "content"}


def test_a_migrated_database_is_recognised_without_loading_alembic(analytics, postgres, analytics_database):
    code = f"""
import sys, psycopg
from include.social_analytics.databases import Database
from include.social_analytics.warehouse.migrate import migrate
with psycopg.connect({postgres.dsn(analytics_database)!r}, autocommit=True) as connection:
    migrate(Database("analytics_db", connection))
print({{"alembic", "sqlalchemy", "airflow"}} & set(sys.modules))
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "set()"


def test_existing_snapshots_move_into_their_months(empty):
    days = [date(2025, 12, 31), date(2026, 1, 1), date(2026, 11, 24)]
    with psycopg.connect(empty, autocommit=True) as connection:
        at_the_first_revision(connection)
        for day in days:
            connection.execute(
                "INSERT INTO analytics.content_metric_snapshot VALUES ('i', 'c', 'views', %s, 1, now())",
                [day],
            )
        migrate(Database("analytics_db", connection))
        rows = connection.execute(
            "SELECT tableoid::regclass::text, snapshot_date FROM analytics.content_metric_snapshot ORDER BY 2"
        ).fetchall()
        assert rows == [(f"analytics.content_metric_snapshot_{day:%Y_%m}", day) for day in days]
        # Storing continues: the month's partition is there, and its days are still unique.
        ensure_month(Database("analytics_db", connection), days[-1])
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute(
                "INSERT INTO analytics.content_metric_snapshot VALUES ('i', 'c', 'views', %s, 2, now())",
                [days[-1]],
            )


def test_days_without_data_whose_figures_came_later_are_recovered_by_a_migration(empty):
    with psycopg.connect(empty, autocommit=True) as connection:
        at_the_first_revision(connection)
        migrate_to(connection, "0007")
        figures = {
            "came": [("views", 7), ("posts_published", 0)],
            "zero": [("views", 0)],
            "none": [("posts_published", 3), ("views", None)],
            "empty": [],
        }
        for page, found in figures.items():
            for day in ("2026-11-20", "2026-11-21"):
                connection.execute(
                    "INSERT INTO analytics.ingest_job (job_id, organization_id, integration_id, provider,"
                    " date, status, is_backfill, dag_run_id)"
                    " VALUES (%s, 'o', %s, 'facebook', %s, 'no_data', false, 'run')",
                    [f"{page} {day}", page, day],
                )
            for metric, value in found:
                connection.execute(
                    "INSERT INTO analytics.integration_metric_daily VALUES"
                    " (%s, %s, '2026-11-20', 'o', 'facebook', %s, 'x', now(), 'job')",
                    [page, metric, value],
                )
        migrate(Database("analytics_db", connection))
        rows = connection.execute(
            "SELECT job_id FROM analytics.ingest_job WHERE status = 'recovered' ORDER BY 1"
        ).fetchall()
        index = connection.execute(
            "SELECT to_regclass('analytics.ingest_job_waiting') IS NOT NULL"
        ).fetchone()
    assert rows == [("came 2026-11-20",), ("zero 2026-11-20",)]
    assert index == (True,)


def test_a_migration_keeps_a_jobs_claim_and_the_providers_codes(empty):
    with psycopg.connect(empty, autocommit=True) as connection:
        at_the_first_revision(connection)
        migrate_to(connection, "0006")
        for number, first_try in enumerate((None, 1, 5)):
            connection.execute(
                "INSERT INTO analytics.ingest_job (job_id, organization_id, integration_id, provider, date,"
                " status, error_code, provider_code, provider_subcode, is_backfill, dag_run_id, first_try)"
                " VALUES (%s, 'o', %s, 'facebook', '2026-11-20', 'failed', 'token_invalid', 190, 463, false,"
                " 'scheduled__2026-11-20', %s)",
                [f"job-{number}", f"page-{number}", first_try],
            )
        migrate(Database("analytics_db", connection))
        rows = connection.execute(
            "SELECT claimed_by, provider_code, provider_subcode, status"
            " FROM analytics.ingest_job ORDER BY job_id"
        ).fetchall()
    assert rows == [
        (claimed_by, "190", "463", "failed")
        for claimed_by in (None, "scheduled__2026-11-20#1", "scheduled__2026-11-20#5")
    ]


def test_a_migration_expects_channels_from_their_first_regular_day(empty):
    """A backfill of a day in June made all days since then missing."""
    with psycopg.connect(empty, autocommit=True) as connection:
        at_the_first_revision(connection)
        migrate_to(connection, "0007")
        connection.execute(
            "INSERT INTO analytics.integration VALUES"
            " ('page', 'o', 'facebook', 'Page', '2026-06-15', '2026-11-20', true, '2026-11-21 10:00Z'),"
            " ('new', 'o', 'facebook', 'New', '2026-06-15', '2026-06-15', true, '2026-11-21 10:00Z'),"
            " ('old', 'o', 'facebook', 'Old', '2026-06-15', '2026-06-15', true, '-infinity')"
        )
        for day, is_backfill in (("2026-06-15", True), ("2026-11-19", False), ("2026-11-20", False)):
            connection.execute(
                "INSERT INTO analytics.ingest_job (job_id, organization_id, integration_id, provider, date,"
                " status, is_backfill, dag_run_id)"
                " VALUES (%s, 'o', 'page', 'facebook', %s, 'succeeded', %s, 'run')",
                [f"analytics-ingest:page:{day}", day, is_backfill],
            )
        migrate(Database("analytics_db", connection))
        rows = connection.execute(
            "SELECT integration_id, expected_from::text FROM analytics.integration ORDER BY integration_id"
        ).fetchall()
    assert rows == [("new", "2026-11-20"), ("old", "2026-06-15"), ("page", "2026-11-19")]
