"""Tell a worker, by way of Celery, that a platform has work due. Only a hint: the tick finds what got lost."""

from __future__ import annotations

import functools
import logging
from collections.abc import Sequence

from celery import current_app
from django.db import transaction

logger = logging.getLogger(__name__)

WORK_TASK = "ltiaas_django.work"

_LASTS = 120  # seconds


def wake(platform_id: int, kinds: Sequence[str], trigger: str) -> None:
    """Send the hint now. A broker that cannot be reached is logged: the work is in the database all the same."""
    try:
        # A hint that is as old as the next tick's has nothing left to say: they must not pile up behind a busy worker.
        current_app.send_task(WORK_TASK, args=[platform_id, list(kinds), trigger], retry=False, expires=_LASTS)
    except Exception as error:
        logger.warning("No worker could be told of platform %s (%s); the next tick will.", platform_id, error)


def wake_on_commit(platform_id: int, kinds: Sequence[str], trigger: str) -> None:
    """Send the hint once the caller's transaction is committed, and never if it is rolled back."""
    transaction.on_commit(functools.partial(wake, platform_id, kinds, trigger))
