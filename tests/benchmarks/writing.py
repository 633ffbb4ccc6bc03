"""Writing a channel's day, compared with a bare COPY and merge; and writing it among years of snapshots."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache

import psycopg
from psycopg.types.json import Jsonb

from include.sandbox.postgres import EmbeddedPostgres
from include.social_analytics.connectors import providers
from include.social_analytics.connectors.reading import Content, DayStatus, Reading, Window
from include.social_analytics.databases import Database
from include.social_analytics.jobs import IngestJob, Integration
from include.social_analytics.warehouse import ledger, writer
from include.social_analytics.warehouse.migrate import migrate
from include.social_analytics.warehouse.snapshots import ensure_month
from tests.benchmarks.report import Result, medians, seconds
from tests.support.readings import DAY

PAGES = 60
POSTS = 60
POST_METRICS = ("views", "reach", "clicks", "reactions", "comments", "shares")
PROVIDER = providers()["facebook"]
WINDOW = Window(DAY, 3, 28)
ROWS = PAGES * (len(PROVIDER.metrics) + POSTS * (1 + len(POST_METRICS)))

#: Each table, its key, and the columns that a merge overwrites.
TABLES = {
    "integration_metric_daily": ("integration_id, metric, date", ("value", "observed_at")),
    "content": ("integration_id, content_id", ("message", "updated_at")),
    "content_metric_snapshot": (
        "integration_id, content_id, metric, snapshot_date",
        ("value", "observed_at"),
    ),
}


MONTHS, ROUNDS = 36, 5
# Each post is read twice a month.
_SNAPSHOTS = """
INSERT INTO analytics.content_metric_snapshot
SELECT lot || '-' || page, 'post_' || post, metric, %(month)s + n, 1, now()
FROM generate_series(0, %(lots)s) AS lot, generate_series(0, %(pages)s) AS page,
    generate_series(0, %(posts)s) AS post, unnest(%(metrics)s::text[]) AS metric, generate_series(0, 1) AS n
"""


def reading() -> Reading:
    """A channel's reading: its metrics and ``POSTS`` posts."""
    content = tuple(
        Content(
            f"post_{number}",
            datetime(2026, 11, 18, tzinfo=UTC),
            "photo",
            "What a post says, at its usual length. " * 3,
            "https://example.org/post",
            metrics={name: Decimal(number) for name in POST_METRICS},
        )
        for number in range(POSTS)
    )
    series = {name: {day: Decimal(7) for day in WINDOW.days} for name in PROVIDER.metrics}
    return Reading(WINDOW, dict.fromkeys(WINDOW.days, DayStatus.SUCCEEDED), series, content)


def results(postgres: EmbeddedPostgres) -> Iterator[Result]:
    """Write the same rows both ways, in turns; then among one month of snapshots and among many."""
    answer = reading()
    postgres.create_database("writing")
    with psycopg.connect(postgres.dsn("writing"), autocommit=True) as connection:
        migrate(Database("analytics_db", connection))
        for table in TABLES:
            connection.execute(f"CREATE TABLE bare_{table} (LIKE analytics.{table} INCLUDING ALL)")
            connection.execute(
                f"CREATE TEMP TABLE staged_{table} (LIKE analytics.{table}) ON COMMIT DELETE ROWS"
            )

        def bare(number: int) -> float:
            pages = [rows_of(f"{number}-{page}", answer) for page in range(PAGES)]
            return seconds(lambda: [copy_and_merge(connection, rows) for rows in pages])

        spent, floor = medians(lambda number: store_pages(connection, number, answer), bare, 5)
    yield Result(
        "rows written a second, compared with bare COPY and merge",
        f"{ROWS / spent:,.0f}", f"{ROWS / floor:,.0f}", floor / spent, "at least 0.6",
    )  # fmt: skip

    for months in (1, MONTHS):
        postgres.create_database(f"writing_{months}")
    with (
        psycopg.connect(postgres.dsn("writing_1"), autocommit=True) as young,
        psycopg.connect(postgres.dsn(f"writing_{MONTHS}"), autocommit=True) as old,
    ):
        fill(young, 1)
        fill(old, MONTHS)
        spent, floor = medians(
            lambda number: store_pages(old, number, answer),
            lambda number: store_pages(young, number, answer),
            ROUNDS,
        )
    yield Result(
        f"storing a channel's day among {MONTHS} months of snapshots, compared with among 1",
        f"{spent / PAGES * 1000:.1f} ms", f"{floor / PAGES * 1000:.1f} ms", spent / floor, "at most 1.1",
    )  # fmt: skip


def store_pages(connection: psycopg.Connection, number: int, answer: Reading) -> float:
    """Seconds of storing the ``number``-th lot of ``PAGES`` channels."""
    analytics, claim = Database("analytics_db", connection), ledger.Claim("run", 1)
    spent = 0.0
    for page in range(PAGES):
        job = IngestJob(Integration(f"{number}-{page}", "n", "o", "facebook"), DAY, False)
        ledger.claim(analytics, [job], claim, force=True)
        start = ledger.start(analytics, job, claim)
        spent += seconds(
            lambda start=start: writer.store(analytics, start, answer, http_calls=2, postiz_posts={})
        )
    return spent


def fill(connection: psycopg.Connection, months: int) -> None:
    """Insert snapshots of the current month and the months before it, for every channel."""
    analytics = Database("analytics_db", connection)
    migrate(analytics)
    month = datetime.now(PROVIDER.timezone).date().replace(day=1)
    for _ in range(months):
        ensure_month(analytics, month)
        connection.execute(
            _SNAPSHOTS,
            {
                "lots": ROUNDS,
                "pages": PAGES - 1,
                "posts": POSTS - 1,
                "metrics": list(POST_METRICS),
                "month": month,
            },
        )
        month = (month - timedelta(days=1)).replace(day=1)
    connection.execute("VACUUM ANALYZE")


def rows_of(integration: str, answer: Reading) -> dict[str, list[tuple]]:
    """The day's rows of each table, for COPY."""
    now = datetime.now(UTC)
    return {
        "integration_metric_daily": [
            (integration, metric, DAY, "o", "facebook", Decimal(7), metric, now, "job")
            for metric in PROVIDER.metrics
        ],
        "content": [
            (
                integration, one.content_id, "o", "facebook", one.published_at, one.kind, one.message,
                one.permalink, None, now, now, Jsonb(dict.fromkeys(POST_METRICS, 7)), DAY,
            )
            for one in answer.content
        ],
        "content_metric_snapshot": [
            (integration, one.content_id, name, DAY, value, now)
            for one in answer.content
            for name, value in one.metrics.items()
        ],
    }  # fmt: skip


def copy_and_merge(connection: psycopg.Connection, rows: dict[str, list[tuple]]) -> None:
    """In one transaction: COPY into the staging tables, and merge from there."""
    with connection.transaction(), connection.cursor() as cursor:
        for table, (key, columns) in TABLES.items():
            # The last column of content is computed.
            names = ", ".join(_names(connection, table)[: len(rows[table][0])])
            with cursor.copy(f"COPY staged_{table} ({names}) FROM STDIN") as copy:
                for row in rows[table]:
                    copy.write_row(row)
            changes = ", ".join(f"{column} = excluded.{column}" for column in columns)
            cursor.execute(
                f"INSERT INTO bare_{table} ({names}) SELECT {names} FROM staged_{table}"
                f" ON CONFLICT ({key}) DO UPDATE SET {changes}"
            )


@cache
def _names(connection: psycopg.Connection, table: str) -> list[str]:
    """A table's columns, in their order."""
    return [
        column.name for column in connection.execute(f"SELECT * FROM analytics.{table} LIMIT 0").description
    ]
