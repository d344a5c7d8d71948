"""How many statements the delivery of scores takes: they grow with batches, never with scores."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from ltiaas_django import grades, tasks
from ltiaas_django.models import LtiUser, OutgoingScore, Platform, ResourceLink
from ltiaas_django.operations import passes, waking
from tests.lms import Lms

SCORES = 1000
ACTIVITIES = ("quiz-1", "quiz-2", "lab-1", "survey-1")

A_SYNC = 120
"""For 1,000 scores of four line items: six statements for each 200 that are claimed, four for each 50 (or more) that
are written down, and ten for the pass itself, whatever its size."""
A_SECOND = 4
"""Outcomes are written down once a second, too, however few: a slow machine needs more statements."""
A_TICK = 15
"""With nothing due: one question for each kind of work that may be lost, over, waiting or due."""


@contextmanager
def at_most(bound: int) -> Iterator[None]:
    began = time.monotonic()
    with CaptureQueriesContext(connection) as queries:
        yield
    bound += int(time.monotonic() - began) * A_SECOND
    listing = "\n".join(query["sql"][:150] for query in queries)
    assert len(queries) <= bound, f"{len(queries)} statements, and not {bound}:\n{listing}"


def a_thousand_scores(lms: Lms) -> Platform:
    """Of 250 people in four activities, one of which has no column yet."""
    course = lms.sandbox.courses["course-101"]
    course.add_activity("Survey", activity_id="survey-1")
    for activity in ACTIVITIES:
        lms.launch("2001", activity)
    platform = Platform.objects.get()
    for n in range(SCORES // len(ACTIVITIES)):
        course.add_person(f"Learner {n}", user_id=f"n{n}")
    people = LtiUser.objects.bulk_create(
        LtiUser(platform=platform, lti_id=f"n{n}") for n in range(SCORES // len(ACTIVITIES))
    )
    links = ResourceLink.objects.select_related("context")
    grades.record_scores(
        grades.ScoreRecord(resource_link=link, user=person, given=5, maximum=10) for link in links for person in people
    )
    return platform


def test_a_sync_of_a_thousand_scores(lms: Lms) -> None:
    platform = a_thousand_scores(lms)
    with at_most(A_SYNC):
        passes.release_night("grades")
        passes.work(platform.pk, ["grades"], "nightly")
    assert lms.posts() == SCORES
    assert not OutgoingScore.objects.open().exists()


@pytest.fixture
def hints(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What workers are told; nobody works."""
    told: list[Any] = []
    monkeypatch.setattr(waking, "wake", lambda *said: told.append(said))
    return told


def test_a_tick_with_nothing_due(lms: Lms, hints: list[Any]) -> None:
    platform = a_thousand_scores(lms)
    passes.work(platform.pk, ["rosters"], "launch")
    OutgoingScore.objects.update(state="sent", sent_revision=1)
    with at_most(A_TICK):
        tasks.tick()
    assert hints == []
