"""The package's settings: environment variables ``SOCIAL_ANALYTICS_…``, read and checked here only."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, time, timedelta
from zoneinfo import ZoneInfo

PREFIX = "SOCIAL_ANALYTICS_"

#: Where the calendar day of Meta's figures ends.
LOS_ANGELES = ZoneInfo("America/Los_Angeles")


class SettingError(ValueError):
    """A setting has a value that it cannot have; the message is one sentence that names it."""


@dataclass(frozen=True)
class Notifier:
    """An Airflow notifier: its class's path, and its arguments, which may use Jinja."""

    path: str
    arguments: Mapping[str, object]


@dataclass(frozen=True)
class Settings:
    """What the README's settings table lists, with its defaults."""

    timezone: ZoneInfo = LOS_ANGELES
    run_at: time = time(2, 0)
    start_date: date = date(2026, 11, 1)
    lookback_days: int = 3
    post_window_days: int = 28
    max_mapped_tasks: int = 200
    max_concurrent_tasks: int = 16
    max_active_runs: int = 3
    retry_delay: timedelta = timedelta(seconds=120)
    max_retry_delay: timedelta = timedelta(seconds=1800)
    request_backoff: float = 2.0
    request_timeout: float = 30.0
    min_coverage: float = 0.5
    snapshot_retention_months: int | None = None
    notifier: Notifier | None = None
    deadline: time | None = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Settings:
        """Read every setting; one that is unset or empty keeps its default.

        :raises SettingError: naming the first variable that has an impossible value.
        """
        parsers: dict[str, Callable[[str], object]] = {
            "timezone": _timezone,
            "run_at": _time_of_day,
            "start_date": _date,
            "lookback_days": _whole_number(0, 89),
            "post_window_days": _whole_number(1, 90),
            "max_mapped_tasks": _whole_number(1, 1000),
            "max_concurrent_tasks": _whole_number(1),
            "max_active_runs": _whole_number(1),
            "retry_delay": lambda text: timedelta(seconds=_number(0)(text)),
            "max_retry_delay": lambda text: timedelta(seconds=_number(0)(text)),
            "request_backoff": _number(0),
            "request_timeout": _number(0.001),
            "min_coverage": _number(0, 1),
            "snapshot_retention_months": _whole_number(1, 1200),
            "notifier": _notifier,
            "deadline": _minute_of_day,
        }
        values: dict[str, object] = {}
        for name, parse in parsers.items():
            variable = PREFIX + name.upper()
            text = environment.get(variable, "").strip()
            if not text:
                continue
            try:
                values[name] = parse(text)
            except ValueError as error:
                # A notifier's arguments may hold a secret.
                shown = "" if name == "notifier" else f", not {text!r}"
                raise SettingError(f"{variable} must be {error}{shown}.") from None
        settings = cls(**values)  # type: ignore[arg-type]
        if settings.deadline is not None and settings.deadline <= settings.run_at:
            raise SettingError(
                f"{PREFIX}DEADLINE must be later in the day than {PREFIX}RUN_AT ({settings.run_at:%H:%M}), "
                f"not {settings.deadline:%H:%M}."
            )
        return settings


def _timezone(text: str) -> ZoneInfo:
    try:
        return ZoneInfo(text)
    except (KeyError, ValueError, OSError):
        raise ValueError("the name of a time zone such as America/Los_Angeles") from None


def _time_of_day(text: str) -> time:
    try:
        parsed = time.fromisoformat(text)
    except ValueError:
        raise ValueError("a time of day such as 02:00") from None
    if parsed.tzinfo is not None:
        raise ValueError("a time of day without a zone, such as 02:00")
    return parsed


def _minute_of_day(text: str) -> time:
    # As finely as cron tells time.
    parsed = _time_of_day(text)
    if parsed != parsed.replace(second=0, microsecond=0):
        raise ValueError("a time of day in hours and minutes, such as 06:00")
    return parsed


def _date(text: str) -> date:
    try:
        parsed = date.fromisoformat(text)
    except ValueError:
        parsed = None
    if parsed is None or not 2000 <= parsed.year <= 2200:
        raise ValueError("a date such as 2026-11-01")
    return parsed


def _notifier(text: str) -> Notifier:
    try:
        given = json.loads(text)
        path, arguments = given["class"], given.get("arguments", {})
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        path = arguments = None
    if not (isinstance(path, str) and "." in path and isinstance(arguments, dict)):
        raise ValueError('JSON such as {"class": "package.module.Notifier", "arguments": {"text": "..."}}')
    return Notifier(path, arguments)


def _whole_number(lowest: int, highest: int | None = None) -> Callable[[str], int]:
    wanted = f"a whole number of at least {lowest}" + (
        f" and at most {highest}" if highest is not None else ""
    )

    def parse(text: str) -> int:
        # Nine digits: far above any sensible number, far below what Python refuses to read.
        if not (text.isascii() and text.isdigit() and len(text) <= 9):
            raise ValueError(wanted)
        value = int(text)
        if value < lowest or (highest is not None and value > highest):
            raise ValueError(wanted)
        return value

    return parse


def _number(lowest: float, highest: float | None = None) -> Callable[[str], float]:
    wanted = f"a number of at least {lowest}" + (f" and at most {highest}" if highest is not None else "")

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            raise ValueError(wanted) from None
        # Written so that NaN fails too.
        if not (lowest <= value <= (highest if highest is not None else 1e9)):
            raise ValueError(wanted)
        return value

    return parse
