"""Launches, and the two credentials that each hands out: an ltik and a service key."""

from __future__ import annotations

import enum
import re
import secrets
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from ltiaas_django.vocabulary import LaunchType

from . import errors
from .clock import Clock

LTIK_LIFETIME = timedelta(hours=24)
_LTIK_BYTES = 296  # ≈ 400 characters
_SERVICE_KEY_BYTES = 430  # ≈ 580 characters
_TOKEN = re.compile(r"eyJ[\w-]+(?:\.|%2E)[\w-]+(?:\.|%2E)[\w-]+", re.IGNORECASE)


class Scheme(enum.StrEnum):
    """The schemes of the Authorization header."""

    LTIK = "LTIK-AUTH-V2"
    SERVICE_KEY = "SERVICE-AUTH-V1"
    BEARER = "Bearer"


Mutate = Callable[[dict[str, Any]], dict[str, Any] | None]
"""Gets the id token before it is served; changes it in place, or returns another."""


@dataclass
class Launch:
    """Somebody opened the tool: who, where, why, and the credentials that stand for it."""

    course_id: str
    activity_id: str | None
    person_id: str
    type: LaunchType
    target: str
    at: datetime
    mutate: Mutate | None = field(default=None, repr=False)
    deep_linking: Mapping[str, Any] = field(default_factory=dict)
    """What the LMS takes from a deep linking launch."""
    for_user: str | None = None
    """Whose work a submission review is about."""
    ltik: str = field(default_factory=lambda: random_token(_LTIK_BYTES), repr=False)
    service_key: str = field(default_factory=lambda: random_token(_SERVICE_KEY_BYTES), repr=False)
    nonce: str = field(default_factory=lambda: secrets.token_hex(16), repr=False)
    """The one of the LMS's own token (OpenID Connect Core 1.0, section 2)."""
    expired: bool = False
    revoked: bool = False

    @property
    def is_legacy(self) -> bool:
        """Whether it is of LTI 1.1: its service key opens nothing."""
        return self.type == LaunchType.LEGACY


class Launches:
    """All launches so far, found by their credentials."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._by_ltik: dict[str, Launch] = {}
        self._by_service_key: dict[str, Launch] = {}

    def add(self, launch: Launch) -> None:
        """Remember a launch. Earlier service keys of the same activity stay good, as in LTIAAS."""
        self._by_ltik[launch.ltik] = launch
        self._by_service_key[launch.service_key] = launch

    def find(self, ltik: str) -> Launch | None:
        """The launch that an ltik was made for, good or not."""
        return self._by_ltik.get(ltik)

    def find_key(self, key: str) -> Launch | None:
        """The launch that a service key was made for, good or not."""
        return self._by_service_key.get(key)

    def by_ltik(self, ltik: str) -> Launch:
        """The launch of a good ltik; raises Unauthorized."""
        launch = self._by_ltik.get(ltik)
        if launch is None or launch.expired or self._clock.now() - launch.at >= LTIK_LIFETIME:
            raise expired_ltik()
        return launch

    def by_service_key(self, key: str) -> Launch:
        """The launch of a good service key; raises Unauthorized."""
        launch = self._by_service_key.get(key)
        if launch is None or launch.revoked or launch.is_legacy:
            raise refused_key()
        return launch

    def expire(self, ltik: str | None = None) -> int:
        """End one ltik, or all; returns how many."""
        ending = [launch for launch in self._by_ltik.values() if ltik in (None, launch.ltik)]
        for launch in ending:
            launch.expired = True
        return len(ending)

    def revoke(self, course_id: str | None = None, activity_id: str | None = None) -> int:
        """Revoke the service keys handed out so far: all, of a course, or of an activity; returns how many."""
        ending = [
            launch
            for launch in self._by_service_key.values()
            if course_id in (None, launch.course_id) and activity_id in (None, launch.activity_id)
        ]
        for launch in ending:
            launch.revoked = True
        return len(ending)

    def end(self, course_ids: Container[str]) -> None:
        """End every launch of some courses, and their keys with them."""
        for launch in self._by_ltik.values():
            if launch.course_id in course_ids:
                launch.expired = launch.revoked = True

    def ltiks(self) -> list[str]:
        """Every ltik handed out."""
        return list(self._by_ltik)

    def service_keys(self) -> list[str]:
        """Every service key made, one for each launch."""
        return list(self._by_service_key)


def expired_ltik() -> errors.Unauthorized:
    """What LTIAAS says of an ltik that is over, or that it never knew."""
    return errors.Unauthorized("Invalid or expired ltik.")


def refused_key() -> errors.Unauthorized:
    """What LTIAAS says of a service key that it does not accept."""
    return errors.Unauthorized("Invalid service key.", code="INVALID_SERVICE_AUTH_AUTHORIZATION_HEADER")


def redact(text: str) -> str:
    """The text without anything that looks like an ltik or a service key."""
    return _TOKEN.sub("…", text)


def random_token(size: int = _LTIK_BYTES) -> str:
    """Looks like a JWT (header, payload, signature), but is random throughout: nothing can be read out of it."""
    header, signature = "eyJ" + secrets.token_urlsafe(24), secrets.token_urlsafe(32)
    return f"{header}.{secrets.token_urlsafe(size - 24 - 32)}.{signature}"
