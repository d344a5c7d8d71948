"""Every answer of the sandbox has the shape that the contract, LTIAAS's reference restated as OpenAPI, gives it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
import requests

from ltiaas_django.sandbox import Sandbox, SandboxServer
from ltiaas_django.sandbox.profiles import PROFILES
from ltiaas_django.sandbox.server import SandboxApplication
from tests import openapi

from .conftest import API_KEY, Caller
from .test_sandbox_api import item_path

CONTRACT = openapi.contract()
DOCUMENTED = {(str(one), int(status)) for one in CONTRACT.operations for status in one.spec["responses"]}
PLATFORM = {
    **dict.fromkeys(("url", "authenticationEndpoint", "accesstokenEndpoint"), "https://lms.example"),
    "clientId": "c",
    "name": "n",
    "authConfig": {"method": "JWK_SET", "key": "https://lms.example/keys"},
}


@pytest.fixture
def check():
    """Check an answer against the schema of its operation and status."""

    def check(method, path, response):
        operation = CONTRACT.operation(method, path)
        content_type = response.headers["Content-Type"]
        assert not CONTRACT.answer_faults(operation, path, response.status_code, content_type, response.content)
        return response

    return check


class Watched:
    """A sandbox under watch, and callers of it."""

    def __init__(self, profile: str) -> None:
        self.sandbox = Sandbox(api_key=API_KEY, profile=profile)
        self.watch = openapi.Watch(SandboxApplication(self.sandbox))
        self.session = requests.Session()
        self.session.trust_env = False

    def caller(self, authorization: str) -> Caller:
        return Caller(self.session, self.sandbox.origin, authorization)

    def by_ltik(self, activity: str | None = "quiz-1", person: str = "1001", **more: Any) -> Caller:
        ltik = self.sandbox.launch("course-101", activity, person, **more)
        return self.caller(f"LTIK-AUTH-V2 {API_KEY}:{ltik}")


@pytest.fixture(params=list(PROFILES))
def watched(request: pytest.FixtureRequest) -> Iterator[Watched]:
    """A sandbox of each profile in turn; in the end, every answer was the contract's."""
    watched = Watched(request.param)
    with SandboxServer(watched.sandbox, application=watched.watch), watched.session:
        yield watched
    assert watched.watch.wrong_answers == []


def call_everything(watched: Watched) -> None:
    """Each operation of the contract, so that it succeeds, and with a credential that is wrong."""
    launch, picker = watched.by_ltik(), watched.by_ltik(None, type="deep_linking")
    for path in ("/api/idtoken", "/api/idtoken?raw=true"):
        assert [one("GET", path).status_code for one in (launch, picker)] == [200, 200]
    key = launch.json("/api/idtoken")["services"]["serviceKey"]
    call_services(watched, watched.caller(f"SERVICE-AUTH-V1 {API_KEY}:{key}"))
    for path in ("/api/deeplinking", "/api/deeplinking/form"):
        assert picker("POST", path, json={"contentItems": []}).ok
    call_account(watched, watched.caller(f"Bearer {API_KEY}"))
    for operation, status in DOCUMENTED:
        if status == 401:
            method, path = operation.split()
            scheme = "Bearer x" if "registrations" in path else f"LTIK-AUTH-V2 {API_KEY}:x"
            path = path.replace("{lineItemId}", "https%3A%2F%2Fx.example").replace("{registrationId}", "x")
            body = b"{}" if method in ("POST", "PUT") else None
            watched.session.request(
                method, watched.sandbox.origin + path, data=body, headers={"Authorization": scheme}, timeout=10
            )


def call_services(watched: Watched, caller: Caller) -> None:
    course = watched.sandbox.course("course-101")
    column = {"label": "L", "scoreMaximum": 1, "resourceId": "r"}
    made = caller("POST", "/api/lineitems", json=column).json()["id"]
    assert caller("GET", item_path(made)).ok
    assert caller("PUT", item_path(made), json={**column, "tag": "t"}).ok
    for number, given in (("2001", 0), ("2002", 0.5), ("2003", None)):
        caller.post_score(made, course.enrolment(number).person.lti_id, scoreGiven=given, scoreMaximum=1)
        watched.sandbox.advance_clock(2)
    for path in ("/api/memberships", "/api/lineitems", item_path(made, "/scores")):
        page = caller.json(path, limit="1")
        while "next" in page:
            page = caller.json(f"{path}?url={quote(page['next'], safe='')}")
        assert caller("GET", path).ok
    assert caller("DELETE", item_path(made)).status_code == 204


def call_account(watched: Watched, caller: Caller) -> None:
    assert caller("GET", "/api/platforms").ok
    platform = f"/api/platforms/{caller('POST', '/api/platforms', json=PLATFORM).json()['id']}"
    assert caller("PUT", platform, json={**PLATFORM, "name": "m"}).json()["name"] == "m"
    for method, path in (("GET", ""), ("POST", "/activate"), ("POST", "/deactivate"), ("DELETE", "")):
        assert caller(method, platform + path).ok
    registration = f"/api/registrations/{watched.sandbox.registrations.start().id}"
    assert caller("GET", registration).ok
    assert caller("POST", f"{registration}/complete", json={"platformName": "n"}).ok


def test_every_operation_and_status_of_the_contract_by_every_lms(watched):
    call_everything(watched)
    accepts = {  # a score accepted is 201 for Open edX; a course not yet published accepts none
        ("openedx", ("POST /api/lineitems/{lineItemId}/scores", 204)),
        ("canvas_unpublished", ("POST /api/lineitems/{lineItemId}/scores", 204)),
    }
    unseen = DOCUMENTED - watched.watch.asked
    assert [one for one in unseen if (watched.sandbox.profile.name, one) not in accepts] == []


def test_what_the_lms_refuses_is_passed_on_in_its_words(watched):
    caller, sandbox = watched.by_ltik(), watched.sandbox
    course = sandbox.course("course-101")
    item = course.line_items_of("quiz-1")[0].id
    teacher = course.enrolment("1001").person.lti_id
    refusals = [
        caller.post_score(item, teacher, scoreGiven=1, scoreMaximum=1),
        caller("GET", item_path(f"{sandbox.origin}/no/such/column")),
    ]
    for kind in ("throttle", "tool_removed"):
        sandbox.fault(kind)
        refusals.append(caller("GET", "/api/memberships"))
    course.is_concluded = True
    refusals.append(caller("GET", item_path(item)))
    for refusal in refusals:
        said = refusal.json()
        assert said["status"] == refusal.status_code >= 400
        assert said["details"]["externalError"] is True
        assert said["details"]["externalUrl"].startswith(sandbox.origin)
        assert said["details"]["bodyReceived"]


@pytest.mark.parametrize("anonymous", [False, True])
def test_launch_roster_and_grades(sandbox, by_ltik, check, quiz_1, anonymous):
    sandbox.profile.anonymous = anonymous
    caller = by_ltik()
    item = "/api/lineitems/x"
    for user_id, given in (("2001", 0), ("2002", 2.5), ("2003", None), ("2004", 1)):
        assert caller.post_score(quiz_1, user_id, scoreGiven=given, scoreMaximum=3, comment="Well done").ok
    answers = [
        check("GET", "/api/idtoken", caller("GET", "/api/idtoken")),
        check("GET", "/api/memberships", caller("GET", "/api/memberships")),
        check("GET", "/api/lineitems", caller("GET", "/api/lineitems?limit=1")),
        check("POST", "/api/lineitems", caller("POST", "/api/lineitems", json={"label": "L", "scoreMaximum": 1})),
        check("GET", item, caller("GET", item_path(quiz_1))),
        check("PUT", item, caller("PUT", item_path(quiz_1), json={"label": "L", "scoreMaximum": 1})),
        check("GET", f"{item}/scores", caller("GET", item_path(quiz_1, "/scores"))),
    ]
    assert [answer.ok for answer in answers] == [True] * len(answers)


def test_deep_linking_launch(by_ltik, check):
    caller = by_ltik(activity=None, person="1001", type="deep_linking")
    assert check("GET", "/api/idtoken", caller("GET", "/api/idtoken")).ok
    for path in ("/api/deeplinking", "/api/deeplinking/form"):
        assert check("POST", path, caller("POST", path, json={"contentItems": []})).ok
        assert check("POST", path, caller("POST", path, json={"contentItems": [{}]})).status_code == 400


def test_platforms(account, check):
    listed = check("GET", "/api/platforms", account("GET", "/api/platforms")).json()["platforms"]
    one = account("GET", f"/api/platforms/{listed[0]['id']}")
    assert check("GET", "/api/platforms/x", one).ok


def test_errors(caller, by_ltik, check, quiz_1):
    refused = check("GET", "/api/idtoken", caller(f"LTIK-AUTH-V2 {API_KEY}:x")("GET", "/api/idtoken"))
    wrong = check("GET", "/api/lineitems", by_ltik()("GET", "/api/lineitems?limit=0"))
    of_the_lms = by_ltik().post_score(quiz_1, "1001", scoreGiven=1, scoreMaximum=1)
    check("POST", "/api/lineitems/x/scores", of_the_lms)
    assert [refused.status_code, wrong.status_code, of_the_lms.status_code] == [401, 400, 400]
