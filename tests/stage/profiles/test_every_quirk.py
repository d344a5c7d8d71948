"""Every quirk that a profile claims has a test, and names where it is known from."""

from __future__ import annotations

import importlib
import pathlib

import pytest

from ltiaas_django.sandbox.profiles import PROFILES

from . import lms

CLAIMED = [(name, quirk) for name, profile in PROFILES.items() for quirk in profile.quirks]


@pytest.fixture(scope="module")
def shown() -> set[tuple[str, str]]:
    for path in pathlib.Path(__file__).parent.glob("test_*.py"):
        importlib.import_module(f"{__package__}.{path.stem}")
    return lms.SHOWN


def test_every_quirk_has_a_test(shown: set[tuple[str, str]]) -> None:
    assert {(name, quirk.id) for name, quirk in CLAIMED} == shown


def test_every_quirk_is_told_with_its_source() -> None:
    assert [(name, quirk.id) for name, quirk in CLAIMED if not quirk.text.endswith(".") or not quirk.source] == []
    assert len({(name, quirk.id) for name, quirk in CLAIMED}) == len(CLAIMED)
