"""Two workers, a beat that fires twice and messages that come thrice: passes overlap, and no score is sent twice."""

from __future__ import annotations

import functools
import os
import pathlib
import sys
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from django.db import connection
from kombu import Connection

from example_project.demo.processes import Process, stop, tail, wait_until
from ltiaas_django import conf
from ltiaas_django.sandbox import Sandbox, SandboxServer
from ltiaas_django.sandbox.server import SandboxApplication

ROOT = pathlib.Path(__file__).parents[2]
API_KEY = "the-account's:key"
PEOPLE = [f"n{number:02}" for number in range(24)]
ACTIVITIES = {"quiz-1": "course-101", "lab-1": "course-101", "reading-1": "course-102", "essay-1": "course-102"}
"""One for each of four LMSs; the last one's column must be created."""
SLOTS = 2
"""Passes that a worker can be busy with; more than that at once are the work of both."""

HASTY = """
from celery.schedules import schedule
from example_project.celery import app
from ltiaas_django import schedules
app.conf.beat_schedule = schedules.nightly(grades=schedule(1.0), tick=1.0)
app.conf.worker_prefetch_multiplier = 1
"""
LAUNCH_AND_RECORD = """
from django.test import Client
from ltiaas_django import grades
from ltiaas_django.models import LtiUser, ResourceLink
for url in {urls!r}:
    Client().get(url, headers={{"host": "localhost"}})
for link in ResourceLink.objects.select_related("context__platform"):
    people = LtiUser.objects.bulk_create(LtiUser(platform=link.context.platform, lti_id=n) for n in {people!r})
    grades.record_scores(
        grades.ScoreRecord(resource_link=link, user=person, given=n, maximum=1000, comment=f"worth {{n}}")
        for n, person in enumerate(people, start=1)
    )
"""
NIGHT = """
from ltiaas_django import tasks
from ltiaas_django.models import Platform
from ltiaas_django.operations import passes
passes.release_night("grades")
for platform in Platform.objects.all():
    for _message_comes_again in range(3):
        tasks.work.delay(platform.pk, ["grades"], "nightly")
"""
STATES = """
from django.db.models import Count
from ltiaas_django.models import OutgoingScore
print(dict(OutgoingScore.objects.values_list("state").annotate(Count("pk"))))
"""


class Watch:
    """What is on the wire at the server at the same moment: for how many LMSs, and how many calls for one of them."""

    def __init__(self, application: SandboxApplication) -> None:
        self._application, self._lock = application, threading.Lock()
        self._in_flight: Counter[str] = Counter()
        self.most_columns = self.most_calls = 0

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ["REQUEST_URI"]
        if not path.endswith("/scores"):
            return self._application(environ, start_response)
        with self._lock:
            self._in_flight[path] += 1
            self.most_columns = max(self.most_columns, len(+self._in_flight))
            self.most_calls = max(self.most_calls, self._in_flight[path])
        try:
            return self._application(environ, start_response)
        finally:
            with self._lock:
                self._in_flight[path] -= 1


@pytest.fixture
def broker(request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """Redis where there is one, else a folder; a queue of our own, removed from Redis afterwards."""
    url = request.getfixturevalue("redis_url") if os.environ.get("TEST_REDIS_URL") else "filesystem://"
    name = f"ltiaas-test-{uuid.uuid4().hex}"
    yield {"CELERY_BROKER_URL": url, "CELERY_QUEUE": name}
    if url != "filesystem://":
        with Connection(url) as broker:
            broker.channel().client.delete(name, f"_kombu.binding.{name}", f"_kombu.binding_permanent.{name}")


@pytest.fixture
def database_url(tmp_path: pathlib.Path, transactional_db: None) -> Iterator[str]:
    """A database for other processes, of the kind that the suite runs on."""
    if connection.vendor == "sqlite":
        yield f"sqlite:///{tmp_path}/db.sqlite3"
        return
    name, at = f"ltiaas_test_{uuid.uuid4().hex}", connection.settings_dict
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
    secret = f":{at['PASSWORD']}" if at["PASSWORD"] else ""
    yield f"postgres://{at['USER']}{secret}@{at['HOST']}:{at['PORT']}/{name}"
    with connection.cursor() as cursor:
        cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.mark.long
def test_two_workers_and_two_beats_send_each_score_once(
    tmp_path: pathlib.Path, broker: dict[str, str], database_url: str
) -> None:
    sandbox = Sandbox(api_key=API_KEY)
    for person in PEOPLE:
        for course in sandbox.courses.values():
            course.add_person(f"Person {person}", user_id=person)
    (tmp_path / "hasty.py").write_text(HASTY)
    with SandboxServer(sandbox) as server:
        watch = Watch(SandboxApplication(sandbox))
        server._server.set_app(watch)
        environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "example_project.settings",
            "PYTHONPATH": str(tmp_path),
            "DATABASE_URL": database_url,
            "VAR_DIR": str(tmp_path),
            "LTIAAS_URL": server.url,
            "LTIAAS_API_KEY": API_KEY,
            **broker,
        }

        def start(name: str, *command: str) -> Process:
            return Process(name, [sys.executable, *command], tmp_path / f"{name}.log", environment, ROOT)

        def manage(*arguments: str) -> str:
            name = uuid.uuid4().hex
            start(name, "manage.py", *arguments).finish(120)
            return tail(tmp_path / f"{name}.log")

        def are_all_sent() -> bool:
            return manage("shell", "--verbosity", "0", "-c", STATES) == f"{{'sent': {len(ACTIVITIES) * len(PEOPLE)}}}"

        manage("migrate", "--verbosity", "0")
        urls = [
            sandbox.launch_url(course, activity, "2003", mutate=lambda token, name=activity: of_platform(token, name))
            for activity, course in ACTIVITIES.items()
        ]
        manage("shell", "--verbosity", "0", "-c", LAUNCH_AND_RECORD.format(urls=urls, people=PEOPLE))
        sandbox.fail_next("/api/lineitems/", method="POST", delay=0.5, times=len(ACTIVITIES) * len(PEOPLE))

        options = ["--pool", "threads", "--concurrency", str(SLOTS), "--loglevel", "INFO", "--without-mingle"]
        celery = ["-m", "celery", "-A", "hasty"]
        running: list[Process] = []
        try:
            for n in (1, 2):
                running.append(start(f"worker-{n}", *celery, "worker", *options, "--hostname", f"{n}@%h"))
                # kombu's folders do not bear two workers that make them at the same moment.
                log = tmp_path / f"worker-{n}.log"
                assert wait_until(functools.partial(is_ready, log), 60, running), tail(log)
            manage("shell", "--verbosity", "0", "-c", NIGHT)
            for n in (1, 2):
                running.append(start(f"beat-{n}", *celery, "beat", "--schedule", str(tmp_path / f"beat-{n}")))
            assert wait_until(are_all_sent, 90, running, every=1.0), tail(tmp_path / "worker-1.log")
            fired = count(tmp_path, "ltiaas_django.sync_grades")
            assert wait_until(lambda: count(tmp_path, "ltiaas_django.sync_grades") > fired + 4, 60, running)
        finally:
            stop(running)

    assert watch.most_columns > SLOTS
    assert watch.most_calls == conf.Settings.PARALLEL_CALLS  # to one LMS, by whichever worker
    assert "retry: Retry in 5s" in logs(tmp_path)  # and they met at one platform
    sent = Counter((r.path, r.body["userId"]) for r in sandbox.requests if r.path.endswith("/scores") and r.body)
    assert set(sent.values()) == {1}
    assert len(sent) == len(ACTIVITIES) * len(PEOPLE)
    held = Counter((cell.user_id, cell.comment) for course in sandbox.courses for cell in sandbox.gradebook(course))
    assert held == {(person, f"worth {n}"): len(ACTIVITIES) for n, person in enumerate(PEOPLE, start=1)}


def is_ready(log: pathlib.Path) -> bool:
    return " ready." in log.read_text()


def of_platform(token: dict[str, Any], name: str) -> None:
    token["platform"]["id"] = f"platform-of-{name}"


def logs(folder: pathlib.Path) -> str:
    return "".join((folder / f"worker-{n}.log").read_text() for n in (1, 2))


def count(folder: pathlib.Path, task: str) -> int:
    """How often the two workers have finished a task."""
    return sum(f"Task {task}[" in line and "succeeded" in line for line in logs(folder).splitlines())
