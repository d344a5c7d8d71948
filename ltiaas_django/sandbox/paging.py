"""Pages of a list. A page URL is one of the LMS's own, and only URLs that were handed out are good."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar
from urllib.parse import urlencode

from . import errors

T = TypeVar("T")


@dataclass(frozen=True)
class Position:
    """Where a page begins in which list: `url` is the list's own URL in the LMS, `filters` what narrows it."""

    url: str
    limit: int
    start: int = 0
    filters: tuple[tuple[str, str], ...] = ()

    @property
    def page_url(self) -> str:
        """The LMS's URL of this page. Its filters are percent-encoded within, so encoding mistakes show."""
        query = urlencode([*self.filters, ("limit", self.limit), ("from", self.start)])
        return f"{self.url}{'&' if '?' in self.url else '?'}{query}"


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

    def hand_out(self, position: Position) -> str:
        """The URL of a page, from now on good."""
        with self._lock:
            return self._positions.setdefault(position.page_url, position).page_url


@dataclass(frozen=True)
class Page(Generic[T]):
    """One page: what is on it and the links to others, by name."""

    entries: Sequence[T]
    links: Mapping[str, str]


def cut(everything: Sequence[T], at: Position, pages: Pages) -> Page[T]:
    """The page of the list at a position; a list that fits on one page has no links."""
    starts = {
        "next": at.start + at.limit if at.start + at.limit < len(everything) else None,
        "prev": max(at.start - at.limit, 0) if at.start > 0 else None,
    }
    if any(start is not None for start in starts.values()):
        last = (len(everything) - 1) // at.limit * at.limit if everything else 0
        starts |= {"first": 0, "last": last}
    links = {name: pages.hand_out(replace(at, start=start)) for name, start in starts.items() if start is not None}
    return Page(everything[at.start : at.start + at.limit], links)
