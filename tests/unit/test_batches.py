"""Splitting integrations into batches for mapped tasks."""

import json

import pytest

from include.social_analytics.batches import SMALLEST_BATCH, deal_out, integrations_of, most_tasks
from include.social_analytics.jobs import Integration
from include.social_analytics.settings import Settings


def some(count: int) -> list[Integration]:
    return [Integration(f"i{n:05}", f"Page {n}", "org", "facebook") for n in range(count)]


@pytest.mark.parametrize(
    ("count", "batches", "size"),
    [
        (0, 0, 0),
        (1, 1, 1),
        (200, 200, 1),
        (201, 16, 13),
        (1_000, 16, 63),
        (10_000, 100, SMALLEST_BATCH),
        (30_000, 200, 150),
        (30_001, 199, 151),
    ],
)
def test_there_are_never_more_batches_than_the_limit_and_their_sizes_are_equal(count, batches, size):
    dealt = deal_out(iter(some(count)), count, most=200, at_once=16)
    assert len(dealt) == batches
    assert {len(integrations_of(batch)) for batch in dealt[:-1]} <= {size}
    assert sum(len(integrations_of(batch)) for batch in dealt) == count


def test_every_integration_is_in_one_batch_and_in_order():
    assert [
        one for batch in deal_out(some(777), 777, most=200, at_once=16) for one in integrations_of(batch)
    ] == some(777)


def test_a_task_of_one_integration_is_labelled_with_its_name():
    [batch] = deal_out([Integration("i1", "Café & Söhne", "org", "facebook")], 1, most=200, at_once=16)
    assert batch["label"] == "Café & Söhne"


def test_a_batchs_label_has_its_size_and_long_names_are_cut_to_airflows_limit():
    [batch] = deal_out(
        [Integration(f"i{n}", "x" * 5000, "org", "facebook") for n in range(3)], 3, most=1, at_once=16
    )
    assert batch["label"].startswith("3 channels from xxx")
    assert len(batch["label"]) < 250


def test_only_ids_names_and_the_provider_cross_xcom():
    [batch] = deal_out(some(1), 1, most=200, at_once=16)
    assert json.loads(batch["integrations"]) == [["i00000", "Page 0", "org", "facebook"]]


def test_a_low_limit_is_used_fully():
    assert [len(integrations_of(batch)) for batch in deal_out(some(6), 6, most=3, at_once=16)] == [2, 2, 2]


def test_there_are_no_more_tasks_than_airflow_maps(monkeypatch):
    assert most_tasks(Settings()) == 200
    monkeypatch.setenv("AIRFLOW__CORE__MAX_MAP_LENGTH", "150")
    assert most_tasks(Settings()) == 150
    assert most_tasks(Settings(max_mapped_tasks=20)) == 20
