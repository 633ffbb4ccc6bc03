"""A made-up Postiz database for the sandbox: its tables as Prisma makes them, and a demo in them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from include.sandbox.stand_ins.base import DEMO_ORGANIZATIONS, Account, DemoAccount

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


def insert_subscription(
    connection: psycopg.Connection[Any], organization_id: str, tier: str, **columns: object
) -> None:
    """Insert an organization's subscription."""
    standard: dict[str, object] = {
        "id": f"subscription-of-{organization_id}",
        "organizationId": organization_id,
        "subscriptionTier": tier,
        "period": "MONTHLY",
        "totalChannels": 100,
        "updatedAt": _LONG_AGO,
    }
    _insert(connection, "Subscription", standard | columns)


def insert_customer(
    connection: psycopg.Connection[Any], customer_id: str, organization_id: str, **columns: object
) -> None:
    """Insert a customer of an organization."""
    standard: dict[str, object] = {
        "id": customer_id,
        "orgId": organization_id,
        "name": customer_id,
        "updatedAt": _LONG_AGO,
    }
    _insert(connection, "Customer", standard | columns)


def insert_integration(
    connection: psycopg.Connection[Any],
    integration_id: str,
    organization_id: str,
    account: Account,
    **columns: object,
) -> None:
    """Insert a channel of ``account``, active unless ``columns`` say otherwise."""
    standard: dict[str, object] = {
        "id": integration_id,
        "organizationId": organization_id,
        "internalId": account.id,
        "name": account.name,
        "providerIdentifier": account.identifier,
        "type": "social",
        "token": account.token,
        # Long past, but no reason to leave a channel out: the stored token may still work.
        "tokenExpiration": _LONG_AGO + timedelta(days=59),
        "rootInternalId": f"owner-of-{account.id}",
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


#: Reasons to leave a channel out, with one channel for each: its organization, its name, and its columns.
_LEFT_OUT: Mapping[str, tuple[str, str, Mapping[str, object]]] = {
    "disabled": ("northwind-bakery", "Northwind Christmas Market", {"disabled": True}),
    "deleted": ("harbour-books", "Harbour Books (old shop)", {"deletedAt": _LONG_AGO}),
    "to-be-refreshed": ("lakeside-sports", "Lakeside Triathlon", {"refreshNeeded": True}),
    "not-chosen": ("riverside-museum", "Riverside Café", {"inBetweenSteps": True}),
    "article": (
        "harbour-books",
        "Harbour Books Blog",
        {"type": "article", "providerIdentifier": "wordpress"},
    ),
    "no-connector": ("northwind-bakery", "Northwind on Mastodon", {"providerIdentifier": "mastodon"}),
}


#: Organization -> its subscription. The last organization has none.
_SUBSCRIPTIONS: Mapping[str, str] = {
    "northwind-bakery": "ULTIMATE",
    "harbour-books": "PRO",
    "riverside-museum": "TEAM",
}

#: Organization -> its customers -> words in the names of their channels. Some channels have no customer.
_CUSTOMERS: Mapping[str, Mapping[str, Sequence[str]]] = {
    "northwind-bakery": {"Bakeries and Coffee Bars": ("bakery", "coffee"), "Catering": ("catering",)},
    "harbour-books": {"Harbour Clubs": ("reading", "kids", "events")},
    "riverside-museum": {"Museum Shop": ("shop",), "Museum Education": ("young", "archive")},
    "lakeside-sports": {
        "Water Sports": ("rowing", "diving", "sailing"),
        "Court and Track": ("tennis", "running"),
    },
}


def populate_demo(connection: psycopg.Connection[Any], accounts: Mapping[str, Sequence[DemoAccount]]) -> None:
    """The demo: every account as an active channel of one of four organizations, and others.

    Most channels have a customer, and most organizations a subscription. The others are channels that must
    be left out, each for another reason, and a deleted organization. There are also rows that are not
    published posts: comments, a draft, and a release that is missing.

    :param accounts: by their provider's name.
    """
    with connection.transaction():
        for organization_id, name in DEMO_ORGANIZATIONS.items():
            insert_organization(connection, organization_id, name=name)
        insert_organization(connection, "closed-company", name="Old Mill Brewery", deletedAt=_LONG_AGO)
        for organization_id, tier in _SUBSCRIPTIONS.items():
            insert_subscription(connection, organization_id, tier)
        for organization_id, customers in _CUSTOMERS.items():
            for name in customers:
                insert_customer(connection, _customer_id(organization_id, name), organization_id, name=name)
        for provider, of_provider in accounts.items():
            for number, account in enumerate(of_provider, 1):
                integration_id = f"demo-{provider}-{number:02}"
                theirs = {"customerId": _customer_of(account), **account.columns}
                insert_integration(connection, integration_id, account.organization_id, account, **theirs)
                _insert_posts(connection, account, integration_id)
        some = next(account for of_provider in accounts.values() for account in of_provider)
        for reason, (organization_id, name, columns) in _LEFT_OUT.items():
            insert_integration(
                connection,
                f"demo-left-out-{reason}",
                organization_id,
                some,
                **{"internalId": f"account-{reason}", "name": name, **columns},
            )
        insert_integration(
            connection, "demo-left-out-organization", "closed-company", some, name="Old Mill Brewery"
        )


def _customer_of(account: DemoAccount) -> str | None:
    for name, words in _CUSTOMERS[account.organization_id].items():
        if any(word in account.name.lower() for word in words):
            return _customer_id(account.organization_id, name)
    return None


def _customer_id(organization_id: str, name: str) -> str:
    return f"{organization_id}-{name.lower().replace(' ', '-')}"


def populate_many(
    connection: psycopg.Connection[Any], accounts: Iterable[Account], to_an_organization: int = 10
) -> None:
    """Every account as an active channel, so many to an organization, without posts; fast."""
    accounts = list(accounts)
    with connection.transaction(), connection.cursor() as cursor:
        with cursor.copy('COPY "Organization" ("id", "name", "updatedAt") FROM STDIN') as copy:
            for number in range(0, len(accounts), to_an_organization):
                place = number // to_an_organization
                copy.write_row((f"org-{place:05}", f"Organization {place}", _LONG_AGO))
        with cursor.copy(
            'COPY "Integration" ("id", "internalId", "organizationId", "name", "providerIdentifier", "type",'
            ' "token", "updatedAt") FROM STDIN'
        ) as copy:
            for number, account in enumerate(accounts):
                copy.write_row(
                    (
                        f"many-{number:06}",
                        account.id,
                        f"org-{number // to_an_organization:05}",
                        account.name,
                        account.identifier,
                        "social",
                        account.token,
                        _LONG_AGO,
                    )
                )


def _insert_posts(connection: psycopg.Connection[Any], account: DemoAccount, integration_id: str) -> None:
    """The posts that were made in Postiz, the newest of them with a comment."""

    def insert(name: str, release_id: str | None, **columns: object) -> str:
        post_id = f"{integration_id}-{name}"
        insert_post(connection, post_id, integration_id, account.organization_id, release_id, **columns)
        return post_id

    post_ids = [insert(f"post-{release_id}", release_id) for release_id in account.posts]
    for release_id in account.posts[:1]:
        # Its id sorts before its parent's, and it has the same release: only its parent tells them apart.
        insert(f"comment-{release_id}", release_id, parentPostId=post_ids[0])
    insert("post-missing", "missing")
    insert("post-draft", None, state="DRAFT")


def _insert(connection: psycopg.Connection[Any], table: str, columns: Mapping[str, object]) -> None:
    connection.execute(
        sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
            sql.Identifier(table),
            sql.SQL(", ").join(map(sql.Identifier, columns)),
            sql.SQL(", ").join([sql.Placeholder()] * len(columns)),
        ),
        list(columns.values()),
    )
