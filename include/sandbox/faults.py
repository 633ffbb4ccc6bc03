"""Faults of the stand-ins: how an API misbehaves, and which faults are active."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

#: What any HTTP server may do, for any API.
SERVER_FAULTS: Mapping[str, str] = {
    "html_503": "an HTML page, HTTP 503",
    "html_403": "a proxy's HTML page, HTTP 403",
    "json_404": "another server's JSON, HTTP 404",
    "hang": "no answer until the client gives up, a minute at most",
    "held": "the right answer, but not before the fault is cleared",
    "drip": "an answer that comes byte by byte for a minute",
    "empty_body": "HTTP 200 and nothing else",
    "truncated": "JSON that breaks off",
    "reset": "the connection is closed without an answer",
    "huge_body": "an answer of 256 MiB",
}


@dataclass(frozen=True)
class Fault:
    """How an API misbehaves. Each stand-in adds kinds of its own in a subclass.

    :param kind: one of ``KINDS``.
    :param times: how many requests it affects; all when ``None``.
    :param every: 3 affects only every third request.
    :raises ValueError: for a fault that would have no effect, such as a kind that does not exist.
    """

    #: Every kind of fault, and what it does.
    KINDS: ClassVar[Mapping[str, str]] = SERVER_FAULTS

    kind: str
    times: int | None = None
    every: int = 1

    def __post_init__(self) -> None:
        if self.kind not in self.KINDS:
            raise ValueError(f"There is no fault {self.kind!r}; there are {', '.join(self.KINDS)}.")
        if self.every < 1 or (self.times is not None and self.times < 1):
            raise ValueError("A fault's times and every are 1 or more.")


class Faults:
    """The active faults: at most one for each account, and one for the whole app. Thread-safe."""

    APP = "app"

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: dict[str, Fault] = {}
        self._asked: dict[str, int] = {}

    def set(self, account_id: str, fault: Fault) -> None:
        """Activate a fault for an account, or for ``Faults.APP``."""
        with self._lock:
            self._faults[account_id] = fault
            self._asked[account_id] = 0

    def clear(self, account_id: str) -> None:
        """End a fault."""
        with self._lock:
            self._faults.pop(account_id, None)

    def in_force(self, account_id: str) -> bool:
        """Whether a fault waits for an account's next request."""
        with self._lock:
            return account_id in self._faults

    def strike(self, account_id: str | None) -> Fault | None:
        """The fault for the next request about an account, if any: the app's before the account's."""
        with self._lock:
            for key in (self.APP, account_id):
                fault = self._faults.get(key) if key else None
                if key is None or fault is None:
                    continue
                self._asked[key] += 1
                if self._asked[key] % fault.every:
                    continue
                if fault.times is not None:
                    if fault.times <= 1:
                        del self._faults[key]
                    else:
                        self._faults[key] = replace(fault, times=fault.times - 1)
                return fault
            return None
