"""What LinkedIn's errors mean, and what its queries and texts look like."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from include.social_analytics.connectors.linkedin_page.client import is_ending, version_ends
from include.social_analytics.connectors.linkedin_page.posts import _message
from include.social_analytics.connectors.linkedin_page.restli import (
    day_of,
    each_day,
    encoded,
    list_of,
    moment_of,
)
from include.social_analytics.connectors.linkedin_page.verdicts import (
    classify,
    is_of_the_member,
)
from include.social_analytics.errors import ErrorClass, ErrorCode, JobError

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
TOKEN = "AQXdSP_W41_UPs5ioT_t8HESyODB4FqbkJ8LrV_5mff4gPODzOYR"
MIDNIGHT = 1_795_219_200_000  # 2026-11-21 00:00 UTC
A_DAY = 86_400_000


def verdict(status: int, body: object) -> JobError:
    return classify(status, body, {"x-li-uuid": "AAYtA8Qvs/Q="}, secrets=[TOKEN], now=NOW)


def error(status: int, message: str, code: str | None = None, number: int | None = None) -> JobError:
    fields = {"status": status, "message": message, "code": code, "serviceErrorCode": number}
    return verdict(status, {name: value for name, value in fields.items() if value is not None})


@pytest.mark.parametrize(
    ("status", "message", "code", "number", "meaning"),
    [
        (401, "Invalid access token", "INVALID_ACCESS_TOKEN", 65600, ErrorCode.TOKEN_INVALID),
        (401, "The token has been revoked", "REVOKED_ACCESS_TOKEN", 65601, ErrorCode.TOKEN_INVALID),
        (401, "The token used in the request has expired", None, 65602, ErrorCode.TOKEN_INVALID),
        (
            403,
            "Not enough permissions to access: organizationPageStatistics.FINDER-organization.20260301",
            "ACCESS_DENIED",
            100,
            ErrorCode.PERMISSION_MISSING,
        ),
        (
            403,
            "Viewer don't have permission to the ADMIN_ONLY VisibilityReduction for urn:li:organization:1",
            None,
            None,
            ErrorCode.PERMISSION_MISSING,
        ),
        (
            403,
            "Unpermitted fields present in PARAMETER: Data Processing Exception while processing fields "
            "[/shares[0]]",
            "ACCESS_DENIED",
            100,
            ErrorCode.REQUEST_INVALID,
        ),
        (404, "Organization 1 is inactive", "NOT_FOUND", None, ErrorCode.OBJECT_NOT_FOUND),
        (404, "No virtual resource found", "RESOURCE_NOT_FOUND", 0, ErrorCode.REQUEST_INVALID),
        (400, "Invalid time bound", "ILLEGAL_ARGUMENT", None, ErrorCode.REQUEST_INVALID),
        (400, "A version must be present.", "VERSION_MISSING", None, ErrorCode.CONFIG_INVALID),
        (
            426,
            "Requested version 20250301 is not active",
            "NONEXISTENT_VERSION",
            None,
            ErrorCode.CONFIG_INVALID,
        ),
        (
            429,
            "Resource level throttle APPLICATION DAY limit for calls to this resource is reached.",
            None,
            None,
            ErrorCode.RATE_LIMITED,
        ),
        (500, "Internal Server Error", "INTERNAL_SERVER_ERROR", 0, ErrorCode.API_UNAVAILABLE),
        (503, "Service Unavailable", None, 0, ErrorCode.API_UNAVAILABLE),
        (409, "Something new", "CONFLICT", 0, ErrorCode.UNEXPECTED),
    ],
)
def test_an_error_in_linkedins_own_format_means(status, message, code, number, meaning) -> None:
    found = error(status, message, code, number)
    assert found.code is meaning
    assert found.reason == message
    assert found.trace_id == "AAYtA8Qvs/Q="
    assert found.provider_code == (code or (str(number) if number is not None else None))


@pytest.mark.parametrize("status", [400, 401, 403, 404, 426])
@pytest.mark.parametrize(
    "body",
    [
        None,
        {},
        [],
        {"message": "Forbidden"},
        {"error": "Not Found"},
        {"status": 200, "code": "ACCESS_DENIED", "message": "of another status"},
        {"code": "ACCESS_DENIED", "message": "without a status"},
        {"status": "own", "message": "The proxy says no."},
        {"status": "own", "code": 403, "message": "The proxy says no."},
        {"status": "own", "code": "no such thing", "message": "The proxy says no."},
        {"status": "own", "code": "ACCESS_DENIED"},
    ],
)
def test_what_is_not_linkedins_own_format_says_nothing_about_the_page(status: int, body: object) -> None:
    if isinstance(body, dict) and body.get("status") == "own":
        body = body | {"status": status}
    found = verdict(status, body)
    assert (found.code, found.error_class) == (ErrorCode.RESPONSE_INVALID, ErrorClass.TRANSIENT)


def test_a_proxys_429_does_not_stop_the_app_until_midnight() -> None:
    found = verdict(429, {"message": "slow down"})
    assert (found.code, found.retry_after) == (ErrorCode.RATE_LIMITED, None)


@pytest.mark.parametrize(
    ("words", "is_the_members"),
    [
        ("APPLICATION DAY ", False),
        ("MEMBER DAY ", True),
        ("APPLICATION_AND_MEMBER DAY ", True),
        ("", False),
    ],
)
def test_a_spent_quota_of_the_day_lasts_until_a_minute_after_midnight_in_utc(
    words: str, is_the_members: bool
) -> None:
    found = error(429, f"Resource level throttle {words}limit for calls to this resource is reached.")
    assert found.retry_after == timedelta(hours=14, minutes=31)
    assert is_of_the_member(found) is is_the_members


@pytest.mark.parametrize(
    "message", ["Resource throttle APPLICATION MINUTE limit reached.", "Too many requests"]
)
def test_a_quota_of_a_shorter_time_does_not_last_until_midnight(message: str) -> None:
    found = error(429, message, "TOO_MANY_REQUESTS", 101)
    assert (found.code, found.retry_after) == (ErrorCode.RATE_LIMITED, timedelta(minutes=1))


def test_a_token_that_an_error_repeats_is_not_in_the_reason() -> None:
    assert TOKEN not in error(401, f"The token {TOKEN} is invalid", "INVALID_ACCESS_TOKEN").reason


# Versions


@pytest.mark.parametrize(
    ("version", "ends"),
    [("202601", date(2027, 1, 15)), ("202603", date(2027, 3, 15)), ("202512", date(2026, 12, 15))],
)
def test_a_version_ends_on_the_15th_of_its_month_a_year_later(version: str, ends: date) -> None:
    assert version_ends(version) == ends


@pytest.mark.parametrize(
    ("version", "first_warning"),
    [("202603", date(2026, 12, 15)), ("202601", date(2026, 10, 15)), ("202604", date(2027, 1, 15))],
)
def test_the_warning_begins_three_months_before(version: str, first_warning: date) -> None:
    assert is_ending(version, first_warning)
    assert not is_ending(version, first_warning - timedelta(days=1))
    assert is_ending(version, first_warning + timedelta(days=500))


# Rest.li


def test_only_what_stands_between_the_signs_of_a_query_is_encoded() -> None:
    assert encoded("urn:li:organization:1") == "urn%3Ali%3Aorganization%3A1"
    assert list_of(["urn:li:share:1", "a(b),c&d=e"]) == "List(urn%3Ali%3Ashare%3A1,a%28b%29%2Cc%26d%3De)"


def test_an_interval_begins_and_ends_at_midnight_in_utc() -> None:
    assert each_day(date(2026, 11, 21), date(2026, 11, 22)) == (
        f"(timeRange:(start:{MIDNIGHT},end:{MIDNIGHT + 2 * A_DAY}),timeGranularityType:DAY)"
    )


def test_the_day_of_an_element_is_that_of_its_range() -> None:
    assert day_of({"timeRange": {"start": MIDNIGHT, "end": MIDNIGHT + A_DAY}}) == date(2026, 11, 21)


@pytest.mark.parametrize(
    "range_",
    [
        None,
        {},
        {"start": MIDNIGHT},
        {"start": MIDNIGHT, "end": MIDNIGHT + 2 * A_DAY},
        {"start": MIDNIGHT + 3_600_000, "end": MIDNIGHT + A_DAY + 3_600_000},
        {"start": str(MIDNIGHT), "end": str(MIDNIGHT + A_DAY)},
        {"start": 10**30, "end": 10**30 + A_DAY},
    ],
)
def test_a_range_that_is_no_day_in_utc_has_no_day(range_: object) -> None:
    assert day_of({"timeRange": range_}) is None


@pytest.mark.parametrize("value", [None, True, "1795219200000", 1.5, -(10**20), 10**20, 0, {}])
def test_what_is_no_moment_of_these_days_is_none(value: object) -> None:
    assert moment_of(value) is None


# Texts


@pytest.mark.parametrize(
    ("written", "seen"),
    [
        (r"Hiring\! \(hall 3\) 50\% \#1", r"Hiring\! (hall 3) 50\% #1"),
        ("With @[Harbour Books](urn:li:organization:4) today", "With Harbour Books today"),
        (r"{hashtag|\#|WorldBookDay} {hashtag|#|two}", "#WorldBookDay #two"),
        ("a\x00b", "ab"),
        ("", None),
        (None, None),
        (["a"], None),
    ],
)
def test_a_posts_text_is_what_people_see(written: object, seen: str | None) -> None:
    assert _message(written) == seen
