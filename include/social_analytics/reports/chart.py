"""A figure's days as an SVG chart's coordinates: bars for what is counted, a line for a level."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from include.social_analytics.health.answers import Number, Trend
from include.social_analytics.metrics import Kind

#: The size of the drawing area, in the SVG's own units.
WIDTH, HEIGHT = 320, 90


@dataclass(frozen=True)
class Mark:
    """A day with a value: its bar, or its point at ``x + width / 2, y``. Incomplete days are hollow."""

    day: date
    value: Number
    complete: bool
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Chart:
    """``marks`` by day; ``base`` is the axis; ``lines``: each unbroken stretch of a level."""

    is_level: bool
    marks: Sequence[Mark]
    lines: Sequence[str]
    low: Number
    high: Number
    base: float


def chart_of(figure: Trend, days: Sequence[date]) -> Chart | None:
    """The chart, or ``None`` if no day has a value.

    Bars stand on zero. A level is drawn between its lowest and highest value: its changes are small.
    """
    known = [value for value in figure.values if value is not None]
    if not known:
        return None
    is_level = figure.kind is Kind.GAUGE
    low, high = (min(known), max(known)) if is_level else (min(0, *known), max(0, *known))
    step, scale = WIDTH / len(days), HEIGHT / ((high - low) or 1)

    def y(value: Number) -> float:
        return round(HEIGHT - (value - low) * scale, 1)

    marks = [
        Mark(
            day,
            value,
            complete,
            x=round(index * step + step * 0.1, 1),
            # A negative day hangs below zero.
            y=y(value) if is_level else min(y(value), y(0)),
            width=round(step * 0.8, 1),
            height=0 if is_level else round(abs(y(value) - y(0)), 1),
        )
        for index, (day, value, complete) in enumerate(zip(days, figure.values, figure.complete, strict=True))
        if value is not None
    ]
    return Chart(
        is_level, marks, _lines(marks, days) if is_level else [], low, high, HEIGHT if is_level else y(0)
    )


def _lines(marks: Sequence[Mark], days: Sequence[date]) -> list[str]:
    """One line for each stretch of days with values: a gap stays a gap."""
    by_day = {mark.day: mark for mark in marks}
    stretches: list[list[str]] = [[]]
    for day in days:
        if (mark := by_day.get(day)) is not None:
            stretches[-1].append(f"{mark.x + mark.width / 2:.1f},{mark.y}")
        elif stretches[-1]:
            stretches.append([])
    return [" ".join(points) for points in stretches if len(points) > 1]
