"""Reads values from an API's JSON. Any field may hold anything; an unusable value becomes None."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

_LARGEST_COUNT = 10**18


def moment(value: object) -> datetime | None:
    """A moment such as ``2026-01-02T08:00:00+0000``, in UTC."""
    if not isinstance(value, str):
        return None
    try:
        parsed = datetime.fromisoformat(value)
    except ValueError:
        return None
    if parsed.tzinfo is None or not 2000 <= parsed.year <= 2200:
        return None
    return parsed.astimezone(UTC)


def amount(value: object) -> Decimal | None:
    """A number, or the sum of an object's numbers, one level of nesting included.

    If a part of an object is no number, the result is None: a sum without that part would be too small.
    An empty object gives None, too: it has no parts, which is not the same as zero.
    """
    if isinstance(value, dict):
        parts = [
            part
            for entry in value.values()
            for part in (list(entry.values()) or [None] if isinstance(entry, dict) else [entry])
        ]
        numbers = [number for part in parts if (number := _number(part)) is not None]
        return sum(numbers, Decimal()) if numbers and len(numbers) == len(parts) else None
    return _number(value)


def text(value: object, max_length: int) -> str | None:
    """A text that Postgres can store: without NUL, in valid UTF-8, cut to ``max_length``."""
    if not isinstance(value, str):
        return None
    return value.replace("\x00", "").encode(errors="replace").decode()[:max_length] or None


def at(value: object, *path: str) -> object:
    """The value at ``path`` in nested objects; None where the path ends early."""
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def objects(value: object) -> list[dict[str, object]]:
    """The objects in a list; empty when ``value`` is not a list."""
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def _number(value: object) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    # This comparison is also false for NaN and infinity.
    return Decimal(str(value)) if abs(value) <= _LARGEST_COUNT else None
