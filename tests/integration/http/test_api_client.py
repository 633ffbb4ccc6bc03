"""The HTTP client that all providers share, against a real server that misbehaves.

The provider is made up: its token has two parts in its own header, and its error codes are words.
"""

from __future__ import annotations

import gzip
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from structlog.testing import capture_logs

from include.social_analytics import telemetry
from include.social_analytics.cooldown import LocalCooldown
from include.social_analytics.errors import ErrorCode, JobError
from include.social_analytics.http.client import (
    MAX_BODY_BYTES,
    TRIES,
    Api,
    ApiAnswer,
    ApiClient,
    Quota,
    Verdict,
)
from include.social_analytics.http.failures import TooMuchData, identifier, redact, without_explanation
from include.social_analytics.http.transport import BearerToken
from tests.support.scripted_http import Answer, CutOff, Drip, Hang, Request, Reset, Step, scripted_server

KEY, SECRET = "paper-key", "paper-secret"
FINE = Answer({"data": [1]})
NONE: Mapping[str, str] = {}

MEANINGS = {
    "unknownReader": ErrorCode.TOKEN_INVALID,
    "sleeping": ErrorCode.API_UNAVAILABLE,
    "quotaExceeded": ErrorCode.RATE_LIMITED,
}


class PaperAuth(requests.auth.AuthBase):
    """The provider's own authentication: both parts of the token in one header."""

    def __init__(self, key: str, secret: str) -> None:
        self._value = f"{key}:{secret}"

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["X-Paper"] = self._value
        return request


def judge(answer: ApiAnswer) -> Verdict:
    """Classifies the provider's answers: ``{"fault": {"name": …, "text": …}}`` is its error."""
    spent = {
        quota: float(answer.headers[name])
        for quota, name in ((Quota.APP, "X-App"), (Quota.ACCOUNT, "X-Account"))
        if name in answer.headers
    }
    fault = answer.body.get("fault") if isinstance(answer.body, dict) else None
    if answer.http_status == 200 and fault is None:
        return Verdict(spent=spent)
    fields = fault if isinstance(fault, dict) else {}
    error = JobError(
        MEANINGS.get(fields.get("name", ""), ErrorCode.RESPONSE_INVALID),
        redact(str(fields.get("text", "")), (KEY, SECRET))
        or without_explanation(answer.http_status, answer.body),
        provider_code=identifier(fields.get("name"), (KEY, SECRET)),
    )
    pauses = {Quota.APP: timedelta(hours=3)} if error.code is ErrorCode.RATE_LIMITED else {}
    return Verdict(error, spent, pauses)


def api(base_url: str, *, timeout: float = 5) -> Api:
    return Api(
        "paperboy",
        base_url,
        account="newspaper",
        cooldown=LocalCooldown(),
        request_timeout=timeout,
        request_backoff=0,
    )


def on(shared: Api, key: str = KEY, secret: str = SECRET) -> ApiClient:
    return ApiClient(shared, token=(key, secret), auth=PaperAuth(key, secret), judge=judge)


def client(base_url: str, **options: Any) -> ApiClient:
    return on(api(base_url, **options))


def failure(paper: ApiClient, *path: str) -> JobError:
    with pytest.raises(JobError) as caught:
        paper.get(*(path or ("papers", "1001")))
    return caught.value


def fault(
    name: str, text: str = "No.", status: int = 400, headers: Mapping[str, str] | None = None
) -> Answer:
    return Answer({"fault": {"name": name, "text": text}}, status, headers or {})


def test_a_token_of_two_parts_is_sent_in_the_providers_own_header() -> None:
    with scripted_server(FINE) as server:
        params = {"day": "2026-11-20", "time.from": 5}
        assert client(server.base_url).get("v1", "papers", "urn:a/b", **params) == {"data": [1]}
    request = server.requests[0]
    assert request.path == "/v1/papers/urn%3Aa%2Fb"
    assert request.query == {"day": "2026-11-20", "time.from": "5"}
    assert request.headers["X-Paper"] == "paper-key:paper-secret"
    assert "Authorization" not in request.headers
    assert request.headers["Accept-Encoding"] == "gzip"


def test_a_netrc_entry_does_not_replace_the_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else\ndefault login x password y\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with scripted_server(FINE) as server:
        shared = api(server.base_url)
        ApiClient(shared, token=[KEY], auth=BearerToken(KEY), judge=judge).get("papers")
        on(shared).get("papers")
    bearer, own = server.requests
    assert bearer.headers["Authorization"] == f"Bearer {KEY}"
    assert "Authorization" not in own.headers


def test_accounts_share_a_connection_one_after_another_and_no_cookies() -> None:
    with scripted_server(Answer({"a": 1}, headers={"Set-Cookie": "who=first; Path=/"})) as server:
        shared = api(server.base_url)
        on(shared, "first", "1").get("papers")
        on(shared, "second", "2").get("papers")
    first, second = server.requests
    assert first.client_port == second.client_port
    assert second.headers["X-Paper"] == "second:2"
    assert "Cookie" not in second.headers


def test_threads_do_not_share_a_connection() -> None:
    with scripted_server(FINE) as server:
        shared = api(server.base_url)
        threads = [threading.Thread(target=on(shared).get, args=("papers",)) for _ in range(2)]
        for thread in threads:
            thread.start()
            thread.join()
    assert len({request.client_port for request in server.requests}) == 2


@pytest.mark.parametrize("token", ["", "a b", "secret-part\r\nX-Evil: 1", "sécret-part", "secret-part\x00"])
def test_an_impossible_token_is_refused_without_showing_it(token: str) -> None:
    with scripted_server(FINE) as server:
        caught = failure(on(api(server.base_url), KEY, token))
        assert failure(on(api(server.base_url), token, SECRET)).code is ErrorCode.TOKEN_INVALID
    assert caught.code is ErrorCode.TOKEN_INVALID
    assert "cret-part" not in str(caught)
    assert not server.requests


def test_a_silent_server_is_a_network_error() -> None:
    with scripted_server(Hang()) as server:
        caught = failure(client(server.base_url, timeout=0.1))
    assert caught.code is ErrorCode.NETWORK
    assert "in time" in caught.reason


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffff\r\n{",
        b"HTTP/1.1 200 OK\r\n\r\n{",
        # A gzip header whose file name never ends: no data comes out.
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n\x1f\x8b\x08\x08\0\0\0\0\0\x03",
        b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 100000\r\n\r\n{",
    ],
    ids=["body", "chunk", "until it closes", "gzip", "redirect"],
)
def test_a_dripping_body_ends_in_time(head: bytes) -> None:
    with scripted_server(Drip(head)) as server:
        started = time.monotonic()
        caught = failure(client(server.base_url, timeout=0.05))
    assert caught.code is ErrorCode.NETWORK
    assert "in time" in caught.reason
    # Three tries of four timeouts each, with room for a slow machine.
    assert time.monotonic() - started < 4


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 " + b"x" * 70_000,
        b"HTTP/1.1 200 OK\r\nX-Header: " + b"x" * 70_000,
        b"HTTP/1.1 200 OK\r\n" + b"X-Header: x\r\n" * 200,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1" * 70_000,
    ],
    ids=["status line", "header", "headers", "chunk size"],
)
def test_an_endless_header_or_chunk_size_is_read_up_to_a_limit(head: bytes) -> None:
    # The limit is in bytes. The task's own time limit ends a server that drips them.
    with scripted_server(Drip(head, interval=60)) as server:
        assert failure(client(server.base_url, timeout=5)).code is ErrorCode.NETWORK
    assert len(server.requests) == TRIES


def test_an_oversized_body_is_not_read_to_its_end() -> None:
    bomb = gzip.compress(b" " * (MAX_BODY_BYTES + 1))
    assert len(bomb) < 100_000
    with scripted_server(Answer(bomb, headers={"Content-Encoding": "gzip"})) as server:
        paper = client(server.base_url)
        caught = failure(paper)
    assert isinstance(caught, TooMuchData)
    assert caught.code is ErrorCode.RESPONSE_INVALID
    assert paper.http_calls == 1


def test_a_body_that_is_large_only_before_unzipping_is_not_read_to_its_end() -> None:
    stream = gzip.compress(b"{}", mtime=0) + b"\0" * MAX_BODY_BYTES
    with scripted_server(Answer(stream, headers={"Content-Encoding": "gzip"})) as server:
        assert isinstance(failure(client(server.base_url)), TooMuchData)


def test_a_host_that_does_not_exist_is_a_network_error() -> None:
    caught = failure(client("http://does-not-exist.invalid"))
    assert caught.code is ErrorCode.NETWORK
    assert "does-not-exist.invalid" in caught.reason


def test_a_refused_connection_is_a_network_error() -> None:
    with scripted_server(FINE) as server:
        gone = server.base_url
    assert failure(client(gone)).code is ErrorCode.NETWORK


@pytest.mark.parametrize("base_url", ["api.example", "ftp://127.0.0.1", "http://"])
def test_an_impossible_address_is_a_configuration_error(base_url: str) -> None:
    assert failure(client(base_url)).code is ErrorCode.CONFIG_INVALID


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_another_host_is_not_followed(status: int) -> None:
    with scripted_server(FINE) as other:
        step = Answer("", status, {"Location": f"{other.base_url}/papers/1001"})
        with scripted_server(step) as server:
            caught = failure(client(server.base_url))
        assert caught.code is ErrorCode.RESPONSE_INVALID
        assert "redirect" in caught.reason
        assert not other.requests


@pytest.mark.parametrize("location", ["http://[", "//", "ftp://x", "http://does-not-exist.invalid:99999/"])
def test_a_redirect_to_an_invalid_address_is_the_same_error(location: str) -> None:
    with scripted_server(Answer("", 302, {"Location": location})) as server:
        assert failure(client(server.base_url)).code is ErrorCode.RESPONSE_INVALID


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (Answer('{"data": [1, 2'), ErrorCode.RESPONSE_INVALID),
        (Answer(""), ErrorCode.RESPONSE_INVALID),
        (Answer("[1, 2]"), ErrorCode.RESPONSE_INVALID),
        (Answer("[" * 100_000), ErrorCode.RESPONSE_INVALID),
        (Answer(b"no gzip", headers={"Content-Encoding": "gzip"}), ErrorCode.RESPONSE_INVALID),
        (
            Answer(gzip.compress(b'{"data": 1}', mtime=0)[:-12], headers={"Content-Encoding": "gzip"}),
            ErrorCode.RESPONSE_INVALID,
        ),
        (fault("sleeping", status=503), ErrorCode.API_UNAVAILABLE),
        (Reset(), ErrorCode.NETWORK),
        (CutOff(b'{"data":'), ErrorCode.NETWORK),
    ],
    ids=str,
)
def test_a_transient_error_is_tried_three_times_and_then_raised_with_its_code(
    step: Step, expected: ErrorCode
) -> None:
    with scripted_server(step) as server:
        paper = client(server.base_url)
        assert failure(paper).code is expected
    assert paper.http_calls == len(server.requests) == TRIES


def test_a_transient_error_that_passes_is_not_seen_by_the_caller() -> None:
    with scripted_server(Reset(), fault("sleeping"), FINE) as server:
        paper = client(server.base_url)
        assert paper.get("papers") == {"data": [1]}
    assert paper.http_calls == 3


def test_a_zipped_answer_is_unzipped_and_its_unzipped_size_counted() -> None:
    body = b'{"data": "' + b"x" * 200_000 + b'"}'
    answer = Answer(gzip.compress(body, mtime=0), headers={"Content-Encoding": "gzip"})
    with scripted_server(answer) as server:
        shared = api(server.base_url)
        paper = on(shared)
        assert paper.get("papers") == {"data": "x" * 200_000}
        assert paper.bytes_received == len(body)
        on(shared).get("papers")
    # The answer was read completely, so the next request uses the same connection.
    assert len({request.client_port for request in server.requests}) == 1


def test_a_permanent_error_is_not_retried_and_keeps_the_providers_code() -> None:
    with scripted_server(fault("unknownReader", "Who is paper-key?")) as server:
        paper = client(server.base_url)
        caught = failure(paper)
    assert (caught.code, caught.provider_code) == (ErrorCode.TOKEN_INVALID, "unknownReader")
    assert caught.reason == "Who is [redacted]?"
    assert paper.http_calls == len(server.requests) == 1


def test_a_pause_for_the_app_holds_back_all_accounts() -> None:
    with scripted_server(fault("quotaExceeded")) as server:
        shared = api(server.base_url)
        assert failure(on(shared)).retry_after is None
        other = on(shared)
        with capture_logs() as lines:
            caught = failure(other)
    assert caught.code is ErrorCode.RATE_LIMITED
    assert caught.reason == "The app's quota is spent: no call was made."
    assert caught.retry_after is not None
    assert timedelta(minutes=179) < caught.retry_after <= timedelta(hours=3)
    assert other.http_calls == 0
    assert len(server.requests) == 1
    (withheld,) = lines
    assert (withheld["event"], withheld["quota"]) == ("api request not sent", "app")


def test_a_pause_for_one_account_holds_back_only_that_account() -> None:
    def spent(answer: ApiAnswer) -> Verdict:
        return Verdict(pauses={Quota.ACCOUNT: timedelta(minutes=5)})

    with scripted_server(FINE) as server:
        shared = api(server.base_url)
        paper = ApiClient(shared, token=(KEY,), auth=BearerToken(KEY), judge=spent)
        paper.get("papers")
        assert failure(paper).reason == "The newspaper's quota is spent: no call was made."
        assert on(shared).get("papers") == {"data": [1]}
    assert len(server.requests) == 2


def test_quotas_and_pauses_are_reported_by_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[Any, ...]] = []
    monkeypatch.setattr(telemetry.stats, "gauge", lambda name, value, tags: told.append((name, value, tags)))
    monkeypatch.setattr(telemetry.stats, "incr", lambda name, tags: told.append((name, tags)))
    with scripted_server(fault("quotaExceeded", headers={"X-App": "101", "X-Account": "7"})) as server:
        failure(client(server.base_url))
    assert told == [
        ("social_analytics.api.app_usage_percent", 101, {"provider": "paperboy"}),
        ("social_analytics.api.cooldowns", {"provider": "paperboy", "quota": "app"}),
    ]


def test_each_request_logs_one_line_with_its_outcome() -> None:
    steps = [fault("sleeping", status=503), Answer({}, headers={"X-App": "41", "X-Account": "12"})]
    with scripted_server(*steps) as server, capture_logs() as lines:
        client(server.base_url).get("papers", "1001", day="2026-11-20")
    failed, fine = lines
    assert {line["event"] for line in lines} == {"api request"}
    assert failed["log_level"] == "warning"
    assert (failed["outcome"], failed["code"], failed["http_status"]) == ("api_unavailable", "sleeping", 503)
    assert fine["log_level"] == "info"
    assert fine["path"] == "/papers/1001"
    assert (fine["outcome"], fine["http_status"]) == ("ok", 200)
    assert (fine["app_percent"], fine["account_percent"]) == (41, 12)
    assert fine["milliseconds"] >= 0


def echo(request: Request) -> Answer:
    """An error that repeats everything that was sent, as a careless server does."""
    asked = "&".join(f"{name}={value}" for name, value in request.query.items())
    return fault(request.headers["X-Paper"], f"Bad {request.headers['X-Paper']} at {request.path}?{asked}")


@pytest.mark.parametrize(
    "step",
    [echo, Reset(), CutOff(b"{"), Answer("<html>"), Hang()],
    ids=lambda step: getattr(step, "__name__", str(step)),
)
def test_no_secret_gets_into_a_log_an_exception_or_its_context(
    step: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with scripted_server(step) as server, capture_logs() as lines:
        paper = client(server.base_url, timeout=0.1)
        with pytest.raises(JobError) as caught:
            paper.get("papers", access="in-the-query")
    error: BaseException | None = caught.value
    seen = [repr(lines), caplog.text, repr(paper)]
    while error is not None:
        seen += [repr(error), str(vars(error))]
        error = error.__cause__ or error.__context__
    assert "urllib3" in caplog.text
    for secret in (KEY, SECRET, "in-the-query"):
        assert secret not in "\n".join(seen)


def test_urllib3s_log_lines_are_redacted_only_once_there_is_a_client() -> None:
    script = """
import logging
import include.social_analytics.http.client as client
from include.social_analytics.cooldown import LocalCooldown

line = logging.getLogger("urllib3.connectionpool").makeRecord(
    "urllib3.connectionpool", logging.DEBUG, "f", 1, '"GET /v1?proof=%s HTTP/1.1"', ("secret",), None
)
loggers = [logging.getLogger(f"urllib3.{n}") for n in ("connection", "connectionpool", "util.retry")]
assert [logger.filters for logger in loggers] == [[], [], []]
for _ in range(2):
    client.Api("p", "http://x", account="a", cooldown=LocalCooldown(), request_timeout=1, request_backoff=0)
assert [len(logger.filters) for logger in loggers] == [1, 1, 1]
assert all(logger.filter(line) for logger in loggers)
assert line.getMessage() == '"GET /v1 HTTP/1.1"', line.getMessage()
"""
    subprocess.run([sys.executable, "-c", script], check=True)
