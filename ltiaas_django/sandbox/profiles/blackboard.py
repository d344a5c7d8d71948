"""Blackboard Learn: docs.anthology.com (assignment and grade services), and what hypothesis/lms learned about it."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from .. import errors
from ..courses import Course, Enrolment
from ..gradebook import Cell, LineItem
from ..naming import hex_of, uuid_of
from ..paging import Position
from ..school import Person, School
from .profile import Profile, Quirk

_DOCS = "docs.anthology.com, Assignment and Grade Services"


class Blackboard(Profile):
    """Blackboard, where one registration serves many institutions."""

    name = "blackboard"
    title = "Blackboard Learn"
    family = "BlackboardLearn"
    version = "3900.98.0"
    quirks = (
        Quirk("ids", "People are 32 hexadecimal digits, columns `_40_1`.", _DOCS),
        Quirk(
            "deployments",
            "One registration serves many institutions: the deployment id tells them apart.",
            "LTIAAS's guide to ID tokens",
        ),
        Quirk(
            "rlid", "The next page's link of a roster names the activity already.", "hypothesis/lms, commit 1e3b65db2"
        ),
        Quirk(
            "leavers", "Who has left is not on the roster, or Inactive where the site says so.", "inferred; a switch"
        ),
        Quirk("not-found", "A score for somebody unknown or no learner is 400 “User could not be found:”.", _DOCS),
        Quirk("lost-comment", "Results of one person lack the comment; results of all have it.", _DOCS),
        Quirk("result-pages", "Results come in pages.", "hypothesis/lms, which asks for limit=1000"),
        Quirk("gone", "A deleted column is 404.", "inferred"),
        Quirk("closed", "A course that is over answers 403.", "inferred"),
        Quirk("same-time", "Scores of the same time are taken.", _DOCS),
        Quirk("line-breaks", "A comment is HTML: its line breaks are lost.", _DOCS),
        Quirk("throttle", "Too much is 429, without Retry-After.", "inferred"),
    )

    page_size = 50
    refuse_same_second = False

    def deployment_id(self, school: School) -> str:
        return uuid_of("deployment", school.id)

    def person_id(self, school: str, person: str, number: int) -> str:
        return hex_of(32, "person", self.name, school, person)

    def context_id(self, school: str, course: str, number: int) -> str:
        return hex_of(32, "course", self.name, school, course)

    def line_item_path(self, course_number: int, number: int) -> str:
        return f"/learn/api/v1/lti/courses/_{course_number}_1/lineItems/_{number}_1"

    def line_items_path(self, course_number: int) -> str:
        return f"/learn/api/v1/lti/courses/_{course_number}_1/lineItems"

    def roster_path(self, course_number: int) -> str:
        return f"/learn/api/v1/lti/external/namesandroles/_{course_number}_1"

    def status(self, enrolment: Enrolment) -> str | None:
        return "Active" if enrolment.is_active else "Inactive"

    def page_query(self, at: Position) -> list[tuple[str, object]]:
        names = {"resourceLinkId": "rlid"}
        return [
            *((names.get(name, name), value) for name, value in at.filters),
            ("limit", at.limit),
            ("offset", at.start),
        ]

    def error_body(self, status: HTTPStatus, text: str) -> Any:
        return {"status": status, "message": text}

    def missing_line_item(self, item_id: str, url: str) -> errors.LmsRefusal:
        return self.refusal(HTTPStatus.NOT_FOUND, "The specified line item could not be found.", url)

    def check_person(self, course: Course, item: LineItem, person: Person | None, score: Mapping[str, Any]) -> None:
        if not self.is_gradable(course, person):
            text = f"User could not be found: {score['userId']}"
            raise self.refusal(HTTPStatus.BAD_REQUEST, text, item.url("/scores"))

    def store(self, cell: Cell, score: Mapping[str, Any]) -> bool:
        comment = score.get("comment")
        return super().store(cell, {**score, "comment": " ".join(comment.split())} if comment else score)

    def result(self, cell: Cell, person: Person, *, is_alone: bool) -> dict[str, Any]:
        result = super().result(cell, person, is_alone=is_alone)
        if is_alone:
            result.pop("comment", None)
        return result

    def throttled(self, url: str, wait: float = 1) -> errors.LmsRefusal:
        return self.refusal(HTTPStatus.TOO_MANY_REQUESTS, "Too Many Requests", url)
