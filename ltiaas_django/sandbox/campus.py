"""What all schools of the sandbox share: one lock, one clock, its origin, and the numbers it gives out."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from .clock import Clock


class Numbers:
    """Numbers that are given out one by one, each once."""

    def __init__(self, first: int) -> None:
        self._next = first

    def next(self) -> int:
        """One that was never given out."""
        self._next += 1
        return self._next - 1

    def take(self, number: int) -> int:
        """This very number, chosen elsewhere; those given out from now on are above it."""
        self._next = max(self._next, number + 1)
        return number


@dataclass
class Campus:
    """The parts of the sandbox that belong to no single school."""

    clock: Clock
    origin: str
    lock: threading.RLock = field(default_factory=threading.RLock)
    line_item_numbers: Numbers = field(default_factory=lambda: Numbers(1))
    course_numbers: Numbers = field(default_factory=lambda: Numbers(2))
    """Moodle counts the site itself as course 1."""
