"""The daily job on a real scheduler, Postgres and HTTP, used as its users do."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest
import requests

from include.sandbox.local_airflow import PROJECT
from include.sandbox.postiz_db import insert_subscription
from include.sandbox.stand_ins.facebook.world import Page
from include.social_analytics.connectors.facebook import PROVIDER
from include.social_analytics.dag_ids import DAILY_DAG
from include.social_analytics.metrics import DAILY_METRICS
from include.social_analytics.warehouse import ledger
from include.social_analytics.warehouse.snapshots import ensure_month
from tests.support.stage import DAY, Stage, expected, tables


@dataclass(frozen=True)
class Scenario:
    """An organization and the run that was started for it."""

    organization_id: str
    pages: list[Page]
    run_id: str


@pytest.fixture(scope="module")
def scenarios(stage: Stage) -> dict[str, Scenario]:
    """One run for each outcome of a channel, all started at once. Only the first channel has the fault."""
    started = {}
    faring: dict[str, tuple[int, dict[str, Any] | None]] = {
        "revoked": (20, {"kind": "token_revoked"}),
        # A try makes three requests when the API is down, so six failures make two tries fail.
        "down twice": (1, {"kind": "down", "times": 6}),
        "down": (3, {"kind": "down"}),
        "throttled": (1, {"kind": "page_throttled_32", "times": 2}),
        "not published": (1, {"kind": "not_published"}),
        "no insights": (1, {"kind": "no_insights"}),
        "needs attention": (2, {"kind": "permission_missing"}),
        "healthy": (2, None),
        "nobody": (0, None),
    }
    for name, (pages, fault) in faring.items():
        organization_id, members = stage.organization(pages)
        if fault:
            stage.fault(members[0], **fault)
        started[name] = Scenario(organization_id, members, stage.start(organization_id=organization_id))
    return started


def test_catch_up_runs_each_day_once_and_names_the_run_after_its_day(stage):
    organization_id, [page] = stage.caught_up
    days = [DAY - timedelta(days=1), DAY]
    assert sorted(stage.run_ids(run_type="scheduled")) == [f"scheduled__{day}" for day in days]
    for day in days:
        assert stage.ended(f"scheduled__{day}").state == "success"
        assert stage.job(page, day)["status"] == "succeeded"
        value, reported, of = stage.figures(organization_id, day)["views"]
        assert (value, reported, of) == (expected(stage, [page], "page_media_view", day), 1, 1)


def test_with_two_slots_the_channels_of_higher_subscriptions_are_read_first(stage):
    # By their ids the channels would come in the opposite order.
    tiers = (None, "STANDARD", "ULTIMATE")
    by_tier = {}
    for tier in tiers:
        organization_id, by_tier[tier] = stage.organization(2)
        if tier:
            insert_subscription(stage.postiz, organization_id, tier)
    best_first = [page for tier in reversed(tiers) for page in by_tier[tier]]
    pool = "pools/default_pool"
    slots = stage.airflow.api("GET", pool)["slots"]
    stage.airflow.api("PATCH", f"{pool}?update_mask=slots", {"slots": 2})
    try:
        run = stage.run(integration_ids=[page.id for page in best_first])
    finally:
        stage.airflow.api("PATCH", f"{pool}?update_mask=slots", {"slots": slots})
    assert run.state == "success"
    ingests = run.of("analytics_ingest")
    assert [one["rendered_map_index"] for one in ingests] == [page.name for page in best_first]
    queued = [one["queued_when"] for one in ingests]
    assert queued == sorted(queued)
    started = {tier: [stage.job(page)["started_at"] for page in pages] for tier, pages in by_tier.items()}
    assert max(started["ULTIMATE"]) < min(started[None])


def test_the_first_run_for_the_latest_day_brings_the_past_of_the_channel(stage):
    organization_id, [page] = stage.caught_up
    assert stage.ended(f"scheduled__{DAY}").state == "success"
    past = [DAY - timedelta(days=n) for n in range(89, 1, -1)]
    query = "SELECT date, status FROM analytics.ingest_job WHERE dag_run_id = %s AND date < %s ORDER BY date"
    jobs = stage.rows(query, f"scheduled__{DAY}", DAY - timedelta(days=1))
    assert jobs == [{"date": day, "status": "succeeded"} for day in past]
    for day in (past[0], past[-1]):
        views = expected(stage, [page], "page_media_view", day)
        assert stage.figures(organization_id, day)["views"] == (views, 1, 1)


def test_a_revoked_token_stops_one_channel_of_twenty_and_no_other(stage, scenarios):
    scenario = scenarios["revoked"]
    broken, *healthy = scenario.pages
    run = stage.ended(scenario.run_id)
    assert run.state == "success"
    ingests = run.of("analytics_ingest")
    assert sorted(one["rendered_map_index"] for one in ingests) == sorted(
        page.name for page in scenario.pages
    )
    [failed] = [one for one in ingests if one["state"] == "failed"]
    assert failed["rendered_map_index"] == broken.name
    assert failed["try_number"] == 1
    job = stage.job(broken)
    assert (job["status"], job["error_class"], job["error_code"]) == ("failed", "permanent", "token_invalid")
    assert (job["provider_code"], job["provider_subcode"]) == ("190", "460")
    assert job["reason"]
    figures = stage.figures(scenario.organization_id)
    assert set(figures) == {DAILY_METRICS[name].organization_name for name in PROVIDER.metrics}
    assert figures["views"] == (expected(stage, healthy, "page_media_view"), 19, 20)
    assert figures["reach_summed"] == (expected(stage, healthy, "page_total_media_view_unique"), 19, 20)
    assert figures["followers"] == (expected(stage, healthy, "page_follows"), 19, 20)
    assert all(stage.job(page)["http_calls"] == 2 for page in healthy)


def test_owners_failures_of_all_channels_at_once_are_the_operators(stage):
    organization_id, pages = stage.organization(3)
    for page in pages:
        stage.fault(page, "token_revoked")
    # A day on which hardly any other channel was read.
    day = DAY - timedelta(days=1)
    run = stage.run(organization_id=organization_id, date=str(day))
    for page in pages:
        stage.world.faults.clear(page.id)
    assert run.state == "failed"
    complaint = run.failure("check_coverage")
    assert f"{day}: 3 facebook channels failed with token_invalid, like at least half of those" in complaint
    assert "so the cause is not their owners: check the app at the provider" in complaint

    stage.clear(run.run_id)
    assert stage.ended(run.run_id).state == "success"


def test_a_channel_whose_api_is_down_on_two_tries_is_stored_on_the_third(stage, scenarios):
    scenario = scenarios["down twice"]
    run = stage.ended(scenario.run_id)
    assert run.state == "success"
    [ingest] = run.of("analytics_ingest")
    assert (ingest["state"], ingest["try_number"]) == ("success", 3)
    job = stage.job(scenario.pages[0])
    assert (job["status"], job["attempts"], job["error_code"]) == ("succeeded", 3, None)


def test_a_channel_whose_api_stays_down_fails_the_run_and_is_named(stage, scenarios):
    scenario = scenarios["down"]
    run = stage.ended(scenario.run_id)
    assert run.state == "failed"
    [failed] = [one for one in run.of("analytics_ingest") if one["state"] == "failed"]
    assert failed["try_number"] == 4
    assert run.states("analytics_aggregate") == ["success"]
    complaint = run.failure("check_coverage")
    assert repr(scenario.pages[0].name) in complaint
    assert "api_unavailable" in complaint
    assert stage.figures(scenario.organization_id)["views"][1:] == (2, 3)


def test_a_throttled_channel_waits_without_using_up_a_try(stage, scenarios):
    scenario = scenarios["throttled"]
    run = stage.ended(scenario.run_id)
    assert run.state == "success"
    [ingest] = run.of("analytics_ingest")
    assert (ingest["state"], ingest["try_number"]) == ("success", 1)
    job = stage.job(scenario.pages[0])
    assert (job["status"], job["attempts"]) == ("succeeded", 3)


def test_a_day_not_published_yet_is_pending_and_is_read_later(stage, scenarios):
    scenario = scenarios["not published"]
    [page] = scenario.pages
    assert stage.ended(scenario.run_id).state == "success"
    assert stage.job(page)["status"] == "pending"
    assert stage.figures(scenario.organization_id)["views"] == (None, 0, 1)

    stage.world.faults.clear(page.id)
    assert stage.run(organization_id=scenario.organization_id).state == "success"
    views = expected(stage, [page], "page_media_view")
    assert stage.figures(scenario.organization_id)["views"] == (views, 1, 1)


def test_a_channel_without_insights_has_no_data_and_no_zeros(stage, scenarios):
    scenario = scenarios["no insights"]
    assert stage.ended(scenario.run_id).state == "success"
    assert stage.job(scenario.pages[0])["status"] == "no_data"
    assert stage.figures(scenario.organization_id)["views"] == (None, 0, 1)


def test_a_run_without_channels_succeeds(stage, scenarios):
    run = stage.ended(scenarios["nobody"].run_id)
    assert run.state == "success"
    assert run.states("analytics_ingest") == ["skipped"]
    assert run.states("analytics_aggregate") == ["success"]


def test_clearing_one_channels_day_reruns_it_and_its_downstream_tasks(stage, scenarios):
    scenario = scenarios["needs attention"]
    run = stage.ended(scenario.run_id)
    [failed] = [one for one in run.of("analytics_ingest") if one["state"] == "failed"]
    stage.world.faults.clear(scenario.pages[0].id)
    stage.clear(run.run_id, failed["map_index"])
    again = stage.ended(run.run_id)
    assert again.states("analytics_ingest") == ["success", "success"]
    assert sorted(one["try_number"] for one in again.of("analytics_ingest")) == [1, 2]
    assert [one["try_number"] for one in again.of("analytics_aggregate")] == [2]
    views = expected(stage, scenario.pages, "page_media_view")
    assert stage.figures(scenario.organization_id)["views"] == (views, 2, 2)


def test_a_cleared_task_that_reads_nothing_is_not_taken_for_a_success(stage):
    organization_id, pages = stage.organization(2)
    run = stage.run(organization_id=organization_id)
    assert run.state == "success"
    stage.analytics.execute("ALTER DATABASE e2e_postiz ALLOW_CONNECTIONS false")
    try:
        stage.clear(run.run_id, 0)
        again = stage.ended(run.run_id)
    finally:
        stage.analytics.execute("ALTER DATABASE e2e_postiz ALLOW_CONNECTIONS true")
    assert again.states("analytics_ingest") == ["failed", "success"]
    assert again.state == "failed"
    assert f"1 channels failed, and their owners cannot resolve it: {pages[0].name!r}" in again.failure(
        "check_coverage"
    )

    stage.clear(run.run_id, 0)
    assert stage.ended(run.run_id).state == "success"
    assert [stage.job(page)["attempts"] for page in pages] == [2, 1]


def test_every_line_that_a_job_logs_can_be_filtered_by_its_fields(stage, scenarios):
    scenario = scenarios["revoked"]
    run = stage.ended(scenario.run_id)
    fields = {"organizationId", "integrationId", "jobId", "date"}
    for page in scenario.pages[:3]:
        [instance] = [one for one in run.of("analytics_ingest") if one["rendered_map_index"] == page.name]
        lines = stage.lines_of(run, instance)
        events = {line["event"] for line in lines}
        assert events >= {"ingest started", "api request"}
        assert events & {"ingest finished", "ingest failed"}
        for line in lines:
            assert fields <= set(line), line
            assert line["jobId"] == f"analytics-ingest:{page.id}:{DAY}"
    [aggregate] = run.of("analytics_aggregate")
    lines = stage.lines_of(run, aggregate)
    assert lines
    for line in lines:
        assert fields <= set(line), line
        assert line["integrationId"] is None


def test_a_full_run_sends_one_alert_and_the_next_is_silent_without_changes(stage, scenarios):
    for scenario in scenarios.values():
        stage.ended(scenario.run_id)
    # Narrowed runs, and the successful ones of catch-up, sent nothing.
    assert stage.outbox == []
    first = stage.run()
    [(subject, text)] = stage.outbox
    assert "channels are missing" in subject
    assert scenarios["revoked"].pages[0].id in text
    assert first.run_id.split("+")[0].replace(":", "%3A") in text
    stage.run()
    assert len(stage.outbox) == 1


def test_a_check_that_cannot_reach_its_database_sends_an_alert(stage, scenarios):
    for scenario in scenarios.values():
        stage.ended(scenario.run_id)
    run_id = f"scheduled__{DAY}"
    told = len(stage.outbox)
    check = {
        "dag_run_id": run_id, "task_ids": ["check_coverage"], "only_failed": False, "dry_run": False,
    }  # fmt: skip
    stage.postiz.execute("ALTER DATABASE e2e_analytics ALLOW_CONNECTIONS false")
    try:
        stage.airflow.api("POST", f"dags/{DAILY_DAG}/clearTaskInstances", check)
        run = stage.ended(run_id)
    finally:
        stage.postiz.execute("ALTER DATABASE e2e_analytics ALLOW_CONNECTIONS true")
    assert run.state == "failed"
    [(subject, text)] = stage.outbox[told:]
    assert subject == f"Social analytics, {DAY}: the run failed"
    assert "check_coverage failed: storage_unavailable" in text

    stage.airflow.api("POST", f"dags/{DAILY_DAG}/clearTaskInstances", check)
    assert stage.ended(run_id).state == "success"


def test_statsd_receives_the_outcomes_of_jobs_and_days(stage, scenarios):
    for name in ("revoked", "healthy", "throttled", "no insights"):
        stage.ended(scenarios[name].run_id)
    ours = "airflow.social_analytics"
    told = {
        f"{ours}.ingest.jobs,provider=facebook,status=succeeded,error_code=none:1|c",
        f"{ours}.ingest.jobs,provider=facebook,status=failed,error_code=token_invalid:1|c",
        f"{ours}.ingest.jobs,provider=facebook,status=no_data,error_code=none:1|c",
        f"{ours}.ingest.rows,provider=facebook,kind=metric:8|c",
        f"{ours}.ingest.http_calls,provider=facebook:2|c",
        f"{ours}.ingest.throttled,provider=facebook:1|c",
    }
    # Their values depend on the other tests.
    measured = {
        f"{ours}.ingest.duration,provider=facebook,status=succeeded,error_code=none": "ms",
        f"{ours}.coverage,provider=facebook": "g",
        f"{ours}.failed_for_owner,provider=facebook": "g",
    }

    def untold() -> set[str]:
        names = {(line.rpartition(":")[0], line.rpartition("|")[2]) for line in stage.metrics.copy()}
        return told - stage.metrics | {name for name, kind in measured.items() if (name, kind) not in names}

    stage.wait_for(lambda: not untold())


def test_running_a_day_twice_leaves_the_tables_unchanged(stage, scenarios):
    scenario = scenarios["healthy"]
    assert stage.ended(scenario.run_id).state == "success"
    once = tables(stage, scenario.organization_id)
    assert all(once.values())
    assert stage.run(organization_id=scenario.organization_id).state == "success"
    assert tables(stage, scenario.organization_id) == once


def test_a_backfill_includes_both_ends_and_can_begin_before_the_start_date(stage):
    first, last = DAY - timedelta(days=6), DAY - timedelta(days=4)
    stage.airflow.api(
        "POST",
        "backfills",
        {
            "dag_id": "social_analytics_daily",
            "from_date": f"{first}T00:00:00Z",
            "to_date": f"{last}T00:00:00Z",
            "max_active_runs": 3,
            "dag_run_conf": {"organization_id": stage.organization(1)[0]},
        },
    )
    stage.wait_for(lambda: len(stage.run_ids(run_type="backfill")) == 3)
    for run_id in stage.run_ids(run_type="backfill"):
        assert stage.ended(run_id).state == "success"
    jobs = stage.rows(
        "SELECT date, is_backfill FROM analytics.ingest_job WHERE dag_run_id LIKE 'backfill%%' ORDER BY date"
    )
    assert jobs == [{"date": first + timedelta(days=n), "is_backfill": True} for n in range(3)]


def midnight(day: date, zone: str) -> str:
    """Midnight as Airflow's UI sends it: the browser's, in UTC."""
    local = datetime.combine(day, time.min, ZoneInfo(zone))
    return local.astimezone(UTC).isoformat().replace("+00:00", "Z")


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/Los_Angeles", "Asia/Kolkata"])
def test_a_backfill_of_local_midnights_has_the_days_that_were_meant(stage, zone):
    three, one = (
        stage.airflow.api(
            "POST",
            "backfills/dry_run",
            {
                "dag_id": DAILY_DAG,
                "from_date": midnight(first, zone),
                "to_date": midnight(DAY - timedelta(days=7), zone),
            },
        )["backfills"]
        for first in (DAY - timedelta(days=9), DAY - timedelta(days=7))
    )
    days = [f"{DAY - timedelta(days=back)}T00:00:00Z" for back in (9, 8, 7)]
    assert [run["logical_date"] for run in three] == days
    assert [run["logical_date"] for run in one] == days[-1:]


def on_the_command_line(stage: Stage, *command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "airflow", *command],
        env=stage.airflow.environment,
        cwd=stage.home,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_a_date_on_the_command_line_means_its_day_in_the_default_zone(stage):
    organization_id, [page] = stage.organization(1)
    conf = json.dumps({"organization_id": organization_id})
    on_the_command_line(stage, "dags", "trigger", DAILY_DAG, "-r", "of_a_day", "-l", str(DAY), "-c", conf)
    early = DAY - timedelta(days=12)
    # There can be only one running backfill, and the scheduler takes a while to see that one has ended.
    backfills = f"backfills?dag_id={DAILY_DAG}"
    stage.wait_for(
        lambda: all(one["completed_at"] for one in stage.airflow.api("GET", backfills)["backfills"])
    )
    range_of_one = ("--from-date", str(early), "--to-date", str(early))
    on_the_command_line(
        stage, "backfill", "create", "--dag-id", DAILY_DAG, *range_of_one, "--dag-run-conf", conf
    )
    assert stage.ended("of_a_day").state == "success"
    assert stage.job(page)["dag_run_id"] == "of_a_day"
    mine = "SELECT FROM analytics.ingest_job WHERE date = %s AND integration_id = %s"
    stage.wait_for(lambda: bool(stage.rows(mine, early, page.id)))
    assert stage.ended(stage.job(page, early)["dag_run_id"]).state == "success"


def test_the_documented_command_clears_a_day_in_any_default_zone(stage):
    own_run = f"scheduled__{DAY}"
    before = stage.ended(own_run).of("analytics_ingest")[0]["try_number"]
    [command] = re.findall(r"airflow (tasks clear [^`]+)`", (PROJECT / "docs/operating.md").read_text())
    on_the_command_line(stage, *command.replace("2026-11-20", str(DAY)).split(), "--yes")
    run = stage.ended(own_run)
    assert run.state == "success"
    assert {one["try_number"] for one in run.of("analytics_ingest")} == {before + 1}


def test_a_logical_date_in_the_future_is_refused_and_makes_no_run(stage):
    before = stage.run_ids()
    with pytest.raises(requests.HTTPError) as refusal:
        stage.airflow.trigger(logical_date=f"{DAY + timedelta(days=30)}T00:00:00Z")
    assert refusal.value.response.status_code == 400
    assert "is in the future" in refusal.value.response.json()["detail"]
    assert stage.run_ids() == before


BAD_INPUT = {
    "integration_ids 'nobody' is unknown": {"integration_ids": ["nobody"]},
    "organization_id 'nobody' is unknown": {"organization_id": "nobody"},
    "date asks for 2999-01-01, which has not ended": {"date": "2999-01-01"},
    "which is before SOCIAL_ANALYTICS_START_DATE": {"date": "2020-01-01"},
}


def test_bad_input_fails_the_run_with_one_sentence_and_without_a_call(stage):
    stage.sandbox.clear_calls()
    started = {sentence: stage.start(**conf) for sentence, conf in BAD_INPUT.items()}
    # The UI's form can send a logical date before the start date.
    early = stage.airflow.trigger(logical_date=f"{DAY - timedelta(days=30)}T00:00:00Z")
    started["SOCIAL_ANALYTICS_START_DATE"] = early
    for sentence, run_id in started.items():
        run = stage.ended(run_id)
        assert run.state == "failed"
        assert sentence in run.failure("list_active_integrations")
        assert run.of("list_active_integrations")[0]["try_number"] == 1
        assert run.states("analytics_aggregate") == ["skipped"]
        assert "list_active_integrations" in run.failure("check_coverage")
    assert stage.sandbox.calls == []


@pytest.mark.parametrize(
    "conf", [{"date": "2026-13-45"}, {"integration_ids": "abc"}, {"integration_ids": []}]
)
def test_the_trigger_refuses_malformed_values(stage, conf):
    with pytest.raises(requests.HTTPError) as refusal:
        stage.airflow.trigger(conf)
    assert refusal.value.response.status_code == 400
    assert next(iter(conf)) in refusal.value.response.text


def test_a_failing_aggregate_is_tried_twice_and_fails_the_run(stage):
    organization_id, _ = stage.organization(1)
    stage.analytics.execute(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'full'; END $$;"
        "CREATE TRIGGER refuse BEFORE INSERT ON analytics.organization_daily EXECUTE FUNCTION refuse()"
    )
    try:
        run = stage.run(organization_id=organization_id)
    finally:
        stage.analytics.execute("DROP TRIGGER refuse ON analytics.organization_daily; DROP FUNCTION refuse()")
    assert run.state == "failed"
    [aggregate] = run.of("analytics_aggregate")
    assert (aggregate["state"], aggregate["try_number"]) == ("failed", 2)
    assert "analytics_aggregate did not succeed" in run.failure("check_coverage")


def test_no_token_is_anywhere_but_in_the_authorization_header(stage, postgres):
    """Last in this file: it searches everything that the earlier runs left behind."""
    kinds = ["token_revoked", "html_503", "truncated", "reset", "account_blocked", "foreign_next"]
    organization_id, pages = stage.organization(len(kinds))
    for page, kind in zip(pages, kinds, strict=True):
        stage.fault(page, kind)
    stage.sandbox.clear_calls()
    assert stage.run(organization_id=organization_id).state == "failed"
    tokens = [page.token for page in pages]

    assert {call.page_id for call in stage.sandbox.calls} == {page.id for page in pages}
    assert not any(call.token_in_url for call in stage.sandbox.calls)
    logs = [path for path in stage.home.rglob("*.log") if path.is_file()]
    assert sum(f"map_index={number}" in str(path) for path in logs for number in range(len(kinds))) > 20
    for path in logs:
        assert_free_of(tokens, path.read_text(errors="replace"), str(path))
    for database in ("e2e_analytics", "e2e_airflow"):
        with psycopg.connect(postgres.dsn(database)) as connection:
            for schema, table in connection.execute(
                "SELECT schemaname, tablename FROM pg_tables WHERE schemaname IN ('public', 'analytics')"
            ).fetchall():
                rows = connection.execute(f'SELECT t::text FROM {schema}."{table}" t').fetchall()
                assert_free_of(tokens, "\n".join(row for (row,) in rows), f"{schema}.{table}")


def assert_free_of(tokens: list[str], text: str, where: str) -> None:
    # A part of a token is a leak too, and is also found in a cut line.
    leaked = [token[:12] for token in tokens if token[10:50] in text]
    assert not leaked, f"{where} has {leaked}"


def test_a_run_drops_months_of_snapshots_past_their_retention(stage):
    past, kept = (DAY - timedelta(days=days) for days in (3 * 365, 365))
    for day in (past, kept):
        ensure_month(stage.analytics, day)
    organization_id, _ = stage.organization(1)
    assert stage.run(organization_id=organization_id).state == "success"
    names = {
        row["relname"]
        for row in stage.rows(
            "SELECT relname FROM pg_class WHERE relname LIKE 'content_metric_snapshot_20__%%'"
        )
    }
    assert f"content_metric_snapshot_{kept:%Y_%m}" in names
    assert f"content_metric_snapshot_{past:%Y_%m}" not in names


def test_a_run_marked_failed_by_hand_needs_attention_at_once_and_is_settled_by_the_next(stage):
    """Last in this file: when the fault ends, the stand-in records calls whose client is gone."""
    organization_id, [page] = stage.organization(1)
    stage.fault(page, "held")
    run_id = stage.start(organization_id=organization_id)
    running = "SELECT FROM analytics.ingest_job WHERE dag_run_id = %s AND status = 'running'"
    stage.wait_for(lambda: bool(stage.rows(running, run_id)))
    assert headings(stage, organization_id) == []
    stage.airflow.api("PATCH", f"dags/{DAILY_DAG}/dagRuns/{run_id}", {"state": "failed"})
    assert headings(stage, organization_id) == ["The run ended early"]
    try:
        assert stage.run(organization_id=stage.organization(1)[0]).state == "success"
    finally:
        stage.world.faults.clear(page.id)
    job = stage.job(page)
    assert (job["status"], job["reason"]) == ("failed", ledger.RUN_ENDED)


def headings(stage: Stage, organization_id: str) -> list[str]:
    """What the health page says that an organization needs."""
    airflow = stage.airflow
    login = {"username": airflow.user, "password": airflow.password}
    token = requests.post(f"{airflow.url}/auth/token", json=login, timeout=30).json()["access_token"]
    answer = requests.get(
        f"{airflow.url}/social-analytics/api/attention",
        {"organization": organization_id},
        headers={"Authorization": f"Bearer {token}"},
        timeout=30,
    )
    answer.raise_for_status()
    return [group["heading"] for group in answer.json()["groups"]]
