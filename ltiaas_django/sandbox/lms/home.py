"""The first page: the institutions with their LMSs, and all courses. None is made by listing it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from .. import cleaning, errors, pages
from ..courses import Course, Plan
from ..profiles import PROFILES
from ..simulator import Sandbox, profile_of
from .listing import listing
from .viewer import hue

_COURSES = 24
"""On one page."""


@pages.page("GET", "HEAD", "POST")
def home(request: HttpRequest, sandbox: Sandbox) -> HttpResponse:
    """The courses of all institutions or of one (`?school=`); by POST, one more institution or course."""
    if request.method != "POST":
        return _home(request, sandbox)
    action = pages.text(request, "action")
    try:
        if action not in _ADDING:
            raise errors.BadRequest("The form does not say what to do.")
        return pages.redirect(_ADDING[action](request, sandbox))
    except errors.SandboxError as error:
        return _home(request, sandbox, error, action)


def _add_school(request: HttpRequest, sandbox: Sandbox) -> str:
    name = cleaning.clean_name(pages.text(request, "name"))
    school_id = pages.text(request, "id") or _free_id("school", sandbox.schools)
    school = sandbox.add_school(school_id, name, pages.text(request, "profile"))
    return f"{reverse('courses')}?{urlencode({'school': school.id})}"


def _add_course(request: HttpRequest, sandbox: Sandbox) -> str:
    title = cleaning.clean_name(pages.text(request, "title"))
    course_id = pages.text(request, "id") or _free_id("course", sandbox.courses)
    label = pages.text(request, "label")
    label = cleaning.clean_name(label) if label else ""
    course = sandbox.add_course(course_id, title, label, pages.text(request, "school") or None)
    return reverse("course", kwargs={"course_id": course.id})


_ADDING: dict[str, Callable[[HttpRequest, Sandbox], str]] = {"school": _add_school, "course": _add_course}


def _free_id(word: str, taken: Any) -> str:
    number = len(taken) + 1
    while f"{word}-{number}" in taken:
        number += 1
    return f"{word}-{number}"


def _home(
    request: HttpRequest, sandbox: Sandbox, error: errors.SandboxError | None = None, action: str = ""
) -> HttpResponse:
    everything = sandbox.courses.listed()
    counts = Counter(known.school.id for _, known in everything)
    chosen = request.GET.get("school", "")
    school = sandbox.find_school(chosen) if chosen else None
    shown = [entry for entry in everything if school in (None, entry[1].school)]
    courses = listing(request, shown, _COURSES, lambda entry: f"{entry[0]} {entry[1].label} {entry[1].title}")
    context = {
        "title": school.name if school else "Courses",
        "school": school,
        "schools": [
            {"school": one, "profile": profile_of(one), "courses": counts[one.id]} for one in sandbox.schools.values()
        ],
        "cards": [_card(course_id, known) for course_id, known in courses.entries],
        "listing": courses,
        "profiles": PROFILES.values(),
        "tool_url": sandbox.tool_url,
        "error": error,
        "action": action,
        "typed": request.POST,
    }
    return pages.render("home", context, error.status if error else 200)


def _card(course_id: str, known: Course | Plan) -> dict[str, Any]:
    card: dict[str, Any] = {"id": course_id, "label": known.label, "title": known.title, "school": known.school}
    if isinstance(known, Course):
        card |= {"course": known, "people": len(known.active())}
    return {**card, "hue": hue(course_id)}
