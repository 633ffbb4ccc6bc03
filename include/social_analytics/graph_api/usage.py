"""How much of the quota is spent, from the headers of an answer.

https://developers.facebook.com/docs/graph-api/overview/rate-limiting. The headers are JSON with
percentages. They are missing at low use. Any value in them may have a wrong type.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

#: Longer than any quota's window (a rolling day), so a longer wait is a mistake.
MAX_WAIT = timedelta(hours=24)
_LOADS = ("call_count", "total_cputime", "total_time")


@dataclass(frozen=True)
class Usage:
    """Percentages of the quota (may exceed 100), and the waits that the API asks for; None if not given.

    ``regain_access`` is about the account's own quota; ``retry_after`` is HTTP's general header.
    """

    app_percent: float | None = None
    account_percent: float | None = None
    regain_access: timedelta | None = None
    retry_after: timedelta | None = None

    @property
    def wait(self) -> timedelta | None:
        """How long the API asks this account to wait."""
        return self.regain_access or self.retry_after

    @property
    def account_is_throttled(self) -> bool:
        """Whether the account's own quota is spent."""
        return self.regain_access is not None or (self.account_percent or 0) >= 100


def read_usage(headers: Mapping[str, str], account_id: str, use_case: str) -> Usage:
    """The usage in the headers of one answer, for the app and for the account that was asked about.

    :param headers: with case-insensitive keys, as ``requests`` gives them.
    :param use_case: the type that the entries about such accounts have ("pages").
    """
    own = _use_cases(headers.get("X-Business-Use-Case-Usage"), account_id, use_case)
    minutes = _highest(_number(entry.get("estimated_time_to_regain_access")) for entry in own)
    return Usage(
        app_percent=_load(_json_object(headers.get("X-App-Usage"))),
        account_percent=_highest(map(_load, [_json_object(headers.get("X-Page-Usage")), *own])),
        regain_access=_wait((minutes or 0) * 60),
        retry_after=_retry_after(headers.get("Retry-After", "")),
    )


def _use_cases(header: str | None, account_id: str, use_case: str) -> list[Mapping[str, object]]:
    """The entries of the use case: the account's own, or all if they are under the business's id."""
    by_id = _json_object(header)
    lists = [by_id[account_id]] if account_id in by_id else list(by_id.values())
    return [
        entry
        for entries in lists
        if isinstance(entries, list)
        for entry in entries
        if isinstance(entry, dict) and entry.get("type", use_case) == use_case
    ]


def _json_object(header: str | None) -> Mapping[str, object]:
    try:
        parsed = json.loads(header or "{}")
    except (ValueError, RecursionError):
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _load(entry: Mapping[str, object]) -> float | None:
    return _highest(_number(entry.get(load)) for load in _LOADS)


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1e9:
        return None
    return float(value)


def _highest(values: Iterable[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)


def _wait(seconds: float) -> timedelta | None:
    return min(timedelta(seconds=seconds), MAX_WAIT) if seconds > 0 else None


def _retry_after(header: str) -> timedelta | None:
    """``Retry-After``: seconds, or an HTTP date."""
    header = header.strip()
    if header.isascii() and header.isdigit():
        return _wait(float(header[:9]))
    try:
        due = parsedate_to_datetime(header)
        return _wait((due.replace(tzinfo=due.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
    except (ValueError, OverflowError):
        return None
