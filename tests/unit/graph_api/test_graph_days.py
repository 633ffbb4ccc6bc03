"""Meta's days, on both sides of the clock changes."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from include.social_analytics.graph_api.days import midnight, pacific_day
from include.social_analytics.json_values import moment


@pytest.mark.parametrize(
    ("end_time", "day"),
    [
        ("2026-01-02T08:00:00+0000", date(2026, 1, 2)),
        ("2026-07-02T07:00:00+0000", date(2026, 7, 2)),
        ("2026-07-02T06:59:59+0000", date(2026, 7, 1)),
        ("2026-03-08T08:00:00+0000", date(2026, 3, 8)),
        ("2026-03-09T07:00:00+0000", date(2026, 3, 9)),
        ("2026-11-01T07:00:00+0000", date(2026, 11, 1)),
        ("2026-11-02T08:00:00+0000", date(2026, 11, 2)),
        ("2026-01-02T00:00:00-08:00", date(2026, 1, 2)),
        ("2026-01-02T08:00:00Z", date(2026, 1, 2)),
    ],
)
def test_the_pacific_day_of_a_moment(end_time: str, day: date) -> None:
    parsed = moment(end_time)
    assert parsed is not None
    assert parsed.tzinfo is UTC
    assert pacific_day(parsed) == day


def test_midnights_on_both_sides_of_the_clock_changes() -> None:
    assert midnight(date(2026, 3, 9)) - midnight(date(2026, 3, 8)) == 23 * 3600
    assert midnight(date(2026, 11, 2)) - midnight(date(2026, 11, 1)) == 25 * 3600
    assert datetime.fromtimestamp(midnight(date(2026, 1, 2)), UTC) == datetime(2026, 1, 2, 8, tzinfo=UTC)
