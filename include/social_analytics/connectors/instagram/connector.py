"""The Instagram connector: an ordinary account's day costs 11 requests, fewer once earlier days are final."""

from __future__ import annotations

from collections.abc import Mapping

from include.social_analytics.connectors.base import Account
from include.social_analytics.connectors.instagram import (
    FACEBOOK_GRAPH,
    FACEBOOK_LOGIN,
    INSTAGRAM_GRAPH,
    INSTAGRAM_LOGIN,
    PROVIDER,
    SEPARATOR,
)
from include.social_analytics.connectors.instagram.insights import read_insights
from include.social_analytics.connectors.instagram.media import read_media
from include.social_analytics.connectors.reading import Reading, Window, refusals
from include.social_analytics.graph_api.client import GraphApi
from include.social_analytics.graph_api.connection import graph_connection
from include.social_analytics.settings import Settings

#: Postiz's identifier -> the connection, its host and API version by default.
HOSTS: Mapping[str, tuple[str, str, str]] = {
    FACEBOOK_LOGIN: (FACEBOOK_GRAPH, "graph.facebook.com", "v25.0"),
    INSTAGRAM_LOGIN: (INSTAGRAM_GRAPH, "graph.instagram.com", "v25.0"),
}


def connect(settings: Settings) -> InstagramConnector:
    """The connector for both of Airflow's connections; without one, for Meta's own host.

    :raises JobError: ``config_invalid`` when a connection is not usable.
    """
    return InstagramConnector(
        {
            identifier: GraphApi(
                PROVIDER.name,
                graph_connection(PROVIDER.name, *host),
                account=PROVIDER.account,
                use_case="instagram",
                request_timeout=settings.request_timeout,
                request_backoff=settings.request_backoff,
            )
            for identifier, host in HOSTS.items()
        }
    )


class InstagramConnector:
    """Makes readers of accounts. Thread-safe."""

    def __init__(self, apis: Mapping[str, GraphApi]) -> None:
        """:param apis: by Postiz's identifier."""
        self._apis = apis

    def reader(self, account: Account) -> InstagramReader:
        """A reader for one account, on the host of its login; makes no call yet."""
        return InstagramReader(self._apis[account.identifier], account)


class InstagramReader:
    """Reads one account. Used by one thread at a time."""

    def __init__(self, api: GraphApi, account: Account) -> None:
        self._account_id = account.provider_account_id
        is_of_page = account.identifier == FACEBOOK_LOGIN
        token = account.secrets[0] if is_of_page else SEPARATOR.join(account.secrets)
        self._client = api.client(self._account_id, token)

    @property
    def http_calls(self) -> int:
        """Requests made so far, retries included; correct after a failure, too."""
        return self._client.http_calls

    def read(self, window: Window) -> Reading:
        """The account's metrics and media. Reach decides the status; what else fails costs only itself.

        :raises JobError: for a failure of the reach, or one that is about the whole account.
        """
        insights = read_insights(self._client, self._account_id, window)
        media = read_media(self._client, self._account_id, window)
        return Reading(
            window=window,
            days=insights.days,
            series={**insights.series, **media.published},
            unread=insights.unread,
            now=insights.now,
            content=media.content,
            unsupported=insights.unsupported + media.unsupported,
            notes=self._client.notes,
            missing=(
                *insights.missing,
                *media.missing,
                *refusals(insights.unsupported + insights.withheld + media.unsupported + media.withheld),
            ),
        )
