"""`manage.py ltiaas_doctor`: is this site set up so that launches, grades and rosters will work?"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

from django.core.management.base import CommandParser
from rich import console, status

from ltiaas_django.findings import Finding, worst
from ltiaas_django.management import reporting
from ltiaas_django.management.base import ExplainedCommand
from ltiaas_django.operations.doctor import examining

_PROBLEM = 1

_EPILOG = f"""\
what is looked at, in this order:
{chr(10).join(f"  {one.name:<12}{one.about}" for one in examining.EXAMINATIONS)}

each finding begins with a word:
  ✓ ok         as it should be
  ! advice     works, but could be better, or will matter on a public site
  ✗ problem    does not work, or is not safe; the line below says what to type
  – skipped    was not looked at, and why

Exit status: 0 if there is no problem (with --strict: and no advice); 1 if there is one; 2 for wrong arguments.
Nothing is changed: no score is sent, no roster read. LTIAAS is asked once, with the API key. Secrets are never shown.

examples:
  manage.py ltiaas_doctor                            look at everything
  manage.py ltiaas_doctor --only ltiaas --only clock LTIAAS and the time
  manage.py ltiaas_doctor --offline --strict         in a build, where nothing runs yet
  manage.py ltiaas_doctor && systemctl reload tool   in a deployment script
  manage.py ltiaas_doctor --json                     for scripts; "status" holds the worst word

where manage.py itself ends with an error, for the settings cannot be loaded, this says why:
  python -m ltiaas_django.doctor --settings mysite.settings
"""


class Command(ExplainedCommand):
    help = (
        "Look at settings, cookies, HTTPS, LTIAAS, clock, Celery, database and keys; say what to type where it hurts."
    )
    epilog = _EPILOG
    requires_system_checks: list[str] = []  # what they find is told here, in its place

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--only",
            action="append",
            choices=examining.NAMES,
            metavar="NAME",
            help="only this examination (see below); may be given more than once",
        )
        parser.add_argument("--offline", action="store_true", help="ask neither LTIAAS nor the broker")
        parser.add_argument("--strict", action="store_true", help="end with 1 for advice, too")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        names: Collection[str] = options["only"] or examining.NAMES
        findings: list[Finding] = []
        for finding in self._examine(names, offline=options["offline"]):
            findings.append(finding)
            if not options["json"]:
                self._say(*reporting.lines(finding, on_terminal=self.stdout.isatty()))
        self._say(reporting.as_json(findings) if options["json"] else reporting.closing(findings))
        if worst(findings) == "problem" or (options["strict"] and worst(findings) == "advice"):
            raise SystemExit(_PROBLEM)

    def _examine(self, names: Collection[str], *, offline: bool) -> Iterator[Finding]:
        with self._progress() as shown:
            yield from examining.examine(
                names, offline=offline, announce=lambda one: shown.update(f"{one.name}: {one.about} …")
            )

    @contextmanager
    def _progress(self) -> Iterator[status.Status]:
        """What is being looked at, on a terminal: some of it takes seconds."""
        terminal = console.Console(stderr=True, quiet=not (self.stdout.isatty() and self.stderr.isatty()))
        with terminal.status("", spinner="line") as shown:
            yield shown

    def _say(self, *lines: str) -> None:
        for line in lines:
            self.stdout.write(reporting.encodable(line, getattr(self.stdout, "encoding", None)))
