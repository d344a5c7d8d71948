"""LTIAAS's side of platforms in the admin: what the pages show, who may click what, and what an error looks like."""

from __future__ import annotations

import html
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse

from ltiaas_django.admin import account
from ltiaas_django.models import Platform
from ltiaas_django.sandbox import Sandbox
from ltiaas_django.sandbox.platforms import described
from ltiaas_django.testing import factories
from tests.lms import Lms

OURS = Sandbox().school
EVIL = "<script>alert(1)</script>"
SCHOOL = {
    "issuer": "https://lms.school.example",
    "client_id": "c1",
    "name": "Northern School",
    "authentication_endpoint": "https://lms.school.example/auth",
    "access_token_endpoint": "https://lms.school.example/token",
    "auth_method": "JWK_SET",
    "auth_key": "https://lms.school.example/jwks",
}


def url(name: str, *args: object) -> str:
    return reverse(f"admin:ltiaas_django_platform_{name}", args=args)


def said(response: Any) -> list[str]:
    return [str(message) for message in get_messages(response.wsgi_request)]


def sign_in(*verbs: str) -> Client:
    """A browser of staff with these permissions on platforms."""
    user = User.objects.create_user(f"clerk-{User.objects.count()}", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=[f"{verb}_platform" for verb in verbs]))
    browser = Client()
    browser.force_login(user)
    return browser


@pytest.fixture
def operator(db: None) -> Client:
    return sign_in("view", "add", "change", "delete")


@pytest.fixture
def own(lms: Lms) -> Platform:
    """The row of the platform that LTIAAS has."""
    platform: Platform = factories.PlatformFactory.create(ltiaas_id=OURS.platform_id, name="Ours", client_id="")
    return platform


def held(lms: Lms) -> dict[str, Any]:
    return lms.sandbox.platforms.shown(OURS.platform_id)


def test_a_sync_makes_fills_and_marks_rows_and_deletes_none(lms: Lms, operator: Client, own: Platform) -> None:
    gone = factories.PlatformFactory.create(ltiaas_id="gone", active_at_ltiaas=True)
    direct = factories.PlatformFactory.create(ltiaas_id=None)
    new = lms.sandbox.platforms.add(described("https://x.example", "c", "New"), is_active=False)
    assert "Sync with LTIAAS" in operator.get(url("changelist")).content.decode()
    response = operator.post(url("sync"))
    assert response.headers["Location"] == url("changelist")
    assert said(response) == [
        "LTIAAS lists 2 platforms: 1 new here, 1 changed.",
        "1 platform here is not known to LTIAAS any more, and cannot launch.",
    ]
    states = dict(Platform.objects.values_list("ltiaas_id", "active_at_ltiaas"))
    assert states == {OURS.platform_id: True, new["id"]: False, "gone": False, None: None}
    own.refresh_from_db()
    assert (own.name, own.client_id) == (OURS.name, OURS.client_id)
    assert Platform.objects.filter(pk__in=[gone.pk, direct.pk]).count() == 2
    assert said(operator.post(url("sync")))[2] == "LTIAAS lists 2 platforms: 0 new here, 0 changed."


def test_a_platform_is_registered_by_hand(lms: Lms, operator: Client) -> None:
    assert operator.get(url("register")).status_code == 200
    response = operator.post(url("register"), SCHOOL)
    assert response.headers["Location"] == url("changelist")
    platform = Platform.objects.get()
    registered = lms.sandbox.platforms.shown(platform.ltiaas_id or "")
    assert (registered["url"], registered["clientId"], registered["authConfig"]["key"]) == (
        SCHOOL["issuer"], SCHOOL["client_id"], SCHOOL["auth_key"],
    )  # fmt: skip
    assert (platform.issuer, platform.name, platform.active_at_ltiaas) == (SCHOOL["issuer"], SCHOOL["name"], True)
    assert LogEntry.objects.get().change_message == "Registered at LTIAAS by hand."
    assert said(operator.post(url("register"), SCHOOL))[1:] == [
        "LTIAAS does not accept this (This client of this platform is there already.: PLATFORM_EXISTS: Bad Request)."
    ]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("issuer", "lms.school.example"),
        ("authentication_endpoint", "javascript:alert(1)"),
        ("access_token_endpoint", "http://"),
        ("name", ""),
        ("auth_method", "NONE"),
        ("auth_key", "-----BEGIN RSA PRIVATE KEY-----"),
    ],
)
def test_what_cannot_be_right_is_not_sent(lms: Lms, operator: Client, field: str, value: str) -> None:
    response = operator.post(url("register"), {**SCHOOL, field: value})
    assert response.status_code == 200
    assert list(response.context["form"].errors) == [field]
    assert lms.sandbox.requests == []


@pytest.mark.parametrize(
    ("method", "key", "is_sound"),
    [
        ("JWK_KEY", '{"kty": "RSA", "n": "1", "e": "AQAB"}', True),
        ("JWK_KEY", '{"kty": "RSA", "n": "1", "e": "AQAB", "d": "secret"}', False),
        ("JWK_KEY", "[" * 100_000, False),
        ("RSA_KEY", "-----BEGIN PUBLIC KEY-----\nabc\n-----END PUBLIC KEY-----", True),
        ("RSA_KEY", "abc", False),
    ],
    ids=["jwk", "private-jwk", "endless", "pem", "no-pem"],
)
def test_a_key_is_public_and_of_its_kind(lms: Lms, operator: Client, method: str, key: str, is_sound: bool) -> None:
    operator.post(url("register"), {**SCHOOL, "auth_method": method, "auth_key": key})
    assert Platform.objects.exists() is is_sound
    assert bool(lms.sandbox.requests) is is_sound


def test_what_ltiaas_holds_is_shown_and_changed_there(lms: Lms, operator: Client, own: Platform) -> None:
    assert url("ltiaas", own.pk) in operator.get(url("change", own.pk)).content.decode()
    response = operator.get(url("ltiaas", own.pk))
    page = response.content.decode()
    for text in (OURS.client_id, f"{lms.url}/mod/lti/certs.php", "BEGIN PUBLIC KEY", 'value="deactivate"'):
        assert text in page
    own.refresh_from_db()
    assert own.active_at_ltiaas is True
    form = {**response.context["form"].initial, "name": EVIL}
    question = operator.post(url("ltiaas", own.pk), form)
    assert question.context["changes"] == [("Name", OURS.name, EVIL)]
    assert html.escape(EVIL) in question.content.decode()
    assert held(lms)["name"] == OURS.name
    again = {field.html_name: field.value() for field in question.context["form"]}
    assert again == form
    confirmed = operator.post(url("ltiaas", own.pk), {**again, "confirmed": "yes"})
    assert confirmed.headers["Location"] == url("ltiaas", own.pk)
    assert held(lms)["name"] == EVIL
    assert said(operator.post(url("ltiaas", own.pk), form))[-1] == "Nothing was changed."
    own.refresh_from_db()
    assert own.name == EVIL
    for shown in (url("ltiaas", own.pk), url("ltiaas_delete", own.pk), url("change", own.pk), url("changelist")):
        page = operator.get(shown).content.decode()
        assert EVIL not in page
        assert html.escape(EVIL) in page


def test_switching_asks_first_and_an_inactive_lms_cannot_launch(lms: Lms, operator: Client, own: Platform) -> None:
    gone = factories.PlatformFactory.create(ltiaas_id="gone")
    data = {"action": "deactivate", "_selected_action": [str(gone.pk), str(own.pk)]}
    assert "Deactivate them?" in operator.post(url("changelist"), data).content.decode()
    assert held(lms)["active"]
    response = operator.post(url("changelist"), {**data, "confirmed": "yes"})
    assert not held(lms)["active"]
    own.refresh_from_db()
    assert own.active_at_ltiaas is False
    assert said(response)[1] == "1 platform is inactive at LTIAAS. 1 was left as it is."
    assert "LTIAAS does not know it" in said(response)[0]
    assert [entry.change_message for entry in LogEntry.objects.all()] == ["Deactivated at LTIAAS."]
    operator.post(url("changelist"), {"action": "activate", "_selected_action": [str(own.pk)], "confirmed": "yes"})
    assert held(lms)["active"]


def test_one_refusal_of_the_api_key_is_enough(lms: Lms, operator: Client, own: Platform, settings: Any) -> None:
    others = factories.PlatformFactory.create_batch(3)
    settings.LTIAAS = {**settings.LTIAAS, "API_KEY": "old"}
    chosen = [str(row.pk) for row in [own, *others]]
    data = {"action": "deactivate", "_selected_action": chosen, "confirmed": "yes"}
    assert "API_KEY" in said(operator.post(url("changelist"), data))[0]
    assert len(lms.sandbox.requests) == 1


def test_more_platforms_than_a_browser_waits_for_are_not_switched(
    lms: Lms, operator: Client, own: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(account, "_AT_ONCE", 1)
    chosen = [str(row.pk) for row in [own, factories.PlatformFactory.create()]]
    data = {"action": "deactivate", "_selected_action": chosen, "confirmed": "yes"}
    assert said(operator.post(url("changelist"), data))[0].startswith("Nothing was done")
    assert lms.sandbox.requests == []


def test_deleting_at_ltiaas_says_what_hangs_on_it_and_keeps_it(lms: Lms, operator: Client, own: Platform) -> None:
    factories.ContextFactory.create_batch(2, platform=own)
    page = operator.get(url("ltiaas_delete", own.pk)).content.decode()
    assert "<li>Courses: 2</li>" in page
    assert len(lms.sandbox.platforms.all()) == 1
    response = operator.post(url("ltiaas_delete", own.pk), {"confirmed": "yes"})
    assert said(response)[0].startswith("Ours was deleted at LTIAAS.")
    assert lms.sandbox.platforms.all() == []
    own.refresh_from_db()
    assert (own.active_at_ltiaas, own.contexts.count()) == (False, 2)
    assert "LTIAAS does not know it" in said(operator.get(url("ltiaas", own.pk)))[-1]


@pytest.mark.parametrize("change", [{"URL": "http://127.0.0.1:9"}, {"API_KEY": "old"}, {"URL": "nonsense"}])
def test_trouble_with_ltiaas_is_a_message(
    lms: Lms, operator: Client, own: Platform, settings: Any, change: dict[str, str]
) -> None:
    settings.LTIAAS = {**settings.LTIAAS, **change}
    responses = [
        operator.post(url("sync")),
        operator.get(url("ltiaas", own.pk)),
        operator.post(url("ltiaas_delete", own.pk), {"confirmed": "yes"}),
    ]
    assert [response.status_code for response in responses] == [302] * 3
    assert len(said(responses[-1])) == 3  # none was shown yet
    assert all("LTIAAS" in message for message in said(responses[-1]))
    for response in (operator.post(url("register"), SCHOOL), operator.post(url("ltiaas", own.pk), SCHOOL)):
        assert response.status_code == 200
        assert response.context["form"].data["name"] == SCHOOL["name"]
    assert Platform.objects.count() == 1


def test_each_click_needs_its_permission_and_onlookers_see_no_way(lms: Lms, own: Platform) -> None:
    onlooker = sign_in("view")
    page = onlooker.get(url("ltiaas", own.pk)).content.decode().split('id="content"')[1]
    assert OURS.client_id in page
    assert "<form" not in page.split("<footer")[0]
    assert "Delete" not in page
    lists = onlooker.get(url("changelist")).content.decode()
    assert "Sync with LTIAAS" not in lists
    assert "Register an LMS" not in lists
    before = held(lms)
    deeds: list[tuple[str, str, dict[str, Any]]] = [
        ("add change", url("sync"), {}),
        ("add", url("register"), SCHOOL),
        ("change", url("ltiaas", own.pk), {**SCHOOL, "confirmed": "yes"}),
        ("delete", url("ltiaas_delete", own.pk), {"confirmed": "yes"}),
    ]
    for needed, path, data in deeds:
        for verb in needed.split():
            others = {"view", "add", "change", "delete"} - {verb}
            assert sign_in(*others).post(path, data).status_code == 403, (path, verb)
    data = {"action": "deactivate", "_selected_action": [str(own.pk)], "confirmed": "yes"}
    sign_in("view", "add", "delete").post(url("changelist"), data)
    assert sign_in("add", "delete").get(url("ltiaas", own.pk)).status_code == 403
    assert held(lms) == before
    assert lms.sandbox.platforms.all() == [before]
    assert Client().get(url("ltiaas", own.pk)).status_code == 302
    assert sign_in("add", "change").get(url("sync")).status_code == 405


def test_a_platform_of_another_kind_has_nothing_at_ltiaas(lms: Lms, operator: Client) -> None:
    direct = factories.PlatformFactory.create(ltiaas_id=None)
    assert url("ltiaas", direct.pk) not in operator.get(url("change", direct.pk)).content.decode()
    assert "not connected through LTIAAS" in said(operator.get(url("ltiaas", direct.pk)))[0]
    assert operator.get(url("ltiaas", direct.pk + 1)).status_code == 404
    assert lms.sandbox.requests == []
