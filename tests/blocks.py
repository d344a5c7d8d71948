"""The fenced blocks of the documentation, each with the name of what a test does with it."""

from __future__ import annotations

import dataclasses
import pathlib
import re
from collections.abc import Iterator

ROOT = pathlib.Path(__file__).parent.parent
BUILT = ROOT / "docs" / "_build"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md"] + sorted(
    page for page in (ROOT / "docs").rglob("*.md") if not page.is_relative_to(BUILT)
)
BLOCK = re.compile(
    r"(?:^<!-- (?P<kind>test|tutorial): (?P<name>[^\n]*?) -->\n\s*)?^```(?P<language>[^\n]*)\n(?P<code>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


@dataclasses.dataclass(frozen=True, slots=True)
class Block:
    """One fenced block."""

    name: str
    """Of its handler, and what that is told besides, such as a path; blank if nothing is said."""
    language: str
    code: str
    line: int
    page: str = ""

    @property
    def handler(self) -> str:
        return self.name.partition(" ")[0]

    @property
    def words(self) -> str:
        return self.name.partition(" ")[2]


def read_blocks(text: str, page: str = "") -> Iterator[Block]:
    """Every block of a page, but for the directives of Sphinx, which its build reads, and the tutorial's steps."""
    for match in BLOCK.finditer(text):
        if match["language"].startswith("{") or match["kind"] == "tutorial":
            continue
        line = text.count("\n", 0, match.start("language")) + 1
        yield Block(match["name"] or "", match["language"], match["code"], line, page)


def all_blocks() -> list[Block]:
    """The blocks of every page."""
    return [block for page in PAGES for block in read_blocks(page.read_text(), page.relative_to(ROOT).as_posix())]
