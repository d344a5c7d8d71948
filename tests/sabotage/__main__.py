"""Break one line, run the test that watches it, expect a failure; for every line of the table.

All of it happens in copies of the tree, so that an interrupted run leaves nothing broken behind.
"""

from __future__ import annotations

import concurrent.futures
import os
import pathlib
import queue
import re
import shutil
import subprocess
import sys
import tempfile
import time

from tests.sabotage.table import BREAKS, Break

ROOT = pathlib.Path(__file__).parent.parent.parent
LEFT_OUT = shutil.ignore_patterns(".*", "__pycache__", "*.sqlite3*", "var", "build", "dist")
COPIES = 2
DEADLINE = 120  # seconds for one test; a break that makes it hang counts as trouble, not as noticed
PASSED, FAILED = 0, 1  # pytest's exit codes; all others mean that it could not do its work
FAILURES = re.compile(r"^\d+ failed", re.MULTILINE)  # a crash at start ends with 1 as well, but counts no failure


def main() -> int:
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="sabotage-") as folder:
        copies: queue.Queue[pathlib.Path] = queue.Queue()
        for number in range(COPIES):
            copies.put(pathlib.Path(shutil.copytree(ROOT, pathlib.Path(folder, str(number)), ignore=LEFT_OUT)))
        if problem := unbroken_problem(copies.queue[0]):
            print(problem)
            print("The tests of the table must pass before anything is broken.")
            print(f"sabotage: 0 passed, {len(BREAKS)} failed")
            return 1
        with concurrent.futures.ThreadPoolExecutor(COPIES) as pool:
            problems = list(pool.map(lambda broken: attempt(broken, copies), BREAKS))
    for broken, problem in zip(BREAKS, problems, strict=True):
        print(f"  {broken.must:>4}  {broken.title:<60}  {problem or 'noticed'}")
    failed = sum(map(bool, problems))
    print(f"{len(BREAKS)} promises broken on purpose in {time.monotonic() - started:.0f} s.")
    print(f"sabotage: {len(BREAKS) - failed} passed, {failed} failed")
    return 1 if failed else 0


def unbroken_problem(copy: pathlib.Path) -> str:
    """Why the tests do not pass as they are; blank if they do."""
    tests = list(dict.fromkeys(broken.test for broken in BREAKS))
    code, output = run(copy, *tests, "--numprocesses", str(COPIES), "--dist", "loadfile", deadline=DEADLINE * 5)
    return "" if code == PASSED else output


def attempt(broken: Break, copies: queue.Queue[pathlib.Path]) -> str:
    """Break, test and mend in a copy that no one else uses; say what went wrong, if anything."""
    copy = copies.get()
    path = copy / broken.path
    try:
        source = path.read_text()
        if (times := source.count(broken.old)) != 1:
            return f"NOT BROKEN: the old text stands {times} times in {broken.path}"
        path.write_text(source.replace(broken.old, broken.new))
        try:
            code, output = run(copy, broken.test, deadline=DEADLINE)
        finally:
            path.write_text(source)
    except OSError as error:
        return f"NOT BROKEN: {error}"
    finally:
        copies.put(copy)
    if code == PASSED:
        return f"NOT NOTICED by {broken.test}"
    return "" if code == FAILED and FAILURES.search(output) else f"NO VERDICT: pytest ended with {code}\n{output}"


def run(copy: pathlib.Path, *arguments: str, deadline: float) -> tuple[int, str]:
    """pytest's exit code for these tests and options (-1: out of time), and what it printed."""
    # No gate on skips (a skipped test notices nothing), no database to share, and no byte code: Python tells stale
    # from fresh by the second, and a break lasts about as long.
    left_out = {"CI", "ALLOWED_SKIPS_FILE", "CI_SERVICES_REQUIRED", "DATABASE_URL"}
    environment = {name: value for name, value in os.environ.items() if name not in left_out}
    environment |= {"PYTHONDONTWRITEBYTECODE": "1"}
    options = ["-p", "no:randomly", "-p", "no:cacheprovider", "-x", "-q", "--no-cov", "--no-migrations", "-m", ""]
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *options, *arguments],
            cwd=copy,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=deadline,
        )
    except subprocess.TimeoutExpired:
        return -1, f"out of time after {deadline:.0f} s"
    return done.returncode, done.stdout


if __name__ == "__main__":
    sys.exit(main())
