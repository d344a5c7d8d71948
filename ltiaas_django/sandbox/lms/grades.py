"""The gradebook: everybody's grades for teachers, and one's own for learners; by hand, too."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.http import HttpRequest, HttpResponse

from ltiaas_django.vocabulary import Role

from .. import errors, pages
from ..courses import Course, Enrolment
from ..gradebook import LineItem
from ..simulator import Sandbox
from . import viewer as viewers
from .course import text_of
from .listing import listing
from .marks import Mark, mark_of, points_in
from .viewer import Viewer

_PEOPLE = 25
"""On one page."""


@viewers.page("GET", "HEAD")
def gradebook(request: HttpRequest, sandbox: Sandbox, viewer: Viewer) -> HttpResponse:
    """People by columns; for a learner one's own row, stood on its side."""
    place = viewer.course
    items = list(place.gradebook.line_items.values())
    columns = [_column(place, item) for item in items]
    if not viewer.manages:
        rows = [{**column, "mark": _mark(place, item, viewer.id)} for column, item in zip(columns, items, strict=True)]
        return viewer.render("own_grades", "gradebook", "Grades", rows=rows)
    found = listing(request, [one for one in place.people.values() if _has_row(place, one, items)], _PEOPLE, text_of)
    rows = [
        {
            "enrolment": one,
            "cells": [{"item": item, "mark": _mark(place, item, one.person.id)} for item in items],
        }
        for one in found.entries
    ]
    context: dict[str, Any] = {"columns": columns, "rows": rows, "listing": found, "done": request.GET.get("done", "")}
    return viewer.render("gradebook", "gradebook", "Gradebook", **context)


def _has_row(place: Course, one: Enrolment, items: list[LineItem]) -> bool:
    """Who learns here, and who has a grade from before."""
    is_learning = one.is_active and one.role == Role.LEARNER
    return is_learning or any(place.gradebook.cell(item, one.person.id) for item in items)


def _column(place: Course, item: LineItem) -> dict[str, Any]:
    activity = place.activities.get(item.resource_link_id or "")
    return {"item": item, "maximum": pages.plain(item.score_maximum), "activity": activity}


def _mark(place: Course, item: LineItem, user_id: str) -> Mark | None:
    cell = place.gradebook.cell(item, user_id)
    return None if cell is None else mark_of(cell)


# -- one cell, one column ----------------------------------------------------------------------------------------------


@viewers.page("GET", "HEAD", "POST", for_teachers=True)
def cell(request: HttpRequest, sandbox: Sandbox, viewer: Viewer, number: int, user_id: str) -> HttpResponse:
    """A person's grade with all that was said of it; a teacher sets or clears it."""
    place, error = viewer.course, None
    item, one = place.gradebook.line_item(number), place.enrolment(user_id)
    if request.method == "POST":
        try:
            done = _grade(request, place, item, one)
            return pages.redirect(viewer.url("cell", {"done": done}, number=number, user_id=user_id))
        except errors.SandboxError as refusal:
            error = refusal
    context = {
        **_column(place, item),
        "one": one,
        "mark": _mark(place, item, one.person.id),
        "error": error,
        "typed": request.POST,
        "done": request.GET.get("done", ""),
    }
    return viewer.render("cell", "gradebook", one.person.name, error.status if error else 200, **context)


def _grade(request: HttpRequest, place: Course, item: LineItem, one: Enrolment) -> str:
    action = pages.text(request, "action")
    if action == "clear":
        place.override(item, one.person.id, None)
        return "cleared"
    if action == "set":
        place.override(item, one.person.id, points_in(pages.text(request, "points")))
        return "set"
    raise errors.BadRequest("The form does not say what to do.")


@viewers.page("GET", "HEAD", "POST", for_teachers=True)
def column(request: HttpRequest, sandbox: Sandbox, viewer: Viewer, number: int) -> HttpResponse:
    """What is known of a column; by POST it is deleted."""
    place = viewer.course
    item = place.gradebook.line_item(number)
    if request.method == "POST":
        if pages.text(request, "action") != "delete":
            raise errors.BadRequest("The form does not say what to do.")
        place.gradebook.delete_line_item(item.number)
        return pages.redirect(viewer.url("gradebook", {"done": "deleted"}))
    scores = [cell.score for cell in place.gradebook.column(item) if cell.score is not None]
    average = pages.plain(round(sum(scores, Decimal(0)) / len(scores), 2)) if scores else ""
    context = {**_column(place, item), "graded": len(scores), "average": average}
    return viewer.render("column", "gradebook", item.label, **context)
