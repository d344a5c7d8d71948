"""A worker killed with calls on the wire: nothing is lost, nothing is stuck, nothing is sent twice."""

from __future__ import annotations

import collections
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from ltiaas_django.sandbox import Sandbox, SandboxServer

ROOT = pathlib.Path(__file__).parents[2]
API_KEY = "the-account's:key"

LAUNCH_AND_RECORD = """
import sys
from django.test import Client
from ltiaas_django import grades
from ltiaas_django.models import Launch, LtiUser
Client().get({url!r}, headers={{"host": "localhost"}})
launch = Launch.objects.get()
people = LtiUser.objects.bulk_create(LtiUser(platform=launch.context.platform, lti_id=n) for n in {people!r})
grades.record_scores(
    grades.ScoreRecord(resource_link=launch.resource_link, user=person, given=n, maximum=1000, comment=f"worth {{n}}")
    for n, person in enumerate(people)
)
"""
TIME_PASSES = """
from datetime import timedelta
from django.utils import timezone
from ltiaas_django.models import OutgoingScore, Platform
past = timezone.now() - timedelta(seconds=1)
print(OutgoingScore.objects.filter(state="sending").update(lease_until=past))
Platform.objects.update(lease_until=past)
"""
STATES = """
from ltiaas_django.models import OutgoingScore
print(sorted(set(OutgoingScore.objects.values_list("state", flat=True))))
"""


@pytest.mark.parametrize(("size", "kills"), [(24, 1), pytest.param(400, 6, marks=pytest.mark.full)])
def test_a_worker_killed_in_the_middle_loses_nothing_and_sends_nothing_twice(
    tmp_path: pathlib.Path, size: int, kills: int
) -> None:
    people = [f"n{number:03}" for number in range(size)]
    sandbox = Sandbox(api_key=API_KEY)
    sandbox.profile.refuse_same_second = False
    for person in people:
        sandbox.courses["course-101"].add_person(f"Person {person}", user_id=person)
    with SandboxServer(sandbox) as server:
        environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "example_project.settings",
            "DATABASE_URL": f"sqlite:///{tmp_path}/db.sqlite3",
            "VAR_DIR": str(tmp_path),
            "LTIAAS_URL": server.url,
            "LTIAAS_API_KEY": API_KEY,
        }

        def manage(*arguments: str) -> str:
            command = [sys.executable, "manage.py", *arguments]
            done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
            assert done.returncode == 0, done.stdout + done.stderr
            return done.stdout.strip()

        def shell(code: str) -> str:
            return manage("shell", "--verbosity", "0", "-c", code)

        manage("migrate", "--verbosity", "0")
        url = sandbox.launch_url("course-101", "quiz-1", "1001")
        shell(LAUNCH_AND_RECORD.format(url=url, people=people))

        command = [sys.executable, "manage.py", "ltiaas_sync", "grades"]
        for _ in range(kills):
            already = begun(sandbox)
            sandbox.fail_next("/api/lineitems/", method="POST", delay=0.5, times=12)
            worker = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
            while begun(sandbox) < already + 6:  # four at a time: four have been answered, two wait for theirs
                assert worker.poll() is None
                time.sleep(0.01)
            worker.send_signal(signal.SIGKILL)
            worker.wait()
            time.sleep(1)  # what was on the wire is stored, and nobody hears of it
            assert already + 6 <= begun(sandbox) < size
            assert int(shell(TIME_PASSES).split()[-1]) >= 2

        manage("ltiaas_sync", "grades")
        assert shell(STATES).endswith("['sent']")

    graded = [cell for cell in sandbox.gradebook("course-101") if cell.score]
    held = {cell.user_id: (int((cell.score or 0) * 100), cell.comment) for cell in graded}
    assert held == {person: (n, f"worth {n}") for n, person in enumerate(people) if n}
    assert collections.Counter(posts(sandbox)) == dict.fromkeys(people, 1)


def begun(sandbox: Sandbox) -> int:
    """How many scores have reached the sandbox, those that it has not answered yet too."""
    return sum(request.method == "POST" and request.path.endswith("/scores") for request in sandbox.requests)


def posts(sandbox: Sandbox) -> list[str]:
    """Whose scores were stored, in order."""
    return [r.body["userId"] for r in sandbox.requests if r.path.endswith("/scores") and r.body]
