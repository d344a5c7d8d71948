"""Celery tasks: ids and words as arguments, nothing else. Each calls one operation.

Any message may be lost or come twice: what is due is in the database, and a platform's lease lets one worker at it.
"""

from __future__ import annotations

from typing import Any

from celery import shared_task

from ltiaas_django.models import SyncRun
from ltiaas_django.operations import leases, passes, waking

_ALL = [SyncRun.Kind.GRADES.value, SyncRun.Kind.ROSTERS.value]


@shared_task(name=waking.WORK_TASK, bind=True, ignore_result=True, acks_late=True, max_retries=10)
def work(self: Any, platform_id: int, kinds: list[str], trigger: str) -> None:
    """Do what is due on one platform: a whole pass, never one task per score.

    While another worker owns the platform this one comes back a little later; after that the tick looks after it.
    """
    runs = passes.work(platform_id, kinds, trigger)
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
    """Every minute: reap, purge, and set a worker on each platform that has anything due."""
    passes.tidy()
    for platform_id in passes.due_platforms(_ALL):
        waking.wake(platform_id, _ALL, SyncRun.Trigger.TICK)


@shared_task(name="ltiaas_django.housekeeping", ignore_result=True)
def housekeeping() -> None:
    """Every night: re-seal stored keys, and drop what retention no longer keeps."""
    passes.housekeeping()
