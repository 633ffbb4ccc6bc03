"""The error table, row by row, and what a reason never contains."""

from __future__ import annotations

import re
import time
import traceback
from datetime import timedelta
from typing import Any

import pytest

from include.social_analytics.connectors import advice_on
from include.social_analytics.errors import ErrorClass, ErrorCode
from include.social_analytics.graph_api.verdicts import classify
from include.social_analytics.http.failures import TooMuchData, redact

#: As Meta sends it, over several indented lines.
IMPERSONATING = (
    "(#190) Any of the pages_read_engagement, pages_manage_metadata,\n        pages_read_user_content or "
    "pages_show_list permission(s) must be granted before\n        impersonating a user's page."
)
NEEDS_PERMISSION = (
    "(#100) Object does not exist, cannot be loaded due to missing permission or reviewable feature, or does "
    "not support this operation. This endpoint requires the 'manage_pages' or 'pages_read_engagement' "
    "permission or the 'Page Public Content Access' feature."
)
GONE = (
    "Unsupported get request. Object with ID '1' does not exist, cannot be loaded due to missing "
    "permissions, or does not support this operation."
)
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
        (
            400,
            {"code": 10, "message": "(#10) Not enough viewers for the media to show insights"},
            "request_invalid",
        ),
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
            {"code": 190, "message": "Error validating application. Invalid application ID."},
            "config_invalid",
        ),
        (
            400,
            {"code": 200, "message": "API access deactivated. To reactivate, go to the app dashboard."},
            "config_invalid",
        ),
        # About a permission, though the code is one for a token or a parameter.
        (400, {"code": 190, "message": IMPERSONATING}, "permission_missing"),
        (
            400,
            {
                "code": 190,
                "message": "The user must be an administrator of the page in order to impersonate it.",
            },
            "permission_missing",
        ),
        (400, {"code": 100, "message": "(#100) Missing permissions"}, "permission_missing"),
        (400, {"code": 100, "message": "(#100) Missing Permission"}, "permission_missing"),
        (400, {"code": 100, "message": NEEDS_PERMISSION}, "permission_missing"),
        (400, {"code": 100, "error_subcode": 33, "message": NEEDS_PERMISSION}, "permission_missing"),
        # Meta's ordinary words for an object that is gone.
        (400, {"code": 100, "error_subcode": 33, "message": GONE}, "object_not_found"),
        (400, {"code": 100, "message": GONE}, "object_not_found"),
        (400, {"code": 33, "message": "(#33) This object does not exist"}, "object_not_found"),
        # The account is a person: no page was chosen.
        (
            400,
            {
                "code": 100,
                "message": "(#100) Tried accessing nonexisting field (insights) on node type (User)",
            },
            "object_not_found",
        ),
        (
            400,
            {"code": 100, "message": "(#100) nonexisting field (insights) on node type (User)"},
            "object_not_found",
        ),
        (
            400,
            {
                "code": 100,
                "message": "(#100) Tried accessing nonexisting field (insights) on node type (Video)",
            },
            "request_invalid",
        ),
        # The request itself.
        (400, {"code": 12, "message": "(#12) singular statuses API is deprecated"}, "request_invalid"),
        (400, {"code": 200, "error_subcode": 2069030, "message": "Permissions error"}, "request_invalid"),
        (400, {"code": 3001, "error_subcode": 1504028}, "request_invalid"),
        (400, {"code": 506, "message": "Duplicate status message"}, "request_invalid"),
        (400, {"code": 1, "is_transient": False, "message": "Invalid parameter"}, "request_invalid"),
        (
            500,
            {"code": 1, "is_transient": False, "message": "(#1) The parameter since is out of range"},
            "request_invalid",
        ),
        # An unknown error may pass.
        (500, {"code": 1, "message": "Invalid parameter"}, "api_unavailable"),
        (
            500,
            {"code": 1, "is_transient": False, "message": "An unknown error has occurred."},
            "api_unavailable",
        ),
        (
            500,
            {
                "code": 1,
                "is_transient": False,
                "message": "Please reduce the amount of data you're asking for",
            },
            "api_unavailable",
        ),
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


@pytest.mark.parametrize("http_status", [400, 401, 403, 404])
@pytest.mark.parametrize(
    "answer",
    # An HTML page is None.
    [None, [], {}, "text", 7, {"detail": "Not Found"}, {"error": "Forbidden"}],
)
def test_a_proxys_refusal_says_nothing_about_the_account(http_status: int, answer: object) -> None:
    assert classify(http_status, answer).code == "response_invalid"


@pytest.mark.parametrize(
    ("http_status", "fields"),
    [
        (403, {"message": "Forbidden"}),
        (401, {"code": 401, "message": "Unauthorized"}),
        (403, {"code": 403, "message": "Forbidden", "status": "PERMISSION_DENIED"}),
        (404, {"code": 404, "message": "Not found"}),
    ],
)
def test_a_gateways_error_object_is_not_the_apis_own(http_status: int, fields: dict[str, Any]) -> None:
    assert classify(http_status, {"error": fields}).code == "response_invalid"


@pytest.mark.parametrize(
    "fields", [{"code": 7777}, {"error_subcode": 7}, {"message": "No.", "type": "OAuthException"}]
)
def test_the_status_decides_where_the_error_is_the_apis_own(fields: dict[str, Any]) -> None:
    assert classify(401, {"error": fields}).code == "token_invalid"
    assert classify(403, {"error": fields}).code == "permission_missing"
    assert classify(404, {"error": fields}).code == "object_not_found"


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


def test_the_reason_keeps_the_texts_for_users_where_they_say_more() -> None:
    said = error(
        code=200,
        error_subcode=2069030,
        message="Permissions error",
        error_user_title="New Pages Experience Is Not Supported",
        error_user_msg="This endpoint is not supported in the new Pages experience.",
    )
    assert classify(400, said).reason == (
        "Permissions error. New Pages Experience Is Not Supported. "
        "This endpoint is not supported in the new Pages experience."
    )


def test_the_reason_says_nothing_twice() -> None:
    said = error(
        code=190,
        message="Session expired: please log in again.",
        error_user_title="Session expired",
        error_user_msg="Please log in again",
    )
    assert classify(400, said).reason == "Session expired: please log in again."


@pytest.mark.parametrize("value", [None, 7, [], {}, "", " \n "])
def test_a_text_for_users_of_the_wrong_type_is_left_out(value: object) -> None:
    said = error(code=200, error_user_title=value, error_user_msg=value)
    assert classify(400, said).reason == "Something."


def test_the_texts_for_users_are_redacted_and_cut() -> None:
    said = error(code=200, error_user_title=f"Bad {TOKEN}", error_user_msg="x" * 5_000_000)
    reason = classify(400, said, secrets=[TOKEN]).reason
    assert TOKEN[:20] not in reason
    assert reason.startswith("Something. Bad [redacted]. xxx")
    assert len(reason) == 500


@pytest.mark.parametrize(
    ("code", "message", "permission"),
    [
        (
            10,
            "(#10) This endpoint requires the 'pages_read_user_content' permission or the "
            "'Page Public Content Access' feature.",
            "pages_read_user_content",
        ),
        (100, NEEDS_PERMISSION, "pages_read_engagement"),
        (190, IMPERSONATING, "pages_read_user_content"),
    ],
)
def test_the_cure_is_for_the_permission_that_the_message_names(
    code: int, message: str, permission: str
) -> None:
    failure = classify(400, error(code=code, message=message))
    assert permission in failure.reason
    assert "  " not in failure.reason
    advice = advice_on("facebook", failure.code)
    assert "the permission that the reason names" in advice
    assert not re.findall(r"\w+_\w+", advice), "It names permissions that may not be missing."


def test_the_advice_for_an_object_that_is_gone_says_every_cause() -> None:
    advice = advice_on("facebook", classify(400, error(code=100, error_subcode=33, message=GONE)).code)
    assert all(words in advice for words in ("gone", "may no longer read it", "no page was chosen"))


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
