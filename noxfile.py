"""The checks that need more than one environment: versions of Python and Django, database and broker servers.

nox --list             what there is
nox -s tests-3.12      one version
nox -s services        PostgreSQL, Redis and RabbitMQ, found through the environment (see CONTRIBUTING.md)
"""

from __future__ import annotations

import os
import pathlib

import nox
from nox.command import CommandFailed

nox.needs_version = ">=2026.4"
nox.options.sessions = ["lint", "types", "tests"]
nox.options.default_venv_backend = "venv"
nox.options.reuse_existing_virtualenvs = True

CONSTRAINTS = pathlib.Path("constraints.txt")
DJANGOS = {"3.11": "5.2", "3.12": "6.0", "3.13": "6.1"}  # each Python with the newest Django it was made for
# The suite waits for sockets and processes a third of its time: three for two cores.
PROCESSES = ["--numprocesses", "3", "--dist", "worksteal"]
# `make test` looks for counterexamples at length; no version and no database makes more of them.
FEW_EXAMPLES = {"HYPOTHESIS_PROFILE": "dev"}
SUITE = ["-m", "not full and not browser", *PROCESSES]
MATRIX = ["-m", "not full and not browser and not long", *PROCESSES]  # what depends on versions
# Neither a database nor a broker makes a difference to these.
APART = [
    *(f"--ignore=tests/{folder}" for folder in ("words", "wires", "stage", "testing")),
    "--ignore-glob=tests/test_docs_*",
    "--ignore=tests/journeys/test_demo.py",  # the demo brings its own of both
]
SERVICES = ("DATABASE_URL", "TEST_REDIS_URL", "TEST_RABBITMQ_URL")


def install(session: nox.Session, django: str = "5.2") -> pathlib.Path:
    """Install the project for development; give back the constraints that were used."""
    constraints = pathlib.Path(session.create_tmp()) / "constraints.txt"
    lines = CONSTRAINTS.read_text().splitlines()
    if django != "5.2":  # the version of constraints.txt itself
        lines = [f"Django=={django}.*" if line.startswith("Django==") else line for line in lines]
    constraints.write_text("\n".join(lines) + "\n")
    session.install("--upgrade", "pip")  # see the Makefile
    session.install("--constraint", str(constraints), "--editable", ".[dev]")
    return constraints


@nox.session(python=list(DJANGOS))
def tests(session: nox.Session) -> None:
    """The suite on SQLite, with one pair of Python and Django."""
    constraints = install(session, DJANGOS[str(session.python)])
    # Supported, not required, and sometimes behind a new Django: where it cannot be installed, its test is skipped.
    try:
        session.install("--constraint", str(constraints), "django-celery-beat>=2.9")
    except CommandFailed:
        session.warn("django-celery-beat has no release for this Django; the session goes on without it.")
    session.run("python", "-m", "django", "--version")
    session.run("python", "-m", "pytest", *(session.posargs or MATRIX), env=FEW_EXAMPLES)


@nox.session
def lint(session: nox.Session) -> None:
    """Style and format."""
    install(session)
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Types, strict."""
    install(session)
    session.run("mypy")


@nox.session
def docs(session: nox.Session) -> None:
    """The documentation site, strictly; and its tutorial, followed in an environment that has nothing yet."""
    install(session)
    options = ("--fail-on-warning", "--keep-going", "--fresh-env", "--quiet")
    session.run("sphinx-build", *options, "docs", "docs/_build/html")
    session.run("python", "docs/run_tutorial.py", "--fresh")


@nox.session
def services(session: nox.Session) -> None:
    """The suite on PostgreSQL, and workers on every broker; nothing may be skipped for want of a service."""
    missing = [name for name in SERVICES if name not in os.environ]
    if missing:
        session.error(f"Set {', '.join(missing)}; CONTRIBUTING.md shows values.")
    install(session)
    session.run(
        "python",
        "-m",
        "pytest",
        *(session.posargs or [*SUITE, *APART]),
        env=FEW_EXAMPLES | {"CI_SERVICES_REQUIRED": "1"},
    )
