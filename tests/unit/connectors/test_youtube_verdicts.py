"""What Google's answers mean, without a server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from include.social_analytics.connectors.youtube import PROVIDER
from include.social_analytics.connectors.youtube.verdicts import api_verdict, token_verdict
from include.social_analytics.days import until_quota_returns
from include.social_analytics.errors import ErrorCode
from include.social_analytics.http.client import ApiAnswer, Quota, Verdict

SECRET = "ya29.a0-a-secret-of-this-account-1"


def answer(status: int, body: object, **headers: str) -> ApiAnswer:
    return ApiAnswer(
        status, {name.replace("_", "-"): value for name, value in headers.items()}, body, "/", {}
    )


def google(http_status: int, reason: str | None, message: object = "Sorry.", **more: object) -> Any:
    errors = [{"domain": "global", "reason": reason, "message": message}] if reason else []
    return {"error": {"code": http_status, "message": message, "errors": errors, **more}}


def judged(status: int, body: object, **headers: str) -> Verdict:
    return api_verdict(answer(status, body, **headers), [SECRET])


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (401, google(401, "authError"), ErrorCode.TOKEN_INVALID),
        (401, google(401, None, status="UNAUTHENTICATED"), ErrorCode.TOKEN_INVALID),
        (403, google(403, "insufficientPermissions"), ErrorCode.PERMISSION_MISSING),
        (403, google(403, "forbidden", status="PERMISSION_DENIED"), ErrorCode.PERMISSION_MISSING),
        (403, google(403, "quotaExceeded"), ErrorCode.RATE_LIMITED),
        (403, google(403, "rateLimitExceeded"), ErrorCode.RATE_LIMITED),
        (429, google(429, "somethingNew", status="RESOURCE_EXHAUSTED"), ErrorCode.RATE_LIMITED),
        (403, google(403, "accessNotConfigured", status="PERMISSION_DENIED"), ErrorCode.CONFIG_INVALID),
        (
            403,
            google(403, "forbidden", status="PERMISSION_DENIED", details=[{"reason": "SERVICE_DISABLED"}]),
            ErrorCode.CONFIG_INVALID,
        ),
        (403, google(403, "youtubeSignupRequired"), ErrorCode.OBJECT_NOT_FOUND),
        (404, google(404, "notFound"), ErrorCode.OBJECT_NOT_FOUND),
        (403, google(403, "authenticatedUserAccountClosed"), ErrorCode.ACCOUNT_BLOCKED),
        (400, google(400, "badRequest", status="INVALID_ARGUMENT"), ErrorCode.REQUEST_INVALID),
        (400, google(400, "aReasonOfTomorrow"), ErrorCode.REQUEST_INVALID),
        (500, google(500, "backendError"), ErrorCode.API_UNAVAILABLE),
        (503, google(503, None), ErrorCode.API_UNAVAILABLE),
        (403, google(403, "aReasonOfTomorrow"), ErrorCode.PERMISSION_MISSING),
    ],
)
def test_an_error_in_googles_format_is_classified_by_its_words(status, body, code) -> None:
    assert judged(status, body).error.code is code


@pytest.mark.parametrize(
    "body",
    [
        None,
        {},
        {"error": "Forbidden"},
        {"error": {"code": 403, "message": "Forbidden"}},
        {"error": {"errors": "none"}},
        {"detail": "Not Found"},
        [],
        "x",
    ],
)
@pytest.mark.parametrize("status", [301, 401, 403, 404])
def test_a_status_in_another_format_says_nothing_about_the_channel(status, body) -> None:
    assert judged(status, body).error.code is ErrorCode.RESPONSE_INVALID


@pytest.mark.parametrize(
    ("word", "code"),
    [
        ("invalid_grant", ErrorCode.TOKEN_INVALID),
        ("invalid_client", ErrorCode.CONFIG_INVALID),
        ("unauthorized_client", ErrorCode.CONFIG_INVALID),
        ("temporarily_unavailable", ErrorCode.API_UNAVAILABLE),
    ],
)
def test_a_refusal_of_the_token_address_is_classified_by_its_word(word, code) -> None:
    body = {"error": word, "error_description": "Sorry."}
    verdict = token_verdict(answer(401, body), [SECRET])
    assert (verdict.error.code, verdict.error.provider_code) == (code, word)


@pytest.mark.parametrize("body", [None, {}, {"error": {"code": 401}}, "invalid_grant", {"error": "a b"}])
def test_a_proxy_at_the_token_address_says_nothing_about_the_channel(body) -> None:
    assert token_verdict(answer(401, body), []).error.code is ErrorCode.RESPONSE_INVALID


@pytest.mark.parametrize(
    ("reason", "message", "is_of_the_day"),
    [
        ("quotaExceeded", "You have exceeded your quota.", True),
        ("dailyLimitExceeded", "Daily Limit Exceeded. The quota will be reset at midnight.", True),
        ("rateLimitExceeded", "Quota exceeded for limit 'Queries per day' of service", True),
        ("rateLimitExceeded", "Quota exceeded for limit 'Queries per minute' of service", False),
        ("quotaExceeded", "Quota exceeded for limit 'Queries per minute per user'", False),
        ("userRateLimitExceeded", None, False),
        ("rateLimitExceeded", 3, False),
    ],
)
def test_only_the_quota_of_the_day_rests_until_midnight(reason, message, is_of_the_day) -> None:
    now = datetime.now(UTC)
    verdict = judged(403, google(403, reason, message))
    assert verdict.pauses[Quota.APP] == verdict.error.retry_after
    wanted = until_quota_returns(now, PROVIDER.timezone) if is_of_the_day else timedelta(minutes=1)
    assert abs(verdict.error.retry_after - wanted) < timedelta(minutes=1)


def test_a_longer_wait_that_google_names_counts_up_to_a_day() -> None:
    body = google(429, "rateLimitExceeded")
    assert judged(429, body, Retry_After="600").error.retry_after == timedelta(minutes=10)
    assert judged(429, body, Retry_After="9" * 20).error.retry_after == timedelta(days=1)
    assert judged(429, body, Retry_After="soon").error.retry_after == timedelta(minutes=1)


def test_an_error_that_is_no_used_up_quota_pauses_nothing() -> None:
    verdict = judged(500, google(500, "backendError"), Retry_After="600")
    assert (verdict.pauses, verdict.error.retry_after) == ({}, None)


@pytest.mark.parametrize(
    ("now", "hours"),
    [
        (datetime(2026, 7, 1, 7, tzinfo=UTC), 24),
        (datetime(2026, 1, 1, 20, tzinfo=UTC), 12),
        # On these two, the day has 23 and 25 hours.
        (datetime(2026, 3, 8, 8, tzinfo=UTC), 23),
        (datetime(2026, 11, 1, 7, tzinfo=UTC), 25),
    ],
)
def test_the_quota_returns_a_minute_after_midnight_in_los_angeles(now, hours) -> None:
    assert until_quota_returns(now, PROVIDER.timezone) == timedelta(hours=hours, minutes=1)


def test_no_secret_that_google_echoes_is_in_the_error() -> None:
    said = f"Invalid token {SECRET} of client_secret=GOCSPX-abc and refresh_token=1//0gabc"
    for verdict in (
        judged(401, google(401, SECRET, said)),
        token_verdict(answer(400, {"error": "invalid_grant", "error_description": said}), [SECRET]),
    ):
        shown = repr(vars(verdict.error)) + str(verdict.error)
        assert not [secret for secret in (SECRET, "GOCSPX", "1//0g") if secret in shown]
