"""What is to go wrong: planned by a form or a single button, looked at, and taken back."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.http import HttpRequest, HttpResponse

from .. import errors, pages, steering, validation
from ..faults import LONGEST_DELAY, Kind, Route
from ..simulator import Sandbox
from . import frame

METHODS = ("GET", "POST", "PUT", "DELETE")


@dataclass(frozen=True)
class KindForm:
    """The form for one kind of fault."""

    kind: Kind
    title: str
    says: str
    fields: tuple[str, ...] = ()


KINDS = (
    KindForm(
        Kind.STATUS,
        "Another status",
        "A status and body of yours in place of the answer.",
        ("status", "retry_after", "after_storing", "body"),
    ),
    KindForm(Kind.DELAY, "Late", "The right answer, after some seconds.", ("delay",)),
    KindForm(
        Kind.HANG,
        "No answer",
        "The connection stays open and nothing comes, until the tool gives up (or 300 seconds have passed).",
        ("delay",),
    ),
    KindForm(Kind.DROP_BEFORE, "Cut before", "The connection is cut, and nothing was done."),
    KindForm(Kind.DROP_AFTER, "Cut after", "The request is done, a score is stored; then the connection is cut."),
    KindForm(Kind.CUT, "Half an answer", "The request is done; half of the answer arrives."),
    KindForm(Kind.GATEWAY, "Gateway's page", "502 with a gateway's page in HTML, where JSON was expected."),
    KindForm(Kind.EXPIRED_LTIK, "Ltik refused", "LTIAAS says that the ltik is over, to calls with one."),
    KindForm(
        Kind.REFUSED_KEY, "Service key refused", "LTIAAS says that the service key is not good, to calls with one."
    ),
    KindForm(
        Kind.TOOL_REMOVED,
        "Tool removed",
        "The LMS says, in its own words, that the tool is not in the course any more.",
    ),
    KindForm(Kind.THROTTLE, "Throttled", "The LMS says, in its own words, that it is asked too much."),
)

COMMON: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "score_lost": (
        "Next score: stored, answer lost",
        {"kind": Kind.DROP_AFTER, "route": Route.SCORES, "method": "POST"},
    ),
    "score_503": ("Next score: 503", {"kind": Kind.STATUS, "status": 503, "route": Route.SCORES}),
    "roster_cut": ("Next roster page: half of it", {"kind": Kind.CUT, "route": Route.MEMBERSHIPS}),
    "ltik": ("Next launch: ltik refused", {"kind": Kind.EXPIRED_LTIK, "route": Route.IDTOKEN}),
    "key": ("Next score by service key: refused", {"kind": Kind.REFUSED_KEY, "route": Route.SCORES}),
    "throttle": ("Next 5 scores: throttled", {"kind": Kind.THROTTLE, "route": Route.SCORES, "times": 5}),
    "gateway": ("Next request: a gateway's page", {"kind": Kind.GATEWAY}),
    "slow": ("Everything 2 seconds late", {"kind": Kind.DELAY, "delay": 2, "times": None}),
    "down": ("Everything down (503)", {"kind": Kind.STATUS, "status": 503, "times": None}),
}
"""The faults that a single button plans: its words, and the fault as the control API has it."""


@pages.page("GET", "HEAD", "POST")
def faults(request: HttpRequest, sandbox: Sandbox) -> HttpResponse:
    """What waits, and forms for more; and the ends of ltiks and service keys."""
    actions = {
        "plan": _plan,
        "common": _plan_common,
        "take_back": _take_back,
        "clear": _clear,
        "expire": _expire,
        "revoke": _revoke,
    }
    return frame.answer(request, sandbox, _show, actions)


def _show(request: HttpRequest, sandbox: Sandbox, error: errors.SandboxError | None) -> HttpResponse:
    typed = request.POST if error else request.GET
    return frame.render(
        request,
        "console_faults",
        "Faults",
        error,
        waiting=[(fault, _form_of(fault.kind)) for fault in sandbox.faults.waiting()],
        kinds=KINDS,
        common=[(key, words) for key, (words, _fault) in COMMON.items()],
        routes=list(Route),
        methods=METHODS,
        typed={name: typed.get(name, "") for name in (*_FIELDS, "revoke_course") if name in typed},
        launches=len(sandbox.launches.ltiks()),
        longest=int(LONGEST_DELAY),
    )


def _form_of(kind: Kind) -> KindForm:
    return next(form for form in KINDS if form.kind == kind)


def _plan(request: HttpRequest, sandbox: Sandbox) -> HttpResponse:
    fault = _read_form(request)
    _check_place(sandbox, fault.get("course", ""), fault.get("person", ""))
    if "kind" not in fault:
        raise errors.BadRequest("The form does not say what is to go wrong.")
    steering.fault_of(sandbox, fault)
    return frame.done("console_faults", "planned")


def _plan_common(request: HttpRequest, sandbox: Sandbox) -> HttpResponse:
    _words, fault = COMMON.get(frame.text(request, "fault"), ("", None))
    if fault is None:
        raise errors.BadRequest("There is no such button.")
    steering.fault_of(sandbox, fault)
    return frame.done("console_faults", "planned")


def _take_back(request: HttpRequest, sandbox: Sandbox) -> HttpResponse:
    number = frame.text(request, "number")
    sandbox.faults.take_back(int(number) if number.isascii() and number.isdigit() else 0)
    return frame.done("console_faults", "taken_back")


def _clear(request: HttpRequest, sandbox: Sandbox) -> HttpResponse:
    sandbox.clear_faults()
    return frame.done("console_faults", "all_taken_back")


def _expire(request: HttpRequest, sandbox: Sandbox) -> HttpResponse:
    return frame.done("console_faults", "expired", sandbox.expire_ltik())


def _revoke(request: HttpRequest, sandbox: Sandbox) -> HttpResponse:
    course = frame.text(request, "revoke_course")
    _check_place(sandbox, course, "")
    return frame.done("console_faults", "revoked", sandbox.revoke_service_keys(course or None))


# -- reading the form --------------------------------------------------------------------------------------------------


def _number(text: str) -> Decimal:
    if not _NUMBER.fullmatch(text):
        raise errors.BadRequest(f"“{text[:20]}” is no number.")
    return Decimal(text)


def _body(text: str) -> Any:
    """What looks like a JSON object or list is one; anything else is sent as it is."""
    if text.startswith(("{", "[")):
        return validation.read_json(text.encode(errors="replace"))
    return text


_NUMBER = re.compile(r"-?\d{1,12}(\.\d{1,6})?", re.ASCII)
_FIELDS: Mapping[str, tuple[str, Callable[[str], Any]]] = {
    "kind": ("kind", str),
    "route": ("route", str),
    "method": ("method", str),
    "course": ("course", str),
    "person": ("person", str),
    "status": ("status", _number),
    "delay": ("delay", _number),
    "times": ("times", _number),
    "always": ("times", lambda _on: None),
    "after_storing": ("afterStoring", bool),
    "body": ("body", _body),
    "retry_after": ("headers", lambda text: {"Retry-After": text}),
}
"""A field of the form, the control API's name for it, and how it is read."""


def _read_form(request: HttpRequest) -> dict[str, Any]:
    """The form as a body of the control API, without what was left blank; raises BadRequest."""
    typed = [(frame.text(request, name), member, read) for name, (member, read) in _FIELDS.items()]
    return validation.read_object({member: read(text) for text, member, read in typed if text}, steering.FAULT)


def _check_place(sandbox: Sandbox, course: str, person: str) -> None:
    """Raises NotFound for a course or person that there is not: nothing would ever come of the fault."""
    if course:
        people = set(sandbox.course(course).people)
    else:
        people = {one for school in sandbox.schools.values() for one in school.people}
    may_come = not course and len(sandbox.courses.made()) < len(sandbox.courses)  # with a course not made yet
    if person and person not in people and not may_come:
        raise errors.NotFound(f"There is nobody with the id “{person}”{' in this course' if course else ''}.")
