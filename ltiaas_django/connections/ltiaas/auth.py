"""The three ways to prove to LTIAAS who asks: one class per scheme of the contract's `securitySchemes`.

Each opens another kind of connection, so a call with the wrong credential cannot be written.
"""

from __future__ import annotations

import dataclasses
import json
import re
from typing import Final
from urllib.parse import quote

from ltiaas_django import exceptions
from ltiaas_django.redaction import HIDDEN, Hidden

MAX_SECRET_LENGTH: Final = 8192  # the usual limit of one header line at servers and gateways
_VISIBLE_ASCII: Final = re.compile(r"[!-~]+")


def is_usable_secret(text: str) -> bool:
    """Whether it can stand in a header: visible ASCII (RFC 9110, section 5.5), not blank, not endless."""
    return len(text) <= MAX_SECRET_LENGTH and _VISIBLE_ASCII.fullmatch(text) is not None


@dataclasses.dataclass(frozen=True, slots=True)
class Auth:
    """A credential; `header` is the value of Authorization.

    An API key that cannot be sent raises `ConfigurationError`; another secret raises `Refused`, because LTIAAS could
    not but refuse it. Neither error holds the secret.
    """

    api_key: str = dataclasses.field(repr=False)

    def __post_init__(self) -> None:
        if not is_usable_secret(self.api_key):
            raise exceptions.ConfigurationError(
                "The LTIAAS API key must be visible ASCII characters without spaces. "
                "Copy it again from the LTIAAS portal."
            )

    @property
    def header(self) -> str:
        raise NotImplementedError

    def hide(self, text: str) -> str:
        """The text without our secrets, should a server or gateway echo them plainly, percent-encoded or escaped."""
        for field in dataclasses.fields(self):
            secret = getattr(self, field.name)
            for form in {secret, quote(secret, safe=""), quote(secret), json.dumps(secret)[1:-1]}:
                text = text.replace(form, HIDDEN)
        return text


def _refuse_unusable(secret: str, what: str) -> None:
    if not is_usable_secret(secret):
        raise exceptions.Refused("Authorization", f"Not sent: {what} is blank, too long or not visible ASCII.")


@dataclasses.dataclass(frozen=True, slots=True)
class LtikAuth(Auth):
    """Stands for one launch, for 24 hours."""

    ltik: str = dataclasses.field(repr=False)

    def __post_init__(self) -> None:
        Auth.__post_init__(self)
        _refuse_unusable(self.ltik, "the ltik")

    @property
    def header(self) -> str:
        return Hidden(f"LTIK-AUTH-V2 {self.api_key}:{self.ltik}")


@dataclasses.dataclass(frozen=True, slots=True)
class ServiceKeyAuth(Auth):
    """Stands for one launch context, at any time."""

    service_key: str = dataclasses.field(repr=False)

    def __post_init__(self) -> None:
        Auth.__post_init__(self)
        _refuse_unusable(self.service_key, "the service key")

    @property
    def header(self) -> str:
        return Hidden(f"SERVICE-AUTH-V1 {self.api_key}:{self.service_key}")


@dataclasses.dataclass(frozen=True, slots=True)
class ApiKeyAuth(Auth):
    """Stands for the account; for what has no launch context."""

    @property
    def header(self) -> str:
        return Hidden(f"Bearer {self.api_key}")
