"""Write down what came of scores that were sent: one writer for each pass, in batches, always under the lease token.

Whatever a tool's transaction holds is left for a later batch and never waited for.
"""

from __future__ import annotations

import dataclasses
import random
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

from django.db import InterfaceError, OperationalError, connection, models, transaction
from django.db.models import Case, F, Q, Value, When
from django.utils import timezone

from ltiaas_django import exceptions, signals
from ltiaas_django.conf import settings
from ltiaas_django.models import Context, LineItem, OutgoingScore, ScoreAttempt, ServiceKey
from ltiaas_django.models.grades import OutgoingScoreQuerySet, skip_locked
from ltiaas_django.operations import announcing, connecting, grades, leases, verdicts
from ltiaas_django.vocabulary import GradingProgress

State = OutgoingScore.State
Progress = Callable[[int], None]
"""Told how many scores have been dealt with since the last call."""

FLUSH_SECONDS = 1.0
_FLUSH_COUNT = 100
_REAPED = 10_000  # rows at once


@dataclasses.dataclass(eq=False)
class Job:
    """One claimed row on its way."""

    row: OutgoingScore
    attempted_at: datetime
    """As the claim wrote it: tells this claim of the row from any other."""
    claimed_at: float
    """By the monotonic clock, before the claim was written: the worker never believes in its lease for too long."""
    learns: bool
    """Whether the person is an active learner of the course, by all that we know."""
    earlier: int | None
    """A revision that may have reached the LMS without our knowing; None once that is settled."""
    key: ServiceKey | None = None
    in_flight: bool = False
    """The score is on the wire, or was when the pass broke off."""

    @property
    def must_ask(self) -> bool:
        """Whether this very revision may be in the gradebook already: that is read before anything is sent."""
        return self.earlier == self.row.revision


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What came of a job: accepted, or an error; `went_out` says whether the score itself was sent by then."""

    job: Job
    accepted: bool = False
    unconfirmed: str = ""
    error: exceptions.LtiError | None = None
    went_out: bool = False


class Writer:
    """Takes in the outcomes of one pass and writes them down, in the thread that runs the pass."""

    def __init__(self, lease: leases.Lease, counts: Counter[str], progress: Progress) -> None:
        self.lease = lease
        self.counts = counts
        self.progress = progress
        self.settled = 0
        self.misconfigured: exceptions.ConfigurationError | None = None
        """Our API key was refused: the pass is over, and no stored key is to blame."""
        self._waiting: dict[int, Outcome] = {}  # by row
        # At times of its own: the passes of many platforms begin together, and would all write in the same moment.
        self._flushed_at = time.monotonic() - random.uniform(0, FLUSH_SECONDS)  # noqa: S311  no secret
        self.accepted_in: set[int] = set()
        """Courses of which one score was taken: the others that are refused there are refused for themselves."""

    def take(self, outcome: Outcome) -> None:
        """Remember an outcome until the next flush."""
        if outcome.job.row.pk in self._waiting:
            self.flush()  # of an earlier claim of the row, which is over
        self._waiting[outcome.job.row.pk] = outcome
        self.settled += 1
        if outcome.accepted and outcome.went_out:  # what is read back may be a clear that found nothing to clear
            self.accepted_in.add(outcome.job.row.line_item.context_id)

    def flush_if_due(self) -> None:
        """Write down what has come in, once it is much, or a second old."""
        if len(self._waiting) >= _FLUSH_COUNT or time.monotonic() - self._flushed_at >= FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write down what has come in; rows that somebody holds are left for the next flush."""
        self._flushed_at = time.monotonic()
        if not self._waiting:
            return
        try:
            self._write()
        except (OperationalError, InterfaceError):
            if connection.in_atomic_block:
                raise
            connection.close()  # the server has cut it off: what came back from the LMS is worth a second try
            self._write()

    def _write(self) -> None:
        waiting = self._waiting
        counts: Counter[str] = Counter()
        with transaction.atomic():
            needed = OutgoingScore.objects.only(
                "state", "revision", "attempts", "attempted_at", "lease_token", "line_item_id", "lti_user_id"
            )
            needed = needed.annotate(column=F("line_item__lti_id"))
            free = {row.pk: row for row in skip_locked(needed.filter(pk__in=waiting))}
            ready = [outcome for pk, outcome in waiting.items() if pk in free]
            self._record_accepted([outcome for outcome in ready if outcome.accepted], free, counts)
            self._record_failed([outcome for outcome in ready if not outcome.accepted], free, counts)
        self._waiting = {pk: outcome for pk, outcome in waiting.items() if pk not in free}
        self.counts.update(counts)
        self.progress(len(ready))
        # After the transaction: a bad API key is no reason to lose what else came back.
        for outcome in ready:
            if isinstance(outcome.error, exceptions.Refused) and outcome.job.key is not None:
                try:
                    connecting.judge_refusal(outcome.job.key, outcome.error)
                except exceptions.ConfigurationError as error:
                    self.misconfigured, self.lease.is_over = error, True

    def _is_ours(self, outcome: Outcome, row: OutgoingScore) -> bool:
        """Whether the row stands as the claim left it that this came of. The token is the pass's: a row whose lease ran
        out while the pass waited for the database may have been freed, and claimed by the same pass again."""
        return row.lease_token == self.lease.token and row.attempted_at == outcome.job.attempted_at

    def _record_accepted(
        self, outcomes: list[Outcome], free: Mapping[int, OutgoingScore], counts: Counter[str]
    ) -> None:
        now = timezone.now()
        ours = [o for o in outcomes if self._is_ours(o, free[o.job.row.pk])]
        astray = [o.job.row.pk for o in ours if _column(free[o.job.row.pk]) != o.job.row.line_item.lti_id]
        if astray:  # another column has taken the place of the one that they went to meanwhile
            OutgoingScore.objects.filter(pk__in=astray).update(
                state=State.DUE,
                due_at=now + grades.SPACING,
                sent_revision=None,
                sending_revision=None,
                lease_token=None,
                lease_until=None,
            )
            ours = [o for o in ours if o.job.row.pk not in astray]
        for unconfirmed, cleared in {(o.unconfirmed, o.job.row.given is None) for o in ours}:
            same = [o for o in ours if o.unconfirmed == unconfirmed and (o.job.row.given is None) == cleared]
            ids = [o.job.row.pk for o in same]
            overtaken = ~Q(revision=F("sending_revision"))
            OutgoingScore.objects.filter(pk__in=ids).update(
                state=Case(When(overtaken, then=Value(State.DUE)), default=Value(State.SENT)),
                due_at=Case(
                    When(overtaken, then=Value(now + grades.SPACING)),
                    default=Value(None),
                    output_field=models.DateTimeField(null=True),
                ),
                sent_revision=F("sending_revision"),
                sending_revision=None,
                sent_at=now,
                attempted_at=now,
                attempts=0,
                lease_token=None,
                lease_until=None,
                last_error_code="",
                last_error="",
                unconfirmed=unconfirmed,
                cleared=cleared,
                drift="",
                result_score=None,
                result_maximum=None,
                result_at=None,
            )
        _settle_late([o for o in outcomes if not self._is_ours(o, free[o.job.row.pk])], free)
        if settings.KEEP_SENT_ATTEMPTS:
            sent = ScoreAttempt.Outcome.SENT
            _attempts((o.job.row.pk, o.job.row.revision, sent, "", "") for o in outcomes)
        counts["sent"] += len(ours)
        for outcome in ours:
            said = {"score_id": outcome.job.row.pk, "revision": outcome.job.row.revision}
            announcing.announce(signals.score_sent, OutgoingScore, **said)

    def _record_failed(self, outcomes: list[Outcome], free: Mapping[int, OutgoingScore], counts: Counter[str]) -> None:
        for outcome in outcomes:
            if outcome.error is None:
                continue
            row, error, context_id = free[outcome.job.row.pk], outcome.error, outcome.job.row.line_item.context_id
            if _is_about_a_learner(outcome) and context_id not in self.accepted_in:
                # Canvas says "not a student" of every learner while the course is not published.
                error = verdicts.CourseNotGradable(f"The LMS takes no grades for this course yet? {error}"[:500])
            self._record_failure(outcome, error, row, counts)

    def _record_failure(
        self, outcome: Outcome, error: exceptions.LtiError, row: OutgoingScore, counts: Counter[str]
    ) -> None:
        job = outcome.job
        verdict = verdicts.judge(error, row.attempts, went_out=outcome.went_out)
        _attempts([(row.pk, job.row.revision, verdict.outcome, verdict.code, str(error))])
        if not self._is_ours(outcome, row):
            if verdict.outcome == ScoreAttempt.Outcome.UNKNOWN or row.attempted_at == job.attempted_at:
                _settle_late([outcome], {row.pk: row})
            return
        if isinstance(error, exceptions.NotFound) and outcome.went_out:
            column = LineItem.objects.filter(pk=row.line_item_id, lti_id=job.row.line_item.lti_id, gone_at=None)
            column.update(gone_at=timezone.now())
        if isinstance(error, exceptions.CourseConcluded):
            conclude(job.row.line_item.context_id)
        is_unknown = verdict.outcome == ScoreAttempt.Outcome.UNKNOWN
        row.sending_revision = job.row.revision if is_unknown else job.earlier
        row.state, row.attempts, row.due_at = verdict.state, verdict.attempts, verdict.due_at
        if row.revision != job.row.revision and verdict.state != State.WAITING:
            # Overtaken while it was in flight: the newest value is due, a little later where the older may still land.
            row.state, row.attempts, row.due_at = State.DUE, 0, timezone.now() + 2 * grades.SPACING
        elif row.state == State.DUE and row.sending_revision == row.revision:
            row.state = State.UNKNOWN  # it could not be asked about yet
        changed = ["state", "attempts", "due_at", "sending_revision", "lease_token", "lease_until"]
        if isinstance(error, exceptions.Superseded):
            row.recorded_at = timezone.now()  # the LMS wants a later time than it has
            changed.append("recorded_at")
        if outcome.went_out:
            row.attempted_at = timezone.now()  # the spacing counts from here: it may have been stored just now
            changed.append("attempted_at")
        row.lease_token = row.lease_until = None
        row.last_error_code, row.last_error = verdict.code, str(error)[:500]
        row.save(update_fields=[*changed, "last_error_code", "last_error"])
        counts[{State.WAITING: "waiting", State.PARKED: "parked"}.get(State(row.state), "failed")] += 1
        said = {"score_id": row.pk, "error_code": verdict.code, "parked": row.state == State.PARKED}
        announcing.announce(signals.score_failed, OutgoingScore, **said)


def _column(row: OutgoingScore) -> str:
    return str(row.column)  # type: ignore[attr-defined]  # annotated


def _is_about_a_learner(outcome: Outcome) -> bool:
    return outcome.went_out and outcome.job.learns and isinstance(outcome.error, exceptions.PersonNotGradable)


# --- rows -------------------------------------------------------------------------------------------------------------


def of_platform(platform_id: int) -> OutgoingScoreQuerySet:
    """The outbox of one platform."""
    return OutgoingScore.objects.filter(line_item__context__platform=platform_id)


def reap(platform_id: int | None = None) -> int:
    """Rows whose worker has died: nobody knows whether the LMS got them. Returns how many there were."""
    lost = OutgoingScore.objects.filter(state=State.SENDING, lease_until__lt=timezone.now())
    if platform_id is not None:
        lost &= of_platform(platform_id)
    if not lost.exists():
        return 0
    with transaction.atomic():
        rows = list(skip_locked(lost).values_list("pk", "sending_revision")[:_REAPED])
        _attempts((pk, revision or 0, ScoreAttempt.Outcome.UNKNOWN, "worker_lost", "") for pk, revision in rows)
        return OutgoingScore.objects.filter(pk__in=[pk for pk, _revision in rows]).update(
            state=State.UNKNOWN, lease_token=None, lease_until=None, due_at=timezone.now()
        )


def _settle_late(outcomes: list[Outcome], rows: Mapping[int, OutgoingScore]) -> None:
    """These were sent by a worker that no longer owned them, and may stand in the gradebook over a newer value.

    So the gradebook is read, and what it does not hold is sent again; nothing is posted twice unseen.
    """
    if not outcomes:
        return
    graded = OutgoingScore.objects.filter(grading_progress=GradingProgress.FULLY_GRADED)  # progress cannot be read back
    others: list[int] = []
    ended: list[int] = []
    for outcome in outcomes:
        row = rows[outcome.job.row.pk]
        is_others = row.state == State.SENDING and row.attempted_at != outcome.job.attempted_at
        (others if is_others else ended).append(row.pk)
    # In flight by its present owner, whose outcome then counts as late as well: nothing tells which of them came last.
    graded.filter(pk__in=others).update(lease_token=uuid.uuid4())
    free = {"lease_token": None, "lease_until": None, "due_at": timezone.now() + grades.SPACING}
    perhaps_there = Q(sent_revision=F("revision")) | Q(sending_revision=F("revision"))
    graded = graded.filter(pk__in=ended).exclude(state=State.PARKED)
    graded.exclude(perhaps_there).filter(state=State.SENDING).update(state=State.DUE, **free)
    graded.filter(perhaps_there).update(state=State.UNKNOWN, sending_revision=F("revision"), **free)


def conclude(context_id: int) -> None:
    """The LMS calls the course over: nothing is asked of it until somebody launches it again."""
    Context.objects.filter(pk=context_id, concluded_at=None).update(concluded_at=timezone.now())


def _attempts(entries: Iterable[tuple[int, int, ScoreAttempt.Outcome, str, str]]) -> None:
    ScoreAttempt.objects.bulk_create(
        ScoreAttempt(score_id=pk, revision=revision, outcome=outcome, error_code=code, error=error[:500])
        for pk, revision, outcome, code, error in entries
    )
