"""JSON <-> data for deep linking: what the LMS takes, the content items, LTIAAS's answer; and the claims that
LTIAAS's formatted ID token leaves out. Beside `wire`, the only file that knows such names.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final
from urllib.parse import urlencode

from ltiaas_django import data
from ltiaas_django.connections.ltiaas.reading import JsonObject, render_amount, render_moment, without_nulls
from ltiaas_django.content_items import Answer, ContentItem, Icon, Iframe, Limits, LineItem, Period, Window
from ltiaas_django.vocabulary import LaunchType

_SETTINGS_CLAIM: Final = "https://purl.imsglobal.org/spec/lti-dl/claim/deep_linking_settings"
_FOR_USER_CLAIM: Final = "https://purl.imsglobal.org/spec/lti/claim/for_user"
_LAUNCH_PATH: Final = "/lti/launch"

# --- what the LMS takes -----------------------------------------------------------------------------------------------


def parse_limits(said: JsonObject) -> Limits:
    """`services.deepLinking` of the formatted ID token."""
    return Limits(
        accept_types=said.texts("acceptTypes"),
        accept_presentation_document_targets=said.texts("acceptPresentationDocumentTargets"),
        accept_media_types=_parse_media_types(said, "acceptMediaTypes"),
        accept_multiple=_parse_flag(said, "acceptMultiple"),
        accept_lineitem=_parse_flag(said, "acceptLineitem"),
        title=said.text("title"),
        text=said.text("text"),
    )


def lacks_claims(id_token: data.IdToken) -> bool:
    """Whether the LMS's own claims are worth a second question: they may say what the formatted token leaves out."""
    if id_token.launch.type is LaunchType.DEEP_LINKING:
        return id_token.services.deep_linking.lacks_something
    return id_token.launch.type is LaunchType.SUBMISSION_REVIEW


def with_claims(id_token: data.IdToken, claims: Mapping[str, object], asked: str) -> data.IdToken:
    """The ID token, completed by the LMS's own claims. Raises `InvalidResponse`."""
    token = JsonObject(dict(claims), "", asked)
    if id_token.launch.type is LaunchType.SUBMISSION_REVIEW:
        user_id = token.object_or_empty(_FOR_USER_CLAIM).optional_id("user_id")
        return dataclasses.replace(id_token, for_user_id=user_id)
    said, known = _parse_claim(token.object_or_empty(_SETTINGS_CLAIM)), id_token.services.deep_linking
    members = {field.name: getattr(known, field.name) for field in dataclasses.fields(Limits)}
    limits = dataclasses.replace(
        said, **{name: value for name, value in members.items() if value not in ((), None, "")}
    )
    return dataclasses.replace(id_token, services=dataclasses.replace(id_token.services, deep_linking=limits))


def _parse_claim(said: JsonObject) -> Limits:
    """Deep Linking 2.0, section 4.4.1."""
    return Limits(
        accept_types=said.texts("accept_types"),
        accept_presentation_document_targets=said.texts("accept_presentation_document_targets"),
        accept_media_types=_parse_media_types(said, "accept_media_types"),
        accept_multiple=_parse_flag(said, "accept_multiple"),
        accept_lineitem=_parse_flag(said, "accept_lineitem"),
        title=said.text("title"),
        text=said.text("text"),
    )


def _parse_media_types(said: JsonObject, name: str) -> tuple[str, ...]:
    """LTIAAS's reference says a list, the specification one text with commas."""
    value = said.members.get(name)
    texts = value if isinstance(value, list) else [value]
    parts = [part for text in texts for part in (text.split(",") if isinstance(text, str) else [text])]
    one_by_one = JsonObject({name: parts}, said.path, said.asked)  # all in one text may be longer than a word may be
    return tuple(part.strip() for part in one_by_one.texts(name) if part.strip())


def _parse_flag(said: JsonObject, name: str) -> bool | None:
    """Older Moodles say "true" and "false" (mod/lti/locallib.php); a no must not become a "not said"."""
    value = said.members.get(name)
    return {"true": True, "false": False}.get(value) if isinstance(value, str) else said.flag(name)


# --- the answer -------------------------------------------------------------------------------------------------------


def render_answer(answer: Answer, ltiaas_url: str) -> dict[str, object]:
    """The body of both deep linking calls: message and log on success, errMessage and errLog on refusal."""
    message, log = ("errMessage", "errLog") if answer.is_refusal else ("message", "log")
    options = {name: text for name, text in ((message, answer.message), (log, answer.log)) if text}
    body: dict[str, object] = {"contentItems": [render_item(item, ltiaas_url) for item in answer.items]}
    return body | ({"options": options} if options else {})


def render_item(item: ContentItem, ltiaas_url: str) -> dict[str, object]:
    """One content item; what was left out is absent. An activity's URL is the account's launch URL."""
    members: dict[str, object | None] = {"type": item.type.value}
    for field in dataclasses.fields(item):
        value = getattr(item, field.name)
        if field.name in _RENDERED and value not in (None, "", {}):
            name, render = _RENDERED[field.name]
            members[name] = render(value)
    if hasattr(item, "query"):
        members["url"] = f"{ltiaas_url}{_LAUNCH_PATH}" + (f"?{urlencode(item.query)}" if item.query else "")
    return without_nulls(members.items())


def _as_it_is(value: Any) -> Any:
    return value


def _render_sized(part: Icon) -> dict[str, object | None]:
    return {"url": part.url, "width": part.width, "height": part.height}


def _render_iframe(iframe: Iframe) -> dict[str, object | None]:
    return {"src": iframe.src or None, "width": iframe.width, "height": iframe.height}


def _render_window(window: Window) -> dict[str, object | None]:
    return {
        "targetName": window.target_name or None,
        "width": window.width,
        "height": window.height,
        "windowFeatures": window.features or None,
    }


def _render_period(period: Period) -> dict[str, object | None]:
    return {"startDateTime": render_moment(period.starts_at), "endDateTime": render_moment(period.ends_at)}


def _render_line_item(line_item: LineItem) -> dict[str, object | None]:
    return {
        "label": line_item.label or None,
        "scoreMaximum": render_amount(Decimal(line_item.score_maximum)),
        "resourceId": line_item.resource_id or None,
        "tag": line_item.tag or None,
        "gradesReleased": line_item.grades_released,
    }


_RENDERED: Final[Mapping[str, tuple[str, Any]]] = {
    "url": ("url", _as_it_is),
    "title": ("title", _as_it_is),
    "text": ("text", _as_it_is),
    "html": ("html", _as_it_is),
    "width": ("width", _as_it_is),
    "height": ("height", _as_it_is),
    "custom": ("custom", dict),
    "icon": ("icon", _render_sized),
    "thumbnail": ("thumbnail", _render_sized),
    "embed_html": ("embed", lambda html: {"html": html}),
    "iframe": ("iframe", _render_iframe),
    "window": ("window", _render_window),
    "line_item": ("lineItem", _render_line_item),
    "available": ("available", _render_period),
    "submission": ("submission", _render_period),
    "expires_at": ("expiresAt", render_moment),
}


def parse_form(obj: object, asked: str = "POST deep linking form") -> str:
    """LTIAAS's self-submitting form: HTML, as it is."""
    answer = JsonObject(obj, "", asked)
    html = answer.raw_text("form")
    return html if "<form" in html.lower() else answer.fail("form", "no form in it")


def parse_message(obj: object, asked: str = "POST deep linking message") -> data.DeepLinkingMessage:
    """The parts of that form; a target that is no web address is refused."""
    answer = JsonObject(obj, "", asked)
    message = answer.raw_text("message") or answer.fail("message", "missing or blank")
    return data.DeepLinkingMessage(
        message=message, target=answer.url("target") or answer.fail("target", "no web address")
    )
