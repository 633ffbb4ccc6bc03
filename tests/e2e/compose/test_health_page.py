"""What the health page says in a real browser, without an Airflow around it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from urllib.parse import urlsplit

import psycopg
import pytest
from fastapi.testclient import TestClient
from playwright.sync_api import Browser, ConsoleMessage, Page, expect

from include.sandbox.postgres import EmbeddedPostgres
from include.social_analytics.connectors import providers
from include.social_analytics.connectors.facebook import PROVIDER
from include.social_analytics.databases import Database
from include.social_analytics.health.app import app, may_look
from include.social_analytics.jobs import Customer
from include.social_analytics.reports.period import PeriodKind, latest
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
    expect(page).to_have_title("Social analytics")


def test_a_tab_opens_its_view_though_a_filter_was_changed_just_before(history, page):
    history.stored("Corner Shop", DAY)
    history.stored("Market Stall", DAY, organization="other")
    opened(page, "coverage")
    box = page.get_by_role("tab", name="Trends").bounding_box()
    # A busy page: the filter is due when the click comes, and a click goes first.
    page.evaluate("""() => {
        const form = document.getElementById("filters");
        form.elements.organization.value = "other";
        form.dispatchEvent(new Event("input"));
        setTimeout(() => {
            const late = performance.now() + 500;
            while (performance.now() < late);
        });
    }""")
    page.mouse.click(box["x"] + 5, box["y"] + 5)
    expect(page.get_by_role("tabpanel", name="Trends")).to_have_attribute("aria-busy", "false")
    expect(page.get_by_label("Organization")).to_have_value("other")
    expect(page).to_have_url(re.compile("#trends.*organization=other"))


def test_trends_and_reports_can_be_narrowed_to_a_customer(history, page):
    markets = Customer("c2", "Markets")
    history.stored("Corner Shop", DAY, 5, customer=Customer("c1", "Shops"))
    history.stored("Head Office", DAY, 100)
    history.stored("Market Stall", DAY, 77, customer=markets, organization="other")
    aggregate_day(history.warehouse.connection, DAY)
    opened(page, "coverage")
    customer, organization = page.get_by_label("Customer"), page.get_by_label("Organization")
    views = page.locator("article", has=page.get_by_role("heading", name="Views", exact=True)).locator("p")
    customer.select_option("c2")
    page.get_by_role("tab", name="Trends").click()
    # A trend needs an organization: the customer's.
    expect(organization).to_have_value("other")
    expect(customer).to_have_value("c2")
    expect(views).to_contain_text("≥ 77 in the period")
    organization.select_option("acme")
    expect(views).to_contain_text("≥ 105 in the period")
    report = page.get_by_role("link", name="Report of the last week")
    expect(report).to_have_attribute("href", "report.html?organization=acme&period=week")
    customer.select_option("c1")
    expect(views).to_contain_text("≥ 5 in the period")
    expect(report).to_have_attribute("href", "report.html?organization=acme&customer=c1&period=week")
    expect(page.locator("#download")).to_have_attribute("href", re.compile("customer=c1"))
    page.reload()
    expect(views).to_contain_text("≥ 5 in the period")


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


# --- reports ----------------------------------------------------------------------------------

#: The width of A4 in pixels, and that without the margins of a printed page.
A4, PRINTED = 794, 680


@pytest.fixture
def report(history: History, page: Page) -> Iterator[Page]:
    """The report that the link on *Trends* opens: long names, large figures, and a failure.

    It asks no other host, and nothing is wrong in the browser's console.
    """
    week = latest(PeriodKind.WEEK, DAY)
    for number in range(13, -1, -1):
        day = week.last - timedelta(days=number)
        noon = datetime.combine(day, time(20), UTC)
        metrics = dict.fromkeys(PROVIDER.content_metrics, 12345678 * (14 - number))
        content = (
            replace(post(f"post-{number}", f"{HOSTILE} {'word ' * 90}", **metrics), published_at=noon),
        )
        for channel in ("Corner Shop", "N" * 90):
            history.stored(channel, day, 123_456_789 // (number + 1), content, name=channel)
    history.failed("Corner Shop", week.last - timedelta(days=2))
    history.warehouse.connection.execute(
        "DELETE FROM analytics.integration_metric_daily WHERE job_id IN "
        "(SELECT job_id FROM analytics.ingest_job WHERE status = 'failed')"
    )
    for number in range(14):
        aggregate_day(history.warehouse.connection, week.last - timedelta(days=number))
    context = page.context
    hosts: set[str] = set()
    said: list[ConsoleMessage] = []
    context.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
    context.on("console", lambda message: said.append(message))
    opened(page, "trends")
    with context.expect_page() as opening:
        page.get_by_role("link", name="Report of the last week").click()
    yield opening.value
    assert hosts == {urlsplit(page.url).netloc}
    assert [one.text for one in said if one.page == opening.value] == []


def test_the_report_says_the_figures_and_what_is_incomplete(report):
    expect(report).to_have_title(re.compile("^ACME: Week of "))
    expect(report.get_by_role("heading", name="ACME", level=1)).to_be_visible()
    expect(report.get_by_role("figure")).to_have_count(6)
    expect(report.get_by_role("img", name=re.compile("^Views by day"))).to_be_visible()
    expect(report.locator("rect.hollow")).to_have_count(5)
    expect(report.get_by_text("Corner Shop could not be read on")).to_be_visible()
    expect(report.locator("td .message").first).to_contain_text(HOSTILE)
    assert report.locator("img, script").count() == 0


@pytest.mark.parametrize(("media", "width"), [("screen", 360), ("screen", A4), ("print", PRINTED)])
def test_the_report_overflows_neither_screen_nor_paper(report, media, width):
    report.emulate_media(media=media)
    report.set_viewport_size({"width": width, "height": 800})
    assert report.locator("html").evaluate("html => html.scrollWidth <= html.clientWidth")
    # Nothing is cut off or drawn over its neighbour.
    assert (
        report.locator("figure, td").evaluate_all(
            "all => all.filter(one => one.scrollWidth > one.clientWidth + 1).map(one => one.outerHTML)"
        )
        == []
    )


def test_the_report_is_dark_where_the_screen_is_and_printed_light(report):
    def colours(media: str, scheme: str) -> dict[str, tuple[str, str]]:
        report.emulate_media(media=media, color_scheme=scheme)
        paper = report.locator("body").evaluate("one => getComputedStyle(one).backgroundColor")
        return {
            name: (report.locator(name).first.evaluate("one => getComputedStyle(one).color"), paper)
            for name in ("h1", ".faint", ".up, .down", "th")
        }

    light, dark = colours("screen", "light"), colours("screen", "dark")
    for name in light:
        assert contrast(*light[name]) >= 4.5, name
        assert contrast(*dark[name]) >= 4.5, name
        assert not set(light[name]) & set(dark[name])
    assert luminance(dark["h1"][1]) < luminance(dark["h1"][0])
    assert colours("print", "dark") == colours("print", "light") == light


def luminance(colour: str) -> float:
    """Of a computed ``rgb(…)``, as WCAG 2 defines it."""
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """WCAG 2's ratio, from 1 to 21."""
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)
