"""The log of what came to the API, newest first, and one request in full."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from .. import errors, pages
from ..api import KEPT_OF_ANSWERS
from ..credentials import redact
from ..faults import Route
from ..simulator import Sandbox
from ..traffic import RequestRecord
from . import calls, frame

_A_PAGE = 50


@dataclass(frozen=True)
class Filter:
    """Which requests are asked for."""

    route: str = ""
    course: str = ""
    errors: bool = False
    warnings: bool = False
    before: int | None = None

    @classmethod
    def of(cls, request: HttpRequest) -> Filter:
        """As the page's address says; what makes no sense there is left out."""
        before = request.GET.get("before", "")
        return cls(
            request.GET.get("route", ""),
            request.GET.get("course", ""),
            bool(request.GET.get("errors")),
            bool(request.GET.get("warnings")),
            int(before) if before.isascii() and before.isdigit() and len(before) < 12 else None,
        )

    def takes(self, record: RequestRecord) -> bool:
        """Whether the request is asked for."""
        return (
            self.route in ("", record.route)
            and self.course in ("", record.course)
            and (not self.errors or is_error(record))
            and (not self.warnings or bool(record.warnings))
            and (self.before is None or record.number < self.before)
        )

    def query(self, **changed: Any) -> str:
        """The address of the page with some of it changed, ready for a link."""
        wanted = {**vars(self), **changed}
        query = urlencode({name: 1 if value is True else value for name, value in wanted.items() if value})
        return f"?{query}" if query else "?"


def is_error(record: RequestRecord) -> bool:
    """Whether it was refused, or never answered; not while it runs."""
    return record.status >= 400 if record.status is not None else not _is_running(record)


def _is_running(record: RequestRecord) -> bool:
    return record.status is None and not record.duration


@pages.page("GET", "HEAD", "POST")
def log(request: HttpRequest, sandbox: Sandbox) -> HttpResponse:
    """The requests so far; by POST they are forgotten."""
    return frame.answer(request, sandbox, _show, {"clear": _clear})


def _clear(request: HttpRequest, sandbox: Sandbox) -> HttpResponse:
    sandbox.traffic.clear()
    return frame.done("console", "cleared")


def _show(request: HttpRequest, sandbox: Sandbox, error: errors.SandboxError | None) -> HttpResponse:
    records = sandbox.requests
    wanted = Filter.of(request)
    found = [one for one in reversed(records) if wanted.takes(one)]
    shown = found[:_A_PAGE]
    habits = Counter(text for one in records for text in one.warnings)
    return frame.render(
        request,
        "console",
        "Requests",
        error,
        rows=[_row(one) for one in shown],
        count=len(records),
        found=len(found),
        filter=wanted,
        routes=list(Route),
        courses=sorted({one.course for one in records if one.course}),
        habits=habits.most_common(),
        warned=sum(1 for one in records if one.warnings),
        failed=sum(1 for one in records if is_error(one)),
        only_warnings=wanted.query(warnings=True, before=None),
        newest=wanted.query(before=None) if wanted.before is not None else None,
        older=wanted.query(before=shown[-1].number) if len(found) > len(shown) else None,
    )


def _row(record: RequestRecord) -> dict[str, Any]:
    """What a line of the log shows of a request."""
    return {
        "record": record,
        "url": reverse("console_request", kwargs={"number": record.number}),
        "path": calls.short(record.path),
        "status": _status(record),
        "took": _took(record),
        "time": f"{record.at:%H:%M:%S}",  # a template's filter would take the project's zone
        "is_error": is_error(record),
    }


def _status(record: RequestRecord) -> str:
    if record.status is None:
        return "running" if _is_running(record) else "no answer"
    return str(record.status)


def _took(record: RequestRecord) -> str:
    if not record.duration:
        return "–"
    return f"{record.duration * 1000:.0f} ms" if record.duration < 1 else f"{record.duration:.1f} s"


@pages.page("GET", "HEAD")
def one_request(request: HttpRequest, sandbox: Sandbox, number: int) -> HttpResponse:
    """One request in full."""
    record = sandbox.traffic.find(number)
    if record is None:
        raise errors.NotFound("The log holds no such request (any more).")
    call, sentence = calls.call_of(record.method, record.path)
    answer, is_cut = _answer(record)
    neighbours = [sandbox.traffic.find(number + step) for step in (-1, 1)]
    return frame.render(
        request,
        "console_request",
        f"Request {number}",
        **_row(record),
        call=call,
        sentence=sentence,
        readable=calls.readable(record.path.partition("?")[0]),
        as_sent=calls.as_sent(record.path),
        parameters=calls.parameters(record.path),
        body=None if record.body is None else redact(json.dumps(record.body, indent=2, ensure_ascii=False)),
        answer=answer,
        is_cut=is_cut,
        kept=KEPT_OF_ANSWERS,
        place=sandbox.courses.get(record.course),
        school=sandbox.schools[record.school].name if record.school in sandbox.schools else record.school,
        person=_person(sandbox, record),
        older=neighbours[0],
        newer=neighbours[1],
        again=urlencode({"route": record.route, "method": record.method, "course": record.course}),
    )


def _answer(record: RequestRecord) -> tuple[str, bool]:
    """The answer's beginning, laid out if it is whole and JSON, and whether it was cut."""
    try:
        return json.dumps(json.loads(record.answer), indent=2, ensure_ascii=False), False
    except (ValueError, RecursionError):
        return record.answer, len(record.answer) >= KEPT_OF_ANSWERS


def _person(sandbox: Sandbox, record: RequestRecord) -> str:
    """Who the request is about, by name and id."""
    school = sandbox.schools.get(record.school)
    person = school.people.get(record.person) if school else None
    return f"{person.name} ({person.id})" if person else record.person
