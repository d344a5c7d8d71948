"""Cookies and headers of framed sessions, and what becomes of a launch whose cookie does not come back."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from http.cookies import SimpleCookie
from typing import Any

import pytest
import time_machine
from django.contrib import messages
from django.contrib.auth.models import User
from django.contrib.auth.views import LogoutView
from django.contrib.sessions.models import Session
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import path
from django.utils import timezone

from example_project import urls
from ltiaas_django.models import Launch, Platform
from ltiaas_django.operations import launching, sso
from ltiaas_django.views import LaunchView
from tests.lms import Lms, close_connection, launch_path

LAUNCH = "/lti/launch/"
IN_FRAME = {"Sec-Fetch-Dest": "iframe"}
IN_TAB = {"Sec-Fetch-Dest": "document"}

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]


class PageAtOnce(LaunchView):
    """A tool that shows its page at the clean URL itself."""

    def handle_resource_launch(self, request: HttpRequest, launch: Launch) -> HttpResponse:
        return HttpResponse("<form>")


def plain(request: HttpRequest) -> HttpResponse:
    """A page that asks nothing of the database."""
    return HttpResponse("plain")


def by_mail(request: HttpRequest) -> HttpResponse:
    """As sites do that sign people in by a link in a mail, on a request that came without a session."""
    session = sso.session_store()()
    session["person"] = "zoe"
    session.create()
    response = HttpResponse()
    response.set_cookie("sessionid", str(session.session_key))
    return response


def remark(request: HttpRequest) -> HttpResponse:
    messages.success(request, "Saved.")
    return HttpResponse()


urlpatterns = [
    *urls.urlpatterns,
    path("sign-out/", LogoutView.as_view(next_page="/")),
    path("at-once/<str:name>/", PageAtOnce.as_view()),
    path("by-mail/", by_mail),
    path("plain/", plain),
    path("remark/", remark),
]


def begin(lms: Lms, browser: Client, person: str = "2001", headers: dict[str, str] = IN_FRAME, **options: Any) -> str:
    """The first half of a launch; where the browser is sent."""
    url = launch_path(lms.sandbox.launch_url("course-101", "quiz-1", person, **options))
    response = browser.get(url, headers=headers)
    assert response.status_code == 302, response.content.decode()
    return str(response.headers["Location"])


def attributes(response: Any, name: str) -> set[str]:
    """The attributes of a cookie as they stand on the wire."""
    [line] = [cookie.output(header="").strip() for cookie in response.cookies.values() if cookie.key == name]
    return {part.strip() for part in line.split(";")[1:]}


FRAMED = {"SameSite=None", "Secure", "Partitioned"}


# --- cookies ----------------------------------------------------------------------------------------------------------


def test_a_framed_session_sends_cookies_that_survive_in_the_frame_on_the_tools_own_pages_too(
    lms: Lms, settings: Any
) -> None:
    settings.SESSION_SAVE_EVERY_REQUEST = True
    browser = Client()
    url = launch_path(lms.sandbox.launch_url("course-101", "quiz-1", "2001"))
    response = browser.get(url, headers=IN_FRAME)
    assert attributes(response, "sessionid") > FRAMED
    response = browser.get(response.headers["Location"], headers=IN_FRAME, follow=True)
    assert response.request["PATH_INFO"] == "/quiz/"
    for name in ("sessionid", "csrftoken"):
        assert attributes(response, name) > FRAMED
    assert "X-Frame-Options" not in response.headers


def test_an_unframed_launch_keeps_the_attributes_of_the_site(lms: Lms, settings: Any) -> None:
    settings.SESSION_COOKIE_SAMESITE = "Strict"
    browser = Client()
    url = launch_path(lms.sandbox.launch_url("course-101", "quiz-1", "2001", target="iframe"))
    response = browser.get(url, headers=IN_TAB)  # the browser knows better than the LMS
    assert "SameSite=Strict" in attributes(response, "sessionid")
    assert not attributes(response, "sessionid") & FRAMED
    response = browser.get(response.headers["Location"], follow=True)
    assert not attributes(response, "csrftoken") & FRAMED
    assert response.headers["X-Frame-Options"] == "DENY"
    assert Launch.objects.get().framed is False


@pytest.mark.parametrize(("target", "framed"), [("iframe", True), ("window", False)])
def test_where_the_browser_does_not_say_the_lms_is_believed(lms: Lms, target: str, framed: bool) -> None:
    begin(lms, Client(), headers={}, target=target)
    assert Launch.objects.get().framed is framed


def test_x_frame_options_stay_without_a_framed_session(lms: Lms) -> None:
    browser = Client()
    browser.get(begin(lms, browser), headers=IN_FRAME)
    launch = Launch.objects.get()
    assert Client().get("/", {"lti": launch.pk}, headers=IN_FRAME).headers["X-Frame-Options"] == "DENY"
    assert "X-Frame-Options" not in Client().get(LAUNCH, headers=IN_FRAME).headers  # our own pages: nothing to click


def test_a_page_at_the_clean_url_can_be_framed_in_a_framed_session_only(lms: Lms) -> None:
    ltik = lms.sandbox.launch("course-101", "quiz-1", "2001")
    browser = Client()
    clean = browser.get("/at-once/a%3Fb%23c/", {"ltik": ltik}, headers=IN_TAB).headers["Location"]
    page = browser.get(clean, headers=IN_TAB)
    assert (page.content, page.headers["X-Frame-Options"]) == (b"<form>", "DENY")
    ltik = lms.sandbox.launch("course-101", "quiz-1", "2001")
    clean = browser.get("/at-once/x/", {"ltik": ltik}, headers=IN_FRAME).headers["Location"]
    assert "X-Frame-Options" not in browser.get(clean, headers=IN_FRAME).headers


@pytest.mark.parametrize("headers", [IN_TAB, {"Sec-Fetch-Dest": "empty"}])
def test_a_page_outside_frames_costs_no_question_of_the_database(
    db: None, headers: dict[str, str], django_assert_num_queries: Any
) -> None:
    browser = Client()
    browser.force_login(User.objects.create_user("reader"))
    with django_assert_num_queries(0):
        assert browser.get("/plain/", headers=headers).headers["X-Frame-Options"] == "DENY"


def test_djangos_messages_get_through_in_the_frame_too(lms: Lms) -> None:
    browser = Client()
    browser.get(begin(lms, browser), headers=IN_FRAME)
    assert attributes(browser.get("/remark/", headers=IN_FRAME), "messages") > FRAMED


def test_a_framed_launch_leaves_the_same_persons_tab_alone_and_the_tab_the_frame(lms: Lms) -> None:
    """A partitioned cookie takes no other's place: the browser keeps both, so both sessions have to live."""
    for here, there in [(IN_TAB, IN_FRAME), (IN_FRAME, IN_TAB)]:
        first = Client()
        first.get(begin(lms, first, headers=here), headers=here)
        launch = Launch.objects.latest("created_at")
        second = Client()
        second.cookies["sessionid"] = first.cookies["sessionid"].value
        location = begin(lms, second, headers=there)
        assert second.get(location, headers=there, follow=True).request["PATH_INFO"] == "/quiz/"
        with time_machine.travel(timezone.now() + timedelta(minutes=5)):
            assert first.get("/quiz/", {"lti": launch.pk}, headers=here).status_code == 200


def test_signing_out_in_the_frame_deletes_the_frames_cookie(lms: Lms) -> None:
    browser = Client()
    browser.get(begin(lms, browser), headers=IN_FRAME)
    response = browser.post("/sign-out/", headers=IN_FRAME)
    assert attributes(response, "sessionid") > FRAMED | {"Max-Age=0"}


def test_the_framed_session_and_the_operators_own_are_told_apart_where_both_cookies_are_sent(lms: Lms) -> None:
    frame, admin = Client(), Client()
    frame.get(begin(lms, frame), headers=IN_FRAME)
    admin.force_login(User.objects.create_superuser("root"))
    framed, own = frame.cookies["sessionid"].value, admin.cookies["sessionid"].value
    launch = Launch.objects.get()
    for keys in ((framed, own), (own, framed)):
        both = "; ".join(f"sessionid={key}" for key in keys)
        page = Client(headers={"Cookie": both}).get("/quiz/", {"lti": launch.pk}, headers=IN_FRAME)
        assert page.wsgi_request.user == launch.user
        assert Client(headers={"Cookie": both}).get("/admin/", headers=IN_TAB).status_code == 200
        dead = f"{both}; sessionid=0123456789abcdefghij0123456789ab"
        assert Client(headers={"Cookie": dead}).get("/admin/", headers=IN_TAB).status_code == 200


def test_cookies_that_are_no_session_take_no_sessions_place(lms: Lms, settings: Any) -> None:
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
    admin = Client()
    admin.force_login(User.objects.create_superuser("root"))
    own, dead = f"sessionid={admin.cookies['sessionid'].value}", [f"sessionid=forged:{number}" for number in range(5)]
    for cookies in ([own, *dead[:3]], [*dead, own]):
        browser = Client(headers={"Cookie": "; ".join(cookies)})
        assert browser.get("/admin/", headers=IN_TAB).status_code == 200


# --- who may frame ----------------------------------------------------------------------------------------------------


def test_frame_ancestors_are_those_that_the_operator_listed_and_none_by_default(lms: Lms) -> None:
    browser = Client()
    response = browser.get(begin(lms, browser), headers=IN_FRAME, follow=True)
    assert "Content-Security-Policy" not in response.headers
    Platform.objects.update(frame_ancestors="https://canvas.school.edu\nhttps://*.school.org:8443")
    response = browser.get(begin(lms, browser), headers=IN_FRAME, follow=True)
    policy = "frame-ancestors 'self' https://canvas.school.edu https://*.school.org:8443"
    assert response.headers["Content-Security-Policy"] == policy


@pytest.mark.parametrize("headers", [IN_FRAME, IN_TAB])
def test_the_question_before_a_session_is_replaced_is_framed_by_the_listed_only(
    lms: Lms, headers: dict[str, str]
) -> None:
    lms.launch("2001")
    Platform.objects.update(frame_ancestors="https://canvas.school.edu")
    browser = Client()
    browser.force_login(User.objects.create_superuser("root"))
    page = browser.get(begin(lms, browser, headers=headers), headers=headers)
    assert "Replace your session?" in page.content.decode()
    if headers is IN_FRAME:
        assert "X-Frame-Options" not in page.headers
        assert page.headers["Content-Security-Policy"] == "frame-ancestors 'self' https://canvas.school.edu"
    else:
        assert page.headers["X-Frame-Options"] == "DENY"


@pytest.mark.parametrize(
    "text", ["https://a.example; script-src *", "javascript:alert(1)", "*", "https://a.example\r\nX: y"]
)
def test_what_is_no_origin_is_not_listed(text: str) -> None:
    with pytest.raises(ValidationError, match="no origin"):
        Platform(ltiaas_id="p", frame_ancestors=text).full_clean()


# --- the cookie that does not come back -------------------------------------------------------------------------------


def lost(lms: Lms, headers: dict[str, str] = IN_FRAME) -> tuple[Any, dict[str, str]]:
    """A launch in a browser that keeps no cookies there: the page it gets, and the fields of its button."""
    location = begin(lms, Client(), headers=headers)
    page = Client().get(location, headers=headers)
    assert page.status_code == 403
    context = page.context or {}
    return page, {"launch": str(context["launch"].pk), "proof": context["proof"], "next": context["next"]}


def test_a_frame_that_keeps_no_cookie_offers_a_new_tab_once(lms: Lms) -> None:
    page, button = lost(lms)
    assert 'target="_blank"' in page.content.decode()
    assert Session.objects.count() == 1
    tab = Client(enforce_csrf_checks=True)
    response = tab.post("/lti/new-tab/", button, headers=IN_TAB)
    assert response.headers["Referrer-Policy"] == "no-referrer"
    assert not attributes(response, "sessionid") & FRAMED
    assert Session.objects.count() == 1, "the session that the frame could not keep has ended"
    assert "?lti_start=" in response.headers["Location"]
    page = tab.get(response.headers["Location"], headers=IN_TAB, follow=True)
    assert page.request["PATH_INFO"] == "/quiz/"
    again = Client().post("/lti/new-tab/", button, headers=IN_TAB)
    assert again.status_code == 403
    assert "used before" in again.content.decode()


def test_the_button_serves_once_even_before_its_own_cookie_is_back(lms: Lms) -> None:
    _page, button = lost(lms)
    assert Client().post("/lti/new-tab/", button).status_code == 302
    assert Client().post("/lti/new-tab/", button).status_code == 403


def test_the_button_is_worth_nothing_after_five_minutes_or_once_the_cookie_is_back(lms: Lms) -> None:
    _page, button = lost(lms)
    Launch.objects.update(created_at=timezone.now() - timedelta(minutes=6))
    assert Client().post("/lti/new-tab/", button).status_code == 403
    browser = Client()
    location = begin(lms, browser)
    proof = location.partition("lti_start=")[2].partition("&")[0]
    browser.get(location)
    launch = Launch.objects.latest("created_at")
    stolen = {"launch": launch.pk, "proof": proof, "next": "/"}
    assert Client().post("/lti/new-tab/", stolen).status_code == 403


def test_the_proof_is_compared_in_constant_time(lms: Lms, monkeypatch: pytest.MonkeyPatch) -> None:
    _page, button = lost(lms)
    monkeypatch.setattr(launching, "constant_time_compare", lambda given, wanted: wanted == button["proof"] != given)
    assert Client().post("/lti/new-tab/", {**button, "proof": "guessed"}).status_code == 302


def test_whoever_only_knows_the_id_of_a_launch_gets_no_button(lms: Lms) -> None:
    location = begin(lms, Client())
    launch_id = location.rpartition("lti=")[2]
    for query in (
        f"lti={launch_id}",
        f"lti_start=guess&lti={launch_id}",
        f"lti_start=guess&lti_again=1&lti={launch_id}",
    ):
        page = Client().get(f"{LAUNCH}?{query}", headers=IN_FRAME)
        assert page.status_code == 403
        assert "new-tab" not in page.content.decode()


def test_a_tab_that_keeps_no_cookie_either_is_told_to_allow_them(lms: Lms) -> None:
    page, _button = lost(lms, headers=IN_TAB)
    assert "cookies. Please allow them for testserver" in page.content.decode()
    assert "new-tab" not in page.content.decode()


@pytest.mark.parametrize(
    "next_url", ["https://evil.example/", "//evil.example/", "/\\evil.example", "javascript:1", ""]
)
def test_the_new_tab_leads_nowhere_else(lms: Lms, next_url: str) -> None:
    _page, button = lost(lms)
    response = Client().post("/lti/new-tab/", {**button, "next": next_url})
    assert response.headers["Location"].startswith("/lti/launch/?lti_start=")


def test_the_new_tab_does_not_end_an_operators_session_unasked(lms: Lms) -> None:
    _page, button = lost(lms)
    tab = Client()
    tab.force_login(User.objects.create_superuser("root"))
    response = tab.post("/lti/new-tab/", button, follow=True)
    assert "somebody is signed in as root" in response.content.decode()
    assert tab.get("/admin/").status_code == 200
    response = tab.post("/lti/continue/", {"token": response.context["token"]}, follow=True)
    assert response.request["PATH_INFO"] == "/quiz/"


def test_three_frames_that_begin_at_once_all_get_in(lms: Lms) -> None:
    """Each answer sets a cookie; when the first frame goes on, the last one's is the browser's."""
    places = [begin(lms, Client()), begin(lms, Client())]
    browser = Client()
    places.append(begin(lms, browser))
    for place in places:
        assert browser.get(place, headers=IN_FRAME, follow=True).request["PATH_INFO"] == "/quiz/"


def test_a_frame_gets_in_whose_cookie_another_frames_launch_has_replaced(lms: Lms) -> None:
    """The launch of one went out with the other's cookie, and both answers are on their way at once."""
    browser = Client()
    places = [begin(lms, browser)]
    early = browser.cookies["sessionid"].value
    places.append(begin(lms, browser))
    late = browser.cookies["sessionid"].value
    places.append(begin(lms, browser))
    for place, key in zip(places, (early, late, late), strict=True):
        browser.cookies["sessionid"] = key  # as if this answer had come last
        assert browser.get(place, headers=IN_FRAME, follow=True).request["PATH_INFO"] == "/quiz/"
        assert browser.cookies["sessionid"].value not in (early, late)
    with time_machine.travel(timezone.now() + timedelta(minutes=5)):
        for launch in Launch.objects.all():
            assert browser.get("/quiz/", {"lti": launch.pk}, headers=IN_FRAME).status_code == 200


def test_a_replaced_session_leads_to_the_newest_and_to_none_that_would_outlive_a_sign_out(lms: Lms) -> None:
    browser = Client()
    begin(lms, browser)
    past = browser.cookies["sessionid"].value
    place = begin(lms, browser)
    newest = browser.cookies["sessionid"].value
    late = Client(headers={"Cookie": f"sessionid={past}"})
    assert late.get(place, headers=IN_FRAME).cookies["sessionid"].value == newest
    browser.post("/sign-out/")
    answer = late.get(place, headers=IN_FRAME)
    assert "sessionid" not in answer.cookies
    assert list(Session.objects.values_list("pk", flat=True)) == [past]
    with time_machine.travel(timezone.now() + timedelta(minutes=2)):
        assert late.get(place, headers=IN_FRAME).status_code == 403


def test_another_persons_launch_ends_a_replaced_session_and_the_newest(lms: Lms) -> None:
    browser = Client()
    begin(lms, browser)
    past = browser.cookies["sessionid"].value
    begin(lms, browser)
    browser.cookies["sessionid"] = past
    begin(lms, browser, "2002")
    assert [row.session_key for row in Session.objects.all()] == [browser.cookies["sessionid"].value]


def test_a_session_that_a_view_of_the_site_begins_by_itself_is_kept(lms: Lms) -> None:
    browser = Client()
    assert browser.get("/by-mail/").cookies["sessionid"].value == browser.session.session_key


def test_a_frame_beside_the_persons_tab_keeps_the_tabs_csrf_token(lms: Lms, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the LMS's own site a browser sends both cookies, and one token only can be right."""
    browser = Client()
    begin(lms, browser, headers=IN_TAB)
    before = browser.cookies["csrftoken"].value
    monkeypatch.setattr(sso, "_first_csrf_secret", lambda user: "b" * 32)  # as on another day
    begin(lms, browser, headers=IN_FRAME)
    assert browser.cookies["csrftoken"].value == before
    begin(lms, browser, "2002", headers=IN_FRAME)
    assert browser.cookies["csrftoken"].value != before


def test_the_tools_own_expiry_of_a_session_outlives_the_next_launch(lms: Lms) -> None:
    browser = Client()
    begin(lms, browser)
    session = browser.session
    session.set_expiry(3600)
    session.save()
    place = begin(lms, browser)
    assert browser.session.get_expiry_age() == 3600
    browser.cookies["sessionid"] = str(session.session_key)
    browser.get(place, headers=IN_FRAME)
    assert browser.session.session_key != session.session_key
    assert browser.session.get_expiry_age() == 3600


def test_an_answer_in_a_session_of_the_past_takes_no_newer_cookie_away(lms: Lms, settings: Any) -> None:
    settings.SESSION_SAVE_EVERY_REQUEST = True
    browser = Client()
    begin(lms, browser)
    past = browser.cookies["sessionid"].value
    place = begin(lms, browser)
    browser.get(place, headers=IN_FRAME)
    launch = Launch.objects.latest("created_at")
    late = Client(headers={"Cookie": f"sessionid={past}"})
    replaced = late.get("/quiz/", {"lti": launch.pk}, headers=IN_FRAME)
    assert (replaced.status_code, "sessionid" in replaced.cookies) == (200, False)
    Session.objects.filter(pk=past).delete()  # by a launch of somebody else
    gone = late.get("/quiz/", {"lti": launch.pk}, headers=IN_FRAME)
    assert (gone.status_code, "sessionid" in gone.cookies) == (403, False)


def test_frames_that_begin_at_once_get_the_same_csrf_token_and_nobody_elses(lms: Lms) -> None:
    frames = [Client(), Client(), Client()]
    for frame, person in zip(frames, ("2001", "2001", "2002"), strict=True):
        begin(lms, frame, person)
    first, second, other = (frame.cookies["csrftoken"].value for frame in frames)
    assert first == second != other


# --- the rest of a launch's manners -----------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_both_halves_of_a_double_click_get_in_by_one_exchange(lms: Lms) -> None:
    url = launch_path(lms.sandbox.launch_url("course-101", "quiz-1", "2001"))
    lms.sandbox.fail_next("/api/idtoken", delay=0.2)
    together = threading.Barrier(2)

    def click() -> int:
        together.wait()
        try:
            return int(Client().get(url).status_code)
        finally:
            close_connection()

    with ThreadPoolExecutor(2) as clicks:
        assert [one.result() for one in [clicks.submit(click), clicks.submit(click)]] == [302, 302]
    assert sum(request.path.startswith("/api/idtoken") for request in lms.sandbox.requests) == 1
    assert not launching._at_work


@pytest.mark.django_db(transaction=True)
def test_who_waits_for_the_same_ltik_is_refused_with_it(lms: Lms) -> None:
    """Else one link, opened again and again while LTIAAS hangs, would keep every thread of the server, one by one."""
    url = launch_path(lms.sandbox.launch_url("course-101", "quiz-1", "2001"))
    lms.sandbox.fail_next("/api/idtoken", status=418, body="no", delay=0.3)
    together = threading.Barrier(3)

    def click() -> int:
        together.wait()
        try:
            return int(Client().get(url).status_code)
        finally:
            close_connection()

    with ThreadPoolExecutor(3) as clicks:
        assert [one.result() for one in [clicks.submit(click) for _ in range(3)]] == [503, 503, 503]
    assert sum(request.path.startswith("/api/idtoken") for request in lms.sandbox.requests) == 1
    assert Client().get(url).status_code == 302, "who comes later asks anew"


class Busy(LaunchView):
    def throttle(self, request: HttpRequest) -> float | None:
        return 12.3


def test_a_site_may_slow_launches_down_before_anything_is_exchanged(lms: Lms, rf: Any, settings: Any) -> None:
    url = launch_path(lms.sandbox.launch_url("course-101", "quiz-1", "2001"))
    response = Busy.as_view()(rf.get(url))
    assert (response.status_code, response.headers["Retry-After"]) == (429, "13")
    assert not lms.sandbox.requests


def test_pages_of_ours_and_redirects_say_what_referrer_may_be_sent(lms: Lms) -> None:
    browser = Client()
    url = launch_path(lms.sandbox.launch_url("course-101", "quiz-1", "2001"))
    assert browser.get(url).headers["Referrer-Policy"] == "no-referrer"
    assert browser.get(url.replace("ltik=", "ltik=x")).headers["Referrer-Policy"] == "no-referrer", (
        "its URL has one too"
    )
    assert browser.get("/quiz/").headers["Referrer-Policy"] == "same-origin", "forms would say Origin: null"


def test_the_launch_speaks_the_language_of_the_lms_and_leaves_no_trace(lms: Lms, settings: Any) -> None:
    def spanish(token: dict[str, Any]) -> None:
        token["launch"]["presentation"]["locale"] = "es_MX"

    browser = Client()
    location = begin(lms, browser, mutate=spanish)
    page = browser.get(location, headers=IN_FRAME, follow=True)
    assert page.wsgi_request.LANGUAGE_CODE == "es-mx"
    assert '<html lang="en' in Client().get(LAUNCH).content.decode()


def test_a_refused_launch_speaks_its_language_too(lms: Lms) -> None:
    def spanish(token: dict[str, Any]) -> None:
        token["launch"]["presentation"]["locale"] = "es"

    url = launch_path(lms.sandbox.launch_url("course-101", "quiz-1", "2001", mutate=spanish))
    Client().get(url, follow=True)
    replayed = Client().get(url)
    assert replayed.status_code == 403
    assert '<html lang="es"' in replayed.content.decode()


def test_the_choice_of_an_activity_is_framed_only_where_its_session_is(lms: Lms) -> None:
    for headers, allowed in ((IN_FRAME, False), (IN_TAB, True)):
        browser = Client()
        browser.get(begin(lms, browser, headers=headers))
        for place in ("/quiz/", "/lti/launch/?lti="):
            page = browser.get(place, headers=headers)
            assert "Which activity?" in page.content.decode()
            assert page.has_header("X-Frame-Options") is allowed


def test_a_page_of_somebody_elses_launch_says_where_to_launch_again_to_members_only(lms: Lms) -> None:
    _first, launch = lms.browse("2001")
    second, _other = lms.browse("2002")
    page = second.get("/quiz/", {"lti": launch.pk})
    assert page.status_code == 403
    assert "Please open “Quiz 1: Averages” from the course" in page.content.decode()
    stranger = Client()
    stranger.force_login(User.objects.create_user("stranger"))
    for outsider in (stranger, Client()):
        assert "Averages" not in outsider.get("/quiz/", {"lti": launch.pk}).content.decode()


def test_the_cookie_header_is_what_browsers_read(lms: Lms) -> None:
    """The attribute stands on the wire whatever Python knows of it, and the test client can still read the cookie."""
    browser = Client()
    begin(lms, browser)
    assert isinstance(browser.cookies, SimpleCookie)
    assert browser.session.session_key == browser.cookies["sessionid"].value
