"""A whole run over channels of all providers, under LocalExecutor."""

from __future__ import annotations

from collections.abc import Iterator

from include.sandbox.demo import demos
from include.sandbox.postgres import EmbeddedPostgres
from include.social_analytics.connectors import providers
from tests.benchmarks.orchestrating import LATENCY_MS, local
from tests.benchmarks.providers import connect, serving
from tests.benchmarks.report import Result

CHANNELS = 10_000


def results(postgres: EmbeddedPostgres) -> Iterator[Result]:
    """Time one run."""
    with (
        serving(LATENCY_MS / 1000) as connections,
        local(postgres, connections, lambda postiz: connect(postiz, CHANNELS, demos().values())) as rig,
    ):
        seconds = rig.ours(CHANNELS)
    yield Result(
        f"a run of {CHANNELS:,} channels mixed of {len(providers())} providers under LocalExecutor, "
        f"the APIs answering after {LATENCY_MS} ms",
        f"{seconds:.0f} s, {CHANNELS / seconds:.0f} channels a second",
    )
