"""The progress of a run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from include.social_analytics.jobs import Customer
from include.social_analytics.warehouse import integrations, ledger
from tests.support.bench import DAY
from tests.support.readings import DOWN

LABEL = f"{DAY}T00:00:00Z"


def counts(answer: dict[str, Any]) -> tuple[int, int, int]:
    return answer["done"], answer["all"], answer["failed"]


def test_done_counts_the_jobs_that_ended_since_the_run_began(history):
    connection = history.warehouse.connection
    for name in ("again", "stays-queued", "gone"):
        history.stored(name, DAY)
    history.failed("failed-before", DAY)
    since = integrations.clock(connection).isoformat()
    listed = [
        history.listed(name, DAY)
        for name in ("again", "stays-queued", "failed-before", "running", "down", "new")
    ]
    ledger.register(connection, listed, "run")
    assert counts(history.get("/api/progress", moment=LABEL, since=since)) == (0, 6, 0)
    ledger.claim(connection, listed, ledger.Claim("run", 1), force=True)
    for name in ("again", "failed-before", "new"):
        history.stored(name, DAY)
    history.warehouse.start(listed[3])
    history.failed("down", DAY, DOWN)
    answer = history.get("/api/progress", moment=LABEL, since=since)
    assert answer.pop("day") == DAY.isoformat()
    assert answer == {"all": 6, "done": 4, "failed": 1}


def test_all_counts_only_the_channels_that_the_run_is_narrowed_to(history):
    since = integrations.clock(history.warehouse.connection).isoformat()
    history.stored("a", DAY, customer=Customer("c1", "Shops"))
    history.stored("b", DAY)
    history.stored("c", DAY, organization="other")
    for narrowed, expected in (
        ({"organization_id": "other"}, (1, 1, 0)),
        ({"customer_id": "c1"}, (1, 1, 0)),
        ({"customer_id": "c1", "integration_ids": ["b"]}, (0, 0, 0)),
        ({"integration_ids": ["a", "c"]}, (2, 2, 0)),
        ({"organization_id": "acme", "integration_ids": ["a", "c"]}, (1, 1, 0)),
        ({}, (3, 3, 0)),
    ):
        assert counts(history.get("/api/progress", moment=LABEL, since=since, **narrowed)) == expected


def test_only_the_day_is_known_before_the_listing_ends(history):
    assert history.get("/api/progress", moment=LABEL) == {
        "day": DAY.isoformat(),
        "all": None,
        "done": None,
        "failed": None,
    }


def test_the_day_is_the_parameter_or_the_labels_day_or_the_latest_due_day(history):
    other = (DAY - timedelta(days=3)).isoformat()
    now = datetime.now(UTC).isoformat()
    for asked, day in (
        ({"moment": now, "date": other}, other),
        ({"moment": LABEL}, DAY.isoformat()),
        ({"moment": now}, DAY.isoformat()),
    ):
        assert history.get("/api/progress", **asked)["day"] == day


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ({}, "moment"),
        ({"moment": "2026-11-20T00:00:00"}, "moment"),
        ({"moment": "0001-01-01T00:00:01Z"}, "moment"),
        ({"moment": LABEL, "since": "x"}, "since"),
        ({"moment": LABEL, "date": "x"}, "date"),
        ({"moment": LABEL, "organization_id": "a\0"}, "organization_id"),
        ({"moment": LABEL, "customer_id": "a\0"}, "customer_id"),
        ({"moment": LABEL, "since": LABEL, "integration_ids": ["a\0"]}, "integration_ids"),
    ],
)
def test_an_invalid_parameter_is_named(history, asked, name):
    answer = history.ask.get("/api/progress", params=asked)
    assert answer.status_code == 422
    assert answer.json() == {"detail": f"Not understood: {name}."}
