"""What went over the wire: a record of every request to the API."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

_KEPT_REQUESTS = 100_000


@dataclass(slots=True)
class RequestRecord:
    """One request to the API. Of its Authorization header only the scheme is kept."""

    method: str
    path: str
    """The raw request target, percent-encoded as it came."""
    scheme: str
    at: datetime
    body: Any = None
    """The parsed JSON body, without secrets; None if there was none, or it was no JSON."""
    status: int | None = None
    """None while it runs, and for a connection dropped without an answer."""
    route: str = ""
    """Which part of the API it is for (`routes`); blank for a path that there is not."""
    school: str = ""
    course: str = ""
    person: str = ""
    """Whom it is about, or else who has launched; ids in the sandbox."""
    duration: float = 0.0
    """Seconds until it was answered."""
    answer: str = ""
    """How the answer began; secrets are left out."""
    fault: str = ""
    """What was made to go wrong with it."""
    warnings: list[str] = field(default_factory=list)
    """Habits of the caller's that LTIAAS tolerates, and that better were none."""
    number: int = 0
    """The how many-th it is."""


class Traffic:
    """The log of API requests."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._records: deque[RequestRecord] = deque(maxlen=_KEPT_REQUESTS)
        self._count = 0

    def record(self, record: RequestRecord) -> None:
        """Keep a request."""
        with self._lock:
            self._count += 1
            record.number = self._count
            self._records.append(record)

    def records(self) -> list[RequestRecord]:
        """All requests so far (of very many the newest), oldest first."""
        with self._lock:
            return list(self._records)

    def find(self, number: int) -> RequestRecord | None:
        """The how many-th request, if it is kept still."""
        with self._lock:
            index = number - self._records[0].number if self._records else -1
            return self._records[index] if 0 <= index < len(self._records) else None

    @property
    def count(self) -> int:
        """How many requests there were."""
        return self._count

    def clear(self) -> None:
        """Forget the requests."""
        with self._lock:
            self._records.clear()
            self._count = 0
