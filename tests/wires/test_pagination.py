"""The guards of a walk through pages: it ends by reaching the end, or with an error, and never in between."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ltiaas_django import data, exceptions
from ltiaas_django.connections.pagination import walk

Page = tuple[list[data.Member], str | None]


def members(*user_ids: str) -> list[data.Member]:
    return [data.Member(user_id=user_id) for user_id in user_ids]


def fetcher(pages: dict[str | None, Page], asked: list[str | None] | None = None) -> Callable[[str | None], Page]:
    def fetch_page(url: str | None) -> Page:
        if asked is not None:
            asked.append(url)
        return pages[url]

    return fetch_page


def chain(*pages: list[data.Member], end: str | None = None) -> dict[str | None, Page]:
    """Pages that link to each other in turn."""
    links = [None, *(f"page-{number}" for number in range(2, len(pages) + 1)), end]
    return {links[number]: (page, links[number + 1]) for number, page in enumerate(pages)}


def test_pages_are_fetched_when_they_are_asked_for() -> None:
    asked: list[str | None] = []
    walking = walk(fetcher(chain(members("1"), members("2"), members("3")), asked), 10)
    assert asked == []
    next(walking)
    assert asked == [None]
    assert [page[0].user_id for page in walking] == ["2", "3"]
    assert asked == [None, "page-2", "page-3"]


@pytest.mark.parametrize("back_to", [1, 2, 3, 4])
def test_a_cycle_of_any_length_ends_in_an_error(back_to: int) -> None:
    fresh = iter(range(1000))

    def fetch_page(url: str | None) -> Page:
        number = int(url or 1)
        return members(f"new-{next(fresh)}"), str(number + 1 if number < 4 else back_to)

    seen: list[object] = []
    with pytest.raises(exceptions.InvalidResponse, match="links back"):
        seen.extend(walk(fetch_page, 1000, asked="GET roster"))
    assert len(seen) < 10


@pytest.mark.parametrize("again", [members("1", "2"), members("2", "1")])
def test_a_page_that_comes_again_ends_in_an_error(again: list[data.Member]) -> None:
    """An LMS that ignores its own page links gives the first page for ever, each time with a new link."""
    walking = walk(fetcher(chain(members("1", "2"), members("3"), again, members("4"))), 10)
    assert len(next(walking)) == 2
    next(walking)
    with pytest.raises(exceptions.InvalidResponse, match="page 3 repeats"):
        next(walking)


def test_line_items_and_results_are_told_apart_by_their_ids() -> None:
    items = [data.LineItem(lti_id=str(number), label="same", score_maximum=Decimal(1)) for number in (1, 2)]
    assert len(list(walk(lambda url: ([items[url is not None]], None if url else "2"), 10))) == 2
    with pytest.raises(exceptions.InvalidResponse):
        list(walk(lambda url: ([items[0]], None if url else "2"), 10))


def test_empty_pages_in_between_are_no_harm() -> None:
    assert [len(page) for page in walk(fetcher(chain([], [], members("1"), [])), 10)] == [0, 0, 1, 0]


def test_people_who_appear_on_two_pages_are_no_harm() -> None:
    assert len(list(walk(fetcher(chain(members("1", "2"), members("2", "3"))), 10))) == 2


def test_too_many_pages_end_in_an_error_and_no_page_more_is_fetched() -> None:
    asked: list[str | None] = []
    pages = chain(*(members(str(number)) for number in range(4)))
    assert len(list(walk(fetcher(pages), 4))) == 4
    with pytest.raises(exceptions.InvalidResponse, match="more than 3 pages"):
        list(walk(fetcher(pages, asked), 3))
    assert len(asked) == 3


def test_an_error_on_a_later_page_reaches_the_caller() -> None:
    def fetch_page(url: str | None) -> Page:
        if url:
            raise exceptions.ServerError("GET roster", status_code=500)
        return members("1"), "page-2"

    walking = walk(fetch_page, 10)
    next(walking)
    with pytest.raises(exceptions.ServerError):
        next(walking)


@given(st.lists(st.lists(st.sampled_from("abcd"), max_size=3), max_size=8), st.one_of(st.none(), st.integers(0, 8)))
def test_a_walk_that_ends_has_seen_every_page(pages: list[list[str]], end: int | None) -> None:
    """Whatever the links and pages: a walk that ends without an error has yielded all of a list that ends."""
    links = [None, *(f"page-{number}" for number in range(2, len(pages) + 1))]
    table = chain(*([members(*page) for page in pages] or [[]]), end=None if end is None else f"page-{end}")
    seen = 0
    try:
        for _ in walk(lambda url: table.get(url, ([], None)), 20):
            seen += 1
    except exceptions.InvalidResponse:
        return
    assert end is None or end > len(pages) or f"page-{end}" not in links
    assert seen >= len(pages)
