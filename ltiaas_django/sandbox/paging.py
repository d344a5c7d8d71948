"""Pages of a list. A page URL is one of the LMS's own, and only URLs that were handed out are good."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

from . import errors

T = TypeVar("T")


@dataclass(frozen=True)
class Position:
    """Where a page begins in which list: `url` is the list's own URL in the LMS, `filters` what narrows it."""

    url: str
    limit: int
    start: int = 0
    filters: tuple[tuple[str, str], ...] = ()

    def moved(self, start: int) -> Position:
        """The page of the same list that begins elsewhere."""
        return replace(self, start=start)


@dataclass
class Pages:
    """The page URLs that were handed out."""

    _positions: dict[str, Position] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def find(self, page_url: str, list_url: str) -> Position:
        """The position behind a page URL of this list; raises BadRequest."""
        with self._lock:
            position = self._positions.get(page_url)
        if position is None or position.url != list_url:
            raise errors.BadRequest(
                "`url` must be a page URL from an earlier answer of this endpoint, percent-encoded exactly once.",
                code="INVALID_QUERY_PARAMETER",
            )
        return position

    def knows(self, page_url: str) -> bool:
        """Whether this URL was handed out."""
        return page_url in self._positions

    def hand_out(self, page_url: str, position: Position) -> str:
        """The URL, from now on good."""
        with self._lock:
            self._positions.setdefault(page_url, position)
        return page_url


@dataclass(frozen=True)
class Page(Generic[T]):
    """One page: what is on it and the links to others, by name."""

    entries: Sequence[T]
    links: dict[str, str]


def cut(everything: Sequence[T], at: Position, hand_out: Callable[[int], str], *, goes_on: bool = False) -> Page[T]:
    """The page of the list at a position; `hand_out` makes the URL of the page that begins at a number.

    A list that fits on one page has no links. With `goes_on` there is always one more page.
    """
    starts: dict[str, int | None] = {
        "next": at.start + at.limit if goes_on or at.start + at.limit < len(everything) else None,
        "prev": max(at.start - at.limit, 0) if at.start > 0 else None,
    }
    if any(start is not None for start in starts.values()):
        last = (len(everything) - 1) // at.limit * at.limit if everything else 0
        starts |= {"first": 0, "last": last}
    links = {name: hand_out(start) for name, start in starts.items() if start is not None}
    return Page(everything[at.start : at.start + at.limit], links)


def filters_of(query: Mapping[str, str], names: set[str]) -> tuple[tuple[str, str], ...]:
    """What narrows a list, of a query's parameters."""
    return tuple((name, value) for name, value in query.items() if name in names)
