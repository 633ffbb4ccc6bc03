"""Reads Postiz: its integrations, their tokens, and the posts that it published.

The caller opens the database, read-only. Only the columns that are named here are read. Names are Prisma's:
they are case-sensitive, so they need quotes. ``identifiers`` says which integrations this package can read:
Postiz's ``providerIdentifier`` -> the provider's name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, LiteralString

from psycopg import sql
from psycopg.types.json import Json

from include.social_analytics.connectors import provider_named, providers, two_step_identifiers
from include.social_analytics.connectors.base import Account
from include.social_analytics.databases import Database
from include.social_analytics.errors import ErrorCode, JobError
from include.social_analytics.jobs import Integration

# The first reason why an integration is left out; NULL when it is active. The order: what is deleted, what
# this package cannot read, what the channel's owner can change. "tokenExpiration" is not a reason for any
# provider: the stored token may work longer, or may have become invalid long before.
# {half_connected} is _HALF_CONNECTED, see _with_reasons(). not_read: see _known().
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
# Whether this role may read a column of "Integration". Postiz may not have it.
_MAY_READ: LiteralString = """
    SELECT EXISTS (
        SELECT FROM pg_attribute
        WHERE attrelid = '"Integration"'::regclass AND attname = %s AND NOT attisdropped
          AND has_column_privilege(attrelid, attnum, 'SELECT')
    )
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
_FROM: LiteralString = """
    FROM "Integration" AS integration
    JOIN "Organization" AS organization ON organization."id" = integration."organizationId"
"""

_ACTIVE: LiteralString = f"""
    (%(organization_id)s::text IS NULL OR integration."organizationId" = %(organization_id)s::text)
      AND (%(integration_ids)s::text[] IS NULL OR integration."id" = ANY (%(integration_ids)s::text[]))
      AND {_LEFT_OUT} IS NULL
"""

_MAY_READ_NAMES: LiteralString = """SELECT has_column_privilege('"Organization"', 'name', 'SELECT')"""
_ORGANIZATIONS: LiteralString = 'SELECT "id", "name" FROM "Organization" WHERE "id" = ANY (%s::text[])'

_COUNT: LiteralString = f"SELECT count(*) {_FROM} WHERE {_ACTIVE}"

# COLLATE "C": the same order in every database and in Python.
_PAGE: LiteralString = f"""
    SELECT integration."id", integration."name",
        integration."organizationId", integration."providerIdentifier"
    {_FROM}
    WHERE integration."id" COLLATE "C" > %(after)s
      AND {_ACTIVE}
    ORDER BY integration."id" COLLATE "C"
    LIMIT %(page_size)s
"""

_STATES: LiteralString = f"""
    SELECT integration."id", integration."organizationId", {_LEFT_OUT}
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

_ACCOUNTS: LiteralString = f"""
    SELECT integration."id", integration."providerIdentifier", integration."internalId", integration."token"
    {_FROM}
    WHERE integration."id" = ANY (%(integration_ids)s::text[])
      AND {_LEFT_OUT} IS NULL
"""

# Served by Postiz's index on "integrationId". A comment is a post with a parent.
_POSTS: LiteralString = """
    SELECT DISTINCT ON ("releaseId") "releaseId", "id"
    FROM "Post"
    WHERE "integrationId" = %(integration_id)s
      AND "releaseId" = ANY (%(release_ids)s::text[])
      AND "releaseId" <> 'missing'
      AND "state" = 'PUBLISHED'
      AND "deletedAt" IS NULL
      AND "parentPostId" IS NULL
    ORDER BY "releaseId", "id" COLLATE "C"
"""


def active_integrations(
    postiz: Database,
    identifiers: Mapping[str, str],
    *,
    organization_id: str | None = None,
    integration_ids: Sequence[str] | None = None,
    not_read: Mapping[str, str] | None = None,
    page_size: int = 1000,
) -> Iterator[list[Integration]]:
    """Every active integration, sorted by id, at most ``page_size`` at a time.

    :param organization_id: only this organization's; ``None`` does not narrow.
    :param integration_ids: only these; ``None`` does not narrow, an empty sequence leaves nothing.
    :param not_read: identifiers that are left out here, and the reason.
    """
    after = ""
    query = _with_reasons(postiz, _PAGE)
    parameters = _active(postiz, identifiers, organization_id, integration_ids, not_read)
    while True:
        rows = postiz.execute(query, parameters | {"after": after, "page_size": page_size}).fetchall()
        if rows:
            yield [
                Integration(id_, name, owner, identifiers[identifier])
                for id_, name, owner, identifier in rows
            ]
            after = rows[-1][0]
        if len(rows) < page_size:
            return


def organization_names(postiz: Database, ids: Iterable[str]) -> dict[str, str]:
    """Organization id -> name, for display only; empty if this role may not read names."""
    row = postiz.execute(_MAY_READ_NAMES).fetchone()
    assert row is not None  # noqa: S101 - a SELECT without FROM has one row
    return dict(postiz.execute(_ORGANIZATIONS, [list(ids)]).fetchall()) if row[0] else {}


def count_active(
    postiz: Database,
    identifiers: Mapping[str, str],
    *,
    organization_id: str | None = None,
    integration_ids: Sequence[str] | None = None,
    not_read: Mapping[str, str] | None = None,
) -> int:
    """How many integrations :func:`active_integrations` returns, if both run in one snapshot."""
    query = _with_reasons(postiz, _COUNT)
    row = postiz.execute(
        query, _active(postiz, identifiers, organization_id, integration_ids, not_read)
    ).fetchone()
    assert row is not None  # noqa: S101 - count() has one row
    return int(row[0])


def require_known(
    postiz: Database,
    identifiers: Mapping[str, str],
    *,
    organization_id: str | None = None,
    integration_ids: Sequence[str] | None = None,
    not_read: Mapping[str, str] | None = None,
) -> None:
    """Check that what a run is narrowed to exists and is active.

    :raises JobError: ``config_invalid``, naming every id that does not fit, and why.
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
    if integration_ids is not None and not faults:
        states = _states(postiz, integration_ids, identifiers, not_read)
        for integration_id in integration_ids:
            owner, reason = states.get(integration_id, (None, "unknown"))
            if reason is None and organization_id is not None and owner != organization_id:
                reason = f"not one of organization {organization_id!r}"
            if reason is not None:
                faults.append(f"integration_ids {integration_id!r} is {reason}")
    if faults:
        raise JobError(ErrorCode.CONFIG_INVALID, f"Not active in Postiz: {'; '.join(faults)}.")


def inactive_reasons(
    postiz: Database, integration_ids: Sequence[str], identifiers: Mapping[str, str]
) -> dict[str, str]:
    """Why ids are not active: a reason as in :func:`left_out`, or ``unknown``. Active ids are absent."""
    states = _states(postiz, integration_ids, identifiers)
    reasons = {id_: states[id_][1] if id_ in states else "unknown" for id_ in integration_ids}
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
    parameters = _known(postiz, identifiers, not_read)
    return dict(postiz.execute(_with_reasons(postiz, _COUNTS), parameters).fetchall())


def accounts(
    postiz: Database,
    integration_ids: Sequence[str],
    identifiers: Mapping[str, str],
    *,
    mask: Callable[[list[str]], object],
) -> dict[str, Account]:
    """The accounts of the ids that are active now. Only this function reads tokens: the access token, and the
    refresh token of a provider that declares a ``token_address``.

    An unusable token, such as an empty one, is returned like any other: the reading reports it.

    :param mask: called with the tokens and each secret in them as soon as they are read, to keep them out
        of logs. The accounts keep it.
    """
    rows = postiz.execute(
        _with_reasons(postiz, _ACCOUNTS),
        _known(postiz, identifiers) | {"integration_ids": list(integration_ids)},
    ).fetchall()
    refresh_tokens = _refresh_tokens(postiz, {id_: identifiers[identifier] for id_, identifier, _, _ in rows})
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


def published_posts(postiz: Database, integration_id: str, release_ids: Sequence[str]) -> dict[str, str]:
    """Release id -> Postiz's post id, for the posts that Postiz published through the integration.

    If several posts have the same release id, the one whose id sorts first counts.
    """
    return dict(
        postiz.execute(
            _POSTS, {"integration_id": integration_id, "release_ids": list(release_ids)}
        ).fetchall()
    )


def _refresh_tokens(postiz: Database, names: Mapping[str, str]) -> dict[str, str]:
    """Id -> refresh token, of the integrations whose provider needs one. It may be empty.

    :param names: id -> the provider's name.
    """
    found: dict[str, str] = {}
    for name in sorted(set(names.values())):
        query = _refresh_token_query(postiz, name) if provider_named(name).token_address else None
        if query is not None:
            ids = [id_ for id_, of_provider in names.items() if of_provider == name]
            found |= {id_: token or "" for id_, token in postiz.execute(query, [ids])}
    return found


def _refresh_token_query(postiz: Database, name: str) -> sql.Composable | None:
    """The query for the refresh tokens of a provider's integrations, by their ids; None if there is no grant.

    A role that may read the column reads it. Else the script ``postiz_reader_<name>.sql`` has made a function
    that gives it the tokens of this one provider.
    """
    if _is_true(postiz, _MAY_READ, "refreshToken"):
        return sql.SQL(_REFRESH_TOKENS)
    function = f"{name}_refresh_tokens"
    if _is_true(postiz, _MAY_CALL, function):
        return sql.SQL(_GRANTED_REFRESH_TOKENS).format(sql.Identifier(function))
    return None


def _known(
    postiz: Database, identifiers: Mapping[str, str], not_read: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """The parameters of ``_LEFT_OUT``. Its ``not_read`` also has what this role may not read."""
    without_grant = [
        identifier
        for provider in providers().values()
        if provider.token_address and _refresh_token_query(postiz, provider.name) is None
        for identifier in provider.identifiers
    ]
    return {
        "identifiers": list(identifiers),
        "in_two_steps": two_step_identifiers(),
        "not_read": Json(dict.fromkeys(without_grant, "no_refresh_token_grant") | dict(not_read or {})),
    }


def _is_true(postiz: Database, query: LiteralString, name: str) -> bool:
    row = postiz.execute(query, [name]).fetchone()
    assert row is not None  # noqa: S101 - a SELECT without FROM has one row
    return bool(row[0])


def _with_reasons(postiz: Database, query: LiteralString) -> sql.Composed:
    """A query with ``_LEFT_OUT`` in it, as this role can run it."""
    # A role made by an older postiz_reader.sql may not read the column.
    may_read = _is_true(postiz, _MAY_READ, "rootInternalId")
    return sql.SQL(query).format(half_connected=sql.SQL(_HALF_CONNECTED if may_read else "false"))


def _active(
    postiz: Database,
    identifiers: Mapping[str, str],
    organization_id: str | None,
    integration_ids: Sequence[str] | None,
    not_read: Mapping[str, str] | None,
) -> dict[str, Any]:
    """The parameters of ``_ACTIVE``."""
    return _known(postiz, identifiers, not_read) | {
        "organization_id": organization_id,
        "integration_ids": None if integration_ids is None else list(integration_ids),
    }


def _states(
    postiz: Database,
    integration_ids: Sequence[str],
    identifiers: Mapping[str, str],
    not_read: Mapping[str, str] | None = None,
) -> dict[str, tuple[str, str | None]]:
    """Id -> organization, and reason to be left out. Ids that Postiz does not have are absent."""
    rows = postiz.execute(
        _with_reasons(postiz, _STATES),
        _known(postiz, identifiers, not_read) | {"integration_ids": list(integration_ids)},
    )
    return {id_: (organization_id, reason) for id_, organization_id, reason in rows}
