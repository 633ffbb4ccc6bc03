"""The package's settings: environment variables ``SOCIAL_ANALYTICS_…``, read and checked here only.

A pydantic model without pydantic-settings: that import would add a third to the time to parse the DAG file.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, time, timedelta
from typing import Annotated, Any, get_args
from zoneinfo import ZoneInfo

from annotated_types import Ge, Le
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from include.social_analytics.connectors import providers

PREFIX = "SOCIAL_ANALYTICS_"


class SettingError(ValueError):
    """A setting has an invalid value; the message is one sentence that names the setting."""


@dataclass(frozen=True)
class Notifier:
    """An Airflow notifier: its class's path, and its arguments, which may use Jinja."""

    path: str
    arguments: Mapping[str, object]


@dataclass(frozen=True)
class _Wanted:
    """What a value must be, for the error text; the field's bounds are added."""

    words: str


def _whole_number(given: object) -> object:
    # pydantic alone also reads 1.0, 1_0 and +1.
    if isinstance(given, str) and not (given.isascii() and given.isdigit() and len(given) <= 9):
        raise ValueError
    return given


def _switch(given: object) -> object:
    # pydantic alone also reads 1, on and y.
    if isinstance(given, str) and given.lower() not in ("true", "false"):
        raise ValueError
    return given


def _seconds(given: object) -> object:
    try:
        return timedelta(seconds=float(given)) if isinstance(given, str) else given
    except OverflowError:
        raise ValueError from None


def _timezone(given: object) -> object:
    if isinstance(given, str):
        try:
            return ZoneInfo(given)
        except (KeyError, OSError):
            raise ValueError from None
    return given


def _time_of_day(given: object) -> object:
    if isinstance(given, str):
        given = time.fromisoformat(given)
        if given.tzinfo is not None:
            raise ValueError
    return given


def _minute_of_day(given: object) -> object:
    # Cron knows minutes, but no seconds.
    found = _time_of_day(given)
    if isinstance(found, time) and found != found.replace(second=0, microsecond=0):
        raise ValueError
    return found


def _day(given: object) -> object:
    return date.fromisoformat(given) if isinstance(given, str) else given


def _folder(given: object) -> object:
    if isinstance(given, str) and not (given.startswith("/") or "://" in given):
        raise ValueError
    return given


def _names(given: object) -> object:
    if not isinstance(given, str):
        return given
    names = tuple(name.strip() for name in given.split(",") if name.strip())
    if not names:
        raise ValueError
    return names


def _notifier(given: object) -> object:
    if not isinstance(given, str):
        return given
    try:
        said = json.loads(given)
        path, arguments = said["class"], said.get("arguments", {})
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise ValueError from None
    if not (isinstance(path, str) and "." in path and isinstance(arguments, dict)):
        raise ValueError
    return Notifier(path, arguments)


WholeNumber = Annotated[int, BeforeValidator(_whole_number), _Wanted("a whole number")]
Switch = Annotated[bool, BeforeValidator(_switch), _Wanted("true or false")]
Number = Annotated[float, Field(allow_inf_nan=False), _Wanted("a number")]
Seconds = Annotated[
    timedelta,
    BeforeValidator(_seconds),
    Field(ge=timedelta(0), le=timedelta(days=10_000)),
    _Wanted("a number of seconds"),
]
TimeOfDay = Annotated[time, BeforeValidator(_time_of_day), _Wanted("a time of day such as 02:00")]
MinuteOfDay = Annotated[
    time, BeforeValidator(_minute_of_day), _Wanted("a time of day in hours and minutes, such as 06:00")
]
# The bounds catch a mistyped year: catch-up would make hundreds of thousands of runs.
Day = Annotated[
    date,
    BeforeValidator(_day),
    Field(ge=date(2000, 1, 1), le=date(2200, 12, 31)),
    _Wanted("a date such as 2026-11-01"),
]
Zone = Annotated[
    ZoneInfo, BeforeValidator(_timezone), _Wanted("the name of a time zone such as America/Los_Angeles")
]
Folder = Annotated[str, BeforeValidator(_folder), _Wanted("an absolute path or a URL with a scheme")]
Names = Annotated[
    tuple[str, ...], BeforeValidator(_names), _Wanted("names of providers, separated by commas")
]
NotifierJson = Annotated[
    Notifier,
    BeforeValidator(_notifier),
    _Wanted('JSON such as {"class": "package.module.Notifier", "arguments": {"text": "..."}}'),
]


class Settings(BaseModel):
    """Every setting, documented in its field. A variable that is unset or empty keeps the default."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    timezone: Zone = Field(ZoneInfo("America/Los_Angeles"), description="The zone of `RUN_AT`.")
    run_at: TimeOfDay = Field(
        time(2, 0),
        description="When a day's run starts, once the day has ended for every provider.",
    )
    start_date: Day = Field(date(2026, 11, 1), description="The first day that catch-up runs.")
    lookback_days: WholeNumber = Field(
        3, ge=0, le=89, description="Minimum of days before the run's day whose metrics are read again."
    )
    post_window_days: WholeNumber = Field(
        28, ge=1, le=90, description="Days whose posts are read, the run's day included."
    )
    weekly_post_window_days: WholeNumber = Field(
        90,
        ge=1,
        le=90,
        description="Days whose posts are read once a week, on a weekday of each channel's own.",
    )
    providers: Names | None = Field(
        default=None,
        description="The providers to read, by name, separated by commas. Unset: all. The channels of the "
        "others are left out.",
    )
    history_days: WholeNumber = Field(
        90,
        ge=0,
        le=365,
        description="Days before a channel's first day that are read, once. At most what its provider has. "
        "0: none.",
    )
    max_mapped_tasks: WholeNumber = Field(
        200,
        ge=1,
        le=1000,
        description="Maximum of ingest tasks in a run; `[core] max_map_length`, if that is smaller. "
        "With more channels, each takes a batch.",
    )
    max_concurrent_tasks: WholeNumber = Field(16, ge=1, description="Ingest tasks at once, over all runs.")
    max_active_runs: WholeNumber = Field(3, ge=1, description="Scheduled and manual runs at once.")
    retry_delay: Seconds = Field(
        timedelta(seconds=120), description="Seconds before Airflow's first retry. Doubles with each."
    )
    max_retry_delay: Seconds = Field(
        timedelta(seconds=1800),
        description="Maximum of seconds before a retry. Also the wait for a quota if the API names no time.",
    )
    request_backoff: Number = Field(
        2.0, ge=0, le=3600, description="Seconds between the three tries of one request. Doubles."
    )
    request_timeout: Number = Field(
        30.0, ge=0.001, le=3600, description="Seconds to wait for the API to connect, and between two bytes."
    )
    min_coverage: Number = Field(
        0.5,
        ge=0,
        le=1,
        description="With less, the run is red. Jobs that only the channel's owner can resolve do not count.",
    )
    snapshot_retention_months: WholeNumber | None = Field(
        default=None, ge=1, le=1200, description="Full months of content snapshots to keep. Unset: all."
    )
    retention_months: WholeNumber | None = Field(
        default=None, ge=1, le=1200, description="Full months of everything to keep. Unset: all."
    )
    erase_after_days: WholeNumber = Field(
        30,
        ge=0,
        le=36_500,
        description="Days after which the names, texts and account ids of a channel are erased that was "
        "deleted in Postiz. Its figures stay.",
    )
    deletion_dry_run: Switch = Field(
        default=False, description="`true`: nothing is erased or deleted, and the log says what would be."
    )
    notifier: NotifierJson | None = Field(
        default=None, description="An Airflow notifier for alerts, as JSON. Unset: no alerts."
    )
    reports: Folder | None = Field(
        default=None,
        description="Where weekly and monthly reports go: a folder, or a URL such as "
        "`s3://aws_default@bucket/reports` of Airflow's object storage. Unset: none are made.",
    )
    deadline: MinuteOfDay | None = Field(
        default=None,
        description="In `TIMEZONE`, after `RUN_AT`: when to alert about a day whose run has not ended.",
    )

    @model_validator(mode="before")
    @classmethod
    def _without_blanks(cls, given: dict[str, Any]) -> dict[str, Any]:
        stripped = {name: value.strip() if isinstance(value, str) else value for name, value in given.items()}
        return {name: value for name, value in stripped.items() if value != ""}

    @classmethod
    def from_environment(cls) -> Settings:
        """Read every setting.

        :raises SettingError: names the first variable with an invalid value.
        """
        try:
            settings = cls.model_validate(
                {name: os.environ.get(f"{PREFIX}{name.upper()}", "") for name in cls.model_fields}
            )
        except ValidationError as error:
            raise SettingError(_sentence(error)) from None
        for name in settings.providers or ():
            if name not in providers():
                raise SettingError(
                    f"{PREFIX}PROVIDERS must be some of {', '.join(providers())}, separated by commas, "
                    f"not {name!r}."
                )
        if settings.deadline is not None and settings.deadline <= settings.run_at:
            raise SettingError(
                f"{PREFIX}DEADLINE must be later in the day than {PREFIX}RUN_AT ({settings.run_at:%H:%M}), "
                f"not {settings.deadline:%H:%M}."
            )
        return settings


def _sentence(error: ValidationError) -> str:
    """The error text for the first invalid setting."""
    first = error.errors()[0]
    name = str(first["loc"][0])
    field = Settings.model_fields[name]
    # For `T | None`, pydantic keeps the metadata of T inside the annotation.
    said = [*field.metadata, *(part for kind in get_args(field.annotation) for part in get_args(kind))]
    wanted = next(one.words for one in said if isinstance(one, _Wanted))
    if wanted.endswith("number"):
        bounds = [f"at least {one.ge}" for one in said if isinstance(one, Ge)]
        bounds += [f"at most {one.le}" for one in said if isinstance(one, Le)]
        wanted += f" of {' and '.join(bounds)}"
    # A notifier's arguments may hold a secret.
    shown = "" if name == "notifier" else f", not {first['input']!r}"
    return f"{PREFIX}{name.upper()} must be {wanted}{shown}."
