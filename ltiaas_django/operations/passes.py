"""Passes: what the night, a tick, a launch or a person sets going, platform by platform.

Work is found in the database, by time stamps: a broker's message is only a hint that makes it start sooner. A pass
over a platform belongs to the worker that holds its lease, and leaves a run behind that says what it did.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, connections, transaction
from django.db.models import Count, Exists, F, Min, OuterRef, Q, QuerySet
from django.utils import timezone
from django.utils.module_loading import import_string

from ltiaas_django import exceptions, sealing
from ltiaas_django.conf import settings
from ltiaas_django.models import Context, Heartbeat, Launch, OutgoingScore, Platform, ScoreAttempt, ServiceKey, SyncRun
from ltiaas_django.models.grades import lock_free
from ltiaas_django.operations import delivery, drift, grades, leases, outcomes, rosters, waking

logger = logging.getLogger(__name__)

Kind, Trigger, Outcome = SyncRun.Kind, SyncRun.Trigger, SyncRun.Outcome
Progress = Callable[[str, int], None]
"""Told the kind of work and how much of it is done since the last call."""

_VISITS = 3  # of one platform in one go: a pass leaves nothing due that it could have done, save what came meanwhile
_OVERLAP = timedelta(minutes=15)  # a tool's row may be stamped before, and committed after, the source was asked
_LTIK_LASTS = timedelta(hours=25)  # LTIAAS honours it for 24: until then its digest is what tells a replay
_SHOWN = 10  # reasons that a person wants to read at once
_PURGE = 5_000  # rows a housekeeping step deletes at once
_MISCONFIGURED = 300.0  # seconds between two tries with an API key that LTIAAS does not accept


def release_night(kind: str, platform_id: int | None = None) -> None:
    """Make due what waits for the night: scores without a time, or the roster of every course that offers one.

    `platform_id`: of this platform only.
    """
    if kind == Kind.GRADES:
        try:
            collect_from_source()
        finally:  # a source that fails is no reason to keep back what has been recorded
            scores = OutgoingScore.objects.actionable().filter(due_at=None)
            if platform_id is not None:
                scores = scores.filter(line_item__context__platform=platform_id)
            grades.wake(scores, attempts=F("attempts"))  # a night ends no row of failures
    elif kind == Kind.ROSTERS:
        contexts = _contexts_with_roster().filter(roster_due_at=None)
        if platform_id is not None:
            contexts = contexts.filter(platform=platform_id)
        contexts.update(roster_due_at=timezone.now())


def _contexts_with_roster() -> QuerySet[Context]:
    """Courses whose roster the night reads: it is offered, and somebody has launched them lately."""
    keys = ServiceKey.objects.healthy().filter(context=OuterRef("pk"), offers_roster=True)
    contexts = _open_contexts().filter(Exists(keys)).exclude(lti_id="")
    if settings.ROSTER_ACTIVE_DAYS is None:
        return contexts
    return contexts.filter(launched_at__gte=timezone.now() - timedelta(days=settings.ROSTER_ACTIVE_DAYS))


def _open_contexts() -> QuerySet[Context]:
    """Neither stopped by an operator nor called over by the LMS."""
    return Context.objects.filter(is_active=True, platform__is_active=True, concluded_at=None)


def collect_from_source() -> int:
    """Ask the tool's SCORE_SOURCE for what has changed since it was last asked; returns how many scores changed."""
    if settings.SCORE_SOURCE is None:
        return 0
    whole = (Outcome.OK, Outcome.PARTIAL)
    asked_before = SyncRun.objects.filter(kind=Kind.GRADES, platform=None, outcome__in=whole).first()
    since = asked_before.started_at - _OVERLAP if asked_before else None
    run = SyncRun.objects.create(kind=Kind.GRADES, trigger=Trigger.NIGHTLY)
    with _finishing(run):
        source = import_string(settings.SCORE_SOURCE)
        counts: Counter[str] = Counter()
        for chunk in grades.batched(source(since)):
            _record_chunk(chunk, counts, run)
        run.counts = dict(counts)
    return counts["recorded"]


def _record_chunk(chunk: list[grades.ScoreRecord], counts: Counter[str], run: SyncRun) -> None:
    """One record that cannot be used must not hold back the others: then they are recorded one by one."""
    try:
        counts["recorded"] += grades.record_scores(chunk)
    except (ValueError, exceptions.UnknownPerson) as error:
        if len(chunk) == 1:
            counts["failed"] += 1
            run.error = f"A record was left out: {error}"[:500]
            return
        for record in chunk:
            _record_chunk([record], counts, run)


def request_roster(context: Context, trigger: str = Trigger.ADMIN) -> None:
    """Have the roster of this course read as soon as a worker is free, even if the LMS has called the course over."""
    Context.objects.filter(pk=context.pk).update(roster_due_at=timezone.now(), roster_failures=0, concluded_at=None)
    waking.wake_on_commit(context.platform_id, [Kind.ROSTERS], trigger)


def request_scores(context: Context, trigger: str = Trigger.ADMIN) -> None:
    """Have the open scores of this course sent as soon as a worker is free, those that wait for the night too."""
    Context.objects.filter(pk=context.pk).exclude(concluded_at=None).update(concluded_at=None)
    with transaction.atomic():
        lock_free(OutgoingScore.objects.actionable().filter(line_item__context=context)).update(due_at=timezone.now())
    grades.wake(
        OutgoingScore.objects.filter(
            line_item__context=context, state=OutgoingScore.State.WAITING, last_error_code="course_concluded"
        )
    )
    waking.wake_on_commit(context.platform_id, [Kind.GRADES], trigger)


def request_check(context: Context, trigger: str = Trigger.ADMIN) -> None:
    """Have the gradebook of this course compared with what was sent, as soon as a worker is free."""
    Context.objects.filter(pk=context.pk).update(check_due_at=timezone.now(), check_error="", concluded_at=None)
    waking.wake_on_commit(context.platform_id, [Kind.CHECK], trigger)


def request_checks() -> int:
    """Have the gradebook of every course compared that was launched lately and has sent scores; returns how many."""
    sent = OutgoingScore.objects.filter(line_item__context=OuterRef("pk"), state=OutgoingScore.State.SENT)
    since = timezone.now() - timedelta(days=settings.ROSTER_ACTIVE_DAYS or 36_500)
    contexts = _open_contexts().filter(Exists(sent), launched_at__gte=since, check_due_at=None)
    return contexts.update(check_due_at=timezone.now())


def set_active(row: Platform | Context, *, is_active: bool) -> bool:
    """Stop a platform or a course, or resume it: what is due stays due meanwhile. False if it was so already."""
    return bool(type(row)._default_manager.filter(pk=row.pk).exclude(is_active=is_active).update(is_active=is_active))


def due_platforms(kinds: Collection[str], platform_id: int | None = None) -> list[int]:
    """Platforms that have work due and may be worked on now, those that nobody has worked on for longest first.

    `platform_id`: this one, if it is among them.
    """
    free, awake = _free_and_awake()
    found = _platforms_with_work(kinds).filter(free, awake)
    if platform_id is not None:
        found = found.filter(pk=platform_id)
    return list(found.order_by(F("worked_at").asc(nulls_first=True), "pk").values_list("pk", flat=True))


def held_back(kinds: Collection[str]) -> QuerySet[Platform]:
    """Platforms that have work due and may not be worked on now: another worker is at it, or they are paused."""
    free, awake = _free_and_awake()
    return _platforms_with_work(kinds).exclude(free & awake).order_by("pk")


def work_all(
    kinds: Collection[str],
    visit: Callable[[int, threading.Event], bool],
    *,
    platform_id: int | None = None,
    parallel: int = 1,
) -> None:
    """Visit the platforms that have work due, several at a time, until nothing is due that may be worked on now.

    `visit(platform_id, stop)` works on one, in a thread of its own if `parallel` is more than 1, and returns whether
    it got anything done; `stop` is set when this call breaks off (Ctrl-C, or an error of a visit), and every visit is
    waited for. A platform comes up for as long as that does any good, and a few times more.
    """
    is_in_memory: bool = getattr(connection, "is_in_memory_db", bool)()  # SQLite's
    if connection.in_atomic_block or is_in_memory:
        parallel = 1  # another thread would not see what is here: a test case's rows, most likely
    stop = threading.Event()
    left: dict[int, int] = {}
    waiting: deque[int] = deque()
    running: dict[Future[bool], int] = {}

    def look() -> None:
        leases.reconnect()  # this thread may have waited for long
        found = [pk for pk in due_platforms(kinds, platform_id) if pk not in running.values()]
        waiting.extend(pk for pk in found if left.setdefault(pk, _VISITS) > 0)

    def visit_in_thread(pk: int) -> bool:
        try:
            return visit(pk, stop)
        finally:
            connections.close_all()  # this thread's own

    with ThreadPoolExecutor(max(1, parallel), thread_name_prefix="ltiaas-pass") as threads:
        try:
            while True:
                if not waiting:
                    look()
                while waiting and len(running) < parallel:
                    pk = waiting.popleft()
                    if parallel == 1:
                        left[pk] -= not visit(pk, stop)
                    else:
                        running[threads.submit(visit_in_thread, pk)] = pk
                if running:
                    for future in wait(running, return_when=FIRST_COMPLETED).done:
                        left[running.pop(future)] -= not future.result()
                elif not waiting:
                    look()
                    if not waiting:
                        return
        except BaseException:
            stop.set()
            raise


def _free_and_awake() -> tuple[Q, Q]:
    now = timezone.now()
    return Q(lease_until=None) | Q(lease_until__lt=now), Q(paused_until=None) | Q(paused_until__lte=now)


def _platforms_with_work(kinds: Collection[str]) -> QuerySet[Platform]:
    now = timezone.now()
    due = Q(pk__in=[])
    if Kind.GRADES in kinds:
        scores = OutgoingScore.objects.due().sendable()
        lost = OutgoingScore.objects.filter(state=OutgoingScore.State.SENDING, lease_until__lt=now)
        for rows in (scores, lost):
            due |= Q(pk__in=rows.values("line_item__context__platform"))
    if Kind.ROSTERS in kinds:
        due |= Q(pk__in=_due_contexts().values("platform"))
    if Kind.CHECK in kinds:
        due |= Q(pk__in=_due_checks().values("platform"))
    return Platform.objects.filter(due, is_active=True)


def _due_contexts() -> QuerySet[Context]:
    return _open_contexts().filter(roster_due_at__lte=timezone.now())


def _due_checks() -> QuerySet[Context]:
    return _open_contexts().filter(check_due_at__lte=timezone.now())


def work(
    platform_id: int,
    kinds: Collection[str],
    trigger: str,
    progress: Progress | None = None,
    stop: leases.Stop | None = None,
) -> list[SyncRun]:
    """Do what is due on one platform, under its lease; returns the runs, none if another worker is at it.

    `stop`: once it is set, nothing more is begun. Raises ConfigurationError if our API key is refused; the run's row
    says so too, and the platform is left alone for a while.
    """
    report = progress or (lambda _kind, _done: None)
    with leases.own(platform_id, stop) as lease:
        if lease is None:
            return []
        try:
            return _work_under(lease, kinds, trigger, report)
        except exceptions.ConfigurationError as error:
            leases.pause(lease, _MISCONFIGURED, str(error))
            raise


def _work_under(lease: leases.Lease, kinds: Collection[str], trigger: str, report: Progress) -> list[SyncRun]:
    runs: list[SyncRun] = []
    if Kind.GRADES in kinds:
        runs += _work_grades(lease, trigger, report)
    if Kind.ROSTERS in kinds and lease.renew():
        runs += _work_courses(lease, Kind.ROSTERS, trigger, report)
    if Kind.CHECK in kinds and lease.renew():
        runs += _work_courses(lease, Kind.CHECK, trigger, report)
    # What became due while the rosters were read must not wait for the next tick.
    if Kind.GRADES in kinds and len(kinds) > 1 and lease.renew() and lease.has_time:
        runs += _work_grades(lease, trigger, report)
    return runs


def _work_grades(lease: leases.Lease, trigger: str, progress: Progress) -> list[SyncRun]:
    mine = outcomes.of_platform(lease.platform.pk)
    if not mine.due().sendable().exists() and not (outcomes.reap(lease.platform.pk) and mine.due().sendable().exists()):
        return []
    run = SyncRun.objects.create(kind=Kind.GRADES, trigger=trigger, platform=lease.platform)
    with _finishing(run, lease):
        counts: Counter[str] = Counter()
        try:
            delivery.send_due(lease, counts, lambda done: progress(Kind.GRADES, done))
        finally:  # a pass that breaks off has sent something too
            run.counts = dict(counts)
    return [run]


def _work_courses(lease: leases.Lease, kind: SyncRun.Kind, trigger: str, progress: Progress) -> list[SyncRun]:
    """Course by course, those launched last first: read its roster, or compare its gradebook."""
    due = _due_contexts() if kind == Kind.ROSTERS else _due_checks()
    due = due.filter(platform=lease.platform).order_by(F("launched_at").desc(nulls_last=True), "pk")
    ids = list(due.values_list("pk", flat=True))
    if not ids:
        return []
    run = SyncRun.objects.create(kind=kind, trigger=trigger, platform=lease.platform)
    counts: Counter[str] = Counter()
    with _finishing(run, lease):
        for context_id in ids:
            context = Context.objects.select_related("platform").get(pk=context_id)
            try:
                counts.update(
                    _read_roster(context, lease, run) if kind == Kind.ROSTERS else drift.check(context, lease)
                )
                lease.note_success()
            except exceptions.ConfigurationError:
                raise
            except exceptions.LtiError as error:
                counts["failed"] += 1
                run.error = f"{context}: {error}"[:500]
                _heed(lease, context, error)
            finally:
                run.counts = dict(counts)
                progress(kind, 1)
            if not (lease.renew() and lease.has_time):
                break
    return [run]


def _read_roster(context: Context, lease: leases.Lease, run: SyncRun) -> dict[str, int]:
    change = rosters.sync_roster(context, lease)
    if change.held:
        run.error = f"{context}: {change.held} departures are held until a person confirms them."[:500]
    joined, changed, left = len(change.joined), len(change.changed), len(change.left)
    return {"read": 1, "joined": joined, "changed": changed, "left": left, "held": change.held}


def _heed(lease: leases.Lease, context: Context, error: exceptions.LtiError) -> None:
    """What one course's failure means for its platform, or for the course as a whole."""
    lease.note_failure(error)
    if isinstance(error, exceptions.CourseConcluded):
        outcomes.conclude(context.pk)
    else:
        leases.heed(lease, error)


@contextmanager
def _finishing(run: SyncRun, lease: leases.Lease | None = None) -> Iterator[None]:
    """Write down how a run ended, whatever ended it."""
    try:
        yield
    except Exception as error:
        leases.reconnect()
        run.outcome, run.error = Outcome.FAILED, f"{type(error).__name__}: {error}"[:500]
        raise
    except BaseException:  # Ctrl-C, or a worker that is told to end
        run.outcome = Outcome.STOPPED
        raise
    else:
        run.outcome = Outcome.STOPPED if lease is not None and lease.was_stopped else _outcome(run.counts)
        if run.outcome == Outcome.FAILED:
            logger.error("Run %s (%s of platform %s): nothing worked. %s", run.pk, run.kind, run.platform_id, run.error)
    finally:
        run.finished_at = timezone.now()
        run.save(update_fields=["counts", "outcome", "error", "finished_at"])


def came_on(run: SyncRun) -> bool:
    """Whether a pass got anything done, so that another one may get further."""
    return any(run.counts.get(name) for name in ("sent", "read", "recorded"))


def _outcome(counts: dict[str, int]) -> SyncRun.Outcome:
    bad = sum(counts.get(name, 0) for name in ("failed", "waiting", "parked"))
    good = counts.get("sent", 0) + counts.get("read", 0) + counts.get("recorded", 0)
    if not bad:
        return Outcome.OK
    # Nothing sent and everything failed is an alarm, not a success.
    return Outcome.PARTIAL if good else Outcome.FAILED


# --- housekeeping -----------------------------------------------------------------------------------------------------


def tidy(heartbeat: str = Heartbeat.TICK) -> Counter[str]:
    """What every tick looks after: rows of dead workers, launches that are over, scores that wait for no reason."""
    counts: Counter[str] = Counter(reaped=outcomes.reap())
    now = timezone.now()
    over = Launch.objects.filter(expires_at__lt=now, created_at__lt=now - _LTIK_LASTS).values_list("pk", flat=True)
    counts["launches_purged"] = Launch.objects.filter(pk__in=list(over[:_PURGE])).delete()[0]
    # A launch wakes what waits for its key; this finds what was put to wait at that very moment.
    key = ServiceKey.objects.healthy().filter(context=OuterRef("line_item__context"), offers_grades=True)
    waiting = OutgoingScore.objects.filter(Exists(key), state=OutgoingScore.State.WAITING)
    counts["woken"] = grades.wake(waiting.filter(line_item__context__concluded_at=None))
    counts["woken"] += grades.wake_sent_to_former_columns()
    if not Heartbeat.objects.filter(name=heartbeat).update(beat_at=now):
        Heartbeat.objects.get_or_create(name=heartbeat, defaults={"beat_at": now})
    return counts


def housekeeping() -> Counter[str]:
    """The nightly care: re-seal what an older sealing key sealed, drop what retention no longer keeps."""
    counts = tidy(Heartbeat.NIGHT)
    counts.update(reseal())
    oldest = timezone.now() - timedelta(days=settings.RETENTION_DAYS)
    counts["attempts_purged"] = _delete_all(ScoreAttempt.objects.filter(at__lt=oldest))
    counts["runs_purged"] = _delete_all(SyncRun.objects.filter(started_at__lt=oldest))
    return counts


def _delete_all(rows: QuerySet[Any]) -> int:
    """Delete in steps, so that no transaction grows long."""
    deleted = 0
    while ids := list(rows.values_list("pk", flat=True)[:_PURGE]):
        deleted += rows.model._default_manager.filter(pk__in=ids).delete()[0]
    return deleted


def reseal() -> Counter[str]:
    """Seal every stored key with the newest sealing key; what cannot be read is marked and waits for a launch."""
    counts: Counter[str] = Counter()
    newest = sealing.newest_key()
    older = Q(sealed_with__lt=newest) | Q(sealed_with__gt=newest)  # and not "is not": this an index can answer
    for key in ServiceKey.objects.healthy().filter(older).iterator(chunk_size=500):
        same = ServiceKey.objects.filter(pk=key.pk, sealed=key.sealed)  # a launch may replace it meanwhile
        try:
            secret = key.reveal()
        except exceptions.SealError as error:
            counts["unreadable"] += same.update(refused_at=timezone.now(), last_error=str(error))
            continue
        counts["resealed"] += same.update(
            sealed=sealing.seal(secret), sealed_with=newest, fingerprint=sealing.fingerprint(secret)
        )
    return counts


def forecast(kind: str) -> dict[int, tuple[int, int]]:
    """By platform id: how much work of a kind is due now, and how much more the night would make due."""
    if kind == Kind.GRADES:
        place = "line_item__context__platform"
        sendable = OutgoingScore.objects.sendable()
        due, later = sendable.due(), sendable.filter(state=OutgoingScore.State.DUE, due_at=None)
        counts = [dict(rows.values_list(place).annotate(Count("pk")).order_by()) for rows in (due, later)]
    else:
        contexts = (_due_contexts(), _contexts_with_roster().filter(roster_due_at=None))
        counts = [dict(rows.values_list("platform").annotate(Count("pk")).order_by()) for rows in contexts]
    return {pk: (counts[0].get(pk, 0), counts[1].get(pk, 0)) for pk in sorted(counts[0].keys() | counts[1].keys())}


def reasons(platform_id: int | None, since: datetime) -> list[tuple[str, int]]:
    """Why scores failed and rosters could not be read since a time: the words, and how often, most frequent first."""
    attempts = ScoreAttempt.objects.filter(at__gte=since).exclude(error="")
    courses = Context.objects.filter(roster_attempted_at__gte=since).exclude(roster_error="")
    if platform_id is not None:
        attempts = attempts.filter(score__line_item__context__platform=platform_id)
        courses = courses.filter(platform=platform_id)
    counted = Counter(dict(attempts.values_list("error").annotate(Count("pk")).order_by()))
    counted.update(f"{course}: {course.roster_error}" for course in courses[:_SHOWN])
    return counted.most_common(_SHOWN)


def left_over(platform_id: int | None) -> tuple[dict[str, int], datetime | None]:
    """How many scores are not sent yet, by state, and when the next of them is tried again."""
    rows = OutgoingScore.objects.open()
    if platform_id is not None:
        rows = rows.filter(line_item__context__platform=platform_id)
    states = dict(rows.values_list("state").annotate(Count("pk")).order_by())
    return states, rows.actionable().aggregate(at=Min("due_at"))["at"]
