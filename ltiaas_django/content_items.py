"""What a tool hands back to a course by deep linking, and what the LMS takes (Deep Linking 2.0, sections 3 and 4.4.1).

Every item is checked when it is made: `InvalidContent` names the field. Nothing here knows JSON names or LTIAAS.
"""

from __future__ import annotations

import dataclasses
import mimetypes
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import Any, ClassVar, Final, TypeVar, dataclass_transform
from urllib.parse import urlsplit

from django.utils.translation import gettext as _

from ltiaas_django.exceptions import ContentNotAccepted, InvalidContent
from ltiaas_django.vocabulary import ContentItemType

_URL: Final = re.compile(r"https?://[!-~]+")
_MAX_URL: Final = 2000
_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")
_LARGEST_SIZE: Final = 100_000  # pixels
_DIGITS: Final = 15  # what a JSON number carries exactly
_OURS: Final = {"ltik", "lti"}  # query parameters that a launch uses itself

_Class = TypeVar("_Class")


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(dataclasses.field,))
def _checked(cls: type[_Class]) -> type[_Class]:
    cls.__post_init__ = lambda self: _check(self)  # type: ignore[attr-defined]
    return dataclasses.dataclass(frozen=True, slots=True, kw_only=True)(cls)


# --- parts of items ---------------------------------------------------------------------------------------------------


@_checked
class LineItem:
    """The gradebook column that the LMS is to make for an activity (section 3.2, `lineItem`)."""

    score_maximum: Decimal | int
    """In points, above 0."""
    label: str = ""
    """Blank: the LMS takes the activity's title."""
    resource_id: str = ""
    """The tool's own id of what is graded. Scores then name it too: `record_score(..., resource_id=...)`."""
    tag: str = ""
    """Likewise, a second name of the tool's own."""
    grades_released: bool | None = None


@_checked
class Icon:
    """A small picture; sizes in pixels."""

    url: str
    width: int | None = None
    height: int | None = None


@_checked
class Iframe:
    """The item may be shown in a frame of this size, in pixels. `src` is for `LinkItem` only."""

    src: str = ""
    width: int | None = None
    height: int | None = None


@_checked
class Window:
    """The item may be opened in a window of its own; sizes in pixels."""

    target_name: str = ""
    width: int | None = None
    height: int | None = None
    features: str = ""
    """As `window.open` takes them."""


@_checked
class Period:
    """From when to when; either end may be open. Times are aware."""

    starts_at: datetime | None = None
    ends_at: datetime | None = None


# --- items ------------------------------------------------------------------------------------------------------------


@_checked
class ResourceLinkItem:
    """An activity that opens this tool (section 3.2). Its URL, the account's launch URL, is filled in when it is sent.

    `custom` comes back with every launch, signed by the LMS: name there what the activity opens. (A value that begins
    with $ may be a variable that the LMS fills in.) `query` comes back in the launch URL, where a person can change it:
    use it for what nobody gains by changing.
    """

    type: ClassVar = ContentItemType.LTI_RESOURCE_LINK

    title: str = ""
    text: str = ""
    icon: Icon | None = None
    thumbnail: Icon | None = None
    custom: Mapping[str, str] = dataclasses.field(default_factory=dict)
    query: Mapping[str, str] = dataclasses.field(default_factory=dict)
    line_item: LineItem | None = None
    available: Period | None = None
    """When learners may open it."""
    submission: Period | None = None
    """When learners may hand in."""
    iframe: Iframe | None = None
    window: Window | None = None


@_checked
class LinkItem:
    """Any page of the web (section 3.1)."""

    type: ClassVar = ContentItemType.LINK

    url: str
    title: str = ""
    text: str = ""
    icon: Icon | None = None
    thumbnail: Icon | None = None
    embed_html: str = ""
    """HTML that shows the page in place, from a service such as a video site."""
    iframe: Iframe | None = None
    window: Window | None = None


@_checked
class HtmlItem:
    """A piece of HTML that the LMS puts into its page, cleaned by its own rules (section 3.4)."""

    type: ClassVar = ContentItemType.HTML

    html: str
    title: str = ""
    text: str = ""


@_checked
class FileItem:
    """A file that the LMS fetches once and keeps (section 3.3)."""

    type: ClassVar = ContentItemType.FILE

    url: str
    title: str = ""
    text: str = ""
    icon: Icon | None = None
    thumbnail: Icon | None = None
    expires_at: datetime | None = None
    """Until when the URL works; aware."""
    media_type: str = ""
    """Such as `application/pdf`; never sent, only compared with what the LMS takes. Blank: by the URL's ending."""


@_checked
class ImageItem:
    """A picture at a URL that stays (section 3.5); sizes in pixels."""

    type: ClassVar = ContentItemType.IMAGE

    url: str
    title: str = ""
    text: str = ""
    icon: Icon | None = None
    thumbnail: Icon | None = None
    width: int | None = None
    height: int | None = None


ContentItem = ResourceLinkItem | LinkItem | HtmlItem | FileItem | ImageItem
_ITEMS: Final[Mapping[str, type[Any]]] = {
    item.type.value: item for item in (ResourceLinkItem, LinkItem, HtmlItem, FileItem, ImageItem)
}


@_checked
class Answer:
    """What ends a deep linking launch: items, or a refusal without any (Deep Linking 2.0, section 4.4.2)."""

    items: tuple[ContentItem, ...] = ()
    message: str = ""
    """The LMS shows it to the person."""
    log: str = ""
    """The LMS keeps it for its administrators."""
    is_refusal: bool = False


# --- what the LMS takes -----------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the LMS takes from one deep linking launch (section 4.4.1). Empty or None: it did not say."""

    accept_types: tuple[str, ...] = ()
    accept_presentation_document_targets: tuple[str, ...] = ()
    """Of `iframe`, `window` and `embed`."""
    accept_media_types: tuple[str, ...] = ()
    """Of files; may hold wildcards such as `image/*`."""
    accept_multiple: bool | None = None
    accept_lineitem: bool | None = None
    """False: the LMS makes no gradebook column for an activity, whatever its item says."""
    title: str = ""
    """What the LMS proposes as a title."""
    text: str = ""

    @property
    def accepts_many(self) -> bool:
        """Whether several items may be handed back.

        The specification gives no default. An LMS that says nothing is taken to allow it: one that does not takes the
        first item or says so to the teacher, while a wrong no would take from all others what they can do.
        """
        return self.accept_multiple is not False

    @property
    def lacks_something(self) -> bool:
        """Whether a member is missing that nearly every LMS sends."""
        return self.accept_multiple is None or not (self.accept_types and self.accept_presentation_document_targets)

    def accepts(self, item: ContentItem) -> bool:
        """Whether the LMS takes this item."""
        return not self._objection(item)

    def check(self, items: Sequence[ContentItem]) -> None:
        """Raises ContentNotAccepted if the LMS would not take these items together."""
        for item in items:
            if objection := self._objection(item):
                raise ContentNotAccepted(objection)
        if len(items) > 1 and not self.accepts_many:
            raise ContentNotAccepted(_("Your learning platform takes only one thing at a time from here."))

    def _objection(self, item: ContentItem) -> str:
        if self.accept_types and item.type.value not in self.accept_types:
            return _("Your learning platform does not take this kind of content here (%(type)s).") % {"type": item.type}
        wanted, targets = _targets(item), self.accept_presentation_document_targets
        if wanted and targets and wanted.isdisjoint(targets):
            return _("Your learning platform cannot show content in this way here (%(ways)s).") % {
                "ways": ", ".join(sorted(wanted))
            }
        media_type = _media_type(item) if isinstance(item, FileItem) else ""
        if media_type and self.accept_media_types and not _matches(media_type, self.accept_media_types):
            return _("Your learning platform does not take files of this type here (%(type)s).") % {"type": media_type}
        return ""


def _targets(item: ContentItem) -> set[str]:
    """The ways in which an item can be shown, where it names any: the LMS chooses among them."""
    named = {"iframe": "iframe", "window": "window", "embed_html": "embed"}
    return {target for name, target in named.items() if getattr(item, name, None)}


def _media_type(item: FileItem) -> str:
    return (item.media_type or mimetypes.guess_type(urlsplit(item.url).path)[0] or "").lower()


def _matches(media_type: str, accepted: Iterable[str]) -> bool:
    return any(fnmatchcase(media_type, pattern.strip().lower()) for pattern in accepted)


# --- plain values: what JSON, and so a signed form field, can hold ----------------------------------------------------


def to_plain(item: ContentItem) -> dict[str, Any]:
    """The item as plain JSON values; `from_plain` makes the same item of them."""
    return {"type": item.type.value, **_plain(item)}


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        members = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return {name: _plain(member) for name, member in members.items() if member not in (None, "")}
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, Decimal) else value


def from_plain(plain: Mapping[str, Any]) -> ContentItem:
    """The item that `to_plain` was given. Raises KeyError, TypeError or InvalidContent for anything else."""
    members = {name: _READERS.get(name, _as_it_is)(value) for name, value in plain.items() if name != "type"}
    return _ITEMS[plain["type"]](**members)  # type: ignore[no-any-return]


def _as_it_is(value: Any) -> Any:
    return value


def _part(cls: type[Any]) -> Callable[[Mapping[str, Any]], Any]:
    return lambda plain: cls(**{name: _READERS.get(name, _as_it_is)(value) for name, value in plain.items()})


_READERS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "score_maximum": Decimal,
    "expires_at": datetime.fromisoformat,
    "starts_at": datetime.fromisoformat,
    "ends_at": datetime.fromisoformat,
    "icon": _part(Icon),
    "thumbnail": _part(Icon),
    "iframe": _part(Iframe),
    "window": _part(Window),
    "line_item": _part(LineItem),
    "available": _part(Period),
    "submission": _part(Period),
}


# --- checks -----------------------------------------------------------------------------------------------------------


def _check(self: Any) -> None:
    """Each field by its name, then what the fields say together."""
    for field in dataclasses.fields(self):
        value = getattr(self, field.name)
        is_left_out = value is None or (value == "" and field.default == "")
        if is_left_out and field.default is not dataclasses.MISSING:
            continue
        if problem := _CHECKS[field.name](value):
            raise InvalidContent(f"{type(self).__name__}.{field.name} {problem}")
    if problem := _problem_together(self):
        raise InvalidContent(f"{type(self).__name__} {problem}")


def _problem_together(value: Any) -> str:
    if isinstance(value, Period) and value.starts_at and value.ends_at and value.ends_at < value.starts_at:
        return "must not end before it starts."
    if isinstance(value, ResourceLinkItem) and value.iframe and value.iframe.src:
        return "opens this tool: its iframe has no src."
    if isinstance(value, Answer) and value.is_refusal and value.items:
        return "is a refusal and holds no items."
    return ""


def _text_problem(value: Any) -> str:
    if not isinstance(value, str):
        return "must be text."
    return "holds characters that cannot be sent." if _UNSTORABLE.search(value) else ""


def _filled_problem(value: Any) -> str:
    return _text_problem(value) or ("" if value.strip() else "must not be blank.")


def _url_problem(value: Any) -> str:
    problem = "must be a web address: http:// or https://, percent-encoded, at most 2000 characters."
    if not isinstance(value, str) or len(value) > _MAX_URL or not _URL.fullmatch(value):
        return problem
    try:
        parts = urlsplit(value)
        return "" if parts.hostname and (parts.port is None or parts.port) else problem
    except ValueError:
        return problem


def _size_problem(value: Any) -> str:
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    return "" if is_whole and 0 < value <= _LARGEST_SIZE else f"must be a whole number from 1 to {_LARGEST_SIZE}."


def _amount_problem(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, Decimal | int):
        return "must be a Decimal or a whole number."
    amount = Decimal(value)
    if not amount.is_finite() or amount <= 0:
        return "must be above 0."
    if len(amount.normalize().as_tuple().digits) > _DIGITS or not -6 <= amount.adjusted() < 12:
        return "must have at most 15 digits."
    return ""


def _moment_problem(value: Any) -> str:
    return "" if isinstance(value, datetime) and value.utcoffset() is not None else "must be an aware datetime."


def _flag_problem(value: Any) -> str:
    return "" if isinstance(value, bool) else "must be true or false."


def _custom_problem(value: Any) -> str:
    if not isinstance(value, Mapping):
        return "must be a mapping of text to text."
    problems = (_filled_problem(name) or _text_problem(text) for name, text in value.items())
    return next(("must be a mapping of names to text." for problem in problems if problem), "")


def _query_problem(value: Any) -> str:
    if problem := _custom_problem(value):
        return problem
    return f"must not hold {' or '.join(sorted(_OURS))}: launches use them." if _OURS & set(value) else ""


def _items_problem(value: Any) -> str:
    is_sound = isinstance(value, tuple) and all(isinstance(item, ContentItem) for item in value)
    return "" if is_sound else "must be a tuple of content items."


def _is_a(cls: type[Any]) -> Callable[[Any], str]:
    return lambda value: "" if isinstance(value, cls) else f"must be of type {cls.__name__}."


_CHECKS: Final[Mapping[str, Callable[[Any], str]]] = {
    "url": _url_problem,
    "src": _url_problem,
    "html": _filled_problem,
    "width": _size_problem,
    "height": _size_problem,
    "score_maximum": _amount_problem,
    "grades_released": _flag_problem,
    "is_refusal": _flag_problem,
    "starts_at": _moment_problem,
    "ends_at": _moment_problem,
    "expires_at": _moment_problem,
    "custom": _custom_problem,
    "query": _query_problem,
    "items": _items_problem,
    "icon": _is_a(Icon),
    "thumbnail": _is_a(Icon),
    "iframe": _is_a(Iframe),
    "window": _is_a(Window),
    "line_item": _is_a(LineItem),
    "available": _is_a(Period),
    "submission": _is_a(Period),
} | dict.fromkeys(
    (
        "title", "text", "label", "resource_id", "tag", "target_name", "features", "embed_html", "media_type",
        "message", "log",
    ),
    _text_problem,
)  # fmt: skip
