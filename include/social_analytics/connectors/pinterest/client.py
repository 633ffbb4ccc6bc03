"""Requests to Pinterest's API, and what its errors mean."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from include.social_analytics.errors import ErrorCode, JobError
from include.social_analytics.http.client import Api, ApiAnswer, ApiClient, Quota, Verdict
from include.social_analytics.http.failures import (
    identifier,
    meaning_of_status,
    redact,
    without_explanation,
)
from include.social_analytics.http.transport import BearerToken
from include.social_analytics.json_values import text

VERSION = "v5"
#: "Authorization failed", "Not authorized", "You are not permitted": even with HTTP 401 the token is fine.
NO_PERMISSION = frozenset({3, 7, 29})
#: The header with the id of the request. Each of Pinterest's answers has it.
REQUEST_ID = "x-pinterest-rid"
#: Pinterest counts an account's calls by the second and the minute. Only the app's quota is for a day.
LONGEST_OF_ACCOUNT = timedelta(minutes=1)
LONGEST_OF_APP = timedelta(days=1)


class PinterestClient(ApiClient):
    """Pinterest's API for one account. Used by one thread at a time."""

    def __init__(self, api: Api, token: str) -> None:
        super().__init__(api, token=[token], auth=BearerToken(token), judge=self._verdict)
        self._secrets = (token,)

    def get(self, *path: str, **params: str | int) -> dict[str, Any]:
        """The object at ``path``, below the version; see :meth:`ApiClient.get`."""
        return super().get(VERSION, *path, **params)

    def _verdict(self, answer: ApiAnswer) -> Verdict:
        if 200 <= answer.http_status < 300:
            return Verdict()
        code, message = _own_error(answer)
        meaning = _meaning(answer.http_status, code, message)
        wait = _until_reset(answer.headers) if meaning is ErrorCode.RATE_LIMITED else None
        error = JobError(
            meaning,
            redact(message, self._secrets) or without_explanation(answer.http_status, answer.body),
            provider_code=None if code is None else str(code),
            trace_id=identifier(answer.headers.get(REQUEST_ID), self._secrets),
            retry_after=wait,
        )
        if wait is None:
            return Verdict(error)
        quota = Quota.ACCOUNT if wait <= LONGEST_OF_ACCOUNT else Quota.APP
        return Verdict(error, pauses={quota: wait})


def _own_error(answer: ApiAnswer) -> tuple[int | None, str]:
    """The code and message of Pinterest's own kind of error, ``{"code": 2, "message": "…"}``.

    A gateway's error may look like it. But its code repeats the status, and it has no id of Pinterest's.
    """
    fields = answer.body if isinstance(answer.body, dict) else {}
    code, message = fields.get("code"), text(fields.get("message"), 2000)
    if isinstance(code, bool) or not isinstance(code, int) or abs(code) >= 2**31 or message is None:
        return None, ""
    if code == answer.http_status and REQUEST_ID not in answer.headers:
        return None, ""
    return code, message


def _meaning(http_status: int, code: int | None, message: str) -> ErrorCode:
    """What an error means. The same code means something else with another status, so both decide."""
    said = message.lower()
    if code == 8:
        return ErrorCode.RATE_LIMITED
    if code in NO_PERMISSION and http_status in (401, 403):
        # "Your application consumer type is not supported": Pinterest has not approved the app.
        return ErrorCode.CONFIG_INVALID if "consumer type" in said else ErrorCode.PERMISSION_MISSING
    if code is not None and http_status == 400:
        # "Sorry! Something went wrong on our end."
        return ErrorCode.API_UNAVAILABLE if "on our end" in said else ErrorCode.REQUEST_INVALID
    return meaning_of_status(http_status, in_own_format=code is not None)


def _until_reset(headers: Mapping[str, str]) -> timedelta | None:
    """How long the quota stays spent, as far as the API says."""
    seconds = headers.get("X-RateLimit-Reset", "").strip()
    if not re.fullmatch(r"\d{1,9}", seconds, re.ASCII) or int(seconds) == 0:
        return None
    return min(timedelta(seconds=int(seconds)), LONGEST_OF_APP)
