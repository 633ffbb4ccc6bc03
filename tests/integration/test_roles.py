"""The database roles that include/deploy/roles makes: their rights, and what they cannot do."""

from __future__ import annotations

import uuid
from datetime import date
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
from include.sandbox.stand_ins.youtube.world import make_channel
from include.social_analytics import postiz as postiz_reading
from include.social_analytics.connectors import names_by_identifier
from include.social_analytics.databases import Database
from include.social_analytics.jobs import Customer
from include.social_analytics.warehouse.migrate import migrate
from include.social_analytics.warehouse.snapshots import ensure_month

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
    assert postiz_reading.accounts(
        reader, ["i1"], known, may=postiz_reading.may_read(reader), mask=lambda token: None
    )["i1"].secrets
    assert "permalinks" in postiz_reading.may_read(reader)
    assert postiz_reading.published_posts(reader, "i1", ["1_2"], by_permalink=True) == {}
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


@pytest.fixture
def channels(postiz):
    """YouTube channels in that Postiz, one of them deleted. The other channel has a refresh token, too."""
    for number, columns in ((1, {}), (2, {"deletedAt": "2026-01-01"}), (3, {"refreshToken": ""})):
        channel = make_channel(number)
        columns = {"refreshToken": channel.refresh_token} | columns
        insert_integration(postiz, f"youtube-{number}", "o1", channel, **columns)
    postiz.execute("""UPDATE "Integration" SET "refreshToken" = 'of another network' WHERE "id" = 'i1'""")
    return [f"youtube-{number}" for number in (1, 2, 3)]


def test_without_the_grant_only_channels_that_need_refresh_tokens_are_left_out(reader, channels):
    known = names_by_identifier()
    [[found]] = postiz_reading.active_integrations(reader, known)
    assert found.id == "i1"
    assert postiz_reading.left_out(reader, known) == {"deleted": 1, "no_refresh_token_grant": 2}
    assert list(
        postiz_reading.accounts(
            reader, ["i1", *channels], known, may=postiz_reading.may_read(reader), mask=lambda token: None
        )
    ) == ["i1"]
    assert postiz_reading.inactive_reasons(reader, channels[:1], known) == {
        "youtube-1": "no_refresh_token_grant"
    }


def test_with_the_grant_the_reader_gets_refresh_tokens_of_that_network_only(reader, channels, postiz):
    postiz.execute((ROLES / "postiz_reader_youtube.sql").read_bytes())
    known = names_by_identifier()
    assert postiz_reading.left_out(reader, known) == {"deleted": 1}
    masked: list[str] = []
    found = postiz_reading.accounts(
        reader, ["i1", *channels], known, may=postiz_reading.may_read(reader), mask=masked.extend
    )
    token = make_channel(1).refresh_token
    assert {id_: one.refresh_token for id_, one in found.items()} == {
        "i1": "",
        "youtube-1": token,
        "youtube-3": "",
    }
    assert token in masked
    assert token not in repr(found)
    given = "SELECT integration_id FROM social_analytics.youtube_refresh_tokens(%s) ORDER BY 1"
    assert reader.execute(given, [["i1", *channels]]).fetchall() == [("youtube-1",), ("youtube-3",)]
    with pytest.raises(errors.InsufficientPrivilege):
        reader.execute('SELECT "refreshToken" FROM "Integration"')


def test_the_grant_may_be_given_twice_and_stands_in_the_way_of_no_change_of_postizs(reader, channels, postiz):
    for _ in range(2):
        postiz.execute((ROLES / "postiz_reader_youtube.sql").read_bytes())
    postiz.execute('ALTER TABLE "Integration" ALTER "refreshToken" TYPE varchar(5000)')
    postiz.execute('ALTER TABLE "Integration" ALTER "providerIdentifier" TYPE varchar(500)')
    known = names_by_identifier()
    found = postiz_reading.accounts(
        reader, channels, known, may=postiz_reading.may_read(reader), mask=lambda token: None
    )
    assert found["youtube-1"].refresh_token == make_channel(1).refresh_token


def test_no_other_role_gets_refresh_tokens(reader, postiz, postiz_database, as_role):
    postiz.execute((ROLES / "postiz_reader_youtube.sql").read_bytes())
    postiz.execute("CREATE ROLE somebody LOGIN; GRANT USAGE ON SCHEMA social_analytics TO somebody")
    with pytest.raises(errors.InsufficientPrivilege):
        as_role("somebody", postiz_database).execute(
            "SELECT * FROM social_analytics.youtube_refresh_tokens('{i1}')"
        )


def test_a_role_that_may_read_the_column_needs_no_function(reader, channels, postiz):
    found = postiz_reading.accounts(
        postiz, channels, names_by_identifier(), may=postiz_reading.may_read(postiz), mask=lambda token: None
    )
    assert found["youtube-1"].refresh_token == make_channel(1).refresh_token


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

    def found() -> dict[str, str]:
        may = "permalinks" in postiz_reading.may_read(reader)
        return postiz_reading.published_posts(reader, "i1", ["container", "Abc"], by_permalink=may)

    assert found() == {"container": "p1", "Abc": "p1"}
    postiz.execute('REVOKE SELECT ("releaseURL") ON "Post" FROM social_analytics_reader')
    assert found() == {"container": "p1"}


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


@pytest.fixture
def analytics_roles(postgres, as_role) -> tuple[psycopg.Connection, psycopg.Connection]:
    """Connections as the owner of a migrated schema analytics, and as its reader."""
    database = f"roles_{uuid.uuid4().hex}"
    postgres.create_database(database)
    with psycopg.connect(postgres.dsn(database), autocommit=True) as superuser:
        superuser.execute((ROLES / "analytics_owner.sql").read_bytes())
        superuser.execute((ROLES / "analytics_reader.sql").read_bytes())
        superuser.execute("CREATE TABLE public.secret (n integer)")
        superuser.execute("CREATE SCHEMA other; CREATE TABLE other.secret (n integer)")
    reader = as_role("analytics_reader", database)
    owner = as_role("social_analytics", database)
    migrate(Database("analytics_db", owner))
    return owner, reader


def test_the_analytics_reader_reads_each_table_and_view_also_those_made_later(analytics_roles):
    owner, reader = analytics_roles
    ensure_month(Database("analytics_db", owner), date(2026, 11, 1))
    owner.execute("CREATE TABLE analytics.later (n integer); CREATE VIEW analytics.latest AS SELECT 1 AS n")
    names = [
        name
        for (name,) in owner.execute(
            "SELECT relname FROM pg_class"
            " WHERE relnamespace = 'analytics'::regnamespace AND relkind IN ('r', 'p', 'v')"
        )
    ]
    assert {"later", "latest", "content_metric_snapshot_2026_11", "freshness", "ingest_job"} <= set(names)
    for name in names:
        reader.execute(f"SELECT * FROM analytics.{name}")


def test_the_analytics_reader_reads_a_schema_that_was_there_before_the_role(postgres, as_role):
    postgres.create_database("roles_before")
    with psycopg.connect(postgres.dsn("roles_before"), autocommit=True) as superuser:
        superuser.execute((ROLES / "analytics_owner.sql").read_bytes())
        owner = as_role("social_analytics", "roles_before")
        migrate(Database("analytics_db", owner))
        superuser.execute((ROLES / "analytics_reader.sql").read_bytes())
    reader = as_role("analytics_reader", "roles_before")
    assert reader.execute("SELECT * FROM analytics.organization_week").fetchall() == []


def test_the_analytics_reader_does_nothing_else_even_without_its_read_only_default(analytics_roles):
    _, reader = analytics_roles
    reader.execute("SET default_transaction_read_only = off")
    for statement in (
        "SELECT * FROM public.secret",
        "SELECT * FROM other.secret",
        "INSERT INTO analytics.organization VALUES ('o', 'O')",
        "UPDATE analytics.ingest_job SET reason = NULL",
        "DELETE FROM analytics.content",
        "TRUNCATE analytics.alert",
        "CREATE TABLE analytics.mine (n integer)",
        "CREATE TABLE public.mine (n integer)",
        "CREATE SCHEMA mine",
        "DROP VIEW analytics.freshness",
        "CREATE OR REPLACE VIEW analytics.freshness AS SELECT 1 AS n",
        "SELECT pg_read_file('/etc/passwd')",
    ):
        with pytest.raises(errors.InsufficientPrivilege):
            reader.execute(statement)


def test_postgres_compiles_no_query_of_the_analytics_reader_first(analytics_roles):
    _, reader = analytics_roles
    assert reader.execute("SHOW jit").fetchone() == ("off",)


def test_the_analytics_reader_cannot_write_by_mistake(analytics_roles):
    _, reader = analytics_roles
    with pytest.raises(errors.ReadOnlySqlTransaction):
        reader.execute("CREATE TEMP TABLE mine (n integer)")
