"""A warehouse for each test, and an ingester over real HTTP to the stand-in for the Graph API."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime

import psycopg
import pytest

from include.sandbox.postgres import EmbeddedPostgres
from include.sandbox.stand_ins.facebook.graph_api import serve
from include.social_analytics.databases import Database
from tests.support.bench import Bench
from tests.support.hostile import hostile_world
from tests.support.readings import Warehouse


@pytest.fixture
def bench(postiz: psycopg.Connection, analytics: psycopg.Connection, request) -> Iterator[Bench]:
    postiz.autocommit = analytics.autocommit = True
    # The API's clock is fixed, so that it gives the same answers twice.
    now = datetime.now(UTC)
    world = hostile_world(range(1, getattr(request, "param", 3) + 1), now=lambda: now)
    with serve(world) as sandbox:
        yield Bench(world, sandbox.url, postiz, analytics, sandbox.calls)


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
