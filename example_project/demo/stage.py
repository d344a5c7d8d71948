"""The stage: a folder, and in it the sandbox, the tool and a worker."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
import socket
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

import requests

from example_project.demo import processes
from example_project.demo.browser import Lms, new_session
from example_project.demo.interrupts import Interrupts
from example_project.demo.processes import HOST, Process, ProcessFailed

ROOT = Path(__file__).resolve().parent.parent.parent
MARK = ".ltiaas-demo"
API_KEY = "demo-api-key"
START_TIMEOUT = 40.0


class FolderRefused(Exception):
    """The folder holds something else, or another demo is using it."""


class Stage:
    """What runs. `environment` changes that of its processes: another broker, or something wrong on purpose.

    `ports`: the sandbox's and the tool's, if nobody else has them; 0 takes any.
    """

    def __init__(
        self,
        directory: Path,
        interrupts: Interrupts,
        environment: Mapping[str, str] | None = None,
        ports: tuple[int, int] = (9800, 8000),
    ) -> None:
        self.directory = directory.resolve()
        self.sandbox_port, self.tool_port = ports
        self._reserved: list[socket.socket] = []
        self.running: list[Process] = []
        self._interrupts = interrupts
        self._changes = dict(environment or {})
        self._secret_key = secrets.token_urlsafe(50)

    @property
    def lms(self) -> Lms:
        return Lms(f"http://{HOST}:{self.sandbox_port}")

    @property
    def tool_url(self) -> str:
        return f"http://{HOST}:{self.tool_port}"

    @property
    def launch_url(self) -> str:
        return f"{self.tool_url}/lti/launch/"

    def log(self, name: str) -> Path:
        """The log of a process or command."""
        return self.directory / "logs" / f"{name}.log"

    @property
    def environment(self) -> dict[str, str]:
        """The developer's own settings must not reach the demo, so each has a value here."""
        return {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "example_project.settings",
            "PYTHONUNBUFFERED": "1",
            "NO_PROXY": f"{HOST},localhost",
            "no_proxy": f"{HOST},localhost",
            "LTIAAS_URL": f"http://{HOST}:{self.sandbox_port}",
            "LTIAAS_API_KEY": API_KEY,
            "DATABASE_URL": f"sqlite:///{self.directory / 'db.sqlite3'}",
            "CELERY_BROKER_URL": "filesystem://",
            "CELERY_QUEUE": "quiz",
            "VAR_DIR": str(self.directory),
            "SECRET_KEY": self._secret_key,
            "DEBUG": "true",
            "ALLOWED_HOSTS": "",
            "CSRF_TRUSTED_ORIGINS": "",
            **self._changes,
        }

    @contextlib.contextmanager
    def folder(self) -> Iterator[None]:
        """Empty the folder and hold it. Raises FolderRefused."""
        mark = self.directory / MARK
        with contextlib.ExitStack() as stack:
            try:
                if self.directory.exists() and not mark.exists() and any(self.directory.iterdir()):
                    raise FolderRefused(
                        f"{self.directory} is not empty and was not made by the demo. Name another --directory."
                    )
                self.directory.mkdir(parents=True, exist_ok=True)
                lock = stack.enter_context(mark.open("w"))
                self._hold(lock)
                self._empty()
            except OSError as error:
                raise FolderRefused(f"{self.directory} cannot be used: {error.strerror or error}.") from error
            yield

    def _hold(self, lock: TextIO) -> None:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FolderRefused(f"Another demo is running in {self.directory}. Name another --directory.") from None

    def _empty(self) -> None:
        for entry in self.directory.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            elif entry.name != MARK:
                entry.unlink()
        (self.directory / "logs").mkdir()

    def run(self, name: str, *command: str, timeout: float = 60.0) -> None:
        """Run commands of the project to their end. Raises ProcessFailed."""
        process = self._start(name, command)
        try:
            process.finish(timeout)
        finally:
            self._end([process])

    def start_sandbox(self) -> Process:
        """The simulated LMS, with the LTIAAS API."""
        options = ["--port", str(self.sandbox_port), "--tool-url", self.launch_url, "--api-key", API_KEY]
        self._reserved[0].close()
        process = self._start("sandbox", ["manage.py", "ltiaas_sandbox", *options])
        self._await_answer(process, f"{self.lms.url}/control/state/")
        return process

    def start_tool(self) -> Process:
        """The example project, as a developer runs it."""
        address = f"{HOST}:{self.tool_port}"
        self._reserved[1].close()
        process = self._start("tool", ["manage.py", "runserver", "--noreload", address])
        self._await_answer(process, f"{self.tool_url}/")
        return process

    def start_worker(self) -> Process:
        """A Celery worker."""
        options = ["--concurrency", "2", "--loglevel", "INFO", "--without-gossip", "--without-mingle"]
        process = self._start("worker", ["-m", "celery", "-A", "example_project", "worker", *options])
        log = self.log("worker")
        if not processes.wait_until(lambda: " ready." in log.read_text(errors="replace"), START_TIMEOUT, [process]):
            raise ProcessFailed(f"The worker was not ready within {START_TIMEOUT:g} s.")
        return process

    def start_beat(self) -> Process:
        """Celery beat: it sends the tick every minute, and the night's messages should the demo run that long."""
        return self._start("beat", ["-m", "celery", "-A", "example_project", "beat", "--loglevel", "INFO"])

    def __enter__(self) -> Self:
        self._reserved = [processes.reserve_port(port) for port in (self.sandbox_port, self.tool_port)]
        self.sandbox_port, self.tool_port = (int(reserved.getsockname()[1]) for reserved in self._reserved)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end(self.running)
        for reserved in self._reserved:
            reserved.close()

    def _start(self, name: str, arguments: Sequence[str]) -> Process:
        with self._interrupts.held():
            process = Process(name, [sys.executable, *arguments], self.log(name), self.environment, ROOT)
            self.running.append(process)
        return process

    def _end(self, ending: Sequence[Process]) -> None:
        with self._interrupts.held():
            processes.stop(ending)
            self.running = [process for process in self.running if process not in ending]

    def _await_answer(self, process: Process, url: str) -> None:
        def answers() -> bool:
            try:
                return new_session().get(url, timeout=5).ok
            except requests.RequestException:
                return False

        if not processes.wait_until(answers, START_TIMEOUT, [process]):
            raise ProcessFailed(f"The process “{process.name}” did not answer within {START_TIMEOUT:g} s.")
