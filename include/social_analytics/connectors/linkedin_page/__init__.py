"""LinkedIn Pages, through the Community Management API.

Metrics: https://learn.microsoft.com/linkedin/marketing/community-management/organizations/share-statistics.
"""

from __future__ import annotations

from zoneinfo import ZoneInfo

from include.social_analytics.connectors.base import Provider
from include.social_analytics.errors import ErrorCode

#: Airflow's connection: host, API version.
LINKEDIN_API = "linkedin_api"

PROVIDER = Provider(
    name="linkedin-page",
    title="LinkedIn",
    identifiers=("linkedin-page",),
    two_step_identifiers=("linkedin-page",),
    account="page",
    timezone=ZoneInfo("UTC"),
    final_after_days=2,
    history_days=90,
    # "a+b" is derived: the sum of the API's metrics a and b.
    metrics={
        "views": "impressionCount",
        "reach": "uniqueImpressionsCount",
        "engagements": "clickCount+likeCount+commentCount+shareCount",
        "net_follows": "organicFollowerGain+paidFollowerGain",
        "followers": "firstDegreeSize",
        "page_views": "allPageViews.pageViews",
        # Counted from the listing of posts, by the day of this field.
        "posts_published": "publishedAt",
        "reactions": "likeCount",
        "comments": "commentCount",
        "shares": "shareCount",
        "clicks": "clickCount",
    },
    content_metrics={
        "views": "impressionCount",
        "reach": "uniqueImpressionsCount",
        "clicks": "clickCount",
        "reactions": "likeCount",
        "comments": "commentCount",
        "shares": "shareCount",
    },
    connections=(LINKEDIN_API,),
    connector="include.social_analytics.connectors.linkedin_page.connector:connect",
    access="60 days. Few apps may renew it.",
    quota=(
        "The app and each member have one for a day, until midnight UTC. "
        "Only LinkedIn's developer portal shows how many calls."
    ),
    calls="Up to 8.",
    advice={
        ErrorCode.TOKEN_INVALID: (
            "Reconnect the channel in Postiz. LinkedIn's tokens live 60 days, and few apps may renew them."
        ),
        ErrorCode.PERMISSION_MISSING: (
            "Reconnect the channel in Postiz as a super admin of the page: LinkedIn shows its statistics to "
            "no other role, not even to content admins. If all channels fail so, Postiz's own app at "
            "LinkedIn lacks the product Community Management API."
        ),
        ErrorCode.OBJECT_NOT_FOUND: (
            "The page is gone or deactivated, or no page was chosen in Postiz: "
            "connect the page again in Postiz, or disable the channel."
        ),
        ErrorCode.CONFIG_INVALID: (
            "Correct what the reason names, then clear the task. If the version is not active any more: set "
            "api_version in the extra of the Airflow connection linkedin_api to a newer one."
        ),
        ErrorCode.RATE_LIMITED: (
            "The day's quota at LinkedIn was used up. It is back at midnight UTC, and the look-back of the "
            "next days reads the day. If it recurs, ask LinkedIn for the app's standard tier."
        ),
    },
)
