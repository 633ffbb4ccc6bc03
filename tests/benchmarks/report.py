"""What a benchmark says: a figure of ours, the floor or peer measured beside it, and their ratio."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from include.sandbox.local_airflow import PROJECT


@dataclass(frozen=True)
class Result:
    """One line of the table. ``target`` is what the ratio, or else our figure, should be."""

    what: str
    ours: str
    beside: str = ""
    ratio: float | None = None
    target: str = ""


def table(results: Iterable[Result]) -> str:
    """The results in Markdown."""
    lines = ["| what | ours | beside it | ratio | target |", "|---|---|---|---|---|"]
    for one in results:
        ratio = "" if one.ratio is None else f"{one.ratio:.2f}"
        lines.append(f"| {one.what} | {one.ours} | {one.beside} | {ratio} | {one.target} |")
    return "\n".join(lines)


def seconds(action: Callable[[], object]) -> float:
    """How long an action takes, by the wall's clock."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def peak_memory(code: str, *arguments: str) -> float:
    """MiB that a process of its own needed at most to run ``code``. By Linux's count.

    Not ``ru_maxrss``, which begins with what the process that started it had needed.
    """
    code += "\nprint(open('/proc/self/status').read().partition('VmHWM:')[2].split()[0])"
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=PROJECT, stdout=subprocess.PIPE, check=True
    )
    return int(done.stdout.split()[-1]) / 1024


def medians(
    ours: Callable[[int], float], other: Callable[[int], float], rounds: int, *, warm_up: bool = True
) -> tuple[float, float]:
    """The medians of two measurements that take turns, so that a noisy machine bothers both alike.

    :param rounds: each is called with the number of the round, from 1.
    :param warm_up: whether there is a round 0 that does not count.
    """
    pairs = [(ours(number), other(number)) for number in range(0 if warm_up else 1, rounds + 1)][-rounds:]
    return statistics.median(a for a, _ in pairs), statistics.median(b for _, b in pairs)
