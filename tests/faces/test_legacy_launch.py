"""Launches of LTI 1.1 and 1.2: they sign in and store what they have, and what they cannot do says so."""

from __future__ import annotations

import pathlib
from typing import Any

import jsonschema
import pytest
import yaml
from django.test import Client

from ltiaas_django import exceptions, grades
from ltiaas_django.models import Launch, Membership, OutgoingScore, Platform, ServiceKey
from ltiaas_django.operations import connecting
from ltiaas_django.sandbox import idtoken
from tests.lms import Lms, launch_path, night

CONTRACT = pathlib.Path(__file__).parents[1] / "contract" / "ltiaas-openapi.yaml"
LAUNCH = "/lti/launch/"


def same_deployment(token: dict[str, Any]) -> None:
    """As if the LMS had been upgraded: the place is the same by LTI 1.1 and by LTI 1.3."""
    token["platform"]["deploymentId"] = "1"


def test_the_sandboxs_legacy_token_is_as_the_contract_says(lms: Lms) -> None:
    launch = lms.sandbox.launches.by_ltik(lms.sandbox.launch("course-101", "quiz-1", "2001", type="legacy"))
    course = lms.sandbox.courses["course-101"]
    token = idtoken.id_token(launch, course, lms.sandbox.profile, lms.sandbox.tool_url)
    contract = yaml.safe_load(CONTRACT.read_text(encoding="utf-8"))
    schema = {"$ref": "#/components/schemas/IdToken", "components": contract["components"]}
    jsonschema.Draft202012Validator(schema).validate(token)
    assert token["ltiVersion"] == "1.2.0"
    assert "serviceKey" not in token["services"]
    assert "clientId" not in token["platform"]


def test_a_legacy_launch_signs_in_and_stores_what_it_has(lms: Lms) -> None:
    browser, launch = lms.browse("2001", type="legacy")
    page = browser.get(LAUNCH, {"lti": launch.pk})
    assert page.status_code == 200
    assert "Zoë Müller-Łukasiewicz" in page.content.decode()
    assert page.wsgi_request.lti.is_legacy  # type: ignore[attr-defined]
    assert (launch.is_learner, launch.is_instructor) == (True, False)
    assert launch.context.lti_id == "course-101"
    assert Platform.objects.get().client_id == idtoken.CONSUMER_KEY
    assert Membership.objects.get().is_learner
    key = ServiceKey.objects.get()
    assert key.is_legacy
    assert key.reveal() in lms.sandbox.secrets()
    assert key.reveal() not in key.sealed


def test_a_launch_of_today_is_not_legacy(lms: Lms) -> None:
    assert not lms.launch("2001").is_legacy
    assert not ServiceKey.objects.get().is_legacy


def test_a_version_alone_tells_a_legacy_launch(lms: Lms) -> None:
    def without_type(token: dict[str, Any]) -> None:
        del token["launch"]["type"]

    assert lms.launch("2001", type="legacy", mutate=without_type).is_legacy


@pytest.mark.parametrize("claims", [{"available": True}, {"available": False}])
def test_a_legacy_key_is_never_used_whatever_the_launch_claims(lms: Lms, claims: dict[str, Any]) -> None:
    def claim(token: dict[str, Any]) -> None:
        token["services"]["namesAndRoles"] = token["services"]["assignmentAndGrades"] = claims

    launch = lms.launch("2001", type="legacy", mutate=claim)
    grades.record_score(launch, given=8, maximum=10)
    night()
    assert [request.path for request in lms.sandbox.requests if not request.path.startswith("/api/idtoken")] == []
    assert ServiceKey.objects.get().is_healthy


def test_the_sandbox_takes_a_legacy_key_for_no_service(lms: Lms) -> None:
    lms.launch("2001", type="legacy")
    with connecting.open_with_key(ServiceKey.objects.get()) as connection, pytest.raises(exceptions.Refused):
        list(connection.line_items())


def test_a_score_of_a_legacy_launch_is_kept_and_waits(lms: Lms) -> None:
    launch = lms.launch("2001", type="legacy")
    grades.record_score(launch, given=8, maximum=10)
    night("grades")
    score = OutgoingScore.objects.get()
    assert (score.state, score.given) == (OutgoingScore.State.WAITING, 8)
    with pytest.raises(exceptions.ServiceNotOffered, match=r"LTI 1\.1"), launch.open():
        pass


def test_a_launch_by_lti_1_3_replaces_the_key_and_sends_what_waited(lms: Lms) -> None:
    grades.record_score(lms.launch("2001", type="legacy", mutate=same_deployment), given=8, maximum=10)
    night("grades")
    lms.launch("2001")
    key = ServiceKey.objects.get()
    assert (key.is_legacy, key.offers_grades, key.offers_roster) == (False, True, True)
    night("grades")
    assert lms.grades()[("2001", "Quiz 1: Averages")][0] == 8


def test_a_legacy_launch_takes_no_better_key_away(lms: Lms) -> None:
    lms.launch("2001")
    before = ServiceKey.objects.values().get()
    lms.launch("2001", type="legacy", mutate=same_deployment)
    assert ServiceKey.objects.values().get() == before


def test_why_there_is_no_key_is_said_in_words(lms: Lms) -> None:
    def offers_nothing(token: dict[str, Any]) -> None:
        token["services"]["assignmentAndGrades"] = {"available": False}

    def why(launch: Launch) -> str:
        assert launch.context is not None
        return connecting.why_no_key(launch.context, "grades")

    legacy = lms.launch("2001", type="legacy")
    assert "LTI 1.1" in why(legacy)
    today = lms.launch("2001", mutate=offers_nothing)
    assert "does not offer" in why(today)
    lms.launch("2001")
    assert "no longer accepts" in why(today)
    ServiceKey.objects.all().delete()
    assert "next launch" in why(today)


@pytest.mark.parametrize("broken", [{}, "with space", "x" * 20_000, "ü"])
def test_a_legacy_key_that_can_be_none_signs_nobody_in_and_is_not_shown(lms: Lms, broken: Any) -> None:
    def spoil(token: dict[str, Any]) -> None:
        token["services"]["legacyServiceKey"] = broken

    url = launch_path(lms.sandbox.launch_url("course-101", "quiz-1", "2001", type="legacy", mutate=spoil))
    response = Client().get(url)
    assert response.status_code == 503
    assert "legacyServiceKey" in response.content.decode()
    assert not Launch.objects.exists()


def test_a_teacher_is_told_why_the_score_waits(lms: Lms) -> None:
    launch = lms.launch("2001", type="legacy")
    assert launch.resource_link is not None
    grades.record_score(launch, given=8, maximum=10)
    night("grades")
    [delivery] = grades.delivery(launch.resource_link)
    assert "LTI 1.1" in delivery.why
