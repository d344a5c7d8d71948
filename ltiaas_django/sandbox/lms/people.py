"""The people of a course: the list, and a page for each of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse

from ltiaas_django.vocabulary import MembershipStatus

from .. import cleaning, errors, pages
from ..courses import ROLES, Course, Enrolment
from ..simulator import Sandbox
from . import viewer as viewers
from .course import text_of
from .listing import listing
from .viewer import Viewer

_PEOPLE = 25
"""On one page."""
_STATES: dict[str, tuple[str, Callable[[Enrolment], bool]]] = {
    "active": ("In the course", lambda one: one.is_active),
    "left": ("Left or deactivated", lambda one: not one.is_active),
    "all": ("Everybody", lambda one: True),
}


@viewers.page("GET", "HEAD", for_teachers=True)
def people(request: HttpRequest, sandbox: Sandbox, viewer: Viewer) -> HttpResponse:
    """Search and filter; each name leads to the person's page."""
    state, role = request.GET.get("state", ""), request.GET.get("role", "")
    if state not in _STATES:
        state = "active"
    _, belongs = _STATES[state]
    shown = [one for one in viewer.course.people.values() if belongs(one) and role in ("", one.role)]
    context: dict[str, Any] = {
        "listing": listing(request, shown, _PEOPLE, text_of),
        "states": {name: title for name, (title, _) in _STATES.items()},
        "state": state,
        "roles": ROLES,
        "role": role,
        "done": request.GET.get("done", ""),
        "count": request.GET.get("count", ""),
        "changed": viewer.course.people.get(request.GET.get("who", "")),
    }
    return viewer.render("people", "people", "People", **context)


# -- one of them -------------------------------------------------------------------------------------------------------


@viewers.page("GET", "HEAD", "POST", for_teachers=True)
def person(request: HttpRequest, sandbox: Sandbox, viewer: Viewer, user_id: str) -> HttpResponse:
    """What the LMS knows of a person, to be changed."""
    enrolment, error = viewer.course.enrolment(user_id), None
    if request.method == "POST":
        try:
            done = _edit(request, viewer.course, enrolment)
            return pages.redirect(viewer.url("person", {"done": done}, user_id=user_id))
        except errors.SandboxError as refusal:
            error = refusal
    context = {
        "one": enrolment,
        "roles": ROLES,
        "error": error,
        "typed": request.POST if request.POST.get("action") == "save" else {},
        "done": request.GET.get("done", ""),
    }
    return viewer.render("person", "people", enrolment.person.name, error.status if error else 200, **context)


_STATUSES = {
    "remove": ("removed", MembershipStatus.DELETED),
    "deactivate": ("deactivated", MembershipStatus.INACTIVE),
    "restore": ("restored", MembershipStatus.ACTIVE),
}
"""What a button does, what is said of it then, and how the membership stands."""


def _edit(request: HttpRequest, place: Course, one: Enrolment) -> str:
    """Do what a form of the person's page asks for; returns what was done."""
    action = pages.text(request, "action")
    if action in _STATUSES:
        done, one.status = _STATUSES[action]
        return done
    if action != "save":
        raise errors.BadRequest("The form does not say what to do.")
    person = one.person
    email = cleaning.clean_email(pages.text(request, "email") or None, person.id)
    name = cleaning.clean_name(pages.text(request, "name"))
    place.change_role(person.id, pages.text(request, "role"))  # refuses an unknown one before anything is changed
    place.rename_person(person.id, name)
    person.email = email
    person.is_hidden = pages.text(request, "is_hidden") == "on"
    person.is_test_student = pages.text(request, "is_test_student") == "on"
    return "saved"
