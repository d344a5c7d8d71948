"""Reading a gradebook back: what a teacher has changed, emptied or deleted is found, and nothing else is."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from ltiaas_django import data, exceptions, grades
from ltiaas_django.models import Context, Launch, LineItem, LtiUser, OutgoingScore, Platform
from ltiaas_django.operations import drift, leases, passes
from ltiaas_django.operations.grades import resend, resend_all
from ltiaas_django.sandbox.gradebook import Cell
from ltiaas_django.testing import factories
from ltiaas_django.vocabulary import GradingProgress
from tests.lms import Lms, night
from tests.operations.test_locks import open_transaction

State, Drift = OutgoingScore.State, OutgoingScore.Drift


def check(context: Context | None = None) -> Counter[str]:
    """Check a course's gradebook, as the pass over its platform does."""
    context = context or Context.objects.get()
    Context.objects.filter(pk=context.pk).update(check_due_at=timezone.now())
    with leases.own(context.platform_id) as lease:
        assert lease is not None
        return drift.check(context, lease)


def fail(context: Context | None = None) -> exceptions.LtiError:
    """What a check ends with."""
    with pytest.raises(exceptions.LtiError) as caught:
        check(context)
    return caught.value


def sent(lms: Lms, *people: str, given: Any = 8, activity: str = "quiz-1", **more: Any) -> Launch:
    """These people's scores stand in the gradebook."""
    for person in people:
        launch = lms.launch(person, activity)
        grades.record_score(launch, given=given, maximum=None if given is None else 10, **more)
    night("grades")
    assert not OutgoingScore.objects.open().exists()
    return launch


def cell(lms: Lms, person: str, activity: str = "quiz-1") -> Cell:
    course = lms.sandbox.courses["course-101"]
    found = course.gradebook.cell(course.line_items_of(activity)[0], person)
    assert found is not None
    return found


def delete_column(lms: Lms, activity: str = "quiz-1") -> None:
    course = lms.sandbox.courses["course-101"]
    course.gradebook.delete_line_item(course.line_items_of(activity)[0].number)


def found() -> dict[str, str]:
    """Each person's drift."""
    return dict(OutgoingScore.objects.values_list("lti_user__lti_id", "drift"))


# --- what differs -----------------------------------------------------------------------------------------------------


def test_what_a_teacher_changed_is_found_with_its_value_and_nothing_else(lms: Lms) -> None:
    sent(lms, "2001", "2002", "2003", comment="well done")
    cell(lms, "2001").score = Decimal("9.5")
    cell(lms, "2002").comment = "<p>well done</p>"
    assert check() == {"read": 1, "overridden": 1}
    assert found() == {"2001": "overridden", "2002": "", "2003": ""}
    row = OutgoingScore.objects.get(drift="overridden")
    assert (row.result_score, row.result_maximum) == (Decimal("9.5"), Decimal(10))
    assert row.result_at is not None
    context = Context.objects.get()
    assert context.checked_at is not None
    assert (context.check_due_at, context.check_error) == (None, "")


def test_an_emptied_cell_and_a_lost_one_are_two_things(lms: Lms) -> None:
    sent(lms, "2001", "2002", "2003")
    course = lms.sandbox.courses["course-101"]
    cell(lms, "2001").score = None
    [item] = course.line_items_of("quiz-1")
    del course.gradebook._columns[item.number]["2002"]
    assert check() == {"read": 1, "overridden": 1, "missing": 1}
    assert found() == {"2001": "overridden", "2002": "missing", "2003": ""}


def test_a_zero_that_is_read_back_without_a_value_agrees(lms: Lms) -> None:
    """Moodle does so; what was 8 and reads back like that has become a 0."""
    sent(lms, "2001", given=0)
    sent(lms, "2002")
    for person in ("2001", "2002"):
        cell(lms, person).score = None
    check()
    assert found() == {"2001": "", "2002": "overridden"}


def test_a_cleared_grade_agrees_while_nothing_is_held(lms: Lms) -> None:
    sent(lms, "2001", "2002", given=None)
    cell(lms, "2002").score = Decimal(5)
    check()
    assert found() == {"2001": "", "2002": "overridden"}


def test_rescaled_columns_and_rounding_agree(lms: Lms) -> None:
    sent(lms, "2001", given="8.12345")
    course = lms.sandbox.courses["course-101"]
    [item] = course.line_items_of("quiz-1")
    course.gradebook.replace_line_item(item.number, item.label, Decimal(30), resource_link_id="quiz-1")
    cell(lms, "2001").score = Decimal("24.3700")
    assert check() == {"read": 1}


@pytest.mark.parametrize("held", ["4", "8", "0.8"])
def test_a_value_without_a_maximum_agrees_in_whichever_unit_it_may_be(held: str) -> None:
    row = factories.OutgoingScoreFactory.build(given=Decimal(4), maximum=Decimal(5), line_item__score_maximum=10)
    assert drift._drift(row, False, data.Result(user_id="1", score=Decimal(held))) == ""
    assert drift._drift(row, False, data.Result(user_id="1", score=Decimal(held) + 1)) == "overridden"


def test_progress_that_no_lms_tells_of_is_not_compared(lms: Lms) -> None:
    sent(lms, "2001", given=None, grading_progress=GradingProgress.PENDING)
    cell(lms, "2001").score = Decimal(7)
    assert check() == {"read": 1}
    assert found() == {"2001": ""}


def test_a_deleted_column_is_found(lms: Lms) -> None:
    sent(lms, "2001", "2002")
    sent(lms, "2003", activity="quiz-2")
    delete_column(lms)
    assert check() == {"read": 1, "column_gone": 2}
    assert found() == {"2001": "column_gone", "2002": "column_gone", "2003": ""}
    assert LineItem.objects.get(gone_at__isnull=False).resource_link.lti_id == "quiz-1"  # type: ignore[union-attr]


def test_a_deleted_column_that_reads_as_an_empty_one_is_found(lms: Lms) -> None:
    sent(lms, "2001")
    delete_column(lms)
    lms.sandbox.fail_next("/api/lineitems/", method="GET", status=200, body={"scores": []})
    assert check() == {"read": 1, "column_gone": 1}


def test_what_agrees_again_is_no_longer_marked(lms: Lms) -> None:
    sent(lms, "2001")
    cell(lms, "2001").score = Decimal(1)
    check()
    cell(lms, "2001").score = Decimal(8)
    check()
    row = OutgoingScore.objects.get()
    assert (row.drift, row.result_score, row.result_maximum, row.result_at) == ("", None, None, None)


def test_a_number_beyond_our_columns_stops_nobody(lms: Lms) -> None:
    sent(lms, "2001", "2002")
    cell(lms, "2001").score = Decimal(10**12)
    cell(lms, "2002").score = Decimal("1.23456789")
    assert check() == {"read": 1, "overridden": 2}
    held = dict(OutgoingScore.objects.values_list("lti_user__lti_id", "result_score"))
    assert held == {"2001": None, "2002": Decimal("1.23457")}


def test_what_is_not_sent_is_left_alone(lms: Lms) -> None:
    launch = sent(lms, "2001")
    cell(lms, "2001").score = Decimal(1)
    grades.record_score(launch, given=9, maximum=10)
    assert check() == {"read": 1}
    assert found() == {"2001": ""}


# --- at what cost -----------------------------------------------------------------------------------------------------


def test_each_column_is_read_once_and_only_differences_are_written(lms: Lms, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drift, "_CHUNK", 2)
    lms.sandbox.profile.page_size = 100
    sent(lms, "2001", "2002", "2003", "2004")
    sent(lms, "2001", activity="quiz-2")
    before = len(lms.sandbox.requests)
    with CaptureQueriesContext(connection) as queries:
        check()
    assert len(lms.sandbox.requests) - before == 2
    assert not [q["sql"] for q in queries if q["sql"].startswith('UPDATE "ltiaas_django_outgoingscore"')]
    for person in ("2001", "2004"):
        cell(lms, person).score = Decimal(1)
    assert check()["overridden"] == 2
    with CaptureQueriesContext(connection) as queries:
        assert check()["overridden"] == 2
    assert not [q["sql"] for q in queries if q["sql"].startswith('UPDATE "ltiaas_django_outgoingscore"')]


def test_a_row_that_a_tool_holds_is_not_waited_for(postgresql: None, transactional_db: None, lms: Lms) -> None:
    launch = sent(lms, "2001", "2002")
    for person in ("2001", "2002"):
        cell(lms, person).score = Decimal(1)
    counts: list[Counter[str]] = []

    def checking() -> None:
        counts.append(check())
        connection.close()

    checker = threading.Thread(target=checking)
    with open_transaction(launch, given=9):
        checker.start()
        checker.join(10)
        assert counts
    assert found() == {"2001": "overridden", "2002": ""}


# --- what goes wrong --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ({"status": 503, "body": "down", "times": 10}, exceptions.ServerError),
        ({"status": 429, "body": "slow", "times": 10}, exceptions.Throttled),
        ({"status": 200, "body": {"scores": [{"resultScore": 1}]}}, exceptions.InvalidResponse),
        ({"status": 200, "body": {"scores": [{"userId": "2001", "resultScore": "many"}]}}, exceptions.InvalidResponse),
        ({"status": 200, "body": "<html>"}, exceptions.InvalidResponse),
        ({"drop": True, "times": 10}, exceptions.ApiError),
    ],
)
def test_a_bad_answer_is_written_down_and_the_course_not_asked_again(
    lms: Lms, fault: dict[str, Any], kind: type[exceptions.LtiError]
) -> None:
    sent(lms, "2001")
    lms.sandbox.fail_next("/api/lineitems/", method="GET", **fault)
    error = fail()
    assert isinstance(error, kind)
    context = Context.objects.get()
    assert context.check_error == str(error)[:500]
    assert (context.check_due_at, context.checked_at) == (None, None)
    assert found() == {"2001": ""}
    lms.sandbox.clear_faults()
    check()
    assert Context.objects.get().check_error == ""


def test_a_column_that_cannot_be_read_does_not_hide_the_others(lms: Lms) -> None:
    sent(lms, "2001")
    sent(lms, "2002", activity="quiz-2")
    cell(lms, "2002", "quiz-2").score = Decimal(1)
    lms.sandbox.fail_next("/api/lineitems/", method="GET", status=400, body="no")
    fail()
    assert found() == {"2001": "", "2002": "overridden"}
    assert "400" in Context.objects.get().check_error


def test_a_storm_is_not_answered_with_more_calls(lms: Lms) -> None:
    sent(lms, "2001")
    sent(lms, "2002", activity="quiz-2")
    before = len(lms.sandbox.requests)
    lms.sandbox.fail_next("/api/lineitems/", method="GET", status=503, body="down", times=100)
    fail()
    asked = {r.path for r in lms.sandbox.requests[before:]}
    assert len(asked) == 1


def test_a_refused_key_gives_way_to_a_sibling_and_without_one_the_course_says_so(lms: Lms) -> None:
    sent(lms, "2001")
    lms.launch("2002", "quiz-2")
    lms.sandbox.revoke_service_keys("course-101", "quiz-1")
    assert check() == {"read": 1}
    lms.sandbox.revoke_service_keys()
    fail()
    assert isinstance(fail(), exceptions.ServiceNotOffered)
    assert "launch" in Context.objects.get().check_error


def test_our_refused_api_key_is_no_fault_of_the_courses(lms: Lms, settings: Any) -> None:
    sent(lms, "2001")
    settings.LTIAAS = {**settings.LTIAAS, "API_KEY": "wrong"}
    assert isinstance(fail(), exceptions.ConfigurationError)
    context = Context.objects.get()
    assert context.check_due_at is not None
    assert context.check_error == ""


def test_a_lost_lease_ends_the_check_and_the_course_stays_due(lms: Lms, settings: Any) -> None:
    settings.LTIAAS = {**settings.LTIAAS, "LEASE": 1.5, "CALL_DEADLINE": 0.6}
    launch = sent(lms, "2001", "2002", "2003", "2004")
    context = launch.context
    assert context is not None
    cell(lms, "2001").score = Decimal(1)
    Context.objects.update(check_due_at=timezone.now())
    lms.sandbox.fail_next("/api/lineitems/", method="GET", delay=0.25, times=10)
    with leases.own(context.platform_id) as lease:
        assert lease is not None
        Platform.objects.update(lease_token="11111111-1111-1111-1111-111111111111")
        with pytest.raises(exceptions.Unreachable):
            drift.check(context, lease)
    assert Context.objects.get().check_due_at is not None
    assert found()["2001"] == ""


def test_what_was_sent_since_the_reading_began_is_not_held_against_it(lms: Lms) -> None:
    """Another worker took over, and was faster."""
    launch = sent(lms, "2001", "2002")
    assert launch.context is not None
    stale = {"2001": data.Result(user_id="2001", score=Decimal(1)), "2002": data.Result(user_id="2002")}
    [item] = LineItem.objects.filter(scores__isnull=False).distinct()
    OutgoingScore.objects.filter(lti_user__lti_id="2001").update(sent_at=timezone.now() + timedelta(seconds=5))
    with leases.own(launch.context.platform_id) as lease:
        assert lease is not None
        assert drift._note(item, stale, lease, timezone.now()) == {"overridden": 1}
    assert found() == {"2001": "", "2002": "overridden"}


def test_the_platforms_rate_is_kept(lms: Lms, monkeypatch: pytest.MonkeyPatch) -> None:
    sent(lms, "2001")
    sent(lms, "2001", activity="quiz-2")
    turns = []
    monkeypatch.setattr(leases.Lease, "wait_turn", lambda _lease: turns.append(1))
    check()
    assert len(turns) == 2


# --- sending again ----------------------------------------------------------------------------------------------------


def test_sending_all_again_leaves_out_what_a_teacher_has_overridden(lms: Lms) -> None:
    launch = sent(lms, "2001", "2002", "2003")
    cell(lms, "2001").score = Decimal(10)
    [item] = lms.sandbox.courses["course-101"].line_items_of("quiz-1")
    del lms.sandbox.courses["course-101"].gradebook._columns[item.number]["2002"]
    check()
    OutgoingScore.objects.update(attempted_at=timezone.now() - timedelta(minutes=1))
    assert launch.context is not None
    assert resend_all(launch.context) == (2, 1)
    night("grades")
    assert {person: int(score) for (person, _label), (score, _comment) in lms.grades().items()} == {
        "2001": 10, "2002": 8, "2003": 8,
    }  # fmt: skip


def test_an_overridden_grade_that_is_chosen_is_sent_again(lms: Lms) -> None:
    sent(lms, "2001")
    cell(lms, "2001").score = Decimal(10)
    check()
    OutgoingScore.objects.update(attempted_at=timezone.now() - timedelta(minutes=1))
    assert resend([OutgoingScore.objects.get().pk]) == 1
    night("grades")
    assert cell(lms, "2001").score == 8


def test_a_grade_that_is_sent_again_differs_no_longer(lms: Lms) -> None:
    sent(lms, "2001")
    cell(lms, "2001").score = Decimal(10)
    check()
    resend([OutgoingScore.objects.get().pk])
    OutgoingScore.objects.update(attempted_at=timezone.now() - timedelta(minutes=1))
    night("grades")
    assert OutgoingScore.objects.get().drift == ""
    assert check() == {"read": 1}


def test_whoever_asks_for_a_check_gets_a_run(lms: Lms) -> None:
    launch = sent(lms, "2001", "2002")
    context = launch.context
    assert context is not None
    cell(lms, "2001").score = Decimal(1)
    passes.request_check(context)
    assert passes.due_platforms(["check"]) == [context.platform_id]
    [run] = passes.work(context.platform_id, ["check"], "admin")
    assert (run.kind, run.outcome, run.counts) == ("check", "ok", {"read": 1, "overridden": 1})
    assert passes.due_platforms(["check"]) == []


def test_the_columns_of_other_courses_are_not_asked_for(lms: Lms) -> None:
    sent(lms, "2001")
    launch = lms.launch("2001", "quiz-1", "course-101")
    other = factories.OutgoingScoreFactory(sent=True, line_item__context__platform=launch.lti_user.platform)
    assert launch.context is not None
    check(launch.context)
    assert resend_all(launch.context)[0] == 1
    other.refresh_from_db()
    assert (other.state, other.drift) == (State.SENT, "")
    assert LtiUser.objects.count() == 2
