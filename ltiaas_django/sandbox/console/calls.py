"""Requests in the contract's terms, and addresses as people can read them."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qsl, unquote

from .. import habits
from ..credentials import redact

_LONGEST = 36

CALLS: Mapping[tuple[str, str], str] = {
    ("GET", "/api/idtoken"): "The ID token of one launch",
    ("GET", "/api/memberships"): "One page of the roster of the launch's course",
    ("GET", "/api/lineitems"): "One page of the course's line items",
    ("POST", "/api/lineitems"): "Create a line item in the course",
    ("GET", "/api/lineitems/{id}"): "One line item",
    ("PUT", "/api/lineitems/{id}"): "Replace a line item (fields left out are deleted)",
    ("DELETE", "/api/lineitems/{id}"): "Delete a line item",
    ("GET", "/api/lineitems/{id}/scores"): "One page of the grades that the LMS holds now (results)",
    ("POST", "/api/lineitems/{id}/scores"): "Submit one score",
    ("POST", "/api/deeplinking"): "The parts of the form that ends a deep linking launch",
    ("POST", "/api/deeplinking/form"): "The form that ends a deep linking launch, in HTML",
    ("GET", "/api/registrations/{id}"): "What an LMS that registers says of itself",
    ("POST", "/api/registrations/{id}/complete"): "Approve a registration",
    ("GET", "/api/platforms"): "Registered platforms",
    ("POST", "/api/platforms"): "Register a platform",
    ("GET", "/api/platforms/{id}"): "One platform",
    ("PUT", "/api/platforms/{id}"): "Replace a platform's registration",
    ("DELETE", "/api/platforms/{id}"): "Delete a platform's registration",
    ("POST", "/api/platforms/{id}/activate"): "Activate a platform",
    ("POST", "/api/platforms/{id}/deactivate"): "Deactivate a platform",
}
"""The calls of LTIAAS's reference by method and path, and what each is."""


def call_of(method: str, target: str) -> tuple[str, str]:
    """The path that the reference has for a request, and what it does there; both blank if it has none."""
    segments = habits.forgive_path(target.partition("?")[0], [])
    with_id = ["{id}" if index == 2 else segment for index, segment in enumerate(segments)]
    for path in (f"/{'/'.join(one)}".replace("/admin/", "/api/", 1) for one in (segments, with_id)):
        if (method, path) in CALLS:
            return path, CALLS[method, path]
    return "", ""


def clean(text: str) -> str:
    """The text; if percent-encoding hides a secret in it, however often, decoded and without the secret."""
    decoded, encoded = unquote(text), text
    while decoded != encoded:
        decoded, encoded = unquote(decoded), decoded
    redacted = redact(decoded)
    return text if redacted == decoded else redacted


def readable(target: str) -> str:
    """The whole path and query without percent-encoding; secrets that it hid are left out."""
    return clean(unquote(target))


def as_sent(target: str) -> str:
    """The path and query as they came; secrets that percent-encoding hid are left out."""
    return clean(target)


def parameters(target: str) -> list[tuple[str, str]]:
    """The query, decoded."""
    return [(clean(name), clean(value)) for name, value in parse_qsl(target.partition("?")[2], True)]


def short(target: str) -> str:
    """The path and query for a line of the log: decoded, with long ids cut to their ends."""
    path = target.partition("?")[0]
    segments = habits.forgive_path(path, [])
    lead = "//" if path.startswith("//") else "/"
    query = "&".join(f"{name}={_cut(value)}" for name, value in parameters(target))
    return f"{lead}{'/'.join(_cut(clean(unquote(one))) for one in segments)}{'?' if query else ''}{query}"


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"…{text[-_LONGEST + 1 :]}"
