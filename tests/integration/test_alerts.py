"""Alerts through a real notifier: what they say, and when none is sent."""

from __future__ import annotations

import signal
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import date, timedelta
from typing import Any

import psycopg
import pytest

from include.social_analytics import alerts
from include.social_analytics.airflow_compat import RunState
from include.social_analytics.coverage import Coverage, Failure
from include.social_analytics.errors import ErrorCode
from include.social_analytics.jobs import IngestJob, Integration
from include.social_analytics.runs import Run
from include.social_analytics.settings import Notifier
from include.social_analytics.tasks.tell import tell as tell_safely
from include.social_analytics.warehouse import ledger
from tests.support.bench import DAY
from tests.support.notifiers import ARGUMENTS, OUTBOX, Outbox

RUN = Run("scheduled__2026-11-20", DAY, False, None, None)
ALL_WELL = Coverage(3, {"succeeded": 3}, [], [], [], [])


@pytest.fixture
def outbox() -> list[tuple[str, str]]:
    Outbox.sent.clear()
    return Outbox.sent


def failing(*codes: ErrorCode, name: str = "Page") -> Coverage:
    failures = [
        Failure(Integration(f"id-{number}", name, "acme", "facebook"), code, "It says why")
        for number, code in enumerate(codes)
    ]
    owners = [one for one in failures if one.code.resolved_by == "owner"]
    return Coverage(9, {}, owners, [one for one in failures if one not in owners], [], [])


def tell(
    analytics, coverage: Coverage, complaints: tuple[str, ...] = (), notifier: Notifier = OUTBOX
) -> bool:
    """Send the alert of a run, if something changed; returns whether a message went out."""
    before = len(Outbox.sent)
    alerts.tell_of_changes(analytics, notifier, alerts.alert_of(RUN, coverage, list(complaints)), {})
    return len(Outbox.sent) > before


def test_one_message_says_what_fails_why_who_resolves_it_and_where_to_look(analytics, outbox):
    assert tell(
        analytics, failing(ErrorCode.TOKEN_INVALID, ErrorCode.TOKEN_INVALID, ErrorCode.NETWORK), ("red",)
    )
    [(subject, text)] = outbox
    assert subject == f"Social analytics, {DAY}: 3 of 9 channels are missing"
    assert "The run is red." in text
    assert "2 with token_invalid. Resolved by the channel&#39;s owner: Reconnect the channel in" in text
    assert "1 with network. Resolved by time; if not, the Airflow operator" in text
    assert "(id-0): It says why" in text
    assert "/plugin/social-analytics" in text
    assert "/dags/social_analytics_daily/runs/scheduled__2026-11-20" in text


def test_without_airflows_address_the_message_says_where_to_look(monkeypatch):
    assert "The run: in Airflow's UI, at /dags/social_analytics_daily/runs/" in alerts.broken(RUN, "").message
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://airflow.example.org/team/")
    message = alerts.broken(RUN, "").message
    assert "\nThe run: https://airflow.example.org/team/dags/social_analytics_daily/runs/" in message
    assert "What to do: https://airflow.example.org/team/plugin/social-analytics\n" in message


def test_a_first_good_run_sends_nothing(analytics, outbox):
    assert not tell(analytics, ALL_WELL)
    assert outbox == []


def test_nothing_is_sent_without_changes_and_the_all_clear_is_sent_once(analytics, outbox):
    owners = failing(ErrorCode.TOKEN_INVALID)
    assert tell(analytics, owners)
    assert not tell(analytics, owners)
    assert tell(analytics, failing(ErrorCode.TOKEN_INVALID, ErrorCode.NETWORK))
    assert tell(analytics, ALL_WELL)
    assert not tell(analytics, ALL_WELL)
    assert [subject.split(": ")[1] for subject, _ in outbox] == [
        "1 of 9 channels are missing",
        "2 of 9 channels are missing",
        "complete again",
    ]


def test_the_all_clear_does_not_call_a_pending_day_complete(analytics, outbox):
    assert tell(analytics, failing(ErrorCode.TOKEN_INVALID))
    assert tell(analytics, Coverage(3, {"succeeded": 1, "pending": 2}, [], [], [], []))
    subject, text = outbox[-1]
    assert subject == f"Social analytics, {DAY}: nothing fails any more"
    assert "Of 2 channels the provider has not published the day yet." in text


def test_days_that_were_never_published_are_named_until_they_are_backfilled(analytics, outbox):
    [page] = failing(ErrorCode.NOT_PUBLISHED).for_operator
    lost = [Failure(page.integration, ErrorCode.NOT_PUBLISHED, "Not published: 2026-11-16.")]
    for coverage, told in ((ALL_WELL, True), (ALL_WELL, False), (failing(ErrorCode.TOKEN_INVALID), True)):
        before = len(outbox)
        alert = alerts.alert_of(RUN, coverage, [], lost)
        alerts.tell_of_changes(analytics, OUTBOX, alert, {})
        assert (len(outbox) > before) is told
    assert [subject.split(": ")[1] for subject, _ in outbox] == [
        "1 channels miss an earlier day",
        "1 of 9 channels are missing",
    ]
    for _, text in outbox:
        assert "The run is green." in text
        assert "only the channels" not in text
        assert "1 with not_published. Resolved by time; if not, the Airflow operator" in text
        assert "(id-0): Not published: 2026-11-16." in text
    assert tell(analytics, ALL_WELL)


def test_the_same_failure_with_other_words_is_no_change(analytics, outbox):
    assert tell(analytics, failing(ErrorCode.TOKEN_INVALID, name="Before"))
    assert not tell(analytics, failing(ErrorCode.TOKEN_INVALID, name="After"))


def test_a_failing_notifier_does_not_fail_the_run_and_is_tried_again(analytics, outbox):
    down = Notifier("tests.support.notifiers.Down", ARGUMENTS)
    assert not tell(analytics, failing(ErrorCode.NETWORK), notifier=down)
    assert tell(analytics, failing(ErrorCode.NETWORK))


@pytest.mark.parametrize("path", ["no.such.Notifier", "json.dumps", "tests.support.notifiers.Nothing"])
def test_a_missing_notifier_class_does_not_fail_the_run(analytics, path):
    assert not tell(analytics, failing(ErrorCode.NETWORK), notifier=Notifier(path, ARGUMENTS))


def test_a_hanging_notifier_is_abandoned(analytics, outbox, monkeypatch):
    monkeypatch.setattr(alerts, "PATIENCE", 0.1)
    assert not tell(
        analytics, failing(ErrorCode.NETWORK), notifier=Notifier("tests.support.notifiers.Hanging", ARGUMENTS)
    )
    assert tell(analytics, failing(ErrorCode.NETWORK))


def late(analytics, day: date = DAY, own_run: RunState = RunState.RUNNING) -> bool:
    """Send the alert of a deadline; returns whether a message went out."""
    before = len(Outbox.sent)
    alert = alerts.late(day, own_run, ledger.by_status(analytics, day))
    assert alerts.tell_of_changes(analytics, OUTBOX, alert, {})
    return len(Outbox.sent) > before


def test_the_deadline_alert_has_the_runs_state_and_the_jobs_by_status(analytics, outbox):
    jobs = [IngestJob(Integration(f"id-{n}", "Page", "acme", "facebook"), DAY, False) for n in range(3)]
    ledger.register(analytics, jobs, "scheduled")
    claim = ledger.Claim("scheduled", 1)
    ledger.claim(analytics, jobs[:1], claim, force=True)
    ledger.start(analytics, jobs[0], claim)
    assert late(analytics)
    [(subject, text)] = outbox
    assert subject == f"Social analytics, {DAY}: not complete at the deadline"
    assert "Its run is still running. Of 3 channels: 2 queued, 1 running." in text
    assert "/plugin/social-analytics" in text
    assert "/dags/social_analytics_daily" in text


@pytest.mark.parametrize(
    ("own_run", "words"),
    [
        (RunState.QUEUED, "Its run has not started: is the DAG social_analytics_daily paused, or are"),
        (RunState.MISSING, "It has no run: is the DAG social_analytics_daily unpaused"),
    ],
)
def test_the_deadline_alert_tells_a_run_that_has_not_begun(analytics, outbox, own_run, words):
    assert late(analytics, own_run=own_run)
    assert words in outbox[0][1]
    assert "No channel has been listed for it." in outbox[0][1]


def test_each_late_day_sends_one_alert_and_one_all_clear(analytics, outbox):
    assert late(analytics)
    assert not late(analytics)
    assert late(analytics, DAY + timedelta(days=1))
    assert tell(analytics, ALL_WELL)
    assert not tell(analytics, ALL_WELL)


def test_a_name_is_not_rendered_as_a_template_or_markup(analytics, outbox):
    assert tell(analytics, failing(ErrorCode.NETWORK, name="{{ 7 * 6 }} <b>bold</b>"))
    [(_, text)] = outbox
    assert "{{ 7 * 6 }} &lt;b&gt;bold&lt;/b&gt;" in text


def test_a_long_list_of_failures_is_cut_and_the_rest_counted(analytics, outbox):
    assert tell(analytics, failing(*[ErrorCode.NETWORK] * (alerts.NAMED + 5)))
    [(_, text)] = outbox
    assert text.count("It says why") == alerts.NAMED
    assert "and 5 more" in text


def test_the_tasks_own_time_limit_goes_on_after_an_alert(analytics, outbox):
    class TaskTimeIsUpError(BaseException):
        pass

    def time_is_up(*_: object) -> None:
        raise TaskTimeIsUpError

    before = signal.signal(signal.SIGALRM, time_is_up)
    signal.setitimer(signal.ITIMER_REAL, 3600)
    try:
        assert tell(analytics, failing(ErrorCode.NETWORK))
        assert 0 < signal.getitimer(signal.ITIMER_REAL)[0] <= 3600
        assert signal.getsignal(signal.SIGALRM) is time_is_up
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class Meanwhile(Outbox):
    """While it sends, something else happens."""

    def notify(self, context: Any) -> None:
        super().notify(context)
        context["meanwhile"]()


def test_two_tasks_that_tell_the_same_at_once_send_one_message(
    analytics, postgres, analytics_database, outbox
):
    alert = alerts.alert_of(RUN, failing(ErrorCode.NETWORK), ["red"])
    second: list[Future[bool]] = []
    with ThreadPoolExecutor(1) as pool, psycopg.connect(postgres.dsn(analytics_database)) as other:
        other.autocommit = True

        def meanwhile() -> None:
            second.append(pool.submit(alerts.tell_of_changes, other, OUTBOX, alert, {}))
            while not second[0].done():
                if analytics.execute("SELECT FROM pg_locks WHERE NOT granted").rowcount:
                    return

        notifier = Notifier(f"{__name__}.Meanwhile", ARGUMENTS)
        assert alerts.tell_of_changes(analytics, notifier, alert, {"meanwhile": meanwhile})
        assert second[0].result(60)
    assert len(outbox) == 1


def test_an_alert_is_sent_once_though_the_database_is_lost_meanwhile(
    analytics, postgres, analytics_database, outbox, monkeypatch
):
    monkeypatch.setenv("AIRFLOW_CONN_ANALYTICS_DB", postgres.airflow_connection(analytics_database))

    def meanwhile() -> None:
        analytics.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )

    notifier = Notifier(f"{__name__}.Meanwhile", ARGUMENTS)
    assert tell_safely(notifier, lambda _: alerts.broken(RUN, "It broke."), {"meanwhile": meanwhile})
    assert len(outbox) == 1


def test_an_alert_of_common_failures_says_that_the_operator_resolves_them(analytics, outbox):
    failures = [
        Failure(Integration(f"id-{n}", "Page", "acme", "facebook"), ErrorCode.TOKEN_INVALID, "Expired", True)
        for n in range(3)
    ]
    assert tell(analytics, Coverage(3, {}, [], failures, [], []), ("red",))
    [(_, text)] = outbox
    assert "3 with token_invalid. Resolved by the Airflow operator: So many channels failed alike" in text
    assert "Reconnect" not in text
