"""The six tests that every LTI tool should have. docs/how-to/testing.md goes through them."""

import pytest
from pytest_django.asserts import assertContains, assertNotContains, assertTemplateUsed

pytestmark = pytest.mark.lti_sandbox(transport="in_process")


def hand_in(browser, *, all_right):
    """Answer every question of the page that the launch has opened."""
    answers = {
        name: next(choice for choice in question.choice_texts() if question.is_right(choice) is all_right)
        for name, question in browser.page.context["form"].questions.items()
    }
    return browser.post(browser.lti_url("quiz:show"), answers, follow=True)


def test_a_learner_sees_their_activity(lti_launch):
    learner = lti_launch("Learner", activity="quiz-2")
    assertContains(learner.page, "Quiz 2: Spread &amp; variance")
    assertTemplateUsed(learner.page, "quiz/show.html")


def test_only_teachers_see_the_teachers_page(lti_launch):
    teacher, learner = lti_launch("Instructor"), lti_launch("Learner")
    assertTemplateUsed(teacher.page, "quiz/teacher.html")
    assert learner.get(learner.lti_url("quiz:teacher")).status_code == 403
    assert learner.get(teacher.lti_url("quiz:teacher")).status_code == 403  # a launch's id is no ticket


def test_two_tabs_do_not_mix(lti_launch, lti_gradebook):
    statistics = lti_launch(person="2003", course="course-101", activity="quiz-1")
    history = lti_launch(person="2003", course="course-102", activity="reading-1", beside=statistics)
    hand_in(statistics, all_right=True)  # in the tab that was opened first
    assert lti_gradebook(statistics) == {("quiz-1", "2003"): 10}
    assert lti_gradebook(history) == {}


def test_grades_reach_the_gradebook_and_0_is_one(lti_launch, lti_gradebook):
    zoe, liam = lti_launch(person="2001"), lti_launch(person="2002")
    hand_in(zoe, all_right=True)
    hand_in(liam, all_right=False)
    gradebook = lti_gradebook()
    assert gradebook[zoe] == 10
    assert gradebook[liam] == 0


@pytest.mark.parametrize("failure", ["drop_after", "gateway", "throttle", "refused_key"])
def test_a_grade_arrives_once_when_the_lms_fails(failure, lti_launch, lti_faults, lti_clock, lti_gradebook):
    learner = lti_launch("Learner")
    hand_in(learner, all_right=True)
    lti_faults(failure, route="scores")
    lti_gradebook()
    lti_clock.advance(hours=1)
    lti_launch("Instructor")  # brings a new key, should the LMS have refused the one that there was
    gradebook = lti_gradebook()
    assert gradebook[learner] == 10
    assert gradebook.cell(learner).posts == 1


def test_who_has_left_is_no_longer_listed(lti_launch, lti_sandbox, lti_night):
    teacher = lti_launch("Instructor")
    lti_night("rosters")
    assertContains(teacher.get(teacher.lti_url("quiz:teacher")), "Mei-Ling Chen")
    lti_sandbox.course("course-101").remove_person("2005")
    lti_night("rosters")
    assertNotContains(teacher.get(teacher.lti_url("quiz:teacher")), "Mei-Ling Chen")
