"""Django's test cases with an LMS, one class for each way to use the mixin."""

from __future__ import annotations

import unittest

import pytest
from django.conf import settings
from django.test import TransactionTestCase, override_settings

from ltiaas_django import grades
from ltiaas_django.models import Membership
from ltiaas_django.testing import LtiTestCase, LtiTestMixin

BEFORE = settings.LTIAAS


@override_settings(ROOT_URLCONF="example_project.urls")
class InATransaction(LtiTestCase):
    lti_options = {"transport": "in_process"}

    def test_a_grade_reaches_the_gradebook(self):
        learner = self.lti_launch("Learner")
        self.assertContains(learner.page, "Quiz 1: Averages")
        grades.record_score(learner.launch, given=0, maximum=10)
        assert self.lti_gradebook()[learner] == 0

    def test_every_test_has_an_lms_of_its_own(self):
        assert self.lti_gradebook() == {}
        assert self.lti_sandbox.requests == []


@override_settings(ROOT_URLCONF="example_project.urls")
class Committed(LtiTestMixin, TransactionTestCase):
    def test_the_night_reads_the_roster_after_a_day(self):
        self.lti_launch("Instructor")
        self.lti_clock.advance(days=1)
        assert "6 joined" in self.lti_night("rosters")
        assert Membership.objects.count() == 7


class WithoutSetUp(LtiTestCase):
    def setUp(self):
        pass

    def test_a_forgotten_super_is_named(self):
        with pytest.raises(RuntimeError, match=r"WithoutSetUp.setUp must call super\(\).setUp"):
            self.lti_launch()


class Afterwards(unittest.TestCase):
    def test_settings_are_as_before(self):
        result = unittest.TestResult()
        InATransaction("test_every_test_has_an_lms_of_its_own").run(result)
        assert settings.LTIAAS is BEFORE
