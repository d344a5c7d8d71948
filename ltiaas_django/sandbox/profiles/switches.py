"""The switches of a profile, such as `page_size` and `anonymous`: what there is to set, and to what."""

from __future__ import annotations

import ast
import enum
import functools
import inspect
import itertools
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, cast

from .. import validation
from ..validation import Check, Field
from .profile import Profile


def names(kind: type[Profile]) -> list[str]:
    """The names of a kind's switches: its annotated attributes that are not the class's own."""
    annotated = {
        name: text for base in reversed(kind.__mro__) for name, text in vars(base).get("__annotations__", {}).items()
    }
    return [name for name, text in annotated.items() if "ClassVar" not in str(text)]


def wire(name: str) -> str:
    """The name as JSON has it."""
    first, *rest = name.split("_")
    return first + "".join(map(str.title, rest))


def values(profile: Profile) -> dict[str, Any]:
    """How all switches stand, by their names in JSON."""
    return {wire(name): getattr(profile, name) for name in names(type(profile))}


def turn(profile: Profile, wanted: Any) -> None:
    """Set some switches, by their names in JSON; raises BadRequest, and then sets none."""
    by_wire = {wire(name): name for name in names(type(profile))}
    known = fields(type(profile))
    checked = validation.read_object(wanted, {name: known[python] for name, python in by_wire.items()})
    for name, value in checked.items():
        setattr(profile, by_wire[name], value)


def says(kind: type[Profile], name: str) -> str:
    """What a switch is for: the text below it in the profile's source; blank where the source is not at hand."""
    return next((texts[name] for base in kind.__mro__[:-1] if name in (texts := _texts(base))), "")


@functools.cache
def _texts(kind: type) -> Mapping[str, str]:
    """The texts below a class's annotated attributes."""
    try:
        (definition,) = ast.parse(inspect.getsource(kind)).body
    except OSError:  # an archive without sources
        return {}
    return {
        ast.unparse(line.target): str(ast.literal_eval(below.value))
        for line, below in itertools.pairwise(cast(ast.ClassDef, definition).body)
        if isinstance(line, ast.AnnAssign) and isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant)
    }


def changed(profile: Profile) -> dict[str, Any]:
    """The switches that are not as the profile's kind has them, by name."""
    kind = type(profile)
    return {name: getattr(profile, name) for name in names(kind) if getattr(profile, name) != getattr(kind, name)}


def fields(kind: type[Profile]) -> Mapping[str, Field]:
    """What each switch takes, by name."""
    return {name: Field(_check(getattr(kind, name))) for name in names(kind)}


def _check(usual: Any) -> Check:
    if isinstance(usual, bool):
        return validation.boolean
    if isinstance(usual, enum.StrEnum):
        return lambda value: type(usual)(validation.one_of([*map(str, type(usual))])(value))
    if isinstance(usual, Decimal):
        return validation.above_zero
    return lambda value: None if value is None else validation.positive_integer(value)  # None is for no limit
