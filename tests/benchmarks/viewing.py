"""The health page with 10,000 channels and a year of days: the server's answers, and drawing in a browser."""

from __future__ import annotations

import os
import statistics
from collections.abc import Iterator
from datetime import timedelta

import psycopg
from fastapi.testclient import TestClient
from playwright.sync_api import Page

from include.sandbox.postgres import EmbeddedPostgres
from include.social_analytics.databases import Database
from include.social_analytics.health.app import app, may_look
from include.social_analytics.metrics import CONTENT_METRICS, DAILY_METRICS
from include.social_analytics.warehouse.aggregate import aggregate_day
from include.social_analytics.warehouse.migrate import migrate
from include.social_analytics.warehouse.snapshots import ensure_month
from tests.benchmarks.report import Result, seconds
from tests.support.bench import DAY
from tests.support.browser import chromium
from tests.support.health_page import served

CHANNELS, DAYS, ORGANIZATIONS = 10_000, 365, 100
ROUNDS, DRAWINGS = 20, 7

_INTEGRATIONS = """
INSERT INTO analytics.integration
SELECT 'channel-' || n, 'org-' || n %% %(organizations)s, 'facebook', 'Channel ' || n, %(first)s, %(day)s,
    true, now(), %(first)s
FROM generate_series(1, %(channels)s) AS n
"""
# One channel in 300 fails, for one of three reasons. As many failed on one day and work again. One channel in
# ten lacks something each day. One day in 1,000 is missing.
_JOBS = """
INSERT INTO analytics.ingest_job
    (job_id, organization_id, integration_id, provider, date, status, error_class, error_code, reason,
     is_backfill, dag_run_id, map_index, started_at)
SELECT 'analytics-ingest:' || integration_id || ':' || day::date, organization_id, integration_id, provider,
    day,
    CASE WHEN fails THEN 'failed' WHEN number %% 50 = 0 THEN 'no_data' ELSE 'succeeded' END,
    CASE WHEN fails THEN 'permanent' END,
    CASE WHEN fails THEN (ARRAY['token_invalid', 'permission_missing', 'network'])[1 + number %% 3] END,
    CASE WHEN fails THEN 'It fails as it failed the day before, and that is what the provider says.'
        WHEN number %% 10 = 3 THEN 'Refused by the API: comments, and that is what the provider says.' END,
    false, 'scheduled__' || day::date, number %% 200, now()
FROM analytics.integration,
    LATERAL (SELECT substr(integration_id, 9)::int) AS numbered (number),
    generate_series(%(first)s::date, %(day)s::date, interval '1 day') AS day,
    LATERAL (
        SELECT number %% 300 = 0 OR (number %% 300 = 150 AND day::date = %(day)s::date - 20)
    ) AS failing (fails)
WHERE (number + day::date - %(first)s::date) %% 1000 <> 7
"""
_METRICS = """
INSERT INTO analytics.integration_metric_daily
SELECT integration_id, metric, date, organization_id, provider, 1, metric, now(), job_id
FROM analytics.ingest_job, unnest(%(metrics)s::text[]) AS metric
WHERE status = 'succeeded' AND date > %(day)s::date - 60
-- As runs store them, day by day.
ORDER BY date, integration_id, metric
"""
_CONTENT = """
INSERT INTO analytics.content
SELECT integration_id, 'post-' || n, organization_id, provider, %(day)s::timestamp - n * interval '20 hours',
    'photo',
    'What a post says, at its usual length. ', 'https://example.org/post', null, now(), now()
FROM analytics.integration, generate_series(1, 40) AS n
WHERE organization_id IN ('org-1', 'org-2')
"""
_SNAPSHOTS = """
INSERT INTO analytics.content_metric_snapshot
SELECT integration_id, content_id, metric, %(day)s::date - days, length(content_id), now()
FROM analytics.content, unnest(%(content_metrics)s::text[]) AS metric, generate_series(0, 2) AS days
"""

VIEWS = {
    "overview": "api/overview",
    "coverage": "api/coverage",
    "coverage of 28 days": "api/coverage?days=28",
    "coverage, searched": "api/coverage?search=nel+77",
    "coverage, of an organization": "api/coverage?organization=org-1",
    **{
        f"coverage, {state}": f"api/coverage?state={state}"
        for state in ("stored", "failed", "running", "missing")
    },
    "progress": f"api/progress?moment={DAY}T00:00:00Z&since=2000-01-01T00:00:00Z",
    "needs attention": "api/attention",
    "trends of 28 days": "api/trends?organization=org-1&provider=facebook",
    "providers side by side": "api/side-by-side?organization=org-1",
}


#: The click that opens each view from another one.
FROM = {"coverage": "trends", "attention": "coverage", "trends": "coverage"}


def populate(postgres: EmbeddedPostgres) -> None:
    """Make and fill the database, and set the server's connection to it."""
    postgres.create_database("viewing")
    with psycopg.connect(postgres.dsn("viewing"), autocommit=True) as connection:
        analytics = Database("analytics_db", connection)
        migrate(analytics)
        for months in range(3):
            ensure_month(analytics, DAY - timedelta(days=28 * months))
        parameters = {
            "organizations": ORGANIZATIONS,
            "channels": CHANNELS,
            "first": DAY - timedelta(days=DAYS - 1),
            "day": DAY,
            "metrics": list(DAILY_METRICS),
            "content_metrics": list(CONTENT_METRICS),
        }
        for statement in (_INTEGRATIONS, _JOBS, _METRICS, _CONTENT, _SNAPSHOTS):
            connection.execute(statement, parameters)
        connection.execute("VACUUM ANALYZE")
        for days in range(60):
            aggregate_day(analytics, DAY - timedelta(days=days))
    os.environ["AIRFLOW_CONN_ANALYTICS_DB"] = postgres.airflow_connection("viewing")
    app.dependency_overrides[may_look] = lambda: None


def answers() -> Iterator[Result]:
    """Ask the server for each view, often enough for a median."""
    ask = TestClient(app)
    for name, path in VIEWS.items():
        answer = ask.get(f"/{path}")
        assert answer.status_code == 200, answer.text
        spent = statistics.median(seconds(lambda path=path: ask.get(f"/{path}")) for _ in range(ROUNDS))
        yield Result(
            f"the health page, {name}: {CHANNELS:,} channels and {DAYS} days",
            f"{spent * 1000:.0f} ms, {len(answer.content) / 1024:.0f} KiB",
            target="under 300 ms",
        )


def drawings() -> Iterator[Result]:
    """Open each view in a browser: from the navigation, or the click on its tab, until it is painted."""
    with served() as url, chromium() as browser:

        def painted(page: Page, view: str) -> None:
            page.locator(f"#{view}[aria-busy=false]").wait_for(timeout=60_000)
            page.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")

        def navigated(view: str) -> float:
            with browser.new_context() as context:
                page = context.new_page()
                return seconds(lambda: (page.goto(f"{url}#{view}"), painted(page, view)))

        def clicked(view: str) -> float:
            with browser.new_context() as context:
                page = context.new_page()
                page.goto(f"{url}#{FROM[view]}")
                painted(page, FROM[view])
                return seconds(lambda: (page.locator(f"#tab-{view}").click(), painted(page, view)))

        for view in FROM:
            for how, measure in (("navigation", navigated), ("click", clicked)):
                spent = statistics.median([measure(view) for _ in range(DRAWINGS + 1)][1:])
                yield Result(
                    f"the health page, {view} drawn in Chromium after a {how}: {CHANNELS:,} channels",
                    f"{spent * 1000:.0f} ms",
                    target="under 1 s",
                )


def results(postgres: EmbeddedPostgres) -> Iterator[Result]:
    """Measure the server's answers, then the three views in a browser."""
    populate(postgres)
    yield from answers()
    yield from drawings()
