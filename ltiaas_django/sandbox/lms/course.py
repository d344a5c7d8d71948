"""A course: its activities as cards, whom one is in it, and its settings."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.http import HttpRequest, HttpResponse

from .. import cleaning, errors, pages
from ..courses import Activity, Course, Enrolment
from ..gradebook import LineItem
from ..simulator import Sandbox
from . import viewer as viewers
from .listing import listing
from .marks import mark_of, maximum_in
from .viewer import TEACHING, Viewer

_CHOICES = 30
"""People to choose from on one page."""
_QUICK_CHOICES = 6
"""Of each kind, on the course page itself."""


@viewers.page("GET", "HEAD")
def course(request: HttpRequest, sandbox: Sandbox, viewer: Viewer) -> HttpResponse:
    """The activities; for a learner with their own grades. While nobody is chosen, it also asks who one is."""
    place = viewer.course
    is_hidden = not place.is_published and not viewer.manages
    context: dict[str, Any] = {
        "cards": [] if is_hidden else [_card(viewer, activity) for activity in place.activities.values()],
        "contents": [] if is_hidden else place.contents,
        "choices": None if viewer.enrolment else quick_choices(place),
        "done": request.GET.get("done", ""),
    }
    return viewer.render("course", "activities", place.title, **context)


def _card(viewer: Viewer, activity: Activity) -> dict[str, Any]:
    gradebook = viewer.course.gradebook
    items = viewer.course.line_items_of(activity.id)
    own = [mark_of(cell) for item in items if (cell := gradebook.cell(item, viewer.id)) is not None]
    return {
        "activity": activity,
        "columns": [{"item": item, "maximum": pages.plain(item.score_maximum)} for item in items],
        "graded": sum(cell.score is not None for item in items for cell in gradebook.column(item)),
        "marks": own,
    }


# -- who one is --------------------------------------------------------------------------------------------------------


@viewers.page("GET", "HEAD")
def who(request: HttpRequest, sandbox: Sandbox, viewer: Viewer) -> HttpResponse:
    """Choose whom to be: all people of the course, teachers first. `activity` leads on to that activity."""
    activity = request.GET.get("activity", "")
    if activity:
        viewer.course.activity(activity)
    people = sorted(viewer.course.active(), key=lambda one: one.role not in TEACHING)
    found = listing(request, people, _CHOICES, text_of)
    return viewer.render("who", "", "Who are you?", listing=found, activity=activity)


def quick_choices(place: Course) -> dict[str, Any]:
    """A few teachers and a few others, and how many people there are."""
    everybody = place.active()
    teachers = [one for one in everybody if one.role in TEACHING]
    others = [one for one in everybody if one.role not in TEACHING]
    return {"people": [*teachers[:_QUICK_CHOICES], *others[:_QUICK_CHOICES]], "total": len(everybody)}


def text_of(one: Enrolment) -> str:
    """Where a search for a person looks."""
    return f"{one.person.name} {one.person.email} {one.person.id}"


# -- changing it -------------------------------------------------------------------------------------------------------


@viewers.page("GET", "HEAD", "POST", for_teachers=True)
def settings(request: HttpRequest, sandbox: Sandbox, viewer: Viewer) -> HttpResponse:
    """Name, published, concluded."""
    place, error = viewer.course, None
    if request.method == "POST":
        try:
            title, label = (cleaning.clean_name(pages.text(request, name)) for name in ("title", "label"))
        except errors.SandboxError as refusal:
            error = refusal
        else:
            place.title, place.label = title, label
            place.is_published = pages.text(request, "is_published") == "on"
            place.is_concluded = pages.text(request, "is_concluded") == "on"
            return pages.redirect(viewer.url("settings", {"done": "saved"}))
    context = {"error": error, "typed": request.POST, "done": request.GET.get("done", "")}
    return viewer.render("settings", "settings", "Course settings", error.status if error else 200, **context)


@viewers.page("GET", "HEAD", "POST", for_teachers=True)
def add_activity(request: HttpRequest, sandbox: Sandbox, viewer: Viewer) -> HttpResponse:
    """A link to the tool made by hand, with a gradebook column if it is given a maximum."""
    error = None
    if request.method == "POST":
        try:
            _add_activity(request, viewer.course)
            return pages.redirect(viewer.url("course", {"done": "activity"}))
        except errors.SandboxError as refusal:
            error = refusal
    context = {"error": error, "typed": request.POST}
    return viewer.render("add_activity", "activities", "Add an activity", error.status if error else 200, **context)


def _add_activity(request: HttpRequest, place: Course) -> LineItem | None:
    title = cleaning.clean_name(pages.text(request, "title"))
    written = pages.text(request, "maximum")
    maximum: Decimal | None = maximum_in(written) if written else None
    activity = place.add_activity(title, description=pages.text(request, "description"))
    return None if maximum is None else place.add_line_item(activity.id, maximum)
