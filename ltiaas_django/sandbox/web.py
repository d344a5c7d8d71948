"""What the API, the control API and the pages share of HTTP."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse
from django.http.request import UnreadablePostError

from . import errors, validation

if TYPE_CHECKING:
    from .simulator import Sandbox

SANDBOX = "ltiaas_sandbox.sandbox"
DROP = "ltiaas_sandbox.drop"
IS_SPOILT = "ltiaas_sandbox.is_spoilt"
"""Keys of the WSGI environment: the sandbox that is served, how to close the connection without an answer, and, once
it is answered, whether that was made to go wrong: what wraps the application need not wonder at it."""
_GUNICORN_SOCKET = "gunicorn.socket"


def sandbox_of(request: HttpRequest) -> Sandbox:
    """The sandbox that this request came to."""
    return cast("Sandbox", request.META[SANDBOX])


def drop(environ: Mapping[str, Any]) -> None:
    """Close the connection; what is written afterwards goes nowhere."""
    if DROP in environ:
        environ[DROP]()
    elif _GUNICORN_SOCKET in environ:
        with contextlib.suppress(OSError):
            environ[_GUNICORN_SOCKET].shutdown(socket.SHUT_RDWR)


def raw_target(request: HttpRequest) -> str:
    """The path and query as they came."""
    return str(request.META.get("REQUEST_URI") or request.META["RAW_URI"])  # the latter is gunicorn's


def raw_path(request: HttpRequest) -> str:
    """The path as it came, still percent-encoded: PATH_INFO cannot tell %2F from a slash."""
    return raw_target(request).partition("?")[0]


def body_of(request: HttpRequest) -> bytes:
    """The body; raises TooLarge or BadRequest."""
    try:
        return request.body
    except RequestDataTooBig:
        raise errors.TooLarge("The body is too large.") from None
    except UnreadablePostError:
        raise errors.BadRequest("The body could not be read.") from None


def large_json_body(request: HttpRequest, deepest: int) -> Any:
    """The JSON body, however large the host project lets bodies be; raises BadRequest as `json_body` does."""
    _check_json(request)
    try:
        return validation.read_json(request.read(), deepest)
    except UnreadablePostError:
        raise errors.BadRequest("The body could not be read.") from None


def json_body(request: HttpRequest) -> Any:
    """The JSON body; raises BadRequest when the content type says that it is none, or it is malformed."""
    _check_json(request)
    return validation.read_json(body_of(request))


def _check_json(request: HttpRequest) -> None:
    if request.content_type != "application/json":
        raise errors.BadRequest("The Content-Type must be application/json.", code="INVALID_CONTENT_TYPE")
    charset = (request.content_params or {}).get("charset", "utf-8")
    if charset.lower() not in ("utf-8", "utf8"):
        raise errors.BadRequest("The body must be UTF-8.", code="INVALID_CONTENT_TYPE")


def json_response(payload: Any, status: int = 200) -> HttpResponse:
    """The payload as JSON, amounts as JSON numbers."""
    return HttpResponse(json.dumps(payload, default=_number), status=status, content_type="application/json")


def error_response(error: errors.SandboxError) -> HttpResponse:
    """The error in LTIAAS's form."""
    response = json_response(error.body(), error.status)
    for name, value in error.headers.items():
        response.headers[name] = value
    return response


class CutResponse(HttpResponse):
    """An answer of which half arrives, though its length promises the whole."""


def _number(value: object) -> int | float:
    if not isinstance(value, Decimal):
        raise TypeError(f"{type(value).__name__} is not written as JSON here.")
    return int(value) if value == int(value) else float(value)
