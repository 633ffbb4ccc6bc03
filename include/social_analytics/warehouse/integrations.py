"""The integrations: their names, for people, and whose past was read.

Each listing writes them, and an erasure empties them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from include.social_analytics.databases import Database
from include.social_analytics.jobs import Customer, Integration

#: A past that cannot be read is asked for by so many days' runs.
HISTORY_TRIES = 7

#: Longer names are cut.
NAME_MAX_LENGTH = 300

# In a fixed order, so that two listings cannot deadlock. expected_from stays what the first listing said: a
# later run for an earlier day tells nothing about the days between.
_REMEMBER = """
INSERT INTO analytics.integration AS known
    (integration_id, organization_id, customer_id, customer_name, provider, name, first_day, last_day,
     is_active, listed_at, expected_from)
SELECT integration_id, organization_id, customer_id, customer_name, provider, name, %(day)s, %(day)s, true,
       clock_timestamp(), %(expected_from)s
FROM unnest(%(ids)s::text[], %(organizations)s::text[], %(customer_ids)s::text[], %(customer_names)s::text[],
            %(providers)s::text[], %(names)s::text[])
     AS listed (integration_id, organization_id, customer_id, customer_name, provider, name)
ORDER BY integration_id
ON CONFLICT (integration_id) DO UPDATE
SET organization_id = excluded.organization_id, provider = excluded.provider, name = excluded.name,
    customer_id = excluded.customer_id, customer_name = excluded.customer_name,
    first_day = least(known.first_day, excluded.first_day),
    last_day = greatest(known.last_day, excluded.last_day),
    is_active = true, listed_at = excluded.listed_at, deleted_in_postiz_at = NULL, erased_at = NULL
"""

_NAME = """
INSERT INTO analytics.organization AS known
SELECT * FROM unnest(%(ids)s::text[], %(names)s::text[]) AS listed (organization_id, name)
ORDER BY organization_id
ON CONFLICT (organization_id) DO UPDATE SET name = excluded.name WHERE known.name <> excluded.name
"""

# Whose day was read, the least recently asked first. A task that asks at the same time gets others.
_CLAIM_HISTORY = """
UPDATE analytics.integration AS known
SET history_asked_on = %(day)s, history_tries = history_tries + 1
FROM (
    SELECT integration_id
    FROM analytics.integration
    WHERE history_read_at IS NULL AND is_active AND provider = ANY (%(providers)s)
      AND history_tries < %(tries)s AND coalesce(history_asked_on < %(day)s, true)
      AND EXISTS (
          SELECT
          -- By the primary key, as jobs.py makes it.
          FROM analytics.ingest_job
          WHERE job_id = 'analytics-ingest:' || integration.integration_id || ':'
                         || to_char(%(day)s::date, 'YYYY-MM-DD')
            AND status = ANY (%(statuses)s)
      )
    ORDER BY history_asked_on NULLS FIRST, integration_id
    LIMIT %(most)s
    FOR UPDATE SKIP LOCKED
) AS due
WHERE known.integration_id = due.integration_id
RETURNING known.integration_id, known.name, known.organization_id, known.provider
"""

_HISTORY_IS_READ = """
UPDATE analytics.integration
SET history_read_at = CASE WHEN %(is_complete)s THEN clock_timestamp() END,
    first_day = least(first_day, %(first)s), history_to_add_from = least(history_to_add_from, %(first)s)
WHERE integration_id = %(integration_id)s
"""

_HISTORY_WAITS = (
    "UPDATE analytics.integration SET history_tries = history_tries - 1 WHERE integration_id = %s"
)

_HISTORY_TO_ADD = """
SELECT integration_id, organization_id, history_to_add_from, last_day
FROM analytics.integration
WHERE history_to_add_from IS NOT NULL
"""

# If more of a channel's past was stored meanwhile, it is added by the next run.
_HISTORY_IS_ADDED = """
UPDATE analytics.integration AS known
SET history_to_add_from = NULL
FROM unnest(%(ids)s::text[], %(days)s::date[]) AS added (integration_id, day)
WHERE known.integration_id = added.integration_id AND known.history_to_add_from = added.day
"""

_UNERASED = """
SELECT integration_id
FROM analytics.integration
WHERE erased_at IS NULL AND (NOT is_active OR deleted_in_postiz_at IS NOT NULL)
ORDER BY integration_id
"""

_WITHOUT_CHANNELS = """
SELECT organization_id
FROM analytics.organization
WHERE deleted_in_postiz_at IS NOT NULL OR NOT EXISTS (
    SELECT
    FROM analytics.integration
    WHERE integration.organization_id = organization.organization_id AND is_active
)
ORDER BY organization_id
"""

# Only rows that change: this runs every day.
_MARK_CHANNELS = """
UPDATE analytics.integration AS known
SET deleted_in_postiz_at = CASE WHEN said.deleted THEN clock_timestamp() END
FROM unnest(%(ids)s::text[], %(deleted)s::boolean[]) AS said (id, deleted)
WHERE known.integration_id = said.id AND said.deleted <> (known.deleted_in_postiz_at IS NOT NULL)
"""
_MARK_ORGANIZATIONS = """
UPDATE analytics.organization AS known
SET deleted_in_postiz_at = CASE WHEN said.deleted THEN clock_timestamp() END
FROM unnest(%(ids)s::text[], %(deleted)s::boolean[]) AS said (id, deleted)
WHERE known.organization_id = said.id AND said.deleted <> (known.deleted_in_postiz_at IS NOT NULL)
"""

_DUE_CHANNELS = """
SELECT integration_id, (deleted_in_postiz_at AT TIME ZONE 'UTC')::date + %(days)s,
    deleted_in_postiz_at + make_interval(days => %(days)s) <= clock_timestamp()
FROM analytics.integration
WHERE integration_id = ANY (%(ids)s) AND deleted_in_postiz_at IS NOT NULL AND erased_at IS NULL
ORDER BY integration_id
"""
_DUE_ORGANIZATIONS = """
SELECT organization_id
FROM analytics.organization
WHERE organization_id = ANY (%(ids)s)
  AND deleted_in_postiz_at + make_interval(days => %(days)s) <= clock_timestamp()
ORDER BY organization_id
"""

# Without a name, an integration is shown by its id. One that a listing has found again meanwhile stays.
_FORGET = """
UPDATE analytics.integration
SET name = integration_id, customer_name = NULL, erased_at = clock_timestamp()
WHERE integration_id = ANY (%s) AND deleted_in_postiz_at IS NOT NULL AND erased_at IS NULL
RETURNING integration_id
"""

_RETIRE = "UPDATE analytics.integration SET is_active = false WHERE is_active AND listed_at < %s"


def clock(analytics: Database) -> datetime:
    """The database's clock, to be read before a listing."""
    row = analytics.execute("SELECT clock_timestamp()").fetchone()
    assert row is not None  # noqa: S101 - a SELECT without FROM has one row
    moment: datetime = row[0]
    return moment


def remember(
    analytics: Database,
    listed: Sequence[Integration],
    organizations: Mapping[str, str],
    day: date,
    expected_from: date,
    customers: Mapping[str, Customer] | None = None,
) -> None:
    """Store what was listed for ``day``.

    :param organizations: id -> name; one without a name is shown by its id.
    :param expected_from: from this day on, an integration that is new should have a job for each day.
    :param customers: of the integrations that have one, by the integration's id.
    """
    theirs = [(customers or {}).get(one.id) for one in listed]
    analytics.execute(
        _REMEMBER,
        {
            "day": day,
            "expected_from": expected_from,
            "ids": [one.id for one in listed],
            "organizations": [one.organization_id for one in listed],
            "customer_ids": [one.id if one else None for one in theirs],
            "customer_names": [one.name[:NAME_MAX_LENGTH] if one else None for one in theirs],
            "providers": [one.provider for one in listed],
            "names": [one.name[:NAME_MAX_LENGTH] for one in listed],
        },
    )
    analytics.execute(
        _NAME,
        {"ids": list(organizations), "names": [name[:NAME_MAX_LENGTH] for name in organizations.values()]},
    )


def retire(analytics: Database, listing_began: datetime) -> None:
    """After a listing of everything active, mark all others as inactive. By this database's clock."""
    analytics.execute(_RETIRE, [listing_began])


def claim_history(
    analytics: Database, day: date, providers: Sequence[str], statuses: Sequence[str], most: int
) -> list[Integration]:
    """Some active integrations whose past was not read yet, and whose ``day`` was.

    Each is returned to one caller, once for a day, and at most :data:`HISTORY_TRIES` times.

    :param statuses: of the day's jobs that were read.
    """
    rows = analytics.execute(
        _CLAIM_HISTORY,
        {
            "day": day,
            "tries": HISTORY_TRIES,
            "providers": list(providers),
            "statuses": list(statuses),
            "most": most,
        },
    )
    return [Integration(*row) for row in rows]


def history_is_read(
    analytics: Database, integration_id: str, first: date | None, *, is_complete: bool
) -> None:
    """Record what was stored of an integration's past. Part of the transaction that stores it.

    :param first: the earliest day that was stored.
    :param is_complete: whether the provider had all that it will have. If not, the next day's run asks again.
    """
    analytics.execute(
        _HISTORY_IS_READ,
        {"integration_id": integration_id, "first": first, "is_complete": is_complete},
    )


def history_waits(analytics: Database, integration_id: str) -> None:
    """Don't count a try that a spent quota has ended, or that did not begin in time."""
    analytics.execute(_HISTORY_WAITS, [integration_id])


@dataclass(frozen=True)
class HistoryToAdd:
    """An integration's past that is stored, but not in ``organization_daily`` yet."""

    integration_id: str
    organization_id: str
    first: date
    last: date


def history_to_add(analytics: Database) -> list[HistoryToAdd]:
    """Every integration's past that is to be added up."""
    return [HistoryToAdd(*row) for row in analytics.execute(_HISTORY_TO_ADD)]


def history_is_added(analytics: Database, added: Sequence[HistoryToAdd]) -> None:
    """Record that these days are in ``organization_daily``."""
    analytics.execute(
        _HISTORY_IS_ADDED,
        {"ids": [one.integration_id for one in added], "days": [one.first for one in added]},
    )


def unerased(analytics: Database) -> list[str]:
    """The integrations that may have to be erased: not active any more, or known to be deleted in Postiz."""
    return [id_ for (id_,) in analytics.execute(_UNERASED)]


def organizations_without_channels(analytics: Database) -> list[str]:
    """The organizations whose names may have to be erased."""
    return [id_ for (id_,) in analytics.execute(_WITHOUT_CHANNELS)]


def mark_deleted(
    analytics: Database, channels: Mapping[str, bool], organizations: Mapping[str, bool]
) -> None:
    """Note since when Postiz has deleted each, and stop the clock of those that are there again.

    :param channels: id -> whether it is deleted. Those that are not named stay as they are.
    """
    for statement, said in ((_MARK_CHANNELS, channels), (_MARK_ORGANIZATIONS, organizations)):
        analytics.execute(statement, {"ids": list(said), "deleted": list(said.values())})


@dataclass(frozen=True)
class ToErase:
    """An integration that Postiz has deleted: on which day it is to be erased, and whether it is time."""

    id: str
    day: date
    is_due: bool


def to_erase(analytics: Database, deleted: Sequence[str], after_days: int) -> list[ToErase]:
    """When to erase integrations that are deleted in Postiz. By this database's clock."""
    rows = analytics.execute(_DUE_CHANNELS, {"ids": list(deleted), "days": after_days})
    return [ToErase(*row) for row in rows]


def organizations_to_erase(analytics: Database, deleted: Sequence[str], after_days: int) -> list[str]:
    """Those of the organizations that are deleted in Postiz whose time is over."""
    rows = analytics.execute(_DUE_ORGANIZATIONS, {"ids": list(deleted), "days": after_days})
    return [id_ for (id_,) in rows]


def forget(analytics: Database, integration_ids: Sequence[str]) -> list[str]:
    """Empty the names of integrations that are deleted in Postiz. Part of the transaction that erases them.

    :returns: their ids.
    """
    return [id_ for (id_,) in analytics.execute(_FORGET, [list(integration_ids)])]


def forget_organizations(analytics: Database, ids: Sequence[str]) -> None:
    """Drop the names of organizations: from now on they are shown by their ids."""
    analytics.execute("DELETE FROM analytics.organization WHERE organization_id = ANY (%s)", [list(ids)])
