"""The account's platforms at LTIAAS: the sandbox's schools, and others that were registered beside them.

Only the schools launch: the others are entries that a tool can list, change, switch and delete.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from . import errors
from .campus import Campus
from .school import School

_PUBLIC_KEY = "-----BEGIN PUBLIC KEY-----\nsimulated: the sandbox signs nothing\n-----END PUBLIC KEY-----"


@dataclass
class Platform:
    """One registration."""

    id: str
    body: Mapping[str, Any] | None
    """What was said of it; None for a school's, whose addresses are known only once the sandbox is served."""
    is_active: bool
    school: School | None = None


class Platforms:
    """All of the account, by id."""

    def __init__(self, campus: Campus) -> None:
        self._campus = campus
        self._by_id: dict[str, Platform] = {}

    def follow(self, school: School) -> None:
        """Register a school, in the place of what it was registered as before."""
        for known in [one for one in self._by_id.values() if one.school is school]:
            del self._by_id[known.id]
        self._by_id[school.platform_id] = Platform(school.platform_id, None, is_active=True, school=school)

    def all(self) -> list[dict[str, Any]]:
        """Every platform as LTIAAS shows it."""
        return [self._shown(platform) for platform in self._by_id.values()]

    def shown(self, platform_id: str) -> dict[str, Any]:
        """One platform as LTIAAS shows it; raises NotFound."""
        return self._shown(self._platform(platform_id))

    def add(self, body: Mapping[str, Any], *, is_active: bool = True) -> dict[str, Any]:
        """Register one; raises BadRequest for the same client of the same LMS."""
        if any((one["url"], one["clientId"]) == (body["url"], body["clientId"]) for one in self.all()):
            raise errors.BadRequest("This client of this platform is there already.", code="PLATFORM_EXISTS")
        platform = Platform(secrets.token_hex(16), body, is_active)
        self._by_id[platform.id] = platform
        return self._shown(platform)

    def replace(self, platform_id: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Say everything anew of one; raises NotFound."""
        self._platform(platform_id).body = body
        return self.shown(platform_id)

    def delete(self, platform_id: str) -> None:
        """Forget one; raises NotFound."""
        del self._by_id[self._platform(platform_id).id]

    def set_active(self, platform_id: str, *, is_active: bool) -> None:
        """Let it launch, or not; raises NotFound."""
        self._platform(platform_id).is_active = is_active

    def check_launch(self, platform_id: str) -> None:
        """Raises InactivePlatform unless it is registered and active."""
        platform = self._by_id.get(platform_id)
        if platform is None or not platform.is_active:
            raise errors.InactivePlatform("The platform is not registered, or not active.")

    def _platform(self, platform_id: str) -> Platform:
        if platform_id not in self._by_id:
            raise errors.NotFound("There is no such platform.", code="PLATFORM_NOT_FOUND")
        return self._by_id[platform_id]

    def _shown(self, platform: Platform) -> dict[str, Any]:
        body = platform.body
        if body is None:
            school = platform.school
            client_id, name = (school.client_id, school.name) if school is not None else ("", "")
            body = described(self._campus.origin, client_id, name)
        return {"id": platform.id, **body, "publicKey": _PUBLIC_KEY, "active": platform.is_active}


def described(origin: str, client_id: str, name: str) -> dict[str, Any]:
    """What this LMS says of itself when it is registered."""
    return {
        "url": origin,
        "clientId": client_id,
        "name": name,
        "authenticationEndpoint": f"{origin}/mod/lti/auth.php",
        "accesstokenEndpoint": f"{origin}/mod/lti/token.php",
        "authConfig": {"method": "JWK_SET", "key": f"{origin}/mod/lti/certs.php"},
    }
