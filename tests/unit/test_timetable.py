"""The timetable: every day once, catch-up, backfills, and Airflow's serialization."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pendulum
import pytest
from airflow import plugins_manager, settings
from airflow.sdk import DAG
from airflow.serialization.decoders import decode_timetable
from airflow.serialization.definitions.dag import SerializedDAG
from airflow.serialization.encoders import encode_timetable
from airflow.serialization.helpers import TimetableNotRegistered
from airflow.serialization.serialized_objects import DagSerialization
from airflow.timetables.base import DagRunInfo, DataInterval, TimeRestriction
from airflow.utils.types import DagRunType
from freezegun import freeze_time

from include.social_analytics.days import day_ended_at
from include.social_analytics.timetable import CalendarDayTimetable, PeriodEndTimetable

PLUGINS = Path(__file__).resolve().parents[2] / "plugins"
FIRST_DAY = date(2020, 1, 1)
LOS_ANGELES = ZoneInfo("America/Los_Angeles")
DAILY = CalendarDayTimetable(LOS_ANGELES, time(2, 0), FIRST_DAY)


def at(text: str) -> pendulum.DateTime:
    return pendulum.instance(datetime.fromisoformat(text).replace(tzinfo=UTC))


def interval(day: str) -> DataInterval:
    return DataInterval(at(day), at(day).add(days=1))


def next_run(
    last: str | None = None, earliest: str | None = None, latest: str | None = None, catchup: bool = True
) -> DagRunInfo | None:
    return DAILY.next_dagrun_info(
        last_automated_data_interval=interval(last) if last else None,
        restriction=TimeRestriction(
            at(earliest) if earliest else None, at(latest) if latest else None, catchup
        ),
    )


def next_day(*args: str | None, **kwargs: object) -> str | None:
    info = next_run(*args, **kwargs)
    return info and info.logical_date.date().isoformat()


@pytest.fixture
def plugin(monkeypatch):
    """Airflow with this project's plugins folder, and only that."""
    monkeypatch.setattr(settings, "PLUGINS_FOLDER", str(PLUGINS))
    caches = (plugins_manager._get_plugins, plugins_manager.get_timetables_plugins)
    for cache in caches:
        cache.cache_clear()
    yield
    for cache in caches:
        cache.cache_clear()


@pytest.fixture
def dag(plugin) -> SerializedDAG:
    """A DAG with the timetable as the scheduler sees it: serialized to JSON and back."""
    source = DAG("daily", schedule=DAILY, start_date=datetime(2026, 11, 1, tzinfo=UTC), catchup=True)
    return DagSerialization.from_dict(json.loads(json.dumps(DagSerialization.to_dict(source))))


def test_a_run_is_labelled_with_its_day_and_due_at_two_the_next_night():
    assert next_run(last="2026-11-21") == DagRunInfo(
        run_after=at("2026-11-23T10:00"), data_interval=interval("2026-11-22")
    )
    assert next_run(last="2026-11-21").logical_date == at("2026-11-22")


@pytest.mark.parametrize(
    ("timezone", "run_at"),
    [
        ("America/Los_Angeles", time(2, 0)),
        ("America/Los_Angeles", time(1, 30)),
        ("Asia/Kolkata", time(2, 0)),
        ("Europe/Berlin", time(2, 30)),
        ("Pacific/Auckland", time(2, 30)),
        ("UTC", time(7, 30)),
    ],
)
def test_over_two_years_every_day_comes_once_and_never_before_its_end(timezone, run_at):
    timetable = CalendarDayTimetable(ZoneInfo(timezone), run_at, FIRST_DAY)
    restriction = TimeRestriction(at("2026-01-01"), at("2027-12-31"), catchup=True)
    runs: list[DagRunInfo] = []
    last = None
    while info := timetable.next_dagrun_info(last_automated_data_interval=last, restriction=restriction):
        runs.append(info)
        last = info.data_interval
    days = [info.logical_date.date() for info in runs]
    assert days == [date(2026, 1, 1) + timedelta(days=n) for n in range(730)]
    assert all(info.run_after >= day_ended_at(day, LOS_ANGELES) for info, day in zip(runs, days, strict=True))
    # A backfill names its runs after this moment, so each must be different.
    assert [info.run_after for info in runs] == sorted({info.run_after for info in runs})


@pytest.mark.parametrize(
    ("given", "day"),
    [
        ({"earliest": "2026-11-01"}, "2026-11-01"),
        ({"earliest": "2026-11-01T00:00:01"}, "2026-11-02"),
        ({"earliest": "2026-11-01", "latest": "2026-11-01"}, "2026-11-01"),
        ({"earliest": "2026-11-01", "last": "2026-11-05"}, "2026-11-06"),
        ({"earliest": "2026-11-01", "last": "2026-10-05"}, "2026-11-01"),  # after a backfill before it
        ({"last": "2026-11-05", "latest": "2026-11-06"}, "2026-11-06"),
        ({"last": "2026-11-06", "latest": "2026-11-06T23:59"}, None),
        ({}, "2020-01-01"),
    ],
)
def test_catch_up_continues_after_the_last_day_within_start_and_end(given, day):
    assert next_day(**given) == day


@pytest.mark.parametrize(
    ("now", "given", "day"),
    [
        ("2026-11-23T09:59:59", {}, "2026-11-21"),
        ("2026-11-23T10:00:00", {}, "2026-11-22"),
        ("2026-11-23T10:00:00", {"earliest": "2026-11-01", "last": "2026-11-05"}, "2026-11-22"),
        ("2026-11-23T10:00:00", {"last": "2026-11-22"}, "2026-11-23"),
        ("2026-11-23T10:00:00", {"earliest": "2026-12-24T12:00"}, "2026-12-25"),
        ("2026-11-23T10:00:00", {"latest": "2026-11-21"}, None),
    ],
)
def test_without_catch_up_missed_days_are_left_out(now, given, day):
    with freeze_time(now):
        assert next_day(**given, catchup=False) == day


def test_catch_up_begins_on_the_first_day_and_a_backfill_can_precede_it():
    assert next_day(earliest="2019-12-01") == "2020-01-01"
    assert next_day(earliest="2019-12-01", latest="2019-12-03") == "2019-12-01"


def test_a_last_interval_from_another_schedule_is_accepted():
    restriction = TimeRestriction(at("2026-11-01"), None, catchup=True)
    last = DataInterval.exact(at("2026-11-05T10:00"))
    info = DAILY.next_dagrun_info(last_automated_data_interval=last, restriction=restriction)
    assert info.data_interval == interval("2026-11-06")


@pytest.mark.parametrize(
    ("first", "last"),
    [("2026-11-01", "2026-11-03"), ("2026-03-07", "2026-03-09"), ("2026-10-31", "2026-11-02")],
)
def test_a_backfill_includes_both_ends(dag, first, last):
    runs = list(dag.iter_dagrun_infos_between(at(first), at(last)))
    assert [info.logical_date for info in runs] == [at(first), at(first).add(days=1), at(last)]


@pytest.mark.parametrize(
    "zone",
    [
        "America/Los_Angeles",
        "America/Sao_Paulo",
        "Pacific/Honolulu",
        "UTC",
        "Europe/Berlin",
        "Asia/Kolkata",
        "Asia/Kathmandu",
        "Asia/Tokyo",
        "Pacific/Fiji",
    ],
)
@pytest.mark.parametrize(("first", "last"), [("2026-11-15", "2026-11-17"), ("2026-11-16", "2026-11-16")])
@pytest.mark.parametrize("sent", [ZoneInfo("UTC"), None], ids=["in UTC", "with its offset"])
def test_a_backfill_from_and_to_local_midnight_has_the_days_that_were_meant(dag, zone, first, last, sent):
    ends = [datetime.fromisoformat(day).replace(tzinfo=ZoneInfo(zone)) for day in (first, last)]
    runs = dag.iter_dagrun_infos_between(*(end.astimezone(sent or ZoneInfo(zone)) for end in ends))
    days = [info.logical_date for info in runs]
    assert (days[0], days[-1], len(days)) == (at(first), at(last), (ends[1] - ends[0]).days + 1)


def test_local_midnight_more_than_12_hours_from_utc_is_understood_with_its_offset(dag):
    ends = [datetime(2026, 11, day, tzinfo=ZoneInfo("Pacific/Auckland")) for day in (15, 17)]
    runs = list(dag.iter_dagrun_infos_between(*ends))
    assert [info.logical_date.day for info in runs] == [15, 16, 17]


def test_a_backfill_to_the_last_minute_of_a_day_ends_with_that_day(dag):
    runs = list(dag.iter_dagrun_infos_between(at("2026-11-15"), at("2026-11-16T23:59:59")))
    assert [info.logical_date.day for info in runs] == [15, 16]


def test_a_logical_date_in_the_future_is_refused_before_there_is_a_run():
    with freeze_time("2026-11-23T12:00:00"):
        # The browser's clock may be fast.
        assert DAILY.infer_manual_data_interval(run_after=at("2026-11-23T12:05")) == interval("2026-11-22")
        with pytest.raises(ValueError, match=r"2026-11-24T00:00:00\+00:00 is in the future"):
            DAILY.infer_manual_data_interval(run_after=at("2026-11-24"))


@pytest.mark.parametrize(
    ("moment", "day"),
    [
        ("2026-11-23T09:59:59", "2026-11-21"),
        ("2026-11-23T10:00:00", "2026-11-22"),
        ("2026-11-20T00:00:00", "2026-11-20"),  # a label, as day_of_run reads it
    ],
)
def test_a_manual_runs_interval_is_the_day_it_covers(moment, day):
    assert DAILY.infer_manual_data_interval(run_after=at(moment)) == interval(day)


def run_id(run_type: DagRunType, run_after: str = "2026-11-23T10:00", day: str | None = "2026-11-22") -> str:
    return DAILY.generate_run_id(
        run_type=run_type,
        run_after=at(run_after),
        data_interval=day and interval(day),
        partition_key=None,
    )


def test_the_id_of_a_scheduled_run_names_its_day():
    assert run_id(DagRunType.SCHEDULED) == "scheduled__2026-11-22"


@pytest.mark.parametrize("day", ["2026-11-22", None])
def test_a_day_can_have_many_manual_runs(day):
    first = run_id(DagRunType.MANUAL, "2026-11-23T12:00:00.000001", day)
    second = run_id(DagRunType.MANUAL, "2026-11-23T12:00:00.000002", day)
    assert first == "manual__2026-11-23T12:00:00.000001+00:00"
    assert first != second


def test_the_schedule_has_a_readable_summary():
    assert DAILY.summary == "Daily, 02:00 America/Los_Angeles"
    assert DAILY.description == (
        "Every day, at the first 02:00 in America/Los_Angeles after the day has ended for every provider"
    )


@pytest.mark.parametrize(
    "timetable",
    [DAILY, CalendarDayTimetable(ZoneInfo("Asia/Kolkata"), time(23, 59, 59, 5), FIRST_DAY)],
    ids=["default", "other"],
)
def test_the_timetable_survives_airflows_serialization(plugin, timetable):
    encoded = json.loads(json.dumps(encode_timetable(timetable)))
    assert encoded["__type"] == "include.social_analytics.timetable.CalendarDayTimetable"
    decoded = decode_timetable(encoded)
    assert decoded == timetable
    assert hash(decoded) == hash(timetable)
    assert (decoded.summary, decoded.description) == (timetable.summary, timetable.description)
    assert decoded != CalendarDayTimetable(ZoneInfo("UTC"), time(3, 0), FIRST_DAY)


def test_without_the_plugin_airflow_cannot_read_the_timetable(plugin, monkeypatch, tmp_path):
    encoded = encode_timetable(DAILY)
    plugins_manager._get_plugins.cache_clear()
    plugins_manager.get_timetables_plugins.cache_clear()
    monkeypatch.setattr(settings, "PLUGINS_FOLDER", str(tmp_path))
    with pytest.raises(TimetableNotRegistered):
        decode_timetable(encoded)


def test_the_scheduler_plans_the_first_run_from_the_start_date(dag):
    info = dag.next_dagrun_info(last_automated_run_info=None)
    assert info == DagRunInfo(run_after=at("2026-11-02T10:00"), data_interval=interval("2026-11-01"))
    assert dag.next_dagrun_info(last_automated_run_info=info).data_interval == interval("2026-11-02")


def test_a_backfill_of_period_ends_makes_a_run_for_each_sunday_and_each_last_of_a_month():
    ends = PeriodEndTimetable(LOS_ANGELES, time(2, 0), FIRST_DAY)
    restriction = TimeRestriction(at("2019-11-21"), at("2019-12-08"), catchup=True)
    days, last = [], None
    while info := ends.next_dagrun_info(last_automated_data_interval=last, restriction=restriction):
        days.append(info.logical_date.date().isoformat())
        last = info.data_interval
    assert days == ["2019-11-24", "2019-11-30", "2019-12-01", "2019-12-08"]
