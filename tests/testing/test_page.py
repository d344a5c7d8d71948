"""docs/how-to/testing.md: its six tests are the example's, word for word, and all else on it runs.

The line before a block names its handler here, as on the other pages: `<!-- test: NAME -->`.
"""

from __future__ import annotations

import ast
import configparser

import pytest

from ltiaas_django.sandbox import Sandbox
from ltiaas_django.testing.serving import TRANSPORTS
from tests import test_docs_blocks
from tests.blocks import ROOT, all_blocks

pytestmark = pytest.mark.long

BLOCKS = [block for block in all_blocks() if block.page in test_docs_blocks.HANDLED_ELSEWHERE]
EXAMPLE = (ROOT / "example_project" / "quiz" / "tests" / "test_lti.py").read_text()


def code_of(name: str) -> list[str]:
    return [block.code for block in BLOCKS if block.name == name]


def functions(source: str) -> list[str]:
    return [node.name for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)]


def test_every_block_is_handled_here():
    assert {block.name for block in BLOCKS} == {"shell", "six", "tests", "ini"}


def test_the_six_are_the_examples():
    shown = code_of("six")
    assert [code for code in shown if code not in EXAMPLE] == []
    assert sorted(functions("".join(shown))) == sorted(functions(EXAMPLE))
    assert len([name for name in functions(EXAMPLE) if name.startswith("test_")]) == 6


def test_the_other_tests_pass_in_a_tool(tool):
    sources = code_of("tests")
    tool.makepyfile(**{f"test_block_{number}": source for number, source in enumerate(sources)})
    result = tool.runpytest_subprocess()
    assert result.ret == pytest.ExitCode.OK
    assert result.parseoutcomes()["passed"] >= len(sources)


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.name == "shell"], ids=lambda block: block.line)
def test_the_commands_exist(block, request):
    test_docs_blocks.check_shell(block, request)


def test_the_ini_file_says_what_there_is(pytestconfig):
    [code] = code_of("ini")
    ini = configparser.ConfigParser()
    ini.optionxform = str  # type: ignore[assignment]  # names as they are written
    ini.read_string(code)
    for name in ini["pytest"]:
        pytestconfig.getini(name)  # raises ValueError for one that nobody knows
    assert ini["pytest"]["lti_transport"] in TRANSPORTS
    assert Sandbox(profile=ini["pytest"]["lti_profile"])
