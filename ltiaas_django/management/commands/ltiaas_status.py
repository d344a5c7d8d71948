"""`manage.py ltiaas_status`: how things stand, for people, cron and scripts."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.core.serializers.json import DjangoJSONEncoder
from django.utils.timezone import localtime
from rich.text import Text

from ltiaas_django.management.base import ExplainedCommand, ready_database
from ltiaas_django.management.printing import new_table, printable, render
from ltiaas_django.models import OutgoingScore, Platform, SyncRun
from ltiaas_django.operations import status

_FAILING = 1

_EPILOG = """\
the first line is one word, and why:
  failing     somebody must see to it now: many scores or rosters were due on an LMS and nothing worked, or work is
              overdue although nothing is in its way (36 hours: a night was missed, so look at the worker, beat or
              crontab; with SEND = "on_commit": one hour)
  attention   all runs, and something is left for a person or for the next launch: parked scores, scores whose course
              must be launched to bring a new key, courses whose roster or scores fail and are tried again, departures
              that wait for a yes, paused LMSs
  stopped     LTIAAS["STOPPED"] is on: nothing is sent or read; scores go on being recorded
  ok          none of these

Exit status: 0 for ok, attention and stopped (single scores fail every day somewhere); 1 for failing;
2 for wrong arguments.

examples:
  manage.py ltiaas_status                  how things stand
  manage.py ltiaas_status --platform 3     on one LMS
  manage.py ltiaas_status --json           for scripts; "status" holds the word
  manage.py ltiaas_status || mail ...      in a crontab
"""


class Command(ExplainedCommand):
    help = (
        "Say what is due, waiting, failing, parked, paused or stopped, and how the last passes went. Changes nothing."
    )
    epilog = _EPILOG

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON object, with everything that is known")
        parser.add_argument(
            "--platform", type=int, metavar="ID", help="only this LMS: the number that its page in the admin has"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        platform_id = options["platform"]
        with ready_database():
            if platform_id is not None and not Platform.objects.filter(pk=platform_id).exists():
                raise CommandError(f"There is no platform {platform_id}.", returncode=2)
            standing = status.look(platform_id)
        if options["json"]:
            said = {"status": standing.level, "failures": standing.failures, "attention": standing.attention}
            text = json.dumps({**said, **dataclasses.asdict(standing)}, cls=DjangoJSONEncoder, indent=2)
            self.stdout.write(text)
        else:
            self._say(standing)
        if standing.level == "failing":
            raise SystemExit(_FAILING)

    # --- in words ---

    def _say(self, standing: status.Status) -> None:
        why = ", ".join(word.replace("_", " ") for word in [*standing.failures, *standing.attention])
        self.stdout.write(f"{standing.level}: {why}" if why else standing.level)
        for line in _lines(standing):
            self.stdout.write(line)
        if standing.paused:
            rows = [(f"{one.platform_id} {one.platform}", _at(one.until), one.why) for one in standing.paused]
            self._table("Paused", ["until", "why"], rows, standing.platforms_paused)
        if standing.courses:
            courses = (
                (f"{one.context_id} {one.course}", one.platform, one.what, one.failures, one.why)
                for one in standing.courses
            )
            self._table("Failing course", ["platform", "what", "failures", "why"], courses)
        for title, runs in (("Nothing worked", standing.fruitless), ("Last run", standing.last_runs)):
            if runs:
                columns = ["platform", "trigger", "started", "outcome", "counts", "error"]
                self._table(title, columns, map(_run_row, runs))

    def _table(self, title: str, columns: list[str], rows: Iterable[tuple[object, ...]], of: int = 0) -> None:
        on_terminal = self.stdout.isatty()
        shown = new_table(title, *columns, numbers=frozenset({"failures"}), on_terminal=on_terminal)
        for row in rows:
            shown.add_row(*(Text(printable(cell)) for cell in row))
        self.stdout.write("")
        self.stdout.write(render(shown, on_terminal=on_terminal))
        if of > shown.row_count:
            self.stdout.write(f"and {of - shown.row_count} more")


def _lines(standing: status.Status) -> Iterable[str]:
    """One line for each of the things that are counted; what is nothing is left out."""
    scores, rosters = standing.scores, standing.rosters
    yield _line(
        "Scores",
        (scores.due, "due now", f"since {_at(scores.due_since)}" if scores.due_since else ""),
        (scores.sending, "being sent"),
        (scores.later, "tried again later"),
        (scores.night, "waiting for the night"),
        (scores.launch, "waiting for a launch", f"of {scores.courses_waiting} courses"),
        (scores.parked, "parked"),
        (scores.unknown, "whose outcome is to be looked up"),
        (scores.overdue, "overdue"),
    )
    if scores.unsent_since:
        yield f"The oldest score on its way was recorded {_at(scores.unsent_since)}."
    yield _line(
        "Rosters",
        (rosters.due, "due now", f"since {_at(rosters.due_since)}" if rosters.due_since else ""),
        (rosters.failing, "failing"),
        (rosters.held, "with departures held"),
        (rosters.overdue, "overdue"),
    )
    yield _line("Gradebooks", *(
        (standing.drift.get(kind.value, 0), f"scores {kind.label}") for kind in OutgoingScore.Drift
    ), (rosters.checks_due, "checks due"))  # fmt: skip
    yield _line("Keys", (standing.keys_refused, "refused"))
    yield _line(
        "Stopped",
        (standing.platforms_stopped, "platforms"),
        (standing.courses_stopped, "courses"),
        (scores.stopped, "scores held back by it"),
    )
    if standing.ticked_at:
        yield f"Celery's tick ran last {_at(standing.ticked_at)}."
    if standing.everything_is_stopped:
        yield 'Everything is stopped: LTIAAS["STOPPED"] is on.'


def _line(title: str, *counts: tuple[int, str] | tuple[int, str, str]) -> str:
    said = []
    for count, what, *more in counts:
        detail = f" ({more[0]})" if more and more[0] else ""
        said += [f"{count} {what}{detail}"] if count else []
    return f"{title}: {', '.join(said) or 'nothing'}."


def _run_row(run: status.Run) -> tuple[object, ...]:
    counts = ", ".join(f"{number} {name}" for name, number in run.counts.items() if number)
    kind, outcome = SyncRun.Kind(run.kind).label, SyncRun.Outcome(run.outcome).label
    name = f"{run.platform_id} {run.platform}" if run.platform_id else "SCORE_SOURCE"
    return kind, name, SyncRun.Trigger(run.trigger).label, _at(run.started_at), outcome, counts or "–", run.error


def _at(moment: datetime | None) -> str:
    return f"{localtime(moment):%Y-%m-%d %H:%M}" if moment else "–"
