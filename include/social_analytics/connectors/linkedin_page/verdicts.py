"""What an error of LinkedIn's API means for a job: https://learn.microsoft.com/linkedin/shared/api-guide/concepts/error-handling."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta

from include.social_analytics.connectors.linkedin_page import PROVIDER
from include.social_analytics.days import until_quota_returns
from include.social_analytics.errors import ErrorCode, JobError
from include.social_analytics.http.failures import (
    identifier,
    meaning_of_status,
    redact,
    without_explanation,
)
from include.social_analytics.json_values import text

#: The versions of the API that are no longer served, and calls without one.
_VERSION_CODES = frozenset({"NONEXISTENT_VERSION", "VERSION_MISSING"})
#: What is wrong with the request itself.
_REQUEST_STATUSES = frozenset({400, 405, 413, 414, 422})
_CODE = re.compile(r"[A-Z][A-Z0-9_]{2,99}", re.ASCII)
#: An error without a code is LinkedIn's own if it says something that only LinkedIn says.
_OWN_WORDS = re.compile(r"urn:li:|throttle|VisibilityReduction|unpermitted fields", re.IGNORECASE)
_LOOKED_AT = 2000
#: "Resource level throttle MEMBER DAY limit for calls to this resource is reached."
_DAILY = re.compile(r"\bthrottle\b(?!.*\b(?:SECOND|MINUTE|HOUR)\b)", re.IGNORECASE)
#: The wait for a quota that is not the day's.
A_MINUTE = timedelta(minutes=1)


def classify(
    http_status: int, body: object, headers: Mapping[str, str], *, secrets: Collection[str], now: datetime
) -> JobError:
    """The failure that an answer means.

    :param body: parsed; anything but LinkedIn's own format tells only its HTTP status.
    :param secrets: texts that must not show in the reason, even if the API echoes them.
    :param now: tells how long a spent quota lasts.
    """
    fields = body if isinstance(body, dict) else {}
    message = text(fields.get("message"), _LOOKED_AT) or ""
    word, number = _code(fields.get("code")), _number(fields.get("serviceErrorCode"))
    is_own = (
        fields.get("status") == http_status
        and bool(message)
        and bool(word or number or _OWN_WORDS.search(message))
    )
    if not is_own:
        meaning = meaning_of_status(http_status, in_own_format=False)
        return JobError(meaning, without_explanation(http_status, body))
    meaning = _meaning(http_status, word, message)
    return JobError(
        meaning,
        " ".join(redact(message, secrets).split()),
        provider_code=word or number,
        provider_subcode=number if word else None,
        trace_id=identifier(headers.get("x-li-uuid"), secrets),
        retry_after=_pause(message, now) if meaning is ErrorCode.RATE_LIMITED else None,
    )


def is_of_the_member(error: JobError) -> bool:
    """Whether a spent quota is only that of the member who connected the page, and not the app's."""
    return "MEMBER" in error.reason


def _pause(message: str, now: datetime) -> timedelta:
    """How long a spent quota lasts. Its own words tell that it is the day's."""
    return until_quota_returns(now, PROVIDER.timezone) if _DAILY.search(message) else A_MINUTE


def _meaning(http_status: int, word: str | None, message: str) -> ErrorCode:
    if http_status == 426 or word in _VERSION_CODES:
        return ErrorCode.CONFIG_INVALID
    # A parameter that the API does not know, though its status and code are those of a missing permission.
    if "unpermitted fields" in message.lower():
        return ErrorCode.REQUEST_INVALID
    # The path is unknown. What is not there of the page itself has the code NOT_FOUND.
    if word == "RESOURCE_NOT_FOUND" or http_status in _REQUEST_STATUSES:
        return ErrorCode.REQUEST_INVALID
    return meaning_of_status(http_status, in_own_format=True)


def _code(value: object) -> str | None:
    return value if isinstance(value, str) and _CODE.fullmatch(value) else None


def _number(value: object) -> str | None:
    is_code = isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**9
    return str(value) if is_code else None
