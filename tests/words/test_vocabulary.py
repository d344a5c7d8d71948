"""Roles come from an allow-list: what is not on it gives no rights."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ltiaas_django import vocabulary
from ltiaas_django.vocabulary import Role

CONTEXT = "http://purl.imsglobal.org/vocab/lis/v2/membership"
INSTITUTION = "http://purl.imsglobal.org/vocab/lis/v2/institution/person"
SYSTEM = "http://purl.imsglobal.org/vocab/lis/v2/system/person"
TEST_USER = "http://purl.imsglobal.org/vocab/lti/system/person#TestUser"


@pytest.mark.parametrize(
    ("text", "role"),
    [
        # LTI Core 1.3, appendix A.2.3: the principal context roles
        (f"{CONTEXT}#Administrator", Role.ADMINISTRATOR),
        (f"{CONTEXT}#ContentDeveloper", Role.CONTENT_DEVELOPER),
        (f"{CONTEXT}#Instructor", Role.INSTRUCTOR),
        (f"{CONTEXT}#Learner", Role.LEARNER),
        # sub-roles count as their principal, an assistant as herself
        (f"{CONTEXT}/Learner#GuestLearner", Role.LEARNER),
        (f"{CONTEXT}/Learner#NonCreditLearner", Role.LEARNER),
        (f"{CONTEXT}/Instructor#PrimaryInstructor", Role.INSTRUCTOR),
        (f"{CONTEXT}/Instructor#Grader", Role.INSTRUCTOR),
        (f"{CONTEXT}/Instructor#TeachingAssistant", Role.TEACHING_ASSISTANT),
        (f"{CONTEXT}/Instructor#TeachingAssistantGroup", Role.TEACHING_ASSISTANT),
        (f"{CONTEXT}#TeachingAssistant", Role.TEACHING_ASSISTANT),
        # short names, which the specification allows for context roles
        ("Instructor", Role.INSTRUCTOR),
        ("Learner", Role.LEARNER),
        ("Student", Role.LEARNER),
        ("TeachingAssistant", Role.TEACHING_ASSISTANT),
        # the names of LTI 1.1
        ("urn:lti:role:ims/lis/Instructor", Role.INSTRUCTOR),
        ("urn:lti:role:ims/lis/Learner", Role.LEARNER),
        ("urn:lti:role:ims/lis/Learner/GuestLearner", Role.LEARNER),
        ("urn:lti:role:ims/lis/TeachingAssistant", Role.TEACHING_ASSISTANT),
        ("urn:lti:role:ims/lis/TeachingAssistant/Grader", Role.TEACHING_ASSISTANT),
    ],
)
def test_context_roles_are_known(text, role):
    assert Role.parse(text) is role


@pytest.mark.parametrize(
    "text",
    [
        # observers: a parent sees, but is neither teacher nor learner
        f"{CONTEXT}#Mentor",
        f"{CONTEXT}/Mentor#Advisor",
        f"{CONTEXT}/Mentor#LearningSupport",
        "Mentor",
        "urn:lti:role:ims/lis/Mentor",
        # who a person is elsewhere says nothing about this course
        f"{INSTITUTION}#Instructor",
        f"{INSTITUTION}#Administrator",
        f"{INSTITUTION}#Student",
        f"{INSTITUTION}#Observer",
        f"{SYSTEM}#SysAdmin",
        f"{SYSTEM}#Administrator",
        "urn:lti:instrole:ims/lis/Instructor",
        "urn:lti:sysrole:ims/lis/SysAdmin",
        TEST_USER,
        # known to the specification, but no rights are tied to them
        f"{CONTEXT}#Manager",
        f"{CONTEXT}#Member",
        f"{CONTEXT}#Officer",
        # unknown, misspelled or dressed up
        "",
        "instructor",
        "Instructor ",
        "Teacher",
        "Grader",
        f"{CONTEXT}#",
        f"{CONTEXT}/",
        f"{CONTEXT}#Instructor#Learner",
        "http://example.com/vocab/membership#Instructor",
        "https://purl.imsglobal.org/vocab/lis/v2/membership#Instructor",
    ],
)
def test_everything_else_gives_no_rights(text):
    assert Role.parse(text) is None
    assert not vocabulary.is_instructor([text])
    assert not vocabulary.is_learner([text])
    assert vocabulary.context_roles([text]) == frozenset()


def test_an_unknown_role_takes_nothing_from_a_known_one():
    roles = [f"{INSTITUTION}#Student", f"{CONTEXT}#Wizard", f"{CONTEXT}#Learner"]
    assert vocabulary.context_roles(roles) == {Role.LEARNER}
    assert vocabulary.is_learner(roles)
    assert not vocabulary.is_instructor(roles)


@pytest.mark.parametrize("role", [f"{CONTEXT}#Instructor", f"{CONTEXT}/Instructor#TeachingAssistant"])
def test_instructors_and_assistants_teach(role):
    assert vocabulary.is_instructor([role])
    assert not vocabulary.is_learner([role])


@pytest.mark.parametrize("role", [f"{CONTEXT}#Administrator", f"{CONTEXT}#ContentDeveloper"])
def test_other_context_roles_neither_teach_nor_learn(role):
    assert not vocabulary.is_instructor([role])
    assert not vocabulary.is_learner([role])


@pytest.mark.parametrize(
    ("roles", "teaches", "learns"),
    [
        # Canvas: an assistant is named twice, an observer is a mentor, its test student learns
        ([f"{CONTEXT}/Instructor#TeachingAssistant", f"{CONTEXT}#Instructor"], True, False),
        ([f"{CONTEXT}#Mentor", f"{INSTITUTION}#Observer"], False, False),
        ([f"{CONTEXT}#Learner", f"{INSTITUTION}#Student", TEST_USER], False, True),
        # an administrator who looks in without being enrolled, and one who is enrolled as a learner
        ([f"{INSTITUTION}#Administrator", f"{SYSTEM}#User"], False, False),
        ([f"{INSTITUTION}#Administrator", f"{CONTEXT}#Learner"], False, True),
    ],
)
def test_what_lmss_send_together(roles, teaches, learns):
    assert (vocabulary.is_instructor(roles), vocabulary.is_learner(roles)) == (teaches, learns)


def test_the_test_user_is_named_by_its_own_role_only():
    assert vocabulary.is_test_user([f"{CONTEXT}#Learner", TEST_USER])
    assert not vocabulary.is_test_user([f"{CONTEXT}#Learner", "TestUser"])
    assert not vocabulary.is_test_user([])


@given(st.text())
def test_no_text_breaks_the_parser(text):
    assert Role.parse(text) in {None, *Role}
