"""A gate for CI: a test may be skipped only for a reason that is on a list.

Without it a suite stays green when a service, a browser or an import quietly goes missing.
"""

from __future__ import annotations

import fnmatch
import pathlib
from collections.abc import Iterator

import pytest


class SkipGate:
    """A pytest plugin that fails the run if a test was skipped for a reason that `patterns` do not hold."""

    def __init__(self, patterns: list[str]) -> None:
        self.patterns = patterns
        self.refused: list[str] = []

    @classmethod
    def from_file(cls, path: pathlib.Path) -> SkipGate:
        """One pattern a line, with shell wildcards; blank lines and lines with `#` in front do not count."""
        lines = (line.strip() for line in path.read_text().splitlines())
        return cls([line for line in lines if line and not line.startswith("#")])

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if not hasattr(report, "wasxfail"):  # an expected failure is told apart from a skip only by this
            self._judge(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self._judge(report)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.refused and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.refused:
            terminalreporter.section("skipped for reasons that tests/allowed_skips.txt does not list", red=True)
            for line in self.refused:
                terminalreporter.write_line(line)

    def _judge(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        if report.skipped and isinstance(report.longrepr, tuple):
            reason = report.longrepr[2].removeprefix("Skipped: ")
            if not any(fnmatch.fnmatchcase(reason, pattern) for pattern in self.patterns):
                self.refused.append(f"{report.nodeid}: {reason}")


def gate(environment: dict[str, str], default: pathlib.Path) -> Iterator[SkipGate]:
    """The gate that this environment asks for, if any: CI=true, or a list of one's own in ALLOWED_SKIPS_FILE."""
    if path := environment.get("ALLOWED_SKIPS_FILE"):
        yield SkipGate.from_file(pathlib.Path(path))
    elif environment.get("CI") == "true":
        yield SkipGate.from_file(default)
