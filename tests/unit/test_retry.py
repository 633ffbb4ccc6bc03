"""The waits between Airflow's tries: they double, stay below the cap, and differ between mapped tasks."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from airflow.sdk import DAG, RetryAction, task
from airflow.serialization.serialized_objects import DagSerialization

from include.social_analytics.errors import ErrorCode, JobError
from include.social_analytics.retry import SpreadRetryPolicy

POLICY = SpreadRetryPolicy(
    retries=3, retry_delay=timedelta(seconds=120), max_retry_delay=timedelta(seconds=1800)
)


def delays(
    try_number: int = 1,
    max_tries: int = 3,
    exception: BaseException | None = None,
    policy: SpreadRetryPolicy = POLICY,
) -> list[float]:
    """The waits, in seconds, of two hundred mapped tasks that failed together."""
    decisions = [policy.evaluate(exception or TimeoutError(), try_number, max_tries) for _ in range(200)]
    assert {decision.action for decision in decisions} == {RetryAction.RETRY}
    return [decision.retry_delay.total_seconds() for decision in decisions]


@pytest.mark.parametrize(("try_number", "backoff"), [(1, 120), (2, 240), (3, 480)])
def test_waits_are_between_half_and_all_of_the_doubling_backoff(try_number, backoff):
    assert backoff / 2 <= min(delays(try_number)) <= max(delays(try_number)) <= backoff


@pytest.mark.parametrize("try_number", [1, 3])
def test_tasks_that_fail_together_do_not_come_back_together(try_number):
    waits = delays(try_number)
    assert len(set(waits)) > 190
    assert max(waits) - min(waits) > 120 * 2 ** (try_number - 1) / 4


def test_waits_at_the_cap_stay_under_it_and_are_spread():
    policy = SpreadRetryPolicy(
        retries=9, retry_delay=timedelta(minutes=2), max_retry_delay=timedelta(minutes=5)
    )
    for try_number in (3, 9, 40, 10_000):
        waits = delays(try_number, max_tries=9, policy=policy)
        assert 150 <= min(waits) <= max(waits) <= 300
        assert len(set(waits)) > 190


def test_a_clear_restarts_the_backoff():
    # Cleared after its fourth try: Airflow counts on from 5, with max_tries 4 + 3.
    assert max(delays(try_number=5, max_tries=7)) <= 120
    assert min(delays(try_number=6, max_tries=7)) >= 120
    assert max(delays(try_number=6, max_tries=7)) <= 240


def test_zero_delays_stay_zero():
    policy = SpreadRetryPolicy(retries=3, retry_delay=timedelta(0), max_retry_delay=timedelta(seconds=1800))
    assert set(delays(3, policy=policy)) == {0.0}
    policy = SpreadRetryPolicy(retries=3, retry_delay=timedelta(seconds=120), max_retry_delay=timedelta(0))
    assert set(delays(3, policy=policy)) == {0.0}


def test_the_reason_names_the_retry_and_the_wait_but_not_the_error():
    decision = POLICY.evaluate(JobError(ErrorCode.NETWORK, "No route to the host."), 2, 3)
    assert decision.reason == f"Retry 2 of 3 in {decision.retry_delay.total_seconds():.0f} s"


def test_the_policy_is_serialized_the_same_at_every_parse():
    def parse() -> str:
        with DAG("retrying", schedule=None, start_date=datetime(2026, 11, 1, tzinfo=UTC)) as dag:

            @task(retries=3, retry_policy=SpreadRetryPolicy(3, timedelta(seconds=1), timedelta(seconds=2)))
            def ingest(number: int) -> None: ...

            ingest.expand(number=[1, 2])
        return json.dumps(DagSerialization.to_dict(dag), sort_keys=True)

    assert parse() == parse()
    assert '"has_retry_policy": true' in parse()
