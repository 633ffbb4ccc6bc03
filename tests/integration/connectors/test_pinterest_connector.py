"""What is special about Pinterest, over real HTTP to its stand-in. The conformance suite has the rest."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from include.sandbox.postiz_db import insert_integration, insert_organization
from include.sandbox.serving import listen
from include.sandbox.stand_ins import stand_ins
from include.sandbox.stand_ins.pinterest.pinterest_api import PinterestApi
from include.sandbox.stand_ins.pinterest.world import World, make_account
from include.social_analytics.connectors import advice_on
from include.social_analytics.connectors.base import Account
from include.social_analytics.connectors.pinterest import PROVIDER
from include.social_analytics.connectors.pinterest.analytics import DAILY
from include.social_analytics.connectors.pinterest.connector import connect
from include.social_analytics.connectors.pinterest.pins import MAX_PAGES
from include.social_analytics.connectors.reading import DayStatus, Reading, UnsupportedMetric, Window
from include.social_analytics.errors import ErrorCode, JobError
from include.social_analytics.settings import Settings
from tests.connectors.cases.pinterest import Pinterest
from tests.connectors.trial import Trial, latest_day
from tests.support.scripted_http import Answer, Request, scripted_server

NOW = datetime.now(UTC)
DAY = latest_day(PROVIDER, NOW)
WINDOW = Window(DAY, 7, 28)
RID = {"x-pinterest-rid": "1337919202421304"}
TOKEN = make_account(1).token
NO_DAYS = Answer({"all": {"daily_metrics": []}})
BUSINESS = Answer({"account_type": "BUSINESS", "follower_count": 7})
NO_PINS = Answer({"items": [], "bookmark": None})


@pytest.fixture
def case(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pinterest]:
    case = Pinterest(NOW, DAY)
    with served(case.api.application(), monkeypatch):
        yield case


@contextmanager
def served(app: ASGIApp, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with listen(app) as url:
        point_to(url, monkeypatch)
        yield


def point_to(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, connection in stand_ins()["pinterest"].environment(url).items():
        monkeypatch.setenv(name, connection)


def read(case: Pinterest, window: Window = WINDOW) -> Reading:
    reading = read_with(case.account.token, window)
    reading.require_declared(PROVIDER)
    return reading


def read_with(token: str, window: Window = WINDOW) -> Reading:
    account = Account("one", "pinterest", "1", PROVIDER.secrets(token))
    return connect(Settings(request_backoff=0)).reader(account).read(window)


def asked(case: Pinterest, path: str) -> list[dict[str, str]]:
    """The queries of all calls to a path."""
    return [
        {name: values[0] for name, values in parse_qs(urlsplit(call.target).query).items()}
        for call in case.api.calls
        if call.path == f"/v5/{path}"
    ]


def expected(case: Pinterest, metric: str) -> dict[date, int]:
    return {day: case.figures(day)[metric] for day in WINDOW.days}


def ids(reading: Reading) -> set[str]:
    return {one.content_id for one in reading.content}


# Calls


@pytest.mark.parametrize(("busy", "calls"), [(1, 3), (10, 4), (20, 5)])
def test_a_day_costs_two_calls_and_one_for_each_250_pins_back_to_the_window(
    monkeypatch: pytest.MonkeyPatch, busy: int, calls: int
) -> None:
    case = Pinterest(NOW, DAY)
    case.account = make_account(1, busy=busy)
    case.world = World([case.account], now=lambda: NOW)
    case.api = PinterestApi(case.world)
    today = NOW.date()
    back = len(case.world.pins(case.account.id, WINDOW.first_post_day, today))
    more = len(case.world.pins(case.account.id, today - timedelta(days=120), today))
    # There are pins before the window, and they are not asked for.
    assert calls == 2 + back // 250 + 1
    assert busy == 1 or more > (calls - 2) * 250
    with served(case.api.application(), monkeypatch):
        reading = read(case)
    assert len(case.api.calls) == calls
    assert ids(reading) == set(case.posts(WINDOW.first_post_day, DAY))
    assert reading.series["posts_published"] == expected(case, "posts_published")


def test_the_whole_window_comes_in_one_call_and_names_the_metrics(case: Pinterest) -> None:
    reading = read(case)
    [query] = asked(case, "user_account/analytics")
    assert query == {
        "start_date": str(DAY - timedelta(days=7)),
        "end_date": str(DAY),
        "metric_types": "IMPRESSION,ENGAGEMENT,SAVE,PIN_CLICK,OUTBOUND_CLICK",
    }
    assert {name: reading.series[name] for name in DAILY} == {name: expected(case, name) for name in DAILY}


def test_days_before_the_apis_history_are_not_asked_for_and_not_written(case: Pinterest) -> None:
    oldest = NOW.date() - timedelta(days=90)
    window = Window(oldest + timedelta(days=2), 7, 28)
    reading = read(case, window)
    [query] = asked(case, "user_account/analytics")
    assert query["start_date"] == str(oldest)
    answered = [oldest + timedelta(days=n) for n in range(3)]
    assert [day for day in window.days if reading.days[day] is DayStatus.SUCCEEDED] == answered
    assert reading.unread == {(name, day) for name in DAILY for day in window.days[:5]}
    assert set(reading.series["views"]) == set(answered)


def test_a_day_too_long_past_is_refused_by_the_api(case: Pinterest) -> None:
    with pytest.raises(JobError, match="from the last 90 days") as refused:
        read(case, Window(NOW.date() - timedelta(days=100), 7, 28))
    assert refused.value.code is ErrorCode.REQUEST_INVALID


# Days


@pytest.mark.parametrize(
    ("label", "status"),
    [
        ("READY", DayStatus.SUCCEEDED),
        ("PROCESSING", DayStatus.PENDING),
        ("ESTIMATE", DayStatus.PENDING),
        ("BEFORE_BUSINESS_CREATED", DayStatus.NO_DATA),
        ("BEFORE_DATA_RETENTION_PERIOD", DayStatus.NO_DATA),
        ("IN_BAD_TAG_DATE", DayStatus.PENDING),
        ("SOMETHING_NEW", DayStatus.PENDING),
    ],
)
def test_the_apis_label_decides_a_days_status(case: Pinterest, label: str, status: DayStatus) -> None:
    case.fault("labelled", label=label)
    reading = read(case)
    assert set(reading.days.values()) == {status}
    is_ready = status is DayStatus.SUCCEEDED
    assert {name: reading.series[name] for name in DAILY} == {
        name: expected(case, name) if is_ready else {} for name in DAILY
    }
    # What does not come by day is there all the same.
    assert reading.now == {"followers": case.world.followers(case.account.id)}
    assert reading.series["posts_published"] == expected(case, "posts_published")


@pytest.mark.parametrize(
    ("item", "status"),
    [
        (None, DayStatus.PENDING),
        ({"date": str(DAY)}, DayStatus.PENDING),
        ({"date": str(DAY), "data_status": ["READY"], "metrics": {"IMPRESSION": 5}}, DayStatus.PENDING),
        ({"date": str(DAY), "data_status": "READY"}, DayStatus.SUCCEEDED),
        ({"date": str(DAY), "data_status": "READY", "metrics": {"IMPRESSION": "5"}}, DayStatus.SUCCEEDED),
    ],
)
def test_a_day_without_a_label_is_pending_and_one_without_a_number_null(
    monkeypatch: pytest.MonkeyPatch, item: dict[str, Any] | None, status: DayStatus
) -> None:
    reading, _ = scripted(monkeypatch, analytics=Answer({"all": {"daily_metrics": [item]}}))
    assert reading.status is status
    is_ready = status is DayStatus.SUCCEEDED
    assert reading.series["views"] == ({DAY: None} if is_ready else {})


def test_a_days_place_in_the_answer_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    items: list[object] = [
        {"date": str(day), "data_status": "READY", "metrics": {"IMPRESSION": day.day}}
        for day in reversed(WINDOW.days)
    ]
    items += [{"date": str(DAY + timedelta(days=1)), "data_status": "READY", "metrics": {}}, 7, None]
    reading, _ = scripted(monkeypatch, analytics=Answer({"all": {"daily_metrics": items}}))
    assert reading.series["views"] == {day: day.day for day in WINDOW.days}


@pytest.mark.parametrize(
    "body", [{}, {"all": {}}, {"all": {"daily_metrics": {}}}, {"daily_metrics": []}, {"all": None}]
)
def test_an_answer_without_days_fails_the_job(monkeypatch: pytest.MonkeyPatch, body: object) -> None:
    with pytest.raises(JobError) as failed:
        scripted(monkeypatch, analytics=Answer(body))
    assert failed.value.code is ErrorCode.RESPONSE_INVALID


@pytest.mark.parametrize("zone", ["America/Los_Angeles", "Pacific/Auckland"])
@pytest.mark.parametrize("change", [date(2026, 3, 8), date(2026, 11, 1)])
def test_each_value_is_stored_under_its_day_in_utc_whatever_the_zones_of_machine_and_database(
    monkeypatch: pytest.MonkeyPatch,
    postiz: psycopg.Connection,
    analytics: psycopg.Connection,
    change: date,
    zone: str,
) -> None:
    days = [change + timedelta(days=n) for n in (-1, 0, 1)]
    # Two hours after midnight in Los Angeles, as a run.
    now = datetime(change.year, change.month, change.day, 10, tzinfo=UTC) + timedelta(days=2)
    for connection in (postiz, analytics):
        connection.execute(f"SET timezone TO '{zone}'")
    case = Pinterest(now, days[-1])
    insert_organization(postiz, "acme")
    insert_integration(postiz, "one", "acme", case.account)
    trial = Trial(case, case.day, postiz, analytics)
    with in_zone(monkeypatch, zone), served(case.api.application(), monkeypatch):
        for day in days:
            trial.ingest(day)
    for day in days:
        assert trial.stored(day) == case.figures(day) | {"followers": None}
    assert trial.stored_posts() == case.posts(days[0] - timedelta(days=27), days[-1])
    for row in trial.rows("SELECT content_id, published_at FROM analytics.content"):
        # The stand-in's ids name the day.
        assert row["published_at"].astimezone(UTC).strftime("%Y%m%d") == row["content_id"][6:14]


@contextmanager
def in_zone(monkeypatch: pytest.MonkeyPatch, zone: str) -> Iterator[None]:
    with monkeypatch.context() as patched:
        patched.setenv("TZ", zone)
        time.tzset()
        yield
    time.tzset()


# What fails


def test_a_personal_account_lacks_a_permission_and_has_advice_of_its_own(case: Pinterest) -> None:
    case.fault("personal")
    with pytest.raises(JobError, match="Not authorized to access the user account analytics") as failed:
        read(case)
    assert failed.value.code is ErrorCode.PERMISSION_MISSING
    assert "switch the account to a business account" in advice_on("pinterest", failed.value.code)
    assert len(case.api.calls) == 1


@pytest.mark.parametrize("label", ["BEFORE_BUSINESS_CREATED", "PROCESSING", "READY"])
def test_a_personal_account_that_is_answered_fails_only_if_it_has_no_figures(
    monkeypatch: pytest.MonkeyPatch, label: str
) -> None:
    day = {"date": str(DAY), "data_status": label, "metrics": {"IMPRESSION": 5}}
    analytics, account = Answer({"all": {"daily_metrics": [day]}}), Answer({"account_type": "PINNER"})
    if label == "READY":
        reading, _ = scripted(monkeypatch, analytics=analytics, account=account)
        assert reading.series["views"] == {DAY: 5}
        return
    with pytest.raises(JobError, match="personal") as failed:
        scripted(monkeypatch, analytics=analytics, account=account)
    assert failed.value.code is ErrorCode.PERMISSION_MISSING


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (401, {"code": 2, "message": "Authentication failed.", "status": "failure"}, "token_invalid"),
        (401, {"code": 3, "message": "Authorization failed."}, "permission_missing"),
        (401, {"code": 7, "message": "Not authorized to access board or Pin."}, "permission_missing"),
        (401, {"code": 29, "message": "You are not permitted to access it."}, "permission_missing"),
        (403, {"code": 29, "message": "You are not permitted to access it."}, "permission_missing"),
        (403, {"code": 403, "message": "Not authorized to access the analytics."}, "permission_missing"),
        (401, {"code": 3, "message": "Your application consumer type is not supported"}, "config_invalid"),
        (404, {"code": 50, "message": "User not found."}, "object_not_found"),
        (400, {"code": 1, "message": "Invalid request."}, "request_invalid"),
        (400, {"code": 400, "message": "Invalid user accounts analytics parameters."}, "request_invalid"),
        (400, {"code": 2787, "message": "Sorry! Something went wrong on our end."}, "api_unavailable"),
        (429, {"code": 8, "message": "This request exceeded a rate limit."}, "rate_limited"),
        (429, "Too many requests", "rate_limited"),
        (500, {"code": 12, "message": "Something went wrong on our end."}, "api_unavailable"),
        # Not Pinterest's own kind of error.
        (401, {"message": "Authentication failed."}, "response_invalid"),
        (401, {"code": "2", "message": "Authentication failed."}, "response_invalid"),
        (401, {"code": 2}, "response_invalid"),
        (401, {"code": True, "message": "No."}, "response_invalid"),
        (403, {"error": {"code": 3, "message": "No."}}, "response_invalid"),
        (403, "<html>Access denied</html>", "response_invalid"),
        (404, {"code": 10**30, "message": "No."}, "response_invalid"),
    ],
)
def test_what_an_error_means(monkeypatch: pytest.MonkeyPatch, status: int, body: object, code: str) -> None:
    with pytest.raises(JobError) as failed:
        scripted(monkeypatch, analytics=Answer(body, status, RID))
    assert failed.value.code == code
    own = body.get("code") if isinstance(body, dict) and code != "response_invalid" else None
    assert failed.value.provider_code == (None if own is None else str(own))
    assert failed.value.trace_id == RID["x-pinterest-rid"]


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_gateways_error_says_nothing_about_the_account(
    monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    with pytest.raises(JobError) as failed:
        scripted(monkeypatch, analytics=Answer({"code": status, "message": "No way."}, status))
    assert failed.value.code is ErrorCode.RESPONSE_INVALID


def test_an_error_that_repeats_the_token_does_not_show_it(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = Answer({"code": 2, "message": f"Bad token {TOKEN}"}, 401, {"x-pinterest-rid": TOKEN})
    with pytest.raises(JobError) as failed:
        scripted(monkeypatch, analytics=answer)
    assert failed.value.trace_id is None
    assert TOKEN[:20] not in f"{failed.value.reason}{failed.value!r}"


@pytest.mark.parametrize(
    ("header", "wait"),
    [
        ("20", 20),
        ("21600", 21600),
        ("999999999", 86400),
        ("9" * 5000, None),
        ("0", None),
        ("-5", None),
        ("soon", None),
        ("٣", None),
        (None, None),
    ],
)
def test_a_spent_quota_waits_as_long_as_the_api_says(
    monkeypatch: pytest.MonkeyPatch, header: str | None, wait: int | None
) -> None:
    said = {"X-RateLimit-Reset": header.encode().decode("latin-1")} if header else {}
    answer = Answer({"code": 8, "message": "Exceeded."}, 429, RID | said)
    with pytest.raises(JobError) as failed:
        scripted(monkeypatch, analytics=answer)
    assert failed.value.code is ErrorCode.RATE_LIMITED
    assert failed.value.retry_after == (None if wait is None else timedelta(seconds=wait))


@pytest.mark.parametrize(("kind", "calls"), [("throttled", 4), ("app_throttled", 1)])
def test_only_the_apps_spent_quota_stops_the_other_accounts(
    monkeypatch: pytest.MonkeyPatch, kind: str, calls: int
) -> None:
    first, second = make_account(1), make_account(2)
    world = World([first, second], now=lambda: NOW)
    api = PinterestApi(world)
    world.faults.set(first.id, api.fault_type(kind))
    with served(api.application(), monkeypatch):
        connector = connect(Settings(request_backoff=0))
        for account in (first, second):
            reader = connector.reader(Account("one", "pinterest", account.id, (account.token,)))
            with suppress(JobError):
                reader.read(WINDOW)
    assert len(api.calls) == calls


# What fails alone


def test_a_refused_profile_costs_only_the_followers(case: Pinterest) -> None:
    case.fault("account_refused")
    reading = read(case)
    assert reading.now == {}
    assert reading.status is DayStatus.SUCCEEDED
    assert reading.missing == ("The followers could not be read: Authorization failed.",)
    assert ids(reading) == set(case.posts(WINDOW.first_post_day, DAY))


def test_a_refused_metric_is_left_out_and_the_others_are_asked_for_again(case: Pinterest) -> None:
    case.fault("metric_retired", metric="PIN_CLICK")
    reading = read(case)
    first, second = asked(case, "user_account/analytics")
    assert "PIN_CLICK" in first["metric_types"]
    assert second["metric_types"] == "IMPRESSION,ENGAGEMENT,SAVE,OUTBOUND_CLICK"
    assert [one.source_metric for one in reading.unsupported] == ["PIN_CLICK"]
    assert set(reading.series) == {*DAILY, "posts_published"} - {"clicks"}
    case.api.clear_calls()
    again = read(case, Window(DAY, 7, 28, refused=reading.unsupported))
    [only] = asked(case, "user_account/analytics")
    assert only == second
    assert again.unsupported == ()
    assert "PIN_CLICK" in (again.reason or "")


def test_what_another_version_refused_is_asked_for(case: Pinterest) -> None:
    refused = (UnsupportedMetric("v4", "SAVE", "gone"), UnsupportedMetric("v5", "PIN_SAVE", "gone"))
    assert "saves" in read(case, Window(DAY, 7, 28, refused=refused)).series


def test_two_refused_metrics_are_left_out_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    def analytics(request: Request) -> Answer:
        asked = request.query["metric_types"].split(",")
        gone = [metric for metric in asked if metric in ("ENGAGEMENT", "SAVE")]
        if gone:
            there_are = "['IMPRESSION', 'OUTBOUND_CLICK', 'PIN_CLICK']"
            message = f"Invalid request: {gone[0]!r} is not one of {there_are}"
            return Answer({"code": 1, "message": message}, 400)
        day = {"date": str(DAY), "data_status": "READY", "metrics": {"IMPRESSION": 5}}
        return Answer({"all": {"daily_metrics": [day]}})

    reading, paths = scripted(monkeypatch, analytics=analytics)
    assert {one.source_metric for one in reading.unsupported} == {"ENGAGEMENT", "SAVE"}
    assert reading.series["views"] == {DAY: 5}
    assert paths.count("/v5/user_account/analytics") == 3


@pytest.mark.parametrize(
    "message", ["start_date is too old", "SAVE IMPRESSION ENGAGEMENT PIN_CLICK OUTBOUND_CLICK"]
)
def test_a_refusal_of_the_whole_call_fails_the_job(monkeypatch: pytest.MonkeyPatch, message: str) -> None:
    with pytest.raises(JobError) as failed:
        scripted(monkeypatch, analytics=Answer({"code": 1, "message": message}, 400))
    assert failed.value.code is ErrorCode.REQUEST_INVALID


# Pins


@pytest.mark.parametrize("kind", ["oldest_first", "shuffled"])
def test_a_listing_that_is_not_newest_first_is_read_to_its_end(case: Pinterest, kind: str) -> None:
    case.fault(kind)
    reading = read(case)
    assert ids(reading) == set(case.posts(WINDOW.first_post_day, DAY))
    assert reading.series["posts_published"] == expected(case, "posts_published")
    everything = case.world.pins(case.account.id, NOW.date() - timedelta(days=120), NOW.date())
    assert len(asked(case, "pins")) == -(-len(everything) // 5)


def test_a_listing_that_is_newest_first_is_read_only_back_to_the_window(case: Pinterest) -> None:
    case.fault("short_pages")
    reading = read(case)
    assert ids(reading) == set(case.posts(WINDOW.first_post_day, DAY))
    back = case.world.pins(case.account.id, WINDOW.first_post_day, NOW.date())
    assert len(asked(case, "pins")) == len(back) // 5 + 1


def test_pins_of_the_same_moment_tell_nothing_about_the_order(monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = "2024-01-01T00:00:00", f"{DAY}T12:00:00"
    reading, paths = scripted(
        monkeypatch, pins=paged([pin(1, old), pin(2, old)], [pin(3, new)], [pin(4, old)], [pin(5, old)])
    )
    assert ids(reading) == {"3"}
    assert paths.count("/v5/pins") == 4


def test_an_empty_page_of_a_listing_is_not_its_end(case: Pinterest) -> None:
    case.fault("empty_pages")
    reading = read(case)
    assert ids(reading) == set(case.posts(WINDOW.first_post_day, DAY))
    assert reading.missing == ()


@pytest.mark.parametrize("kind", ["same_bookmark", "endless"])
def test_a_listing_that_goes_round_in_circles_ends_and_its_pins_are_not_counted(
    case: Pinterest, kind: str
) -> None:
    for day in range(29, 121):
        case.world.restate(case.account.id, NOW.date() - timedelta(days=day), 0)
    case.fault(kind)
    reading = read(case)
    assert "goes round in circles" in (reading.reason or "")
    assert "posts_published" not in reading.series
    assert ids(reading) <= set(case.posts(WINDOW.first_post_day, DAY))
    assert reading.content
    assert len(asked(case, "pins")) < 20


def test_a_listing_without_end_is_broken_off(monkeypatch: pytest.MonkeyPatch) -> None:
    count = iter(range(1, 10_000))

    def pins(request: Request) -> Answer:
        number = next(count)
        return Answer({"items": [pin(number, f"{DAY}T12:00:00")], "bookmark": f"b{number}"})

    reading, paths = scripted(monkeypatch, pins=pins)
    assert paths.count("/v5/pins") == MAX_PAGES
    assert len(reading.content) == MAX_PAGES
    assert "posts_published" not in reading.series
    assert "more than 50000 pins" in (reading.reason or "")


@pytest.mark.parametrize("bookmark", [7, ["b"], {"b": 1}, "b" * 4001])
def test_a_bookmark_that_is_no_short_text_ends_the_listing(
    monkeypatch: pytest.MonkeyPatch, bookmark: object
) -> None:
    answer = Answer({"items": [pin(1, f"{DAY}T12:00:00")], "bookmark": bookmark})
    reading, paths = scripted(monkeypatch, pins=answer)
    assert paths.count("/v5/pins") == 1
    assert ids(reading) == {"1"}
    assert "posts_published" not in reading.series


@pytest.mark.parametrize(
    "bad",
    [
        None,
        7,
        {},
        {"id": "1"},
        {"id": 1, "created_at": f"{DAY}T12:00:00"},
        {"id": "1", "created_at": str(DAY)},
    ]
    + [
        {"id": identifier, "created_at": f"{DAY}T12:00:00"}
        for identifier in ("", "a/b", "1" * 51, "1\x00", "½")
    ],
)
def test_pins_without_an_id_or_a_date_are_named_and_the_others_not_counted(
    monkeypatch: pytest.MonkeyPatch, bad: object
) -> None:
    answer = Answer({"items": [bad, pin(9, f"{DAY}T12:00:00")]})
    reading, _ = scripted(monkeypatch, pins=answer)
    assert ids(reading) == {"9"}
    assert reading.missing == ("Pins without an id or a date: 1.",)
    assert "posts_published" not in reading.series


@pytest.mark.parametrize(
    ("created", "day"),
    [
        (f"{DAY}T00:00:00", DAY),
        (f"{DAY}T23:59:59.999999", DAY),
        (f"{DAY}T23:59:59Z", DAY),
        (f"{DAY}T00:30:00+02:00", DAY - timedelta(days=1)),
    ],
)
def test_a_pins_date_without_a_zone_is_in_utc(
    monkeypatch: pytest.MonkeyPatch, created: str, day: date
) -> None:
    with in_zone(monkeypatch, "Asia/Tokyo"):
        reading, _ = scripted(monkeypatch, pins=Answer({"items": [pin(1, created)]}))
    assert reading.series["posts_published"] == {one: int(one == day) for one in WINDOW.days}


def test_totals_that_the_api_does_not_give_are_null(monkeypatch: pytest.MonkeyPatch) -> None:
    lifetime = {"impression": 2, "pin_click": 7, "clickthrough": 3, "reaction": "10", "comment": 2}
    metrics: list[Any] = [
        {"90d": {"impression": 1}, "lifetime_metrics": lifetime},
        {"90d": {"impression": 1}},
        None,
        "none",
    ]
    items = [pin(number, f"{DAY}T12:00:00", pin_metrics=one) for number, one in enumerate(metrics)]
    reading, _ = scripted(monkeypatch, pins=Answer({"items": items}))
    nothing = dict.fromkeys(PROVIDER.content_metrics)
    found = {one.content_id: one.metrics for one in reading.content}
    assert found == {
        "0": {"views": 2, "clicks": 7, "reactions": None, "comments": 2, "saves": None},
        "1": nothing,
        "2": nothing,
        "3": nothing,
    }


def test_a_pins_texts_kind_and_permalink(monkeypatch: pytest.MonkeyPatch) -> None:
    at = f"{DAY}T12:00:00"
    items = [
        pin(
            1, at, title="Soup", description="With bread.", creative_type="VIDEO", link="https://evil.example"
        ),
        pin(2, at, title=None, description="", creative_type=None),
        pin(3, at, title="\x00", description="x" * 20_000),
    ]
    reading, _ = scripted(monkeypatch, pins=Answer({"items": items}))
    one, two, three = reading.content
    assert (one.message, one.kind, one.permalink) == (
        "Soup\nWith bread.",
        "video",
        "https://www.pinterest.com/pin/1/",
    )
    assert (two.message, two.kind) == (None, "pin")
    assert three.message == "x" * 10_000


# Tokens


def test_no_refresh_token_leaves_and_nothing_is_written_to_postiz_or_pinterest(
    monkeypatch: pytest.MonkeyPatch, postiz: psycopg.Connection, analytics: psycopg.Connection
) -> None:
    case = Pinterest(NOW, DAY)
    received: list[tuple[str, str]] = []

    async def recording(scope: Scope, receive: Receive, send: Send) -> None:
        received.append((scope["method"], repr(scope)))
        await case.api.application()(scope, receive, send)

    insert_organization(postiz, "acme")
    insert_integration(postiz, "one", "acme", case.account, refreshToken="pinr_never_sent")
    trial = Trial(case, DAY, postiz, analytics)
    before = contents(postiz)
    with served(recording, monkeypatch):
        assert trial.ingest()["status"] == "succeeded"
        for kind in ("token_expired", "personal", "throttled"):
            case.fault(kind)
            with suppress(Exception):
                trial.ingest()
    assert len(received) > 3
    assert {method for method, _ in received} == {"GET"}
    assert not [seen for _, seen in received if "pinr_never_sent" in seen]
    assert all(case.account.token in seen for _, seen in received)
    assert contents(postiz) == before
    assert "pinr_never_sent" not in trial.everything()


def contents(postiz: psycopg.Connection) -> list[tuple[Any, ...]]:
    """Every row of Postiz's tables, with the transaction that wrote it."""
    tables = postiz.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
    return [
        row
        for (table,) in sorted(tables)
        for row in postiz.execute(f'SELECT xmin::text, t::text FROM public."{table}" AS t').fetchall()
    ]


# The connection


def test_without_a_connection_the_networks_own_host_is_called() -> None:
    assert connect(Settings())._api.base_url == "https://api.pinterest.com"


# Scripted answers


def pin(number: int, created_at: str, **fields: object) -> dict[str, object]:
    return {"id": str(number), "created_at": created_at, **fields}


def paged(*pages: list[dict[str, object]]) -> Any:
    """The pages of a listing, each with a bookmark to the next."""

    def answer(request: Request) -> Answer:
        number = int(request.query.get("bookmark", "0"))
        following = str(number + 1) if number + 1 < len(pages) else None
        return Answer({"items": pages[number], "bookmark": following})

    return answer


def scripted(
    monkeypatch: pytest.MonkeyPatch,
    *,
    analytics: Any = NO_DAYS,
    account: Any = BUSINESS,
    pins: Any = NO_PINS,
) -> tuple[Reading, list[str]]:
    """A reading of these answers, or functions that make them; and the paths that were asked for."""
    answers = {
        "/v5/user_account/analytics": analytics,
        "/v5/user_account": account,
        "/v5/pins": pins,
    }

    def script(request: Request) -> Answer:
        answer = answers[request.path]
        return answer if isinstance(answer, Answer) else answer(request)  # type: ignore[no-any-return]

    with scripted_server(script) as server:
        point_to(server.base_url, monkeypatch)
        reading = read_with(TOKEN)
        reading.require_declared(PROVIDER)
        return reading, server.paths
