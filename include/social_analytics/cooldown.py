"""Shared back-off: when an app's quota is spent, all workers pause, since each call prolongs the wait."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlencode, urlsplit

import structlog

from include.social_analytics.airflow_compat import find_connection

if TYPE_CHECKING:
    from airflow.sdk import Connection

    # Importing redis takes longer than a channel's calls, and only the connection analytics_redis needs it.
    from redis import Redis, RedisCluster

log = structlog.get_logger(__name__)

ANALYTICS_REDIS = "analytics_redis"

#: Seconds to wait for Redis. After that the call goes on without it.
REDIS_TIMEOUT = 2

#: Seconds for which a Redis that did not answer is not asked again: each call would wait for it.
REDIS_REST = 30

# Two workers may start a cooldown at the same time: comparing and setting must be one step.
_SET_UNLESS_LONGER = """
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[1]) then
    redis.call('SET', KEYS[1], '1', 'PX', ARGV[1])
end
"""


class Cooldown(Protocol):
    """A time without calls to an API. Thread-safe."""

    def remaining(self) -> timedelta | None:
        """How much of it is left; None when calls are allowed."""

    def start(self, duration: timedelta) -> None:
        """Start a cooldown; never shortens a longer one."""


class LocalCooldown:
    """A cooldown of this process only."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ends = 0.0

    def remaining(self) -> timedelta | None:
        """How much of it is left; None when calls are allowed."""
        with self._lock:
            left = self._ends - time.monotonic()
        return timedelta(seconds=left) if left > 0 else None

    def start(self, duration: timedelta) -> None:
        """Start a cooldown; never shortens a longer one."""
        with self._lock:
            self._ends = max(self._ends, time.monotonic() + duration.total_seconds())


#: Each Redis that did not answer: its address, and until when this process's clock lets it rest.
_resting: dict[tuple[Any, ...], float] = {}


class RedisCooldown:
    """A cooldown that all workers share: a key with a time to live.

    If Redis does not answer, this process's own cooldown applies, and no cooldown of the process asks that
    Redis for ``REDIS_REST`` seconds. Give the client short socket timeouts: it is asked before each request.
    """

    def __init__(self, redis_client: Redis | RedisCluster, key: str) -> None:
        self._redis: Any = redis_client
        self._key = key
        self._local = LocalCooldown()
        where = redis_client.get_connection_kwargs()
        if hasattr(redis_client, "get_default_node"):  # a cluster
            where = vars(redis_client.get_default_node())
        self._address = tuple(where.get(part) for part in ("host", "port", "path"))

    def remaining(self) -> timedelta | None:
        """How much of it is left; None when calls are allowed."""
        shared = timedelta(milliseconds=max(self._ask(lambda: self._redis.pttl(self._key)) or 0, 0))
        return max(shared, self._local.remaining() or timedelta()) or None

    def start(self, duration: timedelta) -> None:
        """Start a cooldown; never shortens a longer one."""
        self._local.start(duration)
        milliseconds = max(int(duration / timedelta(milliseconds=1)), 1)
        self._ask(lambda: self._redis.eval(_SET_UNLESS_LONGER, 1, self._key, str(milliseconds)))

    def _ask(self, question: Callable[[], Any]) -> Any:
        """Redis's answer; ``None`` if it gives none now, or gave none just before."""
        if time.monotonic() < _resting.get(self._address, 0):
            return None
        try:
            return question()
        except Exception as error:  # redis also raises errors that are not its own, for example for a host
            _resting[self._address] = time.monotonic() + REDIS_REST
            log.warning("shared cooldown not reachable", key=self._key, error=type(error).__name__)
            return None


def cooldown_key(provider: str, conn_id: str, host: str | None) -> str:
    """The key of the cooldown that all workers on one app's quota share."""
    return f"social_analytics:cooldown:{provider}:{conn_id}:{host}"


def shared_cooldown(provider: str, conn_id: str, base_url: str) -> Cooldown:
    """A cooldown of all workers if the connection ``analytics_redis`` exists; else of this process.

    Redis is optional: whatever is wrong with it, ingestion goes on.

    :param conn_id: the provider's connection, which identifies the app.
    :raises JobError: ``config_invalid`` when Airflow cannot read the connection ``analytics_redis``.
    """
    known = find_connection(ANALYTICS_REDIS)
    if known is None:
        return LocalCooldown()
    key = cooldown_key(provider, conn_id, urlsplit(base_url).hostname)
    try:
        return RedisCooldown(_client_of(known), key)
    except Exception as error:
        log.warning("shared cooldown not usable", key=key, error=type(error).__name__, reason=str(error))
        return LocalCooldown()


def _client_of(known: Connection) -> Redis | RedisCluster:
    """A client for the connection. The client of a cluster connects at once, the other one on first use.

    Airflow's ``RedisHook`` needs a port, and overlooks the database and TLS of a URI such as
    ``rediss://host/1``. The extra means the same here as there: ``db``, ``ssl``, ``ssl_…``, ``cluster``.
    """
    from redis import Redis, RedisCluster
    from redis.backoff import NoBackoff
    from redis.connection import to_bool
    from redis.retry import Retry

    extra = known.extra_dejson
    is_tls = known.conn_type == "rediss" or to_bool(extra.get("ssl"))  # type: ignore[no-untyped-call]
    # In the URL, redis turns each option's text into the option's type.
    tls = {
        name: value for name, value in extra.items() if name.startswith("ssl_") and value not in (None, "")
    }
    how: dict[str, Any] = {
        "url": f"rediss://?{urlencode(tls)}" if is_tls else "redis://",
        "host": known.host or "localhost",
        "port": known.port or 6379,
        "username": known.login or None,
        "password": known.password or None,
        # It is asked before each request.
        "socket_timeout": REDIS_TIMEOUT,
        "socket_connect_timeout": REDIS_TIMEOUT,
        # One retry, in case the connection is stale.
        "retry": Retry(NoBackoff(), 1),
    }
    if to_bool(extra.get("cluster")):  # type: ignore[no-untyped-call]
        return RedisCluster.from_url(**how)
    return Redis.from_url(**how, db=int(extra.get("db") or known.schema or 0))
