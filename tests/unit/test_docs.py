"""The docs say what is so."""

import pytest

from include.social_analytics.settings import Settings
from tests.support.docs import DOCUMENTS, PROJECT, marks, rendered


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_the_tables_are_those_of_the_code(document):
    assert document.read_text() == rendered()[document], "The tables are out of date: run `make docs`."


def test_each_setting_is_described():
    assert [name for name, setting in Settings.model_fields.items() if not setting.description] == []


@pytest.mark.parametrize(
    "path", sorted(PROJECT.glob("tests/**/test_faults.py")), ids=lambda path: path.parent.name
)
def test_each_fault_is_marked_with_what_breaks_and_what_happens(path):
    assert [name for name, mark in marks(path).items() if mark is None] == []
