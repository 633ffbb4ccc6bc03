"""Usage headers, well-formed and malformed."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from requests.structures import CaseInsensitiveDict

from include.social_analytics.graph_api.usage import MAX_WAIT, Usage, read_usage


def usage(use_case: str = "pages", **headers: object) -> Usage:
    return read_usage(
        CaseInsensitiveDict(
            {
                name.replace("_", "-"): value if isinstance(value, str) else json.dumps(value)
                for name, value in headers.items()
            }
        ),
        "1001",
        use_case,
    )


def test_the_highest_percentage_in_each_header_counts() -> None:
    answer = usage(
        x_app_usage={"call_count": 28, "total_time": 25, "total_cputime": 96},
        x_page_usage={"call_count": 85, "total_cputime": 56, "total_time": 60},
    )
    assert answer == Usage(app_percent=96, account_percent=85)
    assert not answer.account_is_throttled


def test_minutes_to_regain_access_throttle_the_page() -> None:
    entry = {"type": "pages", "call_count": 100, "total_cputime": 25, "estimated_time_to_regain_access": 19}
    answer = usage(x_business_use_case_usage={"1001": [entry]})
    assert answer.regain_access == answer.wait == timedelta(minutes=19)
    assert answer.account_percent == 100
    assert answer.account_is_throttled


def test_usage_of_another_page_or_use_case_is_ignored_if_the_page_is_named() -> None:
    answer = usage(
        x_business_use_case_usage={
            "1001": [{"type": "pages", "call_count": 3}, {"type": "instagram", "call_count": 99}],
            "2002": [{"type": "pages", "call_count": 100, "estimated_time_to_regain_access": 9}],
        }
    )
    assert answer == Usage(account_percent=3)


def test_each_provider_has_its_own_use_case() -> None:
    header = {"1001": [{"type": "pages", "call_count": 3}, {"type": "instagram", "call_count": 99}]}
    assert usage("instagram", x_business_use_case_usage=header) == Usage(account_percent=99)


def test_usage_under_another_id_counts_for_the_page_if_it_is_the_only_one() -> None:
    entry = {"type": "pages", "call_count": 7, "estimated_time_to_regain_access": 0}
    assert usage(x_business_use_case_usage={"5": [entry]}) == Usage(account_percent=7)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "not json",
        "[]",
        "[" * 50_000,
        '{"call_count": "many", "1001": 5}',
        '{"call_count": NaN, "1001": [NaN]}',
        '{"call_count": 1e999, "1001": [{"call_count": Infinity}]}',
        '{"call_count": true, "1001": [{"estimated_time_to_regain_access": "soon"}]}',
        '{"call_count": -5, "1001": [{"estimated_time_to_regain_access": -5}]}',
        '{"call_count": ' + "9" * 400 + ', "1001": {"a": []}}',
        '{"call_count": ' + "9" * 5000 + "}",
        '{"1001": null}',
    ],
)
def test_a_malformed_header_is_ignored(header: str) -> None:
    assert usage(x_app_usage=header, x_page_usage=header, x_business_use_case_usage=header) == Usage()


def test_retry_after_in_seconds_or_as_a_date() -> None:
    assert usage(retry_after="90").wait == timedelta(seconds=90)
    assert usage(retry_after="0").wait is None
    assert usage(retry_after="soon").wait is None
    assert usage(retry_after="Wed, 99 Foo 2026").wait is None
    in_an_hour = usage(retry_after=format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)).wait
    assert in_an_hour is not None
    assert timedelta(minutes=59) < in_an_hour <= timedelta(hours=1)
    assert usage(retry_after="Thu, 01 Jan 2015 00:00:00 GMT").wait is None


def test_no_wait_is_longer_than_the_maximum() -> None:
    entry = {"estimated_time_to_regain_access": 10**8}
    assert usage(x_business_use_case_usage={"1001": [entry]}).wait == MAX_WAIT
    assert usage(retry_after="9" * 30).wait == MAX_WAIT
