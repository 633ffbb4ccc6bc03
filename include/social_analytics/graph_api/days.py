"""The days for which Meta counts its figures."""

from __future__ import annotations

from datetime import date, datetime, time
from zoneinfo import ZoneInfo

#: Meta computes the daily figures of every account for the calendar day in this zone.
PACIFIC = ZoneInfo("America/Los_Angeles")


def midnight(day: date) -> int:
    """When ``day`` begins for Meta, in unix seconds."""
    return int(datetime.combine(day, time(), PACIFIC).timestamp())


def pacific_day(instant: datetime) -> date:
    """The calendar day for which Meta counts ``instant``."""
    return instant.astimezone(PACIFIC).date()
