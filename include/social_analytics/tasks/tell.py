"""Sends an alert even if the database that stores the last one cannot be read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import structlog

from include.social_analytics import alerts
from include.social_analytics.alerts import Alert
from include.social_analytics.databases import Database, open_analytics
from include.social_analytics.errors import JobError
from include.social_analytics.settings import Notifier

log = structlog.get_logger(__name__)


def tell(notifier: Notifier, alert: Callable[[Database | None], Alert | None], context: Any) -> bool:
    """Send an alert unless the last one said the same.

    :param alert: makes the alert from the analytics database, or from ``None`` if that cannot be read. It is
        called when no other task sends an alert. ``None``: there is nothing to say.
    :returns: whether there is nothing left to send.
    """
    try:
        with open_analytics() as analytics, alerts.one_at_a_time(analytics):
            made = alert(analytics)
            return made is None or alerts.tell_of_changes(analytics, notifier, made, context)
    except JobError as error:
        log.warning("the analytics database cannot be read", reason=error.reason)
        made = alert(None)
        return made is None or alerts.tell(notifier, made, context)
