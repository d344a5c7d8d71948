"""How LMSs count what a tool asks of them, and when it is too much."""

from __future__ import annotations

from datetime import datetime, timedelta


class LeakyBucket:
    """Canvas's: every running call weighs in beforehand, what it cost stays, and the bucket leaks all the time."""

    def __init__(self, *, trips_at: float, leaks: float, up_front: float, cost: float) -> None:
        self._trips_at = trips_at
        self._leaks = leaks
        self._up_front = up_front
        self._cost = cost
        self._level = 0.0
        self._at: datetime | None = None

    def enter(self, now: datetime) -> bool:
        """A call begins; False if it is one too many (it then weighs nothing)."""
        if self._at is not None:
            self._level = max(0.0, self._level - self._leaks * max((now - self._at).total_seconds(), 0.0))
        self._at = now
        if self._level >= self._trips_at:
            return False
        self._level += self._up_front
        return True

    def leave(self) -> None:
        """A call that was let in is over."""
        self._level = max(0.0, self._level - self._up_front + self._cost)


class CreditWindow:
    """Brightspace's: so many credits a minute, each call costs some."""

    def __init__(self, *, credits: int, cost: int, seconds: float) -> None:
        self._credits = credits
        self._cost = cost
        self._length = timedelta(seconds=seconds)
        self._left = credits
        self._ends: datetime | None = None

    def enter(self, now: datetime) -> bool:
        """A call begins; False if there are no credits left for it."""
        if self._ends is None or now >= self._ends:
            self._left, self._ends = self._credits, now + self._length
        if self._left < self._cost:
            return False
        self._left -= self._cost
        return True

    def leave(self) -> None:
        """A call is over; what it cost is spent."""

    @property
    def left(self) -> int:
        """How many credits are left in this window."""
        return self._left

    def seconds_to_next(self, now: datetime) -> float:
        """How long until there are credits again."""
        return 0.0 if self._ends is None else max((self._ends - now).total_seconds(), 0.0)
