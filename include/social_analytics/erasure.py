"""Erases channels and organizations that Postiz has deleted: what names them goes, their figures stay.

Only what Postiz itself says is deleted, in an answer of this run, is ever erased. Channels that are absent
from the answer are kept, and named in the log: their rows may be gone, or the wrong database may have
answered. The time runs from the first run that found a channel deleted, and each run says in its log what is
to be erased and when. So even a date far in the past erases nothing at once.
"""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from include.social_analytics import postiz
from include.social_analytics.databases import Database
from include.social_analytics.settings import Settings
from include.social_analytics.warehouse import integrations, writer

log = structlog.get_logger(__name__)

#: Channels that one transaction erases. What the task's time-out stops begins anew: few, so that it gets on.
_AT_ONCE = 10
#: The most channels that one log line names.
_NAMED = 100


def erase_deleted(postiz_db: Database, analytics_db: Database, settings: Settings) -> None:
    """Erase what was found deleted in Postiz ``settings.erase_after_days`` ago and is deleted there now."""
    known = integrations.unerased(analytics_db)
    organizations = integrations.organizations_without_channels(analytics_db)
    with postiz_db.transaction():
        channel_is_deleted = postiz.deleted_channels(postiz_db, known)
        organization_is_deleted = postiz.deleted_organizations(postiz_db, organizations)
    integrations.mark_deleted(analytics_db, channel_is_deleted, organization_is_deleted)
    _log(
        "channels that Postiz does not have are kept", [id_ for id_ in known if id_ not in channel_is_deleted]
    )

    deleted = [id_ for id_, is_deleted in channel_is_deleted.items() if is_deleted]
    found = integrations.to_erase(analytics_db, deleted, settings.erase_after_days)
    if waiting := [one for one in found if not one.is_due]:
        first = min(one.day for one in waiting)
        _log("channels to be erased", [one.id for one in waiting], first=first.isoformat())
    due = [one.id for one in found if one.is_due]
    due_organizations = integrations.organizations_to_erase(
        analytics_db,
        [id_ for id_, is_deleted in organization_is_deleted.items() if is_deleted],
        settings.erase_after_days,
    )
    if settings.deletion_dry_run:
        _log("channels would be erased", due)
        _log("organizations would be erased", due_organizations)
        return
    for start in range(0, len(due), _AT_ONCE):
        _log("channels erased", writer.erase(analytics_db, due[start : start + _AT_ONCE]))
    if due_organizations:
        integrations.forget_organizations(analytics_db, due_organizations)
        _log("organizations erased", due_organizations)


def _log(event: str, ids: Sequence[str], **fields: str) -> None:
    if ids:
        log.info(event, count=len(ids), ids=ids[:_NAMED], **fields)
