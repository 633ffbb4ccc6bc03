"""The Facebook connector against a scripted Graph API on a real socket."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from structlog.testing import capture_logs

from include.social_analytics.connectors.base import Account, Reader
from include.social_analytics.connectors.facebook import PROVIDER
from include.social_analytics.connectors.facebook.connector import connect_to
from include.social_analytics.connectors.facebook.insights import SOURCES
from include.social_analytics.connectors.facebook.posts import SOURCES as POST_SOURCES
from include.social_analytics.connectors.reading import (
    Content,
    DayStatus,
    Reading,
    UnsupportedMetric,
    Window,
)
from include.social_analytics.cooldown import LocalCooldown
from include.social_analytics.errors import ErrorCode, JobError
from include.social_analytics.graph_api import GraphConnection
from include.social_analytics.settings import Settings
from tests.support.scripted_http import Answer, Request, Reset, ScriptedServer, Step, scripted_server

PACIFIC = ZoneInfo("America/Los_Angeles")
DAY = date(2026, 11, 20)
WINDOW = Window(DAY, lookback_days=3, post_window_days=28)
INVALID_METRIC = "(#100) The value must be a valid insights metric"
TOO_MUCH = "Please reduce the amount of data you're asking for, then retry your request"
NO_INSIGHTS = "(#100) Tried accessing nonexisting field (insights) on node type (Video)"

Answering = Callable[[Request], Step]


def graph_error(code: int, message: str = "No.", status: int = 400, **fields: Any) -> Answer:
    return Answer({"error": {"message": message, "code": code, **fields}}, status)


def end_of(day: date) -> str:
    """The ``end_time`` that Meta sets on the value of ``day``."""
    end = datetime.combine(day + timedelta(days=1), datetime.min.time(), PACIFIC)
    return end.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S+0000")


def metric(name: str, values: dict[date, Any], period: str = "day") -> dict[str, Any]:
    return {
        "name": name,
        "period": period,
        "values": [{"value": value, "end_time": end_of(day)} for day, value in values.items()],
    }


def insights(values: dict[date, Any] | None = None) -> Answering:
    """Every requested metric, with the same values. ``next`` leads into the future, as Meta's does."""
    values = dict.fromkeys(WINDOW.days, 5) if values is None else values

    def answer(request: Request) -> Step:
        names = request.query["metric"].split(",")
        paging = {"previous": "https://graph.facebook.com/p", "next": "https://graph.facebook.com/n"}
        return Answer({"data": [metric(name, values) for name in names], "paging": paging})

    return answer


def post(post_id: str = "1001_1", created: str = "2026-11-20T20:00:00+0000", **fields: Any) -> dict[str, Any]:
    return {"id": post_id, "created_time": created, **fields}


def post_insights(value: Any = 9, names: Any = tuple(POST_SOURCES)) -> dict[str, Any]:
    return {"data": [{"name": name, "period": "lifetime", "values": [{"value": value}]} for name in names]}


def page(items: list[Any], after: str) -> dict[str, Any]:
    """A page of a listing that has a next one."""
    return {"data": items, "paging": {"cursors": {"after": after}, "next": "https://graph.facebook.com/n"}}


def posts(*items: Any) -> Answering:
    return lambda request: Answer({"data": list(items)})


def without_nesting(*items: Any, error: Step | None = None) -> Answering:
    """A listing of posts that fails if insights are requested with it."""

    def answer(request: Request) -> Step:
        if "insights" in request.query["fields"]:
            return error or graph_error(100, NO_INSIGHTS)
        return Answer({"data": list(items)})

    return answer


@contextmanager
def graph(**answers: Answering | Step) -> Iterator[tuple[ScriptedServer, Reader]]:
    """A Graph API: ``insights`` of the page, ``posts``, and ``post`` for a single post's insights."""
    answers = {"insights": insights(), "posts": posts(), "post": graph_error(100, NO_INSIGHTS), **answers}

    def script(request: Request) -> Step:
        kind = {
            "/v25.0/1001/insights": "insights",
            "/v25.0/1001/published_posts": "posts",
        }.get(request.path, "post")
        answer = answers[kind]
        return answer(request) if callable(answer) else answer  # type: ignore[return-value]

    with scripted_server(script) as server:
        settings = Settings(request_backoff=0, request_timeout=5)
        connection = GraphConnection(server.base_url, "v25.0", LocalCooldown())
        connector = connect_to(connection, settings)
        yield server, connector.reader(Account("integration-1", "facebook", "1001", ("page-token",)))


def read(window: Window = WINDOW, **answers: Answering | Step) -> Reading:
    with graph(**answers) as (_, reader):
        return reader.read(window)


def read_one(item: dict[str, Any], **answers: Answering | Step) -> Content:
    (content,) = read(posts=posts(item), **answers).content
    return content


def failure(**answers: Answering | Step) -> tuple[JobError, int]:
    with graph(**answers) as (_, reader):
        with pytest.raises(JobError) as caught:
            reader.read(WINDOW)
        return caught.value, reader.http_calls


def test_an_ordinary_day_costs_two_requests() -> None:
    item = post(
        message="Hello",
        permalink_url="https://www.facebook.com/1001/posts/1",
        status_type="added_photos",
        shares={"count": 4},
        attachments={"data": [{"media_type": "photo", "target": {"id": "77"}}]},
        comments={"data": [], "summary": {"total_count": 3}},
        reactions={"data": [], "summary": {"total_count": 8}},
        insights=post_insights(9),
    )
    with graph(posts=posts(item)) as (server, reader):
        assert reader.http_calls == 0
        reading = reader.read(WINDOW)
        assert reader.http_calls == len(server.requests) == 2
    assert reading.status is DayStatus.SUCCEEDED
    assert set(reading.series) == {*SOURCES.values(), "posts_published"}
    assert reading.series["views"] == dict.fromkeys(WINDOW.days, Decimal(5))
    assert reading.series["posts_published"] == {**dict.fromkeys(WINDOW.days, 0), DAY: 1}
    assert reading.unsupported == ()
    assert reading.content == (
        Content(
            content_id="1001_1",
            published_at=datetime(2026, 11, 20, 20, tzinfo=UTC),
            kind="photo",
            message="Hello",
            permalink="https://www.facebook.com/1001/posts/1",
            also_known_as=("77",),
            metrics={
                "views": Decimal(9),
                "reach": Decimal(9),
                "clicks": Decimal(9),
                "reactions": Decimal(9),
                "comments": Decimal(3),
                "shares": Decimal(4),
            },
        ),
    )
    assert set(reading.content[0].metrics) == set(PROVIDER.content_metrics)


@pytest.mark.parametrize(
    ("day", "since", "until"),
    [
        (date(2026, 11, 20), "2026-11-17T08:00:00+00:00", "2026-11-22T08:00:00+00:00"),
        (date(2026, 3, 8), "2026-03-05T08:00:00+00:00", "2026-03-10T07:00:00+00:00"),
        (date(2026, 11, 1), "2026-10-29T07:00:00+00:00", "2026-11-03T08:00:00+00:00"),
    ],
)
def test_days_are_requested_from_pacific_midnight_to_midnight(day: date, since: str, until: str) -> None:
    with graph() as (server, reader):
        reader.read(Window(day, 3, 28))
    query = server.requests[0].query
    assert query["period"] == "day"
    assert int(query["since"]) == datetime.fromisoformat(since).timestamp()
    assert int(query["until"]) == datetime.fromisoformat(until).timestamp()
    listing = server.requests[1].query
    assert int(listing["until"]) == int(query["until"]) - 86400
    first_post_day = datetime.fromtimestamp(int(listing["since"]), PACIFIC)
    assert first_post_day.date() == day - timedelta(days=27)
    assert first_post_day.hour == 0


@pytest.mark.parametrize("day", [date(2026, 1, 31), date(2026, 4, 1), date(2026, 11, 20)])
def test_the_longest_look_back_stays_within_the_apis_limit(day: date) -> None:
    with graph() as (server, reader):
        reader.read(Window(day, 89, 28))
    since, until = int(server.requests[0].query["since"]), int(server.requests[0].query["until"])
    assert until - since <= 90 * 86400
    assert datetime.fromtimestamp(until, PACIFIC).date() == day + timedelta(days=1)


@pytest.mark.parametrize("day", [date(2026, 3, 8), date(2026, 3, 9), date(2026, 11, 1), date(2026, 11, 2)])
def test_a_value_belongs_to_the_day_before_its_end_time_over_clock_changes(day: date) -> None:
    window = Window(day, 3, 28)
    values = {day + timedelta(days=n): 100 + n for n in range(-5, 2)}
    series = read(window, insights=insights(values)).series
    assert series["followers"] == {d: Decimal(values[d]) for d in window.days}


def test_a_value_is_matched_to_its_day_by_end_time_and_not_by_position() -> None:
    reading = read(insights=insights({DAY - timedelta(days=1): 7}))
    assert reading.series["views"] == {DAY - timedelta(days=1): Decimal(7)}
    assert reading.status is DayStatus.PENDING


def test_a_page_without_insights_has_no_data() -> None:
    reading = read(insights=Answer({"data": [], "paging": {"next": "https://graph.facebook.com/n"}}))
    assert set(reading.series) == {"posts_published"}
    assert reading.status is DayStatus.NO_DATA


def test_series_without_any_day_are_pending() -> None:
    assert read(insights=insights({})).status is DayStatus.PENDING


def test_malformed_insights_give_numbers_or_none_and_no_error() -> None:
    items = [
        metric("page_media_view", {DAY: {"paid": 2, "organic": 3}}),
        metric("page_media_view", {DAY: 400}),
        metric("page_follows", {DAY: float("nan")}),
        metric("page_follows", {DAY: 999}, period="week"),
        metric("page_views_total", {DAY: "12"}),
        metric("page_brand_new", {DAY: 1}),
        {
            "name": "page_post_engagements",
            "values": [None, 5, {"value": 1}, {"value": 1, "end_time": "soon"}],
        },
        {"name": "page_daily_follows", "values": "none"},
        {"name": ["page_follows"], "values": []},
        None,
        "text",
    ]
    body = Answer(json.dumps({"data": items}))
    series = dict(read(insights=body).series)
    del series["posts_published"]
    assert series == {
        "views": {DAY: Decimal(5)},
        "followers": {DAY: None},
        "page_views": {DAY: None},
        "engagements": {},
    }


def test_a_retired_metric_loses_its_own_figure_and_no_other() -> None:
    def answer(request: Request) -> Step:
        if "page_views_total" in request.query["metric"]:
            return graph_error(100, INVALID_METRIC)
        return insights()(request)

    with graph(insights=answer) as (_, reader):
        reading = reader.read(WINDOW)
        assert reader.http_calls == 1 + 7 + 1
    assert set(reading.series) == {*SOURCES.values(), "posts_published"} - {"page_views"}
    (refused,) = reading.unsupported
    assert (refused.api_version, refused.source_metric) == ("v25.0", "page_views_total")
    assert "valid insights metric" in refused.reason
    assert reading.status is DayStatus.SUCCEEDED


def test_an_outage_while_reading_metrics_singly_does_not_mark_them_unsupported() -> None:
    def answer(request: Request) -> Step:
        return graph_error(2, status=503) if request.query["metric"] == "page_follows" else graph_error(100)

    assert failure(insights=answer)[0].code is ErrorCode.API_UNAVAILABLE


def test_a_request_without_a_valid_metric_is_invalid() -> None:
    caught, calls = failure(insights=graph_error(100, INVALID_METRIC))
    assert (caught.code, caught.provider_code) == (ErrorCode.REQUEST_INVALID, "100")
    assert calls == 8


def test_a_metric_that_was_lately_refused_for_every_page_is_not_asked_for() -> None:
    refused = (
        UnsupportedMetric("v25.0", "page_views_total", INVALID_METRIC),
        UnsupportedMetric("v25.0", "page_follows", "(#100) Not for this page"),
        UnsupportedMetric("v24.0", "page_media_view", INVALID_METRIC),
        UnsupportedMetric("v25.0", "post_clicks", INVALID_METRIC),
    )
    with graph(posts=posts(post(insights=post_insights()))) as (server, reader):
        reading = reader.read(replace(WINDOW, refused=refused))
    asked = server.requests[0].query["metric"].split(",")
    assert set(SOURCES) - set(asked) == {"page_views_total"}
    assert "post_clicks" not in server.requests[1].query["fields"]
    assert len(server.requests) == 2
    assert "page_views" not in reading.series
    assert "clicks" not in reading.content[0].metrics
    # A refusal that was not seen again must not look newer.
    assert reading.unsupported == ()
    assert reading.reason == f"The API refuses page_views_total, post_clicks: {INVALID_METRIC}."
    assert reading.status is DayStatus.SUCCEEDED


def test_all_metrics_are_asked_for_when_all_were_lately_refused() -> None:
    refused = tuple(UnsupportedMetric("v25.0", source, INVALID_METRIC) for source in SOURCES)
    with graph() as (_, reader):
        reading = reader.read(replace(WINDOW, refused=refused))
    assert set(reading.series) == {*SOURCES.values(), "posts_published"}
    assert reading.missing == ()


@pytest.mark.parametrize("most", [14, 4, 1])
def test_insights_that_are_too_much_at_once_are_asked_for_in_parts(most: int) -> None:
    values = {day: day.day for day in WINDOW.days}

    def answer(request: Request) -> Step:
        names = request.query["metric"].split(",")
        first, last = (
            datetime.fromtimestamp(int(request.query[name]), PACIFIC).date() for name in ("since", "until")
        )
        days = (last - first).days - 1
        if len(names) * days > most:
            return graph_error(1, TOO_MUCH, 500)
        given = {day: n for day, n in values.items() if first <= day <= last}
        return Answer({"data": [metric(name, given) for name in names]})

    reading = read(insights=answer)
    for name in SOURCES.values():
        assert reading.series[name] == {day: Decimal(n) for day, n in values.items()}
    assert set(reading.days.values()) == {DayStatus.SUCCEEDED}
    assert reading.missing == ()


def test_one_metric_of_one_day_that_is_too_much_fails_the_read() -> None:
    assert failure(insights=graph_error(1, TOO_MUCH, 500))[0].code is ErrorCode.API_UNAVAILABLE


@pytest.mark.parametrize("code", [190, 10, 200, 803, 368, 4, 80001, 5, 12, 15, 33, 101, 506, 3001])
def test_an_error_about_the_whole_page_stops_it_at_the_first_request(code: int) -> None:
    caught, calls = failure(insights=graph_error(code))
    assert caught.provider_code == str(code)
    assert calls == 1


def test_an_answer_in_another_version_is_named_beside_what_is_missing() -> None:
    reading = read(posts=Answer({"data": []}, headers={"facebook-api-version": "v27.0"}))
    assert reading.reason == (
        "The API answered in version v27.0 instead of v25.0: "
        "set api_version in the extra of its Airflow connection."
    )
    assert reading.missing == ()
    assert reading.status is DayStatus.SUCCEEDED


def test_a_channel_that_is_a_person_and_no_page_costs_one_request() -> None:
    message = "(#100) Tried accessing nonexisting field (insights) on node type (User)"
    caught, calls = failure(insights=graph_error(100, message))
    assert (caught.code, calls) == (ErrorCode.OBJECT_NOT_FOUND, 1)


def test_each_request_asks_for_messages_in_english() -> None:
    with graph(posts=without_nesting(post()), post=Answer(post_insights())) as (server, reader):
        reader.read(WINDOW)
    assert len(server.requests) == 4
    assert {request.query.get("locale") for request in server.requests} == {"en_US"}


@pytest.mark.parametrize(("code", "calls"), [(190, 2), (32, 2), (368, 2), (4, 2)])
def test_a_listing_that_fails_for_the_whole_page_fails_the_read(code: int, calls: int) -> None:
    caught, made = failure(posts=graph_error(code))
    assert (caught.provider_code, made) == (str(code), calls)


@pytest.mark.parametrize(
    ("answer", "calls"),
    [
        (graph_error(2, "Try again.", 503), 4),
        (graph_error(10, "(#10) Not for you."), 4),
        (graph_error(3, "(#3) No."), 3),
        (graph_error(1, "An unknown error occurred", 500), 16),
        (graph_error(1, TOO_MUCH, 500), 10),
        (Reset(), 4),
        (Answer("<html>", 503), 4),
        (Answer({"error": {}}, 403), 4),
    ],
    ids=["down", "permission", "refused", "unknown", "too much", "network", "html", "403"],
)
def test_a_listing_of_posts_that_fails_costs_only_the_posts(answer: Step, calls: int) -> None:
    with graph(posts=answer) as (_, reader):
        reading = reader.read(WINDOW)
        assert reader.http_calls == calls
    assert set(reading.series) == set(SOURCES.values())
    assert set(reading.days.values()) == {DayStatus.SUCCEEDED}
    assert (reading.content, reading.unsupported) == ((), ())
    [sentence] = reading.missing
    assert sentence.startswith("No posts could be listed: ")
    if isinstance(answer, Answer) and isinstance(answer.body, dict) and answer.body["error"]:
        assert answer.body["error"]["message"] in sentence


@pytest.mark.parametrize(
    "second",
    [
        graph_error(100, "Object does not exist", error_subcode=33),
        graph_error(10),
        graph_error(2, status=500),
    ],
    ids=["gone", "permission", "down"],
)
def test_a_listing_that_breaks_off_keeps_the_posts_before(second: Step) -> None:
    def answer(request: Request) -> Step:
        if "after" in request.query:
            return second
        return Answer(page([post(insights=post_insights(9))], after="1"))

    with graph(posts=answer) as (_, reader):
        reading = reader.read(WINDOW)
        assert reader.http_calls <= 5
    assert set(reading.series) == set(SOURCES.values())
    assert reading.content[0].metrics["views"] == 9
    [sentence] = reading.missing
    assert sentence.startswith("Only some posts could be listed: ")


UNKNOWN = graph_error(1, "An unknown error occurred", 500)
ITEMS = [
    # Three posts a day, the newest first.
    post(f"1001_{n}", (datetime(2026, 11, 21, 7, tzinfo=UTC) - timedelta(hours=8 * n)).isoformat())
    for n in range(84)
]


def listing(*items: dict[str, Any], fails: Callable[[Request, list[str]], Step | None]) -> Answering:
    """A listing with cursors, limits and ranges. ``fails`` may answer instead, knowing the shown ids."""

    def answer(request: Request) -> Step:
        since, until = int(request.query["since"]), int(request.query["until"])
        found = [
            item
            for item in items
            if since <= datetime.fromisoformat(item["created_time"]).timestamp() < until
        ]
        start = int(request.query.get("after", "0"))
        shown = found[start : start + int(request.query["limit"])]
        failed = fails(request, [item["id"] for item in shown])
        if failed:
            return failed
        sources = request.query["fields"].partition("insights.metric(")[2].rstrip(")").split(",")
        shown = [
            item | {"insights": post_insights(9, sources)} if sources != [""] else item for item in shown
        ]
        end = start + len(shown)
        return Answer(page(shown, after=str(end)) if end < len(found) else {"data": shown})

    return answer


@pytest.mark.parametrize(
    ("error", "most_calls"),
    [(UNKNOWN, 22), (graph_error(12, "(#12) singular statuses API is deprecated"), 22),
     (graph_error(1, TOO_MUCH, 500), 22)],
    ids=["unknown", "deprecated", "too much"],
)  # fmt: skip
@pytest.mark.parametrize("position", [0, 17, 83])
def test_a_post_whose_fields_fail_every_listing_costs_itself(
    error: Answer, most_calls: int, position: int
) -> None:
    broken = ITEMS[position]["id"]

    def fails(request: Request, shown: list[str]) -> Step | None:
        return error if broken in shown and request.query["fields"] != "id,created_time" else None

    with graph(posts=listing(*ITEMS, fails=fails)) as (_, reader):
        reading = reader.read(WINDOW)
        assert reader.http_calls <= most_calls
    assert {one.content_id for one in reading.content} == {item["id"] for item in ITEMS} - {broken}
    assert all(one.metrics["views"] == 9 for one in reading.content)
    assert reading.series["posts_published"] == dict.fromkeys(WINDOW.days, 3)
    assert reading.missing == ("Posts that the API fails to give in full: 1.",)


@pytest.mark.parametrize("position", [0, 17, 18, 62])
def test_a_post_that_no_listing_passes_costs_only_the_posts_of_about_its_day(position: int) -> None:
    broken = ITEMS[position]["id"]

    def fails(request: Request, shown: list[str]) -> Step | None:
        return UNKNOWN if broken in shown else None

    with graph(posts=listing(*ITEMS, fails=fails)) as (_, reader):
        reading = reader.read(WINDOW)
        assert reader.http_calls <= 40
    read_ids = {one.content_id for one in reading.content}
    assert len(read_ids) >= len(ITEMS) - 3
    assert broken not in read_ids
    assert set(reading.series) == set(SOURCES.values())
    assert reading.missing == ("Only some posts could be listed: An unknown error occurred.",)


def test_posts_whose_fields_all_fail_are_still_listed() -> None:
    def fails(request: Request, shown: list[str]) -> Step | None:
        return UNKNOWN if "insights" in request.query["fields"] else None

    with graph(posts=listing(*ITEMS, fails=fails), post=graph_error(1, "Unknown", 500)) as (_, reader):
        reading = reader.read(WINDOW)
        assert reader.http_calls <= 60
    assert len(reading.content) == len(ITEMS)
    assert reading.series["posts_published"] == dict.fromkeys(WINDOW.days, 3)
    assert reading.missing == (f"Posts whose insights could not be read: {len(ITEMS)}. The first: Unknown.",)


NOT_PERMITTED = (
    "(#10) This endpoint requires the 'pages_read_user_content' permission or the 'Page Public Content "
    "Access' feature."
)
COUNTED = post(
    comments={"summary": {"total_count": 3}}, reactions={"summary": {"total_count": 8}}, shares={"count": 4}
)


def not_permitted(*names: str) -> Answering:
    """A listing that is refused when it asks for one of these counts, and gives only what it is asked for."""

    def answer(request: Request) -> Step:
        fields = request.query["fields"]
        if any(f"{name}." in fields for name in names):
            return graph_error(10, NOT_PERMITTED)
        return Answer({"data": [{name: value for name, value in COUNTED.items() if name in fields}]})

    return answer


@pytest.mark.parametrize(
    ("refused", "lately", "calls"),
    [
        (("comments", "reactions"), (), 5),
        (("comments", "reactions"), ("comments", "reactions"), 3),
        (("comments", "reactions"), ("comments",), 6),
        (("comments",), (), 5),
        (("comments",), ("comments",), 3),
        (("reactions",), (), 4),
        (("reactions",), ("comments",), 5),
    ],
)
def test_a_refused_count_is_left_out_and_named(
    refused: tuple[str, ...], lately: tuple[str, ...], calls: int
) -> None:
    window = replace(
        WINDOW, refused=tuple(UnsupportedMetric("v25.0", name, NOT_PERMITTED) for name in lately)
    )
    with graph(posts=not_permitted(*refused)) as (_, reader):
        reading = reader.read(window)
        assert reader.http_calls == calls
    given = {"comments": Decimal(3), "reactions": Decimal(8), "shares": Decimal(4)}
    assert reading.content[0].metrics == {name: n for name, n in given.items() if name not in refused}
    assert reading.series["posts_published"][DAY] == 1
    assert [(one.source_metric, one.reason) for one in reading.unsupported] == [
        (name, NOT_PERMITTED) for name in refused
    ]
    assert reading.reason == f"The API refuses {', '.join(refused)}: {NOT_PERMITTED}"


def test_a_count_that_another_page_was_refused_is_asked_for() -> None:
    window = replace(WINDOW, refused=(UnsupportedMetric("v25.0", "comments", NOT_PERMITTED),))
    with graph(posts=not_permitted()) as (_, reader):
        reading = reader.read(window)
        assert reader.http_calls == 2
    assert reading.content[0].metrics["comments"] == 3
    assert reading.missing == ()


def test_a_refused_count_beside_a_post_without_insights_costs_only_itself() -> None:
    counted = not_permitted("comments", "reactions")

    def answer(request: Request) -> Step:
        return graph_error(100, NO_INSIGHTS) if "insights" in request.query["fields"] else counted(request)

    reading = read(posts=answer)
    assert reading.content[0].metrics == {"shares": 4}
    assert [one.source_metric for one in reading.unsupported] == ["comments", "reactions"]


def test_a_post_without_insights_does_not_affect_other_posts() -> None:
    def single(request: Request) -> Step:
        if request.path == "/v25.0/1001_2/insights":
            return graph_error(100, NO_INSIGHTS)
        if request.path == "/v25.0/1001_3/insights":
            return graph_error(100, error_subcode=33)
        if request.path == "/v25.0/1001_4/insights":
            return graph_error(10)
        return Answer(post_insights(6))

    items = [post(f"1001_{n}", comments={"summary": {"total_count": n}}) for n in range(1, 5)]
    with graph(posts=without_nesting(*items), post=single) as (_, reader):
        content = {c.content_id: c for c in reader.read(WINDOW).content}
        assert reader.http_calls == 1 + 2 + 4
    assert content["1001_1"].metrics["views"] == 6
    for n in (2, 3, 4):
        metrics = content[f"1001_{n}"].metrics
        assert "views" not in metrics
        assert metrics["comments"] == n


@pytest.mark.parametrize("retired", [("post_clicks",), ("post_clicks", "post_media_view")])
def test_a_retired_post_metric_costs_a_few_calls_and_not_one_for_each_post(retired: tuple[str, ...]) -> None:
    def fails(request: Request, _: list[str]) -> Step | None:
        named = any(name in request.query["fields"] for name in retired)
        return graph_error(100, INVALID_METRIC) if named else None

    with graph(posts=listing(*ITEMS, fails=fails)) as (_, reader):
        reading = reader.read(WINDOW)
        assert reader.http_calls == 1 + 1 + 4 + 1
    others = {name for source, name in POST_SOURCES.items() if source not in retired}
    for one in reading.content:
        assert {name: one.metrics[name] for name in others} == dict.fromkeys(others, 9)
        assert "clicks" not in one.metrics
    assert len(reading.content) == len(ITEMS)
    assert {refused.source_metric for refused in reading.unsupported} == set(retired)
    assert reading.series["posts_published"] == dict.fromkeys(WINDOW.days, 3)


def test_a_retired_post_metric_is_detected_once_and_not_for_each_post() -> None:
    def single(request: Request) -> Step:
        asked = request.query["metric"].split(",")
        return graph_error(100, INVALID_METRIC) if "post_clicks" in asked else Answer(post_insights(6, asked))

    # Whatever is asked for with the posts is refused: the posts themselves tell which metric it is.
    refusing = without_nesting(*(post(f"1001_{n}") for n in range(5)), error=graph_error(100, INVALID_METRIC))
    with graph(posts=refusing, post=single) as (_, reader):
        reading = reader.read(WINDOW)
        assert reader.http_calls == 1 + (1 + 4 + 1) + (1 + 4) + 4
    assert all(c.metrics["views"] == 6 and "clicks" not in c.metrics for c in reading.content)
    assert [refused.source_metric for refused in reading.unsupported] == ["post_clicks"]


@pytest.mark.parametrize(("code", "expected"), [(190, "token_invalid"), (32, "rate_limited")])
def test_an_error_that_is_not_about_one_post_fails_the_read(code: int, expected: str) -> None:
    assert failure(posts=without_nesting(post()), post=graph_error(code))[0].code == expected


@pytest.mark.parametrize(
    "error",
    [
        graph_error(1, "Unknown", 500),
        graph_error(2, "Unknown", 500),
        graph_error(1, TOO_MUCH, 500),
        graph_error(12, "(#12) Deprecated"),
        Answer("<html>", 500),
        Reset(),
    ],
    ids=["1", "2", "too much", "12", "html", "network"],
)
def test_one_post_whose_insights_fail_costs_its_own_totals(error: Step) -> None:
    def single(request: Request) -> Step:
        return error if request.path == "/v25.0/1001_2/insights" else Answer(post_insights(6))

    items = [post(f"1001_{n}", comments={"summary": {"total_count": n}}) for n in range(1, 5)]
    reading = read(posts=without_nesting(*items), post=single)
    views = {one.content_id: one.metrics.get("views") for one in reading.content}
    assert views == {"1001_1": 6, "1001_2": None, "1001_3": 6, "1001_4": 6}
    assert "views" not in reading.content[1].metrics
    assert reading.content[1].metrics["comments"] == 2
    assert reading.status is DayStatus.SUCCEEDED


def test_posts_are_no_longer_asked_for_their_insights_after_three_failures_in_a_row() -> None:
    items = [post(f"1001_{n}") for n in range(9)]
    with graph(posts=without_nesting(*items), post=graph_error(2, "Down", 500)) as (_, reader):
        reading = reader.read(WINDOW)
        assert reader.http_calls == 1 + 2 + 3 * 3
    assert len(reading.content) == 9
    assert reading.missing == ("Posts whose insights could not be read: 9. The first: Down.",)


def test_absent_shares_are_zero_and_other_absent_totals_are_unknown() -> None:
    assert read_one(post()).metrics == {"reactions": None, "comments": None, "shares": Decimal(0)}
    assert read_one(post(shares={"count": "many"})).metrics["shares"] is None


def test_a_metric_absent_from_the_insights_is_unknown() -> None:
    metrics = read_one(post(insights=post_insights(9, ["post_media_view"]))).metrics
    assert (metrics["views"], metrics["reach"], metrics["clicks"]) == (9, None, None)


def test_reactions_are_summed_by_type_or_taken_from_the_summary() -> None:
    by_type = {"name": "post_reactions_by_type_total", "values": [{"value": {"like": 3, "love": 2}}]}
    none_named = {"name": "post_reactions_by_type_total", "values": [{"value": {}}]}
    summary = {"summary": {"total_count": 0}}
    assert read_one(post(insights={"data": [by_type]}, reactions=summary)).metrics["reactions"] == 5
    assert read_one(post(insights={"data": [none_named]}, reactions=summary)).metrics["reactions"] == 0
    assert read_one(post(insights={"data": [none_named]})).metrics["reactions"] is None


@pytest.mark.parametrize(
    ("permalink", "expected"),
    [
        ("https://www.facebook.com/reel/889", ("889",)),
        ("https://www.facebook.com/reel/889/?s=1", ("889",)),
        ("https://www.facebook.com/page/videos/889/", ("889",)),
        ("https://www.facebook.com/page/videos/a-title/889/", ("889",)),
        ("https://www.facebook.com/1001/posts/889", ()),
        (None, ()),
        (7, ()),
    ],
)
def test_a_video_is_also_matched_by_the_id_in_its_permalink(
    permalink: object, expected: tuple[str, ...]
) -> None:
    assert read_one(post(permalink_url=permalink)).also_known_as == expected


def test_other_ids_from_attachments_are_kept_once() -> None:
    attachments = {"data": [{"target": {"id": "889"}}, {"target": {"id": "1001_1"}}, {"target": 5}, None]}
    content = read_one(post(attachments=attachments, permalink_url="https://www.facebook.com/reel/889"))
    assert content.also_known_as == ("889",)


def test_malformed_posts_are_counted_and_skipped() -> None:
    items = [
        None,
        "x",
        {},
        {"id": "1"},
        post(7),
        post("", "2026-11-20T20:00:00+0000"),
        post("2", "soon"),
        post("3", 5),
    ]  # type: ignore[arg-type]
    with capture_logs() as lines:
        reading = read(posts=posts(*items, post("fine")))
    assert [content.content_id for content in reading.content] == ["fine"]
    assert next(line for line in lines if line["event"] == "malformed posts skipped")["posts"] == 8


def test_a_malformed_field_never_drops_the_post() -> None:
    content = read_one(
        post(
            message="a\x00b\ud800" + "x" * 100_000,
            permalink_url=["x"],
            status_type=5,
            attachments="none",
            comments=[],
            reactions={"summary": 5},
            insights=[1],
        )
    )
    assert content.message is not None
    assert content.message.startswith("ab?")
    assert len(content.message) == 63_206
    assert content.permalink is None
    assert content.kind == "post"


def test_posts_in_the_window_are_kept_once_and_counted_by_pacific_day() -> None:
    pages = [
        [post("a", "2026-11-20T07:59:59+0000"), post("b", "2026-11-20T08:00:00+0000")],
        [post("b", "2026-11-20T08:00:00+0000"), post("c", "2026-11-21T07:59:59+0000")],
        [post("too-late", "2026-11-21T08:00:00+0000"), post("too-old", "2026-10-24T06:59:59+0000")],
        [post("oldest", "2026-10-24T07:00:00+0000")],
    ]

    def answer(request: Request) -> Step:
        number = int(request.query.get("after", "0"))
        paging = {"cursors": {"after": str(number + 1)}, "next": "x"} if number < 3 else {}
        return Answer({"data": pages[number], "paging": paging})

    reading = read(posts=answer)
    assert [content.content_id for content in reading.content] == ["a", "b", "c", "oldest"]
    assert reading.series["posts_published"] == {
        **dict.fromkeys(WINDOW.days, 0),
        DAY - timedelta(days=1): 1,
        DAY: 2,
    }


def test_a_look_back_longer_than_the_post_window_still_counts_all_its_posts() -> None:
    items = [post("old", "2026-11-17T20:00:00+0000"), post("new")]
    with graph(posts=posts(*items)) as (server, reader):
        reading = reader.read(Window(DAY, lookback_days=3, post_window_days=2))
    assert int(server.requests[1].query["since"]) == datetime(2026, 11, 17, 8, tzinfo=UTC).timestamp()
    assert [content.content_id for content in reading.content] == ["new"]
    assert reading.series["posts_published"][date(2026, 11, 17)] == 1


def test_an_incomplete_listing_counts_no_posts_but_keeps_those_it_read() -> None:
    reading = read(posts=Answer(page([post()], after="same")))
    assert "posts_published" not in reading.series
    assert len(reading.content) == 1
    assert reading.missing == (
        "Only some posts could be listed: The listing has no cursor for its next page, or one seen before.",
    )


def test_too_many_posts_at_once_are_requested_in_smaller_pages() -> None:
    def answer(request: Request) -> Step:
        if int(request.query["limit"]) > 25:
            return graph_error(1, TOO_MUCH, 500)
        return Answer({"data": [post()]})

    with graph(posts=answer) as (server, reader):
        assert "posts_published" in reader.read(WINDOW).series
    assert [request.query.get("limit") for request in server.requests] == [None, "100", "50", "25"]
    assert all("insights" in request.query["fields"] for request in server.requests[1:])
