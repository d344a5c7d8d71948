"""A launch over real HTTP: who is signed in, what is remembered, and what every kind of bad input ends in."""

from __future__ import annotations

import contextlib
import html
import json
import logging
import pathlib
import secrets
import threading
import types
import uuid
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, quote_from_bytes, urlsplit

import pytest
import time_machine
from django.contrib.auth import get_user_model
from django.contrib.sessions.models import Session
from django.core.files.uploadhandler import MemoryFileUploadHandler
from django.db import connection
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.test import AsyncRequestFactory, Client
from django.urls import path as url_path
from django.utils import timezone
from django.utils.log import AdminEmailHandler
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from example_project.quiz.models import Submission
from ltiaas_django import data, grades, ltiks, signals
from ltiaas_django.models import (
    Context,
    Launch,
    LineItem,
    LtiUser,
    Membership,
    OutgoingScore,
    Platform,
    ResourceLink,
    ServiceKey,
)
from ltiaas_django.operations import grades as grade_operations
from ltiaas_django.operations import launching, passes, sso
from ltiaas_django.views import LaunchView
from tests.lms import Lms, launch_path

User = get_user_model()
LAUNCH = "/lti/launch/"


def rows() -> dict[str, int]:
    """How many rows of each kind there are."""
    models = (Platform, Context, ResourceLink, LtiUser, Membership, Launch, ServiceKey, LineItem, Session, User)
    return {model.__name__: model._default_manager.count() for model in models}


def exchanges(lms: Lms) -> int:
    return sum(1 for request in lms.sandbox.requests if request.path.startswith("/api/idtoken"))


# --- the good way -----------------------------------------------------------------------------------------------------


def test_a_launch_signs_the_person_in_and_remembers_where_from(lms: Lms) -> None:
    browser, launch = lms.browse("2001")
    response = browser.get(LAUNCH, {"lti": launch.pk})
    assert response.status_code == 200
    assert "Zoë Müller-Łukasiewicz" in response.content.decode()
    user = response.wsgi_request.user
    assert user.first_name == "Zoë"
    assert not user.has_usable_password()
    assert (launch.user, launch.lti_user.lti_id, launch.context.lti_id) == (user, "2001", "course-101")
    assert launch.is_learner
    assert not launch.is_instructor
    key = ServiceKey.objects.get()
    assert key.resource_link == launch.resource_link
    assert key.offers_grades
    assert key.offers_roster
    assert key.reveal() in lms.sandbox.secrets()


def test_the_browser_is_sent_to_a_clean_url_that_keeps_the_tools_own_parameters(lms: Lms) -> None:
    ltik = lms.sandbox.launch("course-101", "quiz-1", "2001")
    response = Client().get(LAUNCH, {"page": "3", "ltik": ltik, "topic": "a&b"})
    launch = Launch.objects.get()
    path, query = response.headers["Location"].split("?")
    proof, *own = query.split("&")  # of the sign-in; worth nothing once the cookie is back
    assert (path, proof.partition("=")[0], own) == (LAUNCH, "lti_start", ["page=3", "topic=a%26b", f"lti={launch.pk}"])
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["Referrer-Policy"] == "no-referrer"


def test_a_returning_person_writes_only_what_changed(lms: Lms, django_assert_max_num_queries: Any) -> None:
    lms.launch("2001")
    before = rows()
    ltik = lms.sandbox.launch("course-101", "quiz-1", "2001")
    with django_assert_max_num_queries(11) as asked:  # each is named in test_launch_queries.py
        Client().get(LAUNCH, {"ltik": ltik})
    written = [query["sql"].split()[:3] for query in asked if query["sql"].startswith(("INSERT", "UPDATE"))]
    tables = sorted({words[2 if words[0] == "INSERT" else 1].strip('"') for words in written})
    assert tables == sorted({"ltiaas_django_launch", "ltiaas_django_servicekey", "auth_user", "django_session"}), (
        written
    )
    after = rows()
    assert {name: after[name] - before[name] for name in after if after[name] != before[name]} == {
        "Launch": 1,
        "Session": 1,
    }


def test_a_changed_name_is_taken_over_and_a_missing_one_erases_nothing(lms: Lms) -> None:
    lms.launch("2001")
    lms.sandbox.courses["course-101"].rename_person("2001", "Zoë Neumann")
    lms.launch("2001")
    assert LtiUser.objects.get().name == "Zoë Neumann"
    lms.sandbox.profile.anonymous = True
    lms.launch("2001")
    person = LtiUser.objects.get()
    assert (person.name, person.email) == ("Zoë Neumann", "zoe.mueller@school.example")


def test_the_same_lms_id_on_two_platforms_is_two_people(lms: Lms) -> None:
    def elsewhere(token: dict[str, Any]) -> None:
        token["platform"]["id"] = "another-platform"

    first = lms.launch("2001")
    second = lms.launch("2001", mutate=elsewhere)
    assert first.lti_user.lti_id == second.lti_user.lti_id
    assert first.user != second.user


def test_ids_are_case_sensitive_and_unique_within_a_deployment_only(lms: Lms) -> None:
    def spelled(deployment: str, context: str) -> Callable[[dict[str, Any]], None]:
        def mutate(token: dict[str, Any]) -> None:
            token["platform"]["deploymentId"] = deployment
            token["launch"]["context"]["id"] = context

        return mutate

    for deployment, context in [("1", "abc"), ("1", "ABC"), ("2", "abc"), ("1", "abc")]:
        lms.launch("2001", mutate=spelled(deployment, context))
    assert Context.objects.count() == 3


@pytest.mark.parametrize("missing", ["context", "resourceLink", "both"])
def test_a_launch_may_lack_course_or_activity(lms: Lms, missing: str) -> None:
    def mutate(token: dict[str, Any]) -> None:
        for part in ("context", "resourceLink") if missing == "both" else (missing,):
            del token["launch"][part]

    browser, launch = lms.browse("2001", mutate=mutate)
    again = lms.launch("2001", mutate=mutate)
    assert browser.get(LAUNCH, {"lti": launch.pk}).status_code == 200
    assert (launch.resource_link is None) == (missing in {"resourceLink", "both"})
    assert launch.context == again.context
    assert launch.context.lti_id == ("" if missing in {"context", "both"} else "course-101")
    assert ServiceKey.objects.count() == 1


def test_a_teachers_roles_come_from_the_context_only(lms: Lms) -> None:
    def mentor(token: dict[str, Any]) -> None:
        token["user"]["roles"] = [
            "http://purl.imsglobal.org/vocab/lis/v2/institution/person#Instructor",
            "http://purl.imsglobal.org/vocab/lis/v2/membership#Mentor",
            "http://purl.imsglobal.org/vocab/lis/v2/system/person#Administrator",
        ]

    assert lms.launch("1001").is_instructor
    launch = lms.launch("1002", mutate=mentor)
    assert not launch.is_instructor
    assert not launch.is_learner
    assert not (launch.user.is_staff)
    assert not (launch.user.is_superuser)


def test_signals_are_sent_after_the_commit(lms: Lms, django_capture_on_commit_callbacks: Any) -> None:
    heard: list[tuple[str, Any]] = []

    def on_launch(launch: Launch, created: bool, **_: Any) -> None:
        heard.append(("launched", (launch.pk, created)))

    def on_user(user: Any, **_: Any) -> None:
        heard.append(("provisioned", user.pk))

    signals.launched.connect(on_launch)
    signals.user_provisioned.connect(on_user)
    try:
        with django_capture_on_commit_callbacks() as callbacks:
            launch = lms.launch("2001")
            assert heard == []
        for callback in callbacks:
            callback()
    finally:
        signals.launched.disconnect(on_launch)
        signals.user_provisioned.disconnect(on_user)
    assert heard == [("provisioned", launch.user.pk), ("launched", (launch.pk, True))]


@pytest.mark.parametrize(
    ("kind", "words"),
    [("deep_linking", "no content to choose from"), ("submission_review", "no review of single submissions")],
)
def test_other_launch_types_reach_their_hooks(lms: Lms, kind: str, words: str) -> None:
    person, activity = ("1001", None) if kind == "deep_linking" else ("1001", "quiz-1")
    browser, launch = lms.browse(person, activity, type=kind)
    response = browser.get(LAUNCH, {"lti": launch.pk})
    assert response.status_code == 200
    assert words in response.content.decode()
    assert bool(launch.ltik_sealed) == (kind == "deep_linking")


def test_a_stale_roster_becomes_due_and_a_fresh_one_does_not(lms: Lms) -> None:
    context = lms.launch("2001").context
    context.refresh_from_db()
    assert context.roster_due_at is not None
    Context.objects.update(roster_due_at=None, roster_synced_at=timezone.now())
    lms.launch("2001")
    context.refresh_from_db()
    assert context.roster_due_at is None


@pytest.mark.parametrize("state", [OutgoingScore.State.DUE, OutgoingScore.State.PARKED])
def test_a_learner_who_gets_in_shows_that_the_course_is_open_now(lms: Lms, state: str) -> None:
    launch = lms.launch("2001")
    score = grades.record_score(launch, given=8, maximum=10)
    elsewhere = grades.record_score(lms.launch("2003", "essay-1", "course-102"), given=8, maximum=10)
    refused = {"state": state, "due_at": None, "last_error_code": grade_operations.COURSE_NOT_GRADABLE}
    OutgoingScore.objects.update(**refused)
    lms.launch("1001")
    assert OutgoingScore.objects.filter(**refused).count() == 2
    lms.launch("2002")
    score.refresh_from_db()
    assert score.state == OutgoingScore.State.DUE
    assert score.due_at is not None
    assert OutgoingScore.objects.filter(**refused).get() == elsewhere


def test_every_launch_replaces_the_key_which_is_sealed_at_rest(lms: Lms) -> None:
    lms.launch("2001")
    first = ServiceKey.objects.get()
    ServiceKey.objects.update(refused_at=timezone.now(), last_error="refused")
    lms.launch("2002")
    second = ServiceKey.objects.get()
    assert first.pk == second.pk
    assert first.fingerprint != second.fingerprint
    assert second.is_healthy
    assert second.last_error == ""
    assert first.reveal() != second.reveal()
    assert {first.reveal(), second.reveal()} <= lms.sandbox.secrets()
    stored = repr(list(ServiceKey.objects.values()))
    assert not [secret for secret in lms.sandbox.secrets() if secret in stored]


def test_lms_text_is_escaped_and_only_web_addresses_lead_back(lms: Lms) -> None:
    lms.sandbox.courses["course-101"].rename_person("2001", "<script>alert(1)</script>")
    browser, launch = lms.browse("2001")
    page = browser.get(LAUNCH, {"lti": launch.pk}).content.decode()
    assert "&lt;script&gt;" in page
    assert "<script>" not in page
    for return_url, shown in [("https://lms.example/course?a=1&b=2", True), ("javascript:alert(1)", False)]:
        where = put("launch.presentation.returnUrl", return_url)
        browser, launch = lms.browse("1001", None, type="deep_linking", mutate=where)
        page = browser.get(LAUNCH, {"lti": launch.pk}).content.decode()
        assert ("Back to the course" in page) is shown
        assert "javascript:" not in page


# --- the ltik (must 3) ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("head", {}),
        ("get", {"Sec-Purpose": "prefetch;prerender"}),
        ("get", {"Purpose": "prefetch"}),
        ("get", {"X-Moz": "prefetch"}),
    ],
)
def test_head_and_prefetch_exchange_nothing(lms: Lms, method: str, headers: dict[str, str]) -> None:
    url = launch_path(lms.sandbox.launch_url("course-101", "quiz-1", "2001"))
    before = rows()
    response = getattr(Client(), method)(url, headers=headers)
    assert response.status_code in {200, 204}
    assert not response.content
    assert exchanges(lms) == 0
    assert rows() == before
    assert Client().get(url).status_code == 302


@pytest.mark.parametrize("method", ["post", "put", "delete", "options"])
def test_other_methods_are_refused(lms: Lms, method: str) -> None:
    url = launch_path(lms.sandbox.launch_url("course-101", "quiz-1", "2001"))
    assert getattr(Client(), method)(url).status_code == 405
    assert exchanges(lms) == 0


def test_reload_and_back_button_are_harmless_for_the_same_browser(lms: Lms) -> None:
    url = launch_path(lms.sandbox.launch_url("course-101", "quiz-1", "2001"))
    browser = Client()
    first = browser.get(url)
    browser.get(first.headers["Location"])
    Launch.objects.update(created_at=timezone.now() - timedelta(hours=1))
    second = browser.get(url)
    assert second.headers["Location"] == f"{LAUNCH}?lti={Launch.objects.get().pk}"
    assert exchanges(lms) == 1


def test_a_claimed_launch_is_refused_elsewhere(lms: Lms) -> None:
    url = launch_path(lms.sandbox.launch_url("course-101", "quiz-1", "2001"))
    browser = Client()
    browser.get(browser.get(url).headers["Location"])
    thief = Client()
    response = thief.get(url)
    assert response.status_code == 403
    assert "used before" in response.content.decode()
    assert "_auth_user_id" not in thief.session
    assert exchanges(lms) == 1


def test_an_unclaimed_launch_may_start_anew_within_the_minute_and_ends_the_earlier_session(lms: Lms) -> None:
    url = launch_path(lms.sandbox.launch_url("course-101", "quiz-1", "2001"))
    first, second = Client(), Client()
    clean = first.get(url).headers["Location"]
    anew = second.get(url).headers["Location"]
    assert anew.rpartition("lti=")[2] == clean.rpartition("lti=")[2]
    assert second.get(anew).status_code == 200
    response = first.get(clean)
    assert response.status_code == 403
    assert not response.wsgi_request.user.is_authenticated
    assert exchanges(lms) == 1


@pytest.mark.parametrize("signed_in", [False, True])
def test_the_slower_half_of_a_double_click_elsewhere_is_refused_and_changes_nothing(
    lms: Lms, monkeypatch: pytest.MonkeyPatch, signed_in: bool
) -> None:
    url = launch_path(lms.sandbox.launch_url("course-101", "quiz-1", "2001"))
    browser = Client()
    thief = lms.browse("2002")[0] if signed_in else Client()
    session_before = dict(thief.session)
    browser.get(browser.get(url).headers["Location"])
    before, key = rows(), ServiceKey.objects.values().get()
    looked: list[str] = []
    get_started = launching.get_started

    def too_early(ltik: str) -> Launch | None:
        looked.append(ltik)
        return get_started(ltik) if len(looked) > 1 else None

    monkeypatch.setattr(launching, "get_started", too_early)
    assert thief.get(url).status_code == 403
    assert (rows(), ServiceKey.objects.values().get()) == (before, key)
    assert dict(thief.session) == session_before
    assert "_auth_user_id" in thief.session or not signed_in


@pytest.mark.django_db(transaction=True)
@pytest.mark.services
def test_both_halves_of_a_double_click_at_once_end_in_one_launch(
    postgresql: None, transactional_db: None, lms: Lms, monkeypatch: pytest.MonkeyPatch
) -> None:
    lms.launch("2001")
    url = launch_path(lms.sandbox.launch_url("course-101", "quiz-1", "2001"))
    browsers, answers = [Client(), Client()], []
    both = threading.Barrier(2, timeout=10)
    fetch = launching.fetch_id_token

    def fetch_together(ltik: str) -> data.IdToken:
        both.wait()
        return fetch(ltik)

    def click(browser: Client) -> None:
        answers.append(browser.get(url))
        connection.close()

    monkeypatch.setattr(launching, "alone_with", contextlib.nullcontext)  # as in two processes
    monkeypatch.setattr(launching, "fetch_id_token", fetch_together)
    threads = [threading.Thread(target=click, args=(browser,)) for browser in browsers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answer.status_code for answer in answers] == [302, 302]
    [launch_id] = {answer.headers["Location"].rpartition("lti=")[2] for answer in answers}
    assert Launch.objects.count() == 2
    went_on = [browser.get(LAUNCH, {"lti": launch_id}).status_code for browser in browsers]
    assert sorted(went_on) == [200, 403]  # the second start has ended the session of the first


def test_an_unclaimed_launch_is_refused_after_the_minute(lms: Lms) -> None:
    url = launch_path(lms.sandbox.launch_url("course-101", "quiz-1", "2001"))
    Client().get(url)
    Launch.objects.update(created_at=timezone.now() - timedelta(seconds=61))
    assert Client().get(url).status_code == 403


def test_an_ltik_is_stored_as_a_digest_only_and_sealed_for_deep_linking(lms: Lms) -> None:
    ltik = lms.sandbox.launch("course-101", "quiz-1", "2001")
    Client().get(LAUNCH, {"ltik": ltik})
    launch = Launch.objects.get()
    assert ltik not in json.dumps([str(getattr(launch, field.attname)) for field in Launch._meta.fields])
    assert launch.ltik_sealed == ""


def test_the_ltik_is_gone_from_the_request_before_anything_else_can_see_it(lms: Lms) -> None:
    ltik = lms.sandbox.launch("course-101", "quiz-1", "2001")
    response = Client().get(LAUNCH, {"ltik": ltik}, REQUEST_URI=f"{LAUNCH}?ltik={ltik}")
    request = response.wsgi_request
    assert ltik not in repr(request.META) + request.get_full_path() + repr(request.GET)


@pytest.mark.parametrize("debug", [True, False])
def test_a_host_that_is_not_allowed_gets_nothing_done_and_shows_no_ltik(lms: Lms, settings: Any, debug: bool) -> None:
    """The first mistake of many sites. Django refuses it before any view; its page and its mail show the request."""
    settings.ALLOWED_HOSTS, settings.DEBUG = ["quiz.school.example"], debug
    mails: list[str] = []

    class Mail(AdminEmailHandler):
        def send_mail(self, *texts: Any, html_message: str | None = None, **_: Any) -> None:
            mails.append(f"{texts} {html_message}")

    mail = Mail(include_html=True)
    logger = logging.getLogger("django.security.DisallowedHost")
    logger.addHandler(mail)
    try:
        url = launch_path(lms.sandbox.launch_url("course-101", "quiz-1", "2001"))
        answer = Client().get(url, headers={"Host": "evil.example"})
    finally:
        logger.removeHandler(mail)
    assert answer.status_code == 400
    assert exchanges(lms) == 0
    [sent] = mails
    assert "evil.example" in sent
    ltik = parse_qs(urlsplit(url).query)["ltik"][0]
    assert ltik not in sent
    assert ltik not in answer.content.decode()


@pytest.mark.parametrize(
    ("changes", "path", "to"),
    [
        ({"SECURE_SSL_REDIRECT": True}, "/lti/launch/", "https://testserver/lti/launch/"),
        ({}, "/lti/launch", "/lti/launch/"),
    ],
    ids=["https", "slash"],
)
def test_a_redirect_to_the_same_page_takes_the_ltik_along(
    lms: Lms, settings: Any, changes: dict[str, Any], path: str, to: str
) -> None:
    for name, value in changes.items():
        setattr(settings, name, value)
    query = urlsplit(lms.sandbox.launch_url("course-101", "quiz-1", "2001")).query
    answer = Client().get(f"{path}?{query}&quiz=a%20b")
    assert answer.headers["Location"] == f"{to}?quiz=a+b&{query}"
    assert exchanges(lms) == 0


def test_asgi_servers_keep_no_ltik_either() -> None:
    request = AsyncRequestFactory().get("/lti/launch/?ltik=a.b.c&quiz=a")
    ltiks.take(request)
    assert request.scope["query_string"] == b"quiz=a"
    assert ltiks.given(request) == ["a.b.c"]


@pytest.mark.parametrize(
    "path",
    ["/lti/link/?token=", "/lti/continue/?token=", "/lti/launch/?lti={launch}&lti_start=", "/lti/launch/?ltik=x&quiz="],
)
def test_text_that_no_encoding_can_write_is_refused(lms: Lms, path: str) -> None:
    Client().get(launch_path(lms.sandbox.launch_url("course-101", "quiz-1", "2001")))
    url = path.format(launch=Launch.objects.get().pk) + "a%2B2AA-:b:c"  # half of a surrogate pair, in UTF-7
    assert Client().get(url, CONTENT_TYPE="text/plain; charset=utf-7").status_code == 403


def test_a_redirect_to_a_language_below_a_prefix_takes_the_ltik_along(rf: Any) -> None:
    request = rf.get("/lti/launch/?ltik=a.b.c", SCRIPT_NAME="/app")
    answer = HttpResponseRedirect("/app/es/lti/launch/")
    ltiks.take(request)
    ltiks.carry_on(request, answer)
    assert answer.headers["Location"] == "/app/es/lti/launch/?ltik=a.b.c"


@pytest.mark.parametrize(
    "location", ["/sign-in/", "/lti/launch/?next=/quiz/", "https://evil.example/", "https://evil.example/?quiz=a"]
)
@pytest.mark.parametrize("path", ["/lti/launch/", "/"])
def test_a_redirect_to_another_page_does_not(rf: Any, path: str, location: str) -> None:
    request, answer = rf.get(path, {"quiz": "a", "ltik": "a.b.c"}), HttpResponseRedirect(location)
    ltiks.take(request)
    ltiks.carry_on(request, answer)
    assert answer.headers["Location"] == location


def test_where_everybody_must_sign_in_first_launches_do_sign_in(lms: Lms, settings: Any) -> None:
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.contrib.auth.middleware.LoginRequiredMiddleware"]
    browser, launch = lms.browse("2001")
    assert browser.get(LAUNCH, {"lti": launch.pk}).status_code == 200
    lost = Client().get("/quiz/", {"lti": launch.pk})
    assert (lost.status_code, "Please launch again" in lost.content.decode()) == (403, True)


# --- sessions (must 4) and tabs (must 5) ------------------------------------------------------------------------------


def test_a_launch_starts_a_fresh_session_and_ends_a_different_persons(lms: Lms) -> None:
    browser, launch = lms.browse("2001")
    browser.get(LAUNCH, {"lti": launch.pk})
    before = browser.session.session_key
    browser.get(launch_path(lms.sandbox.launch_url("course-101", "quiz-1", "2002")))
    assert browser.session.session_key != before
    assert not Session.objects.filter(session_key=before).exists()
    response = browser.get(LAUNCH, {"lti": launch.pk})
    assert response.status_code == 403
    assert "somebody else" in response.content.decode()


@pytest.mark.parametrize("engine", ["db", "cached_db", "cache", "file", "signed_cookies"])
@pytest.mark.parametrize("csrf_in_session", [False, True])
def test_every_session_engine_of_django_will_do(
    lms: Lms, settings: Any, tmp_path: pathlib.Path, engine: str, csrf_in_session: bool
) -> None:
    settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{engine}"
    settings.SESSION_FILE_PATH = str(tmp_path)
    settings.CSRF_USE_SESSIONS = csrf_in_session
    browser, first = lms.browse("2001")
    assert browser.get(LAUNCH, {"lti": first.pk}).wsgi_request.user == first.user
    clean = browser.get(launch_path(lms.sandbox.launch_url("course-101", "quiz-2", "2001"))).headers["Location"]
    page = browser.get(clean)
    assert page.status_code == 200
    assert page.wsgi_request.user == first.user
    browser.get(launch_path(lms.sandbox.launch_url("course-101", "quiz-1", "2002")))
    assert browser.get(clean).status_code == 403


def test_the_same_persons_next_launch_has_a_fresh_session_key_too(lms: Lms) -> None:
    browser, launch = lms.browse("2001")
    before = str(browser.session.session_key)
    browser.get(launch_path(lms.sandbox.launch_url("course-101", "quiz-2", "2001")))
    assert browser.session.session_key != before
    former = Client()
    former.cookies["sessionid"] = before
    assert former.get(LAUNCH, {"lti": launch.pk}).status_code == 200, "what is on its way arrives"
    former.cookies["sessionid"] = before
    with time_machine.travel(timezone.now() + timedelta(seconds=61)):
        assert former.get(LAUNCH, {"lti": launch.pk}).status_code == 403


def test_an_operators_session_is_not_replaced_without_asking(lms: Lms) -> None:
    operator = User.objects.create_superuser("operator", password="x")
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(operator)
    asked = browser.get(launch_path(lms.sandbox.launch_url("course-101", "quiz-1", "2001")))
    assert asked.headers["Location"].startswith("/lti/continue/?token=")  # no ltik may stand in the answer's Referer
    page = browser.get(asked.headers["Location"])
    assert page.status_code == 200
    assert "operator" in page.content.decode()
    assert browser.session["_auth_user_id"] == str(operator.pk)
    token = page.context["token"]
    csrf = page.context["csrf_token"]
    stranger = Client()
    assert stranger.post("/lti/continue/", {"token": token}).status_code == 403
    assert browser.post("/lti/continue/", {"token": token}).status_code == 403, "forged"
    assert browser.session["_auth_user_id"] == str(operator.pk)
    assert browser.post("/lti/continue/", {"token": token}).status_code == 403  # no CSRF token
    answer = browser.post("/lti/continue/", {"token": token, "csrfmiddlewaretoken": str(csrf)})
    assert answer.status_code == 302
    shown = browser.get(answer.headers["Location"])
    assert shown.wsgi_request.user == Launch.objects.get().user
    assert browser.post("/lti/continue/", {"token": token, "csrfmiddlewaretoken": str(csrf)}).status_code == 403


@pytest.mark.parametrize("in_session", [False, True])
def test_a_form_in_the_first_tab_still_works_after_a_launch_in_the_second(
    lms: Lms, settings: Any, in_session: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.CSRF_USE_SESSIONS = in_session
    monkeypatch.setattr(sso, "_first_csrf_secret", lambda user: secrets.token_hex(16))  # as on another day
    browser = Client(enforce_csrf_checks=True)
    location = browser.get(launch_path(lms.sandbox.launch_url("course-101", "quiz-1", "2003"))).headers["Location"]
    form = browser.get(location, follow=True)
    csrf = {"csrfmiddlewaretoken": str(form.context["csrf_token"]), "lti": form.wsgi_request.GET["lti"]}
    browser.get(launch_path(lms.sandbox.launch_url("course-102", "essay-1", "2003")))
    assert browser.post("/quiz/", csrf).status_code != 403


@pytest.mark.parametrize("how", ["url", "header", "form"])
def test_a_form_of_another_persons_launch_acts_on_nothing_and_says_where_to_launch(lms: Lms, how: str) -> None:
    browser = Client(enforce_csrf_checks=True)
    location = browser.get(launch_path(lms.sandbox.launch_url("course-101", "quiz-1", "2003"))).headers["Location"]
    form = browser.get(location, follow=True)
    launch_id = form.wsgi_request.GET["lti"]
    csrf = {"csrfmiddlewaretoken": str(form.context["csrf_token"]), "answer": "1"}
    browser.get(launch_path(lms.sandbox.launch_url("course-101", "quiz-1", "2002")))
    path, data, headers = {
        "url": (f"/quiz/?lti={launch_id}", csrf, {}),
        "header": ("/quiz/", csrf, {"X-LTI-Launch": launch_id}),
        "form": ("/quiz/", {**csrf, "lti": launch_id}, {}),
    }[how]
    answer = browser.post(path, data, headers=headers)
    page = html.unescape(answer.content.decode())
    assert answer.status_code == 403
    assert "Nothing was saved." in page
    assert "Please open “Quiz 1: Averages” from the course" in page
    assert not Submission.objects.exists()


def test_a_form_that_cannot_be_read_reaches_no_view(lms: Lms, settings: Any) -> None:
    """Django's protection asks for it next: whoever asks first must not leave an empty form to the view."""
    settings.DATA_UPLOAD_MAX_NUMBER_FIELDS = 1
    browser = Client()
    form = {"one": "1", "two": "2", "three": "3"}
    assert browser.post("/quiz/", form).status_code == 400  # multipart, as the test client sends it


def test_a_view_without_djangos_csrf_middleware_reads_its_form_itself(lms: Lms, settings: Any) -> None:
    seen = []
    settings.MIDDLEWARE = [one for one in settings.MIDDLEWARE if not one.endswith("CsrfViewMiddleware")]

    def upload(request: HttpRequest) -> HttpResponse:
        request.upload_handlers = [MemoryFileUploadHandler(request)]  # not once the form has been read
        seen.append(request.POST["answer"])
        return HttpResponse()

    settings.ROOT_URLCONF = urls = types.ModuleType("urls")
    urls.urlpatterns = [url_path("upload/", upload)]  # type: ignore[attr-defined]
    assert Client().post("/upload/", {"answer": "1", "lti": str(uuid.uuid4())}).status_code == 200
    assert seen == ["1"]


@pytest.mark.parametrize("engine", ["db", "signed_cookies"])
def test_the_question_is_for_who_was_asked_also_where_session_keys_change(lms: Lms, settings: Any, engine: str) -> None:
    settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{engine}"
    settings.SESSION_SAVE_EVERY_REQUEST = settings.CSRF_USE_SESSIONS = True
    browser, other = Client(), Client()
    for number, one in enumerate((browser, other)):
        one.force_login(User.objects.create_superuser(f"operator-{number}"))
    page = browser.get(launch_path(lms.sandbox.launch_url("course-101", "quiz-1", "2001")), follow=True)
    token = page.context["token"]
    assert other.post("/lti/continue/", {"token": token}).status_code == 403
    assert browser.post("/lti/continue/", {"token": token}).status_code == 302


def test_a_launch_is_told_of_once_however_it_came_to_begin(
    lms: Lms, django_capture_on_commit_callbacks: Callable[..., Any]
) -> None:
    heard: list[Any] = []

    def on_launch(launch: Launch, **_: Any) -> None:
        heard.append(launch.pk)

    operator = Client()
    operator.force_login(User.objects.create_superuser("operator"))
    signals.launched.connect(on_launch)
    try:
        with django_capture_on_commit_callbacks(execute=True):
            url = launch_path(lms.sandbox.launch_url("course-101", "quiz-1", "2001"))
            page = operator.get(url, follow=True)  # asks whether to replace the session; nobody answers
            assert heard == []
        with django_capture_on_commit_callbacks(execute=True):
            Client().get(url)  # within the minute, in a window of its own
        with django_capture_on_commit_callbacks(execute=True):
            Client().get(url)  # and once more, since the answer got lost
            assert operator.post("/lti/continue/", {"token": page.context["token"]}).status_code == 403
        assert heard == [Launch.objects.get().pk]
    finally:
        signals.launched.disconnect(on_launch)


def test_a_session_begun_with_a_password_stays_one_after_a_launch_of_its_own_person(lms: Lms) -> None:
    user = lms.launch("2001").user
    browser = Client()
    browser.force_login(user)
    browser.get(launch_path(lms.sandbox.launch_url("course-101", "quiz-1", "2001")))
    other = browser.get(launch_path(lms.sandbox.launch_url("course-101", "quiz-1", "2002")))
    assert other.headers["Location"].startswith("/lti/continue/")
    assert browser.session["_auth_user_id"] == str(user.pk)


def test_an_unlinked_person_gets_a_new_account_and_not_the_old_one(lms: Lms) -> None:
    old = lms.launch("2001").user
    LtiUser.objects.update(user=None)
    new = lms.launch("2001").user
    assert new != old
    assert lms.launch("2001").user == new


@pytest.mark.django_db(transaction=True)
def test_a_view_that_fails_undoes_no_claim_under_atomic_requests(
    transactional_db: None, lms: Lms, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_args: Any) -> None:
        raise RuntimeError

    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)
    monkeypatch.setattr(LaunchView, "handle_resource_launch", fail)
    url = launch_path(lms.sandbox.launch_url("course-101", "quiz-1", "2001"))
    browser = Client(raise_request_exception=False)
    assert browser.get(browser.get(url).headers["Location"]).status_code == 500
    assert Client().get(url).status_code == 403


def test_a_short_launch_lifetime_opens_no_door_to_replay(lms: Lms, settings: Any) -> None:
    settings.LTIAAS = {**settings.LTIAAS, "LAUNCH_LIFETIME": 3600.0}
    url = launch_path(lms.sandbox.launch_url("course-101", "quiz-1", "2001"))
    browser = Client()
    browser.get(browser.get(url).headers["Location"])
    past = timezone.now() - timedelta(hours=1)
    Launch.objects.update(expires_at=past, created_at=past)
    passes.tidy()
    assert Client().get(url).status_code == 403


def test_no_debug_page_shows_the_ltik(lms: Lms, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_args: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr(sso.SsoPolicy, "provision", fail)
    settings.DEBUG = True
    ltik = lms.sandbox.launch("course-101", "quiz-1", "2001")
    page = Client(raise_request_exception=False).get(LAUNCH, {"ltik": ltik})
    assert page.status_code == 500
    shown = page.content.decode()
    leaks = [shown[max(0, shown.find(secret) - 300) :][:340] for secret in lms.sandbox.secrets() if secret in shown]
    assert leaks == []


def test_two_tabs_never_mix(lms: Lms) -> None:
    browser, first = lms.browse("2003", "quiz-1", "course-101")
    browser.get(launch_path(lms.sandbox.launch_url("course-102", "essay-1", "2003")))
    second = Launch.objects.exclude(pk=first.pk).get()
    for launch in (first, second, first):
        assert browser.get(LAUNCH, {"lti": launch.pk}).wsgi_request.lti.context == launch.context  # type: ignore[attr-defined]
        assert browser.get(LAUNCH, headers={"X-LTI-Launch": str(launch.pk)}).wsgi_request.lti == launch  # type: ignore[attr-defined]


def test_a_launch_id_is_no_credential(lms: Lms) -> None:
    _browser, launch = lms.browse("2001")
    other, _ = lms.browse("2002")
    for client in (other, Client()):
        response = client.get(LAUNCH, {"lti": launch.pk})
        assert response.status_code == 403
        assert not response.wsgi_request.lti


@pytest.mark.parametrize("named", ["", "x", "00000000-0000-0000-0000-000000000000", "\x00", "ü" * 300])
def test_an_unknown_launch_id_is_a_readable_refusal(lms: Lms, named: str) -> None:
    browser, _launch = lms.browse("2001")
    assert browser.get(LAUNCH, {"lti": named}).status_code in {200, 403}


def test_an_expired_launch_serves_no_pages(lms: Lms) -> None:
    browser, launch = lms.browse("2001")
    Launch.objects.update(expires_at=timezone.now())
    response = browser.get(LAUNCH, {"lti": launch.pk})
    assert response.status_code == 403
    assert "too long ago" in response.content.decode()


# --- pages in the frame -----------------------------------------------------------------------------------------------


# --- bad input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("", "is missing"),
        ("?ltik=", "is missing"),
        ("?ltik=" + "x" * 65_536, "malformed"),
        ("?ltik=abc%0d%0aX-Evil:1", "malformed"),
        ("?ltik=abc%00", "malformed"),
        ("?ltik=a%20b", "malformed"),
        ("?ltik=a:b", "malformed"),
        ("?ltik=%C3%BCml%C3%A4ut", "malformed"),
        ("?ltik=%ff%fe", "malformed"),
        ("?ltik=one&ltik=two", "more than once"),
    ],
)
def test_a_malformed_ltik_is_refused_without_asking_anybody(lms: Lms, query: str, words: str) -> None:
    before = rows()
    response = Client().get(LAUNCH + query)
    assert response.status_code == 400
    assert words in response.content.decode()
    assert rows() == before
    assert exchanges(lms) == 0


def test_an_unknown_and_an_expired_ltik_ask_to_launch_again(lms: Lms) -> None:
    ltik = lms.sandbox.launch("course-101", "quiz-1", "2001")
    lms.sandbox.expire_ltik(ltik)
    before = rows()
    for value in ("eyJhbGciOi.unknown.ltik", ltik):
        response = Client().get(LAUNCH, {"ltik": value})
        assert response.status_code == 403
        assert "from your course again" in response.content.decode()
    assert rows() == before


def test_a_wrong_api_key_is_the_operators_fault_and_says_so(lms: Lms, settings: Any) -> None:
    settings.LTIAAS = {**settings.LTIAAS, "API_KEY": "wrong"}
    response = Client().get(launch_path(lms.sandbox.launch_url("course-101", "quiz-1", "2001")))
    assert response.status_code == 503
    assert "API key" in response.content.decode()


def test_ltiaas_down_is_a_503(settings: Any, db: None) -> None:
    settings.LTIAAS = {"URL": "http://127.0.0.1:9", "API_KEY": "k"}
    response = Client().get(LAUNCH, {"ltik": "eyJ.a.b"})
    assert response.status_code == 503
    assert "try again" in response.content.decode()


@pytest.mark.parametrize("broken", [{}, {"URL": "http://127.0.0.1:9"}, None, {"URL": 5, "API_KEY": None}])
def test_missing_or_wrong_settings_are_a_503(settings: Any, db: None, broken: Any) -> None:
    settings.LTIAAS = broken
    assert Client().get(LAUNCH, {"ltik": "eyJ.a.b"}).status_code == 503


def test_an_inactive_user_is_turned_away_and_nothing_is_written(lms: Lms) -> None:
    User.objects.filter(pk=lms.launch("2001").user.pk).update(is_active=False)
    before = rows()
    browser = Client()
    response = browser.get(launch_path(lms.sandbox.launch_url("course-101", "quiz-1", "2001")))
    assert response.status_code == 403
    assert "switched off" in response.content.decode()
    assert rows() == before
    assert "_auth_user_id" not in browser.session


BROKEN_BODIES = [
    ("<html><body>502 Bad Gateway</body></html>", "text/html"),
    ('{"user": {"id": "1"', "application/json"),
    ("", "application/json"),
    ("[]", "application/json"),
    ("null", "application/json"),
    ('"text"', "application/json"),
    ('{"user": NaN}', "application/json"),
    ("[" * 100_000, "application/json"),
]


@pytest.mark.parametrize(("body", "content_type"), BROKEN_BODIES)
def test_an_answer_that_is_no_id_token_is_a_503(lms: Lms, body: str, content_type: str) -> None:
    before = rows()
    url = launch_path(lms.sandbox.launch_url("course-101", "quiz-1", "2001"))
    lms.sandbox.fail_next("/api/idtoken", status=200, body=body, content_type=content_type, times=9)
    response = Client().get(url)
    assert response.status_code == 503
    assert b"Traceback" not in response.content
    assert rows() == before


@pytest.mark.parametrize("status", [301, 302, 400, 404, 429, 500, 502, 503])
def test_an_error_of_the_api_is_a_503(lms: Lms, status: int) -> None:
    lms.sandbox.fail_next("/api/idtoken", status=status, body="<h1>no</h1>", content_type="text/html", times=9)
    response = Client().get(launch_path(lms.sandbox.launch_url("course-101", "quiz-1", "2001")))
    assert response.status_code == 503


def put(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    """Set a field of the id token; ... takes it out."""
    *parents, last = path.split(".")

    def mutate(token: dict[str, Any]) -> None:
        for name in parents:
            token = token[name]
        if value is ...:
            token.pop(last, None)
        else:
            token[last] = value

    return mutate


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("user", ...), ("user", None), ("user", []), ("user", "2001"), ("user.id", ...), ("user.id", None),
        ("user.id", ""), ("user.id", True), ("user.id", ["2001"]), ("user.id", "x" * 256), ("user.id", "a\x00b"),
        ("user.roles", {"Learner": 1}), ("user.roles", [5, {}]), ("user.name", {"first": "Zoë"}), ("user.email", []),
        ("platform", ...), ("platform.id", ...), ("platform.id", ""), ("platform.id", {}), ("launch", "x"),
        ("launch.type", "LtiUnheardOf"), ("launch.context", []), ("launch.context.id", ...), ("launch.context.id", []),
        ("launch.resourceLink", "quiz-1"), ("launch.resourceLink.id", None), ("launch.custom", []),
        ("services", []), ("services.serviceKey", {}), ("services.serviceKey", "with space"),
        ("services.serviceKey", "x" * 20_000),
    ],
)  # fmt: skip
def test_an_id_token_with_a_field_missing_or_of_the_wrong_type_signs_nobody_in(lms: Lms, path: str, value: Any) -> None:
    before = rows()
    url = launch_path(lms.sandbox.launch_url("course-101", "quiz-1", "2001", mutate=put(path, value)))
    browser = Client()
    response = browser.get(url)
    assert response.status_code == 503
    assert path.split(".")[0] in response.content.decode()
    assert rows() == before
    assert "_auth_user_id" not in browser.session


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("user.id", 2001), ("user.roles", ...), ("user.roles", None), ("user.name", ...), ("user.name", None),
        ("user.name", 42), ("user.email", None), ("user.email", "no address"), ("user.name", "Z" * 5000),
        ("user.name", "a\x00b\ud800c"), ("platform.name", None), ("platform.deploymentId", 7),
        ("launch.type", ...), ("launch.context.title", None), ("launch.presentation", ...),
        ("launch.presentation", {"document_target": "iframe", "width": "100", "height": 5}),
        ("launch.custom", None), ("launch.unknown", {"x": [1, 2]}), ("services", ...), ("services", {}),
        ("services.serviceKey", ...), ("services.deepLinking", None), ("ltiVersion", ...), ("extra", [None]),
        ("launch.presentation.returnUrl", "javascript:alert(1)"),
    ],
)  # fmt: skip
def test_an_id_token_with_something_optional_missing_or_odd_is_accepted(lms: Lms, path: str, value: Any) -> None:
    browser, launch = lms.browse("2001", mutate=put(path, value))
    assert launch.lti_user.lti_id == "2001"
    page = browser.get(LAUNCH, {"lti": launch.pk})
    assert page.status_code == 200
    assert b"javascript:" not in page.content


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)
FIELDS = st.sampled_from(
    [
        "user.id", "user.roles", "user.name", "user.email", "user.givenName", "platform.id", "platform.deploymentId",
        "platform.name", "launch.type", "launch.context", "launch.context.id", "launch.context.type",
        "launch.resourceLink", "launch.resourceLink.title", "launch.custom", "launch.presentation", "services",
        "services.assignmentAndGrades", "services.serviceKey", "ltiVersion",
    ]
)  # fmt: skip


@given(field=FIELDS, value=JSON)
@example(field="user.id", value="2002")
@example(field="platform.id", value="another")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_id_token_ever_makes_a_server_error_or_signs_in_anybody_else(lms: Lms, field: str, value: Any) -> None:
    browser = Client()
    url = launch_path(lms.sandbox.launch_url("course-101", "quiz-1", "2001", mutate=put(field, value)))
    status = browser.get(url).status_code
    if status != 302:
        assert status in {403, 503}
        assert "_auth_user_id" not in browser.session
        return
    ids = {"user.id": "2001", "platform.id": lms.sandbox.school.platform_id}
    if field in ids:
        assert isinstance(value, str | int | float)  # some LMSs send numbers
        ids[field] = str(json.loads(json.dumps(value), parse_float=Decimal))
    person = LtiUser.objects.get(user=browser.session["_auth_user_id"])
    assert (person.lti_id, person.platform.ltiaas_id) == tuple(ids.values())


@given(ltik=st.text(max_size=200) | st.binary(max_size=200))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_launch_parameter_ever_makes_a_server_error_or_signs_in(lms: Lms, ltik: str | bytes) -> None:
    browser = Client()
    value = ltik if isinstance(ltik, bytes) else ltik.encode("utf-8", "surrogatepass")
    response = browser.get(f"{LAUNCH}?ltik={quote_from_bytes(value)}")
    assert response.status_code in {400, 403}
    assert "_auth_user_id" not in browser.session
