"""A report as one HTML file: styles and charts are inside, and it loads and runs nothing."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from jinja2 import Environment, StrictUndefined, Template

from include.social_analytics.health.answers import Number, Trend
from include.social_analytics.reports.chart import HEIGHT, WIDTH, chart_of
from include.social_analytics.reports.report import Report

#: The policy under which a server may show a report: nothing is loaded, and no script runs.
REPORT_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'"
)

_TEMPLATE = Path(__file__).parent / "report.html"


@cache
def _template() -> Template:
    # Names and messages come from Postiz and from the networks: all text is escaped.
    jinja = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    jinja.filters |= {"number": _number, "change": _change, "link": _link, "day": _day}
    return jinja.from_string(_TEMPLATE.read_text(encoding="utf-8"))


def as_html(report: Report) -> str:
    """The whole file."""
    return _template().render(
        report=report, chart_of=chart_of, compared=_compared, width=WIDTH, height=HEIGHT
    )


def _number(value: Number | None) -> str:
    return "\N{EN DASH}" if value is None else f"{value:,}"


def _change(change: float | None) -> str:
    return "" if change is None else f"{change:+.1%}"


def _day(day: object) -> str:
    return f"{day:%d %b}".lstrip("0")


def _link(url: str | None) -> str | None:
    """The address if it is one of the web: a post's permalink could hold a script."""
    return url if url and url.startswith("https://") else None


def _compared(figure: Trend, days: int) -> tuple[float | None, str]:
    """The change against the days before, and what exactly is compared, in words."""
    before = f"the {days} days before"
    if figure.like_for_like is not None and figure.like_for_like.change is not None:
        channels = figure.like_for_like.channels
        same = "the same channel" if channels == 1 else f"the same {channels} channels"
        return figure.like_for_like.change, f"{same}, against {before}"
    if figure.change is not None:
        return figure.change, f"against {before}"
    if not figure.total_is_complete or figure.previous is None:
        return None, "no comparison: days are incomplete"
    return None, f"{_number(figure.previous)} in {before}"
