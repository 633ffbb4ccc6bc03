"""Instagram, with Facebook's login. The connector's own tests have Instagram's."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import ClassVar

from include.sandbox.stand_ins.instagram.api import InstagramApi
from include.sandbox.stand_ins.instagram.world import PACIFIC, Medium, World, make_account
from tests.connectors.case import Arranged, Case, Situation, fault


class Instagram(Case):
    provider = "instagram"
    calls_a_day = 11
    metrics_of_the_past = frozenset({"reach"})
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
        Situation.THROTTLED: fault("throttled", "80002"),
        Situation.APP_OFF: fault("app_off", "190"),
        Situation.DOWN: fault("down", "2"),
        Situation.PAGED: fault("short_pages"),
        Situation.HOSTILE_NEXT: fault("foreign_next"),
        Situation.POSTS_REFUSED: fault("media_refused"),
        Situation.POSTS_DOWN: fault("media_down"),
        Situation.LOST_PAGE: fault("lost_page"),
        Situation.RETIRED: fault("retired_metric", metric="profile_views"),
    }

    def __init__(self, now: datetime, day: date) -> None:
        self.day = day
        self.account = make_account(1)
        self.world = World([self.account], now=lambda: now)
        self.api = InstagramApi(self.world)

    def figures(self, day: date) -> dict[str, int]:
        sources = {
            "views": "views",
            "reach": "reach",
            "engagements": "total_interactions",
            "follows": "FOLLOWER",
            "unfollows": "NON_FOLLOWER",
            "page_views": "profile_views",
            "reactions": "likes",
            "comments": "comments",
            "shares": "shares",
            "saves": "saves",
        }
        figures = {name: self.world.value(self.account.id, source, day) for name, source in sources.items()}
        return figures | {"posts_published": len(self.world.media(self.account.id, day, day))}

    def figures_now(self) -> dict[str, int]:
        return {"followers": self.world.followers(self.account.id)}

    def posts(self, first: date, last: date) -> dict[str, dict[str, int | None]]:
        media = self.world.media(self.account.id, first, last)
        return {one.id: self._totals(one) for one in [*media, *self._stories(first, last)]}

    def _stories(self, first: date, last: date) -> list[Medium]:
        """The live stories, also those of the day after the last."""
        live = self.world.live_stories(self.account.id)
        last += timedelta(days=1)
        return [one for one in live if first <= one.published_at.astimezone(PACIFIC).date() <= last]

    def _totals(self, medium: Medium) -> dict[str, int | None]:
        sources = {"views": "views", "reach": "reach", "shares": "shares"}
        if medium.kind != "STORY":
            sources |= {"reactions": "likes", "comments": "comments", "saves": "saved"}
        return {name: self.world.medium_value(medium, source) for name, source in sources.items()}


CASE = Instagram
