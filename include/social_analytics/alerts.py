"""One message a run, by whichever notifier the setting names: what fails, why, and who cures it how.

Only the run of the latest due day over all integrations speaks: who repeats an old day looks at it anyway.
Nothing is sent while nothing has changed since the last message; that all is well again is one, too.
"""

from __future__ import annotations

import hashlib
import json
import pkgutil
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import structlog
from airflow.configuration import conf

from include.social_analytics.errors import CuredBy, ErrorCode
from include.social_analytics.runs import DAG_ID

if TYPE_CHECKING:
    import psycopg

    from include.social_analytics.coverage import Coverage, Failure
    from include.social_analytics.runs import Run
    from include.social_analytics.settings import Notifier

log = structlog.get_logger(__name__)

#: Names under one error, for a message that a phone shows.
NAMED = 20

_WHO = {
    CuredBy.OWNER: "the page's owner",
    CuredBy.OPERATOR: "whoever runs Airflow",
    CuredBy.TIME: "time; else whoever runs Airflow",
}

_LAST = "SELECT fingerprint FROM analytics.alert"
_REMEMBER = """
INSERT INTO analytics.alert (fingerprint, sent_at) VALUES (%s, clock_timestamp())
ON CONFLICT (one) DO UPDATE SET fingerprint = excluded.fingerprint, sent_at = excluded.sent_at
"""


@dataclass(frozen=True)
class Alert:
    """A message in plain text. ``fingerprint`` stays while the same is wrong; it is empty when nothing is."""

    subject: str
    message: str
    fingerprint: str


def alert_of(run: Run, coverage: Coverage, complaints: list[str]) -> Alert:
    """What there is to say about a run that was judged."""
    failures = [*coverage.for_operator, *coverage.for_owner]
    wrong = sorted(f"{one.integration.id} {one.code}" for one in failures)
    wrong += sorted(f"{one.id} unsettled" for one in coverage.unsettled)
    if complaints:
        wrong.append("red")
    if not wrong:
        subject = f"Social analytics, {run.day}: complete again"
        return Alert(subject, f"Nothing fails any more.\n\n{_links(run)}", "")
    count = len(failures) + len(coverage.unsettled)
    subject = f"Social analytics, {run.day}: {count} of {coverage.jobs} integrations are missing"
    parts = [_group(code, members) for code, members in _by_code(failures).items()]
    if coverage.unsettled:
        parts.append(f"{len(coverage.unsettled)} never ended. Cured by whoever runs Airflow: clear the run.")
    verdict = "The run is red." if complaints else "The run is green: only the pages' owners can cure this."
    message = "\n\n".join([f"Coverage {coverage.ratio:.0%}. {verdict}", *parts, _links(run)])
    return Alert(subject, message, hashlib.sha256(json.dumps(wrong).encode()).hexdigest())


def broken(run: Run, sentence: str) -> Alert:
    """What there is to say about a run that could not be judged."""
    return Alert(f"Social analytics, {run.day}: the run failed", f"{sentence}\n\n{_links(run)}", "broken")


def tell_of_changes(
    analytics: psycopg.Connection, notifier: Notifier, alert: Alert, context: dict[str, Any]
) -> bool:
    """Send the alert unless the last one said the same; returns whether it was sent."""
    row = analytics.execute(_LAST).fetchone()
    if alert.fingerprint == (row[0] if row else "") or not tell(notifier, alert, context):
        return False
    analytics.execute(_REMEMBER, [alert.fingerprint])
    return True


def tell(notifier: Notifier, alert: Alert, context: dict[str, Any]) -> bool:
    """Send the alert; returns whether it went. The run's own outcome is not the notifier's to change.

    Jinja renders the notifier's arguments once: what stands in the message is not rendered.
    """
    words = {"alert_subject": alert.subject, "alert_message": alert.message}
    try:
        pkgutil.resolve_name(notifier.path)(**notifier.arguments)({**context, **words})
    except Exception as error:
        # Somebody else's code: whatever it raises is not ours to know. Its words may hold a secret.
        log.error("alert not sent", notifier=notifier.path, error=type(error).__name__)  # noqa: TRY400
        return False
    log.info("alert sent", subject=alert.subject)
    return True


def _by_code(failures: list[Failure]) -> dict[ErrorCode, list[Failure]]:
    found: dict[ErrorCode, list[Failure]] = defaultdict(list)
    for failure in failures:
        found[failure.code].append(failure)
    return found


def _group(code: ErrorCode, members: list[Failure]) -> str:
    lines = [f"{len(members)} with {code}. Cured by {_WHO[code.cured_by]}: {code.cure}"]
    lines += [f"- {one.integration.name!r} ({one.integration.id}): {one.reason}" for one in members[:NAMED]]
    if len(members) > NAMED:
        lines.append(f"- and {len(members) - NAMED} more")
    return "\n".join(lines)


def _links(run: Run) -> str:
    root = conf.get("api", "base_url", fallback="").rstrip("/")
    return (
        f"What to do: {root}/plugin/social-analytics\n"
        f"The run: {root}/dags/{DAG_ID}/runs/{quote(run.run_id, safe='')}"
    )
