"""The figures of an organization and of a customer day by day, and the best posts."""

from __future__ import annotations

import csv
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from functools import partial
from io import StringIO
from zoneinfo import ZoneInfo

import pytest

from include.social_analytics.health import trends
from include.social_analytics.jobs import Customer
from include.social_analytics.warehouse import ledger
from include.social_analytics.warehouse.aggregate import aggregate_day
from tests.support.bench import DAY
from tests.support.history import ago
from tests.support.readings import DOWN, post, reading

ACME = {"organization": "acme", "provider": "facebook"}


def metric(answer: dict, name: str) -> dict:
    [one] = [one for one in answer["metrics"] if one["name"] == name]
    return one


def viewed(answer: dict) -> list[int]:
    return [one["figures"]["views"] for one in answer["best_posts"]["posts"]]


def aggregate(history, days: int) -> None:
    for number in range(days):
        aggregate_day(history.warehouse.connection, ago(number))


def test_a_metric_has_its_days_their_sum_and_the_change_from_the_days_before(history):
    for days, value in enumerate((30, 20, 10, 10)):
        history.stored("page", ago(days), value)
    aggregate(history, 4)
    answer = history.get("/api/trends", days=2, **ACME)
    assert answer["days"] == [ago(1).isoformat(), DAY.isoformat()]
    views = metric(answer, "views")
    assert (views["values"], views["complete"]) == ([20, 30], [True, True])
    assert (views["total"], views["previous"], views["change"]) == (50, 20, 1.5)
    # A gauge is its value at the end of the period, not a sum.
    followers = metric(answer, "followers")
    assert (followers["total"], followers["previous"], followers["change"]) == (30, 10, 2.0)
    assert metric(answer, "reach_summed")["label"] == "Reach summed"


def test_a_day_that_a_channel_with_figures_lately_does_not_answer_for_is_incomplete(history):
    for days in (1, 0):
        history.stored("small", ago(days), 10)
    history.stored("large", ago(1), 1_000_000)
    history.warehouse.store(history.listed("large", DAY), reading(day=DAY))
    aggregate(history, 2)
    answer = history.get("/api/trends", days=2, **ACME)
    views = metric(answer, "views")
    assert (views["values"], views["complete"]) == ([1_000_010, 10], [True, False])
    posts = metric(answer, "posts_published")
    assert (posts["values"], posts["complete"]) == ([0, 0], [True, True])


def test_a_day_without_data_that_came_later_does_not_make_up_for_another_channels_failure(history):
    for page in ("a", "b"):
        history.stored(page, ago(1))
    history.warehouse.store(history.listed("c", ago(1)), reading(day=ago(1)))
    history.failed("b", ago(1), DOWN)
    history.warehouse.connection.execute(
        "DELETE FROM analytics.integration_metric_daily WHERE integration_id = 'b'"
    )
    history.warehouse.store(history.listed("c", DAY), reading({ago(1): 7, DAY: 7}, day=DAY))
    aggregate(history, 2)
    views = metric(history.get("/api/trends", days=2, **ACME), "views")
    assert (views["values"][0], views["reported"][0], views["expected"][0]) == (14, 2, 3)
    assert views["complete"][0] is False
    assert history.get("/api/overview")["newest_complete_day"] is None


def test_a_day_with_a_failure_is_incomplete_and_has_no_change(history):
    for days in range(4):
        history.stored("page", ago(days))
        history.stored("another", ago(days)) if days else history.failed("another", DAY)
    aggregate(history, 4)
    views = metric(history.get("/api/trends", days=2, **ACME), "views")
    assert (views["values"], views["complete"]) == ([14, 7], [True, False])
    assert (views["reported"], views["expected"]) == ([2, 1], [2, 2])
    assert (views["total"], views["total_is_complete"]) == (21, False)
    assert (views["previous"], views["change"]) == (28, None)


def test_a_channel_without_insights_does_not_make_days_incomplete(history):
    history.stored("page", DAY)
    history.warehouse.store(history.listed("small", DAY), reading(day=DAY))
    aggregate(history, 1)
    views = metric(history.get("/api/trends", days=1, **ACME), "views")
    assert (views["values"], views["complete"]) == ([7], [True])


def test_a_channel_without_insights_does_not_hide_a_missing_count_of_posts(history):
    history.warehouse.store(history.listed("small", DAY), reading(day=DAY))
    history.failed("another", DAY)
    aggregate(history, 1)
    posts = metric(history.get("/api/trends", days=1, **ACME), "posts_published")
    assert (posts["reported"], posts["expected"], posts["complete"]) == ([1], [2], [False])


def test_a_channel_whose_figures_came_back_excuses_no_other(history):
    """A job that stays without data although a look-back brought its figures hides no failure."""
    history.stored("quiet", DAY)
    history.stored("page", DAY)
    history.failed("another", DAY)
    history.warehouse.connection.execute(
        "UPDATE analytics.ingest_job SET status = 'no_data' WHERE integration_id = 'quiet'"
    )
    aggregate(history, 1)
    views = metric(history.get("/api/trends", days=1, **ACME), "views")
    assert (views["reported"], views["expected"], views["complete"]) == ([2], [3], [False])


def test_an_account_without_data_that_was_connected_again_excuses_no_other(history):
    history.warehouse.store(history.listed("old", DAY), reading(day=DAY))
    history.stored("new", DAY)
    history.warehouse.connection.execute("UPDATE analytics.ingest_job SET account_id = 'account'")
    history.failed("another", DAY)
    aggregate(history, 1)
    views = metric(history.get("/api/trends", days=1, **ACME), "views")
    assert (views["reported"], views["expected"], views["complete"]) == ([1], [2], [False])


@pytest.mark.parametrize("became", ["pending", "queued", "no job"])
def test_a_day_that_a_channel_has_not_reported_is_incomplete(history, became):
    for days in (1, 0):
        history.stored("page", ago(days), 10)
    history.stored("large", ago(1), 1_000_000)
    if became == "pending":
        history.warehouse.store(history.listed("large", DAY), reading({}, day=DAY, lookback=0))
    elif became == "queued":
        ledger.register(history.warehouse.connection, [history.listed("large", DAY)], "run")
    aggregate(history, 2)
    views = metric(history.get("/api/trends", days=1, **ACME), "views")
    assert (views["values"], views["reported"], views["expected"]) == ([10], [1], [2])
    assert (views["complete"], views["change"], views["previous"]) == ([False], None, 1_000_010)


def test_a_channel_that_connected_later_makes_no_earlier_day_incomplete(history):
    history.stored("page", ago(1))
    history.stored("page", DAY)
    history.stored("new", DAY)
    aggregate(history, 2)
    views = metric(history.get("/api/trends", days=2, **ACME), "views")
    assert (views["reported"], views["expected"], views["complete"]) == ([1, 2], [1, 2], [True, True])


def grown(history, channels: int = 4) -> None:
    """Two channels, and more on the last two of four days; each has 10 a day, and 1 more on each next day."""
    for days in (3, 2, 1, 0):
        for number in range(channels if days < 2 else 2):
            history.stored(f"page-{number}", ago(days), 13 - days)
    aggregate(history, 4)


def test_a_day_on_which_the_number_of_reporting_channels_changes_is_marked(history):
    grown(history)
    views = metric(history.get("/api/trends", days=3, **ACME), "views")
    assert (views["reported"], views["expected"]) == ([2, 4, 4], [2, 4, 4])
    assert views["channel_changes"] == [{"day": ago(1).isoformat(), "before": 2, "after": 4}]
    # The first day of a period is compared, too.
    views = metric(history.get("/api/trends", days=2, **ACME), "views")
    assert views["channel_changes"] == [{"day": ago(1).isoformat(), "before": 2, "after": 4}]
    assert metric(history.get("/api/trends", days=1, **ACME), "views")["channel_changes"] == []


def test_growth_by_new_channels_is_told_apart_from_growth_of_the_same_channels(history):
    grown(history)
    answer = history.get("/api/trends", days=2, **ACME)
    views = metric(answer, "views")
    assert (views["previous"], views["total"]) == (42, 100)
    alike = views["like_for_like"]
    assert (alike["channels"], alike["previous"], alike["total"]) == (2, 42, 50)
    assert alike["change"] == pytest.approx(8 / 42)
    # A gauge is compared at the ends of the periods.
    followers = metric(answer, "followers")["like_for_like"]
    assert (followers["channels"], followers["previous"], followers["total"]) == (2, 22, 26)


def test_channels_that_miss_a_day_of_either_period_are_not_compared(history):
    for days in (3, 2, 1, 0):
        history.stored("page", ago(days), 10)
        history.stored("late", ago(days)) if days < 3 else None
        history.stored("failing", ago(days)) if days else history.failed("failing", DAY)
        history.stored("theirs", ago(days), organization="other")
    aggregate(history, 4)
    views = metric(history.get("/api/trends", days=2, **ACME), "views")
    assert views["change"] is None
    assert views["like_for_like"] == {"channels": 1, "total": 20, "previous": 20, "change": 0.0}


def test_the_same_channels_are_not_compared_twice(history):
    for days in (1, 0):
        history.stored("page", ago(days))
        history.warehouse.store(history.listed("small", ago(days)), reading(day=ago(days)))
    aggregate(history, 2)
    views = metric(history.get("/api/trends", days=1, **ACME), "views")
    assert (views["change"], views["like_for_like"]) == (0.0, None)


def test_the_same_channels_of_a_very_large_organization_are_not_compared(history, monkeypatch):
    grown(history)
    monkeypatch.setattr(trends, "CHANNELS_COMPARED", 3)
    assert metric(history.get("/api/trends", days=2, **ACME), "views")["like_for_like"] is None
    monkeypatch.setattr(trends, "CHANNELS_COMPARED", 4)
    assert metric(history.get("/api/trends", days=2, **ACME), "views")["like_for_like"]["channels"] == 2


def test_channels_that_take_anothers_place_are_not_called_the_same(history):
    history.stored("old", ago(1))
    history.stored("page", ago(1))
    history.stored("page", DAY)
    history.stored("new", DAY)
    aggregate(history, 2)
    assert metric(history.get("/api/trends", days=1, **ACME), "views")["like_for_like"]["channels"] == 1


def test_days_without_any_figure_are_gaps_and_not_zero(history):
    history.stored("page", DAY)
    aggregate(history, 1)
    views = metric(history.get("/api/trends", days=2, **ACME), "views")
    assert (views["values"], views["complete"]) == ([None, 7], [False, True])
    assert views["previous"] is None


def test_no_change_is_shown_when_the_days_before_sum_to_zero(history):
    history.stored("page", DAY, 5)
    history.stored("page", ago(1), 0)
    aggregate(history, 2)
    views = metric(history.get("/api/trends", days=1, **ACME), "views")
    assert (views["total"], views["previous"], views["change"]) == (5, 0, None)


def test_the_best_posts_are_the_most_viewed(history):
    job = history.listed("page", DAY, name="Café")
    noon = datetime.combine(ago(1), time(12), UTC)
    posts = tuple(
        replace(post(f"post-{views}", views=views, reactions=1, comments=None), published_at=noon)
        for views in (5, 900, 70)
    )
    history.warehouse.store(job, reading({DAY: 1}, day=DAY, content=posts))
    answer = history.get("/api/trends", days=7, **ACME)
    assert viewed(answer) == [900, 70, 5]
    best = answer["best_posts"]["posts"][0]
    assert (best["integration_name"], best["message"], best["figures"]["reactions"]) == ("Café", "Hello", 1)
    assert (best["figures"]["comments"], best["figures"]["shares"]) == (None, None)
    assert answer["best_posts"]["note"] is None
    names = ["views", "reach", "clicks", "reactions", "comments", "shares"]
    assert [one["id"] for one in answer["best_posts"]["metrics"]] == names
    assert answer["best_posts"]["ranked_by"] == {"id": "views", "label": "Views"}


def test_a_post_of_a_reconnected_channel_is_shown_once(history):
    noon = datetime.combine(ago(1), time(12), UTC)
    for integration, views in (("z-old", 5), ("new", 4)):
        posts = (replace(post("post", views=views), published_at=noon),)
        history.warehouse.store(history.listed(integration, DAY), reading({DAY: 1}, day=DAY, content=posts))
        history.warehouse.connection.execute(
            "UPDATE analytics.content_metric_snapshot SET snapshot_date = snapshot_date - 1"
            " WHERE integration_id = 'z-old'"
        )
    answer = history.get("/api/trends", days=7, **ACME)
    assert viewed(answer) == [4]
    assert [one["integration_name"] for one in answer["best_posts"]["posts"]] == ["New"]


def test_only_posts_of_the_period_in_the_providers_zone_are_shown(history):
    midnight = partial(datetime.combine, time=time.min, tzinfo=ZoneInfo("America/Los_Angeles"))
    second = timedelta(seconds=1)
    posts = tuple(
        replace(post(f"post-{views}", views=views), published_at=published_at)
        for views, published_at in enumerate(
            [midnight(ago(1)) - second, midnight(ago(1)), midnight(ago(-1)) - second, midnight(ago(-1))]
        )
    )
    history.stored("page", DAY, content=posts)
    answer = history.get("/api/trends", days=2, **ACME)
    assert viewed(answer) == [2, 1]
    published = [one["published_on"] for one in answer["best_posts"]["posts"]]
    assert published == [DAY.isoformat(), ago(1).isoformat()]


def test_a_provider_without_views_and_posts_published_shows_its_other_metrics(history, without_views):
    history.stored("channel", DAY, provider="quiet")
    history.warehouse.store(history.listed("small", DAY, provider="quiet"), reading(day=DAY, posts=None))
    aggregate(history, 1)
    answer = history.get("/api/trends", days=1, organization="acme", provider="quiet")
    assert [(one["name"], one["values"], one["complete"]) for one in answer["metrics"]] == [
        ("reach_summed", [7], [True]),
        ("followers", [7], [True]),
    ]


def test_posts_without_views_are_ranked_by_the_first_available_metric(history, without_views):
    noon = datetime.combine(ago(1), time(12), UTC)
    posts = tuple(
        replace(post(f"post-{reach}", reach=reach, clicks=100 - reach), published_at=noon)
        for reach in (5, 90, 70)
    )
    history.stored("channel", DAY, provider="quiet", content=posts)
    best = history.get("/api/trends", days=7, organization="acme", provider="quiet")["best_posts"]
    assert best["ranked_by"] == {"id": "reach", "label": "Reach"}
    assert [one["id"] for one in best["metrics"]] == ["reach", "clicks"]
    assert [one["figures"] for one in best["posts"]] == [
        {"reach": 90, "clicks": 10},
        {"reach": 70, "clicks": 30},
        {"reach": 5, "clicks": 95},
    ]


def test_a_provider_without_post_metrics_has_no_best_posts(history, without_views, monkeypatch):
    bare = replace(without_views, content_metrics={})
    monkeypatch.setattr("include.social_analytics.connectors.providers", lambda: {"quiet": bare})
    answer = history.get("/api/trends", days=1, organization="acme", provider="quiet")
    assert answer["best_posts"] is None


def test_only_the_latest_posts_are_compared_and_the_health_page_says_so(history, monkeypatch):
    monkeypatch.setattr(trends, "POSTS_COMPARED", 1)
    job = history.listed("page", DAY)
    posts = tuple(
        replace(post(f"post-{hour}", views=10 - hour), published_at=datetime.combine(ago(1), time(hour), UTC))
        for hour in (1, 2)
    )
    history.warehouse.store(job, reading({DAY: 1}, day=DAY, content=posts))
    answer = history.get("/api/trends", days=7, **ACME)
    assert viewed(answer) == [8]
    assert answer["best_posts"]["note"] == "Of the latest 1 posts."


def test_an_unknown_organization_has_no_figures(history):
    answer = history.get("/api/trends", organization="nobody", provider="facebook", days=1)
    assert metric(answer, "views")["values"] == [None]
    assert answer["best_posts"]["posts"] == []


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"organization": "acme"},
        {"organization": "", "provider": "facebook"},
        {"organization": "acme", "provider": "another"},
    ],
)
def test_an_organization_and_a_provider_are_required(ask, asked):
    assert ask.get("/api/trends", params=asked).status_code == 422


def test_the_csv_file_has_each_metrics_days(history):
    history.stored("page", DAY)
    aggregate(history, 1)
    lines = history.ask.get("/trends.csv", params={"days": 1, **ACME}).text.splitlines()
    assert f"acme,,facebook,views,count,{DAY},7,1,1" in lines


def test_all_posts_of_a_period_come_as_a_file_with_their_latest_totals(history):
    noon = datetime.combine(ago(1), time(12), UTC)
    seen = replace(post("seen", "=1+1", views=5, clicks=None), published_at=noon)
    unread = replace(post("unread", "Tea"), published_at=noon + timedelta(hours=1))
    old = replace(post("old", views=9), published_at=noon - timedelta(days=40))
    history.stored("bakery", DAY, content=(seen, unread, old))
    answer = history.ask.get("/posts.csv", params={"days": 28, **ACME})
    header, *rows = csv.reader(StringIO(answer.content.decode("utf-8-sig")))
    assert header[-7:] == ["views", "reach", "clicks", "reactions", "comments", "shares", "read_on"]
    found = {row[5]: dict(zip(header, row, strict=True)) for row in rows}
    assert list(found) == ["unread", "seen"]
    assert (found["seen"]["views"], found["seen"]["clicks"], found["seen"]["name"]) == ("5", "", "Bakery")
    assert found["seen"]["message"] == "'=1+1"
    [(read_on,)] = history.warehouse.connection.execute(
        "SELECT DISTINCT snapshot_date FROM analytics.content_metric_snapshot"
    ).fetchall()
    assert found["seen"]["read_on"] == read_on.isoformat()
    assert (found["unread"]["views"], found["unread"]["read_on"]) == ("", "")
    [best] = history.get("/api/trends", days=28, **ACME)["best_posts"]["posts"]
    assert best["read_on"] == read_on.isoformat()


def test_a_post_of_an_account_that_was_connected_again_is_in_the_file_once(history):
    noon = datetime.combine(ago(5), time(12), UTC)
    early, late = (replace(post("seen", views=views), published_at=noon) for views in (5, 7))
    history.stored("old", ago(1), content=(early,))
    history.stored("new", DAY, content=(late,))
    header, *rows = csv.reader(StringIO(history.ask.get("/posts.csv", params={"days": 28, **ACME}).text))
    assert [(row[header.index("name")], row[header.index("views")]) for row in rows] == [("New", "7")]


def test_a_customer_that_has_all_channels_has_the_organizations_trends(history):
    """A failure, no data, no job, and an account that was connected again, over two periods."""
    everything = Customer("all", "All shops")
    noon = datetime.combine(ago(1), time(20), UTC)
    for days in (5, 4, 3, 2, 1, 0):
        for page in ("a", "b"):
            posts = (replace(post(f"post-{page}", views=3), published_at=noon),)
            history.stored(page, ago(days), 7 + days, posts, customer=everything)
        history.warehouse.store(
            history.listed("small", ago(days), customer=everything), reading(day=ago(days))
        )
        for name in ("one", "two"):
            job = history.listed(name, ago(days), customer=everything)
            start = history.warehouse.start(job, account_id="same")
            history.warehouse.store(job, reading({ago(days): 3}, day=ago(days), lookback=0), start)
    history.stored("new", DAY, customer=everything)
    history.listed("unread", ago(1), customer=everything)
    history.failed("broken", ago(1), customer=everything)
    aggregate(history, 6)
    theirs = history.get("/api/trends", days=3, customer="all", **ACME)
    assert theirs == history.get("/api/trends", days=3, **ACME)
    views = metric(theirs, "views")
    assert views["complete"] == [True, False, False]
    assert views["like_for_like"]["channels"] == 4
    assert len(theirs["best_posts"]["posts"]) == 2


def test_a_customers_trends_are_those_of_the_channels_that_it_had_on_each_day(history):
    north, south = Customer("north", "North"), Customer("south", "South")
    for days in (1, 0):
        history.stored("a", ago(days), 5, customer=north)
        history.stored("b", ago(days), 100)
        history.stored("moved", ago(days), 50, customer=south if days else north)
    # It has no data. The other one has no job on the last day, and is North's now.
    for days in (1, 0):
        history.warehouse.store(history.listed("small", ago(days), customer=north), reading(day=ago(days)))
    history.stored("unread", ago(1), 10)
    history.listed("unread", DAY, customer=north)
    aggregate(history, 2)
    asked = {"days": 2, "customer": "north", **ACME}
    views = metric(history.get("/api/trends", **asked), "views")
    assert (views["values"], views["complete"]) == ([5, 55], [True, False])
    assert (views["reported"], views["expected"]) == ([1, 2], [2, 4])
    history.stored("own", DAY, provider="instagram")
    [facebook] = history.get("/api/side-by-side", organization="acme", days=2, customer="north")["sides"]
    assert (facebook["provider"]["id"], facebook["channels"]) == ("facebook", 4)
    assert facebook["figures"]["views"] == {"total": 60, "total_is_complete": False, "change": None}
    lines = history.ask.get("/trends.csv", params=asked).text.splitlines()
    assert f"acme,north,facebook,views,count,{DAY},55,2,4" in lines


def test_the_file_of_posts_can_be_narrowed_to_a_customer(history):
    north, south = Customer("north", "North"), Customer("south", "South")
    noon = datetime.combine(DAY, time(20), UTC)
    for days, customer in ((1, south), (0, north)):
        content = tuple(
            replace(post(f"post-{n}", views=1), published_at=noon - timedelta(days=n)) for n in (0, 1)
        )
        history.stored("moved", ago(days), content=content, customer=customer)
    for customer, posts in (("north", ["post-0"]), ("south", ["post-1"]), ("nobody", [])):
        file = history.ask.get("/posts.csv", params={"days": 28, "customer": customer, **ACME})
        found = list(csv.DictReader(StringIO(file.content.decode("utf-8-sig"))))
        assert [(row["content_id"], row["customer_id"]) for row in found] == [
            (one, customer) for one in posts
        ]


def side(answer: dict, provider: str) -> dict:
    [one] = [one for one in answer["sides"] if one["provider"]["id"] == provider]
    return one


def test_an_organizations_providers_stand_side_by_side_and_are_never_summed(history):
    for days, value in enumerate((30, 20, 10, 10)):
        history.stored("page", ago(days), value)
        history.stored("own", ago(days), value * 100, provider="instagram")
        history.stored("other", ago(days), value, organization="other", provider="threads")
    history.failed("lost", DAY, DOWN, provider="instagram")
    aggregate(history, 4)
    answer = history.get("/api/side-by-side", organization="acme", days=2)
    assert [one["provider"]["id"] for one in answer["sides"]] == ["facebook", "instagram"]
    facebook, instagram = side(answer, "facebook"), side(answer, "instagram")
    assert (facebook["channels"], instagram["channels"]) == (1, 2)
    assert facebook["figures"]["views"] == {"total": 50, "total_is_complete": True, "change": 1.5}
    assert facebook["figures"]["followers"]["total"] == 30
    # A day on which a channel failed is incomplete.
    assert instagram["figures"]["views"] == {"total": 5000, "total_is_complete": False, "change": None}
    assert "saves" in instagram["figures"]
    assert "saves" not in facebook["figures"]
    metrics = [one["id"] for one in answer["metrics"]]
    assert set(metrics) == set(facebook["figures"]) | set(instagram["figures"])
    assert metrics.index("views") < metrics.index("followers") < metrics.index("saves")


def test_a_provider_with_only_former_channels_stays_beside_the_others(history):
    history.stored("page", ago(1))
    history.stored("own", ago(1), provider="instagram")
    history.warehouse.connection.execute(
        "UPDATE analytics.integration SET is_active = false WHERE integration_id = 'own'"
    )
    aggregate(history, 2)
    answer = history.get("/api/side-by-side", organization="acme", days=2)
    assert side(answer, "instagram")["channels"] == 0
    assert side(answer, "instagram")["figures"]["views"]["total"] == 7


def test_a_provider_that_this_version_does_not_read_is_left_out(history):
    history.stored("page", DAY)
    history.warehouse.connection.execute(
        "INSERT INTO analytics.integration SELECT 'gone', organization_id, 'gone', name, first_day, last_day,"
        " is_active, listed_at, expected_from FROM analytics.integration"
    )
    aggregate(history, 1)
    answer = history.get("/api/side-by-side", organization="acme")
    assert [one["provider"]["id"] for one in answer["sides"]] == ["facebook"]


def test_a_metric_says_what_its_provider_calls_it(history):
    history.stored("own", DAY, provider="instagram")
    aggregate(history, 1)
    answer = history.get("/api/trends", organization="acme", provider="instagram")
    assert metric(answer, "page_views")["source"] == "profile_views"
    assert metric(answer, "engagements")["source"] == "total_interactions"
