"""The health page's server: a FastAPI app that Airflow's API server mounts.

Airflow does not protect mounted apps, so every route depends on Airflow's own check: a user who may not read
the DAG gets only its refusal. This server writes nothing. To clear a task or start a backfill, the page calls
Airflow's API in the user's name.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

from airflow.api_fastapi.core_api.security import requires_access_dag
from fastapi import Depends, FastAPI, HTTPException, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse
from pydantic import AwareDatetime, StringConstraints

from include.social_analytics import connectors
from include.social_analytics.airflow_compat import ended_runs
from include.social_analytics.connectors.base import Provider
from include.social_analytics.dag_ids import DAILY_DAG, INGEST_TASK, LIST_TASK
from include.social_analytics.databases import open_analytics_to_read
from include.social_analytics.days import DaySchedule, latest_due_day
from include.social_analytics.errors import JobError
from include.social_analytics.health import queries
from include.social_analytics.health.answers import (
    Attention,
    Cell,
    Choice,
    Coverage,
    Overview,
    Progress,
    SideBySide,
    Trends,
)
from include.social_analytics.health.attention import needs_attention
from include.social_analytics.health.calendar import counted_days, days_of, page_of_calendar
from include.social_analytics.health.filters import Filter, State
from include.social_analytics.health.spreadsheet import csv_file
from include.social_analytics.health.trends import best_posts, side_by_side, trends
from include.social_analytics.metrics import CONTENT_METRICS
from include.social_analytics.reports import period as periods
from include.social_analytics.reports.period import PeriodKind
from include.social_analytics.reports.render import REPORT_POLICY, as_html
from include.social_analytics.reports.report import report_on
from include.social_analytics.settings import SettingError, Settings

STATIC = Path(__file__).parent / "static"

#: Days of a calendar row.
CALENDAR = 14
#: Channels on a page of the calendar, and in one query for a file.
PAGE, FILE_PAGE = 50, 1000
#: Posts in a file: what a spreadsheet opens with ease.
MOST_POSTS = 50_000

#: The page loads nothing from other hosts, and runs only scripts from its own files.
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}

may_look = requires_access_dag("GET", param_dag_id=DAILY_DAG)

app = FastAPI(
    title="Social analytics",
    dependencies=[Depends(may_look)],
    # They would be reachable without the check.
    openapi_url=None,
    docs_url=None,
    redoc_url=None,
)


@app.middleware("http")
async def _headers(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    response = await call_next(request)
    # The report has a policy of its own: its styles are inside it.
    response.headers.update({**_HEADERS, **response.headers})
    return response


@app.exception_handler(JobError)
async def _unusable(request: Request, error: JobError) -> JSONResponse:
    return JSONResponse({"detail": f"{error.reason} {error.code.advice}"}, status_code=503)


@app.exception_handler(SettingError)
async def _badly_set(request: Request, error: SettingError) -> JSONResponse:
    return JSONResponse({"detail": f"{error} Correct it, and restart Airflow."}, status_code=503)


@app.exception_handler(RequestValidationError)
async def _not_understood(request: Request, error: RequestValidationError) -> JSONResponse:
    names = ", ".join(sorted({str(one["loc"][1]) for one in error.errors()}))
    return JSONResponse({"detail": f"Not understood: {names}."}, status_code=422)


def _refused(name: str) -> HTTPException:
    return HTTPException(422, f"Not understood: {name}.")


@app.get("/", include_in_schema=False)
def page() -> FileResponse:
    """The page."""
    return FileResponse(STATIC / "index.html")


@app.get("/page.{kind}", include_in_schema=False)
def page_part(kind: Literal["css", "js"]) -> FileResponse:
    """The page's styles and its script."""
    return FileResponse(STATIC / f"page.{kind}")


# Postgres cannot store NUL in a text.
Text = Annotated[str | None, Query(max_length=300, pattern=r"^[^\x00]*$")]


def _filter(
    search: Text = None,
    organization: Text = None,
    customer: Text = None,
    provider: Text = None,
    state: State | None = None,
) -> Filter:
    return Filter(search, organization, customer, provider, state)


def _last(until: date | None = None) -> date:
    """The last day that is shown: the latest due day, or an earlier one."""
    latest = latest_due_day(datetime.now(UTC), Settings.from_environment())
    return latest if until is None else max(min(until, latest), date(2000, 1, 1))


Which = Annotated[Filter, Depends(_filter)]
Last = Annotated[date, Depends(_last)]
Days = Annotated[int, Query(ge=1, le=28)]
Period = Annotated[int, Query(ge=1, le=180)]
Named = Annotated[str, Query(max_length=300, pattern=r"^[^\x00]+$")]
# Well within Python's calendar, so that no date overflows.
Moment = Annotated[
    AwareDatetime, Query(ge=datetime(2000, 1, 1, tzinfo=UTC), lt=datetime(3000, 1, 1, tzinfo=UTC))
]
Id = Annotated[str, StringConstraints(max_length=300, pattern=r"^[^\x00]+$")]


def _provider(provider: Named) -> Provider:
    known = connectors.providers().get(provider)
    if known is None:
        raise _refused("provider")
    return known


On = Annotated[Provider, Depends(_provider)]


@app.get("/api/overview")
def overview(last: Last) -> Overview:
    """What there is to choose from, and how complete the latest days are."""
    with open_analytics_to_read() as analytics:
        empty = not queries.has_integrations(analytics)
        first = last - timedelta(days=CALENDAR - 1)
        days = [] if empty else counted_days(analytics, first, last, Filter())
        organizations = [] if empty else queries.organizations(analytics)
        customers = [] if empty else queries.customers(analytics)
    return Overview(
        dag_id=DAILY_DAG,
        list_task=LIST_TASK,
        ingest_task=INGEST_TASK,
        latest_due_day=last,
        newest_complete_day=max((one.day for one in days if one.is_complete), default=None),
        latest=days[-1].totals if days else None,
        next_step="No run of this version has listed a channel yet. "
        f"Unpause the DAG {DAILY_DAG}, or trigger it. "
        "When its first task has ended, this page shows the channels."
        if empty
        else None,
        not_read=[
            one.words
            for one in connectors.not_read(Settings.from_environment()).values()
            if one.reason == "no_connection"
        ],
        organizations=organizations,
        customers=customers,
        providers=[Choice(id=one.name, label=one.title) for one in connectors.providers().values()],
        states=[Choice(id=state, label=state.label) for state in State],
    )


@app.get("/api/progress")
def progress(
    moment: Moment,
    since: Moment | None = None,
    day: Annotated[date | None, Query(alias="date")] = None,
    organization_id: Text = None,
    customer_id: Text = None,
    integration_ids: Annotated[list[Id] | None, Query()] = None,
) -> Progress:
    """How far a run is, by its parameters.

    :param moment: its logical date; without one, when it was due.
    :param since: when its listing began; ``None`` until the listing has ended.
    """
    if day is None:
        settings = Settings.from_environment()
        day = DaySchedule(settings.timezone, settings.run_at).day_meant_by(moment)
    if since is None:
        return Progress(day=day, all=None)
    with open_analytics_to_read() as analytics:
        counts = queries.progress(analytics, day, since, organization_id, customer_id, integration_ids)
    return Progress(day=day, **counts)


# There are very many cells, so a cell without a failure has only its state.
@app.get("/api/coverage", response_model_exclude_unset=True)
def coverage(
    which: Which, last: Last, days: Days = CALENDAR, after: Annotated[str | None, Query()] = None
) -> Coverage:
    """A page of the calendar, and each day's counts."""
    first = last - timedelta(days=days - 1)
    with open_analytics_to_read() as analytics:
        try:
            page = page_of_calendar(analytics, first, last, which, after, PAGE)
        except ValueError:
            raise _refused("after") from None
        counts = counted_days(analytics, first, last, which)
    return Coverage(
        days=days_of(first, last),
        totals=[one.totals for one in counts],
        integrations=page.rows,
        next=page.next,
    )


@app.get("/coverage.csv")
def coverage_file(which: Which, last: Last, days: Days = CALENDAR) -> Response:
    """The whole filtered calendar, one row for each channel."""
    first = last - timedelta(days=days - 1)
    rows = []
    after = None
    with open_analytics_to_read() as analytics:
        while True:
            page = page_of_calendar(analytics, first, last, which, after, FILE_PAGE)
            rows += [
                [
                    one.id, one.name, one.organization_id, one.organization_name, one.customer_id,
                    one.customer_name, one.provider, *(_words(cell) for cell in one.cells),
                ]
                for one in page.rows
            ]  # fmt: skip
            after = page.next
            if after is None:
                break
    header = [
        "integration_id", "name", "organization_id", "organization_name", "customer_id", "customer_name",
        "provider",
    ]  # fmt: skip
    header += [day.isoformat() for day in days_of(first, last)]
    return csv_file("coverage", last, header, rows)


def _words(cell: Cell | None) -> str:
    if cell is None:
        return ""
    return f"{cell.state}: {cell.error_code}" if cell.state is State.FAILED else cell.state


def airflow_tells() -> Callable[[Collection[str]], Collection[str]]:
    """A function that asks Airflow which of some runs have ended."""
    return partial(ended_runs, DAILY_DAG)


Ended = Annotated[Callable[[Collection[str]], Collection[str]], Depends(airflow_tells)]


@app.get("/api/attention")
def attention(which: Which, last: Last, ended: Ended) -> Attention:
    """What needs attention, and the backfill for the gap."""
    with open_analytics_to_read() as analytics:
        return needs_attention(analytics, last, which, ended)


@app.get("/attention.csv")
def attention_file(which: Which, last: Last, ended: Ended) -> Response:
    """What needs attention, one row for each channel that is listed. Without an error code: no failure."""
    header = [
        "error_code", "error_class", "resolved_by", "advice", "integration_id", "name", "organization_id",
        "organization_name", "customer_id", "customer_name", "provider", "since", "days", "reason",
        "trace_id", "run_id",
    ]  # fmt: skip
    with open_analytics_to_read() as analytics:
        found = needs_attention(analytics, last, which, ended)
    rows: list[list[object]] = [
        [
            group.error_code, group.error_class, group.resolved_by, group.advice, one.id, one.name,
            one.organization_id, one.organization_name, one.customer_id, one.customer_name, one.provider,
            one.since, " ".join(day.isoformat() for day in one.days), one.reason, one.trace_id, one.run_id,
        ]
        for group in found.groups
        for one in group.integrations
    ]  # fmt: skip
    if found.lacking is not None:
        rows += [
            [
                "", "", "", found.lacking.advice, one.id, one.name, one.organization_id,
                one.organization_name, one.customer_id, one.customer_name, one.provider, one.day, one.day,
                lack.reason, "", "",
            ]
            for lack in found.lacking.lacks
            for one in lack.integrations
        ]  # fmt: skip
    return csv_file("attention", last, header, rows)


@app.get("/api/trends")
def organization_trends(
    organization: Named, provider: On, last: Last, days: Period = 28, customer: Text = None
) -> Trends:
    """An organization's figures on a provider, or a customer's, day by day, and the best posts there."""
    first = last - timedelta(days=days - 1)
    with open_analytics_to_read() as analytics:
        return Trends(
            days=days_of(first, last),
            metrics=trends(analytics, organization, customer, provider, first, last),
            best_posts=best_posts(analytics, organization, customer, provider, first, last),
        )


@app.get("/api/side-by-side")
def all_providers(organization: Named, last: Last, days: Period = 28, customer: Text = None) -> SideBySide:
    """The totals of an organization, or of a customer, on each of its providers."""
    with open_analytics_to_read() as analytics:
        return side_by_side(analytics, organization, customer, last - timedelta(days=days - 1), last)


@app.get("/trends.csv")
def trends_file(
    organization: Named, provider: On, last: Last, days: Period = 28, customer: Text = None
) -> Response:
    """An organization's figures on a provider, or a customer's, one row for each metric and day."""
    first = last - timedelta(days=days - 1)
    with open_analytics_to_read() as analytics:
        metrics = trends(analytics, organization, customer, provider, first, last)
    rows = [
        [organization, customer, provider.name, metric.name, metric.unit, day, value, reported, expected]
        for metric in metrics
        for day, value, reported, expected in zip(
            days_of(first, last), metric.values, metric.reported, metric.expected, strict=True
        )
    ]
    header = [
        "organization_id", "customer_id", "provider", "metric", "unit", "date", "value",
        "integrations_reported", "integrations_expected",
    ]  # fmt: skip
    return csv_file("trends", last, header, rows)


@app.get("/posts.csv")
def posts_file(
    organization: Named, provider: On, last: Last, days: Period = 28, customer: Text = None
) -> Response:
    """The posts of a period, newest first, with their latest totals and the day of those."""
    metrics = [name for name in CONTENT_METRICS if name in provider.content_metrics]
    first = last - timedelta(days=days - 1)
    with open_analytics_to_read() as analytics:
        found = queries.posts(
            analytics,
            organization,
            customer,
            provider.name,
            first=first,
            last=last,
            zone=provider.timezone,
            most=MOST_POSTS,
        )
    rows = [
        [
            organization, customer, provider.name, one.integration_id, one.integration_name, one.content_id,
            one.kind, one.published_at.astimezone(provider.timezone).isoformat(timespec="seconds"),
            one.message, one.permalink, one.postiz_post_id, *(one.figures.get(name) for name in metrics),
            one.read_on,
        ]
        for one in found
    ]  # fmt: skip
    header = [
        "organization_id", "customer_id", "provider", "integration_id", "name", "content_id", "kind",
        "published_at", "message", "permalink", "postiz_post_id", *metrics, "read_on",
    ]  # fmt: skip
    return csv_file("posts", last, header, rows)


@app.get("/report.html")
def report(
    organization: Named, last: Last, period: PeriodKind = PeriodKind.WEEK, customer: Text = None
) -> HTMLResponse:
    """The report on the latest period that has ended, of an organization or of one of its customers."""
    with open_analytics_to_read() as analytics:
        known = {one.id: one for one in queries.organizations(analytics)}
        if organization not in known:
            raise _refused("organization")
        theirs = {one.id: one for one in queries.customers(analytics) if one.organization_id == organization}
        if customer and customer not in theirs:
            raise _refused("customer")
        made = report_on(
            analytics, known[organization], theirs.get(customer or ""), periods.latest(period, last)
        )
    return HTMLResponse(as_html(made), headers={"Content-Security-Policy": REPORT_POLICY})
