"""What the account's API key opens: the platforms that are registered with LTIAAS, and those that ask to be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeVar

from ltiaas_django import data, exceptions
from ltiaas_django.connections import probing
from ltiaas_django.connections.ltiaas import http, wire_account
from ltiaas_django.connections.ltiaas.auth import ApiKeyAuth

PLATFORMS: Final = "/api/platforms"  # LTIAAS's client libraries say this
PLATFORMS_TOO: Final = "/admin/platforms"  # and its reference this
REGISTRATIONS: Final = "/api/registrations"

_Answer = TypeVar("_Answer")


class Account:
    """An LTIAAS account. Every method may raise `ApiError` subclasses; `NotFound` where there is no such platform."""

    def __init__(self, endpoint: http.Endpoint, auth: ApiKeyAuth) -> None:
        self.endpoint = endpoint
        self.auth = auth

    def accepts_api_key(self) -> bool | None:
        """Whether LTIAAS takes the API key; None when that cannot be known now."""
        error = self.probe().error
        if error is None:
            return True
        return False if isinstance(error, exceptions.Refused) and error.origin == "ltiaas" else None

    def probe(self) -> probing.Probe:
        """Ask something short that takes the API key. What goes wrong is told, not raised."""
        probe, asked = probing.Probe(), "GET platforms"
        for path in (PLATFORMS, PLATFORMS_TOO):
            try:
                # No platform has this id, so the answer is short however many there are.
                http.send(self.endpoint, self.auth, "GET", path, asked=asked, query={"id": "-"}, hear=probe.hear)
            except (exceptions.NotFound, exceptions.InvalidRequest) as error:
                probe.error = error
            except exceptions.ApiError as error:
                probe.error = error
                break
            else:
                probe.error = None
                break
        return probe

    # --- platforms ---

    def platforms(self, *, issuer: str = "", client_id: str = "") -> list[data.PlatformRegistration]:
        """The registered platforms, of one issuer or client if given."""
        filters = {name: text for name, text in (("url", issuer), ("clientId", client_id)) if text}
        return self._ask(wire_account.parse_platforms, "GET", "", "GET platforms", query=filters)

    def platform(self, ltiaas_id: str) -> data.PlatformRegistration:
        """One platform."""
        asked = "GET platform"
        return self._ask(wire_account.parse_platform, "GET", _below(ltiaas_id, asked), asked)

    def register_platform(self, platform: data.PlatformRegistration) -> data.PlatformRegistration:
        """Register a platform by hand; returns it with its id."""
        body = wire_account.render_platform(platform)
        return self._ask(wire_account.parse_platform, "POST", "", "POST platform", body=body)

    def replace_platform(self, platform: data.PlatformRegistration) -> data.PlatformRegistration:
        """Replace what LTIAAS knows of the platform with this id."""
        asked, body = "PUT platform", wire_account.render_platform(platform)
        return self._ask(wire_account.parse_platform, "PUT", _below(platform.ltiaas_id, asked), asked, body=body)

    def delete_platform(self, ltiaas_id: str) -> None:
        """Take the platform out of the account: it launches nothing any more, and its keys open nothing."""
        self._tell("DELETE", ltiaas_id, "", "DELETE platform")

    def activate_platform(self, ltiaas_id: str) -> None:
        """Let the platform launch."""
        self._tell("POST", ltiaas_id, "/activate", "POST activate platform")

    def deactivate_platform(self, ltiaas_id: str) -> None:
        """Let the platform launch nothing until it is activated again."""
        self._tell("POST", ltiaas_id, "/deactivate", "POST deactivate platform")

    # --- registrations ---

    def registration(self, registration_id: str) -> data.RegistrationRequest:
        """What an LMS that waits for approval says of itself."""
        asked = "GET registration"
        path = f"{REGISTRATIONS}{_below(registration_id, asked)}"
        return http.ask(self.endpoint, self.auth, wire_account.parse_registration, "GET", path, asked=asked)

    def raw_registration(self, registration_id: str) -> dict[str, object]:
        """The same in the LMS's own words, unformatted."""
        asked, parse = "GET raw registration", wire_account.parse_raw_registration
        path = f"{REGISTRATIONS}{_below(registration_id, asked)}"
        return http.ask(self.endpoint, self.auth, parse, "GET", path, asked=asked, query={"raw": "true"})

    def complete_registration(
        self, registration_id: str, *, name: str, activate: bool, messages: Sequence[data.RegistrationMessage]
    ) -> data.ApprovedRegistration:
        """Approve a registration, once: its id is used up. `activate`: let the platform launch from now on."""
        asked, parse = "POST registration", wire_account.parse_approved
        path = f"{REGISTRATIONS}{_below(registration_id, asked)}/complete"
        body = wire_account.render_approval(name, activate=activate, messages=messages)
        return http.ask(self.endpoint, self.auth, parse, "POST", path, asked=asked, body=body)

    # --- both prefixes ---

    def _ask(self, parse: http.Parser[_Answer], method: str, path: str, asked: str, **options: Any) -> _Answer:
        """Ask at one prefix and, where that is not served, at the other. A 404 has changed nothing: writes too may
        be repeated.
        """
        failures: list[exceptions.ApiError] = []
        for prefix in (PLATFORMS, PLATFORMS_TOO):
            try:
                return http.ask(self.endpoint, self.auth, parse, method, prefix + path, asked=asked, **options)
            except (exceptions.NotFound, exceptions.InvalidRequest) as error:
                if error.status_code != 404:
                    raise
                failures.append(error)
        # A page says that nobody serves the path; only LTIAAS's own words say that the platform is unknown.
        raise next((error for error in failures if isinstance(error, exceptions.NotFound)), failures[0])

    def _tell(self, method: str, ltiaas_id: str, more: str, asked: str) -> None:
        """The same where the status says all."""
        self._ask(_nothing, method, _below(ltiaas_id, asked) + more, asked, expects_json=False)


def _below(identifier: str, asked: str) -> str:
    return f"/{http.segment(identifier, asked)}"


def _nothing(_answer: object, _asked: str) -> None:
    return None
