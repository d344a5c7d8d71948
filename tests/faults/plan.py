"""What the tool, the LMSs and the test agree on: places, people, and the score that each revision wants."""

from __future__ import annotations

import dataclasses
import re
import zlib

MAXIMUM = 1000
DEADLINE = 2.0
"""Seconds that a call may take."""
LEASE = 8.0
"""Seconds for which a worker owns what it is at."""
REFUSED = "stranger"
"""The LMSs cannot grade this person."""


@dataclasses.dataclass(frozen=True, order=True)
class Pair:
    """One person in one activity of one platform: what has exactly one grade."""

    platform: int
    activity: int
    person: str


def given(pair: Pair, revision: int) -> int:
    """The points that a revision wants: another number for each revision of a pair, and once the number 0."""
    number = zlib.crc32(repr(pair).encode())
    return 0 if revision == 1 + number % 3 else 1 + (number + revision) % MAXIMUM


def comment(revision: int) -> str:
    """A comment by which the LMS knows which revision it is given."""
    return f"revision {revision}"


def revision_of(text: str) -> int:
    """The revision that a comment names."""
    found = re.fullmatch(r"revision ([0-9]+)", text)
    if found is None:
        raise ValueError(f"No comment of ours: {text!r}")
    return int(found[1])
