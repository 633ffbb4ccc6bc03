"""YouTube channels, through Google's APIs.

Figures by day: https://developers.google.com/youtube/analytics/channel_reports. Videos and followers:
https://developers.google.com/youtube/v3/docs.
"""

from __future__ import annotations

from zoneinfo import ZoneInfo

from include.social_analytics.connectors.base import Provider
from include.social_analytics.errors import ErrorCode

#: Airflow's connection: the client that Postiz connects channels with.
GOOGLE_API = "google_api"

PROVIDER = Provider(
    name="youtube",
    title="YouTube",
    identifiers=("youtube",),
    two_step_identifiers=("youtube",),
    account="channel",
    # https://developers.google.com/youtube/analytics/dimensions: a day is one of the Pacific calendar.
    timezone=ZoneInfo("America/Los_Angeles"),
    final_after_days=4,
    history_days=90,
    # "a+b" is derived: the sum of the API's metrics a and b.
    metrics={
        "views": "views",
        "engagements": "likes+comments+shares",
        "follows": "subscribersGained",
        "unfollows": "subscribersLost",
        "followers": "subscriberCount",
        # Counted from the uploads, by the day of this field.
        "posts_published": "videoPublishedAt",
        "reactions": "likes",
        "comments": "comments",
        "shares": "shares",
        "watch_minutes": "estimatedMinutesWatched",
        "engaged_views": "engagedViews",
    },
    content_metrics={
        "views": "viewCount",
        "reactions": "likeCount",
        "comments": "commentCount",
        "shares": "shares",
    },
    connections=(GOOGLE_API,),
    required_connection=GOOGLE_API,
    # Google does not rotate refresh tokens, and an access token that is fetched here ends none of Postiz's.
    token_address="https://oauth2.googleapis.com/token",  # noqa: S106 - an address
    connector="include.social_analytics.connectors.youtube.connector:connect",
    access="An hour. This package fetches a new one for each task, with Postiz's refresh token.",
    quota=(
        "Postiz's project at Google has 10,000 units a day for all channels, until midnight in Los Angeles. "
        "Reports have a quota of their own."
    ),
    calls="7, and 2 for each further 50 uploads in the window.",
    advice={
        ErrorCode.TOKEN_INVALID: (
            "Delete the channel in Postiz and add it again: reconnecting keeps its refresh token empty. "
            "If channels fail 7 days after they were added, Postiz's app at Google is in testing: publish it."
        ),
        ErrorCode.PERMISSION_MISSING: (
            "Delete the channel in Postiz and add it again, as its owner, and leave every permission "
            "switched on: reconnecting keeps its refresh token empty."
        ),
        ErrorCode.OBJECT_NOT_FOUND: (
            "The channel is gone, or belongs to another account: add it again in Postiz, or disable it there."
        ),
        ErrorCode.RATE_LIMITED: (
            "The quota of Postiz's project at Google was used up. It returns at midnight in Los Angeles, and "
            "the look-back of the next run reads the day. If it recurs, ask Google for more."
        ),
    },
)
