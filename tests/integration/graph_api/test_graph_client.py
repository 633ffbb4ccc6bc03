"""The client against a real server that misbehaves on the wire."""

from __future__ import annotations

import gzip
import hashlib
import hmac
import json
import logging
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from include.social_analytics.cooldown import LocalCooldown
from include.social_analytics.errors import ErrorCode, JobError
from include.social_analytics.graph_api import GraphConnection
from include.social_analytics.graph_api.client import COOLDOWN, MAX_BODY_BYTES, TRIES, GraphApi, GraphClient
from include.social_analytics.graph_api.verdicts import TooMuchData
from tests.support.scripted_http import Answer, CutOff, Drip, Hang, Request, Reset, Step, scripted_server

TOKEN = "EAAtoken0123456789abcdefghij"
APP_SECRET = "the-app-secret"
PROOF = hmac.new(APP_SECRET.encode(), TOKEN.encode(), hashlib.sha256).hexdigest()
FINE = Answer({"data": [1]})


def api(base_url: str, *, timeout: float = 5, app_secret: str | None = None) -> GraphApi:
    connection = GraphConnection(base_url, "v25.0", LocalCooldown(), app_secret)
    return GraphApi(connection, request_timeout=timeout, request_backoff=0)


def client(base_url: str, **options: Any) -> GraphClient:
    return api(base_url, **options).client("1001", TOKEN)


def failure(graph: GraphClient, *path: str) -> JobError:
    with pytest.raises(JobError) as caught:
        graph.get(*(path or ("1001", "insights")))
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
    assert request.query == {"metric": "a,b", "since": "5"}
    assert request.headers["Authorization"] == f"Bearer {TOKEN}"
    assert "gzip" in request.headers["Accept-Encoding"]


def test_an_app_secret_is_proved_not_sent() -> None:
    with scripted_server(FINE) as server:
        client(server.base_url, app_secret=APP_SECRET).get("1001")
    assert server.requests[0].query == {"appsecret_proof": PROOF}
    assert APP_SECRET not in str(server.requests[0])


def test_a_netrc_entry_does_not_replace_the_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else\ndefault login x password y\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with scripted_server(FINE) as server:
        client(server.base_url).get("1001")
    assert server.requests[0].headers["Authorization"] == f"Bearer {TOKEN}"


def test_one_connection_serves_one_account_after_the_other_and_keeps_no_cookie() -> None:
    with scripted_server(Answer({"a": 1}, headers={"Set-Cookie": "who=first; Path=/"})) as server:
        shared = api(server.base_url)
        shared.client("1", "token-1").get("1")
        shared.client("2", "token-2").get("2")
    first, second = server.requests
    assert first.client_port == second.client_port
    assert second.headers["Authorization"] == "Bearer token-2"
    assert "Cookie" not in second.headers


def test_threads_do_not_share_a_connection() -> None:
    with scripted_server(FINE) as server:
        shared = api(server.base_url)
        threads = [threading.Thread(target=shared.client("1", TOKEN).get, args=("1",)) for _ in range(2)]
        for thread in threads:
            thread.start()
            thread.join()
    assert len({request.client_port for request in server.requests}) == 2


@pytest.mark.parametrize("page_id", ["../../other", "1001/feed?x=1#y", "1 0\n0", "ü", "\ud800"])
def test_a_hostile_id_stays_one_segment_of_the_path(page_id: str) -> None:
    with scripted_server(FINE) as server:
        client(server.base_url).get(page_id, "insights")
    path = server.requests[0].path
    assert path.startswith("/v25.0/")
    assert path.endswith("/insights")
    assert path.count("/") == 3
    assert not server.requests[0].query


@pytest.mark.parametrize("page_id", ["", ".", ".."])
def test_an_id_that_would_climb_out_of_the_path_is_not_asked_for(page_id: str) -> None:
    with scripted_server(FINE) as server:
        assert failure(client(server.base_url), page_id, "insights").code is ErrorCode.OBJECT_NOT_FOUND
    assert not server.requests


@pytest.mark.parametrize("token", ["", "a b", "secret-part\r\nX-Evil: 1", "sécret-part", "secret-part\x00"])
def test_a_token_that_cannot_be_one_is_refused_without_showing_it(token: str) -> None:
    with scripted_server(FINE) as server:
        caught = failure(api(server.base_url).client("1001", token))
    assert caught.code is ErrorCode.TOKEN_INVALID
    assert "cret-part" not in str(caught)
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
def test_a_blip_is_tried_three_times_and_then_told_by_its_code(step: Step, expected: ErrorCode) -> None:
    with scripted_server(step) as server:
        graph = client(server.base_url)
        assert failure(graph).code is expected
    assert graph.http_calls == len(server.requests) == TRIES


def test_a_blip_that_passes_is_not_seen_by_the_caller() -> None:
    with scripted_server(Reset(), Answer("", 500), FINE) as server:
        graph = client(server.base_url)
        assert graph.get("1001") == {"data": [1]}
    assert graph.http_calls == 3


@pytest.mark.parametrize("code", [190, 10, 100, 368, 803, 4, 17, 32, 80001])
def test_permanent_errors_and_throttles_are_not_tried_again(code: int) -> None:
    with scripted_server(graph_error(code)) as server:
        graph = client(server.base_url)
        assert failure(graph).provider_code == str(code)
    assert graph.http_calls == len(server.requests) == 1


def test_an_error_inside_a_200_is_an_error() -> None:
    with scripted_server(graph_error(190, 200, error_subcode=460, fbtrace_id="AbC")) as server:
        caught = failure(client(server.base_url))
    assert (caught.code, caught.provider_subcode, caught.trace_id) == (ErrorCode.TOKEN_INVALID, "460", "AbC")


def test_a_silent_server_is_given_up_on() -> None:
    with scripted_server(Hang()) as server:
        caught = failure(client(server.base_url, timeout=0.1))
    assert caught.code is ErrorCode.NETWORK
    assert "in time" in caught.reason


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX-Header: ",
        b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 100000\r\n\r\n{",
    ],
    ids=["body", "chunk size", "header", "redirect"],
)
def test_a_dripping_answer_does_not_hold_a_worker(head: bytes) -> None:
    with scripted_server(Drip(head)) as server:
        started = time.monotonic()
        caught = failure(client(server.base_url, timeout=0.05))
    assert caught.code is ErrorCode.NETWORK
    # Three tries of four timeouts each, with room for a slow machine.
    assert time.monotonic() - started < 4


def test_a_body_beyond_reason_is_not_read_on() -> None:
    bomb = gzip.compress(b" " * (MAX_BODY_BYTES + 1))
    assert len(bomb) < 100_000
    with scripted_server(Answer(bomb, headers={"Content-Encoding": "gzip"})) as server:
        graph = client(server.base_url)
        caught = failure(graph)
    assert isinstance(caught, TooMuchData)
    assert caught.code is ErrorCode.RESPONSE_INVALID
    assert graph.http_calls == 1


def test_a_host_that_does_not_exist_is_a_network_error() -> None:
    caught = failure(client("http://does-not-exist.invalid"))
    assert caught.code is ErrorCode.NETWORK
    assert "does-not-exist.invalid" in caught.reason


def test_a_refused_connection_is_a_network_error() -> None:
    with scripted_server(FINE) as server:
        gone = server.base_url
    assert failure(client(gone)).code is ErrorCode.NETWORK


@pytest.mark.parametrize("base_url", ["graph.facebook.com", "ftp://127.0.0.1", "http://"])
def test_an_impossible_address_is_a_mistake_in_the_configuration(base_url: str) -> None:
    assert failure(client(base_url)).code is ErrorCode.CONFIG_INVALID


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_takes_nothing_to_another_host(status: int) -> None:
    with scripted_server(FINE) as other:
        step = Answer("", status, {"Location": f"{other.base_url}/v25.0/1001"})
        with scripted_server(step) as server:
            caught = failure(client(server.base_url))
        assert caught.code is ErrorCode.RESPONSE_INVALID
        assert "redirect" in caught.reason
        assert not other.requests


@pytest.mark.parametrize("location", ["http://[", "//", "ftp://x", "http://does-not-exist.invalid:99999/"])
def test_where_a_redirect_leads_does_not_matter(location: str) -> None:
    with scripted_server(Answer("", 302, {"Location": location})) as server:
        assert failure(client(server.base_url)).code is ErrorCode.RESPONSE_INVALID


def test_a_throttle_says_when_to_come_back() -> None:
    with scripted_server(graph_error(32, headers=usage_header(estimated_time_to_regain_access=19))) as server:
        assert failure(client(server.base_url)).retry_after == timedelta(minutes=19)
    with scripted_server(graph_error(80001, headers={"Retry-After": "90"})) as server:
        assert failure(client(server.base_url)).retry_after == timedelta(seconds=90)
    with scripted_server(Answer("", 429)) as server:
        assert failure(client(server.base_url)).retry_after is None


def test_a_throttled_page_is_left_alone_and_others_are_not() -> None:
    with scripted_server(
        Answer({"data": []}, headers=usage_header(call_count=100, estimated_time_to_regain_access=19))
    ) as server:
        shared = api(server.base_url)
        graph = shared.client("1001", TOKEN)
        graph.get("1001", "insights")
        caught = failure(graph)
        assert caught.code is ErrorCode.RATE_LIMITED
        assert caught.retry_after is not None
        assert timedelta(minutes=18) < caught.retry_after <= timedelta(minutes=19)
        assert graph.http_calls == len(server.requests) == 1
        shared.client("2002", TOKEN).get("2002", "insights")
        assert len(server.requests) == 2


def test_an_app_over_its_limit_is_left_alone_by_all_pages() -> None:
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
def test_an_app_near_its_limit_pauses_before_the_api_makes_it(percent: int, cools_down: bool) -> None:
    with scripted_server(Answer({}, headers={"x-app-usage": json.dumps({"call_count": percent})})) as server:
        shared = api(server.base_url)
        assert shared.client("1001", TOKEN).get("1001") == {}
    assert (shared.connection.cooldown.remaining() is not None) is cools_down


def test_each_request_logs_one_line_that_tells_its_outcome() -> None:
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
    assert (fine["app_percent"], fine["page_percent"]) == (41, 12)
    assert fine["milliseconds"] >= 0


def echo(request: Request) -> Answer:
    """Everything that was sent, back in an error, as a careless server does."""
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
