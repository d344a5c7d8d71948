"""Canvas, whose source is public: instructure/canvas-lms, app/controllers/lti/ims and app/middleware."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from http import HTTPStatus
from typing import Any, ClassVar

from .. import errors
from ..courses import Course, Enrolment
from ..gradebook import Cell, LineItem
from ..naming import hex_of, uuid_of
from ..paging import Position
from ..school import Person, School
from ..throttle import LeakyBucket
from .profile import Profile, Quirk

_SUBMISSION = "https://canvas.instructure.com/lti/submission"
_NOT_A_STUDENT = "User not found in course or is not a student"
_INSTITUTION = "http://purl.imsglobal.org/vocab/lis/v2/institution/person#"
_SCORES = "canvas-lms, app/controllers/lti/ims/scores_controller.rb"


class Canvas(Profile):
    """Canvas in the cloud: every hosted school has the same issuer."""

    name = "canvas"
    title = "Canvas"
    family = "canvas"
    version = "cloud"
    quirks: ClassVar[Sequence[Quirk]] = (
        Quirk(
            "ids",
            "People are UUIDs, courses 40 hexadecimal digits, and all schools share one issuer.",
            "1EdTech tools list; canvas-lms, lib/lti",
        ),
        Quirk(
            "roster-pages",
            "A page of the roster holds 50 people at most.",
            "hypothesis/lms issue 6979; canvas-lms, lib/api.rb",
        ),
        Quirk(
            "absent",
            "Who has left is not on the roster; Inactive and Deleted are never said.",
            "canvas-lms, lib/lti/membership_service",
        ),
        Quirk("line-item-pages", "A page of line items holds 10.", "Canvas's page on pagination"),
        Quirk("not-a-student", "A score for a teacher or somebody who has left is refused with 422.", _SCORES),
        Quirk("test-student", "The test student has no e-mail address, and scores for it are taken.", _SCORES),
        Quirk(
            "gone",
            "A deleted column is 404, in words that name nothing.",
            "canvas-lms, app/controllers/lti/ims/concerns/gradebook_services.rb",
        ),
        Quirk("concluded", "A course that is over answers 422 (404 before a switch was turned on).", _SCORES),
        Quirk("older", "A score older than the stored one is 400; the same time is fine, to the millisecond.", _SCORES),
        Quirk(
            "attempts",
            "Every score is a new attempt, unless new_submission is false; allowed attempts can be used up (422).",
            _SCORES + "; canvas-lms issue 1799",
        ),
        Quirk("comments", "Comments are appended, never replaced.", _SCORES),
        Quirk(
            "wipes",
            "A score without a value, or not FullyGraded or PendingManual, wipes the grade, a teacher's too.",
            _SCORES + ", ignore_score?",
        ),
        Quirk(
            "removed",
            "A tool that was taken out of the course is told so with 401.",
            "canvas-lms, app/controllers/lti/ims/concerns/advantage_services.rb",
        ),
        Quirk(
            "throttle",
            "Too much is 403 in plain text, without Retry-After; about a dozen parallel calls are too much.",
            "canvas-lms, app/middleware/request_throttle.rb",
        ),
        Quirk("results", "Results show no comments.", "canvas-lms, app/serializers/lti/ims/results_serializer.rb"),
    )

    page_size = 50
    refuse_same_second = False
    says_concluded = True
    """Whether a course that is over says so (422), or is not found (404)."""
    allowed_attempts: int | None = None
    """Of every assignment; None for as many as one likes."""

    def __init__(self) -> None:
        # request_throttle.rb: at most 800, refused from 600 on, 10 leak a second, 50 weigh in for each running call.
        self._bucket = LeakyBucket(trips_at=600, leaks=10, up_front=50, cost=0.5)

    def issuer(self, school: School) -> str:
        return "https://canvas.instructure.com"

    def deployment_id(self, school: School) -> str:
        return f"1:{hex_of(40, 'deployment', school.id)}"

    def person_id(self, school: str, person: str, number: int) -> str:
        return uuid_of("person", self.name, school, person)

    def context_id(self, school: str, course: str, number: int) -> str:
        return hex_of(40, "course", self.name, school, course)

    def link_id(self, school: str, course: str, activity: str) -> str:
        return uuid_of("link", self.name, school, course, activity)

    def line_item_path(self, course_number: int, number: int) -> str:
        return f"/api/lti/courses/{course_number}/line_items/{number}"

    def line_items_path(self, course_number: int) -> str:
        return f"/api/lti/courses/{course_number}/line_items"

    def roster_path(self, course_number: int) -> str:
        return f"/api/lti/courses/{course_number}/names_and_roles"

    def launch_roles(self, enrolment: Enrolment) -> list[str]:
        # What somebody is in the institution comes along, and gives no rights in the course.
        anywhere = "Student" if enrolment.role == "Learner" else "Instructor"
        return [f"{_INSTITUTION}{anywhere}", *super().launch_roles(enrolment)]

    def roster_role(self, enrolment: Enrolment) -> list[str]:
        return super().launch_roles(enrolment)

    def largest_page(self, kind: str) -> int | None:
        return 10 if kind == "lineItems" else self.page_size

    def page_query(self, at: Position) -> list[tuple[str, object]]:
        return [*at.filters, ("page", at.start // at.limit + 1), ("per_page", at.limit)]

    def check_course(self, course: Course, url: str) -> None:
        if course.is_concluded and self.says_concluded:
            raise _error(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                "unprocessable_entity",
                "This course has concluded. AGS requests will no longer be accepted for this course.",
                url,
            )
        if course.is_concluded:
            raise _not_found(url)

    def missing_line_item(self, item_id: str, url: str) -> errors.LmsRefusal:
        return _not_found(url)

    def foreign_line_item(self, item: LineItem) -> errors.LmsRefusal:
        return _not_found(item.id)

    def check_person(self, course: Course, item: LineItem, person: Person | None, score: Mapping[str, Any]) -> None:
        url = item.url("/scores")
        if not course.is_published or not self.is_gradable(course, person):
            raise _error(HTTPStatus.UNPROCESSABLE_ENTITY, "unprocessable_entity", _NOT_A_STUDENT, url)
        cell = course.gradebook.cell(item, person.id) if person is not None else None
        is_used_up = cell is not None and self.allowed_attempts is not None and cell.attempts >= self.allowed_attempts
        if is_used_up and _is_new_attempt(score):
            text = "The maximum number of allowed attempts has been reached for this submission"
            raise _error(HTTPStatus.UNPROCESSABLE_ENTITY, "unprocessable_entity", text, url)

    def check_time(self, item: LineItem, person: Person, cell: Cell | None, now: datetime) -> None:
        if cell is not None and now < cell.timestamp:
            text = (
                f"Provided timestamp of {now.isoformat()} before last updated timestamp of {cell.timestamp.isoformat()}"
            )
            raise _error(HTTPStatus.BAD_REQUEST, "bad_request", text, item.url("/scores"))

    def store(self, cell: Cell, score: Mapping[str, Any]) -> bool:
        cell.score = self.value(score, cell.line_item)
        if score.get("comment"):
            cell.comment = score["comment"]
            cell.comments.append(score["comment"])
        if _is_new_attempt(score) or not cell.attempts:
            cell.attempts += 1
        return True

    def value(self, score: Mapping[str, Any], item: LineItem) -> Decimal | None:
        given: Decimal | None = score.get("scoreGiven")
        if given is None or score["gradingProgress"] not in ("FullyGraded", "PendingManual"):
            return None
        return self.fit(given, score["scoreMaximum"], item)

    def result(self, cell: Cell, person: Person, *, is_alone: bool) -> dict[str, Any]:
        result = super().result(cell, person, is_alone=is_alone)
        result.pop("comment", None)
        return result

    def tool_removed(self, url: str) -> errors.LmsRefusal:
        said = {
            "errors": {
                "type": "unauthorized",
                "message": "Access Token not linked to a Tool associated with this Context",
            }
        }
        return errors.LmsRefusal(HTTPStatus.UNAUTHORIZED, said, url)

    def throttled(self, url: str) -> errors.LmsRefusal:
        return errors.LmsRefusal(
            HTTPStatus.FORBIDDEN,
            "403 Forbidden (Rate Limit Exceeded)\n",
            url,
            headers={"X-Rate-Limit-Remaining": "0.0"},
        )

    @contextmanager
    def paced(self, now: datetime, url: str) -> Iterator[Mapping[str, str]]:
        if not self._bucket.enter(now):
            raise self.throttled(url)
        try:
            yield {}
        finally:
            self._bucket.leave()


class AnonymousCanvas(Canvas):
    """Canvas where the tool was installed with the privacy level “anonymous”."""

    name = "canvas_anonymous"
    title = "Canvas, anonymous"
    quirks = (
        *Canvas.quirks,
        Quirk(
            "anonymous",
            "No name and no e-mail address, in launches and rosters alike.",
            "Canvas's documentation of privacy levels",
        ),
    )
    anonymous = True


class UnpublishedCanvas(Canvas):
    """Canvas with courses that no teacher has published yet."""

    name = "canvas_unpublished"
    title = "Canvas, course not published"
    quirks = (
        *Canvas.quirks,
        Quirk("unpublished", "Every score is refused as if nobody were a student.", "PrairieLearn issue 11292"),
    )

    def check_person(self, course: Course, item: LineItem, person: Person | None, score: Mapping[str, Any]) -> None:
        raise _error(HTTPStatus.UNPROCESSABLE_ENTITY, "unprocessable_entity", _NOT_A_STUDENT, item.url("/scores"))


def _is_new_attempt(score: Mapping[str, Any]) -> bool:
    extension = score.get(_SUBMISSION)
    return not (isinstance(extension, dict) and extension.get("new_submission") is False)


def _error(status: HTTPStatus, kind: str, text: str, url: str) -> errors.LmsRefusal:
    return errors.LmsRefusal(status, {"errors": {"type": kind, "message": text}}, url)


def _not_found(url: str) -> errors.LmsRefusal:
    said = {"errors": [{"message": "The specified resource does not exist."}]}
    return errors.LmsRefusal(HTTPStatus.NOT_FOUND, said, url)
