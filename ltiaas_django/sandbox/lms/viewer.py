"""Who looks at a course: the person named in the URL, or nobody yet, who then administers the LMS."""

from __future__ import annotations

import functools
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from ltiaas_django.vocabulary import Role

from .. import errors, pages
from ..courses import Course, Enrolment
from ..simulator import Sandbox, profile_of

TEACHING = frozenset({Role.INSTRUCTOR, Role.TEACHING_ASSISTANT, Role.CONTENT_DEVELOPER})
"""The roles that see everybody's work, and change the course."""

_HUES = 6
"""How many colours the style sheet has for courses."""


def hue(course_id: str) -> int:
    """The colour by which one knows the course again."""
    return zlib.crc32(course_id.encode()) % _HUES


@dataclass(frozen=True)
class Viewer:
    """A course as somebody sees it."""

    course: Course
    enrolment: Enrolment | None = None
    """Whose; None as long as nobody was chosen."""

    @classmethod
    def of(cls, request: HttpRequest, course: Course) -> Viewer:
        """The one that the URL names; raises NotFound for somebody who was never in the course."""
        person = request.GET.get("person", "").strip()
        return cls(course, course.enrolment(person) if person else None)

    @property
    def id(self) -> str:
        """The person's id; blank for nobody."""
        return self.enrolment.person.id if self.enrolment else ""

    @property
    def is_teacher(self) -> bool:
        """Whether this is somebody who teaches here."""
        return self.enrolment is not None and self.enrolment.role in TEACHING

    @property
    def manages(self) -> bool:
        """Whether everything is shown and may be changed: to teachers, and as long as nobody was chosen."""
        return self.enrolment is None or self.is_teacher

    @property
    def query(self) -> str:
        """What a link within the course ends with, to keep who one is."""
        return f"?{urlencode({'person': self.id})}" if self.enrolment else ""

    def url(self, name: str, query: Mapping[str, object] = {}, **ids: object) -> str:
        """A page of the course for the same viewer."""
        kept = {"person": self.id} if self.enrolment else {}
        search = urlencode({**kept, **query})
        path = reverse(name, kwargs={"course_id": self.course.id, **ids})
        return f"{path}?{search}" if search else path

    def render(self, name: str, section: str, title: str, status: int = 200, **context: Any) -> HttpResponse:
        """A page of the course; `section` is the tab that it belongs to."""
        course = self.course
        shared = {
            "course": course,
            "profile": profile_of(course),
            "hue": hue(course.id),
            "viewer": self,
            "who_url": self.url("who"),
            "section": section,
            "title": title,
        }
        return pages.render(name, {**shared, **context}, status)


def page(*methods: str, for_teachers: bool = False) -> Callable[[pages.View], pages.View]:
    """A page of a course: the view gets the request, the sandbox, the viewer, and the other ids of the path."""

    def decorate(view: pages.View) -> pages.View:
        @pages.page(*methods)
        @functools.wraps(view)
        def shown(request: HttpRequest, sandbox: Sandbox, course_id: str, **ids: str) -> HttpResponse:
            viewer = Viewer.of(request, sandbox.course(course_id))
            if for_teachers and not viewer.manages:
                raise errors.Forbidden("Only teachers of the course see this page. Choose a teacher to be.")
            return view(request, sandbox, viewer, **ids)

        return shown

    return decorate
