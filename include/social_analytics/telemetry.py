"""What tasks tell StatsD or OpenTelemetry, through Airflow's own metrics. Each metric has its name here.

Tags are few and have few values: an integration's or organization's id is for the log and the ledger.
Where ``[metrics]`` is off, Airflow drops all of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk.observability import stats

if TYPE_CHECKING:
    from datetime import datetime

    from include.social_analytics.errors import ErrorCode

_PREFIX = "social_analytics"


def job_ended(
    provider: str,
    status: str,
    *,
    seconds: float,
    http_calls: int,
    error_code: ErrorCode | None = None,
    metric_rows: int = 0,
    content_rows: int = 0,
) -> None:
    """An ingest job came to an end, for good or for this try.

    ``ingest.jobs`` counts them by ``provider``, ``status`` and ``error_code`` (``none`` without one);
    ``ingest.duration`` is each one's time in milliseconds; ``ingest.http_calls`` and ``ingest.rows`` (by
    ``kind``: metric, content) add up.
    """
    tags = {"provider": provider, "status": status, "error_code": str(error_code or "none")}
    stats.incr(f"{_PREFIX}.ingest.jobs", tags=tags)
    stats.timing(f"{_PREFIX}.ingest.duration", seconds * 1000, tags=tags)
    stats.incr(f"{_PREFIX}.ingest.http_calls", http_calls, tags={"provider": provider})
    for kind, rows in (("metric", metric_rows), ("content", content_rows)):
        stats.incr(f"{_PREFIX}.ingest.rows", rows, tags={"provider": provider, "kind": kind})


def job_waits(provider: str) -> None:
    """A job waits for the API's quota: ``ingest.throttled``, by ``provider``."""
    stats.incr(f"{_PREFIX}.ingest.throttled", tags={"provider": provider})


def api_usage(app_percent: float) -> None:
    """How much of the app's quota is spent, by the API's word: the gauge ``api.app_usage_percent``."""
    stats.gauge(f"{_PREFIX}.api.app_usage_percent", app_percent)


def cooldown(quota: str) -> None:
    """The API is left alone for a while: ``api.cooldowns``, by ``quota`` (app, page)."""
    stats.incr(f"{_PREFIX}.api.cooldowns", tags={"quota": quota})


def day_checked(provider: str, *, ratio: float, failed_for_owner: int, day_end: datetime | None) -> None:
    """The run of the latest due day over all integrations was judged; once for each provider.

    The gauges ``coverage`` (0 to 1), ``failed_for_owner`` (channels that only their owners can resolve) and
    ``newest_complete_day.end``: when that day ended, in seconds since 1970, unsaid while there is none. A
    moment and not an age, so that it grows old also when nothing runs any more.
    """
    tags = {"provider": provider}
    stats.gauge(f"{_PREFIX}.coverage", ratio, tags=tags)
    stats.gauge(f"{_PREFIX}.failed_for_owner", failed_for_owner, tags=tags)
    if day_end is not None:
        stats.gauge(f"{_PREFIX}.newest_complete_day.end", int(day_end.timestamp()), tags=tags)
