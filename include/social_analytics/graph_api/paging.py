"""Reading a listing to its end: https://developers.facebook.com/docs/graph-api/results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
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


#: An API that cannot give more items than this in full has another trouble than one bad item.
MAX_BARE_ITEMS = 3


@dataclass(frozen=True)
class Listing:
    """The items, as they came; ``complete`` says whether the listing was read to its end, ``error`` why not.

    ``bare`` holds items that the API gives only with few fields.
    """

    items: tuple[object, ...]
    complete: bool
    bare: tuple[object, ...] = ()
    error: JobError | None = field(default=None, compare=False)


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
    bare_fields: str | None = None,
    max_pages: int = MAX_PAGES,
    max_bytes: int = MAX_BYTES,
    next_may_be_missing: bool = False,
    **params: str | int,
) -> Listing:
    """Every item of a listing, page by page; whatever breaks it off, what came before stays.

    A short or even empty page may have a next one, so only a missing ``paging.next`` is the end. ``next``
    is never followed as a URL: it holds a token, and could name any host. If a page is too large for
    the server, this page and all later ones are asked for with half the size; if perhaps one of its items
    fails, with a tenth, because each failure has taken several tries.

    :param bare_fields: the ``fields`` to ask for when even a single item fails. Whole pages follow then.
    :param next_may_be_missing: for an API that leaves ``next`` out though there are more pages. There the end
        is a page that is empty, repeats the one before, or has no new cursor.
    :raises JobError: for a failure that is about the whole account (:attr:`ErrorCode.ends_reading`).
    """
    items: list[object] = []
    bare: list[object] = []
    limit = PAGE_SIZE
    is_bare = False
    position: dict[str, str] = {}
    seen: set[str] = set()
    previous: list[object] = []
    before = client.bytes_received

    def broken_off(error: JobError) -> Listing:
        log.warning("listing broken off", errorCode=error.code, reason=error.reason, items=len(items))
        return Listing(tuple(items), complete=False, bare=tuple(bare), error=error)

    def invalid(reason: str) -> Listing:
        return broken_off(JobError(ErrorCode.RESPONSE_INVALID, reason))

    pages = 0
    while pages < max_pages:
        fields = {"fields": bare_fields} if is_bare and bare_fields else {}
        try:
            body = client.get(*path, **{**params, **fields, **position, "limit": limit})
            found = items_of(body)
        except JobError as error:
            if error.code.ends_reading:
                raise
            if not may_be_one_item(error):
                return broken_off(error)
            if limit > 1:
                limit = max(limit // (2 if isinstance(error, TooMuchData) else 10), 1)
            elif bare_fields and not is_bare and len(bare) < MAX_BARE_ITEMS:
                is_bare = True
            else:
                return broken_off(error)
            continue
        pages += 1
        if is_bare:
            bare += found
            is_bare, limit = False, PAGE_SIZE
        else:
            items += found
        paging = body.get("paging") or {}
        cursors = paging.get("cursors") if isinstance(paging, dict) else None
        after = cursors.get("after") if isinstance(cursors, dict) else None
        is_new = isinstance(after, str) and after not in seen
        if isinstance(paging, dict) and paging.get("next") is None:
            if not (next_may_be_missing and found and found != previous and is_new):
                return Listing(tuple(items), complete=True, bare=tuple(bare))
        elif not is_new:
            return invalid("The listing has no cursor for its next page, or one seen before.")
        if client.bytes_received - before > max_bytes:
            return invalid(f"The listing is larger than {max_bytes} bytes.")
        previous = found
        seen.add(str(after))
        position = {"after": str(after)}
    return invalid(f"The listing has more than {max_pages} pages.")


def may_be_one_item(error: JobError) -> bool:
    """Whether a page may fail because of its size or of one item: then a smaller one may work.

    Meta answers code 1 ("An unknown error occurred") or 12 ("deprecated") to any page with such an item.
    """
    return (
        isinstance(error, TooMuchData)
        or error.provider_code == "12"
        or (error.provider_code == "1" and error.code is ErrorCode.API_UNAVAILABLE)
    )
