"""The two databases: opening them through Airflow's connections, and what their errors mean for a job."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import IsolationLevel, errors, sql
from psycopg.rows import dict_row, tuple_row
from psycopg.types.string import StrBinaryDumper, StrDumper, StrDumperUnknown

from include.social_analytics.errors import ErrorCode, JobError
from include.social_analytics.refusals import sqlstate_of

POSTIZ_DB = "postiz_db"
ANALYTICS_DB = "analytics_db"

#: Seconds that the health page waits: to connect to the database, and for each query.
PATIENCE_TO_CONNECT = 3
PATIENCE_TO_READ = 10

#: Errors that stay until somebody changes the configuration.
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

#: The server's temporary troubles.
_UNAVAILABLE = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    errors.IdleInTransactionSessionTimeout,
    errors.TransactionTimeout,
)

#: While connecting, also an extra's ``options`` can be wrong.
_REFUSALS = (
    *_CONFIGURATION,
    errors.UndefinedObject,
    errors.InvalidParameterValue,
    errors.CantChangeRuntimeParam,
)

#: What libpq and pgbouncer themselves refuse. They give no SQLSTATE that tells, and always speak English.
_REFUSED_FOR_GOOD = (
    "invalid connection option",
    "for connection option",
    "invalid port number",
    ' value: "',
    "no password supplied",
    "certificate verify failed",
    "server certificate for",
    "certificate file",
    "does not support SSL",
    "unsupported startup parameter",
    "authentication failed",
    "no such user",
    "no such database",
    "does not exist",
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
    if isinstance(error, _CONFIGURATION) or (error.sqlstate is None and _is_refused_for_good(error)):
        return ErrorCode.CONFIG_INVALID
    if isinstance(error, _UNAVAILABLE):
        return ErrorCode.STORAGE_UNAVAILABLE
    return None


def _is_refused_for_good(error: psycopg.Error) -> bool:
    """Whether an attempt to connect failed in a way that stays until the configuration changes."""
    if any(words in str(error) for words in _REFUSED_FOR_GOOD):
        return True
    sqlstate = sqlstate_of(error)
    try:
        return sqlstate is not None and issubclass(errors.lookup(sqlstate), _REFUSALS)
    except KeyError:
        return False


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
    with _open_postgres(ANALYTICS_DB, connect_timeout=PATIENCE_TO_CONNECT) as analytics:
        analytics.connection.row_factory = dict_row
        analytics.connection.read_only = True
        analytics.connection.isolation_level = IsolationLevel.REPEATABLE_READ
        with analytics.transaction():
            # What is asked here takes Postgres longer to compile than to answer.
            analytics.execute(f"SET LOCAL statement_timeout = '{PATIENCE_TO_READ}s'; SET LOCAL jit = off")
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
    # Everything is read and written as UTF-8, whatever the database's own encoding.
    extra = parameters | known.extra_dejson | {"client_encoding": "UTF8"}
    for ours in ("cursor", "prepare_threshold"):
        extra.pop(ours, None)
    known.extra = json.dumps(extra)
    try:
        with translated_errors(conn_id):
            opened = PostgresHook(connection=known).get_conn()
    except (psycopg.ProgrammingError, TypeError, ValueError, AttributeError) as error:
        raise JobError(
            ErrorCode.CONFIG_INVALID,
            f"The extra of the Airflow connection {conn_id!r} cannot be used: {error}",
        ) from None
    if not isinstance(opened, psycopg.Connection):
        opened.close()
        raise JobError(
            ErrorCode.CONFIG_INVALID,
            "Airflow's Postgres provider uses psycopg2 here; this package needs psycopg 3 and SQLAlchemy 2.",
        )
    try:
        with translated_errors(conn_id):
            _prepare(opened)
        yield Database(conn_id, opened)
    finally:
        opened.close()


# Behind pgbouncer these hold for this client: it tracks both settings for each of its clients.
_SET_UP = (
    "SELECT pg_backend_pid(), set_config('DateStyle', 'ISO', false), set_config('TimeZone', 'UTC', false)"
)


def _prepare(opened: psycopg.Connection[Any]) -> None:
    """Make the connection independent of what the database and the Airflow connection set."""
    opened.autocommit = True
    opened.row_factory = tuple_row
    opened.cursor_factory = psycopg.Cursor
    opened.isolation_level = IsolationLevel.READ_COMMITTED
    row = opened.execute(_SET_UP, prepare=False).fetchone()
    assert row is not None  # noqa: S101 - a SELECT without FROM has one row
    if row[0] != opened.info.backend_pid:
        # A pooler such as pgbouncer stands between: the next transaction may have another backend, which
        # does not know what this one has prepared.
        opened.prepare_threshold = None
    encoding = opened.info.parameter_status("server_encoding")
    if encoding not in (None, "UTF8", "SQL_ASCII"):
        with suppress(psycopg.NotSupportedError):  # Python does not know the encoding
            _write_what_fits(opened, _codec(opened, encoding))


def _codec(opened: psycopg.Connection[Any], encoding: str) -> str:
    """Python's name for one of Postgres's encodings.

    :raises psycopg.NotSupportedError: if Python does not know it.
    """
    # psycopg tells only the codec of the client's encoding.
    with opened.transaction(force_rollback=True):
        opened.execute(sql.SQL("SET LOCAL client_encoding TO {}").format(encoding))
        return opened.info.encoding


def _write_what_fits(opened: psycopg.Connection[Any], codec: str) -> None:
    """Write "?" for what the database cannot hold: an emoji must not cost a channel its day."""
    for dumper in (StrDumper, StrBinaryDumper, StrDumperUnknown):

        def dump(self: Any, text: str, dump: Any = dumper.dump) -> Any:
            return dump(self, text.encode(codec, "replace").decode(codec))

        opened.adapters.register_dumper(str, type(f"Fitting{dumper.__name__}", (dumper,), {"dump": dump}))
