"""Reads the past of new channels: the days before they were connected, as far as the provider has them.

The day comes first. The last task of a run to end its days reads the past, of all the run's channels, so that
it takes no call from a day of another task. A past that cannot be read costs nobody the day, and is asked for
again by the next day's run.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import structlog

from include.social_analytics.connectors import provider_named, providers
from include.social_analytics.connectors.reading import Reading, Window
from include.social_analytics.days import latest_due_day
from include.social_analytics.errors import ErrorCode, JobError
from include.social_analytics.ingest import CONCURRENCY, own_failure
from include.social_analytics.warehouse import integrations, ledger, unsupported, writer

if TYPE_CHECKING:
    from include.social_analytics.connectors.base import Account, Reader
    from include.social_analytics.ingest import Ingester
    from include.social_analytics.jobs import IngestJob
    from include.social_analytics.runs import Run

log = structlog.get_logger(__name__)

#: Channels that are claimed at once. It bounds the memory.
CHANNELS_AT_ONCE = 100
#: Seconds after which nothing more is stored: the day's figures wait to be added up. The next day goes on.
LONGEST = 15 * 60


@dataclass(frozen=True)
class _Past:
    """A channel's days to read. ``job`` is that of the day before which they lie."""

    job: IngestJob
    account: Account
    reader: Reader
    window: Window


def read_history(ingester: Ingester, run: Run, map_index: int | None) -> None:
    """Read and store the past of the run's new channels, if no task of any run still has to read the day.

    Only a scheduled or manual run of all channels for the latest due day does so. A backfill is about the
    days that it names, and a run of some channels about its day. A failure of any kind is only logged.
    """
    settings = ingester.settings
    if run.is_backfill or not run.is_whole or not settings.history_days:
        return
    if run.day != latest_due_day(datetime.now(UTC), settings):
        return
    try:
        with own_failure("reading the past"):
            if not ledger.has_open_jobs(ingester.analytics_db, run.day):
                _read_all(ingester, run, map_index)
    except JobError as error:
        log.warning("the past was not read", errorCode=error.code, reason=error.reason)


def _read_all(ingester: Ingester, run: Run, map_index: int | None) -> None:
    throttled: set[str] = set()
    stops_at = time.monotonic() + LONGEST
    while time.monotonic() < stops_at:
        claimed = integrations.claim_history(
            ingester.analytics_db,
            run.day,
            sorted(set(providers()) - throttled),
            ledger.SETTLED_WELL,
            CHANNELS_AT_ONCE,
        )
        if not claimed:
            break
        pool = ThreadPoolExecutor(CONCURRENCY, thread_name_prefix="history")
        try:
            futures = {pool.submit(_read, past): past for past in _pasts(ingester, run.jobs(claimed))}
            for future in as_completed(futures, timeout=max(stops_at - time.monotonic(), 0)):
                past = futures.pop(future)
                with past.job.log_context():
                    try:
                        _store(ingester, past, future.result(), run.run_id, map_index)
                    except JobError as error:
                        if error.code is ErrorCode.RATE_LIMITED:
                            throttled.add(past.job.integration.provider)
                            integrations.history_waits(ingester.analytics_db, past.job.integration.id)
                        log.warning("history failed", errorCode=error.code, reason=error.reason)
        except TimeoutError:
            # A reading that hangs has used its try.
            for future, past in futures.items():
                if future.cancel():
                    integrations.history_waits(ingester.analytics_db, past.job.integration.id)
            log.warning("history takes too long", channels=len(futures))
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _pasts(ingester: Ingester, jobs: list[IngestJob]) -> Iterator[_Past]:
    """What to read of each channel. A day that has a job, also of a former channel, is not asked for."""
    accounts = ingester.accounts(jobs)
    for job in jobs:
        account = accounts[job.integration.id]
        if isinstance(account, JobError):
            continue
        provider = provider_named(job.integration.provider)
        days = provider.past_days(job.date, ingester.settings)
        lacking = ledger.past_to_read(ingester.analytics_db, job, days)
        if not lacking:
            integrations.history_is_read(ingester.analytics_db, job.integration.id, None, is_complete=True)
            continue
        try:
            # In this thread: a connector looks up Airflow connections, which threads must not do at once.
            with job.log_context(), own_failure("connecting"):
                reader = ingester.connector(provider.name).reader(account)
        except JobError as error:
            log.warning("history failed", errorCode=error.code, reason=error.reason)
            continue
        refused = unsupported.lately(ingester.analytics_db, provider.name)
        began = integrations.clock(ingester.analytics_db)
        window = Window.of_past(lacking[0], lacking[-1], provider.metrics, refused, read_at=began)
        yield _Past(job, account, reader, window)


def _read(past: _Past) -> Reading:
    """The reading. Runs in a thread of the pool."""
    with past.job.log_context(), own_failure("reading the past"):
        reading = past.reader.read(past.window)
        reading.require_declared(provider_named(past.job.integration.provider))
        return reading


def _store(ingester: Ingester, past: _Past, reading: Reading, run_id: str, map_index: int | None) -> None:
    with own_failure("storing the past"):
        days = writer.store_past(
            ingester.analytics_db,
            past.job,
            reading,
            observed_at=past.window.read_at,
            dag_run_id=run_id,
            map_index=map_index,
            account_id=past.account.provider_account_id,
            lookback_days=provider_named(past.job.integration.provider).lookback_days(ingester.settings),
            post_window_days=ingester.settings.post_window_days,
        )
    log.info(
        "history read", first=past.window.days[0].isoformat(), last=past.window.day.isoformat(), days=days,
        httpCalls=past.reader.http_calls,
    )  # fmt: skip
