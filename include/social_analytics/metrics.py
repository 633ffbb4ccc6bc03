"""The catalogue: our metrics, the same for every provider.

A provider's declaration (``connectors/<name>/__init__.py``) says which of them it has and what it calls them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """How a metric adds up.

    A ``flow`` happened during the day and is summed. A ``gauge`` stood at the end of the day and
    is summed as of the day. A ``unique`` counts accounts once per channel: a sum over channels counts
    people twice, so that sum goes by another name.
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
        """What the organization's figure is called: unique counts do not add up, and say so."""
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
        Metric("followers", Kind.GAUGE, "accounts"),
        Metric("page_views", Kind.FLOW, "count"),
        Metric("posts_published", Kind.FLOW, "posts"),
    )
}

#: Lifetime totals of one piece of content, as they stood when read.
CONTENT_METRICS: tuple[str, ...] = ("views", "reach", "clicks", "reactions", "comments", "shares")
