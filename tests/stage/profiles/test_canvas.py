"""Canvas, and its two variations."""

from __future__ import annotations

import concurrent.futures
import itertools
import re
from datetime import UTC, datetime, timedelta

import pytest
import requests

from .lms import Lms, said, shows

EVERY = ("canvas", "canvas_anonymous", "canvas_unpublished")
GRADING = ("canvas", "canvas_anonymous")
UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
SUBMISSION = "https://canvas.instructure.com/lti/submission"
MEMBERSHIP = "http://purl.imsglobal.org/vocab/lis/v2/membership"
NOT_A_STUDENT = "User not found in course or is not a student"


def in_form(kind: str, message: str) -> object:
    return {"errors": {"type": kind, "message": message}}


@shows("ids", *EVERY)
def test_ids(lms: Lms) -> None:
    token = lms.id_token()
    assert re.fullmatch(UUID, token["user"]["id"])
    assert re.fullmatch(r"[0-9a-f]{40}", token["launch"]["context"]["id"])
    assert token["platform"]["url"] == "https://canvas.instructure.com"
    path = lms.item.id.removeprefix(lms.sandbox.origin)
    assert re.fullmatch(r"/api/lti/courses/\d+/line_items/\d+", path)


@shows("roster-pages", *EVERY)
def test_fifty_people_a_page(lms: Lms) -> None:
    for number in range(60):
        lms.course.add_person(f"Person {number}")
    first = lms.roster(limit="1000")
    assert len(first["members"]) == 50
    assert first["next"].endswith("/names_and_roles?page=2&per_page=50")
    second = lms.page(first["next"])
    assert len(second["members"]) == 17
    assert "next" not in second


@shows("absent", *EVERY)
def test_leavers(lms: Lms) -> None:
    lms.course.remove_person("2001")
    members = lms.members()
    assert "2001" not in members
    assert {entry["status"] for entry in members.values()} == {"Active"}


@shows("one-entry", *EVERY)
def test_several_roles(lms: Lms) -> None:
    lms.course.change_role("2001", "TeachingAssistant", "Learner")
    assert [entry["userId"] for entry in lms.roster()["members"]].count(lms.id_of("2001")) == 1
    assert lms.members()["2001"]["roles"] == [
        f"{MEMBERSHIP}/Instructor#TeachingAssistant",
        f"{MEMBERSHIP}#Instructor",
        f"{MEMBERSHIP}#Learner",
    ]
    assert "2001" in lms.members(role="Learner")
    assert "2001" not in lms.members(role="Instructor")


@shows("observers", *EVERY)
def test_observers(lms: Lms) -> None:
    lms.course.change_role("2001", "Mentor")
    assert lms.members()["2001"]["roles"] == [f"{MEMBERSHIP}#Mentor"]
    assert lms.id_token()["user"]["roles"][-1] == f"{MEMBERSHIP}#Mentor"
    assert said(lms.score("2001"))[0] == 422


@shows("institution-roles", *EVERY)
def test_roles_beyond_the_course(lms: Lms) -> None:
    anywhere = "http://purl.imsglobal.org/vocab/lis/v2/institution/person"
    assert lms.id_token()["user"]["roles"] == [f"{anywhere}#Student", f"{MEMBERSHIP}#Learner"]
    assert lms.id_token("1001")["user"]["roles"] == [f"{anywhere}#Instructor", f"{MEMBERSHIP}#Instructor"]
    assert lms.members()["2001"]["roles"] == [f"{MEMBERSHIP}#Learner"]


@shows("test-user", *EVERY)
def test_the_test_student_on_the_roster(lms: Lms) -> None:
    lms.course.add_person("Test Student", user_id="2099").is_test_student = True
    entry = lms.members()["2099"]
    assert entry["roles"] == [f"{MEMBERSHIP}#Learner", "http://purl.imsglobal.org/vocab/lti/system/person#TestUser"]
    assert "email" not in entry


@shows("legacy-id", *EVERY)
def test_ids_of_lti_1_1(lms: Lms) -> None:
    ids = [entry["lti11LegacyUserId"] for entry in lms.roster()["members"]]
    assert len(set(ids)) == 7
    assert all(re.fullmatch(r"[0-9a-f]{40}", one) for one in ids)


@shows("no-link", *EVERY)
def test_roster_of_no_activity(lms: Lms) -> None:
    response = lms.caller("GET", "/api/memberships?resourceLinkId=nowhere")
    assert said(response) == (400, in_form("bad_request", "Requested ResourceLink was not found"))


@shows("line-item-pages", *EVERY)
def test_ten_columns_a_page(lms: Lms) -> None:
    for number in range(110):
        lms.course.gradebook.add_line_item(f"Column {number}", 1)
    assert [len(lms.line_items(**query)["lineItems"]) for query in ({}, {"limit": "50"}, {"limit": "500"})] == [
        10,
        50,
        100,
    ]
    assert lms.line_items()["next"].endswith("?page=2&per_page=10")


@shows("gone", *EVERY)
def test_deleted_column(lms: Lms) -> None:
    gone = lms.item.id
    lms.course.gradebook.delete_line_item(lms.item.number)
    not_there = (404, {"errors": [{"message": "The specified resource does not exist."}]})
    assert said(lms.caller.post_score(gone, lms.id_of("2001"), scoreGiven=1, scoreMaximum=1)) == not_there
    assert said(lms.get_line_item(lms.sandbox.course("course-102").line_items_of("reading-1")[0].id)) == not_there


@shows("concluded", *EVERY)
def test_course_that_is_over(lms: Lms) -> None:
    lms.course.is_concluded = True
    over = "This course has concluded. AGS requests will no longer be accepted for this course."
    assert said(lms.score("2001")) == (422, in_form("unprocessable_entity", over))
    lms.profile.says_concluded = False
    assert said(lms.score("2001"))[0] == 404
    assert lms.members()  # only calls about grades are refused


@shows("removed", *EVERY)
def test_tool_that_was_removed(lms: Lms) -> None:
    lms.sandbox.fault("tool_removed")
    assert said(lms.score("2001")) == (
        401,
        in_form("unauthorized", "Access Token not linked to a Tool associated with this Context"),
    )


@shows("throttle", *EVERY)
def test_a_dozen_calls_at_once_are_too_many(lms: Lms) -> None:
    headers = {"Authorization": lms.caller.authorization}

    def ask(_: int) -> requests.Response:
        return requests.get(f"{lms.caller.url}/api/lineitems", headers=headers, timeout=30)

    with concurrent.futures.ThreadPoolExecutor(30) as pool:
        with lms.sandbox.lock:  # what it lets in waits here, and what is answered was refused
            answers = [pool.submit(ask, number) for number in range(30)]
            refused, *_ = (one.result() for one in itertools.islice(concurrent.futures.as_completed(answers), 12))
        through = sum(answer.result().ok for answer in answers)
    assert said(refused) == (403, "403 Forbidden (Rate Limit Exceeded)\n")
    assert refused.headers["X-Rate-Limit-Remaining"] == "0.0"
    assert "Retry-After" not in refused.headers
    assert 11 <= through <= 18  # 600 of 50 each, and it leaks while they arrive
    calls_in_turn = [ask(number) for number in range(40)]
    assert all(answer.ok for answer in calls_in_turn)
    assert 500 < float(calls_in_turn[-1].headers["X-Rate-Limit-Remaining"]) < 600


@shows("not-a-student", *GRADING)
@pytest.mark.parametrize("person", ["1001", "nobody", "2009", "left"])
def test_people_without_grades(lms: Lms, person: str) -> None:
    lms.course.add_person("Left", user_id="left")
    lms.course.remove_person("left")
    assert said(lms.score(person)) == (422, in_form("unprocessable_entity", NOT_A_STUDENT))


@shows("test-student", *GRADING)
def test_scores_of_the_test_student(lms: Lms) -> None:
    lms.course.add_person("Test Student", user_id="2099").is_test_student = True
    assert lms.graded("2099").score == 8
    lms.profile.grades_test_student = False
    assert said(lms.score("2099")) == (422, in_form("unprocessable_entity", NOT_A_STUDENT))


@shows("older", *GRADING)
def test_times(lms: Lms) -> None:
    at = lms.graded("2001").timestamp
    assert lms.graded("2001", 9).score == 9  # in the same second
    lms.cell("2001").timestamp = at + timedelta(hours=1)
    status, body = said(lms.score("2001", 3))
    assert (status, body["errors"]["type"]) == (400, "bad_request")
    assert re.match(r"Provided timestamp of \S+ before last updated timestamp of \S+$", body["errors"]["message"])
    assert lms.value("2001") == 9


@shows("submitted-at", *GRADING)
def test_time_of_the_submission(lms: Lms) -> None:
    def submitted(at: str) -> requests.Response:
        return lms.score("2001", **{SUBMISSION: {"submitted_at": at}})

    now = datetime.now(UTC)
    assert submitted((now + timedelta(seconds=30)).isoformat()).ok
    late, odd = (now + timedelta(minutes=2)).isoformat(), "yesterday"
    assert said(submitted(late)) == (
        400,
        in_form("bad_request", f"Provided submitted_at timestamp of {late} in the future"),
    )
    assert said(submitted(odd)) == (
        400,
        in_form("bad_request", f"Provided submitted_at timestamp of {odd} not a valid timestamp"),
    )


@shows("attempts", *GRADING)
def test_attempts(lms: Lms) -> None:
    assert [lms.graded("2001").attempts for _ in range(2)] == [1, 2]
    assert lms.graded("2001", **{SUBMISSION: {"new_submission": False}}).attempts == 2
    assert lms.graded("2001", **{SUBMISSION: {"submission_type": "none"}}).attempts == 2
    lms.profile.allowed_attempts = 2
    used_up = "The maximum number of allowed attempts has been reached for this submission"
    assert said(lms.score("2001", 1)) == (422, in_form("unprocessable_entity", used_up))
    assert lms.graded("2001", 4, **{SUBMISSION: {"new_submission": False}}).score == 4


@shows("comments", *GRADING)
def test_comments(lms: Lms) -> None:
    for comment in ({"comment": "Good"}, {"comment": "Good"}, {}):
        lms.score("2001", **comment)
    assert lms.cell("2001").comments == ["Good", "Good"]


@shows("wipes", *GRADING)
@pytest.mark.parametrize(
    ("given", "progress", "kept"),
    [
        (5, "FullyGraded", 5),
        (5, "PendingManual", 5),
        (None, "PendingManual", None),
        (5, "Pending", None),
        (5, "NotReady", None),
        (None, "FullyGraded", None),
    ],
)
def test_what_wipes_a_teacher_s_grade(lms: Lms, given: float | None, progress: str, kept: int | None) -> None:
    lms.course.override(lms.item, "2001", 9)
    assert lms.graded("2001", given, gradingProgress=progress).score == kept


@shows("results", *GRADING)
def test_results(lms: Lms) -> None:
    lms.graded("2001", 0, comment="Good")
    (alone,), (among_all,) = lms.results("2001"), lms.results()
    assert (alone["resultScore"], alone["resultMaximum"]) == (0, 10)
    assert "comment" not in alone
    assert "comment" not in among_all
    lms.course.remove_person("2001")
    assert lms.results("2001") == []


@shows("anonymous", "canvas_anonymous")
def test_nobody_has_a_name(lms: Lms) -> None:
    assert set(lms.id_token()["user"]) == {"id", "roles"}
    assert {frozenset(entry) for entry in lms.roster()["members"]} == {
        frozenset({"userId", "lti11LegacyUserId", "roles", "status"})
    }


@shows("unpublished", "canvas_unpublished")
def test_nobody_is_a_student(lms: Lms) -> None:
    assert len(lms.course.gradable()) == 5
    for person in lms.course.gradable():
        assert said(lms.score(person)) == (422, in_form("unprocessable_entity", NOT_A_STUDENT))
