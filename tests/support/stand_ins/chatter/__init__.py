"""A stand-in for the API of Chatter, a network that does not exist."""

from __future__ import annotations

from include.sandbox.stand_ins.base import StandIn

STAND_IN = StandIn(
    provider="chatter",
    demo="include.sandbox.stand_ins.chatter.api:demo",
    connections=lambda url: {
        "chatter_api": {"conn_type": "http", "host": url, "extra": {"allow_http": True}}
    },
)
