"""PowerSchool Schoology."""

from __future__ import annotations

import re

import pytest

from .lms import Lms, said, shows


@shows("ids", "schoology")
def test_ids(lms: Lms) -> None:
    token = lms.id_token()
    assert re.fullmatch(r"[0-9a-f]{12}::\d+", token["user"]["id"])
    assert re.fullmatch(r"[0-9a-f]{16}", token["launch"]["context"]["id"])
    assert re.fullmatch(r"[0-9a-f]{16}", token["launch"]["resourceLink"]["id"])


@shows("no-rlid", "schoology")
def test_roster_of_an_activity(lms: Lms) -> None:
    link = lms.course.link_id("quiz-1")
    response = lms.caller("GET", f"/api/memberships?resourceLinkId={link}")
    assert said(response) == (400, {"error": 'Invalid parameter: "query.rlid" is not allowed'})
    assert len(lms.members()) == 7


@shows("no-id", "schoology")
def test_new_column_with_an_id(lms: Lms) -> None:
    body = {"label": "L", "scoreMaximum": 1}
    assert said(lms.caller("POST", "/api/lineitems", json={**body, "id": "x"}))[0] == 400
    assert lms.caller("POST", "/api/lineitems", json=body).status_code == 201


@shows("absent", "schoology")
def test_leavers(lms: Lms) -> None:
    lms.course.remove_person("2001")
    assert "2001" not in lms.members()


@shows("not-gradable", "schoology")
@pytest.mark.parametrize("person", ["1001", "nobody", "2009"])
def test_people_without_grades(lms: Lms, person: str) -> None:
    assert said(lms.score(person)) == (400, {"error": "Invalid userId"})


@shows("gone", "schoology")
def test_deleted_column(lms: Lms) -> None:
    gone = lms.item.id
    lms.course.gradebook.delete_line_item(lms.item.number)
    assert said(lms.get_line_item(gone)) == (404, {"error": "Line item not found"})


@shows("same-time", "schoology")
def test_same_time(lms: Lms) -> None:
    lms.graded("2001").timestamp = lms.sandbox.clock.now()
    assert lms.graded("2001", 9).score == 9
