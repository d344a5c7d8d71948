"""The control API's part about how the sandbox behaves: faults, the LMSs' profiles, the clock.

What it does is here for the console too, so that a form and a script mean the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.http import HttpResponse

from . import profiles, validation, web
from .control import body_of, school_facts
from .faults import Fault, Route
from .profiles import switches
from .simulator import Sandbox, profile_of
from .validation import Field

# -- faults ------------------------------------------------------------------------------------------------------------

FAULT = {
    "kind": Field(validation.text),
    "route": Field(validation.one_of(["", *map(str, Route)])),
    "course": Field(validation.text),
    "person": Field(validation.text),
    "pathPrefix": Field(validation.text),
    "status": Field(validation.integer),
    "body": Field(validation.anything),
    "contentType": Field(validation.header),
    "headers": Field(validation.headers),
    "times": Field(validation.integer_or_null),
    "method": Field(validation.text),
    "afterStoring": Field(validation.boolean),
    "drop": Field(validation.boolean),
    "delay": Field(validation.seconds),
}
"""What may be said of a fault."""

_PYTHON = {
    "pathPrefix": "path_prefix",
    "contentType": "content_type",
    "afterStoring": "after_storing",
}


def fault_of(sandbox: Sandbox, body: Mapping[str, Any]) -> Fault:
    """Plan the fault that a checked body describes; raises BadRequest."""
    options = {_PYTHON.get(name, name): value for name, value in body.items()}
    if "kind" not in options:
        return sandbox.fail_next(options.pop("path_prefix", ""), **options)
    options.pop("drop", None)
    return sandbox.fault(options.pop("kind"), **options)


def get_faults(sandbox: Sandbox) -> HttpResponse:
    return web.json_response({"faults": [_fault(fault) for fault in sandbox.faults.waiting()]})


@body_of(**FAULT)
def plan_fault(sandbox: Sandbox, body: dict[str, Any]) -> HttpResponse:
    return web.json_response(_fault(fault_of(sandbox, body)), 201)


def take_back_fault(sandbox: Sandbox, number: int) -> HttpResponse:
    sandbox.faults.take_back(number)
    return HttpResponse(status=204)


def clear_faults(sandbox: Sandbox) -> HttpResponse:
    sandbox.clear_faults()
    return HttpResponse(status=204)


def _fault(fault: Fault) -> dict[str, Any]:
    return {
        "number": fault.number,
        "text": str(fault),
        "kind": str(fault.kind),
        "route": fault.route,
        "method": fault.method,
        "course": fault.course,
        "person": fault.person,
        "pathPrefix": fault.path_prefix,
        "times": fault.times,
        "status": fault.status,
        "delay": fault.delay,
        "afterStoring": fault.after_storing,
    }


# -- the LMSs ----------------------------------------------------------------------------------------------------------


def get_profiles(sandbox: Sandbox) -> HttpResponse:
    listed = [
        {
            "name": profile.name,
            "title": profile.title,
            "quirks": [{"id": one.id, "text": one.text, "source": one.source} for one in profile.quirks],
            "switches": switches.values(profile()),
        }
        for profile in profiles.PROFILES.values()
    ]
    return web.json_response({"profiles": listed})


def get_school(sandbox: Sandbox, school_id: str) -> HttpResponse:
    return web.json_response(school_facts(sandbox.find_school(school_id)))


@body_of(
    id=Field(validation.text, required=True),
    name=Field(validation.text, required=True),
    profile=Field(validation.text),
)
def add_school(sandbox: Sandbox, body: dict[str, Any]) -> HttpResponse:
    school = sandbox.add_school(body["id"], body["name"], **{k: v for k, v in body.items() if k == "profile"})
    return web.json_response(school_facts(school), 201)


@body_of(profile=Field(validation.text), switches=Field(validation.anything))
def change_school(sandbox: Sandbox, body: dict[str, Any], school_id: str) -> HttpResponse:
    school = sandbox.find_school(school_id)
    wanted = body.get("switches", {})
    switches.turn(profiles.make(body.get("profile", school.profile.name)), wanted)  # refused before anything changes
    if "profile" in body:
        sandbox.set_profile(body["profile"], school_id)
    switches.turn(profile_of(school), wanted)
    return web.json_response(school_facts(school))


# -- the clock ---------------------------------------------------------------------------------------------------------

CLOCK = {"advanceSeconds": Field(validation.number, required=True)}


def get_clock(sandbox: Sandbox) -> HttpResponse:
    clock = sandbox.clock
    return web.json_response({"now": clock.now().isoformat(), "offsetSeconds": clock.offset.total_seconds()})


@body_of(**CLOCK)
def move_clock(sandbox: Sandbox, body: dict[str, Any]) -> HttpResponse:
    sandbox.advance_clock(float(body["advanceSeconds"]))
    return get_clock(sandbox)


def reset_clock(sandbox: Sandbox) -> HttpResponse:
    sandbox.clock.reset()
    return HttpResponse(status=204)
