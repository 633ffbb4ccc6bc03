"""Erases what Postiz has deleted, and deletes what is too old. None of it may cost the day."""

from __future__ import annotations

from collections.abc import Callable

import structlog
from airflow.sdk.exceptions import AirflowTaskTimeout

from include.social_analytics.airflow_compat import time_limit
from include.social_analytics.databases import Database, open_analytics, open_postiz
from include.social_analytics.erasure import erase_deleted
from include.social_analytics.settings import Settings
from include.social_analytics.warehouse import retention, snapshots

log = structlog.get_logger(__name__)

#: Seconds after which each is stopped. The next run goes on where it stopped.
PATIENCE = 600


def delete_what_is_due(settings: Settings) -> list[str]:
    """Do both, each with connections of its own; returns what failed, in sentences for people."""
    failed = []
    for words, delete in (
        ("Channels that were deleted in Postiz could not be erased", _erase),
        ("Old data could not be deleted", _delete_old),
    ):
        if not _works(delete, settings, words):
            failed.append(f"{words}: the log of check_coverage says why. The next run tries again.")
    return failed


def _works(delete: Callable[[Settings], None], settings: Settings, words: str) -> bool:
    try:
        with time_limit(PATIENCE):
            delete(settings)
    except (Exception, AirflowTaskTimeout):
        # Whatever it is: the day is stored, and must still be judged.
        log.exception(words)
        return False
    return True


def _erase(settings: Settings) -> None:
    with open_postiz() as postiz, open_analytics() as analytics:
        erase_deleted(postiz, analytics, settings)


def _delete_old(settings: Settings) -> None:
    if settings.retention_months is None:
        return
    with open_analytics() as analytics:
        first = retention.first_day_kept(analytics, settings.retention_months)
        if settings.deletion_dry_run:
            log.info(
                "old rows would be deleted",
                before=first.isoformat(),
                **retention.count_older(analytics, first),
            )
        else:
            log.info("old rows deleted", before=first.isoformat(), **retention.delete_older(analytics, first))
        drop_old_snapshots(analytics, settings.retention_months, settings)


def drop_old_snapshots(analytics: Database, months: int, settings: Settings) -> None:
    """Drop the snapshots of all but the current month and the ``months`` full months before it."""
    if settings.deletion_dry_run:
        log.info("old snapshots would be dropped", partitions=snapshots.older(analytics, months))
    elif (dropped := snapshots.drop_older(analytics, months)) is None:
        log.warning("old snapshots are in use: the next run drops them")
    else:
        log.info("old snapshots dropped", partitions=dropped)
