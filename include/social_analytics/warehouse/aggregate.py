"""Adds up a day per organization. The only writer of ``organization_daily`` and of ``metric``."""

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
# loop or a sort: that takes minutes, a hash join a fraction of a second. Before Postgres 18, a way that is
# off counts as very costly: then the statement would be compiled first, which takes a second for each day.
_HASH_WHOLE_DAYS = "SET LOCAL enable_nestloop = off; SET LOCAL enable_sort = off; SET LOCAL jit = off"
# Finds its rows by organization_daily_by_date.
_DELETE = """
DELETE FROM analytics.organization_daily
WHERE date = %(day)s
  AND (%(organizations)s::text[] IS NULL OR organization_id = ANY (%(organizations)s))
"""
# Only what is new or differs: runs of other days need not wait for each other. Other metrics stay: an earlier
# version's figures are still there.
_CATALOGUE = """
INSERT INTO analytics.metric (provider, metric, kind, unit, organization_metric, source_metric)
SELECT *
FROM unnest(%(providers)s::text[], %(metrics)s::text[], %(kinds)s::text[], %(units)s::text[],
            %(organization_names)s::text[], %(source_metrics)s::text[])
EXCEPT
SELECT provider, metric, kind, unit, organization_metric, source_metric FROM analytics.metric
ORDER BY 1, 2
ON CONFLICT (provider, metric) DO UPDATE
SET kind = excluded.kind, unit = excluded.unit, organization_metric = excluded.organization_metric,
    source_metric = excluded.source_metric
"""


def aggregate_day(analytics: Database, day: date, organizations: Collection[str] | None = None) -> int:
    """Compute ``day`` from the tables.

    :param organizations: only these, by id. ``None``: all.
    :returns: rows written: one per organization, provider and catalogue metric.
    """
    declared = [
        (provider.name, DAILY_METRICS[metric], source)
        for provider in providers().values()
        for metric, source in provider.metrics.items()
    ]
    catalogue = {
        "providers": [provider for provider, _, _ in declared],
        "metrics": [metric.name for _, metric, _ in declared],
        "kinds": [metric.kind for _, metric, _ in declared],
        "units": [metric.unit for _, metric, _ in declared],
        "organization_names": [metric.organization_name for _, metric, _ in declared],
        "source_metrics": [source for _, _, source in declared],
    }
    with analytics.transaction():
        analytics.execute(_CATALOGUE, catalogue)
        analytics.execute(_LOCK, [day.isoformat()])
        analytics.execute(_HASH_WHOLE_DAYS)
        which = {"day": day, "organizations": None if organizations is None else sorted(organizations)}
        analytics.execute(_DELETE, which)
        return analytics.execute(
            _AGGREGATE, catalogue | which | {"complete": list(COMPLETE_STATUSES)}
        ).rowcount
