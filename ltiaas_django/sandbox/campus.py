"""What all courses of the simulated LMS share: one lock, one clock, its origin, its people and its counters."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from . import errors

_LONGEST_JUMP = 100 * 365 * 24 * 3600.0
_LONGEST_NAME = 200


class Clock:
    """The sandbox's own time: the real one, plus what a test has moved it by."""

    def __init__(self) -> None:
        self._offset = timedelta()

    def now(self) -> datetime:
        """The time now, in UTC."""
        return datetime.now(UTC) + self._offset

    def advance(self, seconds: float) -> None:
        """Move on by some seconds (back, if negative)."""
        if not abs(seconds) <= _LONGEST_JUMP:  # also refuses NaN
            raise errors.BadRequest("The clock moves by at most a hundred years.")
        self._offset += timedelta(seconds=seconds)

    def reset(self) -> None:
        """Back to the real time."""
        self._offset = timedelta()


@dataclass
class Person:
    """Somebody with an account in the LMS; who is in two courses is one person."""

    id: str
    given_name: str
    family_name: str
    email: str

    @property
    def name(self) -> str:
        """The full name."""
        return f"{self.given_name} {self.family_name}".strip()

    def rename(self, name: str) -> None:
        """Take a new full name; the first word becomes the given name."""
        self.given_name, _, self.family_name = clean_name(name).partition(" ")


@dataclass
class Campus:
    """The parts of the LMS that belong to no single course."""

    clock: Clock
    origin: str
    lock: threading.RLock = field(default_factory=threading.RLock)
    people: dict[str, Person] = field(default_factory=dict)
    line_item_numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    course_numbers: Iterator[int] = field(default_factory=lambda: itertools.count(2))
    """Moodle counts the site itself as course 1."""
    _person_numbers: Iterator[int] = field(default_factory=lambda: itertools.count(3001))

    def person(self, name: str, email: str | None = None, user_id: str | None = None) -> Person:
        """The person with this id, or a new one."""
        with self.lock:
            if user_id is not None and user_id in self.people:
                return self.people[user_id]
            if user_id is None:
                user_id = next(n for n in map(str, self._person_numbers) if n not in self.people)
            person = Person(clean_id(user_id), "", "", clean_email(email, user_id))
            person.rename(name)
            self.people[person.id] = person
            return person


def clean_name(name: str) -> str:
    """The name with its white space in order; raises BadRequest when it cannot be one."""
    cleaned = " ".join(name.split())
    if not cleaned:
        raise errors.BadRequest("A name must not be empty.")
    if len(cleaned) > _LONGEST_NAME:
        raise errors.BadRequest(f"A name has at most {_LONGEST_NAME} characters.")
    return _printable(cleaned, "A name")


def clean_id(text: str) -> str:
    """The id; raises BadRequest if it could not stand in a path of the sandbox's pages."""
    if not text or "/" in text or text in {".", ".."} or len(text) > 255 or text != text.strip():
        raise errors.BadRequest("An id has 1 to 255 characters, no slash and no white space at its ends.")
    return _printable(text, "An id")


def clean_email(email: str | None, user_id: str) -> str:
    """The address, or one made of the id when there is none."""
    if not email:
        return f"{user_id}@school.example"
    local, _, domain = email.rpartition("@")
    if not local or not domain or " " in email or len(email) > 254:
        raise errors.BadRequest("An e-mail address looks like name@school.example.")
    return _printable(email, "An e-mail address")


def _printable(text: str, what: str) -> str:
    if not text.isprintable():
        raise errors.BadRequest(f"{what} must not hold control characters.")
    return text
