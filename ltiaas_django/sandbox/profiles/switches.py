"""The switches of a profile, such as `page_size` and `anonymous`: what there is to set, and to what."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from .. import validation
from ..validation import Check, Field
from .profile import Profile


def names(kind: type[Profile]) -> list[str]:
    """The names of a kind's switches: its annotated attributes that are not the class's own."""
    annotated = {
        name: text for base in reversed(kind.__mro__) for name, text in vars(base).get("__annotations__", {}).items()
    }
    return [name for name, text in annotated.items() if "ClassVar" not in str(text)]


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
