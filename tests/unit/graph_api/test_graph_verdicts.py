"""The error table, row by row, and what a reason never contains."""

from __future__ import annotations

import time
import traceback
from datetime import timedelta
from typing import Any

import pytest

from include.social_analytics.errors import ErrorClass, ErrorCode
from include.social_analytics.graph_api.verdicts import classify
from include.social_analytics.http.failures import TooMuchData, redact

TOKEN = "EAAGm0PX4ZCpsBAKZBzqYvTkq3ZCw8hV7LkZD"


def error(**fields: Any) -> dict[str, Any]:
    return {"error": {"type": "OAuthException", "message": "Something.", **fields}}


@pytest.mark.parametrize(
    ("http_status", "fields", "expected"),
    [
        (500, {"code": 1}, "api_unavailable"),
        (503, {"code": 2, "is_transient": True}, "api_unavailable"),
        (400, {"code": 3}, "request_invalid"),
        (403, {"code": 4}, "rate_limited"),
        (403, {"code": 10}, "permission_missing"),
        (400, {"code": 17, "is_transient": True}, "rate_limited"),
        (400, {"code": 21}, "object_not_found"),
        (400, {"code": 32}, "rate_limited"),
        (
            400,
            {"code": 100, "message": "(#100) The value must be a valid insights metric"},
            "request_invalid",
        ),
        (400, {"code": 100, "error_subcode": 33}, "object_not_found"),
        (400, {"code": 100, "message": "Object with ID '1' does not exist"}, "object_not_found"),
        (400, {"code": 100, "message": "Invalid appsecret_proof provided"}, "config_invalid"),
        (400, {"code": 102}, "token_invalid"),
        *[(400, {"code": n}, "config_invalid") for n in (5, 15, 101, 104)],
        # About the app, though the code is one for a token or a permission.
        (
            400,
            {"code": 190, "message": "Error validating application. Application has been deleted."},
            "config_invalid",
        ),
        (
            400,
            {
                "code": 200,
                "message": "(#200) Access to this data is temporarily disabled for non-active apps or apps "
                "that have not recently accessed this data",
            },
            "config_invalid",
        ),
        (403, {"code": 200, "message": "(#200) Provide valid app ID"}, "config_invalid"),
        (
            400,
            {"code": 1, "message": "You must use https:// when passing an access token"},
            "config_invalid",
        ),
        *[
            (400, {"code": 190, "error_subcode": n}, "token_invalid")
            for n in (458, 459, 460, 463, 464, 467, 492)
        ],
        (401, {"code": 190}, "token_invalid"),
        (400, {"error_subcode": 463}, "token_invalid"),
        *[(403, {"code": n}, "permission_missing") for n in (200, 210, 283, 299)],
        (400, {"code": 341}, "rate_limited"),
        (400, {"code": 368}, "account_blocked"),
        (400, {"code": 613}, "rate_limited"),
        (400, {"code": 803}, "object_not_found"),
        (400, {"code": 960}, "api_unavailable"),
        (400, {"code": 7777, "error_subcode": 99}, "api_unavailable"),
        (400, {"code": 2500}, "request_invalid"),
        *[
            (400, {"code": n}, "rate_limited")
            for n in (80000, 80001, 80002, 80003, 80004, 80005, 80006, 80008)
        ],
        *[(400, {"code": n}, "rate_limited") for n in (80009, 80014)],
        # Not in the table: is_transient decides, then the status, never the type.
        (403, {"code": 7777, "is_transient": True}, "api_unavailable"),
        (401, {"code": 7777}, "token_invalid"),
        (403, {"code": 7777}, "permission_missing"),
        (404, {"code": 7777}, "object_not_found"),
        (429, {"code": 7777}, "rate_limited"),
        (500, {"code": 7777}, "api_unavailable"),
        (400, {"code": 7777}, "unexpected"),
        (400, {"code": 7777, "is_transient": False}, "unexpected"),
        # A permanent code stays permanent whatever else the answer says.
        (500, {"code": 190, "is_transient": True}, "token_invalid"),
        # Codes of other types.
        (400, {"code": "190"}, "token_invalid"),
        (200, {"message": "(#200) Requires a page token"}, "permission_missing"),
        (400, {"code": None, "message": "(#17) User request limit reached"}, "rate_limited"),
        (400, {"code": True}, "unexpected"),
        (400, {"code": [190]}, "unexpected"),
        (400, {"code": 10**40}, "unexpected"),
    ],
)
def test_each_row_of_the_error_table(http_status: int, fields: dict[str, Any], expected: str) -> None:
    assert classify(http_status, error(**fields)).code == expected


@pytest.mark.parametrize(
    ("http_status", "expected"),
    [
        (200, "response_invalid"),
        (302, "response_invalid"),
        (400, "response_invalid"),
        (401, "token_invalid"),
        (403, "permission_missing"),
        (404, "object_not_found"),
        (429, "rate_limited"),
        (500, "api_unavailable"),
        (503, "api_unavailable"),
    ],
)
@pytest.mark.parametrize("answer", [None, [], {}, "text", 7])
def test_an_answer_without_an_error_object_is_judged_by_its_status(
    http_status: int, expected: str, answer: object
) -> None:
    assert classify(http_status, answer).code == expected


@pytest.mark.parametrize("value", ["oops", 7, [], [{}], {}, {"message": {}}, {"error_subcode": "x"}, False])
def test_an_error_of_the_wrong_shape_is_transient(value: object) -> None:
    assert classify(200, {"error": value}).error_class is ErrorClass.TRANSIENT


def test_code_subcode_and_trace_are_kept() -> None:
    failure = classify(400, error(code="190", error_subcode="460", fbtrace_id="AbC-1_d"))
    assert (failure.provider_code, failure.provider_subcode, failure.trace_id) == ("190", "460", "AbC-1_d")


@pytest.mark.parametrize("code", [2**31, -(2**31) - 1, 10**40, "99999999999", "1" * 5000, 1.5, {}, None])
def test_a_number_too_large_for_a_code_is_left_out(code: object) -> None:
    failure = classify(400, error(code=code, error_subcode=code))
    assert failure.provider_code is None
    assert failure.provider_subcode is None


def test_only_a_throttle_keeps_the_wait() -> None:
    wait = timedelta(minutes=19)
    assert classify(400, error(code=32), retry_after=wait).retry_after == wait
    assert classify(503, error(code=2), retry_after=wait).retry_after is None


def test_too_much_data_is_distinguished_from_other_outages() -> None:
    failure = classify(500, error(code=1, message="Please reduce the amount of data you're asking for"))
    assert isinstance(failure, TooMuchData)
    assert failure.code is ErrorCode.API_UNAVAILABLE
    assert not isinstance(classify(500, error(code=1)), TooMuchData)


@pytest.mark.parametrize(
    "text",
    [
        f"Malformed access token {TOKEN}",
        f"Malformed access token {TOKEN}garbage",
        f"GET https://graph.facebook.com/v25.0/1/insights?access_token={TOKEN}&metric=x failed",
        f"access_token: {TOKEN}",
        f'{{"access_token":"{TOKEN}"}}',
        f"Authorization: Bearer {TOKEN}",
        f"/v25.0/me?fields=id&access_token={TOKEN}",
        f"input_token%3D{TOKEN}",
    ],
)
def test_no_reason_contains_a_token(text: str) -> None:
    assert TOKEN not in redact(text)
    assert TOKEN[:20] not in classify(400, error(code=190, message=text)).reason


@pytest.mark.parametrize("word", ["a", "access_token"])
def test_redacting_the_longest_possible_message_takes_little_time(word: str) -> None:
    message = word * (50_000 // len(word)) + TOKEN
    began = time.monotonic()
    reason = classify(400, error(message=message), secrets=[TOKEN]).reason
    assert time.monotonic() - began < 2
    assert TOKEN[:20] not in reason


def test_a_reason_can_always_be_stored() -> None:
    failure = classify(400, error(code=190, message="bad \ud800 \x00 text", fbtrace_id="\x00"))
    failure.reason.encode()
    assert "\x00" not in failure.reason
    assert failure.trace_id is None
    assert TOKEN not in str(classify(400, error(fbtrace_id=TOKEN)).trace_id)


def test_the_error_itself_shows_no_secret() -> None:
    failure = classify(400, error(code=190, message=f"bad {TOKEN}"), secrets=[TOKEN])
    assert TOKEN not in "".join(traceback.format_exception(failure)) + repr(failure)
