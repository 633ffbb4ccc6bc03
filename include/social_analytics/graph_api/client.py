"""Requests to the Graph API: one polite, bounded, logged GET at a time, or a classified error."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import quote, urlsplit

import requests
import structlog
import tenacity
import urllib3

from include.social_analytics import telemetry
from include.social_analytics.cooldown import Cooldown, LocalCooldown
from include.social_analytics.errors import ErrorClass, ErrorCode, JobError
from include.social_analytics.graph_api import GraphConnection
from include.social_analytics.graph_api.transport import BearerToken, GraphSession
from include.social_analytics.graph_api.usage import Usage, read_usage
from include.social_analytics.graph_api.verdicts import (
    APP_LIMIT_CODE,
    TooMuchData,
    classify,
    classify_exception,
)

log = structlog.get_logger(__name__)

#: The app's quota is a rolling hour: after a quarter of it a good part of the quota is back.
COOLDOWN = timedelta(minutes=15)
#: Stop before the API does it for us: what other workers have under way counts, too.
APP_PERCENT_LIMIT = 95
#: A page of 100 posts with everything on it is well under one MiB.
MAX_BODY_BYTES = 16 * 1024 * 1024
TRIES = 3


class GraphApi:
    """The API as one app sees it. Thread-safe: each thread has its own, reused connection."""

    def __init__(
        self, connection: GraphConnection, *, request_timeout: float, request_backoff: float
    ) -> None:
        """
        :param request_timeout: seconds to wait for a connection, and each time for bytes.
        :param request_backoff: seconds before the second try; then twice that; jitter on top.
        """
        self.connection = connection
        self.request_timeout = request_timeout
        self.request_backoff = request_backoff
        self._sessions = threading.local()

    @property
    def session(self) -> requests.Session:
        """This thread's session."""
        if not hasattr(self._sessions, "session"):
            self._sessions.session = GraphSession()
        return self._sessions.session  # type: ignore[no-any-return]

    def client(self, page_id: str, token: str) -> GraphClient:
        """A client that speaks with one account's token; makes no call yet."""
        return GraphClient(self, page_id, token)


@dataclass(frozen=True)
class _Exchange:
    """One request's outcome: a body or an error."""

    body: dict[str, Any]
    error: JobError | None = None
    http_status: int | None = None
    usage: Usage = field(default_factory=Usage)


class GraphClient:
    """The API for one account. Used by one thread at a time."""

    def __init__(self, api: GraphApi, page_id: str, token: str) -> None:
        self._api = api
        self._page_id = page_id
        self._token = token
        self._page_cooldown = LocalCooldown()
        #: Requests made so far, retries included.
        self.http_calls = 0
        #: Bytes of all answers' bodies so far.
        self.bytes_received = 0

    @property
    def api_version(self) -> str:
        """The version that is asked for, like ``v25.0``."""
        return self._api.connection.api_version

    def get(self, *path: str, **params: str | int) -> dict[str, Any]:
        """The object at ``path``, below the version.

        A blip is tried again twice, soon. A throttle is not, since calling prolongs it.

        :param path: segments, quoted here: ids come from elsewhere.
        :param params: the query, without authentication.
        :raises JobError: classified; :class:`TooMuchData` where asking for less may help.
        """
        if not re.fullmatch(r"[!-~]+", self._token):
            raise JobError(ErrorCode.TOKEN_INVALID, "The stored token is empty or no token at all.")
        if any(not segment.strip(".") for segment in path):
            raise JobError(ErrorCode.OBJECT_NOT_FOUND, "The stored account id is empty or no id at all.")
        quoted = "/".join(quote(segment, safe="", errors="replace") for segment in path)
        backoff = self._api.request_backoff
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(_is_blip),
            stop=tenacity.stop_after_attempt(TRIES),
            wait=tenacity.wait_exponential_jitter(multiplier=backoff, jitter=backoff),
            reraise=True,
        )
        return retrying(self._request, f"/{self.api_version}/{quoted}", params)

    def _request(self, path: str, params: Mapping[str, str | int]) -> dict[str, Any]:
        """One request, unless a cooldown forbids it."""
        for quota, cooldown in (("app", self._api.connection.cooldown), ("page", self._page_cooldown)):
            if wait := cooldown.remaining():
                log.warning(
                    "graph request withheld", path=path, quota=quota, seconds=round(wait.total_seconds())
                )
                raise JobError(
                    ErrorCode.RATE_LIMITED, f"The {quota}'s quota is spent; not called.", retry_after=wait
                )
        self.http_calls += 1
        started = time.monotonic()
        exchange = self._exchange(path, params)
        error, usage = exchange.error, exchange.usage
        (log.warning if error else log.info)(
            "graph request",
            path=path,
            http_status=exchange.http_status,
            outcome=error.code.value if error else "ok",
            code=error.provider_code if error else None,
            subcode=error.provider_subcode if error else None,
            trace_id=error.trace_id if error else None,
            milliseconds=round((time.monotonic() - started) * 1000),
            app_percent=usage.app_percent,
            page_percent=usage.page_percent,
        )
        self._heed(usage, error)
        if error:
            raise error
        return exchange.body

    def _exchange(self, path: str, params: Mapping[str, str | int]) -> _Exchange:
        """Send and read. Returns errors, since one raised here would carry the URL in its context."""
        connection, timeout = self._api.connection, self._api.request_timeout
        secrets = [self._token]
        query = dict(params)
        if connection.app_secret:
            proof = hmac.new(connection.app_secret.encode(), self._token.encode(), hashlib.sha256).hexdigest()
            query["appsecret_proof"] = proof
            secrets += [connection.app_secret, proof]
        try:
            with self._api.session.get(
                connection.base_url.rstrip("/") + path,
                params=query,
                auth=BearerToken(self._token),
                timeout=(timeout, timeout),
                allow_redirects=False,
                stream=True,
            ) as response:
                usage = read_usage(response.headers, self._page_id)
                status = response.status_code
                trace_id = response.headers.get("X-FB-Trace-ID")
                body = bytearray()
                for chunk in response.iter_content(64 * 1024):
                    body += chunk
                    self.bytes_received += len(chunk)
                    if len(body) > MAX_BODY_BYTES:
                        reason = f"The answer is larger than {MAX_BODY_BYTES} bytes."
                        return _Exchange({}, TooMuchData(ErrorCode.RESPONSE_INVALID, reason), status, usage)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            return _Exchange(
                {}, classify_exception(error, urlsplit(connection.base_url).hostname or "The API")
            )
        answer = _json(bytes(body))
        if 200 <= status < 300 and isinstance(answer, dict) and answer.get("error") is None:
            return _Exchange(answer, None, status, usage)
        failure = classify(status, answer, secrets=secrets, trace_id=trace_id, retry_after=usage.wait)
        return _Exchange({}, failure, status, usage)

    def _heed(self, usage: Usage, error: JobError | None) -> None:
        """Start the cooldowns that the answer calls for."""
        if usage.app_percent is not None:
            telemetry.api_usage(usage.app_percent)
        if error and error.provider_code == str(APP_LIMIT_CODE):
            self._cool("app", self._api.connection.cooldown, usage.wait)
        elif (usage.app_percent or 0) >= APP_PERCENT_LIMIT:
            self._cool("app", self._api.connection.cooldown, usage.retry_after)
        if usage.page_is_throttled:
            self._cool("page", self._page_cooldown, usage.wait)

    def _cool(self, quota: str, cooldown: Cooldown, wait: timedelta | None) -> None:
        cooldown.start(wait or COOLDOWN)
        telemetry.cooldown(quota)


def _is_blip(error: BaseException) -> bool:
    return (
        isinstance(error, JobError)
        and not isinstance(error, TooMuchData)
        and error.error_class is ErrorClass.TRANSIENT
        and error.code is not ErrorCode.RATE_LIMITED
    )


def _json(body: bytes) -> object:
    """The parsed body; None when it is not JSON (or nested or numbered beyond reason)."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
