"""Where a provider's API is. No token goes there in clear."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from urllib3.exceptions import LocationParseError
from urllib3.util import Url, parse_url

from include.social_analytics.errors import ErrorCode, JobError

if TYPE_CHECKING:
    from airflow.sdk import Connection


def api_address(conn_id: str, known: Connection | None, default_host: str) -> str:
    """The API's URL, without a slash at its end: ``https://graph.example``.

    Plain HTTP is only for a stand-in: on loopback, or if the connection's extra has ``{"allow_http": true}``.

    :param known: Airflow's connection ``conn_id``; without one, the API is at ``https://default_host``.
    :raises JobError: ``config_invalid`` for a URL that is invalid or would carry tokens in clear.
    """
    host = ((known.host if known else None) or default_host).rstrip("/")
    scheme = (known.schema if known else None) or "https"
    port = f":{known.port}" if known and known.port else ""
    url = (host if "://" in host else f"{scheme}://{host}") + port
    try:
        # Read by the parser of the HTTP client itself, so that both find the same host.
        parsed = parse_url(url)
    except LocationParseError:
        raise JobError(
            ErrorCode.CONFIG_INVALID, f"The host of the Airflow connection {conn_id!r} is not a valid URL."
        ) from None
    is_allowed = known is not None and known.extra_dejson.get("allow_http") is True
    if parsed.scheme == "http" and not _is_loopback(parsed) and not is_allowed:
        raise JobError(
            ErrorCode.CONFIG_INVALID,
            f"The Airflow connection {conn_id!r} would send tokens in clear to http://{parsed.netloc}: "
            f"write https://{parsed.netloc} as its host. Only for a stand-in of the API: "
            'add {"allow_http": true} to its extra.',
        )
    return url


def _is_loopback(url: Url) -> bool:
    try:
        return ipaddress.ip_address((url.host or "").strip("[]")).is_loopback
    except ValueError:
        return url.host == "localhost"
