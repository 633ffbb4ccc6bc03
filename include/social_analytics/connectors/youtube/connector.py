"""The YouTube connector: seven calls for a channel's day."""

from __future__ import annotations

import re
from decimal import Decimal

from include.social_analytics.connectors.base import Account
from include.social_analytics.connectors.reading import Reading, Window, costs_only, refusals
from include.social_analytics.connectors.youtube import PROVIDER
from include.social_analytics.connectors.youtube.google import GoogleApp, GoogleClient, google_app
from include.social_analytics.connectors.youtube.reports import read_reports
from include.social_analytics.connectors.youtube.uploads import count, read_uploads
from include.social_analytics.errors import ErrorCode, JobError
from include.social_analytics.json_values import at, objects
from include.social_analytics.settings import Settings


def connect(settings: Settings) -> YouTubeConnector:
    """The connector for Airflow's connection ``google_api``.

    :raises JobError: ``config_invalid`` when the connection is missing or not usable.
    """
    return YouTubeConnector(google_app(settings))


class YouTubeConnector:
    """Makes readers of channels. Thread-safe."""

    def __init__(self, app: GoogleApp) -> None:
        self._app = app

    def reader(self, account: Account) -> YouTubeReader:
        """A reader for one channel; makes no call yet."""
        return YouTubeReader(self._app, account)


class YouTubeReader:
    """Reads one channel. Used by one thread at a time."""

    def __init__(self, app: GoogleApp, account: Account) -> None:
        self._channel_id = account.provider_account_id
        self._client = GoogleClient(app, account)

    @property
    def http_calls(self) -> int:
        """Requests made so far, retries included; correct after a failure, too."""
        return self._client.http_calls

    def read(self, window: Window) -> Reading:
        """The channel's figures and videos. The report of the views decides the status.

        :raises JobError: for a failure of that report, or one that is about the whole account.
        """
        if not re.fullmatch(r"UC[\w-]{22}", self._channel_id, re.ASCII):
            raise JobError(ErrorCode.OBJECT_NOT_FOUND, "The stored account id is not that of a channel.")
        today = window.read_at.astimezone(PROVIDER.timezone).date()
        reports = read_reports(self._client, window, today)
        missing: list[str] = []
        now: dict[str, Decimal | None] = {}
        if not window.is_past:
            with costs_only("The followers", missing):
                now["followers"] = self._followers()
        uploads = read_uploads(self._client, self._channel_id, window, today)
        return Reading(
            window=window,
            days=reports.days,
            series={**reports.series, **uploads.published},
            unread=reports.unread,
            content=uploads.content,
            now=now,
            unsupported=reports.unsupported,
            missing=(
                *reports.missing,
                *missing,
                *uploads.missing,
                *refusals(reports.unsupported + reports.withheld),
            ),
        )

    def _followers(self) -> Decimal | None:
        """The number of subscribers now, as YouTube rounds it; None if the owner hides it."""
        body = self._client.data("channels", part="statistics", id=self._channel_id)
        channel = next(iter(objects(body.get("items"))), None)
        if channel is None:
            raise JobError(ErrorCode.OBJECT_NOT_FOUND, "The API does not know the channel.")
        if at(channel, "statistics", "hiddenSubscriberCount") is True:
            return None
        return count(at(channel, "statistics", "subscriberCount"))
