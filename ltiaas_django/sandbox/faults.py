"""What is to go wrong on the wire: by a test, a script or a button, for some requests, some times or always."""

from __future__ import annotations

import enum
import itertools
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from . import errors
from .credentials import Scheme
from .traffic import RequestRecord

LONGEST_DELAY = 3600.0
HANG = 300.0
"""Seconds: longer than any caller's deadline."""


class Kind(enum.StrEnum):
    """The ways in which a request can go wrong."""

    STATUS = "status"
    """Another status and body in place of the answer."""
    DELAY = "delay"
    """The right answer, late."""
    HANG = "hang"
    """No answer at all; the connection stays open until the caller gives up."""
    DROP_BEFORE = "drop_before"
    """The connection is cut before anything was done."""
    DROP_AFTER = "drop_after"
    """The connection is cut after the request took effect."""
    CUT = "cut"
    """The request takes effect; half of the answer's body arrives (nothing at all, if it has none), then no more."""
    GATEWAY = "gateway"
    """A gateway's 502 page, in HTML."""
    EXPIRED_LTIK = "expired_ltik"
    """LTIAAS says that the ltik is over, to calls with one."""
    REFUSED_KEY = "refused_key"
    """LTIAAS says that the service key is not good, to calls with one."""
    TOOL_REMOVED = "tool_removed"
    """The LMS says, in its own words, that the tool has no business in the course: only of what LTIAAS asks it."""
    THROTTLE = "throttle"
    """The LMS says, in its own words, that it is asked too much: only of what LTIAAS asks it."""


class Route(enum.StrEnum):
    """The parts of the API that a fault can be for."""

    IDTOKEN = "idtoken"
    MEMBERSHIPS = "memberships"
    LINEITEMS = "lineitems"
    SCORES = "scores"
    RESULTS = "results"
    DEEPLINKING = "deeplinking"
    PLATFORMS = "platforms"
    REGISTRATIONS = "registrations"


_ASKED_OF_THE_LMS = frozenset({Route.MEMBERSHIPS, Route.LINEITEMS, Route.SCORES, Route.RESULTS})
_SAID_BY_THE_LMS = frozenset({Kind.TOOL_REMOVED, Kind.THROTTLE})
_CREDENTIALS: Mapping[Kind, Scheme] = {Kind.EXPIRED_LTIK: Scheme.LTIK, Kind.REFUSED_KEY: Scheme.SERVICE_KEY}
_GATEWAY_PAGE = (
    "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n"
    "<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
)


@dataclass(eq=False)
class Fault:
    """Something that goes wrong with the requests that it is for."""

    kind: Kind
    route: str = ""
    method: str | None = None
    course: str = ""
    person: str = ""
    path_prefix: str = ""
    times: int | None = 1
    """How many requests it befalls; None for all until it is taken back."""
    status: int | None = None
    body: Any = None
    content_type: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    """Seconds to wait first."""
    after_storing: bool = False
    """Whether the request takes effect nevertheless."""
    number: int = field(default=0, init=False)
    """The how many-th it is; by it, it can be taken back."""

    def __post_init__(self) -> None:
        if self.kind == Kind.STATUS and self.status is None:
            raise errors.BadRequest("A fault needs a status, drop or a delay.")
        if self.kind == Kind.DELAY and not self.delay:
            raise errors.BadRequest("A delay needs its seconds.")
        if self.kind == Kind.GATEWAY and self.status is None:
            self.status, self.body, self.content_type = 502, _GATEWAY_PAGE, "text/html"
        if self.kind == Kind.HANG and not self.delay:
            self.delay = HANG
        if self.status is not None and not 200 <= self.status <= 599:
            raise errors.BadRequest("`status` is a number from 200 to 599.")
        if not 0 <= self.delay <= LONGEST_DELAY:
            raise errors.BadRequest("`delay` is a number of seconds from 0 to 3600.")
        if self.times is not None and self.times < 1:
            raise errors.BadRequest("`times` is at least 1.")

    @property
    def takes_effect(self) -> bool:
        """Whether the request is done all the same."""
        return self.after_storing or self.kind in (Kind.DELAY, Kind.DROP_AFTER, Kind.CUT)

    def befalls(self, record: RequestRecord, target: str) -> bool:
        """Whether the request is one that this fault is for; `target` is its path and query."""
        return (
            self.route in ("", record.route)
            and self.method in (None, record.method)
            and self.course in ("", record.course)
            and self.person in ("", record.person)
            and target.startswith(self.path_prefix)
            and (self.kind not in _SAID_BY_THE_LMS or record.route in _ASKED_OF_THE_LMS)
            and _CREDENTIALS.get(self.kind, record.scheme) == record.scheme
        )

    def __str__(self) -> str:
        """For people: what, to which requests, how often."""
        wheres = (self.method or "", self.route or self.path_prefix, self.course, self.person)
        where = " ".join(part for part in wheres if part) or "any request"
        often = "always" if self.times is None else f"{self.times}×"
        what = f"{self.kind} {self.status}" if self.kind == Kind.STATUS else str(self.kind)
        return f"{what}, {where}, {often}"


class Faults:
    """The faults that wait for requests; of those for one request the oldest takes effect."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[Fault] = []
        self._numbers = itertools.count(1)
        self._released = threading.Event()

    def add(self, fault: Fault) -> None:
        """Let something go wrong."""
        with self._lock:
            fault.number = next(self._numbers)
            self._waiting.append(fault)

    def take_back(self, number: int) -> None:
        """Let one of those that wait come to pass no more; raises NotFound."""
        with self._lock:
            kept = [fault for fault in self._waiting if fault.number != number]
            if len(kept) == len(self._waiting):
                raise errors.NotFound("This fault does not wait any more.")
            self._waiting = kept

    def waiting(self) -> list[Fault]:
        """What has not come to pass, or not for the last time."""
        with self._lock:
            return list(self._waiting)

    def take(self, record: RequestRecord, target: str) -> Fault | None:
        """The fault that befalls this request, used up by one."""
        with self._lock:
            for fault in self._waiting:
                if fault.befalls(record, target):
                    if fault.times is not None:
                        fault.times -= 1
                        if fault.times == 0:
                            self._waiting.remove(fault)
                    return fault
        return None

    def wait(self, seconds: float) -> None:
        """Let a request wait, but not beyond the end of the faults."""
        self._released.wait(seconds)

    def clear(self) -> None:
        """Nothing goes wrong any more; requests that wait go on."""
        with self._lock:
            self._waiting.clear()
        self.release()

    def release(self) -> None:
        """Let the requests that wait go on."""
        with self._lock:
            self._released.set()
            self._released = threading.Event()
