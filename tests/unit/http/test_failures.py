"""What an error may say about a failed request."""

from __future__ import annotations

import pytest

from include.social_analytics.errors import ErrorCode, ResolvedBy
from include.social_analytics.http.failures import identifier, meaning_of_status, redact


def test_a_secret_that_is_quoted_as_in_a_form_is_redacted() -> None:
    assert redact("Bad value 1%2F%2F0a-token of 1//0a-token", ["1//0a-token"]) == (
        "Bad value [redacted] of [redacted]"
    )


@pytest.mark.parametrize("http_status", [200, 302, 400, 401, 403, 404, 407, 429, 451, 500, 503])
def test_a_status_alone_is_never_the_owners_to_resolve(http_status: int) -> None:
    meaning = meaning_of_status(http_status, in_own_format=False)
    assert meaning.resolved_by is ResolvedBy.TIME


@pytest.mark.parametrize(
    ("http_status", "expected"),
    [
        (401, ErrorCode.TOKEN_INVALID),
        (403, ErrorCode.PERMISSION_MISSING),
        (404, ErrorCode.OBJECT_NOT_FOUND),
        (429, ErrorCode.RATE_LIMITED),
        (503, ErrorCode.API_UNAVAILABLE),
        (400, ErrorCode.UNEXPECTED),
    ],
)
def test_a_status_means_something_in_the_providers_own_error(http_status: int, expected: ErrorCode) -> None:
    assert meaning_of_status(http_status, in_own_format=True) is expected


def test_a_short_secret_and_a_proof_are_removed_too() -> None:
    text = "Invalid appsecret_proof=abcdef0123 for page-token-1 and https://x.test/a?q#f"
    assert redact(text, ["page-token-1", ""]) == (
        "Invalid appsecret_proof=[redacted] for [redacted] and https://x.test/a"
    )


def test_an_ordinary_message_stays_as_it_is() -> None:
    text = (
        "(#100) Object with ID '1234567890123456_122101234567890123' does not exist, cannot be loaded due to "
        "missing permissions, or page_video_complete_views_30s_repeat_views? Error validating access token: "
    )
    assert redact(text).startswith(text[:140])
    assert (
        redact("What? Why is this OAuth access token wrong?") == "What? Why is this OAuth access token wrong?"
    )


@pytest.mark.parametrize("value", ["quotaExceeded", "7", "PERMISSION_DENIED", "AbC-1_d", "a/b+c=", "65601.1"])
def test_a_code_or_trace_id_is_kept_unchanged(value: str) -> None:
    assert identifier(value) == value


@pytest.mark.parametrize(
    "value",
    ["", "two words", "a\x00b", "ü", "\ud800", "a" * 101, "the-secret", "EAAtoken0123456789", 190, None, []],
)
def test_an_invalid_code_or_trace_id_or_a_possible_secret_is_left_out(value: object) -> None:
    assert identifier(value, ["the-secret"]) is None
