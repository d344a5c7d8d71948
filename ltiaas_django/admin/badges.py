"""Badges: the one thing to know about a roster, a key, a score, a launch or a run, in a word and a colour."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ltiaas_django.admin import cells
from ltiaas_django.conf import settings
from ltiaas_django.models import Context, Launch, LineItem, OutgoingScore, ScoreAttempt, ServiceKey, SyncRun

State, Outcome = OutgoingScore.State, SyncRun.Outcome

STALE_AFTER = timedelta(hours=36)  # a night was missed, even where its readings last into the morning

_STATE_TONES: dict[str, cells.Tone] = {
    State.DUE: "busy",
    State.SENDING: "busy",
    State.UNKNOWN: "warn",
    State.WAITING: "warn",
    State.SENT: "good",
    State.PARKED: "bad",
}
_DRIFT_TONES: dict[str, cells.Tone] = {
    OutgoingScore.Drift.OVERRIDDEN: "warn",
    OutgoingScore.Drift.MISSING: "bad",
    OutgoingScore.Drift.COLUMN_GONE: "bad",
}
_OUTCOME_TONES: dict[str, cells.Tone] = {
    Outcome.RUNNING: "busy",
    Outcome.OK: "good",
    Outcome.PARTIAL: "warn",
    Outcome.FAILED: "bad",
    Outcome.STOPPED: "idle",
}


def held_text(context: Context) -> str:
    """Who is held, in words; blank if nobody is."""
    held = context.roster_held
    if not held:
        return ""
    text = _("%(count)s of %(of)s people would leave") % {"count": held.get("count", "?"), "of": held.get("of", "?")}
    return str(_("%(text)s (confirmed)") % {"text": text} if held.get("confirmed") else text)


def of_roster(context: Any) -> str:
    """The one thing to know about a course's roster. The context comes from `ContextAdmin.get_queryset`."""
    now = timezone.now()
    if context.roster_held:
        return cells.badge("warn", _("departures held"), held_text(context))
    if context.roster_failures:
        return cells.badge("bad", _("failing ×%(n)d") % {"n": context.roster_failures}, context.roster_error)
    if context.roster_due_at is not None and context.roster_due_at <= now:
        return cells.badge("busy", _("due now"))
    if context.roster_synced_at is None:
        return cells.badge("idle", _("never read") if context.reads_roster else _("not offered"))
    if context.roster_synced_at < now - STALE_AFTER:
        return cells.badge("warn", _("stale"))
    return cells.badge("good", _("in step"))


def of_keys(healthy: int, refused: int) -> str:
    """How many keys work, and how many do not."""
    badges = [cells.badge("good", _("%(n)d healthy") % {"n": healthy})] if healthy else []
    if refused:
        badges.append(cells.badge("warn" if healthy else "bad", _("%(n)d refused") % {"n": refused}))
    return cells.join(*badges) if badges else cells.badge("idle", _("none"))


def of_key(key: ServiceKey) -> str:
    """Whether a key works, as far as is known."""
    if key.refused_at is not None:
        return cells.badge("bad", _("refused"), key.last_error)
    return cells.badge("good", _("healthy")) if key.used_at else cells.badge("idle", _("not used yet"))


def of_state(state: str) -> str:
    """A state of scores, whatever else is to be said of the single score."""
    return cells.badge(_STATE_TONES.get(state, "idle"), State(state).label)


def of_score(score: OutgoingScore) -> str:
    """Where a score has got to, and what it waits for."""
    context = score.line_item.context
    if score.state == State.SENT:
        if score.unconfirmed:
            return cells.badge("warn", _("sent, unconfirmed"), score.unconfirmed)
        return cells.badge("good", _("sent"))
    if not (context.is_active and context.platform.is_active):
        return cells.badge("idle", _("stopped"))
    if score.state == State.DUE and score.attempts:
        return cells.badge("bad", _("failing ×%(n)d") % {"n": score.attempts}, score.last_error)
    if score.state == State.DUE and score.due_at is None:
        return cells.badge("idle", _("waiting for the night"))
    if score.state == State.DUE and score.due_at is not None:
        return cells.badge("busy", _("due now") if score.due_at <= timezone.now() else _("due later"))
    return cells.badge(_STATE_TONES[score.state], State(score.state).label, score.last_error)


def of_drift(score: OutgoingScore) -> str:
    """Whether the gradebook still holds a sent score, as far as is known."""
    if score.drift:
        return cells.badge(_DRIFT_TONES[score.drift], OutgoingScore.Drift(score.drift).label)
    checked_at = score.line_item.context.checked_at
    if score.state == State.SENT and checked_at and score.sent_at and checked_at > score.sent_at:
        return cells.badge("good", _("as sent"))
    return cells.NOTHING


def of_attempt(attempt: ScoreAttempt) -> str:
    """What came of one attempt."""
    tones: dict[str, cells.Tone] = {"failed": "bad", "unknown": "warn", "sent": "good"}
    return cells.badge(tones.get(attempt.outcome, "idle"), attempt.get_outcome_display())


def of_line_item(line_item: LineItem) -> str:
    """Whether the LMS is known to have the column."""
    if line_item.gone_at is not None:
        return cells.badge("bad", _("gone"))
    return cells.badge("good", _("found")) if line_item.lti_id else cells.badge("idle", _("not looked for yet"))


def of_launch(launch: Launch) -> str:
    """Whether pages are still served under a launch."""
    if not launch.is_live:
        return cells.badge("idle", _("over"))
    if launch.claimed_at is None:
        return cells.badge("warn", _("cookie not back"))
    return cells.badge("good", _("live"))


def of_run(run: SyncRun) -> str:
    """How a run ended, or that nobody is at it any more. The run comes with its platform."""
    if is_broken_off(run):
        return cells.badge("bad", _("broken off"))
    return cells.badge(_OUTCOME_TONES.get(run.outcome, "idle"), run.get_outcome_display(), run.error)


def is_broken_off(run: SyncRun) -> bool:
    """Whether a run is said to be going on while its worker shows no sign of life. `runs.broken_off` asks the same."""
    now = timezone.now()
    if run.outcome != Outcome.RUNNING or run.started_at > now - timedelta(seconds=settings.LEASE):
        return False
    lease_until = run.platform.lease_until if run.platform else None
    return lease_until is None or lease_until < now
