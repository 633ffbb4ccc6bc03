"""LinkedIn: a stand-in for its Community Management API."""

from __future__ import annotations

from include.sandbox.stand_ins.base import StandIn

STAND_IN = StandIn(
    provider="linkedin-page",
    demo="include.sandbox.stand_ins.linkedin_page.demo:demo",
    connections=lambda url: {
        "linkedin_api": {"conn_type": "http", "host": url, "extra": {"allow_http": True}}
    },
)
