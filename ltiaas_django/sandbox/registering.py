"""The LMS's administration: register the tool, in a frame or a popup, as LMSs do, and see what came of it.

These pages alone hold a script: the LMS must hear the message that asks it to close the window.
"""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from . import pages
from .registrations import Registration
from .simulator import Sandbox


@pages.page("GET", "HEAD", "POST")
def registrations(request: HttpRequest, sandbox: Sandbox) -> HttpResponse:
    """What was registered so far; by POST, a new registration: on to the tool, or to the page that frames it."""
    if request.method == "POST":
        registration = sandbox.registrations.start()
        url = reverse("registration", kwargs={"registration_id": registration.id})
        return pages.redirect(sandbox.register_url(registration) if request.POST.get("how") == "window" else url, 303)
    listed = [(one, *_outcome(sandbox, one)) for one in reversed(sandbox.registrations.all())]
    return pages.render("registrations", {"title": "Registered tools", "registrations": listed})


@pages.page("GET", "HEAD")
def registration(request: HttpRequest, sandbox: Sandbox, registration_id: str) -> HttpResponse:
    """The tool's registration page in a frame."""
    found = sandbox.registrations.find(registration_id)
    context = {"title": "Register a tool", "url": sandbox.register_url(found)}
    return pages.render("registration", context)


def _outcome(sandbox: Sandbox, registration: Registration) -> tuple[str, str]:
    """In a word and in a sentence."""
    if not registration.platform_id:
        return "not registered", "Nobody has approved it yet."
    listed: dict[str, dict[str, Any]] = {one["id"]: one for one in sandbox.platforms.all()}
    platform = listed.get(registration.platform_id)
    if platform is None:
        return "deleted", "It was registered, and is no longer at LTIAAS."
    state = "active" if platform["active"] else "inactive"
    return state, f"Registered as “{platform['name']}”, {state} at LTIAAS."
