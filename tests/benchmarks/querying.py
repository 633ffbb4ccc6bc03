"""The views with 10,000 channels and a year of days: what people ask of each."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from datetime import date, timedelta

import psycopg

from include.sandbox.postgres import EmbeddedPostgres
from include.social_analytics.connectors import providers
from include.social_analytics.databases import Database
from include.social_analytics.metrics import CONTENT_METRICS
from include.social_analytics.warehouse.aggregate import aggregate_day
from include.social_analytics.warehouse.migrate import migrate
from include.social_analytics.warehouse.snapshots import ensure_month
from tests.benchmarks.report import Result, seconds
from tests.support.bench import DAY

#: An organization has 100 channels, a customer 10.
CHANNELS, DAYS = 10_000, 365
ROUNDS = 15

_INTEGRATIONS = """
INSERT INTO analytics.integration
    (integration_id, organization_id, provider, name, first_day, last_day, is_active, listed_at,
     expected_from, customer_id, customer_name)
SELECT 'channel-' || n, 'org-' || n / 100, (%(providers)s::text[])[1 + n %% %(count)s], 'Channel ' || n,
    %(first)s, %(day)s, true, now(), %(first)s, 'customer-' || n / 10, 'Customer ' || n / 10
FROM generate_series(0, %(channels)s - 1) AS n
"""
# Of the latest day, one channel in 300 failed. One in 50 has no data on any day.
_JOBS = """
INSERT INTO analytics.ingest_job
    (job_id, organization_id, integration_id, provider, date, status, error_class, error_code, is_backfill,
     dag_run_id, account_id, observed_at, started_at, customer_id)
SELECT 'analytics-ingest:' || integration_id || ':' || day::date, organization_id, integration_id, provider,
    day,
    CASE WHEN fails THEN 'failed' WHEN number %% 50 = 0 THEN 'no_data' ELSE 'succeeded' END,
    CASE WHEN fails THEN 'transient' END, CASE WHEN fails THEN 'network' END, false,
    'scheduled__' || day::date, 'account-' || number, day + interval '34 hours',
    day + interval '34 hours', customer_id
FROM generate_series(%(first)s::date, %(day)s::date, interval '1 day') AS day, analytics.integration,
    LATERAL (SELECT substr(integration_id, 9)::int) AS numbered (number),
    LATERAL (SELECT number %% 300 = 7 AND day::date = %(day)s) AS failing (fails)
"""
_METRICS = """
INSERT INTO analytics.integration_metric_daily
SELECT integration_id, metric, date, organization_id, provider, 7, metric, observed_at, job_id
FROM analytics.ingest_job
JOIN unnest(%(of_providers)s::text[], %(metrics)s::text[]) AS catalogue (provider, metric) USING (provider)
WHERE status = 'succeeded'
"""
_AGGREGATED = """
INSERT INTO analytics.organization_daily
SELECT organization_id, provider, organization_metric, date, 7 * channels, channels, channels, now(), true
FROM (
    SELECT organization_id, provider, date, count(*) AS channels FROM analytics.ingest_job GROUP BY 1, 2, 3
) AS day
JOIN analytics.metric USING (provider)
WHERE date < %(day)s
ORDER BY date
"""
# A post each 20 hours, in one organization.
_CONTENT = """
INSERT INTO analytics.content
SELECT integration_id, integration_id || '-post-' || n, organization_id, provider, published, 'photo',
    'What a post says, at its usual length. ', 'https://example.org/post', null,
    published + interval '34 hours',
    least(published + interval '28 days', %(day)s::date + interval '34 hours'),
    '{"views": 500, "reach": 400, "clicks": 9, "reactions": 30, "comments": 2, "shares": 1, "saves": 4}',
    least(published + interval '28 days', %(day)s::date + interval '34 hours')::date
FROM analytics.integration, generate_series(0, %(days)s * 24 / 20) AS n,
    LATERAL (
        SELECT %(day)s::timestamp AT TIME ZONE 'UTC' - n * interval '20 hours'
            - substr(integration_id, 9)::int * interval '7 minutes'
    ) AS post (published)
WHERE organization_id = 'org-1'
"""
# Read each day for 28 days.
_SNAPSHOTS = """
INSERT INTO analytics.content_metric_snapshot
SELECT integration_id, content_id, metric, read_on::date, length(content_id) + (read_on::date - %(first)s),
    read_on
FROM analytics.content, generate_series(first_seen_at, updated_at, interval '1 day') AS read_on,
    unnest(%(content_metrics)s::text[]) AS metric
ORDER BY 4
"""

QUESTIONS = {
    "post_latest, an organization's best posts of 28 days": (
        "SELECT * FROM analytics.post_latest WHERE organization_id = 'org-1' AND published_at > %(month)s"
        " ORDER BY views DESC NULLS LAST LIMIT 20"
    ),
    "post_daily_gain, an organization's posts that gained most on a day": (
        "SELECT * FROM analytics.post_daily_gain WHERE organization_id = 'org-1' AND published_at > %(month)s"
        " AND metric = 'views' AND date = %(day)s ORDER BY gain DESC NULLS LAST LIMIT 20"
    ),
    "post_daily_gain, a channel's posts of 28 days": (
        "SELECT * FROM analytics.post_daily_gain WHERE organization_id = 'org-1'"
        " AND integration_id = 'channel-101' AND published_at > %(month)s"
    ),
    "organization_week, an organization's year": (
        "SELECT * FROM analytics.organization_week WHERE organization_id = 'org-1' ORDER BY week"
    ),
    "organization_week, a week of all organizations": (
        "SELECT * FROM analytics.organization_week WHERE week = date_trunc('week', %(day)s::date - 7)::date"
    ),
    "organization_month, an organization's year": (
        "SELECT * FROM analytics.organization_month WHERE organization_id = 'org-1' ORDER BY month"
    ),
    "organization_month, a month of all organizations": (
        "SELECT * FROM analytics.organization_month"
        " WHERE month = date_trunc('month', %(day)s::date - 31)::date AND metric = 'views'"
    ),
    "engagement_rate, an organization's year": (
        "SELECT * FROM analytics.engagement_rate WHERE organization_id = 'org-1' ORDER BY date"
    ),
    "engagement_rate, a day of all organizations": (
        "SELECT * FROM analytics.engagement_rate WHERE date = %(day)s"
    ),
    "best_hours, an organization's": "SELECT * FROM analytics.best_hours WHERE organization_id = 'org-1'",
    "customer_daily, a customer's 90 days": (
        "SELECT * FROM analytics.customer_daily"
        " WHERE customer_id = 'customer-11' AND date > %(day)s::date - 90 ORDER BY date"
    ),
    "customer_daily, a customer's year of one metric": (
        "SELECT * FROM analytics.customer_daily WHERE customer_id = 'customer-11' AND metric = 'views'"
    ),
    # The array lets the planner find the customers' jobs by their index.
    "customer_daily, 90 days of one metric of an organization's customers": (
        "SELECT * FROM analytics.customer_daily WHERE metric = 'views' AND date > %(day)s::date - 90"
        " AND customer_id = ANY (ARRAY("
        "SELECT customer_id FROM analytics.integration WHERE organization_id = 'org-1'))"
    ),
    "freshness": "SELECT * FROM analytics.freshness",
}


def populate(connection: psycopg.Connection) -> None:
    """Fill the tables."""
    analytics = Database("analytics_db", connection)
    migrate(analytics)
    first = DAY - timedelta(days=DAYS - 1)
    for days in range(-3, DAYS + 31, 28):
        ensure_month(analytics, DAY - timedelta(days=days))
    known = providers()
    parameters = {
        "channels": CHANNELS,
        "days": DAYS,
        "first": first,
        "day": DAY,
        "providers": list(known),
        "count": len(known),
        "of_providers": [name for name, one in known.items() for _ in one.metrics],
        "metrics": [metric for one in known.values() for metric in one.metrics],
        "content_metrics": list(CONTENT_METRICS),
    }
    connection.execute(_INTEGRATIONS, parameters)
    _filled(connection, "ingest_job", _JOBS, parameters)
    _filled(connection, "integration_metric_daily", _METRICS, parameters)
    connection.execute("ANALYZE")
    aggregate_day(analytics, DAY)
    _filled(connection, "organization_daily", _AGGREGATED, parameters)
    connection.execute(_CONTENT, parameters)
    connection.execute(_SNAPSHOTS, parameters)
    connection.execute("VACUUM ANALYZE")


def _filled(connection: psycopg.Connection, name: str, statement: str, parameters: dict[str, object]) -> None:
    """Insert in bulk, and index afterwards."""
    connection.execute(f"ALTER TABLE analytics.{name} SET UNLOGGED")
    # INSERT skips indexes that are not ready. REINDEX builds them and makes them ready.
    connection.execute(
        "UPDATE pg_index SET indisready = false, indisvalid = false WHERE indrelid = %s::regclass",
        [f"analytics.{name}"],
    )
    connection.execute(statement, parameters)
    connection.execute(f"REINDEX TABLE analytics.{name}")


def results(postgres: EmbeddedPostgres) -> Iterator[Result]:
    """Ask each question, often enough for a median."""
    postgres.create_database("querying")
    with psycopg.connect(postgres.dsn("querying"), autocommit=True) as connection:
        populate(connection)
        moments: dict[str, date] = {"day": DAY, "month": DAY - timedelta(days=28)}
        for name, question in QUESTIONS.items():
            found = connection.execute(question, moments).fetchall()
            assert found, name
            spent = statistics.median(
                seconds(lambda question=question: connection.execute(question, moments).fetchall())
                for _ in range(ROUNDS)
            )
            yield Result(
                f"the view {name}: {CHANNELS:,} channels and {DAYS} days",
                f"{spent * 1000:.0f} ms, {len(found):,} rows",
                target="under 300 ms",
            )
