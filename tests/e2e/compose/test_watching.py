"""The health page in Airflow's UI, in a real browser. Runs last: its backfill repeats a scheduled run."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Browser, FrameLocator, Page, expect

from include.sandbox.local_airflow import AirflowApi
from tests.e2e.compose.test_use import wait_for_backfills
from tests.support.browser import chromium
from tests.support.deployed_stage import CATCH_UP, MAX_ACTIVE_RUNS, DeployedStage
from tests.support.stage import DAY

DAILY_DAG = "social_analytics_daily"
VIEWS = ("Coverage", "Needs attention", "Trends")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def ui(browser: Browser, stage: DeployedStage) -> Iterator[Callable[..., Page]]:
    """A function that opens Airflow's UI, logged in through its form."""
    contexts = []

    def open_ui(user: str = "admin", password: str | None = None, **how: object) -> Page:
        contexts.append(browser.new_context(locale="en-GB", **how))
        page = contexts[-1].new_page()
        page.goto(stage.airflow.url)
        page.locator("input[name=username]").fill(user)
        page.locator("input[name=password]").fill(password or stage.airflow.password)
        page.locator("input[type=submit]").click()
        page.get_by_role("link", name="Social analytics").first.wait_for()
        return page

    yield open_ui
    for context in contexts:
        context.close()


def from_navigation(page: Page) -> FrameLocator:
    """Open the health page from Airflow's navigation, and wait until its first view is drawn."""
    page.get_by_role("link", name="Social analytics").first.click()
    frame = page.frame_locator("iframe[title='Social analytics']")
    frame.get_by_role("tab", name="Coverage").wait_for()
    return frame


def choose(health: FrameLocator, organization_id: str) -> None:
    """Filter the view by an organization, and wait until it is drawn. That also resets the buttons."""
    health.get_by_label("Organization").select_option(organization_id)
    expect(health.get_by_label("Organization").locator("option:checked")).not_to_be_empty()
    chosen = re.compile(rf"[?&]organization={organization_id}(&|$)")
    expect(health.get_by_role("link", name="Download CSV")).to_have_attribute("href", chosen)
    expect(health.get_by_role("tabpanel")).to_have_attribute("aria-busy", "false")


@pytest.fixture
def broken(stage: DeployedStage) -> tuple[str, list, str]:
    """An organization with two channels, one revoked and one whose API is down; and their run."""
    organization_id, pages = stage.organization(2)
    stage.fault(pages[0], "token_revoked")
    stage.fault(pages[1], "down")
    run = stage.run(organization_id=organization_id)
    assert run.states("analytics_ingest") == ["failed", "failed"]
    return organization_id, pages, run.run_id


def test_the_navigation_leads_to_the_broken_channel_and_its_log(stage, ui, broken):
    organization_id, pages, _ = broken
    page = ui()
    health = from_navigation(page)
    expect(health.get_by_role("status").first).to_contain_text("stored")
    health.get_by_role("tab", name="Needs attention").click()
    choose(health, organization_id)
    group = health.locator("article", has_text="token_invalid")
    expect(group).to_contain_text("The channel's owner: Reconnect the channel in Postiz.")
    expect(group.get_by_role("rowheader")).to_contain_text(pages[0].name)
    group.get_by_role("link", name="Log").click()
    page.wait_for_url(re.compile(r"/runs/.+/tasks/analytics_ingest/mapped/0"))
    expect(page.get_by_text("token_invalid").first).to_be_visible()


def test_the_calendar_can_be_filtered_and_downloaded(stage, ui, broken, tmp_path):
    organization_id, pages, _ = broken
    page = ui()
    health = from_navigation(page)
    choose(health, organization_id)
    rows = health.locator("#calendar tbody tr")
    expect(rows).to_have_count(2)
    health.get_by_label("Search").fill(pages[0].name)
    expect(rows).to_have_count(1)
    expect(rows.locator("a.failed")).to_have_attribute("title", re.compile("failed, token_invalid"))
    health.get_by_label("Search").fill("")
    health.get_by_label("State").select_option("stored")
    expect(health.get_by_text("No matching channels.")).to_be_visible()
    health.get_by_label("State").select_option("failed")
    expect(rows).to_have_count(2)
    expect(health.get_by_role("link", name="Download CSV")).to_have_attribute(
        "href", re.compile("state=failed")
    )
    with page.expect_download() as download:
        health.get_by_role("link", name="Download CSV").click()
    download.value.save_as(tmp_path / "coverage.csv")
    with Path(tmp_path / "coverage.csv").open(encoding="utf-8-sig") as lines:
        found = list(csv.DictReader(lines))
    assert sorted(row[DAY.isoformat()] for row in found) == [
        "failed: api_unavailable",
        "failed: token_invalid",
    ]


def test_the_button_of_a_resolved_channel_runs_it_again(stage, ui, broken):
    organization_id, pages, run_id = broken
    for page in pages:
        stage.world.faults.clear(page.id)
    health = from_navigation(ui())
    health.get_by_role("tab", name="Needs attention").click()
    choose(health, organization_id)
    row = health.get_by_role("row", name=re.compile(re.escape(pages[0].name)))
    row.get_by_role("button").click()
    row.get_by_role("button", name="Really run again?").click()
    expect(health.get_by_text(f"{pages[0].name} runs again")).to_be_visible()
    run = stage.ended(run_id)
    assert sorted(one["try_number"] for one in run.of("analytics_ingest")) == [2, 4]
    assert stage.job(pages[0])["status"] == "succeeded"


def test_the_backfill_button_fills_the_gap_that_a_narrowed_backfill_left(stage, ui, broken):
    organization_id, pages, _ = broken
    for page in pages:
        stage.world.faults.clear(page.id)
    day = {"from_date": f"{DAY}T00:00:00Z", "to_date": f"{DAY}T00:00:00Z"}
    narrow = {"dag_run_conf": {"organization_id": stage.caught_up[0]}, "reprocess_behavior": "completed"}
    # Airflow takes one at a time.
    wait_for_backfills(stage)
    stage.airflow.api("POST", "backfills", {"dag_id": DAILY_DAG, **day, **narrow})
    assert stage.ended(f"scheduled__{DAY}").state == "success"
    wait_for_backfills(stage)
    assert [stage.job(page)["status"] for page in pages] == ["failed", "failed"]

    health = from_navigation(ui())
    health.get_by_role("tab", name="Needs attention").click()
    choose(health, organization_id)
    days = f"--from-date {DAY}T00:00+00:00 --to-date {DAY}T00:00+00:00"
    command = f"{days} --reprocess-behavior completed --dag-run-conf '{{}}'"
    expect(health.get_by_text(command)).to_be_visible()
    health.get_by_role("button", name="Start this backfill").click()
    health.get_by_role("button", name="Really start it?").click()
    expect(health.get_by_text("A backfill from")).to_be_visible()
    stage.ended(f"scheduled__{DAY}")
    assert [stage.job(page)["status"] for page in pages] == ["succeeded", "succeeded"]
    # At its end the message disappears, and the view refreshes without the failures.
    expect(health.get_by_text("A backfill from")).to_be_hidden()
    expect(health.get_by_text("Nothing needs attention.")).to_be_visible()


def test_progress_of_catch_up_shows_the_days_done_of_all_days(stage, ui):
    _, pages = stage.caught_up
    stage.fault(pages[0], "held")
    wait_for_backfills(stage)
    missed = [f"scheduled__{day}" for day in CATCH_UP[-MAX_ACTIVE_RUNS:]]
    for run_id in missed:
        stage.airflow.api("DELETE", f"dags/{DAILY_DAG}/dagRuns/{run_id}")
    # Airflow continues after the latest remaining day, once it reads the DAG again.
    stage.deployment.cli("dags", "reserialize")
    stage.wait_for(lambda: set(missed) <= set(stage.run_ids()), 120)
    health = from_navigation(ui())
    progress = health.get_by_role("region", name="Progress")
    done = len(CATCH_UP) - MAX_ACTIVE_RUNS
    expect(progress).to_contain_text(f"Catching up: {done} of {len(CATCH_UP)} days done")
    expect(progress.get_by_role("progressbar")).to_have_count(MAX_ACTIVE_RUNS)
    stage.world.faults.clear(pages[0].id)
    for run_id in missed:
        stage.ended(run_id)
    expect(progress).to_be_hidden()


def test_progress_of_a_backfill_is_shown_and_the_view_refreshes_at_its_end(stage, ui):
    organization_id, pages = stage.organization(5)
    stage.fault(pages[0], "held")
    stage.fault(pages[4], "token_revoked")
    wait_for_backfills(stage)
    backfill = {
        "dag_id": DAILY_DAG,
        "from_date": f"{DAY - timedelta(days=1)}T00:00:00Z", "to_date": f"{DAY}T00:00:00Z",
        "max_active_runs": 1, "reprocess_behavior": "completed",
        "dag_run_conf": {"organization_id": organization_id},
    }  # fmt: skip
    stage.airflow.api("POST", "backfills", backfill)
    health = from_navigation(ui())
    choose(health, organization_id)
    progress = health.get_by_role("region", name="Progress")
    expect(progress).to_contain_text("Backfill: 0 of 2 days done")
    expect(progress).to_contain_text("4 of 5 channels done, 1 failed")
    # The next day waits for a different channel.
    stage.fault(pages[1], "held")
    stage.world.faults.clear(pages[0].id)
    expect(progress).to_contain_text("Backfill: 1 of 2 days done")
    expect(progress).to_contain_text("4 of 5 channels done, 1 failed")
    stage.world.faults.clear(pages[1].id)
    stage.ended(f"scheduled__{DAY}")
    expect(progress).to_be_hidden()
    expect(health.locator("#calendar .running")).to_have_count(0)
    expect(health.locator("#calendar .stored")).to_have_count(8)
    expect(health.locator("#calendar .failed")).to_have_count(2)


@pytest.mark.parametrize("width", [360, 1280])
def test_the_health_page_follows_light_and_dark_and_nothing_overflows(ui, broken, width):
    organization_id = broken[0]
    page = ui(viewport={"width": width, "height": 800}, color_scheme="light")
    health = from_navigation(page)
    root = health.locator("html")
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        expect(root).to_have_attribute("data-theme", scheme)
        for view in VIEWS:
            health.get_by_role("tab", name=view).click()
            choose(health, organization_id)
            panel = health.get_by_role("tabpanel", name=view)
            expect(panel).to_have_attribute("aria-busy", "false")
            assert root.evaluate("html => html.scrollWidth <= html.clientWidth"), (view, scheme)


def test_names_with_markup_are_shown_as_they_are(stage, ui):
    organization_id, [page] = stage.organization(1)
    name = """<img src=x onerror="document.title='taken'"> ' OR 1=1 --"""
    stage.postiz.execute('UPDATE "Integration" SET "name" = %s WHERE "id" = %s', [name, page.id])
    stage.run(organization_id=organization_id)
    browser_page = ui()
    health = from_navigation(browser_page)
    health.get_by_label("Search").fill(name)
    expect(health.locator("#calendar tbody tr")).to_have_count(1)
    expect(health.locator("#calendar tbody th")).to_contain_text(name)
    assert health.locator("#calendar img").count() == 0
    assert "taken" not in browser_page.title()


def test_a_user_without_a_login_or_access_to_the_dag_sees_nothing(stage):
    url = f"{stage.airflow.url}/social-analytics"
    paths = (
        "/", "/page.js", "/api/overview", "/api/progress", "/api/coverage", "/api/attention", "/coverage.csv",
    )  # fmt: skip
    for path in paths:
        answer = requests.get(url + path, timeout=30)
        assert (answer.status_code, answer.json()) == (401, {"detail": "Not authenticated"})
    stage.deployment.cli(
        "users", "create", "--role", "Public", "--username", "guest", "--password", "guest",
        "--firstname", "A", "--lastname", "Guest", "--email", "guest@localhost",
    )  # fmt: skip
    login = requests.post(
        f"{stage.airflow.url}/auth/token", json={"username": "guest", "password": "guest"}, timeout=30
    )
    guest = {"Authorization": f"Bearer {login.json()['access_token']}"}
    for path in paths:
        answer = requests.get(url + path, headers=guest, timeout=30)
        assert (answer.status_code, answer.json()) == (403, {"detail": "Forbidden"})


def test_the_page_itself_changes_nothing(stage):
    """It starts everything through Airflow's API, whose cookie other sites cannot use."""
    login = AirflowApi(stage.airflow.url, stage.airflow.user, stage.airflow.password)
    login.api("GET", "dags")
    headers = {"Authorization": login._session.headers["Authorization"]}
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        for path in ("/", "/api/coverage", "/api/attention"):
            answer = requests.request(
                method, f"{stage.airflow.url}/social-analytics{path}", headers=headers, timeout=30
            )
            assert answer.status_code == 405
