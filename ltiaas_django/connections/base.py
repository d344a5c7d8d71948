"""What every kind of connection to an LMS offers, whichever way it goes.

A connection is bound to one launch context when it is opened: no method takes a context, and a caller cannot tell
LTIAAS from direct LTI 1.3. Methods raise `exceptions.ApiError` subclasses and nothing else.
"""

from __future__ import annotations

import abc
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Self

from ltiaas_django import content_items, data


class ServiceConnection(abc.ABC):
    """The services of one context, at any time: opened with a stored key."""

    @abc.abstractmethod
    def members(
        self, *, page_size: int | None = None, role: str = "", resource_link_id: str = ""
    ) -> Iterator[list[data.Member]]:
        """The roster, page by page, each fetched when it is asked for (NRPS 2.0, section 2.4).

        Only a caller that has reached the end has seen everybody.
        """

    @abc.abstractmethod
    def members_unlike(
        self, known: Mapping[str, str], *, page_size: int | None = None
    ) -> Iterator[list[data.Member | str]]:
        """The same, with only the user id in place of an entry whose fingerprint `known` holds for that person.

        Most of a roster says what it said the night before; to see that takes a fraction of the time of reading it.
        """

    @abc.abstractmethod
    def line_items(
        self, *, resource_link_id: str = "", resource_id: str = "", tag: str = ""
    ) -> Iterator[data.LineItem]:
        """The context's line items that match all filters given (AGS 2.0, section 3.2.4). LMSs filter loosely."""

    @abc.abstractmethod
    def line_item(self, line_item_id: str) -> data.LineItem:
        """One line item."""

    @abc.abstractmethod
    def create_line_item(self, line_item: data.LineItem) -> data.LineItem:
        """Create it; the answer holds its id. Not idempotent: look for it first."""

    @abc.abstractmethod
    def replace_line_item(self, line_item: data.LineItem) -> data.LineItem:
        """Replace the line item with that `lti_id`; fields left out are deleted."""

    @abc.abstractmethod
    def delete_line_item(self, line_item_id: str) -> None:
        """Delete it, with all its grades."""

    @abc.abstractmethod
    def send_score(self, line_item_id: str, score: data.Score) -> None:
        """Submit one score; returns when the LMS has accepted it (AGS 2.0, section 3.4)."""

    @abc.abstractmethod
    def results(self, line_item_id: str, *, user_id: str = "") -> Iterator[data.Result]:
        """What the gradebook holds, for all or for one person (AGS 2.0, section 3.3)."""

    def close(self) -> None:
        """Let go of what the connection holds; the shared pool stays. Called at the end of a `with` block."""
        return None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class LaunchConnection(ServiceConnection):
    """The services of one launch while it lasts, and the launch itself."""

    @abc.abstractmethod
    def id_token(self, *, deadline: float | None = None) -> data.IdToken:
        """Who launches what; `deadline`: seconds that the call may take in all."""

    @abc.abstractmethod
    def raw_id_token(self, *, deadline: float | None = None) -> dict[str, object]:
        """The LMS's own claims, unformatted."""

    @abc.abstractmethod
    def deep_linking_form(self, answer: content_items.Answer, *, deadline: float | None = None) -> str:
        """HTML to put into a page: a form that hands the answer to the LMS by itself (Deep Linking 2.0, 4.4.2)."""

    @abc.abstractmethod
    def deep_linking_message(
        self, answer: content_items.Answer, *, deadline: float | None = None
    ) -> data.DeepLinkingMessage:
        """The parts of that form, for a tool that posts it by itself."""
