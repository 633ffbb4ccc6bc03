"""The server's answers to the page."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

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
    organizations: list[Choice]
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
    provider: str


class CalendarRow(Channel):
    """A channel's days. ``None`` on days when it was not connected."""

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


class Backfill(Answer):
    """A backfill that reads what is missing."""

    first: date
    last: date
    command: str


class Attention(Answer):
    """What failed, and the backfill for it, except for what only the channels' owners can resolve."""

    groups: list[FailureGroup]
    backfill: Backfill | None


class Trend(Answer):
    """A metric's values day by day.

    ``complete`` says of each day whether every channel reported the metric or has no data.
    ``total`` is the sum of the known values, or a gauge's last value. ``total_is_complete`` says
    whether all days in it are complete. ``previous`` is the total of the period before, if that is complete.
    ``change`` compares two complete totals.
    """

    name: str
    label: str
    unit: str
    kind: Kind
    values: list[Number | None]
    complete: list[bool]
    reported: list[int]
    expected: list[int]
    total: Number | None
    total_is_complete: bool
    previous: Number | None
    change: float | None


class Post(Answer):
    """A post with its latest totals by metric."""

    integration_id: str
    integration_name: str
    message: str | None
    permalink: str | None
    kind: str
    published_at: datetime
    figures: dict[str, Number | None]


class BestPosts(Answer):
    """An organization's best posts of a period, by the metric ``ranked_by``."""

    ranked_by: Choice
    #: The metrics that the provider has of a post, in the order of the catalogue.
    metrics: list[Choice]
    posts: list[Post]
    note: str | None


class Trends(Answer):
    """An organization's figures on a provider, and its best posts, if the provider has figures of posts."""

    days: list[date]
    metrics: Sequence[Trend]
    best_posts: BestPosts | None
