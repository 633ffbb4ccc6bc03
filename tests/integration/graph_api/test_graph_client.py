"""The Graph API's client against a real server: what Meta adds to the shared client."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
from datetime import timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from include.social_analytics.cooldown import LocalCooldown
from include.social_analytics.errors import ErrorCode, JobError
from include.social_analytics.graph_api import GraphConnection
from include.social_analytics.graph_api.client import COOLDOWN, GraphApi, GraphClient
from include.social_analytics.http.client import TRIES
from tests.support.scripted_http import Answer, CutOff, Hang, Request, Reset, Step, scripted_server

TOKEN = "EAAtoken0123456789abcdefghij"
APP_SECRET = "the-app-secret"
PROOF = hmac.new(APP_SECRET.encode(), TOKEN.encode(), hashlib.sha256).hexdigest()
FINE = Answer({"data": [1]})


def api(base_url: str, *, timeout: float = 5, app_secret: str | None = None) -> GraphApi:
    connection = GraphConnection(base_url, "v25.0", LocalCooldown(), app_secret)
    return GraphApi(
        "facebook", connection, account="page", use_case="pages", request_timeout=timeout, request_backoff=0
    )


def client(base_url: str, **options: Any) -> GraphClient:
    return api(base_url, **options).client("1001", TOKEN)


def failure(graph: GraphClient, *path: str) -> JobError:
    return failure_of(graph, *(path or ("1001", "insights")))


def failure_of(graph: GraphClient, *path: str, **params: str | int) -> JobError:
    with pytest.raises(JobError) as caught:
        graph.get(*path, **params)
    return caught.value


def graph_error(code: int, status: int = 400, headers: dict[str, str] | None = None, **fields: Any) -> Answer:
    return Answer({"error": {"message": "No.", "code": code, **fields}}, status, headers or {})


def usage_header(**entry: Any) -> dict[str, str]:
    return {"X-Business-Use-Case-Usage": json.dumps({"1001": [{"type": "pages", **entry}]})}


def test_the_token_travels_in_the_header_only() -> None:
    with scripted_server(FINE) as server:
        assert client(server.base_url).get("1001", "insights", metric="a,b", since=5) == {"data": [1]}
    request = server.requests[0]
    assert request.path == "/v25.0/1001/insights"
    assert request.query == {"metric": "a,b", "since": "5", "locale": "en_US"}
    assert request.headers["Authorization"] == f"Bearer {TOKEN}"
    assert "gzip" in request.headers["Accept-Encoding"]


def test_the_app_secret_is_proved_and_not_sent() -> None:
    with scripted_server(FINE) as server:
        client(server.base_url, app_secret=APP_SECRET).get("1001")
    assert server.requests[0].query == {"appsecret_proof": PROOF, "locale": "en_US"}
    assert APP_SECRET not in str(server.requests[0])


@pytest.mark.parametrize("page_id", ["../../other", "1001/feed?x=1#y", "1 0\n0", "ü", "\ud800"])
def test_an_id_with_special_characters_stays_one_segment_of_the_path(page_id: str) -> None:
    with scripted_server(FINE) as server:
        client(server.base_url).get(page_id, "insights")
    path = server.requests[0].path
    assert path.startswith("/v25.0/")
    assert path.endswith("/insights")
    assert path.count("/") == 3
    assert server.requests[0].query == {"locale": "en_US"}


@pytest.mark.parametrize("page_id", ["", ".", ".."])
def test_an_id_that_would_change_the_path_is_not_requested(page_id: str) -> None:
    with scripted_server(FINE) as server:
        assert failure(client(server.base_url), page_id, "insights").code is ErrorCode.OBJECT_NOT_FOUND
    assert not server.requests


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (Answer('{"data": [1, 2'), ErrorCode.RESPONSE_INVALID),
        (Answer("<html>Sorry, something went wrong.</html>"), ErrorCode.RESPONSE_INVALID),
        (Answer(""), ErrorCode.RESPONSE_INVALID),
        (Answer("[1, 2]"), ErrorCode.RESPONSE_INVALID),
        (Answer(b"\xff\xfe\x00"), ErrorCode.RESPONSE_INVALID),
        (Answer("[" * 100_000), ErrorCode.RESPONSE_INVALID),
        (Answer('{"a": ' + "9" * 5000 + "}"), ErrorCode.RESPONSE_INVALID),
        (Answer(b"no gzip", headers={"Content-Encoding": "gzip"}), ErrorCode.RESPONSE_INVALID),
        (Answer("<html>Bad gateway</html>", 502), ErrorCode.API_UNAVAILABLE),
        (Answer("", 500), ErrorCode.API_UNAVAILABLE),
        (graph_error(2, 503), ErrorCode.API_UNAVAILABLE),
        (graph_error(1, 200), ErrorCode.API_UNAVAILABLE),
        (graph_error(4711, 400), ErrorCode.UNEXPECTED),
        (Reset(), ErrorCode.NETWORK),
        (CutOff(b'{"data":'), ErrorCode.NETWORK),
    ],
    ids=str,
)
def test_a_transient_error_is_tried_three_times_and_then_raised_with_its_code(
    step: Step, expected: ErrorCode
) -> None:
    with scripted_server(step) as server:
        graph = client(server.base_url)
        assert failure(graph).code is expected
    assert graph.http_calls == len(server.requests) == TRIES


def test_a_transient_error_that_passes_is_not_seen_by_the_caller() -> None:
    with scripted_server(Reset(), Answer("", 500), FINE) as server:
        graph = client(server.base_url)
        assert graph.get("1001") == {"data": [1]}
    assert graph.http_calls == 3


@pytest.mark.parametrize(
    "code", [190, 10, 100, 368, 803, 4, 17, 32, 80001, 5, 12, 15, 33, 101, 104, 506, 2500, 3001]
)
def test_permanent_errors_and_throttles_are_not_retried(code: int) -> None:
    with scripted_server(graph_error(code)) as server:
        graph = client(server.base_url)
        assert failure(graph).provider_code == str(code)
    assert graph.http_calls == len(server.requests) == 1


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"code": 1, "is_transient": False, "message": "Invalid parameter"}, ErrorCode.REQUEST_INVALID),
        ({"code": 200, "error_subcode": 2069030}, ErrorCode.REQUEST_INVALID),
        (
            {"code": 1, "message": "You must use https:// when passing an access token"},
            ErrorCode.CONFIG_INVALID,
        ),
        ({"code": 190, "message": "Error validating application."}, ErrorCode.CONFIG_INVALID),
        ({"code": 200, "message": "(#200) Provide valid app ID"}, ErrorCode.CONFIG_INVALID),
    ],
)
def test_an_error_that_its_text_makes_permanent_is_not_retried(
    fields: dict[str, Any], expected: ErrorCode
) -> None:
    with scripted_server(Answer({"error": {"message": "No.", **fields}}, 500)) as server:
        assert failure(client(server.base_url)).code is expected
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "step",
    [
        Answer("<html>Access denied by policy</html>", 403, {"Content-Type": "text/html"}),
        Answer({"detail": "Not Found"}, 404),
        Answer("", 401),
    ],
    ids=str,
)
def test_a_proxys_refusal_is_tried_again_and_blamed_on_no_owner(step: Step) -> None:
    with scripted_server(step) as server:
        assert failure(client(server.base_url)).code is ErrorCode.RESPONSE_INVALID
    assert len(server.requests) == TRIES


GONE = graph_error(100, error_subcode=33)
REFUSED = graph_error(10)


def test_an_account_that_is_gone_after_it_answered_is_asked_again() -> None:
    with scripted_server(FINE, GONE) as server:
        graph = client(server.base_url)
        graph.get("1001", "insights")
        caught = failure(graph, "1001", "published_posts")
    assert (caught.code, caught.provider_code, caught.provider_subcode) == (
        ErrorCode.API_UNAVAILABLE,
        "100",
        "33",
    )
    assert caught.reason == "The API contradicts what it answered about the page before: No."
    assert len(server.requests) == 1 + TRIES


def test_an_account_that_was_gone_for_a_moment_is_read_on() -> None:
    with scripted_server(FINE, GONE, FINE) as server:
        graph = client(server.base_url)
        graph.get("1001", "published_posts", limit=100)
        assert graph.get("1001", "published_posts", limit=100, after="x") == {"data": [1]}
    assert len(server.requests) == 3


def test_an_account_that_is_gone_at_first_stays_gone_for_its_own_client_only() -> None:
    def script(request: Request) -> Step:
        return FINE if request.path.startswith("/v25.0/1001/") else GONE

    with scripted_server(script) as server:
        shared = api(server.base_url)
        shared.client("1001", TOKEN).get("1001", "insights")
        assert failure(shared.client("2002", TOKEN), "2002", "insights").code is ErrorCode.OBJECT_NOT_FOUND
    assert len(server.requests) == 2


def test_a_post_that_is_gone_says_nothing_about_its_page() -> None:
    with scripted_server(FINE, GONE) as server:
        graph = client(server.base_url)
        graph.get("1001", "published_posts")
        assert failure(graph, "1001_7", "insights").code is ErrorCode.OBJECT_NOT_FOUND
    assert len(server.requests) == 2


def test_a_permission_that_was_there_for_the_page_before_is_asked_for_again() -> None:
    with scripted_server(FINE, REFUSED) as server:
        graph = client(server.base_url)
        graph.get("1001", "published_posts", fields="id", limit=100)
        caught = failure_of(graph, "1001", "published_posts", fields="id", limit=50, after="x")
    assert (caught.code, caught.provider_code) == (ErrorCode.API_UNAVAILABLE, "10")
    assert len(server.requests) == 1 + TRIES


@pytest.mark.parametrize(
    ("path", "params"), [("published_posts", {"fields": "id"}), ("insights", {"metric": "b"})]
)
def test_a_permission_for_something_else_is_missing_for_good(path: str, params: dict[str, str]) -> None:
    with scripted_server(FINE, REFUSED) as server:
        graph = client(server.base_url)
        graph.get("1001", "insights", metric="a")
        assert failure_of(graph, "1001", path, **params).code is ErrorCode.PERMISSION_MISSING
    assert len(server.requests) == 2


def test_a_token_that_is_revoked_between_two_calls_is_final() -> None:
    with scripted_server(FINE, graph_error(190)) as server:
        graph = client(server.base_url)
        graph.get("1001", "insights")
        assert failure(graph, "1001", "insights").code is ErrorCode.TOKEN_INVALID
    assert len(server.requests) == 2


def versioned(version: str) -> Answer:
    return Answer({}, headers={"facebook-api-version": version})


def test_an_answer_in_another_version_is_logged_once_for_all_accounts_and_noted() -> None:
    with scripted_server(versioned("v27.0")) as server, capture_logs() as lines:
        shared = api(server.base_url)
        clients = [shared.client(account, TOKEN) for account in ("1001", "2002")]
        for graph in clients:
            assert graph.get("1001") == {}
            graph.get("1001")
    warnings = [line for line in lines if line["event"] == "api answers in another version"]
    assert [(line["log_level"], line["asked"], line["answered"]) for line in warnings] == [
        ("warning", "v25.0", "v27.0")
    ]
    for graph in clients:
        assert graph.notes == (
            "The API answered in version v27.0 instead of v25.0: "
            "set api_version in the extra of its Airflow connection.",
        )


@pytest.mark.parametrize("version", ["v25.0", "", "newest", "v27.0 EAAtoken0123456789abcdefghij"])
def test_the_same_version_or_none_is_no_news(version: str) -> None:
    with scripted_server(versioned(version)) as server, capture_logs() as lines:
        graph = client(server.base_url)
        graph.get("1001")
    assert [line["event"] for line in lines] == ["api request"]
    assert graph.notes == ()


def test_an_error_inside_a_200_is_an_error() -> None:
    with scripted_server(graph_error(190, 200, error_subcode=460, fbtrace_id="AbC")) as server:
        caught = failure(client(server.base_url))
    assert (caught.code, caught.provider_subcode, caught.trace_id) == (ErrorCode.TOKEN_INVALID, "460", "AbC")


def test_a_throttle_says_how_long_to_wait() -> None:
    with scripted_server(graph_error(32, headers=usage_header(estimated_time_to_regain_access=19))) as server:
        assert failure(client(server.base_url)).retry_after == timedelta(minutes=19)
    with scripted_server(graph_error(80001, headers={"Retry-After": "90"})) as server:
        assert failure(client(server.base_url)).retry_after == timedelta(seconds=90)
    with scripted_server(Answer("", 429)) as server:
        assert failure(client(server.base_url)).retry_after is None


def test_a_throttled_page_gets_no_calls_and_others_do() -> None:
    with scripted_server(
        Answer({"data": []}, headers=usage_header(call_count=100, estimated_time_to_regain_access=19))
    ) as server:
        shared = api(server.base_url)
        graph = shared.client("1001", TOKEN)
        graph.get("1001", "insights")
        caught = failure(graph)
        assert caught.code is ErrorCode.RATE_LIMITED
        assert caught.reason == "The page's quota is spent: no call was made."
        assert caught.retry_after is not None
        assert timedelta(minutes=18) < caught.retry_after <= timedelta(minutes=19)
        assert graph.http_calls == len(server.requests) == 1
        shared.client("2002", TOKEN).get("2002", "insights")
        assert len(server.requests) == 2


def test_an_app_over_its_limit_gets_no_calls_for_any_page() -> None:
    with scripted_server(graph_error(4, 403)) as server:
        shared = api(server.base_url)
        assert failure(shared.client("1001", TOKEN)).retry_after is None
        other = shared.client("2002", TOKEN)
        caught = failure(other)
        assert caught.code is ErrorCode.RATE_LIMITED
        assert caught.retry_after is not None
        assert COOLDOWN - timedelta(minutes=1) < caught.retry_after <= COOLDOWN
    assert other.http_calls == 0
    assert len(server.requests) == 1


@pytest.mark.parametrize(("percent", "cools_down"), [(94, False), (95, True), (120, True)])
def test_an_app_near_its_limit_pauses_before_the_api_refuses(percent: int, cools_down: bool) -> None:
    with scripted_server(Answer({}, headers={"x-app-usage": json.dumps({"call_count": percent})})) as server:
        shared = api(server.base_url)
        assert shared.client("1001", TOKEN).get("1001") == {}
    assert (shared.connection.cooldown.remaining() is not None) is cools_down


def test_each_request_logs_one_line_with_its_outcome() -> None:
    steps = [
        graph_error(2, 503, error_subcode=7, fbtrace_id="AbC"),
        Answer({}, headers={"X-App-Usage": '{"call_count": 41}', **usage_header(call_count=12)}),
    ]
    with scripted_server(*steps) as server, capture_logs() as lines:
        client(server.base_url, app_secret=APP_SECRET).get("1001", "insights", metric="secret-free")
    failed, fine = lines
    assert failed["log_level"] == "warning"
    assert (failed["outcome"], failed["code"], failed["subcode"]) == ("api_unavailable", "2", "7")
    assert (failed["http_status"], failed["trace_id"]) == (503, "AbC")
    assert fine["log_level"] == "info"
    assert fine["path"] == "/v25.0/1001/insights"
    assert (fine["outcome"], fine["http_status"]) == ("ok", 200)
    assert (fine["app_percent"], fine["account_percent"]) == (41, 12)
    assert fine["milliseconds"] >= 0


def echo(request: Request) -> Answer:
    """An error that repeats everything that was sent, as a careless server does."""
    said = f"Bad {request.headers['Authorization']} ?{request.query}"
    return Answer({"error": {"message": said, "code": 190, "fbtrace_id": TOKEN}}, 400, {"Bad Header": "x"})


@pytest.mark.parametrize(
    "step",
    [echo, Reset(), CutOff(b"{"), Answer("<html>"), Hang(), graph_error(4)],
    ids=lambda step: getattr(step, "__name__", str(step)),
)
def test_no_secret_gets_into_a_log_an_exception_or_its_context(
    step: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with scripted_server(step) as server, capture_logs() as lines:
        graph = client(server.base_url, timeout=0.1, app_secret=APP_SECRET)
        error: BaseException | None = failure(graph)
        with pytest.raises(JobError):
            graph.get("1001")
    seen = [repr(lines), caplog.text, repr(graph), repr(graph.__class__)]
    while error is not None:
        seen += [repr(error), str(vars(error))]
        error = error.__cause__ or error.__context__
    assert "urllib3" in caplog.text
    for secret in (TOKEN, APP_SECRET, PROOF):
        assert secret not in "\n".join(seen)
