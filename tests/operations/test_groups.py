"""Django groups follow active memberships, by launch and by roster, and nothing else is touched."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.db import connection, transaction
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from ltiaas_django import exceptions
from ltiaas_django.models import Context, LtiUser, Membership, Platform
from ltiaas_django.operations import groups, linking
from ltiaas_django.testing import factories
from ltiaas_django.vocabulary import Role
from tests.lms import Lms, launch_path, night

User = get_user_model()
CONTEXT = "http://purl.imsglobal.org/vocab/lis/v2/membership"
INSTITUTION = "http://purl.imsglobal.org/vocab/lis/v2/institution/person"
MAP = {"Instructor": "teachers", "Learner": "course-{context}-learners", "TeachingAssistant": "assistants"}


@pytest.fixture
def mapped(lms: Lms, settings: Any) -> Lms:
    settings.LTIAAS = {**settings.LTIAAS, "ROLE_GROUPS": MAP}
    return lms


def of(user: Any) -> set[str]:
    return set(user.groups.values_list("name", flat=True))


@pytest.mark.parametrize(
    ("roles", "expected"),
    [
        ([f"{CONTEXT}#Instructor"], {"teachers"}),
        ([f"{CONTEXT}#Learner"], {"learners"}),
        ([f"{CONTEXT}/Instructor#TeachingAssistant"], {"assistants"}),
        ([f"{CONTEXT}/Instructor#TeachingAssistant", f"{CONTEXT}#Instructor"], {"assistants", "teachers"}),
        ([f"{CONTEXT}#Mentor"], set()),
        ([f"{INSTITUTION}#Instructor", f"{INSTITUTION}#Administrator"], set()),
        ([f"{CONTEXT}#Administrator"], set()),
        ([], set()),
    ],
)
def test_a_launch_gives_the_groups_of_its_context_roles(mapped: Lms, roles: list[str], expected: set[str]) -> None:
    def mutate(token: dict[str, Any]) -> None:
        token["user"]["roles"] = roles

    launch = mapped.launch("2001", mutate=mutate)
    assert launch.context is not None
    names = {name.replace("learners", f"course-{launch.context.pk}-learners") for name in expected}
    assert of(launch.user) == names
    assert not launch.user.is_staff


def test_a_roster_gives_and_takes_groups_and_touches_no_others(mapped: Lms) -> None:
    teacher, learner = mapped.launch("1001"), mapped.launch("2001")
    assert teacher.context is not None
    learners = f"course-{teacher.context.pk}-learners"
    by_hand = Group.objects.create(name="course-9-learners-of-last-year")
    teacher.user.groups.add(by_hand)
    course = mapped.sandbox.courses["course-101"]
    course.remove_person("1001")
    course.change_role("2001", Role.INSTRUCTOR)
    night("rosters")
    assert of(teacher.user) == {by_hand.name}
    assert of(learner.user) == {"teachers"}
    course.restore_person("1001")
    course.change_role("2001", Role.LEARNER)
    Context.objects.update(roster_synced_at=None)
    night("rosters")
    assert of(teacher.user) == {by_hand.name, "teachers"}
    assert of(learner.user) == {learners}


def test_a_group_stays_as_long_as_one_course_gives_it(mapped: Lms) -> None:
    one = mapped.launch("2003")
    other = mapped.launch("2003", "essay-1", "course-102")
    assert one.context is not None
    assert other.context is not None
    assert one.user == other.user
    assert of(one.user) == {f"course-{launch.context.pk}-learners" for launch in (one, other) if launch.context}
    Membership.objects.filter(context=one.context).update(status=Membership.Status.INACTIVE)
    groups.follow([one.user.pk])
    assert of(one.user) == {f"course-{other.context.pk}-learners"}


def test_a_person_who_is_asked_gets_groups_once_it_is_settled_and_loses_them_when_parted(mapped: Lms) -> None:
    mapped.launch("1002")
    Platform.objects.update(account_linking="ask")
    account = User.objects.create_user("zoe")
    Client().get(launch_path(mapped.sandbox.launch_url("course-101", "quiz-1", "1001")))
    person = LtiUser.objects.get(lti_id="1001")
    assert person.is_provisional
    assert of(person.user) == set()
    assert linking.link(person.launches.get(), account)
    assert of(account) == {"teachers"}
    assert linking.unlink(person)
    assert of(account) == set()


def test_many_people_cost_as_many_statements_as_few(
    db: None, settings: Any, django_assert_max_num_queries: Callable[..., Any]
) -> None:
    settings.LTIAAS = {**settings.LTIAAS, "ROLE_GROUPS": MAP}
    context = factories.ContextFactory()
    people = [
        factories.MembershipFactory(
            context=context,
            lti_user=factories.LtiUserFactory(platform=context.platform, user=factories.UserFactory()),
        )
        for _ in range(40)
    ]
    with django_assert_max_num_queries(14):
        groups.follow_memberships([one.pk for one in people])
    assert Group.objects.get(name=f"course-{context.pk}-learners").user_set.count() == 40
    with django_assert_max_num_queries(6):
        groups.follow_memberships([one.pk for one in people])


def test_without_the_setting_nothing_is_asked(db: None, django_assert_num_queries: Callable[..., Any]) -> None:
    with django_assert_num_queries(0):
        groups.follow([1, 2])
        groups.follow_memberships([1, 2])


@given(st.dictionaries(st.sampled_from([*Role, "Mentor", "x"]) | st.integers(), st.text() | st.none(), max_size=3))
def test_any_dict_is_a_map_or_a_typed_error(value: dict[Any, Any]) -> None:
    try:
        rules = groups.parse_rules(value)
    except exceptions.ConfigurationError:
        return
    assert set(rules) <= set(Role)


def test_a_wrong_map_is_a_readable_page(lms: Lms, settings: Any) -> None:
    settings.LTIAAS = {**settings.LTIAAS, "ROLE_GROUPS": {"Teacher": "x"}}
    response = Client().get(launch_path(lms.sandbox.launch_url("course-101", "quiz-1", "2001")))
    assert response.status_code == 503
    assert "not set up correctly" in response.content.decode()


@pytest.mark.services
@pytest.mark.django_db(transaction=True)
def test_two_courses_that_change_at_once_see_each_other(
    postgresql: None, transactional_db: None, settings: Any
) -> None:
    """One makes her a teacher and is not committed yet when the other, which takes the role away, looks around."""
    settings.LTIAAS = {**settings.LTIAAS, "ROLE_GROUPS": {"Instructor": "teachers"}}
    user = factories.UserFactory()
    person = factories.LtiUserFactory(user=user)
    roles = [f"{CONTEXT}#Instructor"]
    joined, left = (
        factories.MembershipFactory(
            context=factories.ContextFactory(platform=person.platform), lti_user=person, roles=roles, status=status
        )
        for status in ("Inactive", "Active")
    )
    groups.follow([user.pk])
    looked = threading.Event()

    def take_away() -> None:
        with transaction.atomic():
            Membership.objects.filter(pk=left.pk).update(status="Inactive")
            looked.set()
            groups.follow_memberships([left.pk])
        connection.close()

    thread = threading.Thread(target=take_away)
    with transaction.atomic():
        Membership.objects.filter(pk=joined.pk).update(status="Active")
        groups.follow_memberships([joined.pk])
        thread.start()
        assert looked.wait(10)
        thread.join(0.3)
        assert thread.is_alive()  # waits for this transaction
    thread.join(10)
    assert of(user) == {"teachers"}
