"""The tutorial works: what it tells its reader to do is done, word for word, and shows what it promises."""

from __future__ import annotations

import pathlib

import pytest

from docs import run_tutorial
from docs.run_tutorial import Step

pytestmark = pytest.mark.long


def test_every_block_of_the_tutorial_is_a_step() -> None:
    text = run_tutorial.PAGE.read_text()
    steps = run_tutorial.read_steps(text)
    assert text.count("\n```\n") == sum(1 for step in steps if step.code)
    assert {step.kind for step in steps} <= set(run_tutorial.ACTIONS)


@pytest.mark.long
def test_the_tutorial_ends_with_a_grade_in_the_gradebook(tmp_path: pathlib.Path) -> None:
    done = []
    with run_tutorial.reader(tmp_path) as reader:
        for step in run_tutorial.read_steps(run_tutorial.PAGE.read_text()):
            reader.do(step)
            done.append(step.kind)
    assert "gradebook" in done


@pytest.mark.parametrize(
    "step",
    [
        Step("shell", "", "false\n", 1),
        Step("output", "", "what nobody has printed\n", 1),
        Step("shows", "what is on no page", "", 1),
        Step("background", "http://127.0.0.1:8000/", "false\n", 1),
        Step("nonsense", "", "", 1),
    ],
    ids=lambda step: step.kind,
)
def test_a_step_that_does_not_work_is_told(step: Step, tmp_path: pathlib.Path) -> None:
    with run_tutorial.reader(tmp_path) as reader, pytest.raises(run_tutorial.StepFailed, match="line 1"):
        reader.do(step)


def test_a_terminal_remembers_where_it_is(tmp_path: pathlib.Path) -> None:
    with run_tutorial.reader(tmp_path) as reader:
        reader.do(Step("shell", "", "mkdir there\ncd there\nexport COLOUR='a b'\n", 1))
        reader.do(Step("shell", "", "pwd\necho $COLOUR\n", 5))
        reader.do(Step("output", "", "…/there\na b\n", 9))
