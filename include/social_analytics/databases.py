"""The two databases, opened for the package through Airflow's connections."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from include.social_analytics.airflow_connections import find_connection
from include.social_analytics.errors import ErrorCode, JobError
from include.social_analytics.warehouse.storage import storage_errors

if TYPE_CHECKING:
    import psycopg

POSTIZ_DB = "postiz_db"
ANALYTICS_DB = "analytics_db"

#: Seconds that someone who looks at the health page waits: for the database, and for each query.
PATIENCE_TO_CONNECT = 3
PATIENCE_TO_READ = 10


@contextmanager
def open_postiz() -> Iterator[psycopg.Connection]:
    """Postiz's database. Autocommit, and every explicit transaction is read-only.

    :raises JobError: ``config_invalid`` or ``storage_unavailable``, also for what fails inside the block.
    """
    with _open_postgres(POSTIZ_DB) as connection:
        connection.read_only = True
        yield connection


@contextmanager
def open_analytics() -> Iterator[psycopg.Connection]:
    """The analytics database, its schema migrated. Autocommit: each transaction is explicit and short.

    :raises JobError: ``config_invalid`` or ``storage_unavailable``, also for what fails inside the block.
    """
    from include.social_analytics.warehouse.migrate import migrate

    with _open_postgres(ANALYTICS_DB) as connection:
        migrate(connection)
        yield connection


@contextmanager
def open_analytics_to_read() -> Iterator[psycopg.Connection[dict[str, Any]]]:
    """The analytics database at one moment, as it is, for someone who waits: read-only, bounded in time.

    Its rows are dictionaries.

    :raises JobError: ``config_invalid`` or ``storage_unavailable``, also for what fails inside the block.
    """
    from psycopg import IsolationLevel
    from psycopg.rows import dict_row

    with _open_postgres(ANALYTICS_DB, connect_timeout=PATIENCE_TO_CONNECT) as connection:
        reader = cast("psycopg.Connection[dict[str, Any]]", connection)
        reader.row_factory = dict_row
        reader.read_only = True
        reader.isolation_level = IsolationLevel.REPEATABLE_READ
        with reader.transaction():
            reader.execute(f"SET LOCAL statement_timeout = '{PATIENCE_TO_READ}s'")
            yield reader


@contextmanager
def _open_postgres(conn_id: str, **parameters: object) -> Iterator[psycopg.Connection]:
    from airflow.providers.postgres.hooks.postgres import PostgresHook

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
    with storage_errors(conn_id):
        connection = cast("psycopg.Connection", PostgresHook(connection=known).get_conn())
        try:
            connection.autocommit = True
            yield connection
        finally:
            connection.close()
