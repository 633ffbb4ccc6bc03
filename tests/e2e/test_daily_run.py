"""The daily job on a real scheduler, Postgres and HTTP, as its users drive it."""

from __future__ import annotations

from datetime import date, timedelta

import psycopg
import pytest
import requests

from include.social_analytics.metrics import DAILY_METRICS
from tests.e2e.conftest import DAY, Stage

#: What may differ between two runs of a day that saw the same answers.
COMPARED = {
    "integration_metric_daily": "integration_id, metric, date, organization_id, provider, value, source_metric, job_id",
    "content": "integration_id, content_id, organization_id, provider, published_at, kind, message, permalink, "
    "postiz_post_id, first_seen_at",
    "content_metric_snapshot": "integration_id, content_id, metric, snapshot_date, value",
    "organization_daily": "organization_id, provider, metric, date, value, integrations_expected, "
    "integrations_reported",
}


def tables(stage: Stage) -> dict[str, list[tuple]]:
    return {
        table: stage.analytics.execute(
            f"SELECT {columns} FROM analytics.{table} ORDER BY {columns}"
        ).fetchall()
        for table, columns in COMPARED.items()
    }


def expected(stage: Stage, pages, source_metric: str, day: date = DAY) -> int:
    return sum(stage.world.page_value(page.id, source_metric, day) for page in pages)


def test_catch_up_runs_each_day_since_the_start_date_once_and_names_it(stage):
    organization_id, [page] = stage.organization(1)
    stage.airflow.unpause()
    days = [DAY - timedelta(days=1), DAY]
    for day in days:
        stage.wait_for(lambda day=day: f"scheduled__{day}" in run_ids(stage))
        assert stage.ended(f"scheduled__{day}").state == "success"
    assert sorted(run_ids(stage)) == [f"scheduled__{day}" for day in days]
    for day in days:
        assert stage.job(page, day)["status"] == "succeeded"
        value, reported, of = stage.figures(organization_id, day)["views"]
        assert (value, reported, of) == (expected(stage, [page], "page_media_view", day), 1, 1)


def run_ids(stage: Stage) -> list[str]:
    return [
        run["dag_run_id"]
        for run in stage.airflow.api("GET", "dags/social_analytics_daily/dagRuns")["dag_runs"]
    ]


def test_a_revoked_token_stops_one_page_of_twenty_and_no_other(stage):
    organization_id, pages = stage.organization(20)
    broken, *healthy = pages
    stage.fault(broken, "token_revoked")
    run = stage.run(organization_id=organization_id)

    assert run.state == "success"
    ingests = run.of("analytics_ingest")
    assert sorted(one["rendered_map_index"] for one in ingests) == sorted(page.name for page in pages)
    [failed] = [one for one in ingests if one["state"] == "failed"]
    assert failed["rendered_map_index"] == broken.name
    assert failed["try_number"] == 1
    job = stage.job(broken)
    assert (job["status"], job["error_class"], job["error_code"]) == ("failed", "permanent", "token_invalid")
    assert (job["provider_code"], job["provider_subcode"]) == (190, 460)
    assert job["reason"]
    figures = stage.figures(organization_id)
    assert set(figures) == {metric.organization_name for metric in DAILY_METRICS}
    assert figures["views"] == (expected(stage, healthy, "page_media_view"), 19, 20)
    assert figures["reach_summed"] == (expected(stage, healthy, "page_total_media_view_unique"), 19, 20)
    assert figures["followers"] == (expected(stage, healthy, "page_follows"), 19, 20)
    assert all(stage.job(page)["http_calls"] == 2 for page in healthy)


def test_a_page_whose_api_is_down_on_two_tries_is_stored_on_the_third(stage):
    organization_id, [page] = stage.organization(1)
    # Three requests a try, for a blip; so six make two tries fail.
    stage.fault(page, "down", times=6)
    run = stage.run(organization_id=organization_id)
    assert run.state == "success"
    [ingest] = run.of("analytics_ingest")
    assert (ingest["state"], ingest["try_number"]) == ("success", 3)
    job = stage.job(page)
    assert (job["status"], job["attempts"], job["error_code"]) == ("succeeded", 3, None)


def test_a_page_whose_api_is_down_for_good_turns_the_run_red_and_is_named(stage):
    organization_id, pages = stage.organization(3)
    stage.fault(pages[0], "down")
    run = stage.run(organization_id=organization_id)
    assert run.state == "failed"
    [failed] = [one for one in run.of("analytics_ingest") if one["state"] == "failed"]
    assert failed["try_number"] == 4
    assert run.states("analytics_aggregate") == ["success"]
    complaint = run.failure("check_coverage")
    assert repr(pages[0].name) in complaint
    assert "api_unavailable" in complaint
    assert stage.figures(organization_id)["views"][1:] == (2, 3)


def test_a_throttled_page_waits_without_using_up_a_try(stage):
    organization_id, [page] = stage.organization(1)
    stage.fault(page, "page_throttled_32", times=2)
    run = stage.run(organization_id=organization_id)
    assert run.state == "success"
    [ingest] = run.of("analytics_ingest")
    assert (ingest["state"], ingest["try_number"]) == ("success", 1)
    job = stage.job(page)
    assert job["status"] == "succeeded"
    assert job["attempts"] == 3


def test_a_day_that_the_api_has_not_published_is_pending_and_the_run_is_green(stage):
    organization_id, [page] = stage.organization(1)
    stage.fault(page, "not_published")
    assert stage.run(organization_id=organization_id).state == "success"
    assert stage.job(page)["status"] == "pending"
    assert stage.figures(organization_id)["views"] == (None, 0, 1)

    # The look-back of the next reading brings it in.
    stage.world.faults.clear(page.id)
    assert stage.run(organization_id=organization_id).state == "success"
    assert stage.figures(organization_id)["views"] == (expected(stage, [page], "page_media_view"), 1, 1)


def test_a_page_without_insights_has_no_data_and_no_zero(stage):
    organization_id, [page] = stage.organization(1)
    stage.fault(page, "no_insights")
    assert stage.run(organization_id=organization_id).state == "success"
    assert stage.job(page)["status"] == "no_data"
    assert stage.figures(organization_id)["views"] == (None, 0, 1)


def test_an_organization_without_channels_makes_a_green_run_with_nothing_to_do(stage):
    organization_id, _ = stage.organization(0)
    run = stage.run(organization_id=organization_id)
    assert run.state == "success"
    assert run.states("analytics_ingest") == ["skipped"]
    assert run.states("analytics_aggregate") == ["success"]


def test_a_day_run_twice_leaves_the_tables_as_they_were(stage):
    organization_id, _ = stage.organization(2)
    assert stage.run(organization_id=organization_id).state == "success"
    once = tables(stage)
    assert stage.run(organization_id=organization_id).state == "success"
    assert tables(stage) == once


def test_clearing_one_channels_day_runs_it_and_what_follows_again(stage):
    organization_id, pages = stage.organization(2)
    stage.fault(pages[0], "permission_missing")
    run = stage.run(organization_id=organization_id)
    [failed] = [one for one in run.of("analytics_ingest") if one["state"] == "failed"]
    stage.world.faults.clear(pages[0].id)
    stage.airflow.api(
        "POST",
        "dags/social_analytics_daily/clearTaskInstances",
        {
            "dag_run_id": run.run_id,
            "task_ids": [["analytics_ingest", failed["map_index"]]],
            "include_downstream": True,
            "only_failed": False,
            "dry_run": False,
        },
    )
    stage.wait_for(lambda: stage.airflow.run_state(run.run_id) != "success")
    again = stage.ended(run.run_id)
    assert again.states("analytics_ingest") == ["success", "success"]
    assert sorted(one["try_number"] for one in again.of("analytics_ingest")) == [1, 2]
    assert [one["try_number"] for one in again.of("analytics_aggregate")] == [2]
    assert stage.figures(organization_id)["views"] == (expected(stage, pages, "page_media_view"), 2, 2)


def test_a_backfill_includes_both_ends_and_may_go_before_the_start_date(stage):
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
    stage.wait_for(lambda: len(backfill_runs(stage)) == 3)
    runs = backfill_runs(stage)
    assert sorted(run["logical_date"][:10] for run in runs) == [
        (first + timedelta(days=number)).isoformat() for number in range(3)
    ]
    for run in runs:
        assert stage.ended(run["dag_run_id"]).state == "success"
        [job] = stage.rows("SELECT * FROM analytics.ingest_job WHERE dag_run_id = %s", run["dag_run_id"])
        assert job["is_backfill"] is True
        assert job["date"].isoformat() == run["logical_date"][:10]


def backfill_runs(stage: Stage) -> list[dict]:
    runs = stage.airflow.api("GET", "dags/social_analytics_daily/dagRuns", run_type="backfill")["dag_runs"]
    return [run for run in runs if run["run_type"] == "backfill"]


@pytest.mark.parametrize(
    ("conf", "sentence"),
    [
        ({"integration_ids": ["nobody"]}, "integration_ids 'nobody' is unknown"),
        ({"organization_id": "nobody"}, "organization_id 'nobody' is unknown"),
        ({"date": "2999-01-01"}, "date asks for 2999-01-01, which has not ended"),
        ({"date": "2020-01-01"}, "which lies before SOCIAL_ANALYTICS_START_DATE"),
    ],
)
def test_bad_input_turns_the_run_red_with_one_sentence_before_any_call(stage, conf, sentence):
    stage.sandbox.clear_calls()
    run = stage.run(**{"date": DAY.isoformat(), **conf})
    assert run.state == "failed"
    assert sentence in run.failure("list_active_integrations")
    assert run.of("list_active_integrations")[0]["try_number"] == 1
    assert run.states("analytics_aggregate") == ["skipped"]
    assert "list_active_integrations" in run.failure("check_coverage")
    assert stage.sandbox.calls == []


def test_a_manual_run_before_the_start_date_is_refused_and_not_an_empty_success(stage):
    run_id = stage.airflow.trigger(logical_date=f"{DAY - timedelta(days=30)}T00:00:00Z")
    run = stage.ended(run_id)
    assert run.state == "failed"
    assert "SOCIAL_ANALYTICS_START_DATE" in run.failure("list_active_integrations")


@pytest.mark.parametrize(
    "conf", [{"date": "2026-13-45"}, {"integration_ids": "abc"}, {"integration_ids": []}]
)
def test_the_trigger_refuses_what_is_malformed(stage, conf):
    with pytest.raises(requests.HTTPError) as refusal:
        stage.airflow.trigger(conf)
    assert refusal.value.response.status_code == 400
    assert next(iter(conf)) in refusal.value.response.text


def test_a_failing_aggregate_is_tried_twice_and_turns_the_run_red(stage):
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


def test_no_token_is_anywhere_but_in_the_authorization_header(stage):
    """Runs last in this file: it searches what all the runs before have left behind."""
    organization_id, pages = stage.organization(6)
    for page, kind in zip(
        pages,
        ("token_revoked", "html_503", "truncated", "reset", "account_blocked", "app_throttled"),
        strict=True,
    ):
        stage.fault(page, kind, times=1 if kind == "app_throttled" else None)
    stage.run(organization_id=organization_id)
    tokens = stage.world.tokens

    assert stage.sandbox.calls
    assert not any(call.token_in_url for call in stage.sandbox.calls)
    logs = [path for path in stage.home.rglob("*") if path.is_file() and path.suffix == ".log"]
    assert len(logs) > 50
    for path in logs:
        assert_free_of(tokens, path.read_text(errors="replace"), str(path))
    for database in (stage.analytics, metadata(stage)):
        for schema, table in database.execute(
            "SELECT schemaname, tablename FROM pg_tables WHERE schemaname IN ('public', 'analytics')"
        ).fetchall():
            rows = database.execute(f'SELECT t::text FROM {schema}."{table}" t').fetchall()
            assert_free_of(tokens, "\n".join(row for (row,) in rows), f"{schema}.{table}")


def metadata(stage: Stage) -> psycopg.Connection:
    dsn = stage.analytics.info.dsn.replace("e2e_analytics", "e2e_airflow")
    return psycopg.connect(dsn, autocommit=True)


def assert_free_of(tokens: list[str], text: str, where: str) -> None:
    # A part is as bad as the whole, and found also where a line was cut.
    leaked = [token[:12] for token in tokens if token[10:50] in text]
    assert not leaked, f"{where} has {leaked}"
