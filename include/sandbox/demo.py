"""The compose file's `demo` profile: fills a made-up Postiz database and answers in the Graph API's place."""

from __future__ import annotations

import argparse
import signal
import threading
from pathlib import Path

import psycopg

from include.sandbox.graph_api import serve
from include.sandbox.postiz_db import create_tables, populate_demo
from include.sandbox.world import demo_world

_READER = Path(__file__).parents[1] / "deploy" / "roles" / "postiz_reader.sql"


def main() -> None:
    """Serve until told to end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8099)
    parser.add_argument("--postiz", required=True, help="URL of the demo's database, as a superuser")
    arguments = parser.parse_args()
    world = demo_world()
    with psycopg.connect(arguments.postiz) as connection:
        if connection.execute("SELECT FROM pg_tables WHERE tablename = 'Integration'").fetchone() is None:
            create_tables(connection)
            populate_demo(connection, world)
            connection.execute(_READER.read_bytes())
            # Known to everybody, like all that the demo holds.
            connection.execute("ALTER ROLE social_analytics_reader PASSWORD 'demo'")
    told = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: told.set())
    with serve(world, host=arguments.host, port=arguments.port) as sandbox:
        print(f"Sandbox Graph API on {sandbox.url}", flush=True)
        told.wait()


if __name__ == "__main__":
    main()
