"""The gate on skipped tests lets through what is listed and nothing else."""

from __future__ import annotations

import types

import pytest

from tests import skips


def report(reason: str, **attributes: object) -> pytest.TestReport:
    made = pytest.TestReport("tests/test_x.py::test_y", ("x", 1, "y"), {}, "skipped", ("x", 1, reason), "setup")
    made.__dict__.update(attributes)
    return made


def finish(gate: skips.SkipGate) -> int:
    session = types.SimpleNamespace(exitstatus=int(pytest.ExitCode.OK))
    gate.pytest_sessionfinish(session)  # type: ignore[arg-type]
    return int(session.exitstatus)


def test_a_listed_reason_passes(tmp_path):
    path = tmp_path / "allowed.txt"
    path.write_text("# why\nneeds Redis: *\n\n")
    gate = skips.SkipGate.from_file(path)
    gate.pytest_runtest_logreport(report("Skipped: needs Redis: set TEST_REDIS_URL"))
    assert (gate.refused, finish(gate)) == ([], pytest.ExitCode.OK)


def test_any_other_reason_fails_the_run():
    gate = skips.SkipGate(["needs Redis: *"])
    gate.pytest_runtest_logreport(report("Skipped: no time today"))
    assert gate.refused == ["tests/test_x.py::test_y: no time today"]
    assert finish(gate) == pytest.ExitCode.TESTS_FAILED


def test_an_expected_failure_is_no_skip():
    gate = skips.SkipGate([])
    gate.pytest_runtest_logreport(report("known bug", wasxfail="known bug"))
    assert gate.refused == []


@pytest.mark.parametrize(
    ("environment", "patterns"),
    [({}, []), ({"CI": "true"}, [["listed"]]), ({"ALLOWED_SKIPS_FILE": "other.txt"}, [["other"]])],
)
def test_the_environment_asks_for_it(environment, patterns, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "default.txt").write_text("listed\n")
    (tmp_path / "other.txt").write_text("other\n")
    assert [gate.patterns for gate in skips.gate(environment, tmp_path / "default.txt")] == patterns
