"""Peak memory of a process that lists 100,000 channels, compared with one that lists 100."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg

from include.sandbox.postgres import EmbeddedPostgres
from include.sandbox.postiz_db import create_tables, populate_many
from include.sandbox.stand_ins.facebook.world import make_page
from include.social_analytics.databases import Database
from include.social_analytics.warehouse.migrate import migrate
from tests.benchmarks.report import Result, peak_memory

FEW, MANY = 100, 100_000

# As the JSON that Airflow sends to its supervisor.
LIST = """
import json, sys
import psycopg
from include.social_analytics.databases import Database
from include.social_analytics.listing import list_active
from include.social_analytics.runs import Run
from include.social_analytics.settings import Settings
from tests.support.bench import DAY
from airflow.sdk.bases.xcom import BaseXCom

run = Run("run", DAY, False, None, None)
with psycopg.connect(sys.argv[1], autocommit=True) as postiz:
    with psycopg.connect(sys.argv[2], autocommit=True) as analytics:
        databases = Database("postiz_db", postiz), Database("analytics_db", analytics)
        listing = list_active(*databases, run, Settings())
sent = json.dumps(BaseXCom.serialize_value(listing.batches)).encode()
"""


def results(postgres: EmbeddedPostgres) -> Iterator[Result]:
    """List a small and a large Postiz, each in its own process."""
    peaks = {}
    for channels in (FEW, MANY):
        names = [f"listing_{kind}_{channels}" for kind in ("postiz", "analytics")]
        for name in names:
            postgres.create_database(name)
        postiz, analytics = (postgres.dsn(name) for name in names)
        with psycopg.connect(postiz, autocommit=True) as connection:
            create_tables(connection)
            populate_many(connection, (make_page(number) for number in range(1, channels + 1)))
        with psycopg.connect(analytics, autocommit=True) as connection:
            migrate(Database("analytics_db", connection))
        peaks[channels] = peak_memory(LIST, postiz, analytics)
    above = peaks[MANY] - peaks[FEW]
    yield Result(
        f"peak memory of listing {MANY:,} channels, above listing {FEW}",
        f"{above:.0f} MiB", f"{peaks[FEW]:.0f} MiB", target="at most 40 MiB",
    )  # fmt: skip
