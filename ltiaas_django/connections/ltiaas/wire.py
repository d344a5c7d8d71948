"""JSON <-> data, for LTIAAS: this and the `wire_` modules know camelCase, no others. Names follow LTIAAS's reference.

Readers are tolerant where LMSs are known to differ (numbers for text, missing or null members, two spellings, a bare
list of line items) and strict in everything else: what cannot be right raises `InvalidResponse` naming the field, never
its value. Ids must survive unchanged or not at all; texts that are only shown are cleaned and cut to fit a column.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from ltiaas_django import data
from ltiaas_django.connections.ltiaas import auth, wire_content
from ltiaas_django.connections.ltiaas.reading import (
    MAX_URL,
    UNSTORABLE,
    JsonObject,
    as_text,
    clean,
    render_amount,
    render_moment,
    without_nulls,
)
from ltiaas_django.vocabulary import LaunchType, MembershipStatus

MAX_LINE_ITEM_ID: Final = 2000
MAX_DESCRIPTION: Final = 2000
_LEGACY_VERSIONS: Final = ("1.0", "1.1", "1.2", "LTI-1p")
_MAX_DEPTH: Final = 20  # of a custom parameter's value


# --- the ID token ---------------------------------------------------------------------------------------------------


def parse_id_token(obj: object, asked: str = "GET id token") -> data.IdToken:
    """Who launches what, from where. Raises `InvalidResponse` naming the field."""
    token = JsonObject(obj, "", asked)
    lti_version = token.text("ltiVersion", limit=16) or "1.3.0"
    return data.IdToken(
        lti_version=lti_version,
        user=_parse_user(token.object_or_empty("user")),
        platform=_parse_platform(token.object_or_empty("platform")),
        launch=_parse_launch(token.object_or_empty("launch"), is_legacy=lti_version.startswith(_LEGACY_VERSIONS)),
        services=_parse_services(token.object_or_empty("services")),
        raw=token.members,
    )


def parse_raw_id_token(obj: object, asked: str = "GET raw id token") -> dict[str, object]:
    """The LMS's own claims: any object."""
    return JsonObject(obj, "", asked).members


def _parse_user(user: JsonObject) -> data.User:
    return data.User(
        lti_id=user.id("id"),
        roles=user.texts("roles"),
        name=user.text("name"),
        given_name=user.text("givenName"),
        family_name=user.text("familyName"),
        email=user.email("email"),
        picture=user.url("picture"),
    )


def _parse_platform(platform: JsonObject) -> data.Platform:
    return data.Platform(
        ltiaas_id=platform.id("id"),
        issuer=platform.optional_id("url", limit=MAX_URL),
        client_id=platform.optional_id("clientId") or platform.optional_id("consumerKey"),
        deployment_id=platform.optional_id("deploymentId"),
        name=platform.text("name"),
        guid=platform.text("guid"),
        product_family=platform.text("productFamilyCode"),
        version=platform.text("version"),
    )


def _parse_launch(launch: JsonObject, *, is_legacy: bool) -> data.Launch:
    shown = launch.object_or_empty("presentation")
    target = shown.text("documentTarget", "document_target")
    return data.Launch(
        type=_parse_launch_type(launch, LaunchType.LEGACY if is_legacy else LaunchType.RESOURCE_LINK),
        target=launch.url("target"),
        context=_parse_context(launch.object("context")),
        resource_link=_parse_resource_link(launch.object("resourceLink")),
        document_target=target if target in ("iframe", "frame", "window") else "",
        locale=shown.text("locale", limit=35),  # BCP 47 asks readers to take 35 characters (RFC 5646, section 4.4.1)
        return_url=shown.url("returnUrl", "return_url"),
        custom=_parse_custom(launch.object_or_empty("custom")),
    )


def _parse_launch_type(launch: JsonObject, default: LaunchType) -> LaunchType:
    text = launch.raw_text("type")
    if not text:
        return default
    try:
        return LaunchType(text)
    except ValueError:
        pass
    # An unknown message of the standard's family may be named; any other text might be anything.
    name = text if re.fullmatch(r"Lti[A-Za-z]{1,50}Request", text) else "it"
    launch.fail("type", f"{name} is no launch that we know")


def _parse_context(context: JsonObject | None) -> data.Context | None:
    if context is None:
        return None
    return data.Context(
        lti_id=context.id("id"), label=context.text("label"), title=context.text("title"), types=context.texts("type")
    )


def _parse_resource_link(link: JsonObject | None) -> data.ResourceLink | None:
    if link is None:
        return None
    return data.ResourceLink(
        lti_id=link.id("id"),
        title=link.text("title"),
        description=link.text("description", limit=MAX_DESCRIPTION),
    )


def _parse_custom(custom: JsonObject) -> dict[str, Any]:
    return {clean(name): _plain(value, custom, 0) for name, value in custom.members.items()}


def _plain(value: Any, custom: JsonObject, depth: int) -> Any:
    """A custom parameter as a database's JSON column takes it: LTI says text, some send more."""
    if depth > _MAX_DEPTH:
        custom.fail("", "nested too deeply")
    if isinstance(value, dict):
        return {clean(name): _plain(item, custom, depth + 1) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item, custom, depth + 1) for item in value]
    if isinstance(value, bool) or value is None:
        return value
    return clean(as_text(value) or "")


def _parse_services(services: JsonObject) -> data.Services:
    grades = services.object_or_empty("assignmentAndGrades")
    return data.Services(
        offers_roster=services.object_or_empty("namesAndRoles").flag("available") is True,
        offers_grades=grades.flag("available") is True,
        line_item_id=grades.optional_id("lineItemId", limit=MAX_LINE_ITEM_ID),
        scopes=grades.texts("scopes"),
        offers_deep_linking=services.object_or_empty("deepLinking").flag("available") is True,
        deep_linking=wire_content.parse_limits(services.object_or_empty("deepLinking")),
        service_key=_parse_key(services, "serviceKey"),
        legacy_service_key=_parse_key(services, "legacyServiceKey"),
    )


def _parse_key(services: JsonObject, name: str) -> str:
    key = services.raw_text(name)
    if key and not auth.is_usable_secret(key):
        services.fail(f"{name} (hidden)", "not visible ASCII, or too long")
    return key


# --- rosters --------------------------------------------------------------------------------------------------------


def parse_membership_page(obj: object, asked: str = "GET roster") -> tuple[list[data.Member], str | None]:
    """The members of one page and the next page's URL, if any. A page without a list of members is no page."""
    page = JsonObject(obj, "", asked)
    return page.items("members", _parse_member), _parse_next(page)


def parse_membership_page_unlike(
    known: Mapping[str, str], obj: object, asked: str = "GET roster"
) -> tuple[list[data.Member | str], str | None]:
    """The same, with only the user id of those whose fingerprint is the known one."""
    page = JsonObject(obj, "", asked)

    def id_if_known(item: Any) -> str | None:
        """By its raw texts: if they are last night's, they are as sound as they were then."""
        try:
            get, user_id = item.get, item["userId"]
            names = get("name", ""), get("givenName", ""), get("familyName", "")
            texts = (get("status", "Active"), *names, get("email", ""), get("picture", ""))
            if known.get(user_id) == data.member_fingerprint(item["roles"], texts):
                return user_id  # type: ignore[no-any-return]  # it is a key of `known`
        except (AttributeError, KeyError, TypeError):
            pass  # a member is missing, or no text
        return None

    return page.items("members", _parse_member, id_if_known), _parse_next(page)


def _parse_member(member: JsonObject) -> data.Member:
    return data.Member(
        user_id=member.id("userId", "user_id"),
        roles=member.texts("roles"),
        status=_parse_status(member),
        name=member.text("name"),
        given_name=member.text("givenName", "given_name"),
        family_name=member.text("familyName", "family_name"),
        email=member.email("email"),
        picture=member.url("picture"),
    )


def _parse_status(member: JsonObject) -> MembershipStatus:
    text = member.raw_text("status").strip()
    if not text:
        return MembershipStatus.ACTIVE
    try:
        return MembershipStatus(text.capitalize())
    except ValueError:
        pass
    # Guessing could take a person out of the course or keep one in: neither is ours to guess.
    member.fail("status", f"{text if text.isalpha() and len(text) <= 12 else 'it'} is no status that we know")


def _parse_next(page: JsonObject) -> str | None:
    text = page.raw_text("next")
    if UNSTORABLE.search(text):
        page.fail("next", "holds characters that no URL may hold")
    return text.strip() or None


# --- line items -----------------------------------------------------------------------------------------------------


def parse_line_item_page(obj: object, asked: str = "GET line items") -> tuple[list[data.LineItem], str | None]:
    """The line items of one page; LTIAAS's guide shows a bare list, its reference an object."""
    page = JsonObject({"lineItems": obj} if isinstance(obj, list) else obj, "", asked)
    return page.items("lineItems", _parse_line_item), _parse_next(page)


def parse_line_item(obj: object, asked: str = "GET line item") -> data.LineItem:
    """One line item, with its id."""
    return _parse_line_item(JsonObject(obj, "", asked))


def _parse_line_item(item: JsonObject) -> data.LineItem:
    maximum = item.amount("scoreMaximum")
    if maximum is None:
        item.fail("scoreMaximum", "missing")
    return data.LineItem(
        lti_id=item.id("id", limit=MAX_LINE_ITEM_ID),
        label=item.text("label"),
        score_maximum=maximum,
        resource_link_id=item.optional_id("resourceLinkId"),
        resource_id=item.optional_id("resourceId"),
        tag=item.optional_id("tag"),
        starts_at=item.moment("startDateTime"),
        ends_at=item.moment("endDateTime"),
        grades_released=item.flag("gradesReleased"),
    )


def render_line_item(line_item: data.LineItem) -> dict[str, object]:
    """The body of POST and PUT, without the id (it stands in the path; Schoology refuses it here)."""
    body: dict[str, object | None] = {
        "label": line_item.label,
        "scoreMaximum": render_amount(line_item.score_maximum),
        "resourceLinkId": line_item.resource_link_id or None,
        "resourceId": line_item.resource_id or None,
        "tag": line_item.tag or None,
        "startDateTime": render_moment(line_item.starts_at),
        "endDateTime": render_moment(line_item.ends_at),
        "gradesReleased": line_item.grades_released,
    }
    return without_nulls(body.items())


# --- scores and results ---------------------------------------------------------------------------------------------


def render_score(score: data.Score) -> dict[str, object]:
    """The body of POST scores. A score without a value says neither value nor maximum, which clears the grade.

    Raises `ValueError` for an amount that JSON could not carry exactly, a value without its maximum, a naive time.
    """
    if score.given is not None and score.maximum is None:
        raise ValueError("A score with a value needs its maximum.")
    own: dict[str, object | None] = {
        "userId": score.user_id,
        "activityProgress": score.activity_progress.value,
        "gradingProgress": score.grading_progress.value,
        "timestamp": render_moment(score.timestamp),
        "scoreGiven": None if score.given is None else render_amount(score.given),
        "scoreMaximum": None if score.given is None or score.maximum is None else render_amount(score.maximum),
        "comment": clean(score.comment) if score.comment.strip() else None,
    }
    return without_nulls((dict(score.extra) | own).items())


def parse_result_page(obj: object, asked: str = "GET results") -> tuple[list[data.Result], str | None]:
    """What the gradebook holds, one page of it."""
    page = JsonObject({"scores": obj} if isinstance(obj, list) else obj, "", asked)
    return page.items("scores", _parse_result), _parse_next(page)


def _parse_result(result: JsonObject) -> data.Result:
    says_comment = result.members.get("comment") is not None
    return data.Result(
        user_id=result.id("userId", "user_id"),
        lti_id=result.optional_id("id", limit=MAX_LINE_ITEM_ID),
        score=result.amount("resultScore"),
        maximum=result.amount("resultMaximum"),
        comment=clean(result.raw_text("comment")) if says_comment else None,
    )
