"""Celery: a schedule with our tasks, a worker that knows them, and signs that both do what they should."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from celery import Celery, current_app
from celery.schedules import crontab, maybe_schedule
from django.apps import apps
from django.utils import timezone
from kombu import Connection

from ltiaas_django.findings import Finding, advice, ok, problem, skipped
from ltiaas_django.models import Heartbeat
from ltiaas_django.operations.doctor.visit import Visit, said

TICK = "ltiaas_django.tick"
WANTED = (TICK, "ltiaas_django.sync_grades", "ltiaas_django.sync_rosters", "ltiaas_django.housekeeping")
STALE = timedelta(minutes=3)
"""The tick comes every minute."""
ANSWER = 1.5
"""Seconds in which a worker answers."""

_PATIENCE = 10.0  # seconds for the broker: some transports try for ever to reach theirs
_A_NIGHT = timedelta(hours=36)
_WRITE = (
    "Write app.conf.beat_schedule = {**app.conf.beat_schedule, **schedules.nightly()} in celery.py "
    "(from ltiaas_django import schedules), and import that app in the project's __init__.py."
)
_CRON = "Without Celery, let cron run manage.py ltiaas_sync all."


class _Foreign(Exception):
    """The schedule is where we cannot look."""


def schedule(visit: Visit) -> Iterator[Finding]:
    """Whether Celery's schedule has our tasks."""
    try:
        scheduled = _scheduled(visit)
    except _Foreign as error:
        yield skipped(f"The schedule is kept by {error}, which cannot be looked into.")
        return
    missing = [name for name in WANTED if name not in scheduled]
    if not missing:
        yield ok("Celery's schedule has the tick, grades, rosters and housekeeping.")
    elif TICK in missing and (night := _beat_at(visit, Heartbeat.NIGHT)) and timezone.now() - night < _A_NIGHT:
        yield ok(f"Celery has no schedule, and needs none: ltiaas_sync did the night's work {_ago(night)}.")
    else:
        text = f"Celery's schedule lacks {', '.join(missing)}: {_loss(missing)}."
        make = problem if set(missing) & set(WANTED[:2]) else advice
        yield make(text, f"{_WRITE} {_CRON}", "ltiaas.W006" if TICK in missing else "")


def _loss(missing: list[str]) -> str:
    if TICK in missing:
        return "nothing is tried again, or taken over from a worker that died"
    return "no grade is sent at night" if WANTED[1] in missing else "the night leaves that out"


def _scheduled(visit: Visit) -> set[str]:
    """Names of scheduled tasks: those of the Celery app, and those that django-celery-beat keeps in the database."""
    entries = [entry for entry in _entries().values() if isinstance(entry, dict)]
    found = {str(entry.get("task")) for entry in entries}
    scheduler = str(current_app.conf.beat_scheduler)
    if apps.is_installed("django_celery_beat"):
        if visit.database_trouble:
            raise _Foreign("the database, which does not answer")
        rows: Any = apps.get_app_config("django_celery_beat").get_model("PeriodicTask")._default_manager
        found |= set(rows.filter(enabled=True, task__in=WANTED).values_list("task", flat=True))
    elif not scheduler.startswith("celery.") and not found & set(WANTED):
        raise _Foreign(scheduler)
    return found


def _entries() -> dict[str, Any]:
    return dict(current_app.conf.beat_schedule or {})


# --- a worker that answers --------------------------------------------------------------------------------------------


def worker(visit: Visit) -> Iterator[Finding]:
    """Whether the broker can be reached, and a worker answers that knows our tasks."""
    conf = current_app.conf
    if conf.task_always_eager:
        text = "CELERY_TASK_ALWAYS_EAGER is on: a launch waits until grades are sent and rosters read."
        yield advice(text, "Write CELERY_TASK_ALWAYS_EAGER = False, and run a worker.")
        return
    is_needed = bool(TICK in {str(entry.get("task")) for entry in _entries().values()})
    make = problem if is_needed or apps.is_installed("django_celery_beat") else advice
    try:
        where, tasks = _ask_workers()
    except Exception as error:  # of whatever broker there is
        text = f"The broker cannot be reached: {said(error)}."
        yield make(text, "Start the broker, or set CELERY_BROKER_URL to where it is.")
        return
    start = f"Type celery -A {current_app.main} worker --beat"
    if any(TICK in names for names in tasks.values()):
        yield ok(f"A Celery worker answers over {where}.")
    elif tasks:
        text = f"A Celery worker answers over {where}, but does not know our tasks."
        yield make(text, "Write app.autodiscover_tasks() in celery.py, and start the worker anew.")
    else:
        text = f"No Celery worker answers over {where}: nothing is sent at night, and nothing tried again."
        yield make(text, f"{start} (one process with --beat; other workers without). {_CRON}")


def _ask_workers() -> tuple[str, dict[str, list[str]]]:
    """Where the broker is, without its password; and by worker, the names of the tasks that it knows."""
    app: Celery = current_app._get_current_object()  # type: ignore[attr-defined]  # another thread has another one
    answers: list[tuple[str, dict[str, list[str]]] | Exception] = []

    def ask() -> None:
        try:
            with app.connection_for_write(connect_timeout=3) as connection:
                connection.ensure_connection(max_retries=1, interval_start=0, reraise_as_library_errors=False)
                answers.append((connection.as_uri(), _registered(app, connection)))
        except Exception as error:
            answers.append(error)

    asking = threading.Thread(target=ask, daemon=True, name="ltiaas-doctor")
    asking.start()
    asking.join(_PATIENCE)
    if not answers:
        raise TimeoutError(f"no answer within {_PATIENCE:.0f} s")
    if isinstance(answers[0], Exception):
        raise answers[0]
    return answers[0]


def _registered(app: Celery, connection: Connection) -> dict[str, list[str]]:
    """The first answer is enough if it is ours; a broker that is shared may have workers of others, too."""
    found: dict[str, list[str]] = {}
    for limit in (1, None):
        inspect = app.control.inspect(timeout=ANSWER, connection=connection, limit=limit)
        found = inspect.registered() or {}
        if not found or any(TICK in names for names in found.values()):
            break
    return found


# --- signs of life ----------------------------------------------------------------------------------------------------


def beat(visit: Visit) -> Iterator[Finding]:
    """Whether the tick runs: then beat sends it, the broker carries it, and a worker takes it."""
    ticked = _beat_at(visit, Heartbeat.TICK)
    now = timezone.now()
    if ticked is not None and now - ticked <= max(STALE, 2 * _tick_interval()):
        yield ok(f"The tick ran {_ago(ticked)}: beat, broker and worker do their work.")
        return
    night = _beat_at(visit, Heartbeat.NIGHT)
    has_tick = TICK in {str(entry.get("task")) for entry in _entries().values()}
    if not has_tick and night is not None and now - night < _A_NIGHT:
        yield ok(f"ltiaas_sync did the night's work {_ago(night)}.")
        return
    text = f"The tick ran last {_ago(ticked)}" if ticked else "The tick has never run"
    yield problem(
        f"{text}: beat does not run, or no worker takes the queue {current_app.conf.task_default_queue}.",
        f"Type celery -A {current_app.main} worker --beat (with several workers: --beat with one of them), and wait a "
        f"minute. {_CRON}",
    )


def _beat_at(visit: Visit, name: str) -> datetime | None:
    if visit.database_trouble or not visit.tables_are_there:
        return None
    return Heartbeat.objects.filter(name=name).values_list("beat_at", flat=True).first()


def _tick_interval() -> timedelta:
    for entry in _entries().values():
        if isinstance(entry, dict) and entry.get("task") == TICK:
            when: Any = maybe_schedule(entry["schedule"])
            if isinstance(when, crontab):
                is_hourly = len(when.hour) == 24  # type: ignore[attr-defined]
                return timedelta(hours=1) / len(when.minute) if is_hourly else timedelta(days=1)  # type: ignore[attr-defined]
            return getattr(when, "run_every", timedelta(minutes=1))
    return timedelta(minutes=1)


def _ago(moment: datetime) -> str:
    seconds = max(0, round((timezone.now() - moment).total_seconds()))
    for size, unit in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit} ago"
    return f"{seconds} seconds ago"
