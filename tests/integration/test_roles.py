"""The two database roles that include/deploy/roles makes: their rights, and what they cannot do."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
from psycopg import errors

from include.sandbox.postiz_db import (
    insert_customer,
    insert_integration,
    insert_organization,
    insert_post,
    insert_subscription,
)
from include.sandbox.stand_ins.facebook.world import make_page
from include.social_analytics import postiz as postiz_reading
from include.social_analytics.connectors import names_by_identifier
from include.social_analytics.databases import Database
from include.social_analytics.jobs import Customer
from include.social_analytics.warehouse.migrate import migrate

ROLES = Path(__file__).resolve().parents[2] / "include" / "deploy" / "roles"


@pytest.fixture
def as_role(postgres):
    """A function that connects to a database as a role. At its end it drops the roles that the test made."""
    opened = []

    def connect(role: str, database: str) -> psycopg.Connection:
        opened.append(
            psycopg.connect(
                f"host={postgres.socket_directory} user={role} dbname={database}", autocommit=True
            )
        )
        return opened[-1]

    yield connect
    for connection in opened:
        database, role = connection.info.dbname, connection.info.user
        connection.close()
        with psycopg.connect(postgres.dsn(database), autocommit=True) as superuser:
            superuser.execute(f"DROP OWNED BY {role} CASCADE; DROP ROLE {role}")


@pytest.fixture
def reader(postiz, postiz_database, as_role):
    """A connection as the role of postiz_db, to a Postiz with one channel."""
    insert_organization(postiz, "o1")
    insert_integration(postiz, "i1", "o1", make_page(1))
    postiz.execute((ROLES / "postiz_reader.sql").read_bytes())
    return as_role("social_analytics_reader", postiz_database)


def test_the_reader_can_read_what_the_daily_job_needs(reader):
    known = names_by_identifier()
    [[found]] = postiz_reading.active_integrations(reader, known)
    assert found.id == "i1"
    assert postiz_reading.left_out(reader, known) == {}
    assert postiz_reading.accounts(reader, ["i1"], known, mask=lambda token: None)["i1"].secrets
    assert postiz_reading.published_posts(reader, "i1", ["1_2"]) == {}
    postiz_reading.require_known(reader, known, organization_id="o1", integration_ids=["i1"])


@pytest.mark.parametrize(
    "query",
    [
        'SELECT "refreshToken" FROM "Integration"',
        'SELECT * FROM "Integration"',
        'SELECT "apiKey" FROM "Organization"',
        'SELECT "content" FROM "Post"',
        'SELECT "createdAt" FROM "Customer"',
        'SELECT "identifier" FROM "Subscription"',
    ],
)
def test_the_reader_can_read_nothing_else(reader, query):
    with pytest.raises(errors.InsufficientPrivilege):
        reader.execute(query)


@pytest.mark.parametrize(
    "statement",
    [
        'UPDATE "Integration" SET "disabled" = true',
        'DELETE FROM "Post"',
        "CREATE TABLE mine (n integer)",
        "CREATE SCHEMA analytics",
    ],
)
def test_the_reader_cannot_write_even_without_its_read_only_default(reader, statement):
    reader.execute("SET default_transaction_read_only = off")
    with pytest.raises(errors.InsufficientPrivilege):
        reader.execute(statement)


def test_a_role_without_access_to_organization_names_gets_none(reader, postiz):
    assert postiz_reading.organization_names(reader, {"o1"}) == {"o1": "o1"}
    postiz.execute('REVOKE SELECT ("name") ON "Organization" FROM social_analytics_reader')
    assert postiz_reading.organization_names(reader, {"o1"}) == {}


def test_the_reader_knows_a_half_connected_channel_once_the_column_is_granted(reader, postiz):
    insert_integration(postiz, "half", "o1", make_page(2), rootInternalId=make_page(2).id)
    known = names_by_identifier()
    assert postiz_reading.left_out(reader, known) == {"in_between_steps": 1}
    postiz.execute('REVOKE SELECT ("rootInternalId") ON "Integration" FROM social_analytics_reader')
    assert postiz_reading.left_out(reader, known) == {}


def test_the_reader_knows_customers_and_tiers_once_they_are_granted(reader, postiz):
    insert_customer(postiz, "c1", "o1", name="Shops")
    insert_organization(postiz, "o2")
    insert_subscription(postiz, "o2", "PRO")
    insert_integration(postiz, "i2", "o2", make_page(2))
    postiz.execute("""UPDATE "Integration" SET "customerId" = 'c1' WHERE "id" = 'i1'""")
    known = names_by_identifier()
    order = [[one.id for one in page] for page in postiz_reading.active_integrations(reader, known)]
    assert order == [["i2", "i1"]]
    assert postiz_reading.customers(reader, ["i1", "i2"]) == {"i1": Customer("c1", "Shops")}
    postiz.execute('REVOKE SELECT ON "Customer", "Subscription" FROM social_analytics_reader')
    postiz.execute('REVOKE SELECT ("name") ON "Customer" FROM social_analytics_reader')
    postiz.execute('REVOKE SELECT ("deletedAt") ON "Subscription" FROM social_analytics_reader')
    order = [[one.id for one in page] for page in postiz_reading.active_integrations(reader, known)]
    assert order == [["i1", "i2"]]
    assert postiz_reading.customers(reader, ["i1", "i2"]) == {}


def test_the_reader_matches_posts_by_their_permalinks_once_the_column_is_granted(reader, postiz):
    insert_post(postiz, "p1", "i1", "o1", "container", releaseURL="https://www.instagram.com/p/Abc/")
    names = ["container", "Abc"]
    assert postiz_reading.published_posts(reader, "i1", names) == {"container": "p1", "Abc": "p1"}
    postiz.execute('REVOKE SELECT ("releaseURL") ON "Post" FROM social_analytics_reader')
    assert postiz_reading.published_posts(reader, "i1", names) == {"container": "p1"}


def test_the_owner_of_analytics_migrates_and_owns_nothing_else(postgres, as_role):
    postgres.create_database("roles_analytics")
    with psycopg.connect(postgres.dsn("roles_analytics"), autocommit=True) as superuser:
        superuser.execute((ROLES / "analytics_owner.sql").read_bytes())
    owner = as_role("social_analytics", "roles_analytics")
    migrate(Database("analytics_db", owner))
    owner.execute("INSERT INTO analytics.unsupported_metric SELECT 'p', 'v', 'm', now(), now(), 'r'")
    for statement in ("CREATE TABLE public.mine (n integer)", "CREATE SCHEMA mine"):
        with pytest.raises(errors.InsufficientPrivilege):
            owner.execute(statement)
