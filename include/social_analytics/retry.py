"""How long a failed task waits for its next try."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import timedelta

from airflow.sdk import Context, RetryDecision, RetryPolicy


@dataclass(frozen=True)
class SpreadRetryPolicy(RetryPolicy):
    """Waits that double from ``retry_delay`` to at most ``max_retry_delay``, and differ between map indexes.

    Airflow's own backoff gives all mapped instances of a run the same wait: tasks that failed together would
    call the API together again. Airflow's ``max_retry_delay`` does not apply to a policy, and its backoff
    keeps growing after a clear.

    :param retries: the task's ``retries``, to tell how many tries came before the last clear.
    """

    retries: int
    retry_delay: timedelta
    max_retry_delay: timedelta

    def evaluate(
        self,
        exception: BaseException,
        try_number: int,
        max_tries: int,
        context: Context | None = None,
    ) -> RetryDecision:
        """Retry after a random time between half the backoff and the whole backoff.

        Airflow checks the task's ``retries`` first. It does not call this for an ``AirflowFailException``.
        """
        retry = max(1, try_number - (max_tries - self.retries))
        backoff = self.max_retry_delay
        if retry < 32:  # a larger power would overflow
            backoff = min(backoff, self.retry_delay * 2 ** (retry - 1))
        delay = backoff * random.uniform(0.5, 1.0)  # noqa: S311 - it spreads waits, and is no secret
        return RetryDecision.retry(delay, f"Retry {retry} of {self.retries} in {delay.total_seconds():.0f} s")
