"""The control API, by which scripts look at the sandbox and steer it."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest


@pytest.fixture
def control(browse):
    def ask(method, path, body=None, status=200):
        response = browse(f"/control/{path}", method, json=body)
        assert response.status_code == status, response.text
        return response.json() if response.content else None

    return ask


def test_state(control):
    courses = {course["id"]: course for course in control("GET", "state/")["courses"]}
    assert set(courses) == {"course-101", "course-102"}
    assert [activity["id"] for activity in courses["course-101"]["activities"]] == ["quiz-1", "quiz-2", "lab-1"]
    assert {item["activity"] for item in courses["course-101"]["lineItems"]} == {"quiz-1", "lab-1"}
    both = {person["userId"] for person in courses["course-101"]["people"]} & {
        person["userId"] for person in courses["course-102"]["people"]
    }
    assert both == {"2003"}


def test_gradebook_holds_only_what_was_stored(control, by_key, quiz_1):
    by_key().post_score(quiz_1, "2001", scoreGiven=4.5, scoreMaximum=5, comment="Good")
    by_key().post_score(quiz_1, "2002")
    gradebook = control("GET", "courses/course-101/gradebook/")
    assert gradebook["lineItems"][0] == {
        "id": quiz_1,
        "label": "Quiz 1: Averages",
        "activity": "quiz-1",
        "scoreMaximum": 10,
    }
    stored, cleared = gradebook["rows"]
    assert stored.pop("timestamp")
    assert stored == {
        "userId": "2001",
        "name": "Zoë Müller-Łukasiewicz",
        "lineItemId": quiz_1,
        "score": 9,
        "maximum": 10,
        "comment": "Good",
        "attempts": 1,
        "comments": ["Good"],
        "isOverridden": False,
    }
    assert (cleared["userId"], cleared["score"], cleared["comment"]) == ("2002", None, None)


def test_people(control):
    person = control("POST", "courses/course-101/people/", {"name": "Iñaki O'Neil", "role": "Learner"}, 201)
    assert (person["name"], person["roles"], person["status"]) == ("Iñaki O'Neil", ["Learner"], "Active")
    path = f"courses/course-101/people/{person['userId']}/"
    changed = control("PATCH", path, {"name": "Iñaki B.", "role": "Instructor"})
    assert (changed["name"], changed["roles"]) == ("Iñaki B.", ["Instructor"])
    control("DELETE", path, status=204)
    members = {one["userId"]: one["status"] for one in control("GET", "courses/course-101/roster/")["members"]}
    assert members[person["userId"]] == "Deleted"
    assert control("PATCH", path, {"status": "Active"})["status"] == "Active"
    chosen = {"name": "X", "role": "Instructor", "userId": "chosen"}
    assert control("POST", "courses/course-102/people/", chosen, 201)["userId"] == "chosen"


def test_launch_and_secrets(sandbox, control):
    answer = control("POST", "launches/", {"course": "course-101", "activity": "quiz-1", "person": "2001"}, 201)
    assert parse_qs(urlsplit(answer["url"]).query)["ltik"] == [answer["ltik"]]
    secrets = control("GET", "secrets/")
    assert secrets["ltiks"] == [answer["ltik"]]
    assert {*secrets["ltiks"], *secrets["serviceKeys"]} == sandbox.secrets()


def test_clock_ends_ltiks(control, by_ltik):
    caller = by_ltik()
    control("POST", "clock/", {"advanceSeconds": 24 * 3600})
    assert caller("GET", "/api/idtoken").status_code == 401


def test_expiring_and_revoking(control, by_ltik, by_key):
    launch, service = by_ltik(), by_key()
    assert control("POST", "ltiks/expire/", {}) == {"count": 2}
    assert launch("GET", "/api/idtoken").status_code == 401
    assert control("POST", "service-keys/revoke/", {"course": "course-102"}) == {"count": 0}
    assert service("GET", "/api/lineitems").status_code == 200
    assert control("POST", "service-keys/revoke/", {"course": "course-101"}) == {"count": 2}
    assert service("GET", "/api/lineitems").status_code == 401


def test_faults_requests_and_reset(sandbox, control, by_key):
    caller = by_key()
    fault = {
        "pathPrefix": "/api/memberships",
        "status": 429,
        "body": {"slow": "down"},
        "headers": {"Retry-After": "7"},
        "times": 1,
        "method": "GET",
        "afterStoring": False,
        "drop": False,
        "delay": 0.01,
    }
    control("POST", "faults/", fault, 204)
    response = caller("GET", "/api/memberships")
    assert (response.status_code, response.headers["Retry-After"], response.json()) == (429, "7", {"slow": "down"})
    last = control("GET", "requests/")["requests"][-1]
    assert (last["method"], last["path"], last["scheme"], last["status"]) == (
        "GET",
        "/api/memberships",
        "SERVICE-AUTH-V1",
        429,
    )
    control("POST", "reset/", status=204)
    assert control("GET", "requests/") == {"requests": []}


def test_settings(sandbox, control, by_key):
    control("POST", "settings/", {"pageSize": 100, "anonymous": True, "toolUrl": "https://tool.example/x"})
    assert len(by_key().json("/api/memberships")["members"]) == 7
    assert (sandbox.profile.anonymous, sandbox.tool_url) == (True, "https://tool.example/x")


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "nope/", None, 404),
        ("GET", "state", None, 404),
        ("DELETE", "state/", None, 405),
        ("GET", "courses/nope/gradebook/", None, 404),
        ("POST", "courses/course-101/people/", {"role": "Learner"}, 400),
        ("POST", "courses/course-101/people/", {"name": "X", "role": "King"}, 400),
        ("POST", "courses/course-101/people/", {"name": "X", "userId": "2001"}, 400),
        ("POST", "courses/course-101/people/", {"name": 5}, 400),
        ("POST", "courses/course-101/people/", [], 400),
        ("PATCH", "courses/course-101/people/nobody/", {"name": "X"}, 404),
        ("PATCH", "courses/course-101/people/2001/", {"status": "Asleep"}, 400),
        ("DELETE", "courses/course-101/people/nobody/", None, 404),
        ("POST", "launches/", {"course": "course-101", "activity": "nope", "person": "2001"}, 404),
        ("POST", "launches/", {"course": "course-101", "person": "2001"}, 400),
        ("POST", "launches/", {"course": "course-101", "activity": "quiz-1", "person": "2001", "type": "odd"}, 400),
        ("POST", "clock/", {"advanceSeconds": "1"}, 400),
        ("POST", "clock/", {"advanceSeconds": 1e11}, 400),
        ("POST", "faults/", {"pathPrefix": "/api"}, 400),
        ("POST", "faults/", {"pathPrefix": "/api", "status": 99}, 400),
        ("POST", "faults/", {"pathPrefix": "/api", "status": 500, "times": 0}, 400),
        ("POST", "faults/", {"pathPrefix": "/api", "delay": -1}, 400),
        ("POST", "faults/", {"pathPrefix": "/api", "status": 500, "headers": {"A": "b\r\nc: d"}}, 400),
        ("POST", "settings/", {"pageSize": 0}, 400),
        ("POST", "settings/", {"toolUrl": "javascript:alert(1)"}, 400),
    ],
)
def test_refusals(sandbox, control, method, path, body, status):
    people = len(sandbox.course("course-101").people)
    assert control(method, path, body, status)["details"]["description"]
    assert len(sandbox.course("course-101").people) == people
