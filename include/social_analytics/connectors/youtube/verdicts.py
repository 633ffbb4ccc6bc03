"""What Google's answers mean for a job and for the project's quota.

Errors of the APIs: https://developers.google.com/youtube/v3/docs/errors. Errors of the token address:
https://developers.google.com/identity/protocols/oauth2/web-server#offline.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime, timedelta

from include.social_analytics.connectors.youtube import PROVIDER
from include.social_analytics.days import until_quota_returns
from include.social_analytics.errors import ErrorCode, JobError
from include.social_analytics.http.client import ApiAnswer, Quota, Verdict
from include.social_analytics.http.failures import (
    identifier,
    meaning_of_status,
    redact,
    without_explanation,
)
from include.social_analytics.json_values import at, objects, text

#: The wait for a quota that is not the day's, if Google names no time.
A_MINUTE = timedelta(minutes=1)

_TOKEN_ERRORS: Mapping[str, ErrorCode] = {
    "invalid_grant": ErrorCode.TOKEN_INVALID,
    # The client is wrong, deleted, or not the one that the channel was connected with.
    "invalid_client": ErrorCode.CONFIG_INVALID,
    "unauthorized_client": ErrorCode.CONFIG_INVALID,
    "deleted_client": ErrorCode.CONFIG_INVALID,
    "disabled_client": ErrorCode.CONFIG_INVALID,
    "invalid_request": ErrorCode.REQUEST_INVALID,
    "invalid_scope": ErrorCode.REQUEST_INVALID,
    "unsupported_grant_type": ErrorCode.REQUEST_INVALID,
    "rate_limit_exceeded": ErrorCode.RATE_LIMITED,
    "internal_failure": ErrorCode.API_UNAVAILABLE,
    "server_error": ErrorCode.API_UNAVAILABLE,
    "temporarily_unavailable": ErrorCode.API_UNAVAILABLE,
}

#: Google's words: reasons of its older error format and of its newer one, then statuses.
_MEANINGS: Mapping[str, ErrorCode] = {
    "authError": ErrorCode.TOKEN_INVALID,
    "ACCESS_TOKEN_EXPIRED": ErrorCode.TOKEN_INVALID,
    "insufficientPermissions": ErrorCode.PERMISSION_MISSING,
    "ACCESS_TOKEN_SCOPE_INSUFFICIENT": ErrorCode.PERMISSION_MISSING,
    "channelForbidden": ErrorCode.PERMISSION_MISSING,
    "playlistForbidden": ErrorCode.PERMISSION_MISSING,
    "playlistItemsNotAccessible": ErrorCode.PERMISSION_MISSING,
    "quotaExceeded": ErrorCode.RATE_LIMITED,
    "dailyLimitExceeded": ErrorCode.RATE_LIMITED,
    "rateLimitExceeded": ErrorCode.RATE_LIMITED,
    "userRateLimitExceeded": ErrorCode.RATE_LIMITED,
    "RATE_LIMIT_EXCEEDED": ErrorCode.RATE_LIMITED,
    "accessNotConfigured": ErrorCode.CONFIG_INVALID,
    "SERVICE_DISABLED": ErrorCode.CONFIG_INVALID,
    "CONSUMER_INVALID": ErrorCode.CONFIG_INVALID,
    "CONSUMER_SUSPENDED": ErrorCode.CONFIG_INVALID,
    "youtubeSignupRequired": ErrorCode.OBJECT_NOT_FOUND,
    "authenticatedUserNotChannel": ErrorCode.OBJECT_NOT_FOUND,
    "channelNotFound": ErrorCode.OBJECT_NOT_FOUND,
    "playlistNotFound": ErrorCode.OBJECT_NOT_FOUND,
    "channelClosed": ErrorCode.ACCOUNT_BLOCKED,
    "channelSuspended": ErrorCode.ACCOUNT_BLOCKED,
    "authenticatedUserAccountClosed": ErrorCode.ACCOUNT_BLOCKED,
    "authenticatedUserAccountSuspended": ErrorCode.ACCOUNT_BLOCKED,
    "backendError": ErrorCode.API_UNAVAILABLE,
    "internalError": ErrorCode.API_UNAVAILABLE,
    # Less exact than the words above.
    "forbidden": ErrorCode.PERMISSION_MISSING,
    "notFound": ErrorCode.OBJECT_NOT_FOUND,
    "badRequest": ErrorCode.REQUEST_INVALID,
    "UNAUTHENTICATED": ErrorCode.TOKEN_INVALID,
    "PERMISSION_DENIED": ErrorCode.PERMISSION_MISSING,
    "NOT_FOUND": ErrorCode.OBJECT_NOT_FOUND,
    "INVALID_ARGUMENT": ErrorCode.REQUEST_INVALID,
    "RESOURCE_EXHAUSTED": ErrorCode.RATE_LIMITED,
    "INTERNAL": ErrorCode.API_UNAVAILABLE,
    "UNAVAILABLE": ErrorCode.API_UNAVAILABLE,
}
_RANK = {word: rank for rank, word in enumerate(_MEANINGS)}


def token_verdict(answer: ApiAnswer, secrets: Collection[str]) -> Verdict:
    """What an answer of the token address means.

    :param secrets: texts that must not show in the reason, even if the API echoes them.
    """
    if 200 <= answer.http_status < 300:
        return Verdict()
    word = identifier(at(answer.body, "error"), secrets)
    code = _TOKEN_ERRORS.get(word or "")
    if code is None:
        code = meaning_of_status(answer.http_status, in_own_format=word is not None)
    message = at(answer.body, "error_description")
    return _verdict(answer, code, message if word else None, word, A_MINUTE, secrets)


def api_verdict(answer: ApiAnswer, secrets: Collection[str]) -> Verdict:
    """What an answer of the Analytics or the Data API means.

    :param secrets: texts that must not show in the reason, even if the API echoes them.
    """
    if 200 <= answer.http_status < 300:
        return Verdict()
    words = list(_words(answer.body, secrets))
    known = sorted((word for word in words if word in _RANK), key=_RANK.__getitem__)
    code = _MEANINGS[known[0]] if known else None
    message = at(answer.body, "error", "message")
    if code is None and words and answer.http_status == 400:
        code = ErrorCode.REQUEST_INVALID
    if code is None:
        # A gateway may answer with a code that repeats the status; Google's own errors also have a word.
        code = meaning_of_status(answer.http_status, in_own_format=bool(words))
    pause = A_MINUTE
    if code is ErrorCode.RATE_LIMITED and _is_of_the_day(known, message):
        pause = until_quota_returns(datetime.now(UTC), PROVIDER.timezone)
    # The word of the older format is the one that is documented.
    return _verdict(answer, code, message if words else None, next(iter(words), None), pause, secrets)


def _is_of_the_day(words: Collection[str], message: object) -> bool:
    """Whether a used-up quota is the day's. Google counts calls a minute, too, under the same words."""
    said = message.lower() if isinstance(message, str) else ""
    if "per day" in said or "daily" in said:
        return True
    return "per minute" not in said and not {"quotaExceeded", "dailyLimitExceeded"}.isdisjoint(words)


def _words(body: object, secrets: Collection[str]) -> Iterable[str]:
    """The words for the error, as Google gave them: of the older format, of the newer one, and the status."""
    error = at(body, "error")
    of_both = [*objects(at(error, "errors")), *objects(at(error, "details"))]
    for value in (*(one.get("reason") for one in of_both), at(error, "status")):
        if word := identifier(value, secrets):
            yield word


def _verdict(
    answer: ApiAnswer,
    code: ErrorCode,
    message: object,
    word: str | None,
    pause: timedelta,
    secrets: Collection[str],
) -> Verdict:
    said = text(message, 2000)
    throttled = code is ErrorCode.RATE_LIMITED
    seconds = answer.headers.get("Retry-After", "").strip()
    if seconds.isascii() and seconds.isdigit():
        pause = max(pause, timedelta(seconds=min(int(seconds[:9]), 86_400)))
    error = JobError(
        code,
        redact(said, secrets) if said else without_explanation(answer.http_status, answer.body),
        provider_code=word,
        retry_after=pause if throttled else None,
    )
    return Verdict(error, pauses={Quota.APP: pause} if throttled else {})
