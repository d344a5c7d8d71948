"""`ltiaas_forget`: whom it means, that it asks, and what it ends with."""

from __future__ import annotations

import io
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command

from ltiaas_django.models import Launch, LtiUser, OutgoingScore
from ltiaas_django.testing import factories

pytestmark = pytest.mark.django_db

User = get_user_model()


def forget(*arguments: str) -> str:
    """What the command writes to stdout."""
    out = io.StringIO()
    call_command("ltiaas_forget", *arguments, stdout=out)
    return out.getvalue()


def fail(*arguments: str) -> CommandError:
    """The error that the command ends with; nobody is erased then."""
    before = list(LtiUser.objects.values_list("pk", flat=True))
    with pytest.raises(CommandError) as caught:
        forget(*arguments)
    assert list(LtiUser.objects.values_list("pk", flat=True)) == before
    return caught.value


@pytest.fixture
def launch() -> Launch:
    """A person with a Django user, a launch and a sent score; and somebody else."""
    factories.LaunchFactory.create()
    launch: Launch = factories.LaunchFactory.create(lti_user__name="Kim Example", user__username="kim")
    factories.OutgoingScoreFactory(lti_user=launch.lti_user, line_item__context=launch.context, sent=True)
    return launch


@pytest.mark.parametrize("by", ["person", "lms-id", "user", "user id"])
def test_the_person_that_is_named_is_erased_and_nobody_else(launch: Launch, by: str) -> None:
    person = launch.lti_user
    named = {
        "person": ["--person", str(person.pk)],
        "lms-id": ["--platform", str(person.platform_id), "--lms-id", person.lti_id],
        "user": ["--user", "kim"],
        "user id": ["--user", str(launch.user_id)],
    }[by]
    text = forget(*named, "--yes")
    assert f"LTI user {person.pk}: Kim Example, known to {person.platform} as {person.lti_id}." in text
    assert f"Django user {launch.user_id}, kim, stays as it is" in text
    assert text.endswith("Erased.\n")
    assert not LtiUser.objects.filter(pk=person.pk).exists()
    assert LtiUser.objects.count() == 1
    assert User._default_manager.filter(pk=launch.user_id).exists()


def test_a_dry_run_says_what_would_go_and_erases_nothing(launch: Launch) -> None:
    text = forget("--user", "kim", "--dry-run", "--delete-user")
    assert "Rows that go: 1 LTI users, 1 launches, 1 outgoing scores, 1 users." in text
    assert text.endswith("Dry run: nothing was erased.\n")
    assert OutgoingScore.objects.count() == 1


@pytest.mark.parametrize(("answer", "erased"), [("yes\n", True), ("y\n", False), ("no\n", False), ("", False)])
def test_it_asks_first(launch: Launch, monkeypatch: pytest.MonkeyPatch, answer: str, erased: bool) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(answer))
    if erased:
        assert "cannot be undone" in forget("--user", "kim")
        assert not OutgoingScore.objects.exists()
    else:
        assert fail("--user", "kim").returncode == 1


def test_unsent_grades_are_said_and_dropped_only_if_that_is_asked_for(launch: Launch) -> None:
    factories.OutgoingScoreFactory(lti_user=launch.lti_user, line_item__context=launch.context)
    error = fail("--user", "kim", "--yes")
    assert "1 grades have not reached the LMS yet" in str(error)
    assert error.returncode == 1
    assert "1 of the scores have not reached the LMS." in forget("--user", "kim", "--yes", "--drop-unsent")
    assert not OutgoingScore.objects.exists()


def test_the_django_user_goes_too_if_that_is_asked_for(launch: Launch) -> None:
    assert "is deleted too" in forget("--user", "kim", "--delete-user", "--yes")
    assert not User._default_manager.filter(username="kim").exists()


def test_what_is_in_the_way_is_said_in_a_line(launch: Launch) -> None:
    User._default_manager.filter(username="kim").update(is_staff=True)
    assert "is staff" in str(fail("--user", "kim", "--delete-user", "--yes"))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--person", "777"], "no LTI user 777"),
        (["--person", "9" * 30], "no LTI user 999"),
        (["--person", "x"], "invalid int"),
        (["--user", "nobody"], "nobody's username or id"),
        (["--platform", "1", "--lms-id", "nobody"], "nobody whom the LMS knows"),
        (["--lms-id", "1"], "go together"),
        (["--platform", "1", "--person", "1"], "go together"),
        (["--person", "1", "--user", "kim"], "not allowed with"),
        ([], "one of the arguments"),
    ],
)
def test_arguments_that_name_nobody(launch: Launch, arguments: list[str], says: str) -> None:
    assert says in str(fail(*arguments, "--yes"))


def test_a_django_user_that_is_nobody_of_an_lms_is_left_alone() -> None:
    user: Any = factories.UserFactory.create(username="local")
    assert "nothing to forget" in forget("--user", "local", "--yes", "--delete-user")
    assert User._default_manager.filter(pk=user.pk).exists()


def test_the_help_says_that_the_roster_brings_people_back(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        call_command("ltiaas_forget", "--help")
    assert "the LMS brings them back" in capsys.readouterr().out
