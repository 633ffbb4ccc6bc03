"""The view "Coverage": the state of each channel's days, and which days are complete."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import groupby

from include.social_analytics.databases import Database
from include.social_analytics.health import queries
from include.social_analytics.health.answers import CalendarRow, Cell, DayTotals
from include.social_analytics.health.filters import Filter, State
from include.social_analytics.health.links import log_url
from include.social_analytics.jobs import IngestJob, Integration


def days_of(first: date, last: date) -> list[date]:
    """Each day of a period, both ends included."""
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]


@dataclass(frozen=True)
class CountedDay:
    """One day's channels: how many are in each state, and how many have a complete job."""

    day: date
    by_state: Mapping[State, int]
    complete_jobs: int

    @property
    def is_complete(self) -> bool:
        """Whether the day has jobs, none is missing, and all are complete (``complete_days.IS_COMPLETE``)."""
        return 0 < sum(self.by_state.values()) == self.complete_jobs

    @property
    def totals(self) -> DayTotals:
        """For the page."""
        return DayTotals(day=self.day, by_state=dict(self.by_state))


def counted_days(analytics: Database, first: date, last: date, which: Filter) -> list[CountedDay]:
    """Each day's counts, over an organization's, customer's or provider's channels."""
    counts = queries.day_counts(analytics, first, last, which)
    return [_counted(day, list(of_day)) for day, of_day in groupby(counts, key=lambda one: one.day)]


def _counted(day: date, counts: Sequence[queries.DayCount]) -> CountedDay:
    by_state: Counter[State] = Counter(dict.fromkeys(State, 0))
    for one in counts:
        if one.status is not None:
            by_state[State.of(one.status)] += one.jobs
    # A channel that has moved to another organization still has its earlier jobs in the first one.
    by_state[State.MISSING] = max(0, counts[0].expected - sum(one.expected_jobs for one in counts))
    return CountedDay(day, by_state, sum(one.jobs for one in counts if one.is_complete))


@dataclass(frozen=True)
class CalendarPage:
    """Some channels' days, and the position of the next page."""

    rows: list[CalendarRow]
    next: str | None


def page_of_calendar(
    analytics: Database, first: date, last: date, which: Filter, after: str | None, limit: int
) -> CalendarPage:
    """A page of channels by name; each has a cell for each day.

    :param after: the ``next`` of the page before.
    :raises ValueError: when ``after`` is not the position of a page.
    """
    position = None if after is None else _position(after)
    # One more than is shown: it tells whether there is a next page.
    found = queries.calendar(analytics, first, last, which, position, limit + 1)
    shown = found[:limit]
    days = days_of(first, last)
    cells = _cells(analytics, shown, days)
    rows = [
        CalendarRow(
            id=one.id,
            name=one.name,
            organization_id=one.organization_id,
            organization_name=one.organization_name,
            customer_id=one.customer_id,
            customer_name=one.customer_name,
            provider=one.provider,
            cells=[
                cells.get((one.id, day))
                or (Cell(state=State.MISSING) if one.expected_from <= day <= one.last_day else None)
                for day in days
            ],
        )
        for one in shown
    ]
    return CalendarPage(rows, json.dumps([shown[-1].name, shown[-1].id]) if len(found) > limit else None)


def _cells(
    analytics: Database, shown: Sequence[queries.ListedIntegration], days: Sequence[date]
) -> dict[tuple[str, date], Cell]:
    integrations = [Integration(one.id, one.name, one.organization_id, one.provider) for one in shown]
    ids = [IngestJob(one, day, is_backfill=False).job_id for one in integrations for day in days]
    return {(job.integration_id, job.date): _cell(job) for job in queries.jobs(analytics, ids)}


def _cell(job: queries.Job) -> Cell:
    state = State.of(job.status)
    if state is not State.FAILED:
        return Cell(state=state)
    return Cell(
        state=state,
        error_class=job.error_class,
        error_code=job.error_code,
        log_url=log_url(job.run_id, job.map_index),
    )


def _position(after: str) -> tuple[str, str]:
    found = json.loads(after)
    # Postgres cannot store NUL in a text.
    if not (isinstance(found, list) and len(found) == 2 and "\0" not in "".join(map(str, found))):
        raise ValueError(after)
    name, integration_id = map(str, found)
    return name, integration_id
