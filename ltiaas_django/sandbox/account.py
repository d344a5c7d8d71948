"""The endpoints that the bare API key opens: platforms and registrations. JSON names as the contract spells them."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from django.http import HttpResponse

from . import errors, validation
from .services import Call
from .validation import Field
from .web import json_response

METHODS = ("JWK_SET", "JWK_KEY", "RSA_KEY")


def _auth_config(value: Any) -> dict[str, Any]:
    fields = {
        "method": Field(validation.one_of(METHODS), required=True),
        "key": Field(validation.non_empty, required=True),
    }
    return validation.read_object(value, fields)


def _message(value: Any) -> dict[str, Any]:
    fields = {"type": Field(validation.non_empty, required=True), "placements": Field(_texts)}
    return validation.read_object(value, fields)


def _messages(value: Any) -> list[dict[str, Any]]:
    if not isinstance(value, list):
        raise errors.BadRequest("`messages` must be a list.", code="INVALID_REQUEST_BODY")
    return [_message(one) for one in value]


def _texts(value: Any) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise errors.BadRequest("`placements` must be a list of strings.", code="INVALID_REQUEST_BODY")
    return value


_PLATFORM = {
    "url": Field(validation.non_empty, required=True),
    "clientId": Field(validation.non_empty, required=True),
    "name": Field(validation.non_empty, required=True),
    "authenticationEndpoint": Field(validation.non_empty, required=True),
    "accesstokenEndpoint": Field(validation.non_empty, required=True),
    "authConfig": Field(_auth_config, required=True),
}
_APPROVAL = {
    "platformName": Field(validation.non_empty),
    "autoActivate": Field(validation.boolean),
    "messages": Field(_messages),
}

# -- platforms ---------------------------------------------------------------------------------------------------------


def list_platforms(call: Call) -> HttpResponse:
    query = validation.read_query(call.query, {"id", "url", "clientId"})
    everything = call.sandbox.platforms.all()
    found = [one for one in everything if all(one[name] == value for name, value in query.items())]
    return json_response({"platforms": found})


def register_platform(call: Call) -> HttpResponse:
    validation.read_query(call.query, ())
    return json_response(call.sandbox.platforms.add(validation.read_object(call.read_body(), _PLATFORM)))


def get_platform(call: Call) -> HttpResponse:
    validation.read_query(call.query, ())
    return json_response(call.sandbox.platforms.shown(call.item))


def replace_platform(call: Call) -> HttpResponse:
    validation.read_query(call.query, ())
    body = validation.read_object(call.read_body(), _PLATFORM)
    return json_response(call.sandbox.platforms.replace(call.item, body))


def delete_platform(call: Call) -> HttpResponse:
    validation.read_query(call.query, ())
    call.sandbox.platforms.delete(call.item)
    return HttpResponse(status=HTTPStatus.NO_CONTENT)


def activate_platform(call: Call) -> HttpResponse:
    validation.read_query(call.query, ())
    call.sandbox.platforms.set_active(call.item, is_active=True)
    return HttpResponse(status=HTTPStatus.OK)


def deactivate_platform(call: Call) -> HttpResponse:
    validation.read_query(call.query, ())
    call.sandbox.platforms.set_active(call.item, is_active=False)
    return HttpResponse(status=HTTPStatus.OK)


# -- registrations -----------------------------------------------------------------------------------------------------


def get_registration(call: Call) -> HttpResponse:
    raw = validation.read_flag(validation.read_query(call.query, {"raw"}), "raw")
    said = call.sandbox.registrations.get_open(call.item).said
    return json_response(_configuration(said) if raw else said)


def complete_registration(call: Call) -> HttpResponse:
    validation.read_query(call.query, ())
    body = validation.read_object(call.read_body(), _APPROVAL)
    done = call.sandbox.registrations.complete(
        call.item,
        body.get("platformName", "LMS"),
        body.get("messages"),
        activate=body.get("autoActivate", False),
    )
    return json_response(done)


def _configuration(said: dict[str, Any]) -> dict[str, Any]:
    """The LMS's own OpenID configuration (LTI Dynamic Registration 1.0, section 2.1)."""
    origin = said["url"]
    return {
        "issuer": origin,
        "authorization_endpoint": f"{origin}/mod/lti/auth.php",
        "token_endpoint": f"{origin}/mod/lti/token.php",
        "jwks_uri": f"{origin}/mod/lti/certs.php",
        "registration_endpoint": f"{origin}/mod/lti/openid-registration.php",
        "scopes_supported": said["supportedScopes"],
        "https://purl.imsglobal.org/spec/lti-platform-configuration": {
            "product_family_code": said["familyCode"],
            "version": said["version"],
            "messages_supported": said["supportedMessages"],
        },
    }
