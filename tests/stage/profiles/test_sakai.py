"""Sakai."""

from __future__ import annotations

import re

import pytest

from .lms import Lms, said, shows

UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"


@shows("ids", "sakai")
def test_ids(lms: Lms) -> None:
    token = lms.id_token()
    assert re.fullmatch(UUID, token["user"]["id"])
    assert re.fullmatch(UUID, token["launch"]["context"]["id"])
    path = lms.item.id.removeprefix(lms.sandbox.origin)
    assert re.fullmatch(rf"/imsblis/lti13/lineitems/{UUID}/\d+", path)


@shows("roster-pages", "sakai")
def test_pages_where_the_site_has_them(lms: Lms) -> None:
    assert len(lms.roster()["members"]) == 7
    assert "next" not in lms.roster()
    lms.profile.page_size = 4
    first = lms.roster()
    assert first["next"].endswith("?start=4&limit=4")
    assert [len(page["members"]) for page in (first, lms.page(first["next"]))] == [4, 3]


@shows("empty-roster", "sakai")
def test_nobody_is_no_json(lms: Lms) -> None:
    lms.profile.page_size = 4
    past_the_end = lms.roster()["next"]
    for number in range(2001, 2006):
        lms.course.remove_person(str(number))
    for query in ({"role": "Learner"}, {"url": past_the_end}):
        response = lms.caller("GET", "/api/memberships", params=query)
        assert (response.status_code, response.content) == (200, b"")
    assert len(lms.roster()["members"]) == 2


@shows("sourcedid", "sakai")
def test_person_sourcedid(lms: Lms) -> None:
    assert len({entry["lisPersonSourcedId"] for entry in lms.roster()["members"]}) == 7


@shows("absent", "sakai")
def test_leavers(lms: Lms) -> None:
    lms.course.remove_person("2001")
    assert "2001" not in lms.members()


@shows("not-in-site", "sakai")
@pytest.mark.parametrize("person", ["1001", "nobody", "2009"])
def test_people_without_grades(lms: Lms, person: str) -> None:
    assert said(lms.score(person)) == (400, "User does not belong to site")


@shows("gone", "sakai")
def test_deleted_and_foreign_columns(lms: Lms) -> None:
    gone = lms.item.id
    lms.course.gradebook.delete_line_item(lms.item.number)
    foreign = lms.sandbox.course("course-102").line_items_of("reading-1")[0].id
    for item in (gone, foreign):
        assert said(lms.get_line_item(item)) == (400, "Could not load line item")


@shows("all-400", "sakai")
def test_activities_that_are_not_there(lms: Lms) -> None:
    body = {"label": "L", "scoreMaximum": 1, "resourceLinkId": "nowhere"}
    assert said(lms.caller("POST", "/api/lineitems", json=body))[0] == 400
    assert said(lms.caller("GET", "/api/memberships?resourceLinkId=nowhere"))[0] == 400


@shows("closed", "sakai")
def test_course_that_is_over(lms: Lms) -> None:
    lms.course.is_concluded = True
    assert said(lms.score("2001")) == (400, "Could not load site associated with content")


@shows("token", "sakai")
def test_tool_that_was_removed(lms: Lms) -> None:
    lms.sandbox.fault("tool_removed")
    assert said(lms.score("2001")) == (403, "signature_error")


@shows("same-time", "sakai")
def test_same_time(lms: Lms) -> None:
    lms.graded("2001").timestamp = lms.sandbox.clock.now()
    assert lms.graded("2001", 9).score == 9
