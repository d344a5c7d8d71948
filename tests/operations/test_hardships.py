"""What a night still brings home where the LMS is slow, half broken or half open, and the server cuts us off."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection
from django.utils import timezone

from ltiaas_django import data, grades
from ltiaas_django.connections.ltiaas.connection import _Services
from ltiaas_django.models import Context, LineItem, OutgoingScore, Platform, ServiceKey, SyncRun
from ltiaas_django.operations import delivery, leases, passes
from ltiaas_django.operations import grades as outbox
from ltiaas_django.operations.outcomes import Job
from ltiaas_django.testing.factories import MembershipFactory
from tests.lms import Lms, night
from tests.operations import test_policies
from tests.operations.test_locks import open_transaction
from tests.operations.test_policies import LEARNERS, NOT_A_STUDENT, later, records, said_by_the_lms, states, tick

State = OutgoingScore.State
many, three = test_policies.many, test_policies.three  # fixtures


# --- breaker, pauses and the pace -------------------------------------------------------------------------------------


def test_the_breaker_closes_when_the_gradebook_shows_that_scores_came_through(many: Lms) -> None:
    many.sandbox.fail_next("/api/lineitems/", method="POST", status=503, after_storing=True, times=1000)
    night("grades")
    assert Platform.objects.get().failures_in_a_row >= leases.STORM
    OutgoingScore.objects.filter(state=State.DUE).delete()
    assert set(states()) == {"unknown"}
    many.sandbox.clear_faults()
    sent = many.posts()
    later()
    tick()
    assert Platform.objects.get().failures_in_a_row == 0
    assert many.posts() == sent


def test_the_breaker_closes_when_the_lms_answers_if_only_to_refuse_a_score(many: Lms) -> None:
    Platform.objects.update(failures_in_a_row=leases.STORM)
    refusal = said_by_the_lms(400, "Incorrect score received")
    many.sandbox.fail_next("/api/lineitems/", method="POST", times=1000, **refusal)
    night("grades")
    assert Platform.objects.get().failures_in_a_row == 0
    assert many.posts() == 30, "the probe was answered, and the others went out after it"


def test_of_two_pauses_that_the_lms_asks_for_the_longer_one_is_kept(lms: Lms) -> None:
    records(lms, ("2001", "2002"))
    longer = {"Retry-After": "3000"}
    lms.sandbox.fail_next("/api/lineitems/", method="POST", status=429, headers=longer, delay=0.2)
    lms.sandbox.fail_next("/api/lineitems/", method="POST", status=429, delay=0.5)
    night("grades")
    assert lms.posts() == 2
    paused_until = Platform.objects.get().paused_until
    assert paused_until is not None
    assert paused_until > timezone.now() + timedelta(seconds=2000)


def test_columns_that_take_longer_to_find_than_a_lease_count_against_no_score(lms: Lms, settings: Any) -> None:
    settings.LTIAAS = {**settings.LTIAAS, "LEASE": 2.0, "CALL_DEADLINE": 0.8}
    launch = lms.launch("2001")
    for number in range(24):
        grades.record_score(launch, given=1, maximum=10, tag=f"t{number}")
    lms.sandbox.fail_next("/api/lineitems?", method="GET", delay=0.15, times=1000)
    night("grades")
    assert Platform.objects.get().paused_until is None
    assert not OutgoingScore.objects.filter(attempts__gt=0).exists()
    assert set(states()) == {"due", "sent"}


def test_a_pass_that_is_stopped_does_not_wait_for_the_turns_of_what_it_leaves(many: Lms, settings: Any) -> None:
    settings.LTIAAS = {**settings.LTIAAS, "CALLS_PER_SECOND": 4}
    stop = threading.Event()
    passes.release_night("grades")
    threading.Timer(0.3, stop.set).start()
    began = time.monotonic()
    passes.work(Platform.objects.get().pk, ["grades"], "tick", stop=stop)
    assert time.monotonic() - began < 4, "thirty turns take seven seconds"
    assert set(states()) == {"due", "sent"}


def test_the_command_comes_back_to_a_slow_platform_until_all_is_sent(
    many: Lms, monkeypatch: pytest.MonkeyPatch
) -> None:
    before: dict[UUID, int] = {}

    def has_time(lease: leases.Lease) -> bool:
        """The time of a pass is over after five scores."""
        return many.posts() - before.setdefault(lease.token, many.posts()) < 5

    monkeypatch.setattr(leases.Lease, "has_time", property(has_time))
    monkeypatch.setattr(delivery, "_BATCH", 5)
    monkeypatch.setattr(delivery._Pass, "_low_water", lambda _pass: 1)
    call_command("ltiaas_sync", "grades")
    assert [run.counts["sent"] for run in SyncRun.objects.all()] == [5] * 6
    assert states() == ["sent"] * 30


# --- people and courses -----------------------------------------------------------------------------------------------


def test_learners_who_have_left_hold_back_nobody_in_their_course(many: Lms) -> None:
    context = Context.objects.get()
    for row in OutgoingScore.objects.order_by("pk")[8:]:
        MembershipFactory(context=context, lti_user=row.lti_user)
    many.sandbox.fail_next("/api/lineitems/", method="POST", times=8, delay=0.05, **NOT_A_STUDENT)
    night("grades")
    assert states().count("sent") == 22


def test_a_check_that_is_asked_for_is_made_in_a_concluded_course_too(lms: Lms) -> None:
    records(lms, ("2001",))
    night("grades")
    Context.objects.update(concluded_at=timezone.now())
    passes.request_check(Context.objects.get())
    for platform_id in passes.due_platforms(["check"]):
        passes.work(platform_id, ["check"], "admin")
    assert Context.objects.get().check_due_at is None
    assert SyncRun.objects.get(kind="check").outcome == SyncRun.Outcome.OK


def test_sending_a_course_again_repeats_no_clear(lms: Lms) -> None:
    launch = lms.launch("2001")
    grades.record_score(launch, given=5, maximum=10)
    night("grades")
    grades.record_score(launch, given=None)
    later()
    night("grades")
    assert (states(), lms.posts()) == (["sent"], 2)
    assert outbox.resend_all(Context.objects.get()) == (0, 1)
    later()
    tick()
    assert lms.posts() == 2


# --- what the gradebook does not say ----------------------------------------------------------------------------------


@pytest.mark.parametrize("known", [None, 10])
def test_a_bare_value_in_another_unit_is_known_for_what_was_sent(
    lms: Lms, monkeypatch: pytest.MonkeyPatch, known: int | None
) -> None:
    grades.record_score(lms.launch("2001"), given=8, maximum=20, comment="once")
    LineItem.objects.update(score_maximum=known)
    results = _Services.results

    def bare(self: _Services, line_item_id: str, *, user_id: str = "") -> Iterator[data.Result]:
        for result in results(self, line_item_id, user_id=user_id):
            yield dataclasses.replace(result, maximum=None, comment=None)

    monkeypatch.setattr(_Services, "results", bare)
    lms.sandbox.fail_next("/api/lineitems/", method="POST", status=502, after_storing=True)
    night("grades")
    assert states() == ["unknown"]
    later()
    tick()
    assert states() == ["sent"]
    assert lms.posts() == 1


@pytest.mark.parametrize(("comment", "state", "posts"), [("", "sent", 2), ("once", "parked", 1)])
def test_a_key_that_may_not_read_results_leaves_no_doubt_for_ever(
    lms: Lms, comment: str, state: str, posts: int
) -> None:
    grades.record_score(lms.launch("2001"), given=8, maximum=20, comment=comment)
    lms.sandbox.fail_next("/api/lineitems/", method="POST", status=502)
    night("grades")
    assert states() == ["unknown"]
    lms.sandbox.fail_next("/api/lineitems/", method="GET", times=1000, **said_by_the_lms(403, "insufficient_scope"))
    later()
    tick()
    assert (states(), lms.posts()) == ([state], posts)
    assert ServiceKey.objects.get().is_healthy, "it may send all the same"
    grades.record_score(lms.launch("2002"), given=5, maximum=20)
    night("grades")
    assert OutgoingScore.objects.get(lti_user__lti_id="2002").state == State.SENT


@pytest.mark.parametrize("status", [403, 404])
def test_a_gateways_page_speaks_neither_of_the_key_nor_of_the_column(lms: Lms, status: int) -> None:
    grades.record_score(lms.launch("2001"), given=8, maximum=20)
    page = {"body": "<html>Attention! Blocked by firewall</html>", "content_type": "text/html"}
    lms.sandbox.fail_next("/api/lineitems/", method="POST", status=status, **page)
    night("grades")
    assert ServiceKey.objects.get().is_healthy
    assert LineItem.objects.get().gone_at is None
    later()
    tick()
    assert (states(), lms.posts()) == (["sent"], 2)


# --- columns that are made anew ---------------------------------------------------------------------------------------


@pytest.fixture
def renewed(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Set a moment after a new column has taken the place of another; two scores are claimed at a time."""
    event = threading.Event()
    adopt = outbox.adopt_line_item

    def and_tell(*args: Any, **options: Any) -> None:
        adopt(*args, **options)
        threading.Timer(0.3, event.set).start()

    monkeypatch.setattr(outbox, "adopt_line_item", and_tell)
    monkeypatch.setattr(delivery, "_BATCH", 2)
    monkeypatch.setattr(delivery._Pass, "_low_water", lambda _pass: 2)
    return event


def first_send(
    monkeypatch: pytest.MonkeyPatch, instead: Callable[[_Services, str, data.Score], None], then: threading.Event
) -> None:
    """The first score that goes out is sent like this; the others once `then` is set."""
    send, lock, begun = _Services.send_score, threading.Lock(), []

    def send_score(self: _Services, line_item_id: str, score: data.Score) -> None:
        with lock:
            begun.append(score.user_id)
            is_first = len(begun) == 1
        if is_first:
            return instead(self, line_item_id, score)
        assert then.wait(8)
        return send(self, line_item_id, score)

    monkeypatch.setattr(_Services, "send_score", send_score)


def test_what_an_old_column_accepts_after_a_new_one_took_its_place_reaches_the_new_one(
    lms: Lms, monkeypatch: pytest.MonkeyPatch, renewed: threading.Event
) -> None:
    records(lms)
    old = LineItem.objects.get().lti_id
    send, deleted = _Services.send_score, threading.Event()

    def to_the_old(self: _Services, line_item_id: str, score: data.Score) -> None:
        send(self, line_item_id, score)
        lms.sandbox.courses["course-101"].gradebook.delete_line_item(1)
        deleted.set()
        renewed.wait(8)  # the answer takes its time

    first_send(monkeypatch, to_the_old, then=deleted)
    night("grades")
    assert renewed.is_set()
    for _ in range(3):
        later()
        tick()
    new = LineItem.objects.get().lti_id
    assert new != old
    assert states() == ["sent"] * 5
    assert {cell.user_id for cell in lms.sandbox.gradebook("course-101") if cell.line_item_id == new} == set(LEARNERS)


def test_word_of_a_deleted_column_that_comes_late_makes_no_second_new_one(
    lms: Lms, monkeypatch: pytest.MonkeyPatch, renewed: threading.Event
) -> None:
    records(lms)
    gradebook = lms.sandbox.courses["course-101"].gradebook
    gradebook.delete_line_item(1)
    others = set(gradebook.line_items)
    send, listed, at_once = _Services.send_score, _Services.line_items, threading.Event()
    at_once.set()

    def late(self: _Services, line_item_id: str, score: data.Score) -> None:
        renewed.wait(8)
        send(self, line_item_id, score)

    def nameless(self: _Services, **_wanted: str) -> Iterator[data.LineItem]:
        """No column is found again by what it is for."""
        yield from [dataclasses.replace(item, resource_link_id="") for item in listed(self)] * 2

    monkeypatch.setattr(_Services, "line_items", nameless)
    first_send(monkeypatch, late, then=at_once)
    night("grades")
    assert renewed.is_set()
    for _ in range(3):
        later()
        tick()
    assert states() == ["sent"] * 5
    assert len(set(gradebook.line_items) - others) == 1


@pytest.mark.services
@pytest.mark.django_db(transaction=True)
def test_a_score_that_a_tool_holds_while_its_column_is_made_anew_reaches_the_new_one(
    postgresql: None, transactional_db: None, lms: Lms
) -> None:
    launch = lms.launch("2001")
    grades.record_score(launch, given=5, maximum=10)
    night("grades")
    assert states() == ["sent"]
    new = lms.sandbox.courses["course-101"].gradebook.add_line_item("New", 10, resource_link_id="quiz-1")
    with open_transaction(launch, given=5):  # the same value again, which changes nothing
        outbox.adopt_line_item(LineItem.objects.get(), new.id)
    passes.tidy()
    later()
    night("grades")
    assert lms.grades()[("2001", "New")][0] == 5


# --- ends of a pass ---------------------------------------------------------------------------------------------------


def test_ctrl_c_while_the_callers_start_ends_the_pass(many: Lms, monkeypatch: pytest.MonkeyPatch) -> None:
    submit = ThreadPoolExecutor.submit
    started: list[delivery._Pass] = []

    def interrupted(self: ThreadPoolExecutor, call: Any) -> Future[None]:
        future: Future[None] = submit(self, call)
        started.append(call.__self__)
        if len(started) == 3:
            raise KeyboardInterrupt
        return future

    def rescue() -> None:
        """Nobody would ever tell the callers to end."""
        for one_pass in started:
            one_pass.calls.put(None)

    monkeypatch.setattr(ThreadPoolExecutor, "submit", interrupted)
    passes.release_night("grades")
    began = time.monotonic()
    timer = threading.Timer(6, rescue)
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        passes.work(Platform.objects.get().pk, ["grades"], "tick")
    timer.cancel()
    assert time.monotonic() - began < 5
    assert set(states()) == {"due"}
    assert Platform.objects.get().lease_token is None


def test_an_error_in_a_caller_is_heard_however_late_it_comes(many: Lms, monkeypatch: pytest.MonkeyPatch) -> None:
    collect, collected = delivery._Pass.collect, threading.Event()

    def fail(_self: _Services, _line_item_id: str, _score: data.Score) -> None:
        collected.wait(5)
        raise RuntimeError("a bug of ours")

    def collect_before(self: delivery._Pass) -> None:
        collect(self)
        collected.set()
        until = time.monotonic() + 5
        while self.crash is None and time.monotonic() < until:
            time.sleep(0.01)

    monkeypatch.setattr(_Services, "send_score", fail)
    monkeypatch.setattr(delivery._Pass, "collect", collect_before)
    passes.release_night("grades")
    with pytest.raises(RuntimeError, match="a bug of ours"):
        passes.work(Platform.objects.get().pk, ["grades"], "tick")
    assert "sending" not in states()


def cut_off() -> None:
    """The server ends this thread's session, as on a failover."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        [pid] = cursor.fetchone()
    other = connection.copy()
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])  # waits until it is gone
    other.close()


@pytest.mark.services
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("parallel", [1, 2])
def test_a_session_cut_off_in_one_pass_holds_back_no_other_platform(
    three: Lms, settings: Any, monkeypatch: pytest.MonkeyPatch, parallel: int
) -> None:
    settings.LTIAAS = {**settings.LTIAAS, "PARALLEL_PLATFORMS": parallel}
    claim, lock = delivery._Pass.claim, threading.Lock()
    cut: list[int] = []

    def claim_and_lose(self: delivery._Pass, size: int) -> list[Job]:
        jobs = claim(self, size)
        with lock:
            is_first = not cut
            cut.append(self.lease.platform.pk)
        if is_first:
            cut_off()
        return jobs

    monkeypatch.setattr(delivery._Pass, "claim", claim_and_lose)
    with pytest.raises(CommandError):
        call_command("ltiaas_sync", "grades")
    others = OutgoingScore.objects.exclude(line_item__context__platform=cut[0])
    assert list(others.values_list("state", flat=True)) == ["sent"] * 10
    assert "sending" not in states()
    assert not Platform.objects.exclude(lease_until=None).exists()


@pytest.mark.services
@pytest.mark.django_db(transaction=True)
def test_a_session_cut_off_while_calls_are_out_leaves_nothing_claimed(
    three: Lms, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.LTIAAS = {**settings.LTIAAS, "LEASE": 12.0}
    three.sandbox.fail_next("/api/lineitems/", method="POST", delay=2.0, times=5)
    renew = leases.Lease.renew
    cut: list[int] = []

    def renew_after_the_cut(self: leases.Lease) -> bool:
        if self._ends - time.monotonic() < self.length * 0.9 and not cut:  # a sign of life is due
            assert "sending" in states()  # nothing has come back
            cut.append(self.platform.pk)
            cut_off()
        return renew(self)

    monkeypatch.setattr(leases.Lease, "renew", renew_after_the_cut)
    [platform_id, *_others] = passes.due_platforms(["grades"])
    with pytest.raises(OperationalError):
        passes.work(platform_id, ["grades"], "tick")
    assert cut == [platform_id]
    assert "sending" not in states()
    assert states().count("sent") == three.posts() > 0, "what came back after the cut is written down"
    assert Platform.objects.get(pk=platform_id).lease_until is None
