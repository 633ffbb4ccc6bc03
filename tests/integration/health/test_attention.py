"""What needs attention, who resolves it, and which backfill fills the gap."""

from __future__ import annotations

import csv
from datetime import timedelta
from io import StringIO

import pytest

from include.social_analytics import connectors
from include.social_analytics.errors import ErrorCode, JobError
from include.social_analytics.health import attention
from include.social_analytics.jobs import Customer
from include.social_analytics.warehouse import ledger
from tests.support.bench import DAY
from tests.support.history import ago
from tests.support.readings import DOWN, reading

NO_PERMISSION = JobError(ErrorCode.PERMISSION_MISSING, "(#200) Requires read_insights")


def test_failures_are_grouped_by_error_and_the_oldest_comes_first(history):
    for days in (0, 1):
        history.failed("revoked", ago(days))
    history.failed("down", ago(5), DOWN)
    history.failed("down", DAY, DOWN)
    groups = history.get("/api/attention")["groups"]
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


def test_a_channel_is_listed_under_its_latest_failure(history):
    history.failed("page", ago(1))
    history.failed("page", DAY, NO_PERMISSION)
    [group] = history.get("/api/attention")["groups"]
    assert (group["error_code"], len(group["integrations"])) == ("permission_missing", 1)


def test_a_task_with_an_unknown_map_index_links_to_its_run(history):
    history.failed("page", DAY, map_index=None)
    [group] = history.get("/api/attention")["groups"]
    assert group["integrations"][0]["log_url"].endswith("00%3A00%2B00%3A00")


def test_a_channel_that_works_again_only_needs_a_backfill(history):
    history.failed("page", ago(6))
    history.stored("page", DAY)
    answer = history.get("/api/attention")
    [group] = answer["groups"]
    assert (group["error_code"], group["resolved_by"]) == (attention.WORKS_AGAIN, "operator")
    assert answer["backfill"]["first"] == ago(6).isoformat()


@pytest.mark.parametrize("values", [None, {}], ids=["no data", "pending"])
def test_a_later_day_without_figures_counts_as_working_again(history, values):
    history.failed("page", ago(2))
    history.warehouse.store(history.listed("page", ago(1)), reading(values, day=ago(1), posts=None))
    [group] = history.get("/api/attention")["groups"]
    assert (group["error_code"], group["heading"]) == (attention.WORKS_AGAIN, "Working again")


def test_a_job_that_did_not_end_with_its_run_needs_attention(history, ended_runs):
    history.warehouse.start(history.listed("running", ago(2)), "by hand", map_index=4)
    ledger.register(history.warehouse.connection, [history.listed("queued", DAY)], "by hand")
    ledger.register(history.warehouse.connection, [history.listed("other", DAY)], "under way")
    assert history.get("/api/attention")["groups"] == []
    ended_runs.add("by hand")
    answer = history.get("/api/attention")
    [group] = answer["groups"]
    assert (group["heading"], group["resolved_by"]) == ("The run ended early", "operator")
    assert [(one["id"], one["map_index"]) for one in group["integrations"]] == [
        ("running", 4),
        ("queued", None),
    ]
    assert answer["backfill"]["first"] == ago(2).isoformat()


def test_a_channel_that_failed_before_its_run_ended_is_listed_once(history, ended_runs):
    history.failed("page", ago(1))
    history.warehouse.start(history.listed("page", DAY), "by hand")
    ended_runs.add("by hand")
    [group] = history.get("/api/attention")["groups"]
    assert (group["error_code"], group["integrations"][0]["days"]) == (
        attention.RUN_ENDED,
        [ago(1).isoformat(), DAY.isoformat()],
    )


def test_the_page_says_which_setting_is_invalid(history, monkeypatch):
    monkeypatch.setenv("SOCIAL_ANALYTICS_RUN_AT", "2 am")
    answer = history.ask.get("/api/overview")
    assert answer.status_code == 503
    assert answer.json()["detail"].startswith("SOCIAL_ANALYTICS_RUN_AT must be a time of day such as 02:00")


def test_a_day_that_was_never_published_needs_a_backfill_and_no_pending_day_makes_up_for_it(history):
    for days in (5, 1):
        history.warehouse.store(history.listed("page", ago(days)), reading({}, day=ago(days)))
    ledger.give_up(history.warehouse.connection, DAY, {"facebook": 3})
    answer = history.get("/api/attention")
    [group] = answer["groups"]
    assert (group["error_code"], group["resolved_by"]) == ("not_published", "time")
    assert group["integrations"][0]["days"] == [ago(5).isoformat()]
    assert answer["backfill"]["first"] == ago(5).isoformat()
    history.stored("page", DAY)
    [group] = history.get("/api/attention")["groups"]
    assert group["error_code"] == attention.WORKS_AGAIN


def test_an_earlier_or_unfinished_day_does_not_count_as_working_again(history):
    history.stored("page", ago(2))
    history.failed("page", ago(1))
    history.warehouse.start(history.listed("page", DAY))
    [group] = history.get("/api/attention")["groups"]
    assert (group["error_code"], group["heading"]) == ("token_invalid", "token_invalid")


def test_a_channel_whose_provider_counts_no_posts_can_work_again(history, without_views):
    history.failed("channel", ago(6), provider="quiet")
    history.stored("channel", DAY, provider="quiet")
    [group] = history.get("/api/attention")["groups"]
    assert (group["error_code"], group["providers"]) == (attention.WORKS_AGAIN, ["quiet"])


def test_failures_with_the_same_advice_are_one_group_over_all_providers(history, without_views, monkeypatch):
    monkeypatch.setattr(attention, "MOST_LISTED", 3)
    for number in range(3):
        history.failed(f"page-{number}", ago(number + 1), NO_PERMISSION)
        history.failed(f"channel-{number}", ago(number), DOWN, provider="quiet")
        history.failed(f"down-{number}", ago(number + 3), DOWN)
    history.failed("page", DAY)
    history.failed("channel", DAY, provider="quiet")
    groups = history.get("/api/attention")["groups"]
    assert [
        (group["error_code"], group["providers"], group["advice"], len(group["integrations"]), group["more"])
        for group in groups
    ] == [
        ("api_unavailable", ["facebook", "quiet"], ErrorCode.API_UNAVAILABLE.advice, 3, 3),
        (
            "permission_missing",
            ["facebook"],
            connectors.providers()["facebook"].advice_on(ErrorCode.PERMISSION_MISSING),
            3,
            0,
        ),
        ("token_invalid", ["quiet"], "Ask the Quiet Network for a new token.", 1, 0),
        ("token_invalid", ["facebook"], ErrorCode.TOKEN_INVALID.advice, 1, 0),
    ]
    # The three that have failed the longest, over both providers.
    assert [one["id"] for one in groups[0]["integrations"]] == ["down-2", "down-1", "down-0"]
    assert (groups[0]["oldest"], groups[0]["newest"]) == (ago(5).isoformat(), DAY.isoformat())


def test_a_removed_provider_gets_the_advice_of_the_error_code(history):
    history.failed("channel", DAY, provider="removed")
    [group] = history.get("/api/attention")["groups"]
    assert (group["providers"], group["advice"]) == (["removed"], ErrorCode.TOKEN_INVALID.advice)


def test_a_day_that_the_look_back_recovered_needs_no_attention(history):
    history.failed("page", ago(1))
    history.stored("page", DAY)
    history.warehouse.connection.execute(
        "UPDATE analytics.ingest_job SET status = 'recovered', error_code = NULL WHERE status = 'failed'"
    )
    assert history.get("/api/attention")["groups"] == []


def test_the_backfill_covers_what_an_operator_can_resolve_and_no_owners_failure(history):
    history.failed("revoked", ago(20))
    history.failed("down", ago(4), DOWN)
    # Missing since then.
    history.stored("page", ago(2))
    backfill = history.get("/api/attention")["backfill"]
    assert (backfill["first"], backfill["last"]) == (ago(19).isoformat(), DAY.isoformat())


def test_nothing_to_backfill_when_nothing_needs_attention(history):
    history.stored("page", DAY)
    assert history.get("/api/attention") == {"groups": [], "lacking": None, "backfill": None}


def test_failures_that_only_owners_can_resolve_need_no_backfill(history):
    for days in range(3):
        history.failed("page", ago(days))
    assert history.get("/api/attention")["backfill"] is None


def test_a_long_group_lists_the_longest_failing_and_counts_the_rest(history, monkeypatch):
    monkeypatch.setattr(attention, "MOST_LISTED", 2)
    for number in range(5):
        history.failed(f"page-{number}", DAY - timedelta(days=number))
    [group] = history.get("/api/attention")["groups"]
    assert [one["id"] for one in group["integrations"]] == ["page-4", "page-3"]
    assert group["more"] == 3


def test_an_error_code_of_a_later_version_is_shown_too(history):
    history.failed("page", DAY)
    history.warehouse.connection.execute("UPDATE analytics.ingest_job SET error_code = 'brand_new'")
    [group] = history.get("/api/attention")["groups"]
    assert (group["error_code"], group["resolved_by"]) == ("brand_new", "operator")


def test_what_a_stored_day_lacks_is_told_apart_from_failures(history):
    history.stored("page", ago(1))
    history.stored("page", DAY, name="Café")
    history.lacks("page", ago(1), "The posts could not be read.")
    history.lacks("page", DAY, "Refused by the API: comments.")
    answer = history.get("/api/attention")
    assert (answer["groups"], answer["backfill"]) == ([], None)
    [lack] = answer["lacking"]["lacks"]
    assert (lack["reason"], lack["newest"]) == ("Refused by the API: comments.", DAY.isoformat())
    [channel] = lack["integrations"]
    assert (channel["name"], channel["organization_name"], channel["day"]) == (
        "Café",
        "ACME",
        DAY.isoformat(),
    )
    assert channel["log_url"].startswith("dags/social_analytics_daily/runs/")
    assert "no failures" in answer["lacking"]["advice"]
    # It colours nothing.
    overview = history.get("/api/overview")
    assert overview["newest_complete_day"] == DAY.isoformat()
    assert (overview["latest"]["by_state"]["stored"], overview["latest"]["by_state"]["failed"]) == (1, 0)


def test_an_entry_about_something_lacking_goes_when_a_later_day_has_everything(history):
    history.stored("page", ago(2))
    history.lacks("page", ago(2), "The posts could not be read.")
    history.failed("page", ago(1))
    assert history.get("/api/attention")["lacking"]["lacks"][0]["newest"] == ago(2).isoformat()
    history.stored("page", DAY)
    assert history.get("/api/attention")["lacking"] is None


def test_a_job_that_waits_for_quota_is_not_called_stored(history):
    job = history.listed("page", DAY)
    quota = JobError(ErrorCode.RATE_LIMITED, "(#4) Application request limit reached")
    ledger.wait_for_quota(
        history.warehouse.connection, history.warehouse.start(job), quota, timedelta(minutes=1), 1
    )
    assert history.get("/api/attention")["lacking"] is None


def test_a_reason_of_many_channels_names_some_and_counts_the_rest(history, without_views, monkeypatch):
    monkeypatch.setattr(attention, "MOST_NAMED", 2)
    monkeypatch.setattr(attention, "MOST_LISTED", 3)
    other_version = "The API answered in version v22.0 instead of v20.0."
    for number in range(4):
        history.stored(f"page-{number}", DAY)
        history.lacks(f"page-{number}", DAY, other_version)
        history.stored(f"channel-{number}", DAY, provider="quiet", organization="other")
        history.lacks(f"channel-{number}", DAY, f"Refused by the API: {number}.")
    lacking = history.get("/api/attention")["lacking"]
    assert [
        (one["reason"], one["provider"], [channel["id"] for channel in one["integrations"]], one["more"])
        for one in lacking["lacks"]
    ] == [
        (other_version, "facebook", ["page-0", "page-1"], 2),
        ("Refused by the API: 0.", "quiet", ["channel-0"], 0),
        ("Refused by the API: 1.", "quiet", ["channel-1"], 0),
    ]
    assert lacking["more"] == 2
    narrowed = history.get("/api/attention", organization="acme", provider="facebook")["lacking"]
    assert (len(narrowed["lacks"]), narrowed["more"]) == (1, 0)


def test_the_csv_file_has_what_is_lacking_without_an_error_code(history):
    history.stored("page", DAY)
    history.lacks("page", DAY, "=Refused by the API: comments.")
    [row] = csv.DictReader(StringIO(history.ask.get("/attention.csv").content.decode("utf-8-sig")))
    assert (row["error_code"], row["integration_id"], row["reason"]) == (
        "",
        "page",
        "'=Refused by the API: comments.",
    )


def test_the_filter_narrows_to_an_organization(history):
    history.failed("mine", DAY)
    history.failed("theirs", DAY, organization="other")
    [group] = history.get("/api/attention", organization="other")["groups"]
    assert [one["id"] for one in group["integrations"]] == ["theirs"]


def test_the_filter_narrows_to_a_customer_and_channels_are_shown_with_theirs(history):
    shops = Customer("c1", "Shops")
    for name, customer in (("mine", shops), ("theirs", None)):
        history.failed(f"failed-{name}", DAY, customer=customer)
        history.stored(f"lacks-{name}", DAY, customer=customer)
        history.lacks(f"lacks-{name}", DAY, "No posts.")
    answer = history.get("/api/attention", customer="c1")
    [[failed]] = [group["integrations"] for group in answer["groups"]]
    [[lacking]] = [lack["integrations"] for lack in answer["lacking"]["lacks"]]
    for one, name in ((failed, "failed-mine"), (lacking, "lacks-mine")):
        assert (one["id"], one["customer_id"], one["customer_name"]) == (name, "c1", "Shops")
    file = history.ask.get("/attention.csv").content.decode("utf-8-sig")
    customers = {row["integration_id"]: row["customer_name"] for row in csv.DictReader(StringIO(file))}
    assert customers == {
        "failed-mine": "Shops",
        "lacks-mine": "Shops",
        "failed-theirs": "",
        "lacks-theirs": "",
    }


def test_the_csv_file_escapes_formulas(history):
    history.failed("page", DAY, JobError(ErrorCode.UNEXPECTED, "@SUM(A1)"), name="+1")
    text = history.ask.get("/attention.csv").text
    assert "'@SUM(A1)" in text
    assert "'+1" in text


def test_owners_failures_that_are_too_many_are_the_operators_and_have_a_backfill(history):
    for number in range(3):
        history.failed(f"page-{number}", DAY)
    answer = history.get("/api/attention", organization="acme")
    [group] = answer["groups"]
    assert (group["error_code"], group["resolved_by"], group["resolver"]) == (
        "token_invalid",
        "operator",
        "The Airflow operator",
    )
    assert group["advice"].startswith("So many channels failed alike that the cause is not their owners")
    assert answer["backfill"]["first"] == DAY.isoformat()
    assert history.get("/api/overview")["newest_complete_day"] is None


def test_channels_that_work_again_are_one_group_whatever_failed(history):
    for number in range(4):
        history.failed(f"page-{number}", ago(2 if number else 3))
        history.stored(f"page-{number}", DAY)
    [group] = history.get("/api/attention")["groups"]
    assert (group["error_code"], len(group["integrations"]), group["more"]) == (attention.WORKS_AGAIN, 4, 0)
