"""A teacher picks content in the frame: what she sees, what the LMS gets, and what every kind of bad input ends in."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import include, path
from django.views.debug import ExceptionReporter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from example_project.demo.pages import Form, Page
from ltiaas_django import deep_linking, exceptions, sealing
from ltiaas_django.models import Launch
from ltiaas_django.views import LaunchView
from tests.lms import Lms

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]

PICKER = "/lti/deep-linking/"
EVIL = '<script>alert("1")</script>'
CHOICES = [
    deep_linking.ResourceLinkItem(title="First", text=EVIL, custom={"page": "1"}),
    deep_linking.ResourceLinkItem(title="Second", custom={"page": "2"}),
    deep_linking.LinkItem(title="A page", url="https://tool.example/page"),
]


class ToolLaunch(LaunchView):
    def handle_deep_linking_launch(self, request: HttpRequest, launch: Launch) -> HttpResponse:
        return deep_linking.pick(request, launch, CHOICES)


urlpatterns = [path("lti/launch/", ToolLaunch.as_view()), path("lti/", include("ltiaas_django.urls"))]


def launched(lms: Lms, **takes: Any) -> tuple[Client, Launch, Page]:
    """A teacher's deep linking launch and the page that she sees."""
    browser, launch = lms.browse("1001", None, type="deep_linking", deep_linking=takes)
    response = browser.get("/lti/launch/", {"lti": launch.pk})
    assert "X-Frame-Options" not in response.headers
    return browser, launch, Page(response.content.decode())


def pick(browser: Client, form: Form, *choices: str, **more: str) -> HttpResponse:
    return browser.post(form.action, {**form.fields, "choice": choices, **more})  # type: ignore[return-value]


def handed_over(response: HttpResponse) -> Page:
    """The LMS's page after the browser has posted the form of the answer's page."""
    assert response.status_code == 200, response.content.decode()
    form = Page(response.content.decode()).forms[0]
    return Page(requests.post(form.action, form.fields, timeout=10).text)


def sent(lms: Lms) -> list[dict[str, Any]]:
    """The bodies of all answers that LTIAAS was asked to hand over."""
    return [request.body for request in lms.sandbox.requests if request.path.startswith("/api/deeplinking")]


# --- picking ----------------------------------------------------------------------------------------------------------


def test_several_are_picked_where_the_lms_takes_several(lms: Lms) -> None:
    browser, _launch, page = launched(lms)
    assert "Choose one or more" in page.text
    response = pick(browser, page.forms[0], "0", "2")
    assert EVIL not in response.content.decode()
    assert handed_over(response).heading == "1 activity and 1 other item added"
    assert [item.get("custom", item["type"]) for item in sent(lms)[0]["contentItems"]] == [{"page": "1"}, "link"]


@pytest.mark.parametrize("hidden", [False, True])
def test_one_is_picked_where_the_lms_takes_one_whether_ltiaas_says_so_or_not(lms: Lms, hidden: bool) -> None:
    browser, _launch, page = launched(lms, acceptMultiple=False, hideAcceptMultiple=hidden)
    assert "Choose one:" in page.text
    asked_raw = [r for r in lms.sandbox.requests if r.path == "/api/idtoken?raw=true"]
    assert len(asked_raw) == hidden  # a second question only where the first answer lacks something
    response = pick(browser, page.forms[0], "0", "1")
    assert response.status_code == 422
    again = Page(response.content.decode())
    assert "only one thing at a time" in again.text
    assert sent(lms) == []
    assert handed_over(pick(browser, again.forms[0], "1")).heading == "1 activity added"


def test_what_the_lms_does_not_take_is_not_shown(lms: Lms) -> None:
    _browser, _launch, page = launched(lms, acceptTypes=["link"])
    assert "A page" in page.text
    assert "First" not in page.text
    browser, _launch, page = launched(lms, acceptTypes=["file"])
    assert "nothing that your learning platform takes" in page.text
    assert handed_over(pick(browser, page.forms[0], cancel="1")).heading == "Nothing was added"


def test_choosing_nothing_says_so_on_the_same_page_and_cancel_refuses(lms: Lms) -> None:
    browser, _launch, page = launched(lms)
    response = pick(browser, page.forms[0])
    again = Page(response.content.decode())
    assert (response.status_code, "Please choose something first" in again.text) == (422, True)
    assert "First" in again.text
    refused = handed_over(pick(browser, again.forms[0], "1", cancel="1"))
    assert (refused.heading, "Nothing was chosen." in refused.text) == ("Nothing was added", True)
    assert sent(lms) == [{"contentItems": [], "options": {"errMessage": "Nothing was chosen."}}]


def test_texts_are_shown_escaped(lms: Lms) -> None:
    browser, launch = lms.browse("1001", None, type="deep_linking")
    html = browser.get("/lti/launch/", {"lti": launch.pk}).content.decode()
    assert EVIL not in html
    assert "&lt;script&gt;" in html


def test_the_browser_cannot_change_what_is_offered_nor_bring_another_launchs_offer(lms: Lms) -> None:
    browser, launch, page = launched(lms)
    other = lms.browse("1001", None, type="deep_linking")[1]
    form = page.forms[0]
    offer = form.fields["offer"]
    assert other.user == launch.user
    for change in ({"offer": offer[:-1] + "x"}, {"offer": ""}, {"lti": str(other.pk)}):
        response = browser.post(form.action, {**form.fields, **change, "choice": "0"})
        assert (response.status_code, "cannot be used any more" in response.content.decode()) == (400, True)
    elsewhere = Client().post(form.action, {**form.fields, "choice": "0"})
    assert (elsewhere.status_code, sent(lms)) == (403, [])


def test_a_forged_form_adds_nothing(lms: Lms) -> None:
    browser, _launch, page = launched(lms)
    browser.handler.enforce_csrf_checks = True
    form = page.forms[0]
    token = form.fields.pop("csrfmiddlewaretoken")
    assert pick(browser, form, "0").status_code == 403
    assert sent(lms) == []
    assert pick(browser, form, "0", csrfmiddlewaretoken=token).status_code == 200


def test_only_a_deep_linking_launch_is_answered(lms: Lms) -> None:
    browser, launch = lms.browse("2001")
    response = browser.post(PICKER, {"lti": str(launch.pk), "offer": "x", "choice": "0"})
    assert response.status_code == 400
    assert browser.get(PICKER).status_code == 405
    with pytest.raises(exceptions.InvalidLaunch):
        deep_linking.limits(launch)
    with pytest.raises(exceptions.InvalidLaunch):
        deep_linking.message(launch, [])


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    choices=st.lists(st.text(max_size=5) | st.integers(-2, 9).map(str), max_size=4),
    offer=st.none() | st.text(max_size=30),
    lti=st.none() | st.text(max_size=40),
)
def test_garbage_in_the_pickers_form_is_never_a_server_error(
    lms: Lms, choices: list[str], offer: str | None, lti: str | None
) -> None:
    if not hasattr(lms, "picker"):
        browser, _launch, page = launched(lms)
        lms.picker = (browser, page.forms[0])  # type: ignore[attr-defined]
    browser, form = lms.picker  # type: ignore[attr-defined]
    given_fields = {"offer": offer, "lti": lti}
    fields = form.fields | {name: value for name, value in given_fields.items() if value is not None}
    response = browser.post(PICKER, {**fields, "choice": choices})
    assert response.status_code in {200, 400, 403, 422}


# --- answering by oneself ---------------------------------------------------------------------------------------------


def test_the_messages_reach_the_lms_which_shows_them_escaped(lms: Lms, monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(view: LaunchView, request: HttpRequest, launch: Launch) -> HttpResponse:
        return deep_linking.answer(request, launch, CHOICES[:1], message=f"Enjoy {EVIL}", log="by hand")

    monkeypatch.setattr(ToolLaunch, "handle_deep_linking_launch", answer)
    browser, launch = lms.browse("1001", None, type="deep_linking")
    response = browser.get("/lti/launch/", {"lti": launch.pk})
    form = Page(response.content.decode()).forms[0]
    shown = requests.post(form.action, form.fields, timeout=10).text
    assert EVIL not in shown
    assert "Enjoy &lt;script&gt;" in shown
    assert sent(lms)[0]["options"] == {"message": f"Enjoy {EVIL}", "log": "by hand"}


def test_message_and_target_are_for_a_tool_that_posts_by_itself(lms: Lms) -> None:
    _browser, launch, _page = launched(lms)
    given = deep_linking.message(launch, CHOICES[1:2])
    assert "eyJ" not in repr(given)
    assert Page(requests.post(given.target, {"JWT": given.message}, timeout=10).text).heading == "1 activity added"


def test_an_item_outside_the_limits_is_refused_before_anything_is_sent(
    lms: Lms, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(view: LaunchView, request: HttpRequest, launch: Launch) -> HttpResponse:
        return deep_linking.answer(request, launch, CHOICES)

    monkeypatch.setattr(ToolLaunch, "handle_deep_linking_launch", answer)
    browser, launch = lms.browse("1001", None, type="deep_linking", deep_linking={"acceptTypes": ["link"]})
    with pytest.raises(exceptions.ContentNotAccepted):
        deep_linking.message(launch, CHOICES)
    response = browser.get("/lti/launch/", {"lti": launch.pk})  # and uncaught, it is a page
    assert (response.status_code, "does not take this kind" in response.content.decode()) == (422, True)
    assert sent(lms) == []


@pytest.mark.parametrize(
    ("trouble", "status", "says"),
    [
        ({"status": 503}, 503, "cannot be reached just now"),
        ({"status": 200, "body": {"form": None}}, 503, "could not be read"),
        ({"status": 200, "body": {"form": "<p>Done</p>"}}, 503, "could not be read"),
        ({"status": 400, "body": {"details": {"message": "no"}}}, 422, "Nothing was added"),
        ({"drop": True}, 503, "cannot be reached just now"),
    ],
)
def test_trouble_at_ltiaas_is_a_readable_page(lms: Lms, trouble: dict[str, Any], status: int, says: str) -> None:
    browser, _launch, page = launched(lms)
    lms.sandbox.fail_next("/api/deeplinking", **trouble)
    response = pick(browser, page.forms[0], "0")
    assert (response.status_code, says in response.content.decode()) == (status, True)


def test_a_report_of_an_uncaught_error_holds_no_ltik(lms: Lms) -> None:
    _browser, launch, _page = launched(lms)
    lms.sandbox.fail_next("/api/deeplinking", status=503)
    with pytest.raises(exceptions.LaunchUnavailable) as caught:
        deep_linking.message(launch, CHOICES[:1])
    report = ExceptionReporter(None, caught.type, caught.value, caught.tb).get_traceback_html()
    assert "fetch_message" in report
    assert sealing.unseal(launch.ltik_sealed) not in report


def test_an_ended_ltik_or_changed_sealing_keys_ask_to_launch_again(lms: Lms) -> None:
    browser, launch, page = launched(lms)
    lms.sandbox.expire_ltik()
    response = pick(browser, page.forms[0], "0")
    assert (response.status_code, "has expired" in response.content.decode()) == (403, True)
    Launch.objects.filter(pk=launch.pk).update(ltik_sealed="x")
    response = pick(browser, page.forms[0], "0")
    assert (response.status_code, "open the tool from your course again" in response.content.decode()) == (403, True)


# --- what the raw token says ------------------------------------------------------------------------------------------


def test_the_launch_goes_on_where_the_lmss_own_claims_cannot_be_had(lms: Lms) -> None:
    lms.sandbox.fail_next("/api/idtoken?raw", status=500, times=3)
    _browser, launch, page = launched(lms, hideAcceptMultiple=True)
    assert "Choose one or more" in page.text
    assert deep_linking.limits(launch).accept_types


def test_a_submission_review_names_the_learner_if_known(lms: Lms) -> None:
    def elsewhere(token: dict[str, Any]) -> None:
        token["platform"]["id"] = "another-platform"

    zoe = lms.launch("2001").lti_user
    lms.launch("2002", mutate=elsewhere)  # there, 2002 is somebody else
    assert lms.launch("1001", type="submission_review", for_user="2001").for_user == zoe
    assert lms.launch("1001", type="submission_review", for_user="2002").for_user is None
    assert lms.launch("1001").for_user is None
