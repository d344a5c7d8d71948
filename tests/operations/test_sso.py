"""Which Django user a person becomes (musts 1 and 6)."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser
from django.test import Client

from ltiaas_django import data, exceptions
from ltiaas_django.models import LtiUser, Platform
from ltiaas_django.operations import sso
from tests.lms import Lms, launch_path

User = get_user_model()
EMAIL = "zoe.mueller@school.example"


@pytest.fixture
def trusted(lms: Lms) -> Lms:
    """A platform that the operator has trusted with e-mail linking, before its person 2001 ever launched."""
    lms.launch("1001")
    Platform.objects.update(account_linking="email")
    return lms


def test_email_links_nobody_unless_the_operator_turned_it_on(lms: Lms) -> None:
    known = User.objects.create_user("zoe", email=EMAIL)
    assert lms.launch("2001").user != known


def test_email_links_a_plain_active_user_once_it_is_on(trusted: Lms) -> None:
    known = User.objects.create_user("zoe", email=EMAIL.upper())
    assert trusted.launch("2001").user == known
    User.objects.filter(pk=known.pk).update(email="changed@school.example")
    assert trusted.launch("2001").user == known


@pytest.mark.parametrize("trait", ["is_staff", "is_superuser", "inactive", "twice", "taken"])
def test_email_never_links_privileged_inactive_shared_or_taken_accounts(trusted: Lms, trait: str) -> None:
    known = User.objects.create_user("zoe", email=EMAIL)
    match trait:
        case "inactive":
            User.objects.filter(pk=known.pk).update(is_active=False)
        case "twice":
            User.objects.create_user("zoe2", email=EMAIL)
        case "taken":
            LtiUser.objects.create(platform=Platform.objects.get(), lti_id="other", user=known)
        case _:
            User.objects.filter(pk=known.pk).update(**{trait: True})
    user = trusted.launch("2001").user
    assert user != known
    assert user.get_username().startswith("lti-")


def test_a_launch_never_makes_staff_or_superusers(lms: Lms) -> None:
    def everything(token: dict[str, Any]) -> None:
        token["user"]["roles"] = [
            "http://purl.imsglobal.org/vocab/lis/v2/system/person#SysAdmin",
            "http://purl.imsglobal.org/vocab/lis/v2/membership#Administrator",
            "Administrator",
        ]
        token["user"]["is_staff"] = token["user"]["is_superuser"] = True

    user = User.objects.get(pk=lms.launch("1001", mutate=everything).user.pk)
    assert not user.is_staff
    assert not user.is_superuser


def test_a_test_student_that_was_reset_is_another_person(lms: Lms) -> None:
    def test_student(token: dict[str, Any]) -> None:
        token["user"]["roles"].append("http://purl.imsglobal.org/vocab/lti/system/person#TestUser")

    before, after = (lms.launch(one, mutate=test_student) for one in ("2001", "2002"))
    assert before.user != after.user
    assert after.is_test_user
    assert after.is_learner


@pytest.mark.services
def test_an_address_that_only_looks_alike_links_nobody(postgresql: None, trusted: Lms) -> None:
    """To PostgreSQL a dotless i, in capitals, is an I (Django's CVE-2019-19844)."""

    def lookalike(token: dict[str, Any]) -> None:
        token["user"]["email"] = "mıke@example.org"

    user = User.objects.create_user("mike", email="mike@example.org")
    assert trusted.launch("2001", mutate=lookalike).user != user


class Refusing(sso.SsoPolicy):
    def check(self, user: AbstractBaseUser) -> None:
        raise exceptions.SsoRefused("Only on Tuesdays.")


class ByName(sso.SsoPolicy):
    def username_for(self, lti_user: LtiUser, id_token: data.IdToken) -> str:
        return f"school-{id_token.user.lti_id}"


def test_the_policy_is_replaced_by_a_dotted_path(lms: Lms, settings: Any) -> None:
    settings.LTIAAS = {**settings.LTIAAS, "SSO_POLICY": f"{__name__}.ByName"}
    assert lms.launch("2001").user.get_username() == "school-2001"
    settings.LTIAAS = {**settings.LTIAAS, "SSO_POLICY": f"{__name__}.Refusing"}
    response = Client().get(launch_path(lms.sandbox.launch_url("course-101", "quiz-1", "2002")))
    assert response.status_code == 403
    assert "Only on Tuesdays." in response.content.decode()
    assert not LtiUser.objects.filter(lti_id="2002").exists()
