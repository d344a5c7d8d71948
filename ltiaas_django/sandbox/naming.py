"""What an LMS calls things: ids random to look at, and the same for the same thing at every start."""

from __future__ import annotations

import hashlib
import uuid

_SPACE = uuid.UUID("6f1d5c0e-7d0b-4a57-9d53-3a2f6a4a8c11")


class Names:
    """The ids of one kind of LMS. Here: the sandbox's own, and Moodle's paths, whose query strings show mistakes."""

    name = "plain"

    def person_id(self, school: str, person: str, number: int) -> str:
        """What launches, rosters and results call a person."""
        return person

    def context_id(self, school: str, course: str, number: int) -> str:
        """What launches call a course."""
        return course

    def link_id(self, school: str, course: str, activity: str) -> str:
        """What launches and line items call an activity."""
        return activity

    def line_item_path(self, course_number: int, number: int) -> str:
        """The path and query, below the LMS's origin, that is the id of a line item."""
        return f"/mod/lti/services.php/{course_number}/lineitems/{number}/lineitem?type_id=1"

    def line_items_path(self, course_number: int) -> str:
        """The path and query of a course's list of line items."""
        return f"/mod/lti/services.php/{course_number}/lineitems?type_id=1"

    def roster_path(self, course_number: int) -> str:
        """The path of a course's roster."""
        return f"/mod/lti/services.php/CourseSection/{course_number}/bindings/1/memberships"


def uuid_of(*parts: object) -> str:
    """A UUID for these parts."""
    return str(uuid.uuid5(_SPACE, _joined(parts)))


def hex_of(digits: int, *parts: object) -> str:
    """So many hexadecimal digits for these parts."""
    return hashlib.sha256(_joined(parts).encode()).hexdigest()[:digits]


def _joined(parts: tuple[object, ...]) -> str:
    return "\0".join(map(str, parts))
