"""HTTP as an untrusted server needs it: bounded in time, no redirects, no cookies, no URLs in logs."""

from __future__ import annotations

import http.client
import io
import logging
import re
import socket
import time
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter

#: A timeout bounds one wait for bytes; this many of them bound the whole answer, however it drips.
DEADLINE_IN_TIMEOUTS = 4


class _UntilDeadline(io.RawIOBase):
    """Reads a socket until its timeout has passed ``DEADLINE_IN_TIMEOUTS`` times since the start."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._bytes = sock.makefile("rb", buffering=0)
        self._timeout = sock.gettimeout() or 60.0
        self._deadline = time.monotonic() + DEADLINE_IN_TIMEOUTS * self._timeout

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._socket.settimeout(min(self._timeout, left))
        return self._bytes.readinto(buffer)

    def close(self) -> None:
        self._bytes.close()
        super().close()


class _BoundedResponse(http.client.HTTPResponse):
    """Status line, headers and body share one deadline."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp.close()
        self.fp = io.BufferedReader(_UntilDeadline(sock))


class _HTTPConnection(urllib3.connection.HTTPConnection):
    response_class = _BoundedResponse


class _HTTPSConnection(urllib3.connection.HTTPSConnection):
    response_class = _BoundedResponse


class _HTTPPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _HTTPConnection


class _HTTPSPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _HTTPSConnection


_POOLS = {"http": _HTTPPool, "https": _HTTPSPool}


class _Adapter(HTTPAdapter):
    """Makes connections, direct or through a proxy, whose answers are bounded in time."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = _POOLS
        return manager


class GraphSession(requests.Session):
    """A session whose connections are reused from one account to the next; for one thread."""

    def __init__(self) -> None:
        super().__init__()
        # What one account's answer sets must not travel with another's request.
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        for scheme in ("http://", "https://"):
            self.mount(scheme, _Adapter())

    def get_redirect_target(self, resp: requests.Response) -> None:
        """None: to prepare the next request ``requests`` would read an unfollowed redirect's body, however
        large, and raise for an address that is none."""


class BearerToken(requests.auth.AuthBase):
    """Puts the token where no log of URLs sees it.

    As ``auth`` rather than as a header, since a ``.netrc`` entry for the host would replace the header.
    """

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class _WithoutQueryStrings(logging.Filter):
    """urllib3 logs whole targets (each at DEBUG, some as warnings), and ``appsecret_proof`` is in them."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg = re.sub(r"\?\S+", "", record.getMessage())
        record.args = None
        return True


for _name in ("urllib3.connection", "urllib3.connectionpool", "urllib3.util.retry"):
    logging.getLogger(_name).addFilter(_WithoutQueryStrings())
