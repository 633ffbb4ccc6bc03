"""Reads Postiz: its integrations, their tokens, and the posts that it published.

The caller opens the database, read-only. Only the columns that are named here are read. Names are Prisma's:
they are case-sensitive, so they need quotes. ``identifiers`` says which integrations this package can read:
Postiz's ``providerIdentifier`` -> the provider's name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, LiteralString

from psycopg import sql

from include.social_analytics.connectors import provider_named, two_step_identifiers
from include.social_analytics.connectors.base import Account
from include.social_analytics.databases import Database
from include.social_analytics.errors import ErrorCode, JobError
from include.social_analytics.jobs import Integration

# The first reason why an integration is left out; NULL when it is active. The order: what is deleted, what
# this package cannot read, what the channel's owner can change. "tokenExpiration" is not a reason for any
# provider: the stored token may work longer, or may have become invalid long before.
# {half_connected} is _HALF_CONNECTED, see _with_reasons().
_LEFT_OUT: LiteralString = """
    CASE
        WHEN integration."deletedAt" IS NOT NULL THEN 'deleted'
        WHEN organization."deletedAt" IS NOT NULL THEN 'organization_deleted'
        WHEN integration."type" <> 'social' THEN 'not_social'
        WHEN integration."providerIdentifier" <> ALL (%(identifiers)s::text[]) THEN 'no_connector'
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
# A role made by an older postiz_reader.sql may not read the column, and Postiz may not have it.
_MAY_READ_ROOTS: LiteralString = """
    SELECT EXISTS (
        SELECT FROM pg_attribute
        WHERE attrelid = '"Integration"'::regclass AND attname = 'rootInternalId' AND NOT attisdropped
          AND has_column_privilege(attrelid, attnum, 'SELECT')
    )
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
# A role made by an older postiz_reader.sql may not.
_MAY_READ_URLS: LiteralString = """SELECT has_column_privilege('"Post"', 'releaseURL', 'SELECT')"""


def active_integrations(
    postiz: Database,
    identifiers: Mapping[str, str],
    *,
    organization_id: str | None = None,
    integration_ids: Sequence[str] | None = None,
    page_size: int = 1000,
) -> Iterator[list[Integration]]:
    """Every active integration, sorted by id, at most ``page_size`` at a time.

    :param organization_id: only this organization's; ``None`` does not narrow.
    :param integration_ids: only these; ``None`` does not narrow, an empty sequence leaves nothing.
    """
    after = ""
    query = _with_reasons(postiz, _PAGE)
    while True:
        rows = postiz.execute(
            query,
            _active(identifiers, organization_id, integration_ids) | {"after": after, "page_size": page_size},
        ).fetchall()
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
) -> int:
    """How many integrations :func:`active_integrations` returns, if both run in one snapshot."""
    query = _with_reasons(postiz, _COUNT)
    row = postiz.execute(query, _active(identifiers, organization_id, integration_ids)).fetchone()
    assert row is not None  # noqa: S101 - count() has one row
    return int(row[0])


def require_known(
    postiz: Database,
    identifiers: Mapping[str, str],
    *,
    organization_id: str | None = None,
    integration_ids: Sequence[str] | None = None,
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
        states = _states(postiz, integration_ids, identifiers)
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


def left_out(postiz: Database, identifiers: Mapping[str, str]) -> dict[str, int]:
    """How many integrations are not active, by reason. Each counts for its first reason.

    The reasons, in this order: ``deleted``, ``organization_deleted``, ``not_social``, ``no_connector``,
    ``disabled``, ``in_between_steps`` (no account is chosen yet), ``refresh_needed`` (to be reconnected).
    A reason that applies to no integration is absent.
    """
    return dict(postiz.execute(_with_reasons(postiz, _COUNTS), _known(identifiers)).fetchall())


def accounts(
    postiz: Database,
    integration_ids: Sequence[str],
    identifiers: Mapping[str, str],
    *,
    mask: Callable[[list[str]], object],
) -> dict[str, Account]:
    """The accounts of the ids that are active now. Only this function reads tokens.

    An unusable token, such as an empty one, is returned like any other: the reading reports it.

    :param mask: called with the tokens and each secret in them as soon as they are read, to keep them out
        of logs.
    """
    rows = postiz.execute(
        _with_reasons(postiz, _ACCOUNTS), _known(identifiers) | {"integration_ids": list(integration_ids)}
    ).fetchall()
    tokens = [token for _, _, _, token in rows]
    # Before anything else sees them.
    mask(tokens)
    secrets = {
        id_: provider_named(identifiers[identifier]).secrets(token) for id_, identifier, _, token in rows
    }
    if parts := {part for each in secrets.values() for part in each}.difference(tokens):
        mask(sorted(parts))
    return {
        id_: Account(id_, identifier, account_id, secrets[id_]) for id_, identifier, account_id, _ in rows
    }


def published_posts(postiz: Database, integration_id: str, release_ids: Sequence[str]) -> dict[str, str]:
    """Release id -> Postiz's post id, for the posts that Postiz published through the integration.

    The code that ends a permalink counts as a release id, too. If several posts have the same release id,
    the one whose id sorts first counts.
    """
    row = postiz.execute(_MAY_READ_URLS).fetchone()
    code = _CODE_IN_URL if row and row[0] else "NULL"
    return dict(
        postiz.execute(
            sql.SQL(_POSTS).format(code=sql.SQL(code)),
            {"integration_id": integration_id, "release_ids": list(release_ids)},
        ).fetchall()
    )


def _known(identifiers: Mapping[str, str]) -> dict[str, Any]:
    """The parameters of ``_LEFT_OUT``."""
    return {"identifiers": list(identifiers), "in_two_steps": two_step_identifiers()}


def _with_reasons(postiz: Database, query: LiteralString) -> sql.Composed:
    """A query with ``_LEFT_OUT`` in it, as this role can run it."""
    row = postiz.execute(_MAY_READ_ROOTS).fetchone()
    assert row is not None  # noqa: S101 - a SELECT without FROM has one row
    return sql.SQL(query).format(half_connected=sql.SQL(_HALF_CONNECTED if row[0] else "false"))


def _active(
    identifiers: Mapping[str, str], organization_id: str | None, integration_ids: Sequence[str] | None
) -> dict[str, Any]:
    """The parameters of ``_ACTIVE``."""
    return _known(identifiers) | {
        "organization_id": organization_id,
        "integration_ids": None if integration_ids is None else list(integration_ids),
    }


def _states(
    postiz: Database, integration_ids: Sequence[str], identifiers: Mapping[str, str]
) -> dict[str, tuple[str, str | None]]:
    """Id -> organization, and reason to be left out. Ids that Postiz does not have are absent."""
    rows = postiz.execute(
        _with_reasons(postiz, _STATES), _known(identifiers) | {"integration_ids": list(integration_ids)}
    )
    return {id_: (organization_id, reason) for id_, organization_id, reason in rows}
