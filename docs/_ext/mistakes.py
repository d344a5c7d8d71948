"""For each system check, settings that it speaks up at: the reference shows what is really printed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any
from unittest import mock

import celery
from django.core import checks as django_checks
from django.db import connections
from django.test import override_settings

from ltiaas_django import checks
from ltiaas_django.operations import groups

GOOD: Mapping[str, Any] = {"URL": "https://your.ltiaas.com", "API_KEY": "made-up-api-key"}
_OURS = "ltiaas_django.middleware.LtiMiddleware"
_SESSIONS = "django.contrib.sessions.middleware.SessionMiddleware"
_AUTHENTICATION = "django.contrib.auth.middleware.AuthenticationMiddleware"


def _entry(**given: Any) -> dict[str, Any]:
    return {"LTIAAS": {**GOOD, **given}}


MISTAKES: Mapping[str, Mapping[str, Any]] = {
    "E001": {"LTIAAS": "https://your.ltiaas.com"},
    "E002": _entry(API_KEYS="..."),
    "E003": {"LTIAAS": {"URL": GOOD["URL"]}},
    "E004": _entry(PARALLEL_CALLS=0),
    "E005": _entry(SSO_POLICY="quiz.policies.QuizPolicy"),
    "E006": _entry(SCORE_SOURCE="quiz.grading.changed_since"),
    "E007": _entry(CALL_DEADLINE=200.0, LEASE=300.0),
    "E008": {"MIDDLEWARE": [_SESSIONS, _AUTHENTICATION]},
    "E009": {"MIDDLEWARE": [_SESSIONS, _OURS, _AUTHENTICATION]},
    "E010": {"MIDDLEWARE": [_OURS, _AUTHENTICATION]},
    "E011": {"INSTALLED_APPS": ["django.contrib.auth", "django.contrib.contenttypes", "ltiaas_django"]},
    "E012": {"USE_TZ": False},
    "E013": _entry(ROLE_GROUPS={"Learner": "learners"}),
    "W001": _entry(URL="http://your.ltiaas.com"),
    "W002": {"SESSION_ENGINE": "django.contrib.sessions.backends.signed_cookies"},
    "W003": {},
    "W004": {},
    "W005": {"ROOT_URLCONF": "docs._ext.mistakes"},
    "W006": {},
    "W007": {"SESSION_COOKIE_SAMESITE": "Strict"},
}
"""The settings that differ from a sound site; what settings cannot say is in `_site`."""

urlpatterns: list[Any] = []  # of a site that has not mounted the launch URL

CHECKS = (
    checks.check_settings,
    checks.check_middleware,
    checks.check_site,
    checks.check_database,
    checks.check_urls,
    checks.check_schedule,
)


def provoke(code: str) -> django_checks.CheckMessage | None:
    """What the check of this id says of its mistake; None if it says nothing, or there is no mistake for it here."""
    if code not in MISTAKES:
        return None
    with override_settings(**MISTAKES[code]), _site(code):
        for check in CHECKS:
            for message in check():
                if message.id == f"ltiaas.{code}":
                    return message
    return None


@contextlib.contextmanager
def _site(code: str) -> Iterator[None]:
    """What of a site is no setting, or is read when the process starts: its database, its URLs and its user model."""
    connection: Any = connections["default"]
    with contextlib.ExitStack() as stack:
        if code == "W003":
            stack.enter_context(mock.patch.object(connection, "vendor", "mysql"))
            stack.enter_context(mock.patch.object(connection, "display_name", "MySQL"))
        if code == "W004":
            stack.enter_context(mock.patch.dict(connection.settings_dict, {"OPTIONS": {}}))
        if code == "E013":
            stack.enter_context(mock.patch.object(groups, "users_have_groups", return_value=False))
        if code == "W006":
            stack.enter_context(mock.patch.object(checks, "current_app", celery.Celery(set_as_current=False)))
        yield
