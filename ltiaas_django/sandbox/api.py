"""The LTIAAS API: which operation a request means, whether its credential may, and what is to go wrong with it."""

from __future__ import annotations

import hmac
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

from django.http import HttpRequest, HttpResponse

from . import account, deep_linking, errors, habits, services, web
from .credentials import Launch, Scheme, expired_ltik, redact, refused_key
from .faults import Fault, Kind, Route
from .school import School
from .simulator import Sandbox, profile_of
from .traffic import RequestRecord


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
    began = time.monotonic()
    target = web.raw_target(request)
    record = RequestRecord(
        method=request.method or "",
        path=redact(target),
        scheme=request.headers.get("Authorization", "").partition(" ")[0],
        at=sandbox.clock.now(),
    )
    asked = _Asked(request, sandbox, record)
    sandbox.traffic.record(record)
    fault = sandbox.faults.take(record, target)
    request.META[web.IS_SPOILT] = fault is not None
    response = asked.answer() if fault is None else _spoilt(asked, fault)
    record.duration = time.monotonic() - began
    return response


class _Asked:
    """A request: what it is for, whose it is, and its answer."""

    def __init__(self, request: HttpRequest, sandbox: Sandbox, record: RequestRecord) -> None:
        self.request = request
        self.sandbox = sandbox
        self.record = record
        self.segments = habits.forgive_path(web.raw_path(request), record.warnings)
        record.route = _route(record.method, self.segments)
        record.body = self._read_for_record()
        self._note_place()

    def answer(self) -> HttpResponse:
        """What LTIAAS answers, with all that the request does."""
        try:
            response = self._perform()
        except errors.SandboxError as error:
            response = web.error_response(error)
        return self.give(response)

    def give(self, response: HttpResponse) -> HttpResponse:
        """The response, noted down."""
        self.record.status = response.status_code
        # Redacted before it is cut: half a key is not told from other text.
        self.record.answer = redact(response.content.decode(errors="replace"))[:KEPT_OF_ANSWERS]
        return response

    @property
    def school(self) -> School:
        """The school whose LMS is asked, or the first."""
        return self.sandbox.schools.get(self.record.school) or self.sandbox.school

    def _perform(self) -> HttpResponse:
        operation, item = _find(self.record.method, self.segments)
        launch = _authorize(self.sandbox, self.request.headers.get("Authorization", ""), operation)
        if launch is not None and launch.mutate is not None:
            self.request.META[web.IS_SPOILT] = True
        if launch is None or Scheme.SERVICE_KEY not in operation.schemes:  # LTIAAS answers this by itself
            with self.sandbox.lock:
                return operation.do(self._call(launch, item))
        profile, url = profile_of(self.school), self.sandbox.origin
        with profile.paced(self.sandbox.clock.now(), url) as headers, self.sandbox.lock:
            response = operation.do(self._call(launch, item))
        for name, value in headers.items():
            response.headers[name] = value
        return response

    def _call(self, launch: Launch | None, item: str) -> services.Call:
        warnings = self.record.warnings
        query = habits.forgive_query(self.request.META.get("QUERY_STRING", ""), self.sandbox.pages.knows, warnings)
        return services.Call(self.sandbox, launch, item, query, self._read_body)

    def _read_body(self) -> Any:
        return habits.forgive_body(web.json_body(self.request), self.record.warnings)

    def _read_for_record(self) -> Any:
        try:
            return json.loads(redact(web.body_of(self.request).decode()), parse_constant=lambda name: None)
        except (errors.SandboxError, ValueError, RecursionError):
            return None

    def _note_place(self) -> None:
        """Note where the request belongs, whether it is going to be allowed or not."""
        scheme, _, credential = self.request.headers.get("Authorization", "").partition(" ")
        secret = credential.rpartition(":")[2]
        launches, record = self.sandbox.launches, self.record
        launch = launches.find(secret) if scheme == Scheme.LTIK else launches.find_key(secret)
        if launch is None:
            return
        school = self.sandbox.course(launch.course_id).school
        record.school, record.course, record.person = school.id, launch.course_id, launch.person_id
        wanted = record.body.get("userId") if isinstance(record.body, dict) else None
        wanted = wanted or self.request.GET.get("userId") or self.request.GET.get("user_id")
        person = school.find_person(wanted) if isinstance(wanted, str) else None
        if person is not None:
            record.person = person.id


KEPT_OF_ANSWERS = 400
"""Characters of an answer that its record keeps."""


def _spoilt(asked: _Asked, fault: Fault) -> HttpResponse:
    """The answer, or what takes its place, under a fault."""
    asked.record.fault = str(fault.kind)
    if fault.kind == Kind.DELAY:
        asked.sandbox.faults.wait(fault.delay)
        return asked.answer()
    response = asked.answer() if fault.takes_effect else HttpResponse()
    asked.sandbox.faults.wait(fault.delay)
    if fault.kind == Kind.CUT and response.content:
        return web.CutResponse(response.content, status=response.status_code, headers=dict(response.items()))
    if fault.kind in (Kind.HANG, Kind.DROP_BEFORE, Kind.DROP_AFTER, Kind.CUT):
        asked.record.status = None
        web.drop(asked.request.META)
        return HttpResponse()
    return asked.give(_planned(asked, fault))


def _planned(asked: _Asked, fault: Fault) -> HttpResponse:
    """What stands in the place of the answer."""
    profile, url = profile_of(asked.school), asked.sandbox.origin
    if fault.kind == Kind.EXPIRED_LTIK:
        return web.error_response(expired_ltik())
    if fault.kind == Kind.REFUSED_KEY:
        return web.error_response(refused_key())
    if fault.kind == Kind.THROTTLE:
        return web.error_response(profile.throttled(url))
    if fault.kind == Kind.TOOL_REMOVED:
        return web.error_response(profile.tool_removed(url))
    status = fault.status or HTTPStatus.INTERNAL_SERVER_ERROR
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


def _route(method: str, segments: list[str]) -> str:
    """The part of the API that a path belongs to; blank for none."""
    part = segments[1] if len(segments) > 1 else ""
    if part == "lineitems" and segments[-1] == "scores":
        return Route.SCORES if method == "POST" else Route.RESULTS
    return part if part in set(Route) else ""


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
