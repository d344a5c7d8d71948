"""A context's services through LTIAAS: with a stored service key at any time, or with an ltik while a launch lasts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, TypeVar

from ltiaas_django import data, exceptions
from ltiaas_django.connections import base, pagination
from ltiaas_django.connections.ltiaas import http, wire
from ltiaas_django.connections.ltiaas.auth import Auth, LtikAuth, ServiceKeyAuth

_ID_TOKEN: Final = "/api/idtoken"  # noqa: S105 -- a path
_MEMBERSHIPS: Final = "/api/memberships"
_LINE_ITEMS: Final = "/api/lineitems"

Item = TypeVar("Item", data.Member, data.LineItem, data.Result)


class _Services:
    """The services that both credentials open (contract, `security` of each path)."""

    endpoint: http.Endpoint
    auth: Auth

    def members(
        self, *, page_size: int | None = None, role: str = "", resource_link_id: str = ""
    ) -> Iterator[list[data.Member]]:
        asked = "GET roster"
        query = _given(role=role, resourceLinkId=resource_link_id, limit=str(page_size) if page_size else "")

        def fetch_page(url: str | None) -> tuple[list[data.Member], str | None]:
            return wire.parse_membership_page(self._get(_MEMBERSHIPS, asked, query, url), asked)

        return pagination.walk(fetch_page, self.endpoint.max_pages, asked=asked)

    def line_items(
        self, *, resource_link_id: str = "", resource_id: str = "", tag: str = ""
    ) -> Iterator[data.LineItem]:
        asked = "GET line items"
        # No `limit`: Moodle then writes the link to the next page in curly quotes, and nobody finds it.
        query = _given(resourceLinkId=resource_link_id, resourceId=resource_id, tag=tag)

        def fetch_page(url: str | None) -> tuple[list[data.LineItem], str | None]:
            return wire.parse_line_item_page(self._get(_LINE_ITEMS, asked, query, url), asked)

        for page in pagination.walk(fetch_page, self.endpoint.max_pages, asked=asked):
            yield from page

    def line_item(self, line_item_id: str) -> data.LineItem:
        asked = "GET line item"
        return wire.parse_line_item(self._get(_line_item_path(line_item_id, asked), asked), asked)

    def create_line_item(self, line_item: data.LineItem) -> data.LineItem:
        asked = "POST line item"
        return wire.parse_line_item(self._write("POST", _LINE_ITEMS, asked, wire.render_line_item(line_item)), asked)

    def replace_line_item(self, line_item: data.LineItem) -> data.LineItem:
        asked = "PUT line item"
        path = _line_item_path(line_item.lti_id, asked)
        return wire.parse_line_item(self._write("PUT", path, asked, wire.render_line_item(line_item)), asked)

    def delete_line_item(self, line_item_id: str) -> None:
        asked = "DELETE line item"
        self._write("DELETE", _line_item_path(line_item_id, asked), asked, expects_json=False)

    def send_score(self, line_item_id: str, score: data.Score) -> None:
        asked = "POST score"
        path = _line_item_path(line_item_id, asked) + "/scores"
        # 204 by the reference, 201 by LTIAAS's own Moodle plugin, 200 by some LMSs: any of them, whatever the body.
        self._write("POST", path, asked, wire.render_score(score), expects_json=False)

    def results(self, line_item_id: str, *, user_id: str = "") -> Iterator[data.Result]:
        asked = "GET results"
        path = _line_item_path(line_item_id, asked) + "/scores"
        query = _given(userId=user_id)

        def fetch_page(url: str | None) -> tuple[list[data.Result], str | None]:
            return wire.parse_result_page(self._get(path, asked, query, url), asked)

        for page in pagination.walk(fetch_page, self.endpoint.max_pages, asked=asked):
            yield from page

    def _get(
        self,
        path: str,
        asked: str,
        query: dict[str, str] | None = None,
        page_url: str | None = None,
        *,
        deadline: float | None = None,
    ) -> Any:
        # A page's URL holds its filters: with `url`, LTIAAS ignores all others.
        query = query if page_url is None else {"url": page_url}
        return http.send(self.endpoint, self.auth, "GET", path, asked=asked, query=query, deadline=deadline)

    def _write(
        self, method: str, path: str, asked: str, body: dict[str, object] | None = None, *, expects_json: bool = True
    ) -> Any:
        return http.send(self.endpoint, self.auth, method, path, asked=asked, body=body, expects_json=expects_json)


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
        asked = "GET id token"
        return wire.parse_id_token(self._get(_ID_TOKEN, asked, deadline=deadline), asked)

    def raw_id_token(self) -> dict[str, object]:
        asked = "GET raw id token"
        claims = self._get(_ID_TOKEN, asked, {"raw": "true"})
        if not isinstance(claims, dict):
            raise exceptions.InvalidResponse(asked, "the answer: an object is wanted")
        return claims


def _given(**filters: str) -> dict[str, str]:
    return {name: text for name, text in filters.items() if text}


def _line_item_path(line_item_id: str, asked: str) -> str:
    return f"{_LINE_ITEMS}/{http.segment(line_item_id, asked)}"
