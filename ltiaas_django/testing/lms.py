"""A sandbox behind the tool, and what tests do with it again and again."""

from __future__ import annotations

import inspect
import io
import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from django.conf import settings
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.urls import NoReverseMatch, reverse

from ltiaas_django.conf import DICT_NAME
from ltiaas_django.sandbox import Sandbox
from ltiaas_django.sandbox.courses import Activity, Course
from ltiaas_django.sandbox.school import Person
from ltiaas_django.testing.browsing import Browser
from ltiaas_django.testing.clock import Clock
from ltiaas_django.testing.gradebook import Gradebook
from ltiaas_django.testing.serving import serving

_CALL_DEADLINE = 3.0  # seconds; a sandbox that hangs must not hold a test for the half minute that an LMS is given
_OWN_OPTIONS = ("api_key", "tool_url")  # of Sandbox, that are settled here


class Lms:
    """An LMS that the tool's settings point at."""

    def __init__(self, sandbox: Sandbox, url: str, clock: Clock) -> None:
        self.sandbox = sandbox
        self.url = url
        self.clock = clock

    def launch(
        self,
        role: str | None = None,
        *,
        course: str | Course | None = None,
        activity: str | Activity | None = None,
        person: str | Person | None = None,
        beside: Browser | None = None,
        profile: str | None = None,
        **options: Any,
    ) -> Browser:
        """Open the tool as a person of the LMS, in a new browser; returns that browser, signed in.

        Who: `person`, an id or a person; else the first of the course who has this `role` ("Learner", "Instructor",
        ...; a learner if neither is named). Where: the first course, and its first activity, unless others are named.
        `beside`: in a new tab of that browser. `profile`: the school takes this LMS first, which ends what was launched
        from another. `options` are those of `Sandbox.launch`, such as `type="deep_linking"` or `target="window"`.
        Raises AssertionError if the tool refuses the launch.
        """
        self._check_setup()
        place = self._course(course)
        if profile not in (None, place.school.profile.name):
            self.sandbox.set_profile(profile, school=place.school.id)
        who = self._person(place, role, person)
        where = None if options.get("type") == "deep_linking" else self._activity(place, activity)
        browser = Browser(who, place, where, beside)
        ltik = self.sandbox.launch(place.id, where.id if where else None, who.id, **options)
        try:
            browser.arrive(self.sandbox.url_for(ltik), ltik)
        except Exception as error:
            for mistake in _mistakes():
                error.add_note(mistake)
            raise
        return browser

    def gradebook(self, of: str | Course | Browser | None = None, *, deliver: bool = True) -> Gradebook:
        """What the gradebook of a course shows, once everything that is due has been sent.

        `of`: a course (the first, if none is named), or a browser that was launched in one. With `deliver=False` it
        is shown as it is.
        """
        if deliver:
            self.night("grades")
        course = of.course if isinstance(of, Browser) else self._course(of)
        return Gradebook(course, self.sandbox.gradebook(course.id))

    def night(self, what: str = "all") -> str:
        """The night, now, in this process: "grades", "rosters" or "all". Returns what `ltiaas_sync` prints.

        What has failed waits for its next try as it does in production: move the clock.
        """
        self._check_pointed_at()
        printed = io.StringIO()
        call_command("ltiaas_sync", what, stdout=printed)
        return printed.getvalue()

    def fail(self, kind: str, route: str = "", *, times: int | None = 1, **more: Any) -> None:
        """Let the LMS fail: `Sandbox.fault`. `times=None`: from now on."""
        self.sandbox.fault(kind, route=route, times=times, **more)

    # -- who and where -------------------------------------------------------------------------------------------------

    def _course(self, course: str | Course | None) -> Course:
        if isinstance(course, Course):
            return course
        return self.sandbox.course(next(iter(self.sandbox.courses)) if course is None else course)

    def _activity(self, course: Course, activity: str | Activity | None) -> Activity:
        if isinstance(activity, Activity):
            return activity
        if activity is None and not course.activities:
            raise LookupError(f'{course.id} has no activity: lti_sandbox.course("{course.id}").add_activity("Quiz")')
        return course.activity(next(iter(course.activities)) if activity is None else activity)

    def _person(self, course: Course, role: str | None, person: str | Person | None) -> Person:
        if person is not None:
            enrolment = course.enrolment(person if isinstance(person, str) else person.id)
            if role not in (None, enrolment.role):
                raise LookupError(f"{enrolment.person.id} is {enrolment.role} of {course.id}, and no {role}.")
            return enrolment.person
        role = role or "Learner"
        for enrolment in course.people.values():
            if enrolment.is_active and enrolment.role == role:
                return enrolment.person
        raise LookupError(
            f"Nobody in {course.id} is {role}: "
            f'lti_sandbox.course("{course.id}").add_person("Kim Example", role="{role}")'
        )

    # -- is all set up? ------------------------------------------------------------------------------------------------

    def _check_setup(self) -> None:
        self._check_pointed_at()
        if not self.sandbox.tool_url:
            raise ImproperlyConfigured(
                f"{settings.ROOT_URLCONF} has no launch URL. Mount the package's: "
                'urlpatterns += [path("lti/", include("ltiaas_django.urls"))]'
            )

    def _check_pointed_at(self) -> None:
        points_at = getattr(settings, DICT_NAME, {}).get("URL")
        if points_at != self.url:
            raise ImproperlyConfigured(
                f'settings.LTIAAS["URL"] is {points_at}, and not the sandbox. To change other settings in a test, keep '
                'what is there: settings.LTIAAS = {**settings.LTIAAS, "SEND": "on_commit"}'
            )


@contextmanager
def running(configure: Callable[[dict[str, Any]], None], transport: str = "socket", **options: Any) -> Iterator[Lms]:
    """Inside the block, an LMS runs that `configure`, given the new value of LTIAAS, makes the settings point at.

    `transport` is "socket" or "in_process"; `options` are those of `Sandbox`, such as `profile="canvas"`.
    """
    _check_options(options)
    with ExitStack() as stack:
        sandbox = Sandbox(api_key=f"test-{secrets.token_hex(8)}", tool_url=_launch_url(), **options)
        url = stack.enter_context(serving(sandbox, transport))
        of_the_tool = getattr(settings, DICT_NAME, {})
        configure({**of_the_tool, "URL": url, "API_KEY": sandbox.api_key, "CALL_DEADLINE": _CALL_DEADLINE})
        yield Lms(sandbox, url, Clock(stack))


def _mistakes() -> list[str]:
    """What the system checks say of the tool's settings, should that be why a launch fails."""
    found = checks.run_checks(tags=["ltiaas"])
    return [f"{one.id}: {one.msg} {one.hint or ''}" for one in found if one.level >= checks.ERROR]


def _launch_url() -> str:
    """The tool's launch URL, as Django's test client has it; blank if there is none."""
    try:
        return f"http://testserver{reverse('ltiaas:launch')}"
    except NoReverseMatch:
        return ""


def _check_options(options: dict[str, Any]) -> None:
    known = [name for name in inspect.signature(Sandbox).parameters if name not in _OWN_OPTIONS]
    if unknown := options.keys() - known:
        raise TypeError(
            f"The sandbox has no option {', '.join(sorted(unknown))}; there are transport, {', '.join(known)}."
        )
