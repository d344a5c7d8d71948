"""An institution: its LMS, its people, and its gradebooks' columns by the LMS's names for them."""

from __future__ import annotations

import sys
from typing import Any

from .campus import Campus, Numbers
from .cleaning import clean_email, clean_id, clean_name
from .naming import Names, hex_of

_FIRST_NUMBER = 3001
NUMBERS_OF_NAMES = 900_001
"""The first number (for Moodle, whose ids are numbers) of people whose id here is none."""


class Person:
    """Somebody with an account in the LMS; who is in two courses is one person."""

    __slots__ = (
        "email",
        "family_name",
        "given_name",
        "has_launched",
        "id",
        "is_hidden",
        "is_test_student",
        "number",
        "school",
    )

    def __init__(self, school: School, person_id: str, name: str, email: str, number: int) -> None:
        self.school = school
        self.id = person_id
        """The sandbox's own name for the person; the LMS's is `lti_id`."""
        self.number = number
        self.email = email
        self.has_launched = False
        self.is_hidden = False
        """Whether the LMS keeps the person's name and e-mail address to itself."""
        self.is_test_student = False
        self.given_name = self.family_name = ""
        self.rename(name)

    def __repr__(self) -> str:
        return f"<Person {self.id}>"

    @property
    def lti_id(self) -> str:
        """What the LMS calls the person in launches, rosters and results."""
        return self.school.profile.person_id(self.school.id, self.id, self.number)

    @property
    def name(self) -> str:
        """The full name."""
        return f"{self.given_name} {self.family_name}".strip()

    def rename(self, name: str) -> None:
        """Take a new full name; the first word becomes the given name."""
        given, _, family = clean_name(name).partition(" ")
        self.given_name, self.family_name = sys.intern(given), sys.intern(family)  # of many people few are unique


class School:
    """An institution with one LMS: to the tool, a platform."""

    def __init__(self, campus: Campus, school_id: str, name: str, profile: Names) -> None:
        self.campus = campus
        self.id = clean_id(school_id)
        self.name = clean_name(name)
        self.profile = profile
        self.people: dict[str, Person] = {}
        self.line_items: dict[str, Any] = {}
        """All columns by their path: the origin before it is known only once the sandbox is served."""
        self._by_lti_id: dict[str, Person] = {}
        self._numbers = Numbers(_FIRST_NUMBER)
        self._numbers_of_names = Numbers(NUMBERS_OF_NAMES)

    def __repr__(self) -> str:
        return f"<School {self.id}: {self.profile.name}>"

    @property
    def platform_id(self) -> str:
        """The id of its registration at LTIAAS. With another LMS it is another platform."""
        return hex_of(32, "platform", self.id, self.profile.name)

    @property
    def client_id(self) -> str:
        """The tool's id at its LMS."""
        return f"{self.id}-client"

    def person(
        self, name: str, email: str | None = None, user_id: str | None = None, number: int | None = None
    ) -> Person:
        """The person with this id, or a new one; `number` is only for those whose id is none."""
        with self.campus.lock:
            if user_id is not None and user_id in self.people:
                return self.people[user_id]
            while user_id is None or user_id in self.people:
                user_id = str(self._numbers.next())
            own = number_of(user_id)
            if own is None:
                own = self._numbers_of_names.next() if number is None else self._numbers_of_names.take(number)
            person = Person(self, clean_id(user_id), name, clean_email(email, user_id), own)
            self.people[person.id] = self._by_lti_id[person.lti_id] = person
            return person

    def find_person(self, lti_id: str) -> Person | None:
        """Whom the LMS calls this, if anybody."""
        return self._by_lti_id.get(lti_id)

    def become(self, profile: Names) -> None:
        """Take another LMS: from now on everything is called what this one makes up."""
        with self.campus.lock:
            self.profile = profile
            self._by_lti_id = {person.lti_id: person for person in self.people.values()}
            self.line_items = {item.path: item for item in self.line_items.values()}


def number_of(user_id: str) -> int | None:
    """The number that an id is, if it is one as LMSs write it."""
    is_number = user_id.isascii() and user_id.isdigit() and len(user_id) <= 6 and str(int(user_id)) == user_id
    return int(user_id) if is_number and int(user_id) < NUMBERS_OF_NAMES else None
