"""The providers that can be read: each package in this folder declares one as its ``PROVIDER``.

Looking one up imports no HTTP client: a declaration names its connector, which is imported on use.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING

from include.social_analytics.errors import ErrorCode, JobError
from include.social_analytics.metrics import CONTENT_METRICS, DAILY_METRICS

if TYPE_CHECKING:
    from include.social_analytics.connectors.base import Provider
    from include.social_analytics.settings import Settings


@cache
def providers() -> Mapping[str, Provider]:
    """All providers by name, in the order of their names.

    :raises ValueError: for a declaration that contradicts another one or the catalogue of metrics.
    """
    packages = sorted(module.name for module in iter_modules(__path__) if module.ispkg)
    found: dict[str, Provider] = {}
    identifiers: set[str] = set()
    for package in packages:
        provider: Provider = import_module(f"{__name__}.{package}").PROVIDER
        if provider.name in found or not identifiers.isdisjoint(provider.identifiers):
            raise ValueError(f"{package}: another provider has its name or one of its identifiers.")
        unknown = {*provider.metrics}.difference(DAILY_METRICS)
        unknown |= {*provider.content_metrics}.difference(CONTENT_METRICS)
        if unknown:
            raise ValueError(f"{package}: not in the catalogue of metrics: {', '.join(sorted(unknown))}.")
        found[provider.name] = provider
        identifiers.update(provider.identifiers)
    return dict(sorted(found.items()))


def provider_named(name: str) -> Provider:
    """The provider called ``name``.

    :raises JobError: ``config_invalid`` where there is none.
    """
    if name not in providers():
        raise JobError(ErrorCode.CONFIG_INVALID, f"There is no connector for the provider {name!r}.")
    return providers()[name]


#: What to do about the owner's failures of many channels at once (``complete_days.COMMON_FAILURES``).
CHECK_WHAT_THEY_SHARE = "check the app at the provider, the connection's host, and any proxy on the way."


def advice_on(provider: str, code: ErrorCode, *, is_common: bool = False) -> str:
    """What to do about ``code``: the provider's advice, or the general one if the provider is gone.

    :param is_common: whether so many channels failed alike that the cause is not their owners.
    """
    if is_common:
        return f"So many channels failed alike that the cause is not their owners: {CHECK_WHAT_THEY_SHARE}"
    known = providers().get(provider)
    return known.advice_on(code) if known else code.advice


def lookback_days(settings: Settings) -> int:
    """Days before the run's day that a run's readings may write, over all providers."""
    return max(provider.lookback_days(settings) for provider in providers().values())


@dataclass(frozen=True)
class NotRead:
    """Why a provider is not read here: ``reason`` as the log counts it, ``words`` for people."""

    reason: str
    words: str


def not_read(settings: Settings) -> dict[str, NotRead]:
    """The providers that this deployment does not read, by name.

    The reasons: ``provider_off`` (``SOCIAL_ANALYTICS_PROVIDERS`` does not name it), ``no_connection`` (the
    Airflow connection that it requires is missing). A connection that is set but cannot be read is not
    missing: each job of the provider fails, and says so.
    """
    from include.social_analytics.airflow_compat import find_connection

    found: dict[str, NotRead] = {}
    for name, provider in providers().items():
        if settings.providers is not None and name not in settings.providers:
            words = f"{provider.title} is not read: SOCIAL_ANALYTICS_PROVIDERS does not name {name}."
            found[name] = NotRead("provider_off", words)
        elif conn_id := provider.required_connection:
            try:
                is_missing = find_connection(conn_id) is None
            except JobError:
                continue
            if is_missing:
                words = f"{provider.title} is not read: the Airflow connection {conn_id!r} is missing."
                found[name] = NotRead("no_connection", words)
    return found


def two_step_identifiers() -> list[str]:
    """Each ``providerIdentifier`` of Postiz whose channel is connected in two steps."""
    return [one for provider in providers().values() for one in provider.two_step_identifiers]


def names_by_identifier() -> dict[str, str]:
    """Postiz's ``providerIdentifier`` -> the provider's name."""
    return {
        identifier: provider.name for provider in providers().values() for identifier in provider.identifiers
    }
