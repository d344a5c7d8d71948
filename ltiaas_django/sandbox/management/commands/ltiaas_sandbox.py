"""`manage.py ltiaas_sandbox`: serve the sandbox until it is stopped."""

from __future__ import annotations

import argparse
import contextlib
import pathlib
import signal
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from django.core.management.base import BaseCommand, CommandError, CommandParser

from ltiaas_django.sandbox import Sandbox, SandboxServer, certificates, errors, scenario_file, validation
from ltiaas_django.sandbox.profiles import PROFILES, Profile, overview
from ltiaas_django.sandbox.scenarios import SCENARIOS, SMALL
from ltiaas_django.sandbox.simulator import DEFAULT_API_KEY, DEFAULT_TOOL_URL

_EPILOG = f"""\
Point the tool at it by the two settings it has for LTIAAS itself:
  LTIAAS = {{"URL": "http://127.0.0.1:9800", "API_KEY": "{DEFAULT_API_KEY}"}}
then open http://127.0.0.1:9800/ in a browser, choose a course and a person, and launch.

Courses course-101 and course-102 are there at every start; people, grades and launches are
kept in memory and are gone when the sandbox stops. What the tool asks of it, and what is to
go wrong, is at http://127.0.0.1:9800/console/. Scripts steer it below /control/ (JSON):
  curl http://127.0.0.1:9800/control/state/
  curl http://127.0.0.1:9800/control/scenario/ > kept.json   and later: ltiaas_sandbox --scenario kept.json

It asks nobody for a password: let it listen on this machine only.
"""


class Command(BaseCommand):
    help = "Serve a simulated LMS with the LTIAAS API over it, for development and demos."
    requires_system_checks = []

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        parser = super().create_parser(prog_name, subcommand, **kwargs)
        parser.epilog = _EPILOG
        parser.formatter_class = argparse.RawDescriptionHelpFormatter
        return parser

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
        parser.add_argument("--port", type=_port, default=9800, help="port, 0 for a free one (default: 9800)")
        parser.add_argument(
            "--tool-url",
            type=_url,
            default=DEFAULT_TOOL_URL,
            help=f"launch URL of the tool (default: {DEFAULT_TOOL_URL})",
        )
        parser.add_argument(
            "--api-key", type=_key, default=DEFAULT_API_KEY, help=f"the account's API key (default: {DEFAULT_API_KEY})"
        )

        parser.add_argument(
            "--profile",
            choices=list(PROFILES),
            default=Profile.name,
            help="the LMS to behave like (default: %(default)s, which keeps to the specifications); "
            "a file says it by itself",
        )
        parser.add_argument(
            "--profiles",
            action="store_true",
            help="list the profiles and what each does that a tool would not expect, and stop",
        )
        parser.add_argument(
            "--scenario",
            type=_scenario,
            default=SMALL,
            metavar="NAME or FILE",
            help=f"what is there at the start: {', '.join(SCENARIOS)}, or a file ending in .json that the sandbox "
            "has exported (default: %(default)s)",
        )
        parser.add_argument(
            "--https",
            action="store_true",
            help="serve HTTPS, with a certificate made for this run (LTIAAS's own clients speak nothing else)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["profiles"]:
            self.stdout.write(overview(), ending="")
            return
        scenario = options["scenario"]
        is_file = isinstance(scenario, pathlib.Path)
        sandbox = Sandbox(
            api_key=options["api_key"],
            tool_url=options["tool_url"],
            profile=options["profile"],
            scenario=SMALL if is_file else scenario,
        )
        if is_file:
            _load(sandbox, scenario)
        certificate = certificates.make(options["host"]) if options["https"] else None
        server = SandboxServer(sandbox, options["host"], options["port"], certificate=certificate)
        with _terminable():
            try:
                server.start()
            except OSError as error:
                reason = error.strerror or str(error)
                raise CommandError(f"Cannot listen on {options['host']}:{options['port']}: {reason}.") from None
            try:
                self.stdout.write(f"LTIAAS sandbox at {server.url}/ (stop it with Ctrl-C)")
                if certificate is not None:
                    self.stdout.write(f"Its certificate, for REQUESTS_CA_BUNDLE: {certificate.path}")
                self.stdout.flush()
                server.wait()
            except KeyboardInterrupt:
                pass
            finally:
                server.stop()
                if certificate is not None:
                    certificate.remove()


def _load(sandbox: Sandbox, file: pathlib.Path) -> None:
    """Begin with what a file holds."""
    try:
        sandbox.load(validation.read_json(file.read_bytes(), scenario_file.DEEPEST))
    except OSError as error:
        raise CommandError(f"Cannot read {file}: {error.strerror or error}.") from None
    except errors.SandboxError as error:
        raise CommandError(f"{file} is no scenario. {error.description}") from None


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM end the command as Ctrl-C does, where that can be arranged: signals are the main thread's."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    former = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former)


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: give a number from 0 to 65535")
    return int(text)


def _scenario(text: str) -> str | pathlib.Path:
    if text.endswith(".json"):
        return pathlib.Path(text)
    if text in SCENARIOS:
        return text
    raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(SCENARIOS)}, and no file ending in .json")


def _url(text: str) -> str:
    with contextlib.suppress(ValueError):
        parts = urlsplit(text)
        if parts.scheme in ("http", "https") and parts.hostname and text.isprintable() and " " not in text:
            return text
    raise argparse.ArgumentTypeError(f"{text!r} is no URL: give one such as {DEFAULT_TOOL_URL}")


def _key(text: str) -> str:
    if not text or not text.isascii() or not text.isprintable() or " " in text:
        raise argparse.ArgumentTypeError("an API key has printable ASCII characters, no spaces")
    return text
