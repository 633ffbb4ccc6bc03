"""What every provider's connector must do, and the shape of what it brings back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Protocol
from zoneinfo import ZoneInfo


@dataclass(frozen=True)
class Account:
    """What a connector needs to call the provider for one integration.

    ``provider_account_id`` is Postiz's ``internalId``. The token never shows in a repr.
    """

    integration_id: str
    provider_account_id: str
    token: str = field(repr=False)


@dataclass(frozen=True)
class Window:
    """The days to read: ``day`` and the look-back before it; posts go further back."""

    day: date
    lookback_days: int
    post_window_days: int

    @property
    def days(self) -> tuple[date, ...]:
        """Every day whose metrics are read, oldest first, ``day`` last."""
        return tuple(self.day - timedelta(days=n) for n in range(self.lookback_days, -1, -1))

    @property
    def first_post_day(self) -> date:
        """The first day whose posts are read (``post_window_days`` days with ``day`` as the last)."""
        return self.day - timedelta(days=self.post_window_days - 1)


@dataclass(frozen=True)
class Content:
    """A post, reel, story or video, with its lifetime totals as they stood when read.

    ``also_known_as`` holds other ids under which Postiz may have recorded it.
    ``metrics`` maps names of ``CONTENT_METRICS`` to totals; one that the API gave no
    number for is ``None``, one that could not be asked for is absent.
    """

    content_id: str
    published_at: datetime
    kind: str
    message: str | None
    permalink: str | None
    also_known_as: tuple[str, ...] = ()
    metrics: Mapping[str, Decimal | None] = field(default_factory=dict)


@dataclass(frozen=True)
class UnsupportedMetric:
    """A metric that the API refused, by the provider's own name for it."""

    api_version: str
    source_metric: str
    reason: str


class DayStatus(StrEnum):
    """What a complete answer says about a day."""

    SUCCEEDED = "succeeded"
    NO_DATA = "no_data"
    PENDING = "pending"


@dataclass(frozen=True)
class Reading:
    """What a provider answered for one account and window.

    ``series`` maps our metric names to the days the API named, with their values (``None`` where
    it named the day without a usable number); a metric that failed or that the answer lacks is
    absent, and all are absent when the API has no insights for the account. ``posts_published``
    counts the window's days, 0 included, and is ``None`` when the listing could not be read to
    its end.
    """

    window: Window
    series: Mapping[str, Mapping[date, Decimal | None]]
    posts_published: Mapping[date, int] | None
    content: tuple[Content, ...]
    unsupported: tuple[UnsupportedMetric, ...] = ()

    def has_day(self, day: date) -> bool:
        """Whether any series names ``day``."""
        return any(day in values for values in self.series.values())

    @property
    def status(self) -> DayStatus:
        """The status of the window's day (DESIGN: "A job's status")."""
        if not self.series:
            return DayStatus.NO_DATA
        return DayStatus.SUCCEEDED if self.has_day(self.window.day) else DayStatus.PENDING


class Reader(Protocol):
    """Reads one account. Used by one thread at a time."""

    @property
    def http_calls(self) -> int:
        """Requests sent so far, retries included; true also after a failure."""

    def read(self, window: Window) -> Reading:
        """Read the account's metrics and content.

        :raises JobError: classified; nothing else is raised for what the API or network does.
        """


class Connector(Protocol):
    """A provider. One object serves a whole task and is shared by its threads."""

    provider: str
    #: The zone whose calendar day the provider's figures cover.
    timezone: ZoneInfo

    def reader(self, account: Account) -> Reader:
        """A reader for one account; makes no call yet."""
