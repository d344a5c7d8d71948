"""Moodle, from its public source (mod/lti/service) and from a Moodle 5.1 that was driven end to end."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from http import HTTPStatus
from typing import Any

from .. import errors
from ..courses import Course
from ..gradebook import Cell, LineItem
from ..paging import Position
from ..school import Person
from .profile import Profile, Quirk

_SCORES = "moodle, mod/lti/service/gradebookservices/classes/local/resources/scores.php"
_ROSTER = "moodle, mod/lti/service/memberships"
_SEEN = "seen on Moodle 5.1"
_READ_BACK = Decimal("0.0001")


class Moodle(Profile):
    """Moodle, with its whole seconds and its zeros that look like nothing."""

    name = "moodle"
    title = "Moodle"
    quirks = (
        Quirk(
            "ids",
            "People and courses are small numbers, and line item ids hold a query string.",
            "1EdTech lib issue 28, hypothesis/lms issue 3913",
        ),
        Quirk("whole-roster", "Without a limit everybody comes on one page.", _ROSTER),
        Quirk("role-lost", "With a limit, the role filter is lost from the second page on.", _ROSTER),
        Quirk("absent", "Who has left or is suspended is not on the roster; the status is always Active.", _ROSTER),
        Quirk("role-names", "Launches spell roles as URIs, rosters by their short names.", _SEEN),
        Quirk("blank-names", "resourceId and tag of a column without them are blank.", _SEEN),
        Quirk(
            "curly-quotes",
            "With a limit, the list of columns links to its next page in curly quotes, and the link is lost.",
            "moodle, mod/lti/service/gradebookservices/classes/local/resources/lineitems.php",
        ),
        Quirk("same-second", "A second score for one person in the same whole second is refused with 409.", _SCORES),
        Quirk("edits", "A teacher's edit, or a changed maximum, counts as a score of that second.", "MDL-75947"),
        Quirk("not-gradable", "A score for somebody who is no learner is 400, and the score is in the text.", _SCORES),
        Quirk("gone", "A deleted column is 404, in words that name it; one of another course 403.", _SCORES),
        Quirk("closed", "A course that is over is as good as gone: 404.", _SCORES + "; that it is gone is inferred"),
        Quirk(
            "reasons",
            "The words stand in the reason phrase: the body of a refused score may be an empty list.",
            "moodle, mod/lti/classes/local/ltiservice/response.php; " + _SCORES,
        ),
        Quirk("clears", "A score without a value, or anything but FullyGraded, clears the grade.", _SCORES),
        Quirk("clamps", "12 of 10 points are stored as 10 of 10.", _SEEN),
        Quirk(
            "zero",
            "A stored 0 comes back without resultScore and resultMaximum.",
            "moodle, gradebookservices.php, result_for_json",
        ),
        Quirk("rounding", "81.23456 reads back as 81.2346.", _SEEN),
        Quirk("overload", "There is no throttle; a site that is asked too much answers 503.", "inferred"),
    )

    page_size = None
    clamps = True
    passes_reasons: bool = True
    """Whether LTIAAS tells what stood in the reason phrase of a refused score; its body is an empty list."""

    def person_id(self, school: str, person: str, number: int) -> str:
        return str(number)

    def context_id(self, school: str, course: str, number: int) -> str:
        return str(number)

    def next_position(self, at: Position, start: int) -> Position:
        filters = tuple((name, value) for name, value in at.filters if name != "role")
        return replace(at, start=start, filters=filters)

    def links(self, kind: str, links: dict[str, str], at: Position) -> dict[str, str]:
        return {} if kind == "lineItems" else super().links(kind, links, at)

    def check_course(self, course: Course, url: str) -> None:
        if course.is_concluded:  # no rule of Moodle's is known: as if the course were gone
            raise self.refusal(HTTPStatus.NOT_FOUND, f"Not Found: Course {course.number} doesn't exist.", url)

    def missing_line_item(self, item_id: str, url: str) -> errors.LmsRefusal:
        number = item_id.partition("/lineitems/")[2].partition("/")[0]
        return self.refusal(HTTPStatus.NOT_FOUND, f"Not Found: Grade item {number} doesn't exist.", url)

    def foreign_line_item(self, item: LineItem) -> errors.LmsRefusal:
        return self.refusal(HTTPStatus.FORBIDDEN, "Line item does not exist.", item.id)

    def line_item(self, item: LineItem, course: Course) -> dict[str, Any]:
        return {"resourceId": "", "tag": "", **super().line_item(item, course)}

    def check_person(self, course: Course, item: LineItem, person: Person | None, score: Mapping[str, Any]) -> None:
        if not self.is_gradable(course, person):
            text = f"Incorrect score received{json.dumps(score, default=str)}"
            raise self.refusal(HTTPStatus.BAD_REQUEST, text, item.url("/scores"))

    def error_body(self, status: HTTPStatus, text: str) -> Any:
        if status in (HTTPStatus.BAD_REQUEST, HTTPStatus.CONFLICT):  # scores.php sets the body before it fails
            return text if self.passes_reasons else []
        return {"status": status, "reason": text}

    def rescale(self, cell: Cell, old_maximum: Decimal, now: datetime) -> None:
        super().rescale(cell, old_maximum, now)
        cell.timestamp = now

    def result(self, cell: Cell, person: Person, *, is_alone: bool) -> dict[str, Any]:
        result = super().result(cell, person, is_alone=is_alone)
        if not cell.score:
            result.pop("resultScore", None)
            result.pop("resultMaximum", None)
        else:
            result["resultScore"] = cell.score.quantize(_READ_BACK)
        return result

    def throttled(self, url: str, wait: float = 1) -> errors.LmsRefusal:
        return self.refusal(HTTPStatus.SERVICE_UNAVAILABLE, "Service Unavailable", url)
