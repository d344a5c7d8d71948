"""The reference is complete: whatever the code has of a kind has an entry, and the entry says something."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator

import pytest
from django.core import management

from docs._ext import facts, mistakes, reference
from ltiaas_django import checks, conf, exceptions, models, signals
from ltiaas_django.sandbox.profiles import PROFILES
from tests.blocks import ROOT

PAGES = ROOT / "docs" / "reference"
TEXTS = {page.stem: page.read_text() for page in PAGES.glob("*.md")}
WRITTEN = {name: reference.write(name) for name in reference.WRITERS if name != "models"}


def undescribed(entries: dict[str, str]) -> list[str]:
    """Names whose text is no sentence."""
    return [name for name, text in entries.items() if len(text.split()) < 3]


def test_every_part_stands_on_a_page() -> None:
    used = [mark["name"] for text in TEXTS.values() for mark in reference.MARK.finditer(text)]
    assert sorted(used) == sorted(reference.WRITERS)


def test_every_page_is_in_the_index() -> None:
    assert set(TEXTS) - {"index"} == set(re.findall(r"^(\w+)$", TEXTS["index"], re.MULTILINE))


def test_every_setting_is_described_with_its_type_and_default() -> None:
    found = {one.name: one for one in facts.settings()}
    assert set(found) == set(conf.Settings.__annotations__)
    assert undescribed({name: one.text for name, one in found.items()}) == []
    assert [name for name, one in found.items() if not one.type or not one.default] == list(conf.REQUIRED)
    assert all(f"\n## `{name}`\n" in WRITTEN["settings"] for name in found)


def test_defaults_are_shown_as_they_would_be_typed() -> None:
    shown = {one.name: one.default for one in facts.settings()}
    given = {name: eval(default) for name, default in shown.items() if default}  # noqa: S307  of our own code
    assert given == {name: getattr(conf.Settings, name) for name in given}


def test_every_command_is_described_and_so_is_each_of_its_options() -> None:
    found = {one.name: one for one in facts.commands()}
    stems = {path.stem for path in (ROOT / "ltiaas_django").rglob("management/commands/ltiaas_*.py")}
    assert set(found) == stems
    assert undescribed({name: one.text for name, one in found.items()}) == []
    assert [name for name in found if list(mute_options(parser_of(name)))] == []


def parser_of(name: str) -> argparse.ArgumentParser:
    return management.load_command_class(management.get_commands()[name], name).create_parser("manage.py", name)


def mute_options(parser: argparse.ArgumentParser) -> Iterator[str]:
    """Arguments, also of a command's own commands, that `--help` does not explain."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield from mute_options(below)
        elif not action.help:
            yield action.dest


def test_every_check_has_a_title_and_shows_what_it_says() -> None:
    found = {one.id: one for one in facts.checks_found()}
    assert [code for code, one in found.items() if not one.title] == []
    assert [code for code, one in found.items() if not one.says or not one.hint] == []
    assert set(mistakes.MISTAKES) == set(facts.check_titles()) == set(facts.check_codes())


def test_a_new_check_would_be_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts, "check_codes", lambda: ["E001", "E099"])
    assert [one.says != "" for one in facts.checks_found()] == [True, False]


def test_every_check_function_is_asked_for_its_messages() -> None:
    registered = {name for name, value in vars(checks).items() if name.startswith("check_") and hasattr(value, "tags")}
    assert {check.__name__ for check in mistakes.CHECKS} == registered


def test_every_signal_that_is_sent_is_described_with_its_arguments() -> None:
    found = {one.name: one.text for one in facts.signals_sent()}
    operations = "".join(path.read_text() for path in (ROOT / "ltiaas_django" / "operations").rglob("*.py"))
    assert set(found) == {name for name in vars(signals) if f"signals.{name}" in operations}
    assert undescribed(found) == []
    assert "`error_code`" in found["score_failed"]


def test_every_error_is_in_the_tree() -> None:
    found = {one.name: one.text for one in facts.errors()}
    raised = {
        name
        for name, value in vars(exceptions).items()
        if isinstance(value, type) and value.__module__ == exceptions.__name__
    }
    assert set(found) == raised
    assert undescribed(found) == []
    assert "`person_not_gradable`" in WRITTEN["errors"]
    assert "ConfigurationError (also ImproperlyConfigured)" in WRITTEN["errors"]


def test_every_task_is_described() -> None:
    found = {one.name: one.text for one in facts.celery_tasks()}
    source = (ROOT / "ltiaas_django" / "tasks.py").read_text()
    assert len(found) == source.count("@shared_task")
    assert undescribed(found) == []


def test_every_model_is_on_the_page_but_for_the_heartbeat() -> None:
    [mark] = reference.MARK.finditer(TEXTS["models"])
    shown = set(mark["words"].split())
    assert shown == set(models.__all__) - {"AbsentLaunch", "Heartbeat"}
    assert undescribed({one.name: one.text for one in facts.tables(shown)}) == []


def test_every_address_is_described() -> None:
    found = {one.name: one.text for one in facts.addresses()}
    assert "ltiaas:launch" in found
    assert undescribed(found) == []


def test_every_lms_of_the_sandbox_says_what_it_does_and_where_that_is_known_from() -> None:
    found = {one.name: one for one in facts.lmss()}
    assert set(found) == set(PROFILES)
    assert [name for name, one in found.items() if name != "plain" and not one.quirks] == []
    assert [quirk for one in found.values() for quirk in one.quirks if not quirk.text or not quirk.source] == []
