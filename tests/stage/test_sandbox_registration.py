"""The sandbox's platforms and registrations: the account's calls, and the pages on which an LMS registers a tool."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import jsonschema
import pytest

from ltiaas_django.sandbox import Sandbox

from .test_sandbox_api import error
from .test_sandbox_contract import CONTRACT, check  # noqa: F401  a fixture
from .test_sandbox_pages import Elements

OURS = Sandbox().school
BODY = {
    "url": "https://lms.example",
    "clientId": "c",
    "name": "A school",
    "authenticationEndpoint": "https://lms.example/auth",
    "accesstokenEndpoint": "https://lms.example/token",
    "authConfig": {"method": "JWK_SET", "key": "https://lms.example/jwks"},
}


@pytest.mark.parametrize("prefix", ["/api", "/admin"])
def test_platforms_come_and_go(account, check, prefix):  # noqa: F811
    made = check("POST", "/api/platforms", account("POST", f"{prefix}/platforms", json=BODY)).json()
    one, path = "/api/platforms/{platformId}", f"{prefix}/platforms/{made['id']}"
    assert made.items() >= {**BODY, "active": True}.items()
    assert check("GET", one, account("GET", path)).json() == made
    changed = check("PUT", one, account("PUT", path, json={**BODY, "name": "New"})).json()
    assert changed == {**made, "name": "New"}
    for verb, active in (("deactivate", False), ("activate", True)):
        assert account("POST", f"{path}/{verb}").status_code == 200
        assert account.json(path)["active"] is active
    listed = check("GET", "/api/platforms", account("GET", f"{prefix}/platforms?clientId=c")).json()
    assert listed == {"platforms": [changed]}
    assert account("DELETE", path).status_code == 204
    for method, tail in (("GET", ""), ("DELETE", ""), ("POST", "/activate")):
        assert error(account(method, path + tail), 404)["message"] == "PLATFORM_NOT_FOUND"


@pytest.mark.parametrize(
    "change",
    [{"name": None}, {"name": ""}, {"extra": 1}, {"authConfig": {}}, {"authConfig": {"method": "NONE", "key": "k"}}],
)
def test_a_platform_that_is_not_described_is_refused(account, change):
    body = {name: value for name, value in {**BODY, **change}.items() if value is not None}
    error(account("POST", "/api/platforms", json=body), 400)
    error(account("PUT", f"/api/platforms/{OURS.platform_id}", json=body), 400)
    assert len(account.json("/api/platforms")["platforms"]) == 1


def test_a_deactivated_platform_launches_nothing_and_says_so_as_ltiaas_does(sandbox, account, browse):
    launch = "/courses/course-101/activities/quiz-1/launch/?person=2001"
    account("POST", f"/api/platforms/{OURS.platform_id}/deactivate")
    assert error(browse(launch), 400)["message"] == "UNREGISTERED_OR_INACTIVE_PLATFORM"
    account("POST", f"/api/platforms/{OURS.platform_id}/activate")
    assert browse(launch).status_code == 302
    account("DELETE", f"/api/platforms/{OURS.platform_id}")
    assert error(browse(launch), 400)["message"] == "UNREGISTERED_OR_INACTIVE_PLATFORM"
    sandbox.reset()
    assert browse(launch).status_code == 302


def test_a_registration_is_open_once(sandbox, account, check):  # noqa: F811
    waiting = sandbox.registrations.start()
    path = f"/api/registrations/{waiting.id}"
    one = "/api/registrations/{registrationId}"
    said = check("GET", one, account("GET", path)).json()
    assert account.json(path, raw="true")["issuer"] == said["url"]
    wrong = {"messages": [{"type": "LtiOther"}]}
    error(account("POST", f"{path}/complete", json=wrong), 400)
    error(account("POST", f"{path}/complete", json={"messages": [{"type": "LtiResourceLinkRequest",
                                                                  "placements": ["Other"]}]}), 400)  # fmt: skip
    body = {"platformName": "School", "autoActivate": False, "messages": said["supportedMessages"]}
    schema = CONTRACT.document["paths"][f"{one}/complete"]["post"]["requestBody"]["content"]["application/json"][
        "schema"
    ]
    jsonschema.validate(body, schema)
    done = check("POST", f"{one}/complete", account("POST", f"{path}/complete", json=body)).json()
    assert account.json(f"/api/platforms/{done['platformId']}")["active"] is False
    error(account("POST", f"{path}/complete", json=body), 404)
    error(account("GET", path), 404)


def test_a_message_may_be_offered_twice_with_other_placements(sandbox, account):
    offered = [{"type": "LtiDeepLinkingRequest", "placements": [place]} for place in ("ContentArea", "RichTextEditor")]
    waiting = sandbox.registrations.start(supportedMessages=offered)
    chosen = [{"type": "LtiDeepLinkingRequest", "placements": ["ContentArea", "RichTextEditor"]}]
    path = f"/api/registrations/{waiting.id}/complete"
    assert account("POST", path, json={"messages": chosen}).status_code == 200


def test_only_the_api_key_opens_a_registration(sandbox, by_ltik, by_key):
    path = f"/api/registrations/{sandbox.registrations.start().id}"
    for caller in (by_ltik(), by_key()):
        error(caller("GET", path), 401)
        error(caller("POST", f"{path}/complete", json={}), 401)


def test_the_lms_opens_the_tools_page_in_a_frame_or_a_window_and_shows_what_came_of_it(sandbox, browse):
    sandbox.tool_url = "http://tool.example/lti/launch/?school=7"
    framed = browse("/registrations/", "POST", data={"how": "frame"})
    assert framed.status_code == 303
    [frame] = Elements(browse(framed.headers["Location"]).text).all("iframe")
    window = browse("/registrations/", "POST", data={"how": "window"}).headers["Location"]
    urls = [urlsplit(url) for url in (frame["src"], window)]
    assert {(url.netloc, url.path) for url in urls} == {("tool.example", "/lti/register/")}
    ids = [parse_qs(url.query)["registrationId"][0] for url in urls]
    assert ids == [one.id for one in sandbox.registrations.all()]
    assert len(ids[0]) >= 32
    evil = "<script>alert('x')</script>"
    sandbox.registrations.complete(ids[0], evil, None, activate=True)
    page = browse("/registrations/").text
    assert "Nobody has approved it yet." in page
    assert "active at LTIAAS" in page
    assert evil not in page
    assert browse("/registrations/none/").status_code == 404


def test_a_script_can_begin_a_registration(sandbox, browse):
    answer = browse("/control/registrations/", "POST", json={"familyCode": "canvas"}).json()
    assert sandbox.registrations.find(answer["registrationId"]).said["familyCode"] == "canvas"
    assert answer["url"].endswith(f"/lti/register/?registrationId={answer['registrationId']}")
