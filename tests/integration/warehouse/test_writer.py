"""Storing one integration-day."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from threading import Barrier, Thread
from zoneinfo import ZoneInfo

import psycopg
import pytest

from include.social_analytics.connectors.reading import Content, Reading, UnsupportedMetric
from include.social_analytics.days import day_ended_at
from include.social_analytics.errors import ErrorCode, JobError
from include.social_analytics.warehouse import ledger
from include.social_analytics.warehouse.writer import _LOCK, Stored
from tests.support.readings import (
    DAY,
    DOWN,
    INSIGHTS,
    Warehouse,
    before,
    job,
    post,
    reading,
)

ERROR_COLUMNS = ("error_class", "error_code", "provider_code", "provider_subcode", "reason", "trace_id")
FIGURES = ("integration_metric_daily", "content", "content_metric_snapshot")


def everything(warehouse: Warehouse, *without: str) -> list[list[dict]]:
    return [warehouse.table(table, *without) for table in (*FIGURES, "ingest_job", "unsupported_metric")]


# What a run writes for its day


def test_a_successful_day_has_one_row_for_each_metric(warehouse):
    assert warehouse.store(job(), reading({DAY: 5}, posts=2)) == Stored("succeeded", 8, 0)
    assert warehouse.figures() == {**dict.fromkeys(INSIGHTS, 5), "posts_published": 2}
    row = warehouse.ledger_row(job())
    assert (row["status"], row["http_calls"], row["metric_rows"]) == ("succeeded", 4, 8)
    assert row["started_at"] == row["observed_at"] < row["finished_at"]


def test_a_metric_row_names_the_source_of_its_value(warehouse):
    seen = warehouse.start(job())
    warehouse.store(job(), reading({DAY: 5}), seen)
    [row] = [row for row in warehouse.table("integration_metric_daily") if row["metric"] == "reach"]
    assert row == {
        "integration_id": "page",
        "metric": "reach",
        "date": DAY,
        "organization_id": "acme",
        "provider": "facebook",
        "value": 5,
        "source_metric": "page_total_media_view_unique",
        "observed_at": seen.observed_at,
        "job_id": job().job_id,
    }


@pytest.mark.parametrize("missing", [{"views": {DAY: None}}, {"views": {before(1): Decimal(1)}}, {}])
def test_a_value_missing_from_the_answer_is_null_and_never_zero(warehouse, missing):
    series = {"reach": {DAY: Decimal(0)}} | missing
    warehouse.store(job(), reading(series=series, posts=None))
    assert warehouse.figures() == {**dict.fromkeys((*INSIGHTS, "posts_published")), "reach": 0}


@pytest.mark.parametrize(
    ("answer", "status"),
    [(reading(), "no_data"), (reading({before(1): 5}), "pending")],
    ids=["no data", "pending"],
)
def test_a_day_without_insights_has_only_its_count_of_posts(warehouse, answer, status):
    assert warehouse.store(job(), answer).status == status
    assert warehouse.figures() == {"posts_published": 0}
    assert warehouse.status(job()) == status


def test_a_day_with_an_incomplete_listing_of_posts_has_no_count_of_posts(warehouse):
    warehouse.store(job(), reading(posts=None))
    assert warehouse.figures() == {}


def test_an_empty_answer_about_an_account_that_had_figures_lately_is_pending(warehouse):
    warehouse.store(job(day=before(1)), reading({before(1): 1_000_000}, day=before(1)))
    assert warehouse.store(job(), reading(posts=3)).status == "pending"
    assert warehouse.status(job()) == "pending"
    # The posts were listed to their end, so their number is known.
    assert warehouse.figures() == {"posts_published": 3}


def test_a_recovered_day_says_what_the_reading_lacks_that_brought_it_in(warehouse):
    warehouse.fail(job(day=before(1)), DOWN)
    lacking = replace(reading({before(1): 1, DAY: 1}, posts=None), missing=("No posts could be listed.",))
    warehouse.store(job(), lacking)
    row = warehouse.ledger_row(job(day=before(1)))
    assert (row["status"], row["error_code"], row["reason"]) == (
        "recovered",
        None,
        "No posts could be listed.",
    )
    warehouse.store(job(), reading({before(1): 1, DAY: 1}))
    assert warehouse.ledger_row(job(day=before(1)))["reason"] is None


def test_a_recovered_day_that_lacks_nothing_does_not_take_a_note_about_the_api(warehouse):
    warehouse.store(job(day=before(1)), reading({before(2): 1}, day=before(1)))
    warehouse.store(job(), replace(reading({before(1): 1, DAY: 1}), notes=("The version is old.",)))
    row = warehouse.ledger_row(job(day=before(1)))
    assert (row["status"], row["reason"]) == ("recovered", None)


def test_a_note_about_the_api_does_not_keep_what_an_earlier_reading_lacked(warehouse):
    lacking = replace(reading({before(1): 1}, day=before(1)), missing=("No posts could be listed.",))
    warehouse.store(job(day=before(1)), lacking)
    warehouse.store(job(), replace(reading({before(1): 1, DAY: 1}), notes=("The version is old.",)))
    assert warehouse.ledger_row(job(day=before(1)))["reason"] is None
    assert warehouse.ledger_row(job())["reason"] == "The version is old."


def test_figures_that_a_backfill_brings_in_cast_doubt_on_later_days_without_data(warehouse):
    for days in (30, 2):
        warehouse.store(job(day=before(days)), reading(day=before(days)))
    assert warehouse.status(job(day=before(2))) == "no_data"
    warehouse.store(job(day=before(5)), reading({before(5): 1}, day=before(5)))
    assert [warehouse.status(job(day=before(days))) for days in (30, 2)] == ["no_data", "pending"]


@pytest.mark.parametrize(
    ("days", "values", "status"),
    [
        (1, 0, "pending"),
        (28, 5, "pending"),
        (29, 5, "no_data"),
        (1, None, "no_data"),
        (-1, 5, "no_data"),
    ],
    ids=["zero", "28 days ago", "29 days ago", "null", "the next day"],
)
def test_an_account_has_no_data_only_without_a_figure_in_the_28_days_before(warehouse, days, values, status):
    warehouse.store(job(day=before(days)), reading({before(days): values}, day=before(days), lookback=0))
    warehouse.store(job("another", before(1)), reading({before(1): 5}, day=before(1)))
    warehouse.store(job(), reading())
    assert warehouse.status(job()) == status


def test_posts_and_values_as_of_now_are_no_sign_of_an_account_with_figures(warehouse):
    for number in (1, 0):
        one = job(day=before(number))
        answer = reading(day=before(number), posts=4)
        now = replace(answer, now={"followers": Decimal(100)})
        warehouse.store(one, now, on_time(warehouse.start(one), 1))
        assert warehouse.figures(before(number)) == {"followers": 100, "posts_published": 4}
        assert warehouse.status(one) == "no_data"


# Look-back


def test_look_back_writes_only_days_with_a_finished_job_and_makes_no_jobs(warehouse):
    warehouse.store(job(day=before(1)), reading({before(1): 1}, day=before(1)))
    ledger.register(warehouse.connection, [job(day=before(2))], "run")
    warehouse.start(job(day=before(3)))
    answer = reading({before(n): 7 for n in range(4)})
    assert warehouse.store(job(), answer).metric_rows == 16
    assert warehouse.figures(before(1)) == {**dict.fromkeys(INSIGHTS, 7), "posts_published": 0}
    assert warehouse.figures(before(2)) == warehouse.figures(before(3)) == {}
    found = {row["date"]: row["status"] for row in warehouse.table("ingest_job")}
    assert found == {DAY: "succeeded", before(1): "succeeded", before(2): "queued", before(3): "running"}


def test_another_integrations_job_does_not_let_the_look_back_write_a_day(warehouse):
    warehouse.store(job("other", before(1)), reading({before(1): 1}, day=before(1)))
    warehouse.store(job(), reading({DAY: 5, before(1): 5}))
    assert warehouse.figures(before(1)) == {}
    assert warehouse.figures(before(1), "other")["views"] == 1


def test_a_row_names_the_job_of_its_own_date(warehouse):
    warehouse.fail(job(day=before(2)))
    warehouse.store(job(), reading({DAY: 5, before(2): 5}))
    assert set(warehouse.rows("SELECT date, job_id FROM analytics.integration_metric_daily")) == {
        (DAY, job().job_id),
        (before(2), job(day=before(2)).job_id),
    }


def test_look_back_recovers_days_that_failed_were_pending_or_had_no_data(warehouse):
    warehouse.fail(job(day=before(3)))
    warehouse.store(job(day=before(2)), reading({before(4): 1}, day=before(2)))
    warehouse.store(job(day=before(1)), reading(day=before(1)))
    assert [warehouse.status(job(day=before(n))) for n in (3, 2, 1)] == ["failed", "pending", "no_data"]
    warehouse.store(job(), reading({before(n): 7 for n in range(4)}))
    statuses = [warehouse.status(job(day=before(n))) for n in (3, 2, 1, 0)]
    assert statuses == ["recovered", "recovered", "recovered", "succeeded"]
    recovered = warehouse.ledger_row(job(day=before(3)))
    assert {recovered[column] for column in ERROR_COLUMNS} == {None}
    assert all(warehouse.figures(before(n))["views"] == 7 for n in (3, 2, 1))


def test_a_failed_day_missing_from_the_answer_stays_failed(warehouse):
    warehouse.fail(job(day=before(1)))
    warehouse.store(job(), reading({DAY: 7}))
    assert warehouse.status(job(day=before(1))) == "failed"
    assert warehouse.ledger_row(job(day=before(1)))["error_code"] == "token_invalid"
    assert warehouse.figures(before(1)) == {"posts_published": 0}


def test_a_successful_job_has_no_error_left(warehouse):
    warehouse.fail(job())
    warehouse.store(job(), reading({DAY: 5}))
    row = warehouse.ledger_row(job())
    assert (row["status"], row["attempts"], {row[column] for column in ERROR_COLUMNS}) == (
        "succeeded",
        2,
        {None},
    )


def test_an_incomplete_listing_of_posts_keeps_the_stored_counts(warehouse):
    warehouse.store(job(day=before(2)), reading({before(2): 1}, day=before(2), posts=3))
    warehouse.store(job(), reading({DAY: 7, before(2): 7}, posts=None))
    assert warehouse.figures(before(2))["posts_published"] == 3


def test_a_day_that_the_look_back_no_longer_has_is_pending_again(warehouse):
    warehouse.store(job(day=before(1)), reading({before(1): 5}, day=before(1)))
    warehouse.store(job(), reading({DAY: 7}))
    assert warehouse.figures(before(1)) == {**dict.fromkeys(INSIGHTS), "posts_published": 0}
    assert warehouse.status(job(day=before(1))) == "pending"
    tomorrow = DAY + timedelta(1)
    warehouse.store(job(day=tomorrow), reading({before(1): 6, DAY: 7, tomorrow: 8}, day=tomorrow))
    assert warehouse.figures(before(1))["views"] == 6
    assert warehouse.status(job(day=before(1))) == "recovered"


def test_an_older_look_back_withdraws_nothing(warehouse):
    older = warehouse.start(job())
    warehouse.store(job(day=before(1)), reading({before(1): 5}, day=before(1)))
    warehouse.store(job(), reading({DAY: 7}), older)
    assert warehouse.figures(before(1))["views"] == 5
    assert warehouse.status(job(day=before(1))) == "succeeded"


# Reading a day again


def test_an_empty_answer_keeps_the_stored_figures(warehouse):
    warehouse.store(job(), reading({DAY: 5}, posts=2))
    warehouse.store(job(), reading(posts=None))
    assert warehouse.figures() == {**dict.fromkeys(INSIGHTS, 5), "posts_published": 2}
    assert warehouse.status(job()) == "pending"


def test_a_failed_or_absent_metric_keeps_its_stored_value(warehouse):
    first = warehouse.start(job())
    warehouse.store(job(), reading({DAY: 5}), first)
    warehouse.store(job(), reading({DAY: 6}, without=("views",)))
    assert warehouse.figures() == {**dict.fromkeys(INSIGHTS, 6), "views": 5, "posts_published": 0}
    [(observed_at,)] = warehouse.rows(
        "SELECT observed_at FROM analytics.integration_metric_daily WHERE metric = 'views'"
    )
    assert observed_at == first.observed_at


def test_a_day_of_a_metric_that_was_not_read_keeps_its_stored_value(warehouse):
    day = before(1)
    warehouse.store(job("page", day), reading({day: 7}, day=day))
    series = {"views": {DAY: Decimal(5)}, "reach": {DAY: Decimal(3), day: Decimal(2)}}
    answer = reading(series=series)
    warehouse.store(job("page"), replace(answer, unread=frozenset({("views", day)})))
    assert (warehouse.figures(day)["views"], warehouse.figures(day)["reach"]) == (7, 2)
    warehouse.store(job("page"), answer)
    assert warehouse.figures(day)["views"] is None


def test_a_series_that_omits_a_day_clears_that_days_value(warehouse):
    warehouse.store(job(), reading({DAY: 5}))
    others = {name: {DAY: Decimal(6)} for name in INSIGHTS}
    warehouse.store(job(), reading(series=others | {"views": {before(1): Decimal(4)}}))
    assert warehouse.figures()["views"] is None
    assert warehouse.figures()["reach"] == 6


def test_a_day_that_all_series_omit_is_cleared_and_a_day_never_stored_gets_no_row(warehouse):
    warehouse.store(job(day=before(1)), reading({before(1): 5}, day=before(1)))
    warehouse.fail(job(day=before(2)))
    warehouse.store(job(), reading({before(3): 5}, posts=None))
    assert warehouse.figures(before(1)) == {**dict.fromkeys(INSIGHTS), "posts_published": 0}
    assert warehouse.figures(before(2)) == warehouse.figures() == {}
    assert warehouse.status(job(day=before(2))) == "failed"


def test_a_correction_replaces_the_value(warehouse):
    warehouse.store(job(), reading({DAY: 5}))
    warehouse.store(
        job(day=DAY + timedelta(1)), reading({DAY: 4, DAY + timedelta(1): 1}, day=DAY + timedelta(1))
    )
    assert warehouse.figures()["views"] == 4


@pytest.mark.parametrize("without", [(), ("views", "followers")])
def test_storing_the_same_answer_again_changes_only_timestamps(warehouse, without):
    warehouse.fail(job(day=before(1)))
    answer = reading(
        {DAY: 5, before(1): 4},
        without=without,
        content=(post(views=3, reach=None), post("other", clicks=1)),
        unsupported=(UnsupportedMetric("v25.0", "page_x", "(#100) page_x"),),
    )
    moments = ("observed_at", "started_at", "finished_at", "updated_at", "last_seen_at", "attempts")
    first_stored = warehouse.store(job(), answer)
    first = everything(warehouse, *moments)
    assert warehouse.store(job(), answer) == first_stored
    assert everything(warehouse, *moments) == first


# Readings that end in another order than they began


def test_an_older_reading_that_ends_last_does_not_change_a_newer_one(warehouse):
    older, newer = warehouse.start(job()), warehouse.start(job())
    unsupported = (UnsupportedMetric("v25.0", "page_x", "new"),)
    answer = reading({DAY: 5}, posts=2, content=(post(views=3),), unsupported=unsupported)
    warehouse.store(job(), answer, newer)
    stored = everything(warehouse)
    late = reading(
        {DAY: 1},
        content=(post(message="Old", views=1),),
        unsupported=(UnsupportedMetric("v25.0", "page_x", "old"),),
    )
    warehouse.store(job(), late, older)
    warehouse.store(job(), reading({before(1): 1}, posts=None), older)
    warehouse.fail(job(), DOWN, older)
    assert everything(warehouse) == stored


def test_an_older_reading_does_not_end_the_job_of_a_newer_start(warehouse):
    older, _ = warehouse.start(job()), warehouse.start(job())
    warehouse.store(job(), reading({DAY: 1}), older)
    assert warehouse.status(job()) == "running"
    assert warehouse.figures()["views"] == 1


def test_a_look_back_older_than_the_failure_does_not_recover_it(warehouse):
    older = warehouse.start(job())
    warehouse.fail(job(day=before(1)))
    warehouse.store(job(), reading({DAY: 1, before(1): 1}), older)
    assert warehouse.status(job(day=before(1))) == "failed"


def test_of_two_readings_stored_at_once_the_newer_one_stays(warehouse):
    for turn in range(10):
        one = job(f"page-{turn}")
        starts = [warehouse.start(one), warehouse.start(one)]
        together = Barrier(2)

        def run(number, connection, one=one, starts=starts, together=together):
            answer = reading({DAY: number}, content=(post(message=str(number), views=number),))
            together.wait()
            warehouse.store(one, answer, starts[number], connection=connection)

        threads = [Thread(target=run, args=(number, warehouse.connect())) for number in (0, 1)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert warehouse.figures(integration=one.integration.id)["views"] == 1
        assert warehouse.status(one) == "succeeded"
    assert {row["message"] for row in warehouse.table("content")} == {"1"}
    assert {row["value"] for row in warehouse.table("content_metric_snapshot")} == {1}


def test_readings_of_one_integration_wait_for_each_other_and_for_no_others(warehouse):
    seen = warehouse.start(job())
    holder, writer = warehouse.connect(), warehouse.connect()
    holder.execute("BEGIN")
    holder.execute(_LOCK, ["page"])
    thread = Thread(
        target=warehouse.store, args=(job(), reading({DAY: 5}), seen), kwargs={"connection": writer}
    )
    thread.start()
    query = "SELECT pg_blocking_pids(%s)"
    while warehouse.rows(query, writer.connection.info.backend_pid) != [
        ([holder.connection.info.backend_pid],)
    ]:
        assert thread.is_alive(), "It did not wait."
    warehouse.store(job("other"), reading({DAY: 5}))
    holder.execute("COMMIT")
    thread.join()
    assert warehouse.status(job()) == "succeeded"


def test_concurrent_runs_of_neighbouring_days_do_not_deadlock(warehouse):
    pages = [f"page-{number}" for number in range(12)]
    days = [before(2), before(1), DAY]
    together = Barrier(2 * len(days))
    failures = []

    def run(day, order, connection):
        try:
            together.wait()
            jobs = [job(page, day) for page in order]
            ledger.register(connection, jobs, f"run-{day}")
            ledger.claim(connection, jobs, ledger.Claim(f"run-{day}", 1), force=True)
            for number, one in enumerate(jobs):
                start = ledger.start(connection, one, ledger.Claim(f"run-{day}", 1))
                if number % 4 == 3:
                    ledger.fail(connection, start, DOWN, 1)
                else:
                    unsupported = tuple(
                        UnsupportedMetric("v25.0", name, "no")
                        for name in (("a", "b") if number % 2 else ("b", "a"))
                    )
                    answer = reading(
                        {day - timedelta(n): 1 for n in range(4)}, day=day, unsupported=unsupported
                    )
                    warehouse.store(one, answer, start, connection=connection)
        except (JobError, psycopg.Error) as error:
            failures.append(error)

    threads = [
        Thread(target=run, args=(day, order, warehouse.connect()))
        for day in days
        for order in (pages, pages[::-1])
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(warehouse.table("ingest_job")) == len(days) * len(pages)


# Values that exist only now


def followers_now(value: int | None, values: dict[date, int] | None = None) -> Reading:
    """A reading whose followers are a value as of now, not a series."""
    answer = reading(values, without=("followers",))
    return replace(answer, now={"followers": None if value is None else Decimal(value)})


def read_late(start: ledger.Start) -> ledger.Start:
    """The same start, 36 hours after the day's end."""
    end = day_ended_at(start.job.date, ZoneInfo("America/Los_Angeles"))
    return replace(start, observed_at=end + timedelta(hours=36))


def on_time(start: ledger.Start, hours: float) -> ledger.Start:
    """The same start, this many hours before it is late."""
    return replace(start, observed_at=read_late(start).observed_at - timedelta(hours=hours))


def test_a_value_as_of_now_read_on_time_is_stored_and_stays(warehouse):
    warehouse.store(job(), followers_now(100, {DAY: 1}), on_time(warehouse.start(job()), 30))
    for value in (101, None):
        again = on_time(warehouse.start(job(), "again"), 1)
        warehouse.store(job(), followers_now(value, {DAY: 2}), again)
        assert warehouse.figures() == {**dict.fromkeys(INSIGHTS, 2), "followers": 100, "posts_published": 0}
    late = read_late(warehouse.start(job(), "late"))
    warehouse.store(job(), followers_now(999, {DAY: 3}), late)
    assert (warehouse.figures()["followers"], warehouse.figures()["views"]) == (100, 3)


def test_a_value_as_of_now_read_late_is_not_stored(warehouse):
    warehouse.store(job(), followers_now(100, {DAY: 1}), read_late(warehouse.start(job())))
    assert (warehouse.figures()["followers"], warehouse.figures()["views"]) == (None, 1)


def test_a_value_as_of_now_replaces_a_null(warehouse):
    warehouse.store(job(), followers_now(None, {DAY: 1}), on_time(warehouse.start(job()), 20))
    assert warehouse.figures()["followers"] is None
    warehouse.store(job(), followers_now(100, {DAY: 1}), on_time(warehouse.start(job(), "again"), 10))
    assert warehouse.figures()["followers"] == 100


@pytest.mark.parametrize("values", [{before(1): 1}, None], ids=["pending", "no data"])
def test_a_value_as_of_now_is_stored_without_other_figures_of_the_day(warehouse, values):
    answer = replace(
        followers_now(100, values), series=reading(values, posts=None, without=("followers",)).series
    )
    warehouse.store(job(), answer, on_time(warehouse.start(job()), 1))
    assert warehouse.figures() == {"followers": 100}


def test_a_value_as_of_now_is_not_stored_for_earlier_days(warehouse):
    warehouse.fail(job(day=before(1)))
    warehouse.store(job(), followers_now(100, {before(1): 1, DAY: 1}), on_time(warehouse.start(job()), 1))
    assert warehouse.figures(before(1))["followers"] is None


# Content


def test_a_newer_reading_updates_content_but_keeps_when_it_was_first_seen(warehouse):
    first = warehouse.start(job())
    warehouse.store(job(), reading({DAY: 1}, content=(post(),)), first, posts={"post": "from-postiz"})
    second = warehouse.start(job())
    warehouse.store(job(), reading({DAY: 1}, content=(post(message=None),)), second)
    [row] = warehouse.table("content")
    assert (row["first_seen_at"], row["updated_at"], row["message"]) == (
        first.observed_at,
        second.observed_at,
        None,
    )
    assert row["postiz_post_id"] == "from-postiz"


def test_content_made_outside_postiz_has_no_postiz_post(warehouse):
    answer = reading({DAY: 1}, content=(post("ours"), post("theirs")))
    warehouse.store(job(), answer, posts={"ours": "p1"})
    found = {row["content_id"]: row["postiz_post_id"] for row in warehouse.table("content")}
    assert found == {"ours": "p1", "theirs": None}


def test_a_snapshot_has_the_pacific_date_of_the_reading(warehouse):
    # In November 08:00 UTC is midnight in Los Angeles; 07:59 is still the day before.
    for minute, expected in ((59, date(2026, 11, 20)), (60, date(2026, 11, 21))):
        one = job(f"page-{minute}")
        observed_at = datetime(2026, 11, 21, 7, tzinfo=UTC) + timedelta(minutes=minute)
        start = replace(warehouse.start(one), observed_at=observed_at)
        warehouse.store(one, reading({DAY: 1}, content=(post(views=1),)), start)
        [(found,)] = warehouse.rows(
            "SELECT snapshot_date FROM analytics.content_metric_snapshot WHERE integration_id = %s",
            one.integration.id,
        )
        assert found == expected


def test_a_later_reading_replaces_the_snapshot_of_its_date_and_no_other(warehouse):
    evening = datetime(2026, 11, 21, 7, tzinfo=UTC)
    start = warehouse.start(job())
    for hours, views in ((-1, 1), (0, 2), (24, 3)):
        answer = reading({DAY: 1}, content=(post(views=views, reach=None),))
        warehouse.store(job(), answer, replace(start, observed_at=evening + timedelta(hours=hours)))
    assert warehouse.rows(
        "SELECT snapshot_date, metric, value FROM analytics.content_metric_snapshot ORDER BY 1, 2"
    ) == [
        (date(2026, 11, 20), "reach", None),
        (date(2026, 11, 20), "views", 2),
        (date(2026, 11, 21), "reach", None),
        (date(2026, 11, 21), "views", 3),
    ]


def test_a_reading_now_is_dated_by_the_databases_clock(warehouse):
    start = warehouse.start(job())
    warehouse.store(job(), reading({DAY: 1}, content=(post(views=1),)), start)
    assert warehouse.rows("SELECT snapshot_date FROM analytics.content_metric_snapshot") == [
        (start.observed_at.astimezone(ZoneInfo("America/Los_Angeles")).date(),)
    ]


@pytest.mark.parametrize(
    "message",
    [
        "'; DROP TABLE analytics.content; --",
        '<script>alert("x")</script>',
        'back\\slash \\N \\. \\t {a,b} {"NULL"} NULL',
        "tab\tline\nreturn\r\n\x01\x7f",
        "emoji 👩‍👩‍👧 \N{RIGHT-TO-LEFT OVERRIDE}abc",
        "",
        "NULL",
        "%s %(day)s %%",
        "x" * 60_000,
    ],
    ids=range(9),
)
def test_text_is_stored_unchanged(warehouse, message):
    warehouse.store(job(), reading({DAY: 1}, content=(post(message=message), post("no text", message=None))))
    assert {row["content_id"]: row["message"] for row in warehouse.table("content")} == {
        "post": message,
        "no text": None,
    }


def test_a_nul_character_is_an_error_of_the_value_and_not_of_the_storage(warehouse):
    seen = warehouse.start(job())
    with pytest.raises(psycopg.DataError):
        warehouse.store(job(), reading({DAY: 1}, content=(post(message="a\x00b"),)), seen)
    assert warehouse.status(job()) == "running"
    assert [warehouse.table(table) for table in FIGURES] == [[], [], []]


def test_large_and_fractional_values_keep_every_digit(warehouse):
    value = Decimal("12345678901234567890.12")
    warehouse.store(job(), reading(series={"views": {DAY: value}, "reach": {DAY: Decimal("1E+3")}}))
    assert warehouse.figures()["views"] == value
    assert warehouse.figures()["reach"] == 1000


def test_a_page_with_thousands_of_snapshots_is_stored(warehouse):
    names = ("views", "reach", "clicks", "reactions", "comments", "shares")
    content = tuple(post(f"post-{n}", **dict.fromkeys(names, n)) for n in range(1000))
    assert warehouse.store(job(), reading({DAY: 1}, content=content)).content_rows == 1000
    assert warehouse.rows("SELECT count(*) FROM analytics.content_metric_snapshot") == [(6000,)]


def test_content_without_metrics_is_stored(warehouse):
    bare = Content("bare", datetime(2026, 11, 18, tzinfo=UTC), "post", None, None)
    warehouse.store(job(), reading({DAY: 1}, content=(bare,)))
    assert [len(warehouse.table(table)) for table in FIGURES] == [8, 1, 0]


def test_an_unsupported_metric_is_recorded_once_with_its_first_and_last_time(warehouse):
    first, again = warehouse.start(job()), warehouse.start(job())
    refusal = UnsupportedMetric("v25.0", "page_x", "first")
    warehouse.store(job(), reading({DAY: 1}, unsupported=(refusal, refusal)), first)
    warehouse.store(
        job(), reading({DAY: 1}, unsupported=(UnsupportedMetric("v25.0", "page_x", "again"),)), again
    )
    assert warehouse.table("unsupported_metric") == [
        {
            "provider": "facebook",
            "api_version": "v25.0",
            "metric": "page_x",
            "first_seen_at": first.observed_at,
            "last_seen_at": again.observed_at,
            "reason": "again",
        }
    ]


# One transaction


def test_an_error_while_storing_stores_nothing_and_leaves_the_job_running(warehouse):
    warehouse.fail(job(day=before(1)))
    before_it = everything(warehouse)
    warehouse.connection.execute("""
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN RAISE EXCEPTION 'no more room' USING ERRCODE = 'disk_full'; END $$;
        CREATE TRIGGER refuse BEFORE INSERT ON analytics.content_metric_snapshot
            FOR EACH ROW EXECUTE FUNCTION refuse();
    """)
    seen = warehouse.start(job())
    answer = reading({DAY: 5, before(1): 5}, content=(post(views=1),))
    with pytest.raises(JobError, match="no more room") as failure:
        warehouse.store(job(), answer, seen)
    assert failure.value.code is ErrorCode.STORAGE_UNAVAILABLE
    assert warehouse.status(job()) == "running"
    assert [warehouse.table(table) for table in FIGURES] == [[], [], []]
    assert warehouse.ledger_row(job(day=before(1))) in before_it[3]

    # The connection is still usable for the rest of the batch.
    warehouse.connection.execute("DROP TRIGGER refuse ON analytics.content_metric_snapshot")
    warehouse.store(job(), answer, seen)
    assert [len(warehouse.table(table)) for table in FIGURES] == [16, 1, 1]


def test_a_backend_killed_while_storing_stores_nothing(warehouse):
    warehouse.connection.execute("""
        CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NEW; END $$;
        CREATE TRIGGER die BEFORE INSERT ON analytics.content_metric_snapshot
            FOR EACH ROW EXECUTE FUNCTION die();
    """)
    seen = warehouse.start(job())
    answer = reading({DAY: 5}, content=(post(views=1),))
    with pytest.raises(JobError) as failure:
        warehouse.store(job(), answer, seen, connection=warehouse.connect())
    assert failure.value.code is ErrorCode.STORAGE_UNAVAILABLE
    assert warehouse.status(job()) == "running"
    assert [warehouse.table(table) for table in FIGURES] == [[], [], []]


def test_figures_and_their_status_become_visible_together(warehouse):
    # Lock the job's row: the store writes its figures, then waits to end the job.
    seen = warehouse.start(job())
    holder, writer = warehouse.connect(), warehouse.connect()
    holder.execute("BEGIN")
    holder.execute("SELECT FROM analytics.ingest_job FOR UPDATE")
    thread = Thread(
        target=warehouse.store, args=(job(), reading({DAY: 5}), seen), kwargs={"connection": writer}
    )
    thread.start()
    pid = writer.connection.info.backend_pid
    while warehouse.rows("SELECT cardinality(pg_blocking_pids(%s))", pid) == [(0,)]:
        pass
    assert warehouse.figures() == {}
    holder.execute("COMMIT")
    thread.join()
    assert (warehouse.status(job()), len(warehouse.figures())) == ("succeeded", 8)


def test_storing_works_without_the_right_to_make_temporary_tables(warehouse):
    database = warehouse.connection.connection.info.dbname
    # The month's first snapshots need the schema's owner, who makes the partition.
    warehouse.store(job(), reading({DAY: 4}, content=(post(views=1),)))
    warehouse.connection.execute(f"""
        CREATE ROLE "plain {database}";
        REVOKE TEMPORARY ON DATABASE {database} FROM public;
        GRANT USAGE ON SCHEMA analytics TO "plain {database}";
        GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA analytics TO "plain {database}";
        SET ROLE "plain {database}";
    """)
    warehouse.store(job(), reading({DAY: 5}, content=(post(views=1),)))
    assert warehouse.status(job()) == "succeeded"
    assert 5 in warehouse.figures().values()
    warehouse.connection.execute(f"""
        RESET ROLE; DROP OWNED BY "plain {database}"; DROP ROLE "plain {database}";
    """)


def video_post(content_id: str, day: int, *names: str) -> Content:
    """A post of November that shows what ``names`` are the ids of."""
    at = datetime(2026, 11, day, 12, tzinfo=UTC)
    return Content(content_id, at, "video", None, None, also_known_as=names)


def origins(warehouse) -> dict[str, str | None]:
    return dict(warehouse.rows("SELECT content_id, postiz_post_id FROM analytics.content"))


def test_a_shared_name_belongs_to_the_earliest_post(warehouse):
    repost, original = video_post("repost", 18, "video"), video_post("original", 16, "video")
    for content in ((repost, original), (original, repost)):
        warehouse.store(job(), reading({DAY: 5}, content=content), posts={"video": "p1"})
        assert origins(warehouse) == {"original": "p1", "repost": None}


def test_a_repost_gets_no_origin_when_the_original_has_left_the_window(warehouse):
    repost, original = video_post("repost", 18, "video"), video_post("original", 16, "video")
    warehouse.store(job(), reading({DAY: 5}, content=(repost, original)), posts={"video": "p1"})
    warehouse.store(job(), reading({DAY: 5}, content=(repost,)), posts={"video": "p1"})
    assert origins(warehouse) == {"original": "p1", "repost": None}


def test_a_posts_own_id_comes_before_its_other_ids_and_before_those_of_earlier_posts(warehouse):
    earlier = video_post("earlier", 16, "video")
    own = video_post("video", 18, "other")
    posts = {"video": "p1", "other": "p2"}
    warehouse.store(job(), reading({DAY: 5}, content=(earlier, own)), posts=posts)
    assert origins(warehouse) == {"earlier": None, "video": "p1"}


def test_a_name_once_given_to_the_wrong_post_is_taken_back(warehouse):
    repost, original = video_post("repost", 18, "video"), video_post("original", 16, "video")
    warehouse.store(job(), reading({DAY: 5}, content=(repost,)), posts={"video": "p1"})
    assert origins(warehouse) == {"repost": "p1"}
    # A backfill, or a longer window, brings the original in.
    warehouse.store(job(), reading({DAY: 5}, content=(repost, original)), posts={"video": "p1"})
    assert origins(warehouse) == {"original": "p1", "repost": None}


def test_a_name_that_an_earlier_post_has_wrongly_goes_to_the_post_with_that_id(warehouse):
    earlier = video_post("earlier", 16, "video")
    warehouse.store(job(), reading({DAY: 5}, content=(earlier,)), posts={"video": "p1"})
    warehouse.store(
        job(), reading({DAY: 5}, content=(earlier, video_post("video", 18))), posts={"video": "p1"}
    )
    assert origins(warehouse) == {"earlier": None, "video": "p1"}


def test_names_are_taken_back_within_one_integration_only(warehouse):
    for page in ("one", "other"):
        repost = video_post(f"post of {page}", 16 if page == "one" else 18, "video")
        warehouse.store(job(page), reading({DAY: 5}, content=(repost,)), posts={"video": "p1"})
    assert origins(warehouse) == {"post of one": "p1", "post of other": "p1"}
