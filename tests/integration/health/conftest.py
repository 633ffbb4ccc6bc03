"""The health page's server on a real database, asked in-process; Airflow's check has tests of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from include.sandbox.postgres import EmbeddedPostgres
from include.social_analytics.health.app import app, may_look
from tests.support.history import History
from tests.support.readings import Warehouse


@pytest.fixture
def ask(
    postgres: EmbeddedPostgres, analytics_database: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[TestClient]:
    monkeypatch.setenv("AIRFLOW_CONN_ANALYTICS_DB", postgres.airflow_connection(analytics_database))
    app.dependency_overrides[may_look] = lambda: None
    yield TestClient(app)
    app.dependency_overrides.clear()


@pytest.fixture
def history(warehouse: Warehouse, ask: TestClient) -> History:
    return History(warehouse, ask)
