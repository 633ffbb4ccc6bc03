"""The integrations and their names, for people. Each listing writes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime

from include.social_analytics.databases import Database
from include.social_analytics.jobs import Customer, Integration

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
    is_active = true, listed_at = excluded.listed_at
"""

_NAME = """
INSERT INTO analytics.organization AS known
SELECT * FROM unnest(%(ids)s::text[], %(names)s::text[]) AS listed (organization_id, name)
ORDER BY organization_id
ON CONFLICT (organization_id) DO UPDATE SET name = excluded.name WHERE known.name <> excluded.name
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
