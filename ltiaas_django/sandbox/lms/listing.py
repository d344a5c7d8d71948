"""Long lists: what is searched for, cut into pages, with links that keep everything else of the URL."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from django.http import HttpRequest, QueryDict

T = TypeVar("T")

_SAID_ONCE = ("page", "done", "who", "count")
"""What the URL says of this page only: a link to another page of the list leaves it out."""


@dataclass(frozen=True)
class Listing(Generic[T]):
    """One page of a list."""

    entries: Sequence[T]
    total: int
    """How many there are on all pages."""
    number: int
    pages: int
    words: str
    """What was searched for, as typed."""
    _query: QueryDict

    @property
    def previous(self) -> str:
        """The query of the page before; blank on the first."""
        return self._link(self.number - 1) if self.number > 1 else ""

    @property
    def next(self) -> str:
        """The query of the page after; blank on the last."""
        return self._link(self.number + 1) if self.number < self.pages else ""

    @property
    def first(self) -> str:
        """The query of the first page."""
        return self._link(1)

    @property
    def last(self) -> str:
        """The query of the last page."""
        return self._link(self.pages)

    def _link(self, number: int) -> str:
        query = self._query.copy()
        query["page"] = str(number)
        return f"?{query.urlencode()}"


def listing(request: HttpRequest, everything: Iterable[T], size: int, text_of: Callable[[T], str]) -> Listing[T]:
    """The page of the list that the URL asks for: `q` holds words that must all be found, `page` a number.

    `text_of` says where the words are looked for. A page that there is not becomes the nearest one.
    """
    query = request.GET.copy()
    for name in _SAID_ONCE:
        query.pop(name, None)
    words = query.get("q", "").strip()
    wanted = _searchable(words).split()
    found = list(everything)
    if wanted:
        found = [one for one in found if _holds(_searchable(text_of(one)), wanted)]
    pages = max(1, -(-len(found) // size))
    number = min(max(1, _number(request.GET.get("page", ""))), pages)
    return Listing(found[(number - 1) * size : number * size], len(found), number, pages, words, query)


def _holds(text: str, words: Sequence[str]) -> bool:
    return all(word in text for word in words)


def _searchable(text: str) -> str:
    """Without case and accents: who looks for Zoe finds Zoë."""
    if not text.isascii():
        text = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return text.casefold()


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 9 else 1
