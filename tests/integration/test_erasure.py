"""What happens to names, texts and ids when Postiz has deleted a channel or its organization."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import psycopg
import pytest
from structlog.testing import capture_logs

from include.sandbox.postgres import EmbeddedPostgres
from include.sandbox.postiz_db import insert_integration, insert_organization
from include.sandbox.stand_ins.facebook.world import make_page
from include.social_analytics.databases import Database
from include.social_analytics.erasure import erase_deleted
from include.social_analytics.errors import ErrorCode, JobError
from include.social_analytics.jobs import Customer, IngestJob, Integration
from include.social_analytics.settings import Settings
from include.social_analytics.warehouse import integrations, ledger
from include.social_analytics.warehouse.aggregate import aggregate_day
from tests.support.readings import DAY, Warehouse, before, post, reading

MESSAGE, LINK = "Come to our autumn fair", "https://x"


class Case:
    """A Postiz, and the figures of its channels: each has one day with a post."""

    def __init__(self, postiz: psycopg.Connection, warehouse: Warehouse) -> None:
        self.postiz, self.warehouse = postiz, warehouse
        self.analytics = warehouse.connection
        insert_organization(postiz, "acme", name="Acme Fashion")
        self.numbers = iter(range(1, 100))

    def channel(
        self, id_: str, organization: str = "acme", account: str | None = None, day: Any = DAY
    ) -> None:
        """A channel with a stored day."""
        insert_integration(self.postiz, id_, organization, make_page(next(self.numbers)))
        one = Integration(id_, f"Name of {id_}", organization, "facebook")
        customer = Customer("c", "Mr Smith's shops")
        names = {organization: "Acme Fashion"}
        integrations.remember(self.analytics, [one], names, day, day, {id_: customer})
        job = IngestJob(one, day, is_backfill=False)
        content = (post(f"{account or id_}_1", MESSAGE, views=7, reach=5),)
        self.warehouse.store(job, reading({day: 11}, day=day, content=content, lookback=0))
        self.analytics.execute(
            "UPDATE analytics.ingest_job SET account_id = %s, reason = %s WHERE job_id = %s",
            [account or f"account-of-{id_}", f"{account or id_} has no posts.", job.job_id],
        )

    def delete(self, id_: str, when: str = "now()", table: str = "Integration") -> None:
        """Delete a row in Postiz, as Postiz does; a later listing does not find its channels."""
        self.postiz.execute(f'UPDATE "{table}" SET "deletedAt" = {when} WHERE "id" = %s', [id_])
        column = "integration_id" if table == "Integration" else "organization_id"
        self.analytics.execute(
            f"UPDATE analytics.integration SET is_active = false WHERE {column} = %s", [id_]
        )

    def run(self, days: int = 30, *, dry_run: bool = False) -> list[dict[str, Any]]:
        """One erasure; returns its log lines."""
        settings = Settings(erase_after_days=days, deletion_dry_run=dry_run)
        with capture_logs() as lines:
            erase_deleted(Database("postiz_db", self.postiz), self.analytics, settings)
        return lines

    def days_pass(self, days: int) -> None:
        """Let the clocks of all deletions go on."""
        for table in ("integration", "organization"):
            self.analytics.execute(
                f"UPDATE analytics.{table} SET deleted_in_postiz_at = deleted_in_postiz_at - %s",
                [timedelta(days=days)],
            )

    def all_text(self) -> str:
        """Every row of the tables that hold names, texts or ids."""
        tables = ("integration", "organization", "ingest_job", "content", "content_metric_snapshot")
        return "\n".join(
            str(row) for table in tables for row in self.warehouse.rows(f"SELECT * FROM analytics.{table}")
        )

    def figures(self) -> dict[str, list[Any]]:
        """Everything that must stay."""
        return {
            "daily": self.warehouse.rows("SELECT * FROM analytics.integration_metric_daily ORDER BY 1, 2, 3"),
            "posts": self.warehouse.rows(
                "SELECT integration_id, published_at, kind, metric, snapshot_date, value"
                " FROM analytics.content"
                " JOIN analytics.content_metric_snapshot USING (integration_id, content_id)"
                " ORDER BY 1, 2, 4"
            ),
            "jobs": self.warehouse.rows(
                "SELECT job_id, status, attempts FROM analytics.ingest_job ORDER BY 1"
            ),
        }

    def is_erased(self, id_: str) -> bool:
        """Whether a channel's names, texts and ids are gone: all of them or none."""
        text = self.all_text()
        marks = [f"Name of {id_}", f"account-of-{id_}", f"{id_}_1", f"{id_} has no posts"]
        found = [mark in text for mark in marks]
        assert len(set(found)) == 1, dict(zip(marks, found, strict=True))
        return not found[0]


@pytest.fixture
def case(postiz: psycopg.Connection, warehouse: Warehouse) -> Case:
    return Case(postiz, warehouse)


def events(lines: list[dict[str, Any]]) -> dict[str, list[str]]:
    """Log line -> the ids that it names."""
    return {line["event"]: line["ids"] for line in lines}


def test_a_deleted_channel_is_announced_for_thirty_days_and_then_erased_and_its_figures_stay(case):
    case.channel("gone")
    case.channel("kept")
    before_erasure = case.figures()
    case.delete("gone", "now() - interval '400 days'")
    [line] = case.run()
    assert (line["event"], line["ids"]) == ("channels to be erased", ["gone"])
    [(due,)] = case.warehouse.rows(
        "SELECT (deleted_in_postiz_at AT TIME ZONE 'UTC')::date + 30 FROM analytics.integration"
        " WHERE integration_id = 'gone'"
    )
    assert line["first"] == due.isoformat()
    case.days_pass(29)
    assert events(case.run()) == {"channels to be erased": ["gone"]}
    assert not case.is_erased("gone")
    case.days_pass(1)
    assert events(case.run()) == {"channels erased": ["gone"]}
    assert case.is_erased("gone")
    assert not case.is_erased("kept")
    assert case.all_text().count(MESSAGE) == case.all_text().count(LINK) == 1
    assert case.all_text().count("Mr Smith") == 1
    assert case.figures() == before_erasure
    # Once is enough.
    assert case.run() == []


def test_a_deleted_organization_takes_its_channels_and_its_name_along(case):
    insert_organization(case.postiz, "other")
    case.channel("theirs", "other")
    case.channel("ours")
    case.delete("other", table="Organization")
    case.run()
    case.days_pass(30)
    assert events(case.run()) == {"channels erased": ["theirs"], "organizations erased": ["other"]}
    assert case.is_erased("theirs")
    assert not case.is_erased("ours")
    names = case.warehouse.rows("SELECT organization_id FROM analytics.organization")
    assert names == [("acme",)]


def test_an_organizations_name_has_thirty_days_of_its_own(case):
    case.channel("first")
    case.delete("first")
    case.run()
    case.days_pass(30)
    case.run()
    case.delete("acme", table="Organization")
    assert case.run() == []
    assert "Acme Fashion" in case.all_text()
    case.days_pass(30)
    assert events(case.run()) == {"organizations erased": ["acme"]}
    assert "Acme Fashion" not in case.all_text()


def test_a_channel_that_is_connected_again_stops_its_clock(case):
    case.channel("back")
    case.delete("back")
    case.run()
    case.days_pass(31)
    # Connected again, but no run has listed it yet.
    case.postiz.execute('UPDATE "Integration" SET "deletedAt" = NULL')
    assert case.run() == []
    assert not case.is_erased("back")
    case.delete("back")
    assert events(case.run()) == {"channels to be erased": ["back"]}


def test_an_erased_channel_that_is_connected_again_has_its_name_again(case):
    case.channel("back")
    case.delete("back")
    case.run(0)
    assert case.is_erased("back")
    one = Integration("back", "Name of back", "acme", "facebook")
    integrations.remember(case.analytics, [one], {"acme": "Acme Fashion"}, DAY, DAY)
    rows = case.warehouse.rows("SELECT name, deleted_in_postiz_at, erased_at FROM analytics.integration")
    assert rows == [("Name of back", None, None)]
    case.delete("back")
    case.run()
    case.days_pass(30)
    assert events(case.run()) == {"channels erased": ["back"]}


def test_a_channel_that_a_listing_finds_again_in_the_meantime_is_not_erased(case, monkeypatch):
    case.channel("back")
    case.delete("back")
    case.run()
    case.days_pass(30)
    to_erase = integrations.to_erase

    def and_then_listed(*arguments: Any) -> list[integrations.ToErase]:
        found = to_erase(*arguments)
        assert [one.is_due for one in found] == [True]
        one = Integration("back", "Name of back", "acme", "facebook")
        integrations.remember(case.analytics, [one], {}, DAY, DAY)
        return found

    monkeypatch.setattr(integrations, "to_erase", and_then_listed)
    assert case.run() == []
    assert not case.is_erased("back")


@pytest.mark.parametrize(
    "change",
    [
        # The wrong database, or a restored one: tables, and nothing in them.
        'TRUNCATE "Post", "Integration", "Customer", "Subscription", "Organization"',
        # Deleted for good: the rows are gone.
        'DELETE FROM "Integration" WHERE "id" = \'gone\'',
        # A policy hides the rows from this role.
        'ALTER TABLE "Integration" ENABLE ROW LEVEL SECURITY',
    ],
    ids=["empty", "row is gone", "hidden rows"],
)
def test_a_channel_that_is_absent_from_postizs_answer_is_kept_and_named(
    case, change, postgres: EmbeddedPostgres, monkeypatch
):
    case.channel("gone")
    case.delete("gone")
    case.run()
    case.days_pass(300)
    role = f"reader_{case.postiz.info.dbname}"
    case.postiz.execute(
        f"CREATE ROLE {role}; GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role};{change}; SET ROLE {role}"
    )
    assert events(case.run()) == {"channels that Postiz does not have are kept": ["gone"]}
    assert not case.is_erased("gone")
    assert "Acme Fashion" in case.all_text()
    case.postiz.execute(f"RESET ROLE; DROP OWNED BY {role}; DROP ROLE {role}")


@pytest.mark.parametrize("column", ["deletedAt", "organizationId"])
def test_a_role_that_may_not_read_what_is_deleted_erases_nothing(case, column):
    case.channel("gone")
    case.delete("gone")
    case.run()
    case.days_pass(300)
    role = f"reader_{case.postiz.info.dbname}"
    columns = ", ".join(f'"{one}"' for one in {"id", "deletedAt", "organizationId"} - {column})
    case.postiz.execute(
        f'CREATE ROLE {role}; GRANT SELECT ({columns}) ON "Integration" TO {role};'
        f'GRANT SELECT ON "Organization" TO {role}; SET ROLE {role}'
    )
    with pytest.raises(JobError) as refusal:
        case.run()
    assert refusal.value.code is ErrorCode.CONFIG_INVALID
    assert not case.is_erased("gone")
    case.postiz.execute(f"RESET ROLE; DROP OWNED BY {role}; DROP ROLE {role}")


def test_a_date_in_the_future_is_no_deletion(case):
    case.channel("gone")
    case.delete("gone", "now() + interval '1 hour'")
    assert case.run(0) == []
    case.days_pass(300)
    assert case.run() == []
    case.delete("acme", "now() + interval '100 years'", table="Organization")
    assert case.run(0) == []
    assert not case.is_erased("gone")
    # A channel that was deleted before its organization's date is.
    case.delete("gone")
    assert events(case.run(0)) == {"channels erased": ["gone"]}
    assert "Acme Fashion" in case.all_text()


def test_a_channel_that_is_only_left_out_is_not_deleted(case):
    for name, change in {
        "disabled": {"disabled": True},
        "refresh": {"refreshNeeded": True},
        "steps": {"inBetweenSteps": True},
        "article": {"type": "article"},
    }.items():
        case.channel(name)
        [(column, value)] = change.items()
        case.postiz.execute(f'UPDATE "Integration" SET "{column}" = %s WHERE "id" = %s', [value, name])
    case.analytics.execute("UPDATE analytics.integration SET is_active = false")
    assert case.run(0) == []


def test_a_dry_run_says_what_it_would_erase_and_lets_the_clock_run(case):
    case.channel("gone")
    case.delete("gone")
    case.delete("acme", table="Organization")
    assert events(case.run(dry_run=True)) == {"channels to be erased": ["gone"]}
    case.days_pass(30)
    text = case.all_text()
    for _ in range(2):
        assert events(case.run(dry_run=True)) == {
            "channels would be erased": ["gone"],
            "organizations would be erased": ["acme"],
        }
    assert case.all_text() == text
    assert events(case.run()) == {"channels erased": ["gone"], "organizations erased": ["acme"]}


def posts_of(case: Case) -> Any:
    return case.warehouse.rows("SELECT count(*), sum(views) FROM analytics.post_latest")


def day_of(case: Case) -> Any:
    aggregate_day(case.analytics, DAY)
    [row] = case.warehouse.rows(
        "SELECT value, integrations_expected FROM analytics.organization_daily WHERE metric = 'views'"
    )
    return row


def test_an_account_that_is_still_connected_counts_once_after_its_earlier_channel_is_erased(case):
    case.channel("old", account="12345")
    case.channel("new", account="12345")
    assert day_of(case) == (11, 1)
    assert posts_of(case) == [(1, 7)]
    case.delete("old")
    case.run(0)
    assert "Name of old" not in case.all_text()
    assert case.all_text().count(MESSAGE) == 1
    assert day_of(case) == (11, 1)
    assert posts_of(case) == [(1, 7)]
    # When the last channel of the account is erased, the account is.
    case.delete("new")
    case.run(0)
    assert "12345" not in case.all_text()
    assert MESSAGE not in case.all_text()
    assert day_of(case) == (11, 1)
    assert posts_of(case) == [(1, 7)]


def test_the_account_of_another_organization_stays(case):
    insert_organization(case.postiz, "other")
    case.channel("ours", account="12345")
    case.channel("theirs", "other", account="12345")
    case.delete("ours")
    case.run(0)
    accounts = case.warehouse.rows("SELECT integration_id, account_id FROM analytics.ingest_job ORDER BY 1")
    assert accounts == [("ours", None), ("theirs", "12345")]


def test_many_channels_are_erased_in_steps(case, monkeypatch):
    monkeypatch.setattr("include.social_analytics.erasure._AT_ONCE", 2)
    for number in range(5):
        case.channel(f"gone-{number}")
        case.delete(f"gone-{number}")
    lines = case.run(0)
    assert [line["count"] for line in lines] == [2, 2, 1]
    assert all(case.is_erased(f"gone-{number}") for number in range(5))


def test_a_failure_in_the_middle_erases_a_channel_whole_or_not_at_all(case):
    case.channel("gone")
    case.delete("gone")
    case.analytics.execute("""
        CREATE FUNCTION analytics.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION 'disk is full' USING ERRCODE = '53100'; END $$;
        CREATE TRIGGER refuse BEFORE UPDATE ON analytics.ingest_job
        FOR EACH ROW EXECUTE FUNCTION analytics.refuse();
    """)
    with pytest.raises(JobError, match="disk is full"):
        case.run(0)
    assert not case.is_erased("gone")
    case.analytics.execute("DROP TRIGGER refuse ON analytics.ingest_job")
    assert events(case.run(0)) == {"channels erased": ["gone"]}
    assert case.is_erased("gone")


def test_a_day_that_is_read_again_after_the_erasure_is_stored(case):
    case.channel("back")
    case.delete("back")
    case.run(0)
    job = IngestJob(Integration("back", "Name of back", "acme", "facebook"), before(1), is_backfill=True)
    stored = case.warehouse.store(
        job, reading({before(1): 3}, day=before(1), content=(post("new_2", views=1),))
    )
    assert stored.content_rows == 1
    [row] = ledger.states(case.analytics, [job.job_id])
    assert row.status == "succeeded"
