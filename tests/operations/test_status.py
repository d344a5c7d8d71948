"""How things stand: each number counts what it says, and the one word is neither too calm nor too loud."""

from __future__ import annotations

import dataclasses
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from ltiaas_django import grades
from ltiaas_django.models import Context, OutgoingScore, Platform, ServiceKey, SyncRun
from ltiaas_django.operations import passes, status
from ltiaas_django.testing import factories
from tests.lms import Lms, night

pytestmark = pytest.mark.django_db

State = OutgoingScore.State
QUERIES = 20  # of a look, however much there is


def hours(number: float) -> datetime:
    return timezone.now() + timedelta(hours=number)


def score(**values: Any) -> OutgoingScore:
    made: OutgoingScore = factories.OutgoingScoreFactory.create(**values)
    return made


def run(outcome: str = "ok", **values: Any) -> SyncRun:
    made: SyncRun = factories.SyncRunFactory.create(outcome=outcome, **values)
    return made


# --- numbers ----------------------------------------------------------------------------------------------------------


def test_where_there_is_nothing_all_is_well() -> None:
    standing = status.look()
    assert standing.level == "ok"
    assert (standing.failures, standing.attention) == ([], [])
    assert {*dataclasses.asdict(standing.scores).values()} == {0, None}


def test_every_score_that_is_not_sent_is_counted_once() -> None:
    sending = {"lease_token": "11111111-1111-1111-1111-111111111111", "lease_until": hours(1), "sending_revision": 1}
    oldest = hours(-30)
    score(due_at=hours(-2), recorded_at=oldest)
    score(due_at=hours(-1), state=State.UNKNOWN)
    score(due_at=hours(-9), line_item__context__is_active=False, recorded_at=hours(-90))
    score(due_at=hours(-9), line_item__context__concluded_at=hours(-1), recorded_at=hours(-90))
    score(due_at=hours(1), attempts=2)
    score(due_at=None)
    score(state=State.SENDING, **sending)
    waiting = score(state=State.WAITING)
    score(state=State.WAITING, line_item=waiting.line_item)
    score(state=State.PARKED, attempts=8, recorded_at=hours(-90))
    score(sent=True)
    found = status.look().scores
    expected = {
        "due": 4, "later": 1, "night": 1, "sending": 1, "launch": 2, "parked": 1, "unknown": 1, "stopped": 2,
        "overdue": 0, "courses_failing": 1, "courses_waiting": 1,
    }  # fmt: skip
    assert {name: getattr(found, name) for name in expected} == expected
    assert found.unsent_since == oldest
    assert found.due_since is not None
    assert abs(found.due_since - hours(-2)) < timedelta(minutes=1)
    parts = (found.due, found.later, found.night, found.sending, found.launch, found.parked)
    assert sum(parts) == OutgoingScore.objects.open().count()


def test_rosters_keys_checks_drift_and_switches() -> None:
    factories.ContextFactory(roster_due_at=hours(-1), check_due_at=hours(-1))
    factories.ContextFactory(roster_due_at=hours(-1), check_due_at=hours(-1), is_active=False)
    factories.ContextFactory(roster_due_at=hours(1), roster_failures=2, roster_error="The LMS said 500")
    factories.ContextFactory(roster_held={"count": 9, "of": 10}, platform__is_active=False)
    factories.PlatformFactory(paused_until=hours(1), pause_reason="The LMS said 429")
    factories.PlatformFactory(paused_until=hours(-1))
    factories.ServiceKeyFactory(refused_at=hours(-1))
    score(sent=True, drift="overridden")
    score(sent=True, drift="missing")
    score(sent=True, drift="missing")
    score(drift="missing")
    standing = status.look()
    assert (standing.rosters.due, standing.rosters.failing, standing.rosters.held) == (1, 1, 1)
    assert standing.rosters.checks_due == 1
    assert (standing.keys_refused, standing.platforms_stopped, standing.courses_stopped) == (1, 1, 1)
    assert standing.drift == {"missing": 2, "overridden": 1}
    assert [(one.why, standing.platforms_paused) for one in standing.paused] == [("The LMS said 429", 1)]
    [failing] = standing.courses
    assert (failing.what, failing.failures, failing.why) == ("roster", 2, "The LMS said 500")
    assert set(standing.attention) == {"failing_courses", "held_departures", "paused_platforms"}


def test_the_worst_courses_come_first_with_a_reason() -> None:
    many = score(attempts=3, due_at=hours(1), last_error="The LMS said 503").line_item
    score(line_item=many, attempts=1, due_at=hours(1))
    few = score(attempts=1, due_at=hours(1), last_error="no").line_item
    roster = factories.ContextFactory(roster_failures=7, roster_error="cut off")
    found = [(one.context_id, one.what, one.failures, one.why) for one in status.look().courses]
    assert found == [
        (many.context_id, "scores", 2, "The LMS said 503"),
        (few.context_id, "scores", 1, "no"),
        (roster.pk, "roster", 7, "cut off"),
    ]
    factories.ContextFactory.create_batch(20, roster_failures=1)
    assert len(status.look().courses) == status.TOP
    assert status.look().rosters.failing == 21


def test_one_platform_alone() -> None:
    mine, other = score(due_at=hours(-1)), score(due_at=hours(-1), sent=False)
    factories.ServiceKeyFactory(refused_at=hours(-1), context=other.line_item.context)
    run("failed", platform=other.line_item.context.platform, counts={"failed": 9})
    standing = status.look(mine.line_item.context.platform_id)
    assert (standing.scores.due, standing.keys_refused, standing.level) == (1, 0, "ok")
    assert standing.last_runs == ()


def test_the_last_run_of_each_kind() -> None:
    run(started_at=hours(-5))
    last = run("partial", started_at=hours(-1), counts={"sent": 3, "failed": 1})
    run(started_at=hours(-0.1), platform=None)
    check = run(kind="check", counts={"read": 1})
    run(kind="rosters", started_at=hours(-72))
    found = {one.kind: one for one in status.look().last_runs}
    assert {kind: one.platform_id for kind, one in found.items()} == {
        "grades": last.platform_id,
        "check": check.platform_id,
    }
    assert found["grades"].counts == {"sent": 3, "failed": 1}


# --- the one word -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ({"state": State.PARKED}, "parked_scores"),
        ({"state": State.WAITING}, "scores_waiting_for_a_launch"),
        ({"attempts": 1, "due_at": hours(1)}, "failing_courses"),
    ],
)
def test_what_single_scores_lack_asks_for_attention_and_is_no_failure(values: dict[str, Any], word: str) -> None:
    score(**values)
    standing = status.look()
    assert (standing.level, standing.attention) == ("attention", [word])


@pytest.mark.parametrize("send", ["nightly", "on_commit"])
@pytest.mark.parametrize(
    ("kind", "in_the_way"),
    [
        ("due", {}),
        ("night", {}),
        ("roster", {}),
        ("due", {"paused_until": hours(1)}),
        ("due", {"lease_until": hours(1)}),
        ("due", {"is_active": False}),
        ("roster", {"paused_until": hours(1)}),
    ],
)
def test_work_that_nobody_does_is_a_failure_unless_something_is_in_its_way(
    settings: Any, send: str, kind: str, in_the_way: dict[str, Any]
) -> None:
    settings.LTIAAS = {**settings.LTIAAS, "SEND": send}
    patience = 1 if send == "on_commit" and kind != "night" else 36
    platform = factories.PlatformFactory(**in_the_way)
    for age, expected in ((patience - 0.5, False), (patience + 0.5, not in_the_way)):
        Context.objects.all().delete()
        if kind == "roster":
            factories.ContextFactory(platform=platform, roster_due_at=hours(-age))
        else:
            since = hours(-age)
            due_at = None if kind == "night" else since
            score(line_item__context__platform=platform, due_at=due_at, recorded_at=since)
        standing = status.look()
        assert (standing.level == "failing") == expected, age
        word = "overdue_rosters" if kind == "roster" else "overdue_scores"
        assert standing.failures == ([word] if expected else [])


def test_what_is_tried_every_night_is_not_overdue() -> None:
    """A course that is not published yet: its scores wait for the night again and again."""
    score(recorded_at=hours(-300), attempted_at=hours(-10), attempts=4)
    assert status.look().failures == []


def test_a_pass_in_which_nothing_worked_is_a_failure_until_one_goes_well() -> None:
    failed = run("failed", counts={"failed": 30}, started_at=hours(-2))
    assert [one.counts for one in status.look().fruitless] == [{"failed": 30}]
    run("running", platform=failed.platform, started_at=hours(-1.5))
    run("ok", started_at=hours(-1))
    run("ok", kind="rosters", platform=failed.platform, started_at=hours(-1))
    assert status.look().failures == ["fruitless_runs"]
    run("partial", platform=failed.platform, started_at=hours(-0.5))
    assert status.look().level == "ok"


@pytest.mark.parametrize(
    ("values", "is_alarm"),
    [
        ({"counts": {"failed": 4}}, False),
        ({"counts": {"failed": 2, "waiting": 2, "parked": 1}}, True),
        ({"counts": {}, "error": "OperationalError: gone"}, True),
        ({"counts": {}, "platform": None, "error": "ValueError: SCORE_SOURCE"}, True),
        ({"counts": {"failed": 9}, "platform__is_active": False}, False),
        ({"counts": {"failed": 9}, "started_at": hours(-72)}, False),
    ],
)
def test_which_failed_runs_are_an_alarm(values: dict[str, Any], is_alarm: bool) -> None:
    run("failed", **values)
    assert (status.look().level == "failing") == is_alarm


def test_a_source_that_answers_again_is_no_alarm() -> None:
    run("failed", platform=None, counts={}, started_at=hours(-2))
    run("ok", platform=None, started_at=hours(-1))
    assert status.look().level == "ok"


def test_everything_stopped(settings: Any) -> None:
    settings.LTIAAS = {**settings.LTIAAS, "STOPPED": True}
    run("failed", counts={})
    assert status.look().level == "stopped"


def test_a_real_night_that_fails_is_told(lms: Lms) -> None:
    for person in ("2001", "2002", "2003", "2004", "2005"):
        grades.record_score(lms.launch(person), given=1, maximum=1)
    assert status.look().scores.night == 5
    lms.sandbox.fail_next("/api/lineitems", status=422, body="no", times=1000)
    night("grades")
    assert status.look().failures == ["fruitless_runs"]
    lms.sandbox.clear_faults()
    OutgoingScore.objects.update(state=State.DUE, due_at=timezone.now(), attempted_at=None)
    Platform.objects.update(paused_until=None)
    passes.work(Platform.objects.get().pk, ["grades"], "tick")
    standing = status.look()
    assert standing.level == "ok"
    assert standing.last_runs[0].counts["sent"] == 5


# --- what it costs ----------------------------------------------------------------------------------------------------


def test_a_look_asks_as_often_whatever_there_is() -> None:
    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            status.look()
        return len(queries)

    assert count() <= QUERIES
    for _number in range(12):
        item = score(attempts=1, due_at=hours(1)).line_item
        factories.ContextFactory(roster_failures=1)
        factories.PlatformFactory(paused_until=hours(1))
        run("failed", platform=item.context.platform)
    assert count() <= QUERIES


def test_what_exists_is_not_read_to_find_what_is_open() -> None:
    """Of the large tables only the courses are gone through, to count those that are stopped."""
    factories.OutgoingScoreFactory.create_batch(3, sent=True)
    factories.ServiceKeyFactory.create_batch(3)
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")  # else a small table is read whole, index or not
    with CaptureQueriesContext(connection) as queries:
        status.look()
    explain = "EXPLAIN QUERY PLAN " if connection.vendor == "sqlite" else "EXPLAIN "
    plans = []
    with connection.cursor() as cursor:
        for query in queries.captured_queries:
            if query["sql"].startswith("SELECT"):
                cursor.execute(explain + query["sql"].replace("%", "%%"))
                plans.append("\n".join(str(line[-1]) for line in cursor.fetchall()))
    text = "\n".join(plans)
    for index in (
        "ltiaas_score_open", "ltiaas_score_drift", "ltiaas_context_failing", "ltiaas_context_held",
        "ltiaas_key_refused",
    ):  # fmt: skip
        assert index in text, index
    for table in (OutgoingScore, ServiceKey):
        name = table._meta.db_table
        assert f"Seq Scan on {name}" not in text
        assert f"SCAN {name}\n" not in text + "\n"
