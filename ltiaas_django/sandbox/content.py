"""What the LMS takes by deep linking, what it checks of a tool's answer, and what it adds to the course.

The content items keep their JSON form here: as the contract spells them, and Deep Linking 2.0, section 3.
"""

from __future__ import annotations

import mimetypes
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import urlsplit

from ltiaas_django.vocabulary import ContentItemType

from . import errors, validation
from .courses import Activity, Course
from .credentials import Launch
from .gradebook import LineItem
from .validation import Field

_TARGETS = ("iframe", "window", "embed")
DEFAULT_SETTINGS: Mapping[str, Any] = {
    "acceptTypes": [*map(str, ContentItemType)],
    "acceptPresentationDocumentTargets": ["iframe", "window", "embed"],
    "acceptMultiple": True,
}
"""What the LMS takes unless a launch says otherwise."""

_texts = validation.list_of(validation.text)
_SETTINGS = {
    "acceptTypes": Field(validation.list_of(validation.one_of([*map(str, ContentItemType)]))),
    "acceptPresentationDocumentTargets": Field(validation.list_of(validation.one_of(_TARGETS))),
    "acceptMediaTypes": Field(_texts),
    "acceptMultiple": Field(validation.boolean),
    "acceptLineitem": Field(validation.boolean),
    "title": Field(validation.text),
    "text": Field(validation.text),
    # LTIAAS's form of the id token leaves acceptMultiple out; the LMS's own claims have it.
    "hideAcceptMultiple": Field(validation.boolean),
}
_ONLY_IN_CLAIMS = {"acceptLineitem", "hideAcceptMultiple"}
_CLAIMS = {
    "acceptTypes": "accept_types",
    "acceptPresentationDocumentTargets": "accept_presentation_document_targets",
    "acceptMultiple": "accept_multiple",
    "acceptLineitem": "accept_lineitem",
    "title": "title",
    "text": "text",
}


def read_settings(given: Mapping[str, Any] | None) -> dict[str, Any]:
    """What the LMS is to take from one launch; raises BadRequest for what it does not know."""
    return {**DEFAULT_SETTINGS, **validation.read_object({} if given is None else given, _SETTINGS)}


def formatted(settings: Mapping[str, Any]) -> dict[str, Any]:
    """As LTIAAS tells it in `services.deepLinking`."""
    hidden = _ONLY_IN_CLAIMS | ({"acceptMultiple"} if settings.get("hideAcceptMultiple") else set())
    return {name: value for name, value in settings.items() if name not in hidden}


def claim(settings: Mapping[str, Any], return_url: str) -> dict[str, Any]:
    """As the LMS signs it (Deep Linking 2.0, section 4.4.1)."""
    members: dict[str, Any] = {"deep_link_return_url": return_url}
    members |= {_CLAIMS[name]: value for name, value in settings.items() if name in _CLAIMS}
    if "acceptMediaTypes" in settings:
        members["accept_media_types"] = ",".join(settings["acceptMediaTypes"])
    return members


# -- the tool's answer ---------------------------------------------------------------------------------------------

_sizes = {"width": Field(validation.positive_integer), "height": Field(validation.positive_integer)}
_picture = Field(validation.object_of({"url": Field(validation.http_url, required=True), **_sizes}))
_window = Field(
    validation.object_of({"targetName": Field(validation.text), "windowFeatures": Field(validation.text), **_sizes})
)
_period = Field(
    validation.object_of({"startDateTime": Field(validation.date_time), "endDateTime": Field(validation.date_time)})
)
_line_item = Field(
    validation.object_of(
        {
            "label": Field(validation.non_empty),
            "scoreMaximum": Field(validation.above_zero, required=True),
            "resourceId": Field(validation.text),
            "tag": Field(validation.text),
            "gradesReleased": Field(validation.boolean),
        }
    )
)
_url = Field(validation.http_url, required=True)
_named = {
    "type": Field(validation.text, required=True),
    "title": Field(validation.text),
    "text": Field(validation.text),
}
_pictured = {**_named, "icon": _picture, "thumbnail": _picture}
_FIELDS: Mapping[str, Mapping[str, Field]] = {
    "ltiResourceLink": {
        **_pictured,
        "url": _url,
        "custom": Field(validation.texts_by_name),
        "lineItem": _line_item,
        "available": _period,
        "submission": _period,
        "iframe": Field(validation.object_of(_sizes)),
        "window": _window,
    },
    "link": {
        **_pictured,
        "url": _url,
        "embed": Field(validation.object_of({"html": Field(validation.non_empty, required=True)})),
        "iframe": Field(validation.object_of({"src": Field(validation.http_url), **_sizes})),
        "window": _window,
    },
    "file": {**_pictured, "url": _url, "expiresAt": Field(validation.date_time)},
    "html": {**_named, "html": Field(validation.non_empty, required=True)},
    "image": {**_pictured, "url": _url, **_sizes},
}
_OPTIONS = {name: Field(validation.text) for name in ("message", "log", "errMessage", "errLog")}
_ANSWER = {
    "contentItems": Field(validation.list_of(validation.anything), required=True),
    "options": Field(validation.object_of(_OPTIONS)),
}


@dataclass
class Answer:
    """What a tool has answered to a deep linking launch; it is taken once."""

    launch: Launch
    items: Sequence[Mapping[str, Any]]
    options: Mapping[str, str] = field(default_factory=dict)
    is_taken: bool = False


def read_answer(body: Any, launch: Launch, launch_url: str) -> Answer:
    """The answer, checked against the contract and against what this launch takes; raises BadRequest."""
    given = validation.read_object(body, _ANSWER)
    options = given.get("options", {})
    is_refusal = bool({"errMessage", "errLog"} & set(options))
    if is_refusal and ({"message", "log"} & set(options) or given["contentItems"]):
        raise errors.BadRequest("A refusal holds no items, and no message or log.", code="INVALID_REQUEST_BODY")
    items = [_read_own_item(item, launch_url) for item in given["contentItems"]]
    for item in items:
        _check_taken(item, launch.deep_linking)
    if len(items) > 1 and launch.deep_linking.get("acceptMultiple") is False:
        raise _not_taken("This launch takes one content item.")
    return Answer(launch, items, options)


def read_item(item: Any) -> dict[str, Any]:
    """A content item, checked against the contract; raises BadRequest."""
    kind = item.get("type") if isinstance(item, dict) else None
    if not isinstance(kind, str) or kind not in _FIELDS:
        raise errors.BadRequest(f"A content item has a `type` of {', '.join(_FIELDS)}.", code="INVALID_REQUEST_BODY")
    return validation.read_object(item, _FIELDS[kind])


def _read_own_item(item: Any, launch_url: str) -> dict[str, Any]:
    read = read_item(item)
    if read["type"] == "ltiResourceLink" and read["url"].partition("?")[0] != launch_url:
        raise errors.BadRequest(
            f"The `url` of an ltiResourceLink must be {launch_url}, with any query.", code="INVALID_REQUEST_BODY"
        )
    return read


def _check_taken(item: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    if item["type"] not in settings["acceptTypes"]:
        raise _not_taken(f"This launch takes no {item['type']}.")
    targets = settings["acceptPresentationDocumentTargets"]
    wanted = [name for name in _TARGETS if name in item]
    if wanted and not set(wanted) & set(targets):
        raise _not_taken(f"This launch takes only what is shown as {' or '.join(targets)}.")
    kinds = settings.get("acceptMediaTypes")
    guessed, _ = mimetypes.guess_type(urlsplit(item["url"]).path) if item["type"] == "file" else (None, None)
    if kinds and guessed and not any(fnmatchcase(guessed, kind.lower()) for kind in kinds):
        raise _not_taken(f"This launch takes no file of type {guessed}.")


def _not_taken(description: str) -> errors.BadRequest:
    return errors.BadRequest(description, code="CONTENT_ITEM_NOT_ACCEPTED")


# -- what becomes of it --------------------------------------------------------------------------------------------


@dataclass
class Added:
    """What an answer has added to the course."""

    activities: list[Activity] = field(default_factory=list)
    columns: list[LineItem] = field(default_factory=list)
    contents: list[Mapping[str, Any]] = field(default_factory=list)


def take(answer: Answer, course: Course) -> Added:
    """Add the items to the course, once; raises BadRequest the second time."""
    if answer.is_taken:
        raise errors.BadRequest("This answer was taken before. Nothing was added twice.")
    answer.is_taken = True
    added = Added()
    for item in answer.items:
        if item["type"] == "ltiResourceLink":
            _add_activity(item, course, answer.launch.deep_linking, added)
        else:
            course.contents.append(item)
            added.contents.append(item)
    return added


def _add_activity(item: Mapping[str, Any], course: Course, settings: Mapping[str, Any], added: Added) -> None:
    title = item.get("title") or settings.get("title") or f"Activity {len(course.activities) + 1}"
    activity = course.add_activity(title, description=item.get("text", ""), custom=item.get("custom", {}))
    activity.item = item
    added.activities.append(activity)
    column = item.get("lineItem")
    if column is not None and settings.get("acceptLineitem") is not False:
        fields = {"resource_id": column.get("resourceId"), "tag": column.get("tag")}
        label, released = column.get("label") or title, column.get("gradesReleased")
        added.columns.append(
            course.gradebook.add_line_item(
                label, column["scoreMaximum"], resource_link_id=activity.id, grades_released=released, **fields
            )
        )
