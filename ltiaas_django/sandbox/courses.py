"""A course of the simulated LMS: its people, its activities and its gradebook."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from ltiaas_django.vocabulary import MembershipStatus, Role

from . import errors
from .campus import Campus, Person, clean_id
from .gradebook import Gradebook, LineItem

ROLES = (Role.LEARNER, Role.INSTRUCTOR)
"""The roles that people have here."""


@dataclass
class Enrolment:
    """A person's place in one course. One who left keeps it, marked Deleted, so that coming back is possible."""

    person: Person
    role: Role
    status: MembershipStatus = MembershipStatus.ACTIVE

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
    campus: Campus = field(repr=False)
    number: int = field(init=False)
    people: dict[str, Enrolment] = field(default_factory=dict)
    activities: dict[str, Activity] = field(default_factory=dict)
    gradebook: Gradebook = field(init=False, repr=False)
    contents: list[Mapping[str, Any]] = field(default_factory=list)
    """Links, files and the like that were added by deep linking, as they came."""

    def __post_init__(self) -> None:
        self.number = next(self.campus.course_numbers)
        self.gradebook = Gradebook(self.campus, self.number)

    def add_person(
        self, name: str, role: str = Role.LEARNER, *, email: str | None = None, user_id: str | None = None
    ) -> Person:
        """Enrol somebody new, or a known person by id (the name is then ignored)."""
        known_role = _role(role)
        with self.campus.lock:
            if user_id is not None and user_id in self.people and self.people[user_id].is_active:
                raise errors.BadRequest(f"A person with the id “{user_id}” is in this course already.")
            person = self.campus.person(name, email, user_id)
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

    def change_role(self, user_id: str, role: str) -> None:
        """Make a person a Learner or an Instructor of this course."""
        self.enrolment(user_id).role = _role(role)

    def enrolment(self, user_id: str) -> Enrolment:
        """The person's place here; raises NotFound."""
        try:
            return self.people[user_id]
        except KeyError:
            raise errors.NotFound(f"Nobody with the id “{user_id}” is in this course.") from None

    def active(self, role: Role | None = None) -> list[Enrolment]:
        """Who is in the course now, of one role or of all."""
        with self.campus.lock:
            return [one for one in self.people.values() if one.is_active and role in (None, one.role)]

    def gradable(self) -> set[str]:
        """Ids of those who can have a grade: learners who are in the course now."""
        return {one.person.id for one in self.active(Role.LEARNER)}

    def add_activity(
        self, title: str, *, activity_id: str | None = None, description: str = "", custom: Mapping[str, str] = {}
    ) -> Activity:
        """A new link to the tool, with no line item yet."""
        with self.campus.lock:
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

    def add_line_item(self, activity_id: str, score_maximum: int | Decimal, label: str | None = None) -> LineItem:
        """A gradebook column of an activity; the first is declared in its launches."""
        activity = self.activity(activity_id)
        return self.gradebook.add_line_item(label or activity.title, score_maximum, resource_link_id=activity.id)

    def line_items_of(self, activity_id: str) -> list[LineItem]:
        """The columns that belong to an activity."""
        with self.campus.lock:
            return [item for item in self.gradebook.line_items.values() if item.resource_link_id == activity_id]


def _role(text: str) -> Role:
    role = Role.parse(text)
    if role not in ROLES:
        raise errors.BadRequest("A role is Learner or Instructor.")
    return role
