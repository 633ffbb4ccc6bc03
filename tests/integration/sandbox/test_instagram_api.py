"""Instagram's stand-in refuses what the real API refuses."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import requests

from include.sandbox.serving import listen
from include.sandbox.stand_ins.instagram.api import InstagramApi
from include.sandbox.stand_ins.instagram.world import STANDALONE, World, make_account

NOW = datetime(2026, 11, 21, 18, tzinfo=UTC)
PAGE, OWN = make_account(1), make_account(2, identifier=STANDALONE)
TOTAL = {"period": "day", "metric_type": "total_value"}


@pytest.fixture
def url() -> Iterator[str]:
    with listen(InstagramApi(World([PAGE, OWN], now=lambda: NOW)).application()) as url:
        yield url


def get(url: str, path: str, *, token: str = PAGE.access_token, **params: object) -> dict:
    headers = {"Authorization": f"Bearer {token}"}
    return requests.get(f"{url}/{path}", params=params, headers=headers, timeout=5).json()


@pytest.mark.parametrize(
    ("path", "params", "code", "words"),
    [
        ("", {"fields": "wealth"}, 100, "nonexisting field"),
        ("/friends", {}, 2500, "Unknown path"),
        ("/insights", {"metric": "reach,saved"} | TOTAL, 100, "metric[1] must be one of"),
        ("/insights", {"metric": "views", "period": "day"}, 100, "(views) should be specified"),
        ("/insights", {"metric": "reach", "period": "week"}, 100, "period"),
        ("/insights", {"metric": "views", "breakdown": "follow_type"} | TOTAL, 100, "breakdown"),
        ("/insights", {"metric": "reach", "since": 1, "until": 9999999} | TOTAL, 100, "30 days"),
        (
            "/insights",
            {"metric": "reach", "since": int((NOW + timedelta(days=1)).timestamp())} | TOTAL,
            100,
            "future",
        ),
        ("/media", {"limit": 101}, 100, "limit"),
        ("/media", {"fields": "id,insights.metric(clicks)"}, 100, "metric[0] must be one of"),
        ("/stories", {"since": 1}, 100, "since"),
    ],
)
def test_a_wrong_request_is_refused_in_the_apis_words(url, path, params, code, words):
    error = get(url, f"v25.0/{PAGE.id}{path}", **params)["error"]
    assert error["code"] == code
    assert words in error["message"]
    assert error["type"] == "OAuthException"


@pytest.mark.parametrize(
    ("path", "token", "type_"),
    [
        (f"v25.0/{OWN.id}", OWN.access_token, "OAuthException"),
        (f"graph.instagram.com/v25.0/{PAGE.id}", PAGE.access_token, "IGApiException"),
        (f"v25.0/{PAGE.id}", PAGE.token, "OAuthException"),
    ],
)
def test_a_host_accepts_only_the_tokens_of_its_own_login(url, path, token, type_):
    error = get(url, path, token=token)["error"]
    assert (error["code"], error["type"]) == (190, type_)


def test_follows_without_their_breakdown_have_no_value(url):
    [item] = get(url, f"v25.0/{PAGE.id}/insights", metric="follows_and_unfollows", **TOTAL)["data"]
    assert "total_value" not in item


def test_another_accounts_media_cannot_be_read(url):
    [medium] = get(url, f"v25.0/{PAGE.id}/media", limit=1)["data"]
    error = get(url, f"graph.instagram.com/v25.0/{medium['id']}", token=OWN.access_token)["error"]
    assert (error["code"], error["error_subcode"]) == (100, 33)
