"""What a connector returns for one account, and the check against the provider's declaration."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING

import structlog

from include.social_analytics.errors import REASON_MAX_LENGTH, ErrorCode, JobError
from include.social_analytics.json_values import text

if TYPE_CHECKING:
    from include.social_analytics.connectors.base import Provider

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class UnsupportedMetric:
    """A metric that the API refused, by the provider's own name for it."""

    api_version: str
    source_metric: str
    reason: str


@dataclass(frozen=True)
class Window:
    """What to read: ``day`` and the look-back before it; posts go further back.

    ``is_past``, with a ``post_window_days`` of 0: these are a channel's days before it was connected. Neither
    posts nor values as of now are asked for, and ``posts_published`` is absent from the reading.

    ``refused`` holds what the API lately refused some channel of the provider. A metric that no channel can
    have is not asked for again; the connector tells by the reason. What depends on a channel's permissions is
    another channel's matter, so it is asked for.

    ``settled`` holds our metrics and days that need no call of their own: earlier days that were read when
    they were final, and all days of a past. What comes for many days in one call is read all the same.

    ``read_at`` is when the reading begins; of a job, by the analytics database's clock. It decides which days
    are final.
    """

    day: date
    lookback_days: int
    post_window_days: int
    refused: tuple[UnsupportedMetric, ...] = ()
    settled: frozenset[tuple[str, date]] = frozenset()
    read_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    @classmethod
    def of_past(
        cls,
        first: date,
        last: date,
        metrics: Iterable[str],
        refused: tuple[UnsupportedMetric, ...] = (),
        *,
        read_at: datetime,
    ) -> Window:
        """A channel's days before it was connected: many days, few calls.

        :param metrics: all that the provider declares.
        """
        window = cls(last, (last - first).days, 0, refused, read_at=read_at)
        every = frozenset((metric, day) for metric in metrics for day in window.days)
        return replace(window, settled=every)

    @property
    def is_past(self) -> bool:
        """Whether neither posts nor values as of now are asked for."""
        return self.post_window_days == 0

    @property
    def days(self) -> tuple[date, ...]:
        """Every day whose metrics are read, oldest first, ``day`` last."""
        return tuple(self.day - timedelta(days=n) for n in range(self.lookback_days, -1, -1))

    @property
    def first_post_day(self) -> date:
        """The first day whose posts are read (``post_window_days`` days with ``day`` as the last)."""
        return self.day - timedelta(days=self.post_window_days - 1)

    @property
    def first_listed_day(self) -> date:
        """The first day whose posts are listed: posts are counted for all of ``days``, too."""
        return min(self.first_post_day, self.days[0])


@dataclass(frozen=True)
class Content:
    """A post, reel, story or video, with its lifetime totals as they stood when read.

    ``also_known_as`` holds other ids under which Postiz may have recorded it. ``vanishes`` says that the next
    day's run may not find it any more: then it may be of a later day than the window's.
    ``metrics`` maps names of ``CONTENT_METRICS`` to totals. A total is ``None`` when the API gave no number
    for it, and absent when it could not be asked for.
    """

    content_id: str
    published_at: datetime
    kind: str
    message: str | None
    permalink: str | None
    also_known_as: tuple[str, ...] = ()
    vanishes: bool = False
    metrics: Mapping[str, Decimal | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Posts:
    """What the listing of an account's posts gave.

    ``published`` is the series of :func:`posts_published`; empty when the listing was not read to its end.
    ``unsupported`` was refused now, ``withheld`` lately, and so it was not asked for. ``missing`` says what
    else is not there.
    """

    content: tuple[Content, ...] = ()
    published: Mapping[str, Mapping[date, Decimal | None]] = field(default_factory=dict)
    unsupported: tuple[UnsupportedMetric, ...] = ()
    withheld: tuple[UnsupportedMetric, ...] = ()
    missing: tuple[str, ...] = ()


def posts_published(
    published_on: Iterable[date], days: Iterable[date]
) -> dict[str, dict[date, Decimal | None]]:
    """The series ``posts_published``: how many posts each day has.

    :param published_on: each post's day.
    """
    counts = Counter(published_on)
    return {"posts_published": {day: Decimal(counts[day]) for day in days}}


class DayStatus(StrEnum):
    """What an answer says about a day; each is a job's status, too."""

    #: The API gave the day's figures.
    SUCCEEDED = "succeeded"
    #: The API has no figures for the account.
    NO_DATA = "no_data"
    #: The API has figures, but not yet the day's.
    PENDING = "pending"


@dataclass(frozen=True)
class Reading:
    """What a provider answered for one account and window, as the connector understands it.

    ``days`` gives each of the window's days a status. This is what a run stores for a metric and a day:

    ===============================================  ====================  ======================
    the connector says                               the day succeeded     pending or no data
    ===============================================  ====================  ======================
    ``series[metric]`` with the day, also as None    replaces              replaces
    the same, and the day is in ``unread``           stays once stored     stays once stored
    ``series[metric]`` without the day               replaces by null      clears what is stored
    metric neither in ``series`` nor in ``now``      null if nothing is    nothing
                                                     stored
    ``now[metric]``, read on time                    stays once stored     stays once stored
    ``now[metric]``, read late                       null if nothing is    nothing
                                                     stored
    ===============================================  ====================  ======================

    ``now`` holds values that the API gives only as of now, such as the number of followers. They count for
    ``window.day``. :func:`~include.social_analytics.days.is_on_time` defines "on time".
    ``posts_published`` is a series like the others, absent when the listing was not read to its end.
    ``unread`` holds metrics and days that were not asked for, or whose call failed, where each day has a call
    of its own: for these days, a metric in ``series`` counts as one that is not. If ``series`` has a value
    for such a day, the API did not say it: it is the zero of a final day that the API leaves out. It fills a
    gap, and replaces no figure, because an empty answer may also be a fault of the API.

    ``unsupported`` holds what the API refused in this reading. ``missing`` says in sentences what the reading
    lacks although its days are stored: posts that could not be listed, metrics that were refused or not asked
    for. ``notes`` says what the channel's reader should know although nothing is missing. The sentences hold
    no secrets.
    """

    window: Window
    days: Mapping[date, DayStatus]
    series: Mapping[str, Mapping[date, Decimal | None]]
    content: tuple[Content, ...] = ()
    now: Mapping[str, Decimal | None] = field(default_factory=dict)
    unsupported: tuple[UnsupportedMetric, ...] = ()
    missing: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    unread: frozenset[tuple[str, date]] = frozenset()

    @property
    def reason(self) -> str | None:
        """All notes and all that is missing, for the ledger; None if there is nothing to say."""
        return text(" ".join((*self.notes, *self.missing)), REASON_MAX_LENGTH)

    @property
    def status(self) -> DayStatus:
        """The status of the window's day."""
        return self.days[self.window.day]

    def require_declared(self, provider: Provider) -> None:
        """Check that the reading holds only what the provider declares and what was asked for.

        :raises JobError: ``unexpected``: the connector is wrong, and nothing of the reading is stored.
        """
        window = set(self.window.days)
        ids = Counter(one.content_id for one in self.content)
        outside = {
            day
            for one in self.content
            if (day := one.published_at.astimezone(provider.timezone).date()) < self.window.first_post_day
            or (day > self.window.day and not one.vanishes)
        }
        values = {
            **{name: series.values() for name, series in self.series.items()},
            **{name: [value] for name, value in self.now.items()},
            **{one.content_id: one.metrics.values() for one in self.content},
        }
        for what, wrong in (
            ("days without a status", window - set(self.days)),
            ("days outside the window", set(self.days).union(*self.series.values()) - window),
            ("metrics that it does not declare", {*self.series, *self.now} - set(provider.metrics)),
            ("metrics both by day and as of now", set(self.series) & set(self.now)),
            (
                "a value that is no finite number",
                {
                    name
                    for name, said in values.items()
                    if any(v is not None and not v.is_finite() for v in said)
                },
            ),
            ("content more than once", {one for one, times in ids.items() if times > 1}),
            ("content from outside the window", outside),
            (
                "metrics of content that it does not declare",
                {name for one in self.content for name in one.metrics} - set(provider.content_metrics),
            ),
        ):
            if wrong:
                named = ", ".join(sorted(map(str, wrong))[:5])
                raise JobError(
                    ErrorCode.UNEXPECTED, f"The connector of {provider.name} returned {what}: {named}."
                )


@contextmanager
def costs_only(what: str, missing: list[str]) -> Iterator[None]:
    """Let a failure inside the block cost only ``what``: a sentence is added to ``missing``.

    The client has already tried a transient failure several times. More tries, by Airflow, would cost the
    whole day each time, and a call that always fails would cost all of them every day.

    :param what: begins the sentence: "The posts".
    :raises JobError: for a failure that is about the whole account (:attr:`ErrorCode.ends_reading`).
    """
    try:
        yield
    except JobError as error:
        if error.code.ends_reading:
            raise
        log.warning("part of a reading failed", what=what, errorCode=error.code, reason=error.reason)
        missing.append(f"{what} could not be read: {as_sentence(error.reason)}")


def refusals(refused: Iterable[UnsupportedMetric]) -> tuple[str, ...]:
    """What was refused, as sentences for ``Reading.missing``: one for each reason."""
    by_reason: dict[str, list[str]] = {}
    for one in refused:
        by_reason.setdefault(one.reason, []).append(one.source_metric)
    return tuple(
        f"The API refuses {', '.join(names)}: {as_sentence(reason)}" for reason, names in by_reason.items()
    )


def unlisted(what: str, error: JobError | None, *, some: bool) -> tuple[str, ...]:
    """What a listing lacks, as a sentence for ``Reading.missing``; nothing if it has no ``error``.

    :param what: is listed: "posts".
    :param some: whether some of it was listed.
    """
    if error is None:
        return ()
    return (f"{'Only some' if some else 'No'} {what} could be listed: {as_sentence(error.reason)}",)


def as_sentence(reason: str) -> str:
    """A provider's text with a full stop, so that another sentence can follow."""
    return reason if reason.endswith((".", "!", "?")) else f"{reason}."
