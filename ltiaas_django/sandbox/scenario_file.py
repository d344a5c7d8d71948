"""A sandbox as a file: schools, people, courses and gradebooks, in JSON, to be kept and begun with another time.

{
  "format": 1,
  "clockOffset": 0.0,                           seconds ahead of the real time
  "schools": [{
    "id": "school", "name": "Sandbox School", "profile": "canvas",
    "settings": {"pageSize": 10},               the profile's switches, where they are not as usual
    "people": [{"id": "2001", "name": "Zoë Müller", "email": "zoe@school.example"}]
  }],
  "courses": [{
    "id": "course-101", "school": "school", "number": 2, "label": "STAT101", "title": "Statistics",
    "isPublished": true, "isConcluded": false,
    "people": [{"id": "2001", "role": "Learner", "status": "Active"}],
    "activities": [{"id": "quiz-1", "title": "Quiz 1"}],
    "lineItems": [{"number": 1, "label": "Quiz 1", "scoreMaximum": 10, "activity": "quiz-1"}],
    "contents": [],                             what deep linking added beside activities
    "grades": [{"lineItem": 1, "person": "2001", "score": 8.5, "timestamp": "2026-01-31T12:00:00+00:00"}]
  }]
}

What has a usual value may be left out. Amounts are numbers, or strings where a number of JSON would not be exact.
Launches, requests and faults are not kept: credentials have no place in a file.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from decimal import Decimal
from typing import Any

from ltiaas_django.vocabulary import MembershipStatus, Role

from . import content, errors, profiles, validation
from .campus import Campus
from .cleaning import clean_id
from .courses import ROLES, Activity, Course, Enrolment
from .gradebook import Cell, LineItem
from .institutions import Institutions
from .profiles import Profile, switches
from .school import NUMBERS_OF_NAMES, Person, School, number_of
from .validation import Field

FILE = "file"
"""The name of the scenario that was loaded."""
FORMAT = 1
DEEPEST = 100
"""Levels of nesting; what single requests bring is never so deep (`validation.DEEPEST`)."""

Data = dict[str, Any]

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
    "settings": Field(validation.anything),
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


# -- writing -----------------------------------------------------------------------------------------------------------


def export(institutions: Institutions) -> Data:
    """All of it, ready for JSON; courses that nobody has looked at yet are made for it."""
    courses = [_course(course) for course in institutions.courses.values()]  # first: it makes people
    return {
        "format": FORMAT,
        "clockOffset": institutions.campus.clock.offset.total_seconds(),
        "schools": [_school(school) for school in institutions.schools.values()],
        "courses": courses,
    }


def _school(school: School) -> Data:
    profile = school.profile
    settings = switches.changed(profile) if isinstance(profile, Profile) else {}
    return {
        "id": school.id,
        "name": school.name,
        "profile": profile.name,
        "settings": {_camel(name): plain(value) for name, value in settings.items()},
        "people": [_person(person) for person in school.people.values()],
    }


def _person(person: Person) -> Data:
    marks = {
        "number": person.number if number_of(person.id) is None else None,
        "hasLaunched": person.has_launched or None,
        "isHidden": person.is_hidden or None,
        "isTestStudent": person.is_test_student or None,
    }
    return {"id": person.id, "name": person.name, "email": person.email, **_given(marks)}


def _course(course: Course) -> Data:
    return {
        "id": course.id,
        "school": course.school.id,
        "number": course.number,
        "label": course.label,
        "title": course.title,
        "isPublished": course.is_published,
        "isConcluded": course.is_concluded,
        "people": [
            {"id": one.person.id, "role": str(one.role), "status": str(one.status)} for one in course.people.values()
        ],
        "activities": [_activity(activity) for activity in course.activities.values()],
        "lineItems": [_line_item(item) for item in course.gradebook.line_items.values()],
        "contents": [plain(item) for item in course.contents],
        "grades": [_grade(cell) for cell in course.gradebook.cells()],
    }


def _activity(activity: Activity) -> Data:
    more = {
        "description": activity.description or None,
        "custom": dict(activity.custom) or None,
        "item": plain(activity.item) or None,
    }
    return {"id": activity.id, "title": activity.title, **_given(more)}


def _line_item(item: LineItem) -> Data:
    more = {
        "activity": item.resource_link_id,
        "resourceId": item.resource_id,
        "tag": item.tag,
        "startDateTime": item.start_date_time,
        "endDateTime": item.end_date_time,
        "gradesReleased": item.grades_released,
    }
    return {"number": item.number, "label": item.label, "scoreMaximum": plain(item.score_maximum), **_given(more)}


def _grade(cell: Cell) -> Data:
    more = {"comment": cell.comment, "extra": plain(cell.extra) or None, "isOverridden": cell.is_overridden or None}
    return {
        "lineItem": cell.line_item.number,
        "person": cell.user_id,
        "score": plain(cell.score),
        "timestamp": cell.timestamp.isoformat(),
        "activityProgress": str(cell.activity_progress),
        "gradingProgress": str(cell.grading_progress),
        "comments": list(cell.comments),
        "attempts": cell.attempts,
        "posts": cell.posts,
        **_given(more),
    }


def _given(members: Data) -> Data:
    return {name: value for name, value in members.items() if value is not None}


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(map(str.title, rest))


def plain(value: Any) -> Any:
    """The value with amounts as JSON's numbers, or as text where those would not be exact."""
    if isinstance(value, Mapping):
        return {name: plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if not isinstance(value, Decimal):
        return value
    if abs(value) < 10**15 and value == int(value):
        return int(value)
    near = float(value)
    return near if math.isfinite(near) and Decimal(repr(near)) == value else str(value)


# -- reading -----------------------------------------------------------------------------------------------------------


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
    with _at("settings"):
        fields = switches.fields(profiles.PROFILES[school.profile.name])
        by_name = {_camel(name): name for name in fields}
        settings = validation.read_object(
            given.get("settings", {}), {name: fields[python] for name, python in by_name.items()}
        )
        for name, value in settings.items():
            setattr(school.profile, by_name[name], value)
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
            given["timestamp"].astimezone(UTC),
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
