"""What the account's API key opens: the platforms that are registered with LTIAAS."""

from __future__ import annotations

from typing import Final

from ltiaas_django import exceptions
from ltiaas_django.connections.ltiaas import http, wire
from ltiaas_django.connections.ltiaas.auth import ApiKeyAuth

PLATFORMS: Final = "/api/platforms"  # LTIAAS's client libraries say this
PLATFORMS_TOO: Final = "/admin/platforms"  # and its reference this


class Account:
    """An LTIAAS account."""

    def __init__(self, endpoint: http.Endpoint, auth: ApiKeyAuth) -> None:
        self.endpoint = endpoint
        self.auth = auth

    def accepts_api_key(self) -> bool | None:
        """Whether LTIAAS takes the API key; None when that cannot be known now."""
        for path in (PLATFORMS, PLATFORMS_TOO):
            try:
                # No platform has this id, so the answer is short however many there are.
                http.send(self.endpoint, self.auth, "GET", path, asked="GET platforms", query={"id": "-"})
            except exceptions.Refused as refusal:
                return False if refusal.origin == "ltiaas" else None
            except (exceptions.NotFound, exceptions.InvalidRequest):
                continue
            except exceptions.ApiError:
                return None
            return True
        return None

    def platforms(self, *, issuer: str = "", client_id: str = "") -> list[wire.RegisteredPlatform]:
        """The registered platforms, of one issuer or client if given. Raises `ApiError` subclasses."""
        filters = {name: text for name, text in (("url", issuer), ("clientId", client_id)) if text}
        return http.ask(
            self.endpoint, self.auth, wire.parse_platforms, "GET", PLATFORMS, asked="GET platforms", query=filters
        )
