"""The views: what they add up, and that a cell is null where something is missing."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from operator import itemgetter
from types import ModuleType
from typing import Any

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from psycopg.types.json import Jsonb

from include.social_analytics.connectors import providers
from include.social_analytics.metrics import CONTENT_METRICS, DAILY_METRICS
from include.social_analytics.warehouse import complete_days
from include.social_analytics.warehouse.aggregate import aggregate_day
from include.social_analytics.warehouse.migrate import COMMENTS, views
from include.social_analytics.warehouse.snapshots import ensure_month
from tests.support.history import History
from tests.support.readings import DAY, DOWN, REVOKED, Warehouse, job, post, reading

#: A Monday.
MONDAY = date(2026, 11, 2)
WEEK = [MONDAY + timedelta(days=n) for n in range(7)]


@pytest.fixture
def history(warehouse: Warehouse) -> History:
    return History(warehouse, None)


#: Makes the schema of the revision before.
BEFORE_THE_VIEWS = """
ALTER TABLE analytics.organization_daily DROP COLUMN is_complete CASCADE;
ALTER TABLE analytics.content DROP COLUMN engagements CASCADE, DROP COLUMN totals CASCADE,
    DROP COLUMN totals_read_on CASCADE;
DROP TABLE analytics.metric CASCADE;
DROP INDEX analytics.ingest_job_by_customer, analytics.integration_by_customer;
"""


def revision(name: str) -> ModuleType:
    """A migration's module."""
    config = Config()
    config.set_main_option("script_location", str(COMMENTS.with_name("migrations")))
    return ScriptDirectory.from_config(config).get_revision(name).module


def aggregate(history: History, *days: date) -> None:
    for day in days:
        aggregate_day(history.warehouse.connection, day)


def view(history: History, name: str, **where: Any) -> list[dict[str, Any]]:
    """The rows of a view with these values, as dictionaries without these columns."""
    rows = history.warehouse.table(name)
    return [
        {column: value for column, value in row.items() if column not in where}
        for row in rows
        if all(row[column] == value for column, value in where.items())
    ]


# --- what all have ----------------------------------------------------------------------------


def test_each_table_view_and_column_is_described_in_the_database(warehouse):
    ensure_month(warehouse.connection, MONDAY)
    relations = warehouse.rows(
        "SELECT relname, obj_description(oid, 'pg_class') FROM pg_class WHERE NOT relispartition"
        " AND relnamespace = 'analytics'::regnamespace AND relkind IN ('r', 'p', 'v')"
    )
    columns = warehouse.rows(
        "SELECT relname || '.' || attname, col_description(attrelid, attnum)"
        " FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid"
        " WHERE relnamespace = 'analytics'::regnamespace AND relkind IN ('r', 'p', 'v')"
        " AND attnum > 0 AND NOT attisdropped"
    )
    assert len(relations) >= 19
    assert len(columns) > 150
    assert [name for name, words in relations + columns if not words] == []


def test_partitions_that_an_earlier_version_made_are_described_too(warehouse):
    ensure_month(warehouse.connection, MONDAY)
    table = "analytics.content_metric_snapshot_2026_11"
    warehouse.connection.execute(f"COMMENT ON COLUMN {table}.value IS NULL")
    warehouse.connection.execute(COMMENTS.read_text())
    [(words,)] = warehouse.rows(
        "SELECT col_description(%s::regclass, attnum) FROM pg_attribute"
        " WHERE attrelid = %s::regclass AND attname = 'value'",
        table,
        table,
    )
    assert words.startswith("The total since publication")


def test_an_upgrade_replaces_the_views_and_keeps_what_stands_on_them(warehouse):
    """A view of somebody else, and rights that were given."""
    warehouse.connection.execute("CREATE VIEW public.mine AS SELECT * FROM analytics.organization_week")
    warehouse.connection.execute("GRANT SELECT ON analytics.freshness TO PUBLIC")
    warehouse.connection.execute(views())
    assert warehouse.rows("SELECT * FROM public.mine") == []
    assert warehouse.rows("SELECT has_table_privilege('pg_monitor', 'analytics.freshness', 'SELECT')") == [
        (True,)
    ]


def test_the_table_of_metrics_follows_the_catalogue(warehouse):
    aggregate_day(warehouse.connection, MONDAY)
    declared = {
        (provider.name, name, metric.kind, metric.unit, metric.organization_name, provider.metrics[name])
        for provider in providers().values()
        for name, metric in DAILY_METRICS.items()
        if name in provider.metrics
    }
    assert set(warehouse.rows("SELECT * FROM analytics.metric")) == declared
    # A version that no longer has one leaves its row: its figures are still there. A changed name is stored.
    warehouse.connection.execute("UPDATE analytics.metric SET unit = 'old' WHERE metric = 'views'")
    warehouse.connection.execute("INSERT INTO analytics.metric SELECT 'gone', 'm', 'flow', 'u', 'm', 'x'")
    aggregate_day(warehouse.connection, MONDAY)
    assert set(warehouse.rows("SELECT * FROM analytics.metric")) == {
        *declared,
        ("gone", "m", "flow", "u", "m", "x"),
    }


# --- organization_daily.is_complete -----------------------------------------------------------


def complete(history: History, day: date = MONDAY, metric: str = "views", organization: str = "acme") -> bool:
    aggregate(history, day)
    [row] = view(history, "organization_daily", date=day, metric=metric, organization_id=organization)
    return row["is_complete"]


def test_a_figure_is_complete_when_each_channel_reported(history):
    history.stored("a", MONDAY)
    history.stored("b", MONDAY)
    assert complete(history)


@pytest.mark.parametrize("error", [REVOKED, DOWN], ids=["owner", "time"])
def test_a_figure_without_a_channel_that_failed_is_not_complete(history, error):
    history.stored("a", MONDAY)
    history.failed("b", MONDAY, error)
    assert not complete(history)


def test_a_channel_that_the_provider_has_no_data_for_need_not_report(history):
    history.stored("a", MONDAY)
    history.warehouse.store(history.listed("small", MONDAY), reading(day=MONDAY, lookback=0))
    assert complete(history)
    assert complete(history, metric="posts_published")


def test_posts_that_were_not_read_are_missing_also_of_a_channel_without_data(history):
    history.stored("a", MONDAY)
    history.warehouse.store(history.listed("small", MONDAY), reading(day=MONDAY, lookback=0, posts=None))
    assert complete(history)
    assert not complete(history, metric="posts_published")


def test_no_figure_at_all_is_not_complete(history):
    history.warehouse.store(history.listed("small", MONDAY), reading(day=MONDAY, lookback=0))
    assert not complete(history)


def test_a_figure_is_not_complete_while_a_channel_has_no_job(history):
    """A narrowed run reads one of two channels."""
    history.stored("a", MONDAY)
    history.listed("b", MONDAY)
    assert not complete(history)
    history.stored("b", MONDAY)
    assert complete(history)


def test_a_channel_is_not_missed_before_it_was_there_nor_after_it_was_removed(history):
    history.stored("a", MONDAY)
    history.listed("new", MONDAY + timedelta(days=1))
    history.listed("old", MONDAY - timedelta(days=1))
    history.warehouse.connection.execute(
        "UPDATE analytics.integration SET is_active = false WHERE integration_id = 'old'"
    )
    assert complete(history)


def test_figures_of_an_earlier_version_are_judged_as_the_aggregate_judges_them(history):
    history.stored("a", MONDAY)
    history.failed("b", MONDAY)
    history.stored("a", WEEK[1])
    history.stored("b", WEEK[1])
    history.listed("unread", WEEK[2])
    history.stored("a", WEEK[2])
    history.stored("b", WEEK[2])
    small = history.listed("small", WEEK[3], organization="globex")
    history.warehouse.store(small, reading(day=WEEK[3], lookback=0, posts=None))
    history.stored("large", WEEK[3], organization="globex")
    history.stored("large", WEEK[4], organization="globex")
    aggregate(history, *WEEK)
    judged = history.warehouse.table("organization_daily")
    assert {row["is_complete"] for row in judged} == {True, False}
    connection = history.warehouse.connection
    connection.execute(BEFORE_THE_VIEWS)
    connection.execute(revision("0012").CHANGES)
    assert history.warehouse.table("organization_daily") == judged


# --- organization_week, organization_month ----------------------------------------------------


def period(history: History, name: str, metric: str = "views", **where: Any) -> list[tuple[Any, ...]]:
    rows = view(history, name, metric=metric, organization_id="acme", provider="facebook", **where)
    return sorted(
        (row[name.rsplit("_", 1)[1]], row["value"], row["value_so_far"], row["days_complete"], row["days"])
        for row in rows
    )


def test_a_week_sums_flows_from_monday_to_sunday(history):
    for n in range(-1, 8):
        history.stored("a", MONDAY + timedelta(days=n), value=10 + n)
        aggregate(history, MONDAY + timedelta(days=n))
    before, after = MONDAY - timedelta(days=7), MONDAY + timedelta(days=7)
    assert period(history, "organization_week") == [
        (before, None, 9, 1, 7),
        (MONDAY, sum(range(10, 17)), sum(range(10, 17)), 7, 7),
        (after, None, 17, 1, 7),
    ]


def test_a_week_has_a_gauge_as_of_its_sunday_and_names_the_sum_of_unique_counts(history):
    for n, day in enumerate(WEEK):
        history.stored("a", day, value=100 + n)
        history.stored("b", day, value=1)
    aggregate(history, *WEEK)
    assert period(history, "organization_week", "followers") == [(MONDAY, 107, 107, 7, 7)]
    reach = sum(101 + n for n in range(7))
    assert period(history, "organization_week", "reach_summed") == [(MONDAY, reach, reach, 7, 7)]
    assert period(history, "organization_week", "reach") == []


def test_one_incomplete_day_makes_a_week_null_and_a_gauge_only_if_it_is_the_last(history):
    for day in WEEK:
        history.stored("a", day)
        if day == WEEK[2]:
            history.failed("b", day)
        else:
            history.stored("b", day, value=1)
    aggregate(history, *WEEK)
    assert period(history, "organization_week") == [(MONDAY, None, 6 * 8 + 7, 6, 7)]
    assert period(history, "organization_week", "followers") == [(MONDAY, 8, 8, 6, 7)]
    history.failed("b", WEEK[6])
    history.warehouse.connection.execute(
        "DELETE FROM analytics.integration_metric_daily WHERE integration_id = 'b' AND date = %s", [WEEK[6]]
    )
    aggregate(history, WEEK[6])
    assert period(history, "organization_week", "followers") == [(MONDAY, None, 7, 5, 7)]


def test_a_day_that_no_run_covered_makes_a_week_null(history):
    for day in WEEK[:3] + WEEK[4:]:
        history.stored("a", day)
        aggregate(history, day)
    assert period(history, "organization_week") == [(MONDAY, None, 42, 6, 7)]


def test_a_week_without_a_number_is_null_and_not_zero(history):
    for day in WEEK:
        history.failed("a", day)
        aggregate(history, day)
    assert period(history, "organization_week") == [(MONDAY, None, None, 0, 7)]


@pytest.mark.parametrize("month", [date(2027, 2, 1), date(2026, 12, 1)])
def test_a_month_has_all_its_days(history, month):
    days = [month + timedelta(days=n) for n in range(28 if month.month == 2 else 31)]
    for n, day in enumerate([month - timedelta(days=1), *days]):
        history.stored("a", day, value=n)
        aggregate(history, day)
    total = sum(range(len(days) + 1))
    found = {row[0]: row[1:] for row in period(history, "organization_month")}
    assert found[month] == (total, total, len(days), len(days))
    gauge = {row[0]: row[1:] for row in period(history, "organization_month", "followers")}
    assert gauge[month][0] == len(days)
    # Only its last day is there, so the flow is not known and the gauge is.
    earlier = (month - timedelta(days=1)).replace(day=1)
    assert found[earlier][:3] == (None, 0, 1)
    assert gauge[earlier][:3] == (0, 0, 1)


@pytest.mark.parametrize("zone", ["America/Los_Angeles", "Pacific/Auckland", "UTC"])
def test_weeks_and_months_do_not_depend_on_the_time_zone_of_the_session(history, zone):
    for day in WEEK:
        history.stored("a", day)
        aggregate(history, day)
    history.warehouse.connection.execute(f"SET timezone = '{zone}'")
    assert period(history, "organization_week") == [(MONDAY, 49, 49, 7, 7)]
    assert period(history, "organization_month") == [(date(2026, 11, 1), None, 49, 7, 30)]


# --- engagement_rate --------------------------------------------------------------------------


def rate(history: History) -> dict[str, Any]:
    aggregate(history, MONDAY)
    [row] = view(history, "engagement_rate", organization_id="acme", provider="facebook", date=MONDAY)
    return row


def set_figure(history: History, integration: str, metric: str, value: int | None) -> None:
    history.warehouse.connection.execute(
        "UPDATE analytics.integration_metric_daily SET value = %s WHERE integration_id = %s AND metric = %s",
        [value, integration, metric],
    )


def test_the_engagement_rate_is_engagements_for_each_view(history):
    for channel in ("a", "b"):
        history.stored(channel, MONDAY, value=100)
        set_figure(history, channel, "engagements", 3)
    assert rate(history) == {"engagements": 6, "views": 200, "engagement_rate": Decimal("0.030000")}


@pytest.mark.parametrize("metric", ["engagements", "views"])
def test_the_engagement_rate_is_null_unless_both_parts_are_complete(history, metric):
    for channel in ("a", "b"):
        history.stored(channel, MONDAY, value=100)
    set_figure(history, "b", metric, None)
    other = {"engagements": "views", "views": "engagements"}[metric]
    assert rate(history) == {metric: None, other: 200, "engagement_rate": None}


def test_the_engagement_rate_of_a_day_without_views_is_null(history):
    history.stored("a", MONDAY, value=0)
    assert rate(history) == {"engagements": 0, "views": 0, "engagement_rate": None}


# --- posts ------------------------------------------------------------------------------------

PUBLISHED = datetime(2026, 11, 4, 16, 30, tzinfo=UTC)


def put_post(
    history: History,
    name: str,
    readings: dict[date, dict[str, int | None]],
    *,
    integration: str = "a",
    published: datetime = PUBLISHED,
) -> None:
    """A post, and its totals on the days on which it was read."""
    connection = history.warehouse.connection
    first = datetime.combine(min(readings, default=published.date()), datetime.min.time(), UTC)
    last = datetime.combine(max(readings, default=published.date()), datetime.max.time(), UTC)
    latest = max(readings, default=None)
    connection.execute(
        "INSERT INTO analytics.content VALUES"
        " (%s, %s, 'acme', 'facebook', %s, 'photo', 'Hello', 'https://x', NULL, %s, %s, %s, %s)",
        [integration, name, published, first, last, latest and Jsonb(readings[latest]), latest],
    )
    for day, totals in readings.items():
        ensure_month(connection, day)
        for metric, value in totals.items():
            connection.execute(
                "INSERT INTO analytics.content_metric_snapshot VALUES (%s, %s, %s, %s, %s, now())",
                [integration, name, metric, day, value],
            )


def on(day: int, month: int = 11) -> date:
    return date(2026, month, day)


def test_a_post_has_its_latest_totals_as_columns(history):
    put_post(
        history,
        "p",
        {
            on(5): {"views": 10, "reach": 9, "comments": 1},
            on(2, 12): {"views": 30, "reach": None, "comments": 0},
            on(30): {"views": 20, "reach": 19, "comments": 1},
        },
    )
    [row] = view(history, "post_latest", content_id="p")
    totals = {name: row[name] for name in CONTENT_METRICS}
    assert row["engagements"] == 0
    assert row["read_on"] == on(2, 12)
    # The latest reading gave no reach: an older number is not passed off as the latest.
    assert totals == dict.fromkeys(CONTENT_METRICS) | {"views": 30, "comments": 0}
    assert (row["message"], row["published_at"]) == ("Hello", PUBLISHED)


def test_each_metric_of_posts_is_a_column(history):
    put_post(history, "p", {on(5): dict.fromkeys(CONTENT_METRICS, 3)})
    [row] = view(history, "post_latest")
    assert {name: row[name] for name in CONTENT_METRICS} == dict.fromkeys(CONTENT_METRICS, 3)


def test_a_post_whose_totals_were_never_read_has_none(history):
    put_post(history, "p", {})
    [row] = view(history, "post_latest")
    assert [row[name] for name in ("read_on", *CONTENT_METRICS)] == [None] * (1 + len(CONTENT_METRICS))


def test_a_post_of_an_account_that_was_connected_again_is_there_once(history):
    put_post(history, "p", {on(5): {"views": 10}}, integration="old")
    put_post(history, "p", {on(6): {"views": 20}}, integration="new")
    put_post(history, "q", {on(5): {"views": 5}}, integration="old")
    found = {(row["integration_id"], row["content_id"], row["views"]) for row in view(history, "post_latest")}
    assert found == {("new", "p", 20), ("old", "q", 5)}


def test_the_writer_keeps_the_latest_totals(warehouse):
    """Those of the newest snapshots, whatever readings found the post."""
    one = job()
    answers = [
        post("p", views=10, reach=None, comments=1),
        # Later on the same day: not all were asked for.
        post("p", views=12),
        # The post was found, and its totals could not be read.
        post("p"),
    ]
    for answer in answers:
        warehouse.store(one, reading({DAY: 1}, content=(answer,)))
    older = warehouse.start(one)
    warehouse.store(one, reading({DAY: 1}, content=(post("q"),)), older)
    rows = {row["content_id"]: row for row in warehouse.table("post_latest")}
    today = warehouse.rows("SELECT max(snapshot_date) FROM analytics.content_metric_snapshot")[0][0]
    assert [rows["p"][name] for name in ("views", "reach", "comments", "read_on")] == [12, None, 1, today]
    assert [rows["q"][name] for name in ("views", "read_on")] == [None, None]
    # A later day's totals replace all, an older day's none.
    warehouse.connection.execute("UPDATE analytics.content SET totals_read_on = totals_read_on - 1")
    warehouse.store(one, reading({DAY: 1}, content=(post("p", views=11),)))
    [row] = [row for row in warehouse.table("post_latest") if row["content_id"] == "p"]
    assert [row[name] for name in ("views", "comments", "read_on")] == [11, None, today]


def test_the_latest_totals_of_an_earlier_version_come_from_its_snapshots(history):
    put_post(history, "p", {on(5): {"views": 10, "reach": 9}, on(6): {"views": 20, "comments": None}})
    put_post(history, "q", {})
    stored = history.warehouse.table("content")
    connection = history.warehouse.connection
    connection.execute(BEFORE_THE_VIEWS)
    connection.execute(revision("0012").CHANGES)
    assert history.warehouse.table("content") == stored


def test_a_gain_is_the_difference_to_the_reading_before(history):
    put_post(
        history,
        "p",
        {
            on(5): {"views": 10},
            on(6): {"views": 25},
            on(7): {"views": None},
            on(1, 12): {"views": 24},
        },
    )
    gains = {
        row["date"]: (row["value"], row["gain"], row["days"]) for row in view(history, "post_daily_gain")
    }
    assert gains == {
        on(5): (10, None, None),
        on(6): (25, 15, 1),
        on(7): (None, None, None),
        # The provider took one back, and the days without a number are no gain of their own.
        on(1, 12): (24, -1, 25),
    }


def test_the_gains_of_a_metric_and_a_post_are_its_own(history):
    for name, factor in (("p", 1), ("q", 100)):
        put_post(
            history, name, {on(5): {"views": 10 * factor, "comments": factor}, on(6): {"views": 11 * factor}}
        )
    gains = {
        (row["content_id"], row["metric"]): row["gain"]
        for row in view(history, "post_daily_gain", date=on(6))
    }
    assert gains == {("p", "views"): 1, ("q", "views"): 100}


def test_the_best_hours_have_the_median_of_engagements(history):
    for number, reactions in enumerate((1, 2, 90)):
        put_post(
            history,
            f"p{number}",
            {on(20): {"views": 500, "reactions": reactions, "comments": 1, "shares": 2}},
            published=PUBLISHED + timedelta(days=7 * (number % 2)),
        )
    put_post(history, "other", {on(20): {"reactions": 4}}, published=PUBLISHED - timedelta(hours=1))
    assert view(history, "best_hours", organization_id="acme", provider="facebook") == [
        {"weekday": 3, "hour": 15, "posts": 1, "median_engagements": 4},
        {"weekday": 3, "hour": 16, "posts": 3, "median_engagements": 5},
    ]


def test_the_best_hours_are_of_the_sessions_time_zone(history):
    put_post(history, "p", {on(20): {"reactions": 4}})
    history.warehouse.connection.execute("SET timezone = 'Pacific/Auckland'")
    [row] = view(history, "best_hours")
    # 16:30 UTC on Wednesday is 05:30 on Thursday.
    assert (row["weekday"], row["hour"]) == (4, 5)


def test_a_post_counts_for_the_best_hours_once_it_was_read_a_week_after_its_publication(history):
    put_post(history, "young", {on(10): {"reactions": 4}})
    assert view(history, "best_hours") == []
    put_post(history, "week", {on(11): {"reactions": 8}})
    [row] = view(history, "best_hours")
    assert (row["posts"], row["median_engagements"]) == (1, 8)


def test_a_post_with_an_unknown_part_does_not_count_for_the_best_hours(history):
    put_post(history, "p", {on(20): {"reactions": 4, "comments": None}})
    put_post(history, "q", {on(20): {"views": 4}})
    assert view(history, "best_hours") == []


# --- customer_daily ---------------------------------------------------------------------------


def of_customer(history: History, customer: str | None, *channels: str) -> None:
    """Give channels and their jobs a customer."""
    for table in ("integration", "ingest_job"):
        history.warehouse.connection.execute(
            f"UPDATE analytics.{table} SET customer_id = %s WHERE integration_id = ANY (%s)",
            [customer, list(channels)],
        )


def customer(history: History, metric: str = "views", day: date = MONDAY) -> dict[str, tuple[Any, ...]]:
    rows = view(history, "customer_daily", metric=metric, date=day)
    columns = ("value", "integrations_expected", "integrations_reported", "is_complete")
    return {row["customer_id"]: tuple(row[name] for name in columns) for row in rows}


def test_a_customers_figures_are_the_sums_over_its_channels(history):
    for channel, value in (("a", 5), ("b", 7), ("c", 100), ("none", 1000)):
        history.stored(channel, MONDAY, value=value)
    of_customer(history, "north", "a", "b")
    of_customer(history, "south", "c")
    aggregate(history, MONDAY)
    assert customer(history) == {"north": (12, 2, 2, True), "south": (100, 1, 1, True)}
    assert customer(history, "reach_summed")["north"] == (12, 2, 2, True)
    metrics = {row["metric"] for row in view(history, "customer_daily", customer_id="south")}
    assert metrics == {DAILY_METRICS[name].organization_name for name in providers()["facebook"].metrics}


def test_the_figures_of_all_of_an_organizations_channels_as_one_customer_are_the_organizations(history):
    """The rules of the view are those of the aggregate."""
    history.stored("a", MONDAY)
    history.failed("b", MONDAY)
    history.warehouse.store(history.listed("small", MONDAY), reading(day=MONDAY, lookback=0))
    history.listed("unread", MONDAY - timedelta(days=1))
    for name in ("one", "two"):
        start = history.warehouse.start(history.listed(name, MONDAY), "run", account_id="same")
        history.warehouse.store(job(name, MONDAY), reading({MONDAY: 3}, day=MONDAY, lookback=0), start)
    of_customer(history, "all", "a", "b", "small", "unread", "one", "two")

    for change in (None, "b", "unread"):
        if change:
            history.stored(change, MONDAY)
            of_customer(history, "all", change)
        aggregate(history, MONDAY)
        theirs = view(history, "customer_daily", customer_id="all")
        ours = history.warehouse.table("organization_daily", "aggregated_at")
        assert len(ours) == len(providers()["facebook"].metrics)
        assert sorted(theirs, key=itemgetter("metric")) == sorted(ours, key=itemgetter("metric"))


def test_a_customers_figure_is_null_if_none_of_its_channels_reported(history):
    history.failed("a", MONDAY)
    of_customer(history, "north", "a")
    aggregate(history, MONDAY)
    assert customer(history) == {"north": (None, 1, 0, False)}


def test_a_customers_figure_is_not_complete_while_a_channel_failed_or_has_no_job(history):
    history.stored("a", MONDAY)
    history.failed("b", MONDAY)
    of_customer(history, "north", "a", "b")
    aggregate(history, MONDAY)
    assert customer(history) == {"north": (7, 2, 1, False)}
    history.stored("b", MONDAY)
    history.listed("c", MONDAY)
    of_customer(history, "north", "b", "c")
    assert customer(history) == {"north": (14, 2, 2, False)}


def test_a_channel_counts_for_the_customer_that_it_had_on_the_day(history):
    tuesday = MONDAY + timedelta(days=1)
    history.stored("a", MONDAY)
    of_customer(history, "north", "a")
    history.stored("a", tuesday)
    history.warehouse.connection.execute(
        "UPDATE analytics.ingest_job SET customer_id = 'south' WHERE date = %s", [tuesday]
    )
    history.warehouse.connection.execute("UPDATE analytics.integration SET customer_id = 'south'")
    aggregate(history, MONDAY, tuesday)
    assert customer(history) == {"north": (7, 1, 1, True)}
    assert customer(history, day=tuesday) == {"south": (7, 1, 1, True)}


# --- freshness --------------------------------------------------------------------------------


def freshness(history: History, provider: str = "facebook") -> dict[str, Any]:
    [row] = view(history, "freshness", provider=provider)
    assert row["newest_complete_day"] == complete_days.newest_complete_day(
        history.warehouse.connection, provider, max(WEEK)
    )
    return row


def test_freshness_has_the_newest_complete_day_and_the_channels_behind(history):
    for day in WEEK:
        history.stored("a", day)
        history.stored("b", day)
    row = freshness(history)
    assert (row["newest_complete_day"], row["newest_day"]) == (WEEK[-1], WEEK[-1])
    assert (row["channels"], row["channels_behind"]) == (2, 0)
    [(newest,)] = history.warehouse.rows("SELECT max(observed_at) FROM analytics.ingest_job")
    assert row["last_reading_at"] == newest
    history.failed("b", WEEK[-1], DOWN)
    row = freshness(history)
    assert (row["newest_complete_day"], row["newest_day"], row["channels_behind"]) == (WEEK[-2], WEEK[-1], 1)


def test_what_only_owners_can_resolve_is_behind_and_leaves_the_day_complete(history):
    for channel in ("a", "b", "c"):
        history.stored(channel, WEEK[0])
    history.failed("c", WEEK[0], REVOKED)
    row = freshness(history)
    assert (row["newest_complete_day"], row["channels_behind"]) == (WEEK[0], 1)


def test_owners_failures_that_are_too_many_leave_no_day_complete(history):
    for channel in ("a", "b", "c"):
        history.failed(channel, WEEK[0], REVOKED)
    history.stored("d", WEEK[0])
    assert freshness(history)["newest_complete_day"] is None


def test_freshness_without_any_stored_day_is_null_and_not_zero(history):
    history.listed("a", WEEK[0])
    row = freshness(history)
    assert row == dict.fromkeys(row) | {"channels": 1}


def test_freshness_tells_providers_apart_and_ignores_channels_that_are_gone(history):
    history.stored("a", WEEK[0])
    history.stored("i", WEEK[1], provider="instagram")
    history.stored("gone", WEEK[0])
    history.warehouse.connection.execute(
        "UPDATE analytics.integration SET is_active = false WHERE integration_id = 'gone'"
    )
    assert freshness(history)["newest_complete_day"] == WEEK[0]
    assert freshness(history)["channels"] == 1
    assert freshness(history, "instagram")["newest_complete_day"] == WEEK[1]


def test_a_complete_day_is_looked_for_in_the_four_weeks_that_the_ledger_looks_at(history):
    history.stored("a", MONDAY - timedelta(days=27))
    for n in range(26, -1, -1):
        history.failed("a", MONDAY - timedelta(days=n), DOWN)
    [row] = view(history, "freshness")
    assert row["newest_complete_day"] == MONDAY - timedelta(days=27)
    history.failed("a", MONDAY + timedelta(days=1), DOWN)
    [row] = view(history, "freshness")
    assert row["newest_complete_day"] is None
