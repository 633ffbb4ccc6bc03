"""One account over real HTTP and on real Postgres, ingested as a task does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import unquote_plus

import psycopg
from psycopg import sql
from psycopg.rows import dict_row
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from include.social_analytics.connectors import provider_named
from include.social_analytics.connectors.base import Provider
from include.social_analytics.databases import Database
from include.social_analytics.days import day_ended_at, latest_due_day
from include.social_analytics.history import read_history
from include.social_analytics.ingest import Ingester
from include.social_analytics.jobs import IngestJob, Integration
from include.social_analytics.runs import Run
from include.social_analytics.settings import Settings
from include.social_analytics.warehouse import integrations
from tests.connectors.case import Arranged, Case, Situation
from tests.support.bench import ingest

#: A test of an API that hangs has a shorter timeout of its own.
# The same posts on each weekday.
SETTINGS = Settings(request_backoff=0, weekly_post_window_days=28)


def latest_day(provider: Provider, now: datetime) -> date:
    """The provider's latest day that has ended."""
    day = now.astimezone(provider.timezone).date() - timedelta(days=1)
    assert day_ended_at(day, provider.timezone) <= now
    return day


@dataclass(frozen=True)
class Sent:
    """A request as it reached the stand-in: everything in it is text."""

    method: str
    path: str
    query: str
    headers: str
    body: str


def recording(app: ASGIApp, sent: list[Sent]) -> ASGIApp:
    """``app``, which adds each request to ``sent``."""

    async def recorded(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        body = await request.body()
        headers = "\n".join(f"{name}: {value}" for name, value in request.headers.items())
        sent.append(
            Sent(
                request.method,
                request.url.path,
                request.url.query,
                headers,
                unquote_plus(body.decode("latin-1")),
            )
        )
        rest = iter([{"type": "http.request", "body": body, "more_body": False}])

        async def again() -> Message:
            return next(rest, None) or await receive()

        await app(scope, again, send)

    return recorded


@dataclass
class Trial:
    """A case whose account is the channel "one" in a Postiz."""

    case: Case
    day: date
    postiz: psycopg.Connection
    connection: psycopg.Connection
    #: Every request that reached the stand-in, if it records them.
    sent: list[Sent] = field(default_factory=list)
    masked: list[str] = field(default_factory=list)

    @property
    def provider(self) -> Provider:
        return provider_named(self.case.provider)

    @property
    def secrets(self) -> set[str]:
        """The account's token, each part of it, and its refresh token."""
        token = self.case.account.token
        return {token, *self.provider.secrets(token), self.case.refresh_token}

    @property
    def lookback(self) -> list[date]:
        """The days before the latest one that a reading also stores."""
        return [self.day - timedelta(days=n) for n in range(self.provider.lookback_days(SETTINGS), 0, -1)]

    @property
    def post_days(self) -> tuple[date, date]:
        """The first and the last day whose posts are read."""
        return self.day - timedelta(days=SETTINGS.post_window_days - 1), self.day

    def arrange(self, situation: Situation) -> Arranged:
        """Bring the stand-in into a situation, as the case file says."""
        answer = self.case.situations[situation]
        assert isinstance(answer, Arranged)
        answer.bring_about(self.case)
        return answer

    def ingest(self, day: date | None = None, *, settings: Settings = SETTINGS) -> dict[str, Any]:
        """Ingest a day, by default the latest one; returns the ledger's row.

        :raises JobError, ThrottledError: as the ingester raises them.
        """
        account = self.case.account
        integration = Integration("one", account.name, "acme", self.case.provider)
        job = IngestJob(integration, day or self.day, is_backfill=False)
        ingest(self._ingester(settings), [job], f"run at {datetime.now(UTC)}")
        if job.date < self.day:
            # As read in time. Else the day would have been final, and some of it is not read again.
            self.connection.execute(
                "UPDATE analytics.integration_metric_daily "
                "SET observed_at = observed_at - %s * interval '1 day' WHERE date = %s",
                [(self.day - job.date).days, job.date],
            )
        return self.job(day)

    def read_past(self) -> date:
        """Ingest the latest due day as the daily run does, then the channel's past; returns the day.

        The stand-in has recorded only the calls for the past.
        """
        day = latest_due_day(datetime.now(UTC), SETTINGS)
        run = Run("run", day, is_backfill=False, organization_id=None, integration_ids=None)
        channel = Integration("one", self.case.account.name, "acme", self.case.provider)
        integrations.remember(self._analytics, [channel], {"acme": "acme"}, day, day)
        worker = self._ingester(SETTINGS)
        ingest(worker, run.jobs([channel]), run.run_id)
        self.case.api.clear_calls()
        read_history(worker, run, 0)
        return day

    @property
    def _analytics(self) -> Database:
        return Database("analytics_db", self.connection)

    def _ingester(self, settings: Settings) -> Ingester:
        connector = self.provider.connect(settings)
        return Ingester(
            Database("postiz_db", self.postiz),
            self._analytics,
            lambda _: connector,
            self.masked.extend,
            settings,
        )

    def job(self, day: date | None = None) -> dict[str, Any]:
        """The ledger's row of a day."""
        [row] = self.rows("SELECT * FROM analytics.ingest_job WHERE date = %s", day or self.day)
        return row

    def stored(self, day: date | None = None) -> Mapping[str, Decimal | None]:
        """The day's figures in the warehouse."""
        query = "SELECT metric, value FROM analytics.integration_metric_daily WHERE date = %s"
        return {row["metric"]: row["value"] for row in self.rows(query, day or self.day)}

    def stored_posts(self) -> dict[str, dict[str, Decimal | None]]:
        """The posts in the warehouse: id -> metric -> total."""
        found: dict[str, dict[str, Decimal | None]] = {
            row["content_id"]: {} for row in self.rows("SELECT content_id FROM analytics.content")
        }
        for row in self.rows("SELECT * FROM analytics.content_metric_snapshot"):
            found[row["content_id"]][row["metric"]] = row["value"]
        return found

    def everything(self) -> str:
        """Everything in the warehouse, as text."""
        tables = self.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'analytics'")
        return "\n".join(
            str(row["line"])
            for table in tables
            for row in self.rows(f"SELECT t::text AS line FROM analytics.{table['tablename']} AS t")
        )

    def postiz_rows(self) -> list[tuple[Any, ...]]:
        """Every row of Postiz's database, with the transaction that wrote it last."""
        tables = self.postiz.execute(
            "SELECT schemaname, tablename FROM pg_tables"
            " WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        ).fetchall()
        return sorted(
            (schema, table, *row)
            for schema, table in tables
            for row in self.postiz.execute(
                sql.SQL("SELECT xmin::text, t::text FROM {} AS t").format(sql.Identifier(schema, table))
            )
        )

    def rows(self, query: str, *parameters: object) -> list[dict[str, Any]]:
        with self.connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(query, parameters).fetchall()
