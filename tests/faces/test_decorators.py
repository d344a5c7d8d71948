"""Pages for people who have launched, or who have a role in the course: functions, classes, and both kinds of async."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.views import View

from ltiaas_django import vocabulary
from ltiaas_django.decorators import lti_required, role_required
from ltiaas_django.mixins import LtiRequiredMixin
from ltiaas_django.vocabulary import Role
from tests import urls as site
from tests.lms import Lms

CONTEXT = "http://purl.imsglobal.org/vocab/lis/v2/membership"
RETURN_URL = "https://lms.example/course/7"
acted: list[str] = []


def page(request: HttpRequest) -> HttpResponse:
    acted.append(request.path)
    return HttpResponse(f"for {request.lti.lti_user.lti_id}")  # type: ignore[attr-defined]


async def async_page(request: HttpRequest) -> HttpResponse:
    return page(request)


def named_quincy(roles: Iterable[str]) -> bool:
    return "quincy" in roles


class TeachersMixin(LtiRequiredMixin):
    required_roles = [Role.INSTRUCTOR, Role.TEACHING_ASSISTANT]


class TeachersView(TeachersMixin, View):
    def get(self, request: HttpRequest) -> HttpResponse:
        return page(request)


class AsyncTeachersView(TeachersMixin, View):
    async def get(self, request: HttpRequest) -> HttpResponse:
        return page(request)


teachers = role_required(Role.INSTRUCTOR, Role.TEACHING_ASSISTANT)
urlpatterns = [
    path("anybody/", lti_required(page)),
    path("anybody/async/", lti_required(async_page)),
    path("teachers/", teachers(page)),
    path("teachers/async/", teachers(async_page)),
    path("teachers/class/", TeachersView.as_view()),
    path("teachers/class/async/", AsyncTeachersView.as_view()),
    path("teachers/predicate/", role_required(vocabulary.is_instructor)(page)),
    path("quincy/", role_required(named_quincy)(page)),
    *site.urlpatterns,
]
FOR_ANYBODY = ["anybody/", "anybody/async/"]
FOR_TEACHERS = ["teachers/", "teachers/async/", "teachers/class/", "teachers/class/async/", "teachers/predicate/"]


@pytest.fixture(autouse=True)
def fresh(settings: Any) -> None:
    settings.ROOT_URLCONF = __name__
    acted.clear()


def launched_as(lms: Lms, *roles: str) -> Any:
    """A browser whose launch names these roles, and what to name the launch by."""

    def mutate(token: dict[str, Any]) -> None:
        token["user"]["roles"] = list(roles)
        token["launch"]["presentation"]["returnUrl"] = RETURN_URL

    browser, launch = lms.browse("2001", mutate=mutate)
    return lambda url: browser.get(f"/{url}", {"lti": str(launch.pk)})


def test_every_page_needs_a_launch_and_does_nothing_without(lms: Lms, client: Any) -> None:
    for url in [*FOR_ANYBODY, *FOR_TEACHERS]:
        response = client.get(f"/{url}")
        assert response.status_code == 403
        assert "opens only from an activity in your course" in response.content.decode()
    assert acted == []


@pytest.mark.parametrize(
    ("roles", "teaches"),
    [
        ([f"{CONTEXT}#Instructor"], True),
        ([f"{CONTEXT}/Instructor#TeachingAssistant"], True),
        ([f"{CONTEXT}#Learner", f"{CONTEXT}#Instructor"], True),
        ([f"{CONTEXT}#Learner"], False),
        ([f"{CONTEXT}#Mentor"], False),
        (["http://purl.imsglobal.org/vocab/lis/v2/institution/person#Instructor"], False),
        ([], False),
    ],
)
def test_a_role_is_needed_where_one_is_named(lms: Lms, roles: list[str], teaches: bool) -> None:
    get = launched_as(lms, *roles)
    for url in FOR_ANYBODY:
        assert get(url).content == b"for 2001"
    acted.clear()
    for url in FOR_TEACHERS:
        assert get(url).status_code == (200 if teaches else 403), url
    assert acted == ([f"/{url}" for url in FOR_TEACHERS] if teaches else [])


def test_a_refusal_says_whom_the_page_is_for_and_leads_back_to_the_course(lms: Lms) -> None:
    get = launched_as(lms, f"{CONTEXT}#Learner")
    text = get("teachers/").content.decode()
    assert "This page is for the teachers and teaching assistants of the course." in text
    assert f'href="{RETURN_URL}"' in text
    assert "not for the role that you have" in get("quincy/").content.decode()
    assert "X-Frame-Options" not in get("teachers/").headers


@pytest.mark.parametrize("wrong", ["Instructor", None, 7])
def test_what_is_no_role_is_said_when_the_view_is_written(wrong: Any) -> None:
    with pytest.raises(TypeError, match=r"no vocabulary\.Role"):
        role_required(wrong)
    with pytest.raises(TypeError, match=r"no vocabulary\.Role"):
        type("Wrong", (LtiRequiredMixin, View), {"required_roles": [wrong]})


def test_a_role_has_to_be_named() -> None:
    with pytest.raises(TypeError, match="one role at least"):
        role_required()
