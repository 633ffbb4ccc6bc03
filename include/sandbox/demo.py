"""The demo: a made-up Postiz database, and a server with one path for each provider's stand-in.

``python -m include.sandbox.demo`` is the compose file's `demo` profile.
"""

from __future__ import annotations

import argparse
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from include.sandbox.postiz_db import create_tables, populate_demo
from include.sandbox.serving import listen, together
from include.sandbox.stand_ins import stand_ins
from include.sandbox.stand_ins.base import Demo

_ROLES = Path(__file__).parents[1] / "deploy" / "roles"
#: The reader's role, and then what it may read for some providers.
_READER = (_ROLES / "postiz_reader.sql", *sorted(_ROLES.glob("postiz_reader_*.sql")))


@dataclass(frozen=True)
class RunningDemo:
    """Running stand-ins; ``environment`` holds the connections to them, as Airflow reads them."""

    urls: Mapping[str, str]
    environment: Mapping[str, str]


@contextmanager
def serve(demos: Mapping[str, Demo], *, host: str = "127.0.0.1", port: int = 0) -> Iterator[RunningDemo]:
    """Serve :func:`demos`, each below its provider's name."""
    with listen(together({name: demo.api for name, demo in demos.items()}), host=host, port=port) as url:
        urls = {name: f"{url}/{name}" for name in demos}
        yield RunningDemo(urls, environment(urls))


def environment(urls: Mapping[str, str]) -> dict[str, str]:
    """The connections to the stand-ins, as Airflow reads them.

    A connection that several providers use leads to the first one's stand-in: :func:`together` has the rest.

    :param urls: by the provider's name.
    """
    found: dict[str, str] = {}
    for name, url in urls.items():
        found = stand_ins()[name].environment(url) | found
    return found


def demos() -> dict[str, Demo]:
    """A demo of every provider, by the provider's name."""
    return {name: stand_in.make_demo() for name, stand_in in stand_ins().items()}


def fill(postiz: psycopg.Connection[Any], made: Mapping[str, Demo]) -> None:
    """Make Postiz's tables, and a channel for each account."""
    create_tables(postiz)
    populate_demo(postiz, {name: demo.accounts for name, demo in made.items()})


def main() -> None:
    """Serve until a signal stops it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8099)
    parser.add_argument("--postiz", required=True, help="URL of the demo's database, as a superuser")
    arguments = parser.parse_args()
    made = demos()
    with psycopg.connect(arguments.postiz) as connection:
        if connection.execute("SELECT FROM pg_tables WHERE tablename = 'Integration'").fetchone() is None:
            fill(connection, made)
            for script in _READER:
                connection.execute(script.read_bytes())
            # Everybody knows this password. It guards only made-up data.
            connection.execute("ALTER ROLE social_analytics_reader PASSWORD 'demo'")
    told = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: told.set())
    with serve(made, host=arguments.host, port=arguments.port) as running:
        print(f"Stand-ins on {', '.join(running.urls.values())}", flush=True)
        told.wait()


if __name__ == "__main__":
    main()
