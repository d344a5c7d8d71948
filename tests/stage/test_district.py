"""The night of a district, smaller than the one that `python -m benchmarks district` measures."""

from __future__ import annotations

import pytest

from benchmarks import district


@pytest.mark.full
def test_two_processes_at_once_leave_every_gradebook_and_roster_as_wanted() -> None:
    night = district.night("sqlite", courses=64, workers=2)
    assert night["wrong"] == []
    assert night["scores"] == 64 * district.SCORES
    assert night["members"] == sum(len(wanted.course.active()) for wanted in district.twin(64))
    assert night["requests"]["POST scores"] == night["scores"], "a score was sent twice"
    assert len(night["peaks"]) == 2
