"""Days of some integrations, as the daily job stores them, and requests to the health page's server."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from fastapi.testclient import TestClient

from include.social_analytics.connectors import provider_named
from include.social_analytics.connectors.reading import Content, DayStatus, Reading, Window
from include.social_analytics.errors import JobError
from include.social_analytics.jobs import Customer, IngestJob, Integration
from include.social_analytics.warehouse import integrations, ledger
from include.social_analytics.warehouse.writer import store_past
from tests.support.bench import DAY
from tests.support.readings import INSIGHTS, METRICS, REVOKED, Warehouse, reading


def ago(days: int) -> date:
    """The day that many days before the latest due one."""
    return DAY - timedelta(days=days)


class History:
    """Days of some integrations, as the daily job stores them. ``get`` asks the health page's server."""

    def __init__(self, warehouse: Warehouse, ask: TestClient) -> None:
        self.warehouse, self.ask = warehouse, ask

    def get(self, path: str, **parameters: Any) -> Any:
        """The server's answer, which must be a success."""
        answer = self.ask.get(path, params=parameters)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def listed(
        self,
        integration: str,
        day: date,
        organization: str = "acme",
        name: str = "",
        provider: str = "facebook",
        expected_from: date | None = None,
        customer: Customer | None = None,
    ) -> IngestJob:
        """Record an integration that the listing for ``day`` found; returns its job.

        :param expected_from: if the listing is not of the schedule's run for ``day``.
        """
        one = Integration(integration, name or integration.title(), organization, provider)
        names = {organization: organization.upper()}
        customers = {integration: customer} if customer else {}
        integrations.remember(self.warehouse.connection, [one], names, day, expected_from or day, customers)
        return IngestJob(one, day, is_backfill=False)

    def stored(
        self,
        integration: str,
        day: date,
        value: int = 7,
        content: tuple[Content, ...] = (),
        **how: Any,
    ) -> None:
        """Store an integration's day: each metric of its provider, and 0 posts published. No earlier day."""
        job = self.listed(integration, day, **how)
        metrics = set(provider_named(job.integration.provider).metrics)
        posts = 0 if "posts_published" in metrics else None
        series = {name: {day: Decimal(value)} for name in metrics - {"posts_published"}}
        self.warehouse.store(job, reading(day=day, series=series, posts=posts, content=content, lookback=0))

    def past(self, integration: str, day: date, days: int, value: int = 7) -> None:
        """Store so many days before an integration's first one, ``day``, as its past."""
        one = Integration(integration, integration.title(), "acme", "facebook")
        window = Window.of_past(
            day - timedelta(days=days), day - timedelta(days=1), METRICS, read_at=datetime.now(UTC)
        )
        series = {name: dict.fromkeys(window.days, Decimal(value)) for name in INSIGHTS}
        store_past(
            self.warehouse.connection,
            IngestJob(one, day, is_backfill=False),
            Reading(window, dict.fromkeys(window.days, DayStatus.SUCCEEDED), series),
            observed_at=integrations.clock(self.warehouse.connection),
            dag_run_id="manual__2026-11-20T00:00:00+00:00",
            map_index=3,
            account_id=integration,
            lookback_days=3,
            post_window_days=28,
        )

    def lacks(self, integration: str, day: date, reason: str) -> None:
        """Say what a stored day lacks."""
        self.warehouse.connection.execute(
            "UPDATE analytics.ingest_job SET reason = %s WHERE integration_id = %s AND date = %s",
            [reason, integration, day],
        )

    def failed(
        self, integration: str, day: date, error: JobError = REVOKED, map_index: int | None = 3, **how: Any
    ) -> None:
        """Record an integration's day that failed in the run ``run``."""
        job, connection = self.listed(integration, day, **how), self.warehouse.connection
        start = self.warehouse.start(job, "manual__2026-11-20T00:00:00+00:00", map_index=map_index)
        ledger.fail(connection, start, error, http_calls=1)
