"""Read a course's gradebook back, and mark where it differs from what was sent.

Only values are compared, for LMSs change a comment's white space and markup as they like. Only differences are
written: a grade that stands in the gradebook as it was sent costs no write, however large the course.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from ltiaas_django import data, exceptions
from ltiaas_django.connections.base import ServiceConnection
from ltiaas_django.models import Context, LineItem, OutgoingScore
from ltiaas_django.models.grades import AMOUNT_DIGITS, AMOUNT_PLACES, skip_locked
from ltiaas_django.operations import connecting, leases, verdicts
from ltiaas_django.vocabulary import GradingProgress

Drift = OutgoingScore.Drift
Held = Mapping[str, data.Result]
"""What a column holds, by LMS user id."""

_CHUNK = 500  # rows compared at once
_STEP = Decimal(1).scaleb(-AMOUNT_PLACES)
_LARGEST = Decimal(10) ** (AMOUNT_DIGITS - AMOUNT_PLACES)


def check(context: Context, lease: leases.Lease) -> Counter[str]:
    """Read the gradebook of a course, column by column, and mark the scores that differ from what was sent.

    Returns counts: read (the course, 1), overridden, missing, column_gone. Raises ServiceNotOffered, SealError or
    ApiError; the context's row then says why, and the course is not read again until somebody asks for it. It stays
    due where the lease has ended, or our API key is refused (ConfigurationError).
    """
    began = timezone.now()
    counts: Counter[str] = Counter(read=1)
    problem: exceptions.LtiError | None = None
    for line_item in _columns(context):
        try:
            counts.update(_note(line_item, _read(line_item, lease), lease, began))
        except exceptions.ConfigurationError:
            raise
        except exceptions.LtiError as error:
            if lease.is_over:
                raise
            problem = problem or error
            if not isinstance(error, exceptions.InvalidResponse | exceptions.InvalidRequest):
                break  # no fault of this column's alone
    mine = Context.objects.filter(pk=context.pk)
    if problem is not None:
        mine.update(check_due_at=None, check_error=str(problem)[:500])
        raise problem
    mine.update(checked_at=began, check_due_at=None, check_error="")
    return counts


def _columns(context: Context) -> list[LineItem]:
    """The columns that something was sent to."""
    found = LineItem.objects.filter(Exists(_comparable(OuterRef("pk"))), context=context).exclude(lti_id="")
    return list(found.select_related("context", "resource_link").order_by("pk"))


def _comparable(line_item: LineItem | OuterRef) -> QuerySet[OutgoingScore]:
    """Scores that the gradebook should hold; of progress without a grade no LMS tells."""
    rows = OutgoingScore.objects.filter(state=OutgoingScore.State.SENT, grading_progress=GradingProgress.FULLY_GRADED)
    return rows.filter(line_item=line_item)


# --- reading ----------------------------------------------------------------------------------------------------------


def _read(line_item: LineItem, lease: leases.Lease) -> Held | None:
    """What the LMS holds in a column, None if it has no such column any more. Tries sibling keys."""
    error: exceptions.LtiError = exceptions.ServiceNotOffered(
        "No healthy service key offers the gradebook; the next launch brings one."
    )
    for key in connecting.usable_keys(line_item.context, "grades", line_item.resource_link):
        try:
            with connecting.using(key, lease.platform) as connection:
                held = _results(connection, line_item.lti_id, lease)
            connecting.note_use({key.pk})
            return held
        except (exceptions.Refused, exceptions.SealError) as refusal:
            error = refusal  # noted by `using`; a sibling may do
    raise error


def _results(connection: ServiceConnection, line_item_id: str, lease: leases.Lease) -> Held | None:
    held: dict[str, data.Result] = {}
    try:
        _keep(lease)
        for result in connection.results(line_item_id):
            held[result.user_id] = result
            _keep(lease, waits=False)
        if not held:  # an empty column and a deleted one may look alike
            _keep(lease)
            connection.line_item(line_item_id)
    except exceptions.NotFound:
        return None
    return held


def _keep(lease: leases.Lease, *, waits: bool = True) -> None:
    """Show a sign of life, and keep the platform's rate. Raises Unreachable if the pass has to end."""
    if waits:
        lease.wait_turn()
    if not lease.renew():
        raise exceptions.Unreachable("GET results", "the pass has ended", origin="network")


# --- comparing --------------------------------------------------------------------------------------------------------


def _note(line_item: LineItem, held: Held | None, lease: leases.Lease, now: datetime) -> Counter[str]:
    """Write down what differs in one column; returns how many scores differ, by how.

    Only of what was sent before `now`, when the reading began: whoever has sent since knows better.
    """
    counts: Counter[str] = Counter()
    if held is None:
        LineItem.objects.filter(pk=line_item.pk, gone_at=None).update(gone_at=now)
    last = 0
    # By the person, so that the unique index leads from one chunk to the next.
    comparable = _comparable(line_item).filter(sent_at__lt=now)
    in_order = comparable.select_related("lti_user", "line_item").order_by("lti_user_id")
    while rows := list(in_order.filter(lti_user_id__gt=last)[:_CHUNK]):
        _keep(lease, waits=False)
        last = rows[-1].lti_user_id
        changed = [row.pk for row in rows if _take_in(row, held, now)]
        counts.update(row.drift for row in rows if row.drift)
        if changed:
            _write(comparable.filter(pk__in=changed), held, now)
    return counts


def _write(rows: QuerySet[OutgoingScore], held: Held | None, now: datetime) -> None:
    """Mark these rows, save those that a tool's transaction holds: they are being recorded anew."""
    with transaction.atomic():
        free = [row for row in skip_locked(rows.select_related("lti_user", "line_item")) if _take_in(row, held, now)]
        OutgoingScore.objects.bulk_update(free, ["drift", "result_score", "result_maximum", "result_at"])


def _take_in(row: OutgoingScore, held: Held | None, now: datetime) -> bool:
    """Set on the row how the gradebook differs from it; whether that is news. What agrees carries no result."""
    result = held.get(row.lti_user.lti_id) if held is not None else None
    drift = _drift(row, held is None, result)
    amounts = (_storable(result.score), _storable(result.maximum)) if drift and result else (None, None)
    if (row.drift, row.result_score, row.result_maximum) == (drift, *amounts):
        return False
    row.drift, (row.result_score, row.result_maximum) = drift, amounts
    row.result_at = now if drift else None
    return True


def _drift(row: OutgoingScore, is_gone: bool, result: data.Result | None) -> str:
    """How the gradebook differs from a sent score; blank if it does not."""
    if is_gone:
        return Drift.COLUMN_GONE if row.given is not None else ""
    if result is None:
        return Drift.MISSING if row.given is not None else ""
    if row.given is None:
        return "" if result.score is None else Drift.OVERRIDDEN
    # Who names no maximum may mean that of the score, that of the column, or the specification's default of 1.
    maxima = [result.maximum] if result.maximum else [row.maximum, row.line_item.score_maximum, Decimal(1)]
    agrees = any(
        verdicts.compare(row, dataclasses.replace(result, maximum=maximum, comment=None))[0] for maximum in maxima
    )
    # A result without a score is a teacher's doing as well: Moodle shows a 0 that way.
    return "" if agrees else Drift.OVERRIDDEN


def _storable(amount: Decimal | None) -> Decimal | None:
    """Rounded to what our column holds; None where an LMS's number is beyond that."""
    return amount.quantize(_STEP) if amount is not None and abs(amount) < _LARGEST else None
