"""The LMS in the browser: courses, activities to launch, a gradebook, a roster to edit.

No cookies; no JavaScript but where a registration asks for it (`registering`).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from django.core.exceptions import BadRequest, SuspiciousOperation
from django.http import HttpRequest, HttpResponse, UnreadablePostError
from django.http.multipartparser import MultiPartParserError
from django.template import Context, Engine
from django.urls import reverse
from django.utils.encoding import iri_to_uri

from ltiaas_django.vocabulary import Role

from . import errors, web
from .courses import ROLES, Course, Enrolment
from .gradebook import Cell, LineItem
from .simulator import Sandbox

View = Callable[..., HttpResponse]

# An engine of our own: the project's templates, tags and context processors are no part of the LMS.
_engine = Engine(dirs=[str(Path(__file__).parent / "templates")])

_NOTICES = {
    "added": "was added to the course.",
    "removed": "was removed from the course. The gradebook keeps their grades.",
    "restored": "is in the course again.",
    "renamed": "has a new name.",
    "role": "has a new role.",
}


def page(*methods: str) -> Callable[[View], View]:
    """A page for some methods; what the sandbox refuses becomes a readable page of the refusal's status."""

    def decorate(view: View) -> View:
        @functools.wraps(view)
        def shown(request: HttpRequest, **ids: str) -> HttpResponse:
            sandbox = web.sandbox_of(request)
            try:
                if request.method not in methods:
                    raise errors.WrongMethod(f"This page answers only {' and '.join(methods)}.")
                with sandbox.lock:
                    return view(request, sandbox, **ids)
            except errors.InactivePlatform as error:
                return web.error_response(error)  # LTIAAS has no page for it: the JSON stands in the frame
            except errors.SandboxError as error:
                return _refusal(error)
            except (BadRequest, SuspiciousOperation, MultiPartParserError, UnreadablePostError):
                return _refusal(errors.BadRequest("The form could not be read."))

        return shown

    return decorate


def _refusal(error: errors.SandboxError) -> HttpResponse:
    return render("error", {"error": error, "title": error.status.phrase}, error.status)


def render(name: str, context: dict[str, Any], status: int = 200) -> HttpResponse:
    """A page. Numbers are written plainly, whatever the project's locale is."""
    template = _engine.get_template(f"ltiaas_sandbox/{name}.html")
    html = template.render(Context(context, use_l10n=False))
    return HttpResponse(html, status=status, content_type="text/html; charset=utf-8")


@page("GET", "HEAD")
def course_list(request: HttpRequest, sandbox: Sandbox) -> HttpResponse:
    return render("courses", {"title": "Courses", "courses": sandbox.courses.listed(), "tool_url": sandbox.tool_url})


@page("GET", "HEAD")
def course(request: HttpRequest, sandbox: Sandbox, course_id: str) -> HttpResponse:
    place = sandbox.course(course_id)
    activities = [
        {"activity": link, "columns": _columns(place.line_items_of(link.id))} for link in place.activities.values()
    ]
    context = {
        "activities": activities,
        "contents": place.contents,
        "person": _text(request, "person"),
        **_people_by_role(place),
    }
    return render("course", _in_course(place, "activities", place.title, **context))


@page("GET", "HEAD")
def activity(request: HttpRequest, sandbox: Sandbox, course_id: str, activity_id: str) -> HttpResponse:
    """The activity with the tool in an iframe, once it is known who looks at it."""
    place = sandbox.course(course_id)
    link = place.activity(activity_id)
    chosen = _text(request, "person")
    context: dict[str, Any] = {"activity": link, "person": chosen, **_people_by_role(place)}
    if chosen:
        enrolment = place.enrolment(chosen)
        query = urlencode({"person": chosen, "target": "iframe"})
        launch_url = f"{reverse('launch', kwargs={'course_id': place.id, 'activity_id': link.id})}?{query}"
        context |= {"enrolment": enrolment, "launch_url": launch_url}
    return render("activity", _in_course(place, "activities", link.title, **context))


@page("GET", "POST")
def launch(request: HttpRequest, sandbox: Sandbox, course_id: str, activity_id: str) -> HttpResponse:
    """Launch the tool: on to its launch URL, with a new ltik."""
    person = _text(request, "person")
    if not person:
        raise errors.BadRequest("Choose the person to be: the launch needs `person`.")
    url = sandbox.launch_url(
        course_id,
        activity_id,
        person,
        type=_text(request, "type") or "resource",
        target=_text(request, "target") or "window",
    )
    return to_tool(url, 303 if request.method == "POST" else 302)


def to_tool(url: str, status: int) -> HttpResponse:
    """On to the tool's launch URL."""
    response = redirect(url, status)
    response.headers["Referrer-Policy"] = "no-referrer"  # the ltik is a bearer credential
    return response


@page("GET", "HEAD")
def gradebook(request: HttpRequest, sandbox: Sandbox, course_id: str) -> HttpResponse:
    place = sandbox.course(course_id)
    items = list(place.gradebook.line_items.values())
    graded = {cell.user_id for cell in place.gradebook.cells()}
    rows = [
        {"enrolment": one, "cells": [_cell(place.gradebook.cell(item, one.person.id)) for item in items]}
        for one in place.people.values()
        if one.person.id in graded or (one.is_active and one.role == Role.LEARNER)
    ]
    return render("gradebook", _in_course(place, "gradebook", "Gradebook", columns=_columns(items), rows=rows))


@page("GET", "HEAD", "POST")
def people(request: HttpRequest, sandbox: Sandbox, course_id: str) -> HttpResponse:
    place = sandbox.course(course_id)
    if request.method != "POST":
        return _people_page(request, place)
    try:
        done, user_id = _edit(request, place)
    except errors.SandboxError as error:
        return _people_page(request, place, error)
    query = urlencode({"done": done, "person": user_id})
    url = f"{reverse('people', kwargs={'course_id': place.id})}?{query}"
    return redirect(url, 303)


@page("GET", "HEAD", "POST")
def no_such(request: HttpRequest, sandbox: Sandbox) -> HttpResponse:
    """Any other path."""
    raise errors.NotFound("The sandbox has no such page.")


def redirect(url: str, status: int) -> HttpResponse:
    """On to another page, ours or the tool's."""
    return HttpResponse(status=status, headers={"Location": iri_to_uri(url)})


def _edit(request: HttpRequest, place: Course) -> tuple[str, str]:
    """Do what a form of the people page asks for; returns what was done, and to whom."""
    action, user_id = _text(request, "action"), _text(request, "person")
    if action == "add":
        person = place.add_person(
            _text(request, "name"),
            _text(request, "role"),
            email=_text(request, "email") or None,
            user_id=_text(request, "person") or None,
        )
        return "added", person.id
    edits: dict[str, tuple[str, Callable[[], None]]] = {
        "remove": ("removed", lambda: place.remove_person(user_id)),
        "restore": ("restored", lambda: place.restore_person(user_id)),
        "rename": ("renamed", lambda: place.rename_person(user_id, _text(request, "name"))),
        "role": ("role", lambda: place.change_role(user_id, _text(request, "role"))),
    }
    if action not in edits:
        raise errors.BadRequest("The form does not say what to do.")
    done, edit = edits[action]
    edit()
    return done, user_id


def _people_page(request: HttpRequest, place: Course, error: errors.SandboxError | None = None) -> HttpResponse:
    notice = None
    changed = place.people.get(request.GET.get("person", ""))
    if error is None and changed is not None:
        notice = _NOTICES.get(request.GET.get("done", ""))
    context = {
        "active": place.active(),
        "gone": [one for one in place.people.values() if not one.is_active],
        "roles": ROLES,
        "error": error,
        "notice": notice,
        "changed": changed,
        "typed": request.POST if error is not None and request.POST.get("action") == "add" else {},
    }
    return render("people", _in_course(place, "people", "People", **context), error.status if error else 200)


def _in_course(place: Course, section: str, title: str, **context: Any) -> dict[str, Any]:
    return {"course": place, "section": section, "title": title, **context}


def _people_by_role(place: Course) -> dict[str, list[Enrolment]]:
    return {"learners": place.active(Role.LEARNER), "instructors": place.active(Role.INSTRUCTOR)}


def _columns(items: Iterable[LineItem]) -> list[dict[str, str]]:
    return [{"label": item.label, "maximum": _plain(item.score_maximum)} for item in items]


def _cell(cell: Cell | None) -> dict[str, Any] | None:
    if cell is None:
        return None
    score = None if cell.score is None else _plain(cell.score)
    return {"score": score, "maximum": _plain(cell.maximum), "comment": cell.comment}


def _plain(amount: Decimal) -> str:
    """The amount without trailing zeros, and never as 1E+1."""
    return f"{amount.normalize():f}"


def _text(request: HttpRequest, name: str) -> str:
    """A form field or query parameter, blank when left out."""
    return str(request.POST.get(name, request.GET.get(name, ""))).strip()
