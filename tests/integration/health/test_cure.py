"""What is to be cured, by whom, and how the gap is filled."""

from __future__ import annotations

from datetime import timedelta

from include.social_analytics.errors import ErrorCode, JobError
from include.social_analytics.health import queries
from tests.support.bench import DAY
from tests.support.history import ago
from tests.support.readings import DOWN

NO_PERMISSION = JobError(ErrorCode.PERMISSION_MISSING, "(#200) Requires read_insights")


def test_failures_are_grouped_by_error_and_the_oldest_comes_first(history):
    for days in (0, 1):
        history.failed("revoked", ago(days))
    history.failed("down", ago(5), DOWN)
    history.failed("down", DAY, DOWN)
    groups = history.get("/api/failures")["groups"]
    assert [(group["error_code"], group["resolved_by"]) for group in groups] == [
        ("api_unavailable", "time"),
        ("token_invalid", "owner"),
    ]
    [down] = groups[0]["integrations"]
    assert down["trace_id"] == "AbC"
    [one] = groups[1]["integrations"]
    assert one["since"] == ago(1).isoformat()
    assert one["days"] == [ago(1).isoformat(), DAY.isoformat()]
    assert one["reason"] == "Session has expired"
    assert one["organization_name"] == "ACME"
    assert one["log_url"] == (
        "dags/social_analytics_daily/runs/manual__2026-11-20T00%3A00%3A00%2B00%3A00"
        "/tasks/analytics_ingest/mapped/3"
    )
    assert groups[1]["advice"] == ErrorCode.TOKEN_INVALID.advice


def test_the_latest_failure_speaks_for_an_integration(history):
    history.failed("page", ago(1))
    history.failed("page", DAY, NO_PERMISSION)
    [group] = history.get("/api/failures")["groups"]
    assert (group["error_code"], len(group["integrations"])) == ("permission_missing", 1)


def test_a_task_whose_number_is_not_known_links_to_its_run(history):
    history.failed("page", DAY, map_index=None)
    [group] = history.get("/api/failures")["groups"]
    assert group["integrations"][0]["log_url"].endswith("00%3A00%2B00%3A00")


def test_what_works_again_only_needs_its_days(history):
    history.failed("page", ago(6))
    history.stored("page", DAY)
    answer = history.get("/api/failures")
    [group] = answer["groups"]
    assert (group["error_code"], group["resolved_by"]) == (queries.WORKS_AGAIN, "operator")
    assert answer["backfill"]["from"] == ago(6).isoformat()


def test_what_a_look_back_brought_in_is_no_failure_any_more(history):
    history.failed("page", ago(1))
    history.stored("page", DAY)
    history.warehouse.connection.execute(
        "UPDATE analytics.ingest_job SET status = 'recovered', error_code = NULL WHERE status = 'failed'"
    )
    assert history.get("/api/failures")["groups"] == []


def test_the_backfill_covers_what_an_operator_can_bring_in_and_not_the_owners_part(history):
    history.failed("revoked", ago(20))
    history.failed("down", ago(4), DOWN)
    # Missing since.
    history.stored("page", ago(2))
    backfill = history.get("/api/failures")["backfill"]
    assert (backfill["from"], backfill["to"]) == (ago(19).isoformat(), DAY.isoformat())


def test_nothing_to_cure_is_nothing_to_backfill(history):
    history.stored("page", DAY)
    assert history.get("/api/failures") == {"groups": [], "backfill": None}


def test_only_owners_failures_ask_for_no_backfill(history):
    for days in range(3):
        history.failed("page", ago(days))
    assert history.get("/api/failures")["backfill"] is None


def test_of_very_many_the_longest_failing_are_listed_and_the_rest_counted(history, monkeypatch):
    monkeypatch.setattr(queries, "MOST_LISTED", 2)
    for number in range(5):
        history.failed(f"page-{number}", DAY - timedelta(days=number))
    [group] = history.get("/api/failures")["groups"]
    assert [one["id"] for one in group["integrations"]] == ["page-4", "page-3"]
    assert group["more"] == 3


def test_an_error_of_a_later_version_is_shown_all_the_same(history):
    history.failed("page", DAY)
    history.warehouse.connection.execute("UPDATE analytics.ingest_job SET error_code = 'brand_new'")
    [group] = history.get("/api/failures")["groups"]
    assert (group["error_code"], group["resolved_by"]) == ("brand_new", "operator")


def test_the_filter_narrows_to_an_organization(history):
    history.failed("mine", DAY)
    history.failed("theirs", DAY, organization="other")
    [group] = history.get("/api/failures", organization="other")["groups"]
    assert [one["id"] for one in group["integrations"]] == ["theirs"]


def test_the_file_says_the_same(history):
    history.failed("page", DAY, JobError(ErrorCode.UNEXPECTED, "@SUM(A1)"), name="+1")
    text = history.ask.get("/failures.csv").text
    assert "'@SUM(A1)" in text
    assert "'+1" in text
