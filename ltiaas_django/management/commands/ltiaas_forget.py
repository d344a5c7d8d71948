"""`manage.py ltiaas_forget`: erase a person."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import CommandError, CommandParser

from ltiaas_django import exceptions
from ltiaas_django.management.base import ExplainedCommand, ready_database
from ltiaas_django.management.printing import printable
from ltiaas_django.models import LtiUser
from ltiaas_django.operations import forgetting

_WRONG_ARGUMENTS = 2

_EPILOG = """\
What goes: name, e-mail and picture, launches, memberships, scores with their comments and history, and rows of the
tool's own that cannot be without these (--dry-run counts them). Names in the admin's history are blanked.
What stays: the log of runs, with its counts; what the LMS itself holds, its gradebook above all; and the Django user,
with whatever name and e-mail it has, unless --delete-user is given (never staff).

While the person is enrolled the LMS brings them back: with the next roster, or when they launch again. Have them taken
off the course first.

Grades that the LMS has not accepted yet are not dropped unasked: send them first, or say --drop-unsent.

examples:
  manage.py ltiaas_forget --person 12 --dry-run             the number that the person's page in the admin has
  manage.py ltiaas_forget --platform 3 --lms-id 5f1c-77     the id that the LMS knows the person by
  manage.py ltiaas_forget --user kim --delete-user          everybody whom this Django user is, and the user too

Exit status: 0 when it is done, or nobody is there to be forgotten; 1 when something is in the way, or the answer was
no; 2 for wrong arguments.
"""


class Command(ExplainedCommand):
    help = "Erase a person of an LMS: names, launches, memberships and scores. Asks before it does."
    epilog = _EPILOG

    def add_arguments(self, parser: CommandParser) -> None:
        who = parser.add_mutually_exclusive_group(required=True)
        who.add_argument("--person", type=int, nargs="+", metavar="ID", help="LTI users, by their number in the admin")
        who.add_argument("--lms-id", metavar="TEXT", help="the person whom the LMS of --platform knows by this id")
        who.add_argument("--user", metavar="NAME", help="all LTI users of a Django user: its username, or its id")
        parser.add_argument("--platform", type=int, metavar="ID", help="the LMS that --lms-id is meant of")
        parser.add_argument("--dry-run", action="store_true", help="only say what would go")
        parser.add_argument("--yes", action="store_true", help="do not ask")
        parser.add_argument("--drop-unsent", action="store_true", help="also drop grades that the LMS does not have")
        parser.add_argument("--delete-user", action="store_true", help="delete the Django user too, with what it owns")

    @ready_database()
    def handle(self, *args: Any, **options: Any) -> None:
        try:
            people = _people(options)
            delete_users = options["delete_user"]
            traces = forgetting.find(people, delete_users=delete_users)
            if not people:
                self.stdout.write("This Django user is nobody of any LMS: there is nothing to forget.")
                return
            self._show(traces, delete_users=delete_users)
            if options["dry_run"]:
                self.stdout.write("Dry run: nothing was erased.")
                return
            if traces.unsent and not options["drop_unsent"]:
                raise CommandError(
                    f"{traces.unsent} grades have not reached the LMS yet. Send them first (manage.py ltiaas_sync "
                    "grades), or say --drop-unsent."
                )
            if not options["yes"]:
                self._ask()
            forgetting.erase(people, drop_unsent=options["drop_unsent"], delete_users=delete_users)
        except exceptions.UnknownPerson as error:
            raise CommandError(printable(error), returncode=_WRONG_ARGUMENTS) from None
        except forgetting.CannotForget as error:
            raise CommandError(printable(error)) from None
        self.stdout.write("Erased.")

    def _show(self, traces: forgetting.Traces, *, delete_users: bool) -> None:
        for person in traces.people:
            self.stdout.write(
                printable(f"LTI user {person.pk}: {person}, known to {person.platform} as {person.lti_id}.")
            )
        for user in traces.users:
            fate = "is deleted too" if delete_users else "stays as it is; --delete-user deletes it too"
            self.stdout.write(f"Django user {user.pk}, {printable(user.get_username())}, {fate}.")
        rows = ", ".join(f"{number} {name}" for name, number in sorted(traces.rows.items()))
        self.stdout.write(f"Rows that go: {rows}.")
        if traces.unsent:
            self.stdout.write(f"{traces.unsent} of the scores have not reached the LMS.")

    def _ask(self) -> None:
        self.stdout.write("This cannot be undone. Type yes to erase: ", ending="")
        self.stdout.flush()
        if sys.stdin.readline().strip().lower() != "yes":
            raise CommandError("Nothing was erased. (Without a terminal, say --yes.)")


def _people(options: dict[str, Any]) -> list[LtiUser]:
    """Who is meant. Raises UnknownPerson, or CommandError for options that do not go together."""
    if (options["lms_id"] is None) != (options["platform"] is None):
        raise CommandError("--lms-id and --platform go together.", returncode=_WRONG_ARGUMENTS)
    if options["user"] is not None:
        return forgetting.people_of_user(options["user"])
    known = LtiUser.objects.select_related("platform", "user").order_by("pk")
    if options["person"] is not None:
        by_id = {pk: known.filter(pk=pk).first() for pk in sorted(set(options["person"]))}
        if missing := [str(pk) for pk, person in by_id.items() if person is None]:
            raise exceptions.UnknownPerson(f"There is no LTI user {', '.join(missing)}.")
        return [person for person in by_id.values() if person is not None]
    found = list(known.filter(platform=options["platform"], lti_id=options["lms_id"]))
    if not found:
        raise exceptions.UnknownPerson(
            f"Platform {options['platform']} has nobody whom the LMS knows as “{options['lms_id']}”."
        )
    return found
