"""Findings as people and scripts read them. Needs neither models nor settings: those may be what is broken."""

from __future__ import annotations

import dataclasses
import json
import shutil
import textwrap
from collections.abc import Sequence
from typing import Any

from ltiaas_django.findings import Finding, worst
from ltiaas_django.management.printing import printable

MARKS = {"ok": "✓", "advice": "!", "problem": "✗", "skipped": "–"}
_INDENT = " " * 24


def lines(finding: Finding, *, on_terminal: bool) -> list[str]:
    """One finding: mark and word, what was looked at, the sentence; below it what to type. No colour says anything."""
    level = f"{MARKS[finding.level]} {finding.level}"
    code = f" [{finding.id}]" if finding.id else ""
    said = _wrap(f"{finding.text}{code}", on_terminal)
    hint = _wrap(f"→ {finding.hint}", on_terminal) if finding.hint else []
    return [f"{level:<11}{finding.name:<13}{said[0]}", *(_INDENT + line for line in [*said[1:], *hint])]


def _wrap(text: str, on_terminal: bool) -> list[str]:
    """For a terminal's width; in a pipe a line is a line. Words are never cut: people copy them."""
    width = max(40, shutil.get_terminal_size().columns - len(_INDENT)) if on_terminal else 100_000
    return textwrap.wrap(printable(text), width, break_long_words=False, break_on_hyphens=False) or [""]


def closing(findings: Sequence[Finding]) -> str:
    """The last line: how many of each."""
    problems, advice = (sum(finding.level == level for finding in findings) for level in ("problem", "advice"))
    if not problems and not advice:
        return "All is well."
    counted = [f"{problems} {'problem' if problems == 1 else 'problems'}" if problems else "No problem"]
    if advice:
        counted.append(f"{advice} {'piece' if advice == 1 else 'pieces'} of advice")
    return f"{', '.join(counted)}."


def as_json(findings: Sequence[Finding]) -> str:
    """One object; "status" is the word for all of them."""
    said: dict[str, Any] = {"status": worst(findings), "findings": [dataclasses.asdict(one) for one in findings]}
    return json.dumps(said, indent=2)


def encodable(text: str, encoding: str | None) -> str:
    """The text as this stream can print it: a terminal without ✓ gets a question mark, and no error."""
    encoding = encoding or "utf-8"
    return text.encode(encoding, "replace").decode(encoding)
