"""Celery tasks: ids and words as arguments, nothing else. Each calls one operation.

Any message may be lost or come twice: what is due is in the database, and a platform's lease lets one worker at it.
"""

from __future__ import annotations

from celery import shared_task

from ltiaas_django.models import SyncRun
from ltiaas_django.operations import passes, waking

_ALL = [SyncRun.Kind.GRADES.value, SyncRun.Kind.ROSTERS.value]


@shared_task(name=waking.WORK_TASK, ignore_result=True, acks_late=True)
def work(platform_id: int, kinds: list[str], trigger: str) -> None:
    """Do what is due on one platform: a whole pass, never one task per score."""
    passes.work(platform_id, kinds, trigger)


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
