"""More people for a course: one, many from a table, or a crowd that is made up."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, field

from django.http import HttpRequest, HttpResponse

from ltiaas_django.vocabulary import Role

from .. import errors, pages
from ..courses import ROLES, Course
from ..simulator import Sandbox
from . import crowd
from . import viewer as viewers
from .viewer import Viewer

_MOST = 20_000
"""People at once."""
_SHOWN = 20
"""Refused lines of a table that are told one by one."""
_ROLES = {**{role.casefold(): str(role) for role in ROLES}, "student": Role.LEARNER, "teacher": Role.INSTRUCTOR}


@dataclass
class Intake:
    """What came of a table."""

    added: int = 0
    refused: list[str] = field(default_factory=list)
    """A sentence for each line that was not taken."""
    _left: io.StringIO = field(default_factory=io.StringIO)

    def refuse(self, number: int, cells: Sequence[str], why: str) -> None:
        """Note a line that was not taken."""
        self.refused.append(f"Line {number}: {why}")
        csv.writer(self._left, lineterminator="\n").writerow(cells)

    @property
    def told(self) -> Sequence[str]:
        """The first of the sentences."""
        return self.refused[:_SHOWN]

    @property
    def left(self) -> str:
        """The table of the lines that were not taken, to be mended and handed in again."""
        return self._left.getvalue()


@viewers.page("GET", "HEAD", "POST", for_teachers=True)
def add_people(request: HttpRequest, sandbox: Sandbox, viewer: Viewer) -> HttpResponse:
    """Three forms: a person, a table, a crowd."""
    if request.method != "POST":
        return _page(viewer)
    place, action = viewer.course, pages.text(request, "action")
    try:
        if action == "add":
            person = place.add_person(
                pages.text(request, "name"),
                pages.text(request, "role"),
                email=pages.text(request, "email") or None,
                user_id=pages.text(request, "id") or None,
            )
            return pages.redirect(viewer.url("people", {"done": "added", "who": person.id}))
        if action == "import":
            intake = take(_table(request), place)
            if intake.refused:
                return _page(viewer, request, intake=intake)
            return pages.redirect(viewer.url("people", {"done": "imported", "count": intake.added}))
        if action == "crowd":
            count = _count(pages.text(request, "count"))
            crowd.enrol(place, count)
            return pages.redirect(viewer.url("people", {"done": "imported", "count": count}))
        raise errors.BadRequest("The form does not say what to do.")
    except errors.SandboxError as error:
        return _page(viewer, request, error=error)


def _page(
    viewer: Viewer,
    request: HttpRequest | None = None,
    *,
    error: errors.SandboxError | None = None,
    intake: Intake | None = None,
) -> HttpResponse:
    context = {
        "roles": ROLES,
        "error": error,
        "intake": intake,
        "typed": request.POST if request else {},
        "most": _MOST,
    }
    status = error.status if error else 400 if intake and not intake.added else 200
    return viewer.render("add_people", "people", "Add people", status, **context)


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 9 and 1 <= int(text) <= _MOST):
        raise errors.BadRequest(f"So many people at once: 1 to {_MOST}.")
    return int(text)


def _table(request: HttpRequest) -> str:
    """The text of the file if there is one, else of the field."""
    upload = request.FILES.get("file")
    if upload is None:
        return str(request.POST.get("table", ""))
    try:
        return str(upload.read(), "utf-8-sig")  # as spreadsheets write it
    except UnicodeDecodeError:
        raise errors.BadRequest("The file is not text in UTF-8.") from None


def take(table: str, place: Course) -> Intake:
    """Enrol the people of a CSV table: name, email, role, id, of which only the name is needed.

    A first line that names the columns is passed over. Lines that cannot be taken are told; the others are enrolled.
    Raises BadRequest for a table without people, or with too many.
    """
    rows = csv.reader(io.StringIO(table, newline=None), skipinitialspace=True)  # lines end as anybody ends them
    intake = Intake()
    try:
        lines = [(rows.line_num, cells) for row in rows if any(cells := [cell.strip() for cell in row])]
    except csv.Error as error:
        raise errors.BadRequest(f"Line {rows.line_num} is no CSV: {error}.") from None
    if lines and lines[0][1][0].casefold() == "name":
        del lines[0]
    if not 1 <= len(lines) <= _MOST:
        raise errors.BadRequest(f"The table holds 1 to {_MOST} people, one on each line: name,email,role,id.")
    for number, cells in lines:
        try:
            name, email, role, user_id = (*cells, "", "", "")[:4]
            known_role = _ROLES.get(role.casefold(), role) or Role.LEARNER
            place.add_person(name, known_role, email=email or None, user_id=user_id or None)
            intake.added += 1
        except errors.SandboxError as error:
            intake.refuse(number, cells, error.description)
    return intake
