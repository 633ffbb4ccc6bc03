"""The task ``list_active_integrations``."""

from __future__ import annotations

import structlog

from include.social_analytics.batches import Batch
from include.social_analytics.databases import open_analytics, open_postiz
from include.social_analytics.listing import list_active
from include.social_analytics.runs import current_run
from include.social_analytics.settings import Settings
from include.social_analytics.tasks.outcome import airflow_outcome

log = structlog.get_logger(__name__)


def list_active_integrations() -> list[Batch]:
    """Register a job for each active integration; return the batches to map over."""
    settings = Settings.from_environment()
    with airflow_outcome():
        run = current_run(settings)
        with open_postiz() as source, open_analytics() as analytics:
            listing = list_active(source, analytics, run, settings)
        log.info(
            "channels listed",
            date=run.day.isoformat(),
            active=listing.count,
            leftOut=listing.left_out,
        )
        for note in listing.notes:
            log.warning("channels left out", reason=note)
        return listing.batches
