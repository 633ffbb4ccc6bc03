"""Airflow's connections, opened for the package: two databases and the Graph API."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from airflow.sdk import Connection
from airflow.sdk.exceptions import AirflowNotFoundException

from include.social_analytics.errors import ErrorCode, JobError
from include.social_analytics.warehouse.storage import storage_errors

if TYPE_CHECKING:
    import psycopg

    from include.social_analytics.graph_api import GraphConnection
    from include.social_analytics.graph_api.cooldown import Cooldown

POSTIZ_DB = "postiz_db"
ANALYTICS_DB = "analytics_db"
FACEBOOK_GRAPH = "facebook_graph"
ANALYTICS_REDIS = "analytics_redis"

DEFAULT_GRAPH_HOST = "graph.facebook.com"
DEFAULT_GRAPH_VERSION = "v25.0"

#: Seconds that someone who looks at the health page waits: for the database, and for each query.
PATIENCE_TO_CONNECT = 3
PATIENCE_TO_READ = 10

#: Seconds in which Redis answers, or does not matter.
REDIS_TIMEOUT = 2


def find_connection(conn_id: str) -> Connection | None:
    """Airflow's connection ``conn_id``, or ``None`` where there is none."""
    try:
        known: Connection = Connection.get(conn_id)
    except AirflowNotFoundException:
        return None
    return known


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


def graph_connection() -> GraphConnection:
    """Where and how to call the Graph API; the defaults are Meta's own host and no app secret.

    :raises JobError: ``config_invalid`` when the connection's extra names no usable API version.
    """
    from include.social_analytics.graph_api import GraphConnection

    known = find_connection(FACEBOOK_GRAPH)
    host = (known.host if known else None) or DEFAULT_GRAPH_HOST
    scheme = (known.schema if known else None) or "https"
    port = f":{known.port}" if known and known.port else ""
    version = (known.extra_dejson.get("api_version") if known else None) or DEFAULT_GRAPH_VERSION
    if not re.fullmatch(r"v\d{1,3}\.\d", str(version)):
        raise JobError(
            ErrorCode.CONFIG_INVALID,
            f"The Airflow connection {FACEBOOK_GRAPH!r} has an api_version such as v25.0 in its extra, "
            f"not {version!r}.",
        )
    base_url = (host.rstrip("/") if "://" in host else f"{scheme}://{host}") + port
    return GraphConnection(
        base_url=base_url,
        api_version=version,
        app_secret=(known.password if known else None) or None,
        cooldown=_cooldown(base_url),
    )


def _cooldown(base_url: str) -> Cooldown:
    """Shared by all workers through Redis where that connection exists, else this process's own."""
    from include.social_analytics.graph_api.cooldown import LocalCooldown, RedisCooldown, cooldown_key

    if find_connection(ANALYTICS_REDIS) is None:
        return LocalCooldown()
    from airflow.providers.redis.hooks.redis import RedisHook
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    client = RedisHook(redis_conn_id=ANALYTICS_REDIS).get_conn()  # type: ignore[no-untyped-call]
    # The hook knows no time-outs, and it is asked before each request. No connection is open yet.
    client.connection_pool.connection_kwargs.update(
        socket_timeout=REDIS_TIMEOUT, socket_connect_timeout=REDIS_TIMEOUT
    )
    # Once more, for a connection that has gone stale.
    client.set_retry(Retry(NoBackoff(), 1))
    return RedisCooldown(client, cooldown_key(base_url))
