"""`make bench`: what things cost, each beside a floor or a peer measured in the same run."""

from __future__ import annotations

import logging
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import structlog

from include.sandbox.postgres import embedded_postgres
from tests.benchmarks import aggregating, ingesting, parsing, writing
from tests.benchmarks.report import Result, table


def results() -> Iterator[Result]:
    """Run all benchmarks, the short ones first."""
    with tempfile.TemporaryDirectory(prefix="social-analytics-bench-") as directory:
        yield from parsing.results(Path(directory))
    with embedded_postgres() as postgres:
        for benchmark in (writing, ingesting, aggregating):
            yield from benchmark.results(postgres)


def main() -> None:
    """Print each result as it is known, and the table at the end."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    found = []
    for result in results():
        found.append(result)
        print(f"{result.what}: {result.ours}", file=sys.stderr, flush=True)
    print(table(found))


if __name__ == "__main__":
    main()
