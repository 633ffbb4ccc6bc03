"""What a provider adds to the conformance suite: its case file, one module in ``cases/``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any, ClassVar

from include.sandbox.serving import Api
from include.sandbox.stand_ins.base import Account, Demo


class Situation(StrEnum):
    """A situation that an account can be in. A case file has an answer for each.

    What any server can do (hang, drip, answer garbage) is not here: every stand-in does it the same way.
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
    POSTS_REFUSED = "the posts are refused, the figures are not"
    POSTS_DOWN = "each listing of posts fails with HTTP 500, the figures are there"
    LOST_PAGE = "a listing says on its second page that the account is gone"
    RETIRED = "the API refuses each call that asks for the case's ``retired`` metric"


@dataclass(frozen=True)
class Arranged:
    """How to bring the stand-in into the situation, and the provider's own code if that is an error."""

    bring_about: Callable[[Any], object]
    provider_code: str | None = None


@dataclass(frozen=True)
class Impossible:
    """The situation cannot exist for this provider: its tests don't run."""

    reason: str


class Case(ABC):
    """One healthy account of a provider, its stand-in, and what must be stored.

    Days are in the provider's zone. Each test gets a new case. The stand-in's clock is fixed at ``now``.
    """

    provider: ClassVar[str]
    #: Requests for an ordinary day.
    calls_a_day: int
    #: Requests for the past of a new channel, ``Provider.history_days`` back.
    calls_of_the_past: ClassVar[int] = 1
    #: The metrics of the past, by our names: those that come for many days in one call. ``None``: all of
    #: :meth:`figures` but ``posts_published``.
    metrics_of_the_past: ClassVar[frozenset[str] | None] = None
    #: A daily metric by our name, for ``Situation.RETIRED``.
    retired: ClassVar[str]
    situations: ClassVar[Mapping[Situation, Arranged | Impossible]]

    #: ``__init__`` sets all three.
    api: Api
    world: Any
    account: Account
    #: Postiz's refresh token of the account. Most providers must never see it.
    refresh_token: str = "refresh-token-that-no-provider-needs-0123456789"

    @abstractmethod
    def __init__(self, now: datetime, day: date) -> None:
        """:param day: the latest day to read."""

    @classmethod
    def of_demo(cls, demo: Demo, account: Account, now: datetime, day: date) -> Case:
        """The case of a demo's account. ``calls_a_day`` and ``posts`` may be another account's."""
        case = cls(now, day)
        case.api, case.world, case.account = demo.api, demo.api.world, account
        return case

    @abstractmethod
    def figures(self, day: date) -> dict[str, int]:
        """The figures that must be stored for a day: every declared metric, except those as of now."""

    def figures_now(self) -> dict[str, int]:
        """The metrics that the API has only as of now."""
        return {}

    @abstractmethod
    def posts(self, first: date, last: date) -> dict[str, dict[str, int | None]]:
        """The account's posts of these days: id -> every metric that must be stored."""

    def fault(self, kind: str, **how: Any) -> None:
        """Set a fault of the stand-in for the account."""
        self.api.faults.set(self.account.id, self.api.fault_type(kind, **how))


def fault(kind: str, provider_code: str | None = None, **how: Any) -> Arranged:
    """The situation is a fault of the stand-in."""
    return Arranged(lambda case: case.fault(kind, **how), provider_code)
