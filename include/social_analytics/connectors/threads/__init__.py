"""Threads, through its own Graph API.

Metrics: https://developers.facebook.com/docs/threads/insights.
"""

from __future__ import annotations

from zoneinfo import ZoneInfo

from include.social_analytics.connectors.base import Provider
from include.social_analytics.errors import ErrorCode

#: Airflow's connection: host, app secret, API version.
THREADS_GRAPH = "threads_graph"

PROVIDER = Provider(
    name="threads",
    title="Threads",
    identifiers=("threads",),
    account="profile",
    # Meta computes the daily figures of every profile for the calendar day in this zone.
    timezone=ZoneInfo("America/Los_Angeles"),
    final_after_days=2,
    history_days=30,
    # "a+b" is derived: the sum of the API's metrics a and b.
    metrics={
        "views": "views",
        "engagements": "likes+replies+reposts+quotes",
        "followers": "followers_count",
        # Counted from the listing of posts, by the day of this field.
        "posts_published": "timestamp",
        "reactions": "likes",
        "comments": "replies",
        "shares": "reposts+quotes",
        "clicks": "clicks",
    },
    content_metrics={
        "views": "views",
        "reactions": "likes",
        "comments": "replies",
        "shares": "reposts+quotes",
    },
    connections=(THREADS_GRAPH,),
    connector="include.social_analytics.connectors.threads.connector:connect",
    access="60 days. Postiz renews it after 58.",
    quota="Each profile has its own: 4,800 calls in 24 hours for each impression, and at least 48,000.",
    calls="5, and 1 for each post whose totals are due.",
    advice={
        ErrorCode.TOKEN_INVALID: (
            "Reconnect the channel in Postiz. Postiz renews the tokens of Threads itself, every 58 days: "
            "if several channels fail, check that its background jobs run."
        ),
        ErrorCode.PERMISSION_MISSING: (
            "Reconnect the channel in Postiz, and leave every permission switched on, "
            "above all threads_manage_insights. Postiz's own app at Meta must have it, too."
        ),
        ErrorCode.OBJECT_NOT_FOUND: (
            "The profile is gone or deactivated, or the token has expired: "
            "connect the profile again in Postiz, or disable the channel."
        ),
    },
)
