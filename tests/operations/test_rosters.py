"""Rosters: who belongs to a course after the night, and what never happens to them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from ltiaas_django import signals
from ltiaas_django.models import Context, Launch, LtiUser, Membership, ServiceKey, SyncRun
from ltiaas_django.operations import passes, rosters
from tests.lms import Lms, night


def active(course: str = "course-101") -> set[str]:
    rows = Membership.objects.filter(context__lti_id=course, status="Active")
    return set(rows.values_list("lti_user__lti_id", flat=True))


def the_context() -> Context:
    return Context.objects.get(lti_id="course-101")


EVERYBODY = {"1001", "1002", "2001", "2002", "2003", "2004", "2005"}


def crowd(lms: Lms, size: int = 20) -> set[str]:
    """Enough people that a hold is possible; their ids."""
    course = lms.sandbox.courses["course-101"]
    ids = {f"c{n:02}" for n in range(size)}
    for user_id in sorted(ids):
        course.add_person(f"Person {user_id}", user_id=user_id)
    return ids


def leave(lms: Lms, ids: set[str]) -> None:
    for user_id in ids:
        lms.sandbox.courses["course-101"].remove_person(user_id)


# --- the good way -----------------------------------------------------------------------------------------------------


def test_every_page_is_read_and_everybody_is_there(lms: Lms) -> None:
    lms.launch("2001")
    night("rosters")
    assert active() == EVERYBODY
    teacher = Membership.objects.get(lti_user__lti_id="1001")
    assert teacher.is_instructor
    assert not teacher.is_learner
    assert teacher.lti_user.user is None
    pages = [r for r in lms.sandbox.requests if r.path.startswith("/api/memberships")]
    assert len(pages) == 3
    assert "limit=" in pages[0].path
    assert "url=" in pages[1].path
    context = the_context()
    assert context.roster_synced_at
    assert not context.roster_error
    assert context.roster_due_at is None


def test_joining_leaving_renaming_and_changing_roles(lms: Lms) -> None:
    lms.launch("2001")
    night("rosters")
    course = lms.sandbox.courses["course-101"]
    course.remove_person("2002")
    course.rename_person("2003", "José G. Núñez")
    course.change_role("2004", "Instructor")
    course.add_person("Newcomer", user_id="3001")
    night("rosters")
    assert active() == EVERYBODY - {"2002"} | {"3001"}
    assert Membership.objects.get(lti_user__lti_id="2002").status == "Inactive"
    assert LtiUser.objects.get(lti_id="2003").name == "José G. Núñez"
    assert Membership.objects.get(lti_user__lti_id="2004").is_instructor
    counts = SyncRun.objects.filter(kind="rosters").latest("pk").counts
    assert (counts["joined"], counts["left"]) == (1, 1)
    course.restore_person("2002")
    night("rosters")
    assert "2002" in active()


def test_an_unchanged_roster_writes_no_member_rows(lms: Lms, django_assert_max_num_queries: Any) -> None:
    lms.launch("2001")
    night("rosters")
    with django_assert_max_num_queries(40) as asked:
        night("rosters")
    # Of many rows at once, the log says how many times before the statement.
    written = [q["sql"] for q in asked if any(f"{verb} " in q["sql"] for verb in ("INSERT INTO", "UPDATE", "DELETE"))]
    written = [sql for sql in written if not sql.startswith("SELECT")]
    assert written
    assert not [sql for sql in written if "membership" in sql.lower() or "ltiuser" in sql.lower()]


def test_queries_do_not_grow_with_the_members(lms: Lms, django_assert_max_num_queries: Any) -> None:
    lms.launch("2001")
    night("rosters")
    lms.sandbox.profile.page_size = 1000
    crowd(lms, 400)
    passes.release_night("rosters")
    with django_assert_max_num_queries(70):
        passes.work(the_context().platform_id, ["rosters"], "nightly")
    assert len(active()) == 407


def test_a_missing_name_or_email_never_erases_a_known_one(lms: Lms) -> None:
    lms.launch("2001")
    night("rosters")
    lms.sandbox.profile.anonymous = True
    night("rosters")
    person = LtiUser.objects.get(lti_id="2002")
    assert (person.name, person.email) == ("Liam O'Brien", "liam.obrien@school.example")


def test_a_launch_makes_its_person_active_and_the_next_roster_decides(lms: Lms) -> None:
    lms.launch("2001")
    night("rosters")
    leave(lms, {"2002"})
    night("rosters")
    assert "2002" not in active()
    lms.sandbox.courses["course-101"].restore_person("2002")
    lms.launch("2002")
    assert "2002" in active()
    leave(lms, {"2002"})
    Launch.objects.update(created_at=timezone.now() - timedelta(minutes=5))
    night("rosters")
    assert "2002" not in active()


def test_who_launches_while_the_roster_is_being_read_is_not_deactivated(lms: Lms) -> None:
    launch = lms.launch("2001")
    night("rosters")
    leave(lms, {"2001"})
    Launch.objects.filter(pk=launch.pk).update(created_at=timezone.now() + timedelta(seconds=30))
    night("rosters")
    assert "2001" in active()


def test_launch_and_roster_do_not_undo_each_others_spelling_of_roles(lms: Lms) -> None:
    lms.launch("2001")
    night("rosters")
    before = list(Membership.objects.order_by("pk").values())
    lms.launch("2001")
    night("rosters")
    assert list(Membership.objects.order_by("pk").values()) == before


def test_the_signal_lists_who_joined_changed_and_left(lms: Lms, django_capture_on_commit_callbacks: Any) -> None:
    lms.launch("2001")
    night("rosters")
    heard: list[dict[str, Any]] = []

    def on_sync(**said: Any) -> None:
        heard.append(said)

    leave(lms, {"2002"})
    lms.sandbox.courses["course-101"].rename_person("2003", "José")
    lms.sandbox.courses["course-101"].add_person("Newcomer", user_id="3001")
    signals.roster_synced.connect(on_sync)
    try:
        with django_capture_on_commit_callbacks(execute=True):
            night("rosters")
    finally:
        signals.roster_synced.disconnect(on_sync)
    by_id = dict(Membership.objects.values_list("lti_user__lti_id", "pk"))
    [said] = heard
    assert (said["joined"], said["changed"], said["left"]) == ([by_id["3001"]], [by_id["2003"]], [by_id["2002"]])


# --- nobody leaves by mistake (must 16) -------------------------------------------------------------------------------

PAGE = {"id": "1", "context": {"id": "c"}}
LAST_PAGE = "/api/memberships?url="


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 500, "body": "oops"},
        {"status": 200, "body": ""},
        {"status": 200, "body": "<html>", "content_type": "text/html"},
        {"status": 200, "body": '{"id": "1", "context": {"id": "c"}, "mem'},
        {"status": 200, "body": []},
        {"status": 200, "body": {"id": "1", "context": {"id": "c"}}},
        {"status": 200, "body": {"id": "1", "context": {"id": "c"}, "members": None}},
        {"status": 200, "body": {"id": "1", "context": {"id": "c"}, "members": [{"roles": ["Learner"]}]}},
        {"status": 200, "body": {**PAGE, "members": [{"userId": "1", "roles": [], "status": "Asleep"}]}},
        {"status": 404, "body": {"status": 404, "error": "Not Found"}},
        {"drop": True},
    ],
)  # fmt: skip
@pytest.mark.parametrize("page", [1, 2])
def test_nobody_is_deactivated_unless_every_page_arrived(lms: Lms, fault: dict[str, Any], page: int) -> None:
    lms.launch("2001")
    night("rosters")
    leave(lms, {"2002"})
    lms.sandbox.fail_next(LAST_PAGE if page == 2 else "/api/memberships?limit", times=20, **fault)
    night("rosters")
    assert active() == EVERYBODY
    context = the_context()
    assert context.roster_error
    assert context.roster_failures == 1
    run = SyncRun.objects.filter(kind="rosters").latest("pk")
    assert run.outcome == "failed"
    assert run.error


def test_a_repeating_next_link_ends_in_an_error(lms: Lms) -> None:
    lms.launch("2001")
    night("rosters")
    page = {"id": "1", "context": {"id": "c"}, "members": [{"userId": "x", "roles": []}], "next": "https://lms/page"}
    lms.sandbox.fail_next("/api/memberships", status=200, body=page, times=50)
    night("rosters")
    assert active() == EVERYBODY
    assert "repeats" in the_context().roster_error


def test_an_endless_list_ends_in_an_error(lms: Lms, settings: Any) -> None:
    lms.launch("2001")
    settings.LTIAAS = {**settings.LTIAAS, "MAX_PAGES": 2}
    night("rosters")
    assert the_context().roster_error
    assert active() == {"2001"}


def test_few_departures_are_carried_out_at_once(lms: Lms) -> None:
    lms.launch("2001")
    night("rosters")
    leave(lms, {"2002", "2003", "2004", "2005", "1002"})
    night("rosters")
    assert active() == {"1001", "2001"}


def test_many_departures_are_held_and_joins_and_changes_are_applied(lms: Lms) -> None:
    lms.launch("2001")
    gone = crowd(lms)
    night("rosters")
    leave(lms, gone)
    lms.sandbox.courses["course-101"].add_person("Newcomer", user_id="3001")
    lms.sandbox.courses["course-101"].rename_person("2003", "José")
    night("rosters")
    assert active() == EVERYBODY | gone | {"3001"}
    assert LtiUser.objects.get(lti_id="2003").name == "José"
    held = the_context().roster_held
    assert held is not None
    assert (held["count"], held["nights"]) == (20, 1)


def test_a_persons_yes_lifts_the_hold_for_the_same_departures_only(lms: Lms) -> None:
    lms.launch("2001")
    gone = crowd(lms)
    night("rosters")
    leave(lms, gone)
    night("rosters")
    assert rosters.confirm_departures(the_context())
    leave(lms, {"2002", "2003", "2004"})
    night("rosters")
    assert active() == EVERYBODY | gone  # others than those that were agreed to
    assert rosters.confirm_departures(the_context())
    night("rosters")
    assert active() == {"1001", "1002", "2001", "2005"}
    assert the_context().roster_held is None
    assert not rosters.confirm_departures(the_context())


def test_the_same_departures_on_three_nights_in_a_row_lift_the_hold(lms: Lms) -> None:
    lms.launch("2001")
    gone = crowd(lms)
    night("rosters")
    leave(lms, gone)
    tonight = timezone.now()
    for hours, still_there in [(0, True), (1, True), (24, True), (25, True), (48, False)]:
        with time_machine.travel(tonight + timedelta(hours=hours)):
            night("rosters")
        assert (gone <= active()) is still_there, hours


def test_departures_that_are_undone_forget_the_hold(lms: Lms) -> None:
    lms.launch("2001")
    gone = crowd(lms)
    night("rosters")
    leave(lms, gone)
    night("rosters")
    for user_id in gone:
        lms.sandbox.courses["course-101"].restore_person(user_id)
    night("rosters")
    assert the_context().roster_held is None
    assert gone <= active()


# --- keys and retries -------------------------------------------------------------------------------------------------


def test_a_sibling_key_is_used_where_the_freshest_is_refused(lms: Lms) -> None:
    lms.launch("2001", "quiz-1")
    lms.launch("2001", "quiz-2")
    lms.sandbox.revoke_service_keys("course-101", "quiz-2")
    night("rosters")
    assert active() == EVERYBODY
    assert ServiceKey.objects.get(resource_link__lti_id="quiz-2").refused_at is not None


def test_a_key_refused_between_pages_changes_nothing(lms: Lms) -> None:
    lms.launch("2001")
    refusal = {"status": 401, "error": "Unauthorized", "details": {"message": "INVALID_SERVICE_KEY"}}
    lms.sandbox.fail_next(LAST_PAGE, status=401, body=refusal, times=9)
    night("rosters")
    assert active() == {"2001"}
    assert not ServiceKey.objects.get().is_healthy
    asked = len(lms.sandbox.requests)
    night("rosters")
    assert len(lms.sandbox.requests) == asked


def test_a_passing_failure_is_tried_again_later_and_not_for_ever(lms: Lms) -> None:
    lms.launch("2001")
    lms.sandbox.fail_next("/api/memberships", status=503, body="x", times=1000)
    passes.release_night("rosters")
    tries = 0
    while Context.objects.filter(roster_due_at__isnull=False).exists():
        Context.objects.filter(roster_due_at__isnull=False).update(roster_due_at=timezone.now())
        passes.work(the_context().platform_id, ["rosters"], "tick")
        tries += 1
        assert tries < 20
    assert tries == 5


def test_one_failing_course_does_not_stop_the_next(lms: Lms) -> None:
    lms.launch("2001")
    lms.launch("2003", "essay-1", "course-102")
    lms.sandbox.fail_next("/api/memberships", status=404, body={"status": 404, "error": "Not Found"})
    night("rosters")
    synced = Context.objects.filter(roster_synced_at__isnull=False)
    assert synced.count() == 1
    assert SyncRun.objects.get(kind="rosters").outcome == "partial"


def test_who_launches_meanwhile_stays_active_though_the_lms_says_inactive(lms: Lms) -> None:
    launch = lms.launch("2001")
    Launch.objects.filter(pk=launch.pk).update(created_at=timezone.now() + timedelta(seconds=30))
    said = {"userId": "2001", "roles": ["Learner"], "status": "Inactive"}
    lms.sandbox.fail_next("/api/memberships?limit", status=200, body={**PAGE, "members": [said]})
    night("rosters")
    assert the_context().roster_synced_at
    assert active() == {"2001"}
