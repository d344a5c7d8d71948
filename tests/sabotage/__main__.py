"""Break one line, run the test that watches it, expect a failure; for every line of the tables.

`python -m tests.sabotage canvas moodle` takes only those that have one of the words in their must, title or test.
All of it happens in copies of the tree, so that an interrupted run leaves nothing broken behind.
"""

from __future__ import annotations

import compileall
import concurrent.futures
import json
import os
import pathlib
import py_compile
import queue
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from tests.sabotage.quirks import QUIRKS
from tests.sabotage.table import BREAKS, Break

ROOT = pathlib.Path(__file__).parent.parent.parent
LEFT_OUT = shutil.ignore_patterns(".*", "__pycache__", "*.sqlite3*", "var", "build", "dist")
COPIES = 2
DEADLINE = 120  # seconds for one test; a break that makes it hang counts as trouble, not as noticed
PASSED, FAILED = 0, 1  # pytest's exit codes; all others mean that it could not do its work
FAILURES = re.compile(r"^\d+ failed", re.MULTILINE)  # a crash at start ends with 1 as well, but counts no failure
# Without rewritten asserts: who only counts failures need not wait for them to be explained.
OPTIONS = ["-p", "no:randomly", "-p", "no:cacheprovider", "-x", "-q", "--no-cov", "--no-migrations", "-m", ""]
OPTIONS += ["--assert=plain"]


def main(words: Sequence[str]) -> int:
    started = time.monotonic()
    breaks = [one for one in [*BREAKS, *QUIRKS] if not words or any(word in _text(one) for word in words)]
    with tempfile.TemporaryDirectory(prefix="sabotage-") as folder, ExitStack() as stack:
        copies: queue.Queue[Copy] = queue.Queue()
        for number in range(COPIES):
            copies.put(stack.enter_context(copied(pathlib.Path(folder, str(number)))))
        if problem := unbroken_problem(breaks, copies.queue[0]):
            print(problem)
            print("The tests of the table must pass before anything is broken.")
            print(f"sabotage: 0 passed, {len(breaks)} failed")
            return 1
        failed = 0
        with concurrent.futures.ThreadPoolExecutor(COPIES) as pool:
            problems = pool.map(lambda broken: attempt(broken, copies), breaks)
            for broken, problem in zip(breaks, problems, strict=True):
                print(f"  {broken.must:>18}  {broken.title:<60}  {problem or 'noticed'}", flush=True)
                failed += bool(problem)
    print(f"{len(breaks)} promises broken on purpose in {time.monotonic() - started:.0f} s.")
    print(f"sabotage: {len(breaks) - failed} passed, {failed} failed")
    return 1 if failed or not breaks else 0


def _text(broken: Break) -> str:
    return f"{broken.must} {broken.title} {broken.test}"


class Copy:
    """A copy of the tree, and the process that runs its tests (`forking`)."""

    def __init__(self, path: pathlib.Path, process: subprocess.Popen[str]) -> None:
        self.path = path
        self._process = process
        self._output = path.with_suffix(".txt")

    def run(self, *arguments: str, deadline: float) -> tuple[int, str]:
        """pytest's exit code for these tests and options (-1: out of time), and what it printed."""
        self._output.write_text("")
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps([[*OPTIONS, *arguments], str(self._output), deadline]), file=self._process.stdin, flush=True)
        code = int(self._process.stdout.readline() or -1)  # nothing, if the process has died
        return code, self._output.read_text() if code >= 0 else f"out of time after {deadline:.0f} s, or killed"


@contextmanager
def copied(path: pathlib.Path) -> Iterator[Copy]:
    """A copy of the tree at this path, ready to run tests."""
    shutil.copytree(ROOT, path, ignore=LEFT_OUT)
    # Byte code that knows its source by the content: by its time, in seconds, a break would go unseen.
    how = py_compile.PycInvalidationMode.CHECKED_HASH
    for part in ("ltiaas_django", "tests", "example_project"):
        compileall.compile_dir(path / part, quiet=2, invalidation_mode=how)
    # No gate on skips (a skipped test notices nothing), and no database to share.
    left_out = {"CI", "ALLOWED_SKIPS_FILE", "CI_SERVICES_REQUIRED", "DATABASE_URL"}
    environment = {name: value for name, value in os.environ.items() if name not in left_out}
    process = subprocess.Popen(
        [sys.executable, str(path / "tests/sabotage/forking.py")],
        cwd=path,
        env=environment | {"PYTHONDONTWRITEBYTECODE": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        yield Copy(path, process)


def unbroken_problem(breaks: Sequence[Break], copy: Copy) -> str:
    """Why the tests do not pass as they are; blank if they do."""
    tests = list(dict.fromkeys(broken.test for broken in breaks))
    code, output = copy.run(*tests, "--numprocesses", str(COPIES), "--dist", "loadfile", deadline=DEADLINE * 10)
    return "" if code == PASSED else output or f"pytest ended with {code}"


def attempt(broken: Break, copies: queue.Queue[Copy]) -> str:
    """Break, test and mend in a copy that no one else uses; say what went wrong, if anything."""
    copy = copies.get()
    path = copy.path / broken.path
    try:
        source = path.read_text()
        if (times := source.count(broken.old)) != 1:
            return f"NOT BROKEN: the old text stands {times} times in {broken.path}"
        path.write_text(source.replace(broken.old, broken.new))
        try:
            code, output = copy.run(broken.test, deadline=DEADLINE)
        finally:
            path.write_text(source)
    except OSError as error:
        return f"NOT BROKEN: {error}"
    finally:
        copies.put(copy)
    if code == PASSED:
        return f"NOT NOTICED by {broken.test}"
    return "" if code == FAILED and FAILURES.search(output) else f"NO VERDICT: pytest ended with {code}\n{output}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
