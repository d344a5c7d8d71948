"""A sandbox as what JSON can hold."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from ..courses import Activity, Course
from ..gradebook import Cell, LineItem
from ..institutions import Institutions
from ..profiles import Profile, switches
from ..school import Person, School, number_of

FORMAT = 1

Data = dict[str, Any]


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
    wanted = switches.changed(profile) if isinstance(profile, Profile) else {}
    return {
        "id": school.id,
        "name": school.name,
        "profile": profile.name,
        "switches": {switches.wire(name): plain(value) for name, value in wanted.items()},
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
