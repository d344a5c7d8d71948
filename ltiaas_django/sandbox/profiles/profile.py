"""The behaviour of one kind of LMS, here of one that keeps to the specifications; the others say where they do not.

A school has a profile of its own, so what is set on it (`page_size`, `anonymous`, ...) is set for that school.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from http import HTTPStatus
from typing import Any, ClassVar
from urllib.parse import urlencode

from ltiaas_django.vocabulary import Role

from .. import errors
from ..courses import Course, Enrolment
from ..gradebook import Cell, LineItem
from ..naming import Names
from ..paging import Position
from ..school import Person, School

_MEMBERSHIP = "http://purl.imsglobal.org/vocab/lis/v2/membership"
TEST_USER = "http://purl.imsglobal.org/vocab/lti/system/person#TestUser"
LINE_ITEM_FIELDS: Mapping[str, str] = {
    "resourceLinkId": "resource_link_id",
    "resourceId": "resource_id",
    "tag": "tag",
    "startDateTime": "start_date_time",
    "endDateTime": "end_date_time",
    "gradesReleased": "grades_released",
}
"""What a line item may hold beside label and maximum: its JSON name and ours."""


@dataclass(frozen=True, slots=True)
class Quirk:
    """Something that an LMS does and a tool would not expect."""

    id: str
    text: str
    source: str
    """Where it is known from: a file of the LMS's source, an issue, a page; “seen” where we looked, else “inferred”."""


class Profile(Names):
    """An LMS that keeps to the specifications. Its pages are short, so that a tool's paging shows."""

    name = "plain"
    title: ClassVar[str] = "To the letter"
    family: ClassVar[str] = "moodle"
    version: ClassVar[str] = "2025100600"
    quirks: ClassVar[Sequence[Quirk]] = ()

    page_size: int | None = 3
    """Most entries on one page of any list; None: everything at once. A smaller `limit` is honoured."""
    anonymous: bool = False
    """Whether it keeps names and e-mail addresses to itself."""
    refuse_same_second: bool = True
    """Whether a second score for one cell in the same second is refused with 409, as Moodle does."""
    shows_leavers: bool = False
    """Whether who has left stays on the roster."""
    clamps: bool = False
    """Whether a score above the maximum is cut to it."""
    empty_roster: ClassVar[bytes | None] = None
    """What stands in the place of a page of the roster with nobody on it; None: a page like all others."""
    places: Decimal = Decimal("0.00001")
    """To which its gradebook rounds."""

    # -- who it is -----------------------------------------------------------------------------------------------------

    def issuer(self, school: School) -> str:
        """The `iss` of its launches."""
        return school.campus.origin

    def deployment_id(self, school: School) -> str:
        """The id of the tool's installation."""
        return "1"

    def launch_roles(self, enrolment: Enrolment) -> list[str]:
        """The roles as launches spell them."""
        roles = dict.fromkeys(uri for role in enrolment.roles for uri in _uris(role))
        return [*roles, TEST_USER] if enrolment.person.is_test_student else [*roles]

    def declares_line_item(self, items: Sequence[LineItem]) -> bool:
        """Whether a launch names the activity's column: only when there is exactly one."""
        return len(items) == 1

    # -- refusals ------------------------------------------------------------------------------------------------------

    def refusal(
        self, status: HTTPStatus, text: str, url: str, *, headers: Mapping[str, str] | None = None
    ) -> errors.LmsRefusal:
        """A refusal in this LMS's form; `url` is what was asked for."""
        return errors.LmsRefusal(status, self.error_body(status, text), url, headers=headers)

    def error_body(self, status: HTTPStatus, text: str) -> Any:
        """The body of a refusal: text, or what becomes JSON."""
        return text

    # -- rosters -------------------------------------------------------------------------------------------------------

    def listed(self, course: Course, role: str | None) -> list[Enrolment]:
        """Who is on the roster, of one role or of all."""
        return course.everybody(role) if self.shows_leavers else course.active(role)

    def roster_role(self, enrolment: Enrolment) -> list[str]:
        """The roles as rosters spell them."""
        return list(enrolment.roles)

    def status(self, enrolment: Enrolment) -> str | None:
        """What the roster says of the membership; None to say nothing."""
        return str(enrolment.status)

    def tells(self, person: Person) -> dict[str, str]:
        """What it tells of a person beside the id; nothing if it keeps people anonymous."""
        if self.anonymous or person.is_hidden:
            return {}
        facts = {
            "name": person.name,
            "givenName": person.given_name,
            "familyName": person.family_name,
            "email": "" if person.is_test_student else person.email,
        }
        return {name: value for name, value in facts.items() if value}

    def member(self, enrolment: Enrolment) -> dict[str, Any]:
        """An entry of the roster."""
        status = self.status(enrolment)
        return {
            "userId": enrolment.person.lti_id,
            "roles": self.roster_role(enrolment),
            **({} if status is None else {"status": status}),
            **self.tells(enrolment.person),
        }

    def check_roster_query(self, course: Course, query: Mapping[str, str], url: str) -> None:
        """Raises LmsRefusal for an activity that the course has not."""
        link = query.get("resourceLinkId")
        if link and course.find_activity(link) is None:
            raise self.refusal(HTTPStatus.NOT_FOUND, "Requested ResourceLink was not found", url)

    # -- pages ---------------------------------------------------------------------------------------------------------

    def largest_page(self, kind: str) -> int | None:
        """Most entries on a page of `members`, `lineItems` or `scores`; None for everything at once."""
        return self.page_size

    def usual_page(self, kind: str) -> int | None:
        """Most entries on a page where no `limit` is asked for; None for everything at once."""
        return self.largest_page(kind)

    def honours_limit(self, kind: str) -> bool:
        """Whether a smaller `limit` makes smaller pages."""
        return True

    def is_broken(self, kind: str, at: Position) -> bool:
        """Whether this page is a server error."""
        return False

    def goes_on(self, kind: str) -> bool:
        """Whether there is always one more page."""
        return False

    def next_position(self, at: Position, start: int) -> Position:
        """Where another page of the same list begins."""
        return at.moved(start)

    def page_query(self, at: Position) -> list[tuple[str, object]]:
        """The query of a page's URL. Filters are percent-encoded within, so that encoding mistakes show."""
        return [*at.filters, ("limit", at.limit), ("from", at.start)]

    def page_url(self, at: Position) -> str:
        """The LMS's URL of a page."""
        return f"{at.url}{'&' if '?' in at.url else '?'}{urlencode(self.page_query(at))}"

    def links(self, kind: str, links: dict[str, str], at: Position) -> dict[str, str]:
        """Which links to other pages arrive at the tool."""
        # Of the four links a roster has only this one.
        return {name: url for name, url in links.items() if kind != "members" or name == "next"}

    # -- line items ----------------------------------------------------------------------------------------------------

    def check_course(self, course: Course, url: str) -> None:
        """Raises LmsRefusal when the course takes no calls about grades any more."""
        if course.is_concluded:
            raise self.refusal(HTTPStatus.FORBIDDEN, "This course is over.", url)

    def check_new_line_item(self, body: Mapping[str, Any], url: str) -> None:
        """Raises LmsRefusal for a line item that it does not create."""

    def missing_line_item(self, item_id: str, url: str) -> errors.LmsRefusal:
        """What it says when there is no such column."""
        return self.refusal(HTTPStatus.NOT_FOUND, "Not Found: the grade item doesn't exist.", url)

    def foreign_line_item(self, item: LineItem) -> errors.LmsRefusal:
        """What it says of a column of another course."""
        return self.refusal(HTTPStatus.FORBIDDEN, "Not allowed in context", item.id)

    def line_item(self, item: LineItem, course: Course) -> dict[str, Any]:
        """A column as it tells it."""
        optional = {name: getattr(item, python) for name, python in LINE_ITEM_FIELDS.items()}
        if item.resource_link_id is not None:
            optional["resourceLinkId"] = course.link_id(item.resource_link_id)
        return {
            "id": item.id,
            "label": item.label,
            "scoreMaximum": item.score_maximum,
            **{name: value for name, value in optional.items() if value is not None},
        }

    def rescale(self, cell: Cell, old_maximum: Decimal, now: datetime) -> None:
        """The maximum of a cell's column has changed: the grade keeps its share, and counts as just changed."""
        if cell.score is not None and old_maximum != cell.maximum:
            cell.score = self.fit(cell.score, old_maximum, cell.line_item)
            cell.timestamp = now

    # -- scores --------------------------------------------------------------------------------------------------------

    success: ClassVar[HTTPStatus] = HTTPStatus.NO_CONTENT
    """With which LTIAAS answers a score that the LMS has taken."""

    def post(self, course: Course, item: LineItem, score: Mapping[str, Any]) -> Cell | None:
        """Store a score, or refuse it by raising LmsRefusal; None if it was taken, and nothing came of it."""
        now = course.school.campus.clock.now()
        person = course.school.find_person(score["userId"])
        self.check_person(course, item, person, score)
        if person is None:
            raise errors.NotFound("The LMS does not know this person.")
        cell = course.gradebook.cell(item, person.id)
        self.check_time(item, person, cell, now)
        if cell is None:
            cell = Cell(item, person.id, None, None, now, "", "")
        if not self.store(cell, score):
            return None
        cell.activity_progress, cell.grading_progress = score["activityProgress"], score["gradingProgress"]
        cell.extra = {name: value for name, value in score.items() if "://" in name}
        cell.timestamp, cell.is_overridden = now, False
        cell.posts += 1
        course.gradebook.put(cell)
        return cell

    def check_person(self, course: Course, item: LineItem, person: Person | None, score: Mapping[str, Any]) -> None:
        """Raises LmsRefusal for somebody who can have no grade here; always for somebody unknown."""
        if not self.is_gradable(course, person):
            text = f"Incorrect score received for user {score['userId']}"
            raise self.refusal(HTTPStatus.BAD_REQUEST, text, item.url("/scores"))

    def is_gradable(self, course: Course, person: Person | None) -> bool:
        """Whether this is a learner who is in the course now."""
        place = course.people.get(person.id) if person is not None else None
        return place is not None and place.is_active and Role.LEARNER in place.roles

    def check_time(self, item: LineItem, person: Person, cell: Cell | None, now: datetime) -> None:
        """Raises LmsRefusal for a score that comes too soon after, or before, what is stored.

        LTIAAS overwrites the caller's time stamp, so the time of arrival decides.
        """
        if self.refuse_same_second and cell is not None and int(cell.timestamp.timestamp()) >= int(now.timestamp()):
            text = f"Refusing score with an earlier timestamp for item {item.number} and user {person.lti_id}"
            raise self.refusal(HTTPStatus.CONFLICT, text, item.url("/scores"))

    def store(self, cell: Cell, score: Mapping[str, Any]) -> bool:
        """Put the score into the cell; False if nothing comes of it."""
        cell.score = self.value(score, cell.line_item)
        cell.comment = score.get("comment")
        if cell.comment is not None:
            cell.comments.append(cell.comment)
        cell.attempts = 1
        return True

    def value(self, score: Mapping[str, Any], item: LineItem) -> Decimal | None:
        """The grade in the gradebook. It is one only when the grading is finished; anything else clears it."""
        given: Decimal | None = score.get("scoreGiven")
        if given is None or score["gradingProgress"] != "FullyGraded":
            return None
        return self.fit(given, score["scoreMaximum"], item)

    def fit(self, value: Decimal, maximum: Decimal, item: LineItem) -> Decimal:
        """The value out of another maximum, as a value out of the column's."""
        value = min(value, maximum) if self.clamps else value
        try:
            return (value * item.score_maximum / maximum).quantize(self.places)
        except ArithmeticError:
            text = "Incorrect score received: it does not fit the gradebook"
            raise self.refusal(HTTPStatus.BAD_REQUEST, text, item.url("/scores")) from None

    # -- results -------------------------------------------------------------------------------------------------------

    def tells_results_of(self, course: Course, person: Person) -> bool:
        """Whether it tells the results of somebody who is asked for by id."""
        return True

    def result(self, cell: Cell, person: Person, *, is_alone: bool) -> dict[str, Any]:
        """A cell as it tells it; `is_alone`: it was asked for this person."""
        result: dict[str, Any] = {
            "id": cell.line_item.url(f"/{person.lti_id}/result"),
            "userId": person.lti_id,
            "scoreOf": cell.line_item_id,
            "timestamp": cell.timestamp.isoformat(),
        }
        if cell.score is not None:
            result |= {"resultScore": cell.score, "resultMaximum": cell.maximum}
        if cell.comment is not None:
            result["comment"] = cell.comment
        return result

    # -- the tool's standing, and its pace -----------------------------------------------------------------------------

    def tool_removed(self, url: str) -> errors.LmsRefusal:
        """What it says when the tool was taken out of the course."""
        return self.refusal(HTTPStatus.FORBIDDEN, "Not allowed in context", url)

    def throttled(self, url: str, wait: float = 1) -> errors.LmsRefusal:
        """What it says to a call that is one too many; `wait`: seconds until it would take one again."""
        headers = {"Retry-After": str(math.ceil(wait))}
        return self.refusal(HTTPStatus.TOO_MANY_REQUESTS, "Too Many Requests", url, headers=headers)

    @contextmanager
    def paced(self, now: datetime, url: str) -> Iterator[Mapping[str, str]]:
        """Around each call: raises LmsRefusal for one too many, else gives the headers that speak of the pace."""
        yield {}


def _uris(role: str) -> list[str]:
    """A role in full. A sub-role comes with its principal (LTI Core 1.3, appendix A.2.3.2)."""
    if role == Role.TEACHING_ASSISTANT:
        return [f"{_MEMBERSHIP}/Instructor#TeachingAssistant", f"{_MEMBERSHIP}#Instructor"]
    return [f"{_MEMBERSHIP}#{role}"]
