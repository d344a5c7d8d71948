"""The console: what a tool's developer sees of its requests, and turns while the tool runs."""

from __future__ import annotations

import re
from decimal import Decimal
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from ltiaas_django.sandbox import api
from ltiaas_django.sandbox.console import calls
from tests.stage.test_sandbox_pages import Elements

EVIL = "<script>alert('x')</script>"
PAGES = ["", "faults/", "lms/", "lms/school/", "clock/", "tool/", "state/"]


def elements(html):
    """The elements of a page, which must be well formed; scripts are no HTML."""
    return Elements(re.sub(r"<script>.*?</script>\n", "", html, flags=re.DOTALL))


@pytest.fixture
def console(browse):
    """Opens a page of the console, which must have the status."""

    def get(path="", status=200):
        response = browse(f"/console/{path}")
        assert response.status_code == status, response.text
        assert elements(response.text).all("h1")
        return response.text

    return get


@pytest.fixture
def submit(browse):
    """Sends a form of the console; what was done is said on the page that it leads to."""

    def post(path, status=303, /, **fields):
        response = browse(f"/console/{path}", "POST", data=fields)
        assert response.status_code == status, response.text
        if status != 303:
            return response.text
        target = urlsplit(response.headers["Location"])
        assert "done" in parse_qs(target.query)
        text = browse(f"{target.path}?{target.query}").text
        assert 'role="status"' in text
        return text

    return post


def rows(html):
    """The lines of the log, each as its text."""
    found = re.findall(r'<tr role="row">\s*<td(.*?)</tr>', html, re.DOTALL)
    return [" ".join(re.sub(r"<[^>]+>", " ", f"<td{one}").split()) for one in found]


@pytest.mark.parametrize("path", PAGES)
def test_every_page_is_sound_and_leads_to_the_others(console, path):
    links = {link["href"] for link in elements(console(path)).all("a")}
    assert {"/console/", "/console/faults/", "/console/lms/", "/console/clock/", "/console/state/"} <= links


class TestLog:
    def test_shows_the_newest_first_with_what_befell_them(self, sandbox, console, by_key, quiz_1):
        caller = by_key()
        sandbox.fault("status", status=503, route="memberships")
        caller("GET", "/api/memberships")
        caller.post_score(quiz_1, "2002", scoreGiven=5, scoreMaximum=10)
        score, roster, token = rows(console())
        assert "POST /api/lineitems/…" in score
        assert "204 " in score
        assert "course-101 · 2002" in score
        assert "GET /api/memberships fault status 503" in roster
        assert "SERVICE-AUTH-V1" in roster
        assert "GET /api/idtoken 200" in token
        assert "LTIK-AUTH-V2" in token

    def test_tells_what_was_tolerated_and_counts_it(self, console, by_key):
        caller = by_key()
        for _time in range(2):
            caller("GET", "//api/memberships")
        html = console()
        assert "2 requests with habits" in html
        assert "2 × The path begins with two slashes." in html
        assert len(rows(console("?warnings=1"))) == 2
        assert len(rows(html)) == 3

    def test_filters(self, sandbox, console, by_key):
        by_key()("GET", "/api/memberships")
        by_key("course-102", "reading-1", "2006")("GET", "/api/lineitems")
        sandbox.fault("drop_before", route="lineitems")
        with pytest.raises(OSError):
            by_key()("GET", "/api/lineitems")
        assert len(rows(console("?route=memberships"))) == 1
        assert len(rows(console("?course=course-102"))) == 2
        (lost,) = rows(console("?errors=1"))
        assert "no answer" in lost
        assert rows(console("?route=lineitems&course=course-102&errors=1")) == []

    def test_comes_in_pages(self, console, by_key):
        caller = by_key()
        for number in range(55):
            caller("GET", f"/api/lineitems?tag=t{number}")
        html = console("?route=lineitems")
        assert len(rows(html)) == 50
        older = next(one["href"] for one in elements(html).all("a") if "before=" in one["href"])
        last = rows(console(older.replace("/console/", "").replace("&amp;", "&")))
        assert [re.findall(r"tag=t\d+", one)[:1] for one in last] == [[f"tag=t{number}"] for number in (4, 3, 2, 1, 0)]

    @pytest.mark.parametrize("query", ["?before=x", "?before=²", "?before=0", "?route=odd", f"?course={quote(EVIL)}"])
    def test_an_odd_address_is_a_page_all_the_same(self, console, query):
        assert EVIL not in console(query)

    def test_is_cleared(self, sandbox, submit, by_ltik):
        by_ltik()("GET", "/api/idtoken")
        assert "Nothing came to the API yet" in submit("", action="clear")
        assert sandbox.requests == []


class TestOneRequest:
    def test_shows_it_in_full(self, console, by_key, quiz_1):
        by_key().post_score(quiz_1, "2002", scoreGiven=5.5, scoreMaximum=10, comment="Good “work”")
        html = console("requests/2/")
        assert f"POST</strong> <code>/api/lineitems/{quiz_1.replace('&', '&amp;')}/scores" in html
        assert quote(quiz_1, safe="") in html
        assert "POST /api/lineitems/{id}/scores</code>: Submit one score" in html
        assert "&quot;comment&quot;: &quot;Good “work”&quot;" in html
        assert "Introduction to Statistics" in html
        assert "Liam O&#x27;Brien (2002)" in html

    def test_shows_the_answer_of_a_refusal(self, console, by_key):
        by_key()("GET", "/api/memberships?role=x&odd=1")
        html = console("requests/2/")
        assert "INVALID_QUERY_PARAMETER" in html
        assert "<dt><code>odd</code></dt><dd><code>1</code></dd>" in html

    def test_says_so_when_the_contract_has_no_such_call(self, console, by_key):
        by_key()("PATCH", "/api/nothing/here")
        assert "has no such call" in console("requests/2/")

    def test_of_an_unknown_number_is_a_readable_page(self, console):
        assert "holds no such request" in console("requests/99/", 404)

    def test_leads_to_a_fault_for_its_like(self, console, by_key):
        by_key()("GET", "/api/memberships")
        link = next(one["href"] for one in elements(console("requests/2/")).all("a") if "#kinds" in one["href"])
        form = console(link.replace("/console/", ""))
        assert "<option selected>memberships</option>" in form
        assert 'value="course-101"' in form

    def test_the_contract_names_every_call_that_the_api_answers(self):
        known = {
            (method, f"/{'/'.join(pattern)}".replace("deeplinking/{}", "deeplinking/form").replace("{}", "{id}"))
            for pattern, by_method in api._OPERATIONS.items()
            for method in by_method
            if pattern[0] == "api"
        }
        assert known == calls.CALLS.keys()


class TestStrangersTexts:
    def test_in_a_body_a_path_or_a_name_are_shown_and_not_obeyed(self, sandbox, console, by_key, quiz_1):
        caller = by_key()
        sandbox.course("course-101").rename_person("2002", EVIL)
        caller.post_score(quiz_1, "2002", comment=EVIL)
        caller("GET", f"/api/{quote(EVIL, safe='')}?{quote(EVIL)}={quote(EVIL)}")
        caller("GET", "/api/lineitems", headers={"Authorization": f"{EVIL} x"})
        sandbox.fault("status", status=500, body=EVIL, route="lineitems")
        caller("GET", "/api/lineitems")
        sandbox.fault("status", status=500, path_prefix=EVIL, course=EVIL, person=EVIL)
        pages = [console(), console("faults/"), *(console(f"requests/{number}/") for number in range(1, 6))]
        for html in pages:
            assert EVIL not in html
        assert all("&lt;script&gt;" in html for html in [pages[0], pages[1], *pages[3:]])

    def test_secrets_show_nowhere(self, sandbox, console, by_key, quiz_1):
        caller = by_key()
        [ltik], [key] = sandbox.launches.ltiks(), sandbox.launches.service_keys()
        caller.post_score(quiz_1, "2002", comment=f"{ltik} {key}")
        hidden = "".join(f"%{byte:02x}" for byte in ltik.encode())
        caller("GET", f"/api/{ltik}/{hidden}?x={hidden}&y={quote(hidden)}")
        html = "".join(console(path) for path in [*PAGES, "requests/1/", "requests/2/", "requests/3/"])
        for secret in (ltik, key):
            assert secret[:40] not in html
            assert secret[-40:] not in html
        assert hidden[-120:] not in html

    def test_the_api_key_shows_on_the_tools_page_alone(self, sandbox, console, by_key):
        by_key()("GET", "/api/memberships")
        key = sandbox.api_key.replace("'", "&#x27;")
        assert [path for path in [*PAGES, "requests/1/"] if key in console(path)] == ["tool/"]


class TestFaults:
    def test_a_form_plans_one(self, submit, by_key, quiz_1):
        caller = by_key()
        html = submit(
            "faults/",
            action="plan",
            kind="status",
            status="429",
            retry_after="7",
            body='{"slow": "down"}',
            route="scores",
            course="course-101",
            person="2002",
            times="1",
        )
        assert "Another status: 429, once" in html
        assert caller.post_score(quiz_1, "2001").status_code == 204
        response = caller.post_score(quiz_1, "2002")
        assert (response.status_code, response.headers["Retry-After"], response.json()) == (429, "7", {"slow": "down"})
        assert caller.post_score(quiz_1, "2002").status_code == 204

    @pytest.mark.parametrize(
        ("kind", "status"),
        [
            ("gateway", 502),
            ("refused_key", 401),
            ("tool_removed", 403),
            ("throttle", 429),
            ("drop_before", None),
            ("drop_after", None),
            ("cut", None),
        ],
    )
    def test_each_kind_does_what_it_says(self, submit, by_key, kind, status):
        caller = by_key()
        submit("faults/", action="plan", kind=kind, always="1", times="1")
        for _time in range(2):
            if status is None:
                with pytest.raises(OSError):
                    caller("GET", "/api/lineitems")
            else:
                assert caller("GET", "/api/lineitems").status_code == status

    def test_an_ltik_is_refused(self, submit, by_ltik):
        submit("faults/", action="plan", kind="expired_ltik")
        caller = by_ltik()
        assert [caller("GET", "/api/idtoken").status_code for _time in range(2)] == [401, 200]

    def test_a_delay_and_a_hang_take_their_seconds(self, submit, by_key):
        caller = by_key()
        submit("faults/", action="plan", kind="delay", delay="0.2")
        slow = caller("GET", "/api/lineitems")
        assert slow.status_code == 200
        assert slow.elapsed.total_seconds() > 0.19
        submit("faults/", action="plan", kind="hang", delay="0.1")
        with pytest.raises(OSError):
            caller("GET", "/api/lineitems")

    def test_with_one_button(self, sandbox, submit, by_key, quiz_1):
        caller = by_key()
        submit("faults/", action="common", fault="score_lost")
        with pytest.raises(OSError):
            caller.post_score(quiz_1, "2001", scoreGiven=5, scoreMaximum=10)
        assert [cell.score for cell in sandbox.gradebook("course-101")] == [5]

    def test_every_button_plans_something(self, sandbox, console, submit):
        buttons = [one["value"] for one in elements(console("faults/")).all("button") if one.get("name") == "fault"]
        for button in buttons:
            submit("faults/", action="common", fault=button)
        assert len(sandbox.faults.waiting()) == len(buttons) > 5

    def test_are_taken_back(self, sandbox, submit):
        first, second = sandbox.fault("gateway"), sandbox.fault("throttle")
        submit("faults/", action="take_back", number=str(first.number))
        assert sandbox.faults.waiting() == [second]
        assert "does not wait" in submit("faults/", 404, action="take_back", number=str(first.number))
        submit("faults/", action="clear")
        assert sandbox.faults.waiting() == []

    def test_what_cannot_be_is_said_and_kept_in_the_form(self, sandbox, submit):
        html = submit("faults/", 400, action="plan", kind="status", status="99", person="2002", course="course-101")
        assert "`status` is a number from 200 to 599." in html
        assert 'value="99"' in html
        assert 'value="2002"' in html
        assert sandbox.faults.waiting() == []

    @pytest.mark.parametrize(
        ("fields", "status"),
        [
            ({"kind": "odd"}, 400),
            ({}, 400),
            ({"kind": "gateway", "course": "nope"}, 404),
            ({"kind": "gateway", "person": "nope"}, 404),
            ({"kind": "gateway", "course": "course-102", "person": "2001"}, 404),
            ({"kind": "gateway", "times": "1.5"}, 400),
            ({"kind": "gateway", "times": "٣"}, 400),
            ({"kind": "gateway", "times": "0"}, 400),
            ({"kind": "gateway", "route": "odd"}, 400),
            ({"kind": "delay"}, 400),
            ({"kind": "delay", "delay": "nan"}, 400),
            ({"kind": "delay", "delay": "1e9"}, 400),
            ({"kind": "status", "status": "500", "body": "{"}, 400),
            ({"kind": "status", "status": "500", "retry_after": "1\r\nx: y"}, 400),
        ],
    )
    def test_bad_input_is_a_readable_page(self, sandbox, submit, fields, status):
        assert 'role="alert"' in submit("faults/", status, action="plan", **fields)
        assert sandbox.faults.waiting() == []

    def test_ltiks_end_and_keys_are_refused(self, submit, by_ltik, by_key):
        launch, service = by_ltik(), by_key()
        assert "have ended: 2." in submit("faults/", action="expire")
        assert launch("GET", "/api/idtoken").status_code == 401
        assert "from now on: 0." in submit("faults/", action="revoke", revoke_course="course-102")
        assert service("GET", "/api/lineitems").status_code == 200
        assert "from now on: 2." in submit("faults/", action="revoke", revoke_course="")
        assert service("GET", "/api/lineitems").status_code == 401
        submit("faults/", 404, action="revoke", revoke_course="nope")


class TestLms:
    def test_tells_every_quirk_and_its_source(self, sandbox, console):
        sandbox.set_profile("canvas")
        html = console("lms/").replace("&#x27;", "'")
        for quirk in sandbox.profile.quirks:
            assert quirk.text in html
            assert quirk.source in html

    def test_switches(self, sandbox, submit, by_key):
        sandbox.set_profile("canvas")
        submit("lms/school/", action="switch", places="0.01", pageSize="2", anonymous="1", allowedAttempts="3")
        assert (sandbox.profile.page_size, sandbox.profile.anonymous) == (2, True)
        assert (sandbox.profile.says_concluded, sandbox.profile.allowed_attempts) == (False, 3)
        members = by_key().json("/api/memberships")["members"]
        assert len(members) == 2
        assert "name" not in members[0]
        submit("lms/school/", action="switch", places="0.01", pageSize="")
        assert sandbox.profile.page_size is None

    def test_a_switch_of_words(self, sandbox, submit):
        sandbox.set_profile("generic_strict")
        submit("lms/school/", action="switch", places="1", pageSize="2", trouble="endless")
        assert sandbox.profile.trouble == "endless"
        assert "must be one of" in submit("lms/school/", 400, action="switch", places="1", trouble="odd")
        assert sandbox.profile.trouble == "endless"

    @pytest.mark.parametrize("size", ["0", "-1", "x", "1.5", "٣"])
    def test_what_is_no_page_size_changes_nothing(self, sandbox, submit, size):
        assert "`pageSize` must be" in submit("lms/school/", 400, action="switch", pageSize=size, anonymous="1")
        assert (sandbox.profile.page_size, sandbox.profile.anonymous) == (3, False)

    def test_another_lms_is_asked_about_first(self, sandbox, submit, by_ltik):
        launch = by_ltik()
        before = sandbox.school.platform_id
        question = submit("lms/school/", 200, action="profile", profile="moodle")
        assert "another platform" in question
        assert sandbox.profile.name == "plain"
        assert launch("GET", "/api/idtoken").status_code == 200
        submit("lms/school/", action="profile", profile="moodle", sure="yes")
        assert sandbox.profile.name == "moodle"
        assert sandbox.school.platform_id != before
        assert sandbox.school.platform_id in question
        assert launch("GET", "/api/idtoken").status_code == 401
        assert 'role="alert"' in submit("lms/school/", 400, action="profile", profile="odd", sure="yes")

    def test_each_school_has_its_own(self, sandbox, console, submit):
        sandbox.add_school("north", "North High", profile="blackboard")
        assert "North High" in console("lms/")
        submit("lms/north/", action="switch", places="1", pageSize="7", showsLeavers="1")
        assert (sandbox.profile.page_size, sandbox.schools["north"].profile.page_size) == (3, 7)
        assert "There is no school" in console("lms/nope/", 404)


class TestClock:
    def test_moves_and_is_put_back(self, sandbox, submit, by_ltik):
        launch = by_ltik()
        assert "1 day, 1:00:00 ahead of" in submit("clock/", action="advance", seconds="90000")
        assert launch("GET", "/api/idtoken").status_code == 401
        assert "shows the real time" in submit("clock/", action="reset")
        assert "0:00:30 behind" in submit("clock/", action="advance", seconds="-30")

    @pytest.mark.parametrize("seconds", ["", "soon", "nan", "1e99"])
    def test_what_is_no_duration_is_said(self, sandbox, submit, seconds):
        assert 'role="alert"' in submit("clock/", 400, action="advance", seconds=seconds)
        assert not sandbox.clock.offset

    @pytest.mark.usefixtures("elsewhere")
    def test_shows_universal_time_wherever_the_tool_lives(self, sandbox, console, by_ltik):
        by_ltik()("GET", "/api/idtoken")
        assert f"{sandbox.clock.now():%Y-%m-%d %H:}" in console("clock/")
        assert rows(console())[0].startswith(f"{sandbox.requests[0].at:%H:%M:%S}")

    @pytest.fixture
    def elsewhere(self, settings):
        settings.TIME_ZONE = "Asia/Kathmandu"


class TestTool:
    def test_shows_what_the_tool_must_be_told(self, server, console):
        html = console("tool/").replace("&quot;", '"').replace("&#x27;", "'")
        assert f'LTIAAS = {{"URL": "{server.url}", "API_KEY": "the-account\'s:key"}}' in html
        assert '<a href="/control/state/">' in html

    def test_takes_another_address(self, sandbox, submit):
        submit("tool/", action="tool_url", tool_url="https://tool.example/launch/")
        assert sandbox.launch_url("course-101", "quiz-1", "2001").startswith("https://tool.example/launch/?ltik=")
        html = submit("tool/", 400, action="tool_url", tool_url="javascript:alert(1)")
        assert "must be a URL" in html
        assert 'value="javascript:alert(1)"' in html
        assert sandbox.tool_url == "https://tool.example/launch/"


class TestState:
    def test_a_reset_is_asked_about_first(self, sandbox, submit):
        sandbox.course("course-101").remove_person("2001")
        assert "Yes, begin anew" in submit("state/", 200, action="reset", scenario="small")
        assert not sandbox.course("course-101").enrolment("2001").is_active
        submit("state/", action="reset", scenario="small", sure="yes")
        assert sandbox.course("course-101").enrolment("2001").is_active
        submit("state/", 400, action="reset", scenario="odd", sure="yes")

    def test_is_taken_along_as_a_file(self, sandbox, browse, submit, by_key, quiz_1):
        by_key().post_score(quiz_1, "2002", scoreGiven=4.5, scoreMaximum=10, comment=EVIL)
        sandbox.set_profile("canvas")
        saved = browse("/console/state/export/")
        assert saved.headers["Content-Disposition"].startswith("attachment")
        assert not any(secret[:40] in saved.text for secret in sandbox.secrets())
        sandbox.reset("small")
        files = {"file": ("state.json", saved.content, "application/json")}
        response = browse("/console/state/", "POST", data={"action": "load"}, files=files)
        assert response.status_code == 303, response.text
        assert [(cell.user_id, cell.score, cell.comment) for cell in sandbox.gradebook("course-101")] == [
            ("2002", Decimal("4.5"), EVIL)
        ]
        assert sandbox.profile.name == "canvas"
        submit("state/", action="reset", scenario=sandbox.scenario, sure="yes")
        assert sandbox.profile.name == "canvas"

    @pytest.mark.parametrize("content", [b"", b"no", b"\xff", b"[]", b"{}", b'{"format": 1}', b"[" * 100_000])
    def test_what_is_no_such_file_changes_nothing(self, sandbox, browse, content):
        files = {"file": ("state.json", content, "application/json")}
        response = browse("/console/state/", "POST", data={"action": "load"}, files=files)
        assert response.status_code == 400
        assert 'role="alert"' in response.text
        assert "course-101" in sandbox.courses

    def test_a_file_must_be_chosen(self, submit):
        assert "Choose a file." in submit("state/", 400, action="load")


@pytest.mark.parametrize("path", ["", "faults/", "lms/", "clock/", "tool/", "state/"])
class TestForms:
    @pytest.mark.parametrize("fields", [{}, {"action": "odd"}, {"action": EVIL}])
    def test_that_say_nothing_known_are_refused_on_their_page(self, submit, path, fields):
        html = submit(path, 400, **fields)
        assert "does not say what to do" in html
        assert EVIL not in html

    def test_of_another_site_do_nothing(self, sandbox, browse, path):
        sandbox.fault("gateway")
        headers = {"Sec-Fetch-Site": "cross-site"}
        response = browse(f"/console/{path}", "POST", data={"action": "clear"}, headers=headers)
        assert response.status_code == 400
        assert "another site" in response.text
        assert len(sandbox.faults.waiting()) == 1

    def test_that_cannot_be_read_are_a_readable_page(self, browse, path):
        headers = {"Content-Type": "multipart/form-data; boundary="}
        response = browse(f"/console/{path}", "POST", data=b"x", headers=headers)
        assert response.status_code == 400
        assert "could not be read" in response.text
