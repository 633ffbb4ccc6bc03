"""The Threads connector: calls for the views, each open day's totals, the listing, and each due post."""

from __future__ import annotations

from include.social_analytics.connectors.base import Account
from include.social_analytics.connectors.reading import Reading, Window, refusals
from include.social_analytics.connectors.threads import PROVIDER, THREADS_GRAPH
from include.social_analytics.connectors.threads.insights import read_insights
from include.social_analytics.connectors.threads.posts import read_posts
from include.social_analytics.graph_api.client import GraphApi
from include.social_analytics.graph_api.connection import graph_connection
from include.social_analytics.graph_api.days import pacific_day
from include.social_analytics.settings import Settings


def connect(settings: Settings) -> ThreadsConnector:
    """The connector for Airflow's connection ``threads_graph``; without one, for Meta's own host.

    :raises JobError: ``config_invalid`` when the connection is not usable.
    """
    return ThreadsConnector(
        GraphApi(
            PROVIDER.name,
            graph_connection(PROVIDER.name, THREADS_GRAPH, "graph.threads.net", "v1.0"),
            account=PROVIDER.account,
            use_case="threads",
            request_timeout=settings.request_timeout,
            request_backoff=settings.request_backoff,
        )
    )


class ThreadsConnector:
    """Makes readers of profiles. Thread-safe."""

    def __init__(self, api: GraphApi) -> None:
        self._api = api

    def reader(self, account: Account) -> ThreadsReader:
        """A reader for one profile; makes no call yet."""
        return ThreadsReader(self._api, account)


class ThreadsReader:
    """Reads one profile. Used by one thread at a time."""

    def __init__(self, api: GraphApi, account: Account) -> None:
        self._profile_id = account.provider_account_id
        self._client = api.client(self._profile_id, account.secrets[0])

    @property
    def http_calls(self) -> int:
        """Requests made so far, retries included; correct after a failure, too."""
        return self._client.http_calls

    def read(self, window: Window) -> Reading:
        """The profile's metrics and posts. The views decide the status; what else fails costs only itself.

        :raises JobError: for a failure of the views, or one that is about the whole account.
        """
        insights = read_insights(self._client, self._profile_id, window, pacific_day(window.read_at))
        posts = read_posts(self._client, self._profile_id, window)
        return Reading(
            window=window,
            days=insights.days,
            series={**insights.series, **posts.published},
            unread=insights.unread,
            content=posts.content,
            now=insights.now,
            unsupported=insights.unsupported + posts.unsupported,
            notes=self._client.notes,
            missing=(
                *insights.missing,
                *posts.missing,
                *refusals(insights.unsupported + insights.withheld + posts.unsupported + posts.withheld),
            ),
        )
