"""The processes: the tool, the workers, beat, the broker; and a database that they all share."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import psycopg

from example_project.demo.processes import HOST, Process, ProcessFailed, reserve_port, stop, tail, wait_until

ROOT = pathlib.Path(__file__).parents[2]
_PATIENCE = 60.0
_WORKER = "faults-worker"  # as PostgreSQL knows their sessions


@contextlib.contextmanager
def database(folder: pathlib.Path) -> Iterator[str]:
    """The URL of a fresh database: on the server of DATABASE_URL, or a file of SQLite."""
    url = os.environ.get("DATABASE_URL", "")
    if urlsplit(url).scheme not in ("postgres", "postgresql"):
        yield f"sqlite:///{folder / 'db.sqlite3'}"
        return
    server, name = url.rpartition("/")[0], f"test_faults_{uuid.uuid4().hex}"
    try:
        _sql(f"{server}/postgres", f"CREATE DATABASE {name}")
        yield f"{server}/{name}"
    finally:
        _sql(f"{server}/postgres", f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def _sql(url: str, statement: str, *parameters: str) -> int:
    """Run a statement on PostgreSQL; how many rows it gave."""
    with psycopg.connect(url, autocommit=True) as connection:
        return connection.execute(statement, parameters or None).rowcount  # type: ignore[arg-type]


class Redis:
    """A Redis of our own. It keeps nothing when it ends."""

    def __init__(self, folder: pathlib.Path) -> None:
        with reserve_port(0) as reserved:
            self._port = int(reserved.getsockname()[1])
        self._folder = folder
        self.url = f"redis://{HOST}:{self._port}/0"
        self.start()

    def start(self) -> None:
        command = ["redis-server", "--bind", HOST, "--port", str(self._port), "--save", "", "--appendonly", "no"]
        self.process = Process("redis", command, self._folder / "redis.log", os.environ, self._folder)

    def restart(self) -> None:
        """Killed, gone for a moment, and back without its messages."""
        self.process.end(0)
        time.sleep(1)
        self.start()

    def close(self) -> None:
        self.process.end(0)


class Files:
    """A folder as the broker."""

    url = "filesystem://"

    def __init__(self, folder: pathlib.Path) -> None:
        self._folder = folder / "broker"

    def restart(self) -> None:
        """All messages are lost."""
        for message in [*self._folder.glob("messages/*"), *self._folder.glob("processed/*")]:
            message.unlink(missing_ok=True)

    def close(self) -> None:
        pass


class Stage:
    """All processes but the server's. To be entered once the server runs."""

    def __init__(
        self, folder: pathlib.Path, database_url: str, server_url: str, workers: dict[str, str], *, on_redis: bool
    ) -> None:
        self.is_postgresql = database_url.startswith("postgres")
        self._folder = folder
        self._database_url = database_url
        self._pools = workers
        self.broker = Redis(folder) if on_redis and shutil.which("redis-server") else Files(folder)
        self._environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.faults.settings",
            "PYTHONUNBUFFERED": "1",
            "NO_PROXY": HOST,
            "no_proxy": HOST,
            "DATABASE_URL": database_url,
            "CELERY_BROKER_URL": self.broker.url,
            "CELERY_QUEUE": "faults",
            "VAR_DIR": str(folder),
            "LTIAAS_URL": server_url,
            "SECRET_KEY": "known-to-all-processes-of-the-test",
            "DEBUG": "true",
            "ALLOWED_HOSTS": "",
            "CSRF_TRUSTED_ORIGINS": "",
        }
        self.workers: dict[str, Process] = {}
        self._others: list[Process] = []
        self._numbers = itertools.count(1)

    def __enter__(self) -> Stage:
        with contextlib.ExitStack() as ending:
            ending.callback(self.broker.close)
            migrate = self._start("migrate", "manage.py", "migrate", "--verbosity", "0")
            ending.callback(migrate.end, 0)
            migrate.finish(_PATIENCE)
            log = ending.enter_context(self._log("tool").open("wb"))
            self._tool = ending.enter_context(
                subprocess.Popen(
                    [sys.executable, "-m", "tests.faults.tool"],
                    cwd=ROOT,
                    env=self._environment_of("tool"),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    text=True,
                )
            )
            ending.callback(self._tool.kill)
            self._ending = ending.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        with self._ending:
            stop([*self._others, *self.workers.values()])

    def tell(self, command: str, **arguments: Any) -> Any:
        """Have the tool do something; its answer."""
        assert self._tool.stdin is not None
        assert self._tool.stdout is not None
        try:
            self._tool.stdin.write(json.dumps({"do": command, **arguments}) + "\n")
            self._tool.stdin.flush()
        except BrokenPipeError:
            pass  # told below
        line = self._tool.stdout.readline()
        assert line, f"the tool has ended: {tail(self._log('tool'))}"
        return json.loads(line)

    def start_beat(self) -> None:
        self._others.append(self._start("beat", *_CELERY, "beat", "--loglevel", "INFO"))

    def start_workers(self) -> None:
        """All at once; returns when they are ready."""
        for name in self._pools:
            self.start_worker(name)
        ready = wait_until(lambda: all(map(self.is_ready, self._pools)), _PATIENCE, list(self.workers.values()))
        assert ready, tail(self._log(next(iter(self._pools))))

    def start_worker(self, name: str) -> None:
        """A worker, or another one in the place of one that was killed."""
        if self._log(name).exists():
            self._log(name).rename(self._folder / f"{name}-{next(self._numbers)}.log")
        options = ["--pool", self._pools[name], "--concurrency", "4", "--loglevel", "INFO"]
        quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat", "--hostname", f"{name}@localhost"]
        self.workers[name] = self._start(name, *_CELERY, "worker", *options, *quiet)

    def revive(self) -> int:
        """Start those again that have ended by themselves, as any supervisor does; how many there were.

        Kombu's folder may give a worker a message that is only half written, and the worker ends of it; so it may when
        Redis comes back.
        """
        ended = [name for name, process in self.workers.items() if _has_ended(process)]
        for name in ended:
            self.start_worker(name)
        return len(ended)

    def is_ready(self, name: str) -> bool:
        return self._log(name).exists() and " ready." in self._log(name).read_text(errors="replace")

    def kill(self, name: str) -> None:
        """SIGKILL to a worker and all its children."""
        self.workers[name].end(0)

    @contextlib.contextmanager
    def stopped(self, name: str) -> Iterator[None]:
        """SIGSTOP to a worker and all its children, and SIGCONT in the end."""
        group = self.workers[name].pid
        os.killpg(group, signal.SIGSTOP)
        try:
            yield
        finally:
            os.killpg(group, signal.SIGCONT)

    def cut_database(self) -> int:
        """End the sessions of all workers; how many there were."""
        cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s AND datname = %s"
        return _sql(self._database_url, cut, _WORKER, self._database_url.rpartition("/")[2])

    def logs(self) -> dict[str, str]:
        """The ends of all logs."""
        return {path.name: tail(path) for path in sorted(self._folder.glob("*.log"))}

    def _start(self, name: str, *arguments: str) -> Process:
        return Process(name, [sys.executable, *arguments], self._log(name), self._environment_of(name), ROOT)

    def _environment_of(self, name: str) -> dict[str, str]:
        """Each process has an API key of its own, so that the server knows it."""
        session = _WORKER if name in self._pools else name
        return {**self._environment, "LTIAAS_API_KEY": f"account-of-{name}", "PGAPPNAME": session}

    def _log(self, name: str) -> pathlib.Path:
        return self._folder / f"{name}.log"


def _has_ended(process: Process) -> bool:
    try:
        process.check()
    except ProcessFailed:
        return True
    return False


_CELERY = ("-m", "celery", "-A", "tests.faults.app")
