"""D2L Brightspace."""

from __future__ import annotations

import re
from urllib.parse import quote

import pytest

from ltiaas_django.sandbox.throttle import CreditWindow

from .lms import Lms, said, shows


def in_form(message: str) -> object:
    return {"Errors": [{"Message": message}]}


@shows("ids", "brightspace")
def test_ids(lms: Lms) -> None:
    token = lms.id_token()
    assert re.fullmatch(r"[0-9a-f-]{36}_\d+", token["user"]["id"])
    assert token["launch"]["context"]["id"].isdigit()
    assert re.fullmatch(r"[0-9a-f-]{36}", token["launch"]["resourceLink"]["id"])
    assert "/d2l/api/lti/nrps/2.0/deployment/" in lms.roster()["id"]
    path = lms.item.id.removeprefix(lms.sandbox.origin)
    assert re.fullmatch(r"/d2l/api/lti/ags/2\.0/deployment/[0-9a-f-]{36}/orgunit/\d+/lineitems/[0-9a-f-]{36}", path)


@shows("launched-only", "brightspace")
def test_who_has_not_launched_is_not_on_the_roster(lms: Lms) -> None:
    assert set(lms.members()) == {"1001"}
    lms.id_token("2003")
    assert set(lms.members()) == {"1001", "2003"}
    lms.profile.knows_all = True
    assert len(lms.members()) == 7


@shows("no-column", "brightspace")
def test_launches_name_no_column(lms: Lms) -> None:
    assert "lineItemId" not in lms.id_token()["services"]["assignmentAndGrades"]
    assert lms.item.id in [item["id"] for item in lms.line_items()["lineItems"]]


@shows("absent", "brightspace")
def test_leavers(lms: Lms) -> None:
    lms.id_token("2003")
    lms.course.remove_person("2003")
    assert set(lms.members()) == {"1001"}


@shows("role", "brightspace")
@pytest.mark.parametrize("role", ["Instructor", "Mentor"])
def test_roles_without_grades(lms: Lms, role: str) -> None:
    lms.course.change_role("2001", role)
    assert said(lms.score("2001")) == (
        422,
        in_form("User's role does not have the permission “Can be graded in Grades”"),
    )
    lms.course.change_role("2001", role, "Learner")
    assert lms.graded("2001").score == 8


@shows("not-enrolled", "brightspace")
def test_people_of_other_courses(lms: Lms) -> None:
    lms.course.remove_person("2001")
    for person in ("2001", "2009"):
        assert said(lms.score(person)) == (403, in_form("User in requested score is not enrolled in the org unit"))


@shows("unknown", "brightspace")
def test_unknown_people(lms: Lms) -> None:
    assert said(lms.score("nobody")) == (404, in_form("User in requested score does not exist"))


@shows("clamps", "brightspace")
def test_more_than_the_maximum(lms: Lms) -> None:
    assert lms.graded("2001", 12, 10).score == 10
    lms.profile.clamps = False
    assert lms.graded("2001", 12, 10).score == 12


@shows("no-rescale", "brightspace")
def test_another_maximum(lms: Lms) -> None:
    lms.graded("2001")
    body = {"label": "Quiz 1", "scoreMaximum": 20}
    assert lms.caller("PUT", f"/api/lineitems/{quote(lms.item.id, safe='')}", json=body).ok
    (cell,) = lms.sandbox.gradebook("course-101")
    assert (cell.score, cell.maximum) == (8, 20)


@shows("same-time", "brightspace")
def test_same_time(lms: Lms) -> None:
    lms.graded("2001").timestamp = lms.sandbox.clock.now()
    assert lms.graded("2001", 9).score == 9


@shows("gone", "brightspace")
def test_deleted_column(lms: Lms) -> None:
    gone = lms.item.id
    lms.course.gradebook.delete_line_item(lms.item.number)
    assert said(lms.get_line_item(gone)) == (404, in_form("Resource Not Found"))


@shows("closed", "brightspace")
def test_course_that_is_over(lms: Lms) -> None:
    lms.course.is_concluded = True
    assert said(lms.score("2001"))[0] == 403


@shows("credits", "brightspace")
def test_credits(lms: Lms) -> None:
    lms.profile.credits = CreditWindow(credits=30, cost=10, seconds=60)
    answers = [lms.caller("GET", "/api/memberships") for _ in range(3)]
    assert [answer.headers["X-Rate-Limit-Remaining"] for answer in answers] == ["20", "10", "0"]
    assert {answer.headers["X-Request-Cost"] for answer in answers} == {"10"}
    assert 55 <= int(answers[-1].headers["X-Rate-Limit-Reset"]) <= 60
    lms.sandbox.clock.advance(20)
    refused = lms.caller("GET", "/api/memberships")
    assert said(refused) == (429, in_form("Too Many Requests"))
    assert 30 <= int(refused.headers["Retry-After"]) <= 40
    assert "X-Rate-Limit-Remaining" not in refused.headers
    lms.sandbox.clock.advance(int(refused.headers["Retry-After"]))
    assert lms.caller("GET", "/api/memberships").headers["X-Rate-Limit-Remaining"] == "20"
