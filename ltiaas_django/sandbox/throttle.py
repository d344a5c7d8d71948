"""How LMSs count what a tool asks of them, and when it is too much. Each school counts for itself.

In reality Canvas has one bucket for all schools of a cluster where the tool has the same client id; here every school
has a client id of its own.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta


class LeakyBucket:
    """Canvas's: a call weighs a lot while it runs and little afterwards, and the bucket leaks all the time."""

    def __init__(self, *, maximum: float, trips_at: float, leaks: float, up_front: float, cost: float) -> None:
        self.cost = cost
        """What stays of a call when it is over."""
        self._maximum = maximum
        self._trips_at = trips_at
        self._leaks = leaks
        self._up_front = up_front
        self._level = 0.0
        self._at: datetime | None = None
        self._lock = threading.Lock()

    @contextmanager
    def running(self, now: datetime) -> Iterator[bool]:
        """Around a call; gives whether it is one that may be made."""
        with self._lock:
            elapsed = 0.0 if self._at is None else max((now - self._at).total_seconds(), 0.0)
            self._at = now
            self._fill(-self._leaks * elapsed)
            self._fill(self._up_front)
            is_allowed = self._level < self._trips_at
        try:
            yield is_allowed
        finally:
            with self._lock:
                self._fill((self.cost if is_allowed else 0.0) - self._up_front)

    @property
    def left(self) -> float:
        """How much more would trip it."""
        return self._trips_at - self._level

    def _fill(self, amount: float) -> None:
        self._level = min(max(self._level + amount, 0.0), self._maximum)


class CreditWindow:
    """Brightspace's: so many credits a minute, each call costs some."""

    def __init__(self, *, credits: int, cost: int, seconds: float) -> None:
        self.cost = cost
        self.left = credits
        """How many credits are left in this window."""
        self._credits = credits
        self._length = timedelta(seconds=seconds)
        self._ends: datetime | None = None
        self._lock = threading.Lock()

    def spend(self, now: datetime) -> bool:
        """A call is made; False if there are no credits left for it."""
        with self._lock:
            if self._ends is None or now >= self._ends:
                self.left, self._ends = self._credits, now + self._length
            if self.left < self.cost:
                return False
            self.left -= self.cost
            return True

    def seconds_to_next(self, now: datetime) -> float:
        """How long until there are all credits again."""
        return 0.0 if self._ends is None else max((self._ends - now).total_seconds(), 0.0)
