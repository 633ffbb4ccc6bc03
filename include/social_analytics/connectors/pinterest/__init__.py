"""Pinterest, through its API v5.

Facts: https://developers.pinterest.com/docs/api/v5/ and https://github.com/pinterest/api-description.
"""

from __future__ import annotations

from zoneinfo import ZoneInfo

from include.social_analytics.connectors.base import Provider
from include.social_analytics.errors import ErrorCode

#: Airflow's connection: host.
PINTEREST_API = "pinterest_api"

PROVIDER = Provider(
    name="pinterest",
    title="Pinterest",
    identifiers=("pinterest",),
    account="account",
    # "Metrics date (UTC)".
    timezone=ZoneInfo("UTC"),
    final_after_days=7,
    # The API refuses a day more than 90 days back. A run for the latest due day may begin two days after it.
    history_days=89,
    metrics={
        "views": "IMPRESSION",
        "engagements": "ENGAGEMENT",
        "followers": "follower_count",
        # Counted from the listing of pins, by the day of this field.
        "posts_published": "created_at",
        "saves": "SAVE",
        "clicks": "PIN_CLICK",
        "outbound_clicks": "OUTBOUND_CLICK",
    },
    content_metrics={
        "views": "impression",
        "clicks": "pin_click",
        "reactions": "reaction",
        "comments": "comment",
        "saves": "save",
    },
    connections=(PINTEREST_API,),
    connector="include.social_analytics.connectors.pinterest.connector:connect",
    access="30 days. Postiz renews it when the channel is used.",
    quota=(
        "An app with Trial access has 1,000 calls a day for all accounts. "
        "With Standard access each account has its own, by the second and the minute."
    ),
    calls="2, and 1 for each 250 pins back to four weeks before the day.",
    advice={
        ErrorCode.TOKEN_INVALID: (
            "Open the channel's analytics in Postiz, which renews the token. If the channel still fails the "
            "next day, reconnect it. A token lives 30 days. Postiz renews it when the channel is used."
        ),
        ErrorCode.PERMISSION_MISSING: (
            "Pinterest has figures only of business accounts: switch the account to a business account in "
            "its settings at Pinterest. If it is one, reconnect the channel in Postiz, and grant all "
            "permissions."
        ),
        ErrorCode.CONFIG_INVALID: (
            "Correct the connection that the reason names, or ask Pinterest to approve the app that Postiz "
            "uses, then clear the task."
        ),
        ErrorCode.RATE_LIMITED: (
            "Pinterest allows an app with Trial access 1,000 calls a day: ask Pinterest for Standard access. "
            "The look-back of the next days reads the day."
        ),
    },
)
