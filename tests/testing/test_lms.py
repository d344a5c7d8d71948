"""What the fixtures do, asked of the fixtures themselves."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.urls import get_urlconf, set_urlconf
from django.utils import timezone, translation

from ltiaas_django import grades
from ltiaas_django.models import Launch, Membership, OutgoingScore
from ltiaas_django.operations import connecting
from ltiaas_django.testing import Browser

pytestmark = pytest.mark.urls("example_project.urls")

IN_PROCESS = pytest.mark.lti_sandbox(transport="in_process")
TRANSPORTS = [
    pytest.param("socket", marks=pytest.mark.lti_sandbox(transport="socket")),
    pytest.param("in_process", marks=IN_PROCESS),
]


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_from_a_launch_to_the_gradebook_and_back_with_the_roster(
    transport, lti_sandbox, lti_launch, lti_gradebook, lti_night
):
    assert lti_sandbox.origin.endswith(".invalid") is (transport == "in_process")
    browser = lti_launch("Learner")
    assert browser.page.status_code == 200
    assert browser.page.wsgi_request.lti == browser.launch
    assert browser.launch.claimed_at
    grades.record_score(browser.launch, given="7.5", maximum=10, comment="Ünïcode")
    book = lti_gradebook(deliver=False)
    assert book == {}
    book = lti_gradebook()
    assert book[browser] == 7.5
    assert book == {("quiz-1", "2001"): 7.5}
    assert book.cell("quiz-1", "2001").comment == "Ünïcode"
    lti_night("rosters")
    assert Membership.objects.filter(is_learner=True).count() == 5


@IN_PROCESS
def test_a_role_chooses_the_first_who_has_it(lti_launch):
    assert [lti_launch(role).person.id for role in (None, "Learner", "Instructor")] == ["2001", "2001", "1001"]
    assert lti_launch("Instructor").launch.is_instructor


@IN_PROCESS
def test_another_profile_makes_the_school_another_platform(lti_launch, lti_gradebook):
    plain, canvas = lti_launch(), lti_launch(profile="canvas")
    assert plain.launch.context.platform != canvas.launch.context.platform
    assert canvas.launch.lti_user.lti_id != canvas.person.id == "2001"
    grades.record_score(canvas.launch, given=3, maximum=10)
    assert lti_gradebook() == {("quiz-1", "2001"): 3}
    assert lti_launch(profile="canvas").launch.context == canvas.launch.context


@IN_PROCESS
def test_people_and_places_are_named_by_id_or_given(lti_sandbox, lti_launch):
    course = lti_sandbox.add_course("art", "Art")
    activity, kim = course.add_activity("Draw"), course.add_person("Kim Example")
    by_id = lti_launch(course="art", activity=activity.id, person=kim.id)
    given = lti_launch(course=course, activity=activity, person=kim)
    assert by_id.launch.resource_link == given.launch.resource_link
    assert by_id.launch.lti_user.name == given.launch.lti_user.name == "Kim Example"
    assert by_id.launch != given.launch


@IN_PROCESS
def test_another_tab_shares_the_browsers_cookies(lti_launch):
    first = lti_launch(activity="quiz-1")
    second = lti_launch(activity="quiz-2", beside=first)
    for tab in (first, second):
        page = tab.get(tab.lti_url("quiz:show"))
        assert page.wsgi_request.lti == tab.launch
    stranger = lti_launch(activity="quiz-2", person="2002")
    assert stranger.get(first.lti_url("quiz:show")).status_code == 403


@IN_PROCESS
def test_deep_linking_needs_no_activity(lti_launch):
    browser = lti_launch("Instructor", type="deep_linking")
    assert browser.launch.type == Launch.Type.DEEP_LINKING
    assert b"Which quizzes do you want to add?" in browser.page.content


@IN_PROCESS
def test_a_grade_that_is_not_there_is_explained(lti_launch, lti_gradebook):
    browser = lti_launch()
    with pytest.raises(KeyError, match="Not sent yet: nothing, as far as the tool has recorded"):
        lti_gradebook()[browser]
    grades.record_score(browser.launch, given=7, maximum=10)
    book = lti_gradebook(deliver=False)
    with pytest.raises(KeyError, match=r"No grade of 2001 in quiz-1.*Zoë.*: due"):
        book[browser]
    assert book.get(browser) is None
    assert browser not in book


@IN_PROCESS
def test_a_second_column_of_an_activity_goes_by_its_label(lti_launch, lti_gradebook):
    browser = lti_launch()
    grades.record_score(browser.launch, given=1, maximum=2)
    grades.record_score(browser.launch, given=2, maximum=2, label="Bonus", tag="bonus")
    assert lti_gradebook() == {("quiz-1", "2001"): 5, ("Bonus", "2001"): 2}


@IN_PROCESS
def test_the_gradebook_of_another_course_is_no_place_for_a_launch(lti_launch, lti_gradebook):
    browser = lti_launch(course="course-102")
    assert lti_gradebook(browser) == {}
    with pytest.raises(ValueError, match="gradebook of course-101"):
        lti_gradebook()[browser]


@IN_PROCESS
def test_the_clock_moves_django_and_the_lms_together(lti_sandbox, lti_launch, lti_clock):
    browser = lti_launch()
    before = timezone.now()
    lti_clock.advance(hours=20)
    lti_clock.advance(hours=5)
    for now in (timezone.now(), lti_sandbox.clock.now(), lti_clock.now()):
        assert timedelta(hours=25) <= now - before < timedelta(hours=25, minutes=1)
    assert lti_launch().launch.created_at > before + timedelta(hours=25)
    assert browser.get(browser.lti_url("quiz:show")).status_code == 403  # a launch lasts for a day


def test_the_clock_is_right_again_afterwards(lti_sandbox):
    assert abs(timezone.now() - lti_sandbox.clock.now()) < timedelta(seconds=5)
    assert OutgoingScore.__name__  # the clock of the test before this one has moved 25 hours


@IN_PROCESS
def test_the_sandbox_leaves_the_requests_urls_and_language_alone(lti_sandbox):
    set_urlconf("tests.urls")
    try:
        with translation.override("es"):
            assert connecting.account().accepts_api_key()
            assert translation.get_language() == "es"
        assert get_urlconf() == "tests.urls"
    finally:
        set_urlconf(None)


# --- what goes wrong is explained ---


@IN_PROCESS
@pytest.mark.urls("example_project.quiz.urls")
def test_a_launch_url_that_is_not_mounted(lti_launch):
    with pytest.raises(ImproperlyConfigured, match=r'example_project.quiz.urls has no launch URL.*include\("ltiaas'):
        lti_launch()


@IN_PROCESS
def test_settings_that_no_longer_point_at_the_sandbox(settings, lti_launch, lti_gradebook):
    settings.LTIAAS = {"URL": "https://school.ltiaas.com", "API_KEY": "made-up"}
    for use in (lti_launch, lti_gradebook):
        with pytest.raises(ImproperlyConfigured, match=r"is https://school.ltiaas.com, and not the sandbox"):
            use()


@IN_PROCESS
def test_the_tools_other_settings_are_kept(settings, request):
    settings.LTIAAS = {**settings.LTIAAS, "SEND": "on_commit"}
    sandbox = request.getfixturevalue("lti_sandbox")
    assert settings.LTIAAS["SEND"] == "on_commit"
    assert settings.LTIAAS["URL"] == sandbox.origin


@IN_PROCESS
def test_a_launch_that_the_tool_refuses(lti_sandbox, lti_launch):
    def without_person(id_token):
        del id_token["user"]

    with pytest.raises(AssertionError, match=r"2001's launch of quiz-1 of course-101 did not work: \d+ at /lti/"):
        lti_launch(mutate=without_person)


@IN_PROCESS
def test_a_launch_that_fails_by_a_wrong_setting(settings, lti_launch):
    settings.MIDDLEWARE = settings.MIDDLEWARE[1:]
    with pytest.raises(AttributeError, match="'lti'") as caught:
        lti_launch()
    [note] = caught.value.__notes__
    assert note.startswith("ltiaas.E008: ")
    assert 'Write MIDDLEWARE = ["ltiaas_django.middleware.LtiMiddleware", ...]' in note


@IN_PROCESS
def test_nobody_in_the_role_and_nothing_to_open(lti_sandbox, lti_launch):
    course = lti_sandbox.add_course("art", "Art")
    with pytest.raises(LookupError, match=r'Nobody in art is Instructor: lti_sandbox.course\("art"\).add_person'):
        lti_launch("Instructor", course="art")
    course.add_person("Kim Example", "Instructor", user_id="77")
    with pytest.raises(LookupError, match="77 is Instructor of art, and no Learner"):
        lti_launch("Learner", course="art", person="77")
    with pytest.raises(LookupError, match=r"art has no activity: .*add_activity"):
        lti_launch("Instructor", course="art")


def test_a_browser_is_a_test_client(lti_launch):
    browser = lti_launch()
    assert isinstance(browser, Browser)
    assert browser.session["_auth_user_id"] == str(browser.launch.user.pk)
