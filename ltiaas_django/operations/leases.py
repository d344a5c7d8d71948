"""A worker owns a platform for a while: a lease with a fencing token, the platform's pace, and its breaker.

One worker at a time talks to a platform, so that parallel calls, rate and pause need no further coordination. A
worker that dies lets its lease run out; one that comes back late finds that its token is no longer the row's.

The breaker: after STORM failures in a row (of the network, LTIAAS or the LMS) the platform rests. Then one call is
made as a probe: if it works all goes on, else the platform rests for twice as long.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Protocol

from django.db import connection
from django.db.models import Q
from django.utils import timezone

from ltiaas_django import exceptions
from ltiaas_django.conf import settings
from ltiaas_django.models import Platform
from ltiaas_django.operations import verdicts

STORM = 10  # failures in a row
_REST = 300.0  # seconds
_LONGEST_REST = 3600.0


class Stop(Protocol):
    """Asked whether somebody wants this process to end; a `threading.Event` will do."""

    def is_set(self) -> bool: ...


class Lease:
    """A platform that this worker owns. Thread-safe where sending threads use it."""

    def __init__(self, platform: Platform, token: uuid.UUID, began: float, stop: Stop | None = None) -> None:
        self.platform = platform
        self.token = token
        self.parallel_calls = platform.parallel_calls or settings.PARALLEL_CALLS
        self.length = settings.LEASE
        self.is_over = False
        self.is_storm = False
        """The breaker has opened, or stayed open, in this pass."""
        self.failures_in_a_row = platform.failures_in_a_row
        self.paused_until: datetime | None = None
        self._stop = stop
        self._deadline_of_call = settings.CALL_DEADLINE
        self._began = began
        self._ends = began + self.length
        self._gap = 1 / rate if (rate := platform.calls_per_second or settings.CALLS_PER_SECOND) else 0.0
        self._next_turn = 0.0
        self._lock = threading.Lock()

    @property
    def was_stopped(self) -> bool:
        """Whether somebody wants this process to end: what is on the wire is waited for, and nothing more begun."""
        return self._stop is not None and self._stop.is_set()

    @property
    def has_time(self) -> bool:
        """Whether the pass may begin something more: after the length of a lease it is the next platform's turn."""
        return time.monotonic() - self._began < self.length

    def fits(self, batch: int) -> int:
        """How many of a batch can be sent within a quarter of the lease, at the platform's rate."""
        return batch if not self._gap else max(1, min(batch, int(self.length / 4 / self._gap)))

    def allows_call(self, claimed_at: float) -> bool:
        """Whether a call begun now ends, at its deadline, while the claim made at that monotonic time still holds.

        Asked just before each send, by the clock of this machine: it goes on while the process is stopped.
        """
        ends = min(claimed_at + self.length, self._ends)
        return not (self.is_over or self.was_stopped) and time.monotonic() + self._deadline_of_call < ends

    def wait_turn(self) -> None:
        """Hold back so that calls keep the platform's rate."""
        if not self._gap:
            return
        with self._lock:
            turn = max(self._next_turn, time.monotonic())
            self._next_turn = turn + self._gap
        time.sleep(max(0.0, turn - time.monotonic()))

    @property
    def is_probing(self) -> bool:
        """Whether the breaker is open: one call at a time, until one works."""
        return self.failures_in_a_row >= STORM

    def note_failure(self, error: exceptions.LtiError) -> None:
        """Count failures of the network, LTIAAS or the LMS (and not of single people); a storm ends the pass."""
        if isinstance(error, exceptions.Unreachable | exceptions.OutcomeUnknown | exceptions.ServerError):
            with self._lock:
                if not self.is_storm:  # what was on the wire when the breaker opened says nothing new
                    self.failures_in_a_row += 1
                    if self.is_probing:
                        self.is_storm = self.is_over = True
        elif isinstance(error, exceptions.ApiError) and error.origin == "lms":
            self.note_success()  # the LMS answers, whatever it says of this score

    def note_success(self) -> None:
        """A call came through: whatever failed before was no storm."""
        if self.failures_in_a_row:
            with self._lock:
                self.failures_in_a_row = 0

    def renew(self) -> bool:
        """Show a sign of life, at most once in a tenth of the lease; False if the pass has to end."""
        if self.was_stopped:
            self.is_over = True
        if not self.is_over and self._ends - time.monotonic() < self.length * 0.9:
            began = time.monotonic()
            held = Platform.objects.filter(pk=self.platform.pk, lease_token=self.token)
            if held.update(lease_until=timezone.now() + timedelta(seconds=self.length)):
                self._ends = began + self.length
            else:
                self.is_over = True
        return not self.is_over


@contextmanager
def own(platform_id: int, stop: Stop | None = None) -> Iterator[Lease | None]:
    """Own the platform during the block, or get None: another worker does, it is paused, stopped, or gone.

    `stop`: once it is set, the lease lets nothing more be begun.
    """
    if settings.STOPPED:
        yield None
        return
    # Before it is written: the worker never believes in its lease for longer than the row says.
    began, now = time.monotonic(), timezone.now()
    token = uuid.uuid4()
    taken = (
        Platform.objects.filter(Q(lease_until=None) | Q(lease_until__lt=now), pk=platform_id, is_active=True)
        .filter(Q(paused_until=None) | Q(paused_until__lte=now))
        .update(lease_token=token, lease_until=now + timedelta(seconds=settings.LEASE), worked_at=now)
    )
    if not taken:
        yield None
        return
    lease = None
    try:
        lease = Lease(Platform.objects.get(pk=platform_id), token, began, stop)
        yield lease
    except BaseException:
        reconnect()
        raise
    finally:
        _release(platform_id, token, lease)


def is_owned(platform_id: int) -> bool:
    """Whether a worker owns the platform at this moment."""
    return Platform.objects.filter(pk=platform_id, lease_until__gte=timezone.now()).exists()


def reconnect() -> None:
    """After an error: give up a connection that the server has cut off, so that the next statement opens another."""
    if connection.connection is not None and not connection.in_atomic_block and not connection.is_usable():
        connection.close()


def _release(platform_id: int, token: uuid.UUID, lease: Lease | None) -> None:
    known = {} if lease is None else {"failures_in_a_row": lease.failures_in_a_row}
    Platform.objects.filter(pk=platform_id, lease_token=token).update(lease_token=None, lease_until=None, **known)


def heed(lease: Lease, error: exceptions.LtiError) -> None:
    """Leave the platform alone if the error asks for it: as long as it says, or for longer with each failed probe."""
    if isinstance(error, exceptions.Throttled):
        pause(lease, error.retry_after or verdicts.THROTTLE_REST, str(error))
    elif lease.is_storm:
        doublings = min(lease.failures_in_a_row - STORM, 10)
        pause(lease, min(_REST * 2.0**doublings, _LONGEST_REST), str(error))


def pause(lease: Lease, seconds: float, reason: str) -> None:
    """Leave the platform alone for a while; what is due stays due."""
    lease.is_over = True
    until = timezone.now() + timedelta(seconds=seconds)
    if lease.paused_until is not None and until <= lease.paused_until:
        return  # another call was told to hold back for longer
    lease.paused_until = until
    Platform.objects.filter(pk=lease.platform.pk, lease_token=lease.token).update(
        paused_until=until, pause_reason=reason[:255]
    )


def end_pause(platform: Platform) -> bool:
    """A person's wish that a paused platform goes on now; False if it is not paused."""
    paused = Platform.objects.filter(pk=platform.pk, paused_until__gt=timezone.now())
    return bool(paused.update(paused_until=None, pause_reason=""))
