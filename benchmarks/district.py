"""A district's night: 2,000 courses and 100,000 people in eight schools, against the sandbox.

The sandbox is a process of its own with the scenario `district`. Somebody launches in every course, through the real
launch view; three learners of each have a score; then `ltiaas_sync all` runs until nothing is left to do: one process
on SQLite, two at once on PostgreSQL, which share the schools by their leases. What the gradebooks and our rosters
then hold is compared with a twin of the scenario.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import pathlib
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.core.management import call_command
from django.test import Client

from benchmarks import harness
from benchmarks.harness import Database, Measured, Options, Table, number
from ltiaas_django import grades
from ltiaas_django.models import LtiUser, Membership, OutgoingScore, ResourceLink
from ltiaas_django.operations import passes
from ltiaas_django.sandbox import Sandbox
from ltiaas_django.sandbox.courses import Course, Enrolment

PROFILE = "openedx"
"""Of the first school; the others have their own."""
API_KEY = "the-account's:key"  # as in benchmarks.settings
KINDS = ("grades", "rosters")
SCHOOLS, QUICK, SCORES = 8, 100, 3
PATIENCE = 3600.0
"""Seconds for all passes together."""


# --- the sandbox ------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Lms:
    """The sandbox's process."""

    url: str
    process_id: int
    start_seconds: float

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """Ask the control API."""
        request = urllib.request.Request(  # noqa: S310 (our own process)
            f"{self.url}/control/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=120) as answer:  # noqa: S310
            return json.loads(answer.read() or b"null")

    def memory(self) -> float:
        """Its size now, in MB."""
        status = pathlib.Path(f"/proc/{self.process_id}/status").read_text()
        return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:"))) / 2**10

    def requests(self) -> dict[str, int]:
        """How many requests came to the API, by method and route, and how many of them were refused."""
        records = self.ask("GET", "requests/")["requests"]
        counts = Counter(f"{one['method']} {one['route']}" for one in records)
        counts["refused as too many"] = sum(one["status"] in (403, 429) for one in records)
        counts["refused otherwise"] = sum(one["status"] >= 400 for one in records) - counts["refused as too many"]
        return dict(sorted(counts.items()))


@contextlib.contextmanager
def serve() -> Iterator[Lms]:
    """A sandbox with the district, until the block ends."""
    command = [sys.executable, "-m", "django", "ltiaas_sandbox", "--settings", "benchmarks.settings", "--port", "0"]
    command += ["--scenario", "district", "--profile", PROFILE, "--api-key", API_KEY]
    began = time.perf_counter()
    with subprocess.Popen(command, cwd=harness.ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().split()[3].rstrip("/")
            yield Lms(url, process.pid, time.perf_counter() - began)
        finally:
            process.terminate()


# --- what was wanted --------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Wanted:
    """One course: who launches which activity, and what its gradebook is to hold."""

    course: Course
    activity: str
    scores: Sequence[tuple[Enrolment, int]]

    @property
    def launcher(self) -> Enrolment:
        """The first of them."""
        return self.scores[0][0]


def twin(courses: int) -> Iterator[Wanted]:
    """So many courses of the district, taken from all schools alike."""
    sandbox = Sandbox(scenario="district", profile=PROFILE)
    every = [*sandbox.courses]
    for place, course_id in enumerate(every[:: len(every) // courses][:courses]):
        course = sandbox.course(course_id)
        learners = [one for one in course.active("Learner") if not one.person.is_test_student][:SCORES]
        yield Wanted(course, next(iter(course.activities)), [(one, 1 + place % 9) for one in learners])


# --- in the measured processes ----------------------------------------------------------------------------------------


def launch(url: str, courses: int) -> Measured:
    """Launch in every course through the launch view, and record the scores."""
    lms = Lms(url, 0, 0)
    recorded, browser = 0, Client()
    with harness.timed() as took:
        for wanted in twin(courses):
            asked = {"course": wanted.course.id, "activity": wanted.activity, "person": wanted.launcher.person.id}
            ltik = lms.ask("POST", "launches/", asked)["ltik"]
            browser.cookies.clear()  # a new browser for everybody, without loading the middleware anew
            answer = browser.get("/lti/launch/", {"ltik": ltik}, secure=True)
            assert answer.status_code == 302, (answer.status_code, answer.content)
            recorded += _record(wanted)
    return took | {"courses": courses, "recorded": recorded}


def _record(wanted: Wanted) -> int:
    """The scores; whoever has not launched yet is known as if an earlier roster had named them."""
    link = ResourceLink.objects.select_related("context").get(
        context__platform__ltiaas_id=wanted.course.school.platform_id,
        context__lti_id=wanted.course.lti_id,
        lti_id=wanted.course.link_id(wanted.activity),
    )
    people = [
        LtiUser.objects.get_or_create(platform_id=link.context.platform_id, lti_id=one.person.lti_id)[0]
        for one, _score in wanted.scores
    ]
    return grades.record_scores(
        grades.ScoreRecord(resource_link=link, user=person, given=score, maximum=10)
        for person, (_one, score) in zip(people, wanted.scores, strict=True)
    )


def sync() -> Measured:
    """`ltiaas_sync all`, and then, as the tick does it, what an LMS's throttle has put off, until nothing is left."""
    until = time.monotonic() + PATIENCE
    with harness.timed() as took:
        with contextlib.redirect_stdout(sys.stderr):
            call_command("ltiaas_sync", "all", verbosity=0)
        while _is_left() and time.monotonic() < until:
            passes.work_all(KINDS, lambda pk, stop: bool(passes.work(pk, KINDS, "tick", stop=stop)), parallel=16)
            time.sleep(0.2)
    return took


def _is_left() -> bool:
    return (
        bool(passes.due_platforms(KINDS)) or passes.held_back(KINDS).exists() or OutgoingScore.objects.open().exists()
    )


def compare(url: str, courses: int) -> Measured:
    """What the LMS's gradebooks and our rosters hold that they should not, or lack; and how much there is."""
    lms = Lms(url, 0, 0)
    wrong: list[str] = []
    scores = members = 0
    rosters: dict[tuple[str | None, str], set[tuple[str, bool]]] = {}
    rows = Membership.objects.filter(status=Membership.Status.ACTIVE).values_list(
        "context__platform__ltiaas_id", "context__lti_id", "lti_user__lti_id", "is_learner"
    )
    for platform_id, context_id, person_id, is_learner in rows.iterator():
        rosters.setdefault((platform_id, context_id), set()).add((person_id, is_learner))
    for wanted in twin(courses):
        course = wanted.course
        held = {row["userId"]: row["score"] for row in lms.ask("GET", f"courses/{course.id}/gradebook/")["rows"]}
        # Compared as shares: a column that was there before has a maximum of its own.
        maximum = _maximum(lms, wanted)
        should = {one.person.id: score * maximum / 10 for one, score in wanted.scores}
        scores += len(held)
        if held != should:
            wrong.append(f"{course.id}: the gradebook holds {held}, not {should}")
        listed = rosters.get((course.school.platform_id, course.lti_id), set())
        expected = {(one.person.lti_id, one.role == "Learner") for one in course.active()}
        members += len(listed)
        if listed != expected:
            wrong.append(f"{course.id}: the roster differs by {len(listed ^ expected)} people")
    states = Counter(OutgoingScore.objects.values_list("state", flat=True))
    if set(states) != {OutgoingScore.State.SENT}:
        wrong.append(f"scores are {dict(states)}")
    return {
        "scores": scores,
        "members": members,
        "wrong": wrong[:10],
        "wrongs": len(wrong),
        "people": LtiUser.objects.count(),
    }


def _maximum(lms: Lms, wanted: Wanted) -> float:
    items = lms.ask("GET", f"courses/{wanted.course.id}/gradebook/")["lineItems"]
    return float(next(item["scoreMaximum"] for item in items if item["activity"] == wanted.activity))


# --- the whole --------------------------------------------------------------------------------------------------------


def night(database: Database, courses: int, workers: int) -> Measured:
    """A whole night on a new database and with a new sandbox; raises AssertionError if anything is not as wanted."""
    target = "benchmarks.district"
    with harness.fresh_database(database) as database_url, serve() as lms:
        before = lms.memory()

        def call(function: str, **arguments: Any) -> Measured:
            # Of eight schools one process alone would take all sixteen that it may.
            own = {"LTIAAS_URL": lms.url, "LTIAAS_PARALLEL_PLATFORMS": str(SCHOOLS // workers)}
            return harness.call(f"{target}:{function}", database_url, own, **arguments)

        launched = call("launch", url=lms.url, courses=courses)
        with harness.timed() as took, ThreadPoolExecutor(workers) as threads:
            syncs = [one.result() for one in [threads.submit(call, "sync") for _ in range(workers)]]
        after, requests = lms.memory(), lms.requests()
        outcome = call("compare", url=lms.url, courses=courses)
    assert not outcome["wrongs"], "\n".join([f"{outcome['wrongs']} courses are not as wanted:", *outcome["wrong"]])
    assert outcome["scores"] == launched["recorded"], (outcome["scores"], launched["recorded"])
    return {
        "start": lms.start_seconds,
        "before": before,
        "after": after,
        "launches": launched["courses"],
        "launch_seconds": launched["seconds"],
        "seconds": took["seconds"],
        "peaks": [one["process_peak_mb"] for one in syncs],
        "cpus": [one["cpu"] for one in syncs],
        "requests": requests,
        **outcome,
    }


def run(options: Options) -> list[Table]:
    """Once on each database; of each the figures."""
    courses = QUICK if options.quick else 2_000
    plan: list[tuple[str, Database, int]] = [("SQLite, one process", "sqlite", 1)]
    if options.postgres:
        plan.append(("PostgreSQL, two processes", "postgres", 2))
    runs: dict[str, Measured] = {}
    for name, database, workers in plan:
        if options.only.lower() in name.lower():
            print(f"  {name}", file=sys.stderr, flush=True)
            runs[name] = night(database, courses, workers)
            print(f"  {name}: {runs[name]}", file=sys.stderr, flush=True)  # the next one may take long, or fail
    return [_table(runs, courses)]


def _table(runs: dict[str, Measured], courses: int) -> Table:
    kinds = sorted({kind for one in runs.values() for kind in one["requests"]})
    figures: dict[str, Callable[[Measured], str]] = {
        "sandbox: seconds to start": lambda one: number(one["start"]),
        "sandbox: MB before": lambda one: number(one["before"]),
        "sandbox: MB after": lambda one: number(one["after"]),
        "launches": lambda one: f"{one['launches']:,}",
        "launches per second": lambda one: number(one["launches"] / one["launch_seconds"]),
        "night: seconds": lambda one: number(one["seconds"]),
        "night: CPU seconds of each process": lambda one: ", ".join(map(number, one["cpus"])),
        "night: peak MB of each process": lambda one: ", ".join(map(number, one["peaks"])),
        "scores delivered": lambda one: f"{one['scores']:,}",
        "members synced": lambda one: f"{one['members']:,}",
        "people": lambda one: f"{one['people']:,}",
    }
    notes = [
        "One run each. The sandbox shares the cores with what is measured, and is the slower part: "
        "it is one Python process that keeps all of an LMS's habits, among them Canvas's throttle.",
        "A run counts only if every gradebook and every roster is as wanted, person by person.",
        f"Two processes: two `ltiaas_sync all` at once, which share the schools by their leases; PARALLEL_PLATFORMS is "
        f"{SCHOOLS} for one process and {SCHOOLS // 2} for two.",
    ]
    rows = [[name, *map(figure, runs.values())] for name, figure in figures.items()]
    rows += [[f"requests: {kind}", *(f"{one['requests'].get(kind, 0):,}" for one in runs.values())] for kind in kinds]
    return Table(f"A district's night, {courses:,} courses", ["", *runs], rows, notes)
