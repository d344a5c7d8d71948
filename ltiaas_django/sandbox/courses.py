"""A course of a school: its people, its activities and its gradebook; and all courses, made when they are looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from ltiaas_django.vocabulary import MembershipStatus, Role

from . import errors
from .cleaning import clean_id
from .gradebook import Cell, Gradebook, LineItem
from .school import Person, School

MENTOR = "Mentor"
"""Canvas's observers, such as parents. No context role of LTI that gives rights, and so not in `Role`."""
ROLES = (Role.LEARNER, Role.INSTRUCTOR, Role.TEACHING_ASSISTANT, Role.CONTENT_DEVELOPER, MENTOR)
"""The roles that people have here."""


@dataclass(slots=True)
class Enrolment:
    """A person's place in one course. One who left keeps it, marked Deleted, so that coming back is possible."""

    person: Person
    role: str
    status: MembershipStatus = MembershipStatus.ACTIVE
    more_roles: tuple[str, ...] = ()

    @property
    def roles(self) -> tuple[str, ...]:
        """All roles, the one that counts on the sandbox's pages first."""
        return (self.role, *self.more_roles)

    @property
    def is_active(self) -> bool:
        """Whether the person is in the course now."""
        return self.status == MembershipStatus.ACTIVE


@dataclass
class Activity:
    """A link to the tool on the course page (LTI: a resource link)."""

    id: str
    title: str
    description: str = ""
    custom: Mapping[str, str] = field(default_factory=dict)
    item: Mapping[str, Any] = field(default_factory=dict)
    """The content item that it was made of by deep linking, if it was."""

    @property
    def query(self) -> str:
        """The query parameters of its launch URL, which come to the tool at every launch."""
        return urlsplit(str(self.item.get("url", ""))).query


@dataclass
class Course:
    """A course (LTI: a context)."""

    id: str
    label: str
    title: str
    school: School = field(repr=False)
    number: int = 0
    """For LMSs that number theirs; the next free one by default."""
    people: dict[str, Enrolment] = field(default_factory=dict)
    activities: dict[str, Activity] = field(default_factory=dict)
    gradebook: Gradebook = field(init=False, repr=False)
    contents: list[Mapping[str, Any]] = field(default_factory=list)
    """Links, files and the like that were added by deep linking, as they came."""
    is_published: bool = True
    is_concluded: bool = False

    def __post_init__(self) -> None:
        numbers = self.school.campus.course_numbers
        self.number = numbers.take(self.number) if self.number else numbers.next()
        self.gradebook = Gradebook(self.school, self.number)

    @property
    def lti_id(self) -> str:
        """What the LMS calls it in launches."""
        return self.school.profile.context_id(self.school.id, self.id, self.number)

    def add_person(
        self, name: str, role: str = Role.LEARNER, *, email: str | None = None, user_id: str | None = None
    ) -> Person:
        """Enrol somebody new, or a known person by id (the name is then ignored)."""
        known_role = _role(role)
        with self.school.campus.lock:
            if user_id is not None and user_id in self.people and self.people[user_id].is_active:
                raise errors.BadRequest(f"A person with the id “{user_id}” is in this course already.")
            person = self.school.person(name, email, user_id)
            self.people[person.id] = Enrolment(person, known_role)
            return person

    def remove_person(self, user_id: str) -> None:
        """Take a person out of the course; the gradebook keeps their cells."""
        self.enrolment(user_id).status = MembershipStatus.DELETED

    def restore_person(self, user_id: str) -> None:
        """Let a person back in."""
        self.enrolment(user_id).status = MembershipStatus.ACTIVE

    def rename_person(self, user_id: str, name: str) -> None:
        """Give a person a new name, in all their courses."""
        self.enrolment(user_id).person.rename(name)

    def change_role(self, user_id: str, role: str, *more: str) -> None:
        """Give a person another of the ROLES in this course, or several."""
        enrolment, roles = self.enrolment(user_id), [_role(one) for one in (role, *more)]
        enrolment.role, enrolment.more_roles = roles[0], tuple(roles[1:])

    def enrolment(self, user_id: str) -> Enrolment:
        """The person's place here; raises NotFound."""
        try:
            return self.people[user_id]
        except KeyError:
            raise errors.NotFound(f"Nobody with the id “{user_id}” is in this course.") from None

    def active(self, role: str | None = None) -> list[Enrolment]:
        """Who is in the course now, of one role or of all."""
        return [one for one in self.everybody(role) if one.is_active]

    def everybody(self, role: str | None = None) -> list[Enrolment]:
        """Who is or was in the course, of one role or of all."""
        with self.school.campus.lock:
            return [one for one in self.people.values() if role is None or role in one.roles]

    def gradable(self) -> set[str]:
        """Ids of those who can have a grade: learners who are in the course now."""
        return {one.person.id for one in self.active(Role.LEARNER)}

    def add_activity(
        self, title: str, *, activity_id: str | None = None, description: str = "", custom: Mapping[str, str] = {}
    ) -> Activity:
        """A new link to the tool, with no line item yet."""
        with self.school.campus.lock:
            activity = Activity(
                clean_id(activity_id or f"{self.id}-activity-{len(self.activities) + 1}"), title, description, custom
            )
            if activity.id in self.activities:
                raise errors.BadRequest(f"An activity “{activity.id}” is in this course already.")
            self.activities[activity.id] = activity
            return activity

    def activity(self, activity_id: str) -> Activity:
        """The activity; raises NotFound."""
        try:
            return self.activities[activity_id]
        except KeyError:
            raise errors.NotFound(f"This course has no activity “{activity_id}”.") from None

    def link_id(self, activity_id: str) -> str:
        """What the LMS calls an activity."""
        return self.school.profile.link_id(self.school.id, self.id, activity_id)

    def find_activity(self, link_id: str) -> Activity | None:
        """The activity that the LMS calls this, if any."""
        return next((one for one in self.activities.values() if self.link_id(one.id) == link_id), None)

    def add_line_item(self, activity_id: str, score_maximum: int | Decimal, label: str | None = None) -> LineItem:
        """A gradebook column of an activity; the first is declared in its launches."""
        activity = self.activity(activity_id)
        return self.gradebook.add_line_item(label or activity.title, score_maximum, resource_link_id=activity.id)

    def line_items_of(self, activity_id: str) -> list[LineItem]:
        """The columns that belong to an activity."""
        with self.school.campus.lock:
            return [item for item in self.gradebook.line_items.values() if item.resource_link_id == activity_id]

    def override(self, item: LineItem, user_id: str, score: Decimal | None) -> Cell:
        """A teacher sets a grade by hand, or clears it with None; raises NotFound for somebody unknown here."""
        person = self.enrolment(user_id).person
        with self.school.campus.lock:
            now = self.school.campus.clock.now()
            cell = self.gradebook.cell(item, person.id)
            if cell is None:
                cell = Cell(item, person.id, None, None, now, "Completed", "FullyGraded")
                self.gradebook.put(cell)
            cell.score, cell.timestamp, cell.is_overridden = score, now, True
            return cell


def _role(text: str) -> str:
    role = text if text == MENTOR else Role.parse(text)
    if role not in ROLES:
        raise errors.BadRequest(f"A role is one of {', '.join(ROLES)}.")
    return str(role)


@dataclass(frozen=True, slots=True)
class Plan:
    """A course that nobody has looked at yet: what lists show of it, and how it is made."""

    label: str
    title: str
    school: School
    make: Callable[[], Course]


class Courses(Mapping[str, Course]):
    """The courses of all schools, by id, in the order in which they were added."""

    def __init__(self) -> None:
        self._known: dict[str, Course | Plan] = {}

    def add(self, course: Course) -> None:
        """Add a course that is there; raises BadRequest when its id is taken."""
        self.plan(course.id, course)

    def plan(self, course_id: str, plan: Course | Plan) -> None:
        """Add a course to be made at the first look at it; raises BadRequest when its id is taken."""
        if course_id in self._known:
            raise errors.BadRequest(f"There is a course “{course_id}” already.")
        self._known[course_id] = plan

    def __getitem__(self, course_id: str) -> Course:
        known = self._known[course_id]
        if isinstance(known, Plan):
            with known.school.campus.lock:  # two that look at once get the same
                known = self._known[course_id]
                if isinstance(known, Plan):
                    known = self._known[course_id] = known.make()
        return known

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._known))

    def __len__(self) -> int:
        return len(self._known)

    def __contains__(self, course_id: object) -> bool:
        return course_id in self._known

    def listed(self) -> list[tuple[str, Course | Plan]]:
        """All with their ids, without making any."""
        return list(self._known.items())

    def made(self) -> list[Course]:
        """Those that somebody has looked at."""
        return [known for known in self._known.values() if isinstance(known, Course)]
