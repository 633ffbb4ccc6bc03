"""The sandbox's Postiz database: its tables are as Prisma makes them; and the demo's content."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partialmethod
from typing import Any

import psycopg
import pytest

from include.sandbox.postiz_db import (
    insert_integration,
    insert_organization,
    insert_post,
    populate_demo,
    populate_many,
)
from include.sandbox.stand_ins import stand_ins
from include.sandbox.stand_ins.base import DEMO_ORGANIZATIONS, Demo
from include.sandbox.stand_ins.facebook.world import MESSAGES, World, make_page
from include.social_analytics.connectors import names_by_identifier
from include.social_analytics.databases import Database
from include.social_analytics.postiz import active_integrations, left_out

NOW = datetime(2026, 11, 21, 13, 0, tzinfo=UTC)


#: A demo of one provider with a fixed clock.
PROVIDER = "facebook"


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Demo:
    monkeypatch.setattr(World, "__init__", partialmethod(World.__init__, now=lambda: NOW))
    return stand_ins()[PROVIDER].make_demo()


def rows(postiz: psycopg.Connection[Any], query: str) -> list[tuple[Any, ...]]:
    return postiz.execute(query.encode()).fetchall()


def test_timestamps_have_no_zone_and_ids_and_updated_at_no_default(postiz) -> None:
    columns = rows(
        postiz,
        "SELECT column_name, data_type, datetime_precision, column_default FROM information_schema.columns"
        " WHERE table_schema = 'public'",
    )
    moments = [column for column in columns if column[1].startswith(("timestamp", "date", "time"))]
    assert len(moments) > 12
    assert {(kind, precision) for _, kind, precision, _ in moments} == {("timestamp without time zone", 3)}
    assert {column[3] for column in columns if column[0] in ("id", "updatedAt")} == {None}


def test_foreign_keys_restrict_required_parents_and_clear_optional_ones(postiz) -> None:
    keys = rows(postiz, "SELECT conname, confdeltype, confupdtype FROM pg_constraint WHERE contype = 'f'")
    optional = {name for name, on_delete, _ in keys if on_delete == "n"}
    assert optional == {
        "Integration_customerId_fkey",
        "Post_parentPostId_fkey",
        "Post_submittedForOrganizationId_fkey",
    }
    assert {on_delete for name, on_delete, _ in keys if name not in optional} == {"r"}
    assert {on_update for _, _, on_update in keys} == {"c"}


def test_release_ids_have_no_index_and_an_organization_has_a_page_once(postiz) -> None:
    indexes = [name for (name,) in rows(postiz, "SELECT indexname FROM pg_indexes WHERE tablename = 'Post'")]
    assert "Post_integrationId_idx" in indexes
    assert not [name for name in indexes if "releaseId" in name]
    for organization_id in ("one", "two"):
        insert_organization(postiz, organization_id)
        insert_integration(postiz, f"in-{organization_id}", organization_id, make_page(1))
    with pytest.raises(psycopg.errors.UniqueViolation):
        insert_integration(postiz, "again", "one", make_page(1))
    with pytest.raises(psycopg.errors.InvalidTextRepresentation):
        insert_post(postiz, "post", "in-one", "one", None, state="SENT")


def test_the_demo_has_each_account_and_each_reason_to_leave_a_channel_out(postiz, made: Demo) -> None:
    populate_demo(postiz, {PROVIDER: made.accounts})
    database, identifiers = Database("postiz_db", postiz), names_by_identifier()
    [active] = active_integrations(database, identifiers)
    assert [one.id for one in active] == [f"demo-{PROVIDER}-{number:02}" for number in range(1, 25)]
    assert {one.organization_id for one in active} == set(DEMO_ORGANIZATIONS)
    assert left_out(database, identifiers) == {
        "deleted": 1,
        "disabled": 1,
        "in_between_steps": 1,
        "no_connector": 1,
        "not_social": 1,
        "organization_deleted": 1,
        "refresh_needed": 1,
    }


def test_the_demos_channels_have_customers_and_its_organizations_different_subscriptions(
    postiz, made
) -> None:
    populate_demo(postiz, {PROVIDER: made.accounts})
    channels = rows(
        postiz,
        """
        SELECT count(*), count("customerId"), count(DISTINCT customer."id")
        FROM "Integration" AS integration LEFT JOIN "Customer" AS customer
            ON customer."id" = "customerId" AND customer."orgId" = integration."organizationId"
        WHERE integration."id" LIKE 'demo-facebook-%'
        """,
    )
    [(all_channels, with_customer, customers)] = channels
    assert 10 < with_customer < all_channels
    assert customers == rows(postiz, 'SELECT count(*) FROM "Customer"')[0][0] == 7
    tiers = rows(postiz, 'SELECT "subscriptionTier" FROM "Subscription" ORDER BY 1')
    assert [tier for (tier,) in tiers] == ["PRO", "TEAM", "ULTIMATE"]


def test_the_demos_names_and_messages_are_ordinary(postiz, made: Demo) -> None:
    populate_demo(postiz, {PROVIDER: made.accounts})
    tables = ("Organization", "Customer", "Integration")
    names = rows(postiz, " UNION ".join(f'SELECT "name" FROM "{table}"' for table in tables))
    assert len(names) > 30
    assert not [name for (name,) in names if set(name) & set("'\"<>{};=")]
    assert not [message for message in MESSAGES if message and set(message) & set("'\"<>{};=")]


def test_the_demos_posts_have_each_shape_of_release_id_and_some_to_ignore(postiz, made: Demo) -> None:
    populate_demo(postiz, {PROVIDER: made.accounts})
    published = rows(
        postiz,
        """
        SELECT "integrationId", "releaseId" FROM "Post"
        WHERE "state" = 'PUBLISHED' AND "parentPostId" IS NULL AND "releaseId" <> 'missing'
        """,
    )
    world = World([make_page(number) for number in range(1, 25)])
    posts = [world.find_post(release_id) for _, release_id in published]
    assert len(published) > 200
    assert {post.kind for post in posts if post} == {"photo", "status", "video", "reel", "story"}
    for post, (_, release_id) in zip(posts, published, strict=True):
        assert post
        assert ("_" in release_id) == (post.kind in ("photo", "status"))
    (traps,) = rows(
        postiz,
        """
        SELECT count(*) FILTER (WHERE "releaseId" = 'missing'), count(*) FILTER (WHERE "state" = 'DRAFT'),
               count(*) FILTER (WHERE "parentPostId" IS NOT NULL) FROM "Post"
        """,
    )
    assert traps == (24, 24, 24)


def test_a_demo_channel_comes_with_its_accounts_token(postiz, made: Demo) -> None:
    populate_demo(postiz, {PROVIDER: made.accounts})
    tokens = rows(postiz, 'SELECT DISTINCT "token" FROM "Integration" ORDER BY 1')
    assert [token for (token,) in tokens] == sorted(account.token for account in made.accounts)


def test_many_pages_are_spread_ten_to_an_organization(postiz) -> None:
    populate_many(postiz, (make_page(number) for number in range(1, 2_006)))
    assert rows(postiz, 'SELECT count(*), count(DISTINCT "internalId") FROM "Integration"') == [(2005, 2005)]
    assert rows(postiz, 'SELECT count(*) FROM "Organization"') == [(201,)]
