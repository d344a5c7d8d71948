"""For Django's own test cases: what the fixtures are to pytest."""

from __future__ import annotations

from typing import Any, ClassVar

from django.test import SimpleTestCase, TestCase, override_settings

from ltiaas_django.conf import DICT_NAME
from ltiaas_django.sandbox import Sandbox
from ltiaas_django.testing.browsing import Browser
from ltiaas_django.testing.clock import Clock
from ltiaas_django.testing.gradebook import Gradebook
from ltiaas_django.testing.lms import Lms, running


class LtiTestMixin(SimpleTestCase):
    """Before TestCase or TransactionTestCase among the bases: every test has a fresh LMS that LTIAAS points at.

    A `setUp` of your own calls `super().setUp()` first.
    """

    lti_options: ClassVar[dict[str, Any]] = {}
    """Which LMS, and how it is reached: {"profile": "canvas", "transport": "in_process"}."""
    _lms: Lms | None = None

    def setUp(self) -> None:
        super().setUp()

        def configure(value: dict[str, Any]) -> None:
            self.enterContext(override_settings(**{DICT_NAME: value}))

        self._lms = self.enterContext(running(configure, **self.lti_options))

    @property
    def lti_sandbox(self) -> Sandbox:
        """The simulated LMS."""
        return self._running.sandbox

    @property
    def lti_clock(self) -> Clock:
        """The time, which can be moved."""
        return self._running.clock

    def lti_launch(self, role: str | None = None, **options: Any) -> Browser:
        """`Lms.launch`."""
        return self._running.launch(role, **options)

    def lti_gradebook(self, of: Any = None, **options: Any) -> Gradebook:
        """`Lms.gradebook`."""
        return self._running.gradebook(of, **options)

    def lti_night(self, what: str = "all") -> str:
        """`Lms.night`."""
        return self._running.night(what)

    def lti_faults(self, kind: str, route: str = "", **options: Any) -> None:
        """`Lms.fail`."""
        self._running.fail(kind, route, **options)

    @property
    def _running(self) -> Lms:
        if self._lms is None:
            raise RuntimeError(f"No LMS is running: {type(self).__name__}.setUp must call super().setUp().")
        return self._lms


class LtiTestCase(LtiTestMixin, TestCase):
    """Django's TestCase, with an LMS."""
