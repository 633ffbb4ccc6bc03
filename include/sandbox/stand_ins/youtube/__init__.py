"""YouTube: a stand-in for Google's APIs, all on one host."""

from __future__ import annotations

from include.sandbox.stand_ins.base import StandIn

#: The client that the stand-in's refresh tokens belong to. Everybody knows it: it guards only made-up data.
CLIENT_ID = "1234567890-demo.apps.googleusercontent.example"
CLIENT_SECRET = "GOCSPX-made-up-secret"

STAND_IN = StandIn(
    provider="youtube",
    demo="include.sandbox.stand_ins.youtube.demo:demo",
    connections=lambda url: {
        "google_api": {
            "conn_type": "http",
            "host": url,
            "login": CLIENT_ID,
            "password": CLIENT_SECRET,
            "extra": {"allow_http": True},
        }
    },
)
