"""A month of daily runs, compared with figures computed from everything that was read in it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from random import Random

import pytest

from include.social_analytics.connectors import provider_named
from include.social_analytics.connectors.reading import DayStatus, Reading, Window
from include.social_analytics.metrics import DAILY_METRICS
from include.social_analytics.warehouse import ledger
from include.social_analytics.warehouse.aggregate import aggregate_day
from tests.support.readings import DOWN, INSIGHTS, Warehouse, job

FIRST = date(2026, 10, 20)
DAYS = [FIRST + timedelta(n) for n in range(31)]
LOOKBACK = 3
PAGES = {"a": "acme", "b": "acme", "c": "globex", "small": "globex"}
#: Until then the small page has no insights.
GROWN = FIRST + timedelta(12)

#: The reading of each channel and day; ``None`` if it failed.
Month = dict[tuple[str, date], Reading | None]


def a_month(random: Random) -> Month:
    """Random readings of a month: late, corrected, with gaps, refused, or failed."""
    return {
        (page, day): an_answer(random, day, has_insights=page != "small" or day >= GROWN)
        for day in DAYS
        for page in PAGES
    }


def an_answer(random: Random, day: date, *, has_insights: bool) -> Reading | None:
    if random.random() < 0.2:
        return None
    window = Window(day, LOOKBACK, 28)
    unpublished = {on for on in window.days if random.random() < (0.3 if on == day else 0.15)}
    series = {}
    if has_insights and random.random() < 0.9:
        for metric in INSIGHTS:
            if random.random() < 0.9:
                series[metric] = {
                    on: None if random.random() < 0.1 else Decimal(random.randrange(1000))
                    for on in window.days
                    if random.random() < 0.9 and on not in unpublished
                }
    named = {on for values in series.values() for on in values}
    other = DayStatus.PENDING if series else DayStatus.NO_DATA
    days = {on: DayStatus.SUCCEEDED if on in named else other for on in window.days}
    if random.random() >= 0.2:
        series["posts_published"] = {on: Decimal(random.randrange(5)) for on in window.days}
    return Reading(window, days, series)


def readings_of(month: Month, page: str, day: date) -> list[Reading]:
    """All readings of a day, oldest first: by its own run, and by the look-back of later runs."""
    runs = [month.get((page, day + timedelta(n))) for n in range(LOOKBACK + 1)]
    return [one for one in runs if one is not None]


def names(one: Reading, day: date) -> bool:
    return any(day in one.series.get(metric, {}) for metric in INSIGHTS)


def is_empty(one: Reading) -> bool:
    return not any(metric in one.series for metric in INSIGHTS)


def has_figures(month: Month, page: str, day: date, until: date) -> bool:
    """Whether the day has a figure after the runs for the days before ``until``."""
    about = [one for one in readings_of(month, page, day) if one.window.day < until]
    words = [[one.series[metric].get(day) for one in about if metric in one.series] for metric in INSIGHTS]
    return any(said and said[-1] is not None for said in words)


def expected_figures(month: Month) -> Iterator[tuple[str, str, date, Decimal | int | None]]:
    """The latest value of each metric and day, for all days that any reading names."""
    for page in PAGES:
        for day in DAYS:
            about = readings_of(month, page, day)
            named = any(names(one, day) for one in about)
            for metric in INSIGHTS if named else ():
                words = [one.series[metric].get(day) for one in about if metric in one.series]
                yield page, metric, day, words[-1] if words else None
            counts = [one.series["posts_published"][day] for one in about if "posts_published" in one.series]
            if named or counts:
                yield page, "posts_published", day, counts[-1] if counts else None


def expected_status(month: Month, page: str, day: date) -> str:
    """A job's status, or ``not_published`` if it failed with that code."""
    own = month[page, day]
    if own is None:
        status = "failed"
    elif names(own, day):
        status = "succeeded"
    elif is_empty(own) and not any(
        has_figures(month, page, day - timedelta(n), until=day) for n in range(1, 29)
    ):
        status = "no_data"
    else:
        status = "pending"
    for one in readings_of(month, page, day):
        if one is own or is_empty(one):
            continue
        if names(one, day):
            status = "succeeded" if status == "succeeded" else "recovered"
        elif status in ("succeeded", "recovered"):
            status = "pending"
    return "not_published" if status == "pending" and day < DAYS[-1] - timedelta(LOOKBACK) else status


def expected_roll_up(month: Month) -> dict[tuple[str, str, date], tuple[Decimal | int | None, int, int]]:
    reported = defaultdict(list)
    for page, metric, day, value in expected_figures(month):
        if value is not None:
            reported[PAGES[page], metric, day].append(value)
    return {
        (organization, metric.organization_name, day): (
            sum(values) if (values := reported[organization, metric.name, day]) else None,
            list(PAGES.values()).count(organization),
            len(values),
        )
        for organization in PAGES.values()
        for metric in (DAILY_METRICS[name] for name in provider_named("facebook").metrics)
        for day in DAYS
    }


@pytest.mark.parametrize("seed", range(2))
def test_a_month_of_runs_stores_the_latest_value_of_every_day(warehouse: Warehouse, seed):
    month = a_month(Random(seed))  # noqa: S311 - a reproducible month, not a secret
    for day in DAYS:
        for page, organization in PAGES.items():
            one, answer = job(page, day, organization), month[page, day]
            if answer is None:
                warehouse.fail(one, DOWN)
            else:
                warehouse.store(one, answer)
        for n in range(LOOKBACK + 1):
            aggregate_day(warehouse.connection, day - timedelta(n))
        ledger.give_up(warehouse.connection, day, {"facebook": LOOKBACK})

    stored = warehouse.rows(
        "SELECT integration_id, metric, date, value FROM analytics.integration_metric_daily"
    )
    assert set(stored) == set(expected_figures(month))
    statuses = {
        (row["integration_id"], row["date"]): "not_published"
        if row["error_code"] == "not_published"
        else row["status"]
        for row in warehouse.table("ingest_job")
    }
    assert statuses == {key: expected_status(month, *key) for key in month}
    assert set(statuses.values()) == {
        "succeeded", "recovered", "pending", "failed", "not_published", "no_data",
    }  # fmt: skip
    rolled_up = warehouse.rows("""
        SELECT organization_id, metric, date, value, integrations_expected, integrations_reported
        FROM analytics.organization_daily
    """)
    assert {row[:3]: row[3:] for row in rolled_up} == expected_roll_up(month)
