"""`python -m benchmarks [NAMES] [--quick] [--rounds N] [--only TEXT] [--markdown FILE]`: measure and print."""

from __future__ import annotations

import argparse
import datetime
import importlib
import os
import pathlib
import platform
import re
import sys
import time
from importlib import metadata

import django

from benchmarks import harness

NAMES = ("scores", "rosters", "launches", "growth", "district")
BEGIN, END = "<!-- tables: begin -->", "<!-- tables: end -->"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure, and print a table for each.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of: {', '.join(NAMES)}; without: all")
    parser.add_argument("--quick", action="store_true", help="small sizes, one round: shows only that all of it runs")
    parser.add_argument("--rounds", type=int, default=3, help="rounds whose median is shown (3)")
    parser.add_argument("--only", default="", metavar="TEXT", help="only configurations whose name contains this")
    parser.add_argument("--profile", action="store_true", help="print where the time of our own runs goes")
    parser.add_argument("--markdown", type=pathlib.Path, metavar="FILE", help="put the tables into this page as well")
    asked = parser.parse_args()
    if unknown := set(asked.names) - set(NAMES):
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    if asked.markdown and (asked.only or asked.quick):
        parser.error("--markdown is for whole runs")
    options = harness.Options(asked.rounds, asked.quick, harness.postgres_url(), only=asked.only, profile=asked.profile)
    os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks.settings"
    django.setup()  # the modules of the measured functions are imported here too; no database is used
    began = time.monotonic()
    print(describe(options), end="\n\n")
    for name in asked.names or NAMES:
        print(f"{name}:", file=sys.stderr, flush=True)
        tables = importlib.import_module(f"benchmarks.{name}").run(options)
        for table in tables:
            table.print()
        if asked.markdown:
            write(asked.markdown, name, "\n".join(table.markdown() for table in tables), describe(options))
    print(f"Measured in {(time.monotonic() - began) / 60:.0f} minutes.", file=sys.stderr)
    return 0


def describe(options: harness.Options) -> str:
    """On what, when and how it was measured."""
    versions = [f"Python {platform.python_version()}"]
    versions += [f"{name} {metadata.version(name)}" for name in ("Django", "requests", "urllib3", "celery")]
    rounds = (
        "one quick round of small sizes, which measures nothing"
        if options.quick
        else f"medians of {options.rounds} rounds"
    )
    today = datetime.datetime.now(datetime.UTC).date()
    database = "PostgreSQL and SQLite" if options.postgres else "SQLite only: no PostgreSQL answers"
    return f"{os.cpu_count()} cores, {today}; {', '.join(versions)}; {database}; {rounds}."


def write(page: pathlib.Path, name: str, tables: str, machine: str) -> None:
    """Replace what stands between the markers of one benchmark in the page."""
    begin, end = BEGIN.replace("tables", name), END.replace("tables", name)
    command = f"Repeat: `.venv/bin/python -m benchmarks {name}`."
    text, found = re.subn(
        f"(?s){re.escape(begin)}.*{re.escape(end)}",
        lambda _match: f"{begin}\n{machine} {command}\n\n{tables}{end}",
        page.read_text(),
    )
    if found != 1:
        sys.exit(f"{page} has no place for {name}: a line {begin} and a line {end}.")
    page.write_text(text)


if __name__ == "__main__":
    sys.exit(main())
