"""System checks: every mistake is found, says what to type, and takes nothing down with it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import celery
import pytest
from django.apps import apps
from django.core import checks as django_checks
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.db import connection
from django.test import override_settings
from django.urls import path
from hypothesis import example, given
from hypothesis import strategies as st

from ltiaas_django import checks, conf, exceptions, schedules
from ltiaas_django.middleware import LtiMiddleware
from ltiaas_django.operations import connecting, sso

GOOD = {"URL": "https://school.ltiaas.com", "API_KEY": "Kq7-secret-account-key"}


def messages(**given: Any) -> list[django_checks.CheckMessage]:
    """What is said of the LTIAAS dict with these entries changed."""
    with override_settings(LTIAAS={**GOOD, **given}):
        return checks.check_settings()


def ids(found: list[django_checks.CheckMessage]) -> list[str]:
    return [str(message.id).removeprefix("ltiaas.") for message in found]


def run_all() -> list[django_checks.CheckMessage]:
    """Through Django's own door, as `manage.py check --tag ltiaas --deploy` does."""
    return django_checks.run_checks(tags=[checks.TAG], include_deployment_checks=True)


# --- the table --------------------------------------------------------------------------------------------------------


def test_every_setting_has_a_rule_and_no_rule_is_left_over() -> None:
    assert set(checks.RULES) == set(conf.Settings.__annotations__)


def test_every_default_obeys_its_rule() -> None:
    for name, rule in checks.RULES.items():
        if name not in conf.REQUIRED:
            assert rule.is_sound(getattr(conf.Settings, name)), name


@pytest.mark.parametrize("name", sorted(set(conf.Settings.__annotations__) - {"API_KEY"}))
def test_the_example_of_every_hint_is_itself_sound(name: str) -> None:
    """What the hint says to type must not be the next mistake."""
    example = checks.RULES[name].example.partition(", or")[0]
    site = {"os": SimpleNamespace(environ={"LTIAAS_SEALING_KEY": "a secret", "LTIAAS_HEALTH_TOKEN": "x" * 16})}
    value = eval(example, site)  # noqa: S307
    assert checks.RULES[name].is_sound(value)


def test_sound_settings_pass() -> None:
    assert messages() == []
    every = {name: getattr(conf.Settings, name) for name in checks.RULES if name not in conf.REQUIRED}
    assert messages(**every) == []


def test_the_settings_of_this_suite_pass(settings: Any) -> None:
    assert ids(django_checks.run_checks(tags=[checks.TAG])) == []


# --- the LTIAAS dict --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [None, "https://school.ltiaas.com", ["URL"], 7])
def test_a_value_that_is_no_dict(value: object) -> None:
    with override_settings(LTIAAS=value):
        [message] = checks.check_settings()
    assert message.id == "ltiaas.E001"
    assert 'LTIAAS = {"URL": "https://your.ltiaas.com"' in str(message.hint)


def test_without_the_dict_both_required_settings_are_asked_for(settings: Any) -> None:
    del settings.LTIAAS
    found = checks.check_settings()
    assert ids(found) == ["E003", "E003"]
    assert ["URL" in message.msg for message in found] == [True, False]
    assert 'LTIAAS = {"API_KEY": os.environ["LTIAAS_API_KEY"]' in str(found[1].hint)


@pytest.mark.parametrize(
    ("name", "meant"),
    [("API_KEYS", "API_KEY"), ("url", "URL"), ("LEASE_TIME", "LEASE"), ("CALL_DEADLIN", "CALL_DEADLINE")],
)
def test_an_unknown_setting_is_named_with_the_one_that_is_meant(name: str, meant: str) -> None:
    [message] = messages(**{name: 1})
    assert message.id == "ltiaas.E002"
    assert f"'{name}'" in message.msg
    assert str(message.hint).startswith(f'Did you mean "{meant}"?')


def test_an_unknown_setting_like_no_other_gets_the_whole_list() -> None:
    [message] = messages(XYZZYQ=1)
    assert "Did you mean" not in str(message.hint)
    assert all(name in str(message.hint) for name in checks.RULES)


WRONG: dict[str, list[Any]] = {
    "URL": [
        "", " ", None, 7, "school.ltiaas.com", "ftp://school.ltiaas.com", "https://", "https://:443", "https:/school",
        "https://me:pass@school.ltiaas.com", "https://school.ltiaas.com/?x=1", "https://school.ltiaas.com/#x",
        "https://school.ltiaas.com?", "https://school.ltiaas.com:port", "https://school.ltiaas.com:99999",
        "https://school.ltiaas.com:0", "https://sch ool.ltiaas.com", "https://schöol.ltiaas.com", "https://[::1",
        "https://a\nb", b"https://school.ltiaas.com",
    ],
    "API_KEY": ["", " ", None, 12345678, "two words", "line\n", "schlüssel", "x" * 8193, b"bytes"],
    "CALL_DEADLINE": [0, -1, None, "30", True, float("nan"), float("inf"), 10**400, timedelta(seconds=3), Decimal(3)],
    "LAUNCH_DEADLINE": [0, -1.5, None, "10", False],
    "SEND": ["Nightly", "", None, True, ["nightly"], "on-commit"],
    "SCORE_SOURCE": ["", "no dots", "plain", 7, len, ".relative.path", "a..b"],
    "SSO_POLICY": ["", None, "plain", sso.SsoPolicy, "a b.c"],
    "ROLE_GROUPS": [
        None, "teachers", ["Instructor"], {"instructor": "teachers"}, {7: "teachers"}, {"Mentor": "parents"},
        {"Instructor": ""}, {"Instructor": " "}, {"Instructor": 7}, {"Instructor": ["teachers"]},
        {"Instructor": "{course}"}, {"Instructor": "a{"}, {"Instructor": "x" * 121},
    ],
    "SEALING_KEYS": ["one long secret", None, [""], [" "], [None], ["good", 7], [b"bytes"], {"a"}, ["\ud800"]],
    "ROSTER_PAGE_SIZE": [0, -1, 1.0, "1000", None, True, 10**9],
    "ROSTER_MAX_AGE": [-1, "1", float("nan"), False, timedelta(days=1)],
    "ROSTER_LEAVE_SHARE": [-0.1, 1.1, 30, "0.3", None, True, float("nan")],
    "MAX_PAGES": [0, -5, 1.5, "9", None],
    "PARALLEL_CALLS": [0, -1, 2.0, "4", None, 10**6],
    "CALLS_PER_SECOND": [0, -1, "5", 1e-300, float("inf"), True],
    "LEASE": [0, -1, None, "300", float("nan"), 10**400],
    "SCORES_PER_PASS": [0, -1, 1e4, "all", None],
    "MAX_ATTEMPTS": [0, -1, 8.0, "8", None],
    "RETRY_BASE": [0, -60, None, "60", float("inf")],
    "RETRY_CAP": [0, -60, None, "60", float("inf")],
    "LAUNCH_LIFETIME": [0, -1, None, "86400", float("inf"), 1e300],
    "RETENTION_DAYS": [0, -1, 90.0, None, "90", 10**9],
    "ROSTER_ACTIVE_DAYS": [0, -1, 60.0, "60", 10**9],
    "PLATFORMS_PER_TICK": [0, -1, 1.5, None, "500"],
    "PARALLEL_PLATFORMS": [0, -1, 1.5, None, "16", 10**6],
    "KEEP_SENT_ATTEMPTS": ["False", 0, 1, None],
    "HEALTH_TOKEN": ["too short", "with blanks in it, long", None, 1234567890123456, b"bytes-of-a-secret"],
    "STOPPED": ["False", "false", 0, 1, None, ""],
}  # fmt: skip


def test_every_setting_has_wrong_values_here() -> None:
    assert set(WRONG) == set(checks.RULES)


@pytest.mark.parametrize(("name", "value"), [(name, value) for name in WRONG for value in WRONG[name]], ids=repr)
def test_a_wrong_value_is_an_error_that_names_the_setting_and_what_to_type(name: str, value: Any) -> None:
    [message] = messages(**{name: value})
    assert message.id == {"SSO_POLICY": "ltiaas.E005", "SCORE_SOURCE": "ltiaas.E006"}.get(name, "ltiaas.E004")
    assert message.level == django_checks.ERROR
    assert message.msg.startswith(f'LTIAAS["{name}"] must be ')
    assert "\n" not in message.msg
    assert f'Write LTIAAS = {{"{name}": ' in str(message.hint)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("URL", "http://127.0.0.1:9800"),
        ("URL", "http://[::1]:9800"),
        ("URL", "http://localhost:9800/"),
        ("URL", "https://school.ltiaas.com/api-root"),
        ("CALL_DEADLINE", 30),
        ("SEND", "on_commit"),
        ("SEALING_KEYS", ["new", "old"]),
        ("ROSTER_MAX_AGE", None),
        ("ROSTER_MAX_AGE", 0),
        ("ROSTER_LEAVE_SHARE", 0),
        ("ROSTER_LEAVE_SHARE", 1),
        ("CALLS_PER_SECOND", 0.5),
        ("STOPPED", True),
    ],
)
def test_a_right_value_is_none(name: str, value: Any) -> None:
    assert messages(**{name: value}) == []


@given(st.text() | st.from_regex(r"https?://[a-z@:0-9\[\]/?#. ]{0,12}", fullmatch=True) | st.none() | st.integers())
@example("https://a:b")
@example("https://a//")
@example(" https://school.ltiaas.com/ ")
def test_the_check_takes_the_addresses_that_the_client_takes(url: Any) -> None:
    """Neither may pass what the other refuses: a check that passes and a client that raises help nobody."""
    with override_settings(LTIAAS={**GOOD, "URL": url}):
        try:
            connecting.endpoint()
        except exceptions.ConfigurationError:
            client_takes_it = False
        else:
            client_takes_it = True
    assert checks.RULES["URL"].is_sound(url) is client_takes_it


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"CALL_DEADLINE": 150.0}, ["E007"]),
        ({"CALL_DEADLINE": 149.9}, []),
        ({"LEASE": 60}, ["E007"]),
        ({"LEASE": 60.1}, []),
        ({"CALL_DEADLINE": 400, "LEASE": 1000}, []),
        ({"CALL_DEADLINE": "400", "LEASE": 1}, ["E004"]),  # nothing to compare
    ],
)
def test_a_call_must_end_within_half_a_lease(given: dict[str, Any], found: list[str]) -> None:
    assert ids(messages(**given)) == found


@pytest.mark.parametrize(
    ("url", "debug", "found"),
    [
        ("http://ltiaas.internal", False, ["W001"]),
        ("http://ltiaas.internal", True, []),
        ("http://10.0.0.7:9800", False, ["W001"]),
        ("http://localhost.example.com", False, ["W001"]),
        ("http://127.0.0.7:9800", False, []),
        ("http://tool.localhost", False, []),
    ],
)
def test_plain_http_is_for_this_machine_and_for_development(url: str, debug: bool, found: list[str]) -> None:
    with override_settings(DEBUG=debug):
        assert ids(messages(URL=url)) == found


class OurLtiMiddleware(LtiMiddleware):
    """Named by the tests below."""


class Policy(sso.SsoPolicy):
    """Named by the tests below."""


def source(since: object) -> Iterator[object]:
    """Named by the tests below."""
    return iter(())


HERE = __name__


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("SSO_POLICY", "no_such_module.Policy", "No module named 'no_such_module'"),
        ("SSO_POLICY", f"{HERE}.NoSuchPolicy", "NoSuchPolicy"),
        ("SSO_POLICY", f"{HERE}.source", "no subclass of ltiaas_django.operations.sso.SsoPolicy"),
        ("SSO_POLICY", f"{HERE}.GOOD", "no subclass"),
        ("SSO_POLICY", f"{HERE}.SimpleNamespace", "no subclass"),
        ("SCORE_SOURCE", "no_such_module.source", "No module named 'no_such_module'"),
        ("SCORE_SOURCE", f"{HERE}.GOOD", "nothing that can be called"),
    ],
)
def test_a_dotted_path_must_lead_somewhere(name: str, value: str, problem: str) -> None:
    [message] = messages(**{name: value})
    assert message.id == {"SSO_POLICY": "ltiaas.E005", "SCORE_SOURCE": "ltiaas.E006"}[name]
    assert problem in message.msg
    assert message.hint


@pytest.mark.parametrize("given", [{"SSO_POLICY": f"{HERE}.Policy"}, {"SCORE_SOURCE": f"{HERE}.source"}])
def test_a_dotted_path_that_does(given: dict[str, str]) -> None:
    assert messages(**given) == []


def test_a_module_of_the_site_may_fail_in_any_way(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_site.py").write_text("1 / 0")
    monkeypatch.syspath_prepend(tmp_path)
    assert ids(messages(SSO_POLICY="broken_site.Policy", SCORE_SOURCE="broken_site.source")) == ["E005", "E006"]


ANYTHING = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.decimals()
    | st.text()
    | st.binary()
    | st.timedeltas()
    | st.lists(st.text() | st.integers())
    | st.sets(st.integers())
    | st.dictionaries(st.text(), st.none())
    | st.sampled_from([object(), object, len, 10**5000, "\ud800", "a.b", "..", "x" * 100_000])
)


@given(st.dictionaries(st.sampled_from(sorted(checks.RULES)) | st.text() | st.integers() | st.none(), ANYTHING))
def test_no_settings_break_the_checks(given: dict[Any, Any]) -> None:
    with override_settings(LTIAAS=given):
        for message in checks.check_settings():
            assert re.fullmatch(r"ltiaas\.[EW]\d{3}", str(message.id))
            assert message.hint
            str(message)


@given(ANYTHING)
def test_no_other_settings_break_the_checks(value: Any) -> None:
    for name in ("MIDDLEWARE", "SESSION_ENGINE", "USE_TZ"):
        with override_settings(**{name: value}):
            for check in (checks.check_middleware, checks.check_site):
                for message in check():
                    str(message)


@pytest.mark.parametrize("name", [*sorted(checks.RULES), "an unknown one", GOOD["API_KEY"]])
def test_the_api_key_is_in_no_message_wherever_it_stands(name: str) -> None:
    secret = GOOD["API_KEY"]
    for value in (secret, f"{secret}.{secret}", f"http://{secret}@host", [secret], [secret, ""], f"two words {secret}"):
        for message in messages(**{name: value}):
            assert secret not in f"{message} {message!r}"


def test_a_wrong_api_key_and_sealing_keys_are_not_shown_either() -> None:
    found = messages(API_KEY="half of-the-key", SEALING_KEYS=["sealing-secret", ""], URL="https://me:pass-word@host")
    assert ids(found) == ["E004", "E004", "E004"]
    assert not re.search("half|of-the-key|sealing-secret|pass-word", " ".join(map(str, found)))
    [message] = messages(API_KEY=987654321)
    assert "987654321" not in str(message)


# --- middleware, apps, sessions, time ---------------------------------------------------------------------------------

LTI = "ltiaas_django.middleware.LtiMiddleware"
SESSIONS = "django.contrib.sessions.middleware.SessionMiddleware"
AUTHENTICATION = "django.contrib.auth.middleware.AuthenticationMiddleware"


@pytest.mark.parametrize(
    ("middleware", "found"),
    [
        ([LTI, SESSIONS, AUTHENTICATION], []),
        ((LTI, SESSIONS, AUTHENTICATION), []),
        ([f"{HERE}.OurLtiMiddleware", SESSIONS, AUTHENTICATION], []),
        ([SESSIONS, AUTHENTICATION], ["E008"]),
        ([SESSIONS, LTI, AUTHENTICATION], ["E009"]),
        ([LTI, AUTHENTICATION], ["E010"]),
        ([LTI, SESSIONS], ["E010"]),
        ([], ["E008", "E010", "E010"]),
        (["no.such.Middleware", LTI, SESSIONS, AUTHENTICATION], ["E009"]),
    ],
)
def test_middleware(middleware: Any, found: list[str], settings: Any) -> None:
    settings.MIDDLEWARE = middleware
    said = checks.check_middleware()
    assert ids(said) == found
    for message in said:
        assert "MIDDLEWARE" in str(message.hint)


def test_the_hint_names_the_middleware_to_add(settings: Any) -> None:
    settings.MIDDLEWARE = []
    hints = [str(message.hint) for message in checks.check_middleware()]
    assert [name in hint for name, hint in zip((LTI, SESSIONS, AUTHENTICATION), hints, strict=True)] == [True] * 3


@pytest.mark.parametrize("name", ["django.contrib.auth", "django.contrib.sessions"])
def test_apps_that_a_sign_in_needs(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    is_installed = apps.is_installed
    monkeypatch.setattr(apps, "is_installed", lambda app: app != name and is_installed(app))
    [message] = checks.check_site()
    assert message.id == "ltiaas.E011"
    assert f'Add "{name}" to INSTALLED_APPS' in str(message.hint)


def test_times_need_a_zone(settings: Any) -> None:
    settings.USE_TZ = False
    assert ids(checks.check_site()) == ["E012"]


def test_sessions_in_signed_cookies_cannot_be_ended(settings: Any) -> None:
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
    assert ids(checks.check_site()) == ["W002"]
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.cached_db"
    assert ids(checks.check_site()) == []


def test_strict_session_cookies_do_not_come_with_a_launch(settings: Any) -> None:
    settings.SESSION_COOKIE_SAMESITE = "Strict"
    [message] = checks.check_site()
    assert (message.id, message.hint) == ("ltiaas.W007", 'Write SESSION_COOKIE_SAMESITE = "Lax".')


# --- the database -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("vendor", "options", "found"),
    [
        ("sqlite", {"transaction_mode": "IMMEDIATE"}, []),
        ("sqlite", {"transaction_mode": "immediate"}, []),
        ("sqlite", {"transaction_mode": "DEFERRED"}, ["W004"]),
        ("sqlite", {}, ["W004"]),
        ("sqlite", None, ["W004"]),
        ("postgresql", {}, []),
        ("mysql", {}, ["W003"]),
    ],
)
def test_databases(vendor: str, options: Any, found: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection._connections[connection._alias], "vendor", vendor)  # type: ignore[attr-defined]
    monkeypatch.setitem(connection.settings_dict, "OPTIONS", options)
    said = checks.check_database()
    assert ids(said) == found
    if found == ["W004"]:
        assert '"OPTIONS": {"transaction_mode": "IMMEDIATE"}' in str(said[0].hint)


class OtherDatabase:
    """Routes our rows to a database that has no entry."""

    def db_for_write(self, model: object, **hints: object) -> str:
        return "elsewhere"


def test_a_database_that_is_not_there_is_somebody_elses_message(settings: Any) -> None:
    settings.DATABASE_ROUTERS = [f"{HERE}.OtherDatabase"]
    assert checks.check_database() == []


# --- URLs -------------------------------------------------------------------------------------------------------------

urlpatterns = [path("elsewhere/", source)]


def test_the_launch_url_is_mounted_or_asked_for(settings: Any) -> None:
    assert checks.check_urls() == []
    settings.ROOT_URLCONF = HERE
    [message] = checks.check_urls()
    assert message.id == "ltiaas.W005"
    assert 'path("lti/", include("ltiaas_django.urls"))' in str(message.hint)


@pytest.mark.parametrize("urlconf", [None, "no.such.urlconf", 7])
def test_a_site_without_urls_is_not_our_matter(urlconf: Any, settings: Any) -> None:
    settings.ROOT_URLCONF = urlconf
    assert checks.check_urls() == []


# --- for deployment ---------------------------------------------------------------------------------------------------


@pytest.fixture
def app() -> Iterator[celery.Celery]:
    """A Celery app that is the current one for this test."""
    former = celery.current_app._get_current_object()  # type: ignore[attr-defined]
    app = celery.Celery("of a test", broker="memory://", set_as_current=True)
    yield app
    former.set_current()
    app.close()


def test_a_schedule_must_run_the_tick(app: celery.Celery) -> None:
    [message] = checks.check_schedule()
    assert message.id == "ltiaas.W006"
    assert "schedules.nightly()" in str(message.hint)
    assert "ltiaas_sync all" in str(message.hint)
    app.conf.beat_schedule = schedules.nightly()
    assert checks.check_schedule() == []


@pytest.mark.parametrize("schedule", [{"x": None}, {"x": {}}, {"x": {"task": "other.tick"}}, None])
def test_a_schedule_of_others_does_not_count(schedule: Any, app: celery.Celery) -> None:
    app.conf.beat_schedule = schedule
    assert ids(checks.check_schedule()) == ["W006"]


@pytest.mark.parametrize("schedule", ["text", 7])
def test_a_schedule_that_is_none_is_celerys_matter(schedule: Any, app: celery.Celery) -> None:
    app.conf.beat_schedule = schedule
    assert checks.check_schedule() == []


@pytest.mark.parametrize("scheduler", ["django_celery_beat.schedulers:DatabaseScheduler", "redbeat.RedBeatScheduler"])
def test_a_schedule_kept_elsewhere_cannot_be_judged(scheduler: str, app: celery.Celery) -> None:
    app.conf.beat_scheduler = scheduler
    assert checks.check_schedule() == []


def test_neither_can_one_that_an_installed_app_may_keep(app: celery.Celery, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apps, "is_installed", lambda name: name == "django_celery_beat")
    assert checks.check_schedule() == []


def test_a_celery_app_that_cannot_be_configured_breaks_nothing(app: celery.Celery) -> None:
    app.config_from_object("no_such_module.settings")
    assert checks.check_schedule() == []


# --- through Django ---------------------------------------------------------------------------------------------------


def test_manage_check_ends_with_our_errors_and_hints(settings: Any, capsys: pytest.CaptureFixture[str]) -> None:
    settings.LTIAAS = {"URL": "https://school.ltiaas.com"}
    with pytest.raises(SystemCheckError) as caught:
        call_command("check", tags=["ltiaas"])
    assert "(ltiaas.E003)" in str(caught.value)
    assert "HINT: Write LTIAAS = {" in str(caught.value)


def test_ids_are_listed_at_the_top_of_the_module() -> None:
    """Whoever adds an id tells readers of it, and no id means two things."""
    listed = re.findall(r"\b([EW]\d{3})  ", str(checks.__doc__))
    source = inspect.getsource(checks).partition('"""\n\nfrom')[2]
    used = set(re.findall(r"\b([EW]\d{3})\b", source))
    assert sorted(listed) == sorted(used)
    assert len(set(listed)) == len(listed)


CHECKS: list[Callable[[], list[django_checks.CheckMessage]]] = [
    checks.check_settings,
    checks.check_middleware,
    checks.check_site,
    checks.check_database,
    checks.check_urls,
    checks.check_schedule,
]


def test_every_check_is_registered() -> None:
    registry = django_checks.registry.registry
    registered = {*registry.registered_checks, *registry.deployment_checks}
    assert registered >= set(CHECKS)
