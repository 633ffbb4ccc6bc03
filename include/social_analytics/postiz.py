"""Reads Postiz: its integrations, their tokens, and the posts that it published.

The caller opens the database, read-only. Only the columns that are named here are read. Names are Prisma's:
they are case-sensitive, so they need quotes. ``identifiers`` says which integrations this package can read:
Postiz's ``providerIdentifier`` -> the provider's name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from typing import Any, LiteralString

from psycopg import sql
from psycopg.types.json import Json

from include.social_analytics.connectors import provider_named, providers, two_step_identifiers
from include.social_analytics.connectors.base import Account
from include.social_analytics.databases import Database
from include.social_analytics.errors import ErrorCode, JobError
from include.social_analytics.jobs import Customer, Integration

# The first reason why an integration is left out; NULL when it is active. The order: what is deleted, what
# this package cannot read, what the channel's owner can change. "tokenExpiration" is not a reason for any
# provider: the stored token may work longer, or may have become invalid long before.
# {half_connected} is _HALF_CONNECTED, see _readable(). not_read: see _known().
_LEFT_OUT: LiteralString = """
    CASE
        WHEN integration."deletedAt" IS NOT NULL THEN 'deleted'
        WHEN organization."deletedAt" IS NOT NULL THEN 'organization_deleted'
        WHEN integration."type" <> 'social' THEN 'not_social'
        WHEN integration."providerIdentifier" <> ALL (%(identifiers)s::text[]) THEN 'no_connector'
        WHEN %(not_read)s::jsonb ? integration."providerIdentifier"
            THEN %(not_read)s::jsonb ->> integration."providerIdentifier"
        WHEN integration."disabled" THEN 'disabled'
        WHEN integration."inBetweenSteps" OR {half_connected} THEN 'in_between_steps'
        WHEN integration."refreshNeeded" THEN 'refresh_needed'
    END
"""
# The user is connected, and no account of theirs is chosen yet.
_HALF_CONNECTED: LiteralString = """
    (integration."providerIdentifier" = ANY (%(in_two_steps)s::text[])
     AND integration."internalId" = integration."rootInternalId")
"""
# Whether this role may call a function of the schema social_analytics. By its name alone, Postgres refuses a
# role that may not use the schema.
_MAY_CALL: LiteralString = """
    SELECT EXISTS (
        SELECT FROM pg_proc JOIN pg_namespace ON pg_namespace.oid = pronamespace
        WHERE nspname = 'social_analytics' AND proname = %s
          AND has_schema_privilege(pronamespace, 'USAGE') AND has_function_privilege(pg_proc.oid, 'EXECUTE')
    )
"""
_REFRESH_TOKENS: LiteralString = """
    SELECT "id", "refreshToken" FROM "Integration" WHERE "id" = ANY (%s::text[])
"""
_GRANTED_REFRESH_TOKENS: LiteralString = """
    SELECT integration_id, refresh_token FROM social_analytics.{}(%s::text[])
"""
# A customer has only channels of its own organization, even if a channel of another names it.
_OF_CUSTOMER: LiteralString = """
    (integration."customerId", integration."organizationId") IN (
        SELECT "id", "orgId" FROM "Customer" WHERE "id" = %(customer_id)s::text
    )
"""
# The parts whose columns are all there, and whose columns this role may read. A role that an older
# postiz_reader.sql made may not read them, and an older Postiz may not have them. A subquery for each column
# and no array: each batch asks.
_MAY_READ: LiteralString = """
    SELECT part
    FROM (
        VALUES
            ('customers', '"Integration"', 'customerId'),
            ('customers', '"Customer"', 'id'),
            ('customers', '"Customer"', 'name'),
            ('customers', '"Customer"', 'orgId'),
            ('half_connected', '"Integration"', 'rootInternalId'),
            ('names', '"Organization"', 'name'),
            ('permalinks', '"Post"', 'releaseURL'),
            ('refresh_tokens', '"Integration"', 'refreshToken'),
            ('subscriptions', '"Subscription"', 'organizationId'),
            ('subscriptions', '"Subscription"', 'subscriptionTier'),
            ('subscriptions', '"Subscription"', 'deletedAt')
    ) AS needed (part, relation, name)
    GROUP BY part
    HAVING bool_and(coalesce((
        SELECT has_column_privilege(attrelid, attnum, 'SELECT')
        FROM pg_attribute
        WHERE attrelid = to_regclass(relation) AND attname = name::name AND NOT attisdropped
    ), false))
"""

_FROM: LiteralString = """
    FROM "Integration" AS integration
    JOIN "Organization" AS organization ON organization."id" = integration."organizationId"
"""

_ACTIVE: LiteralString = f"""
    (%(organization_id)s::text IS NULL OR integration."organizationId" = %(organization_id)s::text)
      AND (%(customer_id)s::text IS NULL OR {{of_customer}})
      AND (%(integration_ids)s::text[] IS NULL OR integration."id" = ANY (%(integration_ids)s::text[]))
      AND {_LEFT_OUT} IS NULL
"""

_ORGANIZATIONS: LiteralString = 'SELECT "id", "name" FROM "Organization" WHERE "id" = ANY (%s::text[])'

_COUNT: LiteralString = f"SELECT count(*) {_FROM} WHERE {_ACTIVE}"

#: Postiz's subscriptions by their price, the highest first.
TIERS = ("ULTIMATE", "PRO", "TEAM", "STANDARD")

# Organization -> its place in TIERS. A tier that is not in it counts as the last: it is paid for.
_SUBSCRIBED: LiteralString = """
    SELECT "organizationId", min(
        coalesce(array_position(%(tiers)s::text[], "subscriptionTier"::text), cardinality(%(tiers)s::text[]))
    ) AS tier
    FROM "Subscription"
    WHERE "deletedAt" IS NULL
    GROUP BY "organizationId"
"""
_NO_SUBSCRIBED: LiteralString = """SELECT NULL::text AS "organizationId", NULL::integer AS tier"""

# The higher tiers come first, organizations without a subscription last. {subscribed} is _SUBSCRIBED, see
# _readable(). COLLATE "C": the same order in every database and in Python.
_PAGE: LiteralString = f"""
    SELECT *
    FROM (
        SELECT coalesce(subscribed.tier, cardinality(%(tiers)s::text[]) + 1) AS tier, integration."id" AS id,
            integration."name", integration."organizationId", integration."providerIdentifier"
        {_FROM}
        LEFT JOIN ({{subscribed}}) AS subscribed ON subscribed."organizationId" = organization."id"
        WHERE {_ACTIVE}
    ) AS active
    WHERE (tier, id COLLATE "C") > (%(after_tier)s, %(after)s)
    ORDER BY tier, id COLLATE "C"
    LIMIT %(page_size)s
"""

_STATES: LiteralString = f"""
    SELECT integration."id", integration."organizationId",
        %(customer_id)s::text IS NULL OR {{of_customer}}, {_LEFT_OUT}
    {_FROM}
    WHERE integration."id" = ANY (%(integration_ids)s::text[])
"""

_COUNTS: LiteralString = f"""
    SELECT reason, count(*)
    FROM (SELECT {_LEFT_OUT} AS reason {_FROM}) AS integrations
    WHERE reason IS NOT NULL
    GROUP BY reason
    ORDER BY reason
"""

_OF_PROVIDERS: LiteralString = f"""
    SELECT DISTINCT integration."providerIdentifier", {_LEFT_OUT}
    {_FROM}
    WHERE {_LEFT_OUT} IN ('no_connection', 'no_refresh_token_grant')
"""

_ACCOUNTS: LiteralString = f"""
    SELECT integration."id", integration."providerIdentifier", integration."internalId", integration."token"
    {_FROM}
    WHERE integration."id" = ANY (%(integration_ids)s::text[])
      AND {_LEFT_OUT} IS NULL
"""

# Postiz shows a customer that is marked as deleted as long as a channel has it, and so does this package.
_CUSTOMERS: LiteralString = """
    SELECT integration."id", customer."id", customer."name"
    FROM "Integration" AS integration
    JOIN "Customer" AS customer
        ON customer."id" = integration."customerId" AND customer."orgId" = integration."organizationId"
    WHERE integration."id" = ANY (%s::text[])
"""
_CUSTOMER: LiteralString = """
    SELECT customer."orgId", organization."deletedAt" IS NOT NULL
    FROM "Customer" AS customer JOIN "Organization" AS organization ON organization."id" = customer."orgId"
    WHERE customer."id" = %s
"""

# A time in the future is a mistake. Postiz writes UTC, without a zone.
_DELETED_CHANNELS: LiteralString = f"""
    SELECT integration."id", coalesce(
        least(integration."deletedAt", organization."deletedAt") <= clock_timestamp() AT TIME ZONE 'UTC',
        false
    )
    {_FROM}
    WHERE integration."id" = ANY (%s::text[])
"""
_DELETED_ORGANIZATIONS: LiteralString = """
    SELECT "id", coalesce("deletedAt" <= clock_timestamp() AT TIME ZONE 'UTC', false)
    FROM "Organization"
    WHERE "id" = ANY (%s::text[])
"""

# Served by Postiz's index on "integrationId". A comment is a post with a parent. {code} is _CODE_IN_URL: if
# Postiz missed a network's answer, its release id is another one, and only the permalink tells the post.
_POSTS: LiteralString = """
    SELECT DISTINCT ON (known.name) known.name, "id"
    FROM "Post", unnest(ARRAY["releaseId", {code}]) AS known (name)
    WHERE "integrationId" = %(integration_id)s
      AND known.name = ANY (%(release_ids)s::text[])
      AND "releaseId" <> 'missing'
      AND "state" = 'PUBLISHED'
      AND "deletedAt" IS NULL
      AND "parentPostId" IS NULL
    ORDER BY known.name, known.name = "releaseId" DESC, "id" COLLATE "C"
"""
_CODE_IN_URL: LiteralString = """substring("releaseURL" from '/([^/?#]+)/?([?#].*)?$')"""


def may_read(postiz: Database) -> Set[str]:
    """The parts that this role may read: ``customers``, ``half_connected`` (whether an account was chosen),
    ``names`` (of organizations), ``permalinks`` (of posts), ``refresh_tokens``, ``subscriptions``.
    """
    return {part for (part,) in postiz.execute(_MAY_READ)}


def active_integrations(
    postiz: Database,
    identifiers: Mapping[str, str],
    *,
    organization_id: str | None = None,
    customer_id: str | None = None,
    integration_ids: Sequence[str] | None = None,
    not_read: Mapping[str, str] | None = None,
    page_size: int = 1000,
) -> Iterator[list[Integration]]:
    """Every active integration, at most ``page_size`` at a time.

    Sorted by the tier of its organization's subscription (:data:`TIERS`), then by id. Only by id if this role
    may not read subscriptions.

    :param organization_id: only this organization's; ``None`` does not narrow.
    :param customer_id: only this customer's; ``None`` does not narrow.
    :param integration_ids: only these; ``None`` does not narrow, an empty sequence leaves nothing.
    :param not_read: identifiers that are left out here, and the reason.
    """
    may = may_read(postiz)
    narrowed = _active(postiz, may, identifiers, organization_id, customer_id, integration_ids, not_read)
    after_tier, after = 0, ""
    query = _readable(may, _PAGE)
    while True:
        rows = postiz.execute(
            query,
            narrowed
            | {"tiers": list(TIERS), "after_tier": after_tier, "after": after, "page_size": page_size},
        ).fetchall()
        if rows:
            yield [
                Integration(id_, name, owner, identifiers[identifier])
                for _, id_, name, owner, identifier in rows
            ]
            after_tier, after = rows[-1][:2]
        if len(rows) < page_size:
            return


def organization_names(postiz: Database, ids: Iterable[str]) -> dict[str, str]:
    """Organization id -> name, for display only; empty if this role may not read names."""
    if "names" not in may_read(postiz):
        return {}
    return dict(postiz.execute(_ORGANIZATIONS, [list(ids)]).fetchall())


def customers(postiz: Database, integration_ids: Iterable[str]) -> dict[str, Customer]:
    """Integration id -> its customer. Without one it is absent; empty if this role may not read customers."""
    if "customers" not in may_read(postiz):
        return {}
    rows = postiz.execute(_CUSTOMERS, [list(integration_ids)])
    return {integration_id: Customer(id_, name) for integration_id, id_, name in rows}


def deleted_channels(postiz: Database, integration_ids: Sequence[str]) -> dict[str, bool]:
    """Integration id -> whether Postiz has deleted it or its organization.

    Ids that Postiz does not have are absent: their rows are gone, or were not readable. That tells nothing.
    """
    return dict(postiz.execute(_DELETED_CHANNELS, [list(integration_ids)]).fetchall())


def deleted_organizations(postiz: Database, ids: Sequence[str]) -> dict[str, bool]:
    """Organization id -> whether Postiz has deleted it. Ids that Postiz does not have are absent."""
    return dict(postiz.execute(_DELETED_ORGANIZATIONS, [list(ids)]).fetchall())


def count_active(
    postiz: Database,
    identifiers: Mapping[str, str],
    *,
    organization_id: str | None = None,
    customer_id: str | None = None,
    integration_ids: Sequence[str] | None = None,
    not_read: Mapping[str, str] | None = None,
) -> int:
    """How many integrations :func:`active_integrations` returns, if both run in one snapshot."""
    may = may_read(postiz)
    row = postiz.execute(
        _readable(may, _COUNT),
        _active(postiz, may, identifiers, organization_id, customer_id, integration_ids, not_read),
    ).fetchone()
    assert row is not None  # noqa: S101 - count() has one row
    return int(row[0])


def require_known(
    postiz: Database,
    identifiers: Mapping[str, str],
    *,
    organization_id: str | None = None,
    customer_id: str | None = None,
    integration_ids: Sequence[str] | None = None,
    not_read: Mapping[str, str] | None = None,
) -> None:
    """Check that what a run is narrowed to exists and is active.

    :raises JobError: ``config_invalid``, naming every id that does not fit, and why; also for a customer if
        this role may not read customers.
    """
    faults: list[str] = []
    if organization_id is not None:
        organization = postiz.execute(
            'SELECT "deletedAt" IS NOT NULL FROM "Organization" WHERE "id" = %s', [organization_id]
        ).fetchone()
        if organization is None:
            faults.append(f"organization_id {organization_id!r} is unknown")
        elif organization[0]:
            faults.append(f"organization_id {organization_id!r} is deleted")
    if customer_id is not None and not faults:
        fault = _fault_of_customer(postiz, customer_id, organization_id)
        if fault is not None:
            faults.append(f"customer_id {customer_id!r} is {fault}")
    if integration_ids is not None and not faults:
        states = _states(postiz, integration_ids, identifiers, customer_id, not_read)
        for integration_id in integration_ids:
            owner, is_customers, reason = states.get(integration_id, (None, False, "unknown"))
            if reason is None and organization_id is not None and owner != organization_id:
                reason = f"not one of organization {organization_id!r}"
            if reason is None and not is_customers:
                reason = f"not one of customer {customer_id!r}"
            if reason is not None:
                faults.append(f"integration_ids {integration_id!r} is {reason}")
    if faults:
        raise JobError(ErrorCode.CONFIG_INVALID, f"Not active in Postiz: {'; '.join(faults)}.")


def _fault_of_customer(postiz: Database, customer_id: str, organization_id: str | None) -> str | None:
    """Why a run cannot be narrowed to a customer, of an organization that is known to be active."""
    if "customers" not in may_read(postiz):
        raise JobError(
            ErrorCode.CONFIG_INVALID,
            "A run can be narrowed to a customer_id only if the role of 'postiz_db' may read customers: "
            "give it the rights that postiz_reader.sql gives a new role.",
        )
    found = postiz.execute(_CUSTOMER, [customer_id]).fetchone()
    if found is None:
        return "unknown"
    owner, organization_deleted = found
    if organization_id is not None and owner != organization_id:
        return f"not one of organization {organization_id!r}"
    return "organization_deleted" if organization_deleted else None


def inactive_reasons(
    postiz: Database, integration_ids: Sequence[str], identifiers: Mapping[str, str]
) -> dict[str, str]:
    """Why ids are not active: a reason as in :func:`left_out`, or ``unknown``. Active ids are absent."""
    states = _states(postiz, integration_ids, identifiers)
    reasons = {id_: states[id_][-1] if id_ in states else "unknown" for id_ in integration_ids}
    return {id_: reason for id_, reason in reasons.items() if reason is not None}


def left_out(
    postiz: Database, identifiers: Mapping[str, str], not_read: Mapping[str, str] | None = None
) -> dict[str, int]:
    """How many integrations are not active, by reason. Each counts for its first reason.

    The reasons, in this order: ``deleted``, ``organization_deleted``, ``not_social``, ``no_connector``,
    what ``not_read`` says of the identifier, ``no_refresh_token_grant`` (this role may not read the refresh
    tokens that the provider needs), ``disabled``, ``in_between_steps`` (no account is chosen yet),
    ``refresh_needed`` (to be reconnected). A reason that applies to no integration is absent.
    """
    may = may_read(postiz)
    parameters = _known(postiz, may, identifiers, not_read)
    return dict(postiz.execute(_readable(may, _COUNTS), parameters).fetchall())


def providers_left_out(
    postiz: Database, identifiers: Mapping[str, str], not_read: Mapping[str, str]
) -> set[tuple[str, str]]:
    """The providers that have channels which are left out for want of a connection or a grant.

    :returns: names, each with ``no_connection`` or ``no_refresh_token_grant``.
    """
    may = may_read(postiz)
    rows = postiz.execute(_readable(may, _OF_PROVIDERS), _known(postiz, may, identifiers, not_read))
    return {(identifiers[identifier], reason) for identifier, reason in rows}


def accounts(
    postiz: Database,
    integration_ids: Sequence[str],
    identifiers: Mapping[str, str],
    *,
    may: Set[str],
    mask: Callable[[list[str]], object],
) -> dict[str, Account]:
    """The accounts of the ids that are active now. Only this function reads tokens: the access token, and the
    refresh token of a provider that declares a ``token_address``.

    An unusable token, such as an empty one, is returned like any other: the reading reports it.

    :param may: what :func:`may_read` has returned.
    :param mask: called with the tokens and each secret in them as soon as they are read, to keep them out
        of logs. The accounts keep it.
    """
    rows = postiz.execute(
        _readable(may, _ACCOUNTS),
        _known(postiz, may, identifiers) | {"integration_ids": list(integration_ids)},
    ).fetchall()
    refresh_tokens = _refresh_tokens(
        postiz, may, {id_: identifiers[identifier] for id_, identifier, _, _ in rows}
    )
    tokens = [token for _, _, _, token in rows] + [one for one in refresh_tokens.values() if one]
    # Before anything else sees them.
    mask(tokens)
    secrets = {
        id_: provider_named(identifiers[identifier]).secrets(token) for id_, identifier, _, token in rows
    }
    if parts := {part for each in secrets.values() for part in each}.difference(tokens):
        mask(sorted(parts))
    return {
        id_: Account(
            id_, identifier, account_id, secrets[id_], refresh_token=refresh_tokens.get(id_, ""), mask=mask
        )
        for id_, identifier, account_id, _ in rows
    }


def published_posts(
    postiz: Database, integration_id: str, release_ids: Sequence[str], *, by_permalink: bool
) -> dict[str, str]:
    """Release id -> Postiz's post id, for the posts that Postiz published through the integration.

    If several posts have the same release id, the one whose id sorts first counts.

    :param by_permalink: the code that ends a permalink counts as a release id, too
        (``permalinks`` of :func:`may_read`).
    """
    code = _CODE_IN_URL if by_permalink else "NULL"
    return dict(
        postiz.execute(
            sql.SQL(_POSTS).format(code=sql.SQL(code)),
            {"integration_id": integration_id, "release_ids": list(release_ids)},
        ).fetchall()
    )


def _refresh_tokens(postiz: Database, may: Set[str], names: Mapping[str, str]) -> dict[str, str]:
    """Id -> refresh token, of the integrations whose provider needs one. It may be empty.

    :param names: id -> the provider's name.
    """
    found: dict[str, str] = {}
    for name in sorted(set(names.values())):
        query = _refresh_token_query(postiz, may, name) if provider_named(name).token_address else None
        if query is not None:
            ids = [id_ for id_, of_provider in names.items() if of_provider == name]
            found |= {id_: token or "" for id_, token in postiz.execute(query, [ids])}
    return found


def _refresh_token_query(postiz: Database, may: Set[str], name: str) -> sql.Composable | None:
    """The query for the refresh tokens of a provider's integrations, by their ids; None if there is no grant.

    A role that may read the column reads it. Else the script ``postiz_reader_<name>.sql`` has made a function
    that gives it the tokens of this one provider.
    """
    if "refresh_tokens" in may:
        return sql.SQL(_REFRESH_TOKENS)
    function = f"{name}_refresh_tokens"
    [(may_call,)] = postiz.execute(_MAY_CALL, [function]).fetchall()
    if may_call:
        return sql.SQL(_GRANTED_REFRESH_TOKENS).format(sql.Identifier(function))
    return None


def _known(
    postiz: Database, may: Set[str], identifiers: Mapping[str, str], not_read: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """The parameters of ``_LEFT_OUT``. Its ``not_read`` also has what this role may not read."""
    without_grant = [
        identifier
        for provider in providers().values()
        if provider.token_address and _refresh_token_query(postiz, may, provider.name) is None
        for identifier in provider.identifiers
    ]
    return {
        "identifiers": list(identifiers),
        "in_two_steps": two_step_identifiers(),
        "not_read": Json(dict.fromkeys(without_grant, "no_refresh_token_grant") | dict(not_read or {})),
    }


def _readable(may: Set[str], query: LiteralString) -> sql.Composed:
    """A query as this role can run it: where it may not read what a part needs, it goes on without."""
    return sql.SQL(query).format(
        half_connected=sql.SQL(_HALF_CONNECTED if "half_connected" in may else "false"),
        of_customer=sql.SQL(_OF_CUSTOMER if "customers" in may else "false"),
        subscribed=sql.SQL(_SUBSCRIBED if "subscriptions" in may else _NO_SUBSCRIBED),
    )


def _active(
    postiz: Database,
    may: Set[str],
    identifiers: Mapping[str, str],
    organization_id: str | None,
    customer_id: str | None,
    integration_ids: Sequence[str] | None,
    not_read: Mapping[str, str] | None,
) -> dict[str, Any]:
    """The parameters of ``_ACTIVE``."""
    return _known(postiz, may, identifiers, not_read) | {
        "organization_id": organization_id,
        "customer_id": customer_id,
        "integration_ids": None if integration_ids is None else list(integration_ids),
    }


def _states(
    postiz: Database,
    integration_ids: Sequence[str],
    identifiers: Mapping[str, str],
    customer_id: str | None = None,
    not_read: Mapping[str, str] | None = None,
) -> dict[str, tuple[str, bool, str | None]]:
    """Id -> organization, whether it is the customer's, and reason to be left out.

    Ids that Postiz does not have are absent.

    :param customer_id: ``None`` does not narrow.
    """
    may = may_read(postiz)
    rows = postiz.execute(
        _readable(may, _STATES),
        _known(postiz, may, identifiers, not_read)
        | {"integration_ids": list(integration_ids), "customer_id": customer_id},
    )
    return {id_: tuple(rest) for id_, *rest in rows}
