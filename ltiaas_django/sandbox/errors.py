"""Everything the sandbox refuses, as one tree.

SandboxError          has a status, a code for machines and a sentence for people
├── BadRequest        400, the request is wrong
│   └── InactivePlatform  LTIAAS lets the LMS launch nothing
├── Unauthorized      401, the credential or its scheme is not accepted
├── Forbidden         403, a page that this person does not see
├── NotFound          404
├── WrongMethod       405
├── TooLarge          413
└── LmsRefusal        any status: the LMS refused, LTIAAS passes its answer on
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any


class SandboxError(Exception):
    """A refusal with the sentence that explains it."""

    status = HTTPStatus.BAD_REQUEST
    code = "BAD_REQUEST"
    headers: Mapping[str, str] = {}

    def __init__(self, description: str, *, code: str | None = None) -> None:
        super().__init__(description)
        self.description = description
        self.code = code or self.code

    def details(self) -> dict[str, Any]:
        """The `details` member of LTIAAS's error body."""
        return {"message": self.code, "description": self.description}

    def body(self) -> dict[str, Any]:
        """The error as LTIAAS writes it."""
        return {"status": int(self.status), "error": self.status.phrase, "details": self.details()}


class BadRequest(SandboxError):
    """The request is wrong."""


class InactivePlatform(BadRequest):
    """LTIAAS lets the LMS launch nothing: it is not registered, or was deactivated."""

    code = "UNREGISTERED_OR_INACTIVE_PLATFORM"


class Unauthorized(SandboxError):
    """The credential or its scheme is not accepted.

    LTIAAS uses the same code for a bad API key as for a bad ltik; only the description tells them apart.
    """

    status = HTTPStatus.UNAUTHORIZED
    code = "INVALID_LTIK_AUTH_AUTHORIZATION_HEADER"


class Forbidden(SandboxError):
    """The page is not for this person."""

    status = HTTPStatus.FORBIDDEN
    code = "FORBIDDEN"


class NotFound(SandboxError):
    """There is no such thing."""

    status = HTTPStatus.NOT_FOUND
    code = "NOT_FOUND"


class WrongMethod(SandboxError):
    """The path exists, but not for this method."""

    status = HTTPStatus.METHOD_NOT_ALLOWED
    code = "METHOD_NOT_ALLOWED"


class TooLarge(SandboxError):
    """The body is larger than the host project lets Django read."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    code = "BODY_TOO_LARGE"


class LmsRefusal(SandboxError):
    """The LMS refused: LTIAAS keeps its status and wraps what it said, text or JSON."""

    code = "PLATFORM_REQUEST_FAILED"

    def __init__(self, status: HTTPStatus, said: Any, url: str, *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__("The platform refused the request.")
        self.status = status
        self.said = said
        self.url = url
        self.headers = headers or {}

    def details(self) -> dict[str, Any]:
        return {**super().details(), "externalError": True, "externalUrl": self.url, "bodyReceived": self.said}
