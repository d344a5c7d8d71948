"""What the LMS's gradebook shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal

from ltiaas_django.models import OutgoingScore
from ltiaas_django.sandbox.courses import Course
from ltiaas_django.sandbox.gradebook import Cell
from ltiaas_django.testing.browsing import Browser

Key = tuple[str, str]
"""A column and a person. A column is named by its activity's id; a further one of that activity, and one of no
activity, by its label."""


class Gradebook(Mapping[Key, Decimal | None]):
    """The grades of one course: `gradebook["quiz-1", "2001"]`, or `gradebook[browser]` for the person and activity of
    a launch. A grade that was cleared is None; where nothing was ever stored is no entry."""

    def __init__(self, course: Course, cells: Sequence[Cell]) -> None:
        self.course = course
        names = _names(course)
        self._cells = {(names.get(cell.line_item_id, cell.line_item.label), cell.user_id): cell for cell in cells}

    def cell(self, column: str | Browser, person: str = "") -> Cell:
        """All that is held for a column and a person, or for a launch: score, maximum, comment, time.

        Raises KeyError, which says what is not sent yet.
        """
        key = self._key_of(column) if isinstance(column, Browser) else (column, person)
        if key not in self._cells:
            raise _NoGrade(self._what_is_missing(key))
        return self._cells[key]

    def __getitem__(self, key: Key | Browser) -> Decimal | None:
        return (self.cell(key) if isinstance(key, Browser) else self.cell(*key)).score

    def __iter__(self) -> Iterator[Key]:
        return iter(self._cells)

    def __len__(self) -> int:
        return len(self._cells)

    def __repr__(self) -> str:
        grades = ", ".join(f"{key}: {cell.score}" for key, cell in self._cells.items())
        return f"<Gradebook of {self.course.id}: {{{grades}}}>"

    def _key_of(self, browser: Browser) -> Key:
        if browser.course.id != self.course.id or browser.activity is None:
            raise ValueError(f"This is the gradebook of {self.course.id}; that launch belongs to no column of it.")
        return browser.activity.id, browser.person.id

    def _what_is_missing(self, key: Key) -> str:
        open_scores = OutgoingScore.objects.exclude(state=OutgoingScore.State.SENT)
        waiting = [
            f"{row.line_item.label or row.line_item.lti_id}, {row.lti_user}: {row.get_state_display()} {row.last_error}"
            for row in open_scores.select_related("line_item", "lti_user").order_by("pk")[:10]
        ]
        not_sent = "; ".join(waiting) or "nothing, as far as the tool has recorded scores"
        return f"No grade of {key[1]} in {key[0]}. {self!r}. Not sent yet: {not_sent}."


class _NoGrade(KeyError):
    def __str__(self) -> str:  # KeyError's own shows the text as a literal
        return str(self.args[0])


def _names(course: Course) -> dict[str, str]:
    """Line item ids and the names of their columns: of an activity's first column, the activity's id."""
    return {items[0].id: activity for activity in course.activities if (items := course.line_items_of(activity))}
