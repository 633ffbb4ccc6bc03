"""Which integrations a run ingests, and how they are dealt out over mapped tasks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

import structlog

from include.social_analytics.jobs import Integration

log = structlog.get_logger(__name__)

#: Airflow keeps 250 characters of a mapped instance's label; a longer name tells nobody more.
_NAME_LENGTH = 120


class IntegrationRow(TypedDict):
    """An :class:`~include.social_analytics.jobs.Integration` as it crosses XCom."""

    id: str
    name: str
    organization_id: str
    provider: str


class Batch(TypedDict):
    """What one mapped ingest task works on; the label is shown in the UI."""

    label: str
    integrations: list[IntegrationRow]


def deal_out(integrations: Sequence[Integration], most: int) -> list[Batch]:
    """At most ``most`` batches of equal size (the last may be smaller), in the given order."""
    size = max(1, -(-len(integrations) // most))
    return [_batch(integrations[start : start + size]) for start in range(0, len(integrations), size)]


def integrations_of(batch: Batch) -> list[Integration]:
    """The integrations of a batch, in its order."""
    return [Integration(**row) for row in batch["integrations"]]


def _batch(members: Sequence[Integration]) -> Batch:
    rows: list[IntegrationRow] = [
        {
            "id": one.id,
            "name": one.name[:_NAME_LENGTH],
            "organization_id": one.organization_id,
            "provider": one.provider,
        }
        for one in members
    ]
    label = rows[0]["name"]
    if len(members) > 1:
        label = f"{len(members)} integrations from {label}"
    return {"label": label, "integrations": rows}
