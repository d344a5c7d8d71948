"""All settings of the package: one dict, `LTIAAS`, typed, with defaults, read late.

`conf.settings.NAME` looks into `django.conf.settings.LTIAAS` at each use, so that `override_settings` works.
The system checks (`checks.py`) judge values; here a missing required one raises `ConfigurationError`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal

from django.conf import settings as django_settings

from ltiaas_django.exceptions import ConfigurationError

DICT_NAME = "LTIAAS"
REQUIRED = ("URL", "API_KEY")


class Settings:
    """Every setting with its default. Times are seconds unless the name says otherwise."""

    URL: str
    """The account's own address at LTIAAS, such as https://your.ltiaas.com. Required."""
    API_KEY: str
    """The account's API key. Required."""

    CALL_DEADLINE: float = 30.0
    """How long one call to LTIAAS may take in all. Must stay below half of LEASE."""
    LAUNCH_DEADLINE: float = 10.0
    """The same for the ID token that a person is waiting for."""

    SEND: Literal["nightly", "on_commit"] = "nightly"
    """When recorded scores leave: with the nightly task, or as soon as the tool's transaction is committed."""
    SCORE_SOURCE: str | None = None
    """Dotted path of a callable(since) that yields `grades.ScoreRecord`s changed since then; asked every night."""

    SSO_POLICY: str = "ltiaas_django.operations.sso.SsoPolicy"
    """Dotted path of the class that finds or makes the Django user of a launch."""
    ROLE_GROUPS: Mapping[str, str] = MappingProxyType({})
    """Role to name of the Django group that its holders are in; "{context}" in a name makes one group per course."""
    SEALING_KEYS: tuple[str, ...] | list[str] = ()
    """Secrets that seal stored keys, newest first. Empty: SECRET_KEY and SECRET_KEY_FALLBACKS."""

    ROSTER_PAGE_SIZE: int = 1000
    """Members asked for per page; the LMS may send fewer."""
    ROSTER_MAX_AGE: float | None = 24 * 3600.0
    """A launch starts a roster refresh when the last one is older; None: never."""
    ROSTER_LEAVE_SHARE: float = 0.3
    """Departures are held for a person's yes when more than five people and more than this share would leave."""
    ROSTER_ACTIVE_DAYS: int | None = 60
    """The roster of a course that nobody has launched for so many days is no longer read; None: it always is."""
    MAX_PAGES: int = 2000
    """No list of the LMS may be longer than this many pages."""

    PARALLEL_CALLS: int = 4
    """Calls in flight to one platform, unless the platform's row says otherwise."""
    CALLS_PER_SECOND: float | None = None
    """Calls to one platform per second, unless the platform's row says otherwise; None: no limit of ours."""
    LEASE: float = 300.0
    """How long a worker may own a platform or a score without a sign of life."""
    SCORES_PER_PASS: int = 10_000
    """At most this many scores per platform in one pass; the next tick goes on."""
    PLATFORMS_PER_TICK: int = 500
    """At most this many platforms are handed to workers by one tick, those that have waited longest first."""
    PARALLEL_PLATFORMS: int = 16
    """How many platforms `ltiaas_sync` works on at a time; with Celery, the worker's `--concurrency` says so."""
    MAX_ATTEMPTS: int = 8
    """Failures in a row after which a score is parked: kept, visible, resendable."""
    RETRY_BASE: float = 60.0
    """Wait after the first failure; doubles with each, with jitter."""
    RETRY_CAP: float = 6 * 3600.0
    """No wait between two attempts is longer."""

    LAUNCH_LIFETIME: float = 24 * 3600.0
    """How long pages may be served under a launch."""
    RETENTION_DAYS: int = 90
    """How long finished runs and attempts are kept, in days."""
    KEEP_SENT_ATTEMPTS: bool = False
    """Keep a line of history for each score that the LMS accepted too, not only for failures and doubts."""
    HEALTH_TOKEN: str = ""
    """A secret that monitors send to `/lti/health/` as a Bearer token; blank: that address does not exist."""
    STOPPED: bool = False
    """The big stop switch: nothing is sent and no roster read while it is on; scores go on being recorded."""

    def __getattribute__(self, name: str) -> Any:
        if not name.isupper():
            return super().__getattribute__(name)
        given = getattr(django_settings, DICT_NAME, {})
        if not isinstance(given, dict):
            raise ConfigurationError(f"The setting {DICT_NAME} must be a dict, not {type(given).__name__}.")
        if name in given:
            return given[name]
        if name in REQUIRED:
            raise ConfigurationError(f'{DICT_NAME}["{name}"] is missing. Write {DICT_NAME} = {{"{name}": "...", ...}}.')
        return super().__getattribute__(name)


settings = Settings()
