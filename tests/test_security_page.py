"""docs/security.md names, for each threat, tests that exist and that notice when the defence is gone."""

from __future__ import annotations

import pathlib
import re

import pytest

from tests.sabotage.table import BREAKS

PAGE = pathlib.Path(__file__).parent.parent / "docs" / "security.md"
ROWS = [line for line in PAGE.read_text().splitlines() if line.startswith("| **")]
WATCHED = {broken.test.rpartition("::")[2].partition("[")[0] for broken in BREAKS}


@pytest.mark.parametrize("row", ROWS, ids=[row.split("**")[1][:40] for row in ROWS])
def test_every_threat_has_tests_that_sabotage_proves(row: str) -> None:
    _threat, _met, tests, _remains = row.strip("|").split("|")
    named = re.findall(r"::(\w+)", tests)
    assert named
    assert [name for name in named if name not in WATCHED] == []
