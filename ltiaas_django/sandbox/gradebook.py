"""The gradebook of one course: line items are its columns, a cell is what it holds for one person."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from http import HTTPStatus
from typing import Any

from . import errors
from .campus import Campus

_PLACES = Decimal("0.00001")  # Moodle's gradebook holds five decimals


@dataclass
class LineItem:
    """A column."""

    number: int
    course_number: int
    campus: Campus = field(repr=False)
    label: str
    score_maximum: Decimal
    resource_link_id: str | None = None
    resource_id: str | None = None
    tag: str | None = None
    start_date_time: str | None = None
    end_date_time: str | None = None
    grades_released: bool | None = None

    @property
    def id(self) -> str:
        """Its id is a URL of the LMS, with a query string as in Moodle, so that encoding mistakes show."""
        path = f"/mod/lti/services.php/{self.course_number}/lineitems/{self.number}/lineitem"
        return f"{self.campus.origin}{path}?type_id=1"

    @property
    def scores_url(self) -> str:
        """Where the LMS itself takes scores: the query string stays at the end."""
        return self.id.replace("?", "/scores?")


@dataclass
class Cell:
    """What the gradebook holds for one person in one column; a cleared grade has no score."""

    line_item: LineItem
    user_id: str
    score: Decimal | None
    comment: str | None
    timestamp: datetime
    activity_progress: str
    grading_progress: str
    extra: Mapping[str, Any] = field(default_factory=dict)

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

    campus: Campus = field(repr=False)
    course_number: int
    line_items: dict[int, LineItem] = field(default_factory=dict)
    _columns: dict[int, dict[str, Cell]] = field(default_factory=dict)

    def add_line_item(self, label: str, score_maximum: Decimal | int, **fields: Any) -> LineItem:
        """A new column."""
        with self.campus.lock:
            number = next(self.campus.line_item_numbers)
            item = LineItem(number, self.course_number, self.campus, label, Decimal(score_maximum), **fields)
            self.line_items[number] = item
            self._columns[number] = {}
            return item

    def replace_line_item(self, number: int, label: str, score_maximum: Decimal, **fields: Any) -> LineItem:
        """The column anew. As in Moodle a changed maximum rescales the grades, which then count as just changed."""
        with self.campus.lock:
            old = self.line_items[number]
            item = LineItem(number, self.course_number, self.campus, label, score_maximum, **fields)
            self.line_items[number] = item
            for cell in self.column(item):
                cell.line_item = item
                if cell.score is not None and old.score_maximum != score_maximum:
                    cell.score = _rescale(cell.score, old.score_maximum, item)
                    cell.timestamp = self.campus.clock.now()
            return item

    def delete_line_item(self, number: int) -> None:
        """Remove the column and all that is in it."""
        with self.campus.lock:
            del self.line_items[number]
            del self._columns[number]

    def cell(self, line_item: LineItem, user_id: str) -> Cell | None:
        """What is held for this person, if anything was ever stored."""
        return self._columns[line_item.number].get(user_id)

    def cells(self) -> list[Cell]:
        """Everything that is stored."""
        with self.campus.lock:
            return [cell for column in self._columns.values() for cell in column.values()]

    def column(self, line_item: LineItem) -> list[Cell]:
        """What is stored in one column."""
        with self.campus.lock:
            return list(self._columns[line_item.number].values())

    def post(
        self, item: LineItem, score: Mapping[str, Any], gradable: Collection[str], *, refuse_same_second: bool
    ) -> Cell:
        """Store a score as Moodle does; raises LmsRefusal where Moodle refuses it."""
        user_id = score["userId"]
        with self.campus.lock:
            if user_id not in gradable:
                raise errors.LmsRefusal(
                    HTTPStatus.BAD_REQUEST, f"Incorrect score received for user {user_id}", item.scores_url
                )
            # LTIAAS overwrites the caller's timestamp, so the time of arrival decides, in whole seconds as in Moodle.
            now = self.campus.clock.now()
            stored = self.cell(item, user_id)
            if refuse_same_second and stored and int(stored.timestamp.timestamp()) >= int(now.timestamp()):
                text = f"Refusing score with an earlier timestamp for item {item.number} and user {user_id}"
                raise errors.LmsRefusal(HTTPStatus.CONFLICT, text, item.scores_url)
            cell = Cell(
                line_item=item,
                user_id=user_id,
                score=_value(score, item),
                comment=score.get("comment"),
                timestamp=now,
                activity_progress=score["activityProgress"],
                grading_progress=score["gradingProgress"],
                extra={name: value for name, value in score.items() if "://" in name},
            )
            self._columns[item.number][user_id] = cell
            return cell


def _value(score: Mapping[str, Any], item: LineItem) -> Decimal | None:
    given: Decimal | None = score.get("scoreGiven")
    # Moodle holds a grade only when the grading is finished; anything else leaves the cell without one.
    if given is None or score["gradingProgress"] != "FullyGraded":
        return None
    return _rescale(given, score["scoreMaximum"], item)


def _rescale(value: Decimal, maximum: Decimal, item: LineItem) -> Decimal:
    try:
        return (value * item.score_maximum / maximum).quantize(_PLACES)
    except ArithmeticError:
        text = "Incorrect score received: it does not fit the gradebook"
        raise errors.LmsRefusal(HTTPStatus.BAD_REQUEST, text, item.scores_url) from None
