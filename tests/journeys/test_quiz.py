"""The example's quiz, from the launch to the LMS's gradebook."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from example_project.demo.pages import Page
from example_project.quiz.models import Question, Submission
from ltiaas_django import grades
from ltiaas_django.models import OutgoingScore
from ltiaas_django.sandbox import Sandbox, SandboxServer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.urls("example_project.urls")]

COURSE = "course-101"
TEACHER, ZOE, LIAM = "1001", "2001", "2002"
MEAN, MEDIAN, MODE, MOVES = (
    "What is the mean of 2, 4 and 9?",
    "What is the median of 1, 3, 3, 8 and 20?",
    "What is the mode of 4, 7, 7 and 9?",
    "One very large value joins many small ones. Which average moves most?",
)
ALL_RIGHT = {MEAN: "5", MEDIAN: "3", MODE: "7", MOVES: "the mean"}  # 2 + 2 + 3 + 3 points


@pytest.fixture
def sandbox(settings):
    sandbox = Sandbox(api_key="journey-api-key")
    with SandboxServer(sandbox) as server:
        settings.LTIAAS = {"URL": server.url, "API_KEY": sandbox.api_key}
        yield sandbox


class Tab:
    """A browser tab: a page, and the browser's cookies."""

    def __init__(self, sandbox: Sandbox, client: Client | None = None) -> None:
        self.sandbox = sandbox
        self.client = client or Client()

    def launch(self, person: str, activity: str | None = "quiz-1", **options: Any) -> Page:
        url = urlsplit(self.sandbox.launch_url(COURSE, activity, person, **options))
        return self.show(self.client.get(f"{url.path}?{url.query}", follow=True))

    def show(self, response: Any) -> Page:
        self.status = response.status_code
        if response.redirect_chain:
            self.url = response.redirect_chain[-1][0]
        self.page = Page(response.content.decode())
        return self.page

    def open(self, view: str) -> Page:
        """Another page under the same launch."""
        return self.show(self.client.get(f"{reverse(view)}?{urlsplit(self.url).query}", follow=True))

    def answer(self, answers: dict[str, str]) -> Page:
        [form] = self.page.forms
        return self.show(self.client.post(form.action, form.fill_in(answers), follow=True))


@pytest.fixture
def tab(sandbox):
    return Tab(sandbox)


def make_night() -> None:
    call_command("ltiaas_sync", "all", verbosity=0)


def gradebook(sandbox: Sandbox) -> dict[tuple[str, str], tuple[Decimal | None, Decimal]]:
    course = sandbox.course(COURSE)
    activities = {item.id: item.resource_link_id or "" for item in course.gradebook.line_items.values()}
    return {
        (activities[cell.line_item_id], cell.user_id): (cell.score, cell.maximum) for cell in sandbox.gradebook(COURSE)
    }


def test_answers_become_a_grade_in_the_lms(tab, sandbox):
    page = tab.launch(LIAM)
    assert page.heading == "Quiz 1: Averages"
    page = tab.answer({**ALL_RIGHT, MODE: "9"})
    assert "7 of 10 points" in page.text
    assert "Not right: 9 (0 of 3)" in page.text
    assert "goes to the course’s gradebook tonight" in page.text
    assert gradebook(sandbox) == {}

    make_night()
    assert gradebook(sandbox) == {("quiz-1", LIAM): (7, 10)}
    assert "has been in the course’s gradebook since" in tab.open("quiz:result").text


def test_answering_again_replaces_points_and_grade(tab, sandbox):
    tab.launch(ZOE)
    tab.answer({**ALL_RIGHT, MEAN: "4"})
    make_night()
    sandbox.advance_clock(2)
    tab.open("quiz:show")
    page = tab.answer({**ALL_RIGHT, MOVES: "the mode", MODE: "4"})
    assert "4 of 10 points" in page.text
    assert Submission.objects.get().points == 4
    make_night()
    assert gradebook(sandbox) == {("quiz-1", ZOE): (4, 10)}


def test_a_grade_that_cannot_be_delivered_is_explained(tab, sandbox):
    tab.launch(ZOE)
    tab.answer(ALL_RIGHT)
    sandbox.fail_next("/api/lineitems", status=503, times=20)
    make_night()
    assert "has not reached the course’s gradebook yet" in tab.open("quiz:result").text
    teacher = Tab(sandbox)
    assert "not yet, is tried again" in teacher.launch(TEACHER).text


def test_the_teacher_sees_learners_points_and_delivery(tab, sandbox):
    teacher = Tab(sandbox)
    tab.launch(ZOE)
    tab.answer(ALL_RIGHT)
    page = teacher.launch(TEACHER)
    assert page.heading == "Quiz 1: Averages"
    assert "roster has not been read yet" in page.text
    assert [row[:2] for row in page.rows[1:]] == [["Zoë Müller-Łukasiewicz", "10 of 10"]]
    assert page.rows[1][3] == "goes tonight"

    make_night()
    page = teacher.open("quiz:teacher")
    rows = {row[0]: row[1:] for row in page.rows[1:]}
    learners = {one.person.name for one in sandbox.course(COURSE).active() if one.role == "Learner"}
    assert rows.keys() == learners
    assert rows["Zoë Müller-Łukasiewicz"][2].startswith("✓ delivered")
    assert rows["Liam O'Brien"] == ["–", "not yet", "–"]
    assert "1 of 5 learners has answered" in page.text
    assert "roster was last read on" in page.text


def test_a_teacher_previews_and_is_never_graded(tab):
    tab.launch(TEACHER)
    page = tab.open("quiz:preview")
    assert "nobody is graded" in page.text
    page = tab.answer({**ALL_RIGHT, MEAN: "4"})
    assert "8 of 10 points" in page.text
    assert tab.open("quiz:show").heading == "For learners"
    assert tab.status == 403
    assert tab.show(tab.client.post(tab.url.replace("teacher/", ""), ALL_RIGHT, follow=True)).heading == "For learners"
    assert not Submission.objects.exists()
    assert not OutgoingScore.objects.exists()


def test_two_activities_in_two_tabs_do_not_mix(tab, sandbox):
    other = Tab(sandbox, tab.client)
    tab.launch(LIAM, "quiz-1")
    other.launch(LIAM, "quiz-2")
    assert tab.answer(ALL_RIGHT).heading == "Quiz 1: Averages"
    assert "3 of 10 points" in other.answer({MEAN: "4", MEDIAN: "7", MODE: "9", MOVES: "the mean"}).text
    assert "10 of 10 points" in tab.open("quiz:result").text
    make_night()
    assert gradebook(sandbox) == {("quiz-1", LIAM): (10, 10), ("quiz-2", LIAM): (3, 10)}


def test_two_people_in_one_browser_do_not_mix(tab, sandbox):
    other = Tab(sandbox, tab.client)
    tab.launch(ZOE)
    other.launch(LIAM)  # Zoë's session ends
    tab.answer(ALL_RIGHT)
    assert tab.status == 403
    assert not Submission.objects.exists()


@pytest.mark.parametrize(
    ("answers", "count"),
    [
        ({}, "4 questions are not answered yet"),
        ({MEAN: "5", MEDIAN: "3", MODE: "7"}, "One question is not answered yet"),
    ],
)
def test_an_unfinished_quiz_says_what_is_missing(tab, answers, count):
    tab.launch(ZOE)
    page = tab.answer(answers)
    assert tab.status == 422
    assert count in page.text
    assert MOVES in page.text
    assert not Submission.objects.exists()
    tab.answer(ALL_RIGHT)  # what was chosen is still chosen, and the form goes on
    assert tab.status == 200


@pytest.mark.parametrize("value", ["no such", "", "\x00", "5" * 10_000, "<script>"])
def test_an_answer_that_is_none_is_refused(tab, value):
    tab.launch(ZOE)
    [form] = tab.page.forms
    data = form.fill_in(ALL_RIGHT)
    name = next(name for name in data if name.startswith("question-"))
    tab.show(tab.client.post(form.action, {**data, name: value}, follow=True))
    assert tab.status == 422
    assert not Submission.objects.exists()


def test_the_grade_and_the_answers_are_kept_together_or_not_at_all(tab, monkeypatch):
    tab.launch(ZOE)
    monkeypatch.setattr(grades, "record_score", lambda *args, **kwargs: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        tab.answer(ALL_RIGHT)
    assert not Submission.objects.exists()


@pytest.mark.parametrize("view", ["quiz:teacher", "quiz:preview"])
def test_the_teachers_pages_are_not_for_learners(tab, view):
    tab.launch(ZOE)
    tab.open(view)
    assert tab.status == 403


def test_somebody_who_neither_learns_nor_teaches_is_told_so(tab):
    def as_mentor(id_token: dict[str, Any]) -> None:
        id_token["user"]["roles"] = ["http://purl.imsglobal.org/vocab/lis/v2/membership#Mentor"]

    page = tab.launch(ZOE, mutate=as_mentor)
    assert tab.status == 403
    assert "your role there is another one" in page.text


def test_the_result_before_any_answer_is_the_quiz(tab):
    tab.launch(ZOE)
    assert tab.open("quiz:result").forms


@pytest.mark.parametrize(("person", "text"), [(TEACHER, "Preview the quiz"), (ZOE, "Hand in")])
def test_a_submission_review_opens_something_useful(tab, person, text):
    assert text in tab.launch(person, type="submission_review").text
    assert tab.status == 200


@pytest.mark.parametrize("view", ["quiz:show", "quiz:result", "quiz:teacher", "quiz:preview"])
def test_a_launch_of_no_activity_has_no_quiz(tab, view):
    page = tab.launch(TEACHER, None, type="deep_linking")
    page = tab.open(view)
    assert tab.status == 404
    assert page.heading == "No activity"


def test_a_form_without_its_token_is_refused_readably(sandbox):
    tab = Tab(sandbox, Client(enforce_csrf_checks=True))
    tab.launch(ZOE)
    [form] = tab.page.forms
    data = form.fill_in(ALL_RIGHT)
    page = tab.show(tab.client.post(form.action, {**data, "csrfmiddlewaretoken": "wrong"}, follow=True))
    assert tab.status == 403
    assert "Nothing was saved" in page.text
    tab.launch(ZOE)
    tab.answer(ALL_RIGHT)
    assert tab.status == 200


def test_whoever_comes_without_a_launch_is_shown_the_way(client, settings):
    assert "opens from a course" in Page(client.get("/").content.decode()).text
    assert client.get(reverse("quiz:show")).status_code == 403
    settings.DEBUG = True
    assert settings.LTIAAS["URL"] in Page(client.get("/").content.decode()).text


def test_an_unknown_page_is_readable(client):
    response = client.get("/nowhere/")
    assert response.status_code == 404
    assert "There is no such page" in response.content.decode()


@pytest.mark.parametrize("choices", ["", "one", "one\ntwo", "* one\n* two", "* one\none", "*\n* one"])
def test_a_question_that_nobody_could_answer_is_refused(choices):
    with pytest.raises(ValidationError):
        Question(text="?", choices=choices).clean()


def test_a_question_knows_its_choices():
    question = Question(text="?", choices="  one \n\n*two\nthree")
    question.clean()
    assert question.choice_texts() == ["one", "two", "three"]
    assert question.right_choice() == "two"
    assert question.is_right("two")
    assert not question.is_right(None)
