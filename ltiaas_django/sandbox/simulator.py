"""The simulated school: its courses, the launches it made, and the knobs that tests turn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode, urljoin, urlsplit, urlunsplit

from ltiaas_django.vocabulary import LaunchType

from . import content, errors, idtoken, seed
from .campus import Campus, Clock, clean_id
from .courses import Course
from .credentials import Launch, Launches, Mutate
from .gradebook import Cell
from .paging import Pages
from .platforms import Platforms
from .registrations import Registration, Registrations
from .traffic import Fault, RequestRecord, Traffic

DEFAULT_API_KEY = "sandbox-api-key"
DEFAULT_TOOL_URL = "http://127.0.0.1:8000/lti/launch/"
TARGETS = ("iframe", "window")
_LAUNCH_TYPES = {
    "resource": LaunchType.RESOURCE_LINK,
    "deep_linking": LaunchType.DEEP_LINKING,
    "submission_review": LaunchType.SUBMISSION_REVIEW,
    "legacy": LaunchType.LEGACY,
}


class Sandbox:
    """All state of one sandbox, in memory. Safe to use from several threads."""

    api_key: str
    tool_url: str
    page_size: int
    """The LMS never answers with more than this on one page; a smaller `limit` is honoured."""
    anonymous: bool
    """Whether the LMS keeps names and e-mail addresses to itself."""
    refuse_same_second: bool
    """Whether a second score for the same cell in the same second is refused with 409, as Moodle does."""

    def __init__(
        self,
        *,
        api_key: str = DEFAULT_API_KEY,
        tool_url: str = DEFAULT_TOOL_URL,
        page_size: int = 3,
        anonymous: bool = False,
        refuse_same_second: bool = True,
    ) -> None:
        self.api_key = api_key
        self.tool_url = tool_url
        self.page_size = page_size
        self.anonymous = anonymous
        self.refuse_same_second = refuse_same_second
        self.clock = Clock()
        self.traffic = Traffic()
        self.campus = Campus(self.clock, "http://127.0.0.1:9800")
        self.lock = self.campus.lock
        self.reset()

    def reset(self) -> None:
        """Back to the seeded courses; launches, requests, faults and the clock's offset are forgotten."""
        with self.lock:
            self.clock.reset()
            self.traffic.clear()
            self.campus = Campus(self.clock, self.campus.origin, self.lock)
            self.courses: dict[str, Course] = seed.courses(self.campus)
            self.launches = Launches(self.clock)
            self.answers: dict[str, content.Answer] = {}
            self.pages = Pages()
            self.platforms = Platforms(self.campus)
            self.registrations = Registrations(self.campus, self.platforms)

    @property
    def origin(self) -> str:
        """Where the sandbox is served, as in the URLs that it hands out (set by the server when it starts)."""
        return self.campus.origin

    @origin.setter
    def origin(self, origin: str) -> None:
        self.campus.origin = origin

    # -- the LMS ---------------------------------------------------------------------------------------------------

    def course(self, course_id: str) -> Course:
        """The course; raises NotFound."""
        try:
            return self.courses[course_id]
        except KeyError:
            raise errors.NotFound(f"There is no course “{course_id}”.") from None

    def add_course(self, course_id: str, title: str, label: str = "") -> Course:
        """A new course without people or activities."""
        with self.lock:
            if course_id in self.courses:
                raise errors.BadRequest(f"There is a course “{course_id}” already.")
            course = Course(clean_id(course_id), label or course_id, title, self.campus)
            self.courses[course.id] = course
            return course

    def gradebook(self, course_id: str) -> list[Cell]:
        """What the gradebook of a course holds: only cells that something was stored in."""
        return self.course(course_id).gradebook.cells()

    # -- launches --------------------------------------------------------------------------------------------------

    def launch(
        self,
        course: str,
        activity: str | None,
        person: str,
        *,
        type: str = LaunchType.RESOURCE_LINK,
        target: str = "iframe",
        mutate: Mutate | None = None,
        deep_linking: Mapping[str, Any] | None = None,
        for_user: str | None = None,
    ) -> str:
        """Launch the tool as a person of the course; returns the ltik.

        `type` is a LaunchType, or "resource", "deep_linking", "submission_review" or "legacy" (LTI 1.1). Only a deep
        linking launch may do without an activity (it never names one). `mutate` gets the id token each time before it
        is served. `deep_linking` says what the LMS takes, by LTIAAS's names (acceptTypes, acceptMultiple, ...;
        hideAcceptMultiple leaves acceptMultiple out of the id token, as LTIAAS does); `for_user`: whose work is
        reviewed.
        """
        launch_type = _launch_type(type)
        if target not in TARGETS:
            raise errors.BadRequest("`target` is iframe or window.")
        with self.lock:
            self.platforms.check_launch(idtoken.PLATFORM_ID)
            place = self.course(course)
            if not place.enrolment(person).is_active:
                raise errors.BadRequest(f"The person “{person}” has left this course.")
            if activity is not None:
                place.activity(activity)
            elif launch_type != LaunchType.DEEP_LINKING:
                raise errors.BadRequest("Only a deep linking launch does without an activity.")
            if launch_type == LaunchType.DEEP_LINKING:
                activity = None
            launch = Launch(place.id, activity, person, launch_type, target, self.clock.now(), mutate)
            if launch_type == LaunchType.DEEP_LINKING:
                launch.deep_linking = content.read_settings(deep_linking)
            if launch_type == LaunchType.SUBMISSION_REVIEW:
                launch.for_user = person if for_user is None else place.enrolment(for_user).person.id
            self.launches.add(launch)
            return launch.ltik

    def url_for(self, ltik: str) -> str:
        """The tool's launch URL with an ltik; a query it has already is kept, and so is that of a deep link."""
        parts = urlsplit(self.tool_url)
        launch = self.launches.find(ltik)
        activity_id = launch.activity_id if launch else None
        linked = self.course(launch.course_id).activity(activity_id).query if launch and activity_id else ""
        query = "&".join(part for part in (parts.query, linked, urlencode({"ltik": ltik})) if part)
        return urlunsplit(parts._replace(query=query))

    def launch_url(self, course: str, activity: str | None, person: str, **options: Any) -> str:
        """Launch as `launch` does; returns where the browser is to go."""
        return self.url_for(self.launch(course, activity, person, **options))

    # -- registration ----------------------------------------------------------------------------------------------

    def register_url(self, registration: Registration) -> str:
        """Where LTIAAS sends the browser of an LMS that asks to be registered: beside the tool's launch URL."""
        beside = urljoin(self.tool_url, "../register/")
        return f"{beside}?{urlencode({'registrationId': registration.id})}"

    # -- knobs -----------------------------------------------------------------------------------------------------

    def expire_ltik(self, ltik: str | None = None) -> int:
        """End an ltik before its time (or all); returns how many."""
        return self.launches.expire(ltik)

    def revoke_service_keys(self, course: str | None = None, activity: str | None = None) -> int:
        """Revoke the service keys handed out so far: all, of a course, or of an activity; returns how many."""
        return self.launches.revoke(course, activity)

    def advance_clock(self, seconds: float) -> None:
        """Move the sandbox's clock."""
        self.clock.advance(seconds)

    def fail_next(
        self,
        path_prefix: str,
        *,
        status: int | None = None,
        body: Any = None,
        content_type: str | None = None,
        headers: Mapping[str, str] | None = None,
        times: int = 1,
        method: str | None = None,
        after_storing: bool = False,
        drop: bool = False,
        delay: float = 0.0,
    ) -> None:
        """Let the next `times` API requests go wrong whose raw target (path and query) begins with `path_prefix`.

        With a `method`, only requests of that method count.
        `status` and `body` (text, or anything else as JSON) take the place of the answer; `drop` closes the
        connection without one; `delay` waits that many seconds first, and alone changes nothing else. With
        `after_storing` the request takes effect nevertheless: the caller cannot know.
        """
        verb = method.upper() if method else None
        fault = Fault(path_prefix, status, body, content_type, headers or {}, times, verb, after_storing, drop, delay)
        self.traffic.plan(fault)

    def clear_faults(self) -> None:
        """Forget what `fail_next` has planned and has not come to pass."""
        self.traffic.clear_faults()

    @property
    def requests(self) -> list[RequestRecord]:
        """Every API request so far, oldest first."""
        return self.traffic.records()

    def secrets(self) -> set[str]:
        """Every ltik and service key handed out so far."""
        return {*self.launches.ltiks(), *self.launches.service_keys()}


def _launch_type(text: str) -> LaunchType:
    launch_type = _LAUNCH_TYPES.get(text, text)
    if launch_type not in _LAUNCH_TYPES.values():
        raise errors.BadRequest("`type` is resource, deep_linking, submission_review or legacy.")
    return LaunchType(launch_type)
