"""What the doctor says: one sentence on one thing it has looked at, and what to type."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Literal

Level = Literal["ok", "advice", "problem", "skipped"]
"""`skipped`: it was not looked at, and the text says why."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing, and how it is."""

    level: Level
    text: str
    hint: str = ""
    """What to type; blank where there is nothing to do."""
    id: str = ""
    """Of the system check that found it; blank for what no check looks at."""
    name: str = ""
    """Of the examination."""


def ok(text: str) -> Finding:
    return Finding(level="ok", text=text)


def advice(text: str, hint: str, code: str = "") -> Finding:
    """Something could be better, or will matter later; nothing is broken."""
    return Finding(level="advice", text=text, hint=hint, id=code)


def problem(text: str, hint: str, code: str = "") -> Finding:
    """Something does not work, or is not safe."""
    return Finding(level="problem", text=text, hint=hint, id=code)


def skipped(why: str) -> Finding:
    return Finding(level="skipped", text=why)


def worst(findings: Iterable[Finding]) -> Level:
    """The one word for all of them: ok, advice or problem."""
    levels = {finding.level for finding in findings}
    return "problem" if "problem" in levels else "advice" if "advice" in levels else "ok"
