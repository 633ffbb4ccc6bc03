"""Reading a listing to its end: https://developers.facebook.com/docs/graph-api/results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from include.social_analytics.errors import ErrorCode, JobError
from include.social_analytics.graph_api.client import GraphClient
from include.social_analytics.http.failures import TooMuchData

log = structlog.get_logger(__name__)

#: The most that the API allows.
PAGE_SIZE = 100
#: Far more than four weeks of any page: it stops a listing that never ends.
MAX_PAGES = 500
#: The most bytes of one listing: several listings are in memory at once.
MAX_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class Listing:
    """The items, as they came; ``complete`` says whether the listing was read to its end."""

    items: tuple[object, ...]
    complete: bool


def items_of(body: dict[str, Any]) -> list[object]:
    """A list answer's ``data``.

    :raises JobError: ``response_invalid`` when there is none.
    """
    items = body.get("data")
    if not isinstance(items, list):
        raise JobError(ErrorCode.RESPONSE_INVALID, "The API's answer has no list in its field data.")
    return items


def read_listing(
    client: GraphClient,
    path: Sequence[str],
    *,
    max_pages: int = MAX_PAGES,
    max_bytes: int = MAX_BYTES,
    **params: str | int,
) -> Listing:
    """Every item of a listing, page by page.

    A short or even empty page may have a next one, so only a missing ``paging.next`` is the end. It
    is never followed as a URL: it holds a token, and could name any host. If a page is too large for
    the server, this page and all later ones are asked for with half the size.

    :raises JobError: what any of the requests raises.
    """
    items: list[object] = []
    limit = PAGE_SIZE
    position: dict[str, str] = {}
    seen: set[str] = set()
    before = client.bytes_received
    for _ in range(max_pages):
        while True:
            try:
                body = client.get(*path, limit=limit, **params, **position)
                break
            except TooMuchData:
                if limit == 1:
                    raise
                limit //= 2
        items += items_of(body)
        paging = body.get("paging") or {}
        if isinstance(paging, dict) and paging.get("next") is None:
            return Listing(tuple(items), complete=True)
        cursors = paging.get("cursors") if isinstance(paging, dict) else None
        after = cursors.get("after") if isinstance(cursors, dict) else None
        if not isinstance(after, str) or after in seen:
            log.warning("listing broken off", reason="no cursor for the next page, or one seen before")
            return Listing(tuple(items), complete=False)
        if client.bytes_received - before > max_bytes:
            log.warning("listing broken off", reason="too many bytes", bytes=max_bytes)
            return Listing(tuple(items), complete=False)
        seen.add(after)
        position = {"after": after}
    log.warning("listing broken off", reason="too many pages", pages=max_pages)
    return Listing(tuple(items), complete=False)
