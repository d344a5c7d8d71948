"""No LMS that exists: what a careful tool must survive of one that is broken, each trouble seen somewhere."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import Any

from ltiaas_django.vocabulary import Role

from .. import errors
from ..courses import Course, Enrolment
from ..gradebook import Cell, LineItem
from ..paging import Position
from ..school import Person
from .profile import Profile, Quirk


class Trouble(enum.StrEnum):
    """What is wrong with lists that come in pages."""

    NONE = "none"
    REPEATS = "repeats"
    """The last page links back to the first."""
    DOUBLES = "doubles"
    """People are listed once for each role."""
    BREAKS = "breaks"
    """The second page is a server error."""
    STRAYS = "strays"
    """The next page is on another host."""
    ENDLESS = "endless"
    """There is always one more page, with nobody on it."""


class GenericStrict(Profile):
    """Strict about what it gets, careless about what it gives."""

    name = "generic_strict"
    title = "Strict and careless"
    family = ""
    version = ""
    quirks = (
        Quirk(
            "statuses",
            "Who has left stays on the roster as Inactive or Deleted, and who is active has no status.",
            "Names and Roles 2.0, section 2.3: missing means Active",
        ),
        Quirk("repeats", "The last page may link back to the first.", "ltijs, PrairieLearn and WikiEdu loop for ever"),
        Quirk("doubles", "People may be listed twice, once for each role.", "Names and Roles 2.0 does not forbid it"),
        Quirk("breaks", "The second page may be a server error.", "hypothesis/lms, truncated rosters"),
        Quirk("strays", "The next page may be on another host.", "LTIAAS takes it as data only"),
        Quirk("endless", "There may always be one more page, with nobody on it.", "as above"),
        Quirk("not-gradable", "A score for somebody who is no learner is 403.", "made up"),
        Quirk("older", "A score that is not newer is taken and ignored.", "made up"),
        Quirk("throttle", "Too much is 429, without Retry-After.", "made up"),
        Quirk("gone", "A deleted column is 404.", "made up"),
        Quirk("closed", "A course that is over answers 403.", "made up"),
    )

    page_size = 3
    shows_leavers = True
    trouble: Trouble = Trouble.NONE
    """What is wrong with lists that come in pages."""

    def listed(self, course: Course, role: str | None) -> list[Enrolment]:
        people = super().listed(course, role)
        if self.trouble != Trouble.DOUBLES:
            return people
        return [entry for one in people for entry in (one, replace(one, role=Role.LEARNER))]

    def status(self, enrolment: Enrolment) -> str | None:
        if enrolment.is_active:
            return None
        return "Deleted" if enrolment.person.number % 2 else "Inactive"

    def links(self, kind: str, links: dict[str, str], at: Position) -> dict[str, str]:
        links = super().links(kind, links, at)
        if kind != "members":
            return links
        if self.trouble == Trouble.REPEATS and "next" not in links and at.start:
            return {"next": self.page_url(at.moved(0))}
        return links

    def page_url(self, at: Position) -> str:
        url = super().page_url(at)
        return url.replace("://", "://elsewhere.", 1) if self.trouble == Trouble.STRAYS else url

    def is_broken(self, kind: str, at: Position) -> bool:
        return kind == "members" and self.trouble == Trouble.BREAKS and at.start > 0

    def goes_on(self, kind: str) -> bool:
        return kind == "members" and self.trouble == Trouble.ENDLESS

    def check_person(self, course: Course, item: LineItem, person: Person | None, score: Mapping[str, Any]) -> None:
        if not self.is_gradable(course, person):
            raise self.refusal(HTTPStatus.FORBIDDEN, "This person cannot be graded here.", item.url("/scores"))

    def post(self, course: Course, item: LineItem, score: Mapping[str, Any]) -> Cell | None:
        person = course.school.find_person(score["userId"])
        cell = course.gradebook.cell(item, person.id) if person is not None else None
        if cell is not None and course.school.campus.clock.now() <= cell.timestamp:
            return None
        return super().post(course, item, score)

    def throttled(self, url: str, wait: float = 1) -> errors.LmsRefusal:
        return self.refusal(HTTPStatus.TOO_MANY_REQUESTS, "Slow down.", url)
