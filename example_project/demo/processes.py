"""Processes that leave nothing behind: each has a log, a group of its own, and an end."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

HOST = "127.0.0.1"
GRACE = 3.0
"""Seconds that a process has to end by itself before it is killed. An idle Celery worker may want more than that, and
has nothing to lose."""


class ProcessFailed(Exception):
    """A process ended that should not have, or a command did not succeed."""


class Process:
    """A process in a group of its own, writing to a log."""

    def __init__(self, name: str, command: Sequence[str], log: Path, environment: Mapping[str, str], cwd: Path) -> None:
        self.name = name
        self.log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603  our own commands
                command,
                cwd=cwd,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a Ctrl-C reaches us alone, and we end the whole group
            )
        self.pid = self._process.pid

    def check(self) -> None:
        """Raises ProcessFailed if it has ended."""
        code = self._process.poll()
        if code is not None:
            raise ProcessFailed(f"The process “{self.name}” has ended (status {code}).")

    def finish(self, timeout: float) -> None:
        """Wait for a command to end. Raises ProcessFailed unless it succeeds in time."""
        try:
            code = self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise ProcessFailed(f"The process “{self.name}” did not end within {timeout:g} s.") from None
        if code != 0:
            raise ProcessFailed(f"The process “{self.name}” ended with status {code}.")

    def ask_to_end(self) -> None:
        """SIGTERM, to the process itself: it ends its own children in order."""
        if self._process.poll() is None:
            self._process.terminate()

    def end(self, deadline: float) -> None:
        """Wait for the end until a moment of the monotonic clock, then kill the whole group."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(max(0.0, deadline - time.monotonic()))
        with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS refuses where only zombies are left
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()


def stop(processes: Sequence[Process]) -> None:
    """End them all, the last one first."""
    for process in reversed(processes):
        process.ask_to_end()
    deadline = time.monotonic() + GRACE
    for process in reversed(processes):
        process.end(deadline)


def wait_until(
    condition: Callable[[], bool], timeout: float, running: Sequence[Process] = (), every: float = 0.1
) -> bool:
    """Ask until it holds; false when the time is over. Raises ProcessFailed if one that should run has ended."""
    deadline = time.monotonic() + timeout
    while not condition():
        for process in running:
            process.check()
        if time.monotonic() > deadline:
            return False
        time.sleep(every)
    return True


_port_locks: list[IO[str]] = []  # held as long as this process lives


def _is_ours(port: int) -> bool:
    """Whether no other demo on this machine has chosen this port: it is free for a moment while its server starts."""
    try:
        lock = (Path(tempfile.gettempdir()) / f"ltiaas-demo-{port}.lock").open("w")
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        return False
    _port_locks.append(lock)
    return True


def reserve_port(wanted: int) -> socket.socket:
    """A socket on the wanted port, or on any other if it is taken; it listens, so that nobody else takes it."""
    for port in (wanted, 0) if wanted and _is_ours(wanted) else (0,):
        reserved = socket.socket()
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # the demo may have used it a moment ago
        try:
            reserved.bind((HOST, port))
            reserved.listen()
            return reserved
        except OSError:
            reserved.close()
    raise ProcessFailed("There is no free port on this machine.")


def tail(log: Path, lines: int = 25) -> str:
    """The end of a log."""
    if not log.exists():
        return ""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
