"""The weeks and months of reports."""

from __future__ import annotations

from datetime import date

import pytest

from include.social_analytics.reports.period import PeriodKind, ending_on, latest


@pytest.mark.parametrize(
    ("kind", "until", "first", "last", "name", "title"),
    [
        ("week", "2026-11-22", "2026-11-16", "2026-11-22", "2026-W47", "Week of 16 November 2026"),
        ("week", "2026-11-23", "2026-11-16", "2026-11-22", "2026-W47", "Week of 16 November 2026"),
        ("week", "2026-11-28", "2026-11-16", "2026-11-22", "2026-W47", "Week of 16 November 2026"),
        # The week of a new year's first days is the old year's last.
        ("week", "2027-01-03", "2026-12-28", "2027-01-03", "2026-W53", "Week of 28 December 2026"),
        ("month", "2026-11-29", "2026-10-01", "2026-10-31", "2026-10", "October 2026"),
        ("month", "2026-11-30", "2026-11-01", "2026-11-30", "2026-11", "November 2026"),
        ("month", "2028-02-29", "2028-02-01", "2028-02-29", "2028-02", "February 2028"),
        ("month", "2027-01-30", "2026-12-01", "2026-12-31", "2026-12", "December 2026"),
    ],
)
def test_the_latest_period_is_the_last_one_that_has_ended(kind, until, first, last, name, title):
    found = latest(PeriodKind(kind), date.fromisoformat(until))
    assert (found.first.isoformat(), found.last.isoformat()) == (first, last)
    assert (found.name, found.title) == (name, title)
    assert found.days == (found.last - found.first).days + 1


def test_weeks_end_on_sundays_and_months_on_their_last_day():
    days = [date(2026, 11, number) for number in range(1, 31)]
    ends = {day.day: [period.name for period in ending_on(day)] for day in days if ending_on(day)}
    assert ends == {
        1: ["2026-W44"],
        8: ["2026-W45"],
        15: ["2026-W46"],
        22: ["2026-W47"],
        29: ["2026-W48"],
        30: ["2026-11"],
    }
    assert [period.name for period in ending_on(date(2027, 1, 31))] == ["2027-W04", "2027-01"]
