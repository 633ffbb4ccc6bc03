"""Reading listings from a real server, completely or not."""

from __future__ import annotations

from typing import Any

import pytest
from structlog.testing import capture_logs

from include.social_analytics.cooldown import LocalCooldown
from include.social_analytics.errors import ErrorCode, JobError
from include.social_analytics.graph_api import GraphConnection
from include.social_analytics.graph_api.client import GraphApi, GraphClient
from include.social_analytics.graph_api.paging import MAX_BARE_ITEMS, Listing, read_listing
from tests.support.scripted_http import Answer, Request, Script, Step, scripted_server

TOO_MUCH = Answer(
    {"error": {"code": 1, "message": "Please reduce the amount of data you're asking for, then retry"}}, 500
)


def client(base_url: str) -> GraphClient:
    connection = GraphConnection(base_url, "v25.0", LocalCooldown())
    api = GraphApi(
        "facebook", connection, account="page", use_case="pages", request_timeout=5, request_backoff=0
    )
    return api.client("1", "token")


def page(
    items: list[Any], after: object = None, next_url: object = "https://graph.facebook.com/next"
) -> Answer:
    return Answer({"data": items, "paging": {"cursors": {"after": after}, "next": next_url}})


def last_page(items: list[Any]) -> Answer:
    return Answer({"data": items, "paging": {"cursors": {"after": "end"}}})


def read(*script: Step | Script, **options: Any) -> tuple[Listing, list[Request]]:
    with scripted_server(*script) as server:
        return read_listing(client(server.base_url), ("1", "posts"), fields="id", **options), server.requests


def test_an_empty_or_short_page_is_not_the_last_page() -> None:
    listing, requests = read(page([1], "a"), page([], "b"), page([2], "c"), last_page([3]))
    assert listing == Listing((1, 2, 3), complete=True)
    assert [request.query.get("after") for request in requests] == [None, "a", "b", "c"]
    assert {request.query["fields"] for request in requests} == {"id"}
    assert {request.query["limit"] for request in requests} == {"100"}


def test_an_answer_without_paging_is_the_last_page() -> None:
    assert read(Answer({"data": []}))[0] == Listing((), complete=True)


@pytest.mark.parametrize("end", [Answer({"data": []}), last_page([3]), Answer({"data": [3]})])
def test_without_next_the_cursor_leads_on_until_a_page_is_empty_or_repeats(end: Answer) -> None:
    def without_next(item: int, after: str) -> Answer:
        return Answer({"data": [item], "paging": {"cursors": {"after": after}}})

    steps = [without_next(1, "a"), without_next(2, "b"), without_next(3, "c"), end]
    listing, requests = read(*steps, next_may_be_missing=True)
    assert set(listing.items) == {1, 2, 3}
    assert listing.complete
    assert [request.query.get("after") for request in requests] == [None, "a", "b", "c"]
    assert read(*steps)[0] == Listing((1,), complete=True)


def test_a_next_page_on_another_host_is_requested_from_our_host() -> None:
    with scripted_server(last_page([])) as other:
        listing, requests = read(page([1], "a", f"{other.base_url}/steal?access_token=x"), last_page([2]))
        assert not other.requests
    assert listing.complete
    assert [request.path for request in requests] == ["/v25.0/1/posts"] * 2


def test_a_repeated_cursor_ends_the_listing_as_incomplete() -> None:
    with capture_logs() as lines:
        listing, requests = read(page([1], "a"), page([2], "b"), page([3], "a"))
    assert listing == Listing((1, 2, 3), complete=False)
    assert len(requests) == 3
    assert "listing broken off" in [line["event"] for line in lines]


@pytest.mark.parametrize("after", [None, 7, {}, ["a"]])
def test_a_next_page_without_a_cursor_ends_the_listing_as_incomplete(after: object) -> None:
    assert read(page([1], after))[0] == Listing((1,), complete=False)


@pytest.mark.parametrize("paging", ["x", [1], 7])
def test_paging_of_a_wrong_shape_is_not_taken_for_the_last_page(paging: object) -> None:
    assert not read(Answer({"data": [1], "paging": paging}))[0].complete


def test_an_endless_listing_stops_after_the_limit_of_pages() -> None:
    counter = iter(range(1000))
    listing, requests = read(lambda request: page([1], f"cursor-{next(counter)}"), max_pages=5)
    assert listing == Listing((1,) * 5, complete=False)
    assert len(requests) == 5


def test_a_huge_listing_stops_before_it_fills_the_memory() -> None:
    counter = iter(range(1000))
    megabyte = "x" * 2**20
    listing, requests = read(lambda request: page([megabyte], f"cursor-{next(counter)}"), max_bytes=2**22)
    assert not listing.complete
    assert len(requests) == len(listing.items) == 4


@pytest.mark.parametrize("body", [{}, {"data": None}, {"data": {"a": 1}}])
def test_a_list_without_data_is_an_invalid_answer(body: object) -> None:
    listing, _ = read(Answer(body))
    assert listing == Listing((), complete=False)
    assert listing.error is not None
    assert listing.error.code is ErrorCode.RESPONSE_INVALID


@pytest.mark.parametrize(("code", "requests"), [(100, 2), (10, 4), (2, 4)])
def test_a_failing_page_keeps_the_pages_before(code: int, requests: int) -> None:
    failed = Answer({"error": {"code": code, "message": "No."}}, 400)
    listing, made = read(page([1], "a"), failed)
    assert listing == Listing((1,), complete=False)
    assert listing.error is not None
    assert listing.error.provider_code == str(code)
    assert len(made) == requests


@pytest.mark.parametrize("code", [190, 4, 32, 368, 101])
def test_a_failure_of_the_whole_account_is_raised_on_any_page(code: int) -> None:
    with pytest.raises(JobError) as caught:
        read(page([1], "a"), Answer({"error": {"code": code, "message": "No."}}, 400))
    assert caught.value.provider_code == str(code)


def test_a_page_that_fails_is_asked_for_in_tenths_and_at_last_with_few_fields() -> None:
    def script(request: Request) -> Step:
        start, limit = int(request.query.get("after", "0")), int(request.query["limit"])
        if start <= 12 < start + limit and request.query["fields"] == "id":
            return Answer({"error": {"code": 1, "message": "An unknown error occurred"}}, 500)
        end = min(start + limit, 30)
        items = list(range(start, end))
        return page(items, str(end)) if end < 30 else last_page(items)

    listing, requests = read(script, bare_fields="name")
    assert listing == Listing(tuple(n for n in range(30) if n != 12), complete=True, bare=(12,))
    asked = dict.fromkeys((r.query["limit"], r.query.get("after"), r.query["fields"]) for r in requests)
    assert list(asked) == [
        ("100", None, "id"),
        ("10", None, "id"),
        ("10", "10", "id"),
        ("1", "10", "id"),
        ("1", "11", "id"),
        ("1", "12", "id"),
        ("1", "12", "name"),
        ("100", "13", "id"),
    ]


def test_too_much_data_halves_the_page_and_continues_from_the_same_place() -> None:
    listing, requests = read(page([1], "a"), TOO_MUCH, TOO_MUCH, page([2], "b"), last_page([3]))
    assert listing == Listing((1, 2, 3), complete=True)
    assert [(request.query["limit"], request.query.get("after")) for request in requests] == [
        ("100", None),
        ("100", "a"),
        ("50", "a"),
        ("25", "a"),
        ("25", "b"),
    ]


def test_too_much_data_in_a_single_item_fails_as_unavailable() -> None:
    listing, requests = read(TOO_MUCH)
    assert listing == Listing((), complete=False)
    assert listing.error is not None
    assert listing.error.code is ErrorCode.API_UNAVAILABLE
    assert [request.query["limit"] for request in requests] == ["100", "50", "25", "12", "6", "3", "1"]


def test_a_listing_in_which_every_item_fails_is_broken_off() -> None:
    def script(request: Request) -> Step:
        if request.query["fields"] == "id":
            return TOO_MUCH
        return page(["bare"], request.query.get("after", "") + "x")

    listing, requests = read(script, bare_fields="name")
    assert listing == Listing((), complete=False, bare=("bare",) * MAX_BARE_ITEMS)
    assert len(requests) == MAX_BARE_ITEMS * 8 + 7
