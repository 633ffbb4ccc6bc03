"""Which day a run covers, and when it is due: with clock changes, in many zones, for every kind of run."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from airflow.sdk import timezone
from airflow.sdk.api.datamodels._generated import DagRunType as WorkersRunType
from airflow.utils.types import DagRunType

from include.social_analytics import days
from include.social_analytics.connectors import providers
from include.social_analytics.days import (
    DaySchedule,
    day_ended_at,
    day_ended_everywhere_at,
    day_of_run,
    is_on_time,
    label_of,
    latest_due_day,
    require_ended,
)
from include.social_analytics.errors import ErrorCode, JobError
from include.social_analytics.settings import Settings

LOS_ANGELES = ZoneInfo("America/Los_Angeles")

TWO_YEARS = [date(2026, 1, 1) + timedelta(days=n) for n in range(731)]
SCHEDULES = [
    DaySchedule(ZoneInfo(zone), run_at)
    for zone in (
        "America/Los_Angeles",
        "UTC",
        "Asia/Kolkata",
        "Europe/Berlin",
        "Pacific/Auckland",
        "Pacific/Kiritimati",
        "America/Havana",
        "Australia/Lord_Howe",
    )
    for run_at in (time(0, 0), time(2, 30), time(7, 30), time(23, 59, 59))
]


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("day", "ended"),
    [
        ("2026-03-07", "2026-03-08T08:00"),
        ("2026-03-08", "2026-03-09T07:00"),  # 23 hours long
        ("2026-10-31", "2026-11-01T07:00"),
        ("2026-11-01", "2026-11-02T08:00"),  # 25 hours long
    ],
)
def test_a_day_ends_at_midnight_in_los_angeles(day, ended):
    assert day_ended_at(date.fromisoformat(day), LOS_ANGELES) == utc(ended)


@pytest.mark.parametrize(
    ("zone", "run_at", "day", "due"),
    [
        ("America/Los_Angeles", "02:00", "2026-11-22", "2026-11-23T10:00"),
        # 02:00 and 02:30 do not exist in Los Angeles on 8 March.
        ("America/Los_Angeles", "02:00", "2026-03-07", "2026-03-08T10:00"),
        ("America/Los_Angeles", "02:30", "2026-03-07", "2026-03-08T10:30"),
        ("America/Los_Angeles", "02:00", "2026-03-08", "2026-03-09T09:00"),
        # 01:30 occurs twice in Los Angeles on 1 November.
        ("America/Los_Angeles", "01:30", "2026-10-31", "2026-11-01T08:30"),
        ("America/Los_Angeles", "02:00", "2026-10-31", "2026-11-01T10:00"),
        ("America/Los_Angeles", "00:00", "2026-11-01", "2026-11-02T08:00"),
        ("UTC", "08:00", "2026-11-22", "2026-11-23T08:00"),
        ("UTC", "07:59", "2026-11-22", "2026-11-24T07:59"),
        ("UTC", "02:00", "2026-11-22", "2026-11-24T02:00"),
        ("Asia/Kolkata", "13:30", "2026-11-22", "2026-11-23T08:00"),
        ("Asia/Kolkata", "02:00", "2026-11-22", "2026-11-23T20:30"),
        ("Europe/Berlin", "02:00", "2026-11-22", "2026-11-24T01:00"),
        # 02:30 does not exist in Berlin on 29 March, and occurs twice on 25 October.
        ("Europe/Berlin", "02:30", "2026-03-27", "2026-03-29T01:30"),
        ("Europe/Berlin", "02:30", "2026-10-23", "2026-10-25T00:30"),
        ("Pacific/Auckland", "02:00", "2026-11-22", "2026-11-23T13:00"),
    ],
)
def test_the_run_is_due_at_the_first_run_at_after_the_days_end(zone, run_at, day, due):
    schedule = DaySchedule(ZoneInfo(zone), time.fromisoformat(run_at))
    assert schedule.run_time(date.fromisoformat(day)) == utc(due)


def test_the_second_occurrence_counts_when_the_first_is_before_the_days_end():
    # In Chicago 01:30 is at 06:30 and 07:30 UTC that night; the day ends at 07:00 UTC.
    schedule = DaySchedule(ZoneInfo("America/Chicago"), time(1, 30))
    assert schedule.run_time(date(2026, 10, 31)) == utc("2026-11-01T07:30")


def test_two_days_that_are_due_together_run_a_second_apart():
    # 7 March ends at 08:00 UTC on the 8th, 8 March at 07:00 UTC on the 9th.
    schedule = DaySchedule(ZoneInfo("UTC"), time(7, 30))
    assert schedule.run_time(date(2026, 3, 7)) == utc("2026-03-09T07:30:00")
    assert schedule.run_time(date(2026, 3, 8)) == utc("2026-03-09T07:30:01")


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: f"{s.timezone}-{s.run_at}")
def test_over_two_years_no_run_is_before_its_days_end_or_more_than_a_day_after_it(schedule):
    run_times = [schedule.run_time(day) for day in TWO_YEARS]
    assert run_times == sorted(set(run_times))
    for day, due in zip(TWO_YEARS, run_times, strict=True):
        assert day_ended_at(day, LOS_ANGELES) <= due <= day_ended_at(day, LOS_ANGELES) + timedelta(hours=26)
        shown = due.astimezone(schedule.timezone)
        skipped = shown.utcoffset() != (due - timedelta(hours=2)).astimezone(schedule.timezone).utcoffset()
        shared = due - timedelta(seconds=1) in run_times
        assert shown.time() == schedule.run_at or skipped or shared


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: f"{s.timezone}-{s.run_at}")
def test_the_latest_due_day_changes_exactly_when_a_run_is_due(schedule):
    for day in TWO_YEARS:
        due = schedule.run_time(day)
        assert schedule.latest_due_day(due) >= day
        assert schedule.latest_due_day(due - timedelta(microseconds=1)) < day
        assert schedule.run_time(schedule.latest_due_day(due)) == due


def test_the_latest_due_day_follows_the_settings():
    moment = utc("2026-11-23T12:00")
    assert latest_due_day(moment, Settings()) == date(2026, 11, 22)
    assert latest_due_day(moment, Settings(run_at=time(5, 0))) == date(2026, 11, 21)
    assert latest_due_day(moment, Settings(timezone=ZoneInfo("UTC"), run_at=time(2, 0))) == date(2026, 11, 21)


# --- which day a run covers ---

NOW = utc("2026-11-23T12:00")


def covered(run_type: str = "manual", **given: object) -> date:
    arguments: dict[str, object] = {
        "logical_date": None,
        "run_after": NOW,
        "params": {},
        "conf": None,
        "now": NOW,
        "settings": Settings(),
    }
    return day_of_run(run_type=run_type, **(arguments | given))


def refusal(run_type: str = "manual", **given: object) -> str:
    with pytest.raises(JobError) as raised:
        covered(run_type, **given)
    assert raised.value.code is ErrorCode.CONFIG_INVALID
    return raised.value.reason


@pytest.mark.parametrize(
    "run_type",
    [
        "scheduled",
        "backfill",
        DagRunType.SCHEDULED,
        DagRunType.BACKFILL_JOB,
        WorkersRunType.SCHEDULED,
        WorkersRunType.BACKFILL,
    ],
    ids=repr,
)
def test_a_scheduled_or_backfill_run_covers_the_day_of_its_label(run_type):
    before_the_start_date = utc("2026-10-05T00:00")
    assert covered(run_type, logical_date=before_the_start_date, params={"date": None}) == date(2026, 10, 5)


def test_a_manual_run_covers_the_day_of_its_param():
    given = {"params": {"date": "2026-11-05"}, "logical_date": utc("2026-11-07T00:00")}
    assert covered(**given) == date(2026, 11, 5)


@pytest.mark.parametrize("run_type", ["manual", DagRunType.OPERATOR_TRIGGERED, "asset_triggered"])
def test_without_the_param_a_logical_date_at_midnight_utc_is_a_label(run_type):
    assert covered(run_type, logical_date=utc("2026-11-05T00:00")) == date(2026, 11, 5)


def test_midnight_utc_is_recognised_in_any_zone():
    assert covered(logical_date=utc("2026-11-05T00:00").astimezone(LOS_ANGELES)) == date(2026, 11, 5)


@pytest.fixture
def default_zone():
    """A function that sets Airflow's default zone, until the test ends."""
    yield timezone.initialize
    timezone.initialize("utc")


@pytest.mark.parametrize(
    ("moment", "day"),
    [
        ("2026-11-21T00:00", "2026-11-21"),  # UTC
        ("2026-11-21T08:00", "2026-11-21"),  # Los Angeles
        ("2026-11-20T15:00", "2026-11-21"),  # SOCIAL_ANALYTICS_TIMEZONE
        ("2026-11-20T23:00", "2026-11-21"),  # [core] default_timezone
        ("2026-11-20T23:00:00.000001", "2026-11-19"),
        ("2026-11-20T22:00", "2026-11-19"),  # no zone's midnight: the latest due day
    ],
)
def test_a_logical_date_at_midnight_in_a_known_zone_means_the_day_that_begins(default_zone, moment, day):
    default_zone("Europe/Berlin")
    settings = Settings(timezone=ZoneInfo("Asia/Tokyo"), run_at=time(17, 0))
    assert covered(logical_date=utc(moment), settings=settings) == date.fromisoformat(day)


@pytest.mark.parametrize(
    ("zone", "moment", "day"),
    [
        ("Africa/Cairo", "2026-04-23T22:00", "2026-04-24"),  # 00:00 does not exist: the day begins at 01:00
        ("America/Havana", "2026-11-01T04:00", "2026-11-01"),  # 00:00 occurs twice
        ("America/Havana", "2026-11-01T05:00", "2026-11-01"),
    ],
)
def test_midnight_is_recognised_on_the_night_of_a_clock_change(default_zone, zone, moment, day):
    default_zone(zone)
    early = Settings(start_date=date(2026, 1, 1))
    assert covered(logical_date=utc(moment), settings=early) == date.fromisoformat(day)


def test_of_two_zones_a_day_apart_the_packages_own_counts(default_zone):
    default_zone("Pacific/Kiritimati")
    midnight = utc("2026-11-05T10:00")
    assert covered(logical_date=midnight) == date(2026, 11, 6)
    honolulu = Settings(timezone=ZoneInfo("Pacific/Honolulu"))
    assert covered(logical_date=midnight, settings=honolulu) == date(2026, 11, 5)


@pytest.mark.parametrize(
    ("moment", "day"),
    [
        ("2026-11-23T09:59:59", "2026-11-21"),
        ("2026-11-23T10:00", "2026-11-22"),
        ("2026-11-23T11:17:42.123456", "2026-11-22"),
    ],
)
def test_a_moment_means_the_latest_day_due_at_that_moment(moment, day):
    assert covered(logical_date=utc(moment)) == date.fromisoformat(day)
    assert covered(run_after=utc(moment)) == date.fromisoformat(day)


def test_a_manual_run_cleared_later_still_covers_the_same_day():
    assert covered(run_after=utc("2026-11-05T12:00")) == date(2026, 11, 4)


@pytest.mark.parametrize(
    ("run_type", "given", "field"),
    [
        ("manual", {"params": {"date": "2026-11-23"}}, "date"),
        ("manual", {"logical_date": utc("2026-11-24T00:00")}, "logical date"),
        ("scheduled", {"logical_date": utc("2026-11-23T00:00")}, "logical date"),
        ("backfill", {"logical_date": utc("2026-11-23T00:00")}, "logical date"),
    ],
)
def test_a_day_that_has_not_ended_is_refused_with_the_fields_name(run_type, given, field):
    reason = refusal(run_type, **given)
    assert reason.startswith(f"{field} asks for 2026-11-2")
    assert "has not ended" in reason


def test_a_day_can_be_requested_from_the_moment_it_ends():
    ended = utc("2026-11-23T08:00")
    asked = {"params": {"date": "2026-11-22"}}
    assert covered(**asked, now=ended) == date(2026, 11, 22)
    assert "it ends at 2026-11-23 08:00 UTC" in refusal(**asked, now=ended - timedelta(seconds=1))


@pytest.mark.parametrize(
    "value", ["2026-13-45", "20261105", "2026-W45-4", "05.11.2026", "", 20261105, ["2026-11-05"]]
)
def test_a_malformed_date_is_refused(value):
    assert refusal(params={"date": value}) == f"date must be a day such as 2026-11-01, not {value!r}."


def test_a_date_in_a_backfills_configuration_is_refused():
    given = {"logical_date": utc("2026-11-05T00:00"), "params": {"date": "2026-11-06"}}
    assert "configuration of a backfill" in refusal("backfill", conf={"date": "2026-11-06"}, **given)


def test_an_empty_date_in_a_backfills_configuration_is_accepted():
    given = {"logical_date": utc("2026-11-05T00:00"), "params": {"date": None}}
    assert covered("backfill", conf={"date": None}, **given) == date(2026, 11, 5)


@pytest.mark.parametrize(
    "given",
    [
        {"params": {"date": "2026-10-31"}},
        {"logical_date": utc("2026-10-31T00:00")},
        {"run_after": utc("2026-11-01T12:00")},
    ],
)
def test_a_manual_run_before_the_start_date_is_refused_with_the_backfill_command(given):
    reason = refusal(**given)
    assert "SOCIAL_ANALYTICS_START_DATE (2026-11-01)" in reason
    assert (
        "`airflow backfill create --dag-id social_analytics_daily "
        "--from-date 2026-10-31T00:00+00:00 --to-date 2026-10-31T00:00+00:00`"
    ) in reason


@pytest.mark.parametrize("run_type", ["backfill", "scheduled"])
def test_backfills_and_cleared_scheduled_runs_can_precede_the_start_date(run_type):
    assert covered(run_type, logical_date=label_of(date(2026, 10, 1))) == date(2026, 10, 1)


@pytest.mark.parametrize("day", ["2026-03-07", "2026-03-08", "2026-07-01", "2026-10-31", "2026-11-01"])
def test_a_value_as_of_now_is_on_time_for_36_hours_after_the_days_end(day):
    day = date.fromisoformat(day)
    end = day_ended_at(day, LOS_ANGELES)
    assert is_on_time(day, LOS_ANGELES, end + timedelta(hours=36) - timedelta(microseconds=1))
    assert not is_on_time(day, LOS_ANGELES, end + timedelta(hours=36))


@pytest.mark.parametrize(
    ("zone", "due"),
    [
        ("Pacific/Honolulu", "2026-11-21T10:00"),
        # The day ends earlier there than in Los Angeles, which decides.
        ("Asia/Tokyo", "2026-11-21T08:00"),
    ],
)
def test_a_run_waits_until_the_day_has_ended_for_every_provider(monkeypatch, zone, due):
    facebook = providers()["facebook"]
    other = replace(facebook, name="other", timezone=ZoneInfo(zone))
    monkeypatch.setattr(days, "providers", lambda: {"facebook": facebook, "other": other})
    schedule = DaySchedule(ZoneInfo("UTC"), time(0, 0))
    # The first midnight in UTC after it.
    assert schedule.run_time(date(2026, 11, 20)) == utc("2026-11-22T00:00")
    assert day_ended_everywhere_at(date(2026, 11, 20))[0] == utc(due)
    with pytest.raises(JobError, match="midnight in"):
        require_ended(date(2026, 11, 20), utc(due) - timedelta(seconds=1), "DATE")
    require_ended(date(2026, 11, 20), utc(due), "DATE")


def test_a_day_can_be_due_on_its_own_date_if_it_ends_early_for_all_providers(monkeypatch):
    tokyo = replace(providers()["facebook"], timezone=ZoneInfo("Asia/Tokyo"))
    monkeypatch.setattr(days, "providers", lambda: {"facebook": tokyo})
    schedule = DaySchedule(ZoneInfo("UTC"), time(16, 0))
    assert schedule.run_time(date(2026, 11, 20)) == utc("2026-11-20T16:00")
    assert schedule.latest_due_day(utc("2026-11-20T16:00")) == date(2026, 11, 20)
    assert schedule.latest_due_day(utc("2026-11-20T15:59")) == date(2026, 11, 19)
