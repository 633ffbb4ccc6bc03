"""YouTube."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import ClassVar

from include.sandbox.stand_ins.youtube.google_apis import GoogleApis
from include.sandbox.stand_ins.youtube.world import Video, World, make_channel
from tests.connectors.case import Arranged, Case, Impossible, Situation, fault


def _quiet(case: YouTube) -> None:
    case.world.restate(case.account.id, case.day, 0)
    case.fault("zeros_given")


class YouTube(Case):
    provider = "youtube"
    #: The access token, two reports, the followers, the listing, its totals, its shares.
    calls_a_day = 7
    #: Two reports: the task has the access token already.
    calls_of_the_past = 2
    retired = "engaged_views"
    situations: ClassVar = {
        Situation.QUIET: Arranged(_quiet),
        Situation.PENDING: fault("not_published"),
        Situation.NO_DATA: Impossible("A channel without figures has zeros once its days are final."),
        Situation.RESTATED: Arranged(
            lambda case: case.world.restate(case.account.id, case.day - timedelta(days=1), 150)
        ),
        Situation.REVOKED: fault("token_revoked", "invalid_grant"),
        Situation.PERMISSION: fault("permission_missing", "insufficientPermissions"),
        Situation.GONE: fault("channel_gone", "youtubeSignupRequired"),
        Situation.THROTTLED: fault("minute_quota_spent", "rateLimitExceeded"),
        Situation.APP_OFF: fault("api_off", "accessNotConfigured"),
        Situation.DOWN: fault("reports_down", "backendError"),
        Situation.PAGED: fault("short_pages"),
        Situation.HOSTILE_NEXT: fault("foreign_next"),
        Situation.POSTS_REFUSED: fault("uploads_refused"),
        Situation.POSTS_DOWN: fault("uploads_down"),
        Situation.LOST_PAGE: fault("lost_page"),
        Situation.RETIRED: fault("metric_retired", metric="engagedViews"),
    }

    def __init__(self, now: datetime, day: date) -> None:
        self.day = day
        self.account = make_channel(1)
        self.refresh_token = self.account.refresh_token
        self.world = World([self.account], now=lambda: now)
        self.api = GoogleApis(self.world)

    def figures(self, day: date) -> dict[str, int]:
        value = {
            metric: self.world.value(self.account.id, metric, day)
            for metric in (
                "views",
                "likes",
                "comments",
                "shares",
                "subscribersGained",
                "subscribersLost",
                "estimatedMinutesWatched",
                "engagedViews",
            )
        }
        return {
            "views": value["views"],
            "engagements": value["likes"] + value["comments"] + value["shares"],
            "follows": value["subscribersGained"],
            "unfollows": value["subscribersLost"],
            "posts_published": len(self.world.videos(self.account.id, day, day)),
            "reactions": value["likes"],
            "comments": value["comments"],
            "shares": value["shares"],
            "watch_minutes": value["estimatedMinutesWatched"],
            "engaged_views": value["engagedViews"],
        }

    def figures_now(self) -> dict[str, int]:
        return {"followers": self.world.subscribers(self.account.id)}

    def posts(self, first: date, last: date) -> dict[str, dict[str, int | None]]:
        return {video.id: self._totals(video) for video in self.world.videos(self.account.id, first, last)}

    def _totals(self, video: Video) -> dict[str, int | None]:
        totals: dict[str, int | None] = {
            ours: None if its in video.hidden else self.world.total(video, its)
            for ours, its in (
                ("views", "viewCount"),
                ("reactions", "likeCount"),
                ("comments", "commentCount"),
            )
        }
        # A video that nobody shared is not in the report.
        return totals | {"shares": self.world.total(video, "shares") or None}


CASE = YouTube
