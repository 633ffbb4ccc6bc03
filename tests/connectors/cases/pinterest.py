"""Pinterest."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import ClassVar

from include.sandbox.stand_ins.pinterest.pinterest_api import PinterestApi
from include.sandbox.stand_ins.pinterest.world import World, make_account
from tests.connectors.case import Arranged, Case, Situation, fault


class Pinterest(Case):
    provider = "pinterest"
    #: The days, the account, and its pins.
    calls_a_day = 3
    retired = "saves"
    situations: ClassVar = {
        Situation.QUIET: Arranged(lambda case: case.world.restate(case.account.id, case.day, 0)),
        Situation.PENDING: fault("processing"),
        Situation.NO_DATA: fault("no_business_yet"),
        Situation.RESTATED: Arranged(
            lambda case: case.world.restate(case.account.id, case.day - timedelta(days=1), 150)
        ),
        Situation.REVOKED: fault("token_expired", "2"),
        Situation.PERMISSION: fault("personal", "403"),
        Situation.GONE: fault("account_gone", "50"),
        Situation.THROTTLED: fault("throttled", "8"),
        Situation.APP_OFF: fault("app_not_approved", "3"),
        Situation.DOWN: fault("down", "12"),
        Situation.PAGED: fault("short_pages"),
        Situation.HOSTILE_NEXT: fault("foreign_next"),
        Situation.POSTS_REFUSED: fault("pins_refused"),
        Situation.POSTS_DOWN: fault("pins_down"),
        Situation.LOST_PAGE: fault("lost_page"),
        Situation.RETIRED: fault("metric_retired", metric="SAVE"),
    }

    def __init__(self, now: datetime, day: date) -> None:
        self.day = day
        self.account = make_account(1)
        self.world = World([self.account], now=lambda: now)
        self.api = PinterestApi(self.world)

    def figures(self, day: date) -> dict[str, int]:
        views, engagements, saves, clicks, outbound = (
            self.world.value(self.account.id, metric, day)
            for metric in ("IMPRESSION", "ENGAGEMENT", "SAVE", "PIN_CLICK", "OUTBOUND_CLICK")
        )
        return {
            "views": views,
            "engagements": engagements,
            "posts_published": len(self.world.pins(self.account.id, day, day)),
            "saves": saves,
            "clicks": clicks,
            "outbound_clicks": outbound,
        }

    def figures_now(self) -> dict[str, int]:
        return {"followers": self.world.followers(self.account.id)}

    def posts(self, first: date, last: date) -> dict[str, dict[str, int | None]]:
        names = {
            "views": "impression",
            "clicks": "pin_click",
            "reactions": "reaction",
            "comments": "comment",
            "saves": "save",
        }
        return {
            pin.id: {ours: self.world.pin_value(pin, theirs) for ours, theirs in names.items()}
            for pin in self.world.pins(self.account.id, first, last)
        }


CASE = Pinterest
