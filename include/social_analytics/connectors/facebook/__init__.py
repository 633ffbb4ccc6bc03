"""Facebook Pages, through the Graph API.

Metrics: https://developers.facebook.com/docs/graph-api/reference/page/insights.
"""

from __future__ import annotations

from zoneinfo import ZoneInfo

from include.social_analytics.connectors.base import Provider
from include.social_analytics.errors import ErrorCode

#: Airflow's connection: host, app secret, API version.
FACEBOOK_GRAPH = "facebook_graph"

PROVIDER = Provider(
    name="facebook",
    title="Facebook",
    identifiers=("facebook",),
    two_step_identifiers=("facebook",),
    account="page",
    # Meta computes the daily figures of every page for the calendar day in this zone.
    timezone=ZoneInfo("America/Los_Angeles"),
    final_after_days=2,
    history_days=90,
    metrics={
        "views": "page_media_view",
        "reach": "page_total_media_view_unique",
        "engagements": "page_post_engagements",
        "follows": "page_daily_follows",
        "unfollows": "page_daily_unfollows_unique",
        "followers": "page_follows",
        "page_views": "page_views_total",
        # Counted from the listing of posts, by the day of this field.
        "posts_published": "created_time",
    },
    content_metrics={
        "views": "post_media_view",
        "reach": "post_total_media_view_unique",
        "clicks": "post_clicks",
        "reactions": "post_reactions_by_type_total",
        "comments": "comments",
        "shares": "shares",
    },
    connections=(FACEBOOK_GRAPH,),
    connector="include.social_analytics.connectors.facebook.connector:connect",
    access="Until the owner's password or role changes.",
    quota="Each page has its own: 4,800 calls in 24 hours for each engaged user.",
    calls="2",
    advice={
        ErrorCode.PERMISSION_MISSING: (
            "Reconnect the channel in Postiz as someone who manages the page, "
            "and grant the permission that the reason names. Postiz's own app at Meta must have it, too."
        ),
        ErrorCode.OBJECT_NOT_FOUND: (
            "The page is gone (deleted, unpublished or merged), or the token may no longer read it, "
            "or no page was chosen in Postiz: connect the page again in Postiz as someone who manages it, "
            "or disable the channel."
        ),
    },
)
