"""Celery tasks: ids and words as arguments, nothing else. Each calls one operation.

Any message may be lost or come twice: what is due is in the database, and a platform's lease lets one worker at it.
"""

from __future__ import annotations

import mmap
from typing import Any

from celery import shared_task
from celery.signals import worker_shutting_down

from ltiaas_django.conf import settings
from ltiaas_django.models import Context, SyncRun
from ltiaas_django.operations import leases, passes, waking

_ALL = [kind.value for kind in SyncRun.Kind]


class _Flag:
    """One for the worker and all processes that it has forked; without a lock that one of them could die with."""

    def __init__(self) -> None:
        self._shared = mmap.mmap(-1, 1)

    def set(self) -> None:
        self._shared[0] = 1

    def is_set(self) -> bool:
        return self._shared[0] == 1


_shutting_down = _Flag()


@worker_shutting_down.connect
def _stop_soon(**_said: Any) -> None:
    """A pass may take minutes: it ends with what is on the wire, and the next worker goes on."""
    _shutting_down.set()


@shared_task(name=waking.WORK_TASK, bind=True, ignore_result=True, acks_late=True, max_retries=10)
def work(self: Any, platform_id: int, kinds: list[str], trigger: str) -> None:
    """Do what is due on one platform: a whole pass, never one task per score.

    A pass takes as long as a lease at most: what is left then goes to the end of the queue, behind other platforms.
    While another worker owns the platform this one comes back a little later; after that the tick looks after it.
    """
    runs = passes.work(platform_id, kinds, trigger, stop=_shutting_down)
    # Only after a pass that got something done: else it would go round and round.
    if any(map(passes.came_on, runs)) and not _shutting_down.is_set() and passes.due_platforms(kinds, platform_id):
        waking.wake(platform_id, kinds, trigger)
    if not runs and leases.is_owned(platform_id) and self.request.retries < self.max_retries:
        raise self.retry(countdown=5)


@shared_task(name="ltiaas_django.sync_grades", ignore_result=True)
def sync_grades() -> None:
    """The night's grades: collect them, make them due, and set a worker on each platform that has any."""
    _night(SyncRun.Kind.GRADES)


@shared_task(name="ltiaas_django.sync_rosters", ignore_result=True)
def sync_rosters() -> None:
    """The night's rosters: make every course's roster due, and set a worker on each platform."""
    _night(SyncRun.Kind.ROSTERS)


def _night(kind: str) -> None:
    passes.release_night(kind)
    for platform_id in passes.due_platforms([kind]):
        waking.wake(platform_id, [kind], SyncRun.Trigger.NIGHTLY)


@shared_task(name="ltiaas_django.tick", ignore_result=True)
def tick() -> None:
    """Every minute: reap, purge, and set a worker on the platforms that have anything due, up to PLATFORMS_PER_TICK."""
    passes.tidy()
    for platform_id in passes.due_platforms(_ALL)[: settings.PLATFORMS_PER_TICK]:
        waking.wake(platform_id, _ALL, SyncRun.Trigger.TICK)


@shared_task(name="ltiaas_django.check_gradebooks", ignore_result=True)
def check_gradebooks(context_id: int | None = None) -> None:
    """Read results back and note where the gradebook differs from what was sent: of one course, or of all."""
    if context_id is None:
        passes.request_checks()
    else:
        for context in Context.objects.filter(pk=context_id):
            passes.request_check(context, SyncRun.Trigger.TICK)
    for platform_id in passes.due_platforms([SyncRun.Kind.CHECK]):
        waking.wake(platform_id, [SyncRun.Kind.CHECK], SyncRun.Trigger.NIGHTLY)


@shared_task(name="ltiaas_django.housekeeping", ignore_result=True)
def housekeeping() -> None:
    """Every night: re-seal stored keys, and drop what retention no longer keeps."""
    passes.housekeeping()
