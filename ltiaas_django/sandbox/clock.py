"""The sandbox's own time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from . import errors

_LONGEST_WAY = 100 * 365 * 24 * 3600.0


class Clock:
    """The real time, plus what a test has moved it by."""

    def __init__(self) -> None:
        self._offset = timedelta()

    @property
    def offset(self) -> timedelta:
        """How far it is ahead of the real time."""
        return self._offset

    def now(self) -> datetime:
        """The time now, in UTC."""
        return datetime.now(UTC) + self._offset

    def advance(self, seconds: float) -> None:
        """Move on by some seconds (back, if negative)."""
        self.check(self._offset.total_seconds() + seconds)
        self._offset += timedelta(seconds=seconds)

    @staticmethod
    def check(offset: float) -> None:
        """Raises BadRequest for an offset, in seconds, that is too far."""
        if not abs(offset) <= _LONGEST_WAY:  # also refuses NaN
            raise errors.BadRequest("The clock moves by at most a hundred years.")

    def reset(self) -> None:
        """Back to the real time."""
        self._offset = timedelta()
