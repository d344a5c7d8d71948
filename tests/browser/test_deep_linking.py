"""From the course page to the tool's picker in the LMS's frame, and back to activities that work."""

from __future__ import annotations

from decimal import Decimal

import pytest
from playwright.sync_api import Page, expect

from ltiaas_django.sandbox import Sandbox
from tests.browser.people import TEACHER, ZOE, answer, grades, open_in_frame, sees_result
from tests.browser.servers import Tool
from tests.lms import night

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.urls("example_project.urls")]


def test_a_teacher_picks_two_quizzes_with_the_keyboard_and_a_learner_answers_one(
    page: Page, school: Sandbox, tool: Tool
) -> None:
    page.goto(f"{school.origin}/courses/course-101/?person={TEACHER}")
    page.get_by_role("button", name="Add activities from the tool").click()
    frame = page.frame_locator("iframe")
    frame.get_by_role("button", name="Add to the course").click()
    expect(frame.get_by_role("alert")).to_contain_text("choose something first")
    group = frame.get_by_role("group", name="Choose one or more")
    group.get_by_label("Spread").focus()
    page.keyboard.press("Space")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    page.keyboard.press("Enter")
    expect(frame.get_by_role("heading", level=1)).to_have_text("2 activities added")
    frame.get_by_role("link", name="Back to the course").click()
    expect(page.get_by_role("heading", name="Chance")).to_be_visible()

    added = [activity for activity in school.course("course-101").activities.values() if activity.item]
    assert [activity.title for activity in added] == ["Spread", "Chance"]
    quiz = open_in_frame(page, school, ZOE, added[1].id)
    expect(quiz.get_by_role("group", name="Two fair coins are thrown")).to_be_visible()
    answer(quiz)
    points = sees_result(quiz)
    with tool.idle():
        night("grades")
    assert grades(school) == {(ZOE, added[1].id): Decimal(points)}
    assert [item.label for item in school.course("course-101").line_items_of(added[1].id)] == ["Chance"]


def test_cancelling_adds_nothing_and_says_so(page: Page, school: Sandbox) -> None:
    page.goto(f"{school.origin}/courses/course-101/deep-linking/?person={TEACHER}")
    frame = page.frame_locator("iframe")
    frame.get_by_role("button", name="Cancel").click()
    expect(frame.get_by_role("heading", level=1)).to_have_text("Nothing was added")
    expect(frame.get_by_role("alert")).to_have_text("Nothing was chosen.")
