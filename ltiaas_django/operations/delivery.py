"""Send the outbox of one platform: claim, find the line items, send in parallel, record what came of it.

The life of a row:

    due ── claim ──> sending ──> sent                     the LMS accepted this very revision
     ^                  ├──────> due                      failed, later again; or overtaken by a newer revision
     │                  ├──────> unknown ── claim ──> …   nobody knows: the gradebook is read before anything is sent
     │                  ├──────> waiting                  no healthy key; the next launch makes it due
     └── launch, admin ─┴──────> parked                   kept and visible; a person, or a change of roster, decides

Threads only make calls. Rows are read and written by the thread that runs the pass, in batches, and always under the
lease token, so that a worker which comes back too late changes nothing by it.
"""

from __future__ import annotations

import dataclasses
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import timedelta

from django.db import DatabaseError, models, transaction
from django.db.models import Case, F, Q, Value, When
from django.utils import timezone

from ltiaas_django import data, exceptions, signals
from ltiaas_django.conf import settings
from ltiaas_django.connections.base import ServiceConnection
from ltiaas_django.models import LineItem, OutgoingScore, ScoreAttempt, ServiceKey
from ltiaas_django.models.grades import OutgoingScoreQuerySet, skip_locked
from ltiaas_django.operations import announcing, connecting, grades, leases, line_items, verdicts
from ltiaas_django.vocabulary import ActivityProgress, GradingProgress

logger = logging.getLogger(__name__)

State = OutgoingScore.State
Progress = Callable[[int], None]
"""Told how many scores have been dealt with since the last call."""

_BATCH = 200  # rows claimed at once: few enough to be sent well within a lease, enough to fill every connection
_FLUSH_COUNT = 50
_FLUSH_SECONDS = 1.0
_SPACING = grades.SPACING
_STORM = 10  # failures of the network or the LMS in a row after which the platform gets a rest
_REST = 300.0  # seconds
_PATIENCE = 2.5  # seconds that a pass waits for rows which are due that soon, instead of leaving them to the tick


@dataclasses.dataclass(eq=False)
class _Job:
    """One claimed row on its way."""

    row: OutgoingScore
    claimed_at: float
    """By the monotonic clock, before the claim was written: the worker never believes in its lease for too long."""
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
class _Outcome:
    """What came of a job: accepted, or an error; `went_out` says whether the score itself was sent by then."""

    job: _Job
    accepted: bool = False
    unconfirmed: str = ""
    error: exceptions.LtiError | None = None
    went_out: bool = False


def send_due(lease: leases.Lease, counts: Counter[str], progress: Progress) -> None:
    """Send what is due on the platform, until nothing is, the pass is full, or the lease ends.

    Counts as it goes: sent, failed, waiting, parked. Raises ConfigurationError (our API key is refused); every row is
    left due then.
    """
    _Pass(lease, counts, progress).run()


def reap(platform_id: int | None = None) -> int:
    """Rows whose worker has died: nobody knows whether the LMS got them. Returns how many there were."""
    lost = OutgoingScore.objects.filter(state=State.SENDING, lease_until__lt=timezone.now())
    if platform_id is not None:
        lost &= _of_platform(platform_id)
    with transaction.atomic():
        rows = list(skip_locked(lost).values_list("pk", "sending_revision")[:10_000])
        _attempts((pk, revision or 0, ScoreAttempt.Outcome.UNKNOWN, "worker_lost", "") for pk, revision in rows)
        return OutgoingScore.objects.filter(pk__in=[pk for pk, _revision in rows]).update(
            state=State.UNKNOWN, lease_token=None, lease_until=None, due_at=timezone.now()
        )


class _Pass:
    """One pass over one platform's outbox."""

    def __init__(self, lease: leases.Lease, counts: Counter[str], progress: Progress) -> None:
        self.lease = lease
        self.progress = progress
        self.counts = counts
        self.outcomes: list[_Outcome] = []
        self.flushed_at = time.monotonic()
        self.used_keys: set[int] = set()
        self.refused_keys: set[int] = set()
        self.settled = 0
        self.misconfigured: exceptions.ConfigurationError | None = None

    def run(self) -> None:
        reap(self.lease.platform.pk)
        with ThreadPoolExecutor(self.lease.parallel_calls, thread_name_prefix="ltiaas") as threads:
            handled = 0
            while handled < settings.SCORES_PER_PASS and self.lease.renew():
                jobs = self._claim(min(self.lease.fits(_BATCH), settings.SCORES_PER_PASS - handled))
                if not jobs and not self._wait_for_more():
                    break
                handled += len(jobs)
                settled = self.settled
                try:
                    self._work_off(threads, jobs)
                finally:
                    self._flush()
                    self._release(jobs)
                if jobs and self.settled == settled:
                    break  # nothing of it could be tried; the next tick may fare better
        connecting.note_use(self.used_keys)
        if self.misconfigured is not None:
            raise self.misconfigured

    # --- claiming ---

    def _claim(self, size: int) -> list[_Job]:
        """Take due rows under the lease; those that other transactions hold are passed over, not waited for."""
        began, now = time.monotonic(), timezone.now()
        with transaction.atomic():
            due = _of_platform(self.lease.platform.pk).due().sendable()
            due = due.filter(Q(attempted_at=None) | Q(attempted_at__lte=now - _SPACING))
            due = due.order_by(F("attempted_at").asc(nulls_first=True), "due_at", "pk")
            rows = list(skip_locked(due).select_related("line_item__context__platform", "lti_user")[:size])
            OutgoingScore.objects.filter(pk__in=[row.pk for row in rows]).update(
                state=State.SENDING,
                sending_revision=F("revision"),
                lease_token=self.lease.token,
                lease_until=now + timedelta(seconds=self.lease.length),
                attempted_at=now,
            )
        return [_Job(row, began, row.sending_revision) for row in rows]

    def _wait_for_more(self) -> bool:
        """Whether something is due in a moment (overtaken, or spaced from its last attempt); waits for it."""
        soon = timezone.now() + timedelta(seconds=_PATIENCE)
        coming = _of_platform(self.lease.platform.pk).sendable()
        coming = coming.filter(state__in=OutgoingScore.ACTIONABLE, due_at__lte=soon)
        due_at, attempted_at = coming.order_by("due_at").values_list("due_at", "attempted_at").first() or (None, None)
        if due_at is None:
            return False
        at = max(due_at, attempted_at + _SPACING) if attempted_at else due_at
        if at > soon or at <= timezone.now():  # in the past: another transaction holds it
            return False
        time.sleep((at - timezone.now()).total_seconds() + 0.01)
        return True

    def _release(self, jobs: list[_Job]) -> None:
        """What was claimed and not tried is as before; what was on the wire when the pass broke off is unknown."""
        recorded_later = {outcome.job.row.pk for outcome in self.outcomes}
        left = [job for job in jobs if job.row.pk not in recorded_later]
        mine = OutgoingScore.objects.filter(state=State.SENDING, lease_token=self.lease.token)
        free = {"lease_token": None, "lease_until": None}
        untouched = [job.row.pk for job in left if not job.in_flight and job.earlier is None]
        mine.filter(pk__in=untouched).update(state=State.DUE, sending_revision=None, **free)
        for job in left:
            if not job.in_flight and job.earlier is not None:
                state = State.UNKNOWN if job.must_ask else State.DUE
                mine.filter(pk=job.row.pk).update(state=state, sending_revision=job.earlier, **free)
        on_the_wire = [job.row.pk for job in left if job.in_flight]
        mine.filter(pk__in=on_the_wire).update(state=State.UNKNOWN, due_at=timezone.now(), **free)

    # --- working ---

    def _work_off(self, threads: ThreadPoolExecutor, jobs: list[_Job]) -> None:
        by_line_item: dict[int, list[_Job]] = {}
        for job in self._leave_out_what_must_not_be_sent(jobs):
            by_line_item.setdefault(job.row.line_item_id, []).append(job)
        ready: list[tuple[_Job, ServiceConnection]] = []
        for group in by_line_item.values():
            if not self.lease.renew():
                break
            ready += self._prepare(group)
        sending = [(job, connection) for job, connection in ready if not job.must_ask]
        sending += self._ask(threads, [(job, connection) for job, connection in ready if job.must_ask])
        self._gather({threads.submit(self._send, job, connection) for job, connection in sending})

    def _leave_out_what_must_not_be_sent(self, jobs: list[_Job]) -> list[_Job]:
        """Progress without a grade is reported once, and never after a grade: some LMSs wipe the grade on it.

        What may have arrived counts as sent here: no LMS tells of progress, so there is nothing to read back.
        """
        left = []
        harm = verdicts.Withheld("Something was sent already, or may have been; progress is reported once.")
        for job in jobs:
            is_graded = job.row.grading_progress == GradingProgress.FULLY_GRADED
            if is_graded or (job.row.sent_revision is None and job.earlier is None):
                left.append(job)
            else:
                self._settle([_Outcome(job, error=harm)])
        return left

    def _prepare(self, jobs: list[_Job]) -> list[tuple[_Job, ServiceConnection]]:
        """The connection for one line item's jobs, once the line item is known at the LMS. Tries sibling keys."""
        line_item = jobs[0].row.line_item
        error: exceptions.LtiError = exceptions.ServiceNotOffered("No healthy service key; the next launch brings one.")
        for key in connecting.usable_keys(line_item.context, "grades", line_item.resource_link):
            try:
                with connecting.using(key, self.lease.platform) as connection:
                    if not line_item.lti_id or line_item.gone_at:
                        self._find_line_item(connection, key, line_item, jobs)
                for job in jobs:
                    job.key, job.row.line_item = key, line_item
                return [(job, connection) for job in jobs]
            except (exceptions.Refused, exceptions.SealError):
                continue  # noted by `using`; a sibling may do
            except (exceptions.ApiError, DatabaseError, ValueError) as problem:
                # One column that cannot be had, or stored, must not stop the others.
                error = problem if isinstance(problem, exceptions.LtiError) else verdicts.Unusable(str(problem))
                self.lease.note_failure(error)
                break
        self._settle([_Outcome(job, error=error) for job in jobs])
        return []

    def _find_line_item(
        self, connection: ServiceConnection, key: ServiceKey, line_item: LineItem, jobs: list[_Job]
    ) -> None:
        self.lease.wait_turn()
        if not self.lease.allows_call(jobs[0].claimed_at):
            raise exceptions.Unreachable("GET line items", "the lease ends", origin="network")
        is_own = key.resource_link_id is not None and key.resource_link_id == line_item.resource_link_id
        maximum, token = jobs[0].row.maximum, self.lease.token
        line_items.find_or_create(connection, line_item, maximum, key_is_own=is_own, lease_token=token)

    def _ask(
        self, threads: ThreadPoolExecutor, jobs: list[tuple[_Job, ServiceConnection]]
    ) -> list[tuple[_Job, ServiceConnection]]:
        """Read the gradebook for outcomes that nobody knows; returns the jobs that turn out to be unsent."""
        by_line_item: dict[int, list[tuple[_Job, ServiceConnection]]] = {}
        for job, connection in jobs:
            by_line_item.setdefault(job.row.line_item_id, []).append((job, connection))
        asked = {threads.submit(self._read_results, group): group for group in by_line_item.values()}
        unsent: list[tuple[_Job, ServiceConnection]] = []
        for future, group in asked.items():
            try:
                results = future.result()
            except exceptions.LtiError as error:
                self._settle([_Outcome(job, error=error) for job, _connection in group])
                continue
            for job, connection in group:
                stored, unconfirmed = verdicts.compare(job.row, results.get(job.row.lti_user.lti_id))
                job.earlier = None
                if stored:
                    self._settle([_Outcome(job, accepted=True, unconfirmed=unconfirmed)])
                else:
                    unsent.append((job, connection))
        return unsent

    def _read_results(self, group: list[tuple[_Job, ServiceConnection]]) -> dict[str, data.Result]:
        """One read per line item; for one person only where one is asked about. Runs in a thread."""
        job, connection = group[0]
        self.lease.wait_turn()
        if not self._may_call(job):
            raise exceptions.Unreachable("GET results", "the pass has ended", origin="network")
        user_id = job.row.lti_user.lti_id if len(group) == 1 else ""
        try:
            return {one.user_id: one for one in connection.results(job.row.line_item.lti_id, user_id=user_id)}
        except exceptions.LtiError as error:
            self._note_at_once(job, error)
            raise

    def _send(self, job: _Job, connection: ServiceConnection) -> _Outcome | None:
        """Send one score; None if it may not be sent any more. Runs in a thread."""
        self.lease.wait_turn()
        if not self._may_call(job):
            return None
        job.in_flight = True
        try:
            connection.send_score(job.row.line_item.lti_id, score_of(job.row))
        except exceptions.LtiError as error:
            self._note_at_once(job, error)
            return _Outcome(job, error=error, went_out=True)
        self.lease.note_success()
        return _Outcome(job, accepted=True, went_out=True)

    def _may_call(self, job: _Job) -> bool:
        is_refused = job.key is not None and job.key.pk in self.refused_keys
        return not is_refused and self.lease.allows_call(job.claimed_at)

    def _note_at_once(self, job: _Job, error: exceptions.LtiError) -> None:
        """What the other threads must know here and now, before it is written down: no key or LMS is hammered."""
        if isinstance(error, exceptions.Refused) and job.key is not None:
            self.refused_keys.add(job.key.pk)
        if isinstance(error, exceptions.Throttled) or self.lease.note_failure(error) >= _STORM:
            self.lease.is_over = True

    def _gather(self, pending: set[Future[_Outcome | None]]) -> None:
        try:
            while pending:
                done, pending = wait(pending, timeout=_FLUSH_SECONDS, return_when=FIRST_COMPLETED)
                self._settle_all(done)
                if len(self.outcomes) >= _FLUSH_COUNT or time.monotonic() - self.flushed_at >= _FLUSH_SECONDS:
                    self._flush()
                if not self.lease.renew():
                    pending = {future for future in pending if not future.cancel()}
        except BaseException:  # Ctrl-C, or the database has gone
            # Nothing more may go out for rows that are about to be released; what is on the wire is waited for.
            self.lease.is_over = True
            self._settle_all(wait({future for future in pending if not future.cancel()}).done)
            raise

    def _settle_all(self, done: Iterable[Future[_Outcome | None]]) -> None:
        for future in done:
            outcome = future.result()
            if outcome is not None:
                self._settle([outcome])

    # --- recording ---

    def _settle(self, outcomes: list[_Outcome]) -> None:
        """Take outcomes in; failures are written down at once, successes in batches."""
        self.outcomes += outcomes
        self.settled += len(outcomes)
        self.progress(len(outcomes))
        for outcome in outcomes:
            outcome.job.in_flight = False
            if outcome.accepted and outcome.job.key is not None:
                self.used_keys.add(outcome.job.key.pk)
        errors = [outcome.error for outcome in outcomes if outcome.error is not None]
        for error in errors[:1]:
            if isinstance(error, exceptions.Throttled):
                leases.pause(self.lease, error.retry_after or verdicts.THROTTLE_REST, str(error))
            elif self.lease.failures_in_a_row >= _STORM:
                leases.pause(self.lease, _REST, str(error))
        if errors:
            self._flush()

    def _flush(self) -> None:
        """Write outcomes down. Rows that a tool's transaction holds are left for the next flush, never waited for."""
        self.flushed_at = time.monotonic()
        if not self.outcomes:
            return
        outcomes = {outcome.job.row.pk: outcome for outcome in self.outcomes}
        with transaction.atomic():
            free = {row.pk: row for row in skip_locked(OutgoingScore.objects.filter(pk__in=outcomes))}
            ready = [outcome for pk, outcome in outcomes.items() if pk in free]
            self._record_accepted([outcome for outcome in ready if outcome.accepted], free)
            for outcome in ready:
                if outcome.error is not None:
                    self._record_failed(outcome, outcome.error, free[outcome.job.row.pk])
        self.outcomes = [outcome for pk, outcome in outcomes.items() if pk not in free]
        # After the transaction: a bad API key is no reason to lose what else came back.
        for outcome in ready:
            if isinstance(outcome.error, exceptions.Refused) and outcome.job.key is not None:
                try:
                    connecting.judge_refusal(outcome.job.key, outcome.error)
                except exceptions.ConfigurationError as error:
                    self.misconfigured, self.lease.is_over = error, True

    def _record_accepted(self, outcomes: list[_Outcome], free: dict[int, OutgoingScore]) -> None:
        now = timezone.now()
        ours = [o for o in outcomes if free[o.job.row.pk].lease_token == self.lease.token]
        for unconfirmed in {o.unconfirmed for o in ours}:
            ids = [o.job.row.pk for o in ours if o.unconfirmed == unconfirmed]
            overtaken = ~Q(revision=F("sending_revision"))
            OutgoingScore.objects.filter(pk__in=ids).update(
                state=Case(When(overtaken, then=Value(State.DUE)), default=Value(State.SENT)),
                due_at=Case(
                    When(overtaken, then=Value(now + _SPACING)),
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
            )
        late = [o.job.row.pk for o in outcomes if free[o.job.row.pk].lease_token != self.lease.token]
        make_due_again(late)
        self.counts["sent"] += len(ours)
        for outcome in ours:
            said = {"score_id": outcome.job.row.pk, "revision": outcome.job.row.revision}
            announcing.announce(signals.score_sent, OutgoingScore, **said)

    def _record_failed(self, outcome: _Outcome, error: exceptions.LtiError, row: OutgoingScore) -> None:
        job = outcome.job
        verdict = verdicts.judge(error, row.attempts, went_out=outcome.went_out)
        _attempts([(row.pk, job.row.revision, verdict.outcome, verdict.code, str(error))])
        if row.lease_token != self.lease.token:
            if verdict.outcome == ScoreAttempt.Outcome.UNKNOWN:
                make_due_again([row.pk])
            return
        if isinstance(error, exceptions.NotFound) and outcome.went_out:
            LineItem.objects.filter(pk=row.line_item_id, gone_at=None).update(gone_at=timezone.now())
        is_unknown = verdict.outcome == ScoreAttempt.Outcome.UNKNOWN
        row.sending_revision = job.row.revision if is_unknown else job.earlier
        row.state, row.attempts, row.due_at = verdict.state, verdict.attempts, verdict.due_at
        if row.revision != job.row.revision and verdict.state != State.WAITING:
            # Overtaken while it was in flight: the newest value is due, a little later where the older may still land.
            row.state, row.attempts, row.due_at = State.DUE, 0, timezone.now() + 2 * _SPACING
        elif row.state == State.DUE and row.sending_revision == row.revision:
            row.state = State.UNKNOWN  # it could not be asked about yet
        if isinstance(error, exceptions.Superseded):
            row.recorded_at = timezone.now()  # the LMS wants a later time than it has
        row.lease_token = row.lease_until = None
        row.last_error_code, row.last_error = verdict.code, str(error)[:500]
        row.save(
            update_fields=[
                "state", "attempts", "due_at", "recorded_at", "sending_revision", "lease_token", "lease_until",
                "last_error_code", "last_error",
            ]
        )  # fmt: skip
        self.counts[{State.WAITING: "waiting", State.PARKED: "parked"}.get(State(row.state), "failed")] += 1
        said = {"score_id": row.pk, "error_code": verdict.code, "parked": row.state == State.PARKED}
        announcing.announce(signals.score_failed, OutgoingScore, **said)


def score_of(row: OutgoingScore) -> data.Score:
    """The row as it goes over the wire."""
    return data.Score(
        user_id=row.lti_user.lti_id,
        given=row.given,
        maximum=row.maximum,
        activity_progress=ActivityProgress(row.activity_progress),
        grading_progress=GradingProgress(row.grading_progress),
        comment=row.comment,
        timestamp=row.recorded_at,
        extra=row.extra,
    )


# --- rows -------------------------------------------------------------------------------------------------------------


def _of_platform(platform_id: int) -> OutgoingScoreQuerySet:
    return OutgoingScore.objects.filter(line_item__context__platform=platform_id)


def make_due_again(ids: Iterable[int]) -> None:
    """These were sent by somebody who no longer owned them: the newest value goes out once more.

    A higher revision overtakes whatever the present owner has in flight.
    """
    rows = OutgoingScore.objects.filter(pk__in=list(ids))
    rows.filter(state=State.SENDING).update(revision=F("revision") + 1)
    rows.exclude(state=State.SENDING).update(
        revision=F("revision") + 1, state=State.DUE, due_at=timezone.now() + _SPACING
    )


def _attempts(entries: Iterable[tuple[int, int, ScoreAttempt.Outcome, str, str]]) -> None:
    ScoreAttempt.objects.bulk_create(
        ScoreAttempt(score_id=pk, revision=revision, outcome=outcome, error_code=code, error=error[:500])
        for pk, revision, outcome, code, error in entries
    )
