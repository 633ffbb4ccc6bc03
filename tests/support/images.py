"""What a Dockerfile copies out of the project, read without Docker."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]


def copied(dockerfile: str, target: str = "") -> list[tuple[str, str]]:
    """Each path that a build target copies from the project, with its destination. Its base's come first.

    :param target: the name of a stage; empty for a file whose one stage has no name.
    """
    bases: dict[str, str] = {}
    copies: dict[str, list[tuple[str, str]]] = {}
    stage = ""
    for line in dockerfile.splitlines():
        if found := re.match(r"FROM (\S+)(?: AS (\S+))?", line):
            stage = found[2] or ""
            bases[stage], copies[stage] = found[1], []
        elif line.startswith("COPY "):
            *sources, destination = [word for word in line.split()[1:] if not word.startswith("--")]
            copies[stage] += [(source, destination) for source in sources]
    base = bases[target]
    return [*(copied(dockerfile, base) if base in bases else []), *copies[target]]


def lay_out(dockerfile: str, target: str, root: str, directory: Path) -> None:
    """Copy into ``directory`` what a build target copies into ``root``, its directory in the image."""
    for source, destination in copied(dockerfile, target):
        path = directory / os.path.relpath(destination, root)
        if (PROJECT / source).is_dir():
            shutil.copytree(
                PROJECT / source, path, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True
            )
        else:
            path = path / Path(source).name if destination.endswith("/") else path
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(PROJECT / source, path)
