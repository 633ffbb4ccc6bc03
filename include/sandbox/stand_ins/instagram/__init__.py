"""Instagram: a stand-in for the Graph API on both of its hosts."""

from __future__ import annotations

from include.sandbox.stand_ins.base import StandIn

#: The path below which the stand-in is Instagram's own host. Elsewhere it is Facebook's.
INSTAGRAM_HOST = "graph.instagram.com"

STAND_IN = StandIn(
    provider="instagram",
    demo="include.sandbox.stand_ins.instagram.demo:demo",
    connections=lambda url: {
        "facebook_graph": {"conn_type": "http", "host": url, "extra": {"allow_http": True}},
        "instagram_graph": {
            "conn_type": "http",
            "host": f"{url}/{INSTAGRAM_HOST}",
            "extra": {"allow_http": True},
        },
    },
)
