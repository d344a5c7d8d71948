"""What is lost, doubled, wiped or stuck when things go wrong at an unlucky moment: nothing."""

from __future__ import annotations

import time
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from ltiaas_django import grades, signals
from ltiaas_django.models import (
    AbsentLaunch,
    Launch,
    LineItem,
    LtiUser,
    OutgoingScore,
    Platform,
    ResourceLink,
    ServiceKey,
)
from ltiaas_django.operations import connecting, leases, line_items, passes
from ltiaas_django.operations.grades import adopt_line_item
from ltiaas_django.vocabulary import GradingProgress
from tests.lms import Lms, night
from tests.operations.test_delivery import QUIZ, claim, expire_leases, send, the_row, with_threads

State = OutgoingScore.State


def people(lms: Lms, launch: Launch, count: int) -> list[LtiUser]:
    """So many more learners of the course."""
    course = lms.sandbox.courses["course-101"]
    for n in range(count):
        course.add_person(f"Learner {n}", user_id=f"n{n}")
    return LtiUser.objects.bulk_create(LtiUser(platform=launch.context.platform, lti_id=f"n{n}") for n in range(count))


def lose_an_answer(lms: Lms, launch: Launch, **score: Any) -> None:
    """The score is stored, and nobody hears of it."""
    grades.record_score(launch, **score)
    lms.sandbox.fail_next("/api/lineitems/", method="POST", drop=True, after_storing=True)
    night("grades")
    assert the_row().state == State.UNKNOWN


@pytest.mark.django_db(transaction=True)
def test_a_receiver_that_fails_makes_nothing_happen_twice(transactional_db: None, lms: Lms) -> None:
    launch = lms.launch("2001")
    link = launch.resource_link
    assert link is not None
    grades.record_scores(
        grades.ScoreRecord(resource_link=link, user=p, given=1, maximum=1) for p in people(lms, launch, 60)
    )

    def fail(**_said: Any) -> None:
        raise RuntimeError

    for signal in (signals.score_sent, signals.user_provisioned, signals.launched):
        signal.connect(fail)
    try:
        lms.launch("2002")
        night("grades")
        night("grades")
    finally:
        for signal in (signals.score_sent, signals.user_provisioned, signals.launched):
            signal.disconnect(fail)
    assert lms.posts() == 60


@pytest.mark.parametrize("maximum", ["0", "12345678901234", "0.1234567"])
def test_a_column_whose_maximum_makes_no_sense_stops_nobody(lms: Lms, maximum: str) -> None:
    def quiet(token: dict[str, Any]) -> None:
        del token["services"]["assignmentAndGrades"]["lineItemId"]

    [item] = lms.sandbox.courses["course-101"].line_items_of("quiz-1")
    item.score_maximum = Decimal(maximum)
    grades.record_score(lms.launch("2001", mutate=quiet), given=5, maximum=10)
    grades.record_score(lms.launch("2001", "quiz-2"), given=5, maximum=10)
    night("grades")
    assert OutgoingScore.objects.get(line_item__resource_link__lti_id="quiz-2").state == State.SENT


def test_what_waits_is_due_once_the_service_is_offered_and_by_the_tick_at_the_latest(lms: Lms) -> None:
    def off(token: dict[str, Any]) -> None:
        token["services"]["assignmentAndGrades"]["available"] = False

    grades.record_score(lms.launch("2001", mutate=off), given=5, maximum=10)
    night("grades")
    assert the_row().state == State.WAITING
    lms.launch("2002")
    assert the_row().state == State.DUE
    OutgoingScore.objects.update(state=State.WAITING, due_at=None)
    passes.tidy()
    assert the_row().state == State.DUE


def test_a_doubt_outlives_a_refused_key(lms: Lms) -> None:
    lose_an_answer(lms, lms.launch("2001"), given=5, maximum=10, comment="once")
    connecting.refuse_by_hand(ServiceKey.objects.get())
    send()
    assert the_row().state == State.WAITING
    lms.launch("2002")
    send()
    assert the_row().state == State.SENT
    assert lms.posts() == 1


@pytest.mark.parametrize(("profile", "posts"), [("canvas", 2), ("moodle", 3)])
def test_a_clear_in_doubt_is_repeated_only_where_it_might_be_a_zero(lms: Lms, profile: str, posts: int) -> None:
    lms.sandbox.set_profile(profile).refuse_same_second = False
    launch = lms.launch("2001")
    grades.record_score(launch, given=5, maximum=10)
    night("grades")
    OutgoingScore.objects.update(attempted_at=None)
    lose_an_answer(lms, launch, given=None)
    send()
    assert (the_row().state, lms.posts()) == (State.SENT, posts)
    [cell] = lms.sandbox.gradebook("course-101")
    assert cell.score is None


def test_progress_is_not_sent_where_a_grade_may_have_arrived(lms: Lms) -> None:
    launch = lms.launch("2001")
    lose_an_answer(lms, launch, given=5, maximum=10)
    grades.record_score(launch, given=None, grading_progress=GradingProgress.PENDING)
    send()
    assert lms.grades()[("2001", QUIZ)][0] == 5


def test_progress_that_may_have_arrived_is_not_sent_again(lms: Lms) -> None:
    launch = lms.launch("2001")
    lose_an_answer(lms, launch, given=None, grading_progress=GradingProgress.PENDING)
    grades.record_score(launch, given=None, grading_progress=GradingProgress.PENDING_MANUAL)
    send()
    assert lms.posts() == 1


def test_progress_that_never_left_is_not_called_sent(lms: Lms) -> None:
    grades.record_score(lms.launch("2001"), given=None, grading_progress=GradingProgress.PENDING)
    claim(lms)  # and then the worker is killed, before its first call
    expire_leases()
    send()
    assert lms.posts() == 0
    assert the_row().state == State.PARKED


def test_a_score_in_flight_to_an_old_column_reaches_the_new_one_too(lms: Lms) -> None:
    launch = lms.launch("2001")
    grades.record_score(launch, given=5, maximum=10)
    _lease, one_pass, jobs = claim(lms)
    new = lms.sandbox.courses["course-101"].gradebook.add_line_item("New", 10, resource_link_id="quiz-1")
    adopt_line_item(LineItem.objects.get(), new.id)
    with_threads(one_pass, jobs)
    expire_leases()
    send()
    assert lms.grades()[("2001", "New")][0] == 5


def test_a_pass_that_breaks_off_leaves_no_row_without_a_time(lms: Lms) -> None:
    launch = lms.launch("2001")
    grades.record_score(launch, given=5, maximum=10)
    _lease, one_pass, jobs = claim(lms)
    grades.record_score(launch, given=9, maximum=10)
    jobs[0].in_flight = True
    one_pass._release(jobs)
    Platform.objects.update(lease_until=None)
    OutgoingScore.objects.update(attempted_at=timezone.now() - timedelta(hours=1))
    night("grades")
    assert the_row().state == State.SENT


def test_a_yes_in_words_that_nobody_understands_is_looked_into(lms: Lms) -> None:
    grades.record_score(lms.launch("2001"), given=5, maximum=10, comment="once")
    page = {"body": "<html>ok</html>", "content_type": "text/html"}
    lms.sandbox.fail_next("/api/lineitems/", method="POST", status=200, after_storing=True, **page)
    night("grades")
    send()
    assert lms.posts() == 1
    assert the_row().state == State.SENT


def test_doubt_without_end_is_parked(lms: Lms, settings: Any) -> None:
    settings.LTIAAS = {**settings.LTIAAS, "MAX_ATTEMPTS": 3}
    grades.record_score(lms.launch("2001"), given=5, maximum=10)
    lms.sandbox.fail_next("/api/lineitems/", method="POST", status=500, body="x", times=1000)
    passes.release_night("grades")
    for _ in range(4):
        send()
    assert (the_row().state, the_row().attempts) == (State.PARKED, 3)


def test_a_refused_key_is_not_hammered_within_a_batch(lms: Lms) -> None:
    launch = lms.launch("2001")
    link = launch.resource_link
    assert link is not None
    grades.record_scores(
        grades.ScoreRecord(resource_link=link, user=p, given=1, maximum=1) for p in people(lms, launch, 100)
    )
    lms.sandbox.revoke_service_keys()
    night("grades")
    assert lms.posts() <= 8
    assert set(OutgoingScore.objects.values_list("state", flat=True)) == {"waiting"}


def test_a_key_refused_while_reading_back_is_marked(lms: Lms) -> None:
    lose_an_answer(lms, lms.launch("2001"), given=5, maximum=10)
    lms.sandbox.revoke_service_keys()
    send()
    assert not ServiceKey.objects.get().is_healthy
    assert the_row().state == State.WAITING
    lms.launch("2002")
    send()
    assert the_row().state == State.SENT
    assert lms.posts() == 1


@pytest.mark.parametrize("when", ["look-up", "read-back"])
def test_throttling_pauses_the_platform_whichever_call_meets_it(lms: Lms, when: str) -> None:
    if when == "look-up":
        grades.record_score(lms.launch("2001"), given=5, maximum=10)
        LineItem.objects.update(lti_id="")
    else:
        lose_an_answer(lms, lms.launch("2001"), given=5, maximum=10)
    slow_down = {"status": 429, "body": "slow", "headers": {"Retry-After": "300"}}
    lms.sandbox.fail_next("/api/lineitems", method="GET", times=50, **slow_down)
    passes.release_night("grades")
    send()
    paused_until = Platform.objects.get().paused_until
    assert paused_until is not None
    assert paused_until > timezone.now() + timedelta(seconds=250)


def test_a_storm_during_look_ups_pauses_the_platform(lms: Lms) -> None:
    launch = lms.launch("2001")
    links = ResourceLink.objects.bulk_create(ResourceLink(context=launch.context, lti_id=f"x{n}") for n in range(30))
    grades.record_scores(
        grades.ScoreRecord(resource_link=link, user=launch.lti_user, given=1, maximum=1) for link in links
    )
    lms.sandbox.fail_next("/api/lineitems", status=503, body="down", times=1000)
    night("grades")
    asked = [r for r in lms.sandbox.requests if r.path.startswith("/api/lineitems")]
    assert len(asked) <= 10 * 3  # ten failures, each of a read that is tried three times
    assert Platform.objects.get().paused_until is not None


def test_the_lease_holds_through_all_look_ups(lms: Lms, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.LTIAAS = {**settings.LTIAAS, "LEASE": 2.0, "CALL_DEADLINE": 0.8}
    launch = lms.launch("2001")
    links = ResourceLink.objects.bulk_create(ResourceLink(context=launch.context, lti_id=f"x{n}") for n in range(4))
    grades.record_scores(
        grades.ScoreRecord(resource_link=link, user=launch.lti_user, given=1, maximum=1) for link in links
    )
    owned = []

    def look(*_args: Any, **_options: Any) -> None:
        owned.append(leases.is_owned(launch.context.platform_id))
        time.sleep(0.76)

    monkeypatch.setattr(line_items, "find_or_create", look)
    lms.sandbox.fail_next("/api/lineitems", status=404, body="{}", times=100)
    night("grades")
    assert owned
    assert all(owned)


@pytest.mark.parametrize("extra", [{"x": "\x00"}, {"x": float("nan")}, {"x": {1, 2}}])
def test_extra_members_that_no_json_holds_are_refused(lms: Lms, extra: dict[str, Any]) -> None:
    launch = lms.launch("2001")
    with pytest.raises(ValueError, match="extra"):
        grades.record_score(launch, given=1, maximum=1, extra=extra)


def test_a_score_outside_any_launch_is_a_clear_error(lms: Lms) -> None:
    user = lms.launch("2001").user
    with pytest.raises(Exception, match="no launch"):
        grades.record_score(AbsentLaunch(), given=1, maximum=1, user=user)  # type: ignore[arg-type]


def test_what_is_recorded_after_a_refusal_is_not_tried_with_the_refused_key(lms: Lms) -> None:
    first, second = lms.launch("2001"), lms.launch("2002")
    grades.record_score(first, given=5, maximum=10)
    lms.sandbox.revoke_service_keys()
    night("grades")
    asked = len(lms.sandbox.requests)
    grades.record_score(second, given=7, maximum=10)
    night("grades")
    assert len(lms.sandbox.requests) == asked
    assert set(OutgoingScore.objects.values_list("state", flat=True)) == {"waiting"}
