"""Made-up Pinterest accounts: their figures and pins are the same each time.

Nothing is stored. Every figure is computed from its account, metric and date.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import ClassVar

from include.sandbox import faults
from include.sandbox.faults import Faults

#: The metrics of a day with a typical size.
ACCOUNT_METRICS = {
    "ENGAGEMENT": 160,
    "IMPRESSION": 2600,
    "OUTBOUND_CLICK": 25,
    "PIN_CLICK": 95,
    "SAVE": 40,
}
#: The lifetime metrics of a pin, with the typical size for an old pin.
PIN_METRICS = {
    "impression": 900,
    "pin_click": 45,
    "clickthrough": 12,
    "reaction": 9,
    "comment": 2,
    "save": 18,
}
#: An account has the pins of so many days.
DAYS_OF_PINS = 120

_CREATIVE_TYPES = ("REGULAR", "REGULAR", "VIDEO", "REGULAR", "CAROUSEL")
_TITLES = (
    "Seven ideas for the weekend",
    "What we made this month",
    "Behind the scenes",
    "A quiet corner by the window",
    None,
)
_DESCRIPTIONS = ("Save it for later, and tell us how it went.", "More on our website.", None)


@dataclass(frozen=True)
class Account:
    """A Pinterest account and the token that its owner gave Postiz."""

    id: str
    name: str
    token: str = field(repr=False)
    #: Multiplies the number of pins.
    busy: int = 1
    #: Postiz's ``providerIdentifier``.
    identifier: str = "pinterest"


@dataclass(frozen=True)
class Pin:
    """An account's pin."""

    id: str
    account_id: str
    created_at: datetime
    creative_type: str
    title: str | None
    description: str | None


@dataclass(frozen=True)
class Fault(faults.Fault):
    """How Pinterest's API misbehaves.

    :param metric: the metric of ``metric_retired``.
    :param label: the ``data_status`` of ``labelled``.
    """

    KINDS: ClassVar[Mapping[str, str]] = {
        **faults.SERVER_FAULTS,
        "token_expired": "code 2, HTTP 401",
        "feature_closed": "code 3, HTTP 401",
        "app_not_approved": "code 3, HTTP 403, about the application",
        "account_gone": "code 50, HTTP 404",
        "throttled": "code 8, HTTP 429: the account's quota is back in 20 seconds",
        "app_throttled": "code 8, HTTP 429: the app's quota is back in six hours",
        "down": "code 12, HTTP 500",
        "personal": "a personal account: its analytics are refused, HTTP 403",
        "metric_retired": "a call that asks for ``metric`` is refused: code 1, HTTP 400",
        "processing": "a day that ended in the last 36 hours is labelled PROCESSING",
        "labelled": "each day is labelled ``label``",
        "no_business_yet": "each day is labelled BEFORE_BUSINESS_CREATED",
        "account_refused": "the account's profile is refused: code 3, HTTP 401",
        "pins_refused": "each listing is refused: code 3, HTTP 401",
        "pins_down": "each listing fails: code 12, HTTP 500",
        "lost_page": "a listing shows five pins at once; its second answer is refused: code 50, HTTP 404",
        "short_pages": "a listing shows five pins at once",
        "oldest_first": "a listing shows five pins at once, the oldest first",
        "shuffled": "a listing shows five pins at once, in no order",
        "empty_pages": "a listing shows five pins at once, then none, then the next five",
        "same_bookmark": "a listing shows five pins at once, with the same bookmark again and again",
        "endless": "a listing shows five pins at once; after its end it starts again, with new bookmarks",
        "foreign_next": "a listing leads to another host",
        "no_totals": "the pins have no metrics",
    }

    metric: str | None = None
    label: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.kind == "metric_retired") != (self.metric is not None):
            raise ValueError("A metric goes with metric_retired, and only with it.")
        if (self.kind == "labelled") != (self.label is not None):
            raise ValueError("A label goes with labelled, and only with it.")


class World:
    """Accounts by id, their figures, and the active faults."""

    def __init__(
        self, accounts: Iterable[Account], *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self.accounts = {account.id: account for account in accounts}
        self._by_token = {account.token: account for account in self.accounts.values()}
        self.now = now
        self.faults = Faults()
        self._percent: dict[tuple[str, date], int] = {}

    @property
    def today(self) -> date:
        """The date in UTC."""
        return self.now().astimezone(UTC).date()

    def account_of(self, token: str) -> Account | None:
        """The account whose token this is."""
        return self._by_token.get(token)

    def restate(self, account_id: str, day: date, percent: int) -> None:
        """Set a day's figures to ``percent`` of their usual value. At 0 the account has no pins."""
        self._percent[account_id, day] = percent

    def value(self, account_id: str, metric: str, day: date) -> int:
        """A metric of ``ACCOUNT_METRICS`` for a day in UTC."""
        scale = 20 + _number("size", account_id) % 180
        noise = 70 + _number("day", account_id, metric, day.isoformat()) % 60
        usual = ACCOUNT_METRICS[metric] * scale * noise // 10_000
        return usual * self._percent.get((account_id, day), 100) // 100

    def followers(self, account_id: str) -> int:
        """The number of followers now."""
        return 300 + _number("followers", account_id) % 4000 + (self.today - date(2024, 1, 1)).days

    def pins(self, account_id: str, first: date, last: date) -> list[Pin]:
        """An account's pins from ``first`` to ``last`` and before now, newest first."""
        now = self.now()
        first = max(first, self.today - timedelta(days=DAYS_OF_PINS))
        last = min(last, self.today)
        found = [
            pin
            for offset in range((last - first).days + 1)
            for pin in _pins_of_day(self.accounts[account_id], first + timedelta(days=offset))
            if pin.created_at <= now and self._percent.get((account_id, first + timedelta(days=offset))) != 0
        ]
        return sorted(found, key=lambda pin: pin.created_at, reverse=True)

    def pin_value(self, pin: Pin, metric: str) -> int:
        """A pin's lifetime total now. It grows more slowly as the pin ages."""
        hours = max((self.now() - pin.created_at).total_seconds() / 3600, 0)
        final = PIN_METRICS[metric] * (20 + _number(pin.id, metric) % 180) / 100
        return int(final * hours / (hours + 48))


def make_account(number: int, **overrides: object) -> Account:
    """The ``number``-th account: an 18-digit id, a name, and a token that looks like a real one."""
    account_id = f"7{number:017}"
    digest = "".join(hashlib.sha256(f"{part}:{account_id}".encode()).hexdigest() for part in range(2))
    account = Account(account_id, f"Studio {number}", f"pina_{digest.upper()[:90]}")
    return replace(account, **overrides)  # type: ignore[arg-type]


def _pins_of_day(account: Account, day: date) -> list[Pin]:
    seed = _number("pins", account.id, day.isoformat())
    pins = []
    count = (0, 1, 1, 1, 2, 3)[seed % 6] * account.busy
    for n in range(count):
        chance = _number(str(seed), str(n))
        pins.append(
            Pin(
                id=f"{account.id[-6:]}{day:%Y%m%d}{n:04}",
                account_id=account.id,
                # From 00:05 to 23:59: a day in another zone has other pins.
                created_at=datetime.combine(day, time(0, 5), UTC)
                + timedelta(seconds=(86_000 * n) // count + chance % 60),
                creative_type=_CREATIVE_TYPES[chance % len(_CREATIVE_TYPES)],
                title=_TITLES[chance // 8 % len(_TITLES)],
                description=_DESCRIPTIONS[chance // 64 % len(_DESCRIPTIONS)],
            )
        )
    return pins


def _number(*parts: str) -> int:
    return int.from_bytes(hashlib.blake2b("|".join(parts).encode(), digest_size=8).digest())
