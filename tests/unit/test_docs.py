"""The docs are up to date, and the README links to each of them."""

import re

import pytest

from include.social_analytics.errors import ErrorCode
from include.social_analytics.settings import Settings
from tests.support.docs import DOCUMENTS, PROJECT, SOURCES, comments, marks, rendered
from tests.support.examples import EXAMPLES

README = PROJECT / "README.md"


@pytest.mark.parametrize("document", [*DOCUMENTS, SOURCES], ids=lambda path: path.name)
def test_the_tables_in_the_docs_are_those_of_the_code(document):
    assert document.read_text() == rendered()[document], "The tables are out of date: run `make docs`."


def test_the_picture_of_the_model_has_each_table_and_view():
    [picture] = re.findall(
        r"```mermaid\n(erDiagram\n.*?)```", (PROJECT / "docs/views.md").read_text(), re.DOTALL
    )
    drawn = set(re.findall(r"(?m)^    (\w+) (?=\{|[|}])|[|o{] (\w+) :", picture))
    assert {name for pair in drawn for name in pair if name} == {
        *comments("TABLE"), *comments("VIEW")
    } - {"alert", "alembic_version"}  # fmt: skip


def test_each_view_has_a_worked_example():
    text = (PROJECT / "docs/views.md").read_text()
    shown = re.findall(r"(?ms)^    SELECT .*?^    ---", text)
    assert {name for one in shown for name in re.findall(r"FROM analytics\.(\w+)", one)} == set(
        comments("VIEW")
    )


def test_each_error_code_has_an_example_that_really_has_this_code():
    assert set(EXAMPLES) == set(ErrorCode)
    assert [code for code, error in EXAMPLES.items() if error.code is not code or not error.reason] == []


def test_each_setting_is_described():
    assert [name for name, setting in Settings.model_fields.items() if not setting.description] == []


@pytest.mark.parametrize(
    "path", sorted(PROJECT.glob("tests/**/test_faults.py")), ids=lambda path: path.parent.name
)
def test_each_fault_is_marked_with_what_breaks_and_what_happens(path):
    assert [name for name, mark in marks(path).items() if mark is None] == []


def test_the_readme_has_at_most_120_lines():
    assert len(README.read_text().splitlines()) <= 120


def links(text: str) -> list[str]:
    """The files that a document links to or shows. Links elsewhere are left out."""
    return re.findall(r"\[[^\]]*\]\((?!\w+:)([^)#]+)(?:#[^)]*)?\)", text)


def test_the_readme_links_to_each_document():
    to = {README.parent / link for link in links(README.read_text())}
    assert {*DOCUMENTS, PROJECT / "CHANGELOG.md"} - {README} <= to


@pytest.mark.parametrize("document", [*DOCUMENTS, PROJECT / "CHANGELOG.md"], ids=lambda path: path.name)
def test_each_link_points_to_a_file(document):
    assert [link for link in links(document.read_text()) if not (document.parent / link).exists()] == []
