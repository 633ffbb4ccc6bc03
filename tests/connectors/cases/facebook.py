"""Facebook Pages."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import ClassVar

from include.sandbox.stand_ins.facebook.graph_api import GraphApi
from include.sandbox.stand_ins.facebook.world import World, make_page
from include.social_analytics.connectors import provider_named
from tests.connectors.case import Arranged, Case, Situation, fault


class Facebook(Case):
    provider = "facebook"
    calls_a_day = 2
    retired = "page_views"
    situations: ClassVar = {
        Situation.QUIET: Arranged(lambda case: case.world.restate(case.account.id, case.day, 0)),
        Situation.PENDING: fault("not_published"),
        Situation.NO_DATA: fault("no_insights"),
        Situation.RESTATED: Arranged(
            lambda case: case.world.restate(case.account.id, case.day - timedelta(days=1), 150)
        ),
        Situation.REVOKED: fault("token_revoked", "190"),
        Situation.PERMISSION: fault("permission_denied", "10"),
        Situation.GONE: fault("object_gone", "100"),
        Situation.THROTTLED: fault("page_throttled", "80001", minutes=10),
        Situation.APP_OFF: fault("app_off", "190"),
        Situation.DOWN: fault("down", "2"),
        Situation.PAGED: fault("reduce_data", limit=25),
        Situation.HOSTILE_NEXT: fault("foreign_next"),
        Situation.POSTS_REFUSED: fault("posts_refused"),
        Situation.POSTS_DOWN: fault("posts_down"),
        Situation.LOST_PAGE: fault("lost_page", limit=5),
        Situation.RETIRED: fault("invalid_metric", metric="page_views_total"),
    }

    def __init__(self, now: datetime, day: date) -> None:
        self.day = day
        self.account = make_page(1)
        self.world = World([self.account], now=lambda: now)
        self.api = GraphApi(self.world)

    def figures(self, day: date) -> dict[str, int]:
        figures = {
            name: self.world.page_value(self.account.id, source, day)
            for name, source in provider_named(self.provider).metrics.items()
            if name != "posts_published"
        }
        return figures | {"posts_published": len(self.world.posts(self.account.id, day, day))}

    def posts(self, first: date, last: date) -> dict[str, dict[str, int | None]]:
        return {post.id: self._totals(post) for post in self.world.posts(self.account.id, first, last)}

    def _totals(self, post: object) -> dict[str, int | None]:
        counted = {
            "reactions": self.world.post_value(post, "post_reactions_by_type_total"),
            "comments": self.world.post_value(post, "comments"),
            "shares": self.world.post_value(post, "shares") // 4,
        }
        if post.kind == "story":
            return counted
        sources = {
            "views": "post_media_view",
            "reach": "post_total_media_view_unique",
            "clicks": "post_clicks",
        }
        return counted | {name: self.world.post_value(post, source) for name, source in sources.items()}


CASE = Facebook
