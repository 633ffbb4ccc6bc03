"""Divides a run's integrations into batches, one for each mapped task."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from itertools import islice
from math import ceil
from typing import TypedDict

from airflow.configuration import conf

from include.social_analytics.jobs import Integration
from include.social_analytics.settings import Settings

#: Airflow keeps 250 characters of a mapped instance's label.
_NAME_LENGTH = 120

#: The size to prefer when one task for each integration would be too many. A task costs some 0.3 s of a core
#: before its first call, an integration some 25 ms: in a batch of 100, the task adds about a tenth.
SMALLEST_BATCH = 100


class Batch(TypedDict):
    """What one mapped ingest task works on; the label is shown in the UI.

    ``integrations`` is JSON: a list of [id, name, organization id, provider]. It is text, because Airflow
    gives each mapped task the list of all batches, and visits every nested value in it.
    """

    label: str
    integrations: str


def most_tasks(settings: Settings) -> int:
    """The most ingest tasks of a run. With more than ``[core] max_map_length``, Airflow fails the listing."""
    return min(settings.max_mapped_tasks, conf.getint("core", "max_map_length"))


def deal_out(integrations: Iterable[Integration], count: int, *, most: int, at_once: int) -> list[Batch]:
    """One integration each, or batches of equal size (the last may be smaller), in the given order.

    :param count: how many integrations there are.
    :param most: the most tasks.
    :param at_once: tasks that run at once. Small batches are better than fewer tasks than this.
    """
    size = 1
    if count > most:
        size = max(ceil(count / most), min(SMALLEST_BATCH, ceil(count / at_once)))
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
        label = f"{len(members)} channels from {label}"
    return {"label": label, "integrations": json.dumps(rows, ensure_ascii=False)}
