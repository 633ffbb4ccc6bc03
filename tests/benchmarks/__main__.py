"""`make bench`: what things cost, each compared with a floor or a peer measured in the same run."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Iterator, Sequence

import structlog

from include.sandbox.postgres import embedded_postgres
from tests.benchmarks import (
    aggregating,
    ingesting,
    listing,
    mixed,
    orchestrating,
    parsing,
    providers,
    querying,
    viewing,
    writing,
)
from tests.benchmarks.report import Result, table

#: The shortest first.
BENCHMARKS = {
    module.__name__.rsplit(".", 1)[1]: module.results
    for module in (
        parsing,
        providers,
        listing,
        writing,
        ingesting,
        aggregating,
        querying,
        viewing,
        mixed,
        orchestrating,
    )
}


def results(names: Sequence[str]) -> Iterator[Result]:
    """Run some of the benchmarks, on a Postgres of their own."""
    with embedded_postgres() as postgres:
        for name in names:
            yield from BENCHMARKS[name](postgres)


def main() -> None:
    """Print each result at once, and the table at the end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="name", help=f"of {', '.join(BENCHMARKS)}; all by default"
    )
    names = parser.parse_args().names or list(BENCHMARKS)
    if unknown := set(names) - set(BENCHMARKS):
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    found = []
    for result in results(names):
        found.append(result)
        print(f"{result.what}: {result.ours}", file=sys.stderr, flush=True)
    print(table(found))


if __name__ == "__main__":
    main()
