"""What the LMSs do: each school's profile with its quirks, its switches, and the change to another LMS."""

from __future__ import annotations

import enum
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from .. import errors, pages, profiles
from ..profiles import switches
from ..school import School
from ..simulator import Sandbox, profile_of
from . import frame

_NUMBER = re.compile(r"-?\d{1,12}(\.\d{1,12})?", re.ASCII)


@pages.page("GET", "HEAD", "POST")
def lms(request: HttpRequest, sandbox: Sandbox, school_id: str | None = None) -> HttpResponse:
    """A school's LMS; the first school's, if none is named."""
    school = sandbox.school if school_id is None else sandbox.find_school(school_id)

    def show(request: HttpRequest, sandbox: Sandbox, error: errors.SandboxError | None) -> HttpResponse:
        return _show(request, sandbox, school, error)

    def act(action: Callable[..., HttpResponse]) -> frame.Action:
        return lambda request, sandbox: action(request, sandbox, school)

    return frame.answer(request, sandbox, show, {"switch": act(_switch), "profile": act(_change_profile)})


def _show(
    request: HttpRequest, sandbox: Sandbox, school: School, error: errors.SandboxError | None = None
) -> HttpResponse:
    profile = profile_of(school)
    return frame.render(
        request,
        "console_lms",
        f"{school.name}: {profile.title}",
        error,
        school=school,
        schools=list(sandbox.schools.values()),
        profile=profile,
        quirks=profile.quirks,
        profiles=list(profiles.PROFILES.values()),
        switches=[_switch_of(profile, name) for name in switches.names(type(profile))],
    )


def _switch_of(profile: profiles.Profile, name: str) -> dict[str, Any]:
    """What a form shows of a switch."""
    value = getattr(profile, name)
    return {
        "name": switches.wire(name),
        "label": name.replace("_", " ").capitalize(),
        "says": switches.says(type(profile), name).replace("None", "blank").replace("`", ""),  # it speaks Python
        "value": f"{value:f}" if isinstance(value, Decimal) else value,
        "is_flag": isinstance(value, bool),
        "choices": list(type(value)) if isinstance(value, enum.StrEnum) else [],
    }


def _switch(request: HttpRequest, sandbox: Sandbox, school: School) -> HttpResponse:
    """Set all switches: a form says nothing of a box without a tick."""
    profile = profile_of(school)
    typed = {switches.wire(name): _typed(request, profile, name) for name in switches.names(type(profile))}
    switches.turn(profile, typed)
    return frame.done("console_lms_school", "switched", school_id=school.id)


def _typed(request: HttpRequest, profile: profiles.Profile, name: str) -> Any:
    """What a form says of a switch, as JSON would."""
    typed, value = frame.text(request, switches.wire(name)), getattr(profile, name)
    if isinstance(value, bool):
        return bool(typed)
    if isinstance(value, enum.StrEnum):
        return typed
    if not typed:
        return None
    return Decimal(typed) if _NUMBER.fullmatch(typed) else typed


def _change_profile(request: HttpRequest, sandbox: Sandbox, school: School) -> HttpResponse:
    wanted = profiles.make(frame.text(request, "profile"))
    if frame.is_sure(request):
        sandbox.set_profile(wanted.name, school.id)
        return frame.done("console_lms_school", "profile", school_id=school.id)
    return frame.confirm(
        request,
        f"Shall {school.name} have {wanted.title}?",
        [
            f"To the tool it is another platform then, with the id {_platform_id(school, wanted)}: people, courses, "
            "activities and columns get new ids, and what the tool knows of the old ones stays with the old platform.",
            "Launches end at once, and so do their ltiks and service keys. People, courses and grades stay.",
            f"The switches stand as {wanted.title} has them at the start.",
        ],
        f"Yes, change to {wanted.title}",
        reverse("console_lms_school", kwargs={"school_id": school.id}),
        quirks=wanted.quirks,
    )


def _platform_id(school: School, profile: profiles.Profile) -> str:
    return School(school.campus, school.id, school.name, profile).platform_id
