"""The catalogue: our metrics, the same for every provider, and what each provider calls them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """How a metric adds up.

    A ``flow`` happened during the day and is summed. A ``gauge`` stood at the end of the day and
    is summed as of the day. A ``unique`` counts accounts once per page: a sum over pages counts
    people twice, so that sum goes by another name.
    """

    FLOW = "flow"
    GAUGE = "gauge"
    UNIQUE = "unique"


@dataclass(frozen=True)
class Metric:
    """A daily metric of an integration; ``sources`` maps a provider to its own name for it."""

    name: str
    kind: Kind
    unit: str
    sources: Mapping[str, str]

    @property
    def organization_name(self) -> str:
        """What the organization's figure is called: unique counts do not add up, and say so."""
        return f"{self.name}_summed" if self.kind is Kind.UNIQUE else self.name


#: The source of a metric that is counted from the content listing rather than asked for.
COUNTED_FROM_CONTENT = "created_time"

POSTS_PUBLISHED = Metric("posts_published", Kind.FLOW, "posts", {"facebook": COUNTED_FROM_CONTENT})

DAILY_METRICS: tuple[Metric, ...] = (
    Metric("views", Kind.FLOW, "count", {"facebook": "page_media_view"}),
    Metric("reach", Kind.UNIQUE, "accounts", {"facebook": "page_total_media_view_unique"}),
    Metric("engagements", Kind.FLOW, "count", {"facebook": "page_post_engagements"}),
    Metric("follows", Kind.FLOW, "count", {"facebook": "page_daily_follows"}),
    Metric("unfollows", Kind.FLOW, "accounts", {"facebook": "page_daily_unfollows_unique"}),
    Metric("followers", Kind.GAUGE, "accounts", {"facebook": "page_follows"}),
    Metric("page_views", Kind.FLOW, "count", {"facebook": "page_views_total"}),
    POSTS_PUBLISHED,
)

#: Lifetime totals of one piece of content, as they stood when read.
CONTENT_METRICS: tuple[str, ...] = ("views", "reach", "clicks", "reactions", "comments", "shares")


def metrics_of(provider: str) -> tuple[Metric, ...]:
    """The daily metrics that ``provider`` has, in the catalogue's order."""
    return tuple(metric for metric in DAILY_METRICS if provider in metric.sources)
