"""The view "Needs attention": what failed, who resolves it and how, the backfill, and what is lacking."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import date, timedelta
from itertools import groupby

from include.social_analytics.connectors import advice_on
from include.social_analytics.databases import Database
from include.social_analytics.days import backfill_command
from include.social_analytics.errors import ErrorClass, ErrorCode, ResolvedBy
from include.social_analytics.health import queries
from include.social_analytics.health.answers import (
    Attention,
    Backfill,
    FailedChannel,
    FailureGroup,
    Lack,
    Lacking,
    LackingChannel,
)
from include.social_analytics.health.calendar import counted_days
from include.social_analytics.health.filters import Filter, State
from include.social_analytics.health.links import log_url

#: For so many days back, failures are shown.
LOOK_BACK = 28
#: Channels that are listed in one group.
MOST_LISTED = 100

#: Channels that are named for one reason why something is lacking.
MOST_NAMED = 5

#: Replaces the error's code if a later day of the channel is stored: only the gap is left.
WORKS_AGAIN = "works_again"

#: The code of a job that has not ended although its run has.
RUN_ENDED = "run_ended"

#: What is no error's code: its heading and its advice.
_NO_ERROR = {
    WORKS_AGAIN: ("Working again", "These channels work again: run the missing days once more."),
    RUN_ENDED: (
        "The run ended early",
        "The run was marked as ended by hand, or deleted, before it read these channels: run them again.",
    ),
}

_LACKING_ADVICE = (
    "These days are stored and are no failures. Each reason says what the reading did not get. "
    "An entry goes when a later day has everything."
)

_RESOLVERS = {
    ResolvedBy.OWNER: "The channel's owner",
    ResolvedBy.OPERATOR: "The Airflow operator",
    ResolvedBy.TIME: "Time; if not, the Airflow operator",
}


def needs_attention(
    analytics: Database, last: date, which: Filter, ended: Callable[[Collection[str]], Collection[str]]
) -> Attention:
    """What failed in the four weeks up to ``last`` and is still missing, and what stored readings lack.

    :param ended: tells which of some runs have ended.
    """
    first = last - timedelta(days=LOOK_BACK - 1)
    counts = counted_days(analytics, first, last, which)
    open_days = [one.day for one in counts if one.by_state[State.RUNNING]]
    open_runs = queries.open_runs(analytics, open_days) if open_days else []
    failures = queries.failures(
        analytics,
        first,
        last,
        which,
        open_days=open_days,
        ended_runs=ended(open_runs) if open_runs else [],
        run_ended=RUN_ENDED,
        works_again=WORKS_AGAIN,
        most=MOST_LISTED,
    )
    groups = _groups(failures)
    gaps = [
        day
        for group in groups
        if group.resolved_by is not ResolvedBy.OWNER
        for day in (group.oldest, group.newest)
    ]
    gaps += [one.day for one in counts if one.by_state[State.MISSING]]
    return Attention(
        groups=groups,
        lacking=_lacking(queries.lacking(analytics, first, last, which, most=MOST_LISTED, named=MOST_NAMED)),
        backfill=_backfill(min(gaps), max(gaps)) if gaps else None,
    )


def _groups(failures: Sequence[queries.Failure]) -> list[FailureGroup]:
    """Failures grouped by error and advice. The group with the oldest failure comes first."""

    def alike(one: queries.Failure) -> tuple[str, str]:
        return one.error_code, _advice(one)

    # The sort is stable: within a group, the channel that has failed longest stays first.
    groups = [_group(list(group)) for _, group in groupby(sorted(failures, key=alike), key=alike)]
    return sorted(groups, key=lambda group: (group.oldest, group.error_code))


def _group(failures: Sequence[queries.Failure]) -> FailureGroup:
    error_code = failures[0].error_code
    is_error = error_code not in _NO_ERROR
    code = ErrorCode.named(error_code)
    resolved_by = code.resolved_by if is_error and not failures[0].is_common else ResolvedBy.OPERATOR
    # Each provider's rows have the provider's counts.
    counts = {one.provider: one for one in failures}
    listed = [_channel(one) for one in failures[:MOST_LISTED]]
    return FailureGroup(
        error_code=error_code,
        error_class=code.error_class if is_error else ErrorClass.TRANSIENT,
        heading=error_code if is_error else _NO_ERROR[error_code][0],
        resolved_by=resolved_by,
        resolver=_RESOLVERS[resolved_by],
        advice=_advice(failures[0]),
        providers=sorted(counts),
        oldest=min(one.oldest for one in counts.values()),
        newest=max(one.newest for one in counts.values()),
        integrations=listed,
        more=sum(one.integrations for one in counts.values()) - len(listed),
    )


def _advice(failure: queries.Failure) -> str:
    if failure.error_code in _NO_ERROR:
        return _NO_ERROR[failure.error_code][1]
    return advice_on(failure.provider, ErrorCode.named(failure.error_code), is_common=failure.is_common)


def _channel(failure: queries.Failure) -> FailedChannel:
    return FailedChannel(
        id=failure.id,
        name=failure.name,
        organization_id=failure.organization_id,
        organization_name=failure.organization_name,
        customer_id=failure.customer_id,
        customer_name=failure.customer_name,
        provider=failure.provider,
        since=failure.since,
        days=failure.days,
        reason=failure.reason,
        trace_id=failure.trace_id,
        run_id=failure.run_id,
        map_index=failure.map_index,
        log_url=log_url(failure.run_id, failure.map_index),
    )


def _lacking(found: Sequence[queries.Lack]) -> Lacking | None:
    def alike(one: queries.Lack) -> tuple[str, str]:
        return one.provider, one.reason

    if not found:
        return None
    lacks = [_lack(list(group)) for _, group in groupby(found, key=alike)]
    return Lacking(advice=_LACKING_ADVICE, lacks=lacks, more=found[0].reasons - len(lacks))


def _lack(named: Sequence[queries.Lack]) -> Lack:
    return Lack(
        reason=named[0].reason,
        provider=named[0].provider,
        newest=named[0].newest,
        integrations=[
            LackingChannel(
                id=one.id,
                name=one.name,
                organization_id=one.organization_id,
                organization_name=one.organization_name,
                customer_id=one.customer_id,
                customer_name=one.customer_name,
                provider=one.provider,
                day=one.date,
                log_url=log_url(one.run_id, one.map_index),
            )
            for one in named
        ],
        more=named[0].integrations - len(named),
    )


def _backfill(first: date, last: date) -> Backfill:
    # An empty configuration, not a missing one. If it is missing, a repeated run keeps its old configuration:
    # a run that an earlier backfill narrowed would stay narrow.
    return Backfill(
        first=first,
        last=last,
        command=f"{backfill_command(first, last)} --reprocess-behavior completed --dag-run-conf '{{}}'",
    )
