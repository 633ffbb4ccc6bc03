"""Requests to a provider's API, with retries, cooldowns, limits and logs. A failure is a classified error.

What is the same for every provider is here. A provider adds three things: how a request is authorized, what
an answer means (a function from :class:`ApiAnswer` to :class:`Verdict`), and its own paths and parameters.
"""

from __future__ import annotations

import json
import re
import threading
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any, cast
from urllib.parse import quote, urlsplit

import requests
import structlog
import tenacity
import urllib3

from include.social_analytics import telemetry
from include.social_analytics.cooldown import Cooldown, LocalCooldown
from include.social_analytics.errors import ErrorClass, ErrorCode, JobError
from include.social_analytics.http.failures import TooMuchData, connection_failure, without_explanation
from include.social_analytics.http.transport import ApiSession, hide_query_strings, read_body

log = structlog.get_logger(__name__)

#: A hundred posts with everything on them are well under one MiB.
MAX_BODY_BYTES = 16 * 1024 * 1024
TRIES = 3
#: A timeout limits one wait for bytes. A request with its whole body may take this many timeouts.
DEADLINE_IN_TIMEOUTS = 4

#: What sending a request and reading its answer may raise.
_FAILURES = (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError, zlib.error)


class Quota(StrEnum):
    """Which calls a quota counts: those of the whole app, or one account's."""

    APP = "app"
    ACCOUNT = "account"


@dataclass(frozen=True)
class ApiAnswer:
    """What an API answered: ``headers`` by case-insensitive name, the parsed ``body``.

    ``body`` is None when the API sent no JSON, or too much of it. ``path`` and ``params`` are what was asked;
    the path is quoted. ``params`` is empty if the query was given as text.
    """

    http_status: int
    headers: Mapping[str, str]
    body: object
    path: str
    params: Mapping[str, object]


@dataclass(frozen=True)
class Verdict:
    """What an answer means.

    ``error`` is the failure, if it is one. ``spent`` says how much of a quota is spent, in percent (may
    exceed 100). ``pauses`` says for how long a quota forbids calls.
    """

    error: JobError | None = None
    spent: Mapping[Quota, float] = field(default_factory=dict)
    pauses: Mapping[Quota, timedelta] = field(default_factory=dict)


class Api:
    """A provider's API as one app sees it. Thread-safe: each thread has its own, reused connection."""

    def __init__(
        self,
        provider: str,
        base_url: str,
        *,
        account: str,
        cooldown: Cooldown,
        request_timeout: float,
        request_backoff: float,
    ) -> None:
        """
        :param base_url: scheme, host and port.
        :param account: what people call one account there: "page", "channel".
        :param cooldown: shared by all calls on the same app's quota.
        :param request_timeout: seconds to wait for a connection, and each time for bytes.
        :param request_backoff: seconds before the second try; then twice that; jitter on top.
        """
        self.provider = provider
        self.base_url = base_url.rstrip("/")
        try:
            self.host = urlsplit(base_url).hostname or "The API"
        except ValueError:
            raise JobError(ErrorCode.CONFIG_INVALID, "The address of the API is not a valid URL.") from None
        self.account = account
        self.cooldown = cooldown
        self.request_timeout = request_timeout
        self.request_backoff = request_backoff
        self._sessions = threading.local()
        hide_query_strings()

    @property
    def session(self) -> requests.Session:
        """This thread's session."""
        if not hasattr(self._sessions, "session"):
            self._sessions.session = ApiSession()
        return self._sessions.session  # type: ignore[no-any-return]


class ApiClient:
    """An API for one account. Used by one thread at a time."""

    def __init__(
        self,
        api: Api,
        *,
        token: Sequence[str],
        auth: requests.auth.AuthBase,
        judge: Callable[[ApiAnswer], Verdict],
    ) -> None:
        """
        :param token: the parts of the account's token; most tokens have one.
        :param auth: puts the token where the API looks for it. A header is the best place.
        :param judge: says what an answer means. It keeps secrets out of the error's texts.
        """
        self._api = api
        self._token = tuple(token)
        self._auth = auth
        self._judge = judge
        self._cooldowns: Mapping[Quota, Cooldown] = {
            Quota.APP: api.cooldown,
            Quota.ACCOUNT: LocalCooldown(),
        }
        #: Requests made so far, retries included.
        self.http_calls = 0
        #: Bytes of all bodies so far, unzipped.
        self.bytes_received = 0

    def get(self, *path: str, **params: str | int) -> dict[str, Any]:
        """The object at ``path``.

        A short fault is retried twice, soon. A spent quota is not: each call prolongs the wait.

        :param path: segments. They are quoted here, because ids may hold any character.
        :param params: the query.
        :raises JobError: classified; :class:`TooMuchData` where asking for less may help.
        """
        return self._call("GET", path, params=params)

    def post(self, *path: str, form: Mapping[str, str]) -> dict[str, Any]:
        """Send ``form`` to ``path``; else as :meth:`get`. Only for what may be sent twice.

        :param form: goes into the body, urlencoded, so that no log of URLs shows it.
        """
        return self._call("POST", path, data=form)

    def _call(self, method: str, path: Sequence[str], **parts: Any) -> dict[str, Any]:
        """One call with its retries. ``parts`` are keyword arguments of ``requests``."""
        if not all(re.fullmatch(r"[!-~]+", part) for part in self._token):
            raise JobError(ErrorCode.TOKEN_INVALID, "The stored token is empty or not a valid token.")
        if any(not segment.strip(".") for segment in path):
            raise JobError(ErrorCode.OBJECT_NOT_FOUND, "The stored account id is empty or has only dots.")
        quoted = "".join("/" + quote(segment, safe="", errors="replace") for segment in path)
        backoff = self._api.request_backoff
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(_is_blip),
            stop=tenacity.stop_after_attempt(TRIES),
            wait=tenacity.wait_exponential_jitter(multiplier=backoff, jitter=backoff),
            reraise=True,
        )
        return retrying(self._request, method, quoted, parts)

    def _request(self, method: str, path: str, parts: Mapping[str, Any]) -> dict[str, Any]:
        """One request, unless a cooldown forbids it."""
        self._heed_cooldowns(path)
        self.http_calls += 1
        started = time.monotonic()
        answer, error = self._exchange(method, path, parts)
        verdict = self._judge(answer) if answer else Verdict()
        error = error or verdict.error
        body = answer.body if answer else None
        if answer and not error and not isinstance(body, dict):
            error = JobError(ErrorCode.RESPONSE_INVALID, without_explanation(answer.http_status, body))
        (log.warning if error else log.info)(
            "api request",
            path=path,
            http_status=answer.http_status if answer else None,
            outcome=error.code.value if error else "ok",
            code=error.provider_code if error else None,
            subcode=error.provider_subcode if error else None,
            trace_id=error.trace_id if error else None,
            milliseconds=round((time.monotonic() - started) * 1000),
            app_percent=verdict.spent.get(Quota.APP),
            account_percent=verdict.spent.get(Quota.ACCOUNT),
        )
        self._heed(verdict)
        if error:
            raise error
        return cast("dict[str, Any]", body)

    def _exchange(
        self, method: str, path: str, parts: Mapping[str, Any]
    ) -> tuple[ApiAnswer | None, JobError | None]:
        """Send and read. Returns errors: an error that is raised here would hold the URL in its context."""
        timeout = self._api.request_timeout
        deadline = time.monotonic() + DEADLINE_IN_TIMEOUTS * timeout
        try:
            with self._api.session.request(
                method,
                self._api.base_url + path,
                **parts,
                auth=self._auth,
                timeout=(timeout, timeout),
                allow_redirects=False,
                stream=True,
            ) as response:
                body = read_body(response, deadline=deadline, limit=MAX_BODY_BYTES)
        except _FAILURES as error:
            return None, connection_failure(error, self._api.host)
        self.bytes_received += len(body or b"")
        parsed = None if body is None else _json(body)
        params = parts.get("params")
        asked = params if isinstance(params, Mapping) else {}
        answer = ApiAnswer(response.status_code, response.headers, parsed, path, asked)
        if body is None:
            reason = f"The answer is larger than {MAX_BODY_BYTES} bytes."
            return answer, TooMuchData(ErrorCode.RESPONSE_INVALID, reason)
        return answer, None

    def _heed_cooldowns(self, path: str) -> None:
        words = {Quota.APP: "app", Quota.ACCOUNT: self._api.account}
        for quota, cooldown in self._cooldowns.items():
            if wait := cooldown.remaining():
                log.warning(
                    "api request not sent", path=path, quota=quota.value, seconds=round(wait.total_seconds())
                )
                raise JobError(
                    ErrorCode.RATE_LIMITED,
                    f"The {words[quota]}'s quota is spent: no call was made.",
                    retry_after=wait,
                )

    def _heed(self, verdict: Verdict) -> None:
        """Start the cooldowns that an answer calls for."""
        if (percent := verdict.spent.get(Quota.APP)) is not None:
            telemetry.api_usage(self._api.provider, percent)
        for quota, pause in verdict.pauses.items():
            self._cooldowns[quota].start(pause)
            telemetry.cooldown(self._api.provider, quota)


def _is_blip(error: BaseException) -> bool:
    return (
        isinstance(error, JobError)
        and not isinstance(error, TooMuchData)
        and error.error_class is ErrorClass.TRANSIENT
        and error.code is not ErrorCode.RATE_LIMITED
    )


def _json(body: bytes) -> object:
    """The parsed body; None when it is not JSON, or has too much nesting or too long numbers."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
