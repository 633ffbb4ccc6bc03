"""What `astro dev parse` runs: each DAG file imports nothing deprecated, and its DAGs have tags and retries.

To run it alone: `pytest .astro/test_dag_integrity_default.py`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]
EXCEPTIONS = (PROJECT / ".astro" / "dag_integrity_exceptions.txt").read_text().splitlines()
FILES = [
    path for path in sorted(PROJECT.glob("dags/**/*.py")) if str(path.relative_to(PROJECT)) not in EXCEPTIONS
]


def test_there_are_dag_files():
    assert FILES


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_dag_file(path, monkeypatch):
    monkeypatch.syspath_prepend(str(PROJECT))
    # With these settings the optional DAGs exist, and are checked, too.
    monkeypatch.setenv("SOCIAL_ANALYTICS_DEADLINE", "23:59")
    monkeypatch.setenv("SOCIAL_ANALYTICS_NOTIFIER", '{"class": "any.Notifier"}')
    monkeypatch.setenv("SOCIAL_ANALYTICS_REPORTS", "/reports")
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(path)
    assert not bag.import_errors, "\n".join(bag.import_errors.values())
    deprecated = [line for lines in bag.captured_warnings.values() for line in lines if "Deprecat" in line]
    assert not deprecated, "\n".join(deprecated)
    assert bag.dags, f"{path} defines no DAG"
    for dag_id, dag in bag.dags.items():
        assert dag.tags, f"{dag_id} has no tags"
        assert dag.default_args.get("retries", 0) >= 2, f"{dag_id} has fewer than two retries"
