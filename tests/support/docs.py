"""The tables in the docs that are made from the code. ``python -m tests.support.docs`` writes them."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable
from datetime import time, timedelta
from pathlib import Path

from include.social_analytics.connectors import providers
from include.social_analytics.errors import ErrorCode
from include.social_analytics.metrics import CONTENT_METRICS, DAILY_METRICS
from include.social_analytics.settings import PREFIX, Settings
from include.social_analytics.warehouse.migrate import COMMENTS
from tests.support.examples import EXAMPLES

PROJECT = Path(__file__).resolve().parents[2]
SOURCES = PROJECT / "include/deploy/dbt/sources.yml"
DOCUMENTS = [PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md"))]


def settings_table() -> str:
    """The settings with their defaults."""
    rows = [["variable", "default", "meaning"]]
    for name, setting in Settings.model_fields.items():
        rows.append([f"`{PREFIX}{name.upper()}`", _as_written(setting.default), setting.description or ""])
    return _table(rows)


def _as_written(default: object) -> str:
    """A default as one writes it into the environment."""
    match default:
        case None:
            return ""
        case bool():
            return str(default).lower()
        case timedelta():
            return f"{default.total_seconds():g}"
        case time():
            return f"{default:%H:%M}"
        case float():
            return f"{default:g}"
    return str(default)


def metrics_table() -> str:
    """Our daily metrics, and each provider's names for them."""
    known = list(providers().values())
    rows = [["metric", "unit", "kind", "of an organization", *(provider.title for provider in known)]]
    for name, metric in DAILY_METRICS.items():
        theirs = [provider.metrics.get(name) for provider in known]
        rows.append(
            [
                f"`{name}`",
                metric.unit,
                metric.kind,
                f"`{metric.organization_name}`",
                *(f"`{source}`" if source else "-" for source in theirs),
            ]
        )
    return _table(rows)


def providers_table() -> str:
    """What each provider can and cannot, from the declarations."""
    known = list(providers().values())

    def names(words: Iterable[str]) -> str:
        return ", ".join(f"`{word}`" for word in words) or "-"

    rows = [["", *(provider.title for provider in known)]]
    for what, cell in (
        ("in Postiz", lambda one: names(one.identifiers)),
        ("a channel is", lambda one: f"{'an' if one.account[0] in 'aeiou' else 'a'} {one.account}"),
        ("the day", lambda one: one.timezone.key),
        ("figures are final after", lambda one: f"{one.final_after_days} days"),
        ("days back", lambda one: str(one.history_days)),
        ("daily metrics", lambda one: names(name for name in DAILY_METRICS if name in one.metrics)),
        ("it has no", lambda one: names(name for name in DAILY_METRICS if name not in one.metrics)),
        ("of a post", lambda one: names(name for name in CONTENT_METRICS if name in one.content_metrics)),
        ("connections", lambda one: names(one.connections)),
        ("not read without", lambda one: names(filter(None, [one.required_connection]))),
        ("a token lives", lambda one: one.access),
        ("quota", lambda one: one.quota),
        ("calls for a channel's day", lambda one: one.calls),
    ):
        rows.append([what, *map(cell, known)])
    return _table(rows)


_COMMENT = re.compile(
    r"COMMENT ON (TABLE|VIEW|COLUMN) analytics\.(\w+)(?:\.(\w+))? IS\s+'((?:[^']|'')*)';", re.MULTILINE
)


def comments(kind: str) -> dict[str, dict[str, str]]:
    """What ``comments.sql`` says of each table or view: of itself, by the name "", and of its columns.

    :param kind: ``TABLE`` or ``VIEW``.
    """
    found: dict[str, dict[str, str]] = {}
    for what, name, column, words in _COMMENT.findall(COMMENTS.read_text()):
        if what == kind:
            found[name] = {}
        if name in found:
            found[name][column] = words.replace("''", "'")
    return found


def _relations(kind: str) -> str:
    rows = [[f"`{name}`", told[""]] for name, told in comments(kind).items()]
    return _table([[kind.lower(), "what it holds"], *rows])


def _columns(kind: str) -> str:
    """A heading and a table for each."""
    parts = []
    for name, told in comments(kind).items():
        rows = [[f"`{column}`", words.replace("<", "&lt;")] for column, words in told.items() if column]
        parts.append(f"### `{name}`\n\n" + _table([["column", "meaning"], *rows]))
    return "\n\n".join(parts)


def tables_table() -> str:
    """The tables of the schema."""
    return _relations("TABLE")


def columns_table() -> str:
    """The columns of each table."""
    return _columns("TABLE")


def views_table() -> str:
    """The views of the schema."""
    return _relations("VIEW")


def view_columns_table() -> str:
    """The columns of each view."""
    return _columns("VIEW")


def errors_table() -> str:
    """The error codes, who resolves them and how, with a provider's own advice if it has some.

    :raises KeyError: for a code without an example in ``tests/support/examples.py``.
    """
    rows = [["code", "class", "resolved by", "what to do", "a reason, for example"]]
    for code in ErrorCode:
        own = [f"{one.title}: {one.advice[code]}" for one in providers().values() if code in one.advice]
        advice = "<br>".join([code.advice, *own])
        rows.append([f"`{code}`", code.error_class, code.resolved_by, advice, f"*{EXAMPLES[code].reason}*"])
    return _table(rows)


def faults_table() -> str:
    """What breaks and what happens then, from the marks ``@pytest.mark.fault("injected", "seen")``."""
    rows = [["what breaks", "what happens"]]
    for path in sorted(PROJECT.glob("tests/**/test_faults.py")):
        rows += [[*mark] for mark in marks(path).values() if mark]
    return _table(rows)


def marks(path: Path) -> dict[str, tuple[str, str] | None]:
    """The tests in a file, each with its mark's texts: injected, seen."""
    found: dict[str, tuple[str, str] | None] = {}
    for test in ast.parse(path.read_text()).body:
        if isinstance(test, ast.FunctionDef) and test.name.startswith("test_"):
            found[test.name] = None
            for decorator in test.decorator_list:
                if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "pytest.mark.fault":
                    injected, seen = map(ast.literal_eval, decorator.args)
                    found[test.name] = (injected, seen)
    return found


def _table(rows: list[list[str]]) -> str:
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])


TABLES: dict[str, Callable[[], str]] = {
    "settings": settings_table,
    "metrics": metrics_table,
    "providers": providers_table,
    "errors": errors_table,
    "faults": faults_table,
    "tables": tables_table,
    "columns": columns_table,
    "views": views_table,
    "view columns": view_columns_table,
}


def dbt_sources() -> str:
    """The sources for dbt, described as ``comments.sql`` says. A missing column is added, without tests."""
    text = SOURCES.read_text()
    for name, told in (comments("TABLE") | comments("VIEW")).items():
        if block := re.search(rf"(?ms)^      - name: {name}\n.*?(?=^      - name: |\Z)", text):
            entry = f"      - name: {name}\n        description: {_in_yaml(told.pop(''))}\n"
            new = re.sub(r"\A.*\n.*\n", lambda _, entry=entry: entry, block[0])
            for column, words in told.items():
                entry = f"          - name: {column}\n            description: {_in_yaml(words)}\n"
                known = rf"(?m)^          - name: {column}\n            description: .*\n"
                new, found = re.subn(known, lambda _, entry=entry: entry, new)
                new += "" if found else entry
            text = text.replace(block[0], new)
    return text


def _in_yaml(words: str) -> str:
    return "'" + words.replace("'", "''") + "'"


def rendered() -> dict[Path, str]:
    """Each document with its tables up to date, and the sources for dbt.

    :raises ValueError: unless each table has its place, ``<!-- name --> … <!-- /name -->``, exactly once.
    """
    texts = {path: path.read_text() for path in DOCUMENTS}
    for name, table in TABLES.items():
        place = re.compile(rf"<!-- {name} -->.*?<!-- /{name} -->", re.DOTALL)
        block = f"<!-- {name} -->\n{table()}\n<!-- /{name} -->"
        count = 0
        for path, text in texts.items():
            texts[path], here = place.subn(lambda _, block=block: block, text)
            count += here
        if count != 1:
            raise ValueError(f"The docs have {count} places <!-- {name} --> … <!-- /{name} -->, not one.")
    return texts | {SOURCES: dbt_sources()}


if __name__ == "__main__":
    for document, new in rendered().items():
        document.write_text(new)
