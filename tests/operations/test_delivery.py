"""Sending the outbox: what ends in the gradebook, and what a row says after each kind of failure."""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from ltiaas_django import data, exceptions, grades, signals
from ltiaas_django.models import (
    Launch,
    LineItem,
    LtiUser,
    Membership,
    OutgoingScore,
    Platform,
    ScoreAttempt,
    ServiceKey,
    SyncRun,
)
from ltiaas_django.operations import delivery, leases, line_items, outcomes, passes, verdicts
from ltiaas_django.operations.grades import resend
from ltiaas_django.vocabulary import GradingProgress
from tests.lms import Lms, night

State = OutgoingScore.State
QUIZ = "Quiz 1: Averages"


def send(launch: Launch | None = None) -> None:
    """What a tick would do a while later: everything that has been tried before is due again."""
    OutgoingScore.objects.update(attempted_at=timezone.now() - timedelta(hours=1))
    OutgoingScore.objects.filter(state__in=["due", "unknown"]).update(due_at=timezone.now())
    Platform.objects.update(paused_until=None)
    for platform_id in passes.due_platforms(["grades"]):
        passes.work(platform_id, ["grades"], "tick")


def the_row() -> OutgoingScore:
    return OutgoingScore.objects.get()


# --- what arrives -----------------------------------------------------------------------------------------------------


def test_the_gradebook_holds_the_newest_value_and_its_comment(lms: Lms) -> None:
    launch = lms.launch("2001")
    grades.record_score(launch, given=3, maximum=10, comment="first")
    grades.record_score(launch, given=8, maximum=10, comment="Straße & “quotes”")
    night("grades")
    assert lms.grades() == {("2001", QUIZ): (Decimal(8), "Straße & “quotes”")}
    row = the_row()
    assert (row.state, row.sent_revision, row.due_at, row.attempts) == (State.SENT, 2, None, 0)
    assert lms.posts() == 1
    night("grades")
    assert lms.posts() == 1


@pytest.mark.parametrize(
    ("given", "maximum", "held"), [(0, 10, "0"), ("0.5", 1, "5"), (12, 10, "12"), ("81.23456", 100, "8.12346")]
)
def test_amounts_arrive_as_they_are_and_the_lms_rescales(lms: Lms, given: Any, maximum: Any, held: str) -> None:
    grades.record_score(lms.launch("2001"), given=given, maximum=maximum)
    night("grades")
    assert lms.grades()[("2001", QUIZ)][0] == Decimal(held)
    [sent] = [r.body for r in lms.sandbox.requests if r.path.endswith("/scores")]
    assert Decimal(str(sent["scoreGiven"])) == Decimal(str(given))


def test_none_clears_the_grade(lms: Lms) -> None:
    launch = lms.launch("2001")
    grades.record_score(launch, given=8, maximum=10)
    night("grades")
    grades.record_score(launch, given=None)
    send()
    assert lms.grades().get(("2001", QUIZ), (None, None))[0] is None
    assert the_row().state == State.SENT


def test_a_line_item_that_the_lms_lacks_is_created_once(lms: Lms) -> None:
    grades.record_score(lms.launch("2001", "quiz-2"), given=3, maximum=5)
    grades.record_score(lms.launch("2002", "quiz-2"), given=4, maximum=5)
    night("grades")
    created = [r for r in lms.sandbox.requests if r.method == "POST" and r.path.endswith("/lineitems")]
    assert len(created) == 1
    assert created[0].body["resourceLinkId"] == "quiz-2"
    assert set(lms.grades()) == {
        ("2001", "Quiz 2: Spread & variance"),
        ("2002", "Quiz 2: Spread & variance"),
    }
    assert LineItem.objects.get(resource_link__lti_id="quiz-2").score_maximum == 5


def test_a_line_item_of_the_activity_is_found_and_not_created_again(lms: Lms) -> None:
    def says_nothing(token: dict[str, Any]) -> None:
        del token["services"]["assignmentAndGrades"]["lineItemId"]

    grades.record_score(lms.launch("2001", mutate=says_nothing), given=3, maximum=5)
    night("grades")
    assert not [r for r in lms.sandbox.requests if r.method == "POST" and r.path.endswith("/lineitems")]
    assert lms.grades()[("2001", QUIZ)][0] == 6


MINE = {"resource_link_id": "quiz-1"}
OTHER = {"resource_link_id": "quiz-2"}
BONUS = {"resource_link_id": "quiz-1", "tag": "bonus"}
NAMELESS: dict[str, str] = {}


@pytest.mark.parametrize(
    ("listed", "by_own_key", "by_siblings_key"),
    [
        ([MINE], 0, 0),
        ([OTHER], None, None),
        ([NAMELESS], 0, None),
        ([NAMELESS, MINE], 1, 1),
        ([OTHER, NAMELESS], None, None),  # the LMS does not filter, so the nameless one may be anybody's
        ([NAMELESS, NAMELESS], None, None),
        ([BONUS], None, None),
        ([{"tag": "bonus"}], None, None),
        ([{"resource_id": "x"}], None, None),
        ([OTHER, BONUS, MINE], 2, 2),
        ([], None, None),
    ],
)
def test_a_lookup_never_takes_another_activitys_column(
    lms: Lms, listed: list[dict[str, str]], by_own_key: int | None, by_siblings_key: int | None
) -> None:
    wanted = LineItem.objects.get(resource_link=lms.launch("2001").resource_link)
    items = [
        data.LineItem(lti_id=f"https://lms/{n}", label="Q", score_maximum=Decimal(1), **names)
        for n, names in enumerate(listed)
    ]
    for key_is_own, index in [(True, by_own_key), (False, by_siblings_key)]:
        chosen = line_items.choose(items, wanted, key_is_own=key_is_own)
        assert chosen == (None if index is None else items[index])


def test_a_nameless_column_serves_one_activity_only(lms: Lms) -> None:
    first = LineItem.objects.get(resource_link=lms.launch("2001", "quiz-1").resource_link)
    second = LineItem.objects.get(resource_link=lms.launch("2001", "quiz-2").resource_link)
    nameless = data.LineItem(lti_id="https://lms/1", label="Q", score_maximum=Decimal(1))
    assert line_items.choose([nameless], first, key_is_own=True) == nameless
    LineItem.objects.filter(pk=first.pk).update(lti_id=nameless.lti_id)
    assert line_items.choose([nameless], second, key_is_own=True) is None
    assert line_items.choose([nameless], first, key_is_own=True) == nameless


def test_tag_and_resource_id_must_both_be_as_wanted(lms: Lms) -> None:
    link = lms.launch("2001").resource_link
    assert link is not None
    wanted = LineItem.objects.create(context=link.context, resource_link=link, tag="bonus", resource_id="7")
    for tag, resource_id, link_id, fits in [
        ("bonus", "7", "quiz-1", True),
        ("bonus", "7", "", True),
        ("bonus", "7", "quiz-2", False),
        ("bonus", "8", "quiz-1", False),
        ("", "7", "quiz-1", False),
        ("", "", "", False),
    ]:
        candidate = data.LineItem(
            label="Q", score_maximum=Decimal(1), tag=tag, resource_id=resource_id, resource_link_id=link_id
        )
        assert (line_items.choose([candidate], wanted, key_is_own=True) is not None) is fits


def test_no_body_ever_holds_a_null_or_a_local_time(lms: Lms) -> None:
    launch = lms.launch("2001", "quiz-2")
    grades.record_score(launch, given=5, maximum=10)
    night("grades")
    bodies = [r.body for r in lms.sandbox.requests if r.method == "POST"]
    assert len(bodies) == 2
    for body in bodies:
        assert None not in body.values()
    assert bodies[1]["timestamp"].endswith("Z")
    assert "." in bodies[1]["timestamp"]


# --- progress without a grade (must 15) -------------------------------------------------------------------------------


def test_progress_is_sent_at_most_once_and_never_after_a_grade(lms: Lms) -> None:
    launch = lms.launch("2001")
    grades.record_score(launch, given=None, grading_progress=GradingProgress.PENDING)
    send()
    grades.record_score(launch, given=None, grading_progress=GradingProgress.PENDING_MANUAL)
    send()
    assert lms.posts() == 1
    assert (the_row().state, the_row().last_error_code) == (State.PARKED, "withheld")
    grades.record_score(launch, given=7, maximum=10)
    send()
    grades.record_score(launch, given=5, maximum=10, grading_progress=GradingProgress.PENDING)
    send()
    assert lms.posts() == 2
    assert lms.grades()[("2001", QUIZ)][0] == 7


# --- errors, each with its policy -------------------------------------------------------------------------------------


def test_a_teacher_is_not_gradable_and_blocks_nobody(lms: Lms) -> None:
    grades.record_score(lms.launch("1001"), given=5, maximum=10)
    grades.record_score(lms.launch("2001"), given=6, maximum=10)
    night("grades")
    rows = {row.lti_user.lti_id: row for row in OutgoingScore.objects.select_related("lti_user")}
    assert (rows["1001"].state, rows["1001"].last_error_code) == (State.PARKED, "person_not_gradable")
    assert rows["2001"].state == State.SENT
    run = SyncRun.objects.get(kind="grades")
    assert (run.counts["sent"], run.counts["parked"], run.outcome) == (1, 1, "partial")


@pytest.mark.parametrize("profile", ["plain", "openedx"])  # in words that we know, and in others
def test_who_was_not_gradable_is_due_again_once_an_active_learner(lms: Lms, profile: str) -> None:
    lms.sandbox.set_profile(profile)
    grades.record_score(lms.launch("1002"), given=5, maximum=10)
    night()
    assert the_row().state == State.PARKED
    lms.sandbox.courses["course-101"].change_role("1002", "Learner")
    night("rosters")
    assert the_row().state == State.DUE
    send()
    assert lms.grades()[("1002", QUIZ)][0] == 5


def test_nothing_sent_and_everything_failed_is_no_success(lms: Lms) -> None:
    grades.record_score(lms.launch("1001"), given=5, maximum=10)
    night("grades")
    assert SyncRun.objects.get(kind="grades").outcome == "failed"


CANVAS_THROTTLE = "403 Forbidden (Rate Limit Exceeded)\n"


def error(message: str = "", lms: str = "") -> dict[str, Any]:
    """LTIAAS's error body; with what the LMS said inside."""
    details = {"externalError": True, "bodyReceived": lms} if lms else {"message": message}
    return {"status": 400, "error": "Bad Request", "details": details}


@pytest.mark.parametrize(
    ("fault", "state", "code"),
    [
        ({"status": 400, "body": error("INVALID")}, "parked", "invalid_request"),
        ({"status": 500, "body": "oops", "content_type": "text/html"}, "unknown", "server_error"),
        ({"status": 502, "body": "<html>Bad Gateway</html>", "content_type": "text/html"}, "unknown", "server_error"),
        ({"drop": True}, "unknown", "outcome_unknown"),
        ({"status": 429, "body": "slow down", "headers": {"Retry-After": "7"}}, "due", "throttled"),
        ({"status": 403, "body": CANVAS_THROTTLE, "content_type": "text/plain"}, "due", "throttled"),
        ({"status": 409, "body": error(lms="Refusing score with an earlier timestamp")}, "due", "superseded"),
        ({"status": 302, "body": "", "headers": {"Location": "http://127.0.0.1:9/"}}, "due", "invalid_response"),
    ],
)  # fmt: skip
def test_each_failure_has_its_policy_and_loses_nothing(lms: Lms, fault: dict[str, Any], state: str, code: str) -> None:
    grades.record_score(lms.launch("2001"), given=5, maximum=10)
    lms.sandbox.fail_next("/api/lineitems/", method="POST", **fault)
    passes.release_night("grades")
    platform_id = Platform.objects.get().pk
    with leases.own(platform_id) as lease:
        assert lease is not None
        claimed = delivery._Pass(lease, Counter(), lambda _n: None)
        jobs = claimed.claim(10)
        with_threads(claimed, jobs)
    row = the_row()
    assert (row.state, row.last_error_code) == (state, code)
    assert ScoreAttempt.objects.get().error_code == code
    if code == "throttled":
        assert Platform.objects.get().paused_until is not None
    if state != "parked":
        send()
        assert the_row().state == State.SENT
        assert lms.grades()[("2001", QUIZ)][0] == 5


def with_threads(one_pass: delivery._Pass, jobs: list[Any]) -> None:
    with one_pass.callers():
        one_pass.take_on(jobs)
        while one_pass.open:
            one_pass.collect()


def test_ltiaas_being_down_is_retried_later_with_back_off(lms: Lms, settings: Any) -> None:
    grades.record_score(lms.launch("2001"), given=5, maximum=10)
    settings.LTIAAS = {**settings.LTIAAS, "URL": "http://127.0.0.1:9"}
    night("grades")
    row = the_row()
    assert (row.state, row.last_error_code, row.attempts) == (State.DUE, "unreachable", 1)
    assert timedelta(seconds=25) < row.due_at - timezone.now() <= timedelta(seconds=60)  # type: ignore[operator]


def test_after_enough_failures_a_score_is_parked_and_can_be_sent_again(lms: Lms, settings: Any) -> None:
    url = settings.LTIAAS["URL"]
    grades.record_score(lms.launch("2001"), given=5, maximum=10)
    settings.LTIAAS = {**settings.LTIAAS, "URL": "http://127.0.0.1:9", "MAX_ATTEMPTS": 3}
    passes.release_night("grades")
    for _ in range(5):
        send()
    assert (the_row().state, the_row().attempts) == (State.PARKED, 3)
    settings.LTIAAS = {**settings.LTIAAS, "URL": url}
    send()
    assert the_row().state == State.PARKED
    resend(OutgoingScore.objects.values_list("pk", flat=True))
    send()
    assert the_row().state == State.SENT


def test_one_bad_score_never_stops_the_others(lms: Lms) -> None:
    for person in ("2001", "2002", "2003", "2004", "2005"):
        grades.record_score(lms.launch(person), given=5, maximum=10)
    lms.sandbox.fail_next("/api/lineitems/", method="POST", status=400, body={"status": 400, "error": "Bad Request"})
    night("grades")
    assert sorted(OutgoingScore.objects.values_list("state", flat=True)) == ["parked"] + ["sent"] * 4


def test_a_deleted_line_item_is_made_anew_and_what_was_sent_goes_out_again(lms: Lms) -> None:
    grades.record_score(lms.launch("2001"), given=5, maximum=10)
    second = lms.launch("2002")
    night("grades")
    course = lms.sandbox.courses["course-101"]
    [item] = course.line_items_of("quiz-1")
    course.gradebook.delete_line_item(item.number)
    grades.record_score(second, given=6, maximum=10)
    send()
    send()
    send()
    assert {key[0]: value[0] for key, value in lms.grades().items()} == {"2001": 5, "2002": 6}
    stored = [r.body["userId"] for r in lms.sandbox.requests if r.path.endswith("/scores") and r.status == 204]
    assert sorted(stored) == ["2001", "2001", "2002"]  # once to the old column, and once each to the new one
    assert set(OutgoingScore.objects.values_list("state", flat=True)) == {"sent"}


# --- keys (must 8) ----------------------------------------------------------------------------------------------------


def test_a_refused_key_is_marked_not_hammered_and_the_work_waits_for_the_next_launch(lms: Lms) -> None:
    for person in ("2001", "2002", "2003"):
        grades.record_score(lms.launch(person), given=5, maximum=10)
    lms.sandbox.revoke_service_keys()
    night("grades")
    key = ServiceKey.objects.get()
    assert key.refused_at is not None
    assert key.last_error
    assert set(OutgoingScore.objects.values_list("state", flat=True)) <= {"waiting", "due"}
    send()
    asked = len(lms.sandbox.requests)
    send()
    assert len(lms.sandbox.requests) == asked
    assert set(OutgoingScore.objects.values_list("state", flat=True)) == {"waiting"}
    lms.launch("2004")
    assert ServiceKey.objects.get().is_healthy
    send()
    assert len(lms.grades()) == 3


def test_a_healthy_siblings_key_serves_in_the_meantime(lms: Lms) -> None:
    grades.record_score(lms.launch("2001", "quiz-1"), given=5, maximum=10)
    lms.launch("2001", "quiz-2")
    lms.sandbox.revoke_service_keys("course-101", "quiz-1")
    night("grades")
    send()
    assert lms.grades()[("2001", QUIZ)][0] == 5
    assert ServiceKey.objects.get(resource_link__lti_id="quiz-1").refused_at is not None


def test_a_wrong_api_key_marks_no_key_and_leaves_everything_due(lms: Lms, settings: Any) -> None:
    right = settings.LTIAAS
    grades.record_score(lms.launch("2001"), given=5, maximum=10)
    settings.LTIAAS = {**right, "API_KEY": "mistyped"}
    passes.release_night("grades")
    with pytest.raises(exceptions.ConfigurationError, match="API_KEY"):
        passes.work(Platform.objects.get().pk, ["grades"], "nightly")
    assert ServiceKey.objects.get().is_healthy
    assert the_row().state == State.DUE
    assert SyncRun.objects.get(kind="grades").outcome == "failed"
    settings.LTIAAS = right
    send()
    assert the_row().state == State.SENT


def test_a_key_that_cannot_be_unsealed_waits_for_the_next_launch(lms: Lms, settings: Any) -> None:
    grades.record_score(lms.launch("2001"), given=5, maximum=10)
    settings.SECRET_KEY = "another-secret-key-" * 3
    night("grades")
    assert the_row().state == State.WAITING
    assert "sealing keys" in ServiceKey.objects.get().last_error
    lms.launch("2002")
    send()
    assert the_row().state == State.SENT


# --- unknown outcomes (must 11) ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("stored", [True, False])
def test_an_unknown_outcome_is_settled_by_reading_the_gradebook(lms: Lms, stored: bool) -> None:
    grades.record_score(lms.launch("2001"), given=5, maximum=10, comment="once")
    lms.sandbox.fail_next("/api/lineitems/", method="POST", drop=True, after_storing=stored)
    night("grades")
    assert the_row().state == State.UNKNOWN
    send()
    row = the_row()
    assert row.state == State.SENT
    assert lms.grades()[("2001", QUIZ)] == (5, "once")
    assert lms.posts() == (1 if stored else 2)


def test_while_the_gradebook_cannot_be_read_nothing_is_sent_again(lms: Lms) -> None:
    grades.record_score(lms.launch("2001"), given=5, maximum=10)
    lms.sandbox.fail_next("/api/lineitems/", method="POST", drop=True, after_storing=True)
    night("grades")
    lms.sandbox.fail_next("/api/lineitems/", method="GET", status=500, body="x", times=9)
    send()
    assert the_row().state == State.UNKNOWN
    assert lms.posts() == 1


def test_a_newer_value_overtakes_an_unknown_outcome(lms: Lms) -> None:
    launch = lms.launch("2001")
    grades.record_score(launch, given=5, maximum=10)
    lms.sandbox.fail_next("/api/lineitems/", method="POST", drop=True, after_storing=True)
    night("grades")
    grades.record_score(launch, given=9, maximum=10)
    send()
    assert lms.grades()[("2001", QUIZ)][0] == 9
    assert the_row().state == State.SENT


ROW = {"given": Decimal(5), "maximum": Decimal(10), "grading_progress": "FullyGraded"}


@pytest.mark.parametrize(
    ("row", "result", "stored", "unconfirmed"),
    [
        (ROW, None, False, ""),
        (ROW, {"score": 5, "maximum": 10}, True, ""),
        (ROW, {"score": 50, "maximum": 100}, True, ""),
        (ROW, {"score": 4, "maximum": 10}, False, ""),
        ({**ROW, "given": Decimal("8.123456")}, {"score": "81.2346", "maximum": 100}, True, ""),
        ({**ROW, "given": Decimal(0)}, {}, True, ""),  # Moodle's zero
        ({**ROW, "given": Decimal(0)}, None, False, ""),
        ({**ROW, "given": None}, {}, False, ""),  # or a 0 that Moodle hides: clearing it twice is harmless
        ({**ROW, "given": None, "comment": "x"}, {"comment": "x"}, True, "score"),
        ({**ROW, "given": None}, {"score": 5, "maximum": 10}, False, ""),
        ({**ROW, "comment": "hi"}, {"score": 5, "maximum": 10}, True, "comment"),
        ({**ROW, "comment": "hi"}, {"score": 5, "maximum": 10, "comment": "hi"}, True, ""),
        ({**ROW, "comment": "hi"}, {"score": 5, "maximum": 10, "comment": "ho"}, False, ""),
        ({**ROW, "comment": "one\n\ntwo "}, {"score": 5, "maximum": 10, "comment": "one two"}, True, ""),  # Blackboard
        ({**ROW, "given": Decimal(12)}, {"score": 10, "maximum": 10}, True, ""),  # Moodle, Brightspace
        ({**ROW, "given": Decimal(12)}, {"score": 12, "maximum": 10}, True, ""),
        ({**ROW, "given": Decimal(12)}, {"score": 9, "maximum": 10}, False, ""),
        ({**ROW, "extra": {"x": 1}, "comment": "hi"}, {"score": 5, "maximum": 10}, True, "attempt, comment"),
    ],
)  # fmt: skip
def test_every_field_that_the_lms_returns_is_compared(
    row: dict[str, Any], result: dict[str, Any] | None, stored: bool, unconfirmed: str
) -> None:
    held = None
    if result is not None:
        amounts = {name: Decimal(str(value)) for name, value in result.items() if name != "comment"}
        held = data.Result(user_id="1", comment=result.get("comment"), **amounts)  # type: ignore[arg-type]
    assert verdicts.compare(OutgoingScore(**row), held) == (stored, unconfirmed)


# --- claims and leases (must 10) --------------------------------------------------------------------------------------


def claim(lms: Lms) -> tuple[leases.Lease, delivery._Pass, list[Any]]:
    """A worker that has claimed what is due and then stands still."""
    passes.release_night("grades")
    platform = Platform.objects.get()
    token = uuid.uuid4()
    Platform.objects.update(lease_token=token, lease_until=timezone.now() + timedelta(seconds=300))
    lease = leases.Lease(platform, token, time.monotonic())
    one_pass = delivery._Pass(lease, Counter(), lambda _n: None)
    return lease, one_pass, one_pass.claim(10)


def expire_leases() -> None:
    past = timezone.now() - timedelta(seconds=1)
    Platform.objects.filter(lease_until__isnull=False).update(lease_until=past)
    OutgoingScore.objects.filter(lease_until__isnull=False).update(lease_until=past)


def test_a_worker_that_died_leaves_nothing_stuck(lms: Lms) -> None:
    grades.record_score(lms.launch("2001"), given=5, maximum=10)
    _lease, _pass, jobs = claim(lms)
    assert len(jobs) == 1
    assert the_row().state == State.SENDING
    assert passes.due_platforms(["grades"]) == []
    expire_leases()
    assert len(passes.due_platforms(["grades"])) == 1
    send()
    assert the_row().state == State.SENT
    assert lms.posts() == 1


def test_a_late_outcome_under_a_lost_lease_makes_the_row_due_again(lms: Lms) -> None:
    launch = lms.launch("2001")
    grades.record_score(launch, given=5, maximum=10)
    _lease, late, jobs = claim(lms)
    expire_leases()
    grades.record_score(launch, given=9, maximum=10)
    send()
    assert lms.grades()[("2001", QUIZ)][0] == 9
    with_threads_ignoring_lease(late, jobs)  # wakes up, and overwrites the newer value
    assert lms.grades()[("2001", QUIZ)][0] == 5
    assert the_row().state == State.UNKNOWN  # the gradebook is asked which of them it holds
    send()
    assert lms.grades()[("2001", QUIZ)][0] == 9
    assert the_row().state == State.SENT


def test_what_came_of_an_earlier_claim_is_not_taken_for_the_present_one(lms: Lms) -> None:
    """The row's lease ran out while its pass waited for the database: a tick freed it, the pass claimed it anew."""
    launch = lms.launch("2001")
    grades.record_score(launch, given=5, maximum=10)
    lease, one_pass, jobs = claim(lms)
    with one_pass.callers():
        one_pass.take_on(jobs)
        while not one_pass.reports:
            time.sleep(0.01)
        grades.record_score(launch, given=9, maximum=10)
        past = timezone.now() - timedelta(seconds=2)
        OutgoingScore.objects.update(lease_until=past, attempted_at=past)
        assert outcomes.reap() == 1
        [again] = one_pass.claim(10)
        lease.is_over = True
        one_pass.take_on([again])  # too late to send anything
    assert lms.grades()[("2001", QUIZ)][0] == 5
    assert (the_row().state == State.SENT, the_row().sent_revision) == (False, None)
    expire_leases()
    send()
    assert lms.grades()[("2001", QUIZ)][0] == 9
    assert the_row().state == State.SENT


def with_threads_ignoring_lease(one_pass: delivery._Pass, jobs: list[Any]) -> None:
    one_pass.lease.allows_call = lambda claimed_at: True  # type: ignore[method-assign]
    with_threads(one_pass, jobs)


def test_the_lease_is_checked_just_before_each_send(lms: Lms) -> None:
    grades.record_score(lms.launch("2001"), given=5, maximum=10)
    lease, one_pass, jobs = claim(lms)
    for job in jobs:
        job.claimed_at -= lease.length  # the process was stopped for longer than its lease
    with_threads(one_pass, jobs)
    assert lms.posts() == 0
    assert the_row().state == State.DUE


def test_a_revision_recorded_while_another_is_in_flight_is_sent_too(lms: Lms) -> None:
    launch = lms.launch("2001")
    grades.record_score(launch, given=5, maximum=10)
    _lease, one_pass, jobs = claim(lms)
    grades.record_score(launch, given=9, maximum=10)
    with_threads(one_pass, jobs)
    row = the_row()
    assert (row.state, row.sent_revision, row.revision) == (State.DUE, 1, 2)
    assert row.due_at is not None
    assert row.due_at > timezone.now() + timedelta(seconds=0.8)
    expire_leases()
    send()
    assert lms.grades()[("2001", QUIZ)][0] == 9


def test_two_sends_for_the_same_person_are_spaced(lms: Lms) -> None:
    lms.sandbox.profile.refuse_same_second = True
    launch = lms.launch("2001")
    grades.record_score(launch, given=5, maximum=10)
    night("grades")
    grades.record_score(launch, given=9, maximum=10)
    night("grades")
    first, second = (r.at for r in lms.sandbox.requests if r.path.endswith("/scores"))
    assert second - first >= timedelta(seconds=1.1)
    assert lms.grades()[("2001", QUIZ)][0] == 9
    assert the_row().state == State.SENT


def test_only_one_worker_owns_a_platform(lms: Lms) -> None:
    lms.launch("2001")
    platform_id = Platform.objects.get().pk
    with leases.own(platform_id) as first, leases.own(platform_id) as second:
        assert first is not None
        assert second is None
    with leases.own(platform_id) as third:
        assert third is not None


def test_a_lease_that_another_worker_took_over_is_noticed(lms: Lms) -> None:
    lms.launch("2001")
    with leases.own(Platform.objects.get().pk) as lease:
        assert lease is not None
        assert lease.renew()
        Platform.objects.update(lease_token=uuid.uuid4())
        lease._ends -= 200
        assert not lease.renew()
        assert not lease.allows_call(lease._ends)


@pytest.mark.parametrize("stopped", ["everything", "platform", "context", "paused"])
def test_the_stop_switches(lms: Lms, settings: Any, stopped: str) -> None:
    launch = lms.launch("2001")
    grades.record_score(launch, given=5, maximum=10)
    before = settings.LTIAAS
    match stopped:
        case "everything":
            settings.LTIAAS = {**before, "STOPPED": True}
        case "platform":
            Platform.objects.update(is_active=False)
        case "context":
            type(launch.context).objects.update(is_active=False)
        case "paused":
            Platform.objects.update(paused_until=timezone.now() + timedelta(hours=1))
    night()
    passes.work(Platform.objects.get().pk, ["grades"], "tick")
    assert lms.posts() == 0
    assert the_row().state == State.DUE
    settings.LTIAAS = before
    Platform.objects.update(is_active=True, paused_until=None)
    type(launch.context).objects.update(is_active=True)
    send()
    assert lms.posts() == 1


def test_a_storm_of_failures_pauses_the_platform(lms: Lms, settings: Any) -> None:
    launch = lms.launch("2001")
    people = LtiUser.objects.bulk_create(LtiUser(platform=launch.context.platform, lti_id=f"p{n}") for n in range(40))
    Membership.objects.bulk_create(Membership(context=launch.context, lti_user=person) for person in people)
    link = launch.resource_link
    assert link is not None
    grades.record_scores(grades.ScoreRecord(resource_link=link, user=p, given=1, maximum=1) for p in people)
    lms.sandbox.fail_next("/api/lineitems/", method="POST", status=503, body="down", times=1000)
    night("grades")
    assert Platform.objects.get().paused_until is not None
    assert lms.posts() < 25
    assert set(OutgoingScore.objects.values_list("state", flat=True)) == {"due", "unknown"}


def test_calls_in_flight_never_exceed_the_platforms_number(lms: Lms) -> None:
    launch = lms.launch("2001")
    Platform.objects.update(parallel_calls=2)
    for person in ("2002", "2003", "2004", "2005"):
        grades.record_score(lms.launch(person), given=1, maximum=1)
    grades.record_score(launch, given=1, maximum=1)
    lms.sandbox.fail_next("/api/lineitems/", method="POST", delay=0.2, times=5)
    began = timezone.now()
    night("grades")
    # five calls of 0.2 s, two at a time
    assert timezone.now() - began >= timedelta(seconds=0.6)
    assert lms.posts() == 5


def test_a_platforms_rate_is_kept(lms: Lms) -> None:
    for person in ("2001", "2002", "2003", "2004"):
        grades.record_score(lms.launch(person), given=1, maximum=1)
    Platform.objects.update(calls_per_second=10)
    began = timezone.now()
    night("grades")
    assert timezone.now() - began >= timedelta(seconds=0.3)


# --- queries ----------------------------------------------------------------------------------------------------------


def test_queries_of_a_pass_do_not_grow_with_the_scores(lms: Lms, django_assert_max_num_queries: Any) -> None:
    launch = lms.launch("2001")
    link = launch.resource_link
    course = lms.sandbox.courses["course-101"]
    assert link is not None
    people = []
    for n in range(150):
        course.add_person(f"Learner {n}", user_id=f"n{n}")
        people.append(LtiUser(platform=launch.context.platform, lti_id=f"n{n}"))
    people = LtiUser.objects.bulk_create(people)
    grades.record_scores(grades.ScoreRecord(resource_link=link, user=p, given=1, maximum=1) for p in people)
    passes.release_night("grades")
    with django_assert_max_num_queries(60):
        passes.work(launch.context.platform_id, ["grades"], "nightly")
    assert lms.posts() == 150


def test_signals_say_what_was_sent_and_what_failed(
    lms: Lms, django_capture_on_commit_callbacks: Callable[..., Any]
) -> None:
    heard: list[tuple[str, Any]] = []

    def sent(score_id: int, revision: int, **_: Any) -> None:
        heard.append(("sent", revision))

    def failed(error_code: str, parked: bool, **_: Any) -> None:
        heard.append((error_code, parked))

    signals.score_sent.connect(sent)
    signals.score_failed.connect(failed)
    try:
        grades.record_score(lms.launch("2001"), given=5, maximum=10)
        grades.record_score(lms.launch("1001"), given=5, maximum=10)
        with django_capture_on_commit_callbacks(execute=True):
            night("grades")
    finally:
        signals.score_sent.disconnect(sent)
        signals.score_failed.disconnect(failed)
    assert sorted(heard) == [("person_not_gradable", True), ("sent", 1)]
