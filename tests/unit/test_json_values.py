"""Malformed JSON values become our types, or None."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from include.social_analytics.json_values import amount, moment, text


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
        # An empty object has no types; that is not zero.
        ("{}", None),
        ('{"a": {}}', None),
        # If one part is unknown, a sum would be too small.
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
def test_a_value_that_is_not_a_timestamp_is_none(value: object) -> None:
    assert moment(value) is None


def test_text_keeps_only_what_postgres_can_store() -> None:
    assert text("a\x00b\ud800c", 10) == "ab?c"
    assert text("abc", 2) == "ab"
    assert text("\x00", 2) is None
    assert text(5, 2) is None
