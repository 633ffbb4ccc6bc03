"""Add the made-up provider: its two folders, and no line anywhere else."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from include.sandbox import stand_ins
from include.sandbox.local_airflow import PROJECT
from include.social_analytics import connectors

_SUPPORT = Path(__file__).parent
_FOLDERS = {connectors: _SUPPORT / "providers", stand_ins: _SUPPORT / "stand_ins"}


@contextmanager
def registered() -> Iterator[None]:
    """Register the made-up provider in this process."""

    def forget() -> None:
        connectors.providers.cache_clear()
        stand_ins.stand_ins.cache_clear()

    for package, folder in _FOLDERS.items():
        package.__path__.append(str(folder))
    forget()
    try:
        yield
    finally:
        for package, folder in _FOLDERS.items():
            package.__path__.remove(str(folder))
            for made_up in [one for one in sys.modules if one.startswith(f"{package.__name__}.chatter")]:
                del sys.modules[made_up]
        forget()


def project_with_it(directory: Path) -> Path:
    """Link this project into ``directory``, with the made-up provider's folder beside the others.

    Only the folders on the path to that folder are real.
    """
    project = directory / "project"
    _link_children(PROJECT, project, only=("dags", "plugins", "tests"))
    _link_children(PROJECT / "include", project / "include", but="social_analytics")
    package = Path("include") / "social_analytics"
    _link_children(PROJECT / package, project / package, but="connectors")
    _link_children(PROJECT / package / "connectors", project / package / "connectors")
    _link_children(_SUPPORT / "providers", project / package / "connectors")
    return project


def _link_children(source: Path, target: Path, *, only: tuple[str, ...] = (), but: str | None = None) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for child in source.iterdir():
        if child.name not in ("__pycache__", but) and (not only or child.name in only):
            (target / child.name).symlink_to(child)
