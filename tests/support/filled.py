"""A database as some weeks of runs leave it, with the role that reads it: for dbt and for dashboards."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, time

import psycopg

from include.sandbox.local_airflow import PROJECT
from include.sandbox.postgres import EmbeddedPostgres
from include.social_analytics.databases import Database
from include.social_analytics.warehouse.aggregate import aggregate_day
from include.social_analytics.warehouse.snapshots import ensure_month
from tests.support.history import History, ago
from tests.support.readings import DOWN, REVOKED, Warehouse

READER = "analytics_reader"
DAYS = 40
#: Channel -> its organization, provider and customer.
CHANNELS = {
    "north": ("acme", "facebook", "retail"),
    "south": ("acme", "facebook", "retail"),
    "photos": ("acme", "instagram", "food"),
    "words": ("globex", "threads", None),
}
_POSTS = """
INSERT INTO analytics.content
SELECT integration_id, integration_id || '-' || n, organization_id, provider, published, 'photo', 'P ' || n,
    'https://example.org', NULL, published, published + interval '12 days',
    jsonb_build_object('views', 100 * n, 'reactions', n, 'comments', 1),
    (published + interval '12 days')::date
FROM analytics.integration, generate_series(1, 12) AS n,
    LATERAL (SELECT %s::timestamptz - n * interval '61 hours' - interval '12 days') AS post (published)
"""
_SNAPSHOTS = """
INSERT INTO analytics.content_metric_snapshot
SELECT integration_id, content_id, metric, read_on::date, 5 * (read_on::date - published_at::date), read_on
FROM analytics.content, generate_series(published_at, updated_at, interval '1 day') AS read_on,
    unnest('{views,reactions,comments}'::text[]) AS metric
"""


@contextmanager
def filled(postgres: EmbeddedPostgres, template: str) -> Iterator[str]:
    """Make a database from a migrated one and fill it; gives its name.

    ``analytics_reader`` may read it. Failures: a day of an owner's, and the latest day of one channel.
    """
    name = f"filled_{uuid.uuid4().hex}"
    postgres.create_database(name, template)
    with psycopg.connect(postgres.dsn(name), autocommit=True) as connection:
        connection.execute((PROJECT / "include/deploy/roles/analytics_reader.sql").read_bytes())
        _fill(connection)
    try:
        yield name
    finally:
        with psycopg.connect(postgres.dsn(name), autocommit=True) as connection:
            connection.execute(f"DROP OWNED BY {READER} CASCADE; DROP ROLE {READER}")
        postgres.drop_database(name)


def _fill(connection: psycopg.Connection) -> None:
    analytics = Database("analytics_db", connection)
    history = History(Warehouse(analytics, lambda: analytics), None)
    for days in range(DAYS, -1, -1):
        for number, (channel, (organization, provider, _)) in enumerate(CHANNELS.items()):
            how = {"organization": organization, "provider": provider}
            if channel == "south" and days in (0, 9):
                history.failed(channel, ago(days), REVOKED if days else DOWN, **how)
            else:
                history.stored(channel, ago(days), value=100 + days + number, **how)
    for channel, (_, _, customer) in CHANNELS.items():
        connection.execute(
            "UPDATE analytics.integration SET customer_id = %s, customer_name = initcap(%s)"
            " WHERE integration_id = %s",
            [customer, customer, channel],
        )
    connection.execute(
        "UPDATE analytics.ingest_job AS job SET customer_id = integration.customer_id, http_calls = 4"
        " FROM analytics.integration WHERE integration.integration_id = job.integration_id"
    )
    for days in range(DAYS, -1, -1):
        aggregate_day(analytics, ago(days))
        ensure_month(analytics, ago(days))
    ensure_month(analytics, ago(60))
    ensure_month(analytics, ago(-1))
    connection.execute(_POSTS, [datetime.combine(ago(0), time(12), UTC)])
    connection.execute(_SNAPSHOTS)
