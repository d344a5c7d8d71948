"""Walk a list that comes in pages, lazily, and never believe a broken one to be complete."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from ltiaas_django import data, exceptions

Item = TypeVar("Item", data.Member, data.Member | str, data.LineItem, data.Result)


def walk(
    fetch_page: Callable[[str | None], tuple[list[Item], str | None]], max_pages: int, *, asked: str = "GET page"
) -> Iterator[list[Item]]:
    """Every page, each fetched when it is asked for; `fetch_page(None)` fetches the first.

    Raises `InvalidResponse` when a `next` link repeats (a cycle of any length), when a page holds the same ids as an
    earlier one (an LMS that ignores its own `next`), or when there are more than `max_pages`. It raises in place of the
    suspect page, so only a caller who sees the walk end has seen all of a list.
    """
    links: set[str] = set()
    pages: set[int] = set()
    next_url: str | None = None
    for number in range(1, max_pages + 1):
        items, next_url = fetch_page(next_url)
        if items:  # short or empty pages in the middle are sound: Moodle filters after it has cut the page
            digest = _digest(items)
            if digest in pages:
                raise exceptions.InvalidResponse(asked, f"page {number} repeats an earlier page", origin="lms")
            pages.add(digest)
        if next_url in links:
            raise exceptions.InvalidResponse(asked, f"page {number} links back to an earlier page", origin="lms")
        yield items
        if next_url is None:
            return
        links.add(next_url)
    raise exceptions.InvalidResponse(asked, f"there are more than {max_pages} pages", origin="lms")


def _digest(items: Sequence[data.Member | str | data.LineItem | data.Result]) -> int:
    """One number for the ids of a page, in whatever order; two pages of a walk colliding by chance is out of reach."""
    return hash(frozenset(map(_id, items)))


def _id(item: data.Member | str | data.LineItem | data.Result) -> str:
    if isinstance(item, str):
        return item
    return item.lti_id if isinstance(item, data.LineItem) else item.user_id
