"""LinkedIn pages."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import ClassVar

from include.sandbox.stand_ins.linkedin_page.api import LinkedInApi
from include.sandbox.stand_ins.linkedin_page.world import FOLLOWERS_LAG, World, make_page
from tests.connectors.case import Arranged, Case, Impossible, Situation, fault

#: Three statistics, the followers, and the posts. Totals of posts take one more for each kind of URN.
CALLS_WITHOUT_TOTALS = 5
SOURCES = {
    "views": "impressionCount",
    "reach": "uniqueImpressionsCount",
    "clicks": "clickCount",
    "reactions": "likeCount",
    "comments": "commentCount",
    "shares": "shareCount",
}


class LinkedInPage(Case):
    provider = "linkedin-page"
    # Shares, followers, page views.
    calls_of_the_past = 3
    situations: ClassVar = {
        Situation.QUIET: Impossible(
            "A day of zeros is pending until it is final, and the latest day is not."
        ),
        Situation.PENDING: fault("not_counted"),
        Situation.NO_DATA: Impossible("A page without figures has zeros."),
        Situation.RESTATED: Arranged(
            lambda case: case.world.restate(case.account.id, case.day - timedelta(days=1), 150)
        ),
        Situation.REVOKED: fault("token_revoked", "REVOKED_ACCESS_TOKEN"),
        Situation.PERMISSION: fault("not_admin"),
        Situation.GONE: fault("page_gone", "NOT_FOUND"),
        Situation.THROTTLED: Impossible("Its quotas last until midnight UTC, longer than a run waits."),
        # What the operator has to resolve. How LinkedIn answers for an app that is switched off is unknown.
        Situation.APP_OFF: fault("version_ended", "NONEXISTENT_VERSION"),
        Situation.DOWN: fault("down", "INTERNAL_SERVER_ERROR"),
        Situation.PAGED: fault("short_pages"),
        Situation.HOSTILE_NEXT: fault("foreign_next"),
        Situation.POSTS_REFUSED: fault("refused", resource="posts"),
        Situation.POSTS_DOWN: fault("failing", resource="posts"),
        Situation.LOST_PAGE: fault("lost_page"),
        Situation.RETIRED: Impossible("No call names metrics, so none of them can be refused alone."),
    }

    def __init__(self, now: datetime, day: date) -> None:
        self.day = day
        self.account = make_page(1)
        self.world = World([self.account], now=lambda: now)
        self.api = LinkedInApi(self.world)
        posts = self.world.posts(self.account.id, day - timedelta(days=27), day)
        self.calls_a_day = CALLS_WITHOUT_TOTALS + len({post.urn.rpartition(":")[0] for post in posts})

    def figures(self, day: date) -> dict[str, int | None]:
        page_id = self.account.id
        found = {name: self.world.value(page_id, its, day) for name, its in SOURCES.items()}
        gains = [self.world.value(page_id, f"{kind}FollowerGain", day) for kind in ("organic", "paid")]
        return {
            **found,
            "engagements": sum(found[name] for name in ("clicks", "reactions", "comments", "shares")),
            "net_follows": sum(gains) if day <= self.world.today - FOLLOWERS_LAG else None,
            "page_views": self.world.value(page_id, "pageViews", day),
            "posts_published": len(self.world.posts(page_id, day, day)),
        }

    def figures_now(self) -> dict[str, int]:
        return {"followers": self.world.followers(self.account.id)}

    def posts(self, first: date, last: date) -> dict[str, dict[str, int | None]]:
        return {
            post.urn: {name: values[its] if any(values.values()) else None for name, its in SOURCES.items()}
            for post in self.world.posts(self.account.id, first, last)
            for values in [self.world.post_values(post)]
        }


CASE = LinkedInPage
