"""At most one message per run, by the configured notifier: what fails, why, who resolves it and how.

Alerts come only from the newest full run, and only when something changed. The all-clear is an alert, too.
One more message is sent at the deadline, about a run that has not ended.
"""

from __future__ import annotations

import hashlib
import json
import pkgutil
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import psycopg
import structlog
from airflow.configuration import conf
from airflow.sdk.exceptions import AirflowTaskTimeout

from include.social_analytics.airflow_compat import RunState, time_limit
from include.social_analytics.connectors import providers
from include.social_analytics.dag_ids import DAILY_DAG
from include.social_analytics.errors import ErrorCode, JobError, ResolvedBy

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from include.social_analytics.coverage import Coverage, Failure
    from include.social_analytics.databases import Database
    from include.social_analytics.jobs import Integration
    from include.social_analytics.runs import Run
    from include.social_analytics.settings import Notifier

log = structlog.get_logger(__name__)

#: The most channels listed under one error: people read the message on a phone.
NAMED = 20

#: Seconds after which a notifier is stopped.
PATIENCE = 60

_WHO = {
    ResolvedBy.OWNER: "the channel's owner",
    ResolvedBy.OPERATOR: "the Airflow operator",
    ResolvedBy.TIME: "time; if not, the Airflow operator",
}

_WHY_LATE = {
    RunState.QUEUED: (
        f"Its run has not started: is the DAG {DAILY_DAG} paused, or are SOCIAL_ANALYTICS_MAX_ACTIVE_RUNS "
        "other runs running?"
    ),
    RunState.RUNNING: "Its run is still running.",
    RunState.MISSING: f"It has no run: is the DAG {DAILY_DAG} unpaused, and can Airflow read it?",
}

# Of the transaction, although it is open while a notifier works: behind a pooler such as pgbouncer, a lock of
# the session stays with a backend that others use, too.
_LOCK = """
SELECT set_config('idle_in_transaction_session_timeout', '0', true),
       pg_advisory_xact_lock(hashtextextended('social_analytics.alert', 0))
"""
_LAST = "SELECT fingerprint FROM analytics.alert"
_REMEMBER = """
INSERT INTO analytics.alert (fingerprint, sent_at) VALUES (%s, clock_timestamp())
ON CONFLICT (one) DO UPDATE SET fingerprint = excluded.fingerprint, sent_at = excluded.sent_at
"""


@dataclass(frozen=True)
class Alert:
    """A message in plain text.

    ``fingerprint`` is the same while the same things are wrong, and empty when nothing is wrong.
    """

    subject: str
    message: str
    fingerprint: str


def alert_of(
    run: Run,
    coverage: Coverage,
    complaints: list[str],
    lost: Sequence[Failure] = (),
    undeleted: Sequence[str] = (),
) -> Alert:
    """The alert about a run that was checked.

    :param lost: channels with earlier days that their provider never published.
    :param undeleted: sentences about what could not be erased or deleted. They make no run red.
    """
    failures = [*coverage.for_operator, *coverage.for_owner]
    wrong = sorted(f"{one.integration.id} {one.code}" for one in [*failures, *lost])
    wrong += sorted(f"{one.id} unsettled" for one in coverage.unsettled)
    wrong += undeleted
    if complaints:
        wrong.append("red")
    if not wrong:
        pending = coverage.by_status.get("pending", 0)
        subject = f"Social analytics, {run.day}: {'nothing fails any more' if pending else 'complete again'}"
        text = "Nothing fails any more."
        if pending:
            text += f" Of {pending} channels the provider has not published the day yet."
        return Alert(subject, f"{text}\n\n{_links(run)}", "")
    count = len(failures) + len(coverage.unsettled)
    missing = f"{count} of {coverage.jobs} channels are missing"
    if not count:
        missing = f"{len(lost)} channels miss an earlier day" if lost else "some data was not deleted"
    subject = f"Social analytics, {run.day}: {missing}"
    parts = [_group(code, advice, members) for (code, advice), members in _alike([*failures, *lost]).items()]
    if coverage.unsettled:
        parts.append(
            f"{len(coverage.unsettled)} never ended. Resolved by the Airflow operator: clear the run."
        )
    verdict = "The run is red." if complaints else "The run is green."
    if not complaints and not lost and not undeleted:
        verdict = "The run is green: only the channels' owners can resolve this."
    message = "\n\n".join([f"Coverage {coverage.ratio:.0%}. {verdict}", *parts, *undeleted, _links(run)])
    return Alert(subject, message, hashlib.sha256(json.dumps(wrong).encode()).hexdigest())


def broken(run: Run, sentence: str) -> Alert:
    """The alert about a run that could not be checked."""
    subject = f"Social analytics, {run.day}: the run failed"
    return Alert(subject, f"{sentence}\n\n{_links(run)}", f"broken {run.day}")


def late(day: date, own_run: RunState, by_status: Mapping[str, int] | None) -> Alert:
    """The alert at the deadline about a day whose run has not ended.

    :param by_status: how many of the day's jobs have each status; ``None`` when the database cannot be read.
    """
    if by_status is None:
        jobs = "The analytics database cannot be read."
    elif by_status:
        counts = ", ".join(f"{count} {status}" for status, count in by_status.items())
        jobs = f"Of {sum(by_status.values())} channels: {counts}."
    else:
        jobs = "No channel has been listed for it."
    subject = f"Social analytics, {day}: not complete at the deadline"
    message = f"{_WHY_LATE[own_run]} {jobs}\n\n{_page()}\nThe runs: {_where(f'dags/{DAILY_DAG}')}"
    return Alert(subject, message, f"late {day}")


@contextmanager
def one_at_a_time(analytics: Database) -> Iterator[None]:
    """Wait until no other task sends an alert, and let none begin. May be nested."""
    held = analytics.transaction()
    held.__enter__()
    try:
        analytics.execute(_LOCK)
        yield
    finally:
        # A connection that is lost has lost its lock. What is sent must not be sent again for this.
        with suppress(JobError, psycopg.Error):
            held.__exit__(None, None, None)


def tell_of_changes(analytics: Database, notifier: Notifier, alert: Alert, context: dict[str, Any]) -> bool:
    """Send the alert unless the last one said the same; returns whether it is sent, now or earlier.

    Two tasks that have the same to say at the same time send one alert.
    """
    with one_at_a_time(analytics):
        row = analytics.execute(_LAST).fetchone()
        if alert.fingerprint == (row[0] if row else ""):
            return True
        if not tell(notifier, alert, context):
            return False
        try:
            analytics.execute(_REMEMBER, [alert.fingerprint])
        except JobError as error:
            # It is sent, and must not be sent again for this.
            log.warning("alert not remembered", reason=error.reason)
        return True


def tell(notifier: Notifier, alert: Alert, context: dict[str, Any]) -> bool:
    """Send the alert; returns whether that worked. A broken notifier does not change the run's outcome.

    Jinja renders the notifier's arguments only once: a template inside the message is not rendered.
    """
    words = {"alert_subject": alert.subject, "alert_message": alert.message}
    try:
        with time_limit(PATIENCE):
            pkgutil.resolve_name(notifier.path)(**notifier.arguments)({**context, **words})
    except (Exception, AirflowTaskTimeout) as error:
        # Not our code: it may raise anything, and the error's text may hold a secret.
        log.error("alert not sent", notifier=notifier.path, error=type(error).__name__)  # noqa: TRY400
        return False
    log.info("alert sent", subject=alert.subject)
    return True


def _alike(failures: list[Failure]) -> dict[tuple[ErrorCode, str], list[Failure]]:
    """Failures grouped by code and advice: a provider may have its own advice."""
    found: dict[tuple[ErrorCode, str], list[Failure]] = defaultdict(list)
    for failure in failures:
        found[failure.code, failure.advice].append(failure)
    return found


def _group(code: ErrorCode, advice: str, members: list[Failure]) -> str:
    lines = [f"{len(members)} with {code}. Resolved by {_WHO[members[0].resolved_by]}: {advice}"]
    lines += [f"- {_named(one.integration)}: {one.reason}" for one in members[:NAMED]]
    if len(members) > NAMED:
        lines.append(f"- and {len(members) - NAMED} more")
    return "\n".join(lines)


def _named(channel: Integration) -> str:
    """A channel's name and id. Many have the same name on several networks."""
    known = providers().get(channel.provider)
    return f"{channel.name!r} on {known.title if known else channel.provider} ({channel.id})"


def _links(run: Run) -> str:
    return f"{_page()}\nThe run: {_where(f'dags/{DAILY_DAG}/runs/' + quote(run.run_id, safe=''))}"


def _page() -> str:
    return f"What to do: {_where('plugin/social-analytics')}"


def _where(path: str) -> str:
    """A link into Airflow's UI; where to look there, if Airflow does not know its own address."""
    root = conf.get("api", "base_url", fallback="").rstrip("/")
    if "://" not in root:
        return f"in Airflow's UI, at /{path} (set [api] base_url for a link)"
    return f"{root}/{path}"
