"""The sandbox's state as a whole: put back to the start, taken along as a file, and loaded from one."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from .. import errors, pages, scenarios, web
from ..simulator import Sandbox
from . import frame


@pages.page("GET", "HEAD", "POST")
def state(request: HttpRequest, sandbox: Sandbox) -> HttpResponse:
    """What there is, and how to begin anew."""
    return frame.answer(request, sandbox, _show, {"reset": _reset, "load": _load})


def _show(request: HttpRequest, sandbox: Sandbox, error: errors.SandboxError | None) -> HttpResponse:
    return frame.render(
        request,
        "console_state",
        "State",
        error,
        scenario=sandbox.scenario,
        scenarios=_choices(sandbox),
        facts=_facts(sandbox),
    )


def _choices(sandbox: Sandbox) -> list[str]:
    """What a reset can lead to; what was loaded from a file has a name of its own."""
    return list(dict.fromkeys([sandbox.scenario, *scenarios.SCENARIOS]))


def _facts(sandbox: Sandbox) -> list[tuple[str, int]]:
    return [
        ("Schools", len(sandbox.schools)),
        ("Courses", len(sandbox.courses)),
        ("Launches", len(sandbox.launches.ltiks())),
        ("Requests", sandbox.traffic.count),
        ("Faults that wait", len(sandbox.faults.waiting())),
    ]


def _reset(request: HttpRequest, sandbox: Sandbox) -> HttpResponse:
    scenario = frame.text(request, "scenario") or sandbox.scenario
    if scenario not in _choices(sandbox):
        raise errors.BadRequest(f"A scenario is one of {', '.join(_choices(sandbox))}.")
    if frame.is_sure(request):
        sandbox.reset(None if scenario == sandbox.scenario else scenario)
        return frame.done("console_state", "reset")
    return frame.confirm(
        request,
        f"Back to the start of “{scenario}”?",
        [
            "People, courses and grades are as at the start; launches, requests, faults and the clock's offset are "
            "forgotten, and the LMS is the one that the sandbox was started with.",
            "The tool's own database keeps what it knows. The same people, courses and columns get the same ids again.",
        ],
        "Yes, begin anew",
        reverse("console_state"),
    )


@pages.page("GET", "HEAD")
def export(request: HttpRequest, sandbox: Sandbox) -> HttpResponse:
    """The state as a file."""
    response = web.json_response(sandbox.export())
    name = f"sandbox-{datetime.now(UTC):%Y-%m-%d-%H%M}.json"
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _load(request: HttpRequest, sandbox: Sandbox) -> HttpResponse:
    file = request.FILES.get("file")
    if file is None:
        raise errors.BadRequest("Choose a file.")
    try:
        data = json.loads(file.read())
    except (ValueError, RecursionError):  # UnicodeDecodeError is a ValueError
        raise errors.BadRequest("The file holds no JSON.") from None
    sandbox.load(data)
    return frame.done("console_state", "loaded")
