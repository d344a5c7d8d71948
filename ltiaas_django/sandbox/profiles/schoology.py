"""PowerSchool Schoology, known from what tools ran into."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from .. import errors
from ..courses import Course
from ..gradebook import LineItem
from ..naming import hex_of
from ..school import Person
from .profile import Profile, Quirk


class Schoology(Profile):
    """Schoology, strict about every parameter."""

    name = "schoology"
    title = "Schoology"
    family = "schoology"
    version = "2026"
    quirks = (
        Quirk("ids", "Every id is opaque.", "inferred"),
        Quirk(
            "no-rlid", "A roster asked for an activity is 400: “query.rlid” is not allowed.", "code-dot-org issue 57068"
        ),
        Quirk("no-id", "A new column whose body names an id is 400.", "lti_1p3 issue 27"),
        Quirk("not-gradable", "A score for somebody who is no learner is 400.", "inferred"),
        Quirk("absent", "Who has left is not on the roster.", "inferred"),
        Quirk("gone", "A deleted column is 404.", "inferred"),
        Quirk("same-time", "Scores of the same time are taken.", "inferred"),
    )

    page_size = 50
    refuse_same_second = False

    def person_id(self, school: str, person: str, number: int) -> str:
        return f"{hex_of(12, 'person', self.name, school, person)}::{number}"

    def context_id(self, school: str, course: str, number: int) -> str:
        return hex_of(16, "course", self.name, school, course)

    def link_id(self, school: str, course: str, activity: str) -> str:
        return hex_of(16, "link", self.name, school, course, activity)

    def line_item_path(self, course_number: int, number: int) -> str:
        return f"/lti-ags/v1/{hex_of(10, 'section', course_number)}/{hex_of(20, 'item', number)}"

    def line_items_path(self, course_number: int) -> str:
        return f"/lti-ags/v1/{hex_of(10, 'section', course_number)}"

    def roster_path(self, course_number: int) -> str:
        return f"/lti-nrps/v1/{hex_of(10, 'section', course_number)}"

    def error_body(self, status: HTTPStatus, text: str) -> Any:
        return {"error": text}

    def check_roster_query(self, course: Course, query: Mapping[str, str], url: str) -> None:
        if "resourceLinkId" in query:
            raise self.refusal(HTTPStatus.BAD_REQUEST, 'Invalid parameter: "query.rlid" is not allowed', url)

    def missing_line_item(self, item_id: str, url: str) -> errors.LmsRefusal:
        return self.refusal(HTTPStatus.NOT_FOUND, "Line item not found", url)

    def check_person(self, course: Course, item: LineItem, person: Person | None, score: Mapping[str, Any]) -> None:
        if not self.is_gradable(course, person):
            raise self.refusal(HTTPStatus.BAD_REQUEST, "Invalid userId", item.url("/scores"))

    def check_new_line_item(self, body: Mapping[str, Any], url: str) -> None:
        if "id" in body:
            raise self.refusal(HTTPStatus.BAD_REQUEST, '"id" is not allowed', url)
