"""The quiz inside the LMS's frame, as a learner and a teacher see it in Chromium."""

from __future__ import annotations

import pytest
from playwright.sync_api import FrameLocator, Page, expect

from example_project.quiz.models import Submission
from ltiaas_django.sandbox import Sandbox
from tests.lms import night

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.urls("example_project.urls")]


def open_in_frame(page: Page, school: Sandbox, person: str) -> FrameLocator:
    page.goto(f"{school.origin}/courses/course-101/activities/quiz-1/?person={person}")
    return page.frame_locator("iframe")


def test_a_learner_answers_in_the_frame_and_the_grade_reaches_the_gradebook(page: Page, school: Sandbox) -> None:
    frame = open_in_frame(page, school, "2001")
    expect(frame.get_by_role("heading", level=1)).to_contain_text("Quiz 1: Averages")
    for group in frame.get_by_role("group").all():
        group.get_by_role("radio").first.check()
    frame.locator("form button[type=submit]").click()
    expect(frame.get_by_text("gradebook tonight")).to_be_visible()
    night("grades")
    [cell] = school.gradebook("course-101")
    assert (cell.user_id, cell.score) == ("2001", Submission.objects.get().points)
    page.goto(f"{school.origin}/courses/course-101/gradebook/")
    expect(page.get_by_role("row", name="Zoë Müller-Łukasiewicz")).to_contain_text(f"{cell.score:.0f}")


def test_the_frame_shows_a_readable_error_and_not_a_refusal_to_connect(page: Page, school: Sandbox) -> None:
    school.fail_next("/api/idtoken", status=401, body={"status": 401, "error": "Unauthorized"}, times=1)
    frame = open_in_frame(page, school, "2001")
    expect(frame.get_by_role("alert")).to_contain_text("from your course again")


def test_a_teacher_sees_who_answered(page: Page, school: Sandbox) -> None:
    frame = open_in_frame(page, school, "1001")
    expect(frame.get_by_text("has not been read yet")).to_be_visible()
    night("rosters")
    page.reload()
    for name in ("Zoë Müller-Łukasiewicz", "Liam O'Brien", "Mei-Ling Chen"):
        expect(frame.get_by_role("row", name=name)).to_be_visible()
