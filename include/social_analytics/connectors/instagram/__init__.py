"""Instagram's professional accounts, through the Graph API.

Metrics: https://developers.facebook.com/docs/instagram-platform/api-reference/instagram-user/insights.
An account is connected with Facebook's login or with Instagram's own. The login decides the host and the
token. Postiz changes the channel's row in place when its owner connects it the other way.
"""

from __future__ import annotations

from zoneinfo import ZoneInfo

from include.social_analytics.connectors.base import Provider
from include.social_analytics.errors import ErrorCode

#: Postiz's ``providerIdentifier`` for an account that is connected with Facebook's login.
FACEBOOK_LOGIN = "instagram"
#: The same for Instagram's own login.
INSTAGRAM_LOGIN = "instagram-standalone"

#: Airflow's connections for the two logins: host, app secret, API version.
FACEBOOK_GRAPH = "facebook_graph"
INSTAGRAM_GRAPH = "instagram_graph"

#: Stands between the page's token and the user's token, for Facebook's login.
SEPARATOR = "___"


def token_parts(token: str) -> tuple[str, ...]:
    """The page's and the user's token; a token of Instagram's login has no such parts."""
    return tuple(token.split(SEPARATOR, 1))


PROVIDER = Provider(
    name="instagram",
    title="Instagram",
    identifiers=(FACEBOOK_LOGIN, INSTAGRAM_LOGIN),
    two_step_identifiers=(FACEBOOK_LOGIN,),
    account="account",
    # Meta computes the daily figures of every account for the calendar day in this zone.
    timezone=ZoneInfo("America/Los_Angeles"),
    final_after_days=2,
    history_days=30,
    metrics={
        "views": "views",
        "reach": "reach",
        "engagements": "total_interactions",
        # One metric of the API, by follow type.
        "follows": "follows_and_unfollows.FOLLOWER",
        "unfollows": "follows_and_unfollows.NON_FOLLOWER",
        "followers": "followers_count",
        "page_views": "profile_views",
        # Counted from the listing of media, by the day of this field.
        "posts_published": "timestamp",
        "reactions": "likes",
        "comments": "comments",
        "shares": "shares",
        "saves": "saves",
    },
    content_metrics={
        "views": "views",
        "reach": "reach",
        "reactions": "like_count",
        "comments": "comments_count",
        "shares": "shares",
        "saves": "saved",
    },
    # They are not in the listing that posts are counted from.
    uncounted_kinds=("story",),
    connections=(FACEBOOK_GRAPH, INSTAGRAM_GRAPH),
    connector="include.social_analytics.connectors.instagram.connector:connect",
    access=(
        "Connected with Facebook's login: until the owner's password or role changes. "
        "With Instagram's own: 60 days; Postiz renews it."
    ),
    quota="Each account has its own: 4,800 calls in 24 hours for each impression.",
    calls="Up to 11, and up to 8 once the earlier days are settled. More for live stories and many posts.",
    advice={
        ErrorCode.TOKEN_INVALID: (
            "Log in to Instagram and confirm what it asks for, then reconnect the channel in Postiz."
        ),
        ErrorCode.PERMISSION_MISSING: (
            "Reconnect the channel in Postiz as someone who manages the account, and grant all that is "
            "asked for. Postiz's own app at Meta must have the permission instagram_manage_insights, or for "
            "Instagram's login instagram_business_manage_insights."
        ),
        ErrorCode.OBJECT_NOT_FOUND: (
            "The account is gone, or it is no longer a professional account, or the token may no longer read "
            "it: connect it again in Postiz, or disable the channel."
        ),
    },
    secrets=token_parts,
)
