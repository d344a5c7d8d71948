"""A teacher adds two quizzes to the course from the tool's picker; learners open them, and their grades arrive."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from django.core.management import call_command
from django.test import Client

from example_project.demo.pages import Page
from ltiaas_django.sandbox import Sandbox, SandboxServer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.urls("example_project.urls")]

COURSE, TEACHER, ZOE = "course-101", "1001", "2001"
ANSWERS = {
    "Spread": {"What is the range of 3, 5 and 11?": "8", "All values are the same. What is their variance?": "0"},
    "Chance": {"Two fair coins are thrown. How probable are two heads?": "1/4"},
}
WRONG = {
    "Spread": {"The variance is 16. What is the standard deviation?": "2"},
    "Chance": {"A die has shown three sixes. How probable is a six next?": "less than 1/6"},
}


@pytest.fixture
def sandbox(settings: Any) -> Any:
    sandbox = Sandbox(api_key="journey-api-key")
    with SandboxServer(sandbox) as server:
        settings.LTIAAS = {"URL": server.url, "API_KEY": sandbox.api_key}
        yield sandbox


def follow_to_tool(browser: Client, lms_page: requests.Response) -> Any:
    """Follow the LMS's redirect to the tool."""
    url = urlsplit(lms_page.headers["Location"])
    return browser.get(f"{url.path}?{url.query}", follow=True)


def test_from_the_picker_to_the_gradebook(sandbox: Sandbox) -> None:
    browser, course = Client(enforce_csrf_checks=True), sandbox.course(COURSE)
    columns = len(course.gradebook.line_items)

    frame = requests.get(f"{sandbox.origin}/courses/{COURSE}/deep-linking/?person={TEACHER}", timeout=10)
    assert "/deep-linking/launch/?person=1001" in frame.text
    to_tool = f"{sandbox.origin}/courses/{COURSE}/deep-linking/launch/?person={TEACHER}"
    response = follow_to_tool(browser, requests.get(to_tool, timeout=10, allow_redirects=False))
    picker = Page(response.content.decode())
    assert picker.heading == "Which quizzes do you want to add?"
    assert "Choose one or more" in picker.text
    [form] = picker.forms
    response = browser.post(form.action, {**form.fields, "choice": ["1", "2"]})
    answer = Page(response.content.decode())
    assert "Going back to your course" in answer.heading
    back, _of_ltiaas = answer.forms
    done = requests.post(back.action, back.fields, timeout=10)
    assert Page(done.text).heading == "2 activities added"

    added = [activity for activity in course.activities.values() if activity.item]
    assert [(activity.title, activity.custom) for activity in added] == [
        ("Spread", {"quiz": "spread"}),
        ("Chance", {"quiz": "chance"}),
    ]
    for activity in added:
        page = f"{sandbox.origin}/courses/{COURSE}/activities/{activity.id}/launch/?person={ZOE}"
        response = follow_to_tool(browser, requests.get(page, timeout=10, allow_redirects=False))
        quiz = Page(response.content.decode())
        assert quiz.heading == activity.title
        [form] = quiz.forms
        given = form.fill_in(ANSWERS[activity.title] | WRONG[activity.title])
        assert browser.post(form.action, given, follow=True).status_code == 200
    call_command("ltiaas_sync", "grades", verbosity=0)

    assert len(course.gradebook.line_items) == columns + 2, "a second column was made for an activity"
    assert [(cell.line_item.label, cell.score, cell.maximum) for cell in sandbox.gradebook(COURSE)] == [
        ("Spread", 5, 8),
        ("Chance", 2, 5),
    ]
    again = requests.post(back.action, back.fields, timeout=10)
    assert (again.status_code, "Nothing was added twice" in again.text) == (400, True)


def test_an_activitys_own_query_parameters_come_back_with_each_launch(sandbox: Sandbox) -> None:
    url = f"{sandbox.origin}/lti/launch?page=3&topic=a%26b"
    activity = sandbox.course(COURSE).add_activity("Page 3")
    activity.item = {"type": "ltiResourceLink", "url": url}
    query = parse_qs(urlsplit(sandbox.launch_url(COURSE, activity.id, ZOE)).query)
    assert (query["page"], query["topic"]) == (["3"], ["a&b"])
