"""The DAG as Airflow sees it. Its shape is a contract, and each DAG follows the project's rules."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from freezegun import freeze_time

from include.social_analytics import connectors

LOS_ANGELES = ZoneInfo("America/Los_Angeles")

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def dag(airflow_home):
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(dag_folder=PROJECT / "dags")
    assert not bag.import_errors
    assert set(bag.dags) == {"social_analytics_daily"}
    return bag.dags["social_analytics_daily"]


@pytest.fixture
def deadline_dag(airflow_home, monkeypatch):
    monkeypatch.setenv("SOCIAL_ANALYTICS_DEADLINE", "06:15")
    monkeypatch.setenv("SOCIAL_ANALYTICS_NOTIFIER", '{"class": "a.B"}')
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(dag_folder=PROJECT / "dags" / "social_analytics_deadline.py")
    assert not bag.import_errors
    return bag.dags["social_analytics_deadline"]


@pytest.fixture
def reports_dag(airflow_home, monkeypatch):
    monkeypatch.setenv("SOCIAL_ANALYTICS_REPORTS", "/reports")
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(dag_folder=PROJECT / "dags" / "social_analytics_reports.py")
    assert not bag.import_errors
    return bag.dags["social_analytics_reports"]


def test_the_flow_is_list_ingest_aggregate_check(dag):
    assert {task.task_id: set(task.downstream_task_ids) for task in dag.tasks} == {
        "list_active_integrations": {"analytics_ingest"},
        "analytics_ingest": {"analytics_aggregate"},
        "analytics_aggregate": {"check_coverage"},
        "check_coverage": set(),
    }
    assert [task.task_id for task in dag.tasks if task.is_mapped] == ["analytics_ingest"]


def test_ingests_are_retried_three_times_with_a_spread_exponential_backoff(dag):
    ingest = dag.get_task("analytics_ingest")
    assert ingest.retries == 3
    assert ingest.retry_exponential_backoff == 2.0
    assert ingest.max_active_tis_per_dag == 16
    assert type(ingest.partial_kwargs["retry_policy"]).__name__ == "SpreadRetryPolicy"


def test_the_aggregate_runs_after_failed_ingests_and_is_retried_once_after_5_s(dag):
    aggregate = dag.get_task("analytics_aggregate")
    assert aggregate.trigger_rule == "all_done"
    assert (aggregate.retries, aggregate.retry_delay.total_seconds()) == (1, 5)
    assert aggregate.retry_exponential_backoff == 0
    assert aggregate.outlets == []


def test_the_check_runs_after_a_failed_aggregate(dag):
    assert dag.get_task("check_coverage").trigger_rule == "all_done"


def test_the_check_says_that_a_day_is_in(dag):
    [asset] = dag.get_task("check_coverage").outlets
    assert asset.name == "social_analytics_organization_daily"
    assert asset.uri == "x-postgres://analytics_db/analytics/organization_daily"


def test_catch_up_is_on_and_concurrent_runs_are_limited(dag):
    assert dag.catchup is True
    assert dag.max_active_runs == 3
    assert dag.start_date == dag.default_args["start_date"]


def test_every_dag_has_documentation_tags_an_owner_and_retries(dag, deadline_dag, reports_dag):
    for each in (dag, deadline_dag, reports_dag):
        assert each.doc_md.strip(), f"{each.dag_id}: give the module a docstring and pass doc_md=__doc__"
        assert each.tags, f"{each.dag_id}: add tags"
        for task in each.tasks:
            assert task.owner != "airflow", f"{task.task_id}: set an owner in default_args"
            assert task.retries >= 1, f"{task.task_id}: set retries"


def test_the_deadline_dag_first_runs_at_the_next_deadline_in_the_zone(deadline_dag):
    from airflow.serialization.serialized_objects import DagSerialization

    stored = DagSerialization.from_dict(DagSerialization.to_dict(deadline_dag))
    assert stored.is_paused_upon_creation is False
    # A minute after a deadline.
    with freeze_time(datetime(2026, 11, 20, 6, 16, tzinfo=LOS_ANGELES).astimezone(UTC)):
        first = stored.next_dagrun_info(last_automated_run_info=None).run_after
    assert first == datetime(2026, 11, 21, 6, 15, tzinfo=LOS_ANGELES)


def test_reports_are_due_with_the_last_day_of_a_week_or_month_and_none_is_caught_up(reports_dag):
    from airflow.serialization.serialized_objects import DagSerialization

    stored = DagSerialization.from_dict(DagSerialization.to_dict(reports_dag))
    assert stored.is_paused_upon_creation is False
    # A Friday.
    with freeze_time(datetime(2026, 11, 20, 12, tzinfo=UTC)):
        first = stored.next_dagrun_info(last_automated_run_info=None)
    assert first.logical_date == datetime(2026, 11, 22, tzinfo=UTC)
    assert first.run_after == datetime(2026, 11, 23, 2, tzinfo=LOS_ANGELES)


def test_the_deadline_check_has_priority_over_waiting_ingests(dag, deadline_dag):
    [check] = deadline_dag.tasks
    assert check.priority_weight > dag.get_task("analytics_ingest").priority_weight * len(dag.tasks)


def test_the_dag_survives_serialisation_and_shows_its_schedule_readably(dag):
    from airflow.serialization.serialized_objects import DagSerialization

    stored = DagSerialization.from_dict(DagSerialization.to_dict(dag))
    assert stored.timetable.summary == dag.timetable.summary
    assert "02:00" in stored.timetable.summary


@pytest.mark.parametrize(
    ("variable", "value"),
    [("SOCIAL_ANALYTICS_MAX_ACTIVE_RUNS", "three"), ("SOCIAL_ANALYTICS_RUN_AT", "2 am")],
)
def test_an_invalid_setting_is_an_import_error_of_one_sentence(variable, value, airflow_home):
    answer = subprocess.run(
        [sys.executable, str(PROJECT / "dags" / "social_analytics_daily.py")],
        env={**os.environ, "PYTHONPATH": str(PROJECT), variable: value},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 1
    assert (
        answer.stderr.strip()
        .splitlines()[-1]
        .startswith(f"include.social_analytics.settings.SettingError: {variable} must be")
    )


def test_the_dag_file_loads_nothing_that_only_its_tasks_need():
    # Airflow parses it all the time, and once for each task.
    script = (
        "import runpy, sys; runpy.run_path('dags/social_analytics_daily.py');"
        "print(sorted({'psycopg', 'requests', 'redis', 'alembic'} & set(sys.modules) - before))"
    )
    before = "import sys, airflow.sdk; before = set(sys.modules); "
    done = subprocess.run(
        [sys.executable, "-c", before + script], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert done.stdout.splitlines()[-1:] == ["[]"], done.stderr


# What a task loads between its start and its first call, if nothing is loaded before.
ONLY_TASKS_NEED = {
    "psycopg",
    "requests",
    "airflow.providers.postgres.hooks.postgres",
    "include.social_analytics.assets",
    "include.social_analytics.connectors.facebook.connector",
    "include.social_analytics.warehouse.migrate",
}


@pytest.mark.parametrize(
    ("lazily", "loaded"), [("True", set()), ("False", ONLY_TASKS_NEED)], ids=["lazily", "at the start"]
)
def test_the_plugin_loads_the_tasks_modules_unless_plugins_load_lazily(lazily, loaded, tmp_path):
    script = (
        "import sys, airflow; from airflow import plugins_manager; plugins_manager.ensure_plugins_loaded();"
        "assert not plugins_manager.get_import_errors(), plugins_manager.get_import_errors();"
        f"print(sorted({ONLY_TASKS_NEED!r} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={
            **os.environ,
            "AIRFLOW_HOME": str(tmp_path),
            "PYTHONPATH": str(PROJECT),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(PROJECT / "plugins"),
            "AIRFLOW__CORE__LAZY_LOAD_PLUGINS": lazily,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.splitlines()[-1:] == [str(sorted(loaded))], done.stderr


def test_after_the_plugin_is_loaded_the_first_list_for_postgres_compiles_nothing(monkeypatch):
    monkeypatch.setenv("AIRFLOW__CORE__LAZY_LOAD_PLUGINS", "False")
    script = (
        "import re, sys; sys.path += ['.', 'plugins']; import social_analytics;"
        "social_analytics.SocialAnalyticsPlugin.on_load();"
        "from psycopg.types.array import ListDumper;"
        "re.compile = None; ListDumper(list).dump(['a', 'b'])"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=PROJECT, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def test_no_task_runs_for_ever_and_none_outlives_its_celery_message(dag, deadline_dag, reports_dag):
    compose = (PROJECT / "docker-compose.yaml").read_text()
    [visibility] = re.findall(r'VISIBILITY_TIMEOUT: "(\d+)"', compose)
    for task in [*dag.tasks, *deadline_dag.tasks, *reports_dag.tasks]:
        assert timedelta() < task.execution_timeout < timedelta(seconds=int(visibility))


def test_a_provider_that_cannot_be_imported_is_an_import_error_of_the_dag(
    airflow_home, monkeypatch, tmp_path
):
    from airflow.dag_processing.dagbag import DagBag

    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "__init__.py").write_text("import no_such_module")
    monkeypatch.setattr(connectors, "__path__", [*connectors.__path__, str(tmp_path)])
    connectors.providers.cache_clear()
    try:
        errors = DagBag(dag_folder=PROJECT / "dags").import_errors
    finally:
        monkeypatch.undo()
        connectors.providers.cache_clear()
    assert "no_such_module" in "".join(errors.values())
