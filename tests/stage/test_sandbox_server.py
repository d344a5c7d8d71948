"""The sandbox over real sockets: keep-alive, faults, the log of requests, several at once, the management command."""

from __future__ import annotations

import concurrent.futures
import http.client
import logging
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from urllib.parse import urlsplit

import pytest
import requests
from django.core.management import call_command
from django.core.management.base import CommandError

from ltiaas_django.sandbox import Sandbox, SandboxServer
from ltiaas_django.sandbox.profiles import PROFILES

from .test_sandbox_api import item_path


def ask(server, request: bytes) -> bytes:
    """What comes back for these bytes, up to the end of the connection."""
    parts = urlsplit(server.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=10) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def ours(records: list[logging.LogRecord]) -> str:
    """What was logged, but for what the HTTP client at the other end says of itself."""
    return "\n".join(record.getMessage() for record in records if not record.name.startswith("urllib3"))


class TestConnections:
    def test_many_requests_on_one_connection(self, server):
        connection = http.client.HTTPConnection(server.host, server.port, timeout=10)
        sockets = set()
        for method, path, body in (
            ("GET", "/", None),
            ("POST", "/api/lineitems", b'{"unread": true}'),
            ("HEAD", "/", None),
            ("POST", "/control/clock/", b"nonsense"),
            ("GET", "/api/idtoken", None),
        ):
            connection.request(method, path, body)
            response = connection.getresponse()
            assert response.status in (200, 400, 401)
            response.read()
            sockets.add(connection.sock)
        assert len(sockets) == 1
        assert None not in sockets
        connection.close()

    def test_chunked_body_does_not_become_the_next_request(self, server):
        head = b"POST /control/reset/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        answer = ask(server, head + b"1c\r\nGET /control/secrets/ HTTP/1.1\r\n\r\n0\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 411 ")
        assert answer.count(b"HTTP/1.1") == 1

    @pytest.mark.parametrize("target", [b"*", b"http://x/api/idtoken", b"/%00", b"/courses/%FF/", b"/\xff", b"/api/%"])
    def test_odd_targets_are_refused(self, server, target):
        answer = ask(server, b"GET " + target + b" HTTP/1.1\r\nHost: x\r\n\r\n")
        assert re.match(rb"HTTP/1.1 (400|401|404) ", answer)

    def test_double_slash_of_the_official_python_client(self, server, by_ltik):
        authorization = by_ltik().authorization.encode()
        answer = ask(server, b"GET //api/idtoken HTTP/1.1\r\nHost: x\r\nAuthorization: " + authorization + b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 200 ")

    def test_stopping_ends_connections_that_are_kept_alive(self, sandbox):
        server = SandboxServer(sandbox).start()
        with requests.Session() as session:
            session.trust_env = False
            assert session.get(server.url, timeout=10).ok
            server.stop()
            with pytest.raises(requests.ConnectionError):
                session.get(server.url, timeout=10)

    def test_two_sandboxes_side_by_side(self, sandbox, server, session):
        other = Sandbox(api_key="other")
        with SandboxServer(other) as second:
            other.course("course-101").add_person("Only Here")
            pages = [
                session.get(f"{url}/courses/course-101/people/", timeout=10).text for url in (server.url, second.url)
            ]
        assert ["Only Here" in page for page in pages] == [False, True]

    def test_fifty_scores_at_once_are_all_kept(self, sandbox, by_key, quiz_1):
        course = sandbox.course("course-101")
        people = [course.add_person(f"Person {number}").id for number in range(50)]
        caller = by_key()

        def post(user_id):
            headers = {"Authorization": caller.authorization}
            score = {"userId": user_id, "activityProgress": "Completed", "gradingProgress": "FullyGraded"}
            score |= {"scoreGiven": 1, "scoreMaximum": 1}
            url = caller.url + item_path(quiz_1, "/scores")
            return requests.post(url, json=score, headers=headers, timeout=30).status_code

        with concurrent.futures.ThreadPoolExecutor(50) as pool:
            assert set(pool.map(post, people)) == {204}
        assert {cell.user_id for cell in sandbox.gradebook("course-101")} == set(people)

    def test_nothing_it_logs_holds_a_credential(self, sandbox, browse, by_key, caplog):
        with caplog.at_level(logging.DEBUG):
            assert browse("/courses/course-101/activities/quiz-1/launch/?person=2001").status_code == 302
            by_key()("GET", "/api/memberships")
            ltik = sandbox.launch("course-101", "quiz-1", "2001")
            browse(f"/?ltik={ltik}")
            browse("/?the=last")
            deadline = time.monotonic() + 10
            while "the=last" not in (logged := ours(caplog.records)) and time.monotonic() < deadline:
                time.sleep(0.01)  # a request is logged after it was answered
        assert "GET /?ltik=" in logged
        assert not [secret for secret in sandbox.secrets() if secret in logged]


def test_host_project_s_settings_change_nothing(settings, sandbox, browse, by_key):
    settings.MIDDLEWARE = ["no.such.Middleware"]
    settings.ROOT_URLCONF = "no.such.urls"
    settings.TEMPLATES = []
    settings.ALLOWED_HOSTS = []
    settings.LANGUAGE_CODE = "de"
    settings.USE_THOUSAND_SEPARATOR = True
    item = sandbox.course("course-101").add_line_item("quiz-2", 2500)
    caller = by_key()
    assert caller.post_score(item.id, "2001", scoreGiven="x").status_code == 400
    assert caller.post_score(item.id, "2001", scoreGiven=1234.5, scoreMaximum=2500).status_code == 204
    assert "1234.5 / 2500" in browse("/courses/course-101/gradebook/").text


class TestFaults:
    def test_answer_in_place_of_the_real_one_so_many_times(self, sandbox, by_key):
        caller = by_key()
        sandbox.fail_next(
            "/api/memberships",
            status=403,
            body="403 Forbidden (Rate Limit Exceeded)\n",
            headers={"X-Rate-Limit-Remaining": "0.0"},
            times=2,
        )
        answers = [caller("GET", "/api/memberships") for _ in range(3)]
        assert [answer.status_code for answer in answers] == [403, 403, 200]
        assert answers[0].text == "403 Forbidden (Rate Limit Exceeded)\n"
        assert answers[0].headers["Content-Type"] == "text/plain"
        assert answers[0].headers["X-Rate-Limit-Remaining"] == "0.0"

    def test_only_its_path_and_method(self, sandbox, by_key, quiz_1):
        caller = by_key()
        sandbox.fail_next("/api/lineitems", status=500, body={"a": 1}, method="post")
        assert caller("GET", "/api/lineitems").status_code == 200
        assert caller("GET", "/api/memberships").status_code == 200
        answer = caller.post_score(quiz_1, "2001", scoreGiven=1, scoreMaximum=1)
        assert (answer.status_code, answer.json()) == (500, {"a": 1})
        assert sandbox.gradebook("course-101") == []

    @pytest.mark.parametrize("after_storing", [False, True])
    def test_drop_before_or_after_the_score_is_stored(self, sandbox, by_key, quiz_1, after_storing):
        caller = by_key()
        sandbox.fail_next("/api/lineitems", drop=True, after_storing=after_storing)
        with pytest.raises(requests.ConnectionError):
            caller.post_score(quiz_1, "2001", scoreGiven=1, scoreMaximum=1)
        assert len(sandbox.gradebook("course-101")) == int(after_storing)
        assert sandbox.requests[-1].status is None
        assert caller("GET", "/api/lineitems").status_code == 200

    def test_delay_alone_changes_nothing_else_and_holds_up_nobody(self, sandbox, by_key):
        caller = by_key()
        sandbox.fail_next("/api/memberships", delay=1.5)
        began = time.monotonic()
        slow = threading.Thread(
            target=lambda: requests.get(
                f"{caller.url}/api/memberships", headers={"Authorization": caller.authorization}, timeout=10
            )
        )
        slow.start()
        while sandbox.requests[-1].path != "/api/memberships":
            time.sleep(0.01)
        assert caller("GET", "/api/lineitems").status_code == 200
        assert time.monotonic() - began < 1.5
        slow.join()
        assert time.monotonic() - began >= 1.5
        assert next(one for one in sandbox.requests if one.path == "/api/memberships").status == 200

    def test_caller_that_times_out_while_the_score_is_stored(self, sandbox, by_key, quiz_1):
        caller = by_key()
        sandbox.fail_next("/api/lineitems", status=504, body="<html>", content_type="text/html", after_storing=True)
        answer = caller.post_score(quiz_1, "2001", scoreGiven=1, scoreMaximum=1)
        assert (answer.status_code, answer.headers["Content-Type"]) == (504, "text/html")
        assert len(sandbox.gradebook("course-101")) == 1


def test_requests_are_recorded_without_secrets(sandbox, by_key, quiz_1):
    caller = by_key()
    caller.post_score(quiz_1, "2001", scoreGiven=0.1, scoreMaximum=1)
    caller("GET", f"/api/memberships?ltik={sandbox.launch('course-101', 'quiz-1', '2001')}")
    id_token, score, mistake = sandbox.requests
    assert (id_token.method, id_token.path, id_token.scheme) == ("GET", "/api/idtoken", "LTIK-AUTH-V2")
    assert (score.path, score.scheme) == (item_path(quiz_1, "/scores"), "SERVICE-AUTH-V1")
    assert (score.status, score.body["scoreGiven"]) == (204, 0.1)
    assert mistake.status == 400
    assert not [secret for secret in sandbox.secrets() if secret in repr(sandbox.requests)]


def test_reset_brings_back_the_start(sandbox, by_key):
    caller = by_key()
    sandbox.course("course-101").remove_person("2001")
    sandbox.add_course("course-103", "More")
    sandbox.fail_next("/api", status=500)
    sandbox.reset()
    assert set(sandbox.courses) == {"course-101", "course-102"}
    assert caller("GET", "/api/memberships").status_code == 401
    assert "2001" in sandbox.course("course-101").gradable()
    assert sandbox.secrets() == set()


class TestCommand:
    def test_profiles_are_listed_with_their_quirks_and_sources(self, capsys):
        call_command("ltiaas_sandbox", "--profiles")
        told = capsys.readouterr().out
        assert [line.partition(":")[0] for line in told.splitlines() if line[:1].strip()] == [*PROFILES]
        words = " ".join(told.split())
        assert all(
            f" {quirk.id} {quirk.text} [{quirk.source}]" in words
            for profile in PROFILES.values()
            for quirk in profile.quirks
        )

    @pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
    def test_says_where_it_is_and_stops_cleanly(self, stop):
        command = [sys.executable, "-W", "error", "-m", "django", "ltiaas_sandbox", "--port", "0", "--api-key", "k"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ)
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            (url,) = re.findall(r"http://127\.0\.0\.1:\d+", line)
            platforms = requests.get(f"{url}/api/platforms", headers={"Authorization": "Bearer k"}, timeout=10)
            assert platforms.status_code == 200
            process.send_signal(stop)
            out, err = process.communicate(timeout=10)
        finally:
            process.kill()
            process.communicate()
        assert (process.returncode, out, err) == (0, "", "")

    def test_port_in_use(self, server):
        with pytest.raises(CommandError, match=rf"^Cannot listen on 127\.0\.0\.1:{server.port}: .*in use\.$"):
            call_command("ltiaas_sandbox", port=server.port)

    @pytest.mark.parametrize(
        "arguments",
        [
            ["--port", "70000"],
            ["--port", "x"],
            ["--tool-url", "ftp://x/"],
            ["--tool-url", "launch/"],
            ["--api-key", ""],
            ["--api-key", "ä"],
        ],
    )
    def test_wrong_arguments(self, arguments):
        with pytest.raises(CommandError, match=arguments[0]):
            call_command("ltiaas_sandbox", *arguments)

    def test_https_with_a_certificate_of_its_own(self):
        command = [sys.executable, "-W", "error", "-m", "django", "ltiaas_sandbox", "--port", "0", "--https"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ)
        try:
            assert process.stdout is not None
            (url,) = re.findall(r"https://127\.0\.0\.1:\d+/", process.stdout.readline())
            certificate = pathlib.Path(process.stdout.readline().rpartition(": ")[2].strip())
            assert requests.get(url, verify=str(certificate), timeout=10).ok
            with pytest.raises(requests.exceptions.SSLError):
                requests.get(url, timeout=10)
            key = certificate.with_name("key.pem")
            assert key.stat().st_mode & 0o077 == 0
            process.send_signal(signal.SIGINT)
            assert process.communicate(timeout=10) == ("", "")
        finally:
            process.kill()
            process.communicate()
        assert not certificate.parent.exists()
