"""A make-believe Postiz database for the sandbox: its tables as Prisma makes them, and a demo in them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from include.sandbox.world import Page, Post, World

_TABLES = (Path(__file__).parent / "postiz_tables.sql").read_text()
_LONG_AGO = datetime(2026, 1, 1)  # noqa: DTZ001 - Prisma's timestamps have no zone


def create_tables(connection: psycopg.Connection[Any]) -> None:
    """Create Postiz's tables in the schema ``public``, empty."""
    with connection.transaction():
        connection.execute(_TABLES)


def insert_organization(connection: psycopg.Connection[Any], organization_id: str, **columns: object) -> None:
    """Insert an organization; ``columns`` override, by Postiz's names."""
    _insert(
        connection,
        "Organization",
        {"id": organization_id, "name": organization_id, "updatedAt": _LONG_AGO} | columns,
    )


def insert_integration(
    connection: psycopg.Connection[Any],
    integration_id: str,
    organization_id: str,
    page: Page,
    **columns: object,
) -> None:
    """Insert a Facebook channel of ``page``, active unless ``columns`` say otherwise."""
    standard: dict[str, object] = {
        "id": integration_id,
        "organizationId": organization_id,
        "internalId": page.id,
        "name": page.name,
        "providerIdentifier": "facebook",
        "type": "social",
        "token": page.token,
        # Long past, and no reason to leave a channel out: page tokens do not expire with it.
        "tokenExpiration": _LONG_AGO + timedelta(days=59),
        "rootInternalId": f"user-of-{page.id}",
        "updatedAt": _LONG_AGO,
    }
    _insert(connection, "Integration", standard | columns)


def insert_post(
    connection: psycopg.Connection[Any],
    post_id: str,
    integration_id: str,
    organization_id: str,
    release_id: str | None,
    **columns: object,
) -> None:
    """Insert a post that Postiz published through the integration, as ``release_id`` there."""
    standard: dict[str, object] = {
        "id": post_id,
        "state": "PUBLISHED",
        "publishDate": _LONG_AGO,
        "organizationId": organization_id,
        "integrationId": integration_id,
        "content": "<p>Made in Postiz</p>",
        "group": post_id,
        "releaseId": release_id,
        "updatedAt": _LONG_AGO,
    }
    _insert(connection, "Post", standard | columns)


_DEMO_ORGANIZATIONS = {
    "acme-agency": 'Acme & O\'Hara "Agency"',
    "bakery-berlin": "Bäckerei Schäfer 🥐",
    "city-museum": "<b>City</b> Museum",
    "divers-club": "ダイバーズクラブ",
}

#: Reasons to be left out, one channel each.
_INACTIVE: Mapping[str, Mapping[str, object]] = {
    "disabled": {"disabled": True},
    "deleted": {"deletedAt": _LONG_AGO},
    "to-be-refreshed": {"refreshNeeded": True},
    "page-not-chosen": {"inBetweenSteps": True},
    "article": {"type": "article"},
    "instagram": {"providerIdentifier": "instagram"},
    "x": {"providerIdentifier": "x"},
    "linkedin": {"providerIdentifier": "linkedin"},
}


def populate_demo(connection: psycopg.Connection[Any], world: World) -> None:
    """The demo: every page of ``world`` as an active channel of one of four organizations, and others.

    The others are channels that must be left out, each for another reason, and an organization that is
    deleted. Some of the pages' posts were made in Postiz, under each shape of release id; comments on them,
    a draft, and a release that went missing are no posts of the page.
    """
    with connection.transaction():
        for organization_id, name in _DEMO_ORGANIZATIONS.items():
            insert_organization(connection, organization_id, name=name)
        insert_organization(connection, "erased-company", deletedAt=_LONG_AGO)
        pages = list(world.pages.values())
        for number, page in enumerate(pages):
            organization_id = tuple(_DEMO_ORGANIZATIONS)[number % len(_DEMO_ORGANIZATIONS)]
            integration_id = f"demo-{number + 1:03}"
            insert_integration(connection, integration_id, organization_id, page)
            _insert_posts(connection, world, page, integration_id, organization_id)
        for reason, columns in _INACTIVE.items():
            insert_integration(
                connection,
                f"demo-{reason}",
                next(iter(_DEMO_ORGANIZATIONS)),
                pages[0],
                **{"internalId": f"page-{reason}", "name": f"Left out: {reason}", **columns},
            )
        insert_integration(connection, "demo-erased", "erased-company", pages[0])


def populate_many(connection: psycopg.Connection[Any], world: World) -> None:
    """Every page of ``world`` as an active channel, ten to an organization, without posts; fast."""
    pages = list(world.pages.values())
    with connection.transaction(), connection.cursor() as cursor:
        with cursor.copy('COPY "Organization" ("id", "name", "updatedAt") FROM STDIN') as copy:
            for number in range(0, len(pages), 10):
                copy.write_row((f"org-{number // 10:05}", f"Organization {number // 10}", _LONG_AGO))
        with cursor.copy(
            'COPY "Integration" ("id", "internalId", "organizationId", "name", "providerIdentifier", "type",'
            ' "token", "updatedAt") FROM STDIN'
        ) as copy:
            for number, page in enumerate(pages):
                copy.write_row(
                    (
                        f"many-{number:06}",
                        page.id,
                        f"org-{number // 10:05}",
                        page.name,
                        "facebook",
                        "social",
                        page.token,
                        _LONG_AGO,
                    )
                )


def _insert_posts(
    connection: psycopg.Connection[Any],
    world: World,
    page: Page,
    integration_id: str,
    organization_id: str,
) -> None:
    """Every second post of the last four weeks was made in Postiz, the newest of them with a comment."""

    def insert(post_id: str, release_id: str | None, **columns: object) -> None:
        insert_post(connection, post_id, integration_id, organization_id, release_id, **columns)

    today = world.now().date()
    made_in_postiz = world.posts(page.id, today - timedelta(days=28), today)[::2]
    for post in made_in_postiz:
        insert(f"post-{post.id}", post.release_id)
    for post in made_in_postiz[:1]:
        # Its id sorts before its parent's and it has the same release: only being a child tells it apart.
        insert(f"comment-{post.id}", post.release_id, parentPostId=f"post-{post.id}")
    insert(f"post-missing-{page.id}", "missing")
    insert(f"post-draft-{page.id}", None, state="DRAFT")


def release_id_of(post: Post) -> str:
    """The id under which Postiz records a post: a video's or story's own bare id, else the post's."""
    return post.release_id


def _insert(connection: psycopg.Connection[Any], table: str, columns: Mapping[str, object]) -> None:
    connection.execute(
        sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
            sql.Identifier(table),
            sql.SQL(", ").join(map(sql.Identifier, columns)),
            sql.SQL(", ").join([sql.Placeholder()] * len(columns)),
        ),
        list(columns.values()),
    )
