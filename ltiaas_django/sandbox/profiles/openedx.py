"""Open edX: openedx/xblock-lti-consumer, issues 669, 670 and 695."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from .. import errors
from ..courses import Course
from ..gradebook import Cell, LineItem
from ..naming import uuid_of
from ..school import Person
from .profile import Profile, Quirk


class OpenEdx(Profile):
    """Open edX before 9.16.1 of its LTI consumer, which lost zeros."""

    name = "openedx"
    title = "Open edX"
    family = "openedx"
    version = "9.16.0"
    quirks = (
        Quirk("ids", "People are UUIDs, courses `course-v1:` keys.", "xblock-lti-consumer"),
        Quirk("no-pages", "Lists ignore `limit` and have no next page.", "xblock-lti-consumer issues 669 and 670"),
        Quirk(
            "created",
            "A score that was taken is answered with 201.",
            "xblock-lti-consumer, lti_1p3/extensions/rest_framework",
        ),
        Quirk("lost-zero", "A score of 0 is taken, and not written.", "xblock-lti-consumer issue 695"),
        Quirk(
            "names",
            "A new column needs a resourceId or a resourceLinkId, else it is 400.",
            "seen with xblock-lti-consumer",
        ),
        Quirk("absent", "Who has left is not on the roster.", "inferred"),
        Quirk("not-gradable", "A score for somebody unknown is 404, for others who are no learners 403.", "inferred"),
        Quirk("gone", "A deleted column is 404.", "inferred"),
        Quirk("same-time", "Scores of the same time are taken.", "xblock-lti-consumer"),
    )

    page_size = None
    refuse_same_second = False
    success = HTTPStatus.CREATED

    def person_id(self, school: str, person: str, number: int) -> str:
        return uuid_of("person", self.name, school, person)

    def context_id(self, school: str, course: str, number: int) -> str:
        return f"course-v1:{school}+{course}+2026"

    def link_id(self, school: str, course: str, activity: str) -> str:
        return uuid_of("link", self.name, school, course, activity)

    def line_item_path(self, course_number: int, number: int) -> str:
        return f"/api/lti_consumer/v1/lti/{course_number}/lti-ags/{number}"

    def line_items_path(self, course_number: int) -> str:
        return f"/api/lti_consumer/v1/lti/{course_number}/lti-ags"

    def roster_path(self, course_number: int) -> str:
        return f"/api/lti_consumer/v1/lti/{course_number}/memberships"

    def honours_limit(self, kind: str) -> bool:
        return False

    def check_new_line_item(self, body: Mapping[str, Any], url: str) -> None:
        if not (body.get("resourceId") or body.get("resourceLinkId")):
            raise self.refusal(HTTPStatus.BAD_REQUEST, "resourceId or resourceLinkId is needed.", url)

    def error_body(self, status: HTTPStatus, text: str) -> Any:
        return {"detail": text}

    def missing_line_item(self, item_id: str, url: str) -> errors.LmsRefusal:
        return self.refusal(HTTPStatus.NOT_FOUND, "Not found.", url)

    def check_person(self, course: Course, item: LineItem, person: Person | None, score: Mapping[str, Any]) -> None:
        url = item.url("/scores")
        if person is None:
            raise self.refusal(HTTPStatus.NOT_FOUND, "Not found.", url)
        if not self.is_gradable(course, person):
            raise self.refusal(HTTPStatus.FORBIDDEN, "You do not have permission to perform this action.", url)

    def store(self, cell: Cell, score: Mapping[str, Any]) -> bool:
        return score.get("scoreGiven") != 0 and super().store(cell, score)
