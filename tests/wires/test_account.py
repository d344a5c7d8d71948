"""The account's platforms and registrations: to the letter of the contract, at either prefix, whatever comes back."""

from __future__ import annotations

import dataclasses
import pathlib
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ltiaas_django import data, exceptions
from ltiaas_django.connections.ltiaas import wire_account
from ltiaas_django.connections.ltiaas.account import Account
from ltiaas_django.connections.ltiaas.auth import ApiKeyAuth
from ltiaas_django.connections.ltiaas.http import Endpoint
from ltiaas_django.sandbox import Sandbox, SandboxServer

from .misbehaving import Server, reply

API_KEY = "api-key"
CONTRACT = yaml.safe_load(
    (pathlib.Path(__file__).parents[1] / "contract" / "ltiaas-openapi.yaml").read_text(encoding="utf-8")
)
SCHOOL = data.PlatformRegistration(
    issuer="https://lms.school.example",
    client_id="c 1",
    name="Schule “Süd”",
    authentication_endpoint="https://lms.school.example/auth?a=1",
    access_token_endpoint="https://lms.school.example/token",
    auth_method="JWK_SET",
    auth_key="https://lms.school.example/jwks",
)
MESSAGES = (
    data.RegistrationMessage(type="LtiResourceLinkRequest"),
    data.RegistrationMessage(type="LtiDeepLinkingRequest", placements=("ContentArea",)),
)


def check(body: dict[str, Any], schema: dict[str, Any]) -> None:
    closed = {**schema, "components": CONTRACT["components"], "unevaluatedProperties": False}
    jsonschema.Draft202012Validator(closed).validate(body)


def test_what_is_sent_is_as_the_contract_says() -> None:
    check(wire_account.render_platform(SCHOOL), {"$ref": "#/components/schemas/PlatformBody"})
    complete = CONTRACT["paths"]["/api/registrations/{registrationId}/complete"]["post"]
    schema = complete["requestBody"]["content"]["application/json"]["schema"]
    check(wire_account.render_approval("A school", activate=False, messages=MESSAGES), schema)


@pytest.mark.parametrize("hidden_prefix", ["/api/platforms", "/admin/platforms"])
def test_every_call_finds_its_prefix_and_comes_back_as_it_went(hidden_prefix: str) -> None:
    sandbox = Sandbox(api_key=API_KEY)
    with SandboxServer(sandbox) as server:
        account = Account(Endpoint(server.url, deadline=10), ApiKeyAuth(API_KEY))
        sandbox.fail_next(hidden_prefix, status=404, body="<html>Not Found</html>", times=100)
        made = account.register_platform(SCHOOL)
        assert account.platform(made.ltiaas_id) == made
        assert (made.issuer, made.client_id, made.name, made.auth_key, made.is_active) == (
            SCHOOL.issuer, SCHOOL.client_id, SCHOOL.name, SCHOOL.auth_key, True,
        )  # fmt: skip
        account.deactivate_platform(made.ltiaas_id)
        assert [one.is_active for one in account.platforms(issuer=SCHOOL.issuer, client_id="c 1")] == [False]
        account.activate_platform(made.ltiaas_id)
        assert account.platform(made.ltiaas_id).is_active
        assert account.replace_platform(dataclasses.replace(made, name="New name")).name == "New name"
        account.delete_platform(made.ltiaas_id)
        with pytest.raises(exceptions.NotFound):
            account.platform(made.ltiaas_id)
        assert len(account.platforms()) == 1


def test_a_registration_is_read_and_approved_once() -> None:
    sandbox = Sandbox(api_key=API_KEY)
    with SandboxServer(sandbox) as server:
        account = Account(Endpoint(server.url, deadline=10), ApiKeyAuth(API_KEY))
        waiting = sandbox.registrations.start(supportedMessages=[{"type": "A", "placements": ["p", "q"]}])
        request = account.registration(waiting.id)
        assert (request.issuer, request.product_family, request.version) == (server.url, "moodle", "2025100600")
        assert request.messages == (data.RegistrationMessage(type="A", placements=("p", "q")),)
        assert account.raw_registration(waiting.id)["issuer"] == server.url
        approved = account.complete_registration(
            waiting.id, name="S", activate=True, messages=[data.RegistrationMessage(type="A", placements=("q",))]
        )
        assert (account.platform(approved.ltiaas_id).name, waiting.messages) == (
            "S", [{"type": "A", "placements": ["q"]}],
        )  # fmt: skip
        assert "org.imsglobal.lti.close" in approved.html
        assert approved.html not in repr(approved)
        with pytest.raises(exceptions.NotFound):
            account.complete_registration(waiting.id, name="S", activate=True, messages=[])


@pytest.mark.parametrize("identifier", ["../platforms", "a/b?c=d", "a%2Fb", "ü\u2028", "..", "", "\ud800"])
def test_an_id_cannot_leave_its_place_in_the_path(server: Server, identifier: str) -> None:
    server.answer_with(*[reply(200, {"url": "https://x.example", "supportedMessages": []})] * 2)
    account = Account(Endpoint(server.url), ApiKeyAuth(API_KEY))
    try:
        account.registration(identifier)
    except exceptions.InvalidRequest:
        assert server.requests == []
        return
    rest = server.requests[0].target.removeprefix("/api/registrations/")
    assert not set(rest) & set("/?#& ")


# --- whatever comes back --------------------------------------------------------------------------------------------

KEYS = st.sampled_from(
    [
        *("id", "url", "clientId", "name", "authConfig", "method", "key", "active", "publicKey", "platforms", "html"),
        *("familyCode", "version", "supportedScopes", "supportedMessages", "type", "placements", "platformId"),
    ]
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=300),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=6),
    max_leaves=30,
)
PARSERS = [
    wire_account.parse_platforms,
    wire_account.parse_platform,
    wire_account.parse_registration,
    wire_account.parse_raw_registration,
    wire_account.parse_approved,
]


@given(parse=st.sampled_from(PARSERS), answer=ANYTHING)
def test_any_json_gives_a_value_or_a_typed_error(parse: Any, answer: Any) -> None:
    try:
        parse(answer)
    except exceptions.InvalidResponse:
        pass


REGISTRATION = {"url": "https://lms.example", "familyCode": "f", "version": "1", "supportedScopes": ["s"],
                "supportedMessages": [{"type": "A", "placements": ["p"]}]}  # fmt: skip


@given(st.sampled_from(sorted(REGISTRATION)), ANYTHING)
def test_what_is_read_of_a_registration_fits_into_a_row_and_on_a_page(member: str, value: Any) -> None:
    blamed, request = "", data.RegistrationRequest()
    try:
        request = wire_account.parse_registration({**REGISTRATION, member: value})
    except exceptions.InvalidResponse as error:
        blamed = error.detail
    assert not blamed or blamed.startswith(member)
    for text, limit in ((request.issuer, 2000), (request.product_family, 255), (request.version, 255)):
        assert len(text) <= limit
        assert "\x00" not in text
        text.encode()
    assert all(len(message.type) <= 255 for message in request.messages)


def test_a_registration_without_end_is_refused() -> None:
    messages = [{"type": f"M{n}", "placements": ["p"] * 100} for n in range(10)]
    with pytest.raises(exceptions.InvalidResponse, match="more than 500"):
        wire_account.parse_registration({**REGISTRATION, "supportedMessages": messages})
