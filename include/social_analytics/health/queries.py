"""What the health page asks of the analytics database.

Every function takes a database that was opened for reading, and whose rows are dictionaries.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, LiteralString

from include.social_analytics.connectors import providers
from include.social_analytics.databases import Database
from include.social_analytics.errors import ErrorCode, ResolvedBy
from include.social_analytics.jobs import IngestJob, Integration
from include.social_analytics.metrics import DAILY_METRICS, Kind

#: Days that failures are looked for.
FAILURES_LOOK_BACK = 28
#: Integrations that are listed under one error.
MOST_LISTED = 100
#: An organization's latest posts, of which the best are shown.
POSTS_COMPARED = 2000
BEST_POSTS = 10

#: What a cell of the calendar can say, and the job statuses that say it. No job at all: missing.
STATES: Mapping[str, tuple[str, ...]] = {
    "stored": ("succeeded", "recovered"),
    "no_data": ("no_data",),
    "pending": ("pending",),
    "failed": ("failed",),
    "running": ("queued", "running"),
    "missing": (),
}
_STATE_OF = {status: state for state, statuses in STATES.items() for status in statuses}

#: Instead of the error's code, where an integration has stored a later day: only the gap is left.
WORKS_AGAIN = "works_again"


@dataclass(frozen=True)
class Filter:
    """Which integrations are shown; ``None`` does not narrow."""

    search: str | None = None
    organization: str | None = None
    provider: str | None = None
    state: str | None = None


def has_integrations(analytics: Database) -> bool:
    """Whether any listing has been stored; not before the first run of this version."""
    row = analytics.execute(
        "SELECT count(*) = 2 AS there FROM pg_class WHERE relnamespace = to_regnamespace('analytics') "
        "AND relname IN ('integration', 'organization')"
    ).fetchone()
    if not row or not row["there"]:
        return False
    return analytics.execute("SELECT FROM analytics.integration LIMIT 1").fetchone() is not None


def organizations(analytics: Database) -> list[dict[str, str]]:
    """All organizations by name: ``id``, ``name``."""
    return analytics.execute(
        "SELECT DISTINCT organization_id AS id, coalesce(organization.name, organization_id) AS name"
        " FROM analytics.integration LEFT JOIN analytics.organization USING (organization_id)"
        " ORDER BY name, id"
    ).fetchall()


# Known on a day: listed for it, or since then for as long as it is active.
_KNOWN: LiteralString = """
WITH changes AS MATERIALIZED (
    SELECT change.day, sum(change.by) AS by
    FROM analytics.integration, LATERAL (
        VALUES (first_day, 1), (CASE WHEN is_active THEN %(last)s ELSE last_day END + 1, -1)
    ) AS change (day, by)
    WHERE (%(organization)s::text IS NULL OR organization_id = %(organization)s)
      AND (%(provider)s::text IS NULL OR provider = %(provider)s)
    GROUP BY change.day
), known AS MATERIALIZED (
    SELECT shown.day::date, (SELECT coalesce(sum(by), 0)::bigint FROM changes WHERE day <= shown.day) AS known
    FROM generate_series(%(first)s::date, %(last)s::date, interval '1 day') AS shown (day)
)
"""
_OF_THESE_DAYS: LiteralString = """
    FROM analytics.ingest_job
    -- By the index on date.
    WHERE date BETWEEN %(first)s AND %(last)s
      AND (%(organization)s::text IS NULL OR organization_id = %(organization)s)
      AND (%(provider)s::text IS NULL OR provider = %(provider)s)
"""
_TOTALS: LiteralString = f"""
{_KNOWN}, jobs AS (
    SELECT date AS day, status, error_code, count(*) AS jobs
    {_OF_THESE_DAYS}
    GROUP BY date, status, error_code
)
SELECT known.day, known.known, jobs.status, jobs.error_code, coalesce(jobs.jobs, 0) AS jobs
FROM known LEFT JOIN jobs USING (day)
ORDER BY known.day
"""
_MISSING_DAYS: LiteralString = f"""
{_KNOWN}, jobs AS (SELECT date AS day, count(*) AS jobs {_OF_THESE_DAYS} GROUP BY date)
SELECT known.day FROM known LEFT JOIN jobs USING (day) WHERE known.known > coalesce(jobs.jobs, 0)
"""


@dataclass(frozen=True)
class DayTotals:
    """One day's integrations by what became of them."""

    day: date
    by_state: Mapping[str, int]
    owners_failures: int

    @property
    def is_complete(self) -> bool:
        """Whether all is there but what only the pages' owners can cure."""
        settled = sum(self.by_state[_STATE_OF[status]] for status in ("succeeded", "no_data", "pending"))
        return settled > 0 and sum(self.by_state.values()) == settled + self.owners_failures


def totals(analytics: Database, first: date, last: date, which: Filter) -> list[DayTotals]:
    """Each day's counts, over an organization's or provider's integrations."""
    rows = analytics.execute(
        _TOTALS,
        {"first": first, "last": last, "organization": which.organization, "provider": which.provider},
    ).fetchall()
    found = []
    for day in _days(first, last):
        of_day = [row for row in rows if row["day"] == day]
        counts = dict.fromkeys(STATES, 0)
        owners = 0
        for row in of_day:
            if row["status"] is not None:
                counts[_STATE_OF[row["status"]]] += row["jobs"]
            if row["status"] == "failed" and _code(row["error_code"]).resolved_by is ResolvedBy.OWNER:
                owners += row["jobs"]
        counts["missing"] = max(0, of_day[0]["known"] - sum(counts.values()))
        found.append(DayTotals(day, counts, owners))
    return found


def missing_days(analytics: Database, last: date, which: Filter) -> list[date]:
    """The days that failures are looked for of which some integration has no job at all."""
    rows = analytics.execute(
        _MISSING_DAYS,
        {
            "first": last - timedelta(days=FAILURES_LOOK_BACK - 1),
            "last": last,
            "organization": which.organization,
            "provider": which.provider,
        },
    ).fetchall()
    return [row["day"] for row in rows]


_IN_STATE: LiteralString = """
    EXISTS (
        SELECT FROM analytics.ingest_job AS job
        WHERE job.integration_id = integration.integration_id AND job.date BETWEEN %(first)s AND %(last)s
          AND job.status = ANY (%(statuses)s)
    )
"""
# The planner knows only from the words themselves that the index on failures serves.
_FAILED: LiteralString = """
    integration_id IN (
        SELECT integration_id FROM analytics.ingest_job
        WHERE date BETWEEN %(first)s AND %(last)s AND status = 'failed'
    )
"""
_MISSING: LiteralString = """
    coalesce(jobs.days, 0) <
        least(CASE WHEN is_active THEN %(last)s::date ELSE last_day END, %(last)s::date)
        - greatest(first_day, %(first)s::date) + 1
"""
_JOBS_COUNTED: LiteralString = """
LEFT JOIN (
    SELECT integration_id, count(*) AS days FROM analytics.ingest_job
    WHERE date BETWEEN %(first)s AND %(last)s
    GROUP BY integration_id
) AS jobs USING (integration_id)
"""
# The organization's name is looked up last, for the page's rows alone.
_SHOWN: LiteralString = """
SELECT integration_id, integration.name, organization_id, provider, first_day,
    CASE WHEN is_active THEN %(last)s ELSE last_day END AS last_day,
    coalesce(
        (SELECT name FROM analytics.organization
         WHERE organization.organization_id = integration.organization_id),
        organization_id
    ) AS organization_name
FROM analytics.integration
"""
_WHERE: LiteralString = """
WHERE first_day <= %(last)s AND (is_active OR last_day >= %(first)s)
  AND (%(organization)s::text IS NULL OR organization_id = %(organization)s)
  AND (%(provider)s::text IS NULL OR provider = %(provider)s)
  AND (%(search)s::text IS NULL OR integration_id = %(search)s
       OR position(lower(%(search)s) IN lower(integration.name)) > 0)
  AND (%(after_name)s::text IS NULL OR (integration.name, integration_id) > (%(after_name)s, %(after_id)s))
"""
_ORDER: LiteralString = "ORDER BY integration.name, integration_id LIMIT %(limit)s"

# By the primary key.
_JOBS: LiteralString = """
SELECT integration_id, date, status, error_class, error_code, dag_run_id, map_index
FROM analytics.ingest_job
WHERE job_id = ANY (%s)
"""


@dataclass(frozen=True)
class CalendarPage:
    """Some integrations' days, and where the next page begins."""

    integrations: list[dict[str, Any]]
    next: str | None


def calendar(
    analytics: Database,
    first: date,
    last: date,
    which: Filter,
    after: str | None = None,
    limit: int = 50,
) -> CalendarPage:
    """A page of integrations by name; each has ``cells``, one a day.

    :param after: the ``next`` of the page before.
    :raises ValueError: when ``after`` is nothing that a page said.
    """
    after_name, after_id = _position(after)
    query = f"{_SHOWN} {_WHERE}"
    if which.state == "missing":
        query = f"{_SHOWN} {_JOBS_COUNTED} {_WHERE} AND {_MISSING}"
    elif which.state == "failed":
        query = f"{_SHOWN} {_WHERE} AND {_FAILED}"
    elif which.state is not None:
        query = f"{_SHOWN} {_WHERE} AND {_IN_STATE}"
    rows = analytics.execute(
        f"{query} {_ORDER}",
        {
            "first": first,
            "last": last,
            "organization": which.organization,
            "provider": which.provider,
            "search": which.search,
            "statuses": list(STATES[which.state]) if which.state else None,
            "after_name": after_name,
            "after_id": after_id,
            # One more tells whether there is a next page.
            "limit": limit + 1,
        },
    ).fetchall()
    rows, more = rows[:limit], len(rows) > limit
    days = _days(first, last)
    cells = _cells(analytics, rows, days)
    shown = [
        {
            "id": row["integration_id"],
            "name": row["name"],
            "organization_id": row["organization_id"],
            "organization_name": row["organization_name"],
            "provider": row["provider"],
            "cells": [
                cells.get((row["integration_id"], day))
                or ({"state": "missing"} if row["first_day"] <= day <= row["last_day"] else None)
                for day in days
            ],
        }
        for row in rows
    ]
    return CalendarPage(shown, json.dumps([rows[-1]["name"], rows[-1]["integration_id"]]) if more else None)


def _cells(
    analytics: Database, rows: Sequence[dict[str, Any]], days: Sequence[date]
) -> dict[tuple[str, date], dict[str, Any]]:
    integrations = [
        Integration(row["integration_id"], row["name"], row["organization_id"], row["provider"])
        for row in rows
    ]
    ids = [IngestJob(one, day, False).job_id for one in integrations for day in days]
    found = {}
    for job in analytics.execute(_JOBS, [ids]):
        cell = {"state": _STATE_OF[job["status"]]}
        if job["status"] == "failed":
            cell |= {name: job[name] for name in ("error_class", "error_code", "map_index")}
            cell["run_id"] = job["dag_run_id"]
        found[job["integration_id"], job["date"]] = cell
    return found


def _position(after: str | None) -> tuple[str | None, str | None]:
    if after is None:
        return None, None
    found = json.loads(after)
    if not (isinstance(found, list) and len(found) == 2 and "\0" not in "".join(map(str, found))):
        raise ValueError(after)
    name, integration_id = map(str, found)
    return name, integration_id


# What this run, or one beside it, has done; a row that waits to be redone still tells of an earlier start.
_PROGRESS: LiteralString = """
SELECT count(*) AS all, count(*) FILTER (WHERE done) AS done,
    count(*) FILTER (WHERE done AND status = 'failed') AS failed
-- By the index on date.
FROM analytics.ingest_job JOIN analytics.integration USING (integration_id),
    LATERAL (SELECT started_at >= %(since)s AND status NOT IN ('queued', 'running')) AS ended (done)
WHERE date = %(day)s AND listed_at >= %(since)s
  AND (%(organization)s::text IS NULL OR integration.organization_id = %(organization)s)
  AND (%(integrations)s::text[] IS NULL OR integration_id = ANY (%(integrations)s))
"""


def progress(
    analytics: Database,
    day: date,
    since: datetime,
    organization: str | None = None,
    integrations: Sequence[str] | None = None,
) -> dict[str, int]:
    """How far a run for ``day`` is: ``all`` integrations that it listed, ``done`` and of those ``failed``.

    :param since: when its listing began, by Airflow's clock; the database's is taken to agree with it.
    :param organization: that the run was narrowed to; so are ``integrations``, by id.
    """
    row = analytics.execute(
        _PROGRESS, {"day": day, "since": since, "organization": organization, "integrations": integrations}
    ).fetchone()
    assert row is not None  # noqa: S101 - an aggregate without GROUP BY has one row
    return dict(row)


# An integration's latest failure speaks for it. That it works again is known from the figures of a
# later day: by the primary key.
_FAILURES: LiteralString = """
WITH failed AS (
    SELECT integration_id, min(date) AS since, array_agg(date ORDER BY date) AS days,
        (array_agg(job_id ORDER BY date DESC))[1] AS latest
    FROM analytics.ingest_job
    WHERE status = 'failed' AND date BETWEEN %(first)s AND %(last)s
      AND (%(organization)s::text IS NULL OR organization_id = %(organization)s)
      AND (%(provider)s::text IS NULL OR provider = %(provider)s)
    GROUP BY integration_id
), named AS (
    SELECT failed.*, job.date, job.organization_id, job.provider, job.reason, job.trace_id, job.map_index,
        job.dag_run_id AS run_id,
        CASE WHEN EXISTS (
            SELECT FROM analytics.integration_metric_daily AS stored
            WHERE stored.integration_id = job.integration_id AND stored.metric = %(posts_published)s
              AND stored.date > job.date
        ) THEN %(works_again)s ELSE coalesce(job.error_code, 'unexpected') END AS error_code
    FROM failed JOIN analytics.ingest_job AS job ON job.job_id = failed.latest
), ranked AS (
    SELECT *, row_number() OVER (PARTITION BY error_code ORDER BY since, integration_id) AS place,
        count(*) OVER whole AS integrations, min(since) OVER whole AS oldest,
        max(date) OVER whole AS newest
    FROM named
    WINDOW whole AS (PARTITION BY error_code)
)
SELECT ranked.*, coalesce(integration.name, integration_id) AS name,
    coalesce(organization.name, ranked.organization_id) AS organization_name
FROM ranked
LEFT JOIN analytics.integration USING (integration_id)
LEFT JOIN analytics.organization ON organization.organization_id = ranked.organization_id
WHERE place <= %(most)s
ORDER BY oldest, error_code, place
"""


@dataclass(frozen=True)
class FailureGroup:
    """Integrations that fail alike: ``integrations`` of them, of which the longest failing are ``listed``."""

    error_code: str
    oldest: date
    newest: date
    integrations: int
    listed: list[dict[str, Any]]

    @property
    def resolved_by(self) -> ResolvedBy:
        """Who can end it."""
        return ResolvedBy.OPERATOR if self.error_code == WORKS_AGAIN else _code(self.error_code).resolved_by

    @property
    def error_class(self) -> str:
        """Of the error; what works again is transient."""
        return "transient" if self.error_code == WORKS_AGAIN else _code(self.error_code).error_class

    @property
    def advice(self) -> str:
        """What to do."""
        if self.error_code == WORKS_AGAIN:
            return "These work again: run the missing days once more."
        return _code(self.error_code).advice


def failures(analytics: Database, last: date, which: Filter) -> list[FailureGroup]:
    """What failed up to ``last`` and is not made good, grouped by error, what fails longest first."""
    rows = analytics.execute(
        _FAILURES,
        {
            "first": last - timedelta(days=FAILURES_LOOK_BACK - 1),
            "last": last,
            "organization": which.organization,
            "provider": which.provider,
            "posts_published": "posts_published",
            "works_again": WORKS_AGAIN,
            "most": MOST_LISTED,
        },
    ).fetchall()
    groups: dict[str, FailureGroup] = {}
    for row in rows:
        group = groups.setdefault(
            row["error_code"],
            FailureGroup(row["error_code"], row["oldest"], row["newest"], row["integrations"], []),
        )
        group.listed.append(row)
    return list(groups.values())


_FIGURES: LiteralString = """
SELECT metric, date, value, integrations_reported AS reported, integrations_expected AS expected
FROM analytics.organization_daily
WHERE organization_id = %(organization)s AND provider = %(provider)s AND date BETWEEN %(first)s AND %(last)s
"""
_WITHOUT_DATA: LiteralString = """
SELECT date, count(*) AS jobs
FROM analytics.ingest_job
WHERE status = 'no_data' AND organization_id = %(organization)s AND provider = %(provider)s
  AND date BETWEEN %(first)s AND %(last)s
GROUP BY date
"""
_POSTS: LiteralString = """
WITH latest AS MATERIALIZED (
    SELECT integration_id, content_id, message, permalink, kind, published_at
    FROM analytics.content
    WHERE organization_id = %(organization)s AND provider = %(provider)s
      AND published_at >= %(first)s AND published_at < %(last)s::date + 2
    ORDER BY published_at DESC
    LIMIT %(compared)s
), counted AS (
    -- A page that was connected again is another integration with the same posts.
    SELECT DISTINCT ON (content_id) latest.*, views.value AS views, views.snapshot_date
    FROM latest CROSS JOIN LATERAL (
        -- By the primary key.
        SELECT value, snapshot_date
        FROM analytics.content_metric_snapshot AS snapshot
        WHERE snapshot.integration_id = latest.integration_id AND snapshot.content_id = latest.content_id
          AND metric = 'views' AND snapshot_date >= %(first)s
        ORDER BY snapshot_date DESC
        LIMIT 1
    ) AS views
    WHERE views.value IS NOT NULL
    ORDER BY content_id, views.snapshot_date DESC, integration_id
), viewed AS (
    SELECT * FROM counted ORDER BY views DESC, published_at DESC LIMIT %(best)s
)
SELECT viewed.*, coalesce(integration.name, integration_id) AS integration_name,
    (SELECT jsonb_object_agg(metric, value) FROM analytics.content_metric_snapshot AS snapshot
     WHERE snapshot.integration_id = viewed.integration_id AND snapshot.content_id = viewed.content_id
       AND snapshot.snapshot_date = viewed.snapshot_date) AS figures,
    (SELECT count(*) FROM latest) AS compared
FROM viewed LEFT JOIN analytics.integration USING (integration_id)
ORDER BY views DESC, published_at DESC
"""


def trends(
    analytics: Database,
    organization: str,
    provider: str,
    first: date,
    last: date,
) -> list[dict[str, Any]]:
    """An organization's daily metrics, each with the change against as many days before ``first``.

    A day is complete when each integration reported the metric or has no data by the provider's word.
    ``total`` is of what there is, and ``whole`` where all days are complete; a change needs two wholes.
    """
    days = _days(first, last)
    before = _days(first - timedelta(days=len(days)), first - timedelta(days=1))
    parameters = {"organization": organization, "provider": provider, "first": before[0], "last": last}
    figures = {
        (row["metric"], row["date"]): row for row in analytics.execute(_FIGURES, parameters).fetchall()
    }
    without = {row["date"]: row["jobs"] for row in analytics.execute(_WITHOUT_DATA, parameters).fetchall()}
    shown = []
    for metric in (DAILY_METRICS[name] for name in providers()[provider].metrics):
        rows = {day: figures.get((metric.organization_name, day)) for day in before + days}
        complete = {
            day: row is not None
            and row["value"] is not None
            # A page without insights has posts all the same: what they are counted by, it reports.
            and row["reported"] + (0 if metric.name == "posts_published" else without.get(day, 0))
            >= row["expected"]
            for day, row in rows.items()
        }
        (total, whole), (previous, was_whole) = (
            _total(metric.kind, rows, complete, period) for period in (days, before)
        )
        comparable = whole and was_whole
        shown.append(
            {
                "name": metric.organization_name,
                "label": label(metric.organization_name),
                "unit": metric.unit,
                "kind": metric.kind,
                "values": [_number(row["value"]) if (row := rows[day]) else None for day in days],
                "complete": [complete[day] for day in days],
                "reported": [row["reported"] if (row := rows[day]) else 0 for day in days],
                "expected": [row["expected"] if (row := rows[day]) else 0 for day in days],
                "total": total,
                "whole": whole,
                "previous": previous if was_whole else None,
                "change": (total - previous) / previous
                if comparable and total is not None and previous
                else None,
            }
        )
    return shown


def best_posts(
    analytics: Database, organization: str, provider: str, first: date, last: date
) -> tuple[list[dict[str, Any]], bool]:
    """The most viewed posts published in a period, and whether only the latest of them were compared."""
    rows = analytics.execute(
        _POSTS,
        {
            "organization": organization,
            "provider": provider,
            "first": first,
            "last": last,
            "compared": POSTS_COMPARED,
            "best": BEST_POSTS,
        },
    ).fetchall()
    posts = [
        {name: row[name] for name in ("integration_id", "integration_name", "message", "permalink", "kind")}
        | {"published_at": row["published_at"].isoformat()}
        | {name: row["figures"].get(name) for name in ("views", "reactions", "comments", "shares")}
        for row in rows
    ]
    return posts, bool(rows) and rows[0]["compared"] == POSTS_COMPARED


def label(name: str) -> str:
    """A name of ours as people read it."""
    return name.replace("_", " ").capitalize()


def _total(
    kind: Kind, rows: Mapping[date, Any], complete: Mapping[date, bool], period: Sequence[date]
) -> tuple[float | None, bool]:
    """A period's sum, or of a gauge the last day's value; and whether all of it is in there."""
    counted = period[-1:] if kind is Kind.GAUGE else period
    values = [row["value"] for day in counted if (row := rows[day]) and row["value"] is not None]
    return _number(sum(values)) if values else None, all(complete[day] for day in counted)


def _number(value: Decimal | None) -> float | None:
    """A numeric as JSON has it: whole ones without a point."""
    if value is None:
        return None
    return int(value) if value == int(value) else float(value)


def _code(name: str | None) -> ErrorCode:
    # One of a later version is as unforeseen as any other.
    return ErrorCode.__members__.get((name or "").upper(), ErrorCode.UNEXPECTED)


def _days(first: date, last: date) -> list[date]:
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]
