"""What a file holds, made anew; whatever is wrong with it is refused, with its place in the file."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, cast

from ltiaas_django.vocabulary import MembershipStatus, Role

from .. import content, errors, profiles, validation
from ..campus import Campus
from ..cleaning import clean_id
from ..courses import ROLES, Course, Enrolment
from ..gradebook import Cell
from ..institutions import Institutions
from ..profiles import Profile, switches
from ..school import NUMBERS_OF_NAMES, School, number_of
from ..validation import Field
from .writing import FORMAT, Data

DEEPEST = 100
"""Levels of nesting; what single requests bring is never so deep (`validation.DEEPEST`)."""

_entries = Field(validation.list_of(validation.anything))
_FILE = {
    "format": Field(validation.positive_integer, required=True),
    "clockOffset": Field(validation.seconds),
    "schools": Field(validation.list_of(validation.anything), required=True),
    "courses": _entries,
}
_SCHOOL = {
    "id": Field(validation.text, required=True),
    "name": Field(validation.text, required=True),
    "profile": Field(validation.one_of([*profiles.PROFILES])),
    "switches": Field(validation.anything),
    "people": _entries,
}
_PERSON = {
    "id": Field(validation.non_empty, required=True),
    "name": Field(validation.text, required=True),
    "email": Field(validation.text),
    "number": Field(validation.positive_integer),
    "hasLaunched": Field(validation.boolean),
    "isHidden": Field(validation.boolean),
    "isTestStudent": Field(validation.boolean),
}
_COURSE = {
    "id": Field(validation.text, required=True),
    "school": Field(validation.text),
    "number": Field(validation.positive_integer),
    "label": Field(validation.text),
    "title": Field(validation.text, required=True),
    "isPublished": Field(validation.boolean),
    "isConcluded": Field(validation.boolean),
    **dict.fromkeys(("people", "activities", "lineItems", "contents", "grades"), _entries),
}
_ENROLMENT = {
    "id": Field(validation.text, required=True),
    "role": Field(validation.one_of([*map(str, ROLES)])),
    "status": Field(validation.one_of([*map(str, MembershipStatus)])),
}
_ACTIVITY = {
    "id": Field(validation.non_empty, required=True),
    "title": Field(validation.text, required=True),
    "description": Field(validation.text),
    "custom": Field(validation.texts_by_name),
    "item": Field(validation.anything),
}
_LINE_ITEM = {
    "number": Field(validation.positive_integer),
    "label": Field(validation.text, required=True),
    "scoreMaximum": Field(validation.exact, required=True),
    "activity": Field(validation.text),
    "resourceId": Field(validation.text),
    "tag": Field(validation.text),
    "startDateTime": Field(validation.text),
    "endDateTime": Field(validation.text),
    "gradesReleased": Field(validation.boolean),
}
_GRADE = {
    "lineItem": Field(validation.positive_integer, required=True),
    "person": Field(validation.text, required=True),
    "score": Field(validation.exact_or_null),
    "comment": Field(validation.text),
    "timestamp": Field(validation.moment, required=True),
    "activityProgress": Field(validation.text),
    "gradingProgress": Field(validation.text),
    "extra": Field(validation.anything),
    "comments": Field(validation.list_of(validation.text)),
    "attempts": Field(validation.count),
    "posts": Field(validation.count),
    "isOverridden": Field(validation.boolean),
}


@dataclass(frozen=True)
class Loaded:
    """What a file holds."""

    data: Data
    """A copy, as it was given."""
    institutions: Institutions
    clock_offset: float


def load(data: Data, campus: Campus) -> Loaded:
    """What a file holds, made anew on a campus that is new; raises BadRequest that names what is wrong, and where."""
    with _at("The scenario"):
        data = _exact(data)
        given = validation.read_object(data, _FILE)
        if given["format"] != FORMAT:
            raise _wrong(f"`format` must be {FORMAT}.")
        institutions = Institutions(campus)
        _each("schools", given, lambda one: _load_school(one, institutions))
        if not institutions.schools:
            raise _wrong("`schools` must hold a school.")
        numbers = _Numbers()
        _each("courses", given, lambda one: _load_course(one, institutions, numbers))
        offset = given.get("clockOffset", 0.0)
        campus.clock.check(offset)
        return Loaded(data, institutions, offset)


class _Numbers:
    """Numbers that nothing else may have."""

    def __init__(self) -> None:
        self._taken: set[tuple[str, object]] = set()

    def take(self, what: str, number: object) -> None:
        """Raises BadRequest for the second of a kind."""
        if (what, number) in self._taken:
            raise _wrong(f"There are two {what} {number}.")
        self._taken.add((what, number))


def _load_school(entry: Any, institutions: Institutions) -> None:
    given = validation.read_object(entry, _SCHOOL)
    school = institutions.add_school(given["id"], given["name"], given.get("profile", Profile.name))
    with _at("switches"):
        switches.turn(cast(Profile, school.profile), given.get("switches", {}))
    numbers = _Numbers()
    _each("people", given, lambda one: _load_person(one, school, numbers))


def _load_person(entry: Any, school: School, numbers: _Numbers) -> None:
    given = validation.read_object(entry, _PERSON)
    number = given.get("number")
    if given["id"] in school.people:
        raise _wrong(f"There are two people “{given['id']}”.")
    if number is not None and (number < NUMBERS_OF_NAMES or number_of(given["id"]) is not None):
        raise _wrong(f"`number` is at least {NUMBERS_OF_NAMES}, and only for people whose id is none.")
    person = school.person(given["name"], given.get("email"), given["id"], number)
    numbers.take("people of the number", person.number)
    person.has_launched = given.get("hasLaunched", False)
    person.is_hidden = given.get("isHidden", False)
    person.is_test_student = given.get("isTestStudent", False)


def _load_course(entry: Any, institutions: Institutions, numbers: _Numbers) -> None:
    given = validation.read_object(entry, _COURSE)
    school = institutions.find_school(given.get("school"))
    label = given.get("label", given["id"])
    course = Course(clean_id(given["id"]), label, given["title"], school, given.get("number", 0))
    numbers.take("courses of the number", course.number)
    course.is_published = given.get("isPublished", True)
    course.is_concluded = given.get("isConcluded", False)
    institutions.courses.add(course)
    _each("people", given, lambda one: _load_enrolment(one, course))
    _each("activities", given, lambda one: _load_activity(one, course))
    _each("lineItems", given, lambda one: _load_line_item(one, course, numbers))
    course.contents = _each("contents", given, content.read_item)
    _each("grades", given, lambda one: _load_grade(one, course))


def _load_enrolment(entry: Any, course: Course) -> None:
    given = validation.read_object(entry, _ENROLMENT)
    person = course.school.people.get(given["id"])
    if person is None:
        raise _wrong(f"The school “{course.school.id}” has nobody with the id “{given['id']}”.")
    if person.id in course.people:
        raise _wrong(f"“{person.id}” is in this course twice.")
    status = MembershipStatus(given.get("status", MembershipStatus.ACTIVE))
    course.people[person.id] = Enrolment(person, given.get("role", str(Role.LEARNER)), status)


def _load_activity(entry: Any, course: Course) -> None:
    given = validation.read_object(entry, _ACTIVITY)
    activity = course.add_activity(
        given["title"],
        activity_id=given["id"],
        description=given.get("description", ""),
        custom=given.get("custom", {}),
    )
    if given.get("item"):
        with _at("item"):
            activity.item = content.read_item(given["item"])


def _load_line_item(entry: Any, course: Course, numbers: _Numbers) -> None:
    given = validation.read_object(entry, _LINE_ITEM)
    link = given.get("activity")
    if link is not None and link not in course.activities:
        raise _wrong(f"This course has no activity “{link}”.")
    if given["scoreMaximum"] <= 0:
        raise _wrong("`scoreMaximum` must be above 0.")
    item = course.gradebook.add_line_item(
        given["label"],
        given["scoreMaximum"],
        number=given.get("number"),
        resource_link_id=link,
        resource_id=given.get("resourceId"),
        tag=given.get("tag"),
        start_date_time=given.get("startDateTime"),
        end_date_time=given.get("endDateTime"),
        grades_released=given.get("gradesReleased"),
    )
    numbers.take("line items of the number", item.number)


def _load_grade(entry: Any, course: Course) -> None:
    given = validation.read_object(entry, _GRADE)
    item = course.gradebook.line_item(given["lineItem"])
    person = course.enrolment(given["person"]).person
    if course.gradebook.cell(item, person.id) is not None:
        raise _wrong(f"“{person.id}” has two grades in line item {item.number}.")
    extra = given.get("extra", {})
    if not isinstance(extra, dict):
        raise _wrong("`extra` must be an object.")
    course.gradebook.put(
        Cell(
            item,
            person.id,
            given.get("score"),
            given.get("comment"),
            given["timestamp"],
            given.get("activityProgress", "Completed"),
            given.get("gradingProgress", "FullyGraded"),
            extra,
            given.get("comments", []),
            given.get("attempts", 1),
            given.get("posts", 1),
            given.get("isOverridden", False),
        )
    )


def _each(name: str, given: Mapping[str, Any], read: Callable[[Any], Any]) -> list[Any]:
    """What is read from each entry of a list; an error says which entry it was."""
    entries: Sequence[Any] = given.get(name, [])
    read_so_far = []
    for index, entry in enumerate(entries):
        with _at(f"{name}[{index}]"):
            read_so_far.append(read(entry))
    return read_so_far


@contextlib.contextmanager
def _at(place: str) -> Iterator[None]:
    """Let an error say where it was."""
    try:
        yield
    except errors.SandboxError as error:
        raise _wrong(f"{place}: {error.description}") from None


def _wrong(description: str) -> errors.BadRequest:
    return errors.BadRequest(description, code="INVALID_SCENARIO")


def _exact(value: Any, depth: int = 0) -> Any:
    """A copy of what JSON can hold, its numbers as int and Decimal."""
    if depth > DEEPEST:
        raise _wrong("It is nested too deep.")
    if isinstance(value, dict):
        if not all(isinstance(name, str) for name in value):
            raise _wrong("The names of its members must be strings.")
        return {name: _exact(one, depth + 1) for name, one in value.items()}
    if isinstance(value, list):
        return [_exact(one, depth + 1) for one in value]
    if isinstance(value, float) and math.isfinite(value):
        return Decimal(repr(value))
    if value is None or isinstance(value, str | int) or (isinstance(value, Decimal) and value.is_finite()):
        return value
    raise _wrong("It holds something that JSON does not.")
