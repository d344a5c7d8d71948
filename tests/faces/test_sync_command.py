"""`ltiaas_sync`: what a night without Celery does, says, and ends with."""

from __future__ import annotations

import contextlib
import io
import os
import pathlib
import pty
import re
import select
import signal
import sqlite3
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core import serializers
from django.core.management import CommandError, call_command
from django.db import OperationalError
from django.utils import timezone

from ltiaas_django import grades
from ltiaas_django.models import (
    Context,
    Launch,
    Membership,
    OutgoingScore,
    Platform,
    ServiceKey,
    SyncRun,
)
from ltiaas_django.operations import passes
from tests.lms import API_KEY, Lms

State = OutgoingScore.State
QUIZ = "Quiz 1: Averages"
PEOPLE = ("2001", "2002", "2003", "2004", "2005")
ROOT = pathlib.Path(__file__).parent.parent.parent


def sync(*arguments: str) -> str:
    """What the command writes to stdout."""
    out = io.StringIO()
    call_command("ltiaas_sync", *arguments, stdout=out)
    return out.getvalue()


def fail(*arguments: str) -> tuple[CommandError, str]:
    """The error that the command ends with, and what it wrote before."""
    out = io.StringIO()
    with pytest.raises(CommandError) as caught:
        call_command("ltiaas_sync", *arguments, stdout=out)
    return caught.value, out.getvalue()


def cells(output: str, title: str) -> list[dict[str, str]]:
    """The rows of the table with that title, by column."""
    lines = output.splitlines()
    [start] = [place for place, line in enumerate(lines) if re.match(rf"{title}  +\w", line)]
    columns = re.split(r"  +", lines[start].strip())
    rows = []
    for line in lines[start + 1 :]:
        values = re.split(r"  +", line.strip())
        if len(values) != len(columns):
            break
        rows.append(dict(zip(columns, values, strict=True)))
    return rows


def another_platform(launch: Launch, name: str) -> Platform:
    """A second LMS with a course, a key that works at the same sandbox, and one score that waits for the night."""
    platform = Platform.objects.create(ltiaas_id=str(uuid.uuid4()), name=name)
    context, link, person = launch.context, launch.resource_link, launch.lti_user
    assert context is not None
    assert link is not None
    line_item = link.line_items.get()
    key = ServiceKey.objects.get(resource_link=link)
    context.pk, context.platform = None, platform  # type: ignore[assignment]
    context.save(force_insert=True)
    link.pk, link.context = None, context  # type: ignore[assignment]
    link.save(force_insert=True)
    person.pk, person.platform, person.user = None, platform, None  # type: ignore[assignment]
    person.save(force_insert=True)
    for row in (line_item, key):
        row.pk, row.context, row.resource_link = None, context, link  # type: ignore[assignment]
        row.save(force_insert=True)
    grades.record_score(link, user=person, given=5, maximum=10)
    return platform


def everything() -> str:
    """All rows of ours, as text."""
    models = (Platform, Context, ServiceKey, Launch, OutgoingScore, Membership, SyncRun)
    return "".join(serializers.serialize("json", model.objects.order_by("pk")) for model in models)


# --- a pass -----------------------------------------------------------------------------------------------------------


def test_all_sends_the_grades_and_reads_the_rosters(lms: Lms) -> None:
    launch = lms.launch("2001")
    grades.record_score(launch, given=8, maximum=10)
    output = sync("all")
    assert lms.grades()[("2001", QUIZ)][0] == Decimal(8)
    assert Membership.objects.filter(context=launch.context).count() == len(lms.sandbox.course("course-101").people)
    platform = f"{launch.lti_user.platform_id} {launch.lti_user.platform}"
    [sent] = cells(output, "Grades")
    assert float(sent.pop("seconds")) >= 0
    assert sent == {
        "Grades": platform, "sent": "1", "failed": "0", "waiting": "0", "parked": "0", "outcome": "all done",
    }  # fmt: skip
    [read] = cells(output, "Rosters")
    assert float(read.pop("seconds")) >= 0
    assert read == {
        "Rosters": platform, "read": "1", "joined": "6", "changed": "1", "left": "0", "held": "0", "failed": "0",
        "outcome": "all done",
    }  # fmt: skip
    assert {run.trigger for run in SyncRun.objects.all()} == {"command"}


@pytest.mark.parametrize(("what", "paths"), [("grades", "/api/lineitems"), ("rosters", "/api/memberships")])
def test_one_kind_leaves_the_other_alone(lms: Lms, what: str, paths: str) -> None:
    grades.record_score(lms.launch("2001"), given=8, maximum=10)
    Context.objects.update(roster_due_at=None)
    before = len(lms.sandbox.requests)
    sync(what)
    asked = [r.path for r in lms.sandbox.requests][before:]
    assert asked
    assert {path[: len(paths)] for path in asked} == {paths}


def test_a_score_recorded_right_after_another_arrives_within_the_pass(lms: Lms) -> None:
    """A learner answers anew while, or just after, the first answer was sent: the second is spaced, and waited for."""
    launch = lms.launch("2001")
    grades.record_score(launch, given=3, maximum=10)
    sync("grades")
    grades.record_score(launch, given=9, maximum=10)
    [row] = cells(sync("grades"), "Grades")
    assert row["sent"] == "1"
    assert lms.grades()[("2001", QUIZ)][0] == Decimal(9)


def test_a_platform_comes_up_again_for_what_a_full_pass_left(lms: Lms, settings: Any) -> None:
    settings.LTIAAS = {**settings.LTIAAS, "SCORES_PER_PASS": 1}
    for person in PEOPLE:
        grades.record_score(lms.launch(person), given=8, maximum=10)
    [row] = cells(sync("grades"), "Grades")
    assert row["sent"] == "5"
    assert set(lms.grades()) == {(person, QUIZ) for person in PEOPLE}


def test_a_platform_whose_work_never_ends_is_left_after_a_few_visits(lms: Lms, monkeypatch: pytest.MonkeyPatch) -> None:
    grades.record_score(lms.launch("2001"), given=8, maximum=10)
    visited: list[int] = []

    def do_nothing(platform_id: int, *_: object) -> list[SyncRun]:
        visited.append(platform_id)
        if len(visited) > 100:
            pytest.fail("It goes on for ever.")
        return []

    monkeypatch.setattr(passes, "work", do_nothing)
    assert "Nothing was due" in sync("grades")
    assert 1 <= len(visited) <= 5


def test_nothing_to_do_is_said_and_is_no_failure(db: None) -> None:
    assert sync("all") == "Nothing was due that could be done now.\n"


def test_single_failures_are_shown_and_are_no_failure_of_the_command(lms: Lms) -> None:
    grades.record_score(lms.launch("1001"), given=1, maximum=10)  # a teacher: the LMS takes no score
    grades.record_score(lms.launch("2001"), given=8, maximum=10)
    [row] = cells(sync("grades"), "Grades")
    assert (row["sent"], row["parked"], row["outcome"]) == ("1", "1", "some failed")


def test_a_roster_that_cannot_be_read_says_why(lms: Lms) -> None:
    lms.launch("2001")
    lms.sandbox.fail_next("/api/memberships", status=500, body="the roster service has a cold", times=9)
    output = sync("rosters")
    [row] = cells(output, "Rosters")
    assert (row["read"], row["failed"], row["outcome"]) == ("0", "1", "nothing worked")
    assert "the roster service has a cold" in output


def test_progress_in_a_pipe_is_a_line_for_each_run(lms: Lms) -> None:
    launch = lms.launch("2001")
    grades.record_score(launch, given=8, maximum=10)
    first = sync("all").splitlines()[0]
    assert re.fullmatch(rf"{launch.lti_user.platform_id} .+: grades: 1 sent \(\d+\.\d s\)", first)


# --- one platform -----------------------------------------------------------------------------------------------------


def test_one_platform_alone(lms: Lms) -> None:
    """The others' scores go on waiting for their night, rather than leave with the next tick at midday."""
    launch = lms.launch("2001")
    first = launch.lti_user.platform_id
    grades.record_score(launch, given=8, maximum=10)
    second = another_platform(launch, "Second").pk
    Context.objects.update(roster_due_at=None)
    output = sync("all", "--platform", str(second))
    states = dict(OutgoingScore.objects.values_list("line_item__context__platform", "state"))
    assert states == {first: State.DUE, second: State.SENT}
    assert OutgoingScore.objects.get(state=State.DUE).due_at is None
    assert Context.objects.get(platform=first).roster_due_at is None
    assert Context.objects.get(platform=second).roster_synced_at is not None
    assert [row["Grades"] for row in cells(output, "Grades")] == [f"{second} Second"]


@pytest.mark.parametrize("dry", [(), ("--dry-run",)])
def test_an_unknown_platform_is_an_error_that_names_those_there_are(lms: Lms, dry: tuple[str, ...]) -> None:
    known = lms.launch("2001").lti_user.platform
    error, _output = fail("grades", "--platform", "99999", *dry)
    assert "no platform 99999" in str(error)
    assert f"{known.pk} ({known})" in str(error)
    assert error.returncode == 2


@pytest.mark.parametrize("arguments", [[], ["scores"], ["grades", "rosters"], ["all", "--platform", "x"]])
def test_bad_arguments_are_errors(db: None, arguments: list[str]) -> None:
    error, output = fail(*arguments)
    assert "Error: " in str(error)
    assert output == ""


def test_a_platform_that_is_switched_off_is_named(lms: Lms) -> None:
    launch = lms.launch("2001")
    grades.record_score(launch, given=8, maximum=10)
    Platform.objects.update(is_active=False)
    output = sync("grades", "--platform", str(launch.lti_user.platform_id))
    assert "is switched off" in output
    assert lms.posts() == 0


# --- what is left alone -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("columns", "why"),
    [
        ({"lease_token": uuid.uuid4(), "lease_until": timezone.now() + timedelta(hours=1)}, "another worker is at it"),
        ({"paused_until": timezone.now() + timedelta(hours=1), "pause_reason": "too many calls"}, "(too many calls)"),
    ],
)
def test_a_platform_that_is_held_back_is_named_and_stays_due(lms: Lms, columns: dict[str, Any], why: str) -> None:
    launch = lms.launch("2001")
    grades.record_score(launch, given=8, maximum=10)
    Platform.objects.update(**columns)
    output = sync("grades")
    [line] = [line for line in output.splitlines() if line.startswith("Skipped")]
    assert str(launch.lti_user.platform) in line
    assert why in line
    assert lms.posts() == 0
    assert OutgoingScore.objects.get().state == State.DUE
    [line] = [line for line in sync("grades", "--dry-run").splitlines() if "would be skipped" in line]
    assert why in line


def test_a_platform_that_asks_for_a_rest_gets_it(lms: Lms) -> None:
    for person in ("2001", "2002"):
        grades.record_score(lms.launch(person), given=8, maximum=10)
    Platform.objects.update(parallel_calls=1)
    lms.sandbox.fail_next("/api/lineitems", status=429, body="slow down", headers={"Retry-After": "600"}, times=9)
    output = sync("grades")
    assert lms.posts() <= 2
    assert "Skipped" in output
    assert "paused until" in output


def test_the_stop_switch_stops_it_and_is_no_failure(lms: Lms, settings: Any) -> None:
    grades.record_score(lms.launch("2001"), given=8, maximum=10)
    settings.LTIAAS = {**settings.LTIAAS, "STOPPED": True}
    before, asked = everything(), len(lms.sandbox.requests)
    assert 'LTIAAS["STOPPED"] is on' in sync("all")
    assert (everything(), len(lms.sandbox.requests)) == (before, asked)


# --- dry run ----------------------------------------------------------------------------------------------------------


def test_a_dry_run_counts_and_changes_nothing(lms: Lms) -> None:
    launch = lms.launch("2001")
    first = launch.lti_user.platform_id
    grades.record_score(launch, given=8, maximum=10)
    second = another_platform(launch, "Second")
    now = grades.record_score(lms.launch("2002"), given=1, maximum=10)
    OutgoingScore.objects.filter(pk=now.pk).update(due_at=timezone.now())
    before, asked = everything(), len(lms.sandbox.requests)
    output = sync("all", "--dry-run")
    assert (everything(), len(lms.sandbox.requests)) == (before, asked)
    assert "grades: 1 scores due now, 2 more with the night." in output
    found = {row["Grades"].split()[0]: (row["due now"], row["with the night"]) for row in cells(output, "Grades")}
    assert found == {str(first): ("1", "1"), str(second.pk): ("0", "1")}


def test_a_dry_run_foretells_what_the_run_does(lms: Lms) -> None:
    launch = lms.launch("2001")
    grades.record_score(launch, given=8, maximum=10)
    another_platform(launch, "Second")
    Context.objects.update(roster_due_at=None)
    foretold = sync("all", "--dry-run")
    assert "rosters: 0 courses due now, 2 more with the night." in foretold
    done = sync("all")
    assert sum(int(row["sent"]) for row in cells(done, "Grades")) == 2
    assert sum(int(row["read"]) for row in cells(done, "Rosters")) == 2
    assert "0 scores due now, 0 more with the night" in sync("grades", "--dry-run")


# --- what goes wrong --------------------------------------------------------------------------------------------------


def test_an_api_key_that_is_refused_ends_it_in_one_line(lms: Lms, settings: Any) -> None:
    launch = lms.launch("2001")
    grades.record_score(launch, given=8, maximum=10)
    settings.LTIAAS = {**settings.LTIAAS, "API_KEY": "mistyped-api-key"}
    error, output = fail("grades")
    assert str(error) == 'LTIAAS does not accept LTIAAS["API_KEY"]. No key was marked as refused.'
    assert error.returncode == 1
    assert "mistyped-api-key" not in output
    assert OutgoingScore.objects.get().state == State.DUE
    [row] = cells(output, "Grades")
    assert row["outcome"] == "nothing worked"


def test_a_missing_setting_ends_it_in_one_line(lms: Lms, settings: Any) -> None:
    grades.record_score(lms.launch("2001"), given=8, maximum=10)
    settings.LTIAAS = {"API_KEY": API_KEY}
    error, _output = fail("grades")
    assert str(error).startswith('LTIAAS["URL"] is missing.')


def test_a_pass_that_breaks_off_costs_the_other_platforms_nothing(lms: Lms, monkeypatch: pytest.MonkeyPatch) -> None:
    launch = lms.launch("2001")
    first = launch.lti_user.platform_id
    grades.record_score(launch, given=8, maximum=10)
    second = another_platform(launch, "Second").pk
    work = passes.work

    def break_off(platform_id: int, *arguments: Any) -> list[SyncRun]:
        if platform_id == first:
            raise OperationalError("the disk of ltik=abc.def is full")
        return work(platform_id, *arguments)

    monkeypatch.setattr(passes, "work", break_off)
    error, output = fail("grades")
    assert [row["Grades"].split()[0] for row in cells(output, "Grades")] == [str(second)]
    assert f"The pass over platform {first} broke off (OperationalError: the disk of ltik=[hidden]" in str(error)
    assert "\n" not in str(error)


def failing_source(since: object) -> Iterator[grades.ScoreRecord]:
    tables: dict[str, list[grades.ScoreRecord]] = {}
    yield from tables["no such table"]


def working_source(since: object) -> Iterator[grades.ScoreRecord]:
    launch = Launch.objects.select_related("resource_link__context", "lti_user").get()
    assert launch.resource_link is not None
    yield grades.ScoreRecord(resource_link=launch.resource_link, user=launch.lti_user, given=7, maximum=10)


def test_a_score_source_is_asked(lms: Lms, settings: Any) -> None:
    lms.launch("2001")
    settings.LTIAAS = {**settings.LTIAAS, "SCORE_SOURCE": f"{__name__}.working_source"}
    assert f"{__name__}.working_source would be asked" in sync("grades", "--dry-run")
    assert OutgoingScore.objects.count() == 0
    sync("grades")
    assert lms.grades()[("2001", QUIZ)][0] == Decimal(7)


@pytest.mark.parametrize("source", [f"{__name__}.failing_source", "no.such_source"])
def test_a_score_source_that_fails_holds_back_nothing_that_is_recorded(lms: Lms, settings: Any, source: str) -> None:
    grades.record_score(lms.launch("2001"), given=8, maximum=10)
    settings.LTIAAS = {**settings.LTIAAS, "SCORE_SOURCE": source}
    error, _output = fail("grades")
    assert str(error).startswith(f'LTIAAS["SCORE_SOURCE"] ({source}) failed')
    assert lms.grades()[("2001", QUIZ)][0] == Decimal(8)


def test_an_lms_cannot_steer_the_terminal_by_its_name(lms: Lms) -> None:
    grades.record_score(lms.launch("2001"), given=8, maximum=10)
    Platform.objects.update(name="\x1b]0;owned\x07[red]Uni[/red]\r\nSkipped")
    output = sync("grades") + sync("grades", "--dry-run")
    assert "[red]Uni[/red]" in output
    assert not set(output) & {"\x1b", "\x07", "\r"}


def test_no_secret_is_written(lms: Lms) -> None:
    grades.record_score(lms.launch("2001"), given=8, maximum=10)
    echo = " ".join(lms.sandbox.secrets())
    lms.sandbox.fail_next("/api/", status=500, body=f"serviceKey={echo}", times=99)
    output = sync("all")
    assert "500" in output
    assert not [secret for secret in (*lms.sandbox.secrets(), API_KEY) if secret in output]


# --- as a program -----------------------------------------------------------------------------------------------------


def test_help_shows_examples_and_how_it_ends(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        call_command("ltiaas_sync", "--help")
    text = capsys.readouterr().out
    assert ended.value.code == 0
    assert "manage.py ltiaas_sync all --dry-run" in text
    assert "Exit status" in text


Program = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def program(lms: Lms, tmp_path: pathlib.Path, transactional_db: None) -> Program:
    """Starts `manage.py ltiaas_sync` with the rows and the sandbox of this test, on a database of its own."""
    database = tmp_path / "db.sqlite3"
    module = tmp_path / "program_settings.py"
    module.write_text(
        "from tests.settings import *\n"
        f'DATABASES = {{"default": {{"ENGINE": "django.db.backends.sqlite3", "NAME": {str(database)!r},\n'
        '    "OPTIONS": {"transaction_mode": "IMMEDIATE"}}}\n'
        f'LTIAAS = {{"URL": {lms.url!r}, "API_KEY": {API_KEY!r}, "CALL_DEADLINE": 5.0}}\n'
    )
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "program_settings",
        "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}",
        "TERM": "xterm",
        "COLUMNS": "100",
    }
    environment.pop("NO_COLOR", None)

    def run(*arguments: str) -> list[str]:
        return [sys.executable, "-m", "django", *arguments]

    def start(*arguments: str, **options: Any) -> subprocess.Popen[bytes]:
        subprocess.run(run("migrate", "-v0"), env=environment, cwd=tmp_path, check=True)
        rows = tmp_path / "rows.json"
        with rows.open("w") as file:
            call_command("dumpdata", "auth.user", "ltiaas_django", stdout=file)
        subprocess.run(run("loaddata", "-v0", str(rows)), env=environment, cwd=tmp_path, check=True)
        return subprocess.Popen(run("ltiaas_sync", *arguments), env=environment, cwd=tmp_path, **options)

    return start


def test_on_a_terminal_it_shows_a_bar(lms: Lms, program: Program) -> None:
    for person in ("2001", "2002", "2003"):
        grades.record_score(lms.launch(person), given=8, maximum=10)
    ours, theirs = pty.openpty()
    process = program("grades", stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    text = _read_terminal(ours)
    assert process.wait(timeout=60) == 0, text
    assert "3/3" in text
    assert re.search(r"Grades +sent", text)
    assert len(lms.grades()) == 3


def _read_terminal(descriptor: int) -> str:
    parts = []
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if not select.select([descriptor], [], [], 1)[0]:
            continue
        try:
            part = os.read(descriptor, 65536)
        except OSError:  # Linux: the other end is closed
            break
        if not part:
            break
        parts.append(part)
    os.close(descriptor)
    return b"".join(parts).decode(errors="replace")


@pytest.fixture
def interrupted(lms: Lms, program: Program) -> tuple[int, str, str]:
    """Exit status, stdout and stderr of a run that Ctrl-C hit when two of five scores had left."""
    for person in PEOPLE:
        grades.record_score(lms.launch(person), given=8, maximum=10)
    Platform.objects.update(parallel_calls=1)
    lms.sandbox.fail_next("/api/lineitems", method="POST", delay=1.0, times=99)  # slow, and otherwise well
    process = program("grades", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    until = time.monotonic() + 60
    while lms.posts() < 2:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = (text.decode() for text in process.communicate(timeout=60))
    return process.returncode, out, err


def test_ctrl_c_ends_it_cleanly_with_what_was_done(interrupted: tuple[int, str, str], tmp_path: pathlib.Path) -> None:
    status, out, err = interrupted
    assert status == 130, err
    assert err.strip().endswith("Stopped by Ctrl-C. What was not done stays due.")
    assert "Traceback" not in err
    [row] = cells(out, "Grades")
    assert row["outcome"] == "stopped"
    with contextlib.closing(sqlite3.connect(tmp_path / "db.sqlite3")) as database:
        states = database.execute("SELECT state FROM ltiaas_django_outgoingscore").fetchall()
        leases = database.execute("SELECT lease_until FROM ltiaas_django_platform").fetchall()
    assert len(states) == len(PEOPLE)
    assert not {state for (state,) in states} & {"sending", "parked"}
    assert leases == [(None,)]


def test_nothing_is_sent_any_more_after_ctrl_c(lms: Lms, interrupted: tuple[int, str, str]) -> None:
    """One call may be under way; the others' rows are due again, and somebody else may be sending them already."""
    assert interrupted[0] == 130
    assert 2 <= lms.posts() <= 3


def test_the_whole_night_without_celery_keeps_house_too(lms: Lms) -> None:
    over = lms.launch("2001")
    Launch.objects.filter(pk=over.pk).update(expires_at=timezone.now(), created_at=timezone.now() - timedelta(hours=26))
    call_command("ltiaas_sync", "grades", stdout=io.StringIO())
    assert Launch.objects.exists()
    call_command("ltiaas_sync", "all", stdout=io.StringIO())
    assert not Launch.objects.exists()


def test_it_says_why_something_failed_and_what_is_left(lms: Lms) -> None:
    grades.record_score(lms.launch("1001"), given=5, maximum=10)
    grades.record_score(lms.launch("2001"), given=5, maximum=10)
    lms.sandbox.fail_next("/api/lineitems/", method="POST", status=500, body="oops", times=2)
    lms.sandbox.fail_next("/api/memberships", status=404, body={"status": 404, "error": "Not Found"})
    out = io.StringIO()
    call_command("ltiaas_sync", "all", stdout=out)
    said = out.getvalue()
    assert "2 × POST score: " in said
    assert "500" in said
    assert "1 × Introduction to Statistics: GET roster: " in said
    assert "Scores not sent yet: 2 outcome unknown; the next is tried " in said


def test_a_database_without_tables_is_a_sentence_and_no_traceback(tmp_path: pathlib.Path) -> None:
    environment = {**os.environ, "DATABASE_URL": f"sqlite:///{tmp_path}/empty.sqlite3", "VAR_DIR": str(tmp_path)}
    environment["DJANGO_SETTINGS_MODULE"] = "example_project.settings"
    command = [sys.executable, "manage.py", "ltiaas_sync", "grades"]
    root = pathlib.Path(__file__).parents[2]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "manage.py migrate" in done.stderr
    assert "Traceback" not in done.stderr
