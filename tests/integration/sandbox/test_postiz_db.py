"""The make-believe Postiz database: tables as Prisma makes them, and what the demo holds."""

from __future__ import annotations

from datetime import UTC, datetime
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
from include.sandbox.world import World, demo_world, make_page

NOW = datetime(2026, 11, 21, 13, 0, tzinfo=UTC)


@pytest.fixture
def world() -> World:
    world = demo_world()
    world.now = lambda: NOW
    return world


def rows(postiz: psycopg.Connection[Any], query: str) -> list[tuple[Any, ...]]:
    return postiz.execute(query.encode()).fetchall()


def test_moments_have_no_zone_and_prismas_client_fills_in_ids_and_updates(postiz) -> None:
    columns = rows(
        postiz,
        "SELECT column_name, data_type, datetime_precision, column_default FROM information_schema.columns"
        " WHERE table_schema = 'public'",
    )
    moments = [column for column in columns if column[1].startswith(("timestamp", "date", "time"))]
    assert len(moments) > 12
    assert {(kind, precision) for _, kind, precision, _ in moments} == {("timestamp without time zone", 3)}
    assert {column[3] for column in columns if column[0] in ("id", "updatedAt")} == {None}


def test_foreign_keys_hold_a_required_parent_and_let_go_of_an_optional_one(postiz) -> None:
    keys = rows(postiz, "SELECT conname, confdeltype, confupdtype FROM pg_constraint WHERE contype = 'f'")
    optional = {name for name, on_delete, _ in keys if on_delete == "n"}
    assert optional == {
        "Integration_customerId_fkey",
        "Post_parentPostId_fkey",
        "Post_submittedForOrganizationId_fkey",
    }
    assert {on_delete for name, on_delete, _ in keys if name not in optional} == {"r"}
    assert {on_update for _, _, on_update in keys} == {"c"}


def test_a_release_id_has_no_index_and_a_page_is_in_an_organization_once(postiz) -> None:
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


def test_the_demo_has_24_active_pages_and_each_reason_to_be_left_out(postiz, world: World) -> None:
    populate_demo(postiz, world)
    active = rows(
        postiz,
        """
        SELECT integration."id" FROM "Integration" integration
        JOIN "Organization" organization ON organization."id" = integration."organizationId"
        WHERE NOT "disabled" AND NOT "refreshNeeded" AND NOT "inBetweenSteps" AND "type" = 'social'
          AND "providerIdentifier" = 'facebook'
          AND integration."deletedAt" IS NULL AND organization."deletedAt" IS NULL
        """,
    )
    assert sorted(active) == [(f"demo-{number:03}",) for number in range(1, 25)]
    others = rows(postiz, 'SELECT "id" FROM "Integration" WHERE "id" !~ \'^demo-[0-9]+$\' ORDER BY 1')
    assert [name for (name,) in others] == [
        "demo-article",
        "demo-deleted",
        "demo-disabled",
        "demo-erased",
        "demo-instagram",
        "demo-linkedin",
        "demo-page-not-chosen",
        "demo-to-be-refreshed",
        "demo-x",
    ]
    names = "".join(name for (name,) in rows(postiz, 'SELECT "name" FROM "Organization"'))
    assert all(character in names for character in "'\"<&ä🥐")


def test_the_demos_posts_have_each_shape_of_release_id_and_traps(postiz, world: World) -> None:
    populate_demo(postiz, world)
    published = rows(
        postiz,
        """
        SELECT "integrationId", "releaseId" FROM "Post"
        WHERE "state" = 'PUBLISHED' AND "parentPostId" IS NULL AND "releaseId" <> 'missing'
        """,
    )
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


def test_a_demo_channel_comes_with_its_pages_token(postiz, world: World) -> None:
    populate_demo(postiz, world)
    tokens = rows(postiz, 'SELECT DISTINCT "token" FROM "Integration" ORDER BY 1')
    assert [token for (token,) in tokens] == sorted(world.tokens)


def test_many_pages_are_spread_ten_to_an_organization(postiz) -> None:
    populate_many(postiz, World(make_page(number) for number in range(1, 2_006)))
    assert rows(postiz, 'SELECT count(*), count(DISTINCT "internalId") FROM "Integration"') == [(2005, 2005)]
    assert rows(postiz, 'SELECT count(*) FROM "Organization"') == [(201,)]
