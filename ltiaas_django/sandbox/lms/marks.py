"""Grades as people write and read them."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from .. import errors, pages
from ..gradebook import Cell
from ..simulator import profile_of

_LARGEST = Decimal(1_000_000)


@dataclass(frozen=True, slots=True)
class Mark:
    """A cell of the gradebook to be shown."""

    cell: Cell
    score: str
    """Blank for a grade that was cleared."""
    maximum: str
    comments: list[str]
    """All that are to be read, oldest first."""


def mark_of(cell: Cell) -> Mark:
    """The cell to be shown. Where the LMS keeps every comment, all are."""
    score = "" if cell.score is None else pages.plain(cell.score)
    latest = [] if cell.comment is None else [cell.comment]
    keeps_all = any(quirk.id == "comments" for quirk in profile_of(cell.line_item.school).quirks)
    return Mark(cell, score, pages.plain(cell.maximum), list(cell.comments) if keeps_all else latest)


def points_in(text: str) -> Decimal:
    """The points that somebody has typed; raises BadRequest."""
    try:
        points = Decimal(text.replace(",", "."))
    except InvalidOperation:
        raise errors.BadRequest("Points are a number, such as 7.5.") from None
    if not points.is_finite() or not 0 <= points <= _LARGEST:
        raise errors.BadRequest("Points are a number from 0 to a million.")
    return points


def maximum_in(text: str) -> Decimal:
    """The maximum that somebody has typed; raises BadRequest."""
    maximum = points_in(text)
    if not maximum:
        raise errors.BadRequest("The maximum must be above 0.")
    return maximum
