"""Ingesting a batch without Airflow: channels a second, processor time, calls, bytes and memory."""

from __future__ import annotations

import gzip
import io
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import psycopg
import requests
import urllib3

from include.sandbox.local_airflow import PROJECT
from include.sandbox.postgres import EmbeddedPostgres
from include.sandbox.postiz_db import create_tables, insert_integration, insert_organization
from include.sandbox.stand_ins.facebook.world import make_page
from include.social_analytics.batches import SMALLEST_BATCH
from include.social_analytics.connectors.facebook.connector import connect_to
from include.social_analytics.cooldown import LocalCooldown
from include.social_analytics.databases import Database
from include.social_analytics.graph_api import GraphConnection
from include.social_analytics.http import client
from include.social_analytics.http.transport import ApiSession
from include.social_analytics.ingest import Ingester
from include.social_analytics.jobs import IngestJob, Integration
from include.social_analytics.settings import Settings
from include.social_analytics.warehouse import ledger
from include.social_analytics.warehouse.migrate import migrate
from tests.benchmarks.report import Result, peak_memory
from tests.support.bench import DAY

PAGES = 200
LATENCY_MS = 100

#: With a window of this many days, each channel has some 100 posts.
WINDOW_OF_100_POSTS = 67

INGEST = """
import sys
from include.social_analytics.settings import Settings
from tests.benchmarks.ingesting import WINDOW_OF_100_POSTS, ingest

ingest(*sys.argv[1:4], int(sys.argv[4]), Settings(post_window_days=WINDOW_OF_100_POSTS))
"""


@contextmanager
def sandbox(pages: int, latency_ms: float) -> Iterator[str]:
    """Run the stand-in for the Graph API in its own process; yields its URL."""
    command = ["--port", "0", "--pages", str(pages), "--latency-ms", str(latency_ms)]
    process = subprocess.Popen(
        [sys.executable, "-m", "include.sandbox.stand_ins.facebook.graph_api", *command],
        cwd=PROJECT, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        [url] = re.findall(r"http\S+", process.stdout.readline())
        yield url
    finally:
        process.terminate()
        process.wait()


def databases(postgres: EmbeddedPostgres, name: str, channels: int) -> tuple[str, str]:
    """Make a Postiz with this many channels, and an analytics database; returns their connection strings."""
    names = [f"{name}_{kind}" for kind in ("postiz", "analytics")]
    for one in names:
        postgres.create_database(one)
    postiz, analytics = (postgres.dsn(one) for one in names)
    with psycopg.connect(postiz, autocommit=True) as connection:
        create_tables(connection)
        insert_organization(connection, "o")
        for number in range(1, channels + 1):
            page = make_page(number)
            insert_integration(connection, page.id, "o", page)
    with psycopg.connect(analytics, autocommit=True) as connection:
        migrate(Database("analytics_db", connection))
    return postiz, analytics


def ingest(postiz_dsn: str, analytics_dsn: str, url: str, channels: int, settings: Settings) -> None:
    """Ingest the first ``channels`` pages in one batch, as a task does."""
    pages = [make_page(number) for number in range(1, channels + 1)]
    jobs = [IngestJob(Integration(page.id, page.name, "o", "facebook"), DAY, False) for page in pages]
    connector = connect_to(GraphConnection(url, "v25.0", LocalCooldown()), settings)
    with (
        psycopg.connect(postiz_dsn, autocommit=True) as postiz,
        psycopg.connect(analytics_dsn, autocommit=True) as analytics,
    ):
        databases = Database("postiz_db", postiz), Database("analytics_db", analytics)
        ingester = Ingester(*databases, lambda _: connector, lambda _: None, settings)
        claim = ledger.Claim("run", 1)
        ledger.claim(databases[1], jobs, claim, force=True)
        ingester.ingest(jobs, claim)


class CountingSession(ApiSession):
    """Records the size of each answer's body: on the wire, and unpacked."""

    received: list[tuple[int, int]] = []  # noqa: RUF012 - all threads' sessions fill it

    def send(self, *args: Any, **kwargs: Any) -> requests.Response:
        """Send a request and read its whole answer."""
        response = super().send(*args, **kwargs)
        wire = response.raw.read(decode_content=False)
        zipped = response.headers.get("Content-Encoding") == "gzip"
        self.received.append((len(wire), len(gzip.decompress(wire) if zipped else wire)))
        response.raw = urllib3.HTTPResponse(io.BytesIO(wire), preload_content=False)
        return response


def results(postgres: EmbeddedPostgres) -> Iterator[Result]:
    """Ingest one batch of ``PAGES`` channels from a sandbox in its own process; then measure memory."""
    postiz, analytics = databases(postgres, "ingesting", PAGES)
    with (
        sandbox(PAGES, LATENCY_MS) as url,
        mock.patch.object(client, "ApiSession", CountingSession),
    ):
        wall, processor = time.perf_counter(), time.process_time()
        ingest(postiz, analytics, url, PAGES, Settings())
        wall, processor = time.perf_counter() - wall, time.process_time() - processor
        calls = requests.get(f"{url}/sandbox/calls", timeout=30).json()
    waiting = PAGES * 2 * LATENCY_MS / 1000
    yield Result(
        f"ingesting {PAGES} channels in one task, the API answering after {LATENCY_MS} ms",
        f"{wall:.1f} s, {PAGES / wall:.0f} a second, {processor / PAGES * 1000:.0f} ms of processor each",
        f"{waiting:.0f} s one after the other", wall / waiting,
    )  # fmt: skip
    yield Result("calls for a channel's day", f"{len(calls) / PAGES:.2f}", target="2")
    wire, unpacked = (sum(sizes) / PAGES / 1024 for sizes in zip(*CountingSession.received, strict=True))
    yield Result(
        "bytes received for a channel's day, compared with the same unpacked",
        f"{wire:.1f} KiB", f"{unpacked:.1f} KiB", wire / unpacked,
    )  # fmt: skip

    peaks = {}
    with sandbox(SMALLEST_BATCH, 0) as url:
        for channels in (1, SMALLEST_BATCH):
            reached = databases(postgres, f"ingesting_{channels}", channels)
            peaks[channels] = peak_memory(INGEST, *reached, url, str(channels))
    yield Result(
        f"peak memory of ingesting {SMALLEST_BATCH} channels of 100 posts in one task, above ingesting 1",
        f"{peaks[SMALLEST_BATCH] - peaks[1]:.0f} MiB", f"{peaks[1]:.0f} MiB",
    )  # fmt: skip
