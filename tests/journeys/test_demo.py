"""`make demo`: the whole story, from an empty folder to the LMS's gradebook, in processes of its own."""

from __future__ import annotations

import contextlib
import os
import pathlib
import pty
import re
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator

import pytest

pytestmark = pytest.mark.long

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
MARK = "DEMO_TEST_RUN"
EXPECTED_ROWS = [  # worked out by hand from the story's answers
    ("Zoë Müller-Łukasiewicz", "quiz-1", "10", "10", "ok"),
    ("Liam O'Brien", "quiz-1", "7", "7", "ok"),
    ("José García Núñez", "quiz-1", "5", "5", "ok"),
    ("Fatima Al-Zahra", "quiz-1", "–", "–", "ok"),
    ("Liam O'Brien", "quiz-2", "3", "3", "ok"),
]


@pytest.fixture
def environment() -> dict[str, str]:
    """The demo's environment: hostile where a developer's might be, and marked, so that its processes can be found."""
    return {
        **os.environ,
        MARK: uuid.uuid4().hex,
        "COLUMNS": "100",
        "PYTHONIOENCODING": "utf-8",
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "DATABASE_URL": "postgres://nobody@127.0.0.1:9/nothing",
        "CELERY_BROKER_URL": "redis://127.0.0.1:9/0",
        "LTIAAS_URL": "https://school.ltiaas.com",
        "HTTP_PROXY": "http://127.0.0.1:9",
    }


def left_behind(environment: dict[str, str]) -> list[str]:
    """The command lines of processes that still run with this environment's mark."""
    mark = f"{MARK}={environment[MARK]}".encode()
    found = []
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has just ended
            if mark in (process / "environ").read_bytes().split(b"\0"):
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
    return found


def run(environment: dict[str, str], *command: str) -> subprocess.CompletedProcess[str]:
    """Run Python to its end, with no terminal."""
    return subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=180,
    )


def rows(output: str) -> list[tuple[str, ...]]:
    """The rows of the tables that rich has drawn."""
    return [tuple(cell.strip() for cell in line.strip("│ ").split("│")) for line in output.splitlines() if "│" in line]


@contextlib.contextmanager
def taken(*ports: int) -> Iterator[None]:
    """Somebody else listens on these ports."""
    with contextlib.ExitStack() as stack:
        for port in ports:
            other = stack.enter_context(socket.socket())
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):  # somebody else does already
                other.bind(("127.0.0.1", port))
                other.listen()
        yield


def test_the_demo_plays_twice_in_one_folder_and_leaves_nothing_behind(tmp_path, environment):
    for ports in [(9800, 8000), ()]:
        with taken(*ports):
            done = run(environment, "-m", "example_project.demo", "--directory", str(tmp_path))
        assert done.returncode == 0, done.stdout + done.stderr
        assert [row for row in rows(done.stdout) if len(row) == 5] == EXPECTED_ROWS
        assert ("Ada Brandt", "yes", "yes", "ok") in rows(done.stdout)
        assert ("Mei-Ling Chen", "no", "no", "ok") in rows(done.stdout)
        assert left_behind(environment) == []
        used = {int(port) for port in re.findall(r"http://127\.0\.0\.1:(\d+)", done.stdout)}
        assert len(used) == 2
        assert not used & set(ports)


@pytest.mark.parametrize(
    ("changes", "step"),
    [
        ({"DATABASE_URL": "sqlite:////no/such/folder/db.sqlite3"}, "Make the database"),
        ({"CELERY_BROKER_URL": "nonsense://"}, "Start a Celery worker"),
        ({"LTIAAS_API_KEY": "wrong"}, "The teacher opens the quiz"),
    ],
)
def test_a_step_that_fails_is_named(tmp_path, environment, changes, step):
    code = (
        "import sys; from example_project.demo.__main__ import main; "
        f"sys.exit(main(['--directory', {str(tmp_path)!r}], environment={changes!r}))"
    )
    done = run(environment, "-c", code)
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"This step failed: {step}" in done.stdout
    assert "The end of " in done.stdout
    assert left_behind(environment) == []


def test_a_folder_of_somebody_elses_is_left_alone(tmp_path, environment):
    (tmp_path / "thesis.txt").write_text("precious")
    done = run(environment, "-m", "example_project.demo", "--directory", str(tmp_path))
    assert done.returncode == 2
    assert "is not empty" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


# A session's first process takes the terminal it opens for its own, and Ctrl-C then comes as a signal.
IN_TERMINAL = """
import os, sys
os.close(os.open(os.ttyname(0), os.O_RDWR))
os.execv(sys.executable, [sys.executable, "-m", "example_project.demo", *sys.argv[1:]])
"""


class Terminal:
    """The demo in a terminal, as a person sees it."""

    def __init__(self, environment: dict[str, str], directory: pathlib.Path) -> None:
        self.keyboard, inner = pty.openpty()
        self.seen = ""
        self.process = subprocess.Popen(
            [sys.executable, "-c", IN_TERMINAL, "--directory", str(directory)],
            cwd=ROOT,
            env=environment,
            stdin=inner,
            stdout=inner,
            stderr=inner,
            start_new_session=True,
        )
        os.close(inner)

    def wait_for(self, text: str, timeout: float = 120) -> None:
        deadline = time.monotonic() + timeout
        while text not in self.seen:
            assert time.monotonic() < deadline, self.seen
            self._read()

    def press(self, keys: bytes) -> None:
        os.write(self.keyboard, keys)

    def end(self) -> int:
        with contextlib.suppress(AssertionError):
            self.wait_for("\0")  # never comes: reads until the terminal is closed
        return self.process.wait(30)

    def _read(self) -> None:
        try:
            data = os.read(self.keyboard, 65536)
        except OSError:  # Linux says so when the other end is closed
            data = b""
        assert data, self.seen
        self.seen += data.decode(errors="replace")


def test_at_a_terminal_it_serves_until_ctrl_c(tmp_path, environment):
    terminal = Terminal(environment, tmp_path)
    try:
        terminal.wait_for("Everything is still running")
        assert run(environment, "-m", "example_project.demo", "--directory", str(tmp_path)).returncode == 2
        terminal.seen = ""
        terminal.press(b"\n")
        terminal.wait_for("ltiaas_django.sync_rosters → worker")
        assert left_behind(environment) != []
        terminal.press(b"\x03")
        assert terminal.end() == 0
        assert left_behind(environment) == []
    finally:
        terminal.process.kill()
        terminal.process.wait()
        os.close(terminal.keyboard)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_in_the_middle_ends_everything(tmp_path, environment, number):
    process = subprocess.Popen(
        [sys.executable, "-m", "example_project.demo", "--directory", str(tmp_path)],
        cwd=ROOT,
        env={**environment, "PYTHONUNBUFFERED": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    with process:
        for line in process.stdout:
            if "Start the tool" in line:
                break
        process.send_signal(number)
        rest = process.stdout.read()
    assert process.returncode == 130, rest
    assert "Every process has ended" in rest
    assert left_behind(environment) == []
