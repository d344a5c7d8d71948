"""Sakai: sakaiproject/sakai, lti/lti-blis, LTI13Servlet.java."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from .. import errors
from ..courses import Course, Enrolment
from ..gradebook import LineItem
from ..naming import uuid_of
from ..paging import Position
from ..school import Person
from .profile import Profile, Quirk

_OTHER_STATUSES = (HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS)
_SERVLET = "sakai, lti/lti-blis, LTI13Servlet.java"


class Sakai(Profile):
    """Sakai, which says 400 to nearly everything."""

    name = "sakai"
    title = "Sakai"
    family = "sakai"
    version = "25.1"
    quirks = (
        Quirk("ids", "People and courses are UUIDs, columns lie below the site.", "inferred from " + _SERVLET),
        Quirk(
            "roster-pages",
            "The roster comes whole; a site may have pages of `start` and `limit`.",
            _SERVLET + ", PLUS_NRPS_PAGING",
        ),
        Quirk(
            "empty-roster", "A roster without members, or a page past the end, is an empty body and no JSON.", _SERVLET
        ),
        Quirk("sourcedid", "Members have a person sourcedid.", _SERVLET),
        Quirk("absent", "Who has left is not on the roster.", _SERVLET),
        Quirk(
            "not-in-site",
            "A score for somebody who is no learner of the site is 400 in plain text.",
            _SERVLET + "; for teachers inferred",
        ),
        Quirk("gone", "A deleted column is 400.", _SERVLET + "; its words are inferred"),
        Quirk("all-400", "An activity that is not there is 400 too.", "inferred from " + _SERVLET),
        Quirk("closed", "A course that is over is 400 “Could not load site”.", _SERVLET),
        Quirk("token", "A tool that was taken out of the site is told 403 “signature_error”.", _SERVLET),
        Quirk("same-time", "Scores of the same time are taken.", _SERVLET),
    )

    page_size = None
    refuse_same_second = False
    empty_roster = b""

    def person_id(self, school: str, person: str, number: int) -> str:
        return uuid_of("person", self.name, school, person)

    def context_id(self, school: str, course: str, number: int) -> str:
        return uuid_of("course", self.name, school, course)

    def line_item_path(self, course_number: int, number: int) -> str:
        return f"/imsblis/lti13/lineitems/{uuid_of('site', course_number)}/{number}"

    def line_items_path(self, course_number: int) -> str:
        return f"/imsblis/lti13/lineitems/{uuid_of('site', course_number)}"

    def roster_path(self, course_number: int) -> str:
        return f"/imsblis/lti13/namesandroles/{uuid_of('site', course_number)}"

    def member(self, enrolment: Enrolment) -> dict[str, Any]:
        return {**super().member(enrolment), "lisPersonSourcedId": f"sakai:{enrolment.person.id}"}

    def page_query(self, at: Position) -> list[tuple[str, object]]:
        return [*at.filters, ("start", at.start), ("limit", at.limit)]

    def refusal(
        self, status: HTTPStatus, text: str, url: str, *, headers: Mapping[str, str] | None = None
    ) -> errors.LmsRefusal:
        known = status if status in _OTHER_STATUSES else HTTPStatus.BAD_REQUEST
        return super().refusal(known, text, url, headers=headers)

    def tool_removed(self, url: str) -> errors.LmsRefusal:
        return self.refusal(HTTPStatus.FORBIDDEN, "signature_error", url)

    def check_course(self, course: Course, url: str) -> None:
        if course.is_concluded:
            raise self.refusal(HTTPStatus.BAD_REQUEST, "Could not load site associated with content", url)

    def missing_line_item(self, item_id: str, url: str) -> errors.LmsRefusal:
        return self.refusal(HTTPStatus.BAD_REQUEST, "Could not load line item", url)

    def foreign_line_item(self, item: LineItem) -> errors.LmsRefusal:
        return self.missing_line_item(item.id, item.id)

    def check_person(self, course: Course, item: LineItem, person: Person | None, score: Mapping[str, Any]) -> None:
        if not self.is_gradable(course, person):
            raise self.refusal(HTTPStatus.BAD_REQUEST, "User does not belong to site", item.url("/scores"))
