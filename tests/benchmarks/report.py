"""A benchmark's result: our figure, the floor or peer it is compared with, and their ratio."""

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
    """One line of the table. ``target`` is for the ratio, or for our figure if there is no ratio."""

    what: str
    ours: str
    floor: str = ""
    ratio: float | None = None
    target: str = ""


def table(results: Iterable[Result]) -> str:
    """The results in Markdown."""
    lines = ["| what | ours | compared with | ratio | target |", "|---|---|---|---|---|"]
    for one in results:
        ratio = "" if one.ratio is None else f"{one.ratio:.2f}"
        lines.append(f"| {one.what} | {one.ours} | {one.floor} | {ratio} | {one.target} |")
    return "\n".join(lines)


def seconds(action: Callable[[], object]) -> float:
    """How long an action takes in real time."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def peak_memory(code: str, *arguments: str) -> float:
    """Peak memory in MiB of a new process that runs ``code``, from Linux's /proc.

    Not ``ru_maxrss``: it starts at the peak of the parent process.
    """
    code += "\nprint(open('/proc/self/status').read().partition('VmHWM:')[2].split()[0])"
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=PROJECT, stdout=subprocess.PIPE, check=True
    )
    return int(done.stdout.split()[-1]) / 1024


def medians(
    ours: Callable[[int], float], other: Callable[[int], float], rounds: int, *, warm_up: bool = True
) -> tuple[float, float]:
    """The medians of two measurements that take turns, so that a noisy machine affects both alike.

    :param rounds: how many; each measurement gets the number of its round, from 1.
    :param warm_up: whether to run a round 0 first that does not count.
    """
    pairs = [(ours(number), other(number)) for number in range(0 if warm_up else 1, rounds + 1)][-rounds:]
    return statistics.median(a for a, _ in pairs), statistics.median(b for _, b in pairs)
