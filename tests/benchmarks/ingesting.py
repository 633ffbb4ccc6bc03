"""Ingesting a batch without Airflow: channels a second, processor time, calls and bytes."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import requests

from include.sandbox.local_airflow import PROJECT
from include.sandbox.postgres import EmbeddedPostgres
from include.sandbox.postiz_db import create_tables, insert_integration, insert_organization
from include.sandbox.world import make_page
from include.social_analytics.connectors import open_connector
from include.social_analytics.graph_api import GraphConnection
from include.social_analytics.graph_api.cooldown import LocalCooldown
from include.social_analytics.ingest import Ingester
from include.social_analytics.jobs import IngestJob, Integration
from include.social_analytics.settings import Settings
from include.social_analytics.warehouse.migrate import migrate
from tests.benchmarks.report import Result
from tests.integration.conftest import DAY

PAGES = 200
LATENCY_MS = 100


@contextmanager
def sandbox(pages: int, latency_ms: float) -> Iterator[str]:
    """The stand-in for the Graph API in a process of its own; its URL."""
    command = ["--port", "0", "--pages", str(pages), "--latency-ms", str(latency_ms)]
    process = subprocess.Popen(
        [sys.executable, "-m", "include.sandbox.graph_api", *command],
        cwd=PROJECT, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        [url] = re.findall(r"http\S+", process.stdout.readline())
        yield url
    finally:
        process.terminate()
        process.wait()


def results(postgres: EmbeddedPostgres) -> Iterator[Result]:
    """Ingest one batch of ``PAGES`` channels from a sandbox in a process of its own."""
    settings = Settings()
    for name in ("ingesting_postiz", "ingesting_analytics"):
        postgres.create_database(name)
    with sandbox(PAGES, LATENCY_MS) as url:
        with (
            psycopg.connect(postgres.dsn("ingesting_postiz"), autocommit=True) as postiz,
            psycopg.connect(postgres.dsn("ingesting_analytics"), autocommit=True) as analytics,
        ):
            migrate(analytics)
            create_tables(postiz)
            insert_organization(postiz, "o")
            pages = [make_page(number) for number in range(1, PAGES + 1)]
            for page in pages:
                insert_integration(postiz, page.id, "o", page)
            jobs = [IngestJob(Integration(page.id, page.name, "o", "facebook"), DAY, False) for page in pages]
            connector = open_connector(
                "facebook", settings=settings, graph=GraphConnection(url, "v25.0", LocalCooldown())
            )
            ingester = Ingester(postiz, analytics, lambda _: connector, lambda _: None, settings)
            wall, processor = time.perf_counter(), time.process_time()
            ingester.ingest(jobs, "run", redo_all=True)
            wall, processor = time.perf_counter() - wall, time.process_time() - processor
        calls = requests.get(f"{url}/sandbox/calls", timeout=30).json()
    waiting = PAGES * 2 * LATENCY_MS / 1000
    yield Result(
        f"ingesting {PAGES} channels in one task, the API answering after {LATENCY_MS} ms",
        f"{wall:.1f} s, {PAGES / wall:.0f} a second, {processor / PAGES * 1000:.0f} ms of processor each",
        f"{waiting:.0f} s one after the other", wall / waiting,
    )  # fmt: skip
    yield Result("calls for a channel's day", f"{len(calls) / PAGES:.2f}", target="2")
