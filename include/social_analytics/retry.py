"""How long a failed task waits for its next try."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import timedelta

from airflow.sdk import Context, RetryDecision, RetryPolicy


@dataclass(frozen=True)
class SpreadRetryPolicy(RetryPolicy):
    """Waits that double from ``retry_delay`` to at most ``max_retry_delay``, and differ between map indexes.

    Airflow's own backoff gives all mapped instances of a run the same wait, so that all that failed
    together would call the API together again; its ``max_retry_delay`` does not apply to a policy, and
    its backoff goes on growing after a clear.

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
        """Retry after between half of the backoff and all of it.

        Airflow goes by the task's ``retries`` before it goes by this; never asked about an
        ``AirflowFailException``.
        """
        retry = max(1, try_number - (max_tries - self.retries))
        backoff = self.max_retry_delay
        if retry < 32:  # beyond, the doubling would only overflow
            backoff = min(backoff, self.retry_delay * 2 ** (retry - 1))
        delay = backoff * random.uniform(0.5, 1.0)  # noqa: S311 - spreads, hides nothing
        return RetryDecision.retry(delay, f"Retry {retry} of {self.retries} in {delay.total_seconds():.0f} s")
