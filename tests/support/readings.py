"""What the warehouse's tests share: jobs, readings, and queries."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from psycopg.rows import dict_row

from include.social_analytics.connectors import providers
from include.social_analytics.connectors.reading import (
    Content,
    DayStatus,
    Reading,
    UnsupportedMetric,
    Window,
)
from include.social_analytics.databases import Database
from include.social_analytics.errors import ErrorCode, JobError
from include.social_analytics.jobs import IngestJob, Integration
from include.social_analytics.warehouse import ledger
from include.social_analytics.warehouse.writer import Stored, store

DAY = date(2026, 11, 20)
METRICS = providers()["facebook"].metrics
INSIGHTS = tuple(name for name in METRICS if name != "posts_published")
REVOKED = JobError(
    ErrorCode.TOKEN_INVALID, "Session has expired", provider_code="190", provider_subcode="463"
)
DOWN = JobError(ErrorCode.API_UNAVAILABLE, "An unknown error occurred", trace_id="AbC")


def before(days: int) -> date:
    """The day that many days before ``DAY``."""
    return DAY - timedelta(days=days)


def job(
    integration: str = "page", day: date = DAY, organization: str = "acme", provider: str = "facebook"
) -> IngestJob:
    """An integration's job."""
    return IngestJob(Integration(integration, integration.title(), organization, provider), day, False)


def post(content_id: str = "post", message: str | None = "Hello", **metrics: int | None) -> Content:
    """A post in the window."""
    values = {name: None if value is None else Decimal(value) for name, value in metrics.items()}
    return Content(
        content_id, datetime(2026, 11, 18, 12, tzinfo=UTC), "post", message, "https://x", metrics=values
    )


def reading(
    values: Mapping[date, int | None] | None = None,
    *,
    day: date = DAY,
    without: tuple[str, ...] = (),
    series: Mapping[str, Mapping[date, Decimal | None]] | None = None,
    posts: int | None = 0,
    content: tuple[Content, ...] = (),
    unsupported: tuple[UnsupportedMetric, ...] = (),
    lookback: int = 3,
) -> Reading:
    """A reading in which each insight metric has ``values``, except those ``without`` a series.

    A day without insights is pending. Without any insights the reading has no data.
    """
    window = Window(day, lookback, 28)
    if series is None:
        given = {on: None if value is None else Decimal(value) for on, value in (values or {}).items()}
        series = {name: given for name in INSIGHTS if name not in without} if values is not None else {}
    named = {on for values in series.values() for on in values}
    other = DayStatus.PENDING if series else DayStatus.NO_DATA
    days = {on: DayStatus.SUCCEEDED if on in named else other for on in window.days}
    if posts is not None:
        series = {**series, "posts_published": dict.fromkeys(window.days, Decimal(posts))}
    return Reading(window, days, series, content=content, unsupported=unsupported)


@dataclass
class Warehouse:
    """A migrated database, used as a run does; ``connect`` opens more connections to it."""

    connection: Database
    connect: Callable[[], Database]
    run: str = field(default="run")

    def start(
        self,
        one: IngestJob,
        run: str | None = None,
        *,
        first_try: int = 1,
        connection: Database | None = None,
        **how: Any,
    ) -> ledger.Start:
        """Claim the job, unless this task already has, and start it."""
        claim = ledger.Claim(run or self.run, first_try)
        ledger.claim(connection or self.connection, [one], claim, force=False)
        return ledger.start(connection or self.connection, one, claim, **how)

    def store(
        self,
        one: IngestJob,
        answer: Reading,
        start: ledger.Start | None = None,
        *,
        posts: Mapping[str, str] | None = None,
        connection: Database | None = None,
    ) -> Stored:
        """Store a reading, in a new start unless one is given."""
        return store(
            connection or self.connection,
            start or self.start(one),
            answer,
            http_calls=4,
            postiz_posts=posts or {},
        )

    def fail(self, one: IngestJob, error: JobError = REVOKED, start: ledger.Start | None = None) -> None:
        """Fail the job, in a new start unless one is given."""
        ledger.fail(self.connection, start or self.start(one), error, 1)

    def rows(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """The rows of a query."""
        return self.connection.execute(query, parameters).fetchall()

    def table(self, name: str, *without: str) -> list[dict[str, Any]]:
        """All sorted rows of a table, without some columns."""
        with self.connection.connection.cursor(row_factory=dict_row) as cursor:
            rows = cursor.execute(f"SELECT * FROM analytics.{name} AS t ORDER BY t::text").fetchall()
        return sorted(({k: v for k, v in row.items() if k not in without} for row in rows), key=str)

    def ledger_row(self, one: IngestJob) -> dict[str, Any]:
        """The job's row."""
        return next(row for row in self.table("ingest_job") if row["job_id"] == one.job_id)

    def status(self, one: IngestJob) -> str:
        """The job's status."""
        return str(self.ledger_row(one)["status"])

    def figures(self, day: date = DAY, integration: str = "page") -> dict[str, int | None]:
        """The day's stored values by metric."""
        return dict(
            self.rows(
                "SELECT metric, value FROM analytics.integration_metric_daily"
                " WHERE date = %s AND integration_id = %s",
                day,
                integration,
            )
        )
