"""What a Postgres error means for a job. Each error is caused for real."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from include.social_analytics.databases import translated_errors
from include.social_analytics.errors import ErrorCode, JobError
from include.social_analytics.warehouse import ledger
from tests.support.readings import Warehouse, job

PASSWORD = "hunter2-secret"


def failure_of(what: Callable[[], object]) -> JobError:
    """The job's error when ``what`` raises."""
    with pytest.raises(JobError) as failure, translated_errors("analytics_db"):
        what()
    assert "analytics_db" in failure.value.reason
    assert failure.value.__cause__ is None
    assert failure.value.__suppress_context__
    return failure.value


def test_an_unreachable_server_is_storage_unavailable(tmp_path):
    dsn = f"host={tmp_path} user=postgres password={PASSWORD}"
    error = failure_of(lambda: psycopg.connect(dsn))
    assert error.code is ErrorCode.STORAGE_UNAVAILABLE
    assert "No such file or directory" in error.reason
    assert PASSWORD not in str(error)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"dbname": "nowhere"}, 'database "nowhere" does not exist'),
        ({"user": "nobody"}, 'role "nobody" does not exist'),
        ({"port": "many"}, "invalid"),
        ({"colour": "red"}, 'invalid connection option "colour"'),
    ],
    ids=["database", "role", "port", "option"],
)
def test_a_wrong_database_role_port_or_option_is_a_configuration_error(postgres, how, words):
    dsn = f"host={postgres.socket_directory}"
    given = {"user": "postgres", "dbname": "postgres", "password": PASSWORD} | how
    error = failure_of(lambda: psycopg.connect(dsn, **given))
    assert error.code is ErrorCode.CONFIG_INVALID
    assert words in error.reason
    assert PASSWORD not in str(error)


def test_a_role_that_may_not_log_in_or_connect_is_a_configuration_error(postgres, warehouse):
    database = warehouse.connection.connection.info.dbname
    warehouse.connection.execute(f"""
        CREATE ROLE "idle {database}" NOLOGIN PASSWORD '{PASSWORD}';
        CREATE ROLE "elsewhere {database}" LOGIN PASSWORD '{PASSWORD}';
        REVOKE CONNECT ON DATABASE {database} FROM public;
    """)
    for role, words in (("idle", "not permitted to log in"), ("elsewhere", "permission denied for database")):
        error = failure_of(
            lambda role=role: psycopg.connect(
                postgres.dsn(database), user=f"{role} {database}", password=PASSWORD
            )
        )
        assert error.code is ErrorCode.CONFIG_INVALID
        assert words in error.reason
        assert PASSWORD not in str(error)
    warehouse.connection.execute(f'DROP ROLE "idle {database}"; DROP ROLE "elsewhere {database}"')


def test_a_wrong_password_is_a_configuration_error_that_does_not_show_it(postgres, warehouse):
    role = f"guarded_{warehouse.connection.connection.info.dbname}"
    warehouse.connection.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'the right one'")
    [(path,)] = warehouse.rows("SHOW hba_file")
    rules = Path(path).read_text()
    Path(path).write_text(f"local all {role} scram-sha-256\n{rules}")
    try:
        warehouse.connection.execute("SELECT pg_reload_conf()")
        with suppress(psycopg.OperationalError):
            while True:  # until the server has read the rule, it asks for no password
                psycopg.connect(postgres.dsn("postgres"), user=role).close()
        error = failure_of(lambda: psycopg.connect(postgres.dsn("postgres"), user=role, password=PASSWORD))
    finally:
        Path(path).write_text(rules)
        warehouse.connection.execute("SELECT pg_reload_conf()")
        warehouse.connection.execute(f"DROP ROLE {role}")
    assert error.code is ErrorCode.CONFIG_INVALID
    assert "password authentication failed" in error.reason
    assert PASSWORD not in str(error)


def test_a_terminated_backend_and_a_closed_connection_are_storage_unavailable(warehouse: Warehouse):
    victim = warehouse.connect()
    warehouse.connection.execute(
        "SELECT pg_terminate_backend(%s, 10000)", [victim.connection.info.backend_pid]
    )
    for _ in range(2):
        error = failure_of(lambda: ledger.states(victim, ["a"]))
        assert error.code is ErrorCode.STORAGE_UNAVAILABLE


@pytest.mark.parametrize(
    "change",
    [
        "DROP TABLE analytics.ingest_job CASCADE",
        "ALTER TABLE analytics.ingest_job RENAME attempts TO tries",
        "DROP SCHEMA analytics CASCADE",
    ],
)
def test_a_schema_that_is_not_ours_is_a_configuration_error(warehouse, change):
    warehouse.connection.execute(change)
    error = failure_of(lambda: ledger.states(warehouse.connection, ["a"]))
    assert error.code is ErrorCode.CONFIG_INVALID
    assert "does not exist" in error.reason


def test_a_missing_right_is_a_configuration_error(warehouse):
    role = f'"reader {warehouse.connection.connection.info.dbname}"'
    warehouse.connection.execute(
        f"CREATE ROLE {role}; GRANT USAGE ON SCHEMA analytics TO {role}; SET ROLE {role}"
    )
    error = failure_of(lambda: warehouse.start(job()))
    assert error.code is ErrorCode.CONFIG_INVALID
    assert "permission denied for table ingest_job" in error.reason
    warehouse.connection.execute(f"RESET ROLE; DROP OWNED BY {role}; DROP ROLE {role}")


def test_a_read_only_database_is_a_configuration_error(warehouse):
    warehouse.connection.execute("SET default_transaction_read_only = on")
    assert failure_of(lambda: warehouse.start(job())).code is ErrorCode.CONFIG_INVALID


def test_a_deadlock_is_storage_unavailable(warehouse):
    first, second = warehouse.connect(), warehouse.connect()
    for connection in (first, second):
        connection.execute("SET deadlock_timeout = '10ms'; BEGIN")
    first.execute("SELECT pg_advisory_xact_lock(1)")
    second.execute("SELECT pg_advisory_xact_lock(2)")
    outcomes = []

    def take(connection, key):
        try:
            with translated_errors("analytics_db"):
                connection.execute("SELECT pg_advisory_xact_lock(%s)", [key])
                outcomes.append(None)
        except JobError as error:
            outcomes.append(error)
        connection.execute("ROLLBACK")

    threads = [threading.Thread(target=take, args=each) for each in ((first, 2), (second, 1))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    [error] = [outcome for outcome in outcomes if outcome is not None]
    assert error.code is ErrorCode.STORAGE_UNAVAILABLE
    assert "deadlock detected" in error.reason


def test_a_statement_timeout_is_storage_unavailable(warehouse):
    holder, waiter = warehouse.connect(), warehouse.connect()
    holder.execute("BEGIN; LOCK analytics.ingest_job")
    waiter.execute("SET lock_timeout = '5ms'")
    assert failure_of(lambda: ledger.states(waiter, ["a"])).code is ErrorCode.STORAGE_UNAVAILABLE


def test_an_error_about_a_value_passes_unchanged(warehouse):
    with pytest.raises(psycopg.errors.InvalidTextRepresentation), translated_errors("analytics_db"):
        warehouse.connection.execute("SELECT 'x'::int")


def test_a_job_error_passes_unchanged():
    error = JobError(ErrorCode.NETWORK, "no route")
    with pytest.raises(JobError) as failure, translated_errors("analytics_db"):
        raise error
    assert failure.value is error
