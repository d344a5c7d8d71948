"""`manage.py ltiaas_sync`: the night without Celery, platform after platform in this process."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.timezone import localtime
from rich import console, progress
from rich.text import Text

from ltiaas_django import exceptions
from ltiaas_django.conf import settings
from ltiaas_django.management.base import ExplainedCommand, ready_database
from ltiaas_django.management.printing import new_table, printable, render
from ltiaas_django.models import OutgoingScore, Platform, SyncRun
from ltiaas_django.operations import leases, passes
from ltiaas_django.redaction import redact

Kind = SyncRun.Kind
_KINDS = {"grades": [Kind.GRADES], "rosters": [Kind.ROSTERS], "all": [Kind.GRADES, Kind.ROSTERS]}
_COUNTS = {
    Kind.GRADES: ("sent", "failed", "waiting", "parked"),
    Kind.ROSTERS: ("read", "joined", "changed", "left", "held", "failed"),
}
_UNITS = {Kind.GRADES: "scores", Kind.ROSTERS: "courses"}
_STOPPED_BY_KEYBOARD = 130  # what shells make of Ctrl-C

_EPILOG = """\
examples:
  manage.py ltiaas_sync all                     what the nightly Celery tasks do: send grades, read rosters,
                                                re-seal stored keys, drop what is over or too old
  manage.py ltiaas_sync grades                  send what is recorded, and what SCORE_SOURCE yields
  manage.py ltiaas_sync rosters --platform 3    read the rosters of one LMS
  manage.py ltiaas_sync all --dry-run           say what would be done; nothing is sent, read or changed

in a crontab: everything at two every night; and grades every ten minutes, should they (and what is to be
tried again) not wait for the night:
  0 2 * * *    /srv/tool/.venv/bin/python /srv/tool/manage.py ltiaas_sync all
  */10 * * * * /srv/tool/.venv/bin/python /srv/tool/manage.py ltiaas_sync grades

It may run beside Celery workers and other copies of itself: an LMS that another one is at is left to it.
Exit status: 0 when the pass ran to its end, also if single scores failed (the table and the admin say which);
1 when a setting is wrong or an LMS could not be worked on; 2 for wrong arguments; 130 after Ctrl-C.
"""


class Command(ExplainedCommand):
    help = "Send recorded grades to the LMSs, and read their rosters: the night's work, now and without Celery."
    epilog = _EPILOG

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("what", choices=list(_KINDS), help="what to bring in step with the LMSs")
        parser.add_argument("--dry-run", action="store_true", help="only say what would be done")
        parser.add_argument(
            "--platform", type=int, metavar="ID", help="only this LMS: the number that its page in the admin has"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        kinds, platform_id = _KINDS[options["what"]], options["platform"]
        self.runs: list[SyncRun] = []
        self.troubles: list[str] = []
        self.began = timezone.now()
        with ready_database():
            Platform.objects.exists()
        if platform_id is not None:
            self._check_platform(platform_id)
        if options["dry_run"]:
            self._foretell(kinds, platform_id)
        elif settings.STOPPED:
            self.stdout.write('Stopped: LTIAAS["STOPPED"] is on. Nothing was sent and no roster was read.')
        else:
            self._sync(kinds, platform_id)

    def _check_platform(self, platform_id: int) -> None:
        platform = Platform.objects.filter(pk=platform_id).first()
        if platform is None:
            known = Platform.objects.order_by("pk")[:20]
            offered = ", ".join(f"{one.pk} ({printable(one)})" for one in known) or "none; a first launch brings one"
            raise CommandError(f"There is no platform {platform_id}. There are: {offered}.", returncode=2)
        if not platform.is_active:
            self.stdout.write(f"{printable(platform)} is switched off (not active): nothing is sent or read.")

    # --- the pass ---

    def _sync(self, kinds: Sequence[SyncRun.Kind], platform_id: int | None) -> None:
        try:
            self._release(kinds, platform_id)
            self._work(kinds, platform_id)
            if len(kinds) > 1 and platform_id is None:
                passes.housekeeping()
        except KeyboardInterrupt:
            self._summarize(kinds, platform_id)
            raise CommandError(
                "Stopped by Ctrl-C. What was not done stays due.", returncode=_STOPPED_BY_KEYBOARD
            ) from None
        except exceptions.ConfigurationError as error:
            self._summarize(kinds, platform_id)
            raise CommandError(redact(str(error))) from error
        self._summarize(kinds, platform_id)
        if self.troubles:
            raise CommandError(" ".join(self.troubles))

    def _release(self, kinds: Sequence[SyncRun.Kind], platform_id: int | None) -> None:
        for kind in kinds:
            try:
                passes.release_night(kind, platform_id)
            except exceptions.ConfigurationError:
                raise
            except Exception as error:  # whatever the tool's own SCORE_SOURCE raises
                self._trouble(f'LTIAAS["SCORE_SOURCE"] ({settings.SCORE_SOURCE}) failed', error)

    def _work(self, kinds: Sequence[SyncRun.Kind], platform_id: int | None) -> None:
        on_terminal = self.stdout.isatty()
        with progress.Progress(
            progress.TextColumn("{task.description}"),
            progress.BarColumn(),
            progress.MofNCompleteColumn(),
            progress.TimeElapsedColumn(),
            console=console.Console(stderr=True),
            disable=not on_terminal,
            transient=True,
        ) as bars:
            shown: dict[str, progress.TaskID] = {}
            for kind in kinds:
                total = sum(due for due, _later in _forecast(kind, platform_id).values())
                shown[kind] = bars.add_task(_UNITS[kind], total=total)

            def visit(pk: int, stop: threading.Event) -> bool:
                runs = self._visit(pk, kinds, lambda kind, done: bars.advance(shown[kind], done), stop)
                if not on_terminal:
                    for run in runs:
                        self.stdout.write(_line(run))
                return any(passes.came_on(run) for run in runs)

            passes.work_all(kinds, visit, platform_id=platform_id, parallel=settings.PARALLEL_PLATFORMS)

    def _visit(
        self, platform_id: int, kinds: Sequence[SyncRun.Kind], report: passes.Progress, stop: threading.Event
    ) -> list[SyncRun]:
        began = timezone.now()
        runs: list[SyncRun] = []
        try:
            passes.work(platform_id, kinds, SyncRun.Trigger.COMMAND, report, stop)
        except exceptions.ConfigurationError:
            raise
        except Exception as error:  # what breaks one LMS's pass must not cost the others their night
            leases.reconnect()
            self._trouble(f"The pass over platform {platform_id} broke off", error)
        finally:
            # From the database: a pass that broke off has left its run there and returned none.
            mine = SyncRun.objects.filter(platform=platform_id, trigger=SyncRun.Trigger.COMMAND, started_at__gte=began)
            runs += mine.select_related("platform").order_by("started_at")
            self.runs += runs
        return runs

    def _trouble(self, what: str, error: Exception) -> None:
        text = printable(redact(f"{what} ({type(error).__name__}: {error})."))
        self.troubles.append(text)
        self.stdout.write(text)

    # --- what is said of it ---

    def _summarize(self, kinds: Sequence[SyncRun.Kind], platform_id: int | None) -> None:
        if not self.runs:
            self.stdout.write("Nothing was due that could be done now.")
        for kind in kinds:
            self._show_runs(kind, [run for run in self.runs if run.kind == kind])
        for error in dict.fromkeys(f"{_name(run.platform)}: {run.error}" for run in self.runs if run.error):
            self.stdout.write(printable(error))
        for reason, count in passes.reasons(platform_id, self.began):
            self.stdout.write(printable(f"{count} × {reason}"))
        self._say_what_is_left(platform_id)
        held_back = passes.held_back(kinds)
        for platform in held_back if platform_id is None else held_back.filter(pk=platform_id):
            self.stdout.write(f"Skipped {_name(platform)}: {_why_held_back(platform)}; its work stays due.")

    def _say_what_is_left(self, platform_id: int | None) -> None:
        """What stays in the outbox, and what it waits for."""
        states, next_at = passes.left_over(platform_id)
        said = [f"{states[state.value]} {state.label}" for state in OutgoingScore.State if states.get(state.value)]
        if said:
            again = f"; the next is tried {date_format(localtime(next_at), 'DATETIME_FORMAT')}" if next_at else ""
            self.stdout.write(f"Scores not sent yet: {', '.join(said)}{again}.")

    def _show_runs(self, kind: SyncRun.Kind, runs: list[SyncRun]) -> None:
        rows: dict[int | None, list[SyncRun]] = {}
        for run in runs:
            rows.setdefault(run.platform_id, []).append(run)
        if not rows:
            return
        on_terminal = self.stdout.isatty()
        shown = new_table(
            str(kind.label).capitalize(),
            *_COUNTS[kind],
            "outcome",
            "seconds",
            numbers=frozenset({*_COUNTS[kind], "seconds"}),
            words=frozenset({"outcome"}),
            on_terminal=on_terminal,
        )
        for same in rows.values():
            counts = _sum_up(same)
            outcomes = {run.get_outcome_display() for run in same}
            outcome = outcomes.pop() if len(outcomes) == 1 else str(SyncRun.Outcome.PARTIAL.label)
            numbers = (str(counts[name]) for name in _COUNTS[kind])
            shown.add_row(Text(_name(same[0].platform)), *numbers, outcome, f"{sum(map(_seconds, same)):.1f}")
        self.stdout.write(render(shown, on_terminal=on_terminal))

    def _foretell(self, kinds: Sequence[SyncRun.Kind], platform_id: int | None) -> None:
        self.stdout.write("Dry run: nothing is sent, read or changed.")
        if settings.STOPPED:
            self.stdout.write('LTIAAS["STOPPED"] is on: a real run would do nothing.')
        for kind in kinds:
            counts = _forecast(kind, platform_id)
            due, later = (sum(pair[which] for pair in counts.values()) for which in (0, 1))
            self.stdout.write(f"{kind.label}: {due} {_UNITS[kind]} due now, {later} more with the night.")
            if kind == Kind.GRADES and settings.SCORE_SOURCE:
                self.stdout.write(f"{settings.SCORE_SOURCE} would be asked for more.")
            if counts:
                self._show_forecast(kind, counts)
        held_back = passes.held_back(kinds)
        for platform in held_back if platform_id is None else held_back.filter(pk=platform_id):
            self.stdout.write(f"{_name(platform)} would be skipped: {_why_held_back(platform)}.")

    def _show_forecast(self, kind: SyncRun.Kind, counts: dict[int, tuple[int, int]]) -> None:
        on_terminal, columns = self.stdout.isatty(), ("due now", "with the night")
        title = str(kind.label).capitalize()
        shown = new_table(title, *columns, numbers=frozenset(columns), on_terminal=on_terminal)
        platforms = Platform.objects.in_bulk(list(counts))
        for pk, (now, then) in counts.items():
            shown.add_row(Text(_name(platforms.get(pk))), str(now), str(then))
        self.stdout.write(render(shown, on_terminal=on_terminal))


def _forecast(kind: str, platform_id: int | None) -> dict[int, tuple[int, int]]:
    return {pk: counts for pk, counts in passes.forecast(kind).items() if platform_id in (None, pk)}


def _line(run: SyncRun) -> str:
    counts = _sum_up([run])
    said = ", ".join(f"{counts[name]} {name}" for name in _COUNTS[Kind(run.kind)] if counts[name])
    said = said or run.get_outcome_display()
    return f"{_name(run.platform)}: {run.get_kind_display()}: {said} ({_seconds(run):.1f} s)"


def _sum_up(runs: Sequence[SyncRun]) -> Counter[str]:
    total: Counter[str] = Counter()
    for run in runs:
        total.update(run.counts)
    return total


def _seconds(run: SyncRun) -> float:
    return ((run.finished_at or timezone.now()) - run.started_at).total_seconds()


def _name(platform: Platform | None) -> str:
    return f"{platform.pk} {printable(platform)}" if platform else "?"


def _why_held_back(platform: Platform) -> str:
    if platform.lease_until is not None and platform.lease_until > timezone.now():
        return "another worker is at it"
    until = timezone.localtime(platform.paused_until) if platform.paused_until else timezone.localtime()
    return f"paused until {until:%Y-%m-%d %H:%M:%S}" + (
        f" ({printable(platform.pause_reason)})" if platform.pause_reason else ""
    )
