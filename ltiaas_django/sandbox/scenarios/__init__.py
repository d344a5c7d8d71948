"""What is there when the sandbox starts, the same at every start.

small        two courses with a dozen people: see `small`
university   one school with 40 courses and 5,000 people
district     eight schools on six kinds of LMS, with 2,000 courses and 100,000 people

Courses of the large ones are made, and their people with them, when somebody looks at them; all ids are the same in
whatever order that is. See `large`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from .. import errors
from ..institutions import Institutions
from . import large, small

SMALL = "small"
SCENARIOS: Mapping[str, Callable[[Institutions, str], None]] = {
    SMALL: small.fill,
    "university": large.university,
    "district": large.district,
}
"""By name, what adds the schools and courses; it gets the profile that the first school is to have."""

__all__ = ["SCENARIOS", "SMALL", "known"]


def known(name: str) -> str:
    """The name of a scenario that there is; raises BadRequest."""
    if name not in SCENARIOS:
        raise errors.BadRequest(f"A scenario is one of {', '.join(SCENARIOS)}.")
    return name
