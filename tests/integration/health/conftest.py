"""The health page's server on a real database, called in-process. Other tests check Airflow's permissions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest
from fastapi.testclient import TestClient

from include.sandbox.postgres import EmbeddedPostgres
from include.social_analytics.connectors import providers
from include.social_analytics.connectors.base import Provider
from include.social_analytics.errors import ErrorCode
from include.social_analytics.health.app import airflow_tells, app, may_look
from tests.support.history import History
from tests.support.readings import Warehouse


@pytest.fixture
def ended_runs() -> set[str]:
    """The ids of the runs that Airflow says have ended."""
    return set()


@pytest.fixture
def ask(
    postgres: EmbeddedPostgres,
    analytics_database: str,
    ended_runs: set[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[TestClient]:
    monkeypatch.setenv("AIRFLOW_CONN_ANALYTICS_DB", postgres.airflow_connection(analytics_database))
    app.dependency_overrides[may_look] = lambda: None
    app.dependency_overrides[airflow_tells] = lambda: ended_runs.intersection
    yield TestClient(app)
    app.dependency_overrides.clear()


@pytest.fixture
def history(warehouse: Warehouse, ask: TestClient) -> History:
    return History(warehouse, ask)


@pytest.fixture
def without_views(monkeypatch: pytest.MonkeyPatch) -> Provider:
    """One more provider: it has neither views nor posts published, and has its own advice."""
    provider = replace(
        providers()["facebook"],
        name="quiet",
        title="Quiet Network",
        metrics={"followers": "fans", "reach": "people"},
        content_metrics={"clicks": "taps", "reach": "people"},
        timezone=ZoneInfo("Asia/Tokyo"),
        advice={ErrorCode.TOKEN_INVALID: "Ask the Quiet Network for a new token."},
    )
    known = {**providers(), provider.name: provider}
    for module in ("connectors", "warehouse.aggregate"):
        monkeypatch.setattr(f"include.social_analytics.{module}.providers", lambda: known)
    return provider
