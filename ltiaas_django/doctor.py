"""`python -m ltiaas_django.doctor`: `ltiaas_doctor` for a site whose settings cannot even be loaded.

There, manage.py ends with a stack trace before any command begins. This says in one line what is wrong and where, and
goes on as `manage.py ltiaas_doctor` where nothing is; it takes the same arguments.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import pathlib
import re
import sys
import sysconfig
import traceback
from collections.abc import Sequence

import django
from django.apps import apps
from django.core.exceptions import AppRegistryNotReady, ImproperlyConfigured
from django.core.management import ManagementUtility

from ltiaas_django import findings
from ltiaas_django.findings import Finding
from ltiaas_django.management import reporting
from ltiaas_django.redaction import redact

VARIABLE = "DJANGO_SETTINGS_MODULE"
_IN_MANAGE_PY = re.compile(rf"""{VARIABLE}["'],\s*["']([\w.]+)["']""")
# Errors whose text names a thing of the code or of the environment; another's may quote a value, such as a password.
_NAMING = (ImproperlyConfigured, ImportError, SyntaxError, NameError, AttributeError, AppRegistryNotReady)
_STANDARD_LIBRARY = sysconfig.get_path("stdlib")
_PROBLEM = 1


def main(arguments: Sequence[str]) -> int:
    """Load the settings, and hand over to the command; or say why they cannot be loaded. Returns an exit status."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--settings")
    parser.add_argument("--json", action="store_true")
    options, _rest = parser.parse_known_args(arguments)
    named = options.settings or os.environ.get(VARIABLE) or _named_in_manage_py()
    sys.path.insert(0, str(pathlib.Path.cwd()))
    finding = _load(named)
    if finding is None:
        ManagementUtility(["manage.py", "ltiaas_doctor", *arguments]).execute()
        return 0
    said = reporting.as_json([finding]) if options.json else "\n".join(reporting.lines(finding, on_terminal=False))
    sys.stdout.write(reporting.encodable(said, sys.stdout.encoding) + "\n")
    return _PROBLEM


def _named_in_manage_py() -> str:
    try:
        found = _IN_MANAGE_PY.search(pathlib.Path("manage.py").read_text())
    except (OSError, UnicodeDecodeError):
        return ""
    return found[1] if found else ""


def _load(named: str) -> Finding | None:
    """What is wrong with the settings; None if they can be loaded, and name us."""
    if not named:
        text = "No settings are named."
        return _broken(text, "Type python -m ltiaas_django.doctor --settings mysite.settings, beside manage.py.")
    os.environ[VARIABLE] = named
    try:
        django.setup()
    except (Exception, SystemExit) as error:
        return _broken(f"The settings {named} cannot be loaded: {_said(error)}.", _hint(error))
    if not apps.is_installed("ltiaas_django"):
        text = f"The settings {named} do not have this package among their apps."
        return _broken(text, 'Write INSTALLED_APPS = [..., "ltiaas_django"].')
    return None


def _broken(text: str, hint: str) -> Finding:
    return dataclasses.replace(findings.problem(text, hint), name="settings")


def _said(error: BaseException) -> str:
    """What was raised, and where in the site's own files."""
    text = type(error).__name__
    if isinstance(error, SyntaxError):  # and not str(error): that may hold the line, with the value in it
        return f"{text}: {error.msg} ({error.filename}, line {error.lineno})"
    if isinstance(error, KeyError) and error.args and _is_variable(error.args[0]):
        text += f": {error.args[0]}"  # os.environ["LTIAAS_API_KEY"]
    elif isinstance(error, _NAMING):
        lines = redact(str(error)).strip().splitlines()
        text += f": {lines[0][:300].rstrip('.')}" if lines else ""
    return text + _place(error)


def _is_variable(name: object) -> bool:
    return isinstance(name, str) and re.fullmatch(r"[A-Z][A-Z0-9_]*", name) is not None


def _place(error: BaseException) -> str:
    """The last line of the site's own code that the error came through."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "site-packages" not in frame.filename and not _is_ours(frame.filename)]
    own = [frame for frame in own if not frame.filename.startswith((_STANDARD_LIBRARY, "<"))]
    return f" ({own[-1].filename}, line {own[-1].lineno})" if own else ""


def _is_ours(filename: str) -> bool:
    return pathlib.Path(__file__).parent in pathlib.Path(filename).parents


def _hint(error: BaseException) -> str:
    if isinstance(error, KeyError):
        return f"Type export {error.args[0]}=… where this runs, if it is a variable of the environment."
    if isinstance(error, ModuleNotFoundError) and error.name:
        package = error.name.partition(".")[0]
        return f"Type python -m pip install {package} (is the right environment active?), or mend the name."
    return "Mend that line, or set what it names in the environment."


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
