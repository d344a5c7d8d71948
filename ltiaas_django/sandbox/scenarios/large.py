"""Scenarios of real sizes, whose courses are made when they are looked at.

A person's id is a number, handed out by where the person stands in the school's list: teachers, learners, assistants,
and a test student at the end. Who sits in which course is drawn from the school's own seed.
"""

from __future__ import annotations

import functools
import itertools
import random
from array import array
from bisect import bisect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from ltiaas_django.vocabulary import Role

from ..courses import Course, Plan
from ..institutions import Institutions
from ..profiles import Profile
from ..school import School
from .people import name_of

_SUBJECTS = (
    ("STAT", "Statistics"),
    ("HIST", "Modern History"),
    ("BIOL", "Cell Biology"),
    ("MATH", "Calculus"),
    ("LITT", "World Literature"),
    ("CHEM", "Organic Chemistry"),
    ("PHYS", "Mechanics"),
    ("ECON", "Economics"),
    ("MUSI", "Théorie de la musique"),
    ("GEOG", "Geografía humana"),
    ("PHIL", "Ethics & Logic"),
    ("LANG", "日本語入門"),
    ("CIVI", "Громадянська освіта"),
)
_WORK = (("Quiz", 10), ("Reading", 5), ("Lab", 20), ("Essay", 100))
_ROOM = 10  # numbers kept free for the columns of each course


@dataclass(frozen=True)
class Size:
    """How large a school is."""

    courses: int
    teachers: int
    learners: int
    assistants: int
    at_least: int
    """Courses of each learner."""
    at_most: int
    test_students: int = 1

    @property
    def people(self) -> int:
        """Everybody."""
        return self.teachers + self.learners + self.assistants + self.test_students


class Enrolling:
    """One school's list of people, and their places in its courses."""

    def __init__(self, school: School, size: Size, first_person: int, first_course: int) -> None:
        self.school = school
        self.size = size
        self._first_person = first_person
        self._first_course = first_course

    def plan(self, institutions: Institutions, finish: Callable[[Course, int], None] | None = None) -> None:
        """Have all courses made when they are looked at; `finish` gets each as it is made, and its place."""
        campus = self.school.campus
        for index in range(self.size.courses):
            number = self._first_course + index
            code, title = _SUBJECTS[index % len(_SUBJECTS)]
            level = 101 + index // len(_SUBJECTS)
            label, title = f"{code}{level}", f"{title} {level}"
            make = functools.partial(self._make, index, label, title, finish)
            institutions.courses.plan(self._course_id(index), Plan(label, title, self.school, make))
            campus.course_numbers.take(number)
            campus.line_item_numbers.take(number * _ROOM + _ROOM - 1)

    def _course_id(self, index: int) -> str:
        return f"course-{self._first_course + index}"

    def _make(self, index: int, label: str, title: str, finish: Callable[[Course, int], None] | None) -> Course:
        number = self._first_course + index
        course = Course(self._course_id(index), label, title, self.school, number)
        for role, place in self._places(index):
            self._enrol(course, role, place)
        for place in range(2 + index % 3):
            kind, maximum = _WORK[(index + place) % len(_WORK)]
            activity = course.add_activity(f"{kind} {place + 1}", activity_id=f"{course.id}-{kind.lower()}-{place + 1}")
            if (index + place) % 3:  # of the others the tool makes its column by itself
                course.gradebook.add_line_item(
                    activity.title, maximum, number=number * _ROOM + place, resource_link_id=activity.id
                )
        if finish is not None:
            finish(course, index)
        return course

    def _enrol(self, course: Course, role: Role, place: int) -> None:
        user_id = str(self._first_person + place)
        if user_id not in self.school.people:
            person = self.school.person(
                name_of(self._first_person + place), f"p{user_id}@{self.school.id}.example", user_id
            )
            person.is_test_student = place >= self.size.people - self.size.test_students
        course.add_person("", role, user_id=user_id)

    def _places(self, index: int) -> Iterator[tuple[Role, int]]:
        """Who is in a course, by role and place in the list."""
        size = self.size
        teachers = range(index, size.teachers, size.courses) if index < size.teachers else (index % size.teachers,)
        assistants = (one for one in range(size.assistants) if one * size.courses // size.assistants == index)
        yield from ((Role.INSTRUCTOR, one) for one in teachers)
        yield from ((Role.LEARNER, size.teachers + one) for one in self._seats[index])
        yield from ((Role.TEACHING_ASSISTANT, size.teachers + size.learners + one) for one in assistants)
        if index < size.test_students:
            yield Role.LEARNER, size.people - size.test_students + index

    @functools.cached_property
    def _seats(self) -> Sequence[Sequence[int]]:
        """The learners of each course, some of which are liked better than others."""
        # Of all methods of Random this one is promised to stay the same in every version of Python.
        draw = random.Random(self.school.id).random  # noqa: S311 (no secret)
        size = self.size
        liking = [*itertools.accumulate(0.5 + draw() for _ in range(size.courses))]
        seats = [array("I") for _ in range(size.courses)]
        for learner in range(size.learners):
            wanted = size.at_least + int(draw() * (size.at_most - size.at_least + 1))
            chosen = {bisect(liking, draw() * liking[-1]) for _ in range(wanted)}
            for index in sorted(chosen):
                seats[index].append(learner)
        return seats


def university(institutions: Institutions, profile: str) -> None:
    """40 courses and 5,000 people, each learner in about four; the last course is over, the one before unpublished."""
    size = Size(courses=40, teachers=60, learners=4_919, assistants=20, at_least=3, at_most=5)

    def finish(course: Course, index: int) -> None:
        course.is_concluded = index == size.courses - 1
        course.is_published = index != size.courses - 2

    school = institutions.add_school("university", "Sandbox University", profile)
    Enrolling(school, size, first_person=10_001, first_course=101).plan(institutions, finish)


_SCHOOLS = (
    ("north", "North High School", "canvas"),
    ("river", "River Valley School", "moodle"),
    ("east", "East Academy", "blackboard"),
    ("lake", "Lakeside Elementary", "schoology"),
    ("hill", "Hill Street School", "sakai"),
    ("south", "South High School", "canvas"),
    ("coast", "Instituto de la Costa", "moodle"),
)


def district(institutions: Institutions, profile: str) -> None:
    """2,000 courses and 100,000 people in eight schools, each learner in one to three courses."""
    size = Size(courses=250, teachers=120, learners=12_367, assistants=12, at_least=1, at_most=3)
    schools = (("central", "Central School", profile), *_SCHOOLS)
    for place, (school_id, name, kind) in enumerate(schools):
        school = institutions.add_school(school_id, name, kind)
        if kind == Profile.name and isinstance(school.profile, Profile):
            school.profile.page_size = 100  # not the three of a page with which small courses show a tool's paging
        Enrolling(school, size, 100_000 * (place + 1) + 1, 1_001 + size.courses * place).plan(institutions)
