"""The Pinterest connector: a call for the days, one for the account, and one for each 250 pins."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from decimal import Decimal

from include.social_analytics.airflow_compat import find_connection
from include.social_analytics.connectors.base import Account
from include.social_analytics.connectors.pinterest import PINTEREST_API, PROVIDER
from include.social_analytics.connectors.pinterest.analytics import read_analytics
from include.social_analytics.connectors.pinterest.client import PinterestClient
from include.social_analytics.connectors.pinterest.pins import read_pins
from include.social_analytics.connectors.reading import DayStatus, Reading, Window, costs_only, refusals
from include.social_analytics.cooldown import shared_cooldown
from include.social_analytics.errors import ErrorCode, JobError
from include.social_analytics.http.address import api_address
from include.social_analytics.http.client import Api
from include.social_analytics.json_values import amount
from include.social_analytics.settings import Settings

#: The ``account_type`` of a personal account.
PERSONAL = "PINNER"


def connect(settings: Settings) -> PinterestConnector:
    """The connector for Airflow's connection ``pinterest_api``; without one, for Pinterest's own host.

    :raises JobError: ``config_invalid`` when the connection is not usable.
    """
    base_url = api_address(PINTEREST_API, find_connection(PINTEREST_API), "api.pinterest.com")
    return PinterestConnector(
        Api(
            PROVIDER.name,
            base_url,
            account=PROVIDER.account,
            cooldown=shared_cooldown(PROVIDER.name, PINTEREST_API, base_url),
            request_timeout=settings.request_timeout,
            request_backoff=settings.request_backoff,
        )
    )


class PinterestConnector:
    """Makes readers of accounts. Thread-safe."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def reader(self, account: Account) -> PinterestReader:
        """A reader for one account; makes no call yet."""
        return PinterestReader(self._api, account)


class PinterestReader:
    """Reads one account. Used by one thread at a time."""

    def __init__(self, api: Api, account: Account) -> None:
        self._client = PinterestClient(api, account.secrets[0])

    @property
    def http_calls(self) -> int:
        """Requests made so far, retries included; correct after a failure, too."""
        return self._client.http_calls

    def read(self, window: Window) -> Reading:
        """The account's metrics and pins. The daily metrics decide the status. Others cost only themselves.

        :raises JobError: for a failure of the daily metrics, for a personal account, or for a failure that is
            about the whole account.
        """
        analytics = read_analytics(self._client, window, window.read_at.astimezone(UTC).date())
        missing: list[str] = []
        now: dict[str, Decimal | None] = {}
        account: Mapping[str, object] = {}
        if not window.is_past:
            with costs_only("The followers", missing):
                account = self._client.get("user_account")
                now["followers"] = amount(account.get(PROVIDER.metrics["followers"]))
        if account.get("account_type") == PERSONAL and DayStatus.SUCCEEDED not in analytics.days.values():
            raise JobError(ErrorCode.PERMISSION_MISSING, "The account is a personal one: it has no figures.")
        pins = read_pins(self._client, window)
        return Reading(
            window=window,
            days=analytics.days,
            series={**analytics.series, **pins.published},
            unread=analytics.unread,
            content=pins.content,
            now=now,
            unsupported=analytics.unsupported,
            missing=(*missing, *pins.missing, *refusals(analytics.unsupported + analytics.withheld)),
        )
