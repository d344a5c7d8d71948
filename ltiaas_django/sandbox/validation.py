"""What the contract asks of query parameters and bodies. Everything else is refused, with a sentence that says why."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl

from ltiaas_django.vocabulary import ActivityProgress, GradingProgress

from . import errors

_DATE_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII)  # RFC 3339, section 5.6
_TOKEN = re.compile(r"[\w!#$%&'*+.^`|~-]+", re.ASCII)  # RFC 9110, section 5.6.2
_LARGEST_NUMBER = Decimal(10) ** 12
_LARGEST_AMOUNT = Decimal(10) ** 30  # what a gradebook makes of the above
DEEPEST = 64
"""Levels of nesting in the body of a request; more than Express's own parser would be asked for."""


class _Wrong(Exception):
    """A value is not what its field asks for; the message says what it must be."""


Check = Callable[[Any], Any]


@dataclass(frozen=True)
class Field:
    """A member of a JSON body: what it must be, and whether it must be there."""

    check: Check
    required: bool = False


def text(value: Any) -> str:
    """A string."""
    if not isinstance(value, str):
        raise _Wrong("must be a string")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise _Wrong("must be valid Unicode") from None
    return value


def non_empty(value: Any) -> str:
    """A string with something in it."""
    if not text(value):
        raise _Wrong("must not be empty")
    return str(value)


def number(value: Any) -> Decimal:
    """A JSON number (in JSON a boolean is none)."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise _Wrong("must be a number")
    amount = Decimal(value)
    if abs(amount) > _LARGEST_NUMBER:
        raise _Wrong("is too large")
    return amount


def integer(value: Any) -> int:
    """A whole number."""
    amount = number(value)
    if amount != int(amount):
        raise _Wrong("must be a whole number")
    return int(amount)


def integer_or_null(value: Any) -> int | None:
    """A whole number, or null."""
    return None if value is None else integer(value)


def exact(value: Any) -> Decimal:
    """A number, or a string that is one: what JSON's numbers cannot hold exactly."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal | str):
        raise _Wrong("must be a number")
    try:
        amount = Decimal(value)
    except ArithmeticError:
        raise _Wrong("must be a number") from None
    if not amount.is_finite() or abs(amount) > _LARGEST_AMOUNT:
        raise _Wrong("is too large")
    return amount


def exact_or_null(value: Any) -> Decimal | None:
    """A number or a string that is one, or null."""
    return None if value is None else exact(value)


def count(value: Any) -> int:
    """A whole number of at least 0."""
    amount = integer(value)
    if amount < 0:
        raise _Wrong("must not be negative")
    return amount


def positive_integer(value: Any) -> int:
    """A whole number of at least 1."""
    amount = integer(value)
    if amount < 1:
        raise _Wrong("must be at least 1")
    return amount


def seconds(value: Any) -> float:
    """A duration."""
    return float(number(value))


def header(value: Any) -> str:
    """What an HTTP header can hold."""
    if not text(value).isascii() or not value.isprintable():
        raise _Wrong("must be printable ASCII")
    return str(value)


def headers(value: Any) -> dict[str, str]:
    """HTTP headers by name."""
    if not isinstance(value, dict) or not all(_TOKEN.fullmatch(name) for name in value):
        raise _Wrong("must be an object of header names and values")
    return {name: header(content) for name, content in value.items()}


def http_url(value: Any) -> str:
    """A URL of the web."""
    if not re.fullmatch(r"https?://[^\s/?#]+[^\s]*", header(value)):
        raise _Wrong("must be a URL that begins with http:// or https://")
    return str(value)


def above_zero(value: Any) -> Decimal:
    """A number above 0."""
    amount = number(value)
    if amount <= 0:
        raise _Wrong("must be above 0")
    return amount


def score_given(value: Any) -> Decimal | None:
    """A number, or null: that clears the grade."""
    if value is None:
        return None
    amount = number(value)
    if amount < 0:
        raise _Wrong("must not be negative")
    return amount


def boolean(value: Any) -> bool:
    """true or false."""
    if not isinstance(value, bool):
        raise _Wrong("must be true or false")
    return value


def date_time(value: Any) -> str:
    """A date and time with a zone."""
    if _DATE_TIME.fullmatch(text(value)):
        try:
            datetime.fromisoformat(value)
        except ValueError:
            pass
        else:
            return str(value)
    raise _Wrong("must be a date and time with a zone, such as 2026-01-31T12:00:00.000Z")


def moment(value: Any) -> datetime:
    """A date and time with a zone, in UTC."""
    try:
        return datetime.fromisoformat(date_time(value)).astimezone(UTC)
    except OverflowError:
        raise _Wrong("is beyond the calendar") from None


def anything(value: Any) -> Any:
    """Whatever JSON can hold."""
    return value


def one_of(words: Collection[str]) -> Check:
    """One of some words."""

    def check(value: Any) -> str:
        if not isinstance(value, str) or value not in words:
            raise _Wrong(f"must be one of {', '.join(words)}")
        return value

    return check


def list_of(check: Check) -> Check:
    """A list, with the same check for each entry."""

    def check_all(value: Any) -> list[Any]:
        if not isinstance(value, list):
            raise _Wrong("must be a list")
        return [check(entry) for entry in value]

    return check_all


def object_of(fields: Mapping[str, Field]) -> Check:
    """An object with these members, each checked."""

    def check(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise _Wrong("must be an object")
        try:
            return read_object(value, fields)
        except errors.BadRequest as error:
            raise _Wrong(f"is wrong: {error.description.rstrip('.')}") from None

    return check


def texts_by_name(value: Any) -> dict[str, str]:
    """An object of strings, such as custom parameters."""
    if not isinstance(value, dict):
        raise _Wrong("must be an object of strings")
    return {non_empty(name): text(content) for name, content in value.items()}


LINE_ITEM = {
    "label": Field(non_empty, required=True),
    "scoreMaximum": Field(above_zero, required=True),
    "resourceLinkId": Field(text),
    "resourceId": Field(text),
    "tag": Field(text),
    "startDateTime": Field(date_time),
    "endDateTime": Field(date_time),
    "gradesReleased": Field(boolean),
    "id": Field(text),  # not the caller's to choose; what is said of it is the LMS's business
}
SCORE = {
    "userId": Field(non_empty, required=True),
    # LTIAAS's reference says Initiated, its guide and 1EdTech's specification say Initialized.
    "activityProgress": Field(one_of([*map(str, ActivityProgress), "Initiated"]), required=True),
    "gradingProgress": Field(one_of([*map(str, GradingProgress)]), required=True),
    "scoreGiven": Field(score_given),
    "scoreMaximum": Field(above_zero),
    "comment": Field(text),
    "timestamp": Field(date_time),
}


def read_json(body: bytes, deepest: int = DEEPEST) -> Any:
    """The JSON in a body, numbers as int and Decimal; raises BadRequest."""
    try:
        value = json.loads(body.decode(), parse_float=Decimal, parse_constant=_no_constant)
    except (ValueError, ArithmeticError, RecursionError):  # UnicodeDecodeError is a ValueError
        raise errors.BadRequest("The body is no valid JSON.", code="INVALID_JSON") from None
    level = [value]
    for _ in range(deepest + 1):
        level = [inner for one in level for inner in _inside(one)]
    if level:
        raise errors.BadRequest("The body is nested too deep.", code="INVALID_JSON")
    return value


def _inside(value: Any) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


def _no_constant(name: str) -> None:
    raise ValueError(name)  # NaN and Infinity are Python's, not JSON's


def read_object(body: Any, fields: Mapping[str, Field], *, extensions: bool = False) -> dict[str, Any]:
    """The members of a JSON object, each checked; with `extensions`, members named by a URL are let through."""
    if not isinstance(body, dict):
        raise _wrong_body("The body must be a JSON object.")
    missing = [name for name, field in fields.items() if field.required and name not in body]
    if missing:
        raise _wrong_body(f"`{missing[0]}` is missing.")
    return {name: _checked(name, value, fields, extensions) for name, value in body.items()}


def _checked(name: str, value: Any, fields: Mapping[str, Field], extensions: bool) -> Any:
    field = fields.get(name)
    if field is None:
        # Extensions are named by a URL of their maker (AGS 2.0, section 3.4.9), such as Canvas's submission data.
        if extensions and name.startswith(("https://", "http://")):
            return value
        raise _wrong_body(f"`{ascii(name)[1:-1]}` is not known here.")
    try:
        return field.check(value)
    except _Wrong as wrong:
        raise _wrong_body(f"`{name}` {wrong}.") from None


def _wrong_body(description: str) -> errors.BadRequest:
    return errors.BadRequest(description, code="INVALID_REQUEST_BODY")


def read_score(body: Any) -> dict[str, Any]:
    """A score as the contract wants it."""
    score = read_object(body, SCORE, extensions=True)
    if score.get("scoreGiven") is not None and "scoreMaximum" not in score:
        raise _wrong_body("`scoreMaximum` is missing: it is required when `scoreGiven` is present.")
    return score


def read_query(query: str, known: Collection[str]) -> dict[str, str]:
    """The query parameters, each known and given once; with `url` all others are ignored."""
    try:
        pairs = parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=100)
    except ValueError:
        raise _wrong_query("The query string is not valid.") from None
    given = dict(pairs)
    if "url" in given and "url" in known:
        return {"url": given["url"]}
    unknown = [name for name in given if name not in known]
    if unknown:
        raise _wrong_query(f"The query parameter `{ascii(unknown[0])[1:-1]}` is not known here.")
    if len(given) != len(pairs):
        raise _wrong_query("A query parameter is given twice.")
    return given


def read_limit(query: Mapping[str, str]) -> int | None:
    """How many entries a page is to hold; None if nothing was asked."""
    limit = query.get("limit")
    if limit is None:
        return None
    if not re.fullmatch(r"0*[1-9]\d{0,9}", limit, re.ASCII):
        raise _wrong_query("`limit` must be a whole number of at least 1.")
    return int(limit)


def read_flag(query: Mapping[str, str], name: str) -> bool:
    """A parameter that is true or false (false when left out)."""
    value = query.get(name, "false")
    if value not in ("true", "false"):
        raise _wrong_query(f"`{name}` must be true or false.")
    return value == "true"


def _wrong_query(description: str) -> errors.BadRequest:
    return errors.BadRequest(description, code="INVALID_QUERY_PARAMETER")
