"""Which integrations a run ingests, and how they are dealt out over mapped tasks."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from itertools import islice
from math import ceil
from typing import TypedDict

from include.social_analytics.jobs import Integration

#: Airflow keeps 250 characters of a mapped instance's label; a longer name tells nobody more.
_NAME_LENGTH = 120

#: Integrations that a task takes at least where one each would be too many tasks. A task costs 260 ms of a
#: core before its first call, an integration some 15; and Airflow's masking of tokens grows with the square
#: of their number in a task (10 ms each in a batch of 50, 30 in one of 150). Measured, the sum is lowest
#: between 20 and 50.
SMALLEST_BATCH = 25

#: And fewer than that before there are fewer tasks than run at once.
FEWEST_TASKS = 16


class Batch(TypedDict):
    """What one mapped ingest task works on; the label is shown in the UI.

    ``integrations`` is JSON: a list of [id, name, organization id, provider]. Each mapped task is handed the
    list of all batches, and Airflow takes ten times as long over that many lists as over their text.
    """

    label: str
    integrations: str


def deal_out(integrations: Iterable[Integration], count: int, most: int) -> list[Batch]:
    """One integration each, or at most ``most`` batches of equal size (the last may be smaller), in order.

    :param count: how many there are.
    """
    size = 1
    if count > most:
        size = max(ceil(count / most), min(SMALLEST_BATCH, ceil(count / FEWEST_TASKS)))
    left = iter(integrations)
    batches = []
    while members := list(islice(left, size)):
        batches.append(_batch(members))
    return batches


def integrations_of(batch: Batch) -> list[Integration]:
    """The integrations of a batch, in its order."""
    return [Integration(*row) for row in json.loads(batch["integrations"])]


def _batch(members: Sequence[Integration]) -> Batch:
    rows = [(one.id, one.name[:_NAME_LENGTH], one.organization_id, one.provider) for one in members]
    label = rows[0][1]
    if len(members) > 1:
        label = f"{len(members)} integrations from {label}"
    return {"label": label, "integrations": json.dumps(rows, ensure_ascii=False)}
