"""Where the Graph API is, by Airflow's connection."""

from __future__ import annotations

import re

from include.social_analytics.airflow_compat import find_connection
from include.social_analytics.errors import ErrorCode, JobError
from include.social_analytics.graph_api import GraphConnection
from include.social_analytics.graph_api.cooldown import Cooldown, LocalCooldown, RedisCooldown, cooldown_key

FACEBOOK_GRAPH = "facebook_graph"
ANALYTICS_REDIS = "analytics_redis"

DEFAULT_GRAPH_HOST = "graph.facebook.com"
DEFAULT_GRAPH_VERSION = "v25.0"

#: Seconds in which Redis answers, or does not matter.
REDIS_TIMEOUT = 2


def graph_connection() -> GraphConnection:
    """Where and how to call the Graph API; the defaults are Meta's own host and no app secret.

    :raises JobError: ``config_invalid`` when the connection's extra names no usable API version.
    """
    known = find_connection(FACEBOOK_GRAPH)
    host = (known.host if known else None) or DEFAULT_GRAPH_HOST
    scheme = (known.schema if known else None) or "https"
    port = f":{known.port}" if known and known.port else ""
    version = (known.extra_dejson.get("api_version") if known else None) or DEFAULT_GRAPH_VERSION
    if not re.fullmatch(r"v\d{1,3}\.\d", str(version)):
        raise JobError(
            ErrorCode.CONFIG_INVALID,
            f"The Airflow connection {FACEBOOK_GRAPH!r} has an api_version such as v25.0 in its extra, "
            f"not {version!r}.",
        )
    base_url = (host.rstrip("/") if "://" in host else f"{scheme}://{host}") + port
    return GraphConnection(
        base_url=base_url,
        api_version=version,
        app_secret=(known.password if known else None) or None,
        cooldown=_cooldown(base_url),
    )


def _cooldown(base_url: str) -> Cooldown:
    """Shared by all workers through Redis where that connection exists, else this process's own."""
    if find_connection(ANALYTICS_REDIS) is None:
        return LocalCooldown()
    from airflow.providers.redis.hooks.redis import RedisHook
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    client = RedisHook(redis_conn_id=ANALYTICS_REDIS).get_conn()  # type: ignore[no-untyped-call]
    # The hook knows no time-outs, and it is asked before each request. No connection is open yet.
    client.connection_pool.connection_kwargs.update(
        socket_timeout=REDIS_TIMEOUT, socket_connect_timeout=REDIS_TIMEOUT
    )
    # Once more, for a connection that has gone stale.
    client.set_retry(Retry(NoBackoff(), 1))
    return RedisCooldown(client, cooldown_key(base_url))
