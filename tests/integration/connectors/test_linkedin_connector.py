"""What is special about LinkedIn, over real HTTP to its stand-in. The conformance suite has the rest."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import unquote

import psycopg
import pytest
from structlog.testing import capture_logs

from include.sandbox.postiz_db import insert_integration, insert_organization
from include.sandbox.serving import listen
from include.sandbox.stand_ins import stand_ins
from include.sandbox.stand_ins.linkedin_page.api import LinkedInApi
from include.sandbox.stand_ins.linkedin_page.world import World, make_page
from include.social_analytics.connectors.base import Account
from include.social_analytics.connectors.linkedin_page import PROVIDER
from include.social_analytics.connectors.linkedin_page.connector import connect
from include.social_analytics.connectors.reading import DayStatus, Reading, Window
from include.social_analytics.days import until_quota_returns
from include.social_analytics.errors import ErrorClass, ErrorCode, JobError
from include.social_analytics.ingest import LONGEST_WAIT_FOR_QUOTA, ThrottledError
from include.social_analytics.settings import Settings
from tests.connectors.cases.linkedin_page import LinkedInPage
from tests.connectors.trial import Trial, latest_day
from tests.support.scripted_http import Answer, Request, ScriptedServer, scripted_server

SETTINGS = Settings(request_backoff=0)
NOW = datetime.now(UTC)
DAY = latest_day(PROVIDER, NOW)
BEFORE = DAY - timedelta(days=1)
WINDOW = Window(DAY, 3, 28)
STATISTICS = ("organizationalEntityShareStatistics", "organizationalEntityFollowerStatistics")
OF_SHARES = {"views", "reach", "engagements", "reactions", "comments", "shares", "clicks"}
TOKEN = "AQXdSP_W41_UPs5ioT_t8HESyODB4FqbkJ8LrV_5mff4gPODzOYR"


@pytest.fixture
def case(monkeypatch: pytest.MonkeyPatch) -> Iterator[LinkedInPage]:
    case = LinkedInPage(NOW, DAY)
    with served(case.api, monkeypatch):
        yield case


@pytest.fixture
def trial(case: LinkedInPage, postiz: psycopg.Connection, analytics: psycopg.Connection) -> Trial:
    insert_organization(postiz, "acme")
    insert_integration(postiz, "one", "acme", case.account)
    return Trial(case, DAY, postiz, analytics)


@contextmanager
def served(api: LinkedInApi, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with listen(api.application()) as url:
        for name, connection in stand_ins()[PROVIDER.name].environment(url).items():
            monkeypatch.setenv(name, connection)
        yield


def account(page_id: str, token: str) -> Account:
    return Account("one", "linkedin-page", page_id, PROVIDER.secrets(token))


def read(case: LinkedInPage, window: Window = WINDOW) -> Reading:
    reading = connect(SETTINGS).reader(account(case.account.id, case.account.token)).read(window)
    reading.require_declared(PROVIDER)
    return reading


def targets(case: LinkedInPage, resource: str) -> list[str]:
    """The queries of all calls to a resource, as sent."""
    return [
        call.target.partition("?")[2] for call in case.api.calls if call.path.startswith(f"/rest/{resource}")
    ]


# Calls


def test_an_ordinary_day_costs_seven_calls_and_never_more_than_eight(case: LinkedInPage) -> None:
    read(case)
    assert len(case.api.calls) == case.calls_a_day <= 8
    assert {call.path.split("/")[2] for call in case.api.calls} == {
        *STATISTICS,
        "organizationPageStatistics",
        "networkSizes",
        "posts",
    }


def test_statistics_take_one_call_for_the_whole_window(case: LinkedInPage) -> None:
    window = Window(DAY, 27, 28)
    reading = read(case, window)
    assert len(case.api.calls) == case.calls_a_day
    assert len(reading.series["views"]) == 28


def test_a_query_has_parentheses_and_commas_and_encoded_urns(case: LinkedInPage) -> None:
    read(case)
    first, *totals = targets(case, "organizationalEntityShareStatistics")
    start = int(datetime(*WINDOW.days[0].timetuple()[:3], tzinfo=UTC).timestamp()) * 1000
    assert first == (
        f"q=organizationalEntity&organizationalEntity=urn%3Ali%3Aorganization%3A{case.account.id}"
        f"&timeIntervals=(timeRange:(start:{start},end:{start + 4 * 86_400_000}),timeGranularityType:DAY)"
    )
    for query in totals:
        assert re.search(r"&(shares|ugcPosts)=List\((urn%3Ali%3A\w+%3A\d+,?)+\)$", query)
    assert [call.path for call in case.api.calls if "networkSizes" in call.path]
    assert all("%28" not in call.target and "%2C" not in call.target for call in case.api.calls)


def test_shares_and_ugc_posts_are_asked_for_apart_and_fifty_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now, day = datetime(2026, 11, 21, 9, tzinfo=UTC), date(2026, 11, 20)
    case = LinkedInPage(now, day)
    with served(case.api, monkeypatch):
        reading = read(case, Window(day, 3, 88))
    asked = [unquote(query) for query in targets(case, "organizationalEntityShareStatistics")[1:]]
    batches = [re.findall(r"urn:li:(\w+):\d+", query.partition("List(")[2]) for query in asked]
    assert all(len(set(kinds)) == 1 for kinds in batches)
    assert max(map(len, batches)) == 50
    assert sum(map(len, batches)) == len(reading.content) > 50


# Days


def test_a_latest_day_of_zeros_is_pending_and_an_earlier_one_is_zero(case: LinkedInPage) -> None:
    for day in (BEFORE, DAY):
        case.world.restate(case.account.id, day, 0)
    reading = read(case)
    assert (reading.days[DAY], reading.days[BEFORE]) == (DayStatus.PENDING, DayStatus.SUCCEEDED)
    assert all(reading.series[name][BEFORE] == 0 for name in {*OF_SHARES, "net_follows", "page_views"})
    assert not [name for name in reading.series if DAY in reading.series[name] and name != "posts_published"]
    assert reading.series["posts_published"][DAY] == 0
    assert reading.now == case.figures_now()


def test_a_final_day_that_linkedin_leaves_out_keeps_its_figures(trial: Trial, case: LinkedInPage) -> None:
    trial.ingest(BEFORE)
    before = trial.stored(BEFORE)
    case.fault("days_left_out")
    assert trial.ingest()["status"] == "pending"
    assert trial.stored(BEFORE) == before
    assert trial.job(BEFORE)["status"] == "succeeded"


def test_gains_of_followers_that_are_not_counted_yet_are_null_and_come_later(case: LinkedInPage) -> None:
    gains = read(case).series["net_follows"]
    assert gains.get(DAY) is None
    assert gains[BEFORE] == case.figures(BEFORE)["net_follows"]


@pytest.mark.parametrize("zone", ["America/Los_Angeles", "Pacific/Auckland", "Europe/Berlin"])
@pytest.mark.parametrize("changes", ["2026-03-08", "2026-03-29", "2026-10-25", "2026-11-01"])
def test_each_value_is_stored_under_its_day_in_utc_over_clock_changes_in_any_zone(
    changes: str,
    zone: str,
    postiz: psycopg.Connection,
    analytics: psycopg.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    day = date.fromisoformat(changes) + timedelta(days=1)
    case = LinkedInPage(datetime(day.year, day.month, day.day, 9, tzinfo=UTC) + timedelta(days=2), day)
    insert_organization(postiz, "acme")
    insert_integration(postiz, "one", "acme", case.account)
    trial = Trial(case, day, postiz, analytics)
    for connection in (postiz, analytics):
        connection.execute("SELECT set_config('timezone', %s, false)", [zone])
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        with served(case.api, monkeypatch):
            for one in (*trial.lookback, day):
                trial.ingest(one)
    finally:
        monkeypatch.undo()
        time.tzset()
    for one in (*trial.lookback, day):
        assert trial.stored(one) == case.figures(one) | {"followers": None}
    found = [row["published_at"] for row in trial.rows("SELECT published_at FROM analytics.content")]
    posts = case.world.posts(case.account.id, trial.lookback[0] - timedelta(days=27), day)
    assert sorted(one.astimezone(UTC) for one in found) == sorted(post.published_at for post in posts)


# Figures


@contextmanager
def scripted(
    monkeypatch: pytest.MonkeyPatch,
    day: date,
    *,
    shares: dict[str, Any],
    gains: dict[str, Any] | None = None,
    posts: list[object] | None = None,
    extra: dict[str, object] | None = None,
) -> Iterator[ScriptedServer]:
    """A server with one day's figures, and without posts if none are given."""
    start = int(datetime(*day.timetuple()[:3], tzinfo=UTC).timestamp()) * 1000
    range_ = {"timeRange": {"start": start, "end": start + 86_400_000}}

    def answer(request: Request) -> Answer:
        resource = request.path.split("/")[2]
        elements: dict[str, list[object]] = {
            "organizationalEntityShareStatistics": [{**range_, "totalShareStatistics": shares}],
            "organizationalEntityFollowerStatistics": [{**range_, "followerGains": gains or {}}],
            "posts": posts or [],
        }
        if resource == "networkSizes":
            return Answer({"firstDegreeSize": 7})
        return Answer({"elements": elements.get(resource, []), "paging": {"start": 0, "count": 10}})

    with scripted_server(answer) as server:
        connection = {"conn_type": "http", "host": server.base_url, "extra": extra or {}}
        monkeypatch.setenv("AIRFLOW_CONN_LINKEDIN_API", json.dumps(connection))
        yield server


SHARES = {"impressionCount": 90, "uniqueImpressionsCount": 50, "clickCount": 4, "likeCount": 3}
SHARES |= {"commentCount": 2, "shareCount": 1, "engagement": 0.11}


def read_scripted(day: date = DAY) -> Reading:
    return connect(SETTINGS).reader(account("1234", TOKEN)).read(Window(day, 0, 28))


def test_more_followers_lost_than_won_is_a_negative_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    gains = {"organicFollowerGain": -7, "paidFollowerGain": 2}
    with scripted(monkeypatch, DAY, shares=SHARES, gains=gains):
        assert read_scripted().series["net_follows"] == {DAY: Decimal(-5)}


@pytest.mark.parametrize("part", ["clickCount", "likeCount", "commentCount", "shareCount"])
@pytest.mark.parametrize("value", [None, "3", float("1e30")])
def test_engagements_are_unknown_when_a_part_of_them_is(monkeypatch, part: str, value: object) -> None:
    with scripted(monkeypatch, DAY, shares=SHARES | {part: value}):
        series = read_scripted().series
    assert series["engagements"] == {DAY: None}
    assert series["views"] == {DAY: Decimal(90)}
    with scripted(monkeypatch, DAY, shares=SHARES):
        assert read_scripted().series["engagements"] == {DAY: Decimal(10)}


# What fails alone


@pytest.mark.parametrize("kind", ["refused", "failing"])
@pytest.mark.parametrize(
    ("resource", "metric"),
    [
        ("organizationalEntityFollowerStatistics", "net_follows"),
        ("organizationPageStatistics", "page_views"),
        ("networkSizes", "followers"),
    ],
)
def test_a_refused_call_costs_its_own_metric_and_is_named(
    trial: Trial, case: LinkedInPage, kind: str, resource: str, metric: str
) -> None:
    case.fault(kind, resource=resource)
    job = trial.ingest()
    assert job["status"] == "succeeded"
    assert f"The metric {metric} could not be read: " in job["reason"]
    assert trial.stored() == case.figures(DAY) | case.figures_now() | {metric: None}
    assert trial.stored_posts() == case.posts(*trial.post_days)


def test_refused_share_statistics_fail_the_day(case: LinkedInPage) -> None:
    case.fault("refused", resource="organizationalEntityShareStatistics")
    with pytest.raises(JobError) as failed:
        read(case)
    assert failed.value.code is ErrorCode.PERMISSION_MISSING
    assert len(case.api.calls) == 1


def test_refused_totals_cost_no_post(case: LinkedInPage) -> None:
    case.fault("refused", resource="totals")
    reading = read(case)
    assert {one.content_id for one in reading.content} == set(case.posts(WINDOW.first_post_day, DAY))
    assert all(one.metrics == {} for one in reading.content)
    assert "Totals of posts (shares) could not be read" in (reading.reason or "")


def test_who_is_no_administrator_gets_advice_of_their_own(case: LinkedInPage) -> None:
    case.fault("not_admin")
    with pytest.raises(JobError) as failed:
        read(case)
    assert failed.value.code is ErrorCode.PERMISSION_MISSING
    assert "super admin" in PROVIDER.advice_on(failed.value.code)
    assert "ADMIN_ONLY" in failed.value.reason


def test_an_unknown_parameter_is_the_packages_fault_and_no_missing_permission(case: LinkedInPage) -> None:
    case.fault("unpermitted_fields")
    with pytest.raises(JobError) as failed:
        read(case)
    assert failed.value.code is ErrorCode.REQUEST_INVALID


@pytest.mark.parametrize("kind", ["html_403", "json_404"])
def test_a_proxys_refusal_is_transient(case: LinkedInPage, kind: str) -> None:
    case.fault(kind)
    with pytest.raises(JobError) as failed:
        read(case)
    assert failed.value.code is ErrorCode.RESPONSE_INVALID


@pytest.mark.parametrize("stored", ["", "p_ABCdef", "1/../2", "\u0661\u0662", "12,34"])
def test_an_account_id_that_is_no_number_is_never_sent(case: LinkedInPage, stored: str) -> None:
    with pytest.raises(JobError) as failed:
        connect(SETTINGS).reader(account(stored, case.account.token)).read(WINDOW)
    assert failed.value.code is ErrorCode.OBJECT_NOT_FOUND
    assert case.api.calls == []


# Quotas


@pytest.mark.parametrize(("kind", "is_shared"), [("app_throttled", True), ("member_throttled", False)])
def test_a_spent_quota_rests_until_midnight_and_the_apps_stops_all_pages(
    monkeypatch: pytest.MonkeyPatch, kind: str, is_shared: bool
) -> None:
    pages = [make_page(1), make_page(2)]
    api = LinkedInApi(World(pages, now=lambda: NOW))
    api.faults.set(pages[0].id, api.fault_type(kind))
    with served(api, monkeypatch):
        connector = connect(SETTINGS)
        first, second = (connector.reader(account(page.id, page.token)) for page in pages)
        with pytest.raises(JobError) as failed:
            first.read(WINDOW)
        error = failed.value
        assert (error.code, error.error_class) == (ErrorCode.RATE_LIMITED, ErrorClass.TRANSIENT)
        expected = until_quota_returns(datetime.now(UTC), PROVIDER.timezone)
        assert abs(error.retry_after - expected) < timedelta(minutes=1)
        assert len(api.calls) == first.http_calls == 1
        if is_shared:
            with pytest.raises(JobError) as spared:
                second.read(WINDOW)
            assert spared.value.code is ErrorCode.RATE_LIMITED
            assert second.http_calls == 0
        else:
            assert second.read(WINDOW).status is DayStatus.SUCCEEDED
        with pytest.raises(JobError):
            first.read(WINDOW)
        assert first.http_calls == 1


def test_a_job_does_not_wait_for_a_quota_that_returns_after_hours(trial: Trial, case: LinkedInPage) -> None:
    case.fault("app_throttled")
    waits = until_quota_returns(datetime.now(UTC), PROVIDER.timezone) < LONGEST_WAIT_FOR_QUOTA
    with pytest.raises(ThrottledError if waits else JobError):
        trial.ingest()
    job = trial.job()
    assert (job["status"], job["error_code"]) == ("queued" if waits else "failed", ErrorCode.RATE_LIMITED)
    assert job["http_calls"] == len(case.api.calls) == 1
    assert "midnight UTC" in PROVIDER.advice_on(ErrorCode.RATE_LIMITED)


# Posts


def test_reshares_are_content_and_advertisements_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    now, day = datetime(2026, 11, 21, 9, tzinfo=UTC), date(2026, 11, 20)
    case = LinkedInPage(now, day)
    with served(case.api, monkeypatch):
        reading = read(case, Window(day, 3, 28))
    assert [post for post in case.world.listed(case.account.id) if post.is_ad]
    kinds = {one.content_id: one.kind for one in reading.content}
    assert kinds == {post.urn: post.kind for post in case.world.posts(case.account.id, *post_days(day))}
    assert set(kinds.values()) == {"text", "image", "video", "link", "reshare", "document"}


def post_days(day: date) -> tuple[date, date]:
    return day - timedelta(days=27), day


def test_a_post_belongs_to_the_day_of_its_publication_and_not_of_its_creation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now, day = datetime(2026, 11, 21, 9, tzinfo=UTC), date(2026, 11, 20)
    case = LinkedInPage(now, day)
    scheduled = [
        post
        for post in case.world.posts(case.account.id, *post_days(day))
        if post.created_at.date() < post.published_at.date()
    ]
    assert scheduled
    with served(case.api, monkeypatch):
        reading = read(case, Window(day, 27, 28))
    found = {one.content_id: one.published_at for one in reading.content}
    assert all(found[post.urn] == post.published_at for post in scheduled)
    assert reading.series["posts_published"] == {
        one: case.figures(one)["posts_published"] for one in Window(day, 27, 28).days
    }


@pytest.mark.parametrize("lost", ["id", "publishedAt"])
def test_a_post_without_an_id_or_a_moment_is_named_and_the_others_are_not_counted(
    monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    noon = int(datetime.combine(DAY, datetime.min.time(), UTC).timestamp() + 43_200) * 1000
    good = {"id": "urn:li:share:1", "publishedAt": noon, "createdAt": noon, "lifecycleState": "PUBLISHED"}
    with scripted(monkeypatch, DAY, shares={"impressionCount": 5}, posts=[good, good | {lost: None}]):
        reading = connect(SETTINGS).reader(account("7", "token")).read(WINDOW)
    assert [one.content_id for one in reading.content] == ["urn:li:share:1"]
    assert "posts_published" not in reading.series
    assert "Posts without an id or a date: 1." in (reading.reason or "")


def test_a_post_that_linkedin_leaves_out_has_unknown_totals_and_no_zeros(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A second after its publication, no one has seen the post.
    post = LinkedInPage(datetime(2026, 11, 21, 9, tzinfo=UTC), date(2026, 11, 20)).world.listed("300000001")[
        0
    ]
    now = post.published_at + timedelta(seconds=1)
    case = LinkedInPage(now, post.published_at.date())
    with served(case.api, monkeypatch):
        reading = read(case, Window(post.published_at.date(), 0, 28))
    [found] = [one for one in reading.content if one.content_id == post.urn]
    assert found.metrics == dict.fromkeys(PROVIDER.content_metrics)
    assert [one for one in reading.content if one.metrics.get("views")]


def test_a_listing_without_links_is_read_to_its_end(case: LinkedInPage) -> None:
    case.fault("without_links")
    reading = read(case)
    assert {one.content_id for one in reading.content} == set(case.posts(WINDOW.first_post_day, DAY))
    assert "posts_published" in reading.series


def test_a_listing_ends_a_week_before_the_window_and_not_at_the_pages_first_post(case: LinkedInPage) -> None:
    case.fault("short_pages")
    read(case)
    listed = case.world.listed(case.account.id)
    oldest = datetime(*WINDOW.first_post_day.timetuple()[:3], tzinfo=UTC) - timedelta(days=7)
    needed = len([post for post in listed if post.created_at >= oldest])
    assert len(targets(case, "posts")) == needed // 5 + 1 < len(listed) // 5


def test_a_page_of_posts_that_is_lost_is_asked_for_again_and_keeps_the_others(case: LinkedInPage) -> None:
    case.fault("lost_page")
    reading = read(case)
    assert len(targets(case, "posts")) == 1 + 3
    assert 0 < len(reading.content) <= 5
    assert "posts_published" not in reading.series
    assert "Only some posts could be listed" in (reading.reason or "")


# The connection


def test_without_a_connection_linkedins_own_host_and_the_default_version_are_called() -> None:
    api = connect(SETTINGS)._api
    assert (api.base_url, api.version) == ("https://api.linkedin.com", "202603")


@pytest.mark.parametrize("version", ["202609", 202609])
def test_each_call_has_the_connections_version_in_a_header(monkeypatch, version: object) -> None:
    with scripted(monkeypatch, DAY, shares=SHARES, extra={"api_version": version}) as server:
        read_scripted()
    assert len(server.requests) == 5
    for request in server.requests:
        assert request.headers["LinkedIn-Version"] == "202609"
        assert request.headers["X-Restli-Protocol-Version"] == "2.0.0"


@pytest.mark.parametrize("version", ["2026", "v25.0", "202613", "202603\r\nX-Evil: 1", "latest", 2.5])
def test_a_version_that_is_no_month_is_refused_and_named(monkeypatch, version: object) -> None:
    connection = {"conn_type": "http", "extra": {"api_version": version}}
    monkeypatch.setenv("AIRFLOW_CONN_LINKEDIN_API", json.dumps(connection))
    with pytest.raises(JobError, match="api_version in the extra of the Airflow connection 'linkedin_api'"):
        connect(SETTINGS)


@pytest.mark.parametrize(("months", "warns"), [(0, False), (8, False), (10, True), (14, True)])
def test_the_log_warns_once_a_task_before_a_version_ends(monkeypatch, months: int, warns: bool) -> None:
    month = NOW.year * 12 + NOW.month - 1 - months
    version = f"{month // 12}{month % 12 + 1:02}"
    with scripted(monkeypatch, DAY, shares=SHARES, extra={"api_version": version}), capture_logs() as lines:
        connector = connect(SETTINGS)
        for _ in range(2):
            connector.reader(account("1234", TOKEN)).read(Window(DAY, 0, 28))
    warnings = [line for line in lines if line["event"] == "api version ends"]
    assert [line["version"] for line in warnings] == [version] * warns


def test_a_version_that_has_ended_is_the_operators_to_resolve(case: LinkedInPage) -> None:
    case.fault("version_ended")
    with pytest.raises(JobError) as failed:
        read(case)
    assert failed.value.code is ErrorCode.CONFIG_INVALID
    assert "api_version" in PROVIDER.advice_on(failed.value.code)


# Secrets


def test_the_token_is_in_the_authorization_header_and_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted(monkeypatch, DAY, shares=SHARES) as server:
        read_scripted()
    assert server.requests
    for request in server.requests:
        assert request.headers["Authorization"] == f"Bearer {TOKEN}"
        rest = {name: value for name, value in request.headers.items() if name != "Authorization"}
        assert TOKEN not in f"{request.path} {request.query} {rest}"


def test_a_refresh_token_is_not_used_and_nothing_is_written_to_postiz(
    trial: Trial, case: LinkedInPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything = 'SELECT to_jsonb(t) FROM "Integration" AS t'
    trial.postiz.execute('UPDATE "Integration" SET "refreshToken" = \'AQ-refresh-4711\'')
    before = trial.postiz.execute(everything).fetchall()
    with scripted(monkeypatch, DAY, shares=SHARES) as server:
        trial.ingest()
    assert trial.postiz.execute(everything).fetchall() == before
    assert "AQ-refresh-4711" in str(before)
    assert server.requests
    assert "AQ-refresh-4711" not in str(server.requests)
    assert "AQ-refresh-4711" not in trial.everything()
