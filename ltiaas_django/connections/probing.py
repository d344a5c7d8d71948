"""What a call with nothing but the API key tells: whether the key is taken, how long it takes, and what time it is."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from ltiaas_django import exceptions


@dataclasses.dataclass(slots=True, kw_only=True)
class Probe:
    """How such a call went."""

    error: exceptions.ApiError | None = None
    """Why it did not work; None if it did."""
    seconds: float | None = None
    """How long the last answer took; None if none came."""
    ahead: timedelta | None = None
    """How far the clock at the other end is ahead of ours, to a second; None if it did not say the time."""

    def hear(self, headers: Mapping[str, str], seconds: float) -> None:
        """Note what an answer says beside its body (`http.Hear`)."""
        self.seconds, self.ahead = seconds, clock_ahead(headers.get("Date") or "", seconds)


def clock_ahead(date: str, seconds: float) -> timedelta | None:
    """From the Date header (RFC 9110, section 6.6.1) of an answer that took so long and has just come.

    >>> clock_ahead("yesterday", 0.1) is None
    True
    """
    try:
        theirs = parsedate_to_datetime(date)
        if theirs.tzinfo is None:  # "-0000": UTC, from somebody who does not tell their zone
            theirs = theirs.replace(tzinfo=UTC)
        return theirs - (datetime.now(UTC) - timedelta(seconds=seconds / 2))
    except (ValueError, OverflowError):
        return None
