"""The LTIAAS API: which operation a request means, whether its credential may, and what is to go wrong with it."""

from __future__ import annotations

import enum
import hmac
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from django.http import HttpRequest, HttpResponse

from . import account, deep_linking, errors, services, web
from .credentials import Launch, redact
from .simulator import Sandbox
from .traffic import Fault, RequestRecord


class Scheme(enum.StrEnum):
    """The schemes of the Authorization header."""

    LTIK = "LTIK-AUTH-V2"
    SERVICE_KEY = "SERVICE-AUTH-V1"
    BEARER = "Bearer"


@dataclass(frozen=True)
class Operation:
    """What to do, and the schemes that may ask for it."""

    do: Callable[[services.Call], HttpResponse]
    schemes: tuple[Scheme, ...]


_LAUNCH = (Scheme.LTIK,)
_SERVICE = (Scheme.LTIK, Scheme.SERVICE_KEY)
_ACCOUNT = (Scheme.BEARER,)
_PLATFORMS: Mapping[tuple[str, ...], Mapping[str, Operation]] = {
    ("platforms",): {
        "GET": Operation(account.list_platforms, _ACCOUNT),
        "POST": Operation(account.register_platform, _ACCOUNT),
    },
    ("platforms", "{}"): {
        "GET": Operation(account.get_platform, _ACCOUNT),
        "PUT": Operation(account.replace_platform, _ACCOUNT),
        "DELETE": Operation(account.delete_platform, _ACCOUNT),
    },
    ("platforms", "{}", "activate"): {"POST": Operation(account.activate_platform, _ACCOUNT)},
    ("platforms", "{}", "deactivate"): {"POST": Operation(account.deactivate_platform, _ACCOUNT)},
}

# A path by its segments; {}, always the third, is an id, decoded only after the path was split.
_OPERATIONS: Mapping[tuple[str, ...], Mapping[str, Operation]] = {
    ("api", "idtoken"): {"GET": Operation(services.get_id_token, _LAUNCH)},
    ("api", "memberships"): {"GET": Operation(services.list_members, _SERVICE)},
    ("api", "lineitems"): {
        "GET": Operation(services.list_line_items, _SERVICE),
        "POST": Operation(services.create_line_item, _SERVICE),
    },
    ("api", "lineitems", "{}"): {
        "GET": Operation(services.get_line_item, _SERVICE),
        "PUT": Operation(services.replace_line_item, _SERVICE),
        "DELETE": Operation(services.delete_line_item, _SERVICE),
    },
    ("api", "lineitems", "{}", "scores"): {
        "GET": Operation(services.list_scores, _SERVICE),
        "POST": Operation(services.post_score, _SERVICE),
    },
    ("api", "deeplinking"): {"POST": Operation(deep_linking.post_message, _LAUNCH)},
    ("api", "deeplinking", "{}"): {"POST": Operation(deep_linking.post_form, _LAUNCH)},
    # LTIAAS's reference has these under /admin, its own clients under /api.
    **{(prefix, *rest): by_method for prefix in ("api", "admin") for rest, by_method in _PLATFORMS.items()},
    ("api", "registrations", "{}"): {"GET": Operation(account.get_registration, _ACCOUNT)},
    ("api", "registrations", "{}", "complete"): {"POST": Operation(account.complete_registration, _ACCOUNT)},
}


def view(request: HttpRequest) -> HttpResponse:
    """Any request to the API: recorded, then answered, unless a fault befalls it."""
    sandbox = web.sandbox_of(request)
    record = RequestRecord(
        method=request.method or "",
        path=redact(web.raw_target(request)),
        scheme=request.headers.get("Authorization", "").partition(" ")[0],
        at=sandbox.clock.now(),
    )
    sandbox.traffic.record(record)
    fault = sandbox.traffic.take_fault(record.method, web.raw_target(request))
    return _answer(request, record) if fault is None else _spoilt_answer(request, record, fault)


def _spoilt_answer(request: HttpRequest, record: RequestRecord, fault: Fault) -> HttpResponse:
    if not fault.answers:  # it only delays
        time.sleep(fault.delay)
        return _answer(request, record)
    if fault.after_storing:
        _answer(request, record)
    else:
        _record_body(request, record)
    time.sleep(fault.delay)
    if fault.drop or fault.status is None:
        record.status = None
        request.META[web.DROP]()
        return HttpResponse()
    record.status = fault.status
    return _planned_response(fault, fault.status)


def _planned_response(fault: Fault, status: int) -> HttpResponse:
    if fault.body is None or isinstance(fault.body, str | bytes):
        return HttpResponse(
            fault.body or b"", status=status, content_type=fault.content_type or "text/plain", headers=fault.headers
        )
    response = web.json_response(fault.body, status)
    if fault.content_type:
        response.headers["Content-Type"] = fault.content_type
    for name, value in fault.headers.items():
        response.headers[name] = value
    return response


def _answer(request: HttpRequest, record: RequestRecord) -> HttpResponse:
    sandbox = web.sandbox_of(request)
    try:
        _record_body(request, record)
        with sandbox.lock:
            response = _perform(request, sandbox)
    except errors.SandboxError as error:
        response = web.error_response(error)
    record.status = response.status_code
    return response


def _record_body(request: HttpRequest, record: RequestRecord) -> None:
    try:
        record.body = json.loads(web.body_of(request), parse_constant=lambda name: None)
    except (errors.SandboxError, ValueError, RecursionError):
        record.body = None


def _perform(request: HttpRequest, sandbox: Sandbox) -> HttpResponse:
    # http.server has made one slash of several leading ones, which LTIAAS's own Python client sends.
    segments = web.raw_path(request).lstrip("/").split("/")
    operation, item = _find(request.method or "", segments)
    launch = _authorize(sandbox, request.headers.get("Authorization", ""), operation)
    call = services.Call(sandbox, launch, item, request.META["QUERY_STRING"], lambda: web.json_body(request))
    return operation.do(call)


def _find(method: str, segments: list[str]) -> tuple[Operation, str]:
    """The operation and the id in its path; raises NotFound or WrongMethod."""
    pattern = tuple("{}" if index == 2 else segment for index, segment in enumerate(segments))
    by_method = _OPERATIONS.get(pattern)
    item = unquote(segments[2]) if len(segments) > 2 else ""
    if by_method is None or "" in segments:
        raise errors.NotFound(
            "There is no such endpoint. (A line item id must be percent-encoded whole, slashes included.)"
        )
    if method not in by_method:
        raise errors.WrongMethod(f"{method} is not possible here, only {', '.join(by_method)}.")
    return by_method[method], item


def _authorize(sandbox: Sandbox, header: str, operation: Operation) -> Launch | None:
    """The launch whose credential this is, None for the bare API key; raises Unauthorized."""
    scheme, _, credential = header.partition(" ")
    if scheme not in operation.schemes:
        raise errors.Unauthorized(f"This endpoint takes {' or '.join(operation.schemes)}.")
    if scheme == Scheme.BEARER:
        _check_api_key(sandbox, credential)
        return None
    api_key, _, secret = credential.rpartition(":")  # ltiks and service keys hold no colon
    _check_api_key(sandbox, api_key)
    if scheme == Scheme.LTIK:
        return sandbox.launches.by_ltik(secret)
    return sandbox.launches.by_service_key(secret)


def _check_api_key(sandbox: Sandbox, given: str) -> None:
    if not hmac.compare_digest(given.encode(errors="replace"), sandbox.api_key.encode()):
        raise errors.Unauthorized("Invalid API key")
