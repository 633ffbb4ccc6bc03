"""Threads: a stand-in for its Graph API."""

from __future__ import annotations

from include.sandbox.stand_ins.base import StandIn

STAND_IN = StandIn(
    provider="threads",
    demo="include.sandbox.stand_ins.threads.demo:demo",
    connections=lambda url: {
        "threads_graph": {"conn_type": "http", "host": url, "extra": {"allow_http": True}}
    },
)
