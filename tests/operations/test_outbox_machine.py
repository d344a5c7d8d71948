"""Any interleaving of recording, sending, dying, launching anew and coming back late ends in the newest value.

The real functions, the real database, and a sandbox behind a real socket. Only the clock is made up: tool and LMS
share it, and whoever sleeps moves it.
"""

from __future__ import annotations

import dataclasses
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import hypothesis
import pytest
from django.contrib.auth import get_user_model
from django.db import connection, transaction
from django.utils import timezone
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from ltiaas_django import grades
from ltiaas_django.models import LtiUser, OutgoingScore, Platform, ResourceLink, SyncRun
from ltiaas_django.operations import passes
from ltiaas_django.operations.grades import resend
from ltiaas_django.sandbox import services
from ltiaas_django.sandbox.gradebook import Cell, Gradebook, LineItem
from ltiaas_django.vocabulary import GradingProgress
from tests.lms import Lms

State = OutgoingScore.State

COURSE = "course-101"
ACTIVITIES = ("quiz-1", "quiz-2")  # of the second the column must be created
PEOPLE = ("2001", "2002", "1002")  # the last one teaches, and cannot be graded at first
SCORES = "/api/lineitems/"
LONG = 7 * 3600.0  # longer than any lease, pause or wait between two attempts
MAXIMUM = 1000

TROUBLES: dict[str, dict[str, Any]] = {
    "the request is lost": {"drop": True},
    "the answer is lost": {"drop": True, "after_storing": True},
    "a gateway gives up, nothing was stored": {"status": 503},
    "a gateway gives up, it was stored": {"status": 502, "after_storing": True},
    "a yes in words that nobody understands": {"status": 200, "body": "<p>", "after_storing": True},
    "Canvas throttles": {"status": 403, "body": "403 Forbidden (Rate Limit Exceeded)\n"},
    "Brightspace throttles": {"status": 429, "headers": {"Retry-After": "7"}},
    "the key is refused": {"status": 403, "body": "Not allowed in context"},
    "superseded": {"status": 409, "body": "Refusing score with an earlier timestamp"},
    "the person is not gradable": {"status": 400, "body": "Incorrect score received"},
    "the column is gone": {"status": 404, "body": {"errors": {"message": "The specified resource does not exist."}}},
    "our request is wrong": {"status": 400, "body": "No."},
    "the gradebook cannot be read": {"status": 500, "method": "GET"},
}


class Killed(BaseException):
    """The worker's process is gone."""


@dataclasses.dataclass
class Wanted:
    """What a tool has recorded last for one person and activity."""

    given: int | None
    comment: str
    is_grade: bool = True


@dataclasses.dataclass
class Stored:
    """A score that the LMS has taken."""

    column: str
    person: str
    given: Any
    comment: str
    is_grade: bool


class Outbox(RuleBasedStateMachine):
    """A course of two activities and three people, an outbox, and what becomes of it."""

    def __init__(self, lms: Lms, stored: list[Stored]) -> None:
        super().__init__()
        self.lms, self.stored = lms, stored
        self.wanted: dict[tuple[str, str], Wanted] = {}
        self.numbers = iter(range(1, MAXIMUM))
        self.allowed: Counter[str] = Counter()
        self.was_late = False
        """A worker has sent under a lease that another took over: then nobody can promise what is sent only once."""
        empty_the_tables()
        stored.clear()
        lms.sandbox.reset()
        self.course = lms.sandbox.courses[COURSE]
        for activity in ACTIVITIES:
            lms.launch("1001", activity)
        platform = Platform.objects.get()
        LtiUser.objects.bulk_create(LtiUser(platform=platform, lti_id=person) for person in PEOPLE)
        self.platform_id = platform.pk

    @initialize(parallel=st.sampled_from([1, 4]), profile=st.sampled_from(["all", "value", "moodle"]))
    def meet(self, parallel: int, profile: str) -> None:
        """Which LMS it is: what its gradebook tells of a score, and how many calls it takes at once."""
        Platform.objects.update(parallel_calls=parallel)
        self.lms.sandbox.results_tell = profile  # type: ignore[attr-defined]

    # --- what a tool does ---

    @rule(
        activity=st.sampled_from(ACTIVITIES),
        person=st.sampled_from(PEOPLE),
        kind=st.sampled_from(["points", "points", "zero", "clear", "progress"]),
        has_comment=st.booleans(),
    )
    def record(self, activity: str, person: str, kind: str, has_comment: bool) -> None:
        number = next(self.numbers)
        given = {"points": number, "zero": 0}.get(kind)
        wanted = Wanted(given, f"note {number}" if has_comment else "", is_grade=kind != "progress")
        grades.record_score(
            ResourceLink.objects.select_related("context").get(lti_id=activity),
            user=LtiUser.objects.get(lti_id=person),
            given=wanted.given,
            maximum=None if given is None else MAXIMUM,
            comment=wanted.comment,
            grading_progress=GradingProgress.FULLY_GRADED if wanted.is_grade else GradingProgress.PENDING,
        )
        self.wanted[activity, person] = wanted
        self.allowed[wanted.comment] = 1

    # --- what workers do ---

    @rule()
    def night(self) -> None:
        passes.release_night("grades")
        self.work()

    @rule(trouble=st.sampled_from(sorted(TROUBLES)), times=st.integers(1, 12))
    def night_with_trouble(self, trouble: str, times: int) -> None:
        self.lms.sandbox.fail_next(SCORES, **{"method": "POST", **TROUBLES[trouble]}, times=times)
        self.night()
        self.lms.sandbox.traffic._faults.clear()

    @rule()
    def tick(self) -> None:
        passes.tidy()
        self.work()

    @rule(step=st.integers(0, 60), is_killed=st.booleans())
    def worker_ends(self, step: int, is_killed: bool) -> None:
        """Killed, or told to end, before any statement of its pass."""
        passes.release_night("grades")
        try:
            with dying(step, Killed if is_killed else KeyboardInterrupt, for_good=is_killed):
                self.work()
        except (Killed, KeyboardInterrupt):
            pass

    @rule(step=st.integers(0, 30), data=st.data())
    def meanwhile(self, step: int, data: st.DataObject) -> None:
        """Something happens in the middle of a pass, between two of its transactions."""
        happening = data.draw(st.sampled_from(["recorded", "launched", "refused", "column deleted", "fired twice"]))
        activity, person = data.draw(st.sampled_from(ACTIVITIES)), data.draw(st.sampled_from(PEOPLE))
        actions: dict[str, Callable[[], None]] = {
            "recorded": lambda: self.record(activity, person, "points", True),
            "launched": lambda: self.launch(activity, "1001"),
            "refused": lambda: self.key_refused(activity),
            "column deleted": lambda: self.column_deleted(activity),
            "fired twice": self.tick,
        }
        passes.release_night("grades")
        with happens(step, actions[happening]):
            self.work()

    @rule(step=st.integers(0, 30), newer=st.booleans(), trouble=st.sampled_from([None, *sorted(TROUBLES)]))
    def overtaken(self, step: int, newer: bool, trouble: str | None) -> None:
        """Another worker's clock is ahead: it takes over while the first one still believes in its lease."""

        def take_over() -> None:
            self.was_late = True
            self.lms.sandbox.advance_clock(400)
            if newer:
                self.record(ACTIVITIES[0], PEOPLE[0], "points", True)
            self.night()

        if trouble:
            self.lms.sandbox.fail_next(SCORES, **{"method": "POST", **TROUBLES[trouble]})
        passes.release_night("grades")
        with happens(step, take_over):
            self.work()
        self.lms.sandbox.traffic._faults.clear()

    def work(self) -> None:
        for platform_id in passes.due_platforms(["grades"]):
            passes.work(platform_id, ["grades"], SyncRun.Trigger.TICK)

    @rule(seconds=st.sampled_from([2.0, 90.0, 400.0, LONG]))
    def time_passes(self, seconds: float) -> None:
        self.lms.sandbox.advance_clock(seconds)

    # --- what happens in the LMS ---

    @rule(activity=st.sampled_from(ACTIVITIES), person=st.sampled_from(["1001", "2001"]))
    def launch(self, activity: str, person: str) -> None:
        self.lms.launch(person, activity)

    @rule(activity=st.sampled_from([None, *ACTIVITIES]))
    def key_refused(self, activity: str | None) -> None:
        self.lms.sandbox.revoke_service_keys(COURSE, activity)

    @rule(activity=st.sampled_from(ACTIVITIES))
    def column_deleted(self, activity: str) -> None:
        for item in self.course.line_items_of(activity):
            self.course.gradebook.delete_line_item(item.number)

    @rule(person=st.sampled_from(PEOPLE), role=st.sampled_from(["Learner", "Instructor"]))
    def role_changes(self, person: str, role: str) -> None:
        self.course.change_role(person, role)
        self.lms.launch(person, ACTIVITIES[0])

    # --- what an operator does ---

    @rule()
    def sends_everything_again(self) -> None:
        for row in OutgoingScore.objects.filter(state=State.SENT):
            self.allowed[row.comment] += 1
        resend(OutgoingScore.objects.values_list("pk", flat=True))

    # --- what must hold ---

    @invariant()
    def what_is_called_sent_is_in_the_gradebook(self) -> None:
        for row in OutgoingScore.objects.filter(state=State.SENT).select_related("line_item__resource_link"):
            column = next(
                (c for c in self.columns(row.line_item.resource_link.lti_id) if c.id == row.line_item.lti_id), None
            )
            wanted = self.wanted[row.line_item.resource_link.lti_id, row.lti_user.lti_id]
            if column is not None and wanted.is_grade:  # else it was deleted, and nobody knows that yet
                self.is_held(wanted, row, self.course.gradebook.cell(column, row.lti_user.lti_id))

    @invariant()
    def what_is_parked_says_why(self) -> None:
        assert not OutgoingScore.objects.filter(state=State.PARKED, last_error="").exists()

    @invariant()
    def nothing_is_doubled_or_wiped(self) -> None:
        if self.was_late:
            return
        posted = Counter((one.column, one.person, one.comment) for one in self.stored if one.comment)
        for (_column, _person, comment), times in posted.items():
            assert times <= self.allowed[comment], f"{comment} was stored {times} times"
        begun: set[tuple[str, str]] = set()
        for one in self.stored:
            assert one.is_grade or (one.column, one.person) not in begun, f"progress wiped a grade: {one}"
            begun.add((one.column, one.person))

    def columns(self, activity: str) -> list[LineItem]:
        return self.course.line_items_of(activity)

    def is_held(self, wanted: Wanted, row: OutgoingScore, cell: Cell | None) -> None:
        held = None if cell is None else cell.score
        if wanted.given is None:
            assert held is None, f"{wanted} was to clear {cell}"
            return
        assert cell is not None, f"{wanted} is missing"
        assert held is not None, f"{wanted} is missing: {cell}"
        assert held == Decimal(wanted.given) * cell.maximum / MAXIMUM, f"{wanted} is not in {cell}"
        if not row.unconfirmed:
            assert (cell.comment or "") == wanted.comment

    def teardown(self) -> None:
        """Everything settles: launches go well, time passes, and an operator looks after what is parked."""
        self.lms.sandbox.traffic._faults.clear()
        for person in PEOPLE:
            self.course.change_role(person, "Learner")
        for activity in {activity for activity, _person in self.wanted}:
            for person in PEOPLE:
                self.lms.launch(person, activity)
            if not self.columns(activity):  # the next score finds out that it was deleted
                self.record(activity, PEOPLE[0], "points", False)
        for _ in range(6):
            self.lms.sandbox.advance_clock(LONG)
            withheld = OutgoingScore.objects.filter(state=State.PARKED, grading_progress=GradingProgress.PENDING)
            resend(
                OutgoingScore.objects.filter(state=State.PARKED).exclude(pk__in=withheld).values_list("pk", flat=True)
            )
            self.tick()
            self.night()
        self.what_is_called_sent_is_in_the_gradebook()
        self.nothing_is_doubled_or_wiped()
        for (activity, person), wanted in self.wanted.items():
            row = OutgoingScore.objects.get(line_item__resource_link__lti_id=activity, lti_user__lti_id=person)
            assert row.state == State.SENT or (row.state == State.PARKED and not wanted.is_grade), vars(row)
            [column] = self.columns(activity)
            if wanted.is_grade:
                self.is_held(wanted, row, self.course.gradebook.cell(column, person))


@contextmanager
def dying(step: int, error: type[BaseException], *, for_good: bool) -> Iterator[None]:
    """End the block with `error` before its nth statement; `for_good`: it executes none after that either."""
    statements = 0

    def execute(run: Callable[..., Any], *arguments: Any) -> Any:
        nonlocal statements
        statements += 1
        if statements == step + 1 or (for_good and statements > step):
            raise error
        return run(*arguments)

    with connection.execute_wrapper(execute):
        yield


@contextmanager
def happens(step: int, action: Callable[[], None]) -> Iterator[None]:
    """Do something else, once, between two transactions of the block: before the nth, or the first one after it."""
    moments, enter = 0, transaction.Atomic.__enter__

    def moment() -> None:
        nonlocal moments
        moments += 1
        if moments == step + 1 and not connection.in_atomic_block:
            action()

    def execute(run: Callable[..., Any], sql: str, *arguments: Any) -> Any:
        if not connection.in_atomic_block and not sql.startswith("BEGIN"):
            moment()
        return run(sql, *arguments)

    def begin(atomic: transaction.Atomic) -> None:
        if not connection.in_atomic_block:
            moment()
        enter(atomic)

    with pytest.MonkeyPatch.context() as patch, connection.execute_wrapper(execute):
        patch.setattr(transaction.Atomic, "__enter__", begin)
        yield


def empty_the_tables() -> None:
    for model in (SyncRun, Platform, get_user_model()):
        model._default_manager.all().delete()


@pytest.fixture
def stored(monkeypatch: pytest.MonkeyPatch) -> list[Stored]:
    """What the LMS has taken, in order."""
    taken: list[Stored] = []
    post = Gradebook.post

    def keep(self: Gradebook, item: LineItem, score: Any, *args: Any, **options: Any) -> Cell:
        cell = post(self, item, score, *args, **options)
        is_grade = score["gradingProgress"] == GradingProgress.FULLY_GRADED
        taken.append(Stored(item.id, score["userId"], score.get("scoreGiven"), score.get("comment", ""), is_grade))
        return cell

    monkeypatch.setattr(Gradebook, "post", keep)
    return taken


@pytest.mark.django_db(transaction=True)
def test_any_interleaving_ends_in_the_newest_value_delivered(
    transactional_db: None, lms: Lms, stored: list[Stored], monkeypatch: pytest.MonkeyPatch
) -> None:
    result_json = services._result_json

    def tell(cell: Cell) -> dict[str, Any]:
        """One LMS returns all it holds, one no comment, and Moodle shows a stored 0 as no score."""
        result, profile = result_json(cell), lms.sandbox.results_tell  # type: ignore[attr-defined]
        hidden = {"value": {"comment"}, "moodle": set() if cell.score else {"resultScore", "resultMaximum"}}
        return {name: value for name, value in result.items() if name not in hidden.get(profile, ())}

    monkeypatch.setattr(services, "_result_json", tell)
    lms.sandbox.refuse_same_second = True
    monkeypatch.setattr(timezone, "now", lms.sandbox.clock.now)
    monkeypatch.setattr(time, "sleep", lms.sandbox.advance_clock)
    usual = hypothesis.settings()
    run_state_machine_as_test(
        lambda: Outbox(lms, stored),
        settings=hypothesis.settings(usual, max_examples=max(20, usual.max_examples // 2), stateful_step_count=20),
    )
