"""Asking a new person for the account that they have here: the whole way over HTTP, and the ways it must not go."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import time_machine
from django.contrib.auth import get_user_model
from django.contrib.auth.views import LoginView
from django.db import connection
from django.test import Client
from django.urls import path, reverse
from django.utils import timezone

from ltiaas_django import data, signals
from ltiaas_django.models import Launch, LtiUser, Platform
from ltiaas_django.operations import linking, sso
from tests import urls as site
from tests.lms import Lms, launch_path

User = get_user_model()
PASSWORD = "correct horse battery staple"
TEST_USER = "http://purl.imsglobal.org/vocab/lti/system/person#TestUser"

urlpatterns = [
    path("accounts/login/", LoginView.as_view(template_name="admin/login.html")),
    *site.urlpatterns,
]
pytestmark = pytest.mark.urls(__name__)


class Browser(Client):
    """A browser that Django's CSRF check takes seriously, and that presses buttons on the page it shows."""

    def __init__(self) -> None:
        super().__init__(enforce_csrf_checks=True)
        self.url, self.text = "", ""

    def open(self, url: str) -> Any:
        response = self.get(url, follow=True)
        self._show(response)
        return response

    def press(self, **fields: str) -> Any:
        """Send the form of the page that is shown, with its CSRF token if it has one."""
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', self.text)
        sent = fields | ({"csrfmiddlewaretoken": token[1]} if token else {})
        response = self.post(self.url, sent, follow=True)
        self._show(response)
        return response

    def _show(self, response: Any) -> None:
        self.url, self.text = response.request["PATH_INFO"], response.content.decode()
        if query := response.request["QUERY_STRING"]:
            self.url += f"?{query}"

    @property
    def user_id(self) -> str | None:
        """Who is signed in."""
        return self.session.get("_auth_user_id")

    def account_url(self) -> str:
        """Where “Yes” leads, in a new tab."""
        found = re.search(r'href="(/lti/link/confirm/[^"]+)" target="_blank"', self.text)
        assert found, self.text
        return found[1]


@pytest.fixture
def asking(lms: Lms) -> Lms:
    """A platform whose operator wants people to be asked."""
    lms.launch("1001")
    Platform.objects.update(account_linking="ask")
    return lms


@pytest.fixture
def account(db: None) -> Any:
    """An account that was there before."""
    return User.objects.create_user("zoe", password=PASSWORD)


def arrive(lms: Lms, person: str = "2001", **options: Any) -> Browser:
    """Launch with a new browser, in a frame; the browser, showing whatever comes."""
    browser = Browser()
    browser.open(launch_path(lms.sandbox.launch_url("course-101", "quiz-1", person, **options)))
    return browser


def sign_in(url: str) -> Browser:
    """Open the page in a tab of its own, and sign in as the site asks."""
    tab = Browser()
    tab.open(url)
    assert tab.url.startswith("/accounts/login/?next=")
    tab.press(username="zoe", password=PASSWORD, next=parse_qs(urlsplit(tab.url).query)["next"][0])
    return tab


def person(lti_id: str = "2001") -> LtiUser:
    return LtiUser.objects.select_related("user").get(lti_id=lti_id)


def provisioned() -> int:
    return User.objects.filter(username__startswith="lti-").exclude(lti_users__lti_id="1001").count()


# --- the good way -----------------------------------------------------------------------------------------------------


def test_nobody_is_signed_in_and_nothing_served_before_the_answer(asking: Lms) -> None:
    browser = arrive(asking)
    assert browser.url.startswith("/lti/link/?token=")
    assert "Do you have an account here already?" in browser.text
    assert person().is_provisional
    launch = Launch.objects.get(lti_user=person())
    assert browser.user_id is None
    assert browser.get("/lti/launch/", {"lti": launch.pk}).status_code == 403
    launch.refresh_from_db()
    assert launch.claimed_at is None


def test_no_goes_on_as_any_launch_does_and_is_asked_once(
    asking: Lms, django_capture_on_commit_callbacks: Callable[..., Any]
) -> None:
    heard: list[tuple[str, Any]] = []
    connected = {
        signals.user_provisioned: lambda user, **_: heard.append(("provisioned", user.pk)),
        signals.launched: lambda launch, created, **_: heard.append(("launched", created)),
    }
    for signal, receiver in connected.items():
        signal.connect(receiver)
    try:
        with django_capture_on_commit_callbacks(execute=True):
            browser = arrive(asking)
            question = browser.url
        assert heard == []
        with django_capture_on_commit_callbacks(execute=True):
            response = browser.press()
    finally:
        for signal, receiver in connected.items():
            signal.disconnect(receiver)
    assert response.status_code == 200
    assert browser.url.startswith("/lti/launch/?")
    assert heard == [("provisioned", person().user.pk), ("launched", True)]
    assert browser.user_id == str(person().user.pk)
    assert not person().is_provisional
    assert "answered" in Browser().open(question).content.decode()
    assert arrive(asking).user_id == browser.user_id


def test_yes_links_the_account_that_the_person_signs_in_to(asking: Lms, account: Any) -> None:
    frame = arrive(asking)
    tab = sign_in(frame.account_url())
    assert "Zoë Müller-Łukasiewicz" in tab.text
    assert "Introduction to Statistics" in tab.text
    assert person().is_provisional
    assert tab.press(answer="link").status_code == 200
    zoe = person()
    assert (zoe.user, zoe.is_provisional, provisioned()) == (account, False, 0)
    assert zoe.linked_at is not None
    assert frame.user_id is None
    assert tab.press(answer="open").status_code == 200
    assert Launch.objects.get(lti_user=zoe).claimed_at is not None
    again = arrive(asking)
    assert again.user_id == str(account.pk)


def test_a_relaunch_asks_again_and_any_of_its_questions_settles_all(asking: Lms, account: Any) -> None:
    url = launch_path(asking.sandbox.launch_url("course-101", "quiz-1", "2001"))
    first, same_ltik, relaunch = Browser(), Browser(), Browser()
    for browser, where in [(first, url), (same_ltik, url)]:
        browser.open(where)
    relaunch.open(launch_path(asking.sandbox.launch_url("course-101", "quiz-1", "2001")))
    assert all(browser.url.startswith("/lti/link/") for browser in (first, same_ltik, relaunch))
    assert provisioned() == 1
    tab = sign_in(relaunch.account_url())
    tab.press(answer="link")
    for browser in (first, same_ltik):
        assert browser.press().status_code == 403
        assert "has been answered" in browser.text
        assert browser.user_id is None
    assert person().user == account


def test_staff_undo_a_link_and_the_person_is_asked_anew(asking: Lms, account: Any, admin_client: Client) -> None:
    tab = sign_in(arrive(asking).account_url())
    tab.press(answer="link")
    framed = arrive(asking)
    launch_id = Launch.objects.latest("created_at").pk
    assert framed.get("/lti/launch/", {"lti": launch_id}).status_code == 200
    people = reverse("admin:ltiaas_django_ltiuser_changelist")
    form = {"action": "unlink", "_selected_action": [str(person().pk)]}
    assert "Unlink them?" in admin_client.post(people, form).content.decode()
    assert person().user == account
    admin_client.post(people, {**form, "confirmed": "yes"})
    assert (person().user, person().linked_at) == (None, None)
    assert framed.get("/lti/launch/", {"lti": launch_id}).status_code == 403
    assert framed.user_id is None
    assert tab.user_id == str(account.pk)  # signed in with a password: their own
    assert arrive(asking).url.startswith("/lti/link/")


# --- refused ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("trait", "words"),
    [
        ("is_staff", "people who run this tool"),
        ("is_superuser", "people who run this tool"),
        ("taken", "somebody else"),
    ],
)
def test_no_lms_gets_hold_of_privileged_or_taken_accounts(asking: Lms, account: Any, trait: str, words: str) -> None:
    if trait == "taken":
        LtiUser.objects.create(platform=Platform.objects.get(), lti_id="other", user=account)
    else:
        User.objects.update(**{trait: True})
    tab = sign_in(arrive(asking).account_url())
    assert words in tab.text
    assert "Yes, link" not in tab.text
    assert tab.press(answer="link").status_code == 403
    assert person().is_provisional
    tab.press(answer="other")
    assert tab.user_id is None
    assert tab.url.startswith("/accounts/login/")


def test_an_account_that_was_switched_off_meanwhile_is_not_linked(asking: Lms, account: Any) -> None:
    arrive(asking)
    User.objects.filter(pk=account.pk).update(is_active=False)
    with pytest.raises(linking.exceptions.SsoRefused, match="switched off"):
        linking.link(Launch.objects.get(lti_user=person()), account)
    assert person().is_provisional


def test_a_session_that_a_launch_began_is_no_account_of_ones_own(asking: Lms) -> None:
    def elsewhere(token: dict[str, Any]) -> None:
        token["platform"]["id"] = "another-platform"

    confirm = arrive(asking).account_url()
    tab = arrive(asking, "2002", mutate=elsewhere)
    other = tab.user_id
    assert tab.open(confirm).status_code == 403
    assert "by way of a course" in tab.text
    assert tab.press(answer="link").status_code == 403
    assert person().is_provisional
    assert tab.user_id == other


@pytest.mark.parametrize("spoil", ["old", "tampered", "blank", "the other page's", "over"])
def test_a_token_that_is_not_good_any_more_or_never_was(asking: Lms, account: Any, spoil: str) -> None:
    frame = arrive(asking)
    asked, confirm = frame.url, frame.account_url()
    now = timezone.now()
    match spoil:
        case "old":
            now += timedelta(minutes=10, seconds=5)
        case "tampered":
            asked, confirm = asked[:-1] + "!", confirm[:-1] + "!"
        case "blank":
            asked, confirm = (url.partition("?")[0] for url in (asked, confirm))
        case "over":
            Launch.objects.update(expires_at=now)
        case _:
            asked, confirm = (
                asked.partition("?")[0] + "?" + confirm.partition("?")[2],
                confirm.partition("?")[0] + "?" + asked.partition("?")[2],
            )
    tab = Browser()
    tab.login(username="zoe", password=PASSWORD)
    with time_machine.travel(now):
        for browser, url in [(frame, asked), (tab, confirm)]:
            browser.url = url
            assert browser.open(url).status_code == 403
            assert "no longer open" in browser.text
            assert browser.post(url, {"answer": "link"}).status_code == 403
    assert person().is_provisional
    assert frame.user_id is None


def test_a_login_page_that_is_not_there_is_a_readable_page(asking: Lms, settings: Any) -> None:
    settings.LOGIN_URL = "nowhere"
    response = Browser().open(arrive(asking).account_url())
    assert response.status_code == 503
    assert "not set up correctly" in response.content.decode()


def test_the_page_that_links_is_in_no_frame_and_heeds_no_forged_form(asking: Lms, account: Any) -> None:
    confirm = arrive(asking).account_url()
    tab = Browser()
    tab.login(username="zoe", password=PASSWORD)
    session = tab.session
    session[sso.FRAMED] = ""
    session.save()
    response = tab.get(confirm)
    assert "Yes, link my account" in response.content.decode()
    assert response.headers["Content-Security-Policy"] == "frame-ancestors 'none'"
    assert tab.post(confirm, {"answer": "link"}).status_code == 403
    assert person().is_provisional


def test_an_operators_session_is_still_not_replaced_unasked(asking: Lms) -> None:
    operator = User.objects.create_superuser("operator")
    browser = Browser()
    browser.force_login(operator)
    browser.open(launch_path(asking.sandbox.launch_url("course-101", "quiz-1", "2001")))
    assert browser.url.startswith("/lti/link/")
    browser.press()
    assert browser.url.startswith("/lti/continue/")
    assert browser.user_id == str(operator.pk)
    token = parse_qs(urlsplit(browser.url).query)["token"][0]
    browser.press(token=token)
    assert browser.user_id == str(person().user.pk)


def test_names_of_the_lms_are_escaped_on_every_page(asking: Lms, account: Any) -> None:
    evil = "<script>alert(1)</script>"

    def mutate(token: dict[str, Any]) -> None:
        token["user"]["name"] = token["platform"]["name"] = token["launch"]["context"]["title"] = evil

    frame = arrive(asking, mutate=mutate)
    tab = sign_in(frame.account_url())
    pages = [frame.text, tab.text]
    tab.press(answer="link")
    for page in [*pages, tab.text]:
        assert "&lt;script&gt;" in page
        assert "<script>" not in page


# --- what the policy and the operator decide --------------------------------------------------------------------------


class AsksLearners(sso.SsoPolicy):
    def must_ask(self, lti_user: LtiUser, id_token: data.IdToken) -> bool:
        return lti_user.lti_id == "2001"


def test_a_policy_of_the_sites_own_says_who_is_asked(lms: Lms, settings: Any) -> None:
    settings.LTIAAS = {**settings.LTIAAS, "SSO_POLICY": f"{__name__}.AsksLearners"}
    assert arrive(lms, "2001").url.startswith("/lti/link/")
    assert arrive(lms, "2002").user_id is not None


def test_a_test_student_is_not_asked_and_nobody_is_once_it_is_turned_off(asking: Lms) -> None:
    def of_test_student(token: dict[str, Any]) -> None:
        token["user"]["roles"].append(TEST_USER)

    assert arrive(asking, "2002", mutate=of_test_student).user_id is not None
    arrive(asking, "2001")
    Platform.objects.update(account_linking="off")
    assert arrive(asking, "2001").user_id == str(person().user.pk)
    assert not person().is_provisional


# --- at the same moment -----------------------------------------------------------------------------------------------


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """What calls come to that begin together."""
    both, answers = threading.Barrier(len(calls), timeout=10), []

    def go(call: Callable[[], Any]) -> None:
        both.wait()
        answers.append(call())
        connection.close()

    threads = [threading.Thread(target=go, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


@pytest.mark.services
@pytest.mark.django_db(transaction=True)
def test_two_answers_at_once_are_one(postgresql: None, transactional_db: None, asking: Lms, account: Any) -> None:
    frame = arrive(asking)
    tabs = [sign_in(frame.account_url()) for _ in range(2)]
    statuses = at_once(
        *(lambda tab=tab: tab.press(answer="link").status_code for tab in tabs), lambda: frame.press().status_code
    )
    zoe = person()
    assert not zoe.is_provisional
    if zoe.user == account:
        assert sorted(statuses) == [200, 200, 403]  # the second tab finds its own account linked
        assert (provisioned(), frame.user_id) == (0, None)
    else:
        assert sorted(statuses) == [200, 403, 403]
        assert frame.user_id == str(zoe.user.pk)


@pytest.mark.services
@pytest.mark.django_db(transaction=True)
def test_two_people_at_once_cannot_be_one_account(
    postgresql: None, transactional_db: None, asking: Lms, account: Any
) -> None:
    tabs = [sign_in(arrive(asking, one).account_url()) for one in ("2001", "2002")]
    statuses = at_once(*(lambda tab=tab: tab.press(answer="link").status_code for tab in tabs))
    assert sorted(statuses) == [200, 403]
    assert LtiUser.objects.filter(user=account).count() == 1


@pytest.mark.services
@pytest.mark.django_db(transaction=True)
def test_a_relaunch_at_the_moment_of_the_answer_gets_in_or_is_asked(
    postgresql: None, transactional_db: None, asking: Lms, account: Any
) -> None:
    url = launch_path(asking.sandbox.launch_url("course-101", "quiz-1", "2001"))
    frame = Browser()
    frame.open(url)
    tab = sign_in(frame.account_url())
    again = launch_path(asking.sandbox.launch_url("course-101", "quiz-1", "2001"))
    answers = at_once(
        lambda: tab.press(answer="link"), lambda: arrive_at(again), lambda: arrive_at(url), lambda: arrive_at(again)
    )
    assert {answer.status_code for answer in answers} <= {200, 403}
    assert person().user == account
    assert provisioned() == 0


def arrive_at(url: str) -> Any:
    return Browser().open(url)
