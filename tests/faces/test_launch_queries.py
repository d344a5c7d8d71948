"""What a launch costs the database: bounds that were set before anything was measured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.db import connection
from django.dispatch import receiver
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from ltiaas_django import grades, signals
from ltiaas_django.models import Context, OutgoingScore, ServiceKey
from tests.lms import Lms, launch_path

pytestmark = pytest.mark.django_db(transaction=True)


def statements(launch: Callable[[], Any]) -> list[str]:
    """What the database was asked, transactions included."""
    with CaptureQueriesContext(connection) as asked:
        launch()
    return [" ".join(query["sql"].split()) for query in asked]


def count(asked: list[str]) -> Counter[str]:
    return Counter(statement.split(" ", 1)[0].upper() for statement in asked)


def relaunch(lms: Lms, person: str = "2001", browser: Client | None = None) -> list[str]:
    """The statements of a whole request that begins a launch, middleware and all."""
    url = launch_path(lms.sandbox.launch_url("course-101", "quiz-1", person))
    return statements(lambda: (browser or Client()).get(url))


def test_a_known_persons_launch_reads_three_times_and_commits_once(transactional_db: None, lms: Lms) -> None:
    """At most 3 SELECTs and 1 commit, for a known person, course and activity whose key is new.

    1. SELECT: has this ltik begun a launch before? Asked before it is exchanged.
    2. BEGIN
    3. SELECT: membership, course, platform, person, user, activity, its key, its column, in one join
    4. UPDATE: the new service key
    5. SELECT: is the new session's key free? 6.-8. INSERT of the session, in a savepoint; both by Django's session
    9. INSERT: the launch
    10. UPDATE: the user's last log-in, by Django's signal
    11. COMMIT
    """
    lms.launch("2001")
    asked = relaunch(lms)
    counts = count(asked)
    assert counts["SELECT"] <= 3, asked
    assert counts["COMMIT"] == 1, asked
    assert (counts["INSERT"], counts["UPDATE"], counts["DELETE"]) == (2, 2, 0), asked
    assert counts["SAVEPOINT"] <= 1, asked
    assert counts["BEGIN"] == 1, asked


def test_a_launch_writes_that_its_course_is_alive_at_most_hourly(transactional_db: None, lms: Lms) -> None:
    lms.launch("2001")
    assert not [one for one in relaunch(lms) if one.startswith("UPDATE") and "_context" in one.split('"')[1]]
    Context.objects.update(launched_at=timezone.now() - timedelta(minutes=61))
    assert [one for one in relaunch(lms) if one.startswith("UPDATE") and "_context" in one.split('"')[1]]
    assert timezone.now() - Context.objects.get().launched_at < timedelta(minutes=1)  # type: ignore[operator]


def test_scores_and_people_of_the_course_cost_a_launch_nothing(transactional_db: None, lms: Lms) -> None:
    for person in ("2001", "2002", "2003"):
        grades.record_score(lms.launch(person), given=1, maximum=10)
    assert count(relaunch(lms))["SELECT"] <= 3


def test_the_session_is_stored_once_and_again_only_where_a_receiver_adds_to_it(
    transactional_db: None, lms: Lms
) -> None:
    """Django's middleware saves what it sends a cookie for, which here would be a second commit for nothing."""
    lms.launch("2001")
    assert len([one for one in relaunch(lms) if "django_session" in one and not one.startswith("SELECT")]) == 1

    @receiver(signals.launched)
    def remember(request: Any, **_kwargs: Any) -> None:
        request.session["colour"] = "blue"

    browser = Client()
    try:
        relaunch(lms, browser=browser)
    finally:
        signals.launched.disconnect(remember)
    assert Session.objects.get(pk=browser.session.session_key).get_decoded()["colour"] == "blue"


@pytest.mark.parametrize("stopped_by", ["a refused key", "a course that was over"])
def test_what_waits_for_a_launch_is_looked_for_only_when_something_can_wait(
    transactional_db: None, lms: Lms, stopped_by: str
) -> None:
    grades.record_score(lms.launch("2001"), given=1, maximum=10)
    OutgoingScore.objects.update(state=OutgoingScore.State.WAITING)
    if stopped_by == "a refused key":
        ServiceKey.objects.update(refused_at=timezone.now())
    else:
        Context.objects.update(concluded_at=timezone.now())
    relaunch(lms)
    score = OutgoingScore.objects.get()
    assert score.state == OutgoingScore.State.DUE
    assert score.due_at is not None
    assert Context.objects.get().concluded_at is None
    assert count(relaunch(lms))["SELECT"] <= 3
