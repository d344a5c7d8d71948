"""Blackboard Learn."""

from __future__ import annotations

import re
from urllib.parse import quote

import pytest

from .lms import Lms, said, shows


@shows("ids", "blackboard")
def test_ids(lms: Lms) -> None:
    assert re.fullmatch(r"[0-9a-f]{32}", lms.id_token()["user"]["id"])
    path = lms.item.id.removeprefix(lms.sandbox.origin)
    assert re.fullmatch(r"/learn/api/v1/lti/courses/_\d+_1/lineItems/_\d+_1", path)


@shows("deployments", "blackboard")
def test_a_deployment_for_each_institution(lms: Lms) -> None:
    north = lms.sandbox.add_school("north", "North High", profile="blackboard")
    deployments = {lms.profile.deployment_id(school) for school in (lms.sandbox.school, north)}
    assert len(deployments) == 2
    assert lms.id_token()["platform"]["deploymentId"] in deployments


@shows("rlid", "blackboard")
def test_the_next_page_names_the_activity(lms: Lms) -> None:
    first = lms.roster(resourceLinkId="quiz-1", limit="2")
    assert first["next"].count("rlid=quiz-1") == 1
    assert lms.page(first["next"])["members"]
    twice = lms.caller("GET", f"/api/memberships?url={quote(first['next'] + '&rlid=quiz-1', safe='')}")
    assert twice.status_code == 400


@shows("leavers", "blackboard")
def test_leavers(lms: Lms) -> None:
    lms.course.remove_person("2001")
    assert "2001" not in lms.members()
    lms.profile.shows_leavers = True
    assert lms.members()["2001"]["status"] == "Inactive"
    assert lms.members()["2002"]["status"] == "Active"


@shows("not-found", "blackboard")
@pytest.mark.parametrize("person", ["1001", "nobody", "2009"])
def test_people_without_grades(lms: Lms, person: str) -> None:
    assert said(lms.score(person)) == (
        400,
        {"status": 400, "message": f"User could not be found: {lms.id_of(person)}"},
    )


@shows("lost-comment", "blackboard")
def test_comments_of_results(lms: Lms) -> None:
    lms.graded("2001", comment="Good")
    (alone,), (among_all,) = lms.results("2001"), lms.results()
    assert "comment" not in alone
    assert among_all["comment"] == "Good"


@shows("result-pages", "blackboard")
def test_results_in_pages(lms: Lms) -> None:
    for number in range(60):
        person = lms.course.add_person(f"Person {number}")
        lms.graded(person.id)
    path = f"/api/lineitems/{quote(lms.item.id, safe='')}/scores"
    first = lms.caller.json(path)
    assert len(first["scores"]) == 50
    assert first["next"].endswith("?limit=50&offset=50")
    assert len(lms.caller.json(path, url=first["next"])["scores"]) == 10


@shows("gone", "blackboard")
def test_deleted_column(lms: Lms) -> None:
    gone = lms.item.id
    lms.course.gradebook.delete_line_item(lms.item.number)
    assert said(lms.get_line_item(gone))[0] == 404


@shows("closed", "blackboard")
def test_course_that_is_over(lms: Lms) -> None:
    lms.course.is_concluded = True
    assert said(lms.score("2001"))[0] == 403


@shows("same-time", "blackboard")
def test_same_time(lms: Lms) -> None:
    lms.graded("2001").timestamp = lms.sandbox.clock.now()
    assert lms.graded("2001", 9).score == 9


@shows("line-breaks", "blackboard")
def test_comments_are_html(lms: Lms) -> None:
    assert lms.graded("2001", comment="One\ntwo\n\nthree").comment == "One two three"
    assert lms.graded("2002", comment="One<br/>two").comment == "One<br/>two"


@shows("throttle", "blackboard")
def test_too_many_calls(lms: Lms) -> None:
    lms.sandbox.fault("throttle")
    response = lms.score("2001")
    assert said(response) == (429, {"status": 429, "message": "Too Many Requests"})
    assert "Retry-After" not in response.headers
