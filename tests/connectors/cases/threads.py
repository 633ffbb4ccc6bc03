"""Threads."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import ClassVar

from include.sandbox.stand_ins.threads.threads_api import ThreadsApi
from include.sandbox.stand_ins.threads.world import PACIFIC, World, make_profile
from tests.connectors.case import Arranged, Case, Situation, fault

#: The views, the totals of four days, and two pages of the listing: only an empty one is its end. Nothing is
#: settled yet.
CALLS_WITHOUT_POSTS = 7


class Threads(Case):
    provider = "threads"
    metrics_of_the_past = frozenset({"views"})
    retired = "clicks"
    situations: ClassVar = {
        Situation.QUIET: Arranged(lambda case: case.world.restate(case.account.id, case.day, 0)),
        Situation.PENDING: fault("not_published"),
        Situation.NO_DATA: fault("no_insights"),
        Situation.RESTATED: Arranged(
            lambda case: case.world.restate(case.account.id, case.day - timedelta(days=1), 150)
        ),
        Situation.REVOKED: fault("token_revoked", "190"),
        Situation.PERMISSION: fault("permission_missing", "10"),
        Situation.GONE: fault("object_gone", "100"),
        Situation.THROTTLED: fault("profile_throttled", "17"),
        Situation.APP_OFF: fault("app_off", "190"),
        Situation.DOWN: fault("down", "2"),
        Situation.PAGED: fault("short_pages"),
        Situation.HOSTILE_NEXT: fault("foreign_next"),
        Situation.POSTS_REFUSED: fault("posts_refused"),
        Situation.POSTS_DOWN: fault("posts_down"),
        Situation.LOST_PAGE: fault("lost_page"),
        Situation.RETIRED: fault("metric_retired", metric="clicks"),
    }

    def __init__(self, now: datetime, day: date) -> None:
        self.day = day
        self.account = make_profile(1)
        self.world = World([self.account], now=lambda: now)
        self.api = ThreadsApi(self.world)
        posts = self.world.posts(self.account.id, day - timedelta(days=27), day)
        self.calls_a_day = CALLS_WITHOUT_POSTS + len([post for post in posts if self._is_due(post)])

    def _is_due(self, post: object) -> bool:
        """Each day for a week, then on days 14 and 28; the day of publication is the first."""
        published = post.published_at.astimezone(PACIFIC).date()
        return (self.day - published).days in (0, 1, 2, 3, 4, 5, 6, 13, 27)

    def figures(self, day: date) -> dict[str, int]:
        likes, replies, reposts, quotes, clicks, views = (
            self.world.value(self.account.id, metric, day)
            for metric in ("likes", "replies", "reposts", "quotes", "clicks", "views")
        )
        return {
            "views": views,
            "engagements": likes + replies + reposts + quotes,
            "posts_published": len(self.world.posts(self.account.id, day, day)),
            "reactions": likes,
            "comments": replies,
            "shares": reposts + quotes,
            "clicks": clicks,
        }

    def figures_now(self) -> dict[str, int]:
        return {"followers": self.world.followers(self.account.id)}

    def posts(self, first: date, last: date) -> dict[str, dict[str, int | None]]:
        return {
            post.id: self._totals(post) if self._is_due(post) else {}
            for post in self.world.posts(self.account.id, first, last)
        }

    def _totals(self, post: object) -> dict[str, int | None]:
        views, likes, replies, reposts, quotes = (
            self.world.post_value(post, metric)
            for metric in ("views", "likes", "replies", "reposts", "quotes")
        )
        return {"views": views, "reactions": likes, "comments": replies, "shares": reposts + quotes}


CASE = Threads
