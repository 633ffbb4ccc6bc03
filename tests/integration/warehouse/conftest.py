"""A warehouse of each test's own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import psycopg
import pytest

from include.sandbox.postgres import EmbeddedPostgres
from tests.integration.warehouse.readings import Warehouse


@pytest.fixture
def warehouse(
    analytics: psycopg.Connection, postgres: EmbeddedPostgres, analytics_database: str
) -> Iterator[Warehouse]:
    """A migrated database and connections to it."""
    with ExitStack() as stack:
        yield Warehouse(
            analytics,
            lambda: stack.enter_context(psycopg.connect(postgres.dsn(analytics_database), autocommit=True)),
        )
