"""Checks a run by its jobs: what is missing, why, and who resolves it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from include.social_analytics.connectors import CHECK_WHAT_THEY_SHARE, advice_on
from include.social_analytics.errors import ErrorCode, ResolvedBy
from include.social_analytics.jobs import Integration
from include.social_analytics.warehouse.ledger import SETTLED_WELL, JobState, JobStatus

#: Enough names for a person to start with; the ledger has them all.
_NAMED = 20


@dataclass(frozen=True)
class Failure:
    """One integration's failed day.

    ``is_common``: so many channels failed alike that the cause is not their owners.
    """

    integration: Integration
    code: ErrorCode
    reason: str
    is_common: bool = False

    @property
    def advice(self) -> str:
        """What to do about it, in the provider's words."""
        return advice_on(self.integration.provider, self.code, is_common=self.is_common)

    @property
    def resolved_by(self) -> ResolvedBy:
        """Who can end it."""
        return ResolvedBy.OPERATOR if self.is_common else self.code.resolved_by

    def __str__(self) -> str:
        reason = self.reason.rstrip(".")
        return f"{self.integration.name!r} ({self.integration.id}): {self.code}: {reason}. {self.advice}"


def never_published(integrations: Iterable[Integration], days: Mapping[str, Sequence[date]]) -> list[Failure]:
    """A failure of each integration that has days which its provider never published.

    :param days: an integration's id -> its days (:func:`ledger.given_up`).
    """
    return [
        Failure(one, ErrorCode.NOT_PUBLISHED, f"Not published: {', '.join(map(str, days[one.id]))}.")
        for one in integrations
        if one.id in days
    ]


@dataclass(frozen=True)
class Coverage:
    """How complete a day is. Numbers count jobs, one for each integration.

    ``by_status`` leaves out jobs that no task read, whatever an earlier run left in their rows.
    ``unsettled``: integrations whose job has not ended in this run. It is queued, running, not in the ledger,
    or no task read it. ``taken_over``: integrations whose job another run of the day has queued since. They
    count for that run.
    """

    jobs: int
    by_status: Mapping[str, int]
    for_owner: Sequence[Failure]
    for_operator: Sequence[Failure]
    unsettled: Sequence[Integration]
    taken_over: Sequence[Integration]

    @property
    def ratio(self) -> float:
        """Jobs settled well / (jobs - failures that only the channel's owner can resolve), in 0..1.

        Jobs that another run has taken over do not count.
        """
        expected = self.jobs - len(self.for_owner) - len(self.taken_over)
        if expected <= 0:
            return 1.0
        return sum(self.by_status.get(status, 0) for status in SETTLED_WELL) / expected

    def complaints(self, min_coverage: float) -> list[str]:
        """Why the run is red, in sentences; empty when it is green."""
        found = []
        if self.unsettled:
            found.append(f"{len(self.unsettled)} jobs never ended: {_names(self.unsettled)}.")
        alike = Counter((one.integration.provider, one.code) for one in self.for_operator if one.is_common)
        found += [
            f"{count} {provider} channels failed with {code}, like at least half of those that were read, so "
            f"the cause is not their owners: {CHECK_WHAT_THEY_SHARE}"
            for (provider, code), count in alike.items()
        ]
        if each := [failure for failure in self.for_operator if not failure.is_common]:
            found.append(
                f"{len(each)} channels failed, and their owners cannot resolve it: "
                + " | ".join(str(failure) for failure in each[:_NAMED])
            )
        if self.ratio < min_coverage:
            found.append(
                f"Coverage {self.ratio:.0%} is under SOCIAL_ANALYTICS_MIN_COVERAGE ({min_coverage:.0%})."
            )
        return found


def assess(
    integrations: Sequence[Integration],
    states: Sequence[JobState],
    dag_run_id: str,
    unread: Collection[Integration] = (),
    failed_alike: Collection[str] = (),
) -> Coverage:
    """The coverage of a run that listed ``integrations``, whose ledger rows are ``states``.

    :param unread: integrations that count as unread, also if the ledger has a row: see :func:`never_read`.
    :param failed_alike: ids of integrations: see :func:`complete_days.failed_alike`.
    """
    by_id = {state.integration_id: state for state in states}
    owner: list[Failure] = []
    operator: list[Failure] = []
    unsettled: list[Integration] = []
    taken_over: list[Integration] = []
    for integration in integrations:
        state = by_id.get(integration.id)
        if state is None or integration in unread:
            unsettled.append(integration)
        elif state.status.is_open:
            (unsettled if state.dag_run_id == dag_run_id else taken_over).append(integration)
        elif state.status is JobStatus.FAILED:
            code = ErrorCode.named(state.error_code or ErrorCode.UNEXPECTED)
            failure = Failure(integration, code, state.reason or "", integration.id in failed_alike)
            (owner if failure.resolved_by is ResolvedBy.OWNER else operator).append(failure)
    return Coverage(
        jobs=len(integrations),
        by_status=Counter(
            by_id[one.id].status for one in integrations if one.id in by_id and one not in unread
        ),
        for_owner=owner,
        for_operator=operator,
        unsettled=unsettled,
        taken_over=taken_over,
    )


def never_read(
    failed_batches: Iterable[Sequence[Integration]],
    states: Sequence[JobState],
    dag_run_id: str,
    due: datetime,
) -> set[Integration]:
    """The integrations of tasks that failed before they could claim a job in the ledger.

    Rows of an earlier run must not make such a task look successful.

    :param failed_batches: the batch of each task that failed.
    :param due: aware; the earliest time at which the run could start. A reading of another run before that
        does not count for this run.
    """
    by_id = {state.integration_id: state for state in states}
    found: set[Integration] = set()
    for batch in failed_batches:
        rows = [by_id[one.id] for one in batch if one.id in by_id]
        if not any(_tells(row, dag_run_id, due) for row in rows):
            found.update(batch)
    return found


def _tells(row: JobState, dag_run_id: str, due: datetime) -> bool:
    """Whether the row says why its task failed, or that another run has read the channel since."""
    if row.dag_run_id == dag_run_id:
        # RECOVERED: the job failed, then the look-back of a later day stored its figures.
        return row.status in (JobStatus.FAILED, JobStatus.RECOVERED)
    return row.status.is_open or (row.observed_at is not None and row.observed_at >= due)


def _names(integrations: Sequence[Integration]) -> str:
    named = ", ".join(repr(integration.name) for integration in integrations[:_NAMED])
    return named + (", …" if len(integrations) > _NAMED else "")
