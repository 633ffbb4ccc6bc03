"""The periods of reports: weeks from Monday to Sunday, and calendar months."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

_ONE_DAY = timedelta(days=1)


class PeriodKind(StrEnum):
    """How long a period is."""

    WEEK = "week"
    MONTH = "month"


@dataclass(frozen=True)
class Period:
    """The days from ``first`` to ``last``. ``name`` sorts by time within its kind: 2026-W47, 2026-11."""

    kind: PeriodKind
    first: date
    last: date

    @property
    def name(self) -> str:
        """For files and links."""
        if self.kind is PeriodKind.MONTH:
            return f"{self.first:%Y-%m}"
        year, week, _ = self.first.isocalendar()
        return f"{year}-W{week:02}"

    @property
    def title(self) -> str:
        """For people."""
        if self.kind is PeriodKind.MONTH:
            return f"{self.first:%B %Y}"
        return f"Week of {self.first.day} {self.first:%B %Y}"

    @property
    def days(self) -> int:
        """How many days it has."""
        return (self.last - self.first + _ONE_DAY).days


def latest(kind: PeriodKind, until: date) -> Period:
    """The latest period whose last day is not after ``until``."""
    begin = _BEGINS[kind]
    # The period that holds the next day is the first one that has not ended.
    last = begin(until + _ONE_DAY) - _ONE_DAY
    return Period(kind, begin(last), last)


def ending_on(day: date) -> list[Period]:
    """The periods whose last day is ``day``: none on most days."""
    return [period for kind in PeriodKind if (period := latest(kind, day)).last == day]


_BEGINS: dict[PeriodKind, Callable[[date], date]] = {
    PeriodKind.WEEK: lambda day: day - timedelta(days=day.weekday()),
    PeriodKind.MONTH: lambda day: day.replace(day=1),
}
