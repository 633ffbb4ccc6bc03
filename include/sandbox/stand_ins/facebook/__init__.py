"""Facebook Pages: a stand-in for the Graph API."""

from __future__ import annotations

from include.sandbox.stand_ins.base import StandIn

STAND_IN = StandIn(
    provider="facebook",
    demo="include.sandbox.stand_ins.facebook.demo:demo",
    connections=lambda url: {
        "facebook_graph": {"conn_type": "http", "host": url, "extra": {"allow_http": True}}
    },
)
