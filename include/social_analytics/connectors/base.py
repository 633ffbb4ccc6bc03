"""What a provider declares about itself, and what its connector must do."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TYPE_CHECKING, Protocol
from zoneinfo import ZoneInfo

from include.social_analytics.errors import ErrorCode

if TYPE_CHECKING:
    from include.social_analytics.connectors.reading import Reading, Window
    from include.social_analytics.settings import Settings


def one_secret(token: str) -> tuple[str, ...]:
    """The secrets of a provider whose token column holds just one token."""
    return (token,)


@dataclass(frozen=True, kw_only=True)
class Provider:
    """A network whose channels can be read, declared as data by its package under ``connectors/``.

    All other modules take what they need to know about a provider from here.
    """

    #: The name in tables, logs and metrics.
    name: str
    #: The name for people.
    title: str
    #: Every ``providerIdentifier`` that Postiz uses for it.
    identifiers: tuple[str, ...]
    #: Those of them whose channel is connected in two steps: first the user, then the account. Before the
    #: second step, Postiz has the user's id both as ``internalId`` and as ``rootInternalId``.
    two_step_identifiers: tuple[str, ...] = ()
    #: What the provider calls an account: a "page", a "channel".
    account: str
    #: The zone whose calendar day the daily figures cover.
    timezone: ZoneInfo
    #: Days after which the figures of a day no longer change: it is read again until then.
    final_after_days: int
    #: Days back that the API still answers for. New channels are read so far back, in a window that asks for
    #: no posts, and for nothing that takes a call a day (``reading.Window.of_past``). The connector splits it
    #: where the API limits a range.
    history_days: int
    #: Our daily metrics (``metrics.DAILY_METRICS``) and the provider's own names for them.
    metrics: Mapping[str, str]
    #: Our metrics of a post (``metrics.CONTENT_METRICS``) and the provider's own names for them.
    content_metrics: Mapping[str, str]
    #: Kinds of content that ``posts_published`` does not count.
    uncounted_kinds: tuple[str, ...] = ()
    #: Airflow connections that it uses. If one is missing, the provider's public API is called.
    connections: tuple[str, ...]
    #: That one of them without which the provider is not read.
    required_connection: str | None = None
    #: Where Postiz's refresh token is exchanged for an access token: the only address to which it goes. Only
    #: for a provider that does not rotate refresh tokens: with any other, Postiz would be cut off. A script
    #: lets the reader of Postiz's database read them: ``include/deploy/roles/postiz_reader_<name>.sql``.
    #: None: no refresh token is read.
    token_address: str | None = None
    #: The function that makes its :class:`Connector` from the settings: ``module:function``, imported on use.
    connector: str
    #: What to do about an error code, if that differs from the code's own advice.
    advice: Mapping[ErrorCode, str] = field(default_factory=dict)
    #: The secrets in Postiz's token column. Each is masked.
    secrets: Callable[[str], tuple[str, ...]] = one_secret
    #: For the docs: how long a token lives, and who renews it.
    access: str
    #: For the docs: how many calls the API allows.
    quota: str
    #: For the docs: how many calls an ordinary day of a channel takes.
    calls: str

    def advice_on(self, code: ErrorCode) -> str:
        """What to do about ``code``, for this provider."""
        return self.advice.get(code, code.advice)

    def lookback_days(self, settings: Settings) -> int:
        """Days before the run's day whose metrics are read again."""
        return min(max(settings.lookback_days, self.final_after_days), self.history_days - 1)

    def past_days(self, day: date, settings: Settings) -> tuple[date, ...]:
        """The days before ``day`` that a channel's first reading also brings, oldest first."""
        back = min(settings.history_days, self.history_days - 1)
        return tuple(day - timedelta(days=n) for n in range(back, 0, -1))

    def connect(self, settings: Settings) -> Connector:
        """The connector, for one task and all its threads; makes no call yet.

        :raises JobError: ``config_invalid`` for a connection that cannot be used.
        """
        made: Connector = pkgutil.resolve_name(self.connector)(settings)
        return made


@dataclass(frozen=True)
class Account:
    """What a connector needs to call the provider for one integration.

    ``identifier`` is Postiz's ``providerIdentifier``, ``provider_account_id`` its ``internalId``. The secrets
    never show in a repr. ``refresh_token`` is empty where Postiz has none, and where the provider does not
    declare a ``token_address``. Call ``mask`` with each secret that is made from these, before anything else
    sees it; any thread may.
    """

    integration_id: str
    identifier: str
    provider_account_id: str
    secrets: tuple[str, ...] = field(repr=False)
    refresh_token: str = field(default="", repr=False)
    mask: Callable[[list[str]], object] = field(default=lambda _: None, repr=False, compare=False)


class Reader(Protocol):
    """Reads one account. Used by one thread at a time."""

    @property
    def http_calls(self) -> int:
        """Requests sent so far, retries included; correct after a failure, too."""

    def read(self, window: Window) -> Reading:
        """Read the account's metrics and content.

        A call that fails costs only what it asked for (:func:`~.reading.costs_only`), unless it is the one
        that decides the day's status. What ``window.refused`` says no channel can have is not asked for.
        In a window that ``is_past``, neither posts nor values as of now are asked for.

        :raises JobError: for a failure of the API or the network that leaves the day without figures.
        """


class Connector(Protocol):
    """Calls one provider's API. One object serves a whole task and is shared by its threads."""

    def reader(self, account: Account) -> Reader:
        """A reader for one account; makes no call yet."""
