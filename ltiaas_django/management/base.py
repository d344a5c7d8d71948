"""What the commands have in common: a help text that explains, and a word on a database that is not there yet."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterator
from typing import Any, ClassVar

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import OperationalError, ProgrammingError


class ExplainedCommand(BaseCommand):
    """A command whose help ends with `epilog`, in the lines in which it is written."""

    epilog: ClassVar[str]

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        parser = super().create_parser(prog_name, subcommand, **kwargs)
        parser.epilog = self.epilog
        parser.formatter_class = argparse.RawDescriptionHelpFormatter
        return parser


@contextlib.contextmanager
def ready_database() -> Iterator[None]:
    """Where the tables are missing, or the server is, say what to type. For a block, or as a function's decorator."""
    try:
        yield
    except (OperationalError, ProgrammingError) as error:
        raise CommandError(f"The database is not ready ({error}). Run manage.py migrate.") from None
