"""The page's filters."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from include.social_analytics.warehouse.ledger import JobStatus


class State(StrEnum):
    """The state of a channel's day, as a cell of the calendar shows it."""

    STORED = "stored"
    NO_DATA = "no_data"
    PENDING = "pending"
    FAILED = "failed"
    RUNNING = "running"
    #: There is no job.
    MISSING = "missing"

    @property
    def label(self) -> str:
        """For people."""
        return "Not published yet" if self is State.PENDING else self.replace("_", " ").capitalize()

    @property
    def statuses(self) -> tuple[JobStatus, ...]:
        """The statuses of a job that are shown as this state."""
        return _STATUSES[self]

    @classmethod
    def of(cls, status: JobStatus) -> State:
        """The state that a job's status is shown as."""
        return next(state for state, statuses in _STATUSES.items() if status in statuses)


_STATUSES = {
    State.STORED: (JobStatus.SUCCEEDED, JobStatus.RECOVERED),
    State.NO_DATA: (JobStatus.NO_DATA,),
    State.PENDING: (JobStatus.PENDING,),
    State.FAILED: (JobStatus.FAILED,),
    State.RUNNING: (JobStatus.QUEUED, JobStatus.RUNNING),
    State.MISSING: (),
}


@dataclass(frozen=True)
class Filter:
    """Which channels are shown; ``None`` does not narrow."""

    search: str | None = None
    organization: str | None = None
    #: By its id: the channels that it had when they were last listed.
    customer: str | None = None
    provider: str | None = None
    state: State | None = None
