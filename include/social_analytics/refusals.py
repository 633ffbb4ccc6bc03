"""Why Postgres refused a connection: its SQLSTATE, which psycopg does not tell.

The server's words are in its own language (``lc_messages``). libpq knows the SQLSTATE too, but shows it only
at a verbosity that is to be set before connecting, by a function that psycopg does not wrap.
"""

from __future__ import annotations

import ctypes
import re
import select
import time
from functools import cache
from pathlib import Path

import psycopg
from psycopg import pq
from psycopg.conninfo import make_conninfo

#: Seconds to ask again.
_PATIENCE = 3

_PQERRORS_SQLSTATE = 3
_WAITING = (pq.PollingStatus.READING, pq.PollingStatus.WRITING)


def sqlstate_of(refused: psycopg.Error) -> str | None:
    """Connect once more as the attempt that failed, and return the SQLSTATE of the server's refusal.

    :returns: ``None`` when no server refuses this time, and where this psycopg does not bring its libpq.
    """
    libpq = _libpq()
    if libpq is None or refused.pgconn is None:
        return None
    given = {option.keyword.decode(): option.val.decode() for option in refused.pgconn.info if option.val}
    attempt = pq.PGconn.connect_start(make_conninfo(**given).encode())
    try:
        # Every implementation has it; psycopg's protocol for them leaves it out.
        pointer: int = attempt.pgconn_ptr  # type: ignore[attr-defined]
        libpq.PQsetErrorVerbosity(ctypes.c_void_p(pointer), _PQERRORS_SQLSTATE)
        deadline = time.monotonic() + _PATIENCE
        while attempt.status != pq.ConnStatus.BAD and (state := attempt.connect_poll()) in _WAITING:
            # Not select(): it knows only the first 1,024 descriptors of a process.
            server = select.poll()
            server.register(
                attempt.socket, select.POLLIN if state == pq.PollingStatus.READING else select.POLLOUT
            )
            if not server.poll(max(deadline - time.monotonic(), 0) * 1000):
                return None
        # "connection to server at … failed: FATAL:  28P01"
        found = re.search(r":\s+([0-9A-Z]{5})\s*$", attempt.get_error_message())
        return found[1] if found else None
    finally:
        attempt.finish()


@cache
def _libpq() -> ctypes.CDLL | None:
    """The libpq that psycopg has loaded. Another one must not touch its connections."""
    if pq.__impl__ != "binary":
        return None
    import psycopg_binary

    for path in Path(psycopg_binary.__file__).parent.parent.glob("psycopg_binary.libs/libpq-*"):
        library = ctypes.CDLL(str(path))
        if library.PQlibVersion() == pq.version():
            return library
    return None
