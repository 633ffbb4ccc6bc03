"""The providers that can be ingested. To add one: a package here, a line in ``PROVIDERS``, its sources
in the metric catalogue."""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.social_analytics.errors import ErrorCode, JobError

if TYPE_CHECKING:
    from include.social_analytics.connectors.base import Connector
    from include.social_analytics.graph_api import GraphConnection
    from include.social_analytics.settings import Settings

#: By Postiz's ``providerIdentifier``.
PROVIDERS: tuple[str, ...] = ("facebook",)


def open_connector(provider: str, *, settings: Settings, graph: GraphConnection) -> Connector:
    """The connector of ``provider``, for one task and all its threads; makes no call yet.

    :raises JobError: ``config_invalid`` for a provider that is not in ``PROVIDERS``.
    """
    # Imported on use: listing the providers, as parsing a DAG does, must not load an HTTP client.
    if provider == "facebook":
        from include.social_analytics.connectors.facebook.connector import connect_to

        return connect_to(graph, settings)
    raise JobError(ErrorCode.CONFIG_INVALID, f"There is no connector for the provider {provider!r}.")
