"""Aggregating one day amid a year of history, beside the same amid one day's."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg

from include.sandbox.postgres import EmbeddedPostgres
from include.social_analytics.metrics import DAILY_METRICS
from include.social_analytics.warehouse.aggregate import aggregate_day
from include.social_analytics.warehouse.migrate import migrate
from tests.benchmarks.report import Result, medians, seconds
from tests.integration.warehouse.readings import DAY

PAGES = 2_000
HISTORY = (1, 30, 365)

_JOBS = """
INSERT INTO analytics.ingest_job
    (job_id, organization_id, integration_id, provider, date, status, is_backfill, dag_run_id)
SELECT page || ':' || day, 'o' || page %% 100, page, 'facebook', day, 'succeeded', false, 'run'
FROM generate_series(1, %s) AS page,
    LATERAL (SELECT %s::date - n FROM generate_series(0, %s - 1) AS n) AS dates (day)
"""
_METRICS = """
INSERT INTO analytics.integration_metric_daily
SELECT integration_id, metric, date, organization_id, provider, 1, metric, clock_timestamp(), job_id
FROM analytics.ingest_job, unnest(%s::text[]) AS metric
"""


def results(postgres: EmbeddedPostgres) -> Iterator[Result]:
    """Aggregate the latest day of databases with more and more history."""
    connections = {}
    for days in HISTORY:
        postgres.create_database(f"history_{days}")
        connection = connections[days] = psycopg.connect(postgres.dsn(f"history_{days}"), autocommit=True)
        migrate(connection)
        connection.execute(_JOBS, [PAGES, DAY, days])
        connection.execute(_METRICS, [[metric.name for metric in DAILY_METRICS]])
        connection.execute("VACUUM ANALYZE")
    for days in HISTORY[1:]:
        ours, floor = medians(
            lambda _, days=days: seconds(lambda: aggregate_day(connections[days], DAY)),
            lambda _: seconds(lambda: aggregate_day(connections[1], DAY)),
            5,
        )
        yield Result(
            f"aggregating a day of {PAGES:,} channels amid {days} days, beside amid 1",
            f"{ours * 1000:.0f} ms", f"{floor * 1000:.0f} ms", ours / floor, "at most 1.2",
        )  # fmt: skip
    for connection in connections.values():
        connection.close()
