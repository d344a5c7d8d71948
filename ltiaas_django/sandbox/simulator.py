"""The sandbox as a whole: its schools and their courses, the launches they made, and the knobs that tests turn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import urlencode, urljoin, urlsplit, urlunsplit

from ltiaas_django.vocabulary import LaunchType

from . import content, errors, profiles, scenario_file, scenarios
from .campus import Campus
from .clock import Clock
from .courses import Course, Courses
from .credentials import Launch, Launches, Mutate
from .faults import Fault, Faults, Kind
from .gradebook import Cell
from .institutions import Institutions
from .paging import Pages
from .platforms import Platforms
from .profiles import Profile
from .registrations import Registration, Registrations
from .school import School
from .traffic import RequestRecord, Traffic

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
    scenario: str
    """What is there at the start, and after `reset`: one of `scenarios.SCENARIOS`, or FILE."""

    def __init__(
        self,
        *,
        api_key: str = DEFAULT_API_KEY,
        tool_url: str = DEFAULT_TOOL_URL,
        profile: str = Profile.name,
        scenario: str = scenarios.SMALL,
    ) -> None:
        self.api_key = api_key
        self.tool_url = tool_url
        self.scenario = scenarios.known(scenario)
        self._profile = profile
        self._loaded: scenario_file.Data = {}
        self.clock = Clock()
        self.traffic = Traffic()
        self.faults = Faults()
        self.campus = Campus(self.clock, "http://127.0.0.1:9800")
        self.lock = self.campus.lock
        self.reset()

    def reset(self, scenario: str | None = None) -> None:
        """Back to the start, or to that of another scenario; raises BadRequest for one that there is not.

        Launches, requests, faults and the clock's offset are forgotten.
        """
        with self.lock:
            if scenario is None and self.scenario == scenario_file.FILE:
                self.load(self._loaded)
                return
            self.scenario = scenarios.known(scenario or self.scenario)
            self._loaded = {}
            institutions = Institutions(Campus(self.clock, self.campus.origin, self.lock))
            scenarios.SCENARIOS[self.scenario](institutions, self._profile)
            self._begin(institutions)

    def export(self) -> scenario_file.Data:
        """Everything but launches, requests and faults, ready for JSON; every course is made for it."""
        with self.lock:
            return scenario_file.export(self._institutions)

    def load(self, data: scenario_file.Data) -> None:
        """Begin anew with what `export` gave; raises BadRequest, and then nothing has changed.

        From now on this is the start that `reset` goes back to.
        """
        with self.lock:
            read = scenario_file.load(data, Campus(self.clock, self.campus.origin, self.lock))
            self.scenario, self._loaded = scenario_file.FILE, read.data
            self._begin(read.institutions)
            self.clock.advance(read.clock_offset)

    def _begin(self, institutions: Institutions) -> None:
        self.clock.reset()
        self.traffic.clear()
        self.faults.clear()
        self.campus, self._institutions = institutions.campus, institutions
        self.launches = Launches(self.clock)
        self.answers: dict[str, content.Answer] = {}
        self.pages = Pages()
        self.platforms = Platforms(self.campus)
        self.registrations = Registrations(self.campus, self.platforms)
        for school in self.schools.values():
            self.platforms.follow(school)

    @property
    def origin(self) -> str:
        """Where the sandbox is served, as in the URLs that it hands out (set by the server when it starts)."""
        return self.campus.origin

    @origin.setter
    def origin(self, origin: str) -> None:
        self.campus.origin = origin

    # -- schools -------------------------------------------------------------------------------------------------------

    @property
    def schools(self) -> dict[str, School]:
        """All schools by id."""
        return self._institutions.schools

    @property
    def school(self) -> School:
        """The first school."""
        return next(iter(self.schools.values()))

    @property
    def profile(self) -> Profile:
        """How the first school's LMS behaves; what is set on it (`page_size`, ...) is so from now on."""
        return profile_of(self.school)

    def find_school(self, school_id: str) -> School:
        """The school; raises NotFound."""
        return self._institutions.find_school(school_id)

    def add_school(self, school_id: str, name: str, profile: str = Profile.name) -> School:
        """One more institution, with an LMS of its own: to the tool, another platform."""
        with self.lock:
            school = self._institutions.add_school(school_id, name, profile)
            self.platforms.follow(school)
            return school

    def set_profile(self, profile: str, school: str | None = None) -> Profile:
        """Give a school (the first, if none is named) another LMS; raises BadRequest, NotFound.

        To the tool it is another platform from now on: every id is a new one, and what was launched before is over.
        """
        with self.lock:
            place = self._institutions.find_school(school)
            made = profiles.make(profile)
            place.become(made)
            self.launches.end({course.id for course in self.courses.made() if course.school is place})
            self.platforms.follow(place)
            return made

    # -- courses -------------------------------------------------------------------------------------------------------

    @property
    def courses(self) -> Courses:
        """All courses by id; one that nobody has looked at is made when it is."""
        return self._institutions.courses

    def course(self, course_id: str) -> Course:
        """The course; raises NotFound."""
        try:
            return self.courses[course_id]
        except KeyError:
            raise errors.NotFound(f"There is no course “{course_id}”.") from None

    def add_course(self, course_id: str, title: str, label: str = "", school: str | None = None) -> Course:
        """A new course without people or activities, of a school (the first, if none is named)."""
        return self._institutions.add_course(course_id, title, label, school)

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
            place = self.course(course)
            self.platforms.check_launch(place.school.platform_id)
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
            place.enrolment(person).person.has_launched = True
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

    def fault(self, kind: str, **options: Any) -> Fault:
        """Let requests go wrong; returns what waits for them now. Raises BadRequest.

        `kind` is one of `faults.Kind`. `route` (one of `faults.Route`), `method`, `course`, `person` and `path_prefix`
        say which requests it is for (all, by default); `times` how many of them, None for all to come. `status`,
        `body` (text, or anything else as JSON), `content_type` and `headers` are the answer of a "status"; `delay` is
        in seconds; with `after_storing` the request takes effect nevertheless.
        """
        fault = Fault(_kind(kind), **options)
        self.faults.add(fault)
        return fault

    def fail_next(
        self,
        path_prefix: str,
        *,
        status: int | None = None,
        after_storing: bool = False,
        drop: bool = False,
        delay: float = 0.0,
        method: str | None = None,
        **options: Any,
    ) -> Fault:
        """Let the next requests go wrong whose raw target (path and query) begins with `path_prefix`.

        The short way to the commonest faults: a `status`, a `drop` of the connection, or a mere `delay`.
        """
        if drop or (status is None and not delay):
            kind = Kind.DROP_BEFORE if drop else Kind.STATUS
        else:
            kind = Kind.DELAY if status is None else Kind.STATUS
        verb = method.upper() if method else None
        options |= {"path_prefix": path_prefix, "status": status, "after_storing": after_storing, "delay": delay}
        return self.fault(kind, method=verb, **options)

    def clear_faults(self) -> None:
        """Forget what was planned and has not come to pass."""
        self.faults.clear()

    @property
    def requests(self) -> list[RequestRecord]:
        """Every API request so far, oldest first."""
        return self.traffic.records()

    @property
    def warnings(self) -> list[str]:
        """Habits of the caller's that LTIAAS tolerates and that better were none: each with its request."""
        return [f"{one.method} {one.path}: {text}" for one in self.requests for text in one.warnings]

    def secrets(self) -> set[str]:
        """Every ltik and service key handed out so far."""
        return {*self.launches.ltiks(), *self.launches.service_keys()}


def _launch_type(text: str) -> LaunchType:
    launch_type = _LAUNCH_TYPES.get(text, text)
    if launch_type not in _LAUNCH_TYPES.values():
        raise errors.BadRequest("`type` is resource, deep_linking, submission_review or legacy.")
    return LaunchType(launch_type)


def profile_of(place: Course | School) -> Profile:
    """How the LMS of a course or school behaves."""
    school = place.school if isinstance(place, Course) else place
    return cast(Profile, school.profile)  # a school needs only the names that its profile gives


def _kind(text: str) -> Kind:
    try:
        return Kind(text)
    except ValueError:
        raise errors.BadRequest(f"A fault is one of {', '.join(Kind)}.") from None
