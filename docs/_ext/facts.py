"""What the code itself says of its settings, commands, checks, signals, errors, tasks, models and URLs.

Descriptions are the docstrings that stand in the code; where one is missing, the text is blank, and a test fails.
"""

from __future__ import annotations

import argparse
import ast
import dataclasses
import inspect
import itertools
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from types import ModuleType
from typing import Any
from unittest import mock

import celery
from django.core import management
from django.core.management.base import DjangoHelpFormatter
from django.db import models as django_models
from django.dispatch import Signal

from docs._ext import mistakes
from ltiaas_django import checks, conf, exceptions, models, signals, tasks, urls
from ltiaas_django.sandbox import control
from ltiaas_django.sandbox.profiles import PROFILES, Quirk

PACKAGE = "ltiaas_django"
_HELP_WIDTH = 84  # columns that fit on a page


@dataclasses.dataclass(frozen=True, slots=True)
class Setting:
    """One entry of the LTIAAS dict."""

    name: str
    type: str
    default: str
    """As it would be typed; blank for one that is required."""
    must: str
    """What a value must be, as the system check says it."""
    example: str
    text: str


def settings() -> list[Setting]:
    """Every setting, in the order of the code."""
    texts = attribute_texts(conf.Settings)
    found = []
    for node in _body(conf.Settings):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            name, rule = node.target.id, checks.RULES[node.target.id]
            default = "" if node.value is None else _typed(getattr(conf.Settings, name), node.value)
            kind = ast.unparse(node.annotation)
            found.append(Setting(name, kind, default, rule.must, rule.example, texts.get(name, "")))
    return found


def _typed(value: object, source: ast.expr) -> str:
    return repr(dict(value)) if isinstance(value, Mapping) else ast.unparse(source)


def attribute_texts(owner: type[Any] | ModuleType) -> dict[str, str]:
    """The docstrings that stand after the assignments of a class or a module, by name."""
    found = {}
    body = _body(owner)
    for node, after in itertools.pairwise(body):
        targets = [node.target] if isinstance(node, ast.AnnAssign) else getattr(node, "targets", [])
        match after:
            case ast.Expr(value=ast.Constant(value=str(text))):
                found.update({target.id: inspect.cleandoc(text) for target in targets if isinstance(target, ast.Name)})
    return found


def _body(owner: type[Any] | ModuleType) -> list[ast.stmt]:
    body = ast.parse(inspect.getsource(owner)).body
    return body[0].body if inspect.isclass(owner) and isinstance(body[0], ast.ClassDef) else body


@dataclasses.dataclass(frozen=True, slots=True)
class Command:
    """One management command."""

    name: str
    text: str
    """What it is for: a sentence."""
    help: str
    """What `--help` prints of its own arguments."""


def commands() -> list[Command]:
    """Every command of the package, by name."""
    found = []
    for name, app in sorted(management.get_commands().items()):
        if str(app).startswith(PACKAGE):
            command = management.load_command_class(app, name)
            found.append(Command(name, command.help, _help(command.create_parser("manage.py", name))))
    return found


def _help(parser: argparse.ArgumentParser) -> str:
    for action in parser._actions:
        if DjangoHelpFormatter.show_last & set(action.option_strings):
            action.help = argparse.SUPPRESS  # what every command of Django's takes
    with mock.patch.dict(os.environ, {"COLUMNS": str(_HELP_WIDTH + 2), "NO_COLOR": "1"}):
        return parser.format_help()


@dataclasses.dataclass(frozen=True, slots=True)
class Check:
    """One thing that the system checks find."""

    id: str
    title: str
    says: str
    """A message of it, as it is printed."""
    hint: str


def checks_found() -> list[Check]:
    """Every id of the system checks, errors first, with what is said of an example."""
    titles = check_titles()
    found = []
    for code in check_codes():
        said = mistakes.provoke(code)
        says, hint = (str(said.msg), str(said.hint)) if said else ("", "")
        found.append(Check(f"ltiaas.{code}", titles.get(code, ""), says, hint))
    return found


def check_titles() -> dict[str, str]:
    """What the table at the top of the checks calls them: two columns, an id and a few words in each."""
    entries = re.findall(r"\b([EW]\d{3})  (.+?)(?= {3,}|$)", inspect.getdoc(checks) or "", re.MULTILINE)
    return {code: title.strip() for code, title in entries}


def check_codes() -> list[str]:
    """The ids that stand in the code of the checks, without the package's name."""
    _docstring, *code = ast.parse(inspect.getsource(checks)).body
    constants = (node.value for part in code for node in ast.walk(part) if isinstance(node, ast.Constant))
    return sorted({found for one in constants for found in re.findall(r"\b[EW]\d{3}\b", str(one))})


@dataclasses.dataclass(frozen=True, slots=True)
class Named:
    """Anything that has a name and a text."""

    name: str
    text: str


def signals_sent() -> list[Named]:
    """Every signal, with its arguments in the text."""
    texts = attribute_texts(signals)
    return [Named(name, texts.get(name, "")) for name, value in vars(signals).items() if isinstance(value, Signal)]


@dataclasses.dataclass(frozen=True, slots=True)
class Error:
    """One class of what the package raises."""

    name: str
    depth: int
    """How far below the root of the tree."""
    text: str
    kind: type[exceptions.LtiError]


def errors() -> list[Error]:
    """The tree of errors, each class before those below it."""
    return list(_below(exceptions.LtiError, 0))


def _below(kind: type[exceptions.LtiError], depth: int) -> Iterator[Error]:
    yield Error(kind.__name__, depth, inspect.cleandoc(kind.__doc__ or ""), kind)
    for below in kind.__subclasses__():
        if below.__module__ == exceptions.__name__:
            yield from _below(below, depth + 1)


@dataclasses.dataclass(frozen=True, slots=True)
class Task:
    """One Celery task."""

    name: str
    arguments: str
    text: str


def celery_tasks() -> list[Task]:
    """Every task, in the order of the code."""
    found = []
    for value in vars(tasks).values():
        if isinstance(value, celery.Task) and value.name.startswith(PACKAGE):
            parameters = inspect.signature(value.run).parameters.values()
            found.append(Task(value.name, ", ".join(map(str, parameters)), inspect.getdoc(value.run) or ""))
    return found


@dataclasses.dataclass(frozen=True, slots=True)
class Field:
    """One column of a table."""

    name: str
    holds: str
    """A kind of value, the model that it points to, or the values that it may have."""
    text: str
    """What its docstring or its help in the admin says; often the name says it all."""


@dataclasses.dataclass(frozen=True, slots=True)
class Model:
    """One table."""

    name: str
    path: str
    """Where its class is defined."""
    text: str
    fields: list[Field]


_HOLDS = {
    "BigAutoField": "number",
    "BooleanField": "yes or no",
    "CharField": "text",
    "DateTimeField": "time",
    "DecimalField": "decimal number",
    "FloatField": "number",
    "JSONField": "JSON",
    "PositiveIntegerField": "number",
    "PositiveSmallIntegerField": "number",
    "TextField": "text",
    "UUIDField": "UUID",
}


def tables(names: Iterable[str]) -> list[Model]:
    """These models, with all their fields."""
    found = []
    for name in names:
        model: type[django_models.Model] = getattr(models, name)
        texts = attribute_texts(model)
        fields = [Field(one.name, _holds(one), texts.get(one.name, "") or str(one.help_text)) for one in _fields(model)]
        found.append(Model(name, f"{model.__module__}.{name}", inspect.getdoc(model) or "", fields))
    return found


def _fields(model: type[django_models.Model]) -> list[django_models.Field[Any, Any]]:
    return [field for field in model._meta.fields if not field.auto_created]


def _holds(field: django_models.Field[Any, Any]) -> str:
    target: Any = field.related_model
    if target is not None:
        return "→ Django's user" if field.name == "user" else f"→ `{target.__name__}`"
    if field.choices:
        return ", ".join(f"`{value}`" for value, _label in field.flatchoices if value)
    return _HOLDS[field.get_internal_type()]


@dataclasses.dataclass(frozen=True, slots=True)
class Address:
    """One address below the include of the package's URLs."""

    path: str
    name: str
    text: str


def addresses() -> list[Address]:
    """Every address of the package."""
    found = []
    for pattern in urls.urlpatterns:
        view = getattr(pattern.callback, "view_class", pattern.callback)
        text = (inspect.getdoc(view) or "").partition("\n\n")[0].replace("\n", " ")
        found.append(Address(f"/lti/{pattern.pattern}", f"{urls.app_name}:{pattern.name}", text))
    return found


@dataclasses.dataclass(frozen=True, slots=True)
class Lms:
    """An LMS that the sandbox can behave like."""

    name: str
    title: str
    text: str
    like: str
    """The name of the one that it differs from; blank for the specification."""
    quirks: list[Quirk]
    """What it does that the one it is like does not."""


def lmss() -> list[Lms]:
    """Every profile of the sandbox."""
    found = []
    for profile in PROFILES.values():
        parent: Any = profile.__bases__[0]
        known = getattr(parent, "quirks", ())
        like = getattr(parent, "name", "") if known else ""
        own = [quirk for quirk in profile.quirks if quirk not in known]
        found.append(Lms(profile.name, profile.title, inspect.getdoc(profile) or "", like, own))
    return found


def control_api() -> str:
    """What scripts may ask of the sandbox."""
    return inspect.getdoc(control) or ""
