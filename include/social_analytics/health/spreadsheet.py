"""CSV for people who open it in a spreadsheet."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from datetime import date
from io import StringIO

from fastapi import Response

#: A spreadsheet runs a cell that begins with one of these (OWASP, "CSV Injection").
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def csv_file(name: str, day: date, header: Sequence[str], rows: Iterable[Sequence[object]]) -> Response:
    """A download ``social-analytics-<name>-<day>.csv``, in UTF-8 with a byte order mark for Excel.

    Text that a spreadsheet would run as a formula gets an apostrophe in front. Numbers stay numbers.
    """
    text = StringIO()
    writer = csv.writer(text)
    writer.writerow(header)
    writer.writerows([_harmless(value) for value in row] for row in rows)
    return Response(
        text.getvalue().encode("utf-8-sig"),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="social-analytics-{name}-{day}.csv"'},
    )


def _harmless(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
