"""An organization's figures day by day, and its best posts."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time

import pytest

from include.social_analytics.health import queries
from include.social_analytics.warehouse.aggregate import aggregate_day
from tests.support.bench import DAY
from tests.support.history import ago
from tests.support.readings import post, reading

ACME = {"organization": "acme", "provider": "facebook"}


def metric(answer: dict, name: str) -> dict:
    [one] = [one for one in answer["metrics"] if one["name"] == name]
    return one


def aggregate(history, days: int) -> None:
    for number in range(days):
        aggregate_day(history.warehouse.connection, ago(number))


def test_a_metrics_days_its_sum_and_the_change_against_the_days_before(history):
    for days, value in enumerate((30, 20, 10, 10)):
        history.stored("page", ago(days), value)
    aggregate(history, 4)
    answer = history.get("/api/trends", days=2, **ACME)
    assert answer["days"] == [ago(1).isoformat(), DAY.isoformat()]
    views = metric(answer, "views")
    assert (views["values"], views["complete"]) == ([20, 30], [True, True])
    assert (views["total"], views["previous"], views["change"]) == (50, 20, 1.5)
    # A gauge stands at the end of the period, and does not add up.
    followers = metric(answer, "followers")
    assert (followers["total"], followers["previous"], followers["change"]) == (30, 10, 2.0)
    assert metric(answer, "reach_summed")["label"] == "Reach summed"


def test_a_day_with_a_failure_is_not_complete_and_makes_no_change(history):
    for days in range(4):
        history.stored("page", ago(days))
        history.stored("another", ago(days)) if days else history.failed("another", DAY)
    aggregate(history, 4)
    views = metric(history.get("/api/trends", days=2, **ACME), "views")
    assert (views["values"], views["complete"]) == ([14, 7], [True, False])
    assert (views["reported"], views["expected"]) == ([2, 1], [2, 2])
    assert (views["total"], views["whole"], views["previous"], views["change"]) == (21, False, 28, None)


def test_a_page_too_small_for_insights_does_not_make_days_incomplete(history):
    history.stored("page", DAY)
    history.warehouse.store(history.listed("small", DAY), reading(day=DAY))
    aggregate(history, 1)
    views = metric(history.get("/api/trends", days=1, **ACME), "views")
    assert (views["values"], views["complete"]) == ([7], [True])


def test_nor_does_it_stand_in_for_a_page_whose_posts_nobody_counted(history):
    history.warehouse.store(history.listed("small", DAY), reading(day=DAY))
    history.failed("another", DAY)
    aggregate(history, 1)
    posts = metric(history.get("/api/trends", days=1, **ACME), "posts_published")
    assert (posts["reported"], posts["expected"], posts["complete"]) == ([1], [2], [False])


def test_days_without_any_figure_are_gaps_and_not_zero(history):
    history.stored("page", DAY)
    aggregate(history, 1)
    views = metric(history.get("/api/trends", days=2, **ACME), "views")
    assert (views["values"], views["complete"]) == ([None, 7], [False, True])
    assert views["previous"] is None


def test_no_change_is_made_of_nothing(history):
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
    assert [one["views"] for one in answer["posts"]] == [900, 70, 5]
    best = answer["posts"][0]
    assert (best["integration_name"], best["message"], best["reactions"]) == ("Café", "Hello", 1)
    assert (best["comments"], best["shares"]) == (None, None)
    assert answer["posts_note"] is None


def test_a_post_of_a_page_that_was_connected_again_is_shown_once(history):
    noon = datetime.combine(ago(1), time(12), UTC)
    for integration, views in (("z-old", 5), ("new", 4)):
        posts = (replace(post("post", views=views), published_at=noon),)
        history.warehouse.store(history.listed(integration, DAY), reading({DAY: 1}, day=DAY, content=posts))
        history.warehouse.connection.execute(
            "UPDATE analytics.content_metric_snapshot SET snapshot_date = snapshot_date - 1"
            " WHERE integration_id = 'z-old'"
        )
    answer = history.get("/api/trends", days=7, **ACME)
    assert [(one["integration_name"], one["views"]) for one in answer["posts"]] == [("New", 4)]


def test_of_very_many_posts_the_latest_are_compared_and_the_page_says_so(history, monkeypatch):
    monkeypatch.setattr(queries, "POSTS_COMPARED", 1)
    job = history.listed("page", DAY)
    posts = tuple(
        replace(post(f"post-{hour}", views=10 - hour), published_at=datetime.combine(ago(1), time(hour), UTC))
        for hour in (1, 2)
    )
    history.warehouse.store(job, reading({DAY: 1}, day=DAY, content=posts))
    answer = history.get("/api/trends", days=7, **ACME)
    assert [one["views"] for one in answer["posts"]] == [8]
    assert answer["posts_note"] == "Of the latest 1 posts."


def test_an_unknown_organization_has_no_figures(history):
    answer = history.get("/api/trends", organization="nobody", provider="facebook", days=1)
    assert metric(answer, "views")["values"] == [None]
    assert answer["posts"] == []


@pytest.mark.parametrize(
    "asked", [{}, {"organization": "acme"}, {"organization": "", "provider": "facebook"}]
)
def test_an_organization_and_a_provider_are_needed(ask, asked):
    assert ask.get("/api/trends", params=asked).status_code == 422


def test_the_file_has_each_metrics_days(history):
    history.stored("page", DAY)
    aggregate(history, 1)
    lines = history.ask.get("/trends.csv", params={"days": 1, **ACME}).text.splitlines()
    assert f"acme,facebook,views,count,{DAY},7,1,1" in lines
