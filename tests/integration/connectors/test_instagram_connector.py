"""What Instagram's API does that other providers' do not, over real HTTP to its stand-in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest

from include.sandbox.postiz_db import insert_integration, insert_organization
from include.sandbox.serving import listen
from include.sandbox.stand_ins import stand_ins
from include.sandbox.stand_ins.instagram.api import InstagramApi
from include.sandbox.stand_ins.instagram.world import (
    PACIFIC,
    STANDALONE,
    Fault,
    InstagramAccount,
    World,
    make_account,
)
from include.social_analytics.connectors.base import Account
from include.social_analytics.connectors.instagram import PROVIDER
from include.social_analytics.connectors.instagram.insights import FOLLOW_TYPES, TOTALS, metrics_in
from include.social_analytics.connectors.instagram.media import MEDIA_SOURCES
from include.social_analytics.connectors.reading import Content, Reading, Window
from include.social_analytics.errors import ErrorCode, JobError
from include.social_analytics.settings import Settings
from tests.connectors.cases.instagram import Instagram
from tests.connectors.trial import Trial

#: Ten in the morning in Los Angeles: the story of the day before is live.
NOW = datetime(2026, 11, 21, 18, tzinfo=UTC)
DAY = date(2026, 11, 20)
WINDOW = Window(DAY, lookback_days=3, post_window_days=28, read_at=NOW)
#: With Facebook's login, with Instagram's, and too small for follows.
PAGE, OWN, SMALL = make_account(1), make_account(2, identifier=STANDALONE), make_account(3, followers=60)


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[InstagramApi]:
    """The stand-in with its accounts, on a real socket; Airflow's connections lead to it."""
    api = InstagramApi(World([PAGE, OWN, SMALL], now=lambda: NOW))
    with listen(api.application()) as url:
        for name, connection in stand_ins()["instagram"].environment(url).items():
            monkeypatch.setenv(name, connection)
        yield api


def read(account: InstagramAccount, window: Window = WINDOW) -> Reading:
    connector = PROVIDER.connect(Settings(request_backoff=0))
    secrets = PROVIDER.secrets(account.token)
    reading = connector.reader(Account("one", account.identifier, account.id, secrets)).read(window)
    reading.require_declared(PROVIDER)
    return reading


def asked(api: InstagramApi, path: str) -> list[dict[str, str]]:
    """The parameters of each call of a path below the account."""
    targets = [urlsplit(call.target) for call in api.calls if call.path.endswith(path)]
    return [{name: values[0] for name, values in parse_qs(target.query).items()} for target in targets]


def by_kind(reading: Reading) -> dict[str, list[Content]]:
    found: dict[str, list[Content]] = {}
    for one in reading.content:
        found.setdefault(one.kind, []).append(one)
    assert set(found) == {"image", "carousel", "reel", "story"}
    return found


# The two logins


@pytest.mark.parametrize(("account", "prefix"), [(PAGE, "/v"), (OWN, "/graph.instagram.com/v")])
def test_each_login_has_its_own_host_and_token(api, account, prefix):
    reading = read(account)
    assert reading.reason is None
    assert len(api.calls) == 11
    assert all(call.path.startswith(prefix) for call in api.calls)
    assert reading.series["views"][DAY] == api.world.value(account.id, "views", DAY)


def test_an_account_connected_the_other_way_is_read_on_the_other_host(api):
    before = read(PAGE)
    moved = make_account(1, identifier=STANDALONE)
    api.world.accounts[PAGE.id] = moved
    with pytest.raises(JobError) as refused:
        read(PAGE)
    assert refused.value.code is ErrorCode.TOKEN_INVALID
    assert read(moved) == before


def test_a_token_of_instagrams_own_login_is_one_whatever_is_in_it(api):
    odd = replace(OWN, token="IGAAfirst___second")
    api.world.accounts[OWN.id] = odd
    assert read(odd).reason is None


# A day's totals


def test_totals_that_may_be_about_other_hours_are_null_and_named(api):
    api.faults.set(PAGE.id, Fault("other_hours"))
    reading = read(PAGE)
    assert reading.status == "succeeded"
    assert reading.series["reach"][DAY] == api.world.value(PAGE.id, "reach", DAY)
    assert {reading.series[name][DAY] for name in TOTALS.values()} == {None}
    assert reading.series["follows"][DAY] is not None
    assert "The totals of 2026-11-20, 2026-11-19" in reading.reason


def test_each_day_is_asked_for_from_a_second_after_midnight_to_the_same_second_of_the_next_day(api):
    read(PAGE)
    days = [
        (
            datetime.fromtimestamp(int(one["since"]), PACIFIC),
            datetime.fromtimestamp(int(one["until"]), PACIFIC),
        )
        for one in asked(api, "/insights")
    ]
    wanted = [datetime(2026, 11, 20 - n, 0, 0, 1, tzinfo=PACIFIC) for n in range(4)]
    assert days == 2 * [(since, since + timedelta(days=1)) for since in wanted]


def test_follows_that_are_not_published_are_null_and_no_zeros(api):
    api.faults.set(PAGE.id, Fault("late_follows"))
    reading = read(PAGE)
    assert reading.reason is None
    for name in FOLLOW_TYPES.values():
        assert [day for day, value in reading.series[name].items() if value is None] == [
            DAY,
            DAY - timedelta(days=1),
        ]


def test_a_small_account_has_no_follows_and_everything_else(api):
    reading = read(SMALL)
    assert reading.reason is None
    assert {reading.series[name][DAY] for name in FOLLOW_TYPES.values()} == {None}
    assert reading.series["views"][DAY] is not None
    assert reading.now == {"followers": api.world.followers(SMALL.id)}


def test_a_day_that_is_not_published_is_asked_for_nothing_else(api):
    api.faults.set(PAGE.id, Fault("not_published"))
    reading = read(PAGE)
    assert reading.status == "pending"
    assert DAY not in reading.series["views"]
    assert len(api.calls) == 9


def test_a_long_window_asks_for_the_reach_in_ranges_that_the_api_allows(api):
    reading = read(PAGE, replace(WINDOW, lookback_days=29))
    assert set(reading.series["reach"]) == set(reading.window.days)
    assert len(asked(api, "/insights")) == 1 + 2 * 30
    assert reading.reason is None


@pytest.mark.parametrize(
    ("reason", "named"),
    [
        ("(#100) metric[1] must be one of the following values: reach, views, likes", ["profile_views"]),
        ("(#100) The Media Insights API does not support the views metric for this media", ["views"]),
        ("(#100) metric[7] must be one of the following values: reach", []),
        ("(#100) There cannot be more than 30 days (2592000 s) between since and until", []),
    ],
)
def test_a_refusal_names_its_metric_or_the_position_of_it(reason, named):
    assert metrics_in(reason, ["views", "profile_views", "reach"]) == named


# Media


def test_a_medium_from_before_the_conversion_costs_only_itself(api):
    api.faults.set(PAGE.id, Fault("converted"))
    reading = read(PAGE)
    kinds = by_kind(reading)
    assert reading.reason is None
    assert "posts_published" in reading.series
    assert all(set(one.metrics) == {"reactions", "comments"} for one in kinds["carousel"])
    assert all(None not in one.metrics.values() for one in kinds["image"] + kinds["reel"])
    assert {len(one.metrics) for one in kinds["image"] + kinds["reel"]} == {6}


def test_a_metric_that_does_not_suit_a_kind_costs_only_itself(api):
    api.faults.set(PAGE.id, Fault("unsuited", metric="shares"))
    kinds = by_kind(read(PAGE))
    assert all("shares" not in one.metrics and one.metrics["views"] for one in kinds["carousel"])
    assert all(one.metrics["shares"] is not None for one in kinds["image"] + kinds["reel"])


def test_a_retired_metric_of_media_costs_one_more_listing_and_is_named(api):
    api.faults.set(PAGE.id, Fault("retired_on_media", metric="saved"))
    reading = read(PAGE)
    kinds = by_kind(reading)
    assert "The API refuses saved of media" in reading.reason
    for one in kinds["image"] + kinds["carousel"] + kinds["reel"]:
        assert set(one.metrics) == {"views", "reach", "shares", "reactions", "comments"}
    assert len(api.calls) == 12


def test_a_retired_metric_of_media_is_recorded_and_not_asked_for_the_next_time(api):
    api.faults.set(PAGE.id, Fault("retired_on_media", metric="saved"))
    [refused] = read(PAGE).unsupported
    assert (refused.api_version, refused.source_metric) == ("v25.0", "saved of media")
    api.clear_calls()
    again = read(PAGE, replace(WINDOW, refused=(refused,)))
    assert len(api.calls) == 11
    assert again.unsupported == ()
    assert f"The API refuses saved of media: {refused.reason}" in again.reason


def test_metrics_of_media_that_are_all_refused_are_asked_for_all_the_same(api):
    api.faults.set(PAGE.id, Fault("retired_on_media", metric="saved"))
    [refused] = read(PAGE).unsupported
    all_of_them = tuple(replace(refused, source_metric=f"{source} of media") for source in MEDIA_SOURCES)
    kinds = by_kind(read(PAGE, replace(WINDOW, refused=all_of_them)))
    assert all(one.metrics["views"] is not None for one in kinds["image"])


@pytest.mark.parametrize("account", [PAGE, OWN])
def test_a_medium_is_also_known_by_the_code_in_its_permalink(api, account):
    for kind, media in by_kind(read(account)).items():
        for one in media:
            ends = one.permalink.removesuffix("/").rpartition("/")[2]
            assert one.also_known_as == (ends,), kind


def test_hidden_likes_are_null(api):
    api.faults.set(PAGE.id, Fault("hidden_likes"))
    reading = read(PAGE)
    assert reading.reason is None
    media = [one for one in reading.content if one.kind != "story"]
    assert {one.metrics["reactions"] for one in media} == {None}
    assert None not in {one.metrics["comments"] for one in media}


def test_a_live_story_is_read_and_is_no_post_of_its_day(api):
    reading = read(PAGE)
    [story] = by_kind(reading)["story"]
    assert story.published_at.astimezone(PACIFIC).date() == DAY
    assert set(story.metrics) == {"views", "reach", "shares"}
    assert reading.series["posts_published"][DAY] == len(api.world.media(PAGE.id, DAY, DAY))


def test_a_story_with_few_viewers_has_no_totals_and_is_no_error(api):
    api.faults.set(PAGE.id, Fault("few_viewers"))
    reading = read(PAGE)
    assert reading.reason is None
    [story] = by_kind(reading)["story"]
    assert story.metrics == {}
    assert len(api.calls) == 13


def test_a_story_of_the_running_day_is_read_before_it_vanishes(api):
    afternoon = datetime(2026, 11, 21, 22, tzinfo=UTC)
    api.world.now = lambda: afternoon
    reading = read(PAGE, replace(WINDOW, read_at=afternoon))
    [story] = by_kind(reading)["story"]
    assert story.published_at.astimezone(PACIFIC).date() == DAY + timedelta(days=1)
    assert story.metrics["views"] is not None
    assert max(one.published_at.astimezone(PACIFIC).date() for one in reading.content if one != story) <= DAY


def test_no_stories_are_asked_for_in_a_backfill(api):
    read(PAGE, replace(WINDOW, day=DAY - timedelta(days=2)))
    assert asked(api, "/media")
    assert not asked(api, "/stories")


# From day to day


@pytest.fixture
def trial(
    postiz: psycopg.Connection, analytics: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Trial]:
    """An account whose days before the latest one were read in time."""
    now = datetime.now(UTC)
    day = now.astimezone(PACIFIC).date() - timedelta(days=1)
    case = Instagram(now, day)
    insert_organization(postiz, "acme")
    insert_integration(postiz, "one", "acme", case.account)
    with listen(case.api.application()) as url:
        for name, connection in stand_ins()["instagram"].environment(url).items():
            monkeypatch.setenv(name, connection)
        trial = Trial(case, day, postiz, analytics)
        for earlier in trial.lookback:
            trial.ingest(earlier)
            analytics.execute(
                "UPDATE analytics.integration_metric_daily SET observed_at = %s WHERE date < %s",
                [now - timedelta(days=(day - earlier).days), earlier],
            )
        case.api.clear_calls()
        yield trial


def test_days_that_are_final_are_not_asked_for_again(trial):
    job = trial.ingest()
    assert job["http_calls"] == len(trial.case.api.calls) <= 8
    for day in trial.lookback:
        figures = trial.stored(day)
        assert {name: figures[name] for name in trial.case.figures(day)} == trial.case.figures(day)
    assert trial.stored() == trial.case.figures(trial.day) | trial.case.figures_now()


def test_a_final_day_that_lacks_a_figure_is_asked_for_again(trial):
    first = trial.lookback[0]
    trial.connection.execute(
        "UPDATE analytics.integration_metric_daily SET value = NULL WHERE date = %s AND metric = 'saves'",
        [first],
    )
    trial.ingest()
    assert trial.stored(first)["saves"] == trial.case.figures(first)["saves"]


def test_totals_that_fail_cost_only_themselves_and_keep_what_is_stored(trial):
    before = trial.lookback[-1]
    trial.case.fault("totals_down")
    job = trial.ingest()
    assert (job["status"], job["error_code"]) == ("succeeded", None)
    assert f"The totals of {trial.day} could not be read" in job["reason"]
    figures: dict[str, Any] = dict(trial.stored())
    assert figures["views"] is None
    assert figures["reach"] == trial.case.figures(trial.day)["reach"]
    # The first day of each kind takes three tries. The other days are not asked for.
    assert job["http_calls"] == 1 + 3 + 3 + 2
    assert trial.stored(before)["views"] == trial.case.figures(before)["views"]
