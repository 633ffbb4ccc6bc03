"""A warehouse for each test, and an ingester on real HTTP with the stand-in for the Graph API at its end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime

import psycopg
import pytest

from include.sandbox.graph_api import serve
from include.sandbox.postgres import EmbeddedPostgres
from include.sandbox.world import World, make_page
from include.social_analytics.databases import Database
from tests.support.bench import Bench
from tests.support.readings import Warehouse


@pytest.fixture
def bench(postiz: psycopg.Connection, analytics: psycopg.Connection, request) -> Iterator[Bench]:
    postiz.autocommit = analytics.autocommit = True
    # The API's clock stands, so that asked twice it answers the same.
    now = datetime.now(UTC)
    pages = [make_page(number) for number in range(1, getattr(request, "param", 3) + 1)]
    world = World(pages, now=lambda: now)
    with serve(world) as sandbox:
        yield Bench(world, sandbox.url, postiz, analytics)


@pytest.fixture
def warehouse(
    analytics: psycopg.Connection, postgres: EmbeddedPostgres, analytics_database: str
) -> Iterator[Warehouse]:
    """A migrated database and connections to it."""
    with ExitStack() as stack:
        yield Warehouse(
            Database("analytics_db", analytics),
            lambda: Database(
                "analytics_db",
                stack.enter_context(psycopg.connect(postgres.dsn(analytics_database), autocommit=True)),
            ),
        )
