"""The Facebook Pages connector: an ordinary page's day costs two requests."""

from __future__ import annotations

from include.social_analytics.connectors.base import Account, Reading, Window
from include.social_analytics.connectors.facebook.insights import read_insights
from include.social_analytics.connectors.facebook.posts import read_posts
from include.social_analytics.connectors.facebook.values import PACIFIC
from include.social_analytics.graph_api import GraphConnection
from include.social_analytics.graph_api.client import GraphApi
from include.social_analytics.graph_api.connection import graph_connection
from include.social_analytics.settings import Settings

FACEBOOK_GRAPH = "facebook_graph"


def connect(settings: Settings) -> FacebookConnector:
    """The connector on Airflow's connection ``facebook_graph``, or on Meta's own host without one.

    :raises JobError: ``config_invalid`` when the connection is not usable.
    """
    return connect_to(facebook_graph(), settings)


def facebook_graph() -> GraphConnection:
    """Where the API is, by Airflow's connection ``facebook_graph``.

    :raises JobError: ``config_invalid`` when the connection is not usable.
    """
    return graph_connection("facebook", FACEBOOK_GRAPH, "graph.facebook.com", "v25.0")


def connect_to(graph: GraphConnection, settings: Settings) -> FacebookConnector:
    """The connector on any Graph API."""
    return FacebookConnector(
        GraphApi(
            "facebook",
            graph,
            account="page",
            use_case="pages",
            request_timeout=settings.request_timeout,
            request_backoff=settings.request_backoff,
        )
    )


class FacebookConnector:
    """Makes readers of pages. Thread-safe."""

    provider = "facebook"
    timezone = PACIFIC

    def __init__(self, api: GraphApi) -> None:
        self._api = api

    def reader(self, account: Account) -> FacebookReader:
        """A reader for one page; makes no call yet."""
        return FacebookReader(self._api, account)


class FacebookReader:
    """Reads one page. Used by one thread at a time."""

    def __init__(self, api: GraphApi, account: Account) -> None:
        self._page_id = account.provider_account_id
        self._client = api.client(self._page_id, account.token)

    @property
    def http_calls(self) -> int:
        """Requests made so far, retries included; true also after a failure."""
        return self._client.http_calls

    def read(self, window: Window) -> Reading:
        """The page's metrics and posts.

        :raises JobError: classified; nothing else is raised for what the API or network does.
        """
        insights = read_insights(self._client, self._page_id, window)
        posts = read_posts(self._client, self._page_id, window)
        return Reading(
            window=window,
            series=insights.series,
            posts_published=posts.published,
            content=posts.content,
            unsupported=insights.unsupported + posts.unsupported,
        )
