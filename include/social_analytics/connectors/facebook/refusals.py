"""What Meta refuses, and to whom."""

from __future__ import annotations

from include.social_analytics.connectors.reading import UnsupportedMetric, Window


def is_about_a_metric(reason: str) -> bool:
    """Whether a refusal is ``(#100) The value must be a valid insights metric``, which names no metric.

    Then Meta has no such metric, for any page.
    """
    return "insights metric" in reason


def withheld(window: Window, api_version: str) -> dict[str, UnsupportedMetric]:
    """The metrics that no page has, by Meta's name, with the refusal: they are not asked for this week."""
    return {
        one.source_metric: one
        for one in window.refused
        if one.api_version == api_version and is_about_a_metric(one.reason)
    }
