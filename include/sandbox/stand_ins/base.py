"""What a provider's stand-in declares about itself."""

from __future__ import annotations

import json
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from include.sandbox.serving import Api

#: The demo's organizations, id -> name. Every stand-in gives some of them accounts.
DEMO_ORGANIZATIONS: Mapping[str, str] = {
    "northwind-bakery": "Northwind Bakery",
    "harbour-books": "Harbour Books",
    "riverside-museum": "Riverside Museum",
    "lakeside-sports": "Lakeside Sports Club",
}


class Account(Protocol):
    """A made-up account: what Postiz knows of it."""

    @property
    def id(self) -> str:
        """The provider's id of the account, Postiz's ``internalId``."""

    @property
    def name(self) -> str:
        """Its name for people."""

    @property
    def identifier(self) -> str:
        """Postiz's ``providerIdentifier``."""

    @property
    def token(self) -> str:
        """The content of Postiz's token column."""


@dataclass(frozen=True)
class DemoAccount:
    """An account of the demo, which becomes a channel of one of ``DEMO_ORGANIZATIONS``.

    ``posts`` are the release ids of the posts that were made in Postiz, newest first.
    ``columns`` override columns of Postiz's table "Integration".
    """

    organization_id: str
    id: str
    name: str
    identifier: str
    token: str = field(repr=False)
    posts: tuple[str, ...] = ()
    columns: Mapping[str, object] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Demo:
    """A stand-in that knows the demo's accounts."""

    api: Api
    accounts: tuple[DemoAccount, ...]


@dataclass(frozen=True, kw_only=True)
class StandIn:
    """A stand-in for a provider's API, declared by its package under ``stand_ins/``.

    All other modules of the sandbox take what they need to know about a provider from here.
    """

    #: The provider's name, as in its own declaration.
    provider: str
    #: The function that makes its :class:`Demo`: ``module:function``, imported on use.
    demo: str
    #: The Airflow connections that lead to the stand-in at a URL: conn_id -> the connection's fields.
    connections: Callable[[str], Mapping[str, Mapping[str, object]]]

    def make_demo(self) -> Demo:
        """A new demo, not served yet."""
        made: Demo = pkgutil.resolve_name(self.demo)()
        return made

    def environment(self, url: str) -> dict[str, str]:
        """Its connections as Airflow reads them from the environment."""
        return {
            f"AIRFLOW_CONN_{conn_id.upper()}": json.dumps(fields)
            for conn_id, fields in self.connections(url).items()
        }
