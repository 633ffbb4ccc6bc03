"""The Facebook Pages connector: an ordinary page's day costs two requests."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal

from include.social_analytics.connectors.base import Account
from include.social_analytics.connectors.facebook import FACEBOOK_GRAPH, PROVIDER
from include.social_analytics.connectors.facebook.insights import read_insights
from include.social_analytics.connectors.facebook.posts import read_posts
from include.social_analytics.connectors.reading import DayStatus, Reading, Window, refusals
from include.social_analytics.graph_api import GraphConnection
from include.social_analytics.graph_api.client import GraphApi
from include.social_analytics.graph_api.connection import graph_connection
from include.social_analytics.settings import Settings


def connect(settings: Settings) -> FacebookConnector:
    """The connector for Airflow's connection ``facebook_graph``; without one, for Meta's own host.

    :raises JobError: ``config_invalid`` when the connection is not usable.
    """
    return connect_to(facebook_graph(), settings)


def facebook_graph() -> GraphConnection:
    """Where the API is, from Airflow's connection ``facebook_graph``.

    :raises JobError: ``config_invalid`` when the connection is not usable.
    """
    return graph_connection(PROVIDER.name, FACEBOOK_GRAPH, "graph.facebook.com", "v25.0")


def connect_to(graph: GraphConnection, settings: Settings) -> FacebookConnector:
    """The connector on any Graph API."""
    return FacebookConnector(
        GraphApi(
            PROVIDER.name,
            graph,
            account=PROVIDER.account,
            use_case="pages",
            request_timeout=settings.request_timeout,
            request_backoff=settings.request_backoff,
        )
    )


class FacebookConnector:
    """Makes readers of pages. Thread-safe."""

    def __init__(self, api: GraphApi) -> None:
        self._api = api

    def reader(self, account: Account) -> FacebookReader:
        """A reader for one page; makes no call yet."""
        return FacebookReader(self._api, account)


class FacebookReader:
    """Reads one page. Used by one thread at a time."""

    def __init__(self, api: GraphApi, account: Account) -> None:
        self._page_id = account.provider_account_id
        self._client = api.client(self._page_id, account.secrets[0])

    @property
    def http_calls(self) -> int:
        """Requests made so far, retries included; correct after a failure, too."""
        return self._client.http_calls

    def read(self, window: Window) -> Reading:
        """The page's metrics and posts. The metrics decide the status; posts that fail cost only themselves.

        :raises JobError: for a failure of the metrics, or one that is about the whole account.
        """
        insights = read_insights(self._client, self._page_id, window)
        posts = read_posts(self._client, self._page_id, window)
        return Reading(
            window=window,
            days=_statuses(window, insights.series),
            series={**insights.series, **posts.published},
            content=posts.content,
            unsupported=insights.unsupported + posts.unsupported,
            notes=self._client.notes,
            missing=(
                *posts.missing,
                *refusals(insights.unsupported + insights.withheld + posts.unsupported + posts.withheld),
            ),
        )


def _statuses(window: Window, insights: Mapping[str, Mapping[date, Decimal | None]]) -> dict[date, DayStatus]:
    """A page too small for insights has no series at all. A day in no series is not published yet."""
    if not insights:
        return dict.fromkeys(window.days, DayStatus.NO_DATA)
    published = {day for values in insights.values() for day in values}
    return {day: DayStatus.SUCCEEDED if day in published else DayStatus.PENDING for day in window.days}
