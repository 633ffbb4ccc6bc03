"""LinkedIn's stand-in refuses what the real API refuses."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import requests

from include.sandbox.serving import listen
from include.sandbox.stand_ins.linkedin_page.api import LinkedInApi
from include.sandbox.stand_ins.linkedin_page.world import Fault, World, make_page

NOW = datetime(2026, 11, 21, 18, tzinfo=UTC)
PAGE, OTHER = make_page(1), make_page(2)
ORGANIZATION = f"urn%3Ali%3Aorganization%3A{PAGE.id}"
#: 2026-11-20, 00:00 UTC.
START = 1_795_132_800_000
A_DAY = 86_400_000
SHARES = f"organizationalEntityShareStatistics?q=organizationalEntity&organizationalEntity={ORGANIZATION}"
HEADERS = {
    "Authorization": f"Bearer {PAGE.token}",
    "LinkedIn-Version": "202603",
    "X-Restli-Protocol-Version": "2.0.0",
}


@pytest.fixture
def url() -> Iterator[str]:
    with listen(LinkedInApi(World([PAGE, OTHER], now=lambda: NOW)).application()) as url:
        yield url


def get(url: str, target: str, **headers: str | None) -> dict:
    sent = {name: value for name, value in (HEADERS | headers).items() if value is not None}
    answer = requests.get(f"{url}/rest/{target}", headers=sent, timeout=5)
    body = answer.json()
    if answer.status_code != 200:
        assert body["status"] == answer.status_code
    return body


def interval(start: int = START, end: int = START + A_DAY, by: str = "DAY") -> str:
    return f"&timeIntervals=(timeRange:(start:{start},end:{end}),timeGranularityType:{by})"


@pytest.mark.parametrize(
    ("target", "status", "code", "words"),
    [
        ("organizations/1", 404, "RESOURCE_NOT_FOUND", "No virtual resource"),
        (f"{SHARES}&fields=views", 403, "ACCESS_DENIED", "Unpermitted fields present in PARAMETER"),
        (f"{SHARES}{interval()}&count=10", 403, "ACCESS_DENIED", "[/count]"),
        (
            f"{SHARES}&shares[0]=urn%3Ali%3Ashare%3A1",
            403,
            "ACCESS_DENIED",
            "Unpermitted fields",
        ),
        (f"{SHARES}{interval(start=START + 1)}", 400, "ILLEGAL_ARGUMENT", "midnight"),
        (f"{SHARES}{interval(end=START)}", 400, "ILLEGAL_ARGUMENT", "24 hours apart"),
        (f"{SHARES}{interval(by='HOUR')}", 400, "ILLEGAL_ARGUMENT", "timeIntervals"),
        (f"{SHARES}{interval()}".replace("(", "%28"), 400, "ILLEGAL_ARGUMENT", "timeIntervals"),
        (f"{SHARES}&shares=List(urn:li:share:1)", 400, "ILLEGAL_ARGUMENT", "encoded"),
        (f"{SHARES}&shares=List%28urn%3Ali%3Ashare%3A1%29", 400, "ILLEGAL_ARGUMENT", "shares"),
        (f"{SHARES}&shares=List(urn%3Ali%3AugcPost%3A1)", 400, "INVALID_URN_TYPE", "ugcPost"),
        (f"{SHARES}{interval()}&shares=List(urn%3Ali%3Ashare%3A1)", 400, "ILLEGAL_ARGUMENT", "not supported"),
        (f"posts?q=author&author={ORGANIZATION}&count=101", 400, "ILLEGAL_ARGUMENT", "count"),
        (f"posts?q=author&author={ORGANIZATION}&sortBy=LIKES", 400, "INVALID_VALUE_FOR_FIELD", "sortBy"),
        ("posts?q=author&author=urn%3Ali%3Aperson%3A1", 400, "INVALID_URN_TYPE", "urn"),
        ("posts?author=1", 400, "ILLEGAL_ARGUMENT", "Unknown query"),
        (f"organizationPageStatistics?q=organization{interval()}", 400, "ILLEGAL_ARGUMENT", "required"),
        (f"networkSizes/{ORGANIZATION}", 400, "ILLEGAL_ARGUMENT", "edgeType"),
        (f"posts?q=author&author=urn%3Ali%3Aorganization%3A{OTHER.id}", 403, None, "ADMIN_ONLY"),
    ],
)
def test_a_wrong_request_is_refused_in_the_apis_words(url, target, status, code, words):
    error = get(url, target)
    assert (error["status"], error.get("code")) == (status, code)
    assert words in error["message"]


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"Authorization": None}, 401, "EMPTY_ACCESS_TOKEN"),
        ({"Authorization": "Bearer another"}, 401, "INVALID_ACCESS_TOKEN"),
        ({"LinkedIn-Version": None}, 400, "VERSION_MISSING"),
        ({"LinkedIn-Version": "202501"}, 426, "NONEXISTENT_VERSION"),
        ({"LinkedIn-Version": "v25.0"}, 426, "NONEXISTENT_VERSION"),
        ({"X-Restli-Protocol-Version": None}, 400, "ILLEGAL_ARGUMENT"),
    ],
)
def test_a_call_without_the_right_headers_is_refused(url, headers, status, code):
    error = get(url, f"{SHARES}{interval()}", **headers)
    assert (error["status"], error["code"]) == (status, code)


def test_a_day_has_one_element_of_each_statistics(url):
    [element] = get(url, f"{SHARES}{interval()}")["elements"]
    assert element["timeRange"] == {"start": START, "end": START + A_DAY}
    assert element["totalShareStatistics"]["impressionCount"] > 0


def test_a_fault_needs_its_resource():
    with pytest.raises(ValueError, match="resource"):
        Fault("refused")
    with pytest.raises(ValueError, match="resource"):
        Fault("down", resource="posts")
