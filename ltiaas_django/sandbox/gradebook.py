"""The gradebook of one course: line items are its columns, a cell is what it holds for one person.

What an LMS makes of a score that a tool posts is its profile's business (`profiles`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from . import errors
from .school import School


@dataclass
class LineItem:
    """A column."""

    number: int
    course_number: int
    school: School = field(repr=False)
    label: str
    score_maximum: Decimal
    resource_link_id: str | None = None
    """The activity's id in the sandbox."""
    resource_id: str | None = None
    tag: str | None = None
    start_date_time: str | None = None
    end_date_time: str | None = None
    grades_released: bool | None = None

    @property
    def path(self) -> str:
        """What the LMS calls it, without the LMS's origin."""
        return self.school.profile.line_item_path(self.course_number, self.number)

    @property
    def id(self) -> str:
        """Its id is a URL of the LMS; in some it holds a query string."""
        return f"{self.school.campus.origin}{self.path}"

    def url(self, part: str) -> str:
        """Where the LMS itself takes scores (`/scores`) or gives results: a query string stays at the end."""
        path, mark, query = self.id.partition("?")
        return f"{path}{part}{mark}{query}"


@dataclass
class Cell:
    """What the gradebook holds for one person in one column; a cleared grade has no score."""

    line_item: LineItem
    user_id: str
    """The person's id in the sandbox."""
    score: Decimal | None
    comment: str | None
    timestamp: datetime
    activity_progress: str
    grading_progress: str
    extra: Mapping[str, Any] = field(default_factory=dict)
    comments: list[str] = field(default_factory=list)
    """All that were sent, oldest first."""
    attempts: int = 0
    """How many submissions the LMS shows."""
    posts: int = 0
    """How many scores were stored here."""
    is_overridden: bool = False
    """Whether a teacher has set the grade by hand since the tool sent one."""

    @property
    def line_item_id(self) -> str:
        """The id of its column."""
        return self.line_item.id

    @property
    def maximum(self) -> Decimal:
        """The column's maximum, to which the score was rescaled."""
        return self.line_item.score_maximum


@dataclass
class Gradebook:
    """The columns and cells of one course."""

    school: School = field(repr=False)
    course_number: int
    line_items: dict[int, LineItem] = field(default_factory=dict)
    _columns: dict[int, dict[str, Cell]] = field(default_factory=dict)

    def add_line_item(
        self, label: str, score_maximum: Decimal | int, *, number: int | None = None, **fields: Any
    ) -> LineItem:
        """A new column, with the next free number or one that was chosen for it."""
        with self.school.campus.lock:
            numbers = self.school.campus.line_item_numbers
            number = numbers.next() if number is None else numbers.take(number)
            item = LineItem(number, self.course_number, self.school, label, Decimal(score_maximum), **fields)
            self.line_items[number] = self.school.line_items[item.path] = item
            self._columns[number] = {}
            return item

    def replace_line_item(self, number: int, label: str, score_maximum: Decimal, **fields: Any) -> LineItem:
        """The column anew, with what is in it as it was."""
        with self.school.campus.lock:
            item = LineItem(number, self.course_number, self.school, label, score_maximum, **fields)
            self.line_items[number] = self.school.line_items[item.path] = item
            for cell in self.column(item):
                cell.line_item = item
            return item

    def delete_line_item(self, number: int) -> None:
        """Remove the column and all that is in it."""
        with self.school.campus.lock:
            item = self.line_items.pop(number)
            del self.school.line_items[item.path]
            del self._columns[number]

    def line_item(self, number: int) -> LineItem:
        """The column; raises NotFound."""
        try:
            return self.line_items[number]
        except KeyError:
            raise errors.NotFound(f"This gradebook has no column {number}.") from None

    def cell(self, line_item: LineItem, user_id: str) -> Cell | None:
        """What is held for this person, if anything was ever stored."""
        return self._columns[line_item.number].get(user_id)

    def put(self, cell: Cell) -> None:
        """Hold this for the person."""
        self._columns[cell.line_item.number][cell.user_id] = cell

    def cells(self) -> list[Cell]:
        """Everything that is stored."""
        with self.school.campus.lock:
            return [cell for column in self._columns.values() for cell in column.values()]

    def column(self, line_item: LineItem) -> list[Cell]:
        """What is stored in one column."""
        with self.school.campus.lock:
            return list(self._columns[line_item.number].values())
