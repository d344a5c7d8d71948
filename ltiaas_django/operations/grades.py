"""The outbox: record which grade is wanted, in the tool's own transaction. `delivery` sends it."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any, Literal

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import Case, F, Q, QuerySet, Value, When
from django.utils import timezone
from django.utils.translation import gettext as _

from ltiaas_django import exceptions
from ltiaas_django.conf import settings
from ltiaas_django.models import Context, Launch, LineItem, LtiUser, OutgoingScore, ResourceLink, SyncRun
from ltiaas_django.models.grades import AMOUNT_DIGITS, AMOUNT_PLACES, lock_free, skip_locked
from ltiaas_django.operations import waking
from ltiaas_django.vocabulary import ActivityProgress, GradingProgress

State = OutgoingScore.State
Amount = Decimal | int | float | str

SPACING = timedelta(seconds=1.1)
"""Moodle refuses a second score for the same person within the same whole second."""

COURSE_NOT_GRADABLE = "course_not_gradable"
"""The error code of scores that the LMS would take for nobody in the course; they wait for the night, or longer."""

REFUSED_TO_A_PERSON = ("person_not_gradable", "invalid_request")
"""Error codes of what an LMS may have refused because somebody was no learner: not all say so in words we know."""

_A_DAY = timedelta(days=1)
_CHUNK = 500  # rows per statement: far below every parameter limit, and no lock is held for long
_STEP = Decimal(1).scaleb(-AMOUNT_PLACES)
_VALUES = ("given", "maximum", "activity_progress", "grading_progress", "comment", "extra")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ScoreRecord:
    """One wanted score, as `record_scores` and a SCORE_SOURCE take it."""

    resource_link: ResourceLink
    user: AbstractBaseUser | LtiUser
    """Whose score it is. A Django user must be exactly one LTI user of the platform."""
    given: Amount | None
    """Points; 0 is a score, None clears the grade. Kept to five decimal places."""
    maximum: Amount | None = None
    """The points that could be had, above 0; needed unless `given` is None."""
    comment: str = ""
    """Shown to learner and teacher; a later score without a comment clears it."""
    activity_progress: ActivityProgress = ActivityProgress.COMPLETED
    grading_progress: GradingProgress = GradingProgress.FULLY_GRADED
    """Anything but FULLY_GRADED is sent at most once, and never after a grade: some LMSs wipe the grade on it."""
    tag: str = ""
    resource_id: str = ""
    """Tag and resource id choose a further line item of the activity; blank both for its own."""
    label: str = ""
    """Title of the gradebook's column, if it has to be created; else the activity's title."""
    extra: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Further members for the LMS, passed on as they are."""

    def values(self) -> dict[str, Any]:
        """The columns that say what is wanted. Raises ValueError, naming what is wrong."""
        given = None if self.given is None else _amount("given", self.given)
        maximum = None if self.maximum is None or given is None else _amount("maximum", self.maximum)
        if given is not None and (maximum is None or maximum <= 0):
            raise ValueError(f"maximum must be above 0 where a score is given, not {self.maximum!r}.")
        return {
            "given": given,
            "maximum": maximum,
            "activity_progress": ActivityProgress(self.activity_progress).value,
            "grading_progress": GradingProgress(self.grading_progress).value,
            "comment": self.comment.replace("\x00", ""),
            "extra": _json(self.extra),
        }


def _json(extra: Mapping[str, Any]) -> dict[str, Any]:
    try:
        text = json.dumps(dict(extra), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(f"extra must hold what JSON can hold: {error}") from None
    if "\\u0000" in text:
        raise ValueError("extra must not hold the character NUL.")
    kept: dict[str, Any] = json.loads(text)
    return kept


def _amount(name: str, value: Amount) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, Decimal | int | float | str):
        raise ValueError(f"{name} must be a number, not {value!r}.")
    try:
        # A float's shortest text is the number that its writer meant: 0.1, and not 0.1000000000000000055.
        amount = Decimal(str(value))
        if not amount.is_finite() or amount < 0:
            raise ValueError(f"{name} must be a finite number of at least 0, not {value!r}.")
        amount = amount.quantize(_STEP, ROUND_HALF_UP)
    except InvalidOperation:
        raise ValueError(f"{name} must be a number of at most {AMOUNT_DIGITS} digits, not {value!r}.") from None
    if amount.adjusted() >= AMOUNT_DIGITS - AMOUNT_PLACES:
        raise ValueError(f"{name} must be a number of at most {AMOUNT_DIGITS} digits, not {value!r}.")
    return amount


def record_score(
    where: Launch | ResourceLink,
    *,
    given: Amount | None,
    maximum: Amount | None = None,
    user: AbstractBaseUser | LtiUser | None = None,
    comment: str = "",
    activity_progress: ActivityProgress = ActivityProgress.COMPLETED,
    grading_progress: GradingProgress = GradingProgress.FULLY_GRADED,
    tag: str = "",
    resource_id: str = "",
    label: str = "",
    extra: Mapping[str, Any] | None = None,
) -> OutgoingScore:
    """Write down the score that the LMS shall show, in the caller's transaction; nothing is sent before its commit.

    `where`: the launch (`request.lti`), whose person is meant unless `user` names another, or a resource link, and
    then `user` is needed. All else as in `ScoreRecord`. Recording what is already wanted changes nothing.
    Raises ValueError, UnknownPerson, or ServiceNotOffered for a launch that belongs to no activity.
    """
    if not isinstance(where, Launch | ResourceLink):
        raise exceptions.ServiceNotOffered("A score belongs to a launch or an activity; this request has no launch.")
    link = where.resource_link if isinstance(where, Launch) else where
    if link is None:
        raise exceptions.ServiceNotOffered("This launch belongs to no activity: there is nothing to grade.")
    if user is None:
        if not isinstance(where, Launch):
            raise exceptions.UnknownPerson("Say whose score it is: user=… (a Django user or an LtiUser).")
        user = where.lti_user
    record = ScoreRecord(
        resource_link=link,
        user=user,
        given=given,
        maximum=maximum,
        comment=comment,
        activity_progress=activity_progress,
        grading_progress=grading_progress,
        tag=tag,
        resource_id=resource_id,
        label=label,
        extra=extra or {},
    )
    with transaction.atomic():
        line_item = _line_item(record)
        person = _people([record])[_person_key(record)]
        [row] = _write(line_item, {person.pk: record.values()})
        _announce({link.context.platform_id})
    return row


def record_scores(records: Iterable[ScoreRecord]) -> int:
    """Write down many scores at once; returns how many of them changed something.

    All or nothing, in the caller's transaction or one of its own. Of two records for one person and line item the
    later one counts. Raises as `record_score` does.
    """
    if isinstance(records, Sequence):
        # In one order for everybody: two calls of many chunks would else lock each other out.
        records = sorted(records, key=_place)
    changed = 0
    platforms: set[int] = set()
    line_items: dict[tuple[int, str, str], LineItem] = {}
    with transaction.atomic():
        for chunk in batched(records):
            people = _people(chunk)
            wanted: dict[int, dict[int, dict[str, Any]]] = {}
            for record in chunk:
                if (place := _place(record)) not in line_items:
                    line_items[place] = _line_item(record)
                by_person = wanted.setdefault(line_items[place].pk, {})
                by_person[people[_person_key(record)].pk] = record.values()
                platforms.add(record.resource_link.context.platform_id)
            by_id = {line_item.pk: line_item for line_item in line_items.values()}
            # In the order of ids, here and in `_write`, so that two calls of one chunk each cannot lock each other out.
            for line_item_id in sorted(wanted):
                changed += len(_write(by_id[line_item_id], wanted[line_item_id], only_changed=True))
        _announce(platforms)
    return changed


def batched(records: Iterable[ScoreRecord]) -> Iterator[list[ScoreRecord]]:
    """The records in pieces of a handy size."""
    iterator = iter(records)
    while chunk := list(itertools.islice(iterator, _CHUNK)):
        yield chunk


def _place(record: ScoreRecord) -> tuple[int, str, str]:
    return record.resource_link.pk, record.resource_id, record.tag


def _line_item(record: ScoreRecord) -> LineItem:
    line_item, _created = LineItem.objects.get_or_create(
        context_id=record.resource_link.context_id,
        resource_link=record.resource_link,
        tag=record.tag,
        resource_id=record.resource_id,
        defaults={"label": (record.label or record.resource_link.title)[:255]},
    )
    return line_item


def _person_key(record: ScoreRecord) -> tuple[int, str, Any]:
    kind = "lti" if isinstance(record.user, LtiUser) else "django"
    return record.resource_link.context.platform_id, kind, record.user.pk


def _people(records: Sequence[ScoreRecord]) -> dict[tuple[int, str, Any], LtiUser]:
    """The LTI user of each record. Raises UnknownPerson where there is none, or more than one."""
    people: dict[tuple[int, str, Any], LtiUser] = {}
    ask: dict[int, set[Any]] = {}
    for record in records:
        platform_id, _kind, pk = key = _person_key(record)
        if isinstance(record.user, LtiUser):
            if record.user.platform_id != platform_id:
                raise exceptions.UnknownPerson(f"LTI user #{pk} belongs to another platform than the activity.")
            people[key] = record.user
        else:
            ask.setdefault(platform_id, set()).add(pk)
    for platform_id, pks in ask.items():
        for lti_user in LtiUser.objects.filter(platform_id=platform_id, user__in=pks):
            key = (platform_id, "django", lti_user.user_id)
            if key in people:
                raise exceptions.UnknownPerson(
                    f"User #{lti_user.user_id} is several LTI users of the platform; pass the LtiUser that is meant."
                )
            people[key] = lti_user
        for pk in pks:
            if (platform_id, "django", pk) not in people:
                raise exceptions.UnknownPerson(f"User #{pk} has never come from the platform of this activity.")
    return people


def _write(
    line_item: LineItem, wanted: Mapping[int, dict[str, Any]], *, only_changed: bool = False
) -> list[OutgoingScore]:
    """Bring one line item's rows in step with what is wanted; returns the rows (or only those that changed)."""
    rows = _locked(line_item, wanted)
    missing = [person for person in sorted(wanted) if person not in rows]
    now, due_at = timezone.now(), _first_due()
    if missing:
        fresh = [
            OutgoingScore(line_item=line_item, lti_user_id=person, recorded_at=now, due_at=due_at, **wanted[person])
            for person in missing
        ]
        OutgoingScore.objects.bulk_create(fresh, ignore_conflicts=True)
        # Another transaction may have inserted some of them first: what is there is compared like any known row.
        rows |= (created := _locked(line_item, missing))
    else:
        created = {}
    changed = [row for person, row in rows.items() if _take_over(row, wanted[person], now, due_at)]
    if changed:
        OutgoingScore.objects.bulk_update(
            changed,
            [*_VALUES, "recorded_at", "revision", "state", "due_at", "attempts", "last_error_code", "last_error"],
        )
    if only_changed:
        return list({row.pk: row for row in [*created.values(), *changed]}.values())
    return list(rows.values())


def _locked(line_item: LineItem, people: Iterable[int]) -> dict[int, OutgoingScore]:
    found = OutgoingScore.objects.select_for_update().filter(line_item=line_item, lti_user__in=list(people))
    return {row.lti_user_id: row for row in found.order_by("pk")}


def _take_over(row: OutgoingScore, wanted: Mapping[str, Any], now: datetime, due_at: datetime | None) -> bool:
    """Set the wanted values on a locked row; whether that changed anything."""
    if all(getattr(row, name) == wanted[name] for name in _VALUES):
        return False
    for name in _VALUES:
        setattr(row, name, wanted[name])
    row.revision += 1
    row.recorded_at = now
    row.attempts, row.last_error_code, row.last_error = 0, "", ""
    row.due_at = due_at
    if due_at is not None and row.attempted_at is not None:
        row.due_at = max(due_at, row.attempted_at + SPACING)
    if row.state != State.SENDING:  # else its sender sees the newer revision when it comes back
        row.state = State.DUE
    return True


def _first_due() -> datetime | None:
    return timezone.now() if settings.SEND == "on_commit" else None


def _announce(platform_ids: Iterable[int]) -> None:
    if settings.SEND == "on_commit":
        for platform_id in platform_ids:
            waking.wake_on_commit(platform_id, [SyncRun.Kind.GRADES], SyncRun.Trigger.COMMIT)


# --- what an operator or a sync changes about the outbox --------------------------------------------------------------


def adopt_line_item(line_item: LineItem, lti_id: str) -> None:
    """The line item is this one in the LMS from now on. A new one behind the same activity has no grades yet.

    What was sent to an earlier one does not count any more: those scores are due again. What is on its way to it is
    told by the column that it went to, when its outcome is written down.
    """
    is_new, had_another = line_item.lti_id != lti_id, bool(line_item.lti_id)
    line_item.lti_id, line_item.gone_at = lti_id, None
    # At once: of a worker killed in between, the scores that the new one lacks would count as sent for ever.
    with transaction.atomic():
        LineItem.objects.filter(pk=line_item.pk).update(lti_id=lti_id, gone_at=None)
        if is_new and had_another:
            LineItem.objects.filter(pk=line_item.pk).update(renewed_at=timezone.now())
            rows = OutgoingScore.objects.filter(line_item=line_item)
            lock_free(rows.filter(state=State.SENDING)).update(sent_revision=None)
            _count_as_unsent(rows)


def _count_as_unsent(rows: QuerySet[OutgoingScore]) -> int:
    """Nothing is known to have reached the present column, neither for sure nor perhaps."""
    return wake(
        rows.filter(sent_revision__isnull=False).exclude(state=State.SENDING),
        sent_revision=None,
        sending_revision=None,
        unconfirmed="",
        drift="",
    )


def wake_sent_to_former_columns() -> int:
    """Scores that a tool's transaction held while their column was replaced, and that still count as sent."""
    woken = 0
    for pk, renewed_at in LineItem.objects.filter(renewed_at__isnull=False).values_list("pk", "renewed_at"):
        sent = OutgoingScore.objects.filter(line_item=pk, state=State.SENT, sent_at__lt=renewed_at)
        woken += _count_as_unsent(sent)
    LineItem.objects.filter(renewed_at__lt=timezone.now() - _A_DAY).update(renewed_at=None)
    return woken


def wake(rows: QuerySet[OutgoingScore], **also: Any) -> int:
    """Make rows due now, in steps; returns how many. They must no longer match the query when they are due.

    A row whose last outcome is unknown is asked about first. Rows that a tool's transaction holds are passed over:
    they are being recorded anew.
    """
    woken = 0
    while True:
        with transaction.atomic():
            # By line item first: the indexes of what waits are in that order, and nobody is waited for.
            ids = list(skip_locked(rows.order_by("line_item", "pk")).values_list("pk", flat=True)[:_CHUNK])
            woken += _make_due(OutgoingScore.objects.filter(pk__in=ids), **also)
        if len(ids) < _CHUNK:
            return woken


def _make_due(rows: QuerySet[OutgoingScore], **also: Any) -> int:
    """Due now; asked about first where the last outcome is unknown, unless `also` takes that doubt away."""
    state: Any = Case(When(sending_revision=F("revision"), then=Value(State.UNKNOWN)), default=Value(State.DUE))
    if "sending_revision" in also:
        state = State.DUE
    return rows.update(**{"state": state, "due_at": timezone.now(), "attempts": 0, **also})


def wake_not_gradable(context: Context, lti_user_ids: Sequence[int]) -> None:
    """These people have become active learners: scores that the LMS would not take for them are due again."""
    parked = OutgoingScore.objects.filter(state=State.PARKED, last_error_code__in=REFUSED_TO_A_PERSON)
    wake(parked.filter(line_item__context=context, lti_user__in=lti_user_ids))


def wake_course_not_gradable(context: Context) -> int:
    """A learner has got into the course: scores that the LMS would not take for anybody in it are due again."""
    rows = OutgoingScore.objects.filter(line_item__context=context, last_error_code=COURSE_NOT_GRADABLE, due_at=None)
    return wake(rows.exclude(state=State.SENT))


def resend(scores: Iterable[int]) -> int:
    """Make scores due now, those that were sent already too; returns how many. Takes ids.

    Rows that a worker is sending or a tool is recording at this moment are left alone.
    """
    with transaction.atomic():
        chosen = lock_free(OutgoingScore.objects.filter(pk__in=list(scores)).exclude(state=State.SENDING))
        # A person's wish counts for more than what the LMS last said of the course.
        concluded = Context.objects.exclude(concluded_at=None)
        concluded.filter(line_items__scores__in=chosen).update(concluded_at=None)
        # A sent revision stays sent; sending once more takes a new one.
        chosen.filter(state=State.SENT).update(revision=F("revision") + 1, state=State.DUE)
        return _make_due(chosen.exclude(state=State.UNKNOWN))


def resend_all(context: Context) -> tuple[int, int]:
    """Make all scores of a course due now, sent ones too, but for those that were changed in the LMS since.

    Returns how many are due, and how many were left out. Whoever means to overwrite those chooses them (`resend`).
    """
    rows = OutgoingScore.objects.filter(line_item__context=context)
    # A clear that was sent is left out as well: it would take away whatever a teacher has given since.
    overridden = Q(drift=OutgoingScore.Drift.OVERRIDDEN) | Q(given=None)
    left_out = set(rows.filter(overridden, state=State.SENT).values_list("pk", flat=True))
    ids = [pk for pk in rows.order_by("pk").values_list("pk", flat=True) if pk not in left_out]
    return sum(resend(ids[start : start + _CHUNK]) for start in range(0, len(ids), _CHUNK)), len(left_out)


# --- what a tool shows its teachers -----------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Delivery:
    """Where one person's score has got to."""

    lti_user: LtiUser
    given: Decimal | None
    maximum: Decimal | None
    state: Literal["pending", "sent", "failed", "parked"]
    """`failed` is tried again, or waits for a launch; `parked` waits for a person."""
    why: str
    """A sentence for a teacher; blank when all is well."""
    since: datetime
    """When a sent one was sent and a parked one last tried; of all others, when they were recorded."""
    tag: str
    resource_id: str


def delivery(resource_link: ResourceLink, *, user: AbstractBaseUser | LtiUser | None = None) -> list[Delivery]:
    """Where the scores of an activity have got to: one entry per person and line item, or those of one person."""
    rows = OutgoingScore.objects.filter(line_item__resource_link=resource_link).select_related("lti_user", "line_item")
    if isinstance(user, LtiUser):
        rows = rows.filter(lti_user=user)
    elif user is not None:
        rows = rows.filter(lti_user__user=user.pk)
    return [_delivery_of(row) for row in rows.order_by("lti_user__name", "pk")]


def _delivery_of(row: OutgoingScore) -> Delivery:
    state: Literal["pending", "sent", "failed", "parked"]
    since, why = row.recorded_at, ""
    if row.state == State.SENT:
        state, since = "sent", row.sent_at or row.recorded_at
        if row.unconfirmed:
            why = _("The grade has arrived; whether the comment has, the LMS does not say.")
    elif row.state == State.PARKED:
        state, since, why = "parked", row.attempted_at or row.recorded_at, row.last_error
    elif row.state == State.WAITING or row.attempts:
        state, why = "failed", row.last_error
    else:
        state = "pending"
    return Delivery(
        lti_user=row.lti_user,
        given=row.given,
        maximum=row.maximum,
        state=state,
        why=why,
        since=since,
        tag=row.line_item.tag,
        resource_id=row.line_item.resource_id,
    )
