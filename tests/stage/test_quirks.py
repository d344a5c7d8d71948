"""What single LMSs do with scores and columns that a tool would not expect, and what our sync makes of it.

`tests/sabotage/quirks.py` takes each piece of that handling out; a test here, in `test_roster_quirks` or in
`test_profiles_and_faults` notices.
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from ltiaas_django import grades
from ltiaas_django.connections.ltiaas import http
from ltiaas_django.models import Context, LineItem, LtiUser, Membership, OutgoingScore, Platform, ServiceKey
from ltiaas_django.operations import passes
from ltiaas_django.sandbox.profiles import PROFILES
from ltiaas_django.vocabulary import GradingProgress
from tests.lms import Lms, night
from tests.operations.test_policies import later, tick

pytestmark = pytest.mark.long

COURSE = "course-101"
LEARNERS = ["2001", "2002", "2003", "2004", "2005"]
State = OutgoingScore.State


def rows() -> dict[str, tuple[str, str]]:
    """By the person's id in the LMS: the state of the score, and the code of its last error."""
    found = OutgoingScore.objects.values_list("lti_user__lti_id", "state", "last_error_code")
    return {lti_id: (state, code) for lti_id, state, code in found}


def states() -> set[str]:
    return set(OutgoingScore.objects.values_list("state", flat=True))


def held(lms: Lms) -> dict[str, Decimal | None]:
    return {cell.user_id: cell.score for cell in lms.sandbox.gradebook(COURSE)}


def called(lms: Lms, person: str) -> str:
    """What the LMS calls a person."""
    return lms.sandbox.school.people[person].lti_id


# --- scores that an LMS does not take ---------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", ["canvas", "moodle", "blackboard", "brightspace", "sakai"])
def test_a_teacher_is_refused_in_words_that_we_know(lms: Lms, profile: str) -> None:
    lms.sandbox.set_profile(profile)
    for person in ("1001", "2001"):
        grades.record_score(lms.launch(person), given=5, maximum=10)
    night("grades")
    assert rows()[called(lms, "1001")] == (State.PARKED, "person_not_gradable")
    assert held(lms) == {"2001": 5}


@pytest.mark.parametrize("profile", ["schoology", "openedx", "generic_strict"])
def test_whoever_was_refused_in_other_words_is_sent_again_once_a_learner(lms: Lms, profile: str) -> None:
    lms.sandbox.set_profile(profile)
    for person in ("1001", "2001"):
        grades.record_score(lms.launch(person), given=5, maximum=10)
    night("grades")
    assert rows()[called(lms, "1001")] == (State.PARKED, "invalid_request")
    lms.sandbox.course(COURSE).change_role("1001", "Learner")
    night("rosters")
    later()
    tick()
    assert held(lms) == {"1001": 5, "2001": 5}


def test_who_is_not_in_brightspaces_org_unit_is_refused_for_themselves(lms: Lms) -> None:
    lms.sandbox.set_profile("brightspace")
    for person in ("2001", "2002"):
        grades.record_score(lms.launch(person), given=5, maximum=10)
    lms.sandbox.course(COURSE).remove_person("2001")
    night("rosters")
    night("grades")
    assert rows()[called(lms, "2001")] == (State.PARKED, "person_not_gradable")


def test_what_moodle_echoes_of_a_score_is_not_kept(lms: Lms) -> None:
    lms.sandbox.set_profile("moodle")
    grades.record_score(lms.launch("1001"), given=5, maximum=10, comment="about somebody")
    night("grades")
    row = OutgoingScore.objects.get()
    assert "Incorrect score received" in row.last_error
    assert "somebody" not in row.last_error


@pytest.mark.parametrize("profile", ["canvas", "canvas_anonymous", "canvas_unpublished"])
def test_a_course_that_is_not_published_is_tried_every_night_and_sent_once_it_is(lms: Lms, profile: str) -> None:
    # The profile for unpublished courses never publishes one; what Canvas says before and after is the same.
    lms.sandbox.set_profile("canvas" if profile == "canvas_unpublished" else profile)
    course = lms.sandbox.course(COURSE)
    course.is_published = False
    for person in LEARNERS:
        grades.record_score(lms.launch(person), given=5, maximum=10)
    night("grades")
    assert set(rows().values()) == {(State.DUE, "course_not_gradable")}
    assert not OutgoingScore.objects.exclude(due_at=None).exists(), "they wait for the night"
    course.is_published = True
    night("grades")
    assert held(lms) == dict.fromkeys(LEARNERS, 5)


def test_an_unpublished_course_is_not_asked_about_every_learner(lms: Lms) -> None:
    lms.sandbox.set_profile("canvas_unpublished")
    link = lms.launch("2001").resource_link
    assert link is not None
    course, platform = lms.sandbox.course(COURSE), link.context.platform
    people = [course.add_person(f"Learner {n}", user_id=f"n{n}") for n in range(30)]
    for one in people:
        person = LtiUser.objects.create(platform=platform, lti_id=one.lti_id)
        Membership.objects.create(context=link.context, lti_user=person, is_learner=True, roles=["Learner"])
        grades.record_score(link, user=person, given=1, maximum=1)
    night("grades")
    assert lms.posts() < 15, "five, and what was on the wire by then"
    assert set(rows().values()) == {(State.DUE, "course_not_gradable")}


def test_a_teacher_in_an_unpublished_course_waits_for_no_night(lms: Lms) -> None:
    lms.sandbox.set_profile("canvas_unpublished")
    for person in ("1001", "2001"):
        grades.record_score(lms.launch(person), given=5, maximum=10)
    night("grades")
    assert rows()[called(lms, "1001")] == (State.PARKED, "person_not_gradable")


def test_a_clear_that_finds_nothing_says_nothing_of_an_unpublished_course(lms: Lms) -> None:
    lms.sandbox.set_profile("canvas_unpublished")
    grades.record_score(lms.launch("2001"), given=None)
    lms.sandbox.fault("drop_after", route="scores")
    night("grades")
    grades.record_score(lms.launch("2002"), given=5, maximum=10)
    later()
    night("grades")
    assert rows() == {
        called(lms, "2001"): (State.SENT, ""),
        called(lms, "2002"): (State.DUE, "course_not_gradable"),
    }


def test_an_unpublished_course_is_sent_when_a_learner_gets_in(lms: Lms) -> None:
    course = lms.sandbox.course(COURSE)
    lms.sandbox.set_profile("canvas")
    course.is_published = False
    grades.record_score(lms.launch("2001"), given=5, maximum=10)
    night("grades")
    course.is_published = True
    lms.launch("2002")
    later()
    tick()
    assert held(lms) == {"2001": 5}


def test_nothing_taken_in_an_unpublished_course_is_an_alarm(lms: Lms, caplog: pytest.LogCaptureFixture) -> None:
    lms.sandbox.set_profile("canvas_unpublished")
    grades.record_score(lms.launch("2001"), given=5, maximum=10)
    night("grades")
    assert "nothing worked" in caplog.text


# --- courses, columns and tools that are gone -------------------------------------------------------------------------


@pytest.mark.parametrize("profile", [name for name in PROFILES if name != "canvas_unpublished"])
def test_a_deleted_column_is_made_anew_and_holds_all_that_was_sent(lms: Lms, profile: str) -> None:
    lms.sandbox.set_profile(profile)
    course = lms.sandbox.course(COURSE)
    grades.record_score(lms.launch("2001"), given=5, maximum=10)
    night("grades")
    [item] = course.line_items_of("quiz-1")
    link = LineItem.objects.get().resource_link
    assert link is not None
    with_id = lms.launch("2002")
    course.gradebook.delete_line_item(item.number)
    grades.record_score(with_id, given=6, maximum=10)
    for _ in range(3):
        night("grades")
        later()
        lms.sandbox.advance_clock(5)
        tick()
    assert held(lms) == {"2001": 5, "2002": 6}
    assert [one.label for one in course.line_items_of("quiz-1")] == ["Quiz 1: Averages"]


@pytest.mark.parametrize("profile", ["canvas", "moodle", "sakai"])
def test_a_course_that_is_over_waits_for_its_next_launch(lms: Lms, profile: str) -> None:
    lms.sandbox.set_profile(profile)
    course = lms.sandbox.course(COURSE)
    grades.record_score(lms.launch("2001"), given=5, maximum=10)
    course.is_concluded = True
    night("grades")
    assert set(rows().values()) == {(State.WAITING, "course_concluded")}
    night()
    assert lms.posts() == 1, "nothing is asked of it any more"
    course.is_concluded = False
    lms.launch("2002")
    night("grades")
    assert held(lms) == {"2001": 5}


@pytest.mark.parametrize("profile", PROFILES)
def test_a_tool_that_was_taken_out_of_a_course_waits_for_a_new_key(lms: Lms, profile: str) -> None:
    lms.sandbox.set_profile(profile)
    grades.record_score(lms.launch("2001"), given=5, maximum=10)
    lms.sandbox.fault("tool_removed", times=None)
    night()
    assert not ServiceKey.objects.healthy().exists()
    assert states() == {State.WAITING}
    lms.sandbox.clear_faults()
    lms.launch("2001")
    assert states() == {State.DUE}


# --- the pace ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", [one for one in PROFILES if one != "moodle"])  # Moodle just fails, with 503
@pytest.mark.parametrize("route", ["scores", "memberships"])
def test_an_lms_that_is_asked_too_much_is_left_alone(
    lms: Lms, monkeypatch: pytest.MonkeyPatch, profile: str, route: str
) -> None:
    monkeypatch.setattr(http, "_RETRY_BASE", 0.001)
    monkeypatch.setattr(http, "_LONGEST_WAIT", 0.0)  # no Retry-After is sat out
    lms.sandbox.set_profile(profile)
    lms.sandbox.fault("throttle", route=route, times=None)
    grades.record_score(lms.launch("2001"), given=5, maximum=10)
    night("grades" if route == "scores" else "rosters")
    platform = Platform.objects.get()
    assert platform.paused_until is not None
    assert ServiceKey.objects.healthy().exists(), "the key is as good as before"
    if route == "scores":
        assert set(OutgoingScore.objects.values_list("state", "attempts", "last_error_code")) == {
            (State.DUE, 0, "throttled")
        }


def test_brightspace_says_for_how_long(lms: Lms) -> None:
    lms.sandbox.set_profile("brightspace")
    lms.sandbox.fault("throttle", route="scores")
    grades.record_score(lms.launch("2001"), given=5, maximum=10)
    night("grades")
    paused_until = Platform.objects.get().paused_until
    assert paused_until is not None
    assert paused_until < timezone.now() + timedelta(seconds=3)


def test_canvas_is_never_asked_so_much_that_it_throttles(lms: Lms) -> None:
    lms.sandbox.set_profile("canvas")
    course, link = lms.sandbox.course(COURSE), lms.launch("2001").resource_link
    assert link is not None
    for n in range(60):
        one = course.add_person(f"Learner {n}", user_id=f"n{n}")
        person = LtiUser.objects.create(platform=link.context.platform, lti_id=one.lti_id)
        grades.record_score(link, user=person, given=1, maximum=1)
    night("grades")
    assert {record.status for record in lms.sandbox.requests if record.route == "scores"} == {204}
    assert states() == {State.SENT}


# --- time stamps ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", ["canvas", "moodle"])
def test_a_score_that_the_lms_finds_too_old_is_sent_again(lms: Lms, profile: str) -> None:
    lms.sandbox.set_profile(profile)
    launch = lms.launch("2001")
    grades.record_score(launch, given=5, maximum=10)
    night("grades")
    grades.record_score(launch, given=6, maximum=10)
    OutgoingScore.objects.update(attempted_at=None)
    lms.sandbox.advance_clock(-60)
    passes.release_night("grades")
    lms.sandbox.fault("delay", route="scores", delay=0.01)
    tick()
    assert rows()[called(lms, "2001")][1] == "superseded"
    lms.sandbox.clock.reset()
    lms.sandbox.advance_clock(60)
    later()
    tick()
    assert held(lms) == {"2001": 6}


def test_moodle_gets_two_scores_of_one_person_in_two_seconds(lms: Lms) -> None:
    lms.sandbox.set_profile("moodle")
    launch = lms.launch("2001")
    lms.sandbox.advance_clock(-lms.sandbox.clock.now().microsecond / 1_000_000)  # nearly a whole second is to come
    for given in (5, 6):
        grades.record_score(launch, given=given, maximum=10)
        passes.release_night("grades")
        tick()
    assert held(lms) == {"2001": 6}
    assert [record.status for record in lms.sandbox.requests if record.route == "scores"] == [204, 204]


# --- what is doubled, wiped or hidden ---------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", ["canvas", "canvas_anonymous", "moodle"])
def test_progress_after_a_grade_wipes_nothing(lms: Lms, profile: str) -> None:
    lms.sandbox.set_profile(profile)
    launch = lms.launch("2001")
    grades.record_score(launch, given=5, maximum=10)
    night("grades")
    grades.record_score(launch, given=None, grading_progress=GradingProgress.PENDING)
    later()
    lms.sandbox.advance_clock(60)
    night("grades")
    assert held(lms) == {"2001": 5}


@pytest.mark.parametrize("profile", [name for name in PROFILES if name != "canvas_unpublished"])
@pytest.mark.parametrize("people", [1, 3])
def test_a_comment_whose_answer_was_lost_is_sent_once(lms: Lms, profile: str, people: int) -> None:
    """One person is read back alone and several at once: some LMSs tell more, or other things, of several."""
    lms.sandbox.set_profile(profile)
    for person in LEARNERS[:people]:
        grades.record_score(lms.launch(person), given=5, maximum=10, comment="Well done,\nreally")
    lms.sandbox.fault("drop_after", route="scores", times=people)
    night("grades")
    later()
    lms.sandbox.advance_clock(60)
    tick()
    assert states() == {State.SENT}
    assert lms.posts() == people


def test_moodle_hides_a_zero_that_is_there(lms: Lms) -> None:
    lms.sandbox.set_profile("moodle")
    grades.record_score(lms.launch("2001"), given=0, maximum=10)
    lms.sandbox.fault("drop_after", route="scores")
    night("grades")
    later()
    tick()
    assert (states(), lms.posts()) == ({State.SENT}, 1)


def test_open_edxs_lost_zero_is_found_by_the_check(lms: Lms) -> None:
    lms.sandbox.set_profile("openedx")
    grades.record_score(lms.launch("2001"), given=0, maximum=10)
    night("grades")
    assert states() == {State.SENT}
    passes.request_check(Context.objects.get())
    night("check")
    assert OutgoingScore.objects.get().drift == "missing"


@pytest.mark.parametrize("profile", ["canvas", "blackboard"])
def test_results_are_read_to_their_last_page(lms: Lms, profile: str) -> None:
    lms.sandbox.set_profile(profile)
    course, link = lms.sandbox.course(COURSE), lms.launch("2001").resource_link
    assert link is not None
    for n in range(60):
        one = course.add_person(f"Learner {n}", user_id=f"n{n}")
        person = LtiUser.objects.create(platform=link.context.platform, lti_id=one.lti_id)
        grades.record_score(link, user=person, given=1, maximum=1)
    night("grades")
    passes.request_check(link.context)
    night("check")
    assert set(OutgoingScore.objects.values_list("state", "drift")) == {(State.SENT, "")}


# --- columns ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", PROFILES)
def test_a_column_beyond_the_first_page_is_found(lms: Lms, profile: str) -> None:
    lms.sandbox.set_profile(profile)
    course = lms.sandbox.course(COURSE)
    for n in range(120):
        course.gradebook.add_line_item(f"Part {n}", 10, resource_link_id="quiz-2", tag=f"part-{n}")
    item = course.add_line_item("quiz-2", 10)
    grades.record_score(lms.launch("2001", "quiz-2", mutate=without_column), given=5, maximum=10)
    night("grades")
    assert LineItem.objects.get(resource_link__title__startswith="Quiz 2").lti_id == item.id


def without_column(token: dict[str, Any]) -> None:
    """As of an LMS that names no column in launches."""
    token["services"]["assignmentAndGrades"].pop("lineItemId", None)


@pytest.mark.parametrize("profile", [name for name in PROFILES if name != "canvas_unpublished"])
def test_a_column_that_the_lms_lacks_is_made_as_it_wants_it(lms: Lms, profile: str) -> None:
    lms.sandbox.set_profile(profile)
    grades.record_score(lms.launch("2001", "quiz-2"), given=5, maximum=10)
    night("grades")
    assert held(lms) == {"2001": 5}
    assert len(lms.sandbox.course(COURSE).line_items_of("quiz-2")) == 1
    assert lms.sandbox.warnings == [], "its id travels whole"
