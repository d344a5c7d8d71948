"""How things stand: what is due, waits, fails or is stopped, and how the last passes went.

One look, for `ltiaas_status`, `/lti/health/` and monitors. Its cost follows what is open or wrong, not what exists.
"""

from __future__ import annotations

import dataclasses
from datetime import datetime, timedelta
from typing import Any, Literal

from django.db.models import Count, Exists, Max, Min, OuterRef, Q, QuerySet
from django.utils import timezone

from ltiaas_django.conf import settings
from ltiaas_django.models import Context, Heartbeat, OutgoingScore, Platform, ServiceKey, SyncRun
from ltiaas_django.models.grades import ACTIONABLE

Level = Literal["ok", "attention", "failing", "stopped"]
State = OutgoingScore.State

TOP = 10  # failing courses, paused platforms and failed runs that are named
_A_NIGHT_MISSED = timedelta(hours=36)  # even where its passes last into the morning
_AN_HOUR = timedelta(hours=1)
_RECENT = timedelta(days=2)  # of the log of runs: beyond that "last" says nothing
_LOOKED_AT = 1000  # runs
_MANY = 5  # failures of a pass in which nothing worked: fewer are single people's trouble


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scores:
    """The outbox. `due` to `parked` add up to what the LMSs have not accepted yet."""

    due: int
    """To be sent, or asked about, now."""
    due_since: datetime | None
    sending: int
    later: int
    """To be tried again later."""
    night: int
    launch: int
    """Waiting for a launch to bring a key that works."""
    parked: int
    unknown: int
    """Of those due now or later: their outcome has to be looked up first."""
    stopped: int
    """Of all these: held back, for their platform or course is stopped, or the LMS calls the course over."""
    overdue: int
    """Of those due now or waiting for the night: nobody was at them for a night (those due: for an hour where SEND is
    on_commit), although nothing is in the way."""
    unsent_since: datetime | None
    """When the oldest of them was recorded, parked and stopped ones aside."""
    courses_failing: int
    courses_waiting: int
    """Courses whose scores wait for a launch."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rosters:
    """What is asked of courses other than to take scores."""

    due: int
    due_since: datetime | None
    overdue: int
    failing: int
    held: int
    """Courses whose departures wait for a person's yes."""
    checks_due: int
    """Gradebooks to be read back."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class FailingCourse:
    """One course that something fails in."""

    context_id: int
    course: str
    platform: str
    what: Literal["roster", "scores"]
    failures: int
    """In a row, for a roster; scores that fail, for scores."""
    why: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pause:
    """A platform that is left alone for a while."""

    platform_id: int
    platform: str
    until: datetime
    why: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Run:
    """One pass."""

    kind: str
    platform_id: int | None
    platform: str
    trigger: str
    outcome: str
    started_at: datetime
    finished_at: datetime | None
    counts: dict[str, int]
    error: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Status:
    """How things stand at a moment, everywhere or on one platform."""

    at: datetime
    everything_is_stopped: bool
    platforms_stopped: int
    courses_stopped: int
    scores: Scores
    rosters: Rosters
    keys_refused: int
    drift: dict[str, int]
    """Sent scores that differ in the gradebook, by how: overridden, missing, column_gone."""
    platforms_paused: int
    paused: tuple[Pause, ...]
    """The first of them to go on."""
    courses: tuple[FailingCourse, ...]
    """The worst failing courses."""
    fruitless: tuple[Run, ...]
    """Of platforms whose last pass got nothing done though much was to be done: that pass; the newest ones."""
    last_runs: tuple[Run, ...]
    """The last pass of each kind, of the last two days."""
    ticked_at: datetime | None
    """When Celery's tick ran last; it comes every minute. None: never, as on a site without Celery."""

    @property
    def failures(self) -> list[str]:
        """Words for what a person must see to now: fruitless_runs, overdue_scores, overdue_rosters."""
        wrong = {
            "fruitless_runs": self.fruitless,
            "overdue_scores": self.scores.overdue,
            "overdue_rosters": self.rosters.overdue,
        }
        return [word for word, is_so in wrong.items() if is_so]

    @property
    def attention(self) -> list[str]:
        """Words for what is left to do for a person some time, or for the next launch."""
        wrong = {
            "parked_scores": self.scores.parked,
            "scores_waiting_for_a_launch": self.scores.launch,
            "failing_courses": self.scores.courses_failing or self.rosters.failing,
            "held_departures": self.rosters.held,
            "paused_platforms": self.platforms_paused,
        }
        return [word for word, is_so in wrong.items() if is_so]

    @property
    def level(self) -> Level:
        """The one word for it."""
        if self.everything_is_stopped:
            return "stopped"
        if self.failures:
            return "failing"
        return "attention" if self.attention else "ok"

    def numbers(self) -> dict[str, Any]:
        """All that can be counted: neither a name nor an LMS's words."""
        scores, rosters = dataclasses.asdict(self.scores), dataclasses.asdict(self.rosters)
        return {
            "scores": scores,
            "rosters": rosters,
            "keys_refused": self.keys_refused,
            "drift": self.drift,
            "platforms_paused": self.platforms_paused,
            "platforms_stopped": self.platforms_stopped,
            "courses_stopped": self.courses_stopped,
            "fruitless_runs": len(self.fruitless),
            "ticked_at": self.ticked_at,
        }


def look(platform_id: int | None = None) -> Status:
    """How things stand now, everywhere or on one platform."""
    now = timezone.now()
    platforms, contexts, keys = Platform.objects.all(), Context.objects.all(), ServiceKey.objects.all()
    scores, runs = OutgoingScore.objects.all(), SyncRun.objects.all()
    if platform_id is not None:
        platforms, contexts = platforms.filter(pk=platform_id), contexts.filter(platform=platform_id)
        keys, runs = keys.filter(context__platform=platform_id), runs.filter(platform=platform_id)
        scores = scores.filter(line_item__context__platform=platform_id)
    paused = platforms.filter(paused_until__gt=now)
    differing = scores.filter(state=State.SENT).exclude(drift="")
    return Status(
        at=now,
        everything_is_stopped=settings.STOPPED,
        platforms_stopped=platforms.filter(is_active=False).count(),
        courses_stopped=contexts.filter(is_active=False).count(),
        scores=_scores(scores, now),
        rosters=_rosters(contexts, now),
        keys_refused=keys.filter(refused_at__isnull=False).count(),
        drift=dict(differing.values_list("drift").annotate(Count("pk")).order_by("drift")),
        platforms_paused=paused.count(),
        paused=tuple(
            Pause(platform_id=one.pk, platform=str(one), until=one.paused_until or now, why=one.pause_reason)
            for one in paused.order_by("paused_until")[:TOP]
        ),
        courses=_failing_courses(contexts, scores),
        fruitless=_fruitless(runs.filter(started_at__gte=now - _RECENT)),
        last_runs=_last_of_each_kind(runs.filter(started_at__gte=now - _RECENT)),
        ticked_at=Heartbeat.objects.filter(name=Heartbeat.TICK).values_list("beat_at", flat=True).first(),
    )


def _at_work(path: str, now: datetime) -> tuple[Q, Q]:
    """Conditions: the course goes on, and its platform; and nobody is at the platform, nor is it paused."""
    platform = f"{path}platform__"
    active = Q(**{f"{path}is_active": True, f"{path}concluded_at": None, f"{platform}is_active": True})
    paused, owned = f"{platform}paused_until", f"{platform}lease_until"
    awake = Q(**{f"{paused}__isnull": True}) | Q(**{f"{paused}__lte": now})
    return active, active & awake & (Q(**{f"{owned}__isnull": True}) | Q(**{f"{owned}__lt": now}))


def _late(now: datetime) -> datetime:
    """What is due since before then, nobody is at."""
    return now - (_AN_HOUR if settings.SEND == "on_commit" else _A_NIGHT_MISSED)


def _scores(rows: QuerySet[OutgoingScore], now: datetime) -> Scores:
    active, free = _at_work("line_item__context__", now)
    to_send = ACTIONABLE
    due, night = to_send & Q(due_at__lte=now), to_send & Q(due_at__isnull=True)
    last_night = now - _A_NIGHT_MISSED
    untried = Q(attempted_at__isnull=True) | Q(attempted_at__lt=last_night)
    late = (due & Q(due_at__lt=_late(now))) | (night & untried & Q(recorded_at__lt=last_night))
    parked, waiting = Q(state=State.PARKED), Q(state=State.WAITING)
    conditions = {
        "due": due,
        "sending": Q(state=State.SENDING),
        "later": to_send & Q(due_at__gt=now),
        "night": night,
        "launch": waiting,
        "parked": parked,
        "unknown": Q(state=State.UNKNOWN),
        "stopped": ~active,
        "overdue": late & free,
    }
    course = "line_item__context"
    return Scores(
        **rows.exclude(state=State.SENT).aggregate(
            **{name: Count("pk", filter=condition) for name, condition in conditions.items()},
            due_since=Min("due_at", filter=due & active),
            unsent_since=Min("recorded_at", filter=active & ~parked),
            courses_failing=Count(course, filter=_failing(), distinct=True),
            courses_waiting=Count(course, filter=waiting, distinct=True),
        )
    )


def _failing() -> Q:
    return Q(attempts__gt=0) & ~Q(state__in=[State.SENT, State.PARKED])


def _rosters(contexts: QuerySet[Context], now: datetime) -> Rosters:
    active, free = _at_work("", now)
    due = contexts.filter(active, roster_due_at__lte=now)
    counted = due.aggregate(
        due=Count("pk"),
        due_since=Min("roster_due_at"),
        overdue=Count("pk", filter=free & Q(roster_due_at__lt=_late(now))),
    )
    return Rosters(
        **counted,
        failing=contexts.filter(roster_failures__gt=0).count(),
        held=contexts.filter(roster_held__isnull=False).count(),
        checks_due=contexts.filter(active, check_due_at__lte=now).count(),
    )


def _failing_courses(contexts: QuerySet[Context], scores: QuerySet[OutgoingScore]) -> tuple[FailingCourse, ...]:
    """Those with the most failing scores first, then those whose roster fails for longest."""
    grouped: Any = (
        scores.exclude(state=State.SENT)
        .filter(_failing())
        .values_list("line_item__context")
        .annotate(number=Count("pk"), why=Max("last_error"))
        .order_by("-number", "line_item__context")[:TOP]
    )
    by_scores = {pk: (number, why) for pk, number, why in grouped}
    places = Context.objects.select_related("platform").in_bulk(list(by_scores))
    found = [
        _failing_course(places[pk], "scores", number, why) for pk, (number, why) in by_scores.items() if pk in places
    ]
    by_roster = contexts.filter(roster_failures__gt=0).select_related("platform")
    worst = by_roster.order_by("-roster_failures", "pk")[: TOP - len(found)]
    return (*found, *(_failing_course(one, "roster", one.roster_failures, one.roster_error) for one in worst))


def _failing_course(context: Context, what: Literal["roster", "scores"], failures: int, why: str) -> FailingCourse:
    return FailingCourse(
        context_id=context.pk,
        course=str(context),
        platform=str(context.platform),
        what=what,
        failures=failures,
        why=why,
    )


def _fruitless(runs: QuerySet[SyncRun]) -> tuple[Run, ...]:
    """Passes in which nothing worked, and after which their platform saw no other of that kind end."""
    ended = runs.exclude(outcome__in=[SyncRun.Outcome.RUNNING, SyncRun.Outcome.STOPPED])
    later = ended.filter(platform=OuterRef("platform"), kind=OuterRef("kind"), started_at__gt=OuterRef("started_at"))
    failed = runs.filter(outcome=SyncRun.Outcome.FAILED)
    last = failed.filter(~Exists(later), platform__is_active=True).select_related("platform")
    # Asking the tool's own SCORE_SOURCE belongs to no platform.
    source = ended.filter(platform=None).order_by("-started_at").first()
    found = list(last.order_by("-started_at")[:_LOOKED_AT])
    if source is not None and source.outcome == SyncRun.Outcome.FAILED:
        found.append(source)
    return tuple(_run(run) for run in found if run.platform is None or _is_much(run))[:TOP]


def _is_much(run: SyncRun) -> bool:
    """Whether many failed, or the pass broke off before it could count."""
    counts = run.counts if isinstance(run.counts, dict) else {}
    bad = sum(counts.get(name, 0) for name in ("failed", "waiting", "parked"))
    return bad >= _MANY or not bad


def _last_of_each_kind(runs: QuerySet[SyncRun]) -> tuple[Run, ...]:
    with_platform = runs.exclude(platform=None).select_related("platform").order_by("-started_at")
    found = [with_platform.filter(kind=kind).first() for kind in SyncRun.Kind]
    return tuple(_run(run) for run in found if run is not None)


def _run(run: SyncRun) -> Run:
    return Run(
        kind=run.kind,
        platform_id=run.platform_id,
        platform=str(run.platform) if run.platform else "",
        trigger=run.trigger,
        outcome=run.outcome,
        started_at=run.started_at,
        finished_at=run.finished_at,
        counts=run.counts if isinstance(run.counts, dict) else {},
        error=run.error,
    )
