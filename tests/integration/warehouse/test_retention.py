"""What is older than the months to keep is deleted from every table, and nothing else."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import psycopg
import pytest

from include.social_analytics.connectors.reading import UnsupportedMetric
from include.social_analytics.errors import JobError
from include.social_analytics.jobs import Integration
from include.social_analytics.warehouse import integrations, ledger, writer
from include.social_analytics.warehouse.aggregate import aggregate_day
from include.social_analytics.warehouse.retention import count_older, delete_older, first_day_kept
from tests.support.readings import Warehouse, job, reading

FIRST = date(2026, 9, 1)
OLD, KEPT = FIRST - timedelta(days=1), FIRST

INTEGRATIONS = (
    "SELECT integration_id, first_day, expected_from, last_day FROM analytics.integration ORDER BY 1"
)


def stored(warehouse: Warehouse, name: str, *days: date, organization: str = "acme") -> None:
    """A channel with these days, and a post on each."""
    for day in days:
        one = job(name, day, organization)
        names = {organization: organization.title()}
        integrations.remember(warehouse.connection, [one.integration], names, day, day)
        refused = UnsupportedMetric("v25.0", f"refused_{day}", "(#100) No such metric")
        warehouse.store(one, reading({day: 7}, day=day, unsupported=(refused,), lookback=0))
        aggregate_day(warehouse.connection, day)
        warehouse.connection.execute(
            "INSERT INTO analytics.content"
            " SELECT %s, 'post of ' || day, %s, 'facebook', day, 'post', 'Hello', NULL, NULL, day, day"
            " FROM (SELECT %s::date AS day) AS one",
            [name, organization, day],
        )
        warehouse.connection.execute(
            "UPDATE analytics.unsupported_metric SET last_seen_at = %s WHERE metric = %s",
            [day, f"refused_{day}"],
        )


def days(warehouse: Warehouse) -> dict[str, set[date]]:
    """The days that each table has."""
    return {
        table: {day for (day,) in warehouse.rows(f"SELECT ({column})::date FROM analytics.{table}")}
        for table, column in {
            "ingest_job": "date",
            "integration_metric_daily": "date",
            "organization_daily": "date",
            "content": "published_at AT TIME ZONE 'UTC'",
            "unsupported_metric": "last_seen_at AT TIME ZONE 'UTC'",
        }.items()
    }


def test_the_current_month_and_the_full_months_before_it_are_kept(analytics: psycopg.Connection, warehouse):
    [(today,)] = warehouse.rows("SELECT (clock_timestamp() AT TIME ZONE 'UTC')::date")
    this_month = today.replace(day=1)
    assert first_day_kept(warehouse.connection, 1) == (this_month - timedelta(days=1)).replace(day=1)
    assert first_day_kept(warehouse.connection, 12) == this_month.replace(year=this_month.year - 1)


def test_every_table_loses_what_is_older_and_the_counts_were_foretold(warehouse: Warehouse):
    stored(warehouse, "page", date(2025, 12, 31), OLD, KEPT)
    everything = days(warehouse)
    assert all(len(of_table) == 3 for of_table in everything.values())
    foretold = count_older(warehouse.connection, FIRST)
    assert days(warehouse) == everything
    deleted = delete_older(warehouse.connection, FIRST)
    assert deleted == foretold
    assert deleted["ingest_job"] == deleted["content"] == deleted["unsupported_metric"] == 2
    assert deleted["integration_metric_daily"] > 2
    assert set().union(*days(warehouse).values()) == {KEPT}
    # The page does not miss what is deleted.
    assert warehouse.rows(INTEGRATIONS) == [("page", FIRST, FIRST, KEPT)]
    assert not any(delete_older(warehouse.connection, FIRST).values())
    assert not any(count_older(warehouse.connection, FIRST).values())


def test_channels_and_organizations_of_long_ago_go_and_active_ones_stay(warehouse: Warehouse):
    stored(warehouse, "gone", OLD, organization="closed")
    stored(warehouse, "lately-gone", KEPT, organization="lately")
    integrations.retire(warehouse.connection, integrations.clock(warehouse.connection))
    # Active, although no run has listed it since.
    stored(warehouse, "paused", OLD, organization="paused")
    foretold = count_older(warehouse.connection, FIRST)
    assert delete_older(warehouse.connection, FIRST) == foretold
    assert (foretold["integration"], foretold["organization"]) == (1, 1)
    assert [row[0] for row in warehouse.rows(INTEGRATIONS)] == ["lately-gone", "paused"]
    organizations = warehouse.rows("SELECT organization_id FROM analytics.organization ORDER BY 1")
    assert organizations == [("lately",), ("paused",)]


def test_a_post_that_was_read_lately_stays(warehouse: Warehouse):
    stored(warehouse, "page", OLD)
    warehouse.connection.execute("UPDATE analytics.content SET updated_at = %s", [KEPT])
    delete_older(warehouse.connection, FIRST)
    assert days(warehouse)["content"] == {OLD}
    assert days(warehouse)["ingest_job"] == set()


def test_a_channel_whose_posts_are_kept_stays_so_that_they_can_be_erased(warehouse: Warehouse):
    # The last day of a month is read on the first day of the next.
    stored(warehouse, "gone", OLD)
    warehouse.connection.execute("UPDATE analytics.content SET updated_at = %s", [KEPT])
    integrations.retire(warehouse.connection, integrations.clock(warehouse.connection))
    foretold = count_older(warehouse.connection, FIRST)
    assert delete_older(warehouse.connection, FIRST) == foretold
    assert days(warehouse)["content"] == {OLD}
    integrations.mark_deleted(warehouse.connection, {"gone": True}, {})
    assert writer.erase(warehouse.connection, ["gone"]) == ["gone"]
    assert warehouse.rows("SELECT message FROM analytics.content") == [(None,)]


def test_a_day_that_a_run_still_reads_stays_whole_until_it_is_read(warehouse: Warehouse):
    stored(warehouse, "page", OLD, OLD - timedelta(days=1))
    ledger.register(warehouse.connection, [job("other", OLD)], "backfill")
    delete_older(warehouse.connection, FIRST)
    kept = days(warehouse)
    assert kept["ingest_job"] == kept["integration_metric_daily"] == kept["organization_daily"] == {OLD}
    ledger.settle(warehouse.connection, "backfill")
    delete_older(warehouse.connection, FIRST)
    assert days(warehouse)["ingest_job"] == set()


def test_what_was_deleted_stays_deleted_when_it_is_stopped(warehouse: Warehouse):
    stored(warehouse, "page", OLD, OLD - timedelta(days=1))
    warehouse.connection.execute(f"""
        CREATE FUNCTION analytics.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION 'disk is full' USING ERRCODE = '53100'; END $$;
        CREATE TRIGGER refuse BEFORE DELETE ON analytics.organization_daily
        FOR EACH ROW WHEN (OLD.date = '{OLD}') EXECUTE FUNCTION analytics.refuse();
    """)
    with pytest.raises(JobError, match="disk is full"):
        delete_older(warehouse.connection, FIRST)
    left: Any = days(warehouse)
    assert left["ingest_job"] == left["integration_metric_daily"] == left["organization_daily"] == {OLD}


def test_an_empty_database_has_nothing_to_delete(warehouse: Warehouse):
    assert not any(delete_older(warehouse.connection, FIRST).values())
    assert not any(count_older(warehouse.connection, FIRST).values())
    one = Integration("page", "Page", "acme", "facebook")
    integrations.remember(warehouse.connection, [one], {}, KEPT, KEPT)
    assert warehouse.rows(INTEGRATIONS) == [("page", KEPT, KEPT, KEPT)]
