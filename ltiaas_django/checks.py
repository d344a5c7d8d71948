"""System checks: every mistake in the settings has an id, and a hint that says what to type.

`manage.py check --tag ltiaas` runs these alone; with `--deploy` those too that matter only on a public server.

E001  LTIAAS is no dict                          W001  LTIAAS is called over plain http
E002  an unknown setting                         W002  sessions that cannot be ended (signed cookies)
E003  a required setting is missing              W003  a database that is not supported
E004  a setting of the wrong type or size        W004  SQLite without IMMEDIATE transactions
E005  SSO_POLICY cannot be used                  W005  the launch URL is not mounted
E006  SCORE_SOURCE cannot be used                W006  no schedule runs our tick (deploy)
E007  CALL_DEADLINE is too long for LEASE
E008  LtiMiddleware is missing
E009  LtiMiddleware is not the first             W007  session cookies that a launch is not sent (Strict)
E010  sessions or authentication are missing in MIDDLEWARE
E011  sessions or authentication are missing in INSTALLED_APPS
E012  USE_TZ is off
E013  ROLE_GROUPS, and a user model without groups

A check never raises, whatever a setting holds, and no message shows a value that may be secret.
"""

from __future__ import annotations

import dataclasses
import difflib
import ipaddress
import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from celery import current_app
from django.apps import apps
from django.conf import settings as django_settings
from django.core import checks
from django.db import connections, router
from django.urls import NoReverseMatch, reverse
from django.utils.module_loading import import_string

from ltiaas_django import conf, exceptions, redaction, vocabulary
from ltiaas_django.models import OutgoingScore
from ltiaas_django.operations import groups, sso

TAG = "ltiaas"

_YEAR = 366 * 24 * 3600.0  # seconds; what is longer is a slip, and overflows sockets and timestamps
_DICT = conf.DICT_NAME

# --- what each setting may be -----------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, slots=True)
class Rule:
    """What one setting of the LTIAAS dict may be."""

    is_sound: Callable[[Any], bool]
    must: str
    """Ends the sentence `LTIAAS["NAME"] must be …`."""
    example: str
    """A value to type."""


def _number(
    *,
    above: float = -math.inf,
    at_least: float = -math.inf,
    at_most: float = math.inf,
    whole: bool = False,
    optional: bool = False,
) -> Callable[[Any], bool]:
    def is_sound(value: Any) -> bool:
        if value is None:
            return optional
        if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
            return False
        return above < value and at_least <= value <= at_most  # false for NaN

    return is_sound


def _seconds(example: str) -> Rule:
    return Rule(_number(above=0, at_most=_YEAR), "a number of seconds above 0, a year at most", example)


def _count(example: str, most: int) -> Rule:
    return Rule(_number(at_least=1, at_most=most, whole=True), f"a whole number from 1 to {most}", example)


def _is_url(value: Any) -> bool:
    """As the client will take it: http(s) and a host, nothing that would end up in every request."""
    if not isinstance(value, str) or re.search(r"[^!-~]|[?#]", url := value.strip().rstrip("/")):
        return False
    try:
        parts = urlsplit(url)
        names_a_place = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return names_a_place and parts.scheme in ("http", "https") and "@" not in parts.netloc


def _is_api_key(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[!-~]{1,8192}", value) is not None


def _is_path(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"\w+(\.\w+)+", value) is not None


def _are_role_groups(value: Any) -> bool:
    try:
        groups.parse_rules(value)
    except exceptions.ConfigurationError:
        return False
    return True


def _are_sealing_keys(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(key, str) and _is_sealing_key(key) for key in value)


def _is_sealing_key(key: str) -> bool:
    try:
        key.encode()
    except UnicodeEncodeError:
        return False
    return bool(key.strip())


RULES: Mapping[str, Rule] = {
    "URL": Rule(
        _is_url,
        "the account's address at LTIAAS: http(s) and a host, without user, query or fragment",
        '"https://your.ltiaas.com"',
    ),
    "API_KEY": Rule(
        _is_api_key,
        "the account's API key: visible ASCII characters without spaces",
        'os.environ["LTIAAS_API_KEY"], with the key copied from the LTIAAS portal',
    ),
    "CALL_DEADLINE": _seconds("30.0"),
    "LAUNCH_DEADLINE": _seconds("10.0"),
    "SEND": Rule(
        lambda value: isinstance(value, str) and value in ("nightly", "on_commit"),
        '"nightly" or "on_commit"',
        '"nightly"',
    ),
    "SCORE_SOURCE": Rule(
        lambda value: value is None or _is_path(value), "a dotted path, or None", '"quiz.grades.changed_since"'
    ),
    "SSO_POLICY": Rule(_is_path, "a dotted path", '"quiz.sso.QuizSsoPolicy"'),
    "ROLE_GROUPS": Rule(
        _are_role_groups,
        f"a dict from roles ({', '.join(vocabulary.Role)}) to names of groups, "
        'in which "{context}" may stand for the course',
        '{"Instructor": "teachers", "Learner": "course-{context}-learners"}',
    ),
    "SEALING_KEYS": Rule(
        _are_sealing_keys,
        "a list of secrets that are not blank, newest first",
        '[os.environ["LTIAAS_SEALING_KEY"]], or leave it out to use SECRET_KEY',
    ),
    "ROSTER_PAGE_SIZE": _count("1000", 100_000),
    "ROSTER_MAX_AGE": Rule(
        _number(at_least=0, at_most=_YEAR, optional=True), "a number of seconds, a year at most, or None", "24 * 3600.0"
    ),
    "ROSTER_LEAVE_SHARE": Rule(_number(at_least=0, at_most=1), "a share from 0 to 1", "0.3"),
    "ROSTER_ACTIVE_DAYS": Rule(
        _number(at_least=1, at_most=36_500, whole=True, optional=True), "a whole number of days, or None", "60"
    ),
    "MAX_PAGES": _count("2000", 1_000_000),
    "PARALLEL_CALLS": _count("4", 1_000),
    "CALLS_PER_SECOND": Rule(
        _number(at_least=0.01, at_most=1e6, optional=True), "a number from 0.01 to a million, or None", "10.0"
    ),
    "LEASE": _seconds("300.0"),
    "SCORES_PER_PASS": _count("10_000", 100_000_000),
    "PLATFORMS_PER_TICK": _count("500", 1_000_000),
    "PARALLEL_PLATFORMS": _count("16", 1_000),
    "MAX_ATTEMPTS": _count("8", 10_000),
    "RETRY_BASE": _seconds("60.0"),
    "RETRY_CAP": _seconds("6 * 3600.0"),
    "LAUNCH_LIFETIME": _seconds("24 * 3600.0"),
    "RETENTION_DAYS": _count("90", 36_500),
    "KEEP_SENT_ATTEMPTS": Rule(lambda value: isinstance(value, bool), "True or False (a bool, no text)", "False"),
    "HEALTH_TOKEN": Rule(
        lambda value: isinstance(value, str) and (not value or re.fullmatch(r"[!-~]{16,8192}", value) is not None),
        "a secret of at least 16 visible ASCII characters, or blank",
        'os.environ["LTIAAS_HEALTH_TOKEN"]',
    ),
    "STOPPED": Rule(lambda value: isinstance(value, bool), "True or False (a bool, no text)", "False"),
}
"""One entry for each setting of `conf.Settings`."""


# --- the LTIAAS dict --------------------------------------------------------------------------------------------------


@checks.register(TAG, checks.Tags.compatibility)
def check_settings(app_configs: object = None, **options: object) -> list[checks.CheckMessage]:
    """Judge the LTIAAS dict, entry by entry."""
    given = getattr(django_settings, _DICT, {})
    if not isinstance(given, dict):
        return [
            checks.Error(
                f"The setting {_DICT} must be a dict, not {type(given).__name__}.",
                hint=f'Write {_DICT} = {{"URL": {RULES["URL"].example}, "API_KEY": {RULES["API_KEY"].example}}}.',
                id="ltiaas.E001",
            )
        ]
    found: list[checks.CheckMessage] = [_unknown(name) for name in given if not _is_known(name)]
    for name, rule in RULES.items():
        if name not in given and name in conf.REQUIRED:
            found.append(_wrong("E003", name, f'{_DICT}["{name}"] is missing.', rule))
        elif name in given and not rule.is_sound(given[name]):
            code = {"SSO_POLICY": "E005", "SCORE_SOURCE": "E006"}.get(name, "E004")
            text = f'{_DICT}["{name}"] must be {rule.must}, not {_shown(name, given[name])}.'
            found.append(_wrong(code, name, text, rule))
    sound = {name: value for name, value in given.items() if _is_known(name) and RULES[name].is_sound(value)}
    found += [*_check_paths(sound), *_check_groups(sound), *_check_deadlines(sound, given), *_check_http(sound)]
    return [_without_api_key(message, given.get("API_KEY")) for message in found]


def _is_known(name: object) -> bool:
    return isinstance(name, str) and name in RULES


def _unknown(name: object) -> checks.CheckMessage:
    if not isinstance(name, str):
        text, close = f"{_DICT} has a key of type {type(name).__name__}.", []
    else:
        text = f"{_DICT} has no setting {redaction.redact(ascii(name[:60]))}."
        close = difflib.get_close_matches(name[:60].upper(), RULES, n=1, cutoff=0.5)
    advice = f'Did you mean "{close[0]}"? Write' if close else "Take it out, or write"
    return checks.Error(text, hint=f"{advice} one of: {', '.join(RULES)}.", id="ltiaas.E002")


def _shown(name: str, value: object) -> str:
    """Numbers are shown, all else by type: a credential may stand in the wrong place."""
    if name in ("API_KEY", "SEALING_KEYS", "HEALTH_TOKEN") or not isinstance(value, bool | int | float | None):
        if isinstance(value, str) and not value.strip():
            return "a blank text"
        return "this text" if isinstance(value, str) else f"this {type(value).__name__}"
    return "a number that large" if isinstance(value, int) and value.bit_length() > 64 else repr(value)


def _wrong(code: str, name: str, text: str, rule: Rule) -> checks.CheckMessage:
    return checks.Error(text, hint=f'Write {_DICT} = {{"{name}": {rule.example}, ...}}.', id=f"ltiaas.{code}")


def _check_paths(sound: Mapping[str, Any]) -> Iterable[checks.CheckMessage]:
    policy = sound.get("SSO_POLICY")
    if policy is not None:
        found, problem = _load(policy)
        if not problem and not (isinstance(found, type) and issubclass(found, sso.SsoPolicy)):
            problem = "it names no subclass of ltiaas_django.operations.sso.SsoPolicy"
        if problem:
            hint = f"Write class {policy.rpartition('.')[2]}(sso.SsoPolicy): ... there, or leave SSO_POLICY out."
            yield checks.Error(f'{_DICT}["SSO_POLICY"] cannot be used: {problem}.', hint=hint, id="ltiaas.E005")
    source = sound.get("SCORE_SOURCE")
    if source is not None:
        found, problem = _load(source)
        if not problem and not callable(found):
            problem = "it names nothing that can be called"
        if problem:
            hint = f"Write def {source.rpartition('.')[2]}(since): yield ... there, or leave SCORE_SOURCE out."
            yield checks.Error(f'{_DICT}["SCORE_SOURCE"] cannot be used: {problem}.', hint=hint, id="ltiaas.E006")


def _check_groups(sound: Mapping[str, Any]) -> Iterable[checks.CheckMessage]:
    if sound.get("ROLE_GROUPS") and apps.is_installed("django.contrib.auth") and not groups.users_have_groups():
        yield checks.Error(
            f'{_DICT}["ROLE_GROUPS"] is set, and the user model {django_settings.AUTH_USER_MODEL} has no groups.',
            hint="Let the user model inherit django.contrib.auth.models.PermissionsMixin, or leave ROLE_GROUPS out.",
            id="ltiaas.E013",
        )


def _load(path: str) -> tuple[object, str]:
    """What a dotted path names, or why it cannot be had. A module of the site may raise anything."""
    try:
        return import_string(path), ""
    except Exception as error:
        return None, redaction.redact(f"{type(error).__name__}: {error}").rstrip(".")


def _check_deadlines(sound: Mapping[str, Any], given: Mapping[Any, Any]) -> Iterable[checks.CheckMessage]:
    values = [sound.get(name, getattr(conf.Settings, name)) for name in ("CALL_DEADLINE", "LEASE")]
    if any(name in given and name not in sound for name in ("CALL_DEADLINE", "LEASE")):
        return
    deadline, lease = values
    if deadline >= lease / 2:
        yield checks.Error(
            f'{_DICT}["CALL_DEADLINE"] ({deadline}) must be below half of LEASE ({lease}): '
            "a call that outlasts its worker's lease may send a score twice.",
            hint=f'Write {_DICT} = {{"CALL_DEADLINE": 30.0, "LEASE": 300.0, ...}}, or leave both out.',
            id="ltiaas.E007",
        )


def _check_http(sound: Mapping[str, Any]) -> Iterable[checks.CheckMessage]:
    parts = urlsplit(sound.get("URL", "").strip())
    if parts.scheme == "http" and not _is_loopback(parts.hostname or "") and not django_settings.DEBUG:
        yield checks.Warning(
            f'{_DICT}["URL"] begins with http: the API key and every grade cross the network in clear.',
            hint=f'Write {_DICT} = {{"URL": {RULES["URL"].example}, ...}}.',
            id="ltiaas.W001",
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _without_api_key(message: checks.CheckMessage, api_key: object) -> checks.CheckMessage:
    """Should the key stand where another value belongs. One too short to be a key would only garble the text."""
    if isinstance(api_key, str) and len(api_key) >= 8:
        message.msg = message.msg.replace(api_key, redaction.HIDDEN)
        message.hint = (message.hint or "").replace(api_key, redaction.HIDDEN)
    return message


# --- the rest of the site's settings ----------------------------------------------------------------------------------

_LTI = "ltiaas_django.middleware.LtiMiddleware"
_SESSIONS = "django.contrib.sessions.middleware.SessionMiddleware"
_AUTHENTICATION = "django.contrib.auth.middleware.AuthenticationMiddleware"


@checks.register(TAG, checks.Tags.compatibility)
def check_middleware(app_configs: object = None, **options: object) -> list[checks.CheckMessage]:
    """Ours comes first; sessions and authentication are there."""
    listed = django_settings.MIDDLEWARE
    listed = list(listed) if isinstance(listed, list | tuple) else []
    found: list[checks.CheckMessage] = []
    add_first = f'Write MIDDLEWARE = ["{_LTI}", ...] with all others after it.'
    places = [place for place, path in enumerate(listed) if _is_class(path, _LTI)]
    if not places:
        text = "LtiMiddleware is not in MIDDLEWARE: there is no request.lti."
        found.append(checks.Error(text, hint=add_first, id="ltiaas.E008"))
    elif places[0] != 0:
        text = "LtiMiddleware is not the first in MIDDLEWARE: it must see the answers of all others."
        found.append(checks.Error(text, hint=add_first, id="ltiaas.E009"))
    for wanted in (_SESSIONS, _AUTHENTICATION):
        if not any(_is_class(path, wanted) for path in listed):
            text = f"{wanted.rpartition('.')[2]} is not in MIDDLEWARE: no launch can sign anybody in."
            found.append(checks.Error(text, hint=f'Add "{wanted}" to MIDDLEWARE.', id="ltiaas.E010"))
    return found


def _is_class(path: object, wanted: str) -> bool:
    """Whether the dotted path names that class or a subclass of it."""
    if path == wanted:
        return True
    if not isinstance(path, str):
        return False
    found, base = _load(path)[0], _load(wanted)[0]
    return isinstance(found, type) and isinstance(base, type) and issubclass(found, base)


@checks.register(TAG, checks.Tags.compatibility)
def check_site(app_configs: object = None, **options: object) -> list[checks.CheckMessage]:
    """What a launch needs of Django: users, sessions that can be ended and whose cookies come, times with a zone."""
    found: list[checks.CheckMessage] = [
        checks.Error(
            f"{name} is not in INSTALLED_APPS: no launch can sign anybody in.",
            hint=f'Add "{name}" to INSTALLED_APPS.',
            id="ltiaas.E011",
        )
        for name in ("django.contrib.auth", "django.contrib.sessions")
        if not apps.is_installed(name)
    ]
    if not django_settings.USE_TZ:
        text = "USE_TZ is off: the LMS takes no score whose time does not say its zone."
        found.append(checks.Error(text, hint="Write USE_TZ = True.", id="ltiaas.E012"))
    if django_settings.SESSION_ENGINE == "django.contrib.sessions.backends.signed_cookies":
        found.append(
            checks.Warning(
                "Sessions are kept in signed cookies: a launch cannot end the session of an earlier start.",
                hint='Write SESSION_ENGINE = "django.contrib.sessions.backends.db".',
                id="ltiaas.W002",
            )
        )
    if django_settings.SESSION_COOKIE_SAMESITE == "Strict":
        found.append(
            checks.Warning(
                "SESSION_COOKIE_SAMESITE is Strict: browsers send no session where another site leads. A launch in "
                "no frame loses its own, and signs an operator out unasked.",
                hint='Write SESSION_COOKIE_SAMESITE = "Lax".',
                id="ltiaas.W007",
            )
        )
    return found


@checks.register(TAG, checks.Tags.compatibility)
def check_database(app_configs: object = None, **options: object) -> list[checks.CheckMessage]:
    """PostgreSQL, or SQLite whose transactions lock when they begin. Looks at settings only; nothing is connected."""
    try:
        alias = router.db_for_write(OutgoingScore)
        connection = connections[alias]
    except Exception:
        return []  # a router or a driver that fails says so itself
    if connection.vendor == "postgresql":
        return []
    if connection.vendor != "sqlite":
        return [
            checks.Warning(
                f'DATABASES["{alias}"] is {connection.display_name}: this package is tested on PostgreSQL and SQLite.',
                hint=f'Write DATABASES = {{"{alias}": {{"ENGINE": "django.db.backends.postgresql", ...}}}}.',
                id="ltiaas.W003",
            )
        ]
    options_given = connection.settings_dict.get("OPTIONS")
    mode = options_given.get("transaction_mode") if isinstance(options_given, dict) else None
    if isinstance(mode, str) and mode.upper() in ("IMMEDIATE", "EXCLUSIVE"):
        return []
    return [
        checks.Warning(
            f'DATABASES["{alias}"] is SQLite without IMMEDIATE transactions: '
            "when a worker and a launch write at once, one fails with “database is locked”.",
            hint=f'Write "OPTIONS": {{"transaction_mode": "IMMEDIATE"}} in DATABASES["{alias}"].',
            id="ltiaas.W004",
        )
    ]


@checks.register(TAG, checks.Tags.urls)
def check_urls(app_configs: object = None, **options: object) -> list[checks.CheckMessage]:
    """The launch URL is mounted."""
    if not getattr(django_settings, "ROOT_URLCONF", None):
        return []  # a worker's settings may have none
    try:
        reverse("ltiaas:launch")
    except NoReverseMatch:
        return [
            checks.Warning(
                "The launch URL is not mounted: no LMS can open this tool.",
                hint='Add path("lti/", include("ltiaas_django.urls")) to urlpatterns.',
                id="ltiaas.W005",
            )
        ]
    except Exception:
        return []  # the URLconf itself is broken, as Django's own check says
    return []


# --- for deployment ---------------------------------------------------------------------------------------------------


@checks.register(TAG, deploy=True)
def check_schedule(app_configs: object = None, **options: object) -> list[checks.CheckMessage]:
    """Something runs our tick: else nothing is sent at night, tried again, or taken over from a worker that died."""
    if apps.is_installed("django_celery_beat"):
        return []  # its schedule may be in the database
    try:
        schedule = dict(current_app.conf.beat_schedule or {})
        scheduler = str(current_app.conf.beat_scheduler)
    except Exception:
        return []  # a Celery app that is not complete says so itself
    tasks = [entry.get("task") for entry in schedule.values() if isinstance(entry, dict)]
    if "ltiaas_django.tick" in tasks or not scheduler.startswith("celery."):
        return []
    return [
        checks.Warning(
            "No Celery beat schedule has the task ltiaas_django.tick: no score is sent at night or tried again.",
            hint="Write app.conf.beat_schedule = {**app.conf.beat_schedule, **schedules.nightly()} in celery.py "
            "(from ltiaas_django import schedules), import the app in the project's __init__.py, and run celery beat. "
            "Without Celery, let cron run: manage.py ltiaas_sync all.",
            id="ltiaas.W006",
        )
    ]
