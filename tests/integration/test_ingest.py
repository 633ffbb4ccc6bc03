"""Ingesting batches: real databases, and real HTTP to the stand-in for the API."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from threading import Event, main_thread
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import psycopg
import pytest
import structlog

from include.sandbox.postiz_db import insert_post
from include.social_analytics.connectors import provider_named
from include.social_analytics.connectors.base import Account, Connector, Reader
from include.social_analytics.connectors.reading import Content, Reading, Window
from include.social_analytics.errors import ErrorClass, ErrorCode, JobError
from include.social_analytics.ingest import ThrottledError
from include.social_analytics.warehouse import ledger
from tests.support.bench import DAY, SETTINGS, ingest


@pytest.mark.parametrize("bench", [20], indirect=True)
def test_a_batch_larger_than_the_thread_pool_is_done_completely(bench):
    assert bench.ingest() == {"succeeded": 20}
    assert bench.states() == [("succeeded", None, 1)] * 20


def test_every_token_is_masked_as_it_is_read(bench):
    bench.ingest()
    assert sorted(bench.masked) == sorted(bench.world.tokens)


def test_what_may_be_read_of_postiz_is_asked_once_for_all_channels(bench):
    asked: list[str] = []

    class Noted(psycopg.Cursor):
        def execute(self, query, *args, **kwargs):
            asked.append(str(query))
            return super().execute(query, *args, **kwargs)

    bench.postiz.cursor_factory = Noted
    assert bench.ingest() == {"succeeded": 3}
    assert sum("has_column_privilege" in query for query in asked) == 1


def test_one_jobs_permanent_failure_affects_no_other_and_is_not_retried(bench):
    bench.fault(1, "token_revoked")
    with pytest.raises(JobError, match="1 of 3 channels failed: 1 token_invalid") as failure:
        bench.ingest()
    assert failure.value.error_class is ErrorClass.PERMANENT
    assert bench.states() == [("succeeded", None, 1), ("failed", "token_invalid", 1), ("succeeded", None, 1)]

    # A retry for another reason finds nothing to do, and still reports the permanent failure.
    with pytest.raises(JobError, match="token_invalid"):
        bench.ingest(redo_all=False)
    assert [attempts for _, _, attempts in bench.states()] == [1, 1, 1]


def test_a_retry_redoes_only_what_has_not_succeeded(bench):
    bench.fault(0, "down", times=3)
    with pytest.raises(JobError) as failure:
        bench.ingest()
    assert failure.value.error_class is ErrorClass.TRANSIENT
    assert bench.ingest(redo_all=False) == {"succeeded": 3}
    assert bench.states() == [("succeeded", None, 2), ("succeeded", None, 1), ("succeeded", None, 1)]


def test_a_transient_failure_beside_a_permanent_one_asks_for_a_retry(bench):
    bench.fault(0, "token_revoked")
    bench.fault(1, "down")
    with pytest.raises(JobError, match="2 of 3") as failure:
        bench.ingest()
    assert failure.value.error_class is ErrorClass.TRANSIENT


def test_a_start_after_a_clear_and_a_start_of_another_run_redo_all(bench):
    bench.ingest()
    bench.ingest()
    assert bench.states() == [("succeeded", None, 2)] * 3
    bench.ingest(run_id="another", redo_all=False)
    assert bench.states() == [("succeeded", None, 3)] * 3


def test_posts_of_a_quarter_are_read_once_a_week_on_a_weekday_of_each_channels_own(bench):
    reached: dict[str, set[int]] = {}

    class Noted:
        """The page's own reader; the window is written down."""

        def __init__(self, account: Account) -> None:
            self.account, self.reader = account, connector.reader(account)

        @property
        def http_calls(self) -> int:
            return self.reader.http_calls

        def read(self, window: Window) -> Reading:
            if window.post_window_days > 28:
                assert window.post_window_days == 90
                reached.setdefault(self.account.integration_id, set()).add(window.day.weekday())
            return self.reader.read(window)

    connector, bench.connector = bench.connector, SimpleNamespace(reader=Noted)
    for days in range(14):
        jobs = [replace(job, date=DAY - timedelta(days=days)) for job in bench.jobs]
        worker = replace(bench.ingester, settings=SETTINGS.model_copy(update={"weekly_post_window_days": 90}))
        ingest(worker, jobs, f"run-{days}")
    assert {len(weekdays) for weekdays in reached.values()} == {1}
    assert len(reached) == len(bench.jobs)
    # Two weeks have each weekday twice, and a channel's post of two months ago is stored with its totals.
    assert bench.analytics.execute(
        "SELECT count(*) > 0 FROM analytics.content"
        " JOIN analytics.content_metric_snapshot USING (integration_id, content_id)"
        " WHERE published_at < now() - interval '45 days'"
    ).fetchone() == (True,)


def test_a_reading_takes_its_moment_from_the_databases_clock(bench):
    moments: dict[str, datetime] = {}

    class Noted:
        """The page's own reader; the window's moment is written down."""

        def __init__(self, account: Account) -> None:
            self.account, self.reader = account, connector.reader(account)

        @property
        def http_calls(self) -> int:
            return self.reader.http_calls

        def read(self, window: Window) -> Reading:
            moments[self.account.integration_id] = window.read_at
            return self.reader.read(window)

    connector, bench.connector = bench.connector, SimpleNamespace(reader=Noted)
    bench.ingest()
    stored = bench.analytics.execute(
        "SELECT integration_id, observed_at FROM analytics.ingest_job"
    ).fetchall()
    assert moments == dict(stored)


def test_the_ledger_knows_which_account_was_read(bench):
    bench.ingest()
    accounts = bench.analytics.execute("SELECT account_id FROM analytics.ingest_job").fetchall()
    assert sorted(accounts) == [(page.id,) for page in bench.world.pages.values()]


def test_a_throttled_job_is_queued_and_says_when_it_is_due(bench):
    bench.fault(2, "page_throttled", minutes=19, times=1)
    with pytest.raises(ThrottledError) as throttled:
        bench.ingest()
    assert bench.states()[2][:2] == ("queued", "rate_limited")
    [(now,)] = bench.analytics.execute("SELECT clock_timestamp()").fetchall()
    assert timedelta(minutes=18) < throttled.value.due - now < timedelta(minutes=20)
    assert bench.ingest(redo_all=False) == {"succeeded": 3}


def test_a_job_that_waits_two_hours_for_quota_fails(bench):
    bench.fault(0, "page_throttled", minutes=19)
    with pytest.raises(ThrottledError):
        bench.ingest()
    bench.analytics.execute(
        "UPDATE analytics.ingest_job SET started_at = started_at - interval '1 hour 45 minutes'"
        " WHERE error_code = 'rate_limited'"
    )
    with pytest.raises(JobError) as failure:
        bench.ingest(redo_all=False)
    assert failure.value.code is ErrorCode.RATE_LIMITED
    assert bench.states()[0] == ("failed", "rate_limited", 2)
    # The job has failed for this run: another try, caused by another job, leaves it alone.
    with pytest.raises(JobError, match="rate_limited"):
        bench.ingest(redo_all=False)
    assert bench.states()[0] == ("failed", "rate_limited", 2)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ('UPDATE "Integration" SET "disabled" = true', "disabled"),
        ('UPDATE "Integration" SET "deletedAt" = now()', "deleted"),
        ('DELETE FROM "Integration"', "unknown"),
    ],
)
def test_a_channel_removed_after_the_listing_fails_with_that_reason(bench, change, reason):
    bench.postiz.execute(f"{change} WHERE id = %s", [bench.jobs[0].integration.id])
    with pytest.raises(JobError, match="object_not_found"):
        bench.ingest()
    assert [status for status, _, _ in bench.states()] == ["failed", "succeeded", "succeeded"]
    [state] = ledger.states(bench.analytics, [bench.jobs[0].job_id])
    assert state.reason == f"No longer active in Postiz: {reason}."


def test_posts_made_in_postiz_are_recognised_by_each_shape_of_release_id(bench):
    page = next(iter(bench.world.pages.values()))
    posts = bench.world.posts(page.id, DAY - timedelta(days=27), DAY)
    assert {post.kind for post in posts} >= {"video", "photo"}
    for post in posts:
        insert_post(bench.postiz, f"postiz-{post.id}", page.id, "acme", post.release_id)
    bench.ingest()
    stored = dict(
        bench.analytics.execute(
            "SELECT content_id, postiz_post_id FROM analytics.content WHERE integration_id = %s", [page.id]
        ).fetchall()
    )
    assert stored == {post.id: f"postiz-{post.id}" for post in posts}


@pytest.mark.parametrize("bench", [1], indirect=True)
def test_a_repost_of_a_video_is_never_named_after_the_post_that_postiz_made(bench):
    [job] = bench.jobs
    insert_post(bench.postiz, "p1", job.integration.id, "acme", "video")
    original, repost = (
        post_with(content_id=name, published_at=midday(DAY - timedelta(days=back)), also_known_as=("video",))
        for name, back in (("original", 3), ("repost", 1))
    )
    connector = bench.connector
    # The original has left the window on the second reading.
    for seen in ((repost, original), (repost,)):
        odd = Odd(connector, job.integration.id, reading_with(content=seen))
        bench.ingester = replace(bench.ingester, connector=lambda _, odd=odd: odd)
        bench.ingest()
    stored = bench.analytics.execute("SELECT content_id, postiz_post_id FROM analytics.content").fetchall()
    assert dict(stored) == {"original": "p1", "repost": None}


def test_every_log_line_of_a_job_has_its_four_fields_in_pool_threads_too(bench):
    bench.fault(1, "token_revoked")
    lines: list[str] = []
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, structlog.processors.JSONRenderer(default=str)],
        logger_factory=lambda *_: _Recorder(lines),
        cache_logger_on_first_use=False,
    )
    try:
        with pytest.raises(JobError):
            bench.ingest()
    finally:
        structlog.reset_defaults()
    events = [json.loads(line) for line in lines]
    assert len(events) > 10
    for job in bench.jobs:
        mine = [event for event in events if event["jobId"] == job.job_id]
        assert {event["event"] for event in mine} >= {"ingest started", "api request"}
        assert all(event["date"] == DAY.isoformat() for event in mine)
        assert all(event["organizationId"] == "acme" for event in mine)
        assert all(event["integrationId"] == job.integration.id for event in mine)
    assert {event["event"] for event in events} >= {"ingest finished", "ingest failed"}
    assert not [token for token in bench.world.tokens if token in "".join(lines)]


class _Recorder:
    def __init__(self, lines: list[str]) -> None:
        self._lines = lines

    def msg(self, line: str) -> None:
        self._lines.append(line)

    debug = info = warning = error = critical = exception = msg


@dataclass
class Wrong:
    """A connector that returns metrics that its provider does not declare, for one account."""

    connector: Connector
    account_id: str

    def reader(self, account: Account) -> Reader:
        reader = self.connector.reader(account)
        if account.provider_account_id == self.account_id:
            read = reader.read
            reader.read = lambda window: replace(read(window), now={"likes": Decimal(1)})
        return reader


def test_a_reading_with_undeclared_metrics_fails_only_its_job(bench):
    wrong = Wrong(bench.connector, bench.jobs[1].integration.id)
    bench.ingester = replace(bench.ingester, connector=lambda _: wrong)
    with pytest.raises(JobError, match="1 of 3 channels failed: 1 unexpected"):
        bench.ingest()
    assert [status for status, _, _ in bench.states()] == ["succeeded", "failed", "succeeded"]
    [state] = ledger.states(bench.analytics, [bench.jobs[1].job_id])
    assert state.reason == "The connector of facebook returned metrics that it does not declare: likes."


class TimeIsUpError(BaseException):
    """Like Airflow's timeout: it interrupts the task's main thread."""


@dataclass
class Hanging:
    """A connector that hangs for one account until ``told`` is set.

    Once all other jobs are stored, it raises the task's timeout. It sees that by a connection of its own.
    """

    connector: Connector
    account_id: str
    stored: Callable[[], int]
    others: int
    told: Event

    def reader(self, account: Account) -> Reader:
        def read(window: Window) -> Reading:
            while self.stored() < self.others and not self.told.is_set():
                pass
            signal.pthread_kill(main_thread().ident, signal.SIGALRM)
            self.told.wait()
            raise JobError(ErrorCode.NETWORK, "Too late.")

        if account.provider_account_id != self.account_id:
            return self.connector.reader(account)
        return SimpleNamespace(http_calls=1, read=read)


def test_a_reader_that_hangs_holds_neither_the_batchs_results_nor_the_end_of_the_task(bench, postgres):
    def time_is_up(*_: object) -> None:
        raise TimeIsUpError

    def stored() -> int:
        with psycopg.connect(postgres.dsn(bench.analytics.connection.info.dbname)) as connection:
            query = "SELECT count(*) FROM analytics.ingest_job WHERE status = 'succeeded'"
            return connection.execute(query).fetchone()[0]

    hanging = Hanging(bench.connector, bench.jobs[0].integration.id, stored, 2, Event())
    bench.ingester = replace(bench.ingester, connector=lambda _: hanging)
    before = signal.signal(signal.SIGALRM, time_is_up)
    try:
        with pytest.raises(TimeIsUpError):
            bench.ingest()
        assert bench.states() == [("running", None, 1), ("succeeded", None, 1), ("succeeded", None, 1)]
    finally:
        signal.signal(signal.SIGALRM, before)
        hanging.told.set()


def states_of(bench) -> list[ledger.JobState]:
    """The jobs' rows, in the order of the pages."""
    found = ledger.states(bench.analytics, [job.job_id for job in bench.jobs])
    by_id = {state.job_id: state for state in found}
    return [by_id[job.job_id] for job in bench.jobs]


def test_what_a_reading_lacks_is_the_reason_of_its_succeeded_job(bench):
    bench.fault(0, "posts_down")
    bench.fault(1, "counts_refused")
    with structlog.testing.capture_logs() as lines:
        assert bench.ingest() == {"succeeded": 3}
    reasons = [state.reason for state in states_of(bench)]
    assert reasons[0].startswith("No posts could be listed: An unexpected error has occurred.")
    assert reasons[1].startswith("The API refuses comments, reactions: (#10) This endpoint requires the")
    assert reasons[2] is None
    finished = {line["reason"] for line in lines if line["event"] == "ingest finished"}
    assert finished == set(reasons)
    errors = "error_class, error_code, provider_code, provider_subcode, trace_id"
    rows = bench.analytics.execute(f"SELECT DISTINCT {errors} FROM analytics.ingest_job").fetchall()
    assert rows == [(None,) * 5]
    query = "SELECT integration_id, value FROM analytics.integration_metric_daily WHERE metric = %s"
    figures = dict(bench.analytics.execute(query, ["posts_published"]).fetchall())
    ids = [job.integration.id for job in bench.jobs]
    assert figures[ids[0]] is None
    assert figures[ids[1]] == len(bench.world.posts(ids[1], DAY, DAY))
    totals = "SELECT DISTINCT metric FROM analytics.content_metric_snapshot WHERE integration_id = %s"
    # The insights have reactions, too.
    stored = {metric for (metric,) in bench.analytics.execute(totals, [ids[1]]).fetchall()}
    assert stored == {"clicks", "reach", "reactions", "shares", "views"}


def test_a_page_without_a_permission_is_asked_again_every_day_and_takes_nothing_from_others(bench):
    bench.fault(0, "counts_refused")
    bench.ingest()
    bench.world.faults.clear(bench.jobs[0].integration.id)
    bench.fault(1, "counts_refused")
    assert bench.ingest() == {"succeeded": 3}
    assert [state.http_calls for state in states_of(bench)] == [2, 3, 2]
    assert [state.reason is None for state in states_of(bench)] == [True, False, True]


@pytest.mark.parametrize("bench", [1], indirect=True)
def test_a_post_that_breaks_every_listing_costs_no_day_its_figures(bench):
    page_id = bench.jobs[0].integration.id
    posts = bench.world.posts(page_id, DAY - timedelta(days=27), DAY)
    broken = posts[len(posts) // 2]
    bench.fault(0, "broken_post", post=broken.id)
    assert bench.ingest() == {"succeeded": 1}
    [state] = states_of(bench)
    assert state.reason == "Only some posts could be listed: An unknown error occurred."
    stored = {one for (one,) in bench.analytics.execute("SELECT content_id FROM analytics.content")}
    assert broken.id not in stored
    # Only the posts of about its day are missing.
    assert len(stored) >= len(posts) - 8
    figures = "SELECT metric, value FROM analytics.integration_metric_daily WHERE date = %s"
    assert dict(bench.analytics.execute(figures, [DAY]).fetchall()) == {
        name: None if name == "posts_published" else bench.world.page_value(page_id, source, DAY)
        for name, source in provider_named("facebook").metrics.items()
    }


@pytest.mark.parametrize("bench", [1], indirect=True)
def test_a_long_reason_is_cut_and_can_be_stored(bench):
    missing = ("Nothing \0 \ud800.", "x" * 1000)
    odd = Odd(bench.connector, bench.jobs[0].integration.id, reading_with(missing=missing))
    bench.ingester = replace(bench.ingester, connector=lambda _: odd)
    assert bench.ingest() == {"succeeded": 1}
    [state] = states_of(bench)
    assert state.reason.startswith("Nothing  ?. xxx")
    assert len(state.reason) == 500


@pytest.mark.parametrize(("setting", "days"), [(0, 3), (2, 3), (5, 6)])
def test_the_look_back_covers_unfinal_days_and_at_least_the_setting(bench, setting, days):
    bench.ingester = replace(
        bench.ingester, settings=bench.ingester.settings.model_copy(update={"lookback_days": setting})
    )
    for back in range(8):
        earlier = [job.on(DAY - timedelta(days=back)) for job in bench.jobs]
        claim = ledger.Claim("earlier", 1)
        ledger.claim(bench.analytics, earlier, claim, force=True)
        ledger.fail(
            bench.analytics,
            ledger.start(bench.analytics, earlier[0], claim),
            JobError(ErrorCode.NETWORK, "Down"),
            1,
        )
    bench.ingest()
    recovered = bench.analytics.execute(
        "SELECT count(*) FROM analytics.ingest_job WHERE status = 'recovered'"
    ).fetchone()
    assert recovered == (days - 1,)
    assert provider_named("facebook").lookback_days(bench.ingester.settings) == days - 1


@dataclass
class Odd:
    """A connector that misbehaves for one account."""

    connector: Connector
    account_id: str
    misbehave: Callable[[Reader], Reader]

    def reader(self, account: Account) -> Reader:
        reader = self.connector.reader(account)
        return self.misbehave(reader) if account.provider_account_id == self.account_id else reader


def reading_with(**changes: object) -> Callable[[Reader], Reader]:
    """Let a reader bring back something else."""

    def change(reader: Reader) -> Reader:
        read = reader.read
        reader.read = lambda window: replace(read(window), **changes)
        return reader

    return change


def fails(error: Exception) -> Callable[[Reader], Reader]:
    """Let a reader raise."""

    def change(reader: Reader) -> Reader:
        def read(window: Window) -> Reading:
            raise error

        reader.read = read
        return reader

    return change


def no_reader(reader: Reader) -> Reader:
    raise ValueError("no reader")


def returns_nothing(reader: Reader) -> Reader:
    reader.read = lambda window: None
    return reader


def midday(day: date) -> datetime:
    return datetime.combine(day, time(12), ZoneInfo("America/Los_Angeles"))


def post_with(**fields: object) -> Content:
    return replace(Content("odd", midday(DAY), "post", None, None), **fields)


@pytest.mark.parametrize(
    "misbehave",
    [
        no_reader,
        returns_nothing,
        reading_with(content=(post_with(published_at=datetime(1, 1, 1, tzinfo=UTC)),)),
        reading_with(content=(post_with(content_id="a\0b"),)),
        reading_with(content=(post_with(message="\ud800"),)),
        fails(JobError(ErrorCode.UNEXPECTED, "\ud800 \0", provider_code="a\0b", trace_id="\ud800")),
    ],
    ids=["no reader", "no reading", "year 1", "NUL in an id", "surrogate in a text", "surrogate in an error"],
)
def test_whatever_one_channel_brings_the_others_of_its_batch_are_stored(bench, misbehave):
    odd = Odd(bench.connector, bench.jobs[1].integration.id, misbehave)
    bench.ingester = replace(bench.ingester, connector=lambda _: odd)
    with pytest.raises(JobError, match="1 of 3 channels failed: 1 unexpected"):
        bench.ingest()
    assert [state[:2] for state in bench.states()] == [
        ("succeeded", None),
        ("failed", "unexpected"),
        ("succeeded", None),
    ]


def test_a_connection_that_cannot_be_used_is_each_jobs_own_failure(bench):
    def connect(_: str) -> Connector:
        raise JobError(ErrorCode.CONFIG_INVALID, "The connection is wrong.")

    bench.ingester = replace(bench.ingester, connector=connect)
    with pytest.raises(JobError, match="3 of 3 channels failed: 3 config_invalid"):
        bench.ingest()
    assert [state[:2] for state in bench.states()] == [("failed", "config_invalid")] * 3


def test_a_provider_that_is_no_longer_read_is_the_operators_to_resolve(bench):
    bench.postiz.execute('UPDATE "Integration" SET "providerIdentifier" = \'friendster\'')
    with pytest.raises(JobError, match="3 config_invalid"):
        bench.ingest()
