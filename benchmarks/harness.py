"""Measure a function in a fresh process on a fresh database, compare medians, print tables.

Configurations run in turn (A B C, A B C, ...), and a ratio is taken within a round: the machine's mood changes from
one minute to the next and weighs on all of a round alike.
"""

from __future__ import annotations

import atexit
import dataclasses
import functools
import itertools
import json
import os
import pathlib
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table as RichTable

ROOT = pathlib.Path(__file__).resolve().parent.parent

Database = Literal["sqlite", "postgres"]
Measured = dict[str, Any]
"""What one run returned."""


@dataclasses.dataclass(frozen=True)
class Options:
    """What was asked for on the command line."""

    rounds: int = 3
    quick: bool = False
    """Smaller sizes and one round: shows that everything runs, and measures nothing."""
    postgres: str = ""
    """A PostgreSQL server such as postgres://postgres@127.0.0.1:5432; blank if none answers."""
    only: str = ""
    """Run only the configurations whose name contains this."""
    profile: bool = False
    """Print where the time goes, where a benchmark knows how."""

    @property
    def databases(self) -> list[Database]:
        """The databases to measure on."""
        return ["sqlite", "postgres"] if self.postgres else ["sqlite"]


# --- one run ----------------------------------------------------------------------------------------------------------


def measure(
    target: str, *, database: Database = "sqlite", environment: Mapping[str, str] | None = None, **arguments: Any
) -> Measured:
    """Call "package.module:function" with these arguments, in a new process with Django set up, on a new database.

    Arguments and what the function returns (a dict) are JSON; `process_cpu` (seconds) and `process_peak_mb` are added.
    Raises RuntimeError, with what the process said, if it fails.
    """
    with fresh_database(database) as url:
        return call(target, url, environment, **arguments)


def call(target: str, database_url: str, environment: Mapping[str, str] | None = None, **arguments: Any) -> Measured:
    """As `measure`, on a database that is there."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        result = pathlib.Path(folder, "result.json")
        asked = json.dumps({"target": target, "arguments": arguments})
        _python(["benchmarks.child", str(result)], database_url, environment, given=asked)
        measured: Measured = json.loads(result.read_text())
        return measured


def _python(
    module: Sequence[str], database_url: str, environment: Mapping[str, str] | None = None, given: str = ""
) -> None:
    """Run a module in a new process; what it prints goes where ours goes, an error becomes ours."""
    settings = {"DJANGO_SETTINGS_MODULE": "benchmarks.settings", "DATABASE_URL": database_url}
    done = subprocess.run(
        [sys.executable, "-m", *module],
        cwd=ROOT,
        env={**os.environ, **settings, **(environment or {})},
        input=given,
        stderr=subprocess.PIPE,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(module)} ended with {done.returncode}:\n{done.stderr}")
    sys.stderr.write(done.stderr)


def cpu_seconds(who: int = resource.RUSAGE_SELF) -> float:
    """CPU that this process has used, all its threads, in user and system mode."""
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


@contextmanager
def timed() -> Iterator[Measured]:
    """Fills a dict with the `seconds` that the block took, and the `cpu` seconds of this process."""
    took: Measured = {}
    began, cpu = time.perf_counter(), cpu_seconds()
    yield took
    took.update(seconds=time.perf_counter() - began, cpu=cpu_seconds() - cpu)


def peak_memory() -> float:
    """The greatest size of this process so far, in MB (2**20)."""
    try:
        status = pathlib.Path("/proc/self/status").read_text()  # getrusage counts the parent's size before the exec
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))) / 2**10


# --- fresh databases --------------------------------------------------------------------------------------------------

_numbers = itertools.count(1)


@functools.cache
def postgres_url() -> str:
    """The PostgreSQL server to measure on (BENCH_POSTGRES_URL, or the usual one of this machine); blank: none."""
    url = os.environ.get("BENCH_POSTGRES_URL", "postgres://postgres@127.0.0.1:5432").rstrip("/")
    try:
        _on_server(url, "SELECT 1")
    except Exception:
        return ""
    return url


def _on_server(url: str, statement: str) -> None:
    import psycopg  # not needed where nothing is measured on PostgreSQL

    with psycopg.connect(f"{url}/postgres", autocommit=True, connect_timeout=3) as connection:
        connection.execute(statement.encode())


@contextmanager
def fresh_database(kind: Database) -> Iterator[str]:
    """The URL of a migrated, empty database of one's own."""
    template = _template(kind)
    if kind == "sqlite":
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            yield f"sqlite:///{shutil.copy(template, folder)}"
        return
    name = f"ltiaas_bench_{os.getpid()}_{next(_numbers)}"
    _on_server(postgres_url(), f"CREATE DATABASE {name} TEMPLATE {template}")
    try:
        yield f"{postgres_url()}/{name}"
    finally:
        _on_server(postgres_url(), f"DROP DATABASE {name} WITH (FORCE)")


@functools.cache
def _template(kind: Database) -> str:
    """A migrated database to copy: a file's path, or a database's name."""
    if kind == "sqlite":
        folder = tempfile.mkdtemp(prefix="bench-template-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        template = f"{folder}/db.sqlite3"
        url = f"sqlite:///{template}"
    else:
        template = f"ltiaas_bench_{os.getpid()}_template"
        _on_server(postgres_url(), f"CREATE DATABASE {template}")
        atexit.register(_on_server, postgres_url(), f"DROP DATABASE {template} WITH (FORCE)")
        url = f"{postgres_url()}/{template}"
    _python(["django", "migrate", "--verbosity", "0"], url)
    return template


# --- comparing --------------------------------------------------------------------------------------------------------


def in_turn(configurations: Mapping[str, Callable[[], Measured]], options: Options) -> dict[str, list[Measured]]:
    """Run each configuration once a round, in turn; by name, what each round returned."""
    chosen = {name: run for name, run in configurations.items() if options.only.lower() in name.lower()}
    runs: dict[str, list[Measured]] = {name: [] for name in chosen}
    for number in range(1 if options.quick else options.rounds):
        for name, run in chosen.items():
            print(f"  round {number + 1}: {name}", file=sys.stderr, flush=True)
            runs[name].append(run())
    return runs


def median(runs: Iterable[Measured], key: str) -> float:
    """The median of a figure over the rounds."""
    return float(statistics.median(run[key] for run in runs))


def ratio(runs: Iterable[Measured], to: Iterable[Measured], key: str) -> float:
    """The median of the rounds' ratios."""
    return float(statistics.median(one[key] / other[key] for one, other in zip(runs, to, strict=True)))


# --- showing ----------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Table:
    """What is shown of a benchmark. Cells are text; numbers are written by `number`, `times` and `reached`."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()

    def print(self) -> None:
        """To the terminal; plain text where it is piped."""
        shown = RichTable(title=escape(self.title), title_justify="left", box=box.SIMPLE_HEAD)
        for position, column in enumerate(self.columns):
            shown.add_column(column, justify="right" if position else "left")
        for row in self.rows:
            shown.add_row(*map(escape, row))
        console = Console() if sys.stdout.isatty() else Console(width=200)
        console.print(shown)
        for note in self.notes:
            console.print(f"  {note}", markup=False, highlight=False, soft_wrap=not sys.stdout.isatty())
        console.print()

    def markdown(self) -> str:
        """As a section of a Markdown page."""
        lines = [f"### {self.title}", ""]
        lines += [_line(self.columns), _line(["---"] + ["---:"] * (len(self.columns) - 1))]
        lines += [_line(row) for row in self.rows]
        if self.notes:
            lines += ["", *(f"- {note}" for note in self.notes)]
        return "\n".join(lines) + "\n"


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def number(value: float) -> str:
    """With as many digits as a noisy machine can vouch for."""
    size = abs(value)
    if size >= 100:
        return f"{value:,.0f}"
    return f"{value:.{1 if size >= 10 else 2 if size >= 0.1 or not size else 3}f}"


def times(value: float) -> str:
    """A ratio."""
    return f"{number(value)}x"


def reached(value: float, *, at_least: float | None = None, at_most: float | None = None, unit: str = "x") -> str:
    """A figure with its goal: "71.2x (goal 70: reached)"; one goal is given, a lower or an upper bound."""
    if (at_least is None) == (at_most is None):
        raise ValueError("A figure has one goal.")
    if at_least is not None:
        goal, is_reached = f"{at_least:g}", value >= at_least
    else:
        goal, is_reached = f"at most {at_most:g}", value <= (at_most or 0)
    return f"{number(value)}{unit} (goal {goal}: {'reached' if is_reached else 'NOT REACHED'})"
