"""A connector's reading has only declared metrics and requested days, or the job fails."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from include.social_analytics.connectors import providers
from include.social_analytics.connectors.reading import Content, DayStatus, Reading, Window
from include.social_analytics.errors import ErrorCode, JobError

DAY = date(2026, 11, 20)
WINDOW = Window(DAY, lookback_days=1, post_window_days=28)
PROVIDER = providers()["facebook"]
POST = Content("post", datetime(2026, 11, 18, 12, tzinfo=UTC), "post", None, None, metrics={"views": None})
READING = Reading(
    window=WINDOW,
    days=dict.fromkeys(WINDOW.days, DayStatus.SUCCEEDED),
    series={"views": {DAY: Decimal(1)}},
    now={"followers": Decimal(2)},
    content=(POST,),
)
TOMORROW = DAY + timedelta(days=1)


def test_a_reading_with_declared_metrics_and_requested_days_passes():
    READING.require_declared(PROVIDER)


def test_content_that_vanishes_may_be_of_a_later_day_but_not_of_an_earlier_one():
    later = replace(POST, published_at=datetime(2026, 11, 21, 8, tzinfo=UTC), vanishes=True)
    replace(READING, content=(later,)).require_declared(PROVIDER)
    earlier = replace(later, published_at=datetime(2026, 10, 24, 6, tzinfo=UTC))
    with pytest.raises(JobError, match="content from outside the window"):
        replace(READING, content=(earlier,)).require_declared(PROVIDER)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"days": {DAY: DayStatus.SUCCEEDED}}, "days without a status: 2026-11-19"),
        ({"days": {**READING.days, TOMORROW: DayStatus.PENDING}}, "days outside the window: 2026-11-21"),
        ({"series": {"views": {TOMORROW: None}}}, "days outside the window: 2026-11-21"),
        ({"series": {"likes": {}}}, "metrics that it does not declare: likes"),
        ({"now": {"likes": None}}, "metrics that it does not declare: likes"),
        ({"series": {"followers": {DAY: Decimal(2)}}}, "metrics both by day and as of now: followers"),
        ({"series": {"views": {DAY: Decimal("NaN")}}}, "a value that is no finite number: views"),
        ({"now": {"followers": Decimal("Infinity")}}, "a value that is no finite number: followers"),
        (
            {"content": (replace(POST, metrics={"views": Decimal("-Infinity")}),)},
            "a value that is no finite number: post",
        ),
        ({"content": (POST, POST)}, "content more than once: post"),
        (
            {"content": (replace(POST, published_at=datetime(2026, 11, 21, 8, tzinfo=UTC)),)},
            "content from outside the window: 2026-11-21",
        ),
        (
            {"content": (replace(POST, published_at=datetime(2026, 10, 24, 6, tzinfo=UTC)),)},
            "content from outside the window: 2026-10-23",
        ),
        ({"content": (replace(POST, metrics={"likes": None}),)}, "content that it does not declare: likes"),
    ],
)
def test_any_other_reading_is_an_error_of_the_connector(wrong, words):
    with pytest.raises(JobError) as raised:
        replace(READING, **wrong).require_declared(PROVIDER)
    assert raised.value.code is ErrorCode.UNEXPECTED
    assert raised.value.reason.startswith("The connector of facebook returned ")
    assert raised.value.reason.endswith(f"{words}.")


def test_a_days_content_is_counted_in_the_providers_zone():
    late = replace(POST, published_at=datetime(2026, 11, 21, 7, 59, tzinfo=UTC))
    replace(READING, content=(late,)).require_declared(PROVIDER)
