"""A real pgbouncer in transaction mode, in front of the tests' Postgres."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from include.sandbox.postgres import EmbeddedPostgres

_CONFIGURATION = """
[databases]
* = host={socket_directory}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {folder}/users.txt
pool_mode = transaction
default_pool_size = {pool_size}
# A client that waits this many seconds for a backend gets an error.
query_wait_timeout = 10
"""


@dataclass(frozen=True)
class PgBouncer:
    """A running pgbouncer."""

    port: int

    def dsn(self, database: str) -> str:
        """A connection string for psycopg."""
        return f"host=127.0.0.1 port={self.port} user=postgres dbname={database}"

    def airflow_connection(self, database: str, **extra: object) -> str:
        """The value of an ``AIRFLOW_CONN_…`` variable."""
        return json.dumps(
            {
                "conn_type": "postgres",
                "host": "127.0.0.1",
                "port": self.port,
                "login": "postgres",
                "schema": database,
                "extra": extra,
            }
        )


@contextmanager
def pgbouncer(postgres: EmbeddedPostgres, pool_size: int) -> Iterator[PgBouncer]:
    """Start Debian's pgbouncer: ``make pgbouncer`` installs it."""
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    assert program, "this needs pgbouncer: run make pgbouncer"
    with tempfile.TemporaryDirectory(prefix="social-analytics-pgbouncer-") as directory:
        folder = Path(directory)
        folder.chmod(0o755)
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        (folder / "users.txt").write_text('"postgres" ""\n')
        (folder / "pgbouncer.ini").write_text(
            _CONFIGURATION.format(
                socket_directory=postgres.socket_directory, port=port, folder=folder, pool_size=pool_size
            )
        )
        # It refuses to run as root. The server's user may enter the directory of its socket.
        other_user = ["-u", Path(postgres.socket_directory).owner()] if os.getuid() == 0 else []
        with (folder / "log").open("w") as log:
            process = subprocess.Popen(
                [program, *other_user, str(folder / "pgbouncer.ini")], stdout=log, stderr=log
            )
        server = PgBouncer(port)
        try:
            while True:
                assert process.poll() is None, (folder / "log").read_text()
                try:
                    psycopg.connect(server.dsn("postgres"), connect_timeout=5).close()
                    break
                except psycopg.OperationalError:
                    continue
            yield server
        finally:
            process.kill()
            process.wait()
