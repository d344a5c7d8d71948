"""Content items as the contract spells them; and what the LMS says it takes, from both forms of the ID token."""

from __future__ import annotations

import pathlib
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ltiaas_django import content_items as c
from ltiaas_django import exceptions
from ltiaas_django.connections.ltiaas import reading, wire, wire_content
from ltiaas_django.sandbox import content as lms
from ltiaas_django.sandbox import validation
from ltiaas_django.sandbox.credentials import Launch
from ltiaas_django.vocabulary import LaunchType
from tests import content

CONTRACT = yaml.safe_load((pathlib.Path(__file__).parents[1] / "contract" / "ltiaas-openapi.yaml").read_text("utf-8"))
REQUEST = jsonschema.Draft202012Validator(
    {"$ref": "#/components/schemas/DeepLinkingRequest", "components": CONTRACT["components"]},
    format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER,
)
NOW = datetime(2026, 11, 1, tzinfo=UTC)
URL = "https://your.ltiaas.com"
NAMES = ["accept_types", "accept_multiple", "accept_media_types", "title", "user_id"]
SETTINGS = "https://purl.imsglobal.org/spec/lti-dl/claim/deep_linking_settings"


@given(st.lists(content.items, max_size=3))
def test_every_item_that_can_be_made_keeps_to_the_contract_and_is_taken(items: list[c.ContentItem]) -> None:
    body = wire_content.render_answer(c.Answer(items=tuple(items), message="Done"), URL)
    sent = validation.read_json(reading.encode(body))
    REQUEST.validate(body)
    launch = Launch("c", None, "p", LaunchType.DEEP_LINKING, "iframe", NOW, deep_linking=lms.read_settings(None))
    assert len(lms.read_answer(sent, launch, f"{URL}/lti/launch").items) == len(items)


def test_an_activitys_url_is_the_accounts_launch_url() -> None:
    item = c.ResourceLinkItem(query={"page": "a&b"}, line_item=c.LineItem(score_maximum=Decimal("7.50")))
    assert wire_content.render_item(item, URL) == {
        "type": "ltiResourceLink",
        "url": f"{URL}/lti/launch?page=a%26b",
        "lineItem": {"scoreMaximum": 7.5},
    }


def test_a_refusal_has_its_own_names() -> None:
    refusal = c.Answer(message="No", log="why", is_refusal=True)
    assert wire_content.render_answer(refusal, URL) == {
        "contentItems": [],
        "options": {"errMessage": "No", "errLog": "why"},
    }


odd: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner),
)


def token(kind: str, said: dict[str, Any]) -> Any:
    return wire.parse_id_token(
        {
            "user": {"id": "7"},
            "platform": {"id": "p"},
            "launch": {"type": kind},
            "services": {"deepLinking": {"available": True, **said}},
        }
    )


def test_the_lmss_own_claims_complete_what_ltiaas_says() -> None:
    said = token("LtiDeepLinkingRequest", {"acceptTypes": ["link"], "acceptMediaTypes": "image/*, text/html"})
    assert wire_content.lacks_claims(said)
    claims = {SETTINGS: {"accept_types": ["html"], "accept_multiple": False, "accept_media_types": "x/y"}}
    limits = wire_content.with_claims(said, claims, "GET").services.deep_linking
    assert (limits.accept_types, limits.accept_multiple, limits.accept_media_types) == (
        ("link",),
        False,
        ("image/*", "text/html"),
    )
    targets = {"acceptPresentationDocumentTargets": ["iframe"], "acceptMultiple": True}
    assert not wire_content.lacks_claims(token("LtiDeepLinkingRequest", {"acceptTypes": ["link"], **targets}))
    assert not wire_content.lacks_claims(token("LtiResourceLinkRequest", {}))


@pytest.mark.parametrize("as_list", [True, False])
def test_media_types_are_all_kept_however_they_are_written(as_list: bool) -> None:
    kinds = [f"application/vnd.openxmlformats-officedocument.kind-{number}" for number in range(9)]
    text = ", ".join(kinds)
    said = token("LtiDeepLinkingRequest", {"acceptMediaTypes": [text] if as_list else text})
    assert said.services.deep_linking.accept_media_types == tuple(kinds)


@pytest.mark.parametrize(("text", "meant"), [("true", True), ("false", False), ("maybe", None)])
def test_a_no_that_comes_as_text_is_a_no(text: str, meant: bool | None) -> None:
    limits = token("LtiDeepLinkingRequest", {"acceptMultiple": text}).services.deep_linking
    claims = {SETTINGS: {"accept_multiple": text}}
    completed = wire_content.with_claims(token("LtiDeepLinkingRequest", {}), claims, "GET").services.deep_linking
    assert limits.accept_multiple is completed.accept_multiple is meant


@given(odd)
def test_odd_claims_end_in_the_typed_error(value: Any) -> None:
    for kind, claim in (
        ("LtiDeepLinkingRequest", SETTINGS),
        ("LtiSubmissionReviewRequest", "https://purl.imsglobal.org/spec/lti/claim/for_user"),
    ):
        try:
            wire_content.with_claims(token(kind, {}), {claim: value}, "GET")
        except exceptions.InvalidResponse:
            pass


@pytest.mark.parametrize(
    "answer", [{}, {"message": "x"}, {"message": "x", "target": "javascript:alert(1)"}, {"target": "https://x"}, []]
)
def test_a_target_is_a_web_address(answer: Any) -> None:
    with pytest.raises(exceptions.InvalidResponse):
        wire_content.parse_message(answer)
