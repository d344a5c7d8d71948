"""Open edX."""

from __future__ import annotations

import re

import pytest

from .lms import Lms, said, shows


@shows("ids", "openedx")
def test_ids(lms: Lms) -> None:
    token = lms.id_token()
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", token["user"]["id"])
    assert token["launch"]["context"]["id"] == "course-v1:school+course-101+2026"
    path = lms.item.id.removeprefix(lms.sandbox.origin)
    assert re.fullmatch(r"/api/lti_consumer/v1/lti/\d+/lti-ags/\d+", path)


@shows("no-pages", "openedx")
def test_no_pages(lms: Lms) -> None:
    roster, columns = lms.roster(limit="1"), lms.line_items(limit="1")
    assert [len(roster["members"]), len(columns["lineItems"])] == [7, 2]
    assert not {"next", "first", "last"} & {*roster, *columns}


@shows("created", "openedx")
def test_created(lms: Lms) -> None:
    assert lms.score("2001").status_code == 201
    assert lms.value("2001") == 8


@shows("lost-zero", "openedx")
def test_zero_is_not_written(lms: Lms) -> None:
    assert lms.score("2001", 0).status_code == 201
    assert lms.results() == []
    lms.score("2001", 8)
    lms.score("2001", 0)
    assert lms.value("2001") == 8


@shows("names", "openedx")
def test_new_column_without_names(lms: Lms) -> None:
    body = {"label": "L", "scoreMaximum": 1}
    assert said(lms.caller("POST", "/api/lineitems", json=body))[0] == 400
    for names in ({"resourceId": "x"}, {"resourceLinkId": lms.course.link_id("quiz-2")}):
        assert lms.caller("POST", "/api/lineitems", json={**body, **names}).status_code == 201


@shows("absent", "openedx")
def test_leavers(lms: Lms) -> None:
    lms.course.remove_person("2001")
    assert "2001" not in lms.members()


@shows("not-gradable", "openedx")
@pytest.mark.parametrize(("person", "status"), [("1001", 403), ("2009", 403), ("nobody", 404)])
def test_people_without_grades(lms: Lms, person: str, status: int) -> None:
    assert said(lms.score(person))[0] == status


@shows("gone", "openedx")
def test_deleted_column(lms: Lms) -> None:
    gone = lms.item.id
    lms.course.gradebook.delete_line_item(lms.item.number)
    assert said(lms.get_line_item(gone)) == (404, {"detail": "Not found."})


@shows("same-time", "openedx")
def test_same_time(lms: Lms) -> None:
    lms.graded("2001").timestamp = lms.sandbox.clock.now()
    assert lms.graded("2001", 9).score == 9
