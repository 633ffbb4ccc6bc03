"""Parsing the DAG file, compared with an empty DAG. Airflow parses it often, and once for each task."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from include.sandbox.local_airflow import PROJECT
from include.sandbox.postgres import EmbeddedPostgres
from tests.benchmarks.report import Result, medians

EMPTY_DAG = """
from datetime import datetime
from airflow.sdk import DAG, task
with DAG("empty", start_date=datetime(2026, 1, 1), schedule=None):
    @task
    def nothing(): pass
    nothing()
"""
# Airflow is already imported when it parses a DAG file.
PARSE = """
import runpy, sys, time, airflow.sdk
started = time.perf_counter()
runpy.run_path(sys.argv[1])
print(time.perf_counter() - started)
"""


def results(postgres: EmbeddedPostgres) -> Iterator[Result]:
    """Parse both files, each time in a new process."""
    with tempfile.TemporaryDirectory(prefix="social-analytics-bench-") as name:
        yield from _parse_both(Path(name) / "empty.py")


def _parse_both(empty: Path) -> Iterator[Result]:
    empty.write_text(EMPTY_DAG)

    def parse(path: Path) -> float:
        command = [sys.executable, "-c", PARSE, str(path)]
        return float(subprocess.run(command, cwd=PROJECT, capture_output=True, check=True).stdout)

    ours, floor = medians(
        lambda _: parse(PROJECT / "dags" / "social_analytics_daily.py"), lambda _: parse(empty), 7
    )
    yield Result(
        "parsing the DAG file, compared with an empty DAG's",
        f"{ours * 1000:.0f} ms", f"{floor * 1000:.0f} ms", ours / floor, "at most 1.3",
    )  # fmt: skip
