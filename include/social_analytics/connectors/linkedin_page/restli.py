"""Rest.li 2.0, LinkedIn's dialect of HTTP: https://linkedin.github.io/rest.li/spec/protocol.

Parentheses and commas structure a query, so they are not encoded. What stands between them is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Protocol
from urllib.parse import quote

from include.social_analytics.errors import ErrorCode, JobError
from include.social_analytics.json_values import at, objects

#: Far more than four weeks of any page: it stops a listing that never ends.
MAX_PAGES = 100
_ONE_DAY = timedelta(days=1)


class Client(Protocol):
    """What asks the API."""

    def get(self, *path: str, **params: str | int) -> dict[str, Any]:
        """The object at ``path``. Texts in ``params`` are encoded already."""


def encoded(text: str) -> str:
    """A text, such as a URN, as a value in a query."""
    return quote(text, safe="", errors="replace")


def list_of(texts: Iterable[str]) -> str:
    """Several texts as one value in a query."""
    return f"List({','.join(map(encoded, texts))})"


def each_day(first: date, last: date) -> str:
    """The value of ``timeIntervals`` for the figures of each day. Both ends are midnights in UTC."""
    start, end = _milliseconds(first), _milliseconds(last + _ONE_DAY)
    return f"(timeRange:(start:{start},end:{end}),timeGranularityType:DAY)"


def day_of(element: Mapping[str, object]) -> date | None:
    """The day that an element's ``timeRange`` covers; None if that is no day in UTC."""
    start, end = (moment_of(at(element, "timeRange", name)) for name in ("start", "end"))
    if start is None or end != start + _ONE_DAY or start.time() != time.min:
        return None
    return start.date()


def moment_of(milliseconds: object) -> datetime | None:
    """The moment, in UTC, that a number of milliseconds since 1970 means."""
    if isinstance(milliseconds, bool) or not isinstance(milliseconds, int):
        return None
    try:
        moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return moment if 2000 <= moment.year <= 2200 else None


def read_pages(
    client: Client, resource: str, question: Mapping[str, str], *, page_size: int | None = None
) -> Iterator[list[dict[str, object]]]:
    """The elements of a collection, page by page.

    The link to the next page is never followed: it could name any host. It only says that there is one. A
    full page may be followed by another one without such a link.

    :param question: the query, encoded already.
    :param page_size: of a listing. Statistics come in one page, and do not know the parameter.
    :raises JobError: as the client does; ``response_invalid`` for an answer that is no collection.
    """
    position = {} if page_size is None else {"start": 0, "count": page_size}
    for _ in range(MAX_PAGES):
        body = client.get(resource, **question, **position)
        elements = body.get("elements")
        if not isinstance(elements, list):
            raise JobError(ErrorCode.RESPONSE_INVALID, "The API's answer has no list in its field elements.")
        yield objects(elements)
        # The API may give fewer at once than it was asked for.
        count = at(body, "paging", "count")
        size = count if isinstance(count, int) and 0 < count <= (page_size or count) else len(elements)
        links = objects(at(body, "paging", "links"))
        is_full = page_size is not None and len(elements) >= size > 0
        if not is_full and all(link.get("rel") != "next" for link in links):
            return
        position = {"start": position.get("start", 0) + max(size, 1), "count": size or 1}
    raise JobError(ErrorCode.RESPONSE_INVALID, f"The listing has more than {MAX_PAGES} pages.")


def _milliseconds(day: date) -> int:
    return int(datetime.combine(day, time.min, UTC).timestamp()) * 1000
