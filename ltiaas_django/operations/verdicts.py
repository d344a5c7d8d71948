"""What becomes of a score after it was sent: the policy for each class of error, and what the gradebook tells."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal

from django.utils import timezone

from ltiaas_django import data, exceptions
from ltiaas_django.conf import settings
from ltiaas_django.models import OutgoingScore, ScoreAttempt
from ltiaas_django.operations import grades

State = OutgoingScore.State

THROTTLE_REST = 60.0  # seconds, where the LMS does not say how long
_CLOSE_ENOUGH = Decimal("0.00005")  # of the maximum: Moodle reads 81.23456 back as 81.23460


class Withheld(exceptions.LtiError):
    """Not sent because it would do harm."""


class CourseNotGradable(exceptions.LtiError):
    """The LMS takes no score for anybody in this course: it is not published, most likely."""


class Unreadable(exceptions.LtiError):
    """Whether it has arrived cannot be found out: the LMS lets us read no results, and a comment may be there."""


class Unusable(exceptions.LtiError):
    """What the LMS said of its column cannot be stored."""


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What becomes of a row after an error."""

    state: OutgoingScore.State
    due_at: datetime | None
    attempts: int
    code: str
    outcome: ScoreAttempt.Outcome = ScoreAttempt.Outcome.FAILED


def judge(error: exceptions.LtiError, attempts: int, *, went_out: bool) -> Verdict:
    """The policy for each class of error.

    `attempts`: failures in a row before this one; `went_out`: whether the score itself had been sent, and not only
    its column been looked for or the gradebook been read.
    """
    now, again = timezone.now(), attempts + 1
    code = error.code if isinstance(error, exceptions.ApiError) else type(error).__name__.lower()
    outcome = ScoreAttempt.Outcome.UNKNOWN if went_out and _leaves_doubt(error) else ScoreAttempt.Outcome.FAILED
    state, pause = State.DUE, back_off(again)
    match error:
        case exceptions.ServiceNotOffered():
            return Verdict(State.WAITING, None, attempts, "no_key")
        case exceptions.Refused():
            # Due at once: `_prepare` finds a sibling key, or else makes it wait for the next launch.
            return Verdict(State.DUE, now, attempts, code)
        case exceptions.Throttled():
            rest = timedelta(seconds=error.retry_after or THROTTLE_REST)
            return Verdict(State.DUE, now + rest, attempts, code)
        case exceptions.CourseConcluded():
            return Verdict(State.WAITING, None, attempts, code)
        case CourseNotGradable():
            state = State.PARKED if again >= settings.MAX_ATTEMPTS else State.DUE
            return Verdict(state, None, again, grades.COURSE_NOT_GRADABLE)  # once more every night
        case Withheld() | Unreadable():
            return Verdict(State.PARKED, None, again, code)
        case exceptions.PersonNotGradable() | exceptions.InvalidRequest() if went_out and error.origin != "network":
            return Verdict(State.PARKED, None, again, code)
        case exceptions.Superseded() | exceptions.NotFound() if went_out:
            pause = max(2 * grades.SPACING, back_off(attempts)) if attempts else 2 * grades.SPACING
    if outcome == ScoreAttempt.Outcome.UNKNOWN:
        state = State.UNKNOWN
    if again >= settings.MAX_ATTEMPTS:
        return Verdict(State.PARKED, None, again, code, outcome)
    return Verdict(state, now + pause, again, code, outcome)


def _leaves_doubt(error: exceptions.LtiError) -> bool:
    """Whether the LMS may have stored the score in spite of it."""
    if isinstance(error, exceptions.InvalidResponse):
        return error.status_code is None or error.status_code < 300  # "yes", in words that nobody understands
    # A gateway's 502 says nothing of whether the LMS behind it stored the score.
    return isinstance(error, exceptions.OutcomeUnknown | exceptions.ServerError)


def back_off(attempts: int) -> timedelta:
    """How long to wait after that many failures in a row: doubling, capped, with jitter of a half."""
    longest = min(settings.RETRY_CAP, settings.RETRY_BASE * 2.0 ** min(max(attempts - 1, 0), 30))
    return timedelta(seconds=random.uniform(longest / 2, longest))  # noqa: S311  jitter, no secret


def compare(row: OutgoingScore, result: data.Result | None) -> tuple[bool, str]:
    """Whether the gradebook holds what was sent, and which parts of it the LMS does not show.

    Compares every field that the LMS returns. What it does not return cannot be confirmed, and is not sent twice.
    """
    held = result.score if result else None
    comment = result.comment if result else None
    says_same = comment is not None and _words(comment) == _words(row.comment)
    is_clear_in_doubt = row.given is None and result is not None and not _tells_zeros(row)
    if row.given is None:
        # A result without a score may be Moodle's 0, too: a clear is repeated, unless it carries what could be doubled.
        stored = held is None and (not is_clear_in_doubt or bool(row.comment or row.extra))
    elif held is None:
        # Moodle returns a stored 0 as a result without a score, and a cleared grade likewise; no result at all means
        # that nothing is stored. That its comment is there says of a 0 that it is, too.
        has_comment = row.comment != "" and says_same
        stored = result is not None and row.given == 0 and (has_comment or not row.cleared)
    else:
        stored = _is_share_of(row.given / (row.maximum or Decimal(1)), held, _maxima(row, result))
    if not stored or (comment is not None and not says_same):
        return False, ""
    unconfirmed = ["attempt"] if row.extra else []
    if is_clear_in_doubt:
        unconfirmed.append("score")
    if comment is None and row.comment:
        unconfirmed.append("comment")
    return True, ", ".join(unconfirmed)


def _words(comment: str) -> str:
    """A comment without its white space: Blackboard keeps it as HTML, where line breaks are none."""
    return " ".join(comment.split())


def _tells_zeros(row: OutgoingScore) -> bool:
    """Whether a result without a score is surely no 0: Canvas shows it, and takes a clear again for another attempt."""
    return row.line_item_id is not None and row.line_item.context.platform.product_family.lower() == "canvas"


def _is_share_of(sent: Decimal, held: Decimal, maxima: Iterable[Decimal]) -> bool:
    """Whether the gradebook's value, out of one of the maxima, is what was sent. Moodle and Brightspace cut extra
    credit to the maximum."""
    return any(
        abs(wanted - held / maximum) <= _CLOSE_ENOUGH for maximum in maxima for wanted in (sent, min(sent, Decimal(1)))
    )


def _maxima(row: OutgoingScore, result: data.Result | None) -> list[Decimal]:
    """What the gradebook's value may be out of: where the LMS does not say, our maximum, the column's, or 1."""
    if result is not None and result.maximum:
        return [result.maximum]
    column = row.line_item.score_maximum if row.line_item_id else None
    return [maximum for maximum in (row.maximum, column, Decimal(1)) if maximum]
