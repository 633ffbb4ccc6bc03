"""Reading Postiz, on a real Postgres with Postiz's tables."""

from __future__ import annotations

import itertools
from dataclasses import replace

import psycopg
import pytest
from psycopg import sql

from include.social_analytics import postiz as postiz_module
from include.social_analytics.connectors import provider_named
from include.social_analytics.connectors.base import Account
from include.social_analytics.errors import ErrorCode, JobError
from include.social_analytics.jobs import Customer, Integration
from include.social_analytics.postiz import (
    accounts,
    active_integrations,
    count_active,
    customers,
    inactive_reasons,
    left_out,
    may_read,
    organization_names,
    published_posts,
    require_known,
)

FACEBOOK = {"facebook": "facebook"}
LATER = "2026-11-20 10:00:00"
_numbers = itertools.count()


def insert(connection: psycopg.Connection, table: str, **columns: object) -> None:
    connection.execute(
        sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
            sql.Identifier(table),
            sql.SQL(", ").join(map(sql.Identifier, columns)),
            sql.SQL(", ").join([sql.Placeholder()] * len(columns)),
        ),
        list(columns.values()),
    )


def organization(connection: psycopg.Connection, id_: str, **columns: object) -> None:
    insert(connection, "Organization", id=id_, name=f"Organization {id_}", updatedAt=LATER, **columns)


def integration(connection: psycopg.Connection, id_: str, **columns: object) -> None:
    standard: dict[str, object] = {
        "organizationId": "acme",
        "internalId": f"page-{next(_numbers)}",
        "name": f"Page {id_}",
        "providerIdentifier": "facebook",
        "type": "social",
        "token": f"token-of-{id_}",
        "postingTimes": "[]",
    }
    insert(connection, "Integration", id=id_, **standard | columns)


def post(connection: psycopg.Connection, id_: str, release_id: str | None, **columns: object) -> None:
    standard: dict[str, object] = {
        "state": "PUBLISHED",
        "publishDate": LATER,
        "organizationId": "acme",
        "integrationId": "a",
        "content": "Hello",
        "group": id_,
        "releaseId": release_id,
        "updatedAt": LATER,
    }
    insert(connection, "Post", id=id_, **standard | columns)


def customer(
    connection: psycopg.Connection, id_: str, organization_id: str = "acme", **columns: object
) -> None:
    standard = {"name": f"Customer {id_}", "orgId": organization_id, "updatedAt": LATER}
    insert(connection, "Customer", id=id_, **standard | columns)


def subscription(connection: psycopg.Connection, organization_id: str, tier: str, **columns: object) -> None:
    insert(
        connection,
        "Subscription",
        id=f"of-{organization_id}",
        organizationId=organization_id,
        subscriptionTier=tier,
        period="MONTHLY",
        totalChannels=5,
        updatedAt=LATER,
        **columns,
    )


@pytest.fixture
def acme(postiz: psycopg.Connection) -> psycopg.Connection:
    """A Postiz with only the empty organization acme."""
    organization(postiz, "acme")
    return postiz


def listed(
    connection: psycopg.Connection, identifiers: dict[str, str] = FACEBOOK, **narrowed: object
) -> list[str]:
    return [found.id for page in active_integrations(connection, identifiers, **narrowed) for found in page]


#: One integration for each reason to leave it out.
INACTIVE: dict[str, dict[str, object]] = {
    "deleted": {"deletedAt": LATER},
    "organization_deleted": {"organizationId": "gone"},
    "not_social": {"type": "article"},
    "no_connector": {"providerIdentifier": "linkedin"},
    "disabled": {"disabled": True},
    "in_between_steps": {"inBetweenSteps": True},
    "refresh_needed": {"refreshNeeded": True},
}


@pytest.fixture
def mixed(acme: psycopg.Connection) -> psycopg.Connection:
    """Two active integrations, ``a`` of acme and ``b`` of bolt, and an inactive one of every kind.

    ``a`` has the customer club. ``b`` names a customer that is not bolt's.
    """
    organization(acme, "bolt")
    organization(acme, "gone", deletedAt=LATER)
    customer(acme, "club")
    customer(acme, "foreign")
    customer(acme, "past", "gone")
    integration(acme, "a", customerId="club")
    integration(acme, "b", organizationId="bolt", customerId="foreign")
    for reason, columns in INACTIVE.items():
        integration(acme, f"is-{reason}", **columns)
    return acme


def test_an_empty_postiz_has_no_integrations(postiz):
    assert list(active_integrations(postiz, FACEBOOK)) == []
    assert left_out(postiz, FACEBOOK) == {}


def test_only_active_integrations_are_listed_and_without_their_token(mixed):
    assert list(active_integrations(mixed, FACEBOOK)) == [
        [
            Integration(id="a", name="Page a", organization_id="acme", provider="facebook"),
            Integration(id="b", name="Page b", organization_id="bolt", provider="facebook"),
        ]
    ]


def test_only_integrations_of_the_requested_providers_are_listed(mixed):
    assert listed(mixed, {"facebook": "facebook", "linkedin": "linkedin-page"}) == [
        "a",
        "b",
        "is-no_connector",
    ]
    assert listed(mixed, {}) == []


def test_an_integration_with_an_expired_token_is_listed(acme):
    integration(acme, "a", tokenExpiration="2020-01-01 00:00:00")
    assert listed(acme) == ["a"]


@pytest.mark.parametrize("page_size", [1, 2, 3, 5, 6, 1000])
def test_every_page_size_gives_the_same_sorted_list(acme, page_size):
    # Most collations sort these differently, and some look equal.
    ids = ["B", "a", "_c", "-d", "Ä", "a b"]
    for id_ in ids:
        integration(acme, id_)
    pages = list(active_integrations(acme, FACEBOOK, page_size=page_size))
    assert [found.id for page in pages for found in page] == sorted(ids)
    assert all(0 < len(page) <= page_size for page in pages)


def test_pages_are_read_one_at_a_time(acme):
    for number in range(5):
        integration(acme, f"i{number}")
    pages = active_integrations(acme, FACEBOOK, page_size=2)
    assert [found.id for found in next(pages)] == ["i0", "i1"]
    integration(acme, "i9")
    assert [found.id for page in pages for found in page] == ["i2", "i3", "i4", "i9"]


@pytest.mark.parametrize(
    ("narrowed", "ids"),
    [
        ({"organization_id": "acme"}, ["a"]),
        ({"organization_id": "nobody"}, []),
        ({"integration_ids": ["b", "is-disabled", "unknown"]}, ["b"]),
        ({"integration_ids": []}, []),
        ({"organization_id": "acme", "integration_ids": ["a", "b"]}, ["a"]),
        ({"customer_id": "club"}, ["a"]),
        ({"customer_id": "nobody"}, []),
        ({"customer_id": "club", "organization_id": "bolt"}, []),
        ({"customer_id": "club", "integration_ids": ["a", "b"]}, ["a"]),
        # A channel of another organization names it.
        ({"customer_id": "foreign"}, []),
    ],
)
def test_the_listing_can_be_narrowed(mixed, narrowed, ids):
    assert listed(mixed, **narrowed) == ids


@pytest.mark.parametrize(
    "narrowed",
    [
        {},
        {"organization_id": "bolt"},
        {"integration_ids": ["b", "a"]},
        {"organization_id": "bolt", "integration_ids": ["b"]},
        {"customer_id": "club"},
        {"customer_id": "club", "organization_id": "acme", "integration_ids": ["a"]},
    ],
)
def test_active_organizations_and_integrations_are_found(mixed, narrowed):
    require_known(mixed, FACEBOOK, **narrowed)


@pytest.mark.parametrize(
    ("narrowed", "fault"),
    [
        ({"organization_id": "nobody"}, "organization_id 'nobody' is unknown"),
        ({"organization_id": "gone"}, "organization_id 'gone' is deleted"),
        ({"organization_id": "nobody", "integration_ids": ["a"]}, "organization_id 'nobody' is unknown"),
        (
            {"integration_ids": ["a", "x", "y"]},
            "integration_ids 'x' is unknown; integration_ids 'y' is unknown",
        ),
        (
            {"organization_id": "acme", "integration_ids": ["a", "b"]},
            "integration_ids 'b' is not one of organization 'acme'",
        ),
        ({"customer_id": "nobody"}, "customer_id 'nobody' is unknown"),
        (
            {"customer_id": "club", "organization_id": "bolt"},
            "customer_id 'club' is not one of organization 'bolt'",
        ),
        ({"customer_id": "past"}, "customer_id 'past' is organization_deleted"),
        (
            {"customer_id": "club", "integration_ids": ["a", "b", "x"]},
            "integration_ids 'b' is not one of customer 'club'; integration_ids 'x' is unknown",
        ),
        (
            {"customer_id": "foreign", "integration_ids": ["b"]},
            "integration_ids 'b' is not one of customer 'foreign'",
        ),
        *[
            ({"integration_ids": [f"is-{reason}"]}, f"integration_ids 'is-{reason}' is {reason}")
            for reason in INACTIVE
        ],
    ],
)
def test_an_unknown_or_inactive_id_is_named_with_the_reason(mixed, narrowed, fault):
    with pytest.raises(JobError) as raised:
        require_known(mixed, FACEBOOK, **narrowed)
    assert raised.value.code is ErrorCode.CONFIG_INVALID
    assert raised.value.reason == f"Not active in Postiz: {fault}."


def test_left_out_integrations_are_counted_by_reason(mixed):
    integration(mixed, "another", disabled=True)
    assert left_out(mixed, FACEBOOK) == dict.fromkeys(INACTIVE, 1) | {"disabled": 2}


def test_an_integration_with_several_reasons_counts_once_under_the_first(acme):
    everything = INACTIVE["disabled"] | INACTIVE["refresh_needed"] | INACTIVE["in_between_steps"]
    integration(acme, "a", **everything)
    integration(acme, "b", **everything | INACTIVE["no_connector"])
    integration(acme, "c", **everything | INACTIVE["deleted"])
    assert left_out(acme, FACEBOOK) == {"disabled": 1, "no_connector": 1, "deleted": 1}


def test_only_active_integrations_have_accounts_and_their_tokens_are_masked(mixed):
    masked: list[str] = []
    found = accounts(
        mixed, ["a", "b", "unknown", "is-disabled"], FACEBOOK, may=may_read(mixed), mask=masked.extend
    )
    assert sorted(found) == ["a", "b"]
    assert found["a"].secrets == ("token-of-a",)
    assert sorted(masked) == ["token-of-a", "token-of-b"]
    assert "token-of-a" not in repr(found)


def test_no_token_is_returned_that_could_not_be_masked(mixed):
    def mask(tokens: list[str]) -> None:
        raise RuntimeError(*sorted(tokens))

    with pytest.raises(RuntimeError) as error:
        accounts(mixed, ["a", "b"], FACEBOOK, may=may_read(mixed), mask=mask)
    assert error.value.args == ("token-of-a", "token-of-b")


@pytest.mark.parametrize("token", ["", "undefined"])
def test_an_impossible_token_is_passed_on_for_the_api_to_refuse(acme, token):
    integration(acme, "a", token=token, internalId="1234")
    assert accounts(acme, ["a"], FACEBOOK, may=may_read(acme), mask=id) == {
        "a": Account("a", "facebook", "1234", (token,))
    }


def test_each_inactive_integration_has_its_reason(mixed):
    ids = ["a", "unknown", *(f"is-{reason}" for reason in INACTIVE)]
    expected = {f"is-{reason}": reason for reason in INACTIVE} | {"unknown": "unknown"}
    assert inactive_reasons(mixed, ids, FACEBOOK) == expected


def test_posts_are_matched_by_release_id(acme):
    integration(acme, "a")
    integration(acme, "b")
    post(acme, "feed", "1_2")
    post(acme, "video", "345")
    post(acme, "unasked", "999")
    post(acme, "other-page", "777", integrationId="b")
    asked = ["1_2", "345", "777", "unknown"]
    assert published_posts(acme, "a", asked, by_permalink=True) == {"1_2": "feed", "345": "video"}
    assert published_posts(acme, "a", [], by_permalink=True) == {}


@pytest.mark.parametrize(
    "columns",
    [
        {"state": "QUEUE"},
        {"state": "ERROR"},
        {"state": "DRAFT"},
        {"deletedAt": LATER},
        {"parentPostId": "feed"},
    ],
    ids=str,
)
def test_only_published_posts_are_matched(acme, columns):
    integration(acme, "a")
    post(acme, "feed", None)
    post(acme, "x", "1_2", **columns)
    assert published_posts(acme, "a", ["1_2"], by_permalink=True) == {}


def test_the_release_id_missing_matches_no_post(acme):
    integration(acme, "a")
    post(acme, "x", "missing")
    assert published_posts(acme, "a", ["missing"], by_permalink=True) == {}


@pytest.mark.parametrize(
    "url",
    [
        "https://www.instagram.com/p/DKx_9-a/",
        "https://www.instagram.com/reel/DKx_9-a",
        "https://www.threads.net/@bakery/post/DKx_9-a?xmt=1",
        "https://www.threads.com/@bakery/post/DKx_9-a#top",
    ],
)
def test_a_post_with_another_release_id_is_matched_by_the_code_in_its_permalink(acme, url):
    integration(acme, "a")
    post(acme, "x", "container", releaseURL=url)
    assert published_posts(acme, "a", ["DKx_9-a", "p", "@bakery"], by_permalink=True) == {"DKx_9-a": "x"}


def test_a_posts_own_release_id_comes_before_the_code_in_anothers_permalink(acme):
    integration(acme, "a")
    post(acme, "a", "container", releaseURL="https://www.instagram.com/p/1_2/")
    post(acme, "b", "1_2")
    assert published_posts(acme, "a", ["1_2"], by_permalink=True) == {"1_2": "b"}


def test_the_first_post_by_id_counts_when_several_have_one_release_id(acme):
    integration(acme, "a")
    for id_ in ("z", "a", "M"):
        post(acme, id_, "1_2")
    assert published_posts(acme, "a", ["1_2"], by_permalink=True) == {"1_2": "M"}


#: The columns that the package reads: enough rights for a database role.
READ = {
    "Integration": (
        "id, internalId, organizationId, name, providerIdentifier, type, token, disabled, deletedAt, "
        "refreshNeeded, inBetweenSteps"
    ),
    "Organization": "id, deletedAt",
    "Post": "id, integrationId, state, releaseId, parentPostId, deletedAt",
}


#: The columns that a role made by an older script may not read.
NEW = {
    "Integration": READ["Integration"] + ", rootInternalId, customerId",
    "Customer": "id, name, orgId",
    "Subscription": "organizationId, subscriptionTier, deletedAt",
}


@pytest.mark.parametrize("more", [{}, NEW], ids=["an older role", "a role of today"])
def test_reading_postiz_needs_only_these_columns_and_writes_nothing(mixed, more):
    role = sql.Identifier(f"reader_{next(_numbers)}_{mixed.info.dbname}")
    mixed.execute(sql.SQL("CREATE ROLE {}").format(role))
    for table, columns in (READ | more).items():
        mixed.execute(
            sql.SQL("GRANT SELECT ({}) ON {} TO {}").format(
                sql.SQL(", ").join(map(sql.Identifier, columns.split(", "))), sql.Identifier(table), role
            )
        )
    with mixed.transaction():
        mixed.execute(sql.SQL("SET LOCAL ROLE {}").format(role))
        mixed.execute("SET LOCAL transaction_read_only = on")

        assert listed(mixed, organization_id="acme", integration_ids=["a"]) == ["a"]
        require_known(mixed, FACEBOOK, organization_id="acme", integration_ids=["a"])
        assert left_out(mixed, FACEBOOK)
        assert inactive_reasons(mixed, ["b"], FACEBOOK) == {}
        assert accounts(mixed, ["a"], FACEBOOK, may=may_read(mixed), mask=id)
        assert "permalinks" not in may_read(mixed)
        assert published_posts(mixed, "a", ["1_2"], by_permalink=False) == {}
        assert customers(mixed, ["a", "b"]) == ({"a": Customer("club", "Customer club")} if more else {})
        if more:
            require_known(mixed, FACEBOOK, customer_id="club", integration_ids=["a"])
            assert listed(mixed, customer_id="club") == ["a"]
        else:
            with pytest.raises(
                JobError, match="only if the role of 'postiz_db' may read customers"
            ) as refusal:
                require_known(mixed, FACEBOOK, customer_id="club")
            assert refusal.value.code is ErrorCode.CONFIG_INVALID
            assert listed(mixed, customer_id="club") == []


@pytest.mark.parametrize(
    "change",
    [
        'ALTER TABLE "Integration" DROP COLUMN "customerId"',
        'DROP TABLE "Customer" CASCADE',
        'ALTER TABLE "Customer" RENAME "name" TO "title"',
        'DROP TABLE "Subscription"',
        'ALTER TABLE "Subscription" RENAME "subscriptionTier" TO "tier"',
    ],
)
def test_a_postiz_without_customers_or_subscriptions_is_listed_all_the_same(mixed, change):
    mixed.execute(change)
    assert listed(mixed) == ["a", "b"]
    assert customers(mixed, ["a"]) == ({"a": Customer("club", "Customer club")} if "Sub" in change else {})


def test_channels_have_the_customers_of_their_own_organization(mixed):
    mixed.execute('UPDATE "Customer" SET "deletedAt" = now()')
    # As in Postiz: a customer that is marked as deleted is shown as long as a channel has it.
    assert customers(mixed, ["a", "b", "is-disabled", "unknown"]) == {"a": Customer("club", "Customer club")}


@pytest.mark.parametrize("page_size", [1, 2, 3, 1000])
def test_channels_of_a_higher_subscription_come_first(acme, page_size):
    for name, tier in (("team", "TEAM"), ("best", "ULTIMATE"), ("least", "STANDARD"), ("pro", "PRO")):
        organization(acme, name)
        subscription(acme, name, tier)
    organization(acme, "ended")
    subscription(acme, "ended", "ULTIMATE", deletedAt=LATER)
    expected = ["Z", "a", "M", "b", "L", "K", "A", "c"]
    owners = ["best", "best", "pro", "pro", "team", "least", "acme", "ended"]
    for id_, owner in sorted(zip(expected, owners, strict=True)):
        integration(acme, id_, organizationId=owner)
    assert listed(acme, page_size=page_size) == expected
    assert listed(acme, page_size=page_size, integration_ids=["A", "K", "Z"]) == ["Z", "K", "A"]
    acme.execute('DROP TABLE "Subscription"')
    assert listed(acme, page_size=page_size) == sorted(expected)


def test_a_subscription_of_a_tier_that_is_not_known_is_the_least_that_is_paid_for(acme):
    acme.execute("""ALTER TYPE "SubscriptionTier" ADD VALUE 'GALACTIC'""")
    for name, tier in (("new", "GALACTIC"), ("least", "STANDARD"), ("team", "TEAM")):
        organization(acme, name)
        subscription(acme, name, tier)
        integration(acme, name, organizationId=name)
    integration(acme, "free")
    assert listed(acme) == ["team", "least", "new", "free"]


def test_organizations_have_names(postiz):
    organization(postiz, "acme")
    organization(postiz, "other")
    assert organization_names(postiz, {"acme", "unknown"}) == {"acme": "Organization acme"}


def test_a_token_is_masked_before_it_is_taken_apart(acme, monkeypatch):
    integration(acme, "a", token="key:secret")
    seen = []

    def parts(token: str) -> tuple[str, ...]:
        seen.append(("taken apart", token))
        return tuple(token.split(":"))

    in_two = replace(provider_named("facebook"), secrets=parts)
    monkeypatch.setattr(postiz_module, "provider_named", lambda _: in_two)
    found = accounts(
        acme, ["a"], FACEBOOK, may=may_read(acme), mask=lambda tokens: seen.append(("masked", *tokens))
    )
    assert found["a"].secrets == ("key", "secret")
    assert seen == [("masked", "key:secret"), ("taken apart", "key:secret"), ("masked", "key", "secret")]


def test_a_channel_of_whom_only_the_user_is_connected_is_left_out(acme):
    integration(acme, "whole", internalId="page", rootInternalId="user")
    integration(acme, "half", internalId="user", rootInternalId="user")
    assert listed(acme) == ["whole"]
    assert count_active(acme, FACEBOOK) == 1
    assert left_out(acme, FACEBOOK) == {"in_between_steps": 1}
    assert inactive_reasons(acme, ["half"], FACEBOOK) == {"half": "in_between_steps"}
    assert set(accounts(acme, ["whole", "half"], FACEBOOK, may=may_read(acme), mask=id)) == {"whole"}
    with pytest.raises(JobError, match="'half' is in_between_steps"):
        require_known(acme, FACEBOOK, integration_ids=["half"])


def test_a_channel_whose_account_is_the_user_is_listed_where_a_provider_has_no_second_step(acme):
    integration(acme, "a", providerIdentifier="pinterest", internalId="user", rootInternalId="user")
    assert listed(acme, {"pinterest": "pinterest"}) == ["a"]


def test_a_role_or_a_postiz_without_the_users_id_lists_what_it_can(acme):
    integration(acme, "half", internalId="user", rootInternalId="user")
    acme.execute('ALTER TABLE "Integration" DROP COLUMN "rootInternalId"')
    assert listed(acme) == ["half"]
