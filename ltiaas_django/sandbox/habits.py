"""What LTIAAS evidently puts up with: habits of its own Python client (`ltiaas` 0.0.4), each told as a warning.

A tool that is written anew should have none of them: the contract knows only what is right.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode

TWO_SLASHES = "The path begins with two slashes."
UNENCODED_ID = "The line item id is not percent-encoded whole: its slashes split the path."
ENCODED_TWICE = "The query parameter `{}` is percent-encoded twice."
SNAKE_CASE = "The query parameter is called `user_id` in place of `userId`."
CAPITAL_FLAG = "`raw` is {} in place of true or false."
NULLS = "Members without a value are sent as null: {}."


def forgive_path(raw_path: str, warnings: list[str]) -> list[str]:
    """The path's segments, still percent-encoded."""
    if raw_path.startswith("//"):
        warnings.append(TWO_SLASHES)
    segments = raw_path.lstrip("/").split("/")
    if segments[:2] != ["api", "lineitems"] or len(segments) <= 3:
        return segments
    tail = segments[-1:] if segments[-1] == "scores" else []
    parts = segments[2 : len(segments) - len(tail)]
    if len(parts) > 1:
        warnings.append(UNENCODED_ID)
    return [*segments[:2], "%2F".join(parts), *tail]


def forgive_query(query: str, is_page: Callable[[str], bool], warnings: list[str]) -> str:
    """The query as it should have been; `is_page` knows the page URLs that were handed out."""
    try:
        pairs = parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=100)
    except ValueError:
        return query
    forgiven = [_forgive_pair(name, value, is_page, warnings) for name, value in pairs]
    return query if forgiven == pairs else urlencode(forgiven)


def _forgive_pair(name: str, value: str, is_page: Callable[[str], bool], warnings: list[str]) -> tuple[str, str]:
    decoded = unquote(value)
    is_twice = decoded != value and (name == "role" or (name == "url" and not is_page(value) and is_page(decoded)))
    if is_twice:
        warnings.append(ENCODED_TWICE.format(name))
        return name, decoded
    if name == "user_id":
        warnings.append(SNAKE_CASE)
        return "userId", value
    if name == "raw" and value in ("True", "False"):
        warnings.append(CAPITAL_FLAG.format(value))
        return name, value.lower()
    return name, value


def forgive_body(body: Any, warnings: list[str]) -> Any:
    """The body without members that are null, save a score's value: there it clears the grade."""
    nulls: list[str] = []
    forgiven = _without_nulls(body, nulls)
    if nulls:
        warnings.append(NULLS.format(", ".join(sorted(set(nulls)))))
    return forgiven


def _without_nulls(value: Any, nulls: list[str]) -> Any:
    if isinstance(value, list):
        return [_without_nulls(entry, nulls) for entry in value]
    if not isinstance(value, dict):
        return value
    nulls += [name for name, content in value.items() if content is None and name != "scoreGiven"]
    return {
        name: _without_nulls(content, nulls)
        for name, content in value.items()
        if content is not None or name == "scoreGiven"
    }
