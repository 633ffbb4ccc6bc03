"""A Graph API's address, version and app secret, from Airflow's connection."""

from __future__ import annotations

import re

from include.social_analytics.airflow_compat import find_connection
from include.social_analytics.cooldown import shared_cooldown
from include.social_analytics.errors import ErrorCode, JobError
from include.social_analytics.graph_api import GraphConnection
from include.social_analytics.http.address import api_address


def graph_connection(provider: str, conn_id: str, default_host: str, default_version: str) -> GraphConnection:
    """Where and how to call the API; without the connection ``conn_id``, the defaults and no app secret.

    :raises JobError: ``config_invalid`` when the connection's address or API version is not usable.
    """
    known = find_connection(conn_id)
    version = (known.extra_dejson.get("api_version") if known else None) or default_version
    if not re.fullmatch(r"v\d{1,3}\.\d", str(version)):
        raise JobError(
            ErrorCode.CONFIG_INVALID,
            f"The api_version in the extra of the Airflow connection {conn_id!r} must look like "
            f"{default_version}, not {version!r}.",
        )
    base_url = api_address(conn_id, known, default_host)
    return GraphConnection(
        base_url=base_url,
        api_version=version,
        app_secret=(known.password if known else None) or None,
        cooldown=shared_cooldown(provider, conn_id, base_url),
    )
