"""Hostile JSON values become our types, or None."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from include.social_analytics.connectors.facebook.values import amount, midnight, moment, pacific_day, text


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("123", 123),
        ("0", 0),
        ("1.5", Decimal("1.5")),
        ('{"like": 3, "love": 4}', 7),
        ('{"paid": {"0": 1, "1": 2}, "organic": 4}', 7),
        ('{"like": 0}', 0),
        ("null", None),
        ("NaN", None),
        ("Infinity", None),
        ("-Infinity", None),
        ("1e400", None),
        ("9" * 400, None),
        ('"123"', None),
        ("true", None),
        ("[1, 2]", None),
        # An empty object names no type; it does not say zero.
        ("{}", None),
        ('{"a": {}}', None),
        # Without one part the sum would be too small.
        ('{"like": 3, "love": null}', None),
        ('{"like": 3, "love": NaN}', None),
        ('{"a": {"b": {"c": 1}}}', None),
    ],
)
def test_amounts(source: str, expected: object) -> None:
    result = amount(json.loads(source))
    assert result == expected
    assert result is None or isinstance(result, Decimal)


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


@pytest.mark.parametrize(
    "value",
    [
        None,
        1767340800,
        "",
        "soon",
        "2026-01-02T08:00:00",
        "0001-01-01T00:00:00+0000",
        "9999-12-31T23:59:59-1200",
        {},
    ],
)
def test_what_is_no_moment_is_none(value: object) -> None:
    assert moment(value) is None


def test_midnights_on_both_sides_of_the_clock_changes() -> None:
    assert midnight(date(2026, 3, 9)) - midnight(date(2026, 3, 8)) == 23 * 3600
    assert midnight(date(2026, 11, 2)) - midnight(date(2026, 11, 1)) == 25 * 3600
    assert datetime.fromtimestamp(midnight(date(2026, 1, 2)), UTC) == datetime(2026, 1, 2, 8, tzinfo=UTC)


def test_text_is_what_postgres_can_store() -> None:
    assert text("a\x00b\ud800c", 10) == "ab?c"
    assert text("abc", 2) == "ab"
    assert text("\x00", 2) is None
    assert text(5, 2) is None
