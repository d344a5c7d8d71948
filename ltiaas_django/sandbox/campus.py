"""What all schools of the sandbox share: one lock, one clock, its origin, and the numbers it gives out."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

from .clock import Clock


@dataclass
class Campus:
    """The parts of the sandbox that belong to no single school."""

    clock: Clock
    origin: str
    lock: threading.RLock = field(default_factory=threading.RLock)
    line_item_numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    course_numbers: Iterator[int] = field(default_factory=lambda: itertools.count(2))
    """Moodle counts the site itself as course 1."""
