"""summary.py FOLDER: how each step of .ci/run ended, the test runners' closing lines, the totals as the last line."""

from __future__ import annotations

import collections
import pathlib
import re
import sys
from collections.abc import Iterator

COLOUR = re.compile(r"\x1b\[[0-9;]*m")
SESSION = re.compile(r"^nox > Running session (?P<name>\S+)")
CLOSING = re.compile(
    r"^=+ (?P<pytest>.*(?:passed|failed|error|skipped|no tests ran).* in [\d.]+s.*?) =+$"
    r"|^(?P<other>\w+: \d+ passed, \d+ failed)$"
)
# A failure's name, as pytest and sabotage put it: what is above the summary may be cut where the log is kept.
FAILURE = re.compile(r"^(?:FAILED|ERROR) \S+::.*?(?= - |$)|^.* {2}(?:NOT BROKEN|NOT NOTICED|NO VERDICT)\b.*")
FAILURES_SHOWN = 20
UNDONE = re.compile(r"^NOT AUDITED: .*")  # no failure, and nothing to be silent about
COUNT = re.compile(r"(\d+) (passed|failed|error|skipped)")
# steps that must not end without a test
RUN_TESTS = {"test", "matrix", "services", "sabotage", "full", "full-postgres"}


def closing_lines(log: pathlib.Path) -> Iterator[tuple[str, str]]:
    """Pairs of a nox session (or blank) and a test runner's closing line."""
    session = ""
    for line in log.read_text(errors="replace").splitlines():
        text = COLOUR.sub("", line)
        if match := SESSION.match(text):
            session = match["name"]
        elif match := CLOSING.match(text):
            yield session, match["pytest"] or match["other"]


def failures(log: pathlib.Path) -> list[str]:
    """The failures that a step's output names."""
    lines = (COLOUR.sub("", line) for line in log.read_text(errors="replace").splitlines())
    return [match[0].strip() for line in lines if (match := FAILURE.match(line))]


def main(folder: pathlib.Path) -> int:
    totals: collections.Counter[str] = collections.Counter(passed=0, failed=0, skipped=0)
    failed_steps = []
    for row in (folder / "results.tsv").read_text().splitlines():
        step, code, seconds = row.split("\t")
        lines = list(closing_lines(folder / f"{step}.log"))
        counts: collections.Counter[str] = collections.Counter()
        for _, line in lines:
            for number, outcome in COUNT.findall(line):
                counts["failed" if outcome == "error" else outcome] += int(number)
        if code == "0" and step in RUN_TESTS and not counts["passed"]:
            code = "no test ran"
        if code != "0":
            failed_steps.append(f"{step} ({code})")
            counts["failed"] = counts["failed"] or 1  # a step without tests of its own counts as one
        totals += counts
        print(f"  {step:<12} {'ok' if code == '0' else 'FAILED':<7} {seconds:>5} s")
        for session, line in lines:
            print(f"      {session:<12} {line}")
        for line in (folder / f"{step}.log").read_text(errors="replace").splitlines():
            if UNDONE.match(line):
                print(f"      {line}")
        for failure in failures(folder / f"{step}.log")[:FAILURES_SHOWN] if code != "0" else ():
            print(f"      {failure}")
    if failed_steps:
        print(f"Failed: {', '.join(failed_steps)}")
    print(f"{totals['passed']} passed, {totals['failed']} failed, {totals['skipped']} skipped")
    return 1 if failed_steps or totals["failed"] else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1])))
