"""Adds up a day per organization. The only writer of ``organization_daily``."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date
from pathlib import Path

from include.social_analytics.connectors import providers
from include.social_analytics.databases import Database
from include.social_analytics.metrics import DAILY_METRICS
from include.social_analytics.warehouse.ledger import COMPLETE_STATUSES

_AGGREGATE = (Path(__file__).parent / "aggregate.sql").read_text()
_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('social_analytics.day:' || %s, 0))"
# Postgres has no statistics yet of a day that was just stored. It expects one row, and would choose a nested
# loop or a sort: that takes minutes, a hash join takes a fraction of a second.
_HASH_WHOLE_DAYS = "SET LOCAL enable_nestloop = off; SET LOCAL enable_sort = off"
# Finds its rows by organization_daily_by_date.
_DELETE = """
DELETE FROM analytics.organization_daily
WHERE date = %(day)s
  AND (%(organizations)s::text[] IS NULL OR organization_id = ANY (%(organizations)s))
"""


def aggregate_day(analytics: Database, day: date, organizations: Collection[str] | None = None) -> int:
    """Compute ``day`` from the tables.

    :param organizations: only these, by id. ``None``: all.
    :returns: rows written: one per organization, provider and catalogue metric.
    """
    catalogue = [
        (provider.name, metric, DAILY_METRICS[metric].organization_name)
        for provider in providers().values()
        for metric in provider.metrics
    ]
    with analytics.transaction():
        analytics.execute(_LOCK, [day.isoformat()])
        analytics.execute(_HASH_WHOLE_DAYS)
        which = {"day": day, "organizations": None if organizations is None else sorted(organizations)}
        analytics.execute(_DELETE, which)
        return analytics.execute(
            _AGGREGATE,
            which
            | {
                "complete": list(COMPLETE_STATUSES),
                "providers": [provider for provider, _, _ in catalogue],
                "metrics": [metric for _, metric, _ in catalogue],
                "organization_names": [name for _, _, name in catalogue],
            },
        ).rowcount
