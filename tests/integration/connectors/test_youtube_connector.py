"""What is special about YouTube, over real HTTP to its stand-in. The conformance suite has the rest."""

from __future__ import annotations

import json
import os
import time as process_time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest
from psycopg import sql

from include.sandbox.faults import Faults
from include.sandbox.postiz_db import insert_integration, insert_organization
from include.sandbox.serving import listen
from include.sandbox.stand_ins import stand_ins
from include.sandbox.stand_ins.youtube import google_apis
from include.sandbox.stand_ins.youtube.google_apis import GoogleApis
from include.sandbox.stand_ins.youtube.world import PACIFIC, Fault, Video, World, make_channel
from include.social_analytics.connectors.base import Account
from include.social_analytics.connectors.reading import DayStatus, Reading, UnsupportedMetric, Window
from include.social_analytics.connectors.youtube import PROVIDER
from include.social_analytics.connectors.youtube.connector import connect
from include.social_analytics.databases import Database
from include.social_analytics.errors import ErrorCode, JobError
from include.social_analytics.ingest import Ingester
from include.social_analytics.jobs import IngestJob, Integration
from include.social_analytics.settings import Settings
from tests.connectors.cases.youtube import YouTube
from tests.connectors.trial import Trial, latest_day
from tests.support.bench import ingest

NOW = datetime.now(UTC)
DAY = latest_day(PROVIDER, NOW)
WINDOW = Window(DAY, 4, 28)
SETTINGS = Settings(request_backoff=0)


@pytest.fixture
def case(monkeypatch: pytest.MonkeyPatch) -> Iterator[YouTube]:
    case = YouTube(NOW, DAY)
    with served(case.api, monkeypatch):
        yield case


@contextmanager
def served(api: GoogleApis, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with listen(api.application()) as url:
        for name, connection in stand_ins()["youtube"].environment(url).items():
            monkeypatch.setenv(name, connection)
        yield url


def account(case: YouTube, **changes: object) -> Account:
    made = Account(
        "one", "youtube", case.account.id, (case.account.token,), refresh_token=case.account.refresh_token
    )
    return replace(made, **changes)


def read(case: YouTube, window: Window = WINDOW, **changes: object) -> Reading:
    reading = connect(SETTINGS).reader(account(case, **changes)).read(window)
    reading.require_declared(PROVIDER)
    return reading


def failure(case: YouTube, kind: str) -> JobError:
    case.fault(kind)
    with pytest.raises(JobError) as raised:
        read(case)
    return raised.value


def asked(case: YouTube, path: str) -> list[dict[str, str]]:
    """The queries of all calls to a path."""
    return [
        {name: values[0] for name, values in parse_qs(urlsplit(call.target).query).items()}
        for call in case.api.calls
        if call.path == path
    ]


def upload(case: YouTube, number: int, moment: datetime, **columns: object) -> Video:
    video = Video(f"video-{number:05}", case.account.id, moment.astimezone(UTC), "A video", **columns)
    case.world.publish(video)
    return video


# Tokens


def test_an_access_token_is_fetched_once_a_task_and_account_and_masked_before_it_is_used(
    case: YouTube,
) -> None:
    masked: list[str] = []
    connector = connect(SETTINGS)
    first, second = (connector.reader(account(case, mask=masked.extend)) for _ in range(2))
    assert first.read(WINDOW).status == second.read(WINDOW).status
    assert (first.http_calls, second.http_calls) == (7, 6)
    assert masked == list(case.world.by_access_token)
    assert len(masked) == 1


def test_another_task_fetches_a_token_of_its_own(case: YouTube) -> None:
    read(case)
    read(case)
    assert len(case.world.by_access_token) == 2


def test_a_token_that_google_gives_for_a_short_time_is_fetched_again(case: YouTube, monkeypatch) -> None:
    given = case.api._token
    monkeypatch.setattr(case.api, "_token", lambda *asked: given(*asked) | {"expires_in": 300})
    connector = connect(SETTINGS)
    for _ in range(2):
        connector.reader(account(case)).read(WINDOW)
    assert len(case.world.by_access_token) == 2


def test_an_access_token_that_ends_before_its_time_is_fetched_again(case: YouTube) -> None:
    connector = connect(SETTINGS)
    connector.reader(account(case)).read(WINDOW)
    case.world.by_access_token.clear()
    masked: list[str] = []
    reader = connector.reader(account(case, mask=masked.extend))
    assert reader.read(WINDOW).series["views"][DAY] == case.figures(DAY)["views"]
    # The refused call, and the token, come on top of an ordinary day's without a token.
    assert reader.http_calls == 6 + 2
    assert masked == list(case.world.by_access_token)


def test_only_one_new_access_token_is_fetched_for_a_refused_one(case: YouTube) -> None:
    assert failure(case, "access_token_refused").code is ErrorCode.TOKEN_INVALID
    assert [call.path for call in case.api.calls] == ["/token", "/v2/reports"] * 2


def test_the_stored_access_token_is_never_used(case: YouTube) -> None:
    assert read(case, secrets=("a stored token of an hour's life",)).status is DayStatus.SUCCEEDED


def test_an_empty_refresh_token_has_its_own_reason_and_advice_and_costs_no_call(case: YouTube) -> None:
    with pytest.raises(JobError, match="has no refresh token of this channel") as raised:
        read(case, refresh_token="")
    assert raised.value.code is ErrorCode.TOKEN_INVALID
    assert PROVIDER.advice_on(raised.value.code).startswith("Delete the channel in Postiz and add it again")
    assert case.api.calls == []


@pytest.mark.parametrize(
    ("kind", "code", "word"),
    [
        ("token_revoked", ErrorCode.TOKEN_INVALID, "invalid_grant"),
        ("client_unknown", ErrorCode.CONFIG_INVALID, "invalid_client"),
        ("client_of_another", ErrorCode.CONFIG_INVALID, "unauthorized_client"),
        ("access_token_refused", ErrorCode.TOKEN_INVALID, "authError"),
        ("permission_missing", ErrorCode.PERMISSION_MISSING, "insufficientPermissions"),
        ("channel_gone", ErrorCode.OBJECT_NOT_FOUND, "youtubeSignupRequired"),
        ("channel_suspended", ErrorCode.ACCOUNT_BLOCKED, "authenticatedUserAccountSuspended"),
        ("api_off", ErrorCode.CONFIG_INVALID, "accessNotConfigured"),
        ("day_quota_spent", ErrorCode.RATE_LIMITED, "quotaExceeded"),
        ("minute_quota_spent", ErrorCode.RATE_LIMITED, "rateLimitExceeded"),
        ("reports_down", ErrorCode.API_UNAVAILABLE, "backendError"),
        ("down", ErrorCode.API_UNAVAILABLE, "internal_failure"),
    ],
)
def test_each_of_googles_refusals_has_its_code(case: YouTube, kind: str, code: ErrorCode, word: str) -> None:
    error = failure(case, kind)
    assert (error.code, error.provider_code) == (code, word)


@pytest.mark.parametrize("field", ["login", "password"])
def test_a_connection_without_its_client_is_config_invalid(case: YouTube, monkeypatch, field: str) -> None:
    known = json.loads(os.environ["AIRFLOW_CONN_GOOGLE_API"])
    monkeypatch.setenv("AIRFLOW_CONN_GOOGLE_API", json.dumps({**known, field: ""}))
    with pytest.raises(JobError, match="as login, and its client secret as password") as raised:
        connect(SETTINGS)
    assert raised.value.code is ErrorCode.CONFIG_INVALID


def test_without_the_connection_nothing_is_read(monkeypatch) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_GOOGLE_API", raising=False)
    with pytest.raises(JobError, match="'google_api'") as raised:
        connect(SETTINGS)
    assert raised.value.code is ErrorCode.CONFIG_INVALID


def test_without_a_host_each_api_is_at_googles_own(monkeypatch) -> None:
    connection = {"conn_type": "http", "login": "an id", "password": "a secret"}
    monkeypatch.setenv("AIRFLOW_CONN_GOOGLE_API", json.dumps(connection))
    app = connect(SETTINGS)._app
    assert f"{app.token.base_url}/token" == PROVIDER.token_address == "https://oauth2.googleapis.com/token"
    assert app.analytics.base_url == "https://youtubeanalytics.googleapis.com"
    assert app.data.base_url == "https://youtube.googleapis.com"
    assert "a secret" not in repr(app)


@pytest.mark.parametrize("id_", ["", "..", "104857600", "UC", "UC1;channel==UC2", "UC" + "x" * 21 + "/"])
def test_an_id_that_is_no_channels_is_not_asked_about(case: YouTube, id_: str) -> None:
    with pytest.raises(JobError, match="not that of a channel") as raised:
        read(case, provider_account_id=id_)
    assert raised.value.code is ErrorCode.OBJECT_NOT_FOUND
    assert case.api.calls == []


def test_a_token_that_sees_another_channel_reads_nothing_of_it(case: YouTube) -> None:
    with pytest.raises(JobError) as raised:
        read(case, provider_account_id=make_channel(2).id)
    assert raised.value.code is ErrorCode.PERMISSION_MISSING


# Quota


def two_channels(
    monkeypatch: pytest.MonkeyPatch, postiz: psycopg.Connection, analytics: psycopg.Connection
) -> tuple[World, GoogleApis, Ingester, list[IngestJob]]:
    world = World([make_channel(1), make_channel(2)], now=lambda: NOW)
    api = GoogleApis(world)
    insert_organization(postiz, "acme")
    for channel in world.channels.values():
        insert_integration(postiz, channel.id, "acme", channel, refreshToken=channel.refresh_token)
    made = []

    def connector(_: str) -> object:
        if not made:
            made.append(connect(SETTINGS))
        return made[0]

    ingester = Ingester(
        Database("postiz_db", postiz),
        Database("analytics_db", analytics),
        connector,
        lambda _: None,
        SETTINGS,
    )
    jobs = [IngestJob(Integration(id_, "A channel", "acme", "youtube"), DAY, False) for id_ in world.channels]
    return world, api, ingester, jobs


def test_a_used_up_day_quota_rests_all_channels_until_midnight_and_no_task_waits(
    monkeypatch, postiz, analytics
) -> None:
    world, api, ingester, (first, second) = two_channels(monkeypatch, postiz, analytics)
    # Midnight in Los Angeles may be less than the two hours away for which a task waits.
    world.faults.set(Faults.APP, Fault("day_quota_spent", retry_after=9 * 3600))
    with served(api, monkeypatch):
        with pytest.raises(JobError, match="exceeded your") as raised:
            ingest(ingester, [first], "run")
        assert raised.value.code.is_final
        calls = len(api.calls)
        with pytest.raises(JobError, match="no call was made"):
            ingest(ingester, [second], "run")
        assert len(api.calls) == calls
    failed = analytics.execute("SELECT status, error_code FROM analytics.ingest_job").fetchall()
    assert failed == [("failed", "rate_limited")] * 2


def test_a_used_up_quota_of_the_minute_is_waited_for(case: YouTube) -> None:
    assert failure(case, "minute_quota_spent").retry_after == timedelta(minutes=1)


# Calls


def test_each_further_fifty_videos_cost_two_calls(case: YouTube) -> None:
    noon = datetime.combine(DAY, time(12), PACIFIC)
    before = len(case.world.videos(case.account.id, WINDOW.first_post_day, DAY))
    for number in range(101 - before):
        upload(case, number, noon - timedelta(hours=number))
    reader = connect(SETTINGS).reader(account(case))
    assert len(reader.read(WINDOW).content) > 90
    assert reader.http_calls == 7 + 2 * 2
    assert [len(query["id"].split(",")) for query in asked(case, "/youtube/v3/videos")][:1] == [50]
    assert all("pageToken" not in query for query in asked(case, "/youtube/v3/playlistItems")[:1])


def test_a_day_costs_at_most_three_units_of_the_data_api(case: YouTube) -> None:
    read(case)
    assert len([call for call in case.api.calls if call.path.startswith("/youtube/v3/")]) == 3


def test_a_channel_that_never_uploaded_anything_has_no_posts_and_a_count_of_zero(case: YouTube) -> None:
    case.fault("no_uploads")
    reading = read(case)
    assert reading.content == ()
    assert reading.reason is None
    assert set(reading.series["posts_published"].values()) == {Decimal(0)}


@pytest.mark.parametrize("kind", ["repeated_page", "circle"])
def test_a_listing_that_repeats_a_page_ends(case: YouTube, kind: str) -> None:
    case.fault(kind)
    reading = read(case)
    assert "repeats a page" in str(reading.reason)
    assert "posts_published" not in reading.series
    assert len(asked(case, "/youtube/v3/playlistItems")) == 3


# Days


def test_a_day_without_a_row_is_pending_first_and_zero_once_it_is_final(case: YouTube) -> None:
    for day in WINDOW.days:
        case.world.restate(case.account.id, day, 0)
    window = Window(DAY, 5, 28)
    reading = read(case, window)
    today = NOW.astimezone(PACIFIC).date()
    expected = {
        day: DayStatus.SUCCEEDED if (today - day).days >= 4 else DayStatus.PENDING for day in window.days
    }
    assert reading.days == expected
    assert set(expected.values()) == {DayStatus.SUCCEEDED, DayStatus.PENDING}
    final = [day for day in WINDOW.days if expected[day] is DayStatus.SUCCEEDED]
    assert all(reading.series["views"][day] == 0 == reading.series["watch_minutes"][day] for day in final)
    assert not any(day in reading.series["views"] for day in WINDOW.days if day not in final)


def test_a_report_without_rows_replaces_no_figure_of_a_final_day_by_zero(
    case: YouTube, postiz, analytics
) -> None:
    insert_organization(postiz, "acme")
    insert_integration(postiz, "one", "acme", case.account, refreshToken=case.account.refresh_token)
    trial = Trial(case, DAY, postiz, analytics)
    final, missed = DAY - timedelta(days=4), DAY - timedelta(days=3)
    trial.ingest(final)
    case.fault("no_rows")
    trial.ingest(missed)
    trial.ingest()
    assert trial.stored(final) == case.figures(final) | {"followers": None}
    # It had none before.
    assert trial.stored(missed)["views"] == trial.stored(missed)["watch_minutes"] == 0


def test_slow_metrics_cost_the_prompt_ones_nothing(case: YouTube) -> None:
    case.fault("slow_metrics_late")
    reading = read(case)
    assert reading.status is DayStatus.SUCCEEDED
    assert reading.series["views"][DAY] == case.figures(DAY)["views"]
    assert DAY not in reading.series["watch_minutes"]
    assert reading.series["watch_minutes"][WINDOW.days[0]] == case.figures(WINDOW.days[0])["watch_minutes"]


def test_slow_metrics_that_are_refused_cost_themselves_and_are_named(case: YouTube) -> None:
    case.fault("slow_metrics_refused")
    reading = read(case)
    assert reading.status is DayStatus.SUCCEEDED
    assert not {"watch_minutes", "engaged_views"} & set(reading.series)
    assert "estimatedMinutesWatched" in str(reading.reason)


def test_a_negative_figure_is_stored_as_youtube_says_it(case: YouTube) -> None:
    case.world.give(case.account.id, "views", DAY, -100)
    case.world.give(case.account.id, "likes", DAY, -3)
    reading = read(case)
    figures = case.figures(DAY)
    assert reading.series["views"][DAY] == -100
    assert reading.series["engagements"][DAY] == figures["comments"] + figures["shares"] - 3


def test_engagements_are_missing_when_one_of_their_parts_is_refused(case: YouTube) -> None:
    reading = read(case, replace(WINDOW, refused=(UnsupportedMetric("v2", "shares", "Unknown identifier"),)))
    assert not {"shares", "engagements"} & set(reading.series)
    assert reading.series["reactions"][DAY] == case.figures(DAY)["reactions"]


def test_metrics_that_are_refused_one_after_the_other_cost_only_themselves(
    case: YouTube, monkeypatch
) -> None:
    known = {
        name: size for name, size in google_apis.REPORT_METRICS.items() if name not in ("shares", "likes")
    }
    monkeypatch.setattr(google_apis, "REPORT_METRICS", known)
    reading = read(case)
    assert {one.source_metric for one in reading.unsupported} == {"shares", "likes"}
    assert reading.series["views"][DAY] == case.figures(DAY)["views"]
    assert not {"shares", "reactions", "engagements"} & set(reading.series)


def test_hidden_subscribers_are_null_and_not_zero(monkeypatch) -> None:
    case = YouTube(NOW, DAY)
    case.account = make_channel(1, hides_subscribers=True)
    case.world = World([case.account], now=lambda: NOW)
    with served(GoogleApis(case.world), monkeypatch):
        assert read(case).now == {"followers": None}


# Videos


def test_a_private_video_is_no_post(case: YouTube) -> None:
    noon = datetime.combine(DAY, time(12), PACIFIC)
    upload(case, 1, noon)
    upload(case, 2, noon, is_private=True)
    ids = {content.content_id for content in read(case).content}
    assert "video-00001" in ids
    assert "video-00002" not in ids


def test_totals_that_the_owner_hides_are_null(case: YouTube) -> None:
    noon = datetime.combine(DAY - timedelta(days=3), time(12), PACIFIC)
    upload(case, 1, noon, hidden=frozenset({"likeCount", "commentCount"}))
    [content] = [one for one in read(case).content if one.content_id == "video-00001"]
    assert content.metrics["reactions"] is None
    assert content.metrics["comments"] is None
    assert content.metrics["views"] > 0


def test_totals_that_fail_cost_no_post_and_no_figure(case: YouTube) -> None:
    case.fault("videos_down")
    reading = read(case)
    assert reading.status is DayStatus.SUCCEEDED
    assert "The totals of some videos could not be read" in str(reading.reason)
    assert {name for content in reading.content for name in content.metrics} == {"shares"}


# The clock changes


@contextmanager
def machine_in(zone: str) -> Iterator[None]:
    """This process in another time zone."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = zone
    process_time.tzset()
    try:
        yield
    finally:
        if before is None:
            del os.environ["TZ"]
        else:
            os.environ["TZ"] = before
        process_time.tzset()


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "Pacific/Honolulu"])
@pytest.mark.parametrize(("change", "hours"), [(date(2026, 3, 8), 23), (date(2025, 11, 2), 25)])
def test_each_value_is_under_its_day_in_los_angeles_over_both_clock_changes(
    monkeypatch, postiz, analytics, zone: str, change: date, hours: int
) -> None:
    last = change + timedelta(days=1)
    case = YouTube(datetime.combine(last + timedelta(days=9), time(), UTC), last)
    first_moment = datetime.combine(change, time(), PACIFIC)
    last_moment = datetime.combine(last, time(), PACIFIC).astimezone(UTC) - timedelta(seconds=1)
    assert last_moment - first_moment.astimezone(UTC) == timedelta(hours=hours, seconds=-1)
    for number, moment in enumerate((first_moment, last_moment), 1):
        upload(case, number, moment)
    upload(case, 3, first_moment.astimezone(UTC) - timedelta(seconds=1))
    upload(case, 4, last_moment + timedelta(seconds=1))

    insert_organization(postiz, "acme")
    insert_integration(postiz, "one", "acme", case.account, refreshToken=case.refresh_token)
    for connection in (postiz, analytics):
        connection.execute(sql.SQL("SET TimeZone TO {}").format(sql.Literal(zone)))
    with served(case.api, monkeypatch), machine_in(zone):
        trial = Trial(case, last, postiz, analytics)
        for day in (change - timedelta(days=1), change, last):
            assert trial.ingest(day)["status"] == "succeeded"
        for day in (change - timedelta(days=1), change, last):
            assert trial.stored(day) == case.figures(day) | {"followers": None}
    of_the_day = {video.id for video in case.world.videos(case.account.id, change, change)}
    assert {"video-00001", "video-00002"} <= of_the_day
    assert not {"video-00003", "video-00004"} & of_the_day
