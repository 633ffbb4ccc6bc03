"""What a failure means to Airflow."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from airflow.sdk.exceptions import AirflowFailException

from include.social_analytics.errors import JobError


@contextmanager
def airflow_outcome() -> Iterator[None]:
    """Tell Airflow which failures are final. Airflow retries all others."""
    try:
        yield
    except JobError as error:
        if error.code.is_final:
            raise AirflowFailException(str(error)) from None
        raise
