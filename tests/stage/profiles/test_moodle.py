"""Moodle."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest

from .lms import Lms, said, shows


@shows("ids", "moodle")
def test_ids(lms: Lms) -> None:
    token = lms.id_token()
    assert token["user"]["id"].isdigit()
    assert lms.course.add_person("Somebody", user_id="somebody").lti_id.isdigit()
    assert token["launch"]["context"]["id"].isdigit()
    path = lms.item.id.removeprefix(lms.sandbox.origin)
    assert re.fullmatch(r"/mod/lti/services\.php/\d+/lineitems/\d+/lineitem\?type_id=1", path)
    assert lms.get_line_item(lms.item.id).json()["id"] == lms.item.id


@shows("whole-roster", "moodle")
def test_everybody_on_one_page(lms: Lms) -> None:
    for number in range(200):
        lms.course.add_person(f"Person {number}")
    whole = lms.roster()
    assert len(whole["members"]) == 207
    assert "next" not in whole


@shows("role-lost", "moodle")
def test_the_second_page_forgets_the_role(lms: Lms) -> None:
    first = lms.roster(role="Instructor", limit="1")
    assert first["next"].endswith("/memberships?limit=1&from=1")
    assert [entry["roles"] for entry in first["members"]] == [["Instructor"]]
    seen = [entry["roles"] for entry in lms.page(lms.page(first["next"])["next"])["members"]]
    assert seen == [["Learner"]]


@shows("absent", "moodle")
def test_leavers(lms: Lms) -> None:
    lms.course.remove_person("2001")
    members = lms.members()
    assert "2001" not in members
    assert {entry["status"] for entry in members.values()} == {"Active"}


@shows("role-names", "moodle")
def test_roles(lms: Lms) -> None:
    uri = "http://purl.imsglobal.org/vocab/lis/v2/membership#Learner"
    assert lms.id_token()["user"]["roles"] == [uri]
    assert lms.members()["2001"]["roles"] == ["Learner"]
    assert lms.members(role=uri) == lms.members(role="Learner")
    lms.course.change_role("2001", "Instructor", "Learner")
    assert lms.members()["2001"]["roles"] == ["Instructor", "Learner"]


@shows("blank-names", "moodle")
def test_columns_without_names(lms: Lms) -> None:
    column = lms.get_line_item(lms.item.id).json()
    assert (column["resourceId"], column["tag"]) == ("", "")


@shows("curly-quotes", "moodle")
def test_the_next_page_of_columns_is_lost(lms: Lms) -> None:
    page = lms.line_items(limit="1")
    assert len(page["lineItems"]) == 1
    assert set(page) == {"lineItems"}
    assert len(lms.line_items()["lineItems"]) == 2


@shows("same-second", "moodle")
def test_two_scores_in_one_second(lms: Lms) -> None:
    stored = lms.graded("2001")
    stored.timestamp += lms.sandbox.clock.now() - stored.timestamp  # however slow this machine is
    text = f"Refusing score with an earlier timestamp for item {lms.item.number} and user {lms.id_of('2001')}"
    assert said(lms.score("2001", 9)) == (409, text)
    assert lms.graded("2002").score == 8
    lms.sandbox.clock.advance(1.1)
    assert lms.graded("2001", 9).score == 9


@shows("edits", "moodle")
@pytest.mark.parametrize("edit", ["grade", "maximum"])
def test_edits_count_as_scores(lms: Lms, edit: str) -> None:
    lms.graded("2001")
    lms.sandbox.clock.advance(60)
    if edit == "grade":
        lms.course.override(lms.item, "2001", Decimal(4))
    else:
        body = {"label": "Quiz 1", "scoreMaximum": 20, "resourceLinkId": "quiz-1"}
        lms.caller("PUT", f"/api/lineitems/{lms.item.id.replace('/', '%2F').replace('?', '%3F')}", json=body)
        assert lms.value("2001") == 16
    lms.cell("2001").timestamp = max(lms.cell("2001").timestamp, lms.sandbox.clock.now())
    assert said(lms.score("2001", 9))[0] == 409


@shows("not-gradable", "moodle")
@pytest.mark.parametrize("person", ["1001", "nobody", "2009"])
def test_people_without_grades(lms: Lms, person: str) -> None:
    status, text = said(lms.score(person))
    assert status == 400
    assert text.startswith("Incorrect score received{")
    assert lms.id_of(person) in text


@shows("gone", "moodle")
def test_deleted_and_foreign_columns(lms: Lms) -> None:
    gone, number = lms.item.id, lms.item.number
    lms.course.gradebook.delete_line_item(number)
    assert said(lms.get_line_item(gone)) == (
        404,
        {"status": 404, "reason": f"Not Found: Grade item {number} doesn't exist."},
    )
    foreign = lms.sandbox.course("course-102").line_items_of("reading-1")[0].id
    assert said(lms.get_line_item(foreign)) == (403, {"status": 403, "reason": "Line item does not exist."})


@shows("closed", "moodle")
def test_course_that_is_over(lms: Lms) -> None:
    lms.course.is_concluded = True
    reason = f"Not Found: Course {lms.course.number} doesn't exist."
    assert said(lms.score("2001")) == (404, {"status": 404, "reason": reason})


@shows("reasons", "moodle")
def test_words_that_stay_in_the_reason_phrase(lms: Lms) -> None:
    lms.profile.passes_reasons = False
    assert said(lms.score("1001")) == (400, [])
    lms.graded("2001")
    lms.cell("2001").timestamp = lms.sandbox.clock.now()
    assert said(lms.score("2001")) == (409, [])


@shows("clears", "moodle")
@pytest.mark.parametrize(
    ("given", "progress"), [(5, "Pending"), (5, "PendingManual"), (5, "NotReady"), (None, "FullyGraded")]
)
def test_what_clears_a_grade(lms: Lms, given: float | None, progress: str) -> None:
    assert lms.graded("2001", 8).score == 8
    lms.sandbox.clock.advance(2)
    assert lms.graded("2001", given, gradingProgress=progress).score is None


@shows("clamps", "moodle")
def test_more_than_the_maximum(lms: Lms) -> None:
    assert lms.graded("2001", 12, 10).score == 10
    assert lms.graded("2002", 120, 100).score == 10


@shows("zero", "moodle")
def test_results_of_zero(lms: Lms) -> None:
    assert lms.graded("2001", 0).score == 0
    (result,) = lms.results("2001")
    assert not {"resultScore", "resultMaximum"} & set(result)


@shows("rounding", "moodle")
def test_four_decimals(lms: Lms) -> None:
    column = lms.course.add_line_item("quiz-2", 100)
    lms.caller.post_score(column.id, lms.id_of("2001"), scoreGiven=81.23456, scoreMaximum=100)
    (result,) = lms.caller.results(column.id)
    assert result["resultScore"] == 81.2346


@shows("overload", "moodle")
def test_too_many_calls(lms: Lms) -> None:
    lms.sandbox.fault("throttle")
    response = lms.score("2001")
    assert said(response) == (503, {"status": 503, "reason": "Service Unavailable"})
    assert "Retry-After" not in response.headers
