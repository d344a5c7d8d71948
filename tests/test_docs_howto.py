"""The how-to guides do what they say: their modules are put into service, against a sandbox."""

from __future__ import annotations

import json
import pathlib
import sys
import types
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from example_project.quiz import models as quiz
from ltiaas_django import grades
from ltiaas_django.models import LtiUser, OutgoingScore, Platform, SyncRun
from tests.blocks import all_blocks
from tests.lms import Lms, launch_path, night

User = get_user_model()
Load = Callable[[str, str], types.ModuleType]


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Load:
    """The module that a page tells its reader to write, importable under the name that it has there."""

    def load(page: str, path: str) -> types.ModuleType:
        [block] = [one for one in all_blocks() if one.page == page and one.name == f"file {path}"]
        name = path.removesuffix(".py").replace("/", ".")
        module = types.ModuleType(name)
        package = types.ModuleType("mysite")
        package.__path__ = []
        monkeypatch.setitem(sys.modules, "mysite", package)
        monkeypatch.setitem(sys.modules, name, module)
        monkeypatch.setitem(sys.modules, "quiz", types.ModuleType("quiz"))
        monkeypatch.setitem(sys.modules, "quiz.models", quiz)
        exec(compile(block.code, page, "exec"), module.__dict__)  # noqa: S102  of the documentation
        setattr(package, name.partition(".")[2], module)
        return module

    return load


def numbered(number: str) -> Callable[[dict[str, Any]], None]:
    """What an LMS sends that gives its activities the person's number."""

    def mutate(token: dict[str, Any]) -> None:
        token["launch"]["custom"] = {"person_number": number}

    return mutate


# --- sso.md -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def register(lms: Lms, load: Load, settings: Any) -> types.ModuleType:
    """The register's policy in service; it trusts the LMS that the sandbox says to be."""
    module = load("docs/how-to/sso.md", "mysite/sso.py")
    lms.launch("1001")
    module.TRUSTED.add(Platform.objects.get().issuer)
    settings.LTIAAS = {**settings.LTIAAS, "SSO_POLICY": "mysite.sso.RegisterPolicy"}
    return module


def test_people_of_the_register_come_in_with_their_accounts(lms: Lms, register: types.ModuleType) -> None:
    known = User.objects.create_user("s1234")
    assert lms.launch("2001", mutate=numbered("s1234")).user == known
    assert lms.launch("2001").user == known


@pytest.mark.parametrize("trait", ["unknown", "staff", "inactive", "taken", "untrusted"])
def test_nobody_else_does(lms: Lms, register: types.ModuleType, trait: str) -> None:
    known = User.objects.create_user("s1234", is_staff=trait == "staff", is_active=trait != "inactive")
    if trait == "taken":
        LtiUser.objects.create(platform=Platform.objects.get(), lti_id="other", user=known)
    if trait == "untrusted":
        register.TRUSTED.clear()
    mutate = numbered("nobody" if trait == "unknown" else "s1234")
    answer = Client().get(launch_path(lms.sandbox.launch_url("course-101", "quiz-1", "2001", mutate=mutate)))
    assert answer.status_code == 403
    assert "registrar" in answer.content.decode()


# --- moving.md --------------------------------------------------------------------------------------------------------


def test_people_of_the_former_library_keep_their_accounts(
    lms: Lms, load: Load, settings: Any, tmp_path: pathlib.Path
) -> None:
    module = load("docs/how-to/moving.md", "mysite/former.py")
    lms.launch("1001")
    issuer = Platform.objects.get().issuer
    file = tmp_path / "people.json"
    file.write_text(json.dumps([[issuer, "2001", "zoe"], [issuer, "2002", "boss"], ["https://other", "2003", "zoe"]]))
    module.FILE = file  # type: ignore[attr-defined]
    settings.LTIAAS = {**settings.LTIAAS, "SSO_POLICY": "mysite.former.FormerPeoplePolicy"}
    zoe, boss = User.objects.create_user("zoe"), User.objects.create_user("boss", is_staff=True)
    assert lms.launch("2001").user == zoe
    assert lms.launch("2002").user != boss
    assert lms.launch("2003").user not in (zoe, boss)


# --- backfill.md ------------------------------------------------------------------------------------------------------


def submit(lms: Lms, person: str, points: int) -> None:
    """Somebody has answered a quiz of ten points, and no grade was recorded then."""
    launch = lms.launch(person)
    row = quiz.Quiz.objects.of(launch, launch.resource_link)
    row.submissions.create(user=launch.user, points=points)


def test_grades_that_exist_are_sent_once(lms: Lms, load: Load, capsys: pytest.CaptureFixture[str]) -> None:
    load("docs/how-to/backfill.md", "mysite/sources.py")
    submit(lms, "2001", 7)
    submit(lms, "2002", 0)
    [block] = [one for one in all_blocks() if one.page == "docs/how-to/backfill.md" and one.handler == "grades"]
    for expected in ("2 scores", "0 scores"):
        exec(compile(block.code, block.page, "exec"), {})  # noqa: S102  of the documentation
        assert expected in capsys.readouterr().out
    night("grades")
    assert sorted(score for score, _comment in lms.grades().values()) == [0, 7]


def test_the_source_is_asked_for_what_has_changed(lms: Lms, load: Load, settings: Any) -> None:
    module = load("docs/how-to/backfill.md", "mysite/sources.py")
    settings.LTIAAS = {**settings.LTIAAS, "SCORE_SOURCE": "mysite.sources.changed_since"}
    submit(lms, "2001", 7)
    night("grades")
    assert [score for score, _comment in lms.grades().values()] == [7]
    asked = SyncRun.objects.get(platform=None).started_at
    quiz.Submission.objects.update(submitted_at=asked)
    assert len(list(module.changed_since(asked))) == 1
    quiz.Submission.objects.update(submitted_at=asked.replace(year=2000))
    assert list(module.changed_since(asked)) == []


# --- restoring.md -----------------------------------------------------------------------------------------------------


def test_after_a_restore_the_newer_grade_of_the_lms_is_seen_and_can_be_kept(lms: Lms, load: Load) -> None:
    module = load("docs/how-to/restoring.md", "mysite/restoring.py")
    launch, other = lms.launch("2001"), lms.launch("2002")
    grades.record_score(launch, given=8, maximum=10, comment="Better")
    grades.record_score(other, given=3, maximum=10)
    night("grades")
    # The backup is of the time before: the row has an older value, and it waits to be sent.
    before = {"state": "due", "revision": 1, "sent_revision": None, "due_at": None}
    OutgoingScore.objects.filter(lti_user=launch.lti_user).update(given=5, comment="", **before)
    OutgoingScore.objects.filter(lti_user=other.lti_user).update(**before)
    [(score, result)] = module.differences()
    assert (score.lti_user, score.given, result.score) == (launch.lti_user, 5, 8)
    module.keep_the_lms(score, result)
    assert list(module.differences()) == []
    night("grades")
    assert lms.grades()[("2001", "Quiz 1: Averages")] == (8, "Better")


def test_without_that_look_a_restored_score_takes_the_newer_ones_place(lms: Lms) -> None:
    """What the page warns of."""
    launch = lms.launch("2001")
    stamp = grades.record_score(launch, given=5, maximum=10).recorded_at
    grades.record_score(launch, given=8, maximum=10)
    night("grades")
    before = {"state": "due", "revision": 1, "sent_revision": None, "due_at": None, "attempted_at": None}
    OutgoingScore.objects.update(given=5, recorded_at=stamp, **before)
    night("grades")
    assert [score for score, _comment in lms.grades().values()] == [5]
