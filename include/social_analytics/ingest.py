"""Ingests a batch: reads each integration from its provider, stores it, and updates the ledger.

Threads only call the providers. Only the calling thread uses the databases, in short transactions: a batch
of any size holds two connections, and no transaction is open during an HTTP call.
"""

from __future__ import annotations

import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence, Set
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property

import psycopg
import structlog

from include.social_analytics import postiz, telemetry
from include.social_analytics.connectors import names_by_identifier, provider_named
from include.social_analytics.connectors.base import Account, Connector, Reader
from include.social_analytics.connectors.reading import DayStatus, Reading, Window
from include.social_analytics.databases import Database
from include.social_analytics.errors import ErrorCode, JobError
from include.social_analytics.jobs import IngestJob
from include.social_analytics.settings import Settings
from include.social_analytics.warehouse import ledger, unsupported, writer
from include.social_analytics.warehouse.ledger import JobStatus

log = structlog.get_logger(__name__)

#: Integrations of one batch that are read at once. One integration's calls run one after another and
#: mostly wait, so a few threads keep one task's core busy.
CONCURRENCY = 8

#: If a task is due again before the scheduler has seen its last process end, Airflow marks it as failed
#: (Airflow 3.3: "finished with state success, but the task instance's state attribute is queued").
SHORTEST_WAIT_FOR_QUOTA = timedelta(seconds=15)

#: A job that has waited this long for quota in one run fails. The run's other channels wait with it for their
#: aggregate, and the look-back of the next days brings its figures in.
LONGEST_WAIT_FOR_QUOTA = timedelta(hours=2)


class ThrottledError(Exception):
    """Some jobs wait for the API's quota. The batch's other jobs have ended."""

    def __init__(self, due: datetime) -> None:
        """:param due: when the API may be asked again, by the analytics database's clock."""
        self.due = due
        super().__init__(f"The API's quota is spent: wait until {due.isoformat(timespec='seconds')}.")


@dataclass(frozen=True)
class _Started:
    """A job whose ledger row says ``running``."""

    start: ledger.Start
    reader: Reader
    window: Window
    #: By the process's own clock.
    began: float

    @property
    def job(self) -> IngestJob:
        """The job."""
        return self.start.job

    @property
    def seconds(self) -> float:
        """How long it has been running."""
        return time.monotonic() - self.began


@dataclass(frozen=True)
class Ingester:
    """What ingesting needs: both databases, a connector for a provider's name, the settings.

    ``mask`` is called with the tokens as soon as they are read.
    """

    postiz_db: Database
    analytics_db: Database
    connector: Callable[[str], Connector]
    mask: Callable[[list[str]], object]
    settings: Settings

    def ingest(
        self, jobs: Sequence[IngestJob], claim: ledger.Claim, *, map_index: int | None = None
    ) -> dict[str, int]:
        """Run the jobs of a batch that have not settled since the task claimed them (:func:`ledger.claim`).

        A job's failure of any kind touches no other job. A database that is gone ends the batch.

        :param map_index: of this mapped task, for the ledger.
        :returns: how many jobs have each status, as their readings ended. If another task has claimed a job
            meanwhile, the ledger says what that task does.
        :raises ThrottledError: when some jobs wait for quota.
        :raises JobError: when jobs failed. Its code is not final if another try may help.
        """
        settled = self._settled(jobs)
        todo = [job for job in jobs if job.job_id not in settled]
        failures = [one for one in settled.values() if isinstance(one, JobError)]
        statuses = Counter[str](one for one in settled.values() if not isinstance(one, JobError))
        due: list[datetime] = []

        accounts = self.accounts(todo)
        pool = ThreadPoolExecutor(CONCURRENCY, thread_name_prefix="ingest")
        try:
            waiting = iter(todo)
            in_flight: dict[Future[Reading], _Started] = {}
            while True:
                while len(in_flight) < CONCURRENCY and (job := next(waiting, None)) is not None:
                    with job.log_context():
                        account = accounts[job.integration.id]
                        start = ledger.start(
                            self.analytics_db,
                            job,
                            claim,
                            map_index=map_index,
                            account_id=None if isinstance(account, JobError) else account.provider_account_id,
                        )
                        started = self._started(start, account)
                        in_flight[pool.submit(self._read, started)] = started
                if not in_flight:
                    break
                for future in wait(in_flight, return_when=FIRST_COMPLETED).done:
                    started = in_flight.pop(future)
                    with started.job.log_context():
                        try:
                            reading = future.result()
                            with own_failure("storing"):
                                statuses[self._store(started, reading)] += 1
                        except JobError as error:
                            quota_due = self._record(started, error)
                            if quota_due is None:
                                failures.append(error)
                            else:
                                due.append(quota_due)
        finally:
            # All readers are done, or the task's time is up. Then do not wait for one that hangs.
            pool.shutdown(wait=False, cancel_futures=True)
        if due:
            raise ThrottledError(max(due))
        if failures:
            raise _summary(failures, len(jobs))
        return dict(statuses)

    def _settled(self, jobs: Sequence[IngestJob]) -> dict[str, JobStatus | JobError]:
        """Jobs that no retry changes, each with its status, or with its error if it failed."""
        settled: dict[str, JobStatus | JobError] = {}
        for state in ledger.states(self.analytics_db, [job.job_id for job in jobs]):
            if state.status.is_settled_well:
                settled[state.job_id] = state.status
            elif state.status is JobStatus.FAILED and state.error_code is not None:
                code = ErrorCode.named(state.error_code)
                if code.is_final:
                    settled[state.job_id] = JobError(code, state.reason or "")
        return settled

    def accounts(self, jobs: Sequence[IngestJob]) -> dict[str, Account | JobError]:
        """Each job's account as Postiz has it now, or why it is no longer active."""
        ids = [job.integration.id for job in jobs]
        identifiers = names_by_identifier()
        with self.postiz_db.transaction():
            active = postiz.accounts(self.postiz_db, ids, identifiers, may=self._may_read, mask=self.mask)
            gone = [one for one in ids if one not in active]
            reasons = postiz.inactive_reasons(self.postiz_db, gone, identifiers) if gone else {}
        return active | {
            one: JobError(
                # Neither is the owner's to resolve.
                ErrorCode.CONFIG_INVALID
                if reason in ("no_connector", "no_refresh_token_grant")
                else ErrorCode.OBJECT_NOT_FOUND,
                f"No longer active in Postiz: {reason}.",
            )
            for one, reason in ((one, reasons.get(one, "changing")) for one in gone)
        }

    def _started(self, start: ledger.Start, account: Account | JobError) -> _Started:
        log.info("ingest started", attempt=start.attempts)
        window = Window(start.job.date, 0, 0)
        try:
            if isinstance(account, JobError):
                raise account
            with own_failure("connecting"):
                reader = self.connector(start.job.integration.provider).reader(account)
            window = self._window(start)
        except JobError as error:
            reader = _Unreadable(error)
        return _Started(start, reader, window, time.monotonic())

    def _window(self, start: ledger.Start) -> Window:
        """What to read, and what need not be asked for."""
        job = start.job
        provider = provider_named(job.integration.provider)
        window = Window(
            job.date,
            provider.lookback_days(self.settings),
            _post_window_days(job, self.settings),
            unsupported.lately(self.analytics_db, provider.name),
            read_at=start.observed_at,
        )
        return replace(window, settled=writer.settled(self.analytics_db, job, window.days[:-1]))

    def _read(self, started: _Started) -> Reading:
        """Read, in a thread of the pool. It binds the job's log fields itself: context does not follow."""
        job = started.job
        with job.log_context(), own_failure("reading"):
            provider = provider_named(job.integration.provider)
            reading = started.reader.read(started.window)
            reading.require_declared(provider)
            return reading

    @cached_property
    def _may_read(self) -> Set[str]:
        """What the role of Postiz's database may read. Kept for the batch."""
        return postiz.may_read(self.postiz_db)

    def _store(self, started: _Started, reading: Reading) -> DayStatus:
        """Store a reading; returns the job's status."""
        job = started.job
        names = {name for one in reading.content for name in (one.content_id, *one.also_known_as)}
        with self.postiz_db.transaction():
            found = postiz.published_posts(
                self.postiz_db,
                job.integration.id,
                sorted(names),
                by_permalink="permalinks" in self._may_read,
            )
        try:
            stored = writer.store(
                self.analytics_db,
                started.start,
                reading,
                http_calls=started.reader.http_calls,
                postiz_posts=found,
            )
        except psycopg.Error as error:
            # The database works, but refuses these values: only this job fails.
            raise JobError(ErrorCode.UNEXPECTED, f"{type(error).__name__} while storing: {error}") from error
        log.info(
            "ingest finished",
            status=stored.status,
            metricRows=stored.metric_rows,
            contentRows=stored.content_rows,
            httpCalls=started.reader.http_calls,
            reason=reading.reason,
        )
        telemetry.job_ended(
            job.integration.provider,
            stored.status,
            seconds=started.seconds,
            http_calls=started.reader.http_calls,
            metric_rows=stored.metric_rows,
            content_rows=stored.content_rows,
        )
        return stored.status

    def _record(self, started: _Started, error: JobError) -> datetime | None:
        """Write a failure to the ledger. If the job only waits for quota, returns when it is due again."""
        calls = started.reader.http_calls
        if error.code is ErrorCode.RATE_LIMITED:
            pause = max(error.retry_after or self.settings.max_retry_delay, SHORTEST_WAIT_FOR_QUOTA)
            if started.start.observed_at + pause < started.start.working_since + LONGEST_WAIT_FOR_QUOTA:
                due = ledger.wait_for_quota(self.analytics_db, started.start, error, pause, calls)
                log.warning(
                    "ingest throttled", errorCode=error.code, due=due.isoformat(), reason=error.reason
                )
                telemetry.job_waits(started.job.integration.provider)
                return due
        ledger.fail(self.analytics_db, started.start, error, calls)
        log.error(
            "ingest failed",
            errorClass=error.error_class,
            errorCode=error.code,
            reason=error.reason,
            providerCode=error.provider_code,
            providerSubcode=error.provider_subcode,
            traceId=error.trace_id,
            httpCalls=calls,
        )
        telemetry.job_ended(
            started.job.integration.provider,
            JobStatus.FAILED,
            error_code=error.code,
            seconds=started.seconds,
            http_calls=calls,
        )
        return None


def _post_window_days(job: IngestJob, settings: Settings) -> int:
    """How many days' posts to read. Once a week they are more: old posts change little.

    Each channel has its own weekday, so that all days cost about the same.
    """
    weekday_of_channel = zlib.crc32(job.integration.id.encode()) % 7
    if job.date.toordinal() % 7 != weekday_of_channel:
        return settings.post_window_days
    return max(settings.post_window_days, settings.weekly_post_window_days)


@dataclass(frozen=True)
class _Unreadable:
    """The reader of a job that cannot be read, for the reason that ``error`` gives."""

    error: JobError
    http_calls: int = 0

    def read(self, window: Window) -> Reading:
        raise self.error


@contextmanager
def own_failure(doing: str) -> Iterator[None]:
    """Make what nobody foresaw inside the block the failure of this one job.

    :raises JobError: in place of any other exception.
    """
    try:
        yield
    except JobError:
        raise
    except Exception as error:
        log.exception("ingest met something unexpected", doing=doing)
        raise JobError(ErrorCode.UNEXPECTED, f"{type(error).__name__} while {doing}, see the log.") from None


def _summary(failures: Sequence[JobError], jobs: int) -> JobError:
    """One error for the batch. It is not final if any of the errors is not, so that Airflow retries."""
    leading = min(failures, key=lambda error: error.code.is_final)
    if jobs == 1:
        return leading
    codes = ", ".join(f"{count} {code}" for code, count in Counter(error.code for error in failures).items())
    return JobError(leading.code, f"{len(failures)} of {jobs} channels failed: {codes}.")
