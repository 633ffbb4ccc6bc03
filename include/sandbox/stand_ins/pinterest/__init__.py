"""Pinterest: a stand-in for its API."""

from __future__ import annotations

from include.sandbox.stand_ins.base import StandIn

STAND_IN = StandIn(
    provider="pinterest",
    demo="include.sandbox.stand_ins.pinterest.demo:demo",
    connections=lambda url: {
        "pinterest_api": {"conn_type": "http", "host": url, "extra": {"allow_http": True}}
    },
)
