"""The metrics sent for a judged day, by provider."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from include.social_analytics import telemetry


@pytest.fixture
def gauges(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, float, dict[str, str]]]:
    told: list[tuple[str, float, dict[str, str]]] = []

    def gauge(name: str, value: float, **options: Any) -> None:
        told.append((name, value, options["tags"]))

    monkeypatch.setattr(telemetry.stats, "gauge", gauge)
    return told


def test_a_judged_day_is_reported_by_provider(gauges) -> None:
    end, on_time = (datetime(2026, 11, day, 8, tzinfo=UTC) for day in (21, 22))
    telemetry.day_checked("facebook", ratio=0.75, failed_for_owner=3, day_end=end, on_time_until=on_time)
    tags = {"provider": "facebook"}
    assert gauges == [
        ("social_analytics.coverage", 0.75, tags),
        ("social_analytics.failed_for_owner", 3, tags),
        ("social_analytics.newest_complete_day.end", int(end.timestamp()), tags),
        ("social_analytics.on_time_until", int(on_time.timestamp()), tags),
    ]


def test_a_provider_without_a_complete_day_reports_none(gauges) -> None:
    on_time = datetime(2026, 11, 21, 8, tzinfo=UTC)
    telemetry.day_checked("youtube", ratio=0, failed_for_owner=0, day_end=None, on_time_until=on_time)
    assert [name for name, _, _ in gauges] == [
        "social_analytics.coverage",
        "social_analytics.failed_for_owner",
        "social_analytics.on_time_until",
    ]
