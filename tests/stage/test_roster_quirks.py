"""What single LMSs do with their rosters, and with what they tell of people, and what our sync makes of it."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User

from ltiaas_django.models import Context, LtiUser, Membership, Platform, SyncRun
from ltiaas_django.sandbox.profiles import PROFILES
from ltiaas_django.sandbox.profiles.strict import GenericStrict, Trouble
from tests.lms import Lms, night

pytestmark = pytest.mark.long

COURSE = "course-101"


def called(lms: Lms, person: str) -> str:
    """What the LMS calls a person."""
    return lms.sandbox.school.people[person].lti_id


def active() -> set[str]:
    found = Membership.objects.filter(status=Membership.Status.ACTIVE)
    return set(found.values_list("lti_user__lti_id", flat=True))


@pytest.mark.parametrize("profile", PROFILES)
def test_a_roster_is_read_to_its_last_page_and_nobody_leaves_by_it(lms: Lms, profile: str) -> None:
    lms.sandbox.set_profile(profile)
    course = lms.sandbox.course(COURSE)
    for n in range(120):
        course.add_person(f"Learner {n}", user_id=f"n{n}").has_launched = True
    everybody = {one.person.lti_id for one in course.active() if profile != "brightspace" or one.person.has_launched}
    lms.launch("2001")
    night("rosters")
    assert active() == everybody | {called(lms, "2001")}
    assert Context.objects.get().roster_error == ""
    course.remove_person("n7")
    night("rosters")
    assert active() == (everybody | {called(lms, "2001")}) - {called(lms, "n7")}


@pytest.mark.parametrize("profile", ["canvas", "moodle"])
def test_a_launch_names_roles_in_other_words_than_the_roster_and_changes_nothing(lms: Lms, profile: str) -> None:
    lms.sandbox.set_profile(profile)
    for _ in range(2):
        lms.launch("1001")
        lms.launch("2001")
        night("rosters")
    assert SyncRun.objects.filter(kind="rosters").latest("pk").counts["changed"] == 0


def test_sakais_empty_body_is_no_empty_roster(lms: Lms) -> None:
    lms.sandbox.set_profile("sakai")
    course = lms.sandbox.course(COURSE)
    lms.launch("2001")
    for person in ("1001", "1002", "2003", "2004", "2005"):
        course.remove_person(person)
    night("rosters")
    before = active()
    for person in ("2001", "2002"):
        course.remove_person(person)
    night("rosters")
    assert active() == before
    assert "empty body" in Context.objects.get().roster_error


def test_blackboard_says_of_whom_that_they_are_inactive(lms: Lms) -> None:
    lms.sandbox.set_profile("blackboard")
    lms.sandbox.school.profile.shows_leavers = True  # type: ignore[attr-defined]
    lms.launch("2001")
    night("rosters")
    lms.sandbox.course(COURSE).remove_person("2005")
    night("rosters")
    [gone] = Membership.objects.exclude(status=Membership.Status.ACTIVE)
    assert (gone.lti_user.lti_id, gone.status) == (called(lms, "2005"), "Inactive")


@pytest.mark.parametrize("profile", ["canvas_anonymous"])
def test_a_name_that_is_known_outlives_an_lms_that_keeps_it_to_itself(lms: Lms, profile: str) -> None:
    lms.sandbox.set_profile(profile).anonymous = False
    lms.launch("2001")
    night("rosters")
    lms.sandbox.profile.anonymous = True
    lms.launch("2001")
    night("rosters")
    assert LtiUser.objects.get(lti_id=called(lms, "2001")).name == "Zoë Müller-Łukasiewicz"
    assert LtiUser.objects.get(lti_id=called(lms, "2002")).name == "Liam O'Brien"


def test_an_anonymous_person_gets_an_account(lms: Lms) -> None:
    lms.sandbox.set_profile("canvas_anonymous")
    people = [lms.launch(person).lti_user for person in ("2001", "2002")]
    assert len({person.user_id for person in people} - {None}) == 2
    assert [person.email for person in people] == ["", ""]


def test_an_address_that_is_kept_back_links_nobody(lms: Lms) -> None:
    lms.sandbox.set_profile("canvas_anonymous")
    lms.launch("1001")
    Platform.objects.update(account_linking=Platform.AccountLinking.EMAIL)
    User.objects.all().delete()
    somebody = User.objects.create(username="somebody", email="")
    assert lms.launch("2001").lti_user.user_id != somebody.pk


def test_canvass_roles_in_the_institution_give_no_rights_in_the_course(lms: Lms) -> None:
    def teaches_elsewhere(token: dict[str, Any]) -> None:
        token["user"]["roles"].append("http://purl.imsglobal.org/vocab/lis/v2/institution/person#Instructor")

    lms.sandbox.set_profile("canvas")
    assert not lms.launch("2001", mutate=teaches_elsewhere).is_instructor


TROUBLES = {
    Trouble.REPEATS: "repeats an earlier page",
    Trouble.DOUBLES: "",
    Trouble.BREAKS: "500",
    Trouble.STRAYS: "",
    Trouble.ENDLESS: "pages",
}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_broken_roster_is_an_error_and_nobody_leaves_by_it(lms: Lms, settings: Any, trouble: Trouble) -> None:
    settings.LTIAAS = {**settings.LTIAAS, "MAX_PAGES": 20}
    profile = lms.sandbox.set_profile("generic_strict")
    assert isinstance(profile, GenericStrict)
    lms.launch("2001")
    night("rosters")
    before = active()
    assert len(before) == 7
    teachers = set(Membership.objects.filter(is_instructor=True).values_list("pk", flat=True))
    course = lms.sandbox.course(COURSE)
    course.add_person("Noor New", user_id="2010")
    course.remove_person("2005")
    profile.trouble = trouble
    night("rosters")
    error = Context.objects.get().roster_error
    assert TROUBLES[trouble] in error
    assert bool(error) is bool(TROUBLES[trouble])
    if error:
        assert active() == before
        assert sum(record.route == "memberships" for record in lms.sandbox.requests) < 40
    else:
        assert active() == before - {called(lms, "2005")} | {called(lms, "2010")}
    assert set(Membership.objects.filter(is_instructor=True).values_list("pk", flat=True)) == teachers
