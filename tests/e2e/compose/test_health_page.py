"""What the health page says in a real browser, without an Airflow around it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

import psycopg
import pytest
from fastapi.testclient import TestClient
from playwright.sync_api import Browser, Page, expect

from include.sandbox.postgres import EmbeddedPostgres
from include.social_analytics.connectors import providers
from include.social_analytics.databases import Database
from include.social_analytics.health.app import app, may_look
from include.social_analytics.jobs import Customer
from include.social_analytics.warehouse.aggregate import aggregate_day
from tests.support.bench import DAY
from tests.support.browser import chromium
from tests.support.health_page import served
from tests.support.history import History, ago
from tests.support.readings import Warehouse, post, reading

HOSTILE = """<img src=x onerror="document.title='taken'"> {{ 7 * 7 }}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def history(
    postgres: EmbeddedPostgres,
    analytics: psycopg.Connection,
    analytics_database: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[History]:
    monkeypatch.setenv("AIRFLOW_CONN_ANALYTICS_DB", postgres.airflow_connection(analytics_database))
    app.dependency_overrides[may_look] = lambda: None
    database = Database("analytics_db", analytics)
    yield History(Warehouse(database, lambda: database), TestClient(app))
    app.dependency_overrides.clear()


@pytest.fixture
def page(browser: Browser, history: History) -> Iterator[Page]:
    """A page that can go to ``/#<view>``."""
    with served() as url, browser.new_context(locale="en-GB", base_url=url) as context:
        yield context.new_page()


def opened(page: Page, view: str) -> Page:
    """Open a view, and wait until it is drawn."""
    page.goto(f"./#{view}")
    expect(page.locator(f"#{view}")).to_have_attribute("aria-busy", "false")
    return page


def grown(history: History) -> None:
    """Two channels that have grown a little in 56 days, and four more on the last two days."""
    for days in range(55, -1, -1):
        for number in range(6 if days < 2 else 2):
            history.stored(f"page-{number}", ago(days), 100 if days > 27 else 105)
        aggregate_day(history.warehouse.connection, ago(days))


def test_days_that_are_not_published_yet_are_counted_and_not_called_complete(history, page):
    for number in range(10):
        history.warehouse.store(history.listed(f"page-{number}", DAY), reading({}, day=DAY))
    status = opened(page, "coverage").get_by_role("status").first
    expect(status).to_contain_text("is not complete: 0 of 10 stored, 10 not published yet.")


def test_the_calendar_can_be_narrowed_to_a_customer(history, page):
    shops = Customer("c1", HOSTILE)
    history.stored("Corner Shop", DAY, customer=shops)
    history.stored("Market Stall", DAY, customer=Customer("c2", "Markets"), organization="other")
    history.stored("Head Office", DAY)
    calendar = opened(page, "coverage").locator("#calendar tbody")
    expect(calendar.get_by_role("row")).to_have_count(3)
    expect(calendar).to_contain_text(f"{HOSTILE}, ACME")
    customer, organization = page.get_by_label("Customer"), page.get_by_label("Organization")
    expect(customer.locator("option")).to_have_text(["All", f"{HOSTILE} (ACME)", "Markets (OTHER)"])
    customer.select_option("c1")
    expect(calendar.get_by_role("row")).to_have_count(1)
    expect(page).to_have_url(re.compile("customer=c1"))
    expect(page.locator("#download")).to_have_attribute("href", re.compile("customer=c1"))
    page.reload()
    expect(customer).to_have_value("c1")
    expect(calendar.get_by_role("row")).to_have_count(1)
    # Another organization has other customers.
    organization.select_option("other")
    expect(customer.locator("option")).to_have_text(["All", "Markets"])
    expect(calendar).to_contain_text("Market Stall")
    expect(customer).to_have_value("")
    page.get_by_role("tab", name="Trends").click()
    expect(customer).to_be_hidden()
    expect(page).to_have_title("Social analytics")


def test_nobody_is_asked_for_a_customer_where_there_is_none(history, page):
    history.stored("page", DAY)
    expect(opened(page, "coverage").get_by_label("Organization")).to_be_visible()
    expect(page.get_by_label("Customer")).to_be_hidden()


def test_trends_say_how_many_channels_reported_and_what_the_same_ones_did(history, page):
    grown(history)
    opened(page, "trends")
    card = page.locator("article", has=page.get_by_role("heading", name="Views", exact=True))
    expect(card).to_contain_text("▲ +")
    expect(card).to_contain_text(
        "Only the 2 channels that reported on every day of both periods: ▲ +5.0 % (5,600 → 5,880)"
    )
    expect(card).to_contain_text(re.compile(r"Channels that reported: 2 → 6 on \d+ \w+\."))
    expect(card.locator("svg .change")).to_have_count(1)
    expect(card.locator("svg .change title")).to_contain_text("6 channels reported, 2 before")
    expect(card.locator("svg circle title").last).to_contain_text("630 (6 of 6 channels)")
    expect(card.get_by_role("table")).to_be_hidden()
    card.get_by_text("Day by day").click()
    rows = card.get_by_role("row")
    expect(rows).to_have_count(29)
    expect(rows.nth(26)).to_contain_text("2 of 2")
    expect(rows.nth(27)).to_contain_text("6 of 6, 2 before")


def test_a_day_that_a_channel_misses_is_marked_as_incomplete(history, page):
    for days in (1, 0):
        history.stored("page", ago(days))
    history.stored("another", ago(1))
    for days in (1, 0):
        aggregate_day(history.warehouse.connection, ago(days))
    opened(page, "trends")
    card = page.locator("article", has=page.get_by_role("heading", name="Views", exact=True))
    expect(card.locator("svg circle.part title")).to_contain_text("7 (1 of 2 channels, 2 before)")
    card.get_by_text("Day by day").click()
    expect(card.get_by_role("row").last).to_contain_text("incomplete")


def test_what_stored_days_lack_is_shown_as_text_apart_from_failures(history, page):
    for number in range(7):
        history.stored(f"page-{number}", DAY, name=HOSTILE if not number else f"Page {number}")
        history.lacks(f"page-{number}", DAY, f"Refused by the API: {HOSTILE}.")
    history.failed("down", DAY)
    opened(page, "attention")
    card = page.locator("article", has=page.get_by_role("heading", name="Stored, but not all of it"))
    expect(card).to_contain_text(f"Refused by the API: {HOSTILE}.")
    expect(card).to_contain_text(HOSTILE)
    expect(card).to_contain_text("and 2 more")
    expect(card.get_by_role("link")).to_have_count(5)
    expect(page.locator("article", has_text="token_invalid")).not_to_contain_text("Refused by the API")
    assert page.locator("img").count() == 0
    assert "taken" not in page.title()


def test_an_organizations_providers_stand_side_by_side_and_each_has_its_own_days_and_posts(history, page):
    kinds = {"image": 500, "reel": 900, "story": 100, "carousel_album": 300}
    posts = tuple(replace(post(kind, kind, views=views), kind=kind) for kind, views in kinds.items())
    history.stored("page", DAY, 40)
    history.stored("own", DAY, 70, posts, provider="instagram")
    history.stored("other", DAY, 90, organization="zoo", provider="threads")
    aggregate_day(history.warehouse.connection, DAY)
    opened(page, "trends")
    table = page.get_by_role("table").first
    expect(table.get_by_role("columnheader")).to_have_text(
        ["In the period", re.compile("Facebook.*1 channel"), re.compile("Instagram.*1 channel")]
    )
    views = table.get_by_role("row").filter(has=page.get_by_role("rowheader", name="Views", exact=True))
    expect(views.get_by_role("cell")).to_have_text(["≥ 40", "≥ 70"])
    saves = table.get_by_role("row").filter(has=page.get_by_role("rowheader", name="Saves"))
    expect(saves.get_by_role("cell")).to_have_text(["has none", "≥ 70"])

    table.get_by_role("button", name="Instagram").click()
    expect(table.get_by_role("button", name="Instagram")).to_have_attribute("aria-pressed", "true")
    card = page.locator("article", has=page.get_by_role("heading", name="Page views"))
    expect(card).to_contain_text("Instagram calls it profile_views.")
    best = page.locator("article", has=page.get_by_role("heading", name="Best posts"))
    expect(best.locator("td[data-head=Kind]")).to_have_text(["reel", "image", "carousel album", "story"])
    assert "provider=instagram" in page.url

    # Another organization has channels on another provider only.
    page.get_by_label("Organization").select_option("zoo")
    expect(page.get_by_role("combobox", name="Provider")).to_have_value("threads")
    expect(page.get_by_role("heading", name="Providers side by side")).to_have_count(0)
    expect(page.get_by_role("heading", name="Threads")).to_be_visible()


def test_each_provider_has_a_mark_of_its_own_beside_its_name(history, page):
    for provider in providers():
        history.stored(f"on {provider}", DAY, provider=provider)
    opened(page, "coverage")
    looks = set()
    for provider in providers().values():
        name = page.get_by_role("rowheader", name=f"On {provider.name}", exact=False).locator(".provider")
        expect(name).to_contain_text(provider.title)
        mark = name.locator(".mark")
        expect(mark).to_have_attribute("aria-hidden", "true")
        looks.add((mark.inner_text(), mark.evaluate("mark => getComputedStyle(mark).backgroundColor")))
    assert len({colour for _, colour in looks}) == len({text for text, _ in looks}) == len(providers())


@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_overflows(history, page, width):
    grown(history)
    history.stored("own", DAY, provider="instagram")
    aggregate_day(history.warehouse.connection, DAY)
    history.lacks("page-1", DAY, "Refused by the API: " + "a" * 200)
    page.set_viewport_size({"width": width, "height": 800})
    for view in ("coverage", "attention", "trends"):
        opened(page, view)
        for summary in page.get_by_text("Day by day").all():
            if summary.is_visible():
                summary.click()
        assert page.locator("html").evaluate("html => html.scrollWidth <= html.clientWidth"), view
