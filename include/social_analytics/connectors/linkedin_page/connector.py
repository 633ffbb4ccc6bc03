"""The LinkedIn connector: a call for each of three statistics, one for the followers, a few for the posts."""

from __future__ import annotations

import re
from datetime import UTC

from include.social_analytics.connectors.base import Account
from include.social_analytics.connectors.linkedin_page.client import LinkedInApi, LinkedInClient
from include.social_analytics.connectors.linkedin_page.posts import read_posts
from include.social_analytics.connectors.linkedin_page.statistics import read_statistics
from include.social_analytics.connectors.reading import Reading, Window
from include.social_analytics.errors import ErrorCode, JobError
from include.social_analytics.settings import Settings


def connect(settings: Settings) -> LinkedInConnector:
    """The connector for Airflow's connection ``linkedin_api``; without one, for LinkedIn's own host.

    :raises JobError: ``config_invalid`` when the connection is not usable.
    """
    return LinkedInConnector(LinkedInApi(settings))


class LinkedInConnector:
    """Makes readers of pages. Thread-safe."""

    def __init__(self, api: LinkedInApi) -> None:
        self._api = api

    def reader(self, account: Account) -> LinkedInReader:
        """A reader for one page; makes no call yet."""
        return LinkedInReader(self._api, account)


class LinkedInReader:
    """Reads one page. Used by one thread at a time."""

    def __init__(self, api: LinkedInApi, account: Account) -> None:
        self._page_id = account.provider_account_id
        self._client = LinkedInClient(api, account.secrets[0])

    @property
    def http_calls(self) -> int:
        """Requests made so far, retries included; correct after a failure, too."""
        return self._client.http_calls

    def read(self, window: Window) -> Reading:
        """The page's metrics and posts. The share statistics decide the status; the rest costs only itself.

        :raises JobError: for a failure of the share statistics, or one that is about the whole account.
        """
        if not re.fullmatch(r"\d{1,20}", self._page_id, re.ASCII):
            raise JobError(ErrorCode.OBJECT_NOT_FOUND, "The stored account id is not the number of a page.")
        page = f"urn:li:organization:{self._page_id}"
        statistics = read_statistics(self._client, page, window, window.read_at.astimezone(UTC).date())
        posts = read_posts(self._client, page, window)
        return Reading(
            window=window,
            days=statistics.days,
            series={**statistics.series, **posts.published},
            unread=statistics.unread,
            content=posts.content,
            now=statistics.now,
            missing=(*statistics.missing, *posts.missing),
        )
