"""JSON <-> data, for what belongs to the account: platforms and their registration. camelCase stays here, as in `wire`.

What an LMS says of itself before anybody approved it is read like everything else: texts are cleaned and cut, and what
cannot be right raises `InvalidResponse` naming the field.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ltiaas_django import data
from ltiaas_django.connections.ltiaas.reading import MAX_URL, JsonObject

MAX_KEY: Final = 16_384  # a JWK of RSA 4096 is about 800 characters
_MAX_OFFERS: Final = 500  # messages and placements; each is a box to tick on a page

# --- platforms ------------------------------------------------------------------------------------------------------


def parse_platforms(obj: object, asked: str = "GET platforms") -> list[data.PlatformRegistration]:
    """The account's platforms; one page holds all."""
    answer = JsonObject({"platforms": obj} if isinstance(obj, list) else obj, "", asked)
    return answer.items("platforms", _parse_platform)


def parse_platform(obj: object, asked: str = "GET platform") -> data.PlatformRegistration:
    """One platform, with its id."""
    return _parse_platform(JsonObject(obj, "", asked))


def _parse_platform(platform: JsonObject) -> data.PlatformRegistration:
    auth = platform.object_or_empty("authConfig")
    return data.PlatformRegistration(
        ltiaas_id=platform.id("id"),
        issuer=platform.optional_id("url", limit=MAX_URL),
        client_id=platform.optional_id("clientId"),
        name=platform.text("name"),
        authentication_endpoint=platform.optional_id("authenticationEndpoint", limit=MAX_URL),
        access_token_endpoint=platform.optional_id("accesstokenEndpoint", limit=MAX_URL),
        auth_method=auth.text("method", limit=32),
        auth_key=auth.optional_id("key", limit=MAX_KEY),
        public_key=platform.text("publicKey", limit=MAX_KEY),
        is_active=platform.flag("active"),
    )


def render_platform(platform: data.PlatformRegistration) -> dict[str, object]:
    """The body of POST and PUT: all that a person says of the platform. Its id stands in the path."""
    return {
        "url": platform.issuer,
        "clientId": platform.client_id,
        "name": platform.name,
        "authenticationEndpoint": platform.authentication_endpoint,
        "accesstokenEndpoint": platform.access_token_endpoint,
        "authConfig": {"method": platform.auth_method, "key": platform.auth_key},
    }


# --- registrations --------------------------------------------------------------------------------------------------


def parse_registration(obj: object, asked: str = "GET registration") -> data.RegistrationRequest:
    """What an LMS that wants to be registered says of itself."""
    request = JsonObject(obj, "", asked)
    messages = request.items("supportedMessages", _parse_message)
    if sum(1 + len(message.placements) for message in messages) > _MAX_OFFERS:
        request.fail("supportedMessages", f"more than {_MAX_OFFERS} messages and placements")
    return data.RegistrationRequest(
        issuer=request.optional_id("url", limit=MAX_URL),
        product_family=request.text("familyCode"),
        version=request.text("version"),
        scopes=request.texts("supportedScopes")[:_MAX_OFFERS],
        messages=tuple(messages),
    )


def _parse_message(message: JsonObject) -> data.RegistrationMessage:
    return data.RegistrationMessage(type=message.id("type"), placements=message.texts("placements"))


def parse_raw_registration(obj: object, asked: str = "GET raw registration") -> dict[str, object]:
    """The LMS's own configuration: any object."""
    return JsonObject(obj, "", asked).members


def render_approval(name: str, *, activate: bool, messages: Sequence[data.RegistrationMessage]) -> dict[str, object]:
    """The body that approves a registration."""
    return {
        "platformName": name,
        "autoActivate": activate,
        "messages": [{"type": message.type, "placements": list(message.placements)} for message in messages],
    }


def parse_approved(obj: object, asked: str = "POST registration") -> data.ApprovedRegistration:
    """What comes back for an approval."""
    answer = JsonObject(obj, "", asked)
    return data.ApprovedRegistration(ltiaas_id=answer.id("platformId"), html=answer.raw_text("html"))
