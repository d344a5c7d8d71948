"""What commands print: plain tables, and names that LMSs give themselves."""

from __future__ import annotations

import io
import shutil

from rich import box, console, table


def printable(what: object) -> str:
    """As text that steers no terminal: an LMS names itself, and a name may hold control characters.

    >>> printable("Uni\\x1b[31m")
    'Uni�[31m'
    """
    return "".join(character if character.isprintable() else "�" for character in str(what))


def new_table(
    title: str,
    *columns: str,
    numbers: frozenset[str] = frozenset(),
    words: frozenset[str] = frozenset(),
    on_terminal: bool,
) -> table.Table:
    """An empty table whose first column bears its title.

    Columns in `numbers` are set to the right; neither they nor those in `words` are broken into lines.
    """
    shown = table.Table(box=box.SIMPLE_HEAD if on_terminal else None, pad_edge=False)
    shown.add_column(title)
    for column in columns:
        justify: console.JustifyMethod = "right" if column in numbers else "left"
        shown.add_column(column, justify=justify, no_wrap=column in numbers | words)
    return shown


def render(shown: table.Table, *, on_terminal: bool) -> str:
    """Without colours; in a pipe as wide as it needs to be, so that nothing is cut."""
    width = shutil.get_terminal_size().columns if on_terminal else 10_000
    paper = io.StringIO()
    console.Console(file=paper, width=width, color_system=None, force_terminal=False).print(shown)
    return "\n".join(line.rstrip() for line in paper.getvalue().splitlines())
