"""D2L Brightspace: community.d2l.com 1191, 1195, 23661, 23752, 23756, and issues of hypothesis/lms."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from http import HTTPStatus
from typing import Any

from ltiaas_django.vocabulary import Role

from .. import errors
from ..courses import Course, Enrolment
from ..gradebook import Cell, LineItem
from ..naming import uuid_of
from ..school import Person
from ..throttle import CreditWindow
from .profile import Profile, Quirk

_FORUM = "community.d2l.com, 23661, 23752 and 23756"


class Brightspace(Profile):
    """Brightspace, which knows only who has launched."""

    name = "brightspace"
    title = "Brightspace"
    family = "desire2learn"
    version = "20.26.11"
    quirks = (
        Quirk("ids", "People are a UUID and a number, columns opaque addresses.", "inferred from D2L's examples"),
        Quirk(
            "launched-only",
            "The roster names only who has launched the tool, unless the deployment is told otherwise.",
            "community.d2l.com, 1191",
        ),
        Quirk("no-column", "Launches name no column, even where there is one.", "hypothesis/lms issue 4726"),
        Quirk("absent", "Who has left is not on the roster.", "inferred"),
        Quirk("role", "A score for somebody whose role has no grades is 422.", _FORUM),
        Quirk("not-enrolled", "A score for somebody who is not in the course is 403.", _FORUM),
        Quirk("unknown", "A score for somebody who does not exist is 404.", _FORUM),
        Quirk(
            "clamps", "More than the maximum is cut to it, silently, unless it “can exceed”.", "community.d2l.com, 1195"
        ),
        Quirk("no-rescale", "Another maximum leaves the grades as they are.", "community.d2l.com, 1195"),
        Quirk("same-time", "Scores of the same time are taken.", "inferred"),
        Quirk("gone", "A deleted column is 404.", "inferred"),
        Quirk("closed", "A course that is over answers 403.", "inferred"),
        Quirk(
            "credits",
            "50,000 credits a minute, 10 for a call: then 429 with Retry-After; other answers say what is left.",
            "D2L's documentation of rate limits",
        ),
    )

    page_size = 100
    refuse_same_second = False
    clamps = True
    knows_all: bool = False
    """“Classlist including users not known to this deployment”."""

    def __init__(self) -> None:
        self.credits = CreditWindow(credits=50_000, cost=10, seconds=60)

    def person_id(self, school: str, person: str, number: int) -> str:
        return f"{uuid_of('school', school)}_{number}"

    def context_id(self, school: str, course: str, number: int) -> str:
        return str(6600 + number)

    def link_id(self, school: str, course: str, activity: str) -> str:
        return uuid_of("link", self.name, school, course, activity)

    def line_item_path(self, course_number: int, number: int) -> str:
        return f"{self.line_items_path(course_number)}/{uuid_of('item', number)}"

    def line_items_path(self, course_number: int) -> str:
        return f"/d2l/api/lti/ags/2.0/deployment/{uuid_of('deployment')}/orgunit/{6600 + course_number}/lineitems"

    def roster_path(self, course_number: int) -> str:
        return f"/d2l/api/lti/nrps/2.0/deployment/{uuid_of('deployment')}/orgunit/{6600 + course_number}/memberships"

    def declares_line_item(self, items: Sequence[LineItem]) -> bool:
        return False

    def listed(self, course: Course, role: str | None) -> list[Enrolment]:
        everybody = super().listed(course, role)
        return everybody if self.knows_all else [one for one in everybody if one.person.has_launched]

    def error_body(self, status: HTTPStatus, text: str) -> Any:
        return {"Errors": [{"Message": text}]}

    def missing_line_item(self, item_id: str, url: str) -> errors.LmsRefusal:
        return self.refusal(HTTPStatus.NOT_FOUND, "Resource Not Found", url)

    def check_course(self, course: Course, url: str) -> None:
        if course.is_concluded:
            raise self.refusal(HTTPStatus.FORBIDDEN, "The org unit is not active.", url)

    def check_person(self, course: Course, item: LineItem, person: Person | None, score: Mapping[str, Any]) -> None:
        url = item.url("/scores")
        place = course.people.get(person.id) if person is not None else None
        if person is None:
            raise self.refusal(HTTPStatus.NOT_FOUND, "User in requested score does not exist", url)
        if place is None or not place.is_active:
            text = "User in requested score is not enrolled in the org unit"
            raise self.refusal(HTTPStatus.FORBIDDEN, text, url)
        if Role.LEARNER not in place.roles:
            text = "User's role does not have the permission “Can be graded in Grades”"
            raise self.refusal(HTTPStatus.UNPROCESSABLE_ENTITY, text, url)

    def rescale(self, cell: Cell, old_maximum: Decimal, now: datetime) -> None:
        """Grades stay as they are."""

    @contextmanager
    def paced(self, now: datetime, url: str) -> Iterator[Mapping[str, str]]:
        is_paid, wait = self.credits.spend(now), self.credits.seconds_to_next(now)
        if not is_paid:
            raise self.throttled(url, wait)
        yield {
            "X-Rate-Limit-Remaining": str(self.credits.left),
            "X-Rate-Limit-Reset": str(math.ceil(wait)),
            "X-Request-Cost": str(self.credits.cost),
        }
