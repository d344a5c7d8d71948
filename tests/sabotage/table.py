"""What is broken, one line each, and the test that must notice."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Break:
    """One promise, the line that keeps it, and the test that watches it."""

    must: str
    """Number of the promise, for the table only."""
    title: str
    """The promise in a few words."""
    path: str
    """The file to break, from the root of the project."""
    old: str
    """Text that stands in the file exactly once."""
    new: str
    """What replaces it. The module must still import: it is the promise that breaks, not the program."""
    test: str
    """Node id of the test that must fail. It runs on SQLite, and must pass when nothing is broken."""


BREAKS = [
    Break(
        must="6",
        title="an unknown role gives no rights",
        path="ltiaas_django/vocabulary.py",
        old="return cls._value2member_map_.get(_context_role_name(text))",
        new='return cls._value2member_map_.get(_context_role_name(text), cls("Learner"))',
        test="tests/words/test_vocabulary.py::test_everything_else_gives_no_rights",
    ),
]
