"""One clock for the tool and the LMS."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

import time_machine


class Clock:
    """The time of this process: Django's, the tool's and the sandbox's. It goes on, and can be moved.

    What measures durations (`time.monotonic`), and so the deadline of a call, is left alone; so is the database's own.
    """

    def __init__(self, stack: ExitStack) -> None:
        """`stack` puts the clock right when it closes."""
        self._stack = stack
        self._travel: time_machine.Traveller | None = None

    def now(self) -> datetime:
        """The time now, in UTC."""
        return datetime.now(UTC)

    def advance(self, seconds: float = 0.0, *, minutes: float = 0.0, hours: float = 0.0, days: float = 0.0) -> None:
        """Move on by so much."""
        by = timedelta(seconds=seconds, minutes=minutes, hours=hours, days=days)
        if self._travel is None:
            self._travel = self._stack.enter_context(time_machine.travel(self.now() + by, tick=True))
        else:
            self._travel.shift(by)
