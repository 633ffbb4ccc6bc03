"""An ingester over real HTTP to the stand-in for the Graph API."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import psycopg

from include.sandbox.postiz_db import insert_integration, insert_organization
from include.sandbox.stand_ins.facebook.world import Fault, World
from include.social_analytics.connectors.facebook.connector import connect_to
from include.social_analytics.cooldown import LocalCooldown
from include.social_analytics.databases import Database
from include.social_analytics.days import latest_due_day
from include.social_analytics.graph_api import GraphConnection
from include.social_analytics.ingest import Ingester
from include.social_analytics.jobs import IngestJob, Integration
from include.social_analytics.settings import Settings
from include.social_analytics.warehouse import ledger

# The same posts on each weekday.
SETTINGS = Settings(request_backoff=0, request_timeout=5, weekly_post_window_days=28)
DAY = latest_due_day(datetime.now(UTC), SETTINGS)


def ingest(
    worker: Ingester, jobs: Sequence[IngestJob], run_id: str, *, redo_all: bool = True
) -> dict[str, int]:
    """Claim and ingest the jobs, as the task does."""
    claim = ledger.Claim(run_id, 1)
    ledger.claim(worker.analytics_db, jobs, claim, force=redo_all)
    return worker.ingest(jobs, claim)


class Bench:
    """Facebook pages, their integrations in a Postiz, and an ingester for them."""

    def __init__(
        self,
        world: World,
        url: str,
        postiz: psycopg.Connection,
        analytics: psycopg.Connection,
        calls: Sequence[object] = (),
    ) -> None:
        """:param calls: those that the stand-in records."""
        self.world, self.postiz, self._calls = world, postiz, calls
        self.masked: list[str] = []
        insert_organization(postiz, "acme")
        for page in world.pages.values():
            insert_integration(postiz, page.id, "acme", page)
        self.graph = GraphConnection(url, "v25.0", LocalCooldown())
        self.connector = connect_to(self.graph, SETTINGS)
        self.use(analytics)

    def use(self, analytics: psycopg.Connection) -> None:
        """Continue with another connection to the analytics database."""
        self.analytics = Database("analytics_db", analytics)
        self.ingester = Ingester(
            Database("postiz_db", self.postiz),
            self.analytics,
            lambda _: self.connector,
            self.masked.extend,
            SETTINGS,
        )

    @property
    def calls(self) -> int:
        """How many requests the API has got."""
        return len(self._calls)

    @property
    def jobs(self) -> list[IngestJob]:
        return [
            IngestJob(Integration(page.id, page.name, "acme", "facebook"), DAY, is_backfill=False)
            for page in self.world.pages.values()
        ]

    def ingest(self, run_id: str = "run", *, redo_all: bool = True) -> dict[str, int]:
        return ingest(self.ingester, self.jobs, run_id, redo_all=redo_all)

    def states(self) -> list[tuple[str, str | None, int]]:
        found = {
            state.job_id: state for state in ledger.states(self.analytics, [job.job_id for job in self.jobs])
        }
        ordered = [found[job.job_id] for job in self.jobs]
        return [(state.status, state.error_code, state.attempts) for state in ordered]

    def fault(self, number: int, kind: str, **how: object) -> None:
        page = list(self.world.pages.values())[number]
        self.world.faults.set(page.id, Fault(kind, **how))
