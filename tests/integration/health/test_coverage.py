"""The calendar of channels and days."""

from __future__ import annotations

import csv
import json
from io import StringIO

import pytest

from include.social_analytics.dag_ids import DAILY_DAG, FLOW, INGEST_TASK, LIST_TASK
from include.social_analytics.health import queries
from include.social_analytics.health.filters import State
from include.social_analytics.jobs import Customer
from include.social_analytics.warehouse import complete_days, integrations, ledger
from include.social_analytics.warehouse.aggregate import aggregate_day
from include.social_analytics.warehouse.ledger import JobStatus
from tests.support.bench import DAY
from tests.support.history import ago
from tests.support.made_up import registered
from tests.support.readings import reading

HOSTILE = "=1+1 <img src=x onerror=alert(1)> '; DROP TABLE analytics.integration; --"


def cells(answer: dict) -> dict[str, list[str | None]]:
    return {one["id"]: [cell and cell["state"] for cell in one["cells"]] for one in answer["integrations"]}


def test_an_empty_database_shows_what_to_do_next(history):
    overview = history.get("/api/overview")
    assert overview["latest"] is None
    assert "Unpause the DAG social_analytics_daily" in overview["next_step"]


def test_a_provider_whose_connection_is_missing_is_named(history, monkeypatch):
    with registered():
        assert (
            "Chatter is not read: the Airflow connection 'chatter_api' is missing."
            in (history.get("/api/overview")["not_read"])
        )
        monkeypatch.setenv("AIRFLOW_CONN_CHATTER_API", "http://chatter.example")
        assert not [words for words in history.get("/api/overview")["not_read"] if "Chatter" in words]


@pytest.mark.parametrize(
    "change",
    ["DROP SCHEMA analytics CASCADE", "ALTER TABLE analytics.integration DROP COLUMN customer_id CASCADE"],
)
def test_a_database_that_no_run_has_migrated_has_no_latest_day(history, change):
    history.stored("page", DAY)
    history.warehouse.connection.execute(change)
    assert history.get("/api/overview")["latest"] is None


def test_each_status_has_its_cell(history):
    history.stored("a-stored", DAY)
    history.warehouse.store(history.listed("b-no-data", DAY), reading(day=DAY))
    history.warehouse.store(history.listed("c-pending", DAY), reading({}, day=DAY))
    history.failed("d-failed", DAY)
    history.warehouse.start(history.listed("e-running", DAY))
    job = history.listed("f-queued", DAY)
    ledger.register(history.warehouse.connection, [job], "run")
    history.listed("g-missing", DAY)
    answer = history.get("/api/coverage", days=1)
    states = ["stored", "no_data", "pending", "failed", "running", "running", "missing"]
    assert list(cells(answer).values()) == [[state] for state in states]
    [total] = answer["totals"]
    assert total == {"day": DAY.isoformat(), "by_state": {**dict.fromkeys(State, 1), "running": 2}}
    [failed] = answer["integrations"][3]["cells"]
    assert (failed["error_class"], failed["error_code"]) == ("permanent", "token_invalid")
    assert failed["log_url"].endswith("/tasks/analytics_ingest/mapped/3")


def test_a_day_is_missing_only_after_the_first_listing_of_its_channel(history):
    history.stored("page", ago(2))
    answer = history.get("/api/coverage", days=4)
    assert cells(answer) == {"page": [None, "stored", "missing", "missing"]}
    assert [total["by_state"]["missing"] for total in answer["totals"]] == [0, 0, 1, 1]


def test_a_channel_that_is_no_longer_active_has_no_missing_days(history):
    connection = history.warehouse.connection
    history.stored("gone", ago(2))
    began = integrations.clock(connection)
    history.stored("page", ago(2))
    integrations.retire(connection, began)
    answer = history.get("/api/coverage", days=3)
    assert cells(answer) == {"gone": ["stored", None, None], "page": ["stored", "missing", "missing"]}
    assert [total["by_state"]["missing"] for total in answer["totals"]] == [0, 1, 1]


def test_a_backfill_of_one_early_day_makes_no_later_day_missing(history):
    history.stored("page", ago(20), expected_from=ago(2))
    for days in (2, 1, 0):
        history.stored("page", ago(days))
    history.stored("page", ago(5), expected_from=DAY)
    answer = history.get("/api/coverage", days=28)
    [states] = cells(answer).values()
    assert [state for state in states if state] == ["stored"] * 5
    assert [total["by_state"]["missing"] for total in answer["totals"]] == [0] * 28
    assert cells(history.get("/api/coverage", days=28, state="missing")) == {}
    assert history.get("/api/attention")["backfill"] is None


def test_the_past_of_a_new_channel_is_stored_and_nothing_before_it_is_missing(history):
    history.stored("new", DAY)
    history.past("new", DAY, 5)
    answer = history.get("/api/coverage", days=8)
    assert cells(answer) == {"new": [None, None, *["stored"] * 6]}
    assert [total["by_state"]["missing"] for total in answer["totals"]] == [0] * 8
    assert history.get("/api/attention") == {**history.get("/api/attention"), "groups": [], "backfill": None}
    # A period before the channel was connected has it, too.
    answer = history.get("/api/coverage", until=str(ago(3)), days=2)
    assert cells(answer) == {"new": ["stored", "stored"]}


def test_the_past_of_a_new_channel_hides_no_missing_day_of_another(history):
    history.stored("known", ago(4))
    for days in (2, 1, 0):
        history.stored("known", ago(days))
    history.stored("new", DAY)
    history.past("new", DAY, 6)
    complete = [
        complete_days.newest_complete_day(history.warehouse.connection, "facebook", ago(n)) == ago(n)
        for n in range(7, -1, -1)
    ]
    answer = history.get("/api/coverage", days=8)
    assert [total["by_state"]["missing"] for total in answer["totals"]] == [0, 0, 0, 0, 1, 0, 0, 0]
    assert cells(answer)["known"] == [None, None, None, "stored", "missing", *["stored"] * 3]
    # What nobody was expected to have is complete with those who have it; a day without jobs is not.
    assert complete == [False, True, True, True, False, True, True, True]


def test_days_on_which_the_scheduler_was_down_are_missing_and_offered_for_backfill(history):
    history.stored("page", ago(20), expected_from=ago(6))
    for days in (6, 5, 1, 0):
        history.stored("page", ago(days))
    answer = history.get("/api/coverage", days=8)
    down = [None, "stored", "stored", "missing", "missing", "missing", "stored", "stored"]
    assert cells(answer) == {"page": down}
    assert [total["by_state"]["missing"] for total in answer["totals"]] == [0, 0, 0, 1, 1, 1, 0, 0]
    backfill = history.get("/api/attention")["backfill"]
    assert (backfill["first"], backfill["last"]) == (ago(4).isoformat(), ago(2).isoformat())


def test_a_backfilled_day_of_one_channel_hides_no_missing_day_of_another(history):
    history.stored("known", ago(2))
    history.stored("known", DAY)
    history.stored("new", ago(1), expected_from=DAY)
    answer = history.get("/api/coverage", days=3)
    assert cells(answer) == {"known": ["stored", "missing", "stored"], "new": [None, "stored", "missing"]}
    assert [total["by_state"]["missing"] for total in answer["totals"]] == [0, 1, 1]
    assert list(cells(history.get("/api/coverage", days=3, state="missing"))) == ["known", "new"]


def test_a_channel_that_was_gone_before_it_was_expected_lowers_no_count(history):
    connection = history.warehouse.connection
    history.stored("gone", ago(5), expected_from=ago(1))
    integrations.retire(connection, integrations.clock(connection))
    history.stored("page", ago(5))
    answer = history.get("/api/coverage", days=6)
    assert [total["by_state"]["missing"] for total in answer["totals"]] == [0, 1, 1, 1, 1, 1]


@pytest.mark.parametrize(
    ("asked", "shown"),
    [
        ({"search": "ALPH"}, ["alpha"]),
        ({"search": "beta"}, ["beta"]),
        ({"organization": "other"}, ["gamma"]),
        ({"provider": "facebook"}, ["alpha", "beta", "gamma"]),
        ({"provider": "another"}, []),
        ({"state": "failed"}, ["beta"]),
        ({"state": "stored"}, ["alpha"]),
        ({"state": "missing"}, ["gamma"]),
        ({"search": "%"}, []),
        ({"search": HOSTILE}, []),
    ],
)
def test_the_calendar_filters_by_organization_provider_state_and_search(history, asked, shown):
    history.stored("alpha", DAY)
    history.failed("beta", DAY)
    history.listed("gamma", DAY, organization="other")
    assert list(cells(history.get("/api/coverage", days=1, **asked))) == shown


def test_the_calendar_and_its_counts_filter_by_the_customer_that_a_channel_has_now(history):
    shops, cafes = Customer("c1", "Shops"), Customer("c2", "Cafés")
    # Before it had a customer.
    history.stored("moved", ago(1))
    history.stored("moved", DAY, customer=cafes)
    history.stored("shop", DAY, customer=shops)
    history.failed("other", DAY)
    answer = history.get("/api/coverage", days=2, customer="c2")
    assert cells(answer) == {"moved": ["stored", "stored"]}
    assert [sum(total["by_state"].values()) for total in answer["totals"]] == [1, 1]
    [row] = answer["integrations"]
    assert (row["customer_id"], row["customer_name"]) == ("c2", "Cafés")
    assert cells(history.get("/api/coverage", days=2, customer="c2", organization="other")) == {}
    [failed] = history.get("/api/coverage", days=1, state="failed")["integrations"]
    assert (failed["customer_id"], failed["customer_name"]) == (None, None)


def test_the_csv_file_names_customers(history):
    history.stored("a-shop", DAY, customer=Customer("c1", "=Shops"))
    history.stored("b-other", DAY)
    file = history.ask.get("/coverage.csv", params={"days": 1}).content.decode("utf-8-sig")
    rows = [(row["customer_id"], row["customer_name"]) for row in csv.DictReader(StringIO(file))]
    assert rows == [("c1", "'=Shops"), ("", "")]


def test_customers_are_offered_by_their_latest_name_with_their_organization(history):
    history.stored("a", DAY, customer=Customer("c1", "Shops"))
    history.stored("b", DAY, customer=Customer("c1", "Renamed shops"))
    history.stored("c", DAY, customer=Customer("c2", "Cafés"), organization="other")
    history.stored("d", DAY)
    assert history.get("/api/overview")["customers"] == [
        {"id": "c2", "label": "Cafés", "organization_id": "other"},
        {"id": "c1", "label": "Renamed shops", "organization_id": "acme"},
    ]


def test_pages_follow_one_another_without_gaps_or_repeats(history, monkeypatch):
    for number in range(7):
        # Pairs with the same name.
        history.listed(f"page-{number}", DAY, name=f"Name {number // 2}")
    monkeypatch.setattr("include.social_analytics.health.app.PAGE", 3)
    seen, after = [], None
    while True:
        answer = history.get("/api/coverage", **({"after": after} if after else {}))
        seen += list(cells(answer))
        after = answer["next"]
        if after is None:
            break
    assert seen == [f"page-{number}" for number in range(7)]


@pytest.mark.parametrize("after", ["", "x", "{}", "[1]", '["a\\u0000", "b"]', '{"a": 1, "b": 2}'])
def test_an_invalid_position_is_refused(history, after):
    history.listed("page", DAY)
    answer = history.ask.get("/api/coverage", params={"after": after})
    assert answer.status_code == 422
    assert answer.json() == {"detail": "Not understood: after."}


@pytest.mark.parametrize(
    "asked", [{"days": 0}, {"days": 4000}, {"state": "x"}, {"until": "2026-13-45"}, {"search": "a\0"}]
)
def test_an_invalid_parameter_is_named(history, asked):
    answer = history.ask.get("/api/coverage", params=asked)
    assert answer.status_code == 422
    assert answer.json() == {"detail": f"Not understood: {next(iter(asked))}."}


def test_a_hostile_name_is_text_in_the_answer_and_no_formula_in_the_file(history):
    history.failed("page", DAY, name=HOSTILE)
    [one] = history.get("/api/coverage", search=HOSTILE)["integrations"]
    assert one["name"] == HOSTILE
    answer = history.ask.get("/coverage.csv", params={"days": 1})
    assert answer.headers["content-disposition"].startswith("attachment")
    header, row = csv.reader(StringIO(answer.content.decode("utf-8-sig")))
    assert header[-1] == DAY.isoformat()
    assert row == ["page", f"'{HOSTILE}", "acme", "ACME", "", "", "facebook", "failed: token_invalid"]


def test_the_csv_file_has_every_row_that_matches_the_filter(history, monkeypatch):
    for number in range(5):
        history.listed(f"page-{number}", DAY)
    monkeypatch.setattr("include.social_analytics.health.app.FILE_PAGE", 2)
    lines = history.ask.get("/coverage.csv", params={"search": "page"}).text.splitlines()
    assert len(lines) == 6


def test_a_day_that_is_not_published_yet_is_not_complete_and_says_so(history):
    for number in range(10):
        pending = history.listed(f"page-{number}", DAY)
        history.warehouse.store(pending, reading({}, day=DAY))
    overview = history.get("/api/overview")
    assert overview["newest_complete_day"] is None
    assert (overview["latest"]["by_state"]["pending"], overview["latest"]["by_state"]["stored"]) == (10, 0)
    [label] = [state["label"] for state in overview["states"] if state["id"] == "pending"]
    assert label == "Not published yet"


def test_an_error_code_of_a_later_version_breaks_no_view(history):
    """As after a rollback of the package."""
    history.failed("page", DAY)
    history.warehouse.connection.execute("UPDATE analytics.ingest_job SET error_code = 'brand_new'")
    overview = history.get("/api/overview")
    assert (overview["newest_complete_day"], overview["latest"]["by_state"]["failed"]) == (None, 1)
    [row] = history.get("/api/coverage", days=1)["integrations"]
    assert row["cells"][0]["error_code"] == "brand_new"
    assert "failed: brand_new" in history.ask.get("/coverage.csv", params={"days": 1}).text
    [group] = history.get("/api/attention")["groups"]
    assert group["error_code"] == "brand_new"
    assert "brand_new" in history.ask.get("/attention.csv").text
    aggregate_day(history.warehouse.connection, DAY)
    trends = history.get("/api/trends", days=1, organization="acme", provider="facebook")
    assert [one["complete"] for one in trends["metrics"]] == [[False]] * len(trends["metrics"])


def test_the_newest_complete_day_ignores_failures_that_only_owners_can_resolve(history):
    history.stored("page", ago(1))
    history.failed("revoked", ago(1))
    history.stored("page", DAY)
    overview = history.get("/api/overview")
    assert overview["newest_complete_day"] == ago(1).isoformat()
    assert overview["latest"] == {
        "day": DAY.isoformat(),
        "by_state": {**dict.fromkeys(State, 0), "stored": 1, "missing": 1},
    }
    assert overview["organizations"] == [{"id": "acme", "label": "ACME"}]


@pytest.mark.parametrize(
    ("jobs", "is_complete"),
    [
        ([], False),
        (["succeeded"], True),
        (["recovered"], True),
        (["no_data"], True),
        (["succeeded", "token_invalid"], True),
        (["token_invalid"], True),
        (["succeeded"] * 4 + ["token_invalid"] * 3, True),
        (["succeeded"] * 3 + ["token_invalid"] * 3, False),
        (["succeeded", "network"], False),
        (["succeeded", "config_invalid"], False),
        (["succeeded", "of_a_later_version"], False),
        (["succeeded", "queued"], False),
        (["succeeded", "running"], False),
        (["pending"], False),
        (["succeeded", "pending"], False),
        (["succeeded", "not_published"], False),
    ],
    ids=lambda jobs: "+".join(jobs) or "none" if isinstance(jobs, list) else None,
)
def test_the_health_page_and_the_ledger_agree_on_complete_days(history, jobs, is_complete):
    connection = history.warehouse.connection
    for number, became in enumerate(jobs):
        listed = history.listed(f"page-{number}", DAY)
        ledger.register(connection, [listed], "run")
        is_status = became in tuple(JobStatus)
        connection.execute(
            "UPDATE analytics.ingest_job SET status = %s, error_code = %s, started_at = now()"
            " WHERE job_id = %s",
            [became if is_status else "failed", None if is_status else became, listed.job_id],
        )
    complete = DAY if is_complete else None
    assert complete_days.newest_complete_day(connection, "facebook", DAY) == complete
    assert history.get("/api/overview")["newest_complete_day"] == (complete and complete.isoformat())


def test_a_day_that_one_channel_misses_is_not_complete(history):
    history.stored("page", DAY)
    history.listed("another", DAY)
    assert history.get("/api/overview")["newest_complete_day"] is None


def test_the_overview_has_the_providers_names_and_the_ids_of_the_tasks(history, without_views):
    overview = history.get("/api/overview")
    labels = {one["id"]: one["label"] for one in overview["providers"]}
    assert labels.items() >= {"facebook": "Facebook", "quiet": "Quiet Network"}.items()
    assert (overview["dag_id"], overview["list_task"], overview["ingest_task"]) == (
        DAILY_DAG,
        LIST_TASK,
        INGEST_TASK,
    )


def test_the_script_repeats_no_dag_or_task_id(ask):
    script = ask.get("/page.js").text
    assert not [one for one in (DAILY_DAG, *FLOW) if one in script]


def test_an_unreachable_database_gives_a_clear_answer_without_details(ask, postgres, monkeypatch):
    dead = json.loads(postgres.airflow_connection("no_such_database")) | {"password": "s3cret"}
    monkeypatch.setenv("AIRFLOW_CONN_ANALYTICS_DB", json.dumps(dead))
    progress = f"api/progress?moment={DAY}T00:00:00Z&since={DAY}T00:00:00Z"
    for path in ("api/overview", progress, "api/coverage", "api/attention", "coverage.csv"):
        answer = ask.get(f"/{path}")
        assert answer.status_code == 503
        assert answer.json()["detail"].startswith("The database of the connection 'analytics_db' says:")
        assert "s3cret" not in answer.text


def test_a_missing_connection_is_named(ask, monkeypatch):
    monkeypatch.delenv("AIRFLOW_CONN_ANALYTICS_DB")
    answer = ask.get("/api/overview")
    assert answer.status_code == 503
    assert "AIRFLOW_CONN_ANALYTICS_DB" in answer.json()["detail"]


def test_the_database_is_only_read(ask, monkeypatch):
    def write(connection, *_):
        connection.execute("DELETE FROM analytics.integration")

    monkeypatch.setattr(queries, "has_integrations", write)
    answer = ask.get("/api/overview")
    assert answer.status_code == 503
    assert "read-only" in answer.json()["detail"]


def test_a_slow_query_is_cancelled(ask, monkeypatch):
    def dawdle(connection, *_):
        connection.execute("SELECT pg_sleep(60)")

    monkeypatch.setattr("include.social_analytics.databases.PATIENCE_TO_READ", 0.05)
    monkeypatch.setattr(queries, "has_integrations", dawdle)
    answer = ask.get("/api/overview")
    assert answer.status_code == 503
    assert "statement timeout" in answer.json()["detail"]


def test_each_answers_security_headers_allow_only_what_the_page_needs(ask):
    for path in ("/", "/page.js", "/api/overview", "/nothing"):
        headers = ask.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", ["/openapi.json", "/docs", "/redoc", "/page.py", "/page.../app"])
def test_nothing_else_is_served(ask, path):
    assert ask.get(path).status_code in (404, 422)
