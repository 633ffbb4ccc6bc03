"""The task ``analytics_ingest``: one mapped task for each batch."""

from __future__ import annotations

from functools import cache

from airflow.sdk.exceptions import AirflowRescheduleException

from include.social_analytics.airflow_compat import current_context, first_try, is_first_start
from include.social_analytics.batches import Batch, integrations_of
from include.social_analytics.connectors import provider_named
from include.social_analytics.connectors.base import Connector
from include.social_analytics.databases import open_analytics, open_postiz
from include.social_analytics.errors import JobError
from include.social_analytics.history import read_history
from include.social_analytics.ingest import Ingester, ThrottledError
from include.social_analytics.masking import mask
from include.social_analytics.runs import current_run
from include.social_analytics.settings import Settings
from include.social_analytics.tasks.outcome import airflow_outcome
from include.social_analytics.warehouse import ledger


def analytics_ingest(batch: Batch) -> dict[str, int]:
    """Ingest a batch; returns how many of its jobs have each status, as their readings ended."""
    settings = Settings.from_environment()

    @cache
    def connector(provider: str) -> Connector:
        return provider_named(provider).connect(settings)

    with airflow_outcome():
        run = current_run(settings)
        jobs = run.jobs(integrations_of(batch))
        with open_analytics() as analytics:
            # Claim first: if anything below fails, rows of an earlier run must not make this task look
            # successful.
            claim = ledger.Claim(run.run_id, first_try())
            ledger.claim(analytics, jobs, claim, force=is_first_start())
            with open_postiz() as source:
                ingester = Ingester(source, analytics, connector, mask, settings)
                map_index = current_context()["ti"].map_index
                try:
                    statuses = ingester.ingest(jobs, claim, map_index=map_index)
                except ThrottledError as throttled:
                    # Waiting for quota is not a failure: it uses no try, and no slot.
                    raise AirflowRescheduleException(throttled.due) from None  # type: ignore[no-untyped-call]
                except JobError:
                    read_history(ingester, run, map_index)
                    raise
                read_history(ingester, run, map_index)
                return statuses
