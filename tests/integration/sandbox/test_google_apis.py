"""YouTube's stand-in refuses what Google's APIs refuse."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import requests

from include.sandbox.serving import listen
from include.sandbox.stand_ins.youtube import CLIENT_ID, CLIENT_SECRET
from include.sandbox.stand_ins.youtube.google_apis import GoogleApis
from include.sandbox.stand_ins.youtube.world import World, make_channel

NOW = datetime(2026, 11, 21, 18, tzinfo=UTC)
OWN, OTHER = make_channel(1), make_channel(2)
UPLOADS = f"UU{OWN.id[2:]}"
FORM = {
    "grant_type": "refresh_token",
    "refresh_token": OWN.refresh_token,
    "client_id": CLIENT_ID,
    "client_secret": CLIENT_SECRET,
}
REPORT = {
    "ids": f"channel=={OWN.id}",
    "startDate": "2026-11-01",
    "endDate": "2026-11-20",
    "metrics": "views",
    "dimensions": "day",
}


@pytest.fixture
def world() -> World:
    return World([OWN, OTHER], now=lambda: NOW)


@pytest.fixture
def url(world: World) -> Iterator[str]:
    with listen(GoogleApis(world).application()) as url:
        yield url


def get(url: str, path: str, params: dict[str, Any], token: str) -> requests.Response:
    return requests.get(
        f"{url}/{path}", params=params, headers={"Authorization": f"Bearer {token}"}, timeout=5
    )


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"refresh_token": "unknown"}, "invalid_grant"),
        ({"client_secret": "wrong"}, "invalid_client"),
        ({"client_id": "another"}, "invalid_client"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
    ],
)
def test_the_token_address_gives_no_token_to_a_wrong_form(url, world, changes, error):
    answer = requests.post(f"{url}/token", data=FORM | changes, timeout=5)
    assert (answer.ok, answer.json()["error"]) == (False, error)
    assert not world.by_access_token


def test_the_token_address_takes_no_secret_from_a_url(url, world):
    assert not requests.post(f"{url}/token", params=FORM, timeout=5).ok
    assert not requests.get(f"{url}/token", params=FORM, timeout=5).ok
    assert not world.by_access_token


@pytest.mark.parametrize("token", ["", "unknown", OWN.token, OWN.refresh_token])
def test_only_a_fetched_access_token_opens_the_apis(url, token):
    answer = get(url, "v2/reports", REPORT, token)
    assert answer.status_code == 401
    assert answer.json()["error"]["errors"][0]["reason"] == "authError"


@pytest.mark.parametrize(
    ("path", "params", "status", "reason"),
    [
        ("v2/reports", {**REPORT, "ids": f"channel=={OTHER.id}"}, 403, "forbidden"),
        ("v2/reports", {**REPORT, "metrics": "views,reach"}, 400, "badRequest"),
        ("v2/reports", {**REPORT, "startDate": "2026-11-31"}, 400, "badRequest"),
        ("v2/reports", {**REPORT, "startDate": "20261101"}, 400, "badRequest"),
        ("v2/reports", {**REPORT, "startDate": "2026-11-21"}, 400, "badRequest"),
        ("v2/reports", {**REPORT, "dimensions": "hour"}, 400, "badRequest"),
        ("v2/reports", {**REPORT, "dimensions": "video"}, 400, "badRequest"),
        ("v2/reports", {**REPORT, "wealth": "1"}, 400, "badRequest"),
        ("v2/reports", {"ids": "channel==MINE"}, 400, "badRequest"),
        ("v2/groups", {}, 404, "notFound"),
        ("youtube/v3/channels", {"part": "wealth", "mine": "true"}, 400, "unknownPart"),
        ("youtube/v3/channels", {"part": "statistics"}, 400, "missingRequiredParameter"),
        (
            "youtube/v3/playlistItems",
            {"part": "snippet", "playlistId": f"UU{OTHER.id[2:]}"},
            404,
            "playlistNotFound",
        ),
        (
            "youtube/v3/playlistItems",
            {"part": "snippet", "playlistId": UPLOADS, "maxResults": 51},
            400,
            "badRequest",
        ),
        (
            "youtube/v3/playlistItems",
            {"part": "snippet", "playlistId": UPLOADS, "pageToken": "http://attacker.invalid"},
            400,
            "invalidPageToken",
        ),
        ("youtube/v3/videos", {"part": "statistics", "id": ",".join("v" * 51)}, 400, "invalidFilters"),
        ("youtube/v3/videos", {"part": "statistics", "id": "v", "maxResults": 50}, 400, "badRequest"),
    ],
)
def test_a_wrong_request_is_refused_in_googles_words(url, world, path, params, status, reason):
    answer = get(url, path, params, world.access_token(OWN))
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (status, status)
    assert error["errors"][0]["reason"] == reason
    assert error["message"]


def test_the_stand_in_leaves_out_what_google_leaves_out(url, world):
    token = world.access_token(OWN)
    for day in (19, 20):
        world.restate(OWN.id, datetime(2026, 11, day, tzinfo=UTC).date(), 0)
    report = get(url, "v2/reports", REPORT | {"startDate": "2026-11-18"}, token).json()
    assert [row[0] for row in report["rows"]] == ["2026-11-18"]
    assert "rows" not in get(url, "v2/reports", REPORT | {"startDate": "2026-11-19"}, token).json()
    answer = get(url, "youtube/v3/channels", {"part": "statistics", "id": OTHER.id}, token).json()
    assert "items" not in answer
