"""Beat entries: for tasks that exist, and importable by a celery.py before Django has settings."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import timedelta
from typing import Any

import celery
import pytest
from celery import beat
from celery.schedules import crontab

from ltiaas_django import schedules, tasks

TASKS = {
    "ltiaas-grades": "ltiaas_django.sync_grades",
    "ltiaas-rosters": "ltiaas_django.sync_rosters",
    "ltiaas-housekeeping": "ltiaas_django.housekeeping",
    "ltiaas-tick": "ltiaas_django.tick",
}


def test_the_entries_and_their_tasks() -> None:
    assert {name: entry["task"] for name, entry in schedules.nightly().items()} == TASKS


def test_every_task_is_one_that_a_worker_knows() -> None:
    """A misspelled name is a message that every worker throws away."""
    ours = {
        task.name for task in vars(tasks).values() if isinstance(task, celery.Task) and "ltiaas_django" in task.name
    }
    assert {entry["task"] for entry in schedules.nightly().values()} <= ours
    assert ours <= set(celery.current_app.tasks)


def test_the_nights_hours() -> None:
    entries = schedules.nightly()
    assert entries["ltiaas-grades"]["schedule"] == crontab(hour="2", minute="0")
    assert entries["ltiaas-rosters"]["schedule"] == crontab(hour="3", minute="0")
    assert entries["ltiaas-housekeeping"]["schedule"] == crontab(hour="4", minute="30")
    assert entries["ltiaas-tick"]["schedule"] == 60.0


@pytest.mark.parametrize("tick", [crontab(), timedelta(seconds=30), 30.0])
def test_hours_of_ones_own(tick: Any) -> None:
    own = {"grades": crontab(hour="1"), "rosters": crontab(hour="5"), "housekeeping": crontab(hour="6")}
    entries = schedules.nightly(**own, tick=tick)  # type: ignore[arg-type]
    found = {name: entry["schedule"] for name, entry in entries.items()}
    assert found == {**{f"ltiaas-{name}": schedule for name, schedule in own.items()}, "ltiaas-tick": tick}


def test_beat_takes_them() -> None:
    with celery.Celery("of a test", broker="memory://", set_as_current=False) as app:
        app.conf.beat_schedule = {"own": {"task": "own", "schedule": 5.0}, **schedules.nightly()}
        scheduler = beat.Scheduler(app, lazy=True)
        scheduler.update_from_dict(app.conf.beat_schedule)
        assert set(scheduler.schedule) == {"own", *TASKS}


def test_a_tick_that_waits_in_the_queue_expires_before_the_next() -> None:
    """After an hour without workers sixty ticks would wait, and only one of them has anything to do."""
    assert schedules.nightly()["ltiaas-tick"]["options"]["expires"] < 60


def test_a_celery_py_may_import_it_before_there_are_settings() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    code = (
        "from ltiaas_django import schedules; import sys; schedules.nightly(); from django.conf import settings;"
        "print(settings.configured, 'ltiaas_django.models' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr, done.returncode) == ("False False", "", 0)
