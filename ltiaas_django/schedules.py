"""Entries for Celery beat. Imports neither models nor settings, so that a celery.py may import it early.

app.conf.beat_schedule = {**app.conf.beat_schedule, **schedules.nightly(grades=crontab(hour=2, minute=0))}
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from celery.schedules import BaseSchedule, crontab


def nightly(
    *,
    grades: BaseSchedule | None = None,
    rosters: BaseSchedule | None = None,
    housekeeping: BaseSchedule | None = None,
    tick: BaseSchedule | timedelta | float = 60.0,
) -> dict[str, dict[str, Any]]:
    """The four beat entries of this package, in the time zone of the Celery app.

    `grades`, `rosters`, `housekeeping`: when the nightly passes start (2:00, 3:00 and 4:30 unless said otherwise);
    `tick`: how often retries, lost work and expired rows are looked after (a schedule, a timedelta or seconds).
    """
    return {
        "ltiaas-grades": {"task": "ltiaas_django.sync_grades", "schedule": grades or crontab(hour="2", minute="0")},
        "ltiaas-rosters": {"task": "ltiaas_django.sync_rosters", "schedule": rosters or crontab(hour="3", minute="0")},
        "ltiaas-housekeeping": {
            "task": "ltiaas_django.housekeeping",
            "schedule": housekeeping or crontab(hour="4", minute="30"),
        },
        # A tick that could not start before the next one is due has nothing left to do.
        "ltiaas-tick": {"task": "ltiaas_django.tick", "schedule": tick, "options": {"expires": 55}},
    }
