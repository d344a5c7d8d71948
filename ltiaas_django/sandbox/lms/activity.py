"""An activity with the tool in a frame of any size, and the launch itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse

from ltiaas_django.vocabulary import LaunchType, Role

from .. import errors, pages
from ..courses import Activity
from ..simulator import Sandbox
from . import viewer as viewers
from .course import quick_choices
from .marks import mark_of
from .viewer import Viewer

SIZES = (("Phone", "320x568"), ("Tablet", "768x1024"), ("Wide", "1280x720"))
_SMALLEST, _LARGEST = 100, 4000
_TYPES = {"resource": "Activity", "submission_review": "Submission review", "legacy": "LTI 1.1"}
"""What a launch from here can be, as `Sandbox.launch` calls it; deep linking begins on the course page."""


@dataclass(frozen=True, slots=True)
class Size:
    """Of the frame, in pixels; 0 for as large as the page has room."""

    width: int = 0
    height: int = 0

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"


@viewers.page("GET", "HEAD")
def activity(request: HttpRequest, sandbox: Sandbox, viewer: Viewer, activity_id: str) -> HttpResponse:
    """The activity with the tool in an iframe, once it is known who looks at it."""
    link = viewer.course.activity(activity_id)
    context: dict[str, Any] = {"activity": link, "who_url": viewer.url("who", {"activity": link.id})}
    if viewer.enrolment is None:
        context["choices"] = quick_choices(viewer.course)
        return viewer.render("activity", "activities", link.title, **context)
    launch_type = pages.text(request, "type") or "resource"
    if launch_type not in _TYPES:
        raise errors.BadRequest(f"The type of a launch from this page is one of {', '.join(_TYPES)}.")
    reviewed = _reviewed(request, viewer, launch_type)
    query = {"target": "iframe", **({} if launch_type == "resource" else {"type": launch_type}), **reviewed}
    context |= {
        "launch_url": viewer.url("launch", query, activity_id=link.id),
        "types": _types(viewer, reviewed),
        "type": launch_type,
        "reviewed": viewer.course.people.get(reviewed.get("for_user", "")),
        "sizes": SIZES,
        "size": _size(request, link),
        "asked_size": pages.text(request, "size"),
        "is_adjusted": not {"size", "width", "height"}.isdisjoint(request.GET),
        "marks": _own_marks(viewer, link),
    }
    return viewer.render("activity", "activities", link.title, **context)


def _types(viewer: Viewer, reviewed: dict[str, str]) -> dict[str, str]:
    """Teachers review from a cell of the gradebook, and learners what is theirs."""
    hidden = {"submission_review"} if viewer.is_teacher and not reviewed else set()
    return {name: title for name, title in _TYPES.items() if name not in hidden}


def _reviewed(request: HttpRequest, viewer: Viewer, launch_type: str) -> dict[str, str]:
    """Whose work is reviewed, as a part of a query."""
    person = pages.text(request, "for_user")
    if launch_type != "submission_review" or not person:
        return {}
    return {"for_user": viewer.course.enrolment(person).person.id}


def _size(request: HttpRequest, link: Activity) -> Size:
    """The preset that was pressed, else what was typed, else what the tool asked for when the activity was added."""
    preset = pages.text(request, "size")
    if preset == "fill":
        return Size()
    if preset:
        width, _, height = preset.partition("x")
        return Size(_pixels(width or "0"), _pixels(height or "0"))
    typed = Size(_pixels(pages.text(request, "width")), _pixels(pages.text(request, "height")))
    wanted = link.item.get("iframe", {})
    return typed if typed != Size() else Size(wanted.get("width", 0), wanted.get("height", 0))


def _pixels(text: str) -> int:
    if not text:
        return 0
    if not (text.isascii() and text.isdigit() and len(text) < 9 and _SMALLEST <= int(text) <= _LARGEST):
        raise errors.BadRequest(f"A frame is {_SMALLEST} to {_LARGEST} pixels wide and high.")
    return int(text)


def _own_marks(viewer: Viewer, link: Activity) -> list[Any]:
    gradebook = viewer.course.gradebook
    cells = (gradebook.cell(item, viewer.id) for item in viewer.course.line_items_of(link.id))
    is_learner = viewer.enrolment is not None and viewer.enrolment.role == Role.LEARNER
    return [mark_of(cell) for cell in cells if cell is not None and is_learner]


@pages.page("GET", "POST")
def launch(request: HttpRequest, sandbox: Sandbox, course_id: str, activity_id: str) -> HttpResponse:
    """Launch the tool: on to its launch URL, with a new ltik."""
    person = pages.text(request, "person")
    if not person:
        raise errors.BadRequest("Choose the person to be: the launch needs `person`.")
    url = sandbox.launch_url(
        course_id,
        activity_id,
        person,
        type=pages.text(request, "type") or LaunchType.RESOURCE_LINK,
        target=pages.text(request, "target") or "window",
        for_user=pages.text(request, "for_user") or None,
    )
    return pages.to_tool(url, 303 if request.method == "POST" else 302)
