"""Send the outbox of one platform: claim, find the line items, send in parallel, record what came of it.

The life of a row:

    due ── claim ──> sending ──> sent                     the LMS accepted this very revision
     ^                  ├──────> due                      failed, later again; or overtaken by a newer revision
     │                  ├──────> unknown ── claim ──> …   nobody knows: the gradebook is read before anything is sent
     │                  ├──────> waiting                  no healthy key, or the course is over; a launch makes it due
     └── launch, admin ─┴──────> parked                   kept and visible; a person, or a change of roster, decides

Threads only make calls: each takes the next from a queue and reports what came of it. Rows are read and written by the
thread that runs the pass (`outcomes`), and always under the lease token, so that a worker which comes back too late
changes nothing by it.
"""

from __future__ import annotations

import functools
import queue
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from datetime import timedelta

from django.db import DatabaseError, transaction
from django.db.models import Case, Exists, F, OuterRef, Q, When
from django.utils import timezone

from ltiaas_django import data, exceptions
from ltiaas_django.conf import settings
from ltiaas_django.connections.base import ServiceConnection
from ltiaas_django.models import LineItem, Membership, OutgoingScore, ServiceKey
from ltiaas_django.models.grades import lock_free, skip_locked
from ltiaas_django.operations import connecting, grades, leases, line_items, outcomes, verdicts
from ltiaas_django.operations.outcomes import Job, Outcome
from ltiaas_django.vocabulary import ActivityProgress, GradingProgress

State = OutgoingScore.State

_BATCH = 200  # rows claimed at once: few enough to be sent well within a lease, enough to fill every connection
_CLAIMED = (  # the columns that are needed of a row on its way
    *("line_item_id", "lti_user__lti_id", "given", "maximum", "activity_progress", "grading_progress", "comment"),
    *("extra", "recorded_at", "revision", "sending_revision", "sent_revision", "cleared"),
)
_learns = Membership.objects.filter(
    context=OuterRef("line_item__context"),
    lti_user=OuterRef("lti_user"),
    is_learner=True,
    status=Membership.Status.ACTIVE,
)
_SPACING = grades.SPACING
_PATIENCE = 2.5  # seconds that a pass waits for rows which are due that soon, instead of leaving them to the tick
_UNGRADABLE = 5  # learners refused, and nobody accepted: the LMS takes no grades for that course, so no more are tried


def send_due(lease: leases.Lease, counts: Counter[str], progress: outcomes.Progress) -> None:
    """Send what is due on the platform, until nothing is, the pass is full, or the lease ends.

    Counts as it goes: sent, failed, waiting, parked. Raises ConfigurationError (our API key is refused); every row is
    left due then.
    """
    _Pass(lease, counts, progress).run()


class _Pass:
    """One pass over one platform's outbox."""

    def __init__(self, lease: leases.Lease, counts: Counter[str], progress: outcomes.Progress) -> None:
        self.lease = lease
        self.writer = outcomes.Writer(lease, counts, progress)
        self.open: dict[int, Job] = {}  # claimed, and nobody knows yet what came of it
        self.handled = 0
        self.found_nothing = False  # at the last claim
        self.used_keys: set[int] = set()
        # Between the threads: calls to be made, and what came of them (None: it could not be tried).
        self.calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self.reports: deque[tuple[Job, Outcome | None]] = deque()
        self.news = threading.Event()
        self.crash: BaseException | None = None
        self.refused_keys: set[int] = set()
        self.refused_in: Counter[int] = Counter()  # learners, by course

    def run(self) -> None:
        with self.callers():
            self._drive()
        if self.crash is not None:
            raise self.crash
        connecting.note_use(self.used_keys)
        if self.writer.misconfigured is not None:
            raise self.writer.misconfigured

    @contextmanager
    def callers(self) -> Iterator[None]:
        """Threads that make calls during the block; at its end all is recorded or released, whatever ended it."""
        with ThreadPoolExecutor(self.lease.parallel_calls, thread_name_prefix="ltiaas") as threads:
            callers: list[Future[None]] = []
            try:
                callers += (threads.submit(self._make_calls) for _ in range(self.lease.parallel_calls))
                yield
            except BaseException:  # Ctrl-C, or the database has gone
                leases.reconnect()
                self.lease.is_over = True  # nothing more may go out for rows that are about to be released
                raise
            finally:
                for _ in range(self.lease.parallel_calls):
                    self.calls.put(None)
                wait(callers)  # what is on the wire is waited for
                try:
                    self._settle_reports()
                    self.writer.flush()
                finally:
                    self._release(list(self.open.values()))

    def _drive(self) -> None:
        """Keep the callers busy and write down what they report, until there is nothing left to do."""
        is_exhausted, settled_before = False, -1
        while self.lease.renew():
            if not is_exhausted and len(self.open) < self._low_water():
                if not self.open and self.writer.settled == settled_before:
                    return  # nothing of the last claim could even be tried; the next tick may fare better
                settled_before, room = self.writer.settled, self._room()
                jobs = self.claim(room) if room else []
                is_exhausted = len(jobs) < room or not room
                self.take_on(jobs)
            if self.open:
                self.collect()
            elif is_exhausted:
                self.writer.flush()
                if not self._room() or not (outcomes.reap(self.lease.platform.pk) or self._wait_for_more()):
                    return
                is_exhausted, settled_before = False, -1

    def collect(self) -> None:
        """Wait a moment for what the callers report, and write it down."""
        self.news.wait(outcomes.FLUSH_SECONDS / 4)
        self.news.clear()
        self._settle_reports()
        self.writer.flush_if_due()
        if self.crash is not None:
            raise self.crash

    def _low_water(self) -> int:
        """How few open jobs there may be before more are claimed: enough for all callers during a claim."""
        return 1 if self.lease.is_probing else self.lease.fits(max(32, 8 * self.lease.parallel_calls))

    # --- claiming ---

    def _room(self) -> int:
        """How many rows the next claim may take; 0 once the pass is full, or has taken its time."""
        left = settings.SCORES_PER_PASS - self.handled if self.lease.has_time else 0
        return min(1 if self.lease.is_probing else self.lease.fits(_BATCH), left)

    def claim(self, size: int) -> list[Job]:
        """Take due rows under the lease; those that other transactions hold are passed over, not waited for."""
        began, now = time.monotonic(), timezone.now()
        with transaction.atomic():
            due = outcomes.of_platform(self.lease.platform.pk).due().sendable()
            due = due.filter(Q(attempted_at=None) | Q(attempted_at__lte=now - _SPACING))
            due = due.order_by(F("attempted_at").asc(nulls_first=True), "due_at", "pk")
            due = due.annotate(learns=Exists(_learns))
            rows = list(skip_locked(due).select_related("lti_user").only(*_CLAIMED)[:size])
            OutgoingScore.objects.filter(pk__in=[row.pk for row in rows]).update(
                state=State.SENDING,
                sending_revision=F("revision"),
                lease_token=self.lease.token,
                lease_until=now + timedelta(seconds=self.lease.length),
                attempted_at=now,
                cleared=Case(When(given=None, then=True), default=F("cleared")),
            )
        self.found_nothing = not rows
        # Once for all rows of a column, and anew with each claim: a launch may have named another one meanwhile.
        columns = LineItem.objects.select_related("context__platform", "resource_link")
        by_id = columns.in_bulk({row.line_item_id for row in rows})
        for row in rows:
            row.line_item = by_id[row.line_item_id]
        return [Job(row, now, began, row.learns, row.sending_revision) for row in rows]  # type: ignore[attr-defined]

    def _wait_for_more(self) -> bool:
        """Whether something is due in a moment (overtaken, or spaced from its last attempt); waits for it."""
        soon = timezone.now() + timedelta(seconds=_PATIENCE)
        coming = outcomes.of_platform(self.lease.platform.pk).sendable()
        coming = coming.actionable().filter(due_at__lte=soon)
        due_at, attempted_at = coming.order_by("due_at").values_list("due_at", "attempted_at").first() or (None, None)
        if due_at is None:
            return False
        at = max(due_at, attempted_at + _SPACING) if attempted_at else due_at
        if at > soon or (at <= timezone.now() and self.found_nothing):  # due, and held by another transaction
            return False
        time.sleep(max(0.0, (at - timezone.now()).total_seconds() + 0.01))
        return True

    def _release(self, jobs: list[Job]) -> None:
        """What was claimed and not tried is as before; what was on the wire when the pass broke off is unknown."""
        for job in jobs:
            self._close(job)
        with transaction.atomic():
            self._give_back(jobs)

    def _close(self, job: Job) -> None:
        if self.open.get(job.row.pk) is job:  # and not a later claim of the row
            del self.open[job.row.pk]

    def _give_back(self, jobs: list[Job]) -> None:
        claimed = OutgoingScore.objects.filter(
            state=State.SENDING, lease_token=self.lease.token, attempted_at__in={job.attempted_at for job in jobs}
        )
        # What a tool holds is left as it is: it counts as unknown once its lease is over.
        mine = lock_free(claimed.filter(pk__in=[job.row.pk for job in jobs]))
        free = {"lease_token": None, "lease_until": None}
        if untouched := [job.row.pk for job in jobs if not job.in_flight and job.earlier is None]:
            mine.filter(pk__in=untouched).update(state=State.DUE, sending_revision=None, **free)
        for job in jobs:
            if not job.in_flight and job.earlier is not None:
                state = State.UNKNOWN if job.must_ask else State.DUE
                mine.filter(pk=job.row.pk).update(state=state, sending_revision=job.earlier, **free)
        if on_the_wire := [job.row.pk for job in jobs if job.in_flight]:
            mine.filter(pk__in=on_the_wire).update(state=State.UNKNOWN, due_at=timezone.now(), **free)

    # --- lining up ---

    def take_on(self, jobs: list[Job]) -> None:
        """Hand claimed jobs to the callers, as soon as their line items are known."""
        self.handled += len(jobs)
        self.open.update((job.row.pk, job) for job in jobs)
        by_line_item: dict[int, list[Job]] = {}
        for job in self._leave_out_what_must_not_be_sent(jobs):
            by_line_item.setdefault(job.row.line_item_id, []).append(job)
        contexts = {group[0].row.line_item.context_id for group in by_line_item.values()}
        keys = connecting.keys_by_context(contexts, "grades") if contexts else {}
        for group in by_line_item.values():
            self._settle_reports()  # a column may take long to find: what comes back meanwhile is written down
            self.writer.flush_if_due()
            if not self.lease.renew():
                return
            line_item = group[0].row.line_item
            self._line_up(group, connecting.own_first(keys.get(line_item.context_id, []), line_item.resource_link_id))

    def _leave_out_what_must_not_be_sent(self, jobs: list[Job]) -> list[Job]:
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
                self._settle(Outcome(job, error=harm))
        return left

    def _line_up(self, jobs: list[Job], keys: list[ServiceKey]) -> None:
        """Hand one line item's jobs to the callers, once the line item is known at the LMS. Tries sibling keys."""
        line_item = jobs[0].row.line_item
        error: exceptions.LtiError | None = None
        for key in keys:
            if key.pk in self.refused_keys:
                continue  # since it was read
            try:
                with connecting.using(key, self.lease.platform) as connection:
                    if not line_item.lti_id or line_item.gone_at:
                        self.lease.wait_turn()
                        if not self.lease.allows_call(jobs[0].claimed_at):
                            return self._release(jobs)  # not their fault, nor the LMS's
                        self._find_line_item(connection, key, line_item, jobs)
            except (exceptions.Refused, exceptions.SealError):
                self.refused_keys.add(key.pk)  # and marked by `using`; a sibling may do
                continue
            except (exceptions.ApiError, DatabaseError, ValueError) as problem:
                # One column that cannot be had, or stored, must not stop the others.
                error = problem if isinstance(problem, exceptions.LtiError) else verdicts.Unusable(str(problem))
                self.lease.note_failure(error)
                break
            return self._queue(jobs, key, connection)
        error = error or exceptions.ServiceNotOffered(connecting.why_no_key(line_item.context, "grades"))
        for job in jobs:
            self._settle(Outcome(job, error=error))
        self.writer.flush()

    def _queue(self, jobs: list[Job], key: ServiceKey, connection: ServiceConnection) -> None:
        for job in jobs:
            job.key = key
            if not job.must_ask:
                self.calls.put(functools.partial(self._send, job, connection))
        if in_doubt := [job for job in jobs if job.must_ask]:
            self.calls.put(functools.partial(self._ask, in_doubt, connection))

    def _find_line_item(
        self, connection: ServiceConnection, key: ServiceKey, line_item: LineItem, jobs: list[Job]
    ) -> None:
        is_own = key.resource_link_id is not None and key.resource_link_id == line_item.resource_link_id
        line_items.find_or_create(connection, line_item, jobs[0].row.maximum, key_is_own=is_own)

    # --- calling: all of this runs in the callers' threads, and touches no row of the database ---

    def _make_calls(self) -> None:
        while (call := self.calls.get()) is not None:
            try:
                call()
            except BaseException as error:  # a bug of ours: the pass must hear of it, and end
                self.crash, self.lease.is_over = error, True
                self.news.set()
                return

    def _report(self, job: Job, outcome: Outcome | None) -> None:
        self.reports.append((job, outcome))
        is_good = outcome is not None and outcome.accepted
        # The pass is woken for what it must act on; what merely went well is collected a few times a second.
        if not is_good or len(self.open) - len(self.reports) < self._low_water() // 2:
            self.news.set()

    def _ask(self, jobs: list[Job], connection: ServiceConnection) -> None:
        """Settle unknown outcomes of one line item by one read of the gradebook; what turns out unsent is sent."""
        try:
            results = self._read_results(jobs, connection)
        except exceptions.Refused as error:
            if _is_for_reading_only(error):
                return self._go_on_unread(jobs, connection, error)
            return self._report_all(jobs, error)
        except exceptions.LtiError as error:
            return self._report_all(jobs, error)
        if results is None:
            return self._report_all(jobs, None)
        for job in jobs:
            stored, unconfirmed = verdicts.compare(job.row, results.get(job.row.lti_user.lti_id))
            job.earlier = None
            if stored:  # a send that came through; that reading works says nothing of sending
                self.lease.note_success()
                self._report(job, Outcome(job, accepted=True, unconfirmed=unconfirmed))
            else:
                self.calls.put(functools.partial(self._send, job, connection))

    def _report_all(self, jobs: list[Job], error: exceptions.LtiError | None) -> None:
        for job in jobs:
            self._report(job, None if error is None else Outcome(job, error=error))

    def _go_on_unread(self, jobs: list[Job], connection: ServiceConnection, error: exceptions.LtiError) -> None:
        """The key may not read results: a bare value is sent again, which does no harm; the rest waits for a person."""
        for job in jobs:
            if job.row.comment or job.row.extra:
                self._report(job, Outcome(job, error=verdicts.Unreadable(str(error))))
            else:
                job.earlier = None
                self.calls.put(functools.partial(self._send, job, connection))

    def _read_results(self, jobs: list[Job], connection: ServiceConnection) -> dict[str, data.Result] | None:
        """By LMS user id, for one person only where one is asked about; None if it may not be asked any more."""
        job = jobs[0]
        if not self._takes_turn(job):
            return None
        column, user_id = job.row.line_item, job.row.lti_user.lti_id if len(jobs) == 1 else ""
        try:
            results = {one.user_id: one for one in connection.results(column.lti_id, user_id=user_id)}
            if column.score_maximum is None and any(one.score and not one.maximum for one in results.values()):
                column.score_maximum = connection.line_item(column.lti_id).score_maximum  # what bare values are out of
            return results
        except exceptions.LtiError as error:
            self._note_at_once(job, error)
            raise

    def _send(self, job: Job, connection: ServiceConnection) -> None:
        """Send one score, and report what came of it."""
        context_id = job.row.line_item.context_id
        if not self._takes_turn(job):
            return self._report(job, None)
        if self.refused_in[context_id] >= _UNGRADABLE and context_id not in self.writer.accepted_in:
            error: exceptions.LtiError = verdicts.CourseNotGradable("Not tried: the LMS refused its other learners.")
            return self._report(job, Outcome(job, error=error))
        job.in_flight = True
        try:
            connection.send_score(job.row.line_item.lti_id, score_of(job.row))
        except exceptions.LtiError as problem:
            self._note_at_once(job, problem)
            return self._report(job, Outcome(job, error=problem, went_out=True))
        except ValueError as problem:  # an amount or a member that JSON cannot say
            return self._report(job, Outcome(job, error=verdicts.Unusable(str(problem))))
        self.lease.note_success()
        self.writer.accepted_in.add(context_id)  # at once: the other callers ask
        self._report(job, Outcome(job, accepted=True, went_out=True))

    def _takes_turn(self, job: Job) -> bool:
        """Whether the job's call may be made: asked before it waits for its turn, and again when that has come."""
        if self._may_call(job):
            self.lease.wait_turn()
        return self._may_call(job)

    def _may_call(self, job: Job) -> bool:
        is_refused = job.key is not None and job.key.pk in self.refused_keys
        return not is_refused and self.lease.allows_call(job.claimed_at)

    def _note_at_once(self, job: Job, error: exceptions.LtiError) -> None:
        """What the other threads must know here and now, before it is written down: no key or LMS is hammered."""
        if isinstance(error, exceptions.Refused) and job.key is not None and not _is_for_reading_only(error):
            self.refused_keys.add(job.key.pk)
        if isinstance(error, exceptions.PersonNotGradable) and job.learns:
            self.refused_in[job.row.line_item.context_id] += 1
        if isinstance(error, exceptions.Throttled):
            self.lease.is_over = True
        self.lease.note_failure(error)

    # --- settling ---

    def _settle_reports(self) -> None:
        untried, has_failures = [], False
        while self.reports:
            job, outcome = self.reports.popleft()
            if outcome is None:
                untried.append(job)
            else:
                self._settle(outcome)
                has_failures = has_failures or not outcome.accepted
        if has_failures:  # written down at once; what went well is written in batches
            self.writer.flush()
        if untried:
            self._release(untried)

    def _settle(self, outcome: Outcome) -> None:
        job, error = outcome.job, outcome.error
        self._close(job)
        job.in_flight = False
        if outcome.accepted and job.key is not None:
            self.used_keys.add(job.key.pk)
        self.writer.take(outcome)
        if error is not None:
            leases.heed(self.lease, error)


def _is_for_reading_only(error: exceptions.Refused) -> bool:
    """Whether the LMS only keeps its results from us: scores may still be sent."""
    return error.asked == "GET results" and error.status_code != 401


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
