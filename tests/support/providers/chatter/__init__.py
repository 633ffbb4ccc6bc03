"""Chatter, a network that does not exist: proof that a provider needs no line outside its own package.

It differs from Facebook wherever a provider can differ: its day is in UTC, its error codes are words, its
token has two parts, it has followers only as of now, it has neither views nor a count of posts, and it
requires its connection.
"""

from __future__ import annotations

from zoneinfo import ZoneInfo

from include.social_analytics.connectors.base import Provider
from include.social_analytics.errors import ErrorCode


def key_and_secret(token: str) -> tuple[str, ...]:
    """The parts of ``key:secret``."""
    return tuple(token.split(":", 1))


PROVIDER = Provider(
    name="chatter",
    title="Chatter",
    identifiers=("chatter", "chatter-business"),
    account="room",
    timezone=ZoneInfo("UTC"),
    final_after_days=3,
    history_days=30,
    metrics={"reach": "people", "engagements": "interactions", "followers": "members"},
    content_metrics={"reactions": "cheers", "comments": "replies"},
    connections=("chatter_api",),
    required_connection="chatter_api",
    connector="include.social_analytics.connectors.chatter.connector:connect",
    advice={ErrorCode.TOKEN_INVALID: "Make a new key in Chatter, and enter it in Postiz."},
    secrets=key_and_secret,
    access="Until the room's owner makes a new key.",
    quota="1,000 calls an hour for each room.",
    calls="3",
)
