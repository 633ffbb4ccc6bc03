"""The catalogue: our metrics, the same for every provider.

A provider's declaration (``connectors/<name>/__init__.py``) says which of them it has and what it calls them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """How a metric adds up.

    A ``flow`` counts what happened during the day; it is summed. A ``gauge`` is a level at the end of the
    day; its sum is as of that day. A ``unique`` counts each account once per channel: a sum over channels
    may count a person twice, so the sum has another name.
    """

    FLOW = "flow"
    GAUGE = "gauge"
    UNIQUE = "unique"


@dataclass(frozen=True)
class Metric:
    """A daily metric of an integration."""

    name: str
    kind: Kind
    unit: str

    @property
    def organization_name(self) -> str:
        """The name of the organization's figure. A sum of unique counts has a name that says so."""
        return f"{self.name}_summed" if self.kind is Kind.UNIQUE else self.name


#: By name, in the order in which people read them.
DAILY_METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("views", Kind.FLOW, "count"),
        Metric("reach", Kind.UNIQUE, "accounts"),
        Metric("engagements", Kind.FLOW, "count"),
        Metric("follows", Kind.FLOW, "count"),
        Metric("unfollows", Kind.FLOW, "accounts"),
        Metric("net_follows", Kind.FLOW, "accounts"),
        Metric("followers", Kind.GAUGE, "accounts"),
        Metric("page_views", Kind.FLOW, "count"),
        Metric("posts_published", Kind.FLOW, "posts"),
        Metric("reactions", Kind.FLOW, "count"),
        Metric("comments", Kind.FLOW, "count"),
        Metric("shares", Kind.FLOW, "count"),
        Metric("clicks", Kind.FLOW, "count"),
        Metric("outbound_clicks", Kind.FLOW, "count"),
        Metric("saves", Kind.FLOW, "count"),
        Metric("watch_minutes", Kind.FLOW, "minutes"),
        Metric("engaged_views", Kind.FLOW, "count"),
    )
}

#: Lifetime totals of one piece of content, as they stood when read.
CONTENT_METRICS: tuple[str, ...] = ("views", "reach", "clicks", "reactions", "comments", "shares", "saves")
