"""Read members out of a JSON object, tolerantly where LMSs are known to differ, naming the member that is wrong.

`wire` says which members there are; this module says what a text, an id or an amount is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final, NoReturn, TypeVar

from ltiaas_django import exceptions

MAX_ID: Final = 255
MAX_NAME: Final = 255
MAX_URL: Final = 2000
MAX_MAGNITUDE: Final = 15  # amounts are points of a gradebook: 15 digits before and after the point are plenty

UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")  # PostgreSQL takes no NUL, UTF-8 no lone surrogate
_EMAIL: Final = re.compile(r"[^@\s<>\"(),:;\x00-\x1f]+@[^@\s<>\"(),:;\x00-\x1f]+")

Parsed = TypeVar("Parsed")

# --- JSON text ------------------------------------------------------------------------------------------------------


def decode(body: bytes) -> Any:
    """JSON with exact numbers. Raises `ValueError` for anything else, NaN, endless nesting and endless numbers too."""
    try:
        return json.loads(body.decode("utf-8-sig"), parse_float=Decimal, parse_constant=_refuse_constant)
    except (ArithmeticError, RecursionError):
        raise ValueError("a number or nesting beyond measure") from None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def encode(body: Mapping[str, object]) -> bytes:
    """UTF-8 JSON; `Decimal`s are written as exact numbers. Raises `ValueError` for what JSON cannot say."""
    try:
        text = _ENCODER.encode(body)
    except (TypeError, RecursionError):
        raise ValueError("The request holds a value that JSON cannot say.") from None
    return text.encode("utf-8", "replace")


def _encode_decimal(value: object) -> int | float:
    if isinstance(value, Decimal):
        return render_amount(value)
    raise TypeError


_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, default=_encode_decimal, separators=(",", ":"))


def render_amount(amount: Decimal) -> int | float:
    """A number whose JSON literal is exactly this amount; `ValueError` beyond the 15 digits that a float carries."""
    if amount.is_finite() and 0 <= amount < 10**6 and amount == (whole := int(amount)):
        return whole  # nearly always
    if not amount.is_finite():
        raise ValueError("An amount must be a finite number.")
    digits = "".join(map(str, amount.as_tuple().digits)).strip("0")
    if len(digits) > 15 or (digits and abs(amount.adjusted()) > MAX_MAGNITUDE):
        raise ValueError("An amount may have up to 15 significant digits.")
    return int(amount) if amount == amount.to_integral_value() else float(amount)


def render_moment(moment: datetime | None) -> str | None:
    """RFC 3339, UTC, with milliseconds: Canvas compares them. `ValueError` for a naive time."""
    if moment is None:
        return None
    if moment.utcoffset() is None:
        raise ValueError("A time must say its zone.")
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def without_nulls(members: Iterable[tuple[str, object | None]]) -> dict[str, object]:
    """Strict servers refuse a null where a member is merely optional."""
    return {
        name: without_nulls(value.items()) if isinstance(value, Mapping) else value
        for name, value in members
        if value is not None
    }


# --- reading fields -------------------------------------------------------------------------------------------------


def _never(_item: object) -> None:
    return None


class JsonObject:
    """A JSON object being read, which knows where it stands in the answer; members are read by name."""

    __slots__ = ("asked", "members", "path")

    def __init__(self, value: object, path: str, asked: str) -> None:
        self.path = path
        self.asked = asked
        if not isinstance(value, dict):
            self.fail("", f"an object is wanted, not {_kind(value)}")
        self.members: dict[str, Any] = value

    def fail(self, name: str, why: str) -> NoReturn:
        where = f"{self.path}.{name}".strip(".") or "the answer"
        raise exceptions.InvalidResponse(self.asked, f"{where}: {why}")

    def object(self, name: str) -> JsonObject | None:
        value = self.members.get(name)
        return None if value is None else JsonObject(value, f"{self.path}.{name}".strip("."), self.asked)

    def object_or_empty(self, name: str) -> JsonObject:
        return self.object(name) or JsonObject({}, f"{self.path}.{name}".strip("."), self.asked)

    def raw_text(self, name: str, *other_spellings: str) -> str:
        """As it is; blank when missing. Some LMSs send numbers where the specification says text."""
        value = self.members.get(name)
        if isinstance(value, str):  # nearly always, and rosters are long
            return value
        if value is None and other_spellings:
            return self.raw_text(*other_spellings)
        text = as_text(value)
        if text is None:
            self.fail(name, f"text is wanted, not {_kind(value)}")
        return text

    def text(self, *names: str, limit: int = MAX_NAME) -> str:
        """A text to show: cleaned, cut."""
        return clean(self.raw_text(*names)).strip()[:limit]

    def url(self, *names: str) -> str:
        """A web address; blank when it is none, for a cut one would lead elsewhere."""
        text = self.raw_text(*names).strip()
        is_sound = text.lower().startswith(("http://", "https://")) and is_storable(text)
        return text if is_sound and len(text) <= MAX_URL else ""

    def email(self, name: str) -> str:
        text = self.raw_text(name).strip()
        return text if len(text) <= 254 and _EMAIL.fullmatch(text) and is_storable(text) else ""

    def optional_id(self, *names: str, limit: int = MAX_ID) -> str:
        text = self.raw_text(*names)
        if not text.strip():
            return ""
        if len(text) > limit:
            self.fail(names[0], f"longer than {limit} characters")
        if not is_storable(text):
            self.fail(names[0], "holds characters that no id may hold")
        return text

    def id(self, *names: str, limit: int = MAX_ID) -> str:
        return self.optional_id(*names, limit=limit) or self.fail(names[0], "missing or blank")

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of short words or URIs; a single text counts as a list of one. What no column could hold is left out:
        it is no role or scope that anybody knows."""
        value = self.members.get(name)
        if value is None:
            return ()
        found = []
        for index, item in enumerate(value if isinstance(value, list) else [value]):
            text = as_text(item)
            if text is None:
                self.fail(f"{name}[{index}]", f"text is wanted, not {_kind(item)}")
            if text and len(text) <= MAX_ID and is_storable(text):
                found.append(text)
        return tuple(found)

    def amount(self, name: str) -> Decimal | None:
        """An exact number; a number in quotes is one too."""
        text = self.raw_text(name).strip()
        if not text:
            return None
        try:
            amount = Decimal(text)
        except ArithmeticError:
            amount = Decimal("NaN")
        if not amount.is_finite():
            self.fail(name, "a number is wanted")
        if amount and abs(amount.adjusted()) > MAX_MAGNITUDE:
            self.fail(name, "beyond what a gradebook holds")
        return +amount  # 28 digits, should an LMS send a third of a point in full

    def moment(self, name: str) -> datetime | None:
        """A time; None when it is none that can be read, for the dates of a column must not hide its grades."""
        try:
            moment = datetime.fromisoformat(self.raw_text(name).strip())
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
        except (ValueError, OverflowError):
            return None

    def flag(self, name: str) -> bool | None:
        value = self.members.get(name)
        return value if isinstance(value, bool) else None

    def items(
        self, name: str, parse: Callable[[JsonObject], Parsed], parse_raw: Callable[[Any], Parsed | None] = _never
    ) -> list[Parsed]:
        """The parsed objects of a list that must be there; what `parse_raw` gives None for goes to `parse`."""
        value = self.members.get(name)
        if not isinstance(value, list):
            self.fail(name, f"a list is wanted, not {_kind(value)}")
        where = f"{self.path}.{name}".strip(".")
        return [
            parse_raw(item) or parse(JsonObject(item, f"{where}[{index}]", self.asked))
            for index, item in enumerate(value)
        ]


def _kind(value: object) -> str:
    if value is None:
        return "nothing"
    names = {bool: "true or false", dict: "an object", list: "a list", str: "text"}
    return names.get(type(value), "a number")


def as_text(value: object) -> str | None:
    """The text that a value stands for, blank for null; None if it stands for none, or for a number without end."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    if isinstance(value, int) and value.bit_length() > 4 * MAX_ID:  # Python refuses to write these
        return None
    return str(value)


def clean(text: str) -> str:
    return text if is_storable(text) else UNSTORABLE.sub("", text)


def is_storable(text: str) -> bool:
    return text.isprintable() or not UNSTORABLE.search(text)  # nearly all are printable, and that is known sooner
