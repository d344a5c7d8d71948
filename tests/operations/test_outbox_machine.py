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
from datetime import datetime
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
from ltiaas_django.operations import grades as outbox
from ltiaas_django.operations import passes
from ltiaas_django.sandbox.courses import Course
from ltiaas_django.sandbox.gradebook import Cell, LineItem
from ltiaas_django.sandbox.profiles import Profile
from ltiaas_django.sandbox.school import Person
from ltiaas_django.vocabulary import GradingProgress
from tests.lms import Lms

State = OutgoingScore.State

COURSE = "course-101"
ACTIVITIES = ("quiz-1", "quiz-2")  # of the second the column must be created
PEOPLE = ("2001", "2002")
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


SCORE = st.tuples(
    st.sampled_from(ACTIVITIES),
    st.sampled_from(PEOPLE),
    st.sampled_from(["points", "zero", "clear", "progress"]),
    st.booleans(),
)
"""Activity, person, kind of score, and whether it has a comment."""
A_FEW = st.lists(SCORE, min_size=1, max_size=3)
WHILE = st.sampled_from([0.0, 90.0, 400.0, LONG])


TROUBLE = st.sampled_from(list(TROUBLES)[:5]) | st.sampled_from(list(TROUBLES)[5:])  # doubt half of the time


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
    at: datetime


class Outbox(RuleBasedStateMachine):
    """A course of two activities and three people, an outbox, and what becomes of it."""

    def __init__(self, lms: Lms, stored: list[Stored]) -> None:
        super().__init__()
        self.lms, self.stored = lms, stored
        self.wanted: dict[tuple[str, str], Wanted] = {}
        self.numbers = iter(range(1, MAXIMUM))
        self.allowed: Counter[str] = Counter()
        self.late = 0
        """How much was stored when a worker last sent under a lease that another had taken over: nobody can promise
        what was sent only once until then."""
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

    def record(self, scores: list[tuple[str, str, str, bool]]) -> None:
        for activity, person, kind, has_comment in scores:
            number = next(self.numbers)
            given = {"points": number, "zero": 0}.get(kind)
            wanted = Wanted(given, f"note {number}" if has_comment else "", is_grade=kind != "progress")
            grades.record_score(
                ResourceLink.objects.select_related("context").get(lti_id=activity),
                user=LtiUser.objects.get(lti_id=person),
                given=given,
                maximum=None if given is None else MAXIMUM,
                comment=wanted.comment,
                grading_progress=GradingProgress.FULLY_GRADED if wanted.is_grade else GradingProgress.PENDING,
            )
            self.wanted[activity, person] = wanted
            self.allowed[wanted.comment] = 1

    # --- what workers do ---

    @rule(scores=A_FEW, trouble=TROUBLE, times=st.sampled_from([1, 1, 2, 12]), seconds=WHILE)
    def night_with_trouble(self, scores: Any, trouble: str, times: int, seconds: float) -> None:
        self.record(scores)
        self.lms.sandbox.fail_next(SCORES, **{"method": "POST", **TROUBLES[trouble]}, times=times)
        self.night()
        self.lms.sandbox.clear_faults()
        self.later(seconds)

    @rule(scores=A_FEW, step=st.integers(5, 45), is_killed=st.booleans(), seconds=WHILE)
    def worker_ends(self, scores: Any, step: int, is_killed: bool, seconds: float) -> None:
        """Killed, or told to end, before any statement of its pass."""
        self.record(scores)
        passes.release_night("grades")
        try:
            with dying(step, Killed if is_killed else KeyboardInterrupt, for_good=is_killed):
                self.work()
        except (Killed, KeyboardInterrupt):
            pass
        self.later(seconds)

    @rule(
        scores=A_FEW,
        step=st.integers(3, 20),
        what=st.sampled_from(["recorded", "fired twice", "launched", "refused", "column deleted", "overtaken"]),
        newer=A_FEW,
        activity=st.sampled_from(ACTIVITIES),
        trouble=st.none() | TROUBLE,
    )
    def meanwhile(self, scores: Any, step: int, what: str, newer: Any, activity: str, trouble: str | None) -> None:
        """Something happens in the middle of a pass, between two of its transactions."""
        actions: dict[str, Callable[[], None]] = {
            "recorded": lambda: self.record(newer),
            "fired twice": lambda: self.later(0),
            "overtaken": lambda: self.take_over(newer),
        }
        self.record(scores)
        if trouble:
            self.lms.sandbox.fail_next(SCORES, **{"method": "POST", **TROUBLES[trouble]})
        passes.release_night("grades")
        with happens(step, actions.get(what, lambda: self.elsewhere(what, activity, "", ""))):
            self.work()
        self.lms.sandbox.clear_faults()
        if what == "overtaken":
            self.late = len(self.stored)
            for comment in self.allowed:
                self.allowed[comment] += 2  # by the late one, and to undo what it has done

    def take_over(self, newer: Any) -> None:
        """Another worker's clock is ahead: the first one still believes in its lease."""
        self.lms.sandbox.advance_clock(400)
        self.record(newer)
        self.night()

    @rule(seconds=WHILE, launched=st.none() | st.sampled_from(ACTIVITIES))
    def time_passes(self, seconds: float, launched: str | None) -> None:
        if launched:
            self.lms.launch("1001", launched)
        self.later(seconds)

    def night(self) -> None:
        passes.release_night("grades")
        self.work()

    def later(self, seconds: float) -> None:
        """The tick, a while later."""
        self.lms.sandbox.advance_clock(seconds)
        passes.tidy()
        self.work()

    def work(self) -> None:
        for platform_id in passes.due_platforms(["grades"]):
            passes.work(platform_id, ["grades"], SyncRun.Trigger.TICK)

    # --- what else happens ---

    @rule(
        what=st.sampled_from(["launched", "refused", "column deleted", "role changed", "sent again"]),
        activity=st.sampled_from(ACTIVITIES),
        person=st.sampled_from(PEOPLE),
        role=st.sampled_from(["Learner", "Instructor"]),
    )
    def elsewhere(self, what: str, activity: str, person: str, role: str) -> None:
        """In the LMS, and in the hands of an operator."""
        if what == "launched":
            self.lms.launch("1001", activity)
        elif what == "refused":
            self.lms.sandbox.revoke_service_keys(COURSE, activity)
        elif what == "column deleted":
            for item in self.course.line_items_of(activity):
                self.course.gradebook.delete_line_item(item.number)
        elif what == "role changed":
            self.course.change_role(person, role)
            self.lms.launch(person, activity)
        else:
            for row in OutgoingScore.objects.filter(state=State.SENT):
                self.allowed[row.comment] += 1
            outbox.resend(OutgoingScore.objects.values_list("pk", flat=True))

    # --- what must hold ---

    @invariant()
    def what_is_called_sent_is_in_the_gradebook(self) -> None:
        for row in OutgoingScore.objects.filter(state=State.SENT).select_related(
            "line_item__resource_link", "lti_user"
        ):
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
        comments: Counter[tuple[str, str, str]] = Counter()
        before: dict[tuple[str, str], Stored] = {}
        for number, one in enumerate(self.stored):
            cell = (one.column, one.person)
            last, before[cell] = before.get(cell), one
            comments[(*cell, one.comment)] += 1
            if number < self.late:
                continue
            if one.comment:
                assert comments[(*cell, one.comment)] <= self.allowed[one.comment], f"once more: {one}"
            if last is not None:
                assert one.is_grade, f"progress wiped a grade: {one}"
                assert one.at - last.at >= outbox.SPACING, f"{one} came too soon after {last}"

    def columns(self, activity: str) -> list[LineItem]:
        return self.course.line_items_of(activity)

    def is_held(self, wanted: Wanted, row: OutgoingScore, cell: Cell | None) -> None:
        if "score" in row.unconfirmed:
            return
        held = None if cell is None else cell.score
        if wanted.given is None:
            assert held is None, f"{wanted} was to clear {cell}"
            return
        assert cell is not None, f"{wanted} is missing"
        assert held is not None, f"{wanted} is missing: {cell}"
        assert held == Decimal(wanted.given) * cell.maximum / MAXIMUM, f"{wanted} is not in {cell}"
        # An earlier comment that a lost score was to clear stays where the LMS tells of none.
        tells_comments = self.lms.sandbox.results_tell != "value"  # type: ignore[attr-defined]
        if not row.unconfirmed and (wanted.comment or tells_comments):
            assert (cell.comment or "") == wanted.comment

    def teardown(self) -> None:
        """Everything settles: launches go well, time passes, and an operator looks after what is parked."""
        self.lms.sandbox.clear_faults()
        for person in PEOPLE:
            self.course.change_role(person, "Learner")
        for activity in {activity for activity, _person in self.wanted}:
            self.lms.launch("1001", activity)
            if not self.columns(activity):  # the next score finds out that it was deleted
                self.record([(activity, PEOPLE[0], "points", False)])
        for _ in range(6):
            parked = OutgoingScore.objects.filter(state=State.PARKED)
            outbox.resend(parked.exclude(grading_progress=GradingProgress.PENDING).values_list("pk", flat=True))
            self.night()
            self.later(LONG)
            if not OutgoingScore.objects.open().exclude(state=State.PARKED).exists():
                break
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
    post = Profile.post

    def keep(self: Profile, course: Course, item: LineItem, score: Any) -> Cell | None:
        cell = post(self, course, item, score)
        is_grade = score["gradingProgress"] == GradingProgress.FULLY_GRADED
        comment, at = score.get("comment", ""), course.school.campus.clock.now()
        taken.append(Stored(item.id, score["userId"], score.get("scoreGiven"), comment, is_grade, at))
        return cell

    monkeypatch.setattr(Profile, "post", keep)
    return taken


@pytest.fixture
def made_up_time(lms: Lms, stored: list[Stored], monkeypatch: pytest.MonkeyPatch) -> Lms:
    """One clock for the tool and the LMS, which also refuses two scores in a second."""
    result_of = Profile.result

    def tell(self: Profile, cell: Cell, person: Person, *, is_alone: bool) -> dict[str, Any]:
        """One LMS returns all it holds, one no comment, and Moodle shows a stored 0 as no score."""
        result, profile = result_of(self, cell, person, is_alone=is_alone), lms.sandbox.results_tell  # type: ignore[attr-defined]
        hidden = {"value": {"comment"}, "moodle": set() if cell.score else {"resultScore", "resultMaximum"}}
        return {name: value for name, value in result.items() if name not in hidden.get(profile, ())}

    monkeypatch.setattr(Profile, "result", tell)
    lms.sandbox.profile.refuse_same_second = True
    monkeypatch.setattr(timezone, "now", lms.sandbox.clock.now)
    monkeypatch.setattr(time, "sleep", lms.sandbox.advance_clock)
    return lms


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "size", [pytest.param("normal", marks=pytest.mark.long), pytest.param("large", marks=pytest.mark.full)]
)
def test_any_interleaving_ends_in_the_newest_value_delivered(
    transactional_db: None, made_up_time: Lms, stored: list[Stored], size: str
) -> None:
    usual = hypothesis.settings()
    examples = max(20, usual.max_examples // 5) if size == "normal" else 200
    run_state_machine_as_test(
        lambda: Outbox(made_up_time, stored),
        settings=hypothesis.settings(
            usual,
            max_examples=examples,
            stateful_step_count=40,
            derandomize=True,  # the same each time; more examples, or False here, look elsewhere
            phases=[hypothesis.Phase.generate] if size == "normal" else usual.phases,
            database=None,
        ),
    )


@pytest.mark.django_db(transaction=True)
def test_a_worker_killed_before_any_statement_loses_nothing(
    transactional_db: None, made_up_time: Lms, stored: list[Stored]
) -> None:
    """Of a pass that gets no answer to one score, finds a column gone, makes it anew and sends what was in it again."""
    for step in range(5, 55):
        outbox_of = Outbox(made_up_time, stored)
        outbox_of.meet(1, "all")
        outbox_of.record([("quiz-1", "2001", "points", True), ("quiz-2", "2001", "points", True)])
        outbox_of.night()
        outbox_of.elsewhere("column deleted", "quiz-1", "", "")
        made_up_time.sandbox.fail_next(SCORES, method="POST", **TROUBLES["the answer is lost"])
        outbox_of.worker_ends([("quiz-2", "2002", "points", True), ("quiz-1", "2002", "points", True)], step, True, 0.0)
        outbox_of.nothing_is_doubled_or_wiped()
        outbox_of.teardown()
