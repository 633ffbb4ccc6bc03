"""Servers that this process starts and ends."""

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
    """Processes that run in one directory, with their child processes."""

    def __init__(self, directory: Path) -> None:
        """:param directory: used by nothing else, because it identifies the processes."""
        self._directory = directory.resolve()
        self._started: list[subprocess.Popen[bytes]] = []

    def start(
        self, command: Sequence[str], environment: Mapping[str, str], *, log: Path, user: str | None = None
    ) -> subprocess.Popen[bytes]:
        """Start a command that appends to ``log``, as ``user`` if that is given."""
        with log.open("ab") as output:
            process = subprocess.Popen(
                command,
                env=environment,
                cwd=self._directory,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                # A separate session: Ctrl-C reaches only this process, and stop() finds all child processes.
                start_new_session=True,
                user=user,
            )
        self._started.append(process)
        return process

    def stop(self) -> None:
        """End all processes and their children: first by a signal, after ten seconds by force."""
        for process in self._started:
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + 10
        for process in self._started:
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.1, deadline - time.monotonic()))
        # An interrupted Airflow leaves children: they are still in its session. If a start was interrupted,
        # we do not know its session, but its process runs in our directory.
        sessions = {process.pid for process in self._started}
        _kill_all(lambda process: os.getsid(process.pid) in sessions or process.cwd() == str(self._directory))
        for process in self._started:
            process.wait()
        self._started.clear()


def kill_session(leader: subprocess.Popen[bytes]) -> None:
    """Kill a process and all its children, as when a container dies; returns when they are gone."""
    # Postgres gives each of its processes its own session.
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
