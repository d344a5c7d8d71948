"""Each kind of fault, as a caller meets it on the wire; and for which requests, how often, and until when."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest
import requests

from ltiaas_django.sandbox.faults import Kind, Route

from .test_sandbox_api import error, item_path

LINE_ITEM = {"label": "New", "scoreMaximum": 1}


@pytest.fixture
def post(by_key, quiz_1):
    """Post a score for somebody."""
    caller = by_key()
    return lambda person="2001": caller.post_score(quiz_1, person, scoreGiven=1, scoreMaximum=1)


def stored(sandbox) -> int:
    return len(sandbox.gradebook("course-101"))


class Waiting(threading.Thread):
    """A request that is not answered for long."""

    def __init__(self, sandbox, ask: Callable[[], object]) -> None:
        super().__init__(daemon=True)
        self.ask = ask
        self.error: Exception | None = None
        self.start()
        deadline = time.monotonic() + 10
        while not (sandbox.requests and sandbox.requests[-1].fault) and time.monotonic() < deadline:
            time.sleep(0.01)

    def run(self) -> None:
        try:
            self.ask()
        except requests.RequestException as error:
            self.error = error


class TestKinds:
    def test_status(self, sandbox, post):
        sandbox.fault("status", status=418, body="<b>", content_type="text/html", headers={"X-A": "b"})
        answer = post()
        assert (answer.status_code, answer.text, answer.headers["X-A"]) == (418, "<b>", "b")
        assert answer.headers["Content-Type"] == "text/html"
        assert stored(sandbox) == 0

    def test_delay(self, sandbox, post):
        sandbox.fault("delay", delay=0.4)
        began = time.monotonic()
        assert post().status_code == 204
        assert time.monotonic() - began >= 0.4
        assert stored(sandbox) == 1

    def test_hang_until_the_caller_gives_up(self, sandbox, by_key):
        caller = by_key()
        sandbox.fault("hang")
        with pytest.raises(requests.ReadTimeout):
            requests.get(f"{caller.url}/api/lineitems", headers={"Authorization": caller.authorization}, timeout=0.3)
        assert sandbox.requests[-1].status is None
        assert caller("GET", "/api/lineitems").status_code == 200

    def test_hang_until_the_faults_are_cleared(self, sandbox, post):
        sandbox.fault("hang")
        waiting = Waiting(sandbox, post)
        assert waiting.is_alive()
        sandbox.clear_faults()
        waiting.join(5)
        assert isinstance(waiting.error, requests.ConnectionError)
        assert stored(sandbox) == 0

    def test_hang_until_the_server_stops(self, sandbox, server, post):
        sandbox.fault("hang")
        waiting = Waiting(sandbox, post)
        assert waiting.is_alive()
        server.stop()
        waiting.join(5)
        assert isinstance(waiting.error, requests.ConnectionError)

    @pytest.mark.parametrize(("kind", "effect"), [("drop_before", 0), ("drop_after", 1)])
    def test_drop(self, sandbox, post, kind, effect):
        sandbox.fault(kind)
        with pytest.raises(requests.ConnectionError):
            post()
        assert stored(sandbox) == effect
        assert sandbox.requests[-1].status is None

    def test_cut(self, sandbox, by_key):
        caller = by_key()
        sandbox.fault("cut", times=None)
        before = len(sandbox.course("course-101").gradebook.line_items)
        with pytest.raises(requests.exceptions.ChunkedEncodingError, match="IncompleteRead"):
            caller("POST", "/api/lineitems", json=LINE_ITEM)
        assert len(sandbox.course("course-101").gradebook.line_items) == before + 1
        assert sandbox.requests[-1].status == 201
        sandbox.clear_faults()
        assert caller("GET", "/api/lineitems").status_code == 200

    def test_cut_of_an_answer_without_a_body(self, sandbox, post):
        sandbox.fault("cut")
        with pytest.raises(requests.ConnectionError):
            post()
        assert stored(sandbox) == 1

    @pytest.mark.parametrize("takes_effect", [False, True])
    def test_gateway(self, sandbox, post, takes_effect):
        sandbox.fault("gateway", after_storing=takes_effect)
        answer = post()
        assert (answer.status_code, answer.headers["Content-Type"]) == (502, "text/html")
        assert "<h1>502 Bad Gateway</h1>" in answer.text
        assert stored(sandbox) == takes_effect

    def test_gateway_of_another_status(self, sandbox, post):
        sandbox.fault("gateway", status=504, body="<html>Time-out</html>", content_type="text/html")
        assert (post().status_code, stored(sandbox)) == (504, 0)

    def test_expired_ltik(self, sandbox, by_ltik, by_key):
        launch, service = by_ltik(), by_key()
        sandbox.fault("expired_ltik", times=None)
        assert error(launch("GET", "/api/idtoken"), 401)["description"] == "Invalid or expired ltik."
        assert service("GET", "/api/lineitems").status_code == 200

    def test_refused_key(self, sandbox, by_ltik, by_key):
        service = by_key()
        sandbox.fault("refused_key", times=None)
        assert error(service("GET", "/api/lineitems"), 401)["description"] == "Invalid service key."
        assert by_ltik()("GET", "/api/lineitems").status_code == 200

    @pytest.mark.parametrize(
        ("profile", "status", "words"),
        [
            ("plain", 403, "Not allowed in context"),
            ("canvas", 401, "Access Token not linked to a Tool"),
            ("moodle", 403, "Not allowed in context"),
            ("blackboard", 403, "Not allowed in context"),
            ("sakai", 403, "signature_error"),
        ],
    )
    def test_tool_removed(self, sandbox, by_key, profile, status, words):
        sandbox.set_profile(profile)
        sandbox.fault("tool_removed", times=None)
        details = error(by_key()("GET", "/api/memberships"), status)  # a launch asks nothing of the LMS
        assert words in str(details["bodyReceived"])

    @pytest.mark.parametrize(
        ("profile", "status", "wait"),
        [
            ("plain", 429, "1"),
            ("canvas", 403, None),
            ("canvas_anonymous", 403, None),
            ("canvas_unpublished", 403, None),
            ("moodle", 503, None),
            ("blackboard", 429, None),
            ("brightspace", 429, "1"),
            ("sakai", 429, "1"),
            ("schoology", 429, "1"),
            ("openedx", 429, "1"),
            ("generic_strict", 429, None),
        ],
    )
    def test_throttle(self, sandbox, by_key, profile, status, wait):
        sandbox.set_profile(profile)
        sandbox.fault("throttle", times=None)
        answer = by_key()("GET", "/api/memberships")
        assert error(answer, status)["externalError"] is True
        assert answer.headers.get("Retry-After") == wait


class TestWhich:
    def test_so_many_times(self, sandbox, post):
        sandbox.fault("gateway", times=3)
        assert [post(person).ok for person in ("2001", "2002", "2003", "2004")] == [False] * 3 + [True]

    def test_always(self, sandbox, post):
        sandbox.fault("gateway", times=None)
        assert {post().status_code for _ in range(5)} == {502}
        sandbox.clear_faults()
        assert post().ok

    def test_the_oldest_first(self, sandbox, post):
        sandbox.fault("status", status=500)
        sandbox.fault("status", status=503)
        assert [post().status_code for _ in range(3)] == [500, 503, 204]

    @pytest.mark.parametrize("route", [*Route])
    def test_one_route(self, sandbox, by_ltik, account, quiz_1, route):
        launch = by_ltik(person="1001")
        linking = by_ltik(activity=None, person="1001", type="deep_linking")
        sandbox.fault("gateway", route=route, times=None)
        answers = {
            Route.IDTOKEN: launch("GET", "/api/idtoken"),
            Route.MEMBERSHIPS: launch("GET", "/api/memberships"),
            Route.LINEITEMS: launch("GET", item_path(quiz_1)),
            Route.SCORES: launch.post_score(quiz_1, "2001"),
            Route.RESULTS: launch("GET", item_path(quiz_1, "/scores")),
            Route.DEEPLINKING: linking("POST", "/api/deeplinking", json={"contentItems": []}),
            Route.PLATFORMS: account("GET", "/admin/platforms"),
            Route.REGISTRATIONS: account("GET", "/api/registrations/x"),
        }
        assert {name for name, answer in answers.items() if answer.status_code == 502} == {route}

    def test_one_method(self, sandbox, by_key):
        caller = by_key()
        sandbox.fault("gateway", route="lineitems", method="POST", times=None)
        assert caller("GET", "/api/lineitems").ok
        assert caller("POST", "/api/lineitems", json=LINE_ITEM).status_code == 502

    def test_one_course(self, sandbox, by_key):
        here, there = by_key(), by_key("course-102", "reading-1", "2006")
        sandbox.fault("gateway", course="course-102", times=None)
        assert [caller("GET", "/api/memberships").ok for caller in (here, there)] == [True, False]

    @pytest.mark.parametrize("profile", ["plain", "canvas"])
    def test_one_person(self, sandbox, by_key, profile):
        sandbox.set_profile(profile)
        caller, course = by_key(person="1001"), sandbox.course("course-101")
        item = course.line_items_of("quiz-1")[0].id
        sandbox.fault("gateway", person="2001", times=None)
        ids = [sandbox.school.people[person].lti_id for person in ("2001", "2002")]
        scores = [caller.post_score(item, one, scoreGiven=1, scoreMaximum=1).ok for one in ids]
        results = [caller("GET", item_path(item, "/scores"), params={"userId": one}).ok for one in ids]
        assert (scores, results) == ([False, True], [False, True])

    @pytest.mark.parametrize(
        "options",
        [
            {"kind": "nonsense"},
            {"kind": "status"},
            {"kind": "delay"},
            {"kind": "status", "status": 99},
            {"kind": "delay", "delay": 1e6},
            {"kind": "gateway", "times": 0},
        ],
    )
    def test_what_makes_no_sense_is_refused(self, sandbox, browse, options):
        answer = browse("/control/faults/", "POST", json=options)
        assert answer.status_code == 400
        assert sandbox.faults.waiting() == []


class TestControl:
    @pytest.mark.parametrize("kind", sorted(set(Kind) - {Kind.STATUS, Kind.DELAY}))
    def test_every_kind_by_its_name(self, browse, sandbox, by_key, by_ltik, quiz_1, kind):
        caller = by_ltik() if kind == Kind.EXPIRED_LTIK else by_key()

        def post(person):
            return caller.post_score(quiz_1, person, scoreGiven=1, scoreMaximum=1)

        plan = {"kind": kind, "route": "scores", "course": "course-101", "person": "2001", "times": 1, "delay": 0.01}
        planned = browse("/control/faults/", "POST", json=plan)
        assert (planned.status_code, planned.json()["text"]) == (201, f"{kind}, scores course-101 2001, 1×")
        assert browse("/control/faults/").json() == {"faults": [planned.json()]}
        assert post("2002").ok
        try:
            assert post("2001").status_code >= 400
        except requests.RequestException:
            assert kind in ("hang", "drop_before", "drop_after", "cut")
        assert sandbox.requests[-1].fault == kind
        sandbox.clock.advance(2)
        assert post("2001").ok

    def test_always_until_taken_back(self, browse, post):
        browse("/control/faults/", "POST", json={"kind": "status", "status": 500, "body": {"a": 1}, "times": None})
        assert [post().json() for _ in range(2)] == [{"a": 1}] * 2
        assert browse("/control/faults/", "DELETE").status_code == 204
        assert browse("/control/faults/").json() == {"faults": []}
        assert post().ok
