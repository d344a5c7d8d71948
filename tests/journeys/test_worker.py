"""The story of the demo on every broker: real messages, a real worker, and the grades in the LMS."""

from __future__ import annotations

import io
import re
import uuid

import pytest
from kombu import Connection
from rich.console import Console

from example_project.demo import processes
from example_project.demo.interrupts import Interrupts
from example_project.demo.stage import Stage
from example_project.demo.story import Story

TASKS = ("sync_grades", "sync_rosters", "work")


@pytest.fixture
def queue(broker_url):
    """A queue of our own, removed from the broker afterwards."""
    name = f"ltiaas-test-{uuid.uuid4().hex}"
    yield name
    if broker_url != "filesystem://":
        with Connection(broker_url) as connection:
            channel = connection.channel()
            channel.queue_delete(name)
            if connection.transport.driver_type == "redis":
                channel.client.delete(f"_kombu.binding.{name}", f"_kombu.binding_permanent.{name}")


def test_the_night_runs_in_a_worker(tmp_path, broker_url, queue):
    environment = {"CELERY_BROKER_URL": broker_url, "CELERY_QUEUE": queue}
    stage = Stage(tmp_path, Interrupts(), environment, ports=(0, 0))
    with stage.folder(), stage:
        story = Story(stage, Console(file=io.StringIO()))
        story.set_up()
        story.play()  # ends with an error unless the LMS's gradebook and the tool's roster are as they should be
        log = stage.log("worker").read_text()
        if broker_url == "filesystem://":
            the_doctor_finds_nothing_wrong(stage)
    for task in TASKS:
        assert succeeded(task, log), task


def succeeded(task: str, log: str) -> bool:
    return re.search(rf"Task ltiaas_django\.{task}\[.*\] succeeded", log) is not None


def the_doctor_finds_nothing_wrong(stage: Stage) -> None:
    """`ltiaas_doctor` ends with an error if it does, and then so does `run`."""
    stage.run("tick", "-m", "celery", "-A", "example_project", "call", "ltiaas_django.tick")
    log = stage.log("worker")
    assert processes.wait_until(lambda: succeeded("tick", log.read_text()), 30, stage.running)
    stage.run("doctor", "manage.py", "ltiaas_doctor")
    said = stage.log("doctor").read_text()
    for line in ("ok       ltiaas ", "ok       worker ", "ok       beat ", "No problem, 1 piece of advice."):
        assert line in said
