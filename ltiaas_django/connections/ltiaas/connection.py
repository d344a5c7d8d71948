"""A context's services through LTIAAS: with a stored service key at any time, or with an ltik while a launch lasts."""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeVar

from ltiaas_django import content_items, data, exceptions
from ltiaas_django.connections import base, pagination
from ltiaas_django.connections.ltiaas import http, wire, wire_content
from ltiaas_django.connections.ltiaas.auth import Auth, LtikAuth, ServiceKeyAuth

logger = logging.getLogger(__name__)

_ID_TOKEN: Final = "/api/idtoken"
_MEMBERSHIPS: Final = "/api/memberships"
_LINE_ITEMS: Final = "/api/lineitems"
_DEEP_LINKING: Final = "/api/deeplinking"

Item = TypeVar("Item", data.Member, data.Member | str, data.LineItem, data.Result)
Parsed = TypeVar("Parsed")


class _Services:
    """The services that both credentials open (contract, `security` of each path)."""

    endpoint: http.Endpoint
    auth: Auth

    def members(
        self, *, page_size: int | None = None, role: str = "", resource_link_id: str = ""
    ) -> Iterator[list[data.Member]]:
        query = _given(role=role, resourceLinkId=resource_link_id, limit=str(page_size) if page_size else "")
        return self._walk(wire.parse_membership_page, "GET roster", _MEMBERSHIPS, query)

    def members_unlike(
        self, known: Mapping[str, str], *, page_size: int | None = None
    ) -> Iterator[list[data.Member | str]]:
        parse = functools.partial(wire.parse_membership_page_unlike, known)
        return self._walk(parse, "GET roster", _MEMBERSHIPS, _given(limit=str(page_size) if page_size else ""))

    def line_items(
        self, *, resource_link_id: str = "", resource_id: str = "", tag: str = ""
    ) -> Iterator[data.LineItem]:
        # No `limit`: Moodle then writes the link to the next page in curly quotes, and nobody finds it.
        query = _given(resourceLinkId=resource_link_id, resourceId=resource_id, tag=tag)
        for page in self._walk(wire.parse_line_item_page, "GET line items", _LINE_ITEMS, query):
            yield from page

    def line_item(self, line_item_id: str) -> data.LineItem:
        asked = "GET line item"
        return self._ask(wire.parse_line_item, asked, "GET", _line_item_path(line_item_id, asked))

    def create_line_item(self, line_item: data.LineItem) -> data.LineItem:
        body = wire.render_line_item(line_item)
        return self._ask(wire.parse_line_item, "POST line item", "POST", _LINE_ITEMS, body=body)

    def replace_line_item(self, line_item: data.LineItem) -> data.LineItem:
        asked = "PUT line item"
        path = _line_item_path(line_item.lti_id, asked)
        return self._ask(wire.parse_line_item, asked, "PUT", path, body=wire.render_line_item(line_item))

    def delete_line_item(self, line_item_id: str) -> None:
        asked = "DELETE line item"
        path = _line_item_path(line_item_id, asked)
        http.send(self.endpoint, self.auth, "DELETE", path, asked=asked, expects_json=False)

    def send_score(self, line_item_id: str, score: data.Score) -> None:
        asked = "POST score"
        path = _line_item_path(line_item_id, asked) + "/scores"
        # 204 by the reference, 201 by LTIAAS's own Moodle plugin, 200 by some LMSs: any of them, whatever the body.
        body = wire.render_score(score)
        http.send(self.endpoint, self.auth, "POST", path, asked=asked, body=body, expects_json=False)

    def results(self, line_item_id: str, *, user_id: str = "") -> Iterator[data.Result]:
        asked = "GET results"
        path = _line_item_path(line_item_id, asked) + "/scores"
        for page in self._walk(wire.parse_result_page, asked, path, _given(userId=user_id)):
            yield from page

    def _walk(
        self, parse: http.Parser[tuple[list[Item], str | None]], asked: str, path: str, query: dict[str, str]
    ) -> Iterator[list[Item]]:
        def fetch_page(url: str | None) -> tuple[list[Item], str | None]:
            # A page's URL holds its filters: with `url`, LTIAAS ignores all others.
            return self._ask(parse, asked, "GET", path, query=query if url is None else {"url": url})

        return pagination.walk(fetch_page, self.endpoint.max_pages, asked=asked)

    def _ask(self, parse: http.Parser[Parsed], asked: str, method: str, path: str, **options: Any) -> Parsed:
        return http.ask(self.endpoint, self.auth, parse, method, path, asked=asked, **options)


class LtiaasServiceConnection(_Services, base.ServiceConnection):
    """The services of one context, with its stored service key."""

    def __init__(self, endpoint: http.Endpoint, auth: ServiceKeyAuth) -> None:
        self.endpoint = endpoint
        self.auth: Auth = auth


class LtiaasLaunchConnection(_Services, base.LaunchConnection):
    """The services of one launch, and the launch itself, with its ltik."""

    def __init__(self, endpoint: http.Endpoint, auth: LtikAuth) -> None:
        self.endpoint = endpoint
        self.auth: Auth = auth

    def id_token(self, *, deadline: float | None = None) -> data.IdToken:
        until = time.monotonic() + (self.endpoint.deadline if deadline is None else deadline)
        id_token = self._ask(wire.parse_id_token, "GET id token", "GET", _ID_TOKEN, deadline=deadline)
        return self._completed(id_token, until - time.monotonic()) if wire_content.lacks_claims(id_token) else id_token

    def _completed(self, id_token: data.IdToken, deadline: float) -> data.IdToken:
        """With what LTIAAS's own form of the token leaves out: `accept_multiple`, and whose work is reviewed.

        The launch goes on without it, should it not be had: the limits are then taken to be wide.
        """
        try:
            claims = self.raw_id_token(deadline=max(deadline, 0.1))
            return wire_content.with_claims(id_token, claims, "GET raw id token")
        except exceptions.ApiError as error:
            logger.warning("A launch goes on without the LMS's own claims: %s", error)
            return id_token

    def raw_id_token(self, *, deadline: float | None = None) -> dict[str, object]:
        query = {"raw": "true"}
        return self._ask(wire.parse_raw_id_token, "GET raw id token", "GET", _ID_TOKEN, query=query, deadline=deadline)

    def deep_linking_form(self, answer: content_items.Answer, *, deadline: float | None = None) -> str:
        body = wire_content.render_answer(answer, self.endpoint.url)
        asked = "POST deep linking form"
        return self._ask(wire_content.parse_form, asked, "POST", f"{_DEEP_LINKING}/form", body=body, deadline=deadline)

    def deep_linking_message(
        self, answer: content_items.Answer, *, deadline: float | None = None
    ) -> data.DeepLinkingMessage:
        body = wire_content.render_answer(answer, self.endpoint.url)
        asked = "POST deep linking message"
        return self._ask(wire_content.parse_message, asked, "POST", _DEEP_LINKING, body=body, deadline=deadline)


def _given(**filters: str) -> dict[str, str]:
    return {name: text for name, text in filters.items() if text}


def _line_item_path(line_item_id: str, asked: str) -> str:
    return f"{_LINE_ITEMS}/{http.segment(line_item_id, asked)}"
