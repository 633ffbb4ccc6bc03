"""What a provider brings to the conformance suite: its case file, one module in ``cases/``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any, ClassVar

from include.sandbox.serving import Api
from include.sandbox.stand_ins.base import Account


class Situation(StrEnum):
    """What an account may be in. A case file answers each.

    What any server may do (hang, drip, answer garbage) is not here: every stand-in does it alike.
    """

    QUIET = "nothing happened on the day"
    PENDING = "the day's figures are not published yet"
    NO_DATA = "the provider has no figures for the account"
    RESTATED = "the provider has corrected the day before"
    REVOKED = "the token is revoked"
    PERMISSION = "the token lacks a permission"
    GONE = "the account is gone"
    THROTTLED = "the quota is spent"
    APP_OFF = "the app is switched off"
    DOWN = "the API answers each request with an error of its own, HTTP 500"
    PAGED = "the posts need several pages of a listing"
    HOSTILE_NEXT = "a listing leads to another host"


@dataclass(frozen=True)
class Arranged:
    """How the stand-in is brought into the situation; and the provider's own code, where that is an error."""

    bring_about: Callable[[Any], object]
    provider_code: str | None = None


@dataclass(frozen=True)
class Impossible:
    """The situation cannot exist for this provider, so no test of it runs for it."""

    reason: str


class Case(ABC):
    """One healthy account of a provider, its stand-in, and what must be stored of it.

    Days are the provider's. A case is made anew for each test; the stand-in's clock stands at ``now``.
    """

    provider: ClassVar[str]
    #: Requests that an ordinary day takes.
    calls_a_day: ClassVar[int]
    situations: ClassVar[Mapping[Situation, Arranged | Impossible]]

    #: Both are set by ``__init__``.
    api: Api
    account: Account

    @abstractmethod
    def __init__(self, now: datetime, day: date) -> None:
        """:param day: the latest day that is read."""

    @abstractmethod
    def figures(self, day: date) -> dict[str, int]:
        """What is stored of the account for a day: every declared metric but those told as of now."""

    def figures_now(self) -> dict[str, int]:
        """The metrics that the API tells as of now only."""
        return {}

    @abstractmethod
    def posts(self, first: date, last: date) -> dict[str, dict[str, int | None]]:
        """The account's posts of these days: id -> every metric that is stored of it."""

    def fault(self, kind: str, **how: Any) -> None:
        """Put a fault of the stand-in in force for the account."""
        self.api.faults.set(self.account.id, self.api.fault_type(kind, **how))


def fault(kind: str, provider_code: str | None = None, **how: Any) -> Arranged:
    """The situation is a fault of the stand-in."""
    return Arranged(lambda case: case.fault(kind, **how), provider_code)
