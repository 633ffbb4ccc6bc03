"""Lists what a run ingests: registers a job for each active integration, and makes the batches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import psycopg

from include.social_analytics import postiz
from include.social_analytics.batches import Batch, deal_out, most_tasks
from include.social_analytics.connectors import names_by_identifier, not_read, providers
from include.social_analytics.databases import Database
from include.social_analytics.days import latest_due_day
from include.social_analytics.warehouse import integrations, ledger

if TYPE_CHECKING:
    from include.social_analytics.jobs import Integration
    from include.social_analytics.runs import Run
    from include.social_analytics.settings import Settings


@dataclass(frozen=True)
class Listing:
    """What to ingest: ``count`` integrations in batches.

    ``left_out``: how many are left out, by reason. ``notes`` says in sentences which connection or grant some
    of them lack.
    """

    batches: list[Batch]
    count: int
    left_out: dict[str, int]
    notes: tuple[str, ...] = ()


def list_active(postiz_db: Database, analytics_db: Database, run: Run, settings: Settings) -> Listing:
    """Register a job for each active integration, and divide them into batches.

    It reads a thousand at a time: only the text of the batches holds all of them.

    :param postiz_db: not within a transaction.
    :raises JobError: ``config_invalid`` when the run is narrowed to something that is not active.
    """
    identifiers = names_by_identifier()
    switched_off = not_read(settings)
    reasons = {
        identifier: why.reason
        for name, why in switched_off.items()
        for identifier in providers()[name].identifiers
    }
    narrowed: dict[str, Any] = {
        "organization_id": run.organization_id,
        "customer_id": run.customer_id,
        "integration_ids": run.integration_ids,
        "not_read": reasons,
    }
    # The schedule also covers each later day. Any other run says only that the channels are active now.
    expected_from = run.day if run.is_scheduled else max(run.day, latest_due_day(datetime.now(UTC), settings))

    def registered() -> Iterator[Integration]:
        for page in postiz.active_integrations(postiz_db, identifiers, **narrowed):
            names = postiz.organization_names(postiz_db, {one.organization_id for one in page})
            customers = postiz.customers(postiz_db, [one.id for one in page])
            integrations.remember(analytics_db, page, names, run.day, expected_from, customers)
            ledger.register(analytics_db, run.jobs(page), run.run_id)
            yield from page

    began = integrations.clock(analytics_db)
    # All queries see the same snapshot.
    postiz_db.connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    with postiz_db.transaction():
        postiz.require_known(postiz_db, identifiers, **narrowed)
        count = postiz.count_active(postiz_db, identifiers, **narrowed)
        left_out = postiz.left_out(postiz_db, identifiers, reasons)
        lacking = postiz.providers_left_out(postiz_db, identifiers, reasons)
        batches = deal_out(
            registered(), count, most=most_tasks(settings), at_once=settings.max_concurrent_tasks
        )
    if run.is_whole:
        integrations.retire(analytics_db, began)
    notes = [
        switched_off[name].words
        if reason == "no_connection"
        else f"{providers()[name].title} is not read: the role of 'postiz_db' may not read refresh tokens. "
        f"Run include/deploy/roles/postiz_reader_{name}.sql in Postiz's database."
        for name, reason in sorted(lacking)
    ]
    return Listing(batches, count, left_out, tuple(notes))
