"""Servers that this process starts, and that all end with it."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil


class Processes:
    """Processes that run in one directory, each with whatever it starts in turn."""

    def __init__(self, directory: Path) -> None:
        """:param directory: nobody else's, for it tells whose a process is."""
        self._directory = directory.resolve()
        self._started: list[subprocess.Popen[bytes]] = []

    def start(
        self, command: Sequence[str], environment: Mapping[str, str], *, log: Path, user: str | None = None
    ) -> subprocess.Popen[bytes]:
        """Start a command that writes to the end of ``log``, as ``user`` where that is given."""
        with log.open("ab") as output:
            process = subprocess.Popen(
                command,
                env=environment,
                cwd=self._directory,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                # A session of its own: Ctrl-C reaches us alone, and whatever it forks is found again.
                start_new_session=True,
                user=user,
            )
        self._started.append(process)
        return process

    def stop(self) -> None:
        """End all, and all that they started: by request, after ten seconds by force."""
        for process in self._started:
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + 10
        for process in self._started:
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.1, deadline - time.monotonic()))
        # An interrupted Airflow leaves children; they are still in their session. A process whose start was
        # interrupted is in none that we know of, but it runs in our directory.
        sessions = {process.pid for process in self._started}
        _kill_all(lambda process: os.getsid(process.pid) in sessions or process.cwd() == str(self._directory))
        for process in self._started:
            process.wait()
        self._started.clear()


def kill_session(leader: subprocess.Popen[bytes]) -> None:
    """Kill a process and all that it started, as when a container dies; returns when they are gone."""
    # Postgres gives each of its processes a session of its own.
    family = psutil.Process(leader.pid).children(recursive=True) if leader.poll() is None else []
    _kill_all(lambda process: os.getsid(process.pid) == leader.pid or process in family)
    leader.wait()


def _kill_all(belongs: Callable[[psutil.Process], bool]) -> None:
    while left := [process for process in psutil.process_iter() if _lives(process, belongs)]:
        for process in left:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(left, timeout=5)


def _lives(process: psutil.Process, belongs: Callable[[psutil.Process], bool]) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE and belongs(process)
    except (psutil.NoSuchProcess, psutil.AccessDenied, ProcessLookupError):
        return False
