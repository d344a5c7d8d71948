"""What becomes of a whole course or platform: breaker, concluded and unpublished courses, turns, and stopping."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections
from django.utils import timezone

from ltiaas_django import grades, tasks
from ltiaas_django.models import Context, Membership, OutgoingScore, Platform, ScoreAttempt, SyncRun
from ltiaas_django.operations import leases, passes, waking
from ltiaas_django.testing.factories import (
    ContextFactory,
    LineItemFactory,
    LtiUserFactory,
    MembershipFactory,
    OutgoingScoreFactory,
    PlatformFactory,
    ResourceLinkFactory,
    ServiceKeyFactory,
)
from tests.lms import Lms, night

State = OutgoingScore.State
LEARNERS = ("2001", "2002", "2003", "2004", "2005")


def said_by_the_lms(status: int, text: str) -> dict[str, Any]:
    """LTIAAS's answer when the LMS refused."""
    body = {"status": status, "error": "Error", "details": {"externalError": True, "bodyReceived": text}}
    return {"status": status, "body": body}


NOT_A_STUDENT = said_by_the_lms(422, "User not found in course or is not a student")
CONCLUDED = said_by_the_lms(422, "This course has concluded. AGS requests will no longer be accepted for this course.")


def records(lms: Lms, people: tuple[str, ...] = LEARNERS) -> None:
    for person in people:
        grades.record_score(lms.launch(person), given=5, maximum=10)


def states() -> list[str]:
    return sorted(OutgoingScore.objects.values_list("state", flat=True))


def later() -> None:
    """Pauses and back-offs are over."""
    past = timezone.now() - timedelta(seconds=2)
    Platform.objects.exclude(paused_until=None).update(paused_until=past)
    OutgoingScore.objects.exclude(attempted_at=None).update(attempted_at=past)
    OutgoingScore.objects.actionable().exclude(due_at=None).update(due_at=past)


def tick() -> None:
    passes.tidy()
    for platform_id in passes.due_platforms(["grades"]):
        passes.work(platform_id, ["grades"], "tick")


# --- the breaker ------------------------------------------------------------------------------------------------------


@pytest.fixture
def many(lms: Lms) -> Lms:
    """Thirty scores of one activity."""
    link = lms.launch("2001").resource_link
    assert link is not None
    for number in range(30):
        lms.sandbox.courses["course-101"].add_person(f"Person {number}", user_id=f"p{number}")
        row = LtiUserFactory(platform=link.context.platform, lti_id=f"p{number}")
        grades.record_score(link, user=row, given=number % 10, maximum=10)
    return lms


def test_a_storm_opens_the_breaker_and_the_next_pass_begins_with_one_probe(many: Lms) -> None:
    many.sandbox.fail_next("/api/lineitems/", method="POST", status=503, times=1000)
    night("grades")
    platform = Platform.objects.get()
    tried = many.posts()
    assert leases.STORM <= tried < 30, "the other scores were not thrown after them"
    assert platform.paused_until is not None
    assert "503" in platform.pause_reason
    tick()
    assert many.posts() == tried, "a paused platform is left alone"

    later()
    tick()
    assert many.posts() == tried + 1, "one probe, and no more"
    first_rest, second_rest = platform.paused_until, Platform.objects.get().paused_until
    assert second_rest is not None
    assert second_rest - timezone.now() > first_rest - timezone.now() + timedelta(seconds=200), "it rests for longer"

    many.sandbox.clear_faults()
    later()
    tick()
    later()
    tick()
    assert states() == ["sent"] * 30
    assert Platform.objects.get().failures_in_a_row == 0


def test_failures_in_a_row_are_counted_over_passes(lms: Lms) -> None:
    records(lms, ("2001",))
    lms.sandbox.fail_next("/api/lineitems/", status=503, times=1000)
    passes.release_night("grades")
    OutgoingScore.objects.update(attempts=0)
    for number in range(leases.STORM):
        OutgoingScore.objects.update(state="due", sending_revision=None, attempts=0)
        later()
        tick()
        is_paused = (Platform.objects.get().paused_until or timezone.now()) > timezone.now()
        assert is_paused == (number == leases.STORM - 1)


# --- courses ----------------------------------------------------------------------------------------------------------


def test_an_unpublished_course_is_tried_by_a_few_and_waits_for_the_next_night(many: Lms) -> None:
    people = list(OutgoingScore.objects.values_list("lti_user", flat=True))
    context = Context.objects.get()
    Membership.objects.filter(context=context).delete()
    for person in people:
        MembershipFactory(context=context, lti_user_id=person)
    many.sandbox.fail_next("/api/lineitems/", method="POST", times=1000, **NOT_A_STUDENT)
    night("grades")
    tried = many.posts()
    assert tried < 12, "a whole course is not asked one by one"
    assert set(OutgoingScore.objects.values_list("state", "due_at", "last_error_code")) == {
        ("due", None, "course_not_gradable")
    }
    assert SyncRun.objects.latest("pk").outcome == SyncRun.Outcome.FAILED
    later()
    tick()
    assert many.posts() == tried, "a tick is not a night"
    many.sandbox.clear_faults()
    later()
    night("grades")
    assert states() == ["sent"] * 30


def test_a_course_that_stays_unpublished_ends_parked(lms: Lms, settings: Any) -> None:
    settings.LTIAAS = {**settings.LTIAAS, "MAX_ATTEMPTS": 2}
    records(lms, ("2001",))
    lms.sandbox.fail_next("/api/lineitems/", method="POST", times=1000, **NOT_A_STUDENT)
    for _ in range(2):
        night("grades")
        later()
    row = OutgoingScore.objects.get()
    assert (row.state, row.last_error_code) == (State.PARKED, "course_not_gradable")


def test_one_learner_whom_the_lms_refuses_is_no_unpublished_course(lms: Lms) -> None:
    records(lms)
    night("grades")
    grades.record_score(lms.launch("2003"), given=7, maximum=10)
    grades.record_score(lms.launch("2004"), given=7, maximum=10)
    lms.sandbox.fail_next("/api/lineitems/", method="POST", delay=0.3, **NOT_A_STUDENT)
    later()
    night("grades")
    refused = OutgoingScore.objects.get(state=State.PARKED) if State.PARKED in states() else None
    if refused is None:  # it came back before the other was accepted: the next night judges it by its neighbours
        grades.record_score(lms.launch("2005"), given=7, maximum=10)
        lms.sandbox.fail_next("/api/lineitems/", method="POST", delay=0.3, **NOT_A_STUDENT)
        later()
        night("grades")
        refused = OutgoingScore.objects.get(state=State.PARKED)
    assert refused.last_error_code == "person_not_gradable"


def test_a_concluded_course_is_left_alone_until_somebody_launches_it(lms: Lms) -> None:
    records(lms)
    lms.sandbox.fail_next("/api/lineitems/", method="POST", times=1000, **CONCLUDED)
    night("grades")
    assert Context.objects.get().concluded_at is not None
    tried = lms.posts()
    waiting = OutgoingScore.objects.filter(state=State.WAITING)
    assert waiting.exists()
    assert set(waiting.values_list("last_error_code", flat=True)) == {"course_concluded"}
    for _ in range(2):
        later()
        tick()
        night()
    assert lms.posts() == tried
    assert not SyncRun.objects.filter(kind="rosters").exists(), "its roster is no longer asked for"
    lms.sandbox.clear_faults()
    lms.launch("2001")
    assert Context.objects.get().concluded_at is None
    later()
    tick()
    assert states() == ["sent"] * 5


def test_a_person_may_send_to_a_concluded_course_all_the_same(lms: Lms) -> None:
    records(lms, ("2001",))
    lms.sandbox.fail_next("/api/lineitems/", method="POST", **CONCLUDED)
    night("grades")
    grades_module_resend = passes.grades.resend
    assert grades_module_resend(OutgoingScore.objects.values_list("pk", flat=True)) == 1
    later()
    tick()
    assert states() == ["sent"]


def test_the_roster_of_a_course_that_nobody_launches_is_no_longer_read(lms: Lms, settings: Any) -> None:
    settings.LTIAAS = {**settings.LTIAAS, "ROSTER_ACTIVE_DAYS": 30, "ROSTER_MAX_AGE": None}
    lms.launch("2001")
    long_ago = timezone.now() - timedelta(days=31)
    Context.objects.update(launched_at=long_ago)
    night("rosters")
    assert Context.objects.get().roster_synced_at is None
    Context.objects.update(launched_at=timezone.now() - timedelta(days=29))
    night("rosters")
    assert Context.objects.get().roster_synced_at is not None


# --- turns ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def hints(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The platforms that workers were told of."""
    told: list[int] = []

    def send_task(_name: str, args: list[Any], **_options: Any) -> None:
        told.append(args[0])

    monkeypatch.setattr(waking.current_app, "send_task", send_task, raising=False)
    return told


def due_platform(worked_at: Any) -> int:
    line_item = LineItemFactory(context__platform=PlatformFactory(worked_at=worked_at))
    OutgoingScoreFactory(line_item=line_item, due_at=timezone.now() - timedelta(minutes=1))
    return int(line_item.context.platform_id)


@pytest.mark.django_db
def test_a_tick_hands_out_the_platforms_that_have_waited_longest(settings: Any, hints: list[int]) -> None:
    settings.LTIAAS = {"URL": "http://127.0.0.1:9", "API_KEY": "x", "PLATFORMS_PER_TICK": 3}
    now = timezone.now()
    ids = [due_platform(now - timedelta(minutes=minutes)) for minutes in (1, 5, 3, 9)]
    never = due_platform(None)
    tasks.tick()
    assert hints == [never, ids[3], ids[1]]


def test_a_platform_gives_way_after_the_length_of_a_lease_and_goes_to_the_end_of_the_queue(
    many: Lms, settings: Any, hints: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.LTIAAS = {**settings.LTIAAS, "PARALLEL_CALLS": 1}
    monkeypatch.setattr(passes.delivery, "_BATCH", 5)
    began = time.monotonic()
    monkeypatch.setattr(leases.Lease, "has_time", property(lambda lease: many.posts() < 5))
    passes.release_night("grades")
    hints.clear()
    tasks.work(Platform.objects.get().pk, ["grades"], "nightly")
    assert time.monotonic() - began < 60
    assert 5 <= many.posts() < 30
    assert set(states()) == {"due", "sent"}
    assert hints == [Platform.objects.get().pk]


# --- several at once, and stopping ------------------------------------------------------------------------------------


@pytest.fixture
def three(postgresql: None, transactional_db: None, lms: Lms) -> Iterator[Lms]:
    """Three platforms at one sandbox, with five scores each that are due. (SQLite in memory serves no threads.)"""
    launch = lms.launch("2001")
    assert launch.resource_link is not None
    secret = launch.resource_link.service_keys.get().reveal()
    column = launch.resource_link.line_items.get().lti_id
    for _ in range(3):
        link = ResourceLinkFactory(context=ContextFactory(platform=PlatformFactory()))
        ServiceKeyFactory(context=link.context, resource_link=link, secret=secret)
        item = LineItemFactory(context=link.context, resource_link=link, lti_id=column)
        for person in LEARNERS:
            user = LtiUserFactory(platform=link.context.platform, lti_id=person)
            OutgoingScoreFactory(line_item=item, lti_user=user, due_at=timezone.now())
    yield lms
    connections.close_all()


@pytest.mark.services
@pytest.mark.django_db(transaction=True)
def test_platforms_are_worked_on_side_by_side(three: Lms) -> None:
    met = threading.Barrier(3, timeout=20)
    visited: list[int] = []

    def visit(platform_id: int, stop: threading.Event) -> bool:
        visited.append(platform_id)
        met.wait()  # nobody gets on before all three are there
        return bool(passes.work(platform_id, ["grades"], "command", stop=stop))

    passes.work_all(["grades"], visit, parallel=3)
    assert len(visited) == 3
    assert states() == ["sent"] * 15
    assert three.posts() == 15


@pytest.mark.services
@pytest.mark.django_db(transaction=True)
def test_when_one_visit_fails_the_others_come_to_an_orderly_end(three: Lms) -> None:
    three.sandbox.fail_next("/api/lineitems/", method="POST", delay=0.4, times=100)
    failing = Platform.objects.latest("pk").pk

    def visit(platform_id: int, stop: threading.Event) -> bool:
        if platform_id == failing:
            until = time.monotonic() + 20
            while three.posts() < 2 and time.monotonic() < until:
                time.sleep(0.01)
            raise KeyboardInterrupt
        return bool(passes.work(platform_id, ["grades"], "command", stop=stop))

    with pytest.raises(KeyboardInterrupt):
        passes.work_all(["grades"], visit, parallel=3)
    assert set(states()) == {"due", "sent"}, "nothing is left claimed or in doubt"
    assert states().count("sent") == three.posts() < 10
    assert set(SyncRun.objects.values_list("outcome", flat=True)) == {"stopped"}
    assert not Platform.objects.exclude(lease_token=None).exists()


# --- history ----------------------------------------------------------------------------------------------------------


def test_successes_are_kept_in_the_history_where_the_operator_wants_them(lms: Lms, settings: Any) -> None:
    records(lms, ("2001",))
    night("grades")
    assert not ScoreAttempt.objects.exists()
    settings.LTIAAS = {**settings.LTIAAS, "KEEP_SENT_ATTEMPTS": True}
    grades.record_score(lms.launch("2001"), given=6, maximum=10)
    later()
    night("grades")
    attempt = ScoreAttempt.objects.get()
    assert (attempt.outcome, attempt.revision) == ("sent", 2)


def test_a_run_in_which_nothing_worked_is_an_alarm(lms: Lms, caplog: pytest.LogCaptureFixture) -> None:
    records(lms, ("2001",))
    lms.sandbox.fail_next("/api/lineitems/", method="POST", status=500, times=10)
    night("grades")
    assert SyncRun.objects.get().outcome == SyncRun.Outcome.FAILED
    assert [record.levelname for record in caplog.records if "nothing worked" in record.message] == ["ERROR"]


def test_a_wrong_api_key_leaves_the_platform_alone_for_a_while(lms: Lms, settings: Any) -> None:
    records(lms, ("2001",))
    right = settings.LTIAAS
    settings.LTIAAS = {**right, "API_KEY": "wrong"}
    passes.release_night("grades")
    platform_id = Platform.objects.get().pk
    with pytest.raises(passes.exceptions.ConfigurationError):
        passes.work(platform_id, ["grades"], "tick")
    assert passes.due_platforms(["grades"]) == []
    settings.LTIAAS = right
    later()
    tick()
    assert states() == ["sent"]
