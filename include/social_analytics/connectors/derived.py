"""Metrics that are sums of an API's own: a declaration writes them "a+b"."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal


def parts_of(source: str) -> tuple[str, ...]:
    """The API's metrics whose sum a declared source is: "reposts+quotes" -> reposts, quotes."""
    return tuple(source.split("+"))


def metrics_of(sources: Iterable[str]) -> tuple[str, ...]:
    """The API's metrics that some declared sources need, each once."""
    return tuple(dict.fromkeys(part for source in sources for part in parts_of(source)))


def total_of(source: str, given: Mapping[str, Decimal | None]) -> Decimal | None:
    """The value of a declared source; None if one of its parts is.

    :raises KeyError: if one of its parts is not ``given``.
    """
    numbers = [given[part] for part in parts_of(source)]
    known = [number for number in numbers if number is not None]
    return sum(known, Decimal()) if len(known) == len(numbers) else None
