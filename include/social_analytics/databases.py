"""The two databases: opening them through Airflow's connections, and what their errors mean for a job."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import errors

from include.social_analytics.errors import ErrorCode, JobError

POSTIZ_DB = "postiz_db"
ANALYTICS_DB = "analytics_db"

#: Seconds that the health page waits: to connect to the database, and for each query.
PATIENCE_TO_CONNECT = 3
PATIENCE_TO_READ = 10

#: Errors that stay until somebody changes the configuration. The server's other errors are temporary.
_CONFIGURATION = (
    errors.InvalidPassword,
    errors.InvalidAuthorizationSpecification,
    errors.InvalidCatalogName,
    errors.InvalidSchemaName,
    errors.InsufficientPrivilege,
    errors.UndefinedTable,
    errors.UndefinedColumn,
    errors.ReadOnlySqlTransaction,
    # A view stands on a column that a migration changes.
    errors.FeatureNotSupported,
)

#: While connecting, libpq gives no SQLSTATE, only a text.
_REFUSED_FOR_GOOD = (
    "password authentication failed",
    "does not exist",
    "no pg_hba.conf entry",
    "is not permitted to log in",
    "permission denied for database",
    "invalid connection option",
    "for connection option",
    "invalid port number",
)


@dataclass(frozen=True)
class Database:
    """An open connection, with the id of its Airflow connection: errors name it.

    Autocommit: each transaction is explicit and short. Every method raises :class:`JobError`:
    ``config_invalid`` for what somebody must correct, ``storage_unavailable`` for a server that is gone or
    overloaded, or that aborted this transaction in favour of another. Errors about written values stay
    ``psycopg.Error``.
    """

    conn_id: str
    connection: psycopg.Connection[Any]

    def execute(self, query: Any, parameters: Any = None) -> psycopg.Cursor[Any]:
        """Run one statement and wait for its result."""
        with translated_errors(self.conn_id):
            return self.connection.execute(query, parameters)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Apply all statements in the block, or none."""
        with translated_errors(self.conn_id), self.connection.transaction():
            yield


@contextmanager
def translated_errors(conn_id: str) -> Iterator[None]:
    """Turn Postgres's errors inside the block into a :class:`JobError` that names ``conn_id``.

    :raises JobError: as :class:`Database` says.
    """
    try:
        yield
    except psycopg.Error as error:
        code = _code(error)
        if code is None:
            raise
        words = error.diag.message_primary or str(error) or type(error).__name__
        raise JobError(code, f"The database of the connection {conn_id!r} says: {words}") from None


def _code(error: psycopg.Error) -> ErrorCode | None:
    if isinstance(error, _CONFIGURATION):
        return ErrorCode.CONFIG_INVALID
    if error.sqlstate is None and any(words in str(error) for words in _REFUSED_FOR_GOOD):
        return ErrorCode.CONFIG_INVALID
    if isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError)):
        return ErrorCode.STORAGE_UNAVAILABLE
    return None


@contextmanager
def open_postiz() -> Iterator[Database]:
    """Postiz's database: every explicit transaction is read-only.

    :raises JobError: ``config_invalid`` or ``storage_unavailable``.
    """
    with _open_postgres(POSTIZ_DB) as postiz:
        postiz.connection.read_only = True
        yield postiz


@contextmanager
def open_analytics() -> Iterator[Database]:
    """The analytics database, its schema migrated.

    :raises JobError: ``config_invalid`` or ``storage_unavailable``.
    """
    from include.social_analytics.warehouse.migrate import migrate

    with _open_postgres(ANALYTICS_DB) as analytics:
        migrate(analytics)
        yield analytics


@contextmanager
def open_analytics_to_read() -> Iterator[Database]:
    """A read-only snapshot of the analytics database, with short timeouts. It runs no migration.

    Its rows are dictionaries.

    :raises JobError: ``config_invalid`` or ``storage_unavailable``.
    """
    from psycopg import IsolationLevel
    from psycopg.rows import dict_row

    with _open_postgres(ANALYTICS_DB, connect_timeout=PATIENCE_TO_CONNECT) as analytics:
        analytics.connection.row_factory = dict_row
        analytics.connection.read_only = True
        analytics.connection.isolation_level = IsolationLevel.REPEATABLE_READ
        with analytics.transaction():
            analytics.execute(f"SET LOCAL statement_timeout = '{PATIENCE_TO_READ}s'")
            yield analytics


@contextmanager
def _open_postgres(conn_id: str, **parameters: object) -> Iterator[Database]:
    from airflow.providers.postgres.hooks.postgres import PostgresHook

    from include.social_analytics.airflow_compat import find_connection

    known = find_connection(conn_id)
    if known is None:
        raise JobError(
            ErrorCode.CONFIG_INVALID,
            f"The Airflow connection {conn_id!r} is missing: set AIRFLOW_CONN_{conn_id.upper()}, "
            "or add it under Admin, Connections.",
        )
    if known.conn_type not in ("postgres", "postgresql"):
        raise JobError(
            ErrorCode.CONFIG_INVALID,
            f"The Airflow connection {conn_id!r} must be of type postgres, not {known.conn_type!r}.",
        )
    if parameters:
        known.extra = json.dumps(parameters | known.extra_dejson)
    with translated_errors(conn_id):
        opened = PostgresHook(connection=known).get_conn()
    if not isinstance(opened, psycopg.Connection):
        opened.close()
        raise JobError(
            ErrorCode.CONFIG_INVALID,
            "Airflow's Postgres provider uses psycopg2 here; this package needs psycopg 3 and SQLAlchemy 2.",
        )
    try:
        opened.autocommit = True
        yield Database(conn_id, opened)
    finally:
        opened.close()
