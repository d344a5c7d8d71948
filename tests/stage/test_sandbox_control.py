"""The control API, by which scripts look at the sandbox and steer it."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from ltiaas_django.sandbox.profiles import PROFILES, switches


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
    control("POST", "faults/", fault, 201)
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


def test_one_fault_is_taken_back_and_the_others_stay(control, by_key):
    caller = by_key()
    first = control("POST", "faults/", {"kind": "status", "status": 503, "route": "memberships", "times": None}, 201)
    control("POST", "faults/", {"kind": "status", "status": 500, "route": "lineitems", "course": "course-101"}, 201)
    assert [one["text"] for one in control("GET", "faults/")["faults"]] == [
        "status 503, memberships, always",
        "status 500, lineitems course-101, 1×",
    ]
    control("DELETE", f"faults/{first['number']}/", status=204)
    assert caller("GET", "/api/memberships").status_code == 200
    assert caller("GET", "/api/lineitems").status_code == 500
    control("DELETE", f"faults/{first['number']}/", status=404)


def test_a_schools_lms_and_its_switches(sandbox, control, by_key):
    school = control("PATCH", "schools/school/", {"profile": "blackboard", "switches": {"showsLeavers": True}})
    assert (school["profile"], school["switches"]["showsLeavers"], school["switches"]["pageSize"]) == (
        "blackboard",
        True,
        50,
    )
    sandbox.course("course-101").remove_person("2001")
    statuses = [one["status"] for one in by_key(person="2002").json("/api/memberships")["members"]]
    assert statuses.count("Inactive") == 1
    control("PATCH", "schools/school/", {"profile": "moodle", "switches": {"allowedAttempts": 3}}, 400)
    assert control("GET", "schools/school/") == school


def test_trouble_is_one_of_some_words(control, by_key):
    control("PATCH", "schools/school/", {"profile": "generic_strict", "switches": {"trouble": "breaks"}})
    caller = by_key()
    second = caller.json("/api/memberships")["next"]
    assert caller("GET", "/api/memberships", params={"url": second}).status_code == 500
    control("PATCH", "schools/school/", {"switches": {"trouble": "odd"}}, 400)


def test_profiles_say_what_they_do_and_where_it_is_known_from(control):
    profiles = {one["name"]: one for one in control("GET", "profiles/")["profiles"]}
    assert {"plain", "canvas", "moodle"} <= profiles.keys()
    assert all(quirk["text"] and quirk["source"] for quirk in profiles["canvas"]["quirks"])
    assert profiles["canvas"]["switches"]["allowedAttempts"] is None


def test_every_switch_says_what_it_is_for():
    for profile in PROFILES.values():
        for name in switches.names(profile):
            assert switches.says(profile, name), f"{profile.name}: {name}"


def test_the_clock_is_asked_and_put_back(control):
    assert control("POST", "clock/", {"advanceSeconds": 90})["offsetSeconds"] == 90
    assert control("GET", "clock/")["offsetSeconds"] == 90
    control("DELETE", "clock/", status=204)
    assert control("GET", "clock/")["offsetSeconds"] == 0


def test_the_log_is_forgotten_alone(control, by_ltik):
    caller = by_ltik()
    caller("GET", "/api/idtoken")
    control("DELETE", "requests/", status=204)
    assert control("GET", "requests/") == {"requests": []}
    assert caller("GET", "/api/idtoken").status_code == 200


def test_the_log_holds_no_key_nor_half_of_one(sandbox, control, by_ltik):
    sandbox.profile.anonymous = True  # a short id token: the service key is where the answer's record is cut
    service = by_ltik()
    service("GET", "/api/idtoken")
    [ltik], [key] = sandbox.launches.ltiks(), sandbox.launches.service_keys()
    service("POST", "/api/lineitems", json={"label": f"{ltik} {key}", "scoreMaximum": 1})
    assert service("GET", f"/api/lineitems?tag={ltik}").status_code == 200
    logged = str(control("GET", "requests/"))
    for secret in (ltik, key):
        assert secret[:40] not in logged


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
        ("DELETE", "faults/99/", None, 404),
        ("POST", "reset/", {"scenario": "none"}, 400),
        ("GET", "schools/none/", None, 404),
        ("PATCH", "schools/school/", {"switches": [1]}, 400),
        ("PATCH", "schools/school/", {"profile": "none"}, 400),
        ("POST", "settings/", {"toolUrl": "javascript:alert(1)"}, 400),
    ],
)
def test_refusals(sandbox, control, method, path, body, status):
    people = len(sandbox.course("course-101").people)
    assert control(method, path, body, status)["details"]["description"]
    assert len(sandbox.course("course-101").people) == people
