"""Do what docs/tutorial.md tells its reader to do, block after block, and say how long it took.

    python docs/run_tutorial.py            with this very Python and what it has installed
    python docs/run_tutorial.py --fresh    in an environment that the tutorial's own commands make (pip fetches Django)

A comment before a block or a paragraph says what the reader does with it:

    tutorial: shell               type it in the first terminal
    tutorial: install             the same, left out without --fresh
    tutorial: background URL      type it in a terminal of its own; it is up once the URL answers
    tutorial: file PATH           write that file
    tutorial: append PATH         add it at the end of that file
    tutorial: output              each line stands in what the last commands printed; … stands for anything
    tutorial: launch COURSE ACTIVITY PERSON    in the browser: open an activity in a new tab, as that person
    tutorial: answer NAME=VALUE   in the browser: fill in the form, and send it
    tutorial: shows TEXT          in the browser: it stands on the page
    tutorial: gradebook COURSE | NAME | CELL   in the LMS's gradebook, that stands in the row of that person

The two ports of the page are replaced by free ones, and nothing else is.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import os
import pathlib
import re
import shlex
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Final
from urllib.parse import urljoin

import requests

ROOT: Final = pathlib.Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from example_project.demo import processes  # noqa: E402  after the path is set
from example_project.demo.pages import Page  # noqa: E402

PAGE: Final = ROOT / "docs" / "tutorial.md"
PORTS: Final = ("9800", "8000")  # the sandbox's and the tool's, as the page has them
STEP: Final = re.compile(
    r"^<!-- tutorial: (?P<kind>\w+) ?(?P<words>[^\n]*?) -->$(?:\n```\w*\n(?P<code>.*?)^```$)?", re.MULTILINE | re.DOTALL
)
_UP_WITHIN = 60.0  # seconds, for a server to answer on a busy machine
_TERMINAL = {"HOME", "LANG", "PATH", "TMPDIR", "http_proxy", "https_proxy", "no_proxy", "SSL_CERT_FILE"}
_COMMAND_LIMIT = 600  # seconds; pip may take long


class StepFailed(Exception):
    """What the tutorial promises did not happen; the text names the line and what came instead."""


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    """One thing that the reader does."""

    kind: str
    words: str
    code: str
    line: int


def read_steps(text: str) -> list[Step]:
    """All steps of the page, in order."""
    return [
        Step(match["kind"], match["words"], match["code"] or "", text.count("\n", 0, match.start()) + 1)
        for match in STEP.finditer(text)
    ]


class Reader:
    """Somebody who follows the page: a folder, a terminal, more terminals, a browser."""

    def __init__(self, folder: pathlib.Path, *, fresh: bool) -> None:
        self.folder = folder
        self.fresh = fresh
        self.cwd = folder
        self.environment = _environment(fresh=fresh)
        self.ports = dict(zip(PORTS, _free_ports(len(PORTS)), strict=True))
        self.printed = ""
        self.running: list[processes.Process] = []
        self.browser = requests.Session()
        self.url, self.page = "", Page("")
        (folder / "ltiaas-django").symlink_to(ROOT)  # the checkout stands beside the project

    def do(self, step: Step) -> None:
        """Do one step. Raises StepFailed."""
        action = ACTIONS.get(step.kind)
        if action is None:
            raise StepFailed(f"line {step.line}: there is no step {step.kind!r}")
        try:
            action(self, self.here(step.words), self.here(step.code))
        except (StepFailed, processes.ProcessFailed, requests.RequestException) as error:
            raise StepFailed(f"line {step.line} ({step.kind} {step.words}): {error}{self.logs()}") from error

    def here(self, text: str) -> str:
        """The text with the ports of this run."""
        for written, free in self.ports.items():
            text = re.sub(rf"\b{written}\b", free, text)
        return text

    def logs(self) -> str:
        """What the servers have said lately."""
        return "".join(f"\n--- {process.name}\n{processes.tail(process.log)}" for process in self.running)

    def close(self) -> None:
        """Leave no process behind."""
        self.browser.close()
        processes.stop(self.running)

    # --- the terminals ---

    def shell(self, _words: str, code: str) -> None:
        state = self.folder / "state"
        script = f"set -e\n{code}\npwd > {state}.cwd\nenv -0 > {state}.env\n"
        done = subprocess.run(  # noqa: S603  what the page says
            ["/bin/bash", "-c", script],
            cwd=self.cwd,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_COMMAND_LIMIT,
        )
        self.printed = done.stdout
        if done.returncode != 0:
            raise StepFailed(f"ended with status {done.returncode}:\n{done.stdout}")
        # A terminal remembers where it is, and what was activated in it.
        self.cwd = pathlib.Path(state.with_suffix(".cwd").read_text().strip())
        entries = state.with_suffix(".env").read_text().split("\0")
        self.environment = dict(entry.split("=", 1) for entry in entries if "=" in entry)

    def install(self, words: str, code: str) -> None:
        if self.fresh:
            self.shell(words, code)

    def background(self, url: str, code: str) -> None:
        name = " ".join(shlex.split(code)[:3])
        log = self.folder / f"terminal-{len(self.running) + 2}.log"
        process = processes.Process(name, ["/bin/bash", "-c", f"exec {code}"], log, self.environment, self.cwd)
        self.running.append(process)
        if not processes.wait_until(lambda: _answers(url), _UP_WITHIN, [process]):
            raise StepFailed(f"{url} does not answer")

    def output(self, _words: str, code: str) -> None:
        for line in code.splitlines():
            pattern = ".*".join(map(re.escape, line.split("…")))
            if not re.search(pattern, self.printed):
                raise StepFailed(f"{line!r} was not printed, but:\n{self.printed}")

    # --- the editor ---

    def file(self, path: str, code: str) -> None:
        target = self.cwd / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(code)

    def append(self, path: str, code: str) -> None:
        with (self.cwd / path).open("a") as target:
            target.write(f"\n{code}")

    # --- the browser ---

    def launch(self, words: str, _code: str) -> None:
        course, activity, person = words.split()
        self.browser.close()
        self.browser = requests.Session()
        self.browser.trust_env = False
        self.browser.headers["Sec-Fetch-Dest"] = "document"  # a tab of its own, as browsers say
        path = f"/courses/{course}/activities/{activity}/launch/?person={person}&target=window"
        self.show(self.browser.get(f"http://127.0.0.1:{self.ports['9800']}{path}", timeout=30))

    def answer(self, words: str, _code: str) -> None:
        form = self.page.forms[0]
        name, value = words.split("=")
        url = urljoin(self.url, form.action)
        self.show(self.browser.post(url, data={**form.fields, name: value}, timeout=30))

    def show(self, response: requests.Response) -> None:
        self.url, self.page = response.url, Page(response.text)
        if response.status_code != 200:
            raise StepFailed(f"the page came with status {response.status_code}: {self.page.text[:500]}")

    def shows(self, text: str, _code: str) -> None:
        if text not in self.page.text:
            raise StepFailed(f"the page says: {self.page.text[:500]}")

    def gradebook(self, words: str, _code: str) -> None:
        course, name, cell = (part.strip() for part in words.split("|"))
        response = requests.get(f"http://127.0.0.1:{self.ports['9800']}/courses/{course}/gradebook/", timeout=30)
        seen = re.sub(r'<span class="quiet">.*?</span>', "", response.text)  # the rest is for screen readers
        rows = Page(seen).rows
        if not any(row and row[0].startswith(name) and cell in " ".join(row[1:]) for row in rows):
            raise StepFailed(f"the gradebook holds: {rows}")


ACTIONS: Final[Mapping[str, Callable[[Reader, str, str], None]]] = {
    "answer": Reader.answer,
    "append": Reader.append,
    "background": Reader.background,
    "file": Reader.file,
    "gradebook": Reader.gradebook,
    "install": Reader.install,
    "launch": Reader.launch,
    "output": Reader.output,
    "shell": Reader.shell,
    "shows": Reader.shows,
}


def _environment(*, fresh: bool) -> dict[str, str]:
    """A reader's environment: nothing of the one who started this gets in, save what every terminal has."""
    kept = {name: value for name, value in os.environ.items() if name in _TERMINAL or name.startswith("PIP_")}
    if fresh:
        return {**kept, "PIP_CONSTRAINT": str(ROOT / "constraints.txt"), "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    scripts = pathlib.Path(sys.executable).parent
    return {**kept, "PATH": f"{scripts}{os.pathsep}{kept.get('PATH', '')}", "PYTHONPATH": str(ROOT)}


def _free_ports(count: int) -> list[str]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [str(one.getsockname()[1]) for one in sockets]


def _answers(url: str) -> bool:
    try:
        requests.get(url, timeout=5)
    except requests.RequestException:
        return False
    return True


@contextlib.contextmanager
def reader(folder: pathlib.Path, *, fresh: bool = False) -> Iterator[Reader]:
    """Somebody to follow the page in an empty folder; leaves no process behind."""
    somebody = Reader(folder, fresh=fresh)
    try:
        yield somebody
    finally:
        somebody.close()


def main() -> int:
    """Run it; returns an exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--fresh", action="store_true", help="install into a new environment, as the page says")
    fresh = parser.parse_args().fresh
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, reader(pathlib.Path(folder), fresh=fresh) as somebody:
        for step in read_steps(PAGE.read_text()):
            at = time.monotonic()
            try:
                somebody.do(step)
            except StepFailed as error:
                sys.stdout.write(f"The tutorial does not work. {error}\n")
                return 1
            sys.stdout.write(f"{time.monotonic() - at:6.1f} s  line {step.line}: {step.kind} {step.words}\n")
            sys.stdout.flush()
    took = time.monotonic() - began
    sys.stdout.write(f"From an empty folder to a grade in the gradebook in {took:.0f} s, typing not counted.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
