"""`ltiaas_doctor`: on a healthy site, on one for each thing that can be broken, and with nobody at the other end."""

from __future__ import annotations

import io
import json
import logging
import os
import pathlib
import re
import subprocess
import sys
import uuid
from collections.abc import Iterator
from datetime import timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from celery import Celery, current_app
from celery.contrib.testing.worker import start_worker
from django.core.management import CommandError, call_command
from django.db import DatabaseError, OperationalError
from django.db.migrations.recorder import MigrationRecorder
from django.http import HttpResponse, HttpResponseRedirect
from django.utils import timezone

from ltiaas_django import schedules, tasks
from ltiaas_django.models import Heartbeat
from ltiaas_django.operations import passes
from ltiaas_django.operations.doctor import examining, outside, stored, visit, workers
from ltiaas_django.testing import factories
from tests.lms import Lms
from tests.wires.misbehaving import Server, reply

pytestmark = pytest.mark.django_db

ROOT = pathlib.Path(__file__).parent.parent.parent
SECRET = "hush-hush-0123456789"


def run(*arguments: str) -> tuple[int, str]:
    """Exit status and what was written."""
    out = io.StringIO()
    try:
        call_command("ltiaas_doctor", *arguments, stdout=out)
    except SystemExit as end:
        return int(str(end.code)), out.getvalue()
    return 0, out.getvalue()


def findings(*names: str, offline: bool = False) -> list[dict[str, str]]:
    """What is found about these things."""
    options = [f"--only={name}" for name in names] + (["--offline"] if offline else [])
    _, said = run("--json", *options)
    found: list[dict[str, str]] = json.loads(said)["findings"]
    return found


def only(name: str) -> dict[str, str]:
    """The one finding about this."""
    (found,) = findings(name)
    return found


@pytest.fixture
def public(settings: Any) -> None:
    """The settings of a public site: nothing to find fault with."""
    settings.ALLOWED_HOSTS = ["quiz.example.edu"]
    settings.SECURE_SSL_REDIRECT = settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = True
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> Iterator[Celery]:
    """A Celery app with our schedule, the current one for this test; nobody answers for it."""
    monkeypatch.setattr(workers, "ANSWER", 0.1)
    former, root = current_app._get_current_object(), logging.getLogger()  # type: ignore[attr-defined]
    level, handlers = root.level, root.handlers[:]
    yield make_app("memory://")
    root.handlers[:] = handlers  # a worker takes logging for its own
    root.setLevel(level)
    former.set_current()
    former.set_default()  # a worker in this process has put its own app there


def make_app(broker: str) -> Celery:
    # Without the one for Django: where a worker starts, it closes this process's connections to the database.
    app = Celery("mysite", broker=broker, set_as_current=True, fixups=[])
    app.conf.beat_schedule = schedules.nightly()
    app.conf.worker_hijack_root_logger = False
    # The broker in memory is the whole process's: what other tests have left in it is not for a worker of these.
    app.conf.task_default_queue = f"doctor-{uuid.uuid4().hex}"
    return app


# --- a healthy site ---------------------------------------------------------------------------------------------------


def test_a_healthy_site(lms: Lms, public: None, app: Celery, monkeypatch: pytest.MonkeyPatch) -> None:
    factories.ServiceKeyFactory()
    tasks.tick()
    with start_worker(app, perform_ping_check=False, pool="solo", loglevel="ERROR", shutdown_timeout=30):
        monkeypatch.setattr(workers, "ANSWER", 5.0)
        status, said = run("--strict")
    assert status == 0, said
    lines = said.splitlines()
    assert [line.split()[2] for line in lines[:-1]] == list(examining.NAMES)
    assert {line[:4] for line in lines[:-1]} == {"✓ ok"}
    assert "launch URL: https://quiz.example.edu/lti/launch/" in said
    assert lines[-1] == "All is well."


def test_a_developers_site_gets_advice_and_no_problem(lms: Lms, settings: Any) -> None:
    settings.DEBUG, settings.ALLOWED_HOSTS = True, []
    status, said = run("--offline", "--only=https", "--only=launch", "--only=cookies", "--only=ltiaas")
    assert status == 0, said
    assert "! advice   https" in said
    assert "http://127.0.0.1:8000/lti/launch/" in said
    assert "– skipped  ltiaas       Not looked at: --offline." in said
    assert said.endswith("No problem, 1 piece of advice.\n")
    assert run("--offline", "--only=https", "--strict")[0] == 1


def test_arguments_that_make_no_sense() -> None:
    with pytest.raises(CommandError, match="invalid choice"):
        run("--only=nothing")


# --- the site's settings, one thing broken at a time ------------------------------------------------------------------

LTI = "ltiaas_django.middleware.LtiMiddleware"
SESSIONS = "django.contrib.sessions.middleware.SessionMiddleware"
AUTHENTICATION = "django.contrib.auth.middleware.AuthenticationMiddleware"
HERE = "tests.faces.test_doctor"
BROKEN = [
    ("settings", {"LTIAAS": {"URL": "https://a.ltiaas.com"}}, "problem", "API_KEY", 'LTIAAS = {"API_KEY"', "E003"),
    ("settings", {"LTIAAS": [SECRET]}, "problem", "dict", "LTIAAS = {", "E001"),
    ("settings", {"LTIAAS": {"URL": "ftp://a", "API_KEY": SECRET}}, "problem", "http(s)", '"URL":', "E004"),
    ("settings", {"LTIAAS": {"URL": "http://a.b", "API_KEY": SECRET}}, "problem", "in clear", '"URL":', "W001"),
    ("settings", {"USE_TZ": False}, "problem", "USE_TZ is off", "Write USE_TZ = True.", "E012"),
    ("settings", {"SESSION_COOKIE_SAMESITE": "Strict"}, "advice", "is Strict", '"Lax"', "W007"),
    ("middleware", {"MIDDLEWARE": [SESSIONS, AUTHENTICATION]}, "problem", "not in MIDDLEWARE", LTI, "E008"),
    ("middleware", {"MIDDLEWARE": [SESSIONS, LTI, AUTHENTICATION]}, "problem", "not the first", LTI, "E009"),
    ("middleware", {"MIDDLEWARE": [LTI, AUTHENTICATION, SESSIONS]}, "problem", "comes before", SESSIONS, ""),
    ("cookies", {"SESSION_COOKIE_PATH": "/quiz/"}, "problem", "below /quiz/", 'SESSION_COOKIE_PATH = "/"', ""),
    ("cookies", {"SESSION_COOKIE_SECURE": False}, "advice", "plain http", "SESSION_COOKIE_SECURE = True.", ""),
    ("cookies", {"SECURE_REFERRER_POLICY": "no-referrer"}, "problem", "Origin: null", '"same-origin"', ""),
    ("https", {"DEBUG": True}, "advice", "DEBUG is on", "Write DEBUG = False", ""),
    ("https", {"ALLOWED_HOSTS": []}, "problem", "ALLOWED_HOSTS is empty", "Write ALLOWED_HOSTS = [", ""),
    ("https", {"ALLOWED_HOSTS": ["*"]}, "advice", "every host", "Write ALLOWED_HOSTS = [", ""),
    ("https", {"SECRET_KEY": "django-insecure-" + "x1y2z3" * 9}, "problem", "guessed", "SECRET_KEY_FALLBACKS", ""),
    ("https", {"SECRET_KEY": ""}, "problem", "SECRET_KEY", "manage.py check", ""),
    ("https", {"SECURE_PROXY_SSL_HEADER": "https"}, "problem", "no pair", "SECURE_PROXY_SSL_HEADER = (", ""),
    ("https", {"SECURE_PROXY_SSL_HEADER": ("X-Forwarded-Proto", "https")}, "problem", "as Django", "HTTP_X_", ""),
    ("https", {"SECURE_SSL_REDIRECT": False}, "advice", "from http to https", "SECURE_SSL_REDIRECT = True", ""),
    ("https", {"SECURE_SSL_REDIRECT": False, "SECURE_PROXY_SSL_HEADER": None}, "advice", "Nothing tells", "proxy", ""),
    ("launch", {"ROOT_URLCONF": HERE}, "problem", "not mounted", 'path("lti/"', "W005"),
    ("launch", {"MIDDLEWARE": [LTI, f"{HERE}.AskForPassword"]}, "problem", "status 302 to /login/", "Exempt", ""),
    ("launch", {"MIDDLEWARE": [LTI, f"{HERE}.Broken"]}, "problem", "answers with an error", "log of the web", ""),
    ("launch", {"MIDDLEWARE": ["no.such.Middleware"]}, "problem", "(ModuleNotFoundError", "curl", ""),
    ("frames", {"MIDDLEWARE": [LTI, f"{HERE}.NoFrames"]}, "problem", "frame-ancestors 'none'", "admin", ""),
    ("frames", {"MIDDLEWARE": [LTI, f"{HERE}.DenyAlways"]}, "advice", "stays blank", "xframe_options_exempt", ""),
]

urlpatterns: list[Any] = []


class _Outer:
    def __init__(self, get_response: Any) -> None:
        self.get_response = get_response


class AskForPassword(_Outer):
    def __call__(self, request: Any) -> HttpResponse:
        return HttpResponseRedirect("/login/")


class Broken(_Outer):
    def __call__(self, request: Any) -> HttpResponse:
        raise RuntimeError(SECRET)


class NoFrames(_Outer):
    def __call__(self, request: Any) -> HttpResponse:
        response: HttpResponse = self.get_response(request)
        response.headers["Content-Security-Policy"] = "default-src 'self'; frame-ancestors 'none'"
        return response


class DenyAlways(_Outer):
    def __call__(self, request: Any) -> HttpResponse:
        response: HttpResponse = self.get_response(request)
        response.headers["X-Frame-Options"] = "DENY"
        return response


@pytest.mark.parametrize(("name", "changes", "level", "text", "hint", "code"), BROKEN)
def test_each_mistake_has_its_finding(
    name: str, changes: dict[str, Any], level: str, text: str, hint: str, code: str,
    public: None, settings: Any, caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    for setting, value in changes.items():
        setattr(settings, setting, value)
    found = [one for one in findings(name) if text in one["text"]]
    assert [one["level"] for one in found] == [level]
    assert hint in found[0]["hint"]
    assert found[0]["id"] == (code and f"ltiaas.{code}")
    assert SECRET not in str(found)
    assert caplog.text == "", "what is found is told, and not logged as an error of the site"


def test_a_policy_that_names_the_lms_is_told_and_fine(public: None, settings: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(NoFrames, "__call__", lambda self, request: self.get_response(request))
    assert only("frames")["level"] == "ok"


# --- the database -----------------------------------------------------------------------------------------------------


def test_a_dead_database_leaves_the_rest_to_be_looked_at(monkeypatch: pytest.MonkeyPatch, public: None) -> None:
    monkeypatch.setattr(visit.Visit, "database_trouble", "OperationalError: connection refused")
    found = {one["name"]: one for one in findings("database", "migrations", "keys", "beat", "deliveries", "launch")}
    assert found["database"]["level"] == "problem"
    assert "manage.py dbshell" in found["database"]["hint"]
    assert {found[name]["level"] for name in ("migrations", "keys", "beat", "deliveries")} == {"skipped"}
    assert found["launch"]["level"] == "ok"


def test_migrations_that_are_not_applied() -> None:
    assert only("migrations")["level"] == "ok"
    MigrationRecorder.Migration.objects.filter(app="ltiaas_django").delete()
    found = only("migrations")
    assert (found["level"], found["hint"]) == ("problem", "Type manage.py migrate.")
    assert "ltiaas_django.0001_initial" in found["text"]


def test_stored_keys_that_cannot_be_read(settings: Any) -> None:
    factories.ServiceKeyFactory()
    assert "1 stored keys, all readable, sealed with SECRET_KEY;" in only("keys")["text"]
    former, settings.SECRET_KEY = settings.SECRET_KEY, "of-tomorrow-" * 6
    factories.ServiceKeyFactory()
    found = only("keys")
    assert (found["level"], found["text"][:23]) == ("problem", "1 of 2 stored keys cann")
    assert "SECRET_KEY_FALLBACKS" in found["hint"]
    settings.SECRET_KEY_FALLBACKS = [former]
    found = only("keys")
    assert (found["level"], "1 of 2 stored keys are sealed with an older" in found["text"]) == ("advice", True)
    passes.reseal()
    assert only("keys")["level"] == "ok"


def test_deliveries_that_need_a_look() -> None:
    factories.ServiceKeyFactory(refused_at=timezone.now())
    factories.PlatformFactory(paused_until=timezone.now() + timedelta(hours=1))
    found = only("deliveries")
    assert (found["level"], found["hint"]) == ("advice", "Type manage.py ltiaas_status.")
    assert "1 keys refused, 1 LMSs paused." in found["text"]


# --- LTIAAS, dead in every way ----------------------------------------------------------------------------------------


def test_an_api_key_that_ltiaas_refuses(lms: Lms, settings: Any) -> None:
    settings.LTIAAS = {**settings.LTIAAS, "API_KEY": SECRET}
    found = only("ltiaas")
    assert (found["level"], "refuses the API key (401)" in found["text"]) == ("problem", True)
    assert 'LTIAAS = {"API_KEY":' in found["hint"]
    assert SECRET not in str(found)


def test_nobody_listens_there() -> None:
    found = findings("ltiaas", "clock")
    assert [one["level"] for one in found] == ["problem", "skipped"]
    assert "cannot be reached: ConnectionRefusedError" in found[0]["text"]
    assert "manage.py ltiaas_sandbox" in found[0]["hint"]


@pytest.mark.parametrize(
    ("answer", "level", "text", "hint"),
    [
        (reply(502, b"<html><h1>Bad Gateway</h1></html>"), "problem", "fails", "in a minute"),
        (reply(200, b"<html>Welcome to nginx!</html>"), "problem", "not as LTIAAS does", '"URL":'),
        (reply(404, b"nothing here"), "problem", "not as LTIAAS does", '"URL":'),
        (reply(301, b"", Location="https://elsewhere.example/"), "problem", "redirect", '"URL":'),
        (reply(429, b"{}", Retry_After="3600"), "advice", "no more calls just now", "in a minute"),
        (lambda peer: peer.wait(), "problem", "cannot be reached: No whole answer in time", "ltiaas_sandbox"),
        (lambda peer: peer.reset(), "problem", "cannot be reached: ConnectionResetError", "ltiaas_sandbox"),
    ],
    ids=["bad-gateway", "a-web-page", "not-found", "redirect", "throttled", "hangs", "cut"],
)
def test_something_else_answers(answer: Any, level: str, text: str, hint: str, settings: Any) -> None:
    with Server(answers=[answer]) as server:
        settings.LTIAAS = {"URL": server.url, "API_KEY": SECRET, "CALL_DEADLINE": 0.3 if "in time" in text else 10}
        found = only("ltiaas")
    assert (found["level"], text in found["text"], hint in found["hint"]) == (level, True, True), found
    assert "Traceback" not in str(found)


def test_a_slow_answer_is_told(lms: Lms, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outside, "SLOW", 0.0)
    found = only("ltiaas")
    assert (found["level"], "people wait for that" in found["text"], "curl" in found["hint"]) == ("advice", True, True)


@pytest.mark.parametrize(("seconds", "way"), [(90, "behind"), (-90, "ahead of"), (-7200, "ahead of")])
def test_a_clock_that_is_wrong(seconds: float, way: str, settings: Any) -> None:
    with Server() as server:
        date = format_datetime(timezone.now() + timedelta(seconds=seconds), usegmt=True)
        server.answer_with(reply(200, [], Date=date))
        settings.LTIAAS = {"URL": server.url, "API_KEY": SECRET}
        found = only("clock")
    assert (found["level"], "timedatectl" in found["hint"]) == ("problem", True), found
    said = re.search(rf"(\d+) s {way}", found["text"])
    assert said is not None
    assert abs(int(said[1]) - abs(seconds)) <= 5, "the header tells whole seconds, and the machine may be busy"


@pytest.mark.parametrize("date", ["", "yesterday", "Mon, 99 Foo 2026 00:00:00 GMT"])
def test_a_server_that_tells_no_time(date: str, settings: Any) -> None:
    with Server(answers=[reply(200, [], Date=date)]) as server:
        settings.LTIAAS = {"URL": server.url, "API_KEY": SECRET}
        assert only("clock")["level"] == "skipped"


# --- Celery -----------------------------------------------------------------------------------------------------------


def test_a_schedule_without_our_tasks(app: Celery) -> None:
    app.conf.beat_schedule = {}
    found = only("schedule")
    assert (found["level"], found["id"]) == ("problem", "ltiaas.W006")
    assert "schedules.nightly()" in found["hint"]
    assert "ltiaas_sync all" in found["hint"]
    passes.housekeeping()  # as `ltiaas_sync all` does, run by cron
    assert [one["level"] for one in findings("schedule", "worker", "beat")] == ["ok", "advice", "ok"]


@pytest.mark.parametrize(
    ("left_out", "level", "loss"),
    [("ltiaas-grades", "problem", "no grade is sent at night"), ("ltiaas-rosters", "advice", "the night leaves that")],
)
def test_a_schedule_that_lacks_one_of_them(left_out: str, level: str, loss: str, app: Celery) -> None:
    del app.conf.beat_schedule[left_out]
    found = only("schedule")
    assert (found["level"], loss in found["text"]) == (level, True)


def test_a_schedule_that_is_kept_elsewhere(app: Celery) -> None:
    app.conf.beat_schedule, app.conf.beat_scheduler = {}, "redbeat.RedBeatScheduler"
    found = only("schedule")
    assert (found["level"], "redbeat.RedBeatScheduler" in found["text"]) == ("skipped", True)


def test_no_worker_answers(app: Celery) -> None:
    found = only("worker")
    assert (found["level"], "No Celery worker answers over memory:" in found["text"]) == ("problem", True)
    assert "celery -A mysite worker --beat" in found["hint"]


def test_a_worker_of_somebody_else_answers(app: Celery, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "TICK", "somebody.elses")
    app.conf.beat_schedule = {"x": {"task": "somebody.elses", "schedule": 60.0}}
    monkeypatch.setattr(workers, "_registered", lambda *_: {"w@host": ["ltiaas_django.tick"]})
    found = only("worker")
    assert (found["level"], "does not know our tasks" in found["text"]) == ("problem", True)
    assert "autodiscover_tasks" in found["hint"]


def test_a_broker_that_is_gone(app: Celery) -> None:
    make_app(f"amqp://guest:{SECRET}@127.0.0.1:9//")
    found = only("worker")
    assert (found["level"], "The broker cannot be reached: ConnectionRefusedError" in found["text"]) == (
        "problem",
        True,
    )
    assert "CELERY_BROKER_URL" in found["hint"]
    assert SECRET not in str(found)


def test_a_broker_that_says_nothing(app: Celery, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "_PATIENCE", 0.3)
    with Server(answers=[lambda peer: peer.wait()]) as server:
        make_app(f"amqp://guest:guest@127.0.0.1:{server.port}//")
        assert "cannot be reached: TimeoutError: no answer within" in only("worker")["text"]


def test_tasks_that_run_inside_a_launch(app: Celery) -> None:
    app.conf.task_always_eager = True
    assert only("worker")["level"] == "advice"


def test_the_tick_is_seen_to_run(app: Celery) -> None:
    found = only("beat")
    assert (found["level"], "has never run" in found["text"]) == ("problem", True)
    assert "celery -A mysite worker --beat" in found["hint"]
    tasks.tick()
    assert "The tick ran 0 seconds ago" in only("beat")["text"]
    Heartbeat.objects.update(beat_at=timezone.now() - timedelta(minutes=4))
    found = only("beat")
    assert (found["level"], "ran last 4 minutes ago" in found["text"]) == ("problem", True)
    app.conf.beat_schedule["ltiaas-tick"]["schedule"] = timedelta(minutes=5)
    assert only("beat")["level"] == "ok"
    tasks.tick()
    status = io.StringIO()
    call_command("ltiaas_status", stdout=status)
    assert f"Celery's tick ran last {timezone.localtime():%Y-%m-%d}" in status.getvalue()
    assert Heartbeat.objects.count() == 1
    assert timezone.now() - Heartbeat.objects.get().beat_at < timedelta(minutes=1)


# --- never a stack trace, never a secret ------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [DatabaseError, OperationalError, RuntimeError, ValueError])
def test_an_examination_that_breaks_is_a_finding(error: Any, monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    settings.LTIAAS = {**settings.LTIAAS, "SEALING_KEYS": [f"{SECRET}-2"], "API_KEY": SECRET}

    def look() -> None:
        raise error(f"it said {SECRET} and {SECRET}-2 and {settings.SECRET_KEY}\nand more")

    monkeypatch.setattr(stored.status, "look", look)
    found = only("deliveries")
    assert found["level"] == "problem"
    assert found["text"] == (
        f"This could not be looked at: {error.__name__}: it said [hidden] and [hidden] and [hidden]."
    )


def test_a_terminal_that_knows_no_ticks() -> None:
    terminal = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    call_command("ltiaas_doctor", "--only=middleware", stdout=terminal)
    terminal.seek(0)
    assert terminal.read().startswith("? ok ")


# --- settings that cannot be loaded, and production -------------------------------------------------------------------


def shell(*command: str, folder: pathlib.Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Python as a shell would, with the example's settings."""
    clean = {
        name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "DJANGO_SETTINGS_MODULE")
    }
    return subprocess.run(
        [sys.executable, *command], cwd=folder, env={**clean, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip


UNLOADABLE = {
    "syntax": (f"PASSWORD = '{SECRET}'\nDATABASES = {{\n", "SyntaxError", "line 2"),
    "variable": ("import os\nKEY = os.environ['QUIZ_KEY']\n", "KeyError: QUIZ_KEY", "export QUIZ_KEY="),
    "value": (f"KEY = int('{SECRET}')\n", "ValueError (", "line 1"),
    "import": ("import no_such_package\n", "No module named 'no_such_package'", "pip install no_such_package"),
    "left-out": ("SECRET_KEY = 'x'\n", "do not have this package", '"ltiaas_django"]'),
}


@pytest.mark.parametrize("broken", UNLOADABLE)
def test_settings_that_cannot_be_loaded(broken: str, tmp_path: pathlib.Path) -> None:
    source, text, hint = UNLOADABLE[broken]
    tmp_path.joinpath("broken_settings.py").write_text(source)
    tmp_path.joinpath("manage.py").write_text('os.environ.setdefault("DJANGO_SETTINGS_MODULE", "broken_settings")\n')
    done = shell("-m", "ltiaas_django.doctor", "--json", folder=tmp_path)
    (found,) = json.loads(done.stdout)["findings"]
    assert (done.returncode, done.stderr, found["level"], found["name"]) == (1, "", "problem", "settings")
    assert text in found["text"]
    assert hint in found["text"] + found["hint"]
    assert SECRET not in done.stdout


PRODUCTION = {
    "DEBUG": "false", "SECRET_KEY": "a-key-of-the-test-suite-" * 3, "ALLOWED_HOSTS": "quiz.example.edu",
    "LTIAAS_URL": "https://school.ltiaas.com", "LTIAAS_API_KEY": SECRET,
}  # fmt: skip


def test_the_example_in_production_passes_every_check_of_django(tmp_path: pathlib.Path) -> None:
    done = shell(
        "manage.py",
        "check",
        "--deploy",
        "--fail-level=DEBUG",
        **PRODUCTION,
        VAR_DIR=str(tmp_path),
        DATABASE_URL="sqlite://:memory:",
    )
    assert done.returncode == 0, done.stderr
    assert "no issues (0 silenced)" in done.stdout


def test_with_everything_around_it_dead_the_site_is_still_told_about(tmp_path: pathlib.Path) -> None:
    """The database, the broker and LTIAAS refuse connections; started as on a site that may not load."""
    dead = {
        "DATABASE_URL": f"postgres://quiz:{SECRET}@127.0.0.1:9/quiz", "CELERY_BROKER_URL": f"redis://:{SECRET}@127.0.0.1:9/0",
        "LTIAAS_URL": "https://127.0.0.1:9", "VAR_DIR": str(tmp_path),
    }  # fmt: skip
    done = shell("-m", "ltiaas_django.doctor", "--settings", "example_project.settings", **{**PRODUCTION, **dead})
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    words = re.findall(r"^\S (\w+) +([\w-]+) ", done.stdout, re.MULTILINE)
    assert [name for _, name in words] == list(examining.NAMES)
    assert {name for word, name in words if word == "problem"} == {"database", "ltiaas", "worker"}
    assert {name for word, name in words if word == "ok"} == {
        "settings", "middleware", "cookies", "https", "launch", "frames", "schedule",
    }  # fmt: skip
    assert SECRET not in done.stdout + done.stderr
