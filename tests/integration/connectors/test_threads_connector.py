"""What is special about Threads, over real HTTP to its stand-in. The conformance suite has the rest."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest

from include.sandbox.postiz_db import insert_integration, insert_organization, insert_post
from include.sandbox.serving import listen
from include.sandbox.stand_ins import stand_ins
from include.sandbox.stand_ins.threads.world import PACIFIC
from include.social_analytics.connectors.base import Account
from include.social_analytics.connectors.reading import DayStatus, Reading, Window
from include.social_analytics.connectors.threads import PROVIDER
from include.social_analytics.connectors.threads.connector import connect
from include.social_analytics.connectors.threads.posts import is_due
from include.social_analytics.errors import ErrorCode, JobError
from include.social_analytics.settings import Settings
from tests.connectors.cases.threads import Threads
from tests.connectors.trial import Trial, latest_day

NOW = datetime.now(UTC)
DAY = latest_day(PROVIDER, NOW)
BEFORE = DAY - timedelta(days=1)
FIRST = DAY - timedelta(days=3)
WINDOW = Window(DAY, 3, 28)
TOTALS = ("engagements", "reactions", "comments", "shares", "clicks")


@pytest.fixture
def case(monkeypatch: pytest.MonkeyPatch) -> Iterator[Threads]:
    case = Threads(NOW, DAY)
    with served(case, monkeypatch):
        yield case


@contextmanager
def served(case: Threads, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with listen(case.api.application()) as url:
        for name, connection in stand_ins()["threads"].environment(url).items():
            monkeypatch.setenv(name, connection)
        yield


def read(case: Threads, window: Window = WINDOW) -> Reading:
    account = Account("one", "threads", case.account.id, PROVIDER.secrets(case.account.token))
    reading = connect(Settings(request_backoff=0)).reader(account).read(window)
    reading.require_declared(PROVIDER)
    return reading


def asked(case: Threads, edge: str) -> list[dict[str, str]]:
    """The queries of all calls to an edge."""
    return [
        {name: values[0] for name, values in parse_qs(urlsplit(call.target).query).items()}
        for call in case.api.calls
        if call.path.endswith(f"/{edge}")
    ]


def expected(case: Threads, metric: str, days: list[date]) -> dict[date, int]:
    return {day: case.figures(day)[metric] for day in days}


# Calls


def test_an_ordinary_day_costs_five_calls_and_one_for_each_due_post(
    case: Threads, postiz: psycopg.Connection, analytics: psycopg.Connection
) -> None:
    insert_organization(postiz, "acme")
    insert_integration(postiz, "one", "acme", case.account)
    trial = Trial(case, DAY, postiz, analytics)
    for day in WINDOW.days[:-1]:
        trial.ingest(day)
    case.api.clear_calls()
    job = trial.ingest()
    due = asked(case, "insights")
    assert len(due) == case.calls_a_day - 7 > 4
    assert job["http_calls"] == len(case.api.calls) == 5 + len(due)
    for day in WINDOW.days[:-1]:
        assert trial.stored(day).items() >= case.figures(day).items()


def test_a_settled_day_is_not_asked_for_again_but_its_views_come_with_the_series(case: Threads) -> None:
    settled = frozenset((name, day) for name in TOTALS for day in (FIRST, DAY - timedelta(days=2)))
    reading = read(case, Window(DAY, 3, 28, settled=settled))
    assert len(asked(case, "threads_insights")) == 1 + 2
    assert reading.unread == settled
    assert reading.series["reactions"] == expected(case, "reactions", [BEFORE, DAY])
    assert reading.series["views"] == expected(case, "views", list(WINDOW.days))


def test_a_day_that_lacks_one_metric_is_asked_for_again(case: Threads) -> None:
    settled = frozenset((name, FIRST) for name in TOTALS if name != "clicks")
    assert read(case, Window(DAY, 3, 28, settled=settled)).unread == frozenset()


def test_each_day_is_asked_for_a_second_inside_its_midnights(case: Threads) -> None:
    read(case)
    _, *totals = asked(case, "threads_insights")
    for query, day in zip(totals, reversed(WINDOW.days), strict=True):
        since, until = (datetime.fromtimestamp(int(query[name]), PACIFIC) for name in ("since", "until"))
        assert f"{since:%F %T}" == f"{day} 00:00:01"
        assert f"{until:%F %T}" == f"{day} 23:59:59"


def test_a_long_look_back_asks_for_the_views_in_parts_of_29_days(case: Threads) -> None:
    window = Window(DAY, 29, 28)
    reading = read(case, window)
    parts = [query for query in asked(case, "threads_insights") if query["metric"].startswith("views")]
    assert [int(query["until"]) - int(query["since"]) < 30 * 24 * 3600 for query in parts] == [True, True]
    assert reading.series["views"] == expected(case, "views", list(window.days))


@pytest.mark.parametrize("age", range(31))
def test_a_posts_totals_are_read_for_a_week_on_days_14_and_28_and_whenever_the_window_is_longer(
    age: int,
) -> None:
    assert is_due(DAY - timedelta(days=age), DAY) is (age in (0, 1, 2, 3, 4, 5, 6, 13, 27) or age > 27)


# Days


def test_a_quiet_day_that_is_left_out_is_pending_first_and_zero_once_it_is_final(case: Threads) -> None:
    for day in (BEFORE, DAY):
        case.world.restate(case.account.id, day, 0)
    case.fault("quiet_days_left_out")
    reading = read(case)
    assert reading.days[DAY] is DayStatus.PENDING
    assert reading.days[BEFORE] is DayStatus.SUCCEEDED
    assert reading.series["views"][BEFORE] == 0
    # So it replaces no figure.
    assert ("views", BEFORE) in reading.unread
    assert not [name for name in ("views", *TOTALS) if DAY in reading.series[name]]
    assert not [pair for pair in reading.unread if pair[1] == DAY]


def test_a_pending_day_keeps_the_followers_and_the_count_of_posts(case: Threads) -> None:
    case.fault("not_published")
    reading = read(case)
    assert reading.status is DayStatus.PENDING
    assert reading.now == {"followers": case.world.followers(case.account.id)}
    assert reading.series["posts_published"][DAY] == case.figures(DAY)["posts_published"]


# What fails alone


@pytest.mark.parametrize("kind", ["totals_refused", "totals_down"])
def test_totals_that_fail_cost_themselves_and_are_not_overwritten(case: Threads, kind: str) -> None:
    case.fault(kind)
    reading = read(case)
    assert reading.status is DayStatus.SUCCEEDED
    assert set(reading.series) == {"views", "posts_published"}
    assert reading.unread == {(name, day) for name in TOTALS for day in WINDOW.days}
    assert f"The totals of {DAY} and earlier days could not be read" in (reading.reason or "")
    # The earlier days are not asked for, because they would fail alike.
    assert len(asked(case, "threads_insights")) == 1 + (1 if kind == "totals_refused" else 3)


@pytest.mark.parametrize("kind", ["metric_retired", "metric_broken"])
def test_engagements_and_shares_are_unknown_when_a_part_of_them_is(case: Threads, kind: str) -> None:
    case.fault(kind, metric="quotes")
    reading = read(case)
    assert set(reading.series) == {"views", "posts_published", "reactions", "comments", "clicks"}
    assert reading.series["reactions"] == expected(case, "reactions", list(WINDOW.days))
    assert "quotes" in (reading.reason or "")
    names = [one.source_metric for one in reading.unsupported]
    assert names == (["quotes", "quotes of posts"] if kind == "metric_retired" else [])
    due = [post for post in reading.content if post.metrics]
    assert due
    assert all(set(post.metrics) == {"views", "reactions", "comments"} for post in due)


def test_refused_followers_cost_only_themselves(case: Threads) -> None:
    case.fault("metric_retired", metric="followers_count")
    reading = read(case)
    assert reading.now == {}
    assert reading.series["views"] == expected(case, "views", list(WINDOW.days))
    assert [one.source_metric for one in reading.unsupported] == ["followers_count"]


def test_refused_views_fail_the_day(case: Threads) -> None:
    case.fault("metric_retired", metric="views")
    with pytest.raises(JobError) as failed:
        read(case)
    assert failed.value.code is ErrorCode.REQUEST_INVALID


def test_an_outage_of_one_profile_is_the_providers_fault_and_no_missing_permission(case: Threads) -> None:
    case.fault("unknown_error")
    with pytest.raises(JobError) as failed:
        read(case)
    assert (failed.value.code, failed.value.provider_code) == (ErrorCode.API_UNAVAILABLE, "1")


# Posts


def test_reposts_are_neither_content_nor_counted(case: Threads) -> None:
    listed = case.world.listed(case.account.id, WINDOW.first_post_day, DAY)
    assert [post for post in listed if post.is_repost]
    reading = read(case)
    assert {one.content_id for one in reading.content} == {post.id for post in listed if not post.is_repost}
    assert reading.series["posts_published"] == expected(case, "posts_published", list(WINDOW.days))
    assert {one.kind for one in reading.content} <= {"text", "image", "video", "carousel", "audio"}


@pytest.mark.parametrize("kind", ["next_left_out", "repeated_page"])
def test_a_listing_without_next_is_read_to_its_end(case: Threads, kind: str) -> None:
    case.fault(kind)
    reading = read(case)
    assert {one.content_id for one in reading.content} == set(case.posts(WINDOW.first_post_day, DAY))
    assert "posts_published" in reading.series
    pages = len(case.world.listed(case.account.id, WINDOW.first_post_day, DAY)) // 5 + 2
    assert pages - 1 <= len(asked(case, "threads")) <= pages


def test_a_post_without_insights_costs_only_itself(case: Threads) -> None:
    posts = case.posts(WINDOW.first_post_day, DAY)
    bad, *others = [post_id for post_id, totals in posts.items() if totals]
    case.fault("bad_post", post=bad)
    found = {one.content_id: one.metrics for one in read(case).content}
    assert found[bad] == {}
    assert {post_id: found[post_id] for post_id in others} == {post_id: posts[post_id] for post_id in others}


def test_after_three_posts_in_a_row_without_an_answer_the_others_are_not_asked_for(case: Threads) -> None:
    case.fault("post_insights_down")
    reading = read(case)
    assert len(asked(case, "insights")) == 3 * 3
    assert f"could not be read: {case.calls_a_day - 7}." in (reading.reason or "")
    assert "posts_published" in reading.series


def test_a_post_that_postiz_knows_only_by_its_permalink_is_joined(
    case: Threads, postiz: psycopg.Connection, analytics: psycopg.Connection
) -> None:
    insert_organization(postiz, "acme")
    insert_integration(postiz, "one", "acme", case.account)
    post = read(case).content[0]
    # Postiz has the container's id, and the host that the network had before.
    url = (post.permalink or "").replace("threads.com", "threads.net")
    insert_post(postiz, "made-in-postiz", "one", "acme", "container", releaseURL=url)
    Trial(case, DAY, postiz, analytics).ingest()
    joined = "SELECT content_id FROM analytics.content WHERE postiz_post_id = 'made-in-postiz'"
    assert analytics.execute(joined).fetchall() == [(post.content_id,)]


# The connection


def test_without_a_connection_the_networks_own_host_and_version_are_called() -> None:
    api = connect(Settings())._api
    assert (api.base_url, api.connection.api_version) == ("https://graph.threads.net", "v1.0")
