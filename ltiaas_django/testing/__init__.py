"""For tests of tools: a simulated LMS behind the tool, launches, the gradebook, the night, faults and the clock.

    pip install "ltiaas-django[testing]"

pytest finds the fixtures by itself (`ltiaas_django.pytest_plugin`); Django's test cases take `LtiTestMixin`. Both are
the same `Lms`. `ltiaas_django.testing.factories` makes rows. Nothing in the package itself imports any of it.
"""

from ltiaas_django.testing.browsing import Browser
from ltiaas_django.testing.cases import LtiTestCase, LtiTestMixin
from ltiaas_django.testing.clock import Clock
from ltiaas_django.testing.gradebook import Gradebook
from ltiaas_django.testing.lms import Lms, running

__all__ = ["Browser", "Clock", "Gradebook", "Lms", "LtiTestCase", "LtiTestMixin", "running"]
