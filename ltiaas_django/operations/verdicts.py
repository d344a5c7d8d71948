"""What becomes of a score after it was sent: the policy for each class of error, and what the gradebook tells."""

from __future__ import annotations

import dataclasses
import random
from datetime import datetime, timedelta
from decimal import Decimal

from django.utils import timezone

from ltiaas_django import data, exceptions
from ltiaas_django.conf import settings
from ltiaas_django.models import OutgoingScore, ScoreAttempt
from ltiaas_django.operations.grades import SPACING
from ltiaas_django.vocabulary import GradingProgress

State = OutgoingScore.State

THROTTLE_REST = 60.0  # seconds, where the LMS does not say how long
_CLOSE_ENOUGH = Decimal("0.00005")  # of the maximum: Moodle reads 81.23456 back as 81.23460


class Withheld(exceptions.LtiError):
    """Not sent because it would do harm."""


class NotSent(exceptions.LtiError):
    """The call before the score failed, so the score did not go out."""

    def __init__(self, cause: exceptions.ApiError) -> None:
        super().__init__(str(cause))
        self.cause = cause


class StillUnknown(exceptions.LtiError):
    """The gradebook could not be read either."""

    def __init__(self, cause: exceptions.LtiError) -> None:
        super().__init__(str(cause))
        self.cause = cause


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What becomes of a row after an error."""

    state: OutgoingScore.State
    due_at: datetime | None
    attempts: int
    code: str
    outcome: ScoreAttempt.Outcome = ScoreAttempt.Outcome.FAILED


def judge(error: exceptions.LtiError, attempts: int) -> Verdict:
    """The policy for each class of error; `attempts`: failures in a row before this one."""
    now = timezone.now()
    again = attempts + 1
    code = error.code if isinstance(error, exceptions.ApiError) else type(error).__name__.strip("_").lower()
    match error:
        case StillUnknown():
            return Verdict(State.UNKNOWN, now + back_off(again), again, "outcome_unknown", ScoreAttempt.Outcome.UNKNOWN)
        case exceptions.OutcomeUnknown() | exceptions.ServerError():
            # A gateway's 502 says nothing of whether the LMS behind it stored the score.
            return Verdict(State.UNKNOWN, now + back_off(again), again, code, ScoreAttempt.Outcome.UNKNOWN)
        case exceptions.ServiceNotOffered():
            return Verdict(State.WAITING, None, attempts, "no_key")
        case exceptions.Refused():
            # Due at once: `_prepare` finds a sibling key, or else makes it wait for the next launch.
            return Verdict(State.DUE, now + SPACING, attempts, code)
        case exceptions.Throttled():
            rest = timedelta(seconds=error.retry_after or THROTTLE_REST)
            return Verdict(State.DUE, now + rest, attempts, code)
        case exceptions.PersonNotGradable() | exceptions.InvalidRequest() | Withheld():
            return Verdict(State.PARKED, None, again, code)
        case NotSent(cause=exceptions.InvalidRequest() | exceptions.PersonNotGradable()):
            code, pause = error.cause.code, back_off(again)
        case NotSent(cause=exceptions.Throttled()):
            code, pause = error.cause.code, timedelta(seconds=THROTTLE_REST)
            again = attempts
        case NotSent():
            code, pause = error.cause.code, back_off(again)
        case exceptions.Superseded() | exceptions.NotFound():
            pause = max(2 * SPACING, back_off(attempts)) if attempts else 2 * SPACING
        case _:
            pause = back_off(again)
    if again >= settings.MAX_ATTEMPTS:
        return Verdict(State.PARKED, None, again, code)
    return Verdict(State.DUE, now + pause, again, code)


def back_off(attempts: int) -> timedelta:
    """How long to wait after that many failures in a row: doubling, capped, with jitter of a half."""
    longest = min(settings.RETRY_CAP, settings.RETRY_BASE * 2.0 ** min(max(attempts - 1, 0), 30))
    return timedelta(seconds=random.uniform(longest / 2, longest))  # noqa: S311  jitter, no secret


def compare(row: OutgoingScore, result: data.Result | None) -> tuple[bool, str]:
    """Whether the gradebook holds what was sent, and which parts of it the LMS does not show.

    Compares every field that the LMS returns. What it does not return cannot be confirmed, and is not sent twice.
    """
    if row.grading_progress != GradingProgress.FULLY_GRADED:
        return True, "progress"  # no LMS tells, and sending it twice may wipe a grade
    held = result.score if result else None
    if row.given is None:
        stored = held is None
    elif held is None:
        # Moodle returns a stored 0 as a result without a score; no result at all means that nothing is stored.
        stored = result is not None and row.given == 0
    else:
        sent_share = row.given / (row.maximum or Decimal(1))
        held_share = held / ((result.maximum if result else None) or row.maximum or Decimal(1))
        stored = abs(sent_share - held_share) <= _CLOSE_ENOUGH
    if not stored:
        return False, ""
    unconfirmed = ["attempt"] if row.extra else []
    comment = result.comment if result else None
    if comment is None:
        unconfirmed += ["comment"] if row.comment else []
    elif comment.strip() != row.comment.strip():
        return False, ""
    return True, ", ".join(unconfirmed)
