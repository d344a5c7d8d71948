"""The quiz: a learner answers it, a teacher sees how it went. Every page is served under a launch, `request.lti`."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render

from example_project.quiz.catalogue import CATALOGUE
from example_project.quiz.forms import AnswerForm
from example_project.quiz.models import Answers, Quiz, Submission
from ltiaas_django import deep_linking, grades, vocabulary
from ltiaas_django.decorators import lti_required, role_required
from ltiaas_django.models import Launch, Membership
from ltiaas_django.views import LaunchView


class LtiRequest(HttpRequest):
    """A request under `@lti_required`, for type checkers."""

    lti: Launch


class QuizLaunch(LaunchView):
    """People arrive here, already signed in: teachers at their page, all others at the quiz."""

    def handle_resource_launch(self, request: HttpRequest, launch: Launch) -> HttpResponseBase:
        return redirect(launch.url("quiz:teacher" if launch.is_instructor else "quiz:show"))

    def handle_deep_linking_launch(self, request: HttpRequest, launch: Launch) -> HttpResponseBase:
        """A teacher adds activities to the course: one for each quiz that is picked, with a column in the gradebook."""
        choices = [
            deep_linking.ResourceLinkItem(
                title=template.title,
                text=template.description,
                custom={"quiz": name},
                line_item=deep_linking.LineItem(score_maximum=template.maximum()),
            )
            for name, template in CATALOGUE.items()
        ]
        return deep_linking.pick(request, launch, choices, title="Which quizzes do you want to add?")

    def handle_submission_review_launch(self, request: HttpRequest, launch: Launch) -> HttpResponseBase:
        return redirect(launch.url("quiz:teacher" if launch.is_instructor else "quiz:result"))


def home(request: HttpRequest) -> HttpResponse:
    """For whoever comes without a launch."""
    return render(request, "quiz/home.html", {"sandbox_url": settings.LTIAAS["URL"] if settings.DEBUG else ""})


@lti_required
def show(request: LtiRequest) -> HttpResponseBase:
    """A learner answers the quiz: the answers and the wanted grade are kept together, or neither."""
    launch = request.lti
    if launch.resource_link is None:
        return no_activity(request)
    if launch.is_instructor or not launch.is_learner:
        return render(request, "quiz/not_a_learner.html", status=403)
    quiz = Quiz.objects.of(launch, launch.resource_link)
    form = AnswerForm(quiz, request.POST if request.method == "POST" else None)
    if form.is_valid():
        with transaction.atomic():
            submission = quiz.submit(launch.user, form.answers())
            grades.record_score(launch, given=submission.points, maximum=quiz.maximum())
        return redirect(launch.url("quiz:result"))
    return show_form(request, quiz, form)


@lti_required
def result(request: LtiRequest) -> HttpResponseBase:
    """What a learner answered, the points, and whether the grade has reached the LMS."""
    launch = request.lti
    if launch.resource_link is None:
        return no_activity(request)
    quiz = Quiz.objects.of(launch, launch.resource_link)
    submission = quiz.submissions.filter(user=launch.user).first()
    if submission is None:
        return redirect(launch.url("quiz:show"))
    context = {
        "submission": submission,
        "answers": marked(quiz, submission.answers_by_question()),
        "delivery": next(iter(grades.delivery(launch.resource_link, user=launch.lti_user)), None),
    }
    return render(request, "quiz/result.html", {"quiz": quiz, "points": submission.points, **context})


@role_required(vocabulary.is_instructor)
def teacher(request: LtiRequest) -> HttpResponseBase:
    """The course's learners: who answered, the points, and where each grade has got to."""
    launch = request.lti
    if launch.resource_link is None:
        return no_activity(request)
    quiz = Quiz.objects.of(launch, launch.resource_link)
    learners = Membership.objects.filter(
        context=launch.resource_link.context, is_learner=True, is_instructor=False, status=Membership.Status.ACTIVE
    )
    submissions: dict[int | None, Submission] = {
        submission.user_id: submission for submission in quiz.submissions.all()
    }
    deliveries = {delivery.lti_user.pk: delivery for delivery in grades.delivery(launch.resource_link)}
    rows = [
        {
            "person": membership.lti_user,
            "submission": submissions.get(membership.lti_user.user_id),
            "delivery": deliveries.get(membership.lti_user.pk),
        }
        for membership in learners.select_related("lti_user").order_by("lti_user__name", "pk")
    ]
    context = {
        "quiz": quiz,
        "rows": rows,
        "answered": sum(row["submission"] is not None for row in rows),
        "course": launch.resource_link.context,
    }
    return render(request, "quiz/teacher.html", context)


@role_required(vocabulary.is_instructor)
def preview(request: LtiRequest) -> HttpResponseBase:
    """The quiz as a learner sees it. Nothing is kept and nobody is graded."""
    if request.lti.resource_link is None:
        return no_activity(request)
    quiz = Quiz.objects.of(request.lti, request.lti.resource_link)
    form = AnswerForm(quiz, request.POST if request.method == "POST" else None)
    if not form.is_valid():
        return show_form(request, quiz, form, is_preview=True)
    answers = marked(quiz, form.answers())
    points = sum(answer["question"].points for answer in answers if answer["is_right"])
    context = {"quiz": quiz, "answers": answers, "points": points, "is_preview": True}
    return render(request, "quiz/result.html", context)


def show_form(request: LtiRequest, quiz: Quiz, form: AnswerForm, *, is_preview: bool = False) -> HttpResponse:
    """The quiz to fill in, with what is wrong in it."""
    context = {"quiz": quiz, "form": form, "is_preview": is_preview}
    return render(request, "quiz/show.html", context, status=422 if form.is_bound else 200)


def no_activity(request: LtiRequest) -> HttpResponse:
    """A launch that names no activity has no quiz."""
    return render(request, "quiz/no_activity.html", status=404)


def marked(quiz: Quiz, answers: Answers) -> list[dict[str, Any]]:
    """Each question with the answer that was given, and whether it is right."""
    return [
        {"question": question, "given": given, "is_right": question.is_right(given)}
        for question in quiz.questions.all()
        for given in [answers.get(question.pk)]
    ]
