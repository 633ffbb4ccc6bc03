"""What a channel's day costs at each provider: calls, bytes, and processor time without Airflow."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from itertools import cycle, islice
from unittest import mock

import psycopg
from psycopg import sql

from include.sandbox.demo import demos
from include.sandbox.local_airflow import PROJECT
from include.sandbox.postgres import EmbeddedPostgres
from include.sandbox.postiz_db import create_tables, populate_many
from include.sandbox.stand_ins.base import Demo
from include.social_analytics.connectors import names_by_identifier, providers
from include.social_analytics.databases import Database
from include.social_analytics.http import client
from include.social_analytics.ingest import Ingester
from include.social_analytics.jobs import IngestJob
from include.social_analytics.postiz import active_integrations
from include.social_analytics.settings import Settings
from include.social_analytics.warehouse import ledger
from include.social_analytics.warehouse.migrate import migrate
from tests.benchmarks.ingesting import CountingSession
from tests.benchmarks.report import Result
from tests.support.bench import DAY

CHANNELS = 100

SERVE = """
import sys
from include.sandbox.demo import serve
from tests.benchmarks.providers import healthy_demos
import json

with serve(healthy_demos(float(sys.argv[1]))) as running:
    print(json.dumps(dict(running.environment)), flush=True)
    sys.stdin.read()
"""


def healthy_demos(latency: float = 0) -> Mapping[str, Demo]:
    """The demo of every provider, without its faults.

    :param latency: the least seconds that each answer takes.
    """
    made = demos()
    for demo in made.values():
        demo.api.latency = latency
        for account in demo.accounts:
            demo.api.faults.clear(account.id)
    return made


@contextmanager
def serving(latency: float) -> Iterator[Mapping[str, str]]:
    """Serve the healthy demos from a process of their own; yields the connections to them."""
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE, str(latency)],
        cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        yield json.loads(process.stdout.readline())
    finally:
        process.terminate()
        process.wait()


def connect(postiz: psycopg.Connection, channels: int, demos: Collection[Demo]) -> None:
    """Make a Postiz with this many channels of the demos' accounts, of one demo after the other.

    The accounts repeat: Postiz takes an account once for each organization.
    """
    create_tables(postiz)
    # Without those that Postiz has left without a refresh token.
    healthy = [
        [account for account in demo.accounts if account.columns.get("refreshToken") != ""] for demo in demos
    ]
    of_each = cycle([cycle(accounts) for accounts in healthy])
    different = min(map(len, healthy))
    populate_many(postiz, (next(accounts) for accounts in islice(of_each, channels)), different)
    for account in (account for accounts in healthy for account in accounts):
        for column, value in account.columns.items():
            postiz.execute(
                sql.SQL('UPDATE "Integration" SET {} = %s WHERE "internalId" = %s').format(
                    sql.Identifier(column)
                ),
                [value, account.id],
            )


def results(postgres: EmbeddedPostgres) -> Iterator[Result]:
    """Ingest one batch of ``CHANNELS`` channels of each provider, on the first day that they are read."""
    with serving(latency=0) as environment:
        for name, demo in demos().items():
            yield _measured(postgres, name, demo, environment)


def _measured(postgres: EmbeddedPostgres, name: str, demo: Demo, environment: Mapping[str, str]) -> Result:
    names = [f"providers_{name}_{kind}" for kind in ("postiz", "analytics")]
    for one in names:
        postgres.create_database(one)
    received: list[tuple[int, int]] = []
    with (
        psycopg.connect(postgres.dsn(names[0]), autocommit=True) as postiz,
        psycopg.connect(postgres.dsn(names[1]), autocommit=True) as analytics,
        mock.patch.dict(os.environ, environment),
        mock.patch.object(client, "ApiSession", CountingSession),
        mock.patch.object(CountingSession, "received", received),
    ):
        migrate(Database("analytics_db", analytics))
        connect(postiz, CHANNELS, [demo])
        databases = Database("postiz_db", postiz), Database("analytics_db", analytics)
        [channels] = active_integrations(databases[0], names_by_identifier())
        jobs = [IngestJob(one, DAY, is_backfill=False) for one in channels]
        connector = providers()[name].connect(Settings())
        ingester = Ingester(*databases, lambda _: connector, lambda _: None, Settings())
        claim = ledger.Claim("run", 1)
        ledger.claim(databases[1], jobs, claim, force=True)
        processor = time.process_time()
        ingester.ingest(jobs, claim)
        processor = time.process_time() - processor
        [calls] = analytics.execute("SELECT avg(http_calls) FROM analytics.ingest_job").fetchone()
    wire, unpacked = (sum(sizes) / CHANNELS / 1024 for sizes in zip(*received, strict=True))
    return Result(
        f"a channel's first day at {providers()[name].title}: calls, bytes received, processor time",
        f"{calls:.1f} calls, {wire:.1f} KiB, {processor / CHANNELS * 1000:.0f} ms",
        f"{unpacked:.1f} KiB unpacked",
    )
