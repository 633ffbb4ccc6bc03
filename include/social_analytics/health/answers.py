"""The server's answers to the page."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from pydantic import BaseModel, ConfigDict

from include.social_analytics.errors import ErrorClass, ResolvedBy
from include.social_analytics.health.filters import State
from include.social_analytics.metrics import Kind

#: Whole numbers stay whole in JSON.
Number = int | float


class Answer(BaseModel):
    """A part of an answer."""

    model_config = ConfigDict(frozen=True)


class Choice(Answer):
    """Something to choose or to show: its name in tables and code, and its name for people."""

    id: str
    label: str

    @classmethod
    def of(cls, name: str) -> Choice:
        """One of our own names, such as ``page_views``."""
        return cls(id=name, label=name.replace("_", " ").capitalize())


class CustomerChoice(Choice):
    """A customer, and the organization whose channels it has."""

    organization_id: str


class DayTotals(Answer):
    """How many channels are in each state on a day."""

    day: date
    by_state: dict[State, int]


class Overview(Answer):
    """What there is to choose from, and how complete the latest days are."""

    dag_id: str
    list_task: str
    ingest_task: str
    latest_due_day: date
    newest_complete_day: date | None
    #: Of the latest due day; ``None`` as long as nothing is stored.
    latest: DayTotals | None
    #: What to do while nothing is stored.
    next_step: str | None
    #: The providers whose connection is missing, in sentences.
    not_read: list[str]
    organizations: list[Choice]
    customers: list[CustomerChoice]
    providers: list[Choice]
    states: list[Choice]


class Progress(Answer):
    """How far a run is. Until its listing has ended, only the day is known."""

    day: date
    all: int | None
    done: int | None = None
    failed: int | None = None


class Cell(Answer):
    """A channel's day in the calendar. Only a failed day has more than its state."""

    state: State
    error_class: str | None = None
    error_code: str | None = None
    log_url: str | None = None


class Channel(Answer):
    """A channel, with its names for people."""

    id: str
    name: str
    organization_id: str
    organization_name: str
    #: ``None`` without a customer.
    customer_id: str | None
    customer_name: str | None
    provider: str


class CalendarRow(Channel):
    """A channel's days. ``None`` on days without a job when none was expected."""

    cells: list[Cell | None]


class Coverage(Answer):
    """A page of the calendar, and the totals of all its pages."""

    days: list[date]
    totals: list[DayTotals]
    integrations: list[CalendarRow]
    #: The position of the next page.
    next: str | None


class FailedChannel(Channel):
    """A channel that needs attention, by its latest failure."""

    since: date
    days: list[date]
    reason: str | None
    trace_id: str | None
    run_id: str
    map_index: int | None
    log_url: str


class FailureGroup(Answer):
    """Channels with the same error and the same advice. Those that have failed longest are listed."""

    error_code: str
    error_class: ErrorClass
    heading: str
    resolved_by: ResolvedBy
    #: For people.
    resolver: str
    advice: str
    providers: list[str]
    oldest: date
    newest: date
    integrations: list[FailedChannel]
    #: How many more there are than are listed.
    more: int


class LackingChannel(Channel):
    """A channel whose latest reading lacks something."""

    day: date
    log_url: str


class Lack(Answer):
    """Something that stored readings lack. Some of the channels are listed."""

    reason: str
    provider: str
    newest: date
    integrations: list[LackingChannel]
    #: How many more there are than are listed.
    more: int


class Lacking(Answer):
    """What stored readings lack. It is no failure."""

    advice: str
    lacks: list[Lack]
    #: How many more reasons there are than are listed.
    more: int


class Backfill(Answer):
    """A backfill that reads what is missing."""

    first: date
    last: date
    command: str


class Attention(Answer):
    """What failed, what else is lacking, and the backfill.

    The backfill is for what failed or is missing, except for what only the channels' owners can resolve.
    """

    groups: list[FailureGroup]
    #: ``None`` if nothing is.
    lacking: Lacking | None
    backfill: Backfill | None


class ChannelChange(Answer):
    """A day on which another number of channels reported a metric than on the day before."""

    day: date
    before: int
    after: int


class LikeForLike(Answer):
    """A metric's totals in two periods, over the channels that reported every day of both."""

    channels: int
    total: Number | None
    previous: Number | None
    change: float | None


class Trend(Answer):
    """A metric's values day by day. ``source`` is the provider's own name of the metric.

    ``complete`` says of each day whether every channel reported the metric or has no data.
    ``reported`` of ``expected`` channels are in each day's value.
    ``total`` is the sum of the known values, or a gauge's last value. ``total_is_complete`` says
    whether all days in it are complete. ``previous`` is the total of the period before, if that is complete.
    ``change`` compares two complete totals. ``like_for_like`` is ``None`` if no channel reported every
    day, if the totals are already those of the same channels, or if there are too many channels.
    """

    name: str
    label: str
    source: str
    unit: str
    kind: Kind
    values: list[Number | None]
    complete: list[bool]
    reported: list[int]
    expected: list[int]
    channel_changes: list[ChannelChange]
    total: Number | None
    total_is_complete: bool
    previous: Number | None
    change: float | None
    like_for_like: LikeForLike | None


class Post(Answer):
    """A post with its latest totals by metric, as read on ``read_on``. Both days are the provider's."""

    integration_id: str
    integration_name: str
    message: str | None
    permalink: str | None
    kind: str
    published_on: date
    read_on: date
    figures: dict[str, Number | None]


class BestPosts(Answer):
    """The best posts of an organization or customer in a period, by the metric ``ranked_by``."""

    ranked_by: Choice
    #: The metrics that the provider has of a post, in the order of the catalogue.
    metrics: list[Choice]
    posts: list[Post]
    note: str | None


class Trends(Answer):
    """The figures of an organization or customer on a provider; its best posts if they have figures."""

    days: list[date]
    metrics: Sequence[Trend]
    best_posts: BestPosts | None


class SideFigure(Answer):
    """A metric's total on one provider; the fields are those of :class:`Trend`."""

    total: Number | None
    total_is_complete: bool
    change: float | None


class Side(Answer):
    """Totals of an organization or customer on one provider, by metric: those that the provider has."""

    provider: Choice
    channels: int
    figures: dict[str, SideFigure]


class SideMetric(Choice):
    """A metric that at least one of the providers has."""

    kind: Kind


class SideBySide(Answer):
    """Totals of an organization or customer on each provider. Nothing is added up over providers."""

    metrics: list[SideMetric]
    sides: list[Side]
