"""The quiz inside the LMS's frame, in a browser that allows third-party cookies and in one that blocks them."""

from __future__ import annotations

import itertools
import re
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from example_project.quiz.models import Submission
from ltiaas_django.sandbox import Sandbox
from tests.browser.people import (
    JOSE,
    LIAM,
    TEACHER,
    ZOE,
    answer,
    grades,
    open_in_frame,
    sees_quiz,
    sees_result,
    sign_in,
)
from tests.browser.servers import Pages, Tool
from tests.lms import night

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.urls("tests.browser.urls")]

AGAIN = re.compile(r"Please open “Quiz 1: Averages” from the course .* again")
TEST_USER = "http://purl.imsglobal.org/vocab/lti/system/person#TestUser"


def test_a_learner_answers_reloads_goes_back_and_answers_again(page: Page, school: Sandbox, tool: Tool) -> None:
    frame = open_in_frame(page, school, ZOE)
    sees_quiz(frame, "Quiz 1: Averages")
    answer(frame, 1)
    assert sees_result(frame) == "2"
    page.frames[1].evaluate("location.reload()")
    assert sees_result(frame) == "2"
    page.evaluate("history.back()")  # as the button does; the frame goes back, not the page around it
    answer(frame, 2)
    assert sees_result(frame) == "3"
    page.reload()  # the LMS launches anew
    answer(frame, 0)
    assert sees_result(frame) == "5"
    with tool.idle():
        night("grades")
    assert grades(school) == {(ZOE, "quiz-1"): 5}
    page.goto(f"{school.origin}/courses/course-101/gradebook/")
    expect(page.get_by_role("row", name="Zoë Müller-Łukasiewicz")).to_contain_text("5 / 10")


def test_the_same_launch_again_is_harmless_in_the_same_browser(page: Page, school: Sandbox, lms_pages: Pages) -> None:
    launch = school.launch_url("course-101", "quiz-1", ZOE)
    lms_pages.html["/course"] = f'<iframe src="{launch}"></iframe>'
    page.goto(f"{lms_pages.url}/course")
    sees_quiz(page.frame_locator("iframe"))
    page.reload()
    sees_quiz(page.frame_locator("iframe"))
    assert "ltik" not in page.frames[1].url


def test_three_frames_on_one_page_stay_apart(page: Page, school: Sandbox, tool: Tool, lms_pages: Pages) -> None:
    activities = {"quiz-1": 0, "quiz-2": 1, "lab-1": 2}
    lms_pages.html["/course"] = "".join(
        f'<iframe id="{activity}" src="{school.launch_url("course-101", activity, ZOE)}"></iframe>'
        for activity in activities
    )
    tool.delays = itertools.cycle([0.3, 0.0, 0.6, 0.1])
    page.goto(f"{lms_pages.url}/course")
    for activity in activities:
        sees_quiz(page.frame_locator(f"#{activity}"), school.course("course-101").activity(activity).title)
    for activity, choice in activities.items():
        answer(page.frame_locator(f"#{activity}"), choice)
    assert [sees_result(page.frame_locator(f"#{activity}")) for activity in activities] == ["5", "2", "3"]
    with tool.idle():
        night("grades")
    assert grades(school) == {(ZOE, "quiz-1"): 5, (ZOE, "quiz-2"): 2, (ZOE, "lab-1"): 6}  # of 20, where we say of 10


def test_two_tabs_with_two_courses_stay_apart(browser: BrowserContext, school: Sandbox, tool: Tool) -> None:
    first = browser.new_page()
    statistics = open_in_frame(first, school, JOSE)
    sees_quiz(statistics)
    second = browser.new_page()
    history = open_in_frame(second, school, JOSE, "essay-1", "course-102")
    sees_quiz(history, "Essay: 1848")
    first.bring_to_front()
    answer(statistics, 0)
    assert sees_result(statistics) == "5"
    second.bring_to_front()
    answer(history, 1)
    assert sees_result(history) == "2"
    with tool.idle():
        night("grades")
    assert grades(school) == {(JOSE, "quiz-1"): 5}
    assert grades(school, "course-102") == {(JOSE, "essay-1"): 2}


def test_a_second_person_ends_the_first_ones_page(browser: BrowserContext, school: Sandbox, tool: Tool) -> None:
    first = browser.new_page()
    zoe = open_in_frame(first, school, ZOE)
    sees_quiz(zoe)
    second = browser.new_page()
    liam = open_in_frame(second, school, LIAM)
    sees_quiz(liam)
    first.bring_to_front()
    answer(zoe)  # on the page that is still there
    expect(zoe.get_by_text(AGAIN)).to_be_visible()
    with tool.idle():
        assert not Submission.objects.exists()
    second.bring_to_front()
    answer(liam, 1)
    assert sees_result(liam) == "2"
    first.bring_to_front()
    sees_quiz(open_in_frame(first, school, ZOE))
    with tool.idle():
        night("grades")
    assert grades(school) == {(LIAM, "quiz-1"): 2}


def test_a_teacher_and_her_test_student(browser: BrowserContext, school: Sandbox, tool: Tool, lms_pages: Pages) -> None:
    school.course("course-101").add_person("Test Student", user_id="9001")

    def mark(id_token: dict[str, Any]) -> None:
        id_token["user"]["roles"].append(TEST_USER)

    test_launch = school.launch_url("course-101", "quiz-1", "9001", mutate=mark)
    lms_pages.html["/student-view"] = f'<iframe src="{test_launch}"></iframe>'
    first = browser.new_page()
    learners = open_in_frame(first, school, TEACHER).get_by_role("link", name="Preview the quiz")
    expect(learners).to_be_visible()
    second = browser.new_page()
    second.goto(f"{lms_pages.url}/student-view")
    answer(second.frame_locator("iframe"), 0)
    assert sees_result(second.frame_locator("iframe")) == "5"
    first.bring_to_front()
    learners.click()
    expect(first.frame_locator("iframe").get_by_text(AGAIN)).to_be_visible()
    expect(open_in_frame(first, school, TEACHER).get_by_text("Learner", exact=True)).to_be_visible()
    expect(first.frame_locator("iframe").get_by_role("row", name="Test Student")).to_contain_text("5 of 10")


def sees_admin(desk: Page) -> None:
    expect(desk.locator("#user-tools")).to_contain_text("operator")
    expect(desk.get_by_role("link", name="Platforms").first).to_be_visible()


def test_an_operator_stays_signed_in_beside_a_frame(browser: BrowserContext, school: Sandbox, tool: Tool) -> None:
    desk = browser.new_page()
    sign_in(desk, tool)
    desk.goto(f"{tool.url}/admin/")
    sees_admin(desk)
    course = browser.new_page()
    frame = open_in_frame(course, school, ZOE)
    answer(frame)
    assert sees_result(frame) == "5"
    desk.bring_to_front()
    desk.get_by_role("link", name="Scores").first.click()
    sees_admin(desk)
    expect(desk.locator("#result_list")).to_contain_text("Zoë")
    course.bring_to_front()
    course.frames[1].evaluate("location.reload()")
    assert sees_result(frame) == "5"


def test_the_frame_shows_a_readable_error_and_not_a_refusal_to_connect(page: Page, school: Sandbox) -> None:
    school.fail_next("/api/idtoken", status=401, body={"status": 401, "error": "Unauthorized"}, times=1)
    frame = open_in_frame(page, school, ZOE)
    expect(frame.get_by_role("alert")).to_contain_text("from your course again")


def test_a_teacher_sees_who_answered(page: Page, school: Sandbox, tool: Tool) -> None:
    frame = open_in_frame(page, school, TEACHER)
    expect(frame.get_by_text("has not been read yet")).to_be_visible()
    with tool.idle():
        night("rosters")
    page.reload()
    for name in ("Zoë Müller-Łukasiewicz", "Liam O'Brien", "Mei-Ling Chen"):
        expect(frame.get_by_role("row", name=name)).to_be_visible()
