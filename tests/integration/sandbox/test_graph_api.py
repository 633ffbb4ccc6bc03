"""The sandbox over real HTTP: what it answers and refuses, as Meta documents it."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from include.sandbox.faults import Faults
from include.sandbox.stand_ins.facebook.demo import demo_world
from include.sandbox.stand_ins.facebook.graph_api import GraphApi, serve
from include.sandbox.stand_ins.facebook.world import (
    FAULT_KINDS,
    PAGE_METRICS,
    Fault,
    Post,
    World,
    make_page,
    user_token,
)

PAGE, OTHER, TINY = make_page(1), make_page(2), make_page(3, likes=40)
# 05:00 in Los Angeles: the latest day that has ended is the 20th.
NOW = datetime(2026, 11, 21, 13, 0, tzinfo=UTC)
DAY = date(2026, 11, 20)
FIELDS = (
    "id,created_time,message,permalink_url,status_type,shares,attachments{media_type,type,target{id}},"
    "comments.limit(0).summary(true),reactions.limit(0).summary(total_count)"
)
NESTED = f"{FIELDS},insights.metric(post_media_view,post_reactions_by_type_total)"
MONTH = {"since": "2026-10-24", "until": "2026-11-21"}


@pytest.fixture(scope="module")
def server() -> Iterator[GraphApi]:
    with serve(World([PAGE, OTHER, TINY], now=lambda: NOW)) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(server: GraphApi) -> Iterator[GraphApi]:
    server.clear_calls()
    yield server
    for key in (Faults.APP, PAGE.id):
        server.world.faults.clear(key)
    server.world.app_secret = None


Get = Callable[..., requests.Response]


@pytest.fixture
def get(sandbox: GraphApi) -> Iterator[Get]:
    """A function that requests a path with the first page's token."""
    with requests.Session() as session:

        def _get(path: str, token: str = PAGE.token, **params: Any) -> requests.Response:
            headers = {"Authorization": f"Bearer {token}"}
            return session.get(f"{sandbox.url}/v25.0/{path}", params=params, headers=headers, timeout=10)

        yield _get


def error_of(response: requests.Response) -> dict[str, Any]:
    assert response.status_code >= 400, response.text
    error: dict[str, Any] = response.json()["error"]
    assert error["message"]
    assert error["type"] in ("OAuthException", "GraphMethodException")
    assert error["fbtrace_id"]
    return error


def refusal(response: requests.Response) -> tuple[object, object]:
    error = error_of(response)
    return error["code"], error.get("error_subcode")


def listed(get: Get, **params: object) -> list[dict[str, Any]]:
    """Every post of the month, by following the cursor."""
    posts: list[dict[str, Any]] = []
    after: dict[str, object] = {}
    while True:
        body = get(f"{PAGE.id}/published_posts", **(MONTH | params | after)).json()
        posts += body["data"]
        if "next" not in body.get("paging", {}):
            return posts
        after = {"after": body["paging"]["cursors"]["after"]}


def post_of(sandbox: GraphApi, kind: str) -> Post:
    posts = sandbox.world.posts(PAGE.id, DAY - timedelta(days=90), DAY)
    return next(post for post in posts if post.kind == kind)


# Authentication


def test_the_version_is_optional_and_any_version_is_accepted(sandbox: GraphApi) -> None:
    for prefix in ("", "/v23.0", "/v99.1"):
        body = requests.get(
            f"{sandbox.url}{prefix}/{PAGE.id}", {"access_token": PAGE.token}, timeout=5
        ).json()
        assert body == {"id": PAGE.id, "name": PAGE.name}


@pytest.mark.parametrize("scheme", ["Bearer", "OAuth"])
def test_the_token_is_in_a_header_or_the_url_and_the_calls_record_which(
    sandbox: GraphApi, scheme: str
) -> None:
    url = f"{sandbox.url}/v25.0/{PAGE.id}"
    assert requests.get(url, headers={"Authorization": f"{scheme} {PAGE.token}"}, timeout=5).ok
    assert requests.get(url, {"access_token": PAGE.token}, timeout=5).ok
    assert [(call.page_id, call.status, call.token_in_url) for call in sandbox.calls] == [
        (PAGE.id, 200, False),
        (PAGE.id, 200, True),
    ]


def test_a_missing_unknown_foreign_or_user_token_is_refused(sandbox: GraphApi, get: Get) -> None:
    assert refusal(requests.get(f"{sandbox.url}/{PAGE.id}", timeout=5)) == (104, None)
    assert refusal(get(PAGE.id, token="EAAGnobodys")) == (190, 467)
    assert refusal(get(PAGE.id, token=OTHER.token)) == (200, None)
    assert refusal(get(PAGE.id, token=user_token(PAGE.id))) == (200, None)


def test_a_proof_must_be_that_of_the_app(sandbox: GraphApi, get: Get) -> None:
    proof = hmac.new(b"secret", PAGE.token.encode(), hashlib.sha256).hexdigest()
    assert "appsecret_proof" in error_of(get(PAGE.id, appsecret_proof=proof))["message"]
    sandbox.world.app_secret = "secret"
    assert get(PAGE.id, appsecret_proof=proof).ok
    for wrong in ({"appsecret_proof": "0" * 64}, {}):
        assert refusal(get(PAGE.id, **wrong)) == (100, None)


def test_an_unknown_path_or_object_gives_the_apis_own_error(sandbox: GraphApi, get: Get) -> None:
    assert refusal(get("100000000000999")) == (100, 33)
    assert refusal(get(f"{PAGE.id}_1")) == (100, 33)
    assert refusal(get(f"{PAGE.id}/nonsense")) == (2500, None)
    assert refusal(get(f"{PAGE.id}/a/b")) == (2500, None)
    assert refusal(get(PAGE.id, fields="id,shoe_size")) == (100, None)
    assert refusal(requests.post(f"{sandbox.url}/{PAGE.id}", timeout=5)) == (3, None)


def test_a_page_has_its_current_totals(get: Get) -> None:
    body = get(PAGE.id, fields="id,name,followers_count,fan_count").json()
    assert body["fan_count"] == PAGE.likes
    assert body["followers_count"] > 0


# Page insights


def test_a_values_end_time_is_the_end_of_its_pacific_day(sandbox: GraphApi, get: Get) -> None:
    # The clocks go back on 1 November 2026.
    body = get(f"{PAGE.id}/insights", metric="page_media_view", since="2026-10-31", until="2026-11-02").json()
    (series,) = body["data"]
    assert (series["name"], series["period"]) == ("page_media_view", "day")
    assert [value["end_time"] for value in series["values"]] == [
        "2026-11-01T07:00:00+0000",
        "2026-11-02T08:00:00+0000",
    ]
    assert series["values"][0]["value"] == sandbox.world.page_value(
        PAGE.id, "page_media_view", date(2026, 10, 31)
    )


def test_unix_times_and_dates_mean_the_same(get: Get) -> None:
    by_date = get(f"{PAGE.id}/insights", metric="page_follows", since="2026-11-18", until="2026-11-20")
    since = int(datetime(2026, 11, 18, 8, tzinfo=UTC).timestamp())
    by_second = get(f"{PAGE.id}/insights", metric="page_follows", since=since, until=since + 2 * 86400)
    assert by_date.json()["data"] == by_second.json()["data"]
    assert len(by_date.json()["data"][0]["values"]) == 2


def test_a_day_that_has_not_ended_has_no_value_yet(sandbox: GraphApi, get: Get) -> None:
    ask = {"metric": "page_media_view,page_follows", "since": "2026-11-19", "until": "2026-11-25"}

    def ends() -> list[str]:
        series = get(f"{PAGE.id}/insights", **ask).json()["data"]
        assert len(series) == 2
        return [value["end_time"][:10] for value in series[0]["values"]]

    assert ends() == ["2026-11-20", "2026-11-21"]
    sandbox.world.faults.set(PAGE.id, Fault("not_published"))
    assert ends() == ["2026-11-20"]


def test_insights_always_have_a_next_link_with_the_token(get: Get) -> None:
    paging = get(f"{PAGE.id}/insights", metric="page_follows", since="2026-11-18", until="2026-11-20").json()[
        "paging"
    ]
    for name in ("previous", "next"):
        query = parse_qs(urlsplit(paging[name]).query)
        assert query["access_token"] == [PAGE.token]
    assert int(query["since"][0]) == int(datetime(2026, 11, 20, 8, tzinfo=UTC).timestamp())


@pytest.mark.parametrize("metric", ["page_fans", "page_impressions", "page_media_view,nonsense", "", None])
def test_one_metric_that_does_not_exist_fails_the_whole_call(get: Get, metric: str | None) -> None:
    expected = (100, None) if metric else (3001, 1504028)
    assert refusal(get(f"{PAGE.id}/insights", metric=metric)) == expected


@pytest.mark.parametrize(
    "wrong",
    [
        {"since": "2026-01-01", "until": "2026-04-05"},
        {"since": "2026-11-20", "until": "2026-11-01"},
        {"since": "yesterday"},
        {"period": "fortnight"},
    ],
)
def test_ranges_and_periods_are_checked(get: Get, wrong: dict[str, str]) -> None:
    assert refusal(get(f"{PAGE.id}/insights", metric="page_follows", **wrong)) == (100, None)


def test_a_tiny_page_has_no_insights_and_no_error(get: Get) -> None:
    assert get(f"{TINY.id}/insights", token=TINY.token, metric="page_follows").json()["data"] == []


# Posts


def test_the_cursor_leads_to_every_post_once_and_the_newest_first(sandbox: GraphApi, get: Get) -> None:
    expected = sandbox.world.posts(PAGE.id, date(2026, 10, 24), DAY)
    assert 26 < len(expected) < 100
    for limit in (7, len(expected), 100):
        assert [post["id"] for post in listed(get, limit=limit)] == [post.id for post in expected]
    assert [post["id"] for post in listed(get)] == [post.id for post in expected]
    assert len(get(f"{PAGE.id}/posts", **MONTH).json()["data"]) == 25
    assert "next" not in get(f"{PAGE.id}/posts", **MONTH, limit=len(expected)).json()["paging"]
    assert get(f"{PAGE.id}/posts", since="2026-11-21", until="2026-11-21").json() == {"data": []}
    assert get(f"{PAGE.id}/feed", **MONTH).json()["paging"]["next"].startswith(sandbox.url)


@pytest.mark.parametrize(
    "wrong",
    [{"limit": 101}, {"limit": 0}, {"limit": "x"}, {"after": "?"}, {"fields": "id,shoe_size"},
     {"fields": "attachments{shoe_size}"}, {"fields": "id,insights.metric(post_impressions)"}],
)  # fmt: skip
def test_a_listing_is_checked(get: Get, wrong: dict[str, object]) -> None:
    assert refusal(get(f"{PAGE.id}/published_posts", **wrong)) == (100, None)


def test_a_post_has_the_requested_fields_and_no_others(sandbox: GraphApi, get: Get) -> None:
    posts = listed(get, limit=100, fields=NESTED)
    for post in posts:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+0000", post["created_time"])
        assert post.get("shares") != {"count": 0}
        for attachment in post.get("attachments", {}).get("data", []):
            assert set(attachment) == {"media_type", "type", "target"}
            assert set(attachment["target"]) == {"id"}
        assert post["comments"]["data"] == []
        assert post["comments"]["summary"]["total_count"] >= 0
    without_shares = [post for post in posts if "shares" not in post]
    assert 0 < len(without_shares) < len(posts)
    bare = listed(get, limit=100, fields="created_time,comments.limit(0)")
    assert all(set(post) == {"id", "created_time", "comments"} for post in bare)
    assert all("summary" not in post["comments"] for post in bare)


def test_nested_insights_equal_a_posts_own_and_a_story_has_none(sandbox: GraphApi, get: Get) -> None:
    by_id = {post["id"]: post for post in listed(get, limit=100, fields=NESTED)}
    photo = post_of(sandbox, "photo")
    own = get(f"{photo.id}/insights", metric="post_media_view,post_reactions_by_type_total").json()["data"]
    assert by_id[photo.id]["insights"]["data"] == own
    assert all("end_time" not in series["values"][0] for series in own)
    assert isinstance(own[0]["values"][0]["value"], int)
    assert set(own[1]["values"][0]["value"]) <= {"like", "love"}
    stories = [
        post.id for post in sandbox.world.posts(PAGE.id, date(2026, 10, 24), DAY) if post.kind == "story"
    ]
    assert stories
    assert all("insights" not in by_id[story] for story in stories)
    assert refusal(get(f"{stories[0]}/insights", metric="post_clicks")) == (100, None)


def test_a_bare_video_id_has_video_insights_only(sandbox: GraphApi, get: Get) -> None:
    reel = post_of(sandbox, "reel")
    target = get(reel.id, fields="attachments{target{id}}").json()["attachments"]["data"][0]["target"]
    assert target == {"id": reel.video_id}
    error = error_of(get(f"{reel.video_id}/insights", metric="post_media_view"))
    assert error["message"].startswith("(#100) Tried accessing nonexisting field (insights)")
    names = [series["name"] for series in get(f"{reel.video_id}/video_insights").json()["data"]]
    assert "blue_reels_play_count" in names
    one = get(f"{reel.video_id}/video_insights", metric="total_video_views").json()["data"]
    assert [series["name"] for series in one] == ["total_video_views"]
    assert get(f"{reel.video_id}").json()["id"] == reel.video_id


def test_a_storys_bare_id_has_no_insights_and_a_photos_is_not_found(sandbox: GraphApi, get: Get) -> None:
    story, photo = post_of(sandbox, "story"), post_of(sandbox, "photo")
    assert story.release_id == story.target_id
    assert photo.release_id == photo.id
    assert "(insights)" in error_of(get(f"{story.release_id}/insights", metric="post_clicks"))["message"]
    assert refusal(get(f"{photo.target_id}")) == (100, 33)


def test_a_posts_totals_grow_with_age(sandbox: GraphApi) -> None:
    post = post_of(sandbox, "photo")
    totals = []
    for hours in (0, 12, 48, 2000):
        now = post.created_at + timedelta(hours=hours)
        totals.append(World([PAGE], now=partial(now.astimezone, UTC)).post_value(post, "post_media_view"))
    assert totals == sorted(set(totals))
    assert totals[0] == 0


# Transport


def test_a_long_answer_is_compressed_and_the_connection_kept(get: Get) -> None:
    response = get(f"{PAGE.id}/published_posts", limit=100, fields=NESTED, **MONTH)
    assert response.headers["Content-Encoding"] == "gzip"
    assert response.headers.get("Connection", "keep-alive") == "keep-alive"
    assert not [name for name in response.headers if "usage" in name.lower()]


def test_usage_headers_appear_once_usage_is_not_low_and_a_spent_quota_refuses() -> None:
    page = make_page(1, quota=8)
    with serve(World([page, OTHER], app_quota=20, now=lambda: NOW)) as sandbox, requests.Session() as session:

        def ask(of: Any) -> requests.Response:
            headers = {"Authorization": f"Bearer {of.token}"}
            return session.get(f"{sandbox.url}/{of.id}", headers=headers, timeout=5)

        def use(answer: requests.Response) -> tuple[int, int] | None:
            header = answer.headers.get("X-Business-Use-Case-Usage")
            usage = json.loads(header)[page.id][0] if header else None
            return usage and (usage["call_count"], usage["estimated_time_to_regain_access"])

        answers = [ask(page) for _ in range(9)]
        assert [use(answer) for answer in answers] == [
            None, (25, 0), (37, 0), (50, 0), (62, 0), (75, 0), (87, 0), (100, 0), (100, 30),
        ]  # fmt: skip
        assert all(answer.ok for answer in answers[:8])
        assert refusal(answers[8]) == (80001, None)
        others = [ask(OTHER) for _ in range(12)]
        assert json.loads(others[0].headers["X-App-Usage"])["call_count"] == 50
        assert others[10].ok
        assert refusal(others[11]) == (4, None)
        sandbox.clear_calls()
        assert ask(page).ok


# Faults


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("token_revoked", (401, 190, 460, None)),
        ("token_expired", (400, 190, 463, None)),
        ("permission_missing", (403, 200, None, None)),
        ("permission_denied", (403, 10, None, None)),
        ("object_gone", (400, 100, 33, None)),
        ("app_off", (400, 190, None, None)),
        ("account_blocked", (400, 368, None, None)),
        ("page_throttled", (400, 80001, None, None)),
        ("page_throttled_32", (403, 32, None, None)),
        ("app_throttled", (403, 4, None, True)),
        ("down", (500, 2, None, True)),
    ],
)
def test_a_fault_is_the_apis_error_for_one_page_only(
    sandbox: GraphApi, get: Get, kind: str, expected: tuple[object, ...]
) -> None:
    sandbox.world.faults.set(PAGE.id, Fault(kind))
    response = get(PAGE.id)
    error = error_of(response)
    assert (
        response.status_code, error["code"], error.get("error_subcode"), error.get("is_transient")
    ) == expected  # fmt: skip
    assert get(OTHER.id, token=OTHER.token).ok
    sandbox.world.faults.clear(PAGE.id)
    assert get(PAGE.id).ok


def test_throttles_say_how_much_is_used_and_when_they_end(sandbox: GraphApi, get: Get) -> None:
    sandbox.world.faults.set(PAGE.id, Fault("page_throttled", minutes=19))
    usage = json.loads(get(PAGE.id).headers["X-Business-Use-Case-Usage"])
    assert usage[PAGE.id][0]["type"] == "pages"
    assert usage[PAGE.id][0]["estimated_time_to_regain_access"] == 19
    sandbox.world.faults.set(PAGE.id, Fault("page_throttled_32"))
    assert json.loads(get(PAGE.id).headers["X-Page-Usage"])["call_count"] >= 99
    sandbox.world.faults.set(Faults.APP, Fault("app_throttled", minutes=7))
    for page in (PAGE, OTHER):
        headers = get(page.id, token=page.token).headers
        assert json.loads(headers["X-App-Usage"])["call_count"] >= 100
        business = json.loads(headers["X-Business-Use-Case-Usage"])
        assert business[page.id][0]["estimated_time_to_regain_access"] == 7


def test_a_fault_lasts_n_requests_or_comes_at_every_nth_request(sandbox: GraphApi, get: Get) -> None:
    sandbox.world.faults.set(PAGE.id, Fault("down", times=2))
    assert [get(PAGE.id).status_code for _ in range(4)] == [500, 500, 200, 200]
    sandbox.world.faults.set(PAGE.id, Fault("down", every=3))
    assert [get(PAGE.id).status_code for _ in range(6)] == [200, 200, 500, 200, 200, 500]


def test_a_reset_is_a_connection_closed_without_an_answer(sandbox: GraphApi, get: Get) -> None:
    sandbox.world.faults.set(PAGE.id, Fault("reset", times=1))
    with pytest.raises(requests.ConnectionError):
        get(PAGE.id)
    assert get(PAGE.id).ok
    assert [call.status for call in sandbox.calls] == [0, 200]


def test_a_hang_keeps_one_client_waiting_and_no_other(sandbox: GraphApi, get: Get) -> None:
    sandbox.world.faults.set(PAGE.id, Fault("hang", times=1))
    with pytest.raises(requests.ReadTimeout):
        requests.get(f"{sandbox.url}/{PAGE.id}", {"access_token": PAGE.token}, timeout=0.2)
    assert get(OTHER.id, token=OTHER.token).ok
    assert [call.status for call in sandbox.calls] == [0, 200]


def test_a_held_request_is_answered_when_the_fault_is_cleared(sandbox: GraphApi, get: Get) -> None:
    sandbox.world.faults.set(PAGE.id, Fault("held"))
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(get, PAGE.id)
        try:
            assert get(OTHER.id, token=OTHER.token).ok
            assert [call.page_id for call in sandbox.calls] == [OTHER.id]
        finally:
            sandbox.world.faults.clear(PAGE.id)
        assert answer.result(10).ok


def test_a_drip_sends_byte_by_byte(sandbox: GraphApi) -> None:
    sandbox.world.faults.set(PAGE.id, Fault("drip"))
    query = {"access_token": PAGE.token}
    with requests.get(f"{sandbox.url}/{PAGE.id}", query, timeout=5, stream=True) as response:
        drops = response.iter_content(None)
        assert [next(drops) for _ in range(3)] == [b" ", b" ", b" "]


def test_a_flood_is_larger_than_the_client_accepts(sandbox: GraphApi) -> None:
    sandbox.world.faults.set(PAGE.id, Fault("huge_body"))
    headers = {"Accept-Encoding": "identity", "Authorization": f"OAuth {PAGE.token}"}
    with requests.get(f"{sandbox.url}/{PAGE.id}", headers=headers, timeout=5, stream=True) as response:
        sizes = (len(chunk) for chunk in response.iter_content(2**20))
        assert any(total > 20 * 2**20 for total in accumulate(sizes))


@pytest.mark.parametrize(
    ("kind", "status"), [("html_503", 503), ("html_403", 403), ("empty_body", 200), ("truncated", 200)]
)
def test_a_fault_can_send_a_body_that_is_not_json(
    sandbox: GraphApi, get: Get, kind: str, status: int
) -> None:
    sandbox.world.faults.set(PAGE.id, Fault(kind))
    response = get(PAGE.id)
    assert response.status_code == status
    with pytest.raises(requests.JSONDecodeError):
        response.json()


def test_a_fault_can_let_another_server_answer(sandbox: GraphApi, get: Get) -> None:
    sandbox.world.faults.set(PAGE.id, Fault("json_404"))
    response = get(PAGE.id)
    assert (response.status_code, response.json()) == (404, {"detail": "Not Found"})


def test_a_fault_can_retire_a_metric(sandbox: GraphApi, get: Get) -> None:
    sandbox.world.faults.set(PAGE.id, Fault("invalid_metric", metric="page_views_total"))
    error = error_of(get(f"{PAGE.id}/insights", metric="page_follows,page_views_total"))
    assert error["message"] == "(#100) The value must be a valid insights metric"
    assert get(f"{PAGE.id}/insights", metric="page_follows").ok


def test_a_fault_can_refuse_a_listing_as_too_much_data(sandbox: GraphApi, get: Get) -> None:
    sandbox.world.faults.set(PAGE.id, Fault("reduce_data", limit=10))
    refused = get(f"{PAGE.id}/published_posts", limit=11)
    assert (refused.status_code, *refusal(refused)) == (500, 1, None)
    assert get(f"{PAGE.id}/published_posts", limit=10).ok


def test_one_bad_post_fails_the_listing_that_asks_for_insights(sandbox: GraphApi, get: Get) -> None:
    bad, good = post_of(sandbox, "photo"), post_of(sandbox, "status")
    sandbox.world.faults.set(PAGE.id, Fault("bad_post", post=bad.id))
    assert refusal(get(f"{PAGE.id}/published_posts", limit=100, fields=NESTED, **MONTH)) == (100, None)
    assert get(f"{PAGE.id}/published_posts", limit=100, fields=FIELDS, **MONTH).ok
    error = error_of(get(f"{bad.id}/insights", metric="post_clicks"))
    assert "nonexisting field (insights)" in error["message"]
    assert get(f"{good.id}/insights", metric="post_clicks").ok


@pytest.mark.parametrize(
    ("kind", "refused"), [("posts_refused", (400, 10, None)), ("posts_down", (500, 2, None))]
)
def test_a_fault_can_refuse_the_posts_and_not_the_insights(
    sandbox: GraphApi, get: Get, kind: str, refused: tuple[object, ...]
) -> None:
    sandbox.world.faults.set(PAGE.id, Fault(kind))
    answer = get(f"{PAGE.id}/published_posts", fields="id")
    assert (answer.status_code, *refusal(answer)) == refused
    assert get(f"{PAGE.id}/insights", metric="page_follows").ok


def test_a_fault_can_refuse_the_counts_of_posts(sandbox: GraphApi, get: Get) -> None:
    sandbox.world.faults.set(PAGE.id, Fault("counts_refused"))
    for count in ("comments.limit(0).summary(true)", "reactions"):
        error = error_of(get(f"{PAGE.id}/published_posts", fields=f"id,{count}"))
        assert error["code"] == 10
        assert "'pages_read_user_content'" in error["message"]
    assert get(f"{PAGE.id}/published_posts", fields="id,shares,insights.metric(post_clicks)").ok


def test_one_broken_post_fails_every_listing_that_holds_it(sandbox: GraphApi, get: Get) -> None:
    path = f"{PAGE.id}/published_posts"
    newest, other = [post["id"] for post in listed(get, limit=100)][:2]
    sandbox.world.faults.set(PAGE.id, Fault("broken_post", post=newest))
    for limit in (100, 1):
        refused = get(path, limit=limit, fields="id", **MONTH)
        assert (refused.status_code, *refusal(refused)) == (500, 1, None)
    sandbox.world.faults.set(PAGE.id, Fault("broken_post", post=other))
    assert [post["id"] for post in get(path, limit=1, **MONTH).json()["data"]] == [newest]
    assert not get(path, limit=2, **MONTH).ok


def test_a_fault_can_lose_the_second_page_of_a_listing(sandbox: GraphApi, get: Get) -> None:
    path = f"{PAGE.id}/published_posts"
    sandbox.world.faults.set(PAGE.id, Fault("lost_page", limit=5))
    first = get(path, limit=100, **MONTH).json()
    assert len(first["data"]) == 5
    assert refusal(get(path, **MONTH, after=first["paging"]["cursors"]["after"])) == (100, 33)


def test_a_fault_can_break_the_paging_of_a_listing(sandbox: GraphApi, get: Get) -> None:
    path = f"{PAGE.id}/published_posts"
    whole = [post["id"] for post in listed(get, limit=100)]
    sandbox.world.faults.set(PAGE.id, Fault("empty_page"))
    first = get(path, **MONTH).json()
    assert first["data"] == []
    assert first["paging"]["next"]
    assert [post["id"] for post in listed(get, limit=100)] == whole
    sandbox.world.faults.set(PAGE.id, Fault("repeated_cursor"))
    first = get(path, **MONTH).json()
    again = get(path, **MONTH, after=first["paging"]["cursors"]["after"]).json()
    assert again == {**first, "paging": again["paging"]}
    assert again["paging"]["cursors"] == first["paging"]["cursors"]
    sandbox.world.faults.set(PAGE.id, Fault("foreign_next"))
    assert not get(path, **MONTH).json()["paging"]["next"].startswith(sandbox.url)


def test_a_fault_can_empty_the_insights(sandbox: GraphApi, get: Get) -> None:
    sandbox.world.faults.set(PAGE.id, Fault("no_insights"))
    assert get(f"{PAGE.id}/insights", metric="page_follows").json()["data"] == []


def test_a_fault_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="There is no fault 'typo'"):
        Fault("typo")
    with pytest.raises(ValueError, match="1 or more"):
        Fault("down", times=0)
    with pytest.raises(ValueError, match="goes with invalid_metric"):
        Fault("invalid_metric")


def test_every_kind_of_fault_has_a_test_in_this_file() -> None:
    tests = Path(__file__).read_text(encoding="utf-8")
    assert [kind for kind in FAULT_KINDS if f'"{kind}"' not in tests] == []


# As a process, and as a whole


def test_it_runs_as_a_process_that_other_processes_control() -> None:
    command = [
        *(sys.executable, "-m", "include.sandbox.stand_ins.facebook.graph_api"),
        *("--port", "0", "--pages", "2"),
    ]
    root = Path(__file__).parents[3]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            url = process.stdout.readline().split()[-1]
            query = {"access_token": PAGE.token}
            fault = f"{url}/sandbox/accounts/{PAGE.id}/fault"
            everything = f"{url}/sandbox/app/fault"
            assert requests.put(fault, json={"kind": "typo"}, timeout=10).status_code == 400
            assert requests.put(fault, json={"kind": "down"}, timeout=10).ok
            assert requests.get(f"{url}/{PAGE.id}", query, timeout=10).status_code == 500
            assert requests.delete(fault, timeout=10).ok
            assert requests.put(everything, json={"kind": "app_throttled", "times": 1}, timeout=10).ok
            assert requests.get(f"{url}/{PAGE.id}", query, timeout=10).status_code == 403
            assert requests.get(f"{url}/{PAGE.id}", query, timeout=10).ok
            assert [call["status"] for call in requests.get(f"{url}/sandbox/calls", timeout=10).json()] == [
                500,
                403,
                200,
            ]
            assert requests.delete(f"{url}/sandbox/calls", timeout=10).json() == []
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 0


def test_two_worlds_give_the_same_figures() -> None:
    pages = [make_page(number) for number in range(1, 10_001)]
    first, second = (World(pages, now=lambda: NOW) for _ in range(2))
    assert len(set(first.tokens)) == 10_000
    assert all(re.fullmatch(r"EAA\w{120,}", token) for token in first.tokens)
    assert PAGE.token not in repr(first.pages[PAGE.id])
    for metric in PAGE_METRICS:
        assert first.page_value(PAGE.id, metric, DAY) == second.page_value(PAGE.id, metric, DAY) > 0
    assert first.posts(PAGE.id, DAY - timedelta(days=27), DAY) == second.posts(
        PAGE.id, DAY - timedelta(days=27), DAY
    )


def test_the_demo_has_a_channel_for_each_common_failure() -> None:
    world = demo_world()
    world.now = lambda: NOW
    with serve(world) as sandbox:
        troubles: dict[int, object] = {}
        for number, page in enumerate(world.pages.values(), 1):
            query = {"access_token": page.token, "metric": "page_follows"}
            body = requests.get(f"{sandbox.url}/{page.id}/insights", query, timeout=10).json()
            if error := body.get("error"):
                troubles[number] = error["code"]
            elif len(body["data"]) != 1 or len(body["data"][0]["values"]) != 2:
                troubles[number] = "no day" if body["data"] else "no insights"
    assert len(world.pages) == 24
    assert troubles == {3: 190, 8: 200, 11: 100, 17: "no day", 18: "no insights", 19: 2}


def test_the_connector_reads_an_ordinary_page_in_two_calls(
    sandbox: GraphApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    from include.sandbox.stand_ins import stand_ins
    from include.social_analytics.connectors import provider_named
    from include.social_analytics.connectors.base import Account
    from include.social_analytics.connectors.reading import DayStatus, Window
    from include.social_analytics.settings import Settings

    for name, connection in stand_ins()["facebook"].environment(sandbox.url).items():
        monkeypatch.setenv(name, connection)
    connector = provider_named("facebook").connect(Settings())
    reading = connector.reader(Account("one", "facebook", PAGE.id, (PAGE.token,))).read(Window(DAY, 3, 28))
    assert reading.status is DayStatus.SUCCEEDED
    assert reading.series["views"][DAY] == sandbox.world.page_value(PAGE.id, "page_media_view", DAY)
    posts = sandbox.world.posts(PAGE.id, DAY - timedelta(days=27), DAY)
    assert [content.content_id for content in reading.content] == [post.id for post in posts]
    assert len(sandbox.calls) == 2
    assert not any(call.token_in_url for call in sandbox.calls)
