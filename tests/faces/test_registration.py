"""Dynamic registration: an LMS asks, staff decide, over real HTTP on LTIAAS's side."""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from ltiaas_django.models import Platform
from ltiaas_django.sandbox.registrations import Registration
from tests.lms import Lms, launch_path

CLOSE = "org.imsglobal.lti.close"
EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"


class Page(HTMLParser):
    """What a browser would send of the one form of a page, and the elements there are."""

    def __init__(self, response: Any) -> None:
        super().__init__()
        self.sent: dict[str, list[str]] = {}
        self.tags: list[str] = []
        self.feed(response.content.decode())

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)
        given = dict(attrs)
        if tag == "input" and (given.get("type") != "checkbox" or "checked" in given):
            self.sent.setdefault(given["name"], []).append(given.get("value") or "on")


@pytest.fixture
def staff(db: None) -> Client:
    """A browser in which somebody is signed in who may add platforms, and no more."""
    user = User.objects.create_user("clerk", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename="add_platform"))
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(user)
    return browser


def path_of(lms: Lms, registration: Registration) -> str:
    return launch_path(lms.sandbox.register_url(registration))


def writes(lms: Lms) -> list[str]:
    """What LTIAAS was asked to change."""
    return [request.path for request in lms.sandbox.requests if request.method != "GET"]


def text_of(response: Any) -> str:
    return html.unescape(response.content.decode())


# --- the decision -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("activate", [True, False])
def test_staff_look_choose_and_approve(lms: Lms, staff: Client, activate: bool) -> None:
    waiting = lms.sandbox.registrations.start()
    path = path_of(lms, waiting)
    shown = staff.get(path)
    assert shown.status_code == 200
    for text in (lms.url, "moodle", "2025100600", "Send grades", "Choose content for a course", "RichTextEditor"):
        assert text in text_of(shown)
    assert shown.headers["Cache-Control"] == "no-store"
    form = Page(shown).sent
    assert not Platform.objects.exists()
    assert writes(lms) == []
    form["name"], form["approve"] = ["Northern School"], ["1"]
    form["messages"].remove("LtiDeepLinkingRequest RichTextEditor")
    if not activate:
        del form["activate"]
    done = staff.post(path, form)
    assert done.status_code == 200
    assert CLOSE in done.content.decode().split("It may launch" if not activate else "may launch")[1]
    assert waiting.platform_id
    platform = Platform.objects.get()
    held = lms.sandbox.platforms.shown(waiting.platform_id)
    assert (platform.ltiaas_id, platform.issuer, platform.name) == (waiting.platform_id, lms.url, "Northern School")
    assert (platform.product_family, platform.version) == ("moodle", "2025100600")
    assert platform.active_at_ltiaas is held["active"] is activate
    assert [(one["type"], one["placements"]) for one in waiting.messages] == [
        ("LtiResourceLinkRequest", []),
        ("LtiDeepLinkingRequest", ["ContentArea"]),
    ]
    asked = len(lms.sandbox.requests)
    again = staff.post(path, form)  # a reload
    assert (again.status_code, len(lms.sandbox.requests)) == (200, asked)
    assert "Northern School" in again.content.decode()
    assert Platform.objects.get().pk == platform.pk


def test_somebody_elses_second_approval_changes_nothing(lms: Lms, staff: Client) -> None:
    waiting = lms.sandbox.registrations.start()
    path = path_of(lms, waiting)
    form = {**Page(staff.get(path)).sent, "approve": ["1"]}
    lms.sandbox.registrations.complete(waiting.id, "First", None, activate=False)
    response = staff.post(path, form)
    assert response.status_code == 404
    assert "no longer open" in text_of(response)
    assert CLOSE in text_of(response)
    assert not Platform.objects.exists()
    assert not lms.sandbox.platforms.shown(waiting.platform_id)["active"]


def test_a_refusal_sends_nothing(lms: Lms, staff: Client) -> None:
    waiting = lms.sandbox.registrations.start()
    path = path_of(lms, waiting)
    form = Page(staff.get(path)).sent
    response = staff.post(path, {**form, "refuse": ["1"]})
    assert response.status_code == 200
    assert "You refused." in text_of(response)
    assert CLOSE in text_of(response)
    assert writes(lms) == []
    assert not Platform.objects.exists()


@pytest.mark.parametrize(
    "change",
    [{"approve": None}, {"name": [" "]}, {"name": ["x" * 256]}, {"messages": ["LtiOther"]}, {"messages": None}],
)
def test_what_is_not_decided_or_not_offered_is_asked_again(lms: Lms, staff: Client, change: dict[str, Any]) -> None:
    waiting = lms.sandbox.registrations.start()
    path = path_of(lms, waiting)
    form: dict[str, Any] = {**Page(staff.get(path)).sent, "approve": ["1"], **change}
    response = staff.post(path, {name: value for name, value in form.items() if value is not None})
    assert response.status_code == 400
    assert "decide" in response.content.decode()
    assert not waiting.platform_id


def test_a_forged_approval_is_refused(lms: Lms, staff: Client) -> None:
    waiting = lms.sandbox.registrations.start()
    assert staff.post(path_of(lms, waiting), {"name": "x", "approve": "1"}).status_code == 403
    assert not waiting.platform_id


# --- who, and where ---------------------------------------------------------------------------------------------------


def test_the_sign_in_leads_back_here_and_nothing_is_asked_before(lms: Lms, client: Client) -> None:
    User.objects.create_superuser("operator", password="pass")
    path = path_of(lms, lms.sandbox.registrations.start())
    for response in (client.get(path), client.post(path, {"approve": "1", "name": "x"})):
        assert response.status_code == 403
        assert "X-Frame-Options" not in response.headers
    assert lms.sandbox.requests == []
    [login] = re.findall(r'class="button" href="([^"]*)" target="_blank"', client.get(path).content.decode())
    login = html.unescape(login)
    assert parse_qs(urlsplit(login).query)["next"] == [path]
    response = client.post(login, {"username": "operator", "password": "pass"})
    assert response.headers["Location"] == path
    assert "moodle" in client.get(path).content.decode()
    here = client.get(path, headers={"sec-fetch-site": "same-origin"})
    assert 'target="_blank"' not in here.content.decode()


@pytest.mark.parametrize("rights", [{}, {"is_staff": True}, {"add_platform": True}, {"is_active": False}])
def test_only_staff_with_the_permission_may(lms: Lms, rights: dict[str, bool]) -> None:
    user = User.objects.create_user("kim", is_staff=rights.get("is_staff", "is_active" in rights))
    if rights.get("add_platform") or "is_active" in rights:
        user.user_permissions.set(Permission.objects.filter(codename="add_platform"))
    browser = Client()
    browser.force_login(user)
    User.objects.filter(pk=user.pk).update(is_active=rights.get("is_active", True))
    waiting = lms.sandbox.registrations.start()
    for response in (
        browser.get(path_of(lms, waiting)),
        browser.post(path_of(lms, waiting), {"name": "x", "approve": "1"}),
    ):
        assert response.status_code == 403
        assert "moodle" not in response.content.decode()
    assert lms.sandbox.requests == []


def test_a_teacher_who_came_by_a_launch_may_not(lms: Lms) -> None:
    browser, _launch = lms.browse("1001")
    waiting = lms.sandbox.registrations.start()
    assert "who may not register LMSs" in text_of(browser.get(path_of(lms, waiting)))
    assert browser.post(path_of(lms, waiting), {"name": "x", "approve": "1"}).status_code == 403
    assert not waiting.platform_id


def test_in_a_frame_a_tab_is_offered_and_nothing_decided(lms: Lms, staff: Client) -> None:
    waiting = lms.sandbox.registrations.start()
    path = path_of(lms, waiting)
    form = {**Page(staff.get(path)).sent, "approve": "1"}
    for response in (
        staff.get(path, headers={"sec-fetch-dest": "iframe"}),
        staff.post(path, form, headers={"sec-fetch-dest": "iframe"}),
    ):
        assert response.status_code == 200
        assert "X-Frame-Options" not in response.headers
        page = response.content.decode()
        assert 'target="_blank" rel="opener"' in page
        assert CLOSE in page
        assert "<form" not in page
    assert not waiting.platform_id
    assert staff.get(path).headers["X-Frame-Options"] == "DENY"  # for browsers that do not say where they are


def test_the_lms_can_be_told_from_its_popup(lms: Lms, staff: Client) -> None:
    path = path_of(lms, lms.sandbox.registrations.start())
    form = {**Page(staff.get(path)).sent, "approve": ["1"]}
    for response in (Client().get(path), staff.get(path), staff.post(path, form)):
        assert response.headers["Cross-Origin-Opener-Policy"] == "unsafe-none"


# --- what goes wrong --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "query", ["", "?registrationId=", "?registrationId=none", "?registrationId=a%00b", "?registrationId=..",
              "?registrationId=%ff", "?registrationId=../platforms", f"?registrationId={'x' * 2000}"],
)  # fmt: skip
def test_an_id_that_is_none_gets_a_page(lms: Lms, staff: Client, query: str) -> None:
    response = staff.get(f"/lti/register/{query}")
    assert response.status_code == 404
    assert "This registration is not open" in text_of(response)
    assert all(request.path.startswith("/api/registrations/") for request in lms.sandbox.requests)


def test_an_hour_later_it_is_over(lms: Lms, staff: Client) -> None:
    path = path_of(lms, lms.sandbox.registrations.start())
    form = {**Page(staff.get(path)).sent, "approve": ["1"]}
    lms.sandbox.advance_clock(3601)
    assert [staff.get(path).status_code, staff.post(path, form).status_code] == [404, 404]


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"status": 503, "times": 9}, "problem of its own"),
        ({"status": 429, "times": 9}, "fewer calls"),
        ({"status": 200, "body": {"supportedMessages": "none"}}, "could not be read"),
        ({"status": 502, "body": "<html>Bad gateway</html>", "times": 9}, "problem of its own"),
        ({"drop": True, "times": 9}, "no whole answer"),
    ],
)
def test_trouble_at_ltiaas_is_a_page(lms: Lms, staff: Client, fault: dict[str, Any], words: str) -> None:
    path = path_of(lms, lms.sandbox.registrations.start())
    lms.sandbox.fail_next("/api/registrations", **fault)
    response = staff.get(path)
    assert response.status_code == 503
    assert words in text_of(response)


@pytest.mark.parametrize(
    "fault", [{"drop": True}, {"status": 504, "body": "<html>Gateway</html>"}, {"status": 200, "body": {"html": ""}}]
)
def test_a_lost_answer_to_an_approval_says_where_to_look(lms: Lms, staff: Client, fault: dict[str, Any]) -> None:
    waiting = lms.sandbox.registrations.start()
    path = path_of(lms, waiting)
    form = {**Page(staff.get(path)).sent, "approve": ["1"]}
    lms.sandbox.fail_next("/api/registrations", method="POST", after_storing=True, **fault)
    response = staff.post(path, form)
    assert response.status_code == 503
    assert "after a sync" in text_of(response)
    assert waiting.platform_id


def test_what_ltiaas_has_against_an_approval_is_said(lms: Lms, staff: Client) -> None:
    path = path_of(lms, lms.sandbox.registrations.start())
    form = {**Page(staff.get(path)).sent, "approve": ["1"]}
    said = {"status": 400, "error": "Bad Request", "details": {"description": "The name is taken."}}
    lms.sandbox.fail_next("/api/registrations", method="POST", status=400, body=said)
    assert "does not accept this (The name is taken" in text_of(staff.post(path, form))
    assert staff.post(path, form).status_code == 200  # it is still open


@pytest.mark.parametrize(
    ("change", "words"), [({"URL": "http://127.0.0.1:9"}, "cannot be reached"), ({"API_KEY": "old"}, "API_KEY")]
)
def test_settings_that_are_wrong_are_a_page(
    lms: Lms, staff: Client, settings: Any, change: dict[str, str], words: str
) -> None:
    path = path_of(lms, lms.sandbox.registrations.start())
    settings.LTIAAS = {**settings.LTIAAS, **change}
    response = staff.get(path)
    assert response.status_code == 503
    assert words in text_of(response)


def test_every_text_of_the_lms_is_escaped(lms: Lms, staff: Client) -> None:
    waiting = lms.sandbox.registrations.start(
        url=f"https://lms.example/{EVIL}",
        familyCode=EVIL,
        version=EVIL,
        supportedScopes=[EVIL],
        supportedMessages=[{"type": EVIL, "placements": [EVIL]}],
    )
    path = path_of(lms, waiting)
    shown = staff.get(path)
    form = {**Page(shown).sent, "name": [EVIL], "approve": ["1"]}
    again = staff.post(path, {**form, "messages": []})
    done = staff.post(path, form)
    assert waiting.platform_id
    assert waiting.messages == [{"type": EVIL, "placements": [EVIL]}]
    for response in (shown, again, done):
        assert EVIL in text_of(response)
        assert "img" not in Page(response).tags
        assert "<script>alert" not in response.content.decode()


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("https://canvas.example@evil.example/", "evil.example"),
        ("https://evil.example?@canvas.example/", "evil.example"),
        ("https://evil.example/\u202egro.elpmaxe", "evil.example"),
        ("https://[", "moodle"),
    ],
)
def test_an_address_cannot_look_like_another(lms: Lms, staff: Client, address: str, name: str) -> None:
    shown = staff.get(path_of(lms, lms.sandbox.registrations.start(url=address)))
    assert Page(shown).sent["name"] == [name]
    assert "\u202e" not in text_of(shown)
