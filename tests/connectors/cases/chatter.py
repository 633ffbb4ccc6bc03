"""Chatter, the made-up provider of ``tests/support``."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import ClassVar

from tests.connectors.case import Arranged, Case, Impossible, Situation, fault


class Chatter(Case):
    provider = "chatter"
    calls_a_day = 3
    retired = "engagements"
    situations: ClassVar = {
        Situation.QUIET: Arranged(lambda case: case.world.restate(case.account.id, case.day, 0)),
        Situation.PENDING: fault("late"),
        Situation.NO_DATA: Impossible("It has figures for every room from its first day on."),
        Situation.RESTATED: Arranged(
            lambda case: case.world.restate(case.account.id, case.day - timedelta(days=1), 150)
        ),
        Situation.REVOKED: fault("token_revoked", "tokenRevoked"),
        Situation.PERMISSION: fault("scope_missing", "scopeMissing"),
        Situation.GONE: fault("gone", "roomNotFound"),
        Situation.THROTTLED: fault("quota_exceeded", "quotaExceeded"),
        Situation.APP_OFF: fault("app_suspended", "appSuspended"),
        Situation.DOWN: fault("down", "backendError"),
        Situation.PAGED: fault("short_pages"),
        Situation.HOSTILE_NEXT: fault("foreign_next"),
        Situation.POSTS_REFUSED: fault("messages_refused"),
        Situation.POSTS_DOWN: fault("messages_down"),
        Situation.LOST_PAGE: fault("lost_page"),
        Situation.RETIRED: fault("no_interactions"),
    }

    def __init__(self, now: datetime, day: date) -> None:
        # The package exists only once the made-up provider is registered.
        from include.sandbox.stand_ins.chatter.api import ChatterApi
        from include.sandbox.stand_ins.chatter.world import World, make_room

        self.day = day
        self.account = make_room(1)
        self.world = World([self.account], now=lambda: now)
        self.api = ChatterApi(self.world)

    def figures(self, day: date) -> dict[str, int]:
        return {
            "reach": self.world.value(self.account.id, "people", day),
            "engagements": self.world.value(self.account.id, "interactions", day),
        }

    def figures_now(self) -> dict[str, int]:
        return {"followers": self.world.members(self.account.id)}

    def posts(self, first: date, last: date) -> dict[str, dict[str, int | None]]:
        return {
            message.id: {"reactions": message.cheers, "comments": message.replies}
            for message in self.world.messages(self.account.id, first, last)
        }


CASE = Chatter
