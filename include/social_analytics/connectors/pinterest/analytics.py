"""An account's daily metrics: https://developers.pinterest.com/docs/api/v5/user_account-analytics."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

import structlog

from include.social_analytics.connectors.pinterest import PROVIDER
from include.social_analytics.connectors.pinterest.client import VERSION, PinterestClient
from include.social_analytics.connectors.reading import DayStatus, UnsupportedMetric, Window
from include.social_analytics.errors import ErrorCode, JobError
from include.social_analytics.json_values import amount, at, objects

log = structlog.get_logger(__name__)

#: The API refuses a day further back.
MOST_DAYS_BACK = 90
#: Our metrics that the API has by day.
DAILY: Mapping[str, str] = {
    name: source for name, source in PROVIDER.metrics.items() if name not in ("followers", "posts_published")
}


@dataclass(frozen=True)
class AccountAnalytics:
    """Each day's status, and the figures of the days that the API calls ready.

    ``unread`` holds the days that lie further back than the API answers for. ``unsupported`` was refused now,
    ``withheld`` lately, and so it was not asked for.
    """

    days: Mapping[date, DayStatus]
    series: Mapping[str, Mapping[date, Decimal | None]]
    unread: frozenset[tuple[str, date]]
    unsupported: tuple[UnsupportedMetric, ...]
    withheld: tuple[UnsupportedMetric, ...]


def read_analytics(client: PinterestClient, window: Window, today: date) -> AccountAnalytics:
    """Every daily metric for the window's days, in one call.

    A metric that the API refuses by name is left out, and the others are asked for again.

    :param today: the date in UTC.
    :raises JobError: when the API refuses the call, or each metric.
    """
    oldest = today - timedelta(days=MOST_DAYS_BACK)
    # A day that is too old is asked for all the same if it is the window's: the API's refusal is the answer.
    days = [day for day in window.days if day >= oldest] or [window.day]
    withheld = tuple(
        one for one in window.refused if one.api_version == VERSION and one.source_metric in DAILY.values()
    )
    lately = {one.source_metric for one in withheld}
    asked = {name: source for name, source in DAILY.items() if source not in lately}
    refused: list[UnsupportedMetric] = []
    while True:
        try:
            body = client.get(
                "user_account",
                "analytics",
                start_date=days[0].isoformat(),
                end_date=days[-1].isoformat(),
                metric_types=",".join(asked.values()),
            )
            break
        except JobError as error:
            gone = [source for source in asked.values() if _refuses(error, source)]
            asked = {name: source for name, source in asked.items() if source not in gone}
            if not gone or not asked:
                raise
            log.warning("metrics refused, asking for the others", metrics=gone, reason=error.reason)
            refused += [UnsupportedMetric(VERSION, source, error.reason) for source in gone]
    found = _by_day(body, days)
    statuses = {day: _status(found.get(day)) for day in days}
    ready = [day for day in days if statuses[day] is DayStatus.SUCCEEDED]
    too_old = [day for day in window.days if day not in statuses]
    return AccountAnalytics(
        days=statuses | dict.fromkeys(too_old, DayStatus.NO_DATA),
        series={
            name: {day: amount(at(found[day], "metrics", source)) for day in ready}
            for name, source in asked.items()
        },
        unread=frozenset((name, day) for name in asked for day in too_old),
        unsupported=tuple(refused),
        withheld=withheld,
    )


def _refuses(error: JobError, metric: str) -> bool:
    """Whether the API refuses this metric by name.

    The message may list the metrics that there are: "'SAVE' is not one of ['ENGAGEMENT', …]".
    """
    named = re.split(r"\bone of\b", error.reason, maxsplit=1)[0]
    return error.code is ErrorCode.REQUEST_INVALID and re.search(rf"\b{metric}\b", named) is not None


def _by_day(body: Mapping[str, object], days: list[date]) -> dict[date, dict[str, object]]:
    """The answer's days, by the date that each bears.

    :raises JobError: ``response_invalid`` when the answer has no days.
    """
    answered = at(body, "all", "daily_metrics")
    if not isinstance(answered, list):
        raise JobError(ErrorCode.RESPONSE_INVALID, "The API's answer has no list in all.daily_metrics.")
    wanted = {day.isoformat(): day for day in days}
    found: dict[date, dict[str, object]] = {}
    for item in objects(answered):
        if (day := wanted.get(str(item.get("date")))) is not None:
            found.setdefault(day, item)
    return found


def _status(item: Mapping[str, object] | None) -> DayStatus:
    """A day's status, as the API labels it. The figures of a day that is not ready still change."""
    label = str(at(item, "data_status"))
    if label == "READY":
        return DayStatus.SUCCEEDED
    # Before the account was a business account, before the API's first day, and so on.
    return DayStatus.NO_DATA if label.startswith("BEFORE_") else DayStatus.PENDING
