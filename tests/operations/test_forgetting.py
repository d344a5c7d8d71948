"""Forgetting a person: what goes, what stays, and what a worker or the tool has to do with it."""

from __future__ import annotations

import time

import pytest
from django.contrib import admin
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth import get_user_model
from django.core import serializers
from django.db.models import PROTECT

from example_project.quiz.models import Quiz, Submission
from ltiaas_django import exceptions, grades
from ltiaas_django.models import (
    Context,
    Launch,
    LtiUser,
    Membership,
    OutgoingScore,
    Platform,
    ResourceLink,
    ScoreAttempt,
    SyncRun,
)
from ltiaas_django.operations import delivery, forgetting, passes
from ltiaas_django.testing import factories
from tests.lms import Lms, night

User = get_user_model()
OURS = (Platform, Context, ResourceLink, LtiUser, Membership, Launch, OutgoingScore, ScoreAttempt, SyncRun, LogEntry)


def everything() -> str:
    """All that the database holds, as text."""
    return "".join(serializers.serialize("json", model._default_manager.all()) for model in (*OURS, User))


def test_nothing_of_a_person_is_left_and_the_books_are_as_before(lms: Lms) -> None:
    launch, other = lms.launch("2001"), lms.launch("2002")
    for one in (launch, other):
        grades.record_score(one, given=8, maximum=10, comment=f"to {one.lti_user.lti_id}")
    night()
    score = OutgoingScore.objects.get(lti_user=launch.lti_user)
    factories.ScoreAttemptFactory(score=score, error="POST score: no user 2001-x")
    operator = User.objects.create_superuser("operator")  # type: ignore[attr-defined]
    for row in (launch.lti_user, score, launch):
        LogEntry.objects.log_actions(operator.pk, [row], CHANGE, "Looked at.")  # type: ignore[arg-type]
    person = launch.lti_user
    marks = [person.name, person.email, person.given_name, person.family_name, "to 2001", "user 2001-x"]
    counts = list(SyncRun.objects.order_by("pk").values_list("kind", "counts", "outcome"))
    before = everything()
    assert all(mark and mark in before for mark in marks)
    traces = forgetting.erase([person], delete_users=True)
    after = everything()
    assert [mark for mark in marks if mark in after] == []
    assert list(SyncRun.objects.order_by("pk").values_list("kind", "counts", "outcome")) == counts
    assert LogEntry.objects.filter(object_repr="(erased)").count() == 3
    assert OutgoingScore.objects.get().lti_user == other.lti_user
    assert Membership.objects.filter(lti_user=other.lti_user).exists()
    assert (traces.people, [user.pk for user in traces.users]) == ((person,), [launch.user_id])
    assert traces.rows["launches"] == traces.rows["outgoing scores"] == traces.rows["score attempts"] == 1


def test_what_is_found_beforehand_is_what_goes(lms: Lms) -> None:
    launch = lms.launch("2001")
    grades.record_score(launch, given=8, maximum=10)
    night()
    before = everything()
    foretold = forgetting.find([launch.lti_user])
    assert everything() == before
    assert forgetting.erase([launch.lti_user]).rows == foretold.rows


def test_the_django_user_stays_unless_asked_for(lms: Lms) -> None:
    launch = lms.launch("2001")
    forgetting.erase([launch.lti_user])
    assert User._default_manager.filter(pk=launch.user_id).exists()
    again = lms.launch("2001")
    forgetting.erase([again.lti_user], delete_users=True)
    assert not User._default_manager.filter(pk=again.user_id).exists()


def test_staff_and_who_is_somebody_else_too_are_never_deleted(lms: Lms) -> None:
    person = lms.launch("2001").lti_user
    assert person.user is not None
    twin = LtiUser.objects.create(platform=factories.PlatformFactory.create(), lti_id="9", user=person.user)
    with pytest.raises(forgetting.CannotForget, match=f"other people too .LTI users {twin.pk}"):
        forgetting.erase([person], delete_users=True)
    User._default_manager.filter(pk=person.user.pk).update(is_staff=True)
    person = LtiUser.objects.get(pk=person.pk)
    with pytest.raises(forgetting.CannotForget, match="staff"):
        forgetting.erase([person, twin], delete_users=True)
    assert LtiUser.objects.count() == 2


def test_unsent_grades_are_not_dropped_unasked(lms: Lms) -> None:
    launch = lms.launch("2001")
    grades.record_score(launch, given=8, maximum=10)
    with pytest.raises(forgetting.CannotForget, match="1 grades have not reached the LMS"):
        forgetting.erase([launch.lti_user])
    assert OutgoingScore.objects.exists()
    forgetting.erase([launch.lti_user], drop_unsent=True)
    assert not OutgoingScore.objects.exists()


def erase_in_flight(monkeypatch: pytest.MonkeyPatch, lms: Lms, person: LtiUser, posts: int) -> None:
    """Have the person erased once so many scores are on the wire, before anything is written down of them.

    By the thread of the pass: SQLite in memory serves no other.
    """
    collect = delivery._Pass.collect

    def erase_and_collect(self: delivery._Pass) -> None:
        monkeypatch.setattr(delivery._Pass, "collect", collect)
        until = time.monotonic() + 20
        while lms.posts() < posts and time.monotonic() < until:
            time.sleep(0.01)
        assert OutgoingScore.objects.filter(state=OutgoingScore.State.SENDING).count() == posts
        forgetting.erase([person], drop_unsent=True)
        collect(self)

    monkeypatch.setattr(delivery._Pass, "collect", erase_and_collect)


def test_a_pass_goes_on_without_the_row_that_was_erased_in_flight(lms: Lms, monkeypatch: pytest.MonkeyPatch) -> None:
    doomed, other = lms.launch("2001"), lms.launch("2002")
    for one in (doomed, other):
        grades.record_score(one, given=8, maximum=10)
    passes.release_night("grades")
    erase_in_flight(monkeypatch, lms, doomed.lti_user, posts=2)
    [run] = passes.work(doomed.lti_user.platform_id, ["grades"], "nightly")
    assert run.outcome == SyncRun.Outcome.OK
    assert OutgoingScore.objects.get().state == OutgoingScore.State.SENT
    assert Platform.objects.get().lease_token is None
    assert sorted(person for person, _label in lms.grades()) == ["2001", "2002"]


def test_a_failure_of_an_erased_row_is_dropped_as_quietly(lms: Lms, monkeypatch: pytest.MonkeyPatch) -> None:
    doomed = lms.launch("2001")
    grades.record_score(doomed, given=8, maximum=10)
    lms.sandbox.fail_next("/api/lineitems/", method="POST", status=503, body="down")
    passes.release_night("grades")
    erase_in_flight(monkeypatch, lms, doomed.lti_user, posts=1)
    passes.work(doomed.lti_user.platform_id, ["grades"], "nightly")
    assert not OutgoingScore.objects.exists()
    assert not ScoreAttempt.objects.exists()


def test_the_roster_brings_an_enrolled_person_back_as_somebody_new(lms: Lms) -> None:
    launch = lms.launch("2001")
    night("rosters")
    forgetting.erase([launch.lti_user])
    assert not LtiUser.objects.filter(lti_id="2001").exists()
    night("rosters")
    back = LtiUser.objects.get(lti_id="2001")
    assert back.user is None


def test_rows_of_the_tool_go_along_or_protect(lms: Lms, monkeypatch: pytest.MonkeyPatch) -> None:
    launch = lms.launch("2001")
    assert launch.resource_link is not None
    quiz = Quiz.objects.create(resource_link=launch.resource_link)
    Submission.objects.create(quiz=quiz, user=launch.user, points=3)
    assert forgetting.find([launch.lti_user]).rows == {"LTI users": 1, "launches": 1, "memberships": 1}
    assert forgetting.find([launch.lti_user], delete_users=True).rows["submissions"] == 1
    monkeypatch.setattr(Submission._meta.get_field("user").remote_field, "on_delete", PROTECT)
    with pytest.raises(forgetting.CannotForget, match="submission #"):
        forgetting.erase([launch.lti_user], delete_users=True)
    assert LtiUser.objects.exists()
    assert User._default_manager.filter(pk=launch.user_id).exists()


def test_a_django_user_is_named_by_username_or_id(lms: Lms) -> None:
    launch = lms.launch("2001")
    name = launch.user.get_username()
    assert forgetting.people_of_user(name) == [launch.lti_user]
    assert forgetting.people_of_user(str(launch.user_id)) == [launch.lti_user]
    for unknown in ("nobody", "0", "", "9" * 30):
        with pytest.raises(exceptions.UnknownPerson, match="nobody's"):
            forgetting.people_of_user(unknown)
    User._default_manager.create(username=str(launch.user_id))
    with pytest.raises(exceptions.UnknownPerson, match="both"):
        forgetting.people_of_user(str(launch.user_id))


def test_every_kind_of_row_that_names_a_person_in_the_admin_is_known() -> None:
    """The admin's history is blanked for rows that point to a person; one that stops doing so must be noticed."""
    pointing = {relation.related_model for relation in LtiUser._meta.related_objects}
    assert {Membership, Launch, OutgoingScore} <= pointing
    assert {LtiUser, *pointing} <= {*admin.site._registry}
