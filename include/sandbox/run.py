"""`make run` and `make up`: one day's run on this machine, from nothing, and its figures.

With ``AIRFLOW_CONN_POSTIZ_DB`` and ``AIRFLOW_CONN_ANALYTICS_DB`` it runs on those databases. Without
them, it makes demo databases and starts stand-ins for the providers' APIs.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, date, datetime
from itertools import groupby
from pathlib import Path
from types import FrameType
from typing import Any

import psycopg

from include.sandbox.local_airflow import USER, LocalAirflow, StartError
from include.sandbox.postgres import EmbeddedPostgres, embedded_postgres
from include.social_analytics.dag_ids import DAILY_DAG, FLOW, INGEST_TASK, LIST_TASK, REPORTS_DAG
from include.social_analytics.days import label_of, latest_due_day, require_ended
from include.social_analytics.errors import JobError
from include.social_analytics.jobs import Integration
from include.social_analytics.reports.period import PeriodKind, latest
from include.social_analytics.settings import SettingError, Settings

OWN_DATABASES = ("AIRFLOW_CONN_POSTIZ_DB", "AIRFLOW_CONN_ANALYTICS_DB")

#: The metrics that are printed: so much fits on one screen. The tables and the UI have all.
_PRINTED = ("views", "engagements", "followers", "posts_published")
_FIGURES = """
SELECT organization_id, coalesce(organization.name, organization_id), provider, metric, value,
       integrations_reported, integrations_expected
FROM analytics.organization_daily
LEFT JOIN analytics.organization USING (organization_id)
WHERE date = %s AND metric = ANY (%s)
ORDER BY organization_id, provider
"""


class UsageError(ValueError):
    """The request cannot be carried out; the message is one sentence."""


def main() -> int:
    """Run the command line; returns the exit status: 0 only when the run succeeded."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--date", default="", help="the day to ingest, as YYYY-MM-DD; the latest one by default"
    )
    parser.add_argument("--stay", action="store_true", help="keep the UI up until interrupted")
    arguments = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        settings = Settings.from_environment()
        day = _wanted_day(arguments.date, settings)
        _refuse_half_a_world()
        return _run(day, settings, stay=arguments.stay)
    except KeyboardInterrupt:
        print("Interrupted; everything that was started has been stopped.", file=sys.stderr)
        return 130
    except (UsageError, SettingError, StartError, JobError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _interrupt(number: int, frame: FrameType | None) -> None:
    # Ignore further signals: a second one must not interrupt the clean-up.
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt


def _wanted_day(text: str, settings: Settings) -> date:
    if not text:
        return latest_due_day(datetime.now(UTC), settings)
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"DATE must be a date such as 2026-11-20, not {text!r}.") from None
    require_ended(day, datetime.now(UTC), "DATE")
    return day


def _refuse_half_a_world() -> None:
    given = [name for name in OWN_DATABASES if os.environ.get(name)]
    missing = [name for name in OWN_DATABASES if name not in given]
    if given and missing:
        raise UsageError(f"{given[0]} is set but {missing[0]} is not: set both, or neither for the demo.")


def _run(day: date, settings: Settings, *, stay: bool) -> int:
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="social-analytics-")))
        started = time.monotonic()
        print("Starting Postgres ...")
        postgres = stack.enter_context(embedded_postgres())
        postgres.create_database("airflow")
        environment = {
            # Only the run that was asked for, without catch-up.
            "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "False",
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            # The demo's reports are about a week that may have ended before.
            "SOCIAL_ANALYTICS_START_DATE": min(
                latest(PeriodKind.WEEK, day).last, settings.start_date
            ).isoformat(),
            **stack.enter_context(_world(postgres, home)),
        }
        print("Starting Airflow ...")
        airflow = stack.enter_context(LocalAirflow(home, postgres.sqlalchemy_url("airflow"), environment))
        print(f"Ready after {time.monotonic() - started:.0f} s. Running {DAILY_DAG} for {day} ...")
        # With the day's logical date, as a scheduled run: the reports ask Airflow for the run of that date.
        run_id = airflow.trigger({"date": day.isoformat()}, label_of(day).isoformat())
        # Airflow reads its configuration at import, so set it first. This process runs no task and needs no
        # plugin.
        os.environ.update(
            airflow.environment,
            AIRFLOW__LOGGING__LOGGING_LEVEL="WARNING",
            AIRFLOW__CORE__LAZY_LOAD_PLUGINS="True",
        )
        state = _follow(airflow, run_id, day)
        _report(airflow, run_id, day)
        print(f"\nThe run ended: {state}.")
        if stay:
            if (folder := environment.get("SOCIAL_ANALYTICS_REPORTS")) is not None:
                _make_reports(airflow, Path(folder), day)
            print(f"Airflow's UI: {airflow.url}  user {USER}, password {airflow.password}  (Ctrl-C ends it)")
            signal.pause()
        return 0 if state == "success" else 1


@contextmanager
def _world(postgres: EmbeddedPostgres, home: Path) -> Iterator[dict[str, str]]:
    """The connections to run on: the caller's own if they are set, else the demo's, which has reports."""
    if all(os.environ.get(name) for name in OWN_DATABASES):
        print(f"Running on the databases of {' and '.join(OWN_DATABASES)}.")
        yield {}
        return
    from include.sandbox import demo

    made = demo.demos()
    postgres.create_database("postiz")
    postgres.create_database("analytics")
    with psycopg.connect(postgres.dsn("postiz")) as connection:
        demo.fill(connection, made)
    print("Demo: a made-up Postiz database, and stand-ins for the providers' APIs.")
    with demo.serve(made) as running:
        yield {
            "AIRFLOW_CONN_POSTIZ_DB": postgres.airflow_connection("postiz"),
            "AIRFLOW_CONN_ANALYTICS_DB": postgres.airflow_connection("analytics"),
            "SOCIAL_ANALYTICS_REPORTS": str(home / "reports"),
            **running.environment,
        }


def _follow(airflow: LocalAirflow, run_id: str, day: date) -> str:
    """Print the run's progress until it has ended; returns its state."""
    shown = ""
    while True:
        state = airflow.run_state(run_id)
        tasks = airflow.task_instances(run_id)
        progress = ", ".join(_progress(tasks, day)) or "waiting for the scheduler"
        if progress != shown:
            print(f"  {progress}", flush=True)
            shown = progress
        if state in ("success", "failed"):
            return state
        time.sleep(1)


def _progress(tasks: list[dict[str, Any]], day: date) -> Iterator[str]:
    from include.social_analytics.databases import open_analytics_to_read
    from include.social_analytics.health import queries

    by_id = {task["task_id"]: task for task in tasks}
    for task_id, task in ((task_id, by_id[task_id]) for task_id in FLOW if task_id in by_id):
        listed = by_id[LIST_TASK]
        if task_id == INGEST_TASK and listed["state"] == "success":
            # Count channels, not mapped tasks: a task may work on a batch.
            with open_analytics_to_read() as analytics:
                count = queries.progress(analytics, day, datetime.fromisoformat(listed["start_date"]))
            failed = f" ({count['failed']} failed)" if count["failed"] else ""
            yield f"{task_id} {count['done']} of {count['all']} channels{failed}"
        elif task["state"] not in (None, "scheduled", "queued"):
            yield f"{task_id} {task['state']}"


def _report(airflow: LocalAirflow, run_id: str, day: date) -> None:
    """Print the day's figures, coverage, and what failed with its reason and what to do."""
    from include.social_analytics.batches import integrations_of
    from include.social_analytics.connectors import providers
    from include.social_analytics.coverage import assess
    from include.social_analytics.databases import open_analytics
    from include.social_analytics.jobs import IngestJob
    from include.social_analytics.warehouse import ledger

    tasks = airflow.task_instances(run_id)
    listed = next(task for task in tasks if task["task_id"] == LIST_TASK)
    if listed["state"] != "success":
        print(f"\n{LIST_TASK} failed: {airflow.failure_of(run_id, listed)}")
        return
    batches = airflow.xcom(run_id, LIST_TASK)
    integrations: list[Integration] = [one for batch in batches for one in integrations_of(batch)]
    with open_analytics() as analytics:
        job_ids = [IngestJob(one, day, is_backfill=False).job_id for one in integrations]
        coverage = assess(integrations, ledger.states(analytics, job_ids), run_id)
        figures = analytics.execute(_FIGURES, [day, list(_PRINTED)]).fetchall()

    print(f"\nFigures of {day}, by organization and provider (reported by / channels)")
    print(" " * 14 + "".join(f"{metric.replace('_', ' '):>19}" for metric in _PRINTED))
    titles = {name: provider.title for name, provider in providers().items()}
    for (_, organization), of_organization in groupby(figures, key=lambda row: row[:2]):
        print(f"  {organization}")
        for provider, of_provider in groupby(of_organization, key=lambda row: row[2]):
            by_metric = {
                metric: f"{'-' if value is None else f'{value:,}'} {f'{reported}/{expected}':>5}"
                for *_, metric, value, reported, expected in of_provider
            }
            cells = "".join(f"{by_metric.get(metric, ''):>19}" for metric in _PRINTED)
            print(f"    {titles.get(provider, provider):<10}{cells}")
    counts = ", ".join(f"{count} {status}" for status, count in sorted(coverage.by_status.items()))
    print(
        f"\n{counts or 'No channels'}. Coverage {coverage.ratio:.0%}"
        + (f", {len(coverage.for_owner)} left to their owners." if coverage.for_owner else ".")
    )
    for title, failures in (
        ("Resolved by the channel's owner", coverage.for_owner),
        ("Needs the Airflow operator's attention", coverage.for_operator),
    ):
        if failures:
            print(f"\n{title}")
            for failure in failures:
                print(f"  {failure}")
    for task in tasks:
        if task["state"] == "failed" and task["map_index"] < 0:
            print(f"\n{task['task_id']} failed: {airflow.failure_of(run_id, task)}")


def _make_reports(airflow: LocalAirflow, folder: Path, day: date) -> None:
    """Make the reports of the last week, and print where one is."""
    week = latest(PeriodKind.WEEK, day)
    print(f"Making reports: {week.title} ...")
    run_id = airflow.trigger({"date": week.last.isoformat()}, dag_id=REPORTS_DAG)
    ended = ("success", "failed")
    airflow.wait_for(lambda: airflow.run_state(run_id, REPORTS_DAG) in ended, "the reports", seconds=600)
    for path in sorted(folder.glob(f"*/{week.name}.html"))[:1]:
        print(f"Reports: {len(list(folder.rglob('*.html')))} files, such as {path}")
        print(f"In the browser: {airflow.url}/social-analytics/report.html?organization={path.parent.name}")


if __name__ == "__main__":
    sys.exit(main())
