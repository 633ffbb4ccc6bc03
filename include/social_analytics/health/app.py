"""The health page's server: a FastAPI app that Airflow's API server mounts.

Whoever may not read the DAG is told so and nothing else: Airflow itself leaves mounted apps open, so
its own check stands before each of the routes. Nothing here writes. What the page changes, a cleared
task or a backfill, it asks of Airflow's API in the user's name.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote

from airflow.api_fastapi.core_api.security import requires_access_dag
from fastapi import Depends, FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from pydantic import AwareDatetime, StringConstraints

from include.social_analytics.connectors import providers
from include.social_analytics.dag_ids import DAILY_DAG, INGEST_TASK
from include.social_analytics.databases import open_analytics_to_read
from include.social_analytics.days import DaySchedule, latest_due_day
from include.social_analytics.errors import JobError, ResolvedBy
from include.social_analytics.health import queries
from include.social_analytics.health.spreadsheet import csv_file
from include.social_analytics.metrics import DAILY_METRICS
from include.social_analytics.settings import Settings

STATIC = Path(__file__).parent / "static"

#: Days of a calendar row.
CALENDAR = 14
#: Integrations of a page of the calendar; and of one query for a file.
PAGE, FILE_PAGE = 50, 1000

#: The page loads nothing from elsewhere and runs nothing that is not in its own file.
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
    response.headers.update(_HEADERS)
    return response


@app.exception_handler(JobError)
async def _unusable(request: Request, error: JobError) -> JSONResponse:
    return JSONResponse({"detail": f"{error.reason} {error.code.advice}"}, status_code=503)


@app.exception_handler(RequestValidationError)
async def _not_understood(request: Request, error: RequestValidationError) -> JSONResponse:
    names = ", ".join(sorted({str(one["loc"][1]) for one in error.errors()}))
    return JSONResponse({"detail": f"Not understood: {names}."}, status_code=422)


@app.get("/", include_in_schema=False)
def page() -> FileResponse:
    """The page."""
    return FileResponse(STATIC / "index.html")


@app.get("/page.{kind}", include_in_schema=False)
def page_part(kind: Literal["css", "js"]) -> FileResponse:
    """Its looks and its behaviour."""
    return FileResponse(STATIC / f"page.{kind}")


# Postgres knows no NUL in a text.
Text = Annotated[str | None, Query(max_length=300, pattern=r"^[^\x00]*$")]


def _filter(
    search: Text = None,
    organization: Text = None,
    provider: Text = None,
    state: Literal["stored", "no_data", "pending", "failed", "running", "missing"] | None = None,
) -> queries.Filter:
    return queries.Filter(search, organization, provider, state)


def _last(until: date | None = None) -> date:
    """The last day that is shown: the latest that is due, or an earlier one."""
    latest = latest_due_day(datetime.now(UTC), Settings.from_environment())
    return latest if until is None else max(min(until, latest), date(2000, 1, 1))


Which = Annotated[queries.Filter, Depends(_filter)]
Last = Annotated[date, Depends(_last)]
Days = Annotated[int, Query(ge=1, le=28)]
Period = Annotated[int, Query(ge=1, le=180)]
Named = Annotated[str, Query(max_length=300, pattern=r"^[^\x00]+$")]
# Beyond, Python's calendar ends in either direction.
Moment = Annotated[
    AwareDatetime, Query(ge=datetime(2000, 1, 1, tzinfo=UTC), lt=datetime(3000, 1, 1, tzinfo=UTC))
]
Id = Annotated[str, StringConstraints(max_length=300, pattern=r"^[^\x00]+$")]


@app.get("/api/overview")
def overview(last: Last) -> dict[str, Any]:
    """What there is to choose from, and how complete the latest days are."""
    found: dict[str, Any] = {
        "empty": True,
        "next": None,
        "dag_id": DAILY_DAG,
        "latest_due_day": last,
        "newest_complete_day": None,
        "latest": None,
        "organizations": [],
        "providers": list(providers()),
        "states": [{"id": state, "label": queries.label(state)} for state in queries.STATES],
        "metrics": [
            {
                "name": one.organization_name,
                "label": queries.label(one.organization_name),
                "unit": one.unit,
            }
            for one in DAILY_METRICS.values()
        ],
    }
    with open_analytics_to_read() as analytics:
        if not queries.has_integrations(analytics):
            return found | {
                "next": f"No run has listed an integration yet. Unpause the DAG {DAILY_DAG}, or trigger it; "
                "when its first task has ended, this page shows what there is."
            }
        days = queries.totals(analytics, last - timedelta(days=CALENDAR - 1), last, queries.Filter())
        complete = [one.day for one in days if one.is_complete]
        return found | {
            "empty": False,
            "newest_complete_day": complete[-1] if complete else None,
            "latest": {"day": days[-1].day, **days[-1].by_state},
            "organizations": queries.organizations(analytics),
        }


@app.get("/api/progress")
def progress(
    moment: Moment,
    since: Moment | None = None,
    day: Annotated[date | None, Query(alias="date")] = None,
    organization_id: Text = None,
    integration_ids: Annotated[list[Id] | None, Query()] = None,
) -> dict[str, Any]:
    """How far a run is, by its parameters.

    :param moment: its logical date, else when it was due.
    :param since: when its listing began, once that has ended.
    """
    if day is None:
        settings = Settings.from_environment()
        day = DaySchedule(settings.timezone, settings.run_at).day_meant_by(moment)
    if since is None:
        return {"day": day, "all": None}
    with open_analytics_to_read() as analytics:
        return {"day": day, **queries.progress(analytics, day, since, organization_id, integration_ids)}


@app.get("/api/coverage")
def coverage(
    which: Which, last: Last, days: Days = CALENDAR, after: Annotated[str | None, Query()] = None
) -> Any:
    """A page of the calendar, and each day's counts."""
    first = last - timedelta(days=days - 1)
    with open_analytics_to_read() as analytics:
        try:
            shown = queries.calendar(analytics, first, last, which, after, PAGE)
        except ValueError:
            return JSONResponse({"detail": "Not understood: after."}, status_code=422)
        totals = queries.totals(analytics, first, last, which)
    return {
        "days": [one.day for one in totals],
        "totals": [{"day": one.day, **one.by_state} for one in totals],
        "integrations": shown.integrations,
        "next": shown.next,
    }


@app.get("/coverage.csv")
def coverage_file(which: Which, last: Last, days: Days = CALENDAR) -> Response:
    """The whole calendar that the filter leaves, a row for each integration."""
    first = last - timedelta(days=days - 1)
    rows = []
    after = None
    with open_analytics_to_read() as analytics:
        while True:
            shown = queries.calendar(analytics, first, last, which, after, FILE_PAGE)
            rows += [
                [
                    one["id"], one["name"], one["organization_id"], one["organization_name"], one["provider"],
                    *(_words(cell) for cell in one["cells"]),
                ]
                for one in shown.integrations
            ]  # fmt: skip
            after = shown.next
            if after is None:
                break
    header = ["integration_id", "name", "organization_id", "organization_name", "provider"]
    header += [(first + timedelta(days=number)).isoformat() for number in range(days)]
    return csv_file("coverage", last, header, rows)


def _words(cell: dict[str, Any] | None) -> str:
    if cell is None:
        return ""
    return f"failed: {cell['error_code']}" if cell["state"] == "failed" else str(cell["state"])


@app.get("/api/failures")
def failures(which: Which, last: Last) -> dict[str, Any]:
    """What is to be cured, and the backfill that brings in what somebody operating Airflow can."""
    with open_analytics_to_read() as analytics:
        groups = queries.failures(analytics, last, which)
        missing = queries.missing_days(analytics, last, which)
    failing = [group for group in groups if group.resolved_by is not ResolvedBy.OWNER]
    gaps = [day for group in failing for day in (group.oldest, group.newest)] + missing
    return {
        "groups": [
            {
                "error_code": group.error_code,
                "error_class": group.error_class,
                "resolved_by": group.resolved_by,
                "advice": group.advice,
                "more": group.integrations - len(group.listed),
                "integrations": [
                    {
                        "id": one["integration_id"],
                        **{
                            name: one[name]
                            for name in (
                                "name", "organization_id", "organization_name", "provider", "reason",
                                "trace_id", "since", "days", "run_id", "map_index",
                            )
                        },
                        "log_url": _log_url(one["run_id"], one["map_index"]),
                    }
                    for one in group.listed
                ],
            }
            for group in groups
        ],
        "backfill": _backfill(min(gaps), max(gaps)) if gaps else None,
    }  # fmt: skip


def _log_url(run_id: str, map_index: int | None) -> str:
    """Where Airflow's UI shows the log, relative to its root; without a map index, the run."""
    run = f"dags/{DAILY_DAG}/runs/{quote(run_id, safe='')}"
    return run if map_index is None else f"{run}/tasks/{INGEST_TASK}/mapped/{map_index}"


def _backfill(first: date, last: date) -> dict[str, Any]:
    # An empty configuration, not none: with none, Airflow leaves a repeated run the one that it has, and one
    # that an earlier backfill narrowed stays narrow.
    return {
        "from": first,
        "to": last,
        "command": f"airflow backfill create --dag-id {DAILY_DAG} --from-date {first} --to-date {last} "
        "--reprocess-behavior completed --dag-run-conf '{}'",
    }


@app.get("/failures.csv")
def failures_file(which: Which, last: Last) -> Response:
    """What is to be cured, a row for each integration."""
    header = [
        "error_code", "error_class", "resolved_by", "advice", "integration_id", "name", "organization_id",
        "organization_name", "provider", "since", "days", "reason", "trace_id", "run_id",
    ]  # fmt: skip
    with open_analytics_to_read() as analytics:
        groups = queries.failures(analytics, last, which)
    rows = [
        [
            group.error_code, group.error_class, group.resolved_by, group.advice, one["integration_id"],
            one["name"], one["organization_id"], one["organization_name"], one["provider"],
            one["since"], " ".join(day.isoformat() for day in one["days"]), one["reason"],
            one["trace_id"], one["run_id"],
        ]
        for group in groups
        for one in group.listed
    ]  # fmt: skip
    return csv_file("failures", last, header, rows)


@app.get("/api/trends")
def trends(organization: Named, provider: Named, last: Last, days: Period = 28) -> dict[str, Any]:
    """An organization's figures day by day, and its best posts."""
    first = last - timedelta(days=days - 1)
    with open_analytics_to_read() as analytics:
        metrics = queries.trends(analytics, organization, provider, first, last)
        posts, cut = queries.best_posts(analytics, organization, provider, first, last)
    return {
        "days": [first + timedelta(days=number) for number in range(days)],
        "metrics": metrics,
        "posts": posts,
        "posts_note": f"Of the latest {queries.POSTS_COMPARED:,} posts." if cut else None,
    }


@app.get("/trends.csv")
def trends_file(organization: Named, provider: Named, last: Last, days: Period = 28) -> Response:
    """An organization's figures, a row for each metric and day."""
    first = last - timedelta(days=days - 1)
    with open_analytics_to_read() as analytics:
        metrics = queries.trends(analytics, organization, provider, first, last)
    rows = [
        [
            organization, provider, metric["name"], metric["unit"], first + timedelta(days=number),
            metric["values"][number], metric["reported"][number], metric["expected"][number],
        ]
        for metric in metrics
        for number in range(days)
    ]  # fmt: skip
    header = [
        "organization_id", "provider", "metric", "unit", "date", "value", "integrations_reported",
        "integrations_expected",
    ]  # fmt: skip
    return csv_file("trends", last, header, rows)
