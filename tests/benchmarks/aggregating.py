"""Aggregating one day among a year of history, compared with one day alone.

The year is 29 million figures: two minutes to fill, and 9 GB of disk while it lasts.
"""

from __future__ import annotations

from collections.abc import Iterator

import psycopg

from include.sandbox.postgres import EmbeddedPostgres
from include.social_analytics.databases import Database
from include.social_analytics.metrics import DAILY_METRICS
from include.social_analytics.warehouse.aggregate import aggregate_day
from include.social_analytics.warehouse.migrate import migrate
from tests.benchmarks.report import Result, medians, seconds
from tests.support.readings import DAY

PAGES = 10_000
HISTORY = (1, 30, 365)

# Ids are as long as real ones. Rows are in the order in which runs write them: the look-back rewrites the
# three days before a day in the same transactions.
_JOBS = """
INSERT INTO analytics.ingest_job
    (job_id, organization_id, integration_id, provider, date, status, is_backfill, dag_run_id, account_id,
     observed_at)
SELECT 'analytics-ingest:' || page || ':' || day, md5((number / 10)::text), page, 'facebook', day,
    'succeeded', false, 'scheduled__' || day, '1' || lpad(number::text, 14, '0'), day + 1
FROM generate_series(0, %(days)s - 1, 4) AS ago, generate_series(1, %(pages)s) AS number,
    LATERAL (SELECT left(md5(number::text), 25)) AS pages (page),
    LATERAL (SELECT %(day)s - n FROM generate_series(ago, least(ago + 4, %(days)s) - 1) AS n) AS dates (day)
ORDER BY ago DESC, number
"""
_METRICS = """
INSERT INTO analytics.integration_metric_daily
SELECT integration_id, metric, date, organization_id, provider, 1, metric, clock_timestamp(), job_id
FROM analytics.ingest_job, unnest(%(metrics)s::text[]) AS metric
"""
_AGGREGATED = """
INSERT INTO analytics.organization_daily
SELECT organization_id, provider, metric, date, 10, 10, 10, clock_timestamp()
FROM (SELECT DISTINCT organization_id, provider, date FROM analytics.ingest_job) AS days,
    unnest(%(metrics)s::text[]) AS metric
"""


def results(postgres: EmbeddedPostgres) -> Iterator[Result]:
    """Aggregate the latest day in databases with more and more history."""
    connections = {}
    for days in HISTORY:
        postgres.create_database(f"history_{days}")
        connections[days] = psycopg.connect(postgres.dsn(f"history_{days}"), autocommit=True)
        fill(connections[days], days)
    for days in HISTORY[1:]:
        ours, floor = medians(
            lambda _, days=days: aggregate(connections[days]), lambda _: aggregate(connections[1]), 15
        )
        yield Result(
            f"aggregating a day of {PAGES:,} channels among {days} days, compared with among 1",
            f"{ours * 1000:.0f} ms", f"{floor * 1000:.0f} ms", ours / floor, "at most 1.2",
        )  # fmt: skip
    for days in HISTORY:
        connections[days].close()
        postgres.drop_database(f"history_{days}")


def aggregate(connection: psycopg.Connection) -> float:
    """Seconds of aggregating ``DAY``, after a VACUUM of the rows that the last time replaced."""
    connection.execute("VACUUM analytics.organization_daily")
    return seconds(lambda: aggregate_day(Database("analytics_db", connection), DAY))


def fill(connection: psycopg.Connection, days: int) -> None:
    """Insert ``days`` days of all channels, up to ``DAY``: in bulk, and indexed afterwards."""
    migrate(Database("analytics_db", connection))
    connection.execute("SET maintenance_work_mem = '1GB'; SET work_mem = '1GB'")
    parameters = {
        "day": DAY,
        "days": days,
        "pages": PAGES,
        "metrics": [metric.name for metric in DAILY_METRICS.values()],
    }
    for name, statement in (
        ("ingest_job", _JOBS),
        ("integration_metric_daily", _METRICS),
        ("organization_daily", _AGGREGATED),
    ):
        table = f"analytics.{name}"
        connection.execute(f"ALTER TABLE {table} SET UNLOGGED")
        # INSERT skips indexes that are not ready. REINDEX builds them and makes them ready.
        connection.execute(
            "UPDATE pg_index SET indisready = false, indisvalid = false WHERE indrelid = %s::regclass",
            [table],
        )
        connection.execute(statement, parameters)
        connection.execute(f"REINDEX TABLE {table}")
    connection.execute("VACUUM ANALYZE")
    connection.execute("RESET ALL")
