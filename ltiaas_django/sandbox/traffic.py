"""What went over the wire, and what is to go wrong on it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from . import errors

_KEPT_REQUESTS = 100_000
_LONGEST_DELAY = 3600.0


@dataclass
class RequestRecord:
    """One request to the API. Of its Authorization header only the scheme is kept."""

    method: str
    path: str
    """The raw request target, percent-encoded as it came."""
    scheme: str
    at: datetime
    body: Any = None
    """The parsed JSON body; None if there was none, or it was no JSON."""
    status: int | None = None
    """None while it runs, and for a connection dropped without an answer."""


@dataclass
class Fault:
    """Something that goes wrong with the next requests below a path."""

    path_prefix: str
    status: int | None = None
    body: Any = None
    content_type: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    times: int = 1
    method: str | None = None
    after_storing: bool = False
    drop: bool = False
    delay: float = 0.0

    def __post_init__(self) -> None:
        if self.status is None and not self.drop and not self.delay:
            raise errors.BadRequest("A fault needs a status, drop or a delay.")
        if self.status is not None and not 200 <= self.status <= 599:
            raise errors.BadRequest("`status` is a number from 200 to 599.")
        if not 0 <= self.delay <= _LONGEST_DELAY:
            raise errors.BadRequest("`delay` is a number of seconds from 0 to 3600.")
        if self.times < 1:
            raise errors.BadRequest("`times` is at least 1.")

    @property
    def answers(self) -> bool:
        """Whether it takes the place of the real answer (a mere delay does not)."""
        return self.drop or self.status is not None


class Traffic:
    """The log of API requests and the faults that wait for the next ones."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._records: deque[RequestRecord] = deque(maxlen=_KEPT_REQUESTS)
        self._faults: list[Fault] = []

    def record(self, record: RequestRecord) -> None:
        """Keep a request."""
        with self._lock:
            self._records.append(record)

    def records(self) -> list[RequestRecord]:
        """All requests so far, oldest first."""
        with self._lock:
            return list(self._records)

    def plan(self, fault: Fault) -> None:
        """Let something go wrong; faults for the same path take effect one after the other."""
        with self._lock:
            self._faults.append(fault)

    def clear_faults(self) -> None:
        """Nothing goes wrong any more."""
        with self._lock:
            self._faults.clear()

    def take_fault(self, method: str, path: str) -> Fault | None:
        """The fault that befalls this request, used up by one."""
        with self._lock:
            for fault in self._faults:
                if path.startswith(fault.path_prefix) and fault.method in (None, method):
                    fault.times -= 1
                    if fault.times == 0:
                        self._faults.remove(fault)
                    return fault
        return None

    def clear(self) -> None:
        """Forget requests and faults."""
        with self._lock:
            self._records.clear()
            self._faults.clear()
