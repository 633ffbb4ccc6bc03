"""The metrics that tasks send to StatsD or OpenTelemetry through Airflow. All their names are here.

Tags are few and have few values: ids of integrations and organizations are only in the log and the ledger.
If ``[metrics]`` is off, Airflow drops all metrics.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from airflow.sdk.observability import stats

if TYPE_CHECKING:
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
    """An ingest job ended, for good or for this try.

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


def api_usage(provider: str, percent: float) -> None:
    """How much of the app's quota is spent, as the API says: ``api.app_usage_percent``, by ``provider``."""
    stats.gauge(f"{_PREFIX}.api.app_usage_percent", percent, tags={"provider": provider})


def cooldown(provider: str, quota: str) -> None:
    """A cooldown starts: ``api.cooldowns``, by ``provider`` and ``quota`` (app, account)."""
    stats.incr(f"{_PREFIX}.api.cooldowns", tags={"provider": provider, "quota": quota})


def days_given_up(provider: str, count: int) -> None:
    """Pending days have failed, because no run reads them again: ``ingest.jobs``, with ``not_published``."""
    tags = {"provider": provider, "status": "failed", "error_code": "not_published"}
    stats.incr(f"{_PREFIX}.ingest.jobs", count, tags=tags)


def day_checked(
    provider: str, *, ratio: float, failed_for_owner: int, day_end: datetime | None, on_time_until: datetime
) -> None:
    """The newest full run was checked, for one provider.

    The gauges ``coverage`` (0 to 1), ``failed_for_owner`` (failures that only the channels' owners can
    resolve), ``newest_complete_day.end`` (not sent while there is none) and ``on_time_until``. A day that its
    provider has not published yet is not complete, but it is on time until its figures should be final. Both
    are seconds since 1970: moments and not ages, so they age even when nothing runs. All by ``provider``.

    Call it for every declared provider. One without channels gets 1.0, 0 and the end of the checked day. A
    gauge keeps its value until the next one: without this call, a provider whose last channel was removed
    would alarm for ever.

    :param day_end: of the newest complete day.
    :param on_time_until: the end of the last day that is not late.
    """
    tags = {"provider": provider}
    stats.gauge(f"{_PREFIX}.coverage", ratio, tags=tags)
    stats.gauge(f"{_PREFIX}.failed_for_owner", failed_for_owner, tags=tags)
    if day_end is not None:
        stats.gauge(f"{_PREFIX}.newest_complete_day.end", int(day_end.timestamp()), tags=tags)
    stats.gauge(f"{_PREFIX}.on_time_until", int(on_time_until.timestamp()), tags=tags)
