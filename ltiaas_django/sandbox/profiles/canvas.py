"""Canvas, whose source is public: instructure/canvas-lms, app/controllers/lti/ims and app/middleware."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from http import HTTPStatus
from typing import Any, ClassVar

from ltiaas_django.vocabulary import Role

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
_LATEST_SUBMISSION = timedelta(minutes=1)  # scores_controller.rb: how far in the future submitted_at may be
_IMS = "canvas-lms, app/controllers/lti/ims/"
_SCORES = _IMS + "scores_controller.rb"
_ROSTER = _IMS + "providers/memberships_provider.rb"

_COURSE_QUIRKS = (
    Quirk(
        "ids",
        "People are UUIDs, courses 40 hexadecimal digits, and all hosted schools share one issuer.",
        "canvas-lms, lib/lti; WikiEduDashboard, launches through LTIAAS",
    ),
    Quirk(
        "roster-pages",
        "A page of the roster holds 50 people at most, by `page` and `per_page`.",
        _ROSTER + "; hypothesis/lms issue 6979",
    ),
    Quirk("absent", "Who has left is not on the roster; Inactive and Deleted are never said.", _ROSTER),
    Quirk("one-entry", "Who has several roles is one entry with all of them, in full.", _ROSTER),
    Quirk("observers", "Observers, such as parents, are Mentors, with no right to anything.", _ROSTER),
    Quirk("institution-roles", "Launches also say what somebody is in the institution.", "hypothesis/lms issue 4373"),
    Quirk(
        "test-user",
        "The test student is on the roster as a TestUser, without an e-mail address.",
        "MyLA issue 1069; Obojobo issue 688",
    ),
    Quirk("legacy-id", "The roster tells everybody's LTI 1.1 id.", "WikiEduDashboard, a roster through LTIAAS"),
    Quirk("no-link", "A roster for an activity that is not there is 400.", _ROSTER),
    Quirk(
        "line-item-pages",
        "A page of columns or results holds 10 where no limit is asked for, 100 at most.",
        "Canvas's page on pagination; " + _IMS + "results_controller.rb",
    ),
    Quirk("gone", "A deleted column is 404, in words that name nothing.", _IMS + "concerns/gradebook_services.rb"),
    Quirk("concluded", "A course that is over answers 422 (404 before a switch was turned on).", _SCORES),
    Quirk(
        "removed",
        "A tool that was taken out of the course is told so with 401.",
        _IMS + "concerns/advantage_services.rb",
    ),
    Quirk(
        "throttle",
        "Too much is 403 in plain text, without Retry-After: a dozen calls at once are, one by one they are not.",
        "canvas-lms, app/middleware/request_throttle.rb",
    ),
)
"""What does not depend on whether scores are taken."""

_SCORE_QUIRKS = (
    Quirk("not-a-student", "A score for a teacher or somebody who is not in the course is 422.", _SCORES),
    Quirk(
        "test-student",
        "Scores for the test student are taken (refused with 422 by older releases).",
        _SCORES + "; canvas-lms issue 1659",
    ),
    Quirk("older", "A score older than the stored one is 400; the same time is fine, to the millisecond.", _SCORES),
    Quirk(
        "submitted-at",
        "A submission that is more than a minute in the future is 400, and so is one at no time.",
        _SCORES,
    ),
    Quirk(
        "attempts",
        "Every score is a new attempt, unless new_submission is false; allowed attempts can be used up (422).",
        _SCORES + "; canvas-lms issue 1799",
    ),
    Quirk("comments", "Comments are appended, never replaced.", _SCORES),
    Quirk(
        "wipes",
        "A score without a value, or not FullyGraded or PendingManual, wipes the grade, a teacher's too.",
        _SCORES + ", ignore_score?; WikiEduDashboard issue 6934",
    ),
    Quirk(
        "results",
        "Results show no comments, and none of somebody who is no student now.",
        _IMS + "results_controller.rb",
    ),
)


class Canvas(Profile):
    """Canvas in the cloud: every hosted school has the same issuer."""

    name = "canvas"
    title = "Canvas"
    family = "canvas"
    version = "cloud"
    quirks: ClassVar[Sequence[Quirk]] = (*_COURSE_QUIRKS, *_SCORE_QUIRKS)

    page_size = 50
    refuse_same_second = False
    says_concluded: bool = True
    """Whether a course that is over says so (422), or is not found (404)."""
    allowed_attempts: int | None = None
    """Of every assignment; None for as many as one likes."""
    grades_test_student: bool = True
    """Whether the test student can have a grade."""

    def __init__(self) -> None:
        # request_throttle.rb. What a call costs in the end is the time that it took; half a second is a slow one.
        self.bucket = LeakyBucket(maximum=800, trips_at=600, leaks=10, up_front=50, cost=0.5)

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
        anywhere = "Student" if enrolment.role == Role.LEARNER else "Instructor"
        return [f"{_INSTITUTION}{anywhere}", *super().launch_roles(enrolment)]

    def roster_role(self, enrolment: Enrolment) -> list[str]:
        return super().launch_roles(enrolment)

    def listed(self, course: Course, role: str | None) -> list[Enrolment]:
        return sorted(super().listed(course, role), key=lambda one: one.person.number)

    def member(self, enrolment: Enrolment) -> dict[str, Any]:
        person = enrolment.person
        return {**super().member(enrolment), "lti11LegacyUserId": hex_of(40, "1.1", person.school.id, person.id)}

    def check_roster_query(self, course: Course, query: Mapping[str, str], url: str) -> None:
        link = query.get("resourceLinkId")
        if link and course.find_activity(link) is None:
            raise self.refusal(HTTPStatus.BAD_REQUEST, "Requested ResourceLink was not found", url)

    def largest_page(self, kind: str) -> int | None:
        return self.page_size if kind == "members" else 100

    def usual_page(self, kind: str) -> int | None:
        return self.page_size if kind == "members" else 10

    def page_query(self, at: Position) -> list[tuple[str, object]]:
        return [*at.filters, ("page", at.start // at.limit + 1), ("per_page", at.limit)]

    def error_body(self, status: HTTPStatus, text: str) -> Any:
        return {"errors": {"type": _TYPES[status], "message": text}}

    def check_course(self, course: Course, url: str) -> None:
        if course.is_concluded and self.says_concluded:
            text = "This course has concluded. AGS requests will no longer be accepted for this course."
            raise self.refusal(HTTPStatus.UNPROCESSABLE_ENTITY, text, url)
        if course.is_concluded:
            raise _not_found(url)

    def missing_line_item(self, item_id: str, url: str) -> errors.LmsRefusal:
        return _not_found(url)

    def foreign_line_item(self, item: LineItem) -> errors.LmsRefusal:
        return _not_found(item.id)

    def check_person(self, course: Course, item: LineItem, person: Person | None, score: Mapping[str, Any]) -> None:
        if not course.is_published or not self.is_gradable(course, person):
            raise self.refusal(HTTPStatus.UNPROCESSABLE_ENTITY, _NOT_A_STUDENT, item.url("/scores"))

    def is_gradable(self, course: Course, person: Person | None) -> bool:
        is_refused = person is not None and person.is_test_student and not self.grades_test_student
        return not is_refused and super().is_gradable(course, person)

    def check_time(self, item: LineItem, person: Person, cell: Cell | None, now: datetime) -> None:
        if cell is not None and now < cell.timestamp:
            given, stored = now.isoformat(), cell.timestamp.isoformat()
            text = f"Provided timestamp of {given} before last updated timestamp of {stored}"
            raise self.refusal(HTTPStatus.BAD_REQUEST, text, item.url("/scores"))

    def store(self, cell: Cell, score: Mapping[str, Any]) -> bool:
        submission = _submission(score)
        self._check_submission(cell, submission)
        cell.score = self.value(score, cell.line_item)
        if score.get("comment"):
            cell.comment = score["comment"]
            cell.comments.append(score["comment"])
        cell.attempts += _is_new(submission)
        return True

    def _check_submission(self, cell: Cell, submission: Mapping[str, Any]) -> None:
        url, at = cell.line_item.url("/scores"), submission.get("submitted_at")
        if at:
            moment = _moment(at)
            if moment is None:
                text = f"Provided submitted_at timestamp of {at} not a valid timestamp"
                raise self.refusal(HTTPStatus.BAD_REQUEST, text, url)
            if moment > cell.line_item.school.campus.clock.now() + _LATEST_SUBMISSION:
                text = f"Provided submitted_at timestamp of {at} in the future"
                raise self.refusal(HTTPStatus.BAD_REQUEST, text, url)
        if _is_new(submission) and self.allowed_attempts is not None and cell.attempts >= self.allowed_attempts:
            text = "The maximum number of allowed attempts has been reached for this submission"
            raise self.refusal(HTTPStatus.UNPROCESSABLE_ENTITY, text, url)

    def value(self, score: Mapping[str, Any], item: LineItem) -> Decimal | None:
        given: Decimal | None = score.get("scoreGiven")
        if given is None or score["gradingProgress"] not in ("FullyGraded", "PendingManual"):
            return None
        return self.fit(given, score["scoreMaximum"], item)

    def tells_results_of(self, course: Course, person: Person) -> bool:
        return self.is_gradable(course, person)

    def result(self, cell: Cell, person: Person, *, is_alone: bool) -> dict[str, Any]:
        result = super().result(cell, person, is_alone=is_alone)
        result.pop("comment", None)
        return result

    def tool_removed(self, url: str) -> errors.LmsRefusal:
        text = "Access Token not linked to a Tool associated with this Context"
        return self.refusal(HTTPStatus.UNAUTHORIZED, text, url)

    def throttled(self, url: str, wait: float = 1) -> errors.LmsRefusal:
        text = "403 Forbidden (Rate Limit Exceeded)\n"
        return errors.LmsRefusal(HTTPStatus.FORBIDDEN, text, url, headers={"X-Rate-Limit-Remaining": "0.0"})

    @contextmanager
    def paced(self, now: datetime, url: str) -> Iterator[Mapping[str, str]]:
        with self.bucket.running(now) as is_allowed:
            if not is_allowed:
                raise self.throttled(url)
            yield {"X-Request-Cost": str(self.bucket.cost), "X-Rate-Limit-Remaining": str(self.bucket.left)}


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
        *_COURSE_QUIRKS,
        Quirk("unpublished", "Every score is refused as if nobody were a student.", "PrairieLearn issue 11292"),
    )

    def is_gradable(self, course: Course, person: Person | None) -> bool:
        return False


_TYPES = {  # Rails's names of the statuses
    HTTPStatus.BAD_REQUEST: "bad_request",
    HTTPStatus.UNAUTHORIZED: "unauthorized",
    HTTPStatus.NOT_FOUND: "not_found",
    HTTPStatus.UNPROCESSABLE_ENTITY: "unprocessable_entity",
}


def _submission(score: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the score says of the submission; anything but an object is passed over."""
    said = score.get(_SUBMISSION)
    return said if isinstance(said, dict) else {}


def _is_new(submission: Mapping[str, Any]) -> bool:
    return submission.get("new_submission") is not False and submission.get("submission_type") != "none"


def _moment(text: Any) -> datetime | None:
    """The time that an ISO 8601 text with its offset names."""
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None


def _not_found(url: str) -> errors.LmsRefusal:
    said = {"errors": [{"message": "The specified resource does not exist."}]}
    return errors.LmsRefusal(HTTPStatus.NOT_FOUND, said, url)
