"""`manage.py ltiaas_platforms`: the LMSs that are registered with LTIAAS."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import sys
from collections.abc import Callable, Iterable
from typing import Any, Final

from django.core.management.base import CommandError, CommandParser
from rich.text import Text

from ltiaas_django import data, exceptions
from ltiaas_django.management.base import ExplainedCommand, ready_database
from ltiaas_django.management.printing import new_table, printable, render
from ltiaas_django.models import Platform
from ltiaas_django.operations import platforms

_WRONG_ARGUMENTS: Final = 2

_EPILOG = """\
An LMS has a row here (its number is the one that its page in the admin has) and a registration at LTIAAS. LTIAAS
decides whether it may launch: activate, deactivate, edit and delete change that registration. What the row says of
pace, sign-in and frames is ours, and changed in the admin. A registration that is deleted leaves the row as it is.

An LMS is named by its number or by its id at LTIAAS; `sync` gives every LMS that LTIAAS lists a number.

The key is the LMS's public one, or the address of its key set: nothing secret. --key-file reads it from a file, - from
standard input.

examples:
  manage.py ltiaas_platforms list
  manage.py ltiaas_platforms sync                     rows for LMSs that LTIAAS knows and that never launched
  manage.py ltiaas_platforms show 3 --json
  manage.py ltiaas_platforms register --issuer https://lms.school.edu --client-id 10000000000042 --name "Our school"
      --authentication-endpoint https://lms.school.edu/authorize --access-token-endpoint https://lms.school.edu/token
      --method JWK_SET --key https://lms.school.edu/jwks
  manage.py ltiaas_platforms edit 3 --name "The school" --yes
  manage.py ltiaas_platforms deactivate 3 --yes

Exit status: 0 when it is done; 1 when LTIAAS said no or could not be reached, or the answer to a question was no;
2 for wrong arguments.
"""

_FIELDS: Final = {
    "issuer": ("URL", "the LMS's own address, to the letter"),
    "client_id": ("ID", "the id that the LMS has given to this tool"),
    "name": ("TEXT", "what it is called, here and at LTIAAS"),
    "authentication_endpoint": ("URL", "where launches are authorized"),
    "access_token_endpoint": ("URL", "where tokens are given out"),
}


class Command(ExplainedCommand):
    help = "List, register, change, switch and delete the LMSs that are registered with LTIAAS."
    epilog = _EPILOG

    def add_arguments(self, parser: CommandParser) -> None:
        commands = parser.add_subparsers(dest="what", metavar="COMMAND", required=True)

        def add(name: str, text: str) -> CommandParser:
            added: CommandParser = commands.add_parser(name, help=text, description=text)
            return added

        for name, text in (("list", "all LMSs, here and at LTIAAS"), ("show", "all that LTIAAS holds of one")):
            shown = add(name, text)
            shown.add_argument("--json", action="store_true", help="print JSON, for scripts")
            if name == "show":
                _add_platform(shown)
        add("sync", "make the rows here agree with LTIAAS's list; deletes nothing")
        _add_registration(add("register", "register an LMS by hand"), required=True)
        edited = add("edit", "change what LTIAAS holds of one; what is left out stays")
        _add_platform(edited)
        _add_registration(edited, required=False)
        _add_yes(edited)
        for name, text in (
            ("activate", "let an LMS launch"),
            ("deactivate", "let an LMS launch nothing"),
            ("delete", "take an LMS out of LTIAAS; its row here stays"),
        ):
            switched = add(name, text)
            _add_platform(switched)
            _add_yes(switched)

    @ready_database()
    def handle(self, *args: Any, **options: Any) -> None:
        commands: dict[str, Callable[[dict[str, Any]], None]] = {
            "list": self._list,
            "show": self._show,
            "sync": self._sync,
            "register": self._register,
            "edit": self._edit,
            "activate": self._activate,
            "deactivate": self._deactivate,
            "delete": self._delete,
        }
        try:
            commands[options["what"]](options)
        except exceptions.LtiError as error:
            raise CommandError(printable(platforms.explain(error))) from None

    # --- looking ---

    def _list(self, options: dict[str, Any]) -> None:
        held = {one.ltiaas_id: one for one in platforms.fetch_all()}
        rows = list(Platform.objects.order_by("pk"))
        known = {row.ltiaas_id for row in rows}
        listed: list[tuple[Platform | None, data.PlatformRegistration | None]] = [
            (row, held.get(row.ltiaas_id or "")) for row in rows
        ]
        listed += [(None, one) for one in held.values() if one.ltiaas_id not in known]
        if options["json"]:
            self.stdout.write(json.dumps([_as_json(row, one) for row, one in listed], indent=2))
            return
        on_terminal = self.stdout.isatty()
        columns = ["number", "issuer", "client id", "here", "at LTIAAS", "LTIAAS id"]
        shown = new_table("Platform", *columns, numbers=frozenset({"number"}), on_terminal=on_terminal)
        for row, one in listed:
            shown.add_row(*(Text(printable(cell)) for cell in _cells(row, one)))
        self.stdout.write(render(shown, on_terminal=on_terminal))

    def _show(self, options: dict[str, Any]) -> None:
        platform = _platform(options)
        held = platforms.fetch(platform)
        if options["json"]:
            self.stdout.write(json.dumps(_as_json(platform, held) | dataclasses.asdict(held), indent=2))
            return
        said = {"number": platform.pk, "here": "active" if platform.is_active else "stopped"}
        for name, value in (said | dataclasses.asdict(held)).items():
            self.stdout.write(f"{name.replace('_', ' ')}: {printable_lines(value)}")

    # --- doing ---

    def _sync(self, _options: dict[str, Any]) -> None:
        synced = platforms.sync()
        self.stdout.write(f"LTIAAS lists {synced.listed}: {synced.created} new here, {synced.changed} changed.")
        if synced.gone:
            self.stdout.write(f"{synced.gone} here are not known to LTIAAS any more, and cannot launch.")

    def _register(self, options: dict[str, Any]) -> None:
        wanted = _checked(data.PlatformRegistration(**_given(options)))
        platform = platforms.register(wanted)
        self.stdout.write(printable(f"Registered: {platform} has the number {platform.pk} here."))

    def _edit(self, options: dict[str, Any]) -> None:
        platform, given = _platform(options), _given(options)
        if not given:
            raise CommandError("Say what to change, such as --name.", returncode=_WRONG_ARGUMENTS)
        wanted = _checked(dataclasses.replace(platforms.fetch(platform), **given))
        self._ask(
            options, platform, "LTIAAS checks each launch of it against this: after a mistake, none gets through."
        )
        platforms.replace(platform, wanted)
        self.stdout.write(printable(f"Changed at LTIAAS: {platform}."))

    def _activate(self, options: dict[str, Any]) -> None:
        platform = _platform(options)
        self._ask(options, platform, "LTIAAS will let it launch this tool.")
        platforms.set_active(platform, is_active=True)
        self.stdout.write(printable(f"Active at LTIAAS: {platform}."))

    def _deactivate(self, options: dict[str, Any]) -> None:
        platform = _platform(options)
        self._ask(options, platform, "Nobody in it can open this tool until it is activated again.")
        platforms.set_active(platform, is_active=False)
        self.stdout.write(printable(f"Inactive at LTIAAS: {platform}."))

    def _delete(self, options: dict[str, Any]) -> None:
        platform = _platform(options)
        courses, people = platform.contexts.count(), platform.lti_users.count()
        self._ask(
            options,
            platform,
            f"LTIAAS forgets it. {courses} courses and {people} people of it stay here, with their scores, and cannot "
            "be reached any more. It would have to be registered anew, under a new id.",
        )
        platforms.delete(platform)
        self.stdout.write(printable(f"Deleted at LTIAAS: {platform}. Its row here stays."))

    def _ask(self, options: dict[str, Any], platform: Platform, consequence: str) -> None:
        """Go on only if the name of the LMS is typed: a number is mistyped too easily."""
        if options["yes"]:
            return
        name = printable(platform)
        self.stdout.write(f"{name}: {consequence}\nType its name, {name}, to go on: ", ending="")
        self.stdout.flush()
        if sys.stdin.readline().strip() != name.strip():
            raise CommandError("Nothing was changed. (Without a terminal, say --yes.)")


def _add_platform(parser: CommandParser) -> None:
    parser.add_argument("platform", metavar="PLATFORM", help="its number here, or its id at LTIAAS")


def _add_yes(parser: CommandParser) -> None:
    parser.add_argument("--yes", action="store_true", help="do not ask")


def _add_registration(parser: CommandParser, *, required: bool) -> None:
    for name, (metavar, text) in _FIELDS.items():
        parser.add_argument(f"--{name.replace('_', '-')}", metavar=metavar, required=required, help=text)
    parser.add_argument(
        "--method",
        dest="auth_method",
        choices=platforms.METHODS,
        required=required,
        help="how the LMS's keys are given",
    )
    key = parser.add_mutually_exclusive_group(required=required)
    key.add_argument("--key", dest="auth_key", metavar="TEXT", help="the address of its key set, or its public key")
    key.add_argument("--key-file", metavar="FILE", help="a file that holds it; - for standard input")


def _given(options: dict[str, Any]) -> dict[str, Any]:
    """The members of a registration that the arguments name."""
    given = {name: options[name] for name in (*_FIELDS, "auth_method", "auth_key") if options[name] is not None}
    if options["key_file"] is not None:
        try:
            from_stdin = options["key_file"] == "-"
            text = sys.stdin.read() if from_stdin else pathlib.Path(options["key_file"]).read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise CommandError(printable(f"The key cannot be read: {error}"), returncode=_WRONG_ARGUMENTS) from None
        given["auth_key"] = text.strip()
    return given


def _checked(wanted: data.PlatformRegistration) -> data.PlatformRegistration:
    problems = platforms.problems(wanted)
    if problems:
        said = "; ".join(f"{name.replace('_', ' ')}: {problem}" for name, problem in problems.items())
        raise CommandError(printable(said), returncode=_WRONG_ARGUMENTS)
    return wanted


def _platform(options: dict[str, Any]) -> Platform:
    """The row that is meant. Raises CommandError if there is none."""
    text = options["platform"]
    is_number = text.isascii() and text.isdigit() and len(text) < 19
    found = Platform.objects.filter(pk=int(text)).first() if is_number else None
    if found is None and text.isprintable():  # what is no UTF-8 cannot even be asked for
        found = Platform.objects.filter(ltiaas_id=text).first()
    if found is None:
        raise CommandError(
            printable(f"There is no platform {text} here. Run manage.py ltiaas_platforms sync."),
            returncode=_WRONG_ARGUMENTS,
        )
    return found


def _state(row: Platform | None, held: data.PlatformRegistration | None) -> tuple[str, str]:
    """Here and at LTIAAS, a word each."""
    here = "no row" if row is None else "active" if row.is_active else "stopped"
    if held is None:
        return here, "not there"
    return here, {True: "active", False: "inactive", None: "not known"}[held.is_active]


def _cells(row: Platform | None, held: data.PlatformRegistration | None) -> Iterable[object]:
    one: Any = row or held
    named = str(row) if row is not None else one.name or one.issuer
    return named, row.pk if row else "–", one.issuer, one.client_id, *_state(row, held), one.ltiaas_id or "–"


def _as_json(row: Platform | None, held: data.PlatformRegistration | None) -> dict[str, Any]:
    one: Any = row or held
    here, there = _state(row, held)
    return {
        "number": row.pk if row else None,
        "name": one.name,
        "issuer": one.issuer,
        "client_id": one.client_id,
        "ltiaas_id": one.ltiaas_id,
        "product_family": row.product_family if row else "",
        "here": here,
        "at_ltiaas": there,
    }


def printable_lines(value: object) -> str:
    """A value on one line or, as keys are, on several."""
    if value is None:
        return "not known"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "\n  ".join(printable(line) for line in str(value).splitlines()) or "–"
