"""A worker killed with calls on the wire: nothing is lost, nothing is stuck, nothing is sent twice."""

from __future__ import annotations

import collections
import os
import pathlib
import signal
import subprocess
import sys
import time

from ltiaas_django.sandbox import Sandbox, SandboxServer

ROOT = pathlib.Path(__file__).parents[2]
API_KEY = "the-account's:key"
PEOPLE = [f"n{number:02}" for number in range(24)]

LAUNCH_AND_RECORD = """
import sys
from django.test import Client
from ltiaas_django import grades
from ltiaas_django.models import Launch, LtiUser
Client().get({url!r}, headers={{"host": "localhost"}})
launch = Launch.objects.get()
people = LtiUser.objects.bulk_create(LtiUser(platform=launch.context.platform, lti_id=n) for n in {people!r})
grades.record_scores(
    grades.ScoreRecord(resource_link=launch.resource_link, user=person, given=n, maximum=100, comment=f"worth {{n}}")
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


def test_a_worker_killed_in_the_middle_loses_nothing_and_sends_nothing_twice(tmp_path: pathlib.Path) -> None:
    sandbox = Sandbox(api_key=API_KEY, refuse_same_second=False)
    for person in PEOPLE:
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
            done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
            assert done.returncode == 0, done.stdout + done.stderr
            return done.stdout.strip()

        manage("migrate", "--verbosity", "0")
        url = sandbox.launch_url("course-101", "quiz-1", "1001")
        manage("shell", "--verbosity", "0", "-c", LAUNCH_AND_RECORD.format(url=url, people=PEOPLE))

        sandbox.fail_next("/api/lineitems/", method="POST", delay=0.5, times=12)
        command = [sys.executable, "manage.py", "ltiaas_sync", "grades"]
        worker = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
        while len(posts(sandbox)) < 4:  # and as many more are on the wire
            assert worker.poll() is None
            time.sleep(0.01)
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        time.sleep(1)  # what was on the wire is stored, and nobody hears of it
        before = posts(sandbox)
        assert 6 <= len(before) < len(PEOPLE)  # those too have been stored

        assert int(manage("shell", "--verbosity", "0", "-c", TIME_PASSES).split()[-1]) >= 4
        manage("ltiaas_sync", "grades")
        assert manage("shell", "--verbosity", "0", "-c", STATES).endswith("['sent']")

    graded = [cell for cell in sandbox.gradebook("course-101") if cell.score]
    held = {cell.user_id: (int((cell.score or 0) * 10), cell.comment) for cell in graded}
    assert held == {person: (n, f"worth {n}") for n, person in enumerate(PEOPLE) if n}
    assert set(collections.Counter(posts(sandbox)).values()) == {1}
    assert len(posts(sandbox)) == len(PEOPLE)


def posts(sandbox: Sandbox) -> list[str]:
    """Whose scores were sent, in order."""
    sent = [request for request in sandbox.requests if request.method == "POST" and request.path.endswith("/scores")]
    return [request.body["userId"] for request in sent if request.body]
