"""Reports of an organization and of a customer, made from a filled database."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser

import pytest

from include.social_analytics.connectors.reading import Content
from include.social_analytics.databases import open_analytics_to_read
from include.social_analytics.health.answers import Choice
from include.social_analytics.jobs import Customer
from include.social_analytics.reports.period import Period, PeriodKind, latest
from include.social_analytics.reports.report import Report, report_on
from include.social_analytics.warehouse.aggregate import aggregate_day
from tests.support.bench import DAY
from tests.support.history import History
from tests.support.readings import DOWN, REVOKED, post

WEEK = latest(PeriodKind.WEEK, DAY)
ACME = Choice(id="acme", label="ACME")
NORTH, SOUTH = Customer("north", "North Shops"), Customer("south", "South Shops")
HOSTILE = """<script>document.title='taken'</script> {{ 7 * 7 }} "'"""


def aggregate(history: History, period: Period = WEEK) -> None:
    for number in range(2 * period.days):
        aggregate_day(history.warehouse.connection, period.last - timedelta(days=number))


def report(period: Period = WEEK, customer: Choice | None = None) -> Report:
    with open_analytics_to_read() as analytics:
        return report_on(analytics, ACME, customer, period)


def html(history: History, **parameters: str) -> str:
    answer = history.ask.get(
        "/report.html", params={"organization": "acme", "until": WEEK.last.isoformat(), **parameters}
    )
    assert answer.status_code == 200, answer.text
    return answer.text


def word(before: int) -> str:
    """A day in words, so many days before the week's last."""
    day = WEEK.last - timedelta(days=before)
    return f"{day.day} {day:%B}"


@pytest.fixture
def two_weeks(history: History) -> History:
    """Two channels: the week has twice the figures of the week before."""
    for number in range(14):
        for page in ("bakery", "cafe"):
            history.stored(page, WEEK.last - timedelta(days=number), 20 if number < 7 else 10)
    return history


def test_a_week_has_each_figure_its_change_and_nothing_incomplete(two_weeks):
    aggregate(two_weeks)
    [part] = report().providers
    assert part.title == "Facebook"
    assert [figure.name for figure in part.figures] == [
        "views", "reach_summed", "engagements", "follows", "followers", "posts_published",
    ]  # fmt: skip
    views, followers = part.figures[0], part.figures[4]
    assert (views.total, views.previous, views.change) == (280, 140, 1.0)
    assert (followers.total, followers.change) == (40, 1.0)
    assert part.incomplete == []
    shown = html(two_weeks)
    assert "+100.0%" in shown
    assert "What is incomplete" not in shown


def test_days_and_channels_that_are_missing_are_said_in_words(two_weeks):
    for number in (0, 1, 4):
        two_weeks.failed("cafe", WEEK.last - timedelta(days=number), REVOKED)
    two_weeks.failed("bakery", WEEK.last - timedelta(days=4), DOWN)
    aggregate(two_weeks)
    two_weeks.warehouse.connection.execute(
        "DELETE FROM analytics.integration_metric_daily WHERE job_id IN "
        "(SELECT job_id FROM analytics.ingest_job WHERE status = 'failed')"
    )
    aggregate(two_weeks)
    [part] = report().providers
    spans = f"on {word(4)} and from {word(1)} to {word(0)}"
    assert part.incomplete[0] == (f"All figures: not every channel has reported {spans}.")
    assert part.incomplete[2].startswith(f"Cafe could not be read {spans}. Reconnect")
    assert part.incomplete[1] == f"Bakery could not be read on {word(4)}. It works again."
    shown = html(two_weeks)
    assert "≥" in shown
    assert "no comparison: days are incomplete" in shown


def test_a_channel_that_joined_does_not_count_as_growth(two_weeks):
    for number in range(7):
        two_weeks.stored("newcomer", WEEK.last - timedelta(days=number), 1000)
    aggregate(two_weeks)
    shown = html(two_weeks)
    assert "7,280" in shown
    assert "the same 2 channels, against the 7 days before" in shown
    assert "+100.0%" in shown


def test_each_provider_has_its_own_part_and_nothing_is_summed_over_them(two_weeks):
    for number in range(14):
        two_weeks.stored("photos", WEEK.last - timedelta(days=number), 5, provider="instagram", name="Photos")
    aggregate(two_weeks)
    parts = report().providers
    assert [part.title for part in parts] == ["Facebook", "Instagram"]
    assert [part.figures[0].total for part in parts] == [280, 35]


def test_hostile_names_and_posts_stay_text_and_the_file_loads_and_runs_nothing(history):
    begin = datetime.combine(WEEK.last, datetime.min.time(), UTC) + timedelta(hours=12)
    posts = tuple(
        replace(post(id_, message, views=views), published_at=begin, permalink=link)
        for id_, message, views, link in (
            ("1", HOSTILE, 5, "javascript:alert(1)"),
            ("2", "Bread", 4, "https://example.org/2?a=1&b='\""),
        )
    )
    history.stored("bakery", WEEK.last, content=posts, name=HOSTILE)
    aggregate(history)

    class Reader(HTMLParser):
        tags: list[str] = []  # noqa: RUF012
        links: list[str] = []  # noqa: RUF012
        text = ""

        def handle_starttag(self, tag, attributes):
            self.tags.append(tag)
            self.links += [value for name, value in attributes if name in ("href", "src")]

        def handle_data(self, data):
            self.text += data

    reader = Reader()
    answer = history.ask.get("/report.html", params={"organization": "acme", "until": WEEK.last.isoformat()})
    reader.feed(answer.text)
    assert not {"script", "link", "img", "iframe", "object"} & set(reader.tags)
    assert reader.links == ["https://example.org/2?a=1&b='\""]
    assert HOSTILE in reader.text
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'")
    assert "script" not in policy


def test_an_organization_without_figures_is_told_so_and_an_unknown_one_is_refused(history):
    history.stored("bakery", DAY)
    assert "There are no figures of these days." in html(history, period="month", until="2020-01-01")
    assert history.ask.get("/report.html", params={"organization": "nobody"}).status_code == 422
    assert (
        history.ask.get("/report.html", params={"organization": "acme", "period": "year"}).status_code == 422
    )


def posted(id_: str, before: int) -> Content:
    """A post of noon, so many days before the week's last."""
    noon = datetime.combine(WEEK.last - timedelta(days=before), datetime.min.time(), UTC) + timedelta(
        hours=20
    )
    return replace(post(id_, id_, views=5), published_at=noon)


@pytest.fixture
def customers(history: History) -> History:
    """Three channels: North's, one without a customer, and one that South had until North got it."""
    for number in range(13, -1, -1):
        day = WEEK.last - timedelta(days=number)
        history.stored("bakery", day, 20 if number < 7 else 10, (posted("bread", 3),), customer=NORTH)
        history.stored("cafe", day, 1000, (posted("tea", 3),))
        mover = NORTH if number < 2 else SOUTH
        history.stored("mover", day, 100, (posted("theirs", 5), posted("ours", 1)), customer=mover)
    aggregate(history)
    return history


def test_a_customers_report_is_about_the_channels_that_it_had_on_each_day(customers):
    [part] = report(customer=Choice(id="north", label="North Shops")).providers
    views, followers = part.figures[0], part.figures[4]
    assert (views.total, views.previous) == (7 * 20 + 2 * 100, 70)
    assert (followers.total, followers.previous) == (120, 10)
    # The channel that came is no growth.
    assert (views.like_for_like.channels, views.like_for_like.change) == (1, 1.0)
    assert {one.message for one in part.best_posts.posts} == {"bread", "ours"}
    assert part.incomplete == []
    [part] = report(customer=Choice(id="south", label="South Shops")).providers
    assert part.figures[0].values == [100] * 5 + [None] * 2
    assert part.figures[0].like_for_like is None
    assert [one.message for one in part.best_posts.posts] == ["theirs"]
    shown = html(customers, customer="north")
    assert f"<title>North Shops, ACME: {WEEK.title}</title>" in shown
    assert "<h1>North Shops, ACME</h1>" in shown
    assert "the same channel, against the 7 days before" in shown


def test_a_customers_report_names_the_days_that_failed_while_it_had_the_channel(customers):
    customers.failed("cafe", WEEK.last, REVOKED)
    customers.failed("bakery", WEEK.last - timedelta(days=1), REVOKED, customer=NORTH)
    customers.failed("mover", WEEK.last - timedelta(days=4), REVOKED, customer=NORTH)

    def named(customer: str) -> list[str]:
        [part] = report(customer=Choice(id=customer, label="")).providers
        return [one for one in part.incomplete if "could not be read" in one]

    assert named("north") == [f"Bakery could not be read on {word(1)}. It works again."]
    assert named("south") == [f"Mover could not be read on {word(4)}. It works again."]


def test_a_customer_of_another_organization_is_refused(customers):
    customers.stored("elsewhere", DAY, organization="other", customer=Customer("east", "East"))
    for customer in ("east", "nobody"):
        answer = customers.ask.get("/report.html", params={"organization": "acme", "customer": customer})
        assert (answer.status_code, answer.json()) == (422, {"detail": "Not understood: customer."})
