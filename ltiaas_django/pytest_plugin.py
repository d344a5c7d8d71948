"""The fixtures of `ltiaas_django.testing`, for pytest. The wheel's entry point `pytest11` names this module.

pytest loads it before Django's settings are there, and where there are none; so it imports nothing of the package until
a test asks for a fixture.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from ltiaas_django.sandbox import Sandbox
    from ltiaas_django.testing import Browser, Clock, Gradebook, Lms

MARKER = "lti_sandbox"
_INI = {
    "transport": ("lti_transport", "how tests reach the sandbox: socket (default) or in_process"),
    "profile": ("lti_profile", "the LMS that the sandbox is, such as canvas (default: plain)"),
    "scenario": ("lti_scenario", "the courses that the sandbox starts with (default: small)"),
}


def pytest_addoption(parser: pytest.Parser) -> None:
    for name, meaning in _INI.values():
        parser.addini(name, meaning)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        f"{MARKER}(profile=..., transport=..., **options): the LMS of this test, and how it is reached; "
        "the options are those of ltiaas_django.sandbox.Sandbox",
    )


@pytest.fixture
def lti_lms(request: pytest.FixtureRequest, settings: Any) -> Iterator[Lms]:
    """The LMS: all that the other fixtures hand out, as one object."""
    testing = import_module("ltiaas_django.testing")

    def configure(value: dict[str, Any]) -> None:
        settings.LTIAAS = value

    with testing.running(configure, **_options(request)) as lms:
        yield lms


@pytest.fixture
def lti_sandbox(lti_lms: Lms) -> Sandbox:
    """The simulated LMS, which LTIAAS points at: its courses, people, and what it was asked."""
    return lti_lms.sandbox


@pytest.fixture
def lti_launch(lti_lms: Lms, db: None) -> Callable[..., Browser]:
    """Open the tool from the LMS: `lti_launch("Instructor", activity="quiz-1")` is a browser, signed in."""
    return lti_lms.launch


@pytest.fixture
def lti_gradebook(lti_lms: Lms, db: None) -> Callable[..., Gradebook]:
    """Let the outbox deliver, and look: `lti_gradebook()["quiz-1", "2001"]`."""
    return lti_lms.gradebook


@pytest.fixture
def lti_night(lti_lms: Lms, db: None) -> Callable[..., str]:
    """Make the night in this process: `lti_night()`, `lti_night("rosters")`."""
    return lti_lms.night


@pytest.fixture
def lti_faults(lti_lms: Lms) -> Callable[..., None]:
    """Let the LMS fail: `lti_faults("hang", route="scores", times=1)`."""
    return lti_lms.fail


@pytest.fixture
def lti_clock(lti_lms: Lms) -> Clock:
    """Move the time of tool and LMS: `lti_clock.advance(hours=2)`."""
    return lti_lms.clock


def _options(request: pytest.FixtureRequest) -> dict[str, Any]:
    """What the ini file says, and over it the marker."""
    said = {option: request.config.getini(name) for option, (name, _meaning) in _INI.items()}
    options = {option: value for option, value in said.items() if value}
    marker = request.node.get_closest_marker(MARKER)
    return {**options, **marker.kwargs} if marker else options
