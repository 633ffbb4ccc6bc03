"""HTTP with an untrusted server: no redirects, no cookies, no query strings in logs, limited bodies."""

from __future__ import annotations

import logging
import re
import time
import zlib
from http.cookiejar import DefaultCookiePolicy

import requests

_CHUNK_BYTES = 64 * 1024
_LOGGERS = ("urllib3.connection", "urllib3.connectionpool", "urllib3.util.retry")


class ApiSession(requests.Session):
    """A session for one thread, which reuses its connections from one account to the next.

    Give each request an ``auth``: without one ``requests`` looks into ``.netrc``.
    """

    def __init__(self) -> None:
        super().__init__()
        # A cookie of one account's answer must not travel with another account's request.
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        # What read_body can decompress.
        self.headers["Accept-Encoding"] = "gzip"

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Always None. Else ``requests`` prepares the next request even if it does not follow the redirect:
        it reads the redirect's body, of any size, and raises for an invalid address."""


class BearerToken(requests.auth.AuthBase):
    """Puts the token into a header, where no log of URLs shows it.

    It is an ``auth`` and no plain header: a ``.netrc`` entry for the host would replace a plain header.
    """

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def read_body(response: requests.Response, *, deadline: float, limit: int) -> bytes | None:
    """The body, unzipped; None when it is larger than ``limit`` bytes.

    The response must be a stream. The request's timeout limits one wait for bytes. If a server sends the
    headers or the sizes of chunks very slowly, only ``http.client`` limits them, in bytes (64 KiB a line,
    100 headers): the task's own time limit ends such a wait.

    :param deadline: by ``time.monotonic``; no more bytes are read after it.
    :raises TimeoutError: when the body does not end before the deadline.
    :raises zlib.error: when it is not the gzip that its header says.
    :raises urllib3.exceptions.HTTPError: when the connection fails.
    """
    zipped = response.headers.get("Content-Encoding", "").strip().lower() in ("gzip", "x-gzip")
    # urllib3's own decoder reads until it has output. Slowly sent gzip may give none for ever.
    unzip = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS) if zipped else None
    body, received = bytearray(), 0
    while chunk := response.raw.read1(_CHUNK_BYTES, decode_content=False):
        received += len(chunk)
        body += unzip.decompress(chunk, limit + 1 - len(body)) if unzip else chunk
        if max(received, len(body)) > limit:
            return None
        if time.monotonic() > deadline:
            raise TimeoutError
    return bytes(body)


class _WithoutQueryStrings(logging.Filter):
    """urllib3 logs whole URLs (each at DEBUG, some as warnings), and a query string may hold a secret."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg = re.sub(r"\?\S+", "", record.getMessage())
        record.args = None
        return True


_WITHOUT_QUERY_STRINGS = _WithoutQueryStrings()


def hide_query_strings() -> None:
    """Keep query strings out of urllib3's log lines, in this process from now on. Safe to call twice."""
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_WITHOUT_QUERY_STRINGS)
