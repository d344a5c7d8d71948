"""Dynamic registrations that wait for approval: an administrator of the LMS has followed the tool's link.

A registration is open for an hour and for one approval. Its id stands for it, so it cannot be guessed.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from . import errors
from .campus import Campus
from .platforms import Platforms, described

LIFETIME = timedelta(hours=1)
_AGS = "https://purl.imsglobal.org/spec/lti-ags/scope/"
_SAID = {
    "familyCode": "moodle",
    "version": "2025100600",
    "supportedScopes": [
        f"{_AGS}lineitem",
        f"{_AGS}result.readonly",
        f"{_AGS}score",
        "https://purl.imsglobal.org/spec/lti-nrps/scope/contextmembership.readonly",
    ],
    "supportedMessages": [
        {"type": "LtiResourceLinkRequest"},
        {"type": "LtiDeepLinkingRequest", "placements": ["ContentArea", "RichTextEditor"]},
    ],
}
# LTI Dynamic Registration 1.0: the LMS closes the window when it hears this.
_CLOSING = '<script>(window.opener || window.parent).postMessage({subject: "org.imsglobal.lti.close"}, "*");</script>'


@dataclass
class Registration:
    """One LMS that waits, or waited."""

    said: dict[str, Any]
    at: datetime
    id: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    platform_id: str = ""
    """Set by the approval."""
    messages: Sequence[dict[str, Any]] = ()
    """What was approved of the messages."""


class Registrations:
    """All so far, by id."""

    def __init__(self, campus: Campus, platforms: Platforms) -> None:
        self._campus = campus
        self._platforms = platforms
        self._by_id: dict[str, Registration] = {}

    def start(self, **said: Any) -> Registration:
        """The LMS asks; `said` replaces members of what it says of itself."""
        about = {"url": self._campus.origin, **_SAID, **said}
        registration = Registration(about, self._campus.clock.now())
        self._by_id[registration.id] = registration
        return registration

    def all(self) -> list[Registration]:
        """Every registration, oldest first."""
        return list(self._by_id.values())

    def find(self, registration_id: str) -> Registration:
        """Any registration, over or not; raises NotFound."""
        try:
            return self._by_id[registration_id]
        except KeyError:
            raise errors.NotFound("There is no such registration.", code="REGISTRATION_NOT_FOUND") from None

    def get_open(self, registration_id: str) -> Registration:
        """One that waits; raises NotFound for any other."""
        registration = self.find(registration_id)
        if registration.platform_id or self._campus.clock.now() - registration.at >= LIFETIME:
            raise errors.NotFound("This registration is over.", code="REGISTRATION_NOT_FOUND")
        return registration

    def complete(
        self, registration_id: str, name: str, messages: Sequence[dict[str, Any]] | None, *, activate: bool
    ) -> dict[str, str]:
        """Approve one; raises NotFound, or BadRequest for a message that the LMS does not offer."""
        registration = self.get_open(registration_id)
        offered: dict[str, set[str]] = {}
        for one in registration.said["supportedMessages"]:
            offered.setdefault(one["type"], set()).update(one.get("placements") or ())
        chosen = registration.said["supportedMessages"] if messages is None else messages
        for one in chosen:
            placements = offered.get(one["type"])
            if placements is None or not set(one.get("placements") or ()) <= placements:
                raise errors.BadRequest("The platform does not offer this message.", code="INVALID_REQUEST_BODY")
        body = described(registration.said["url"], client_id=secrets.token_hex(8), name=name)
        registration.platform_id = self._platforms.add(body, is_active=activate)["id"]
        registration.messages = chosen
        return {"html": _CLOSING, "platformId": registration.platform_id}
