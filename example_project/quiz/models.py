"""Quizzes, their questions, and what people answered."""

from __future__ import annotations

from collections.abc import Mapping

from django.conf import settings
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator
from django.db import models, transaction
from django.utils import timezone

from example_project.quiz.catalogue import CATALOGUE, FIRST
from ltiaas_django.models import Launch, ResourceLink

Answers = Mapping[int, str]
"""The choice that was made for each question, by the question's id."""


class QuizManager(models.Manager["Quiz"]):
    def of(self, launch: Launch, resource_link: ResourceLink) -> Quiz:
        """The quiz behind a launch's activity, made when it is opened for the first time.

        Which one of the catalogue it is says the custom parameter `quiz`, which the teacher's choice has put there
        (`QuizLaunch.handle_deep_linking_launch`) and the LMS sends, signed, with every launch.
        """
        named = launch.custom.get("quiz")
        template = CATALOGUE.get(named if isinstance(named, str) else FIRST, CATALOGUE[FIRST])
        with transaction.atomic():
            quiz, is_new = self.get_or_create(resource_link=resource_link)
            if is_new:
                Question.objects.bulk_create(
                    Question(quiz=quiz, position=position, text=text, points=points, choices=choices)
                    for position, (text, points, choices) in enumerate(template.questions, start=1)
                )
        return quiz


class Quiz(models.Model):
    """The quiz behind one activity of a course."""

    resource_link = models.OneToOneField(ResourceLink, models.CASCADE, related_name="quiz")

    objects = QuizManager()

    class Meta:
        verbose_name_plural = "quizzes"

    def __str__(self) -> str:
        return str(self.resource_link)

    def maximum(self) -> int:
        """The points that can be had."""
        return sum(question.points for question in self.questions.all())

    def submit(self, user: User, answers: Answers) -> Submission:
        """Keep what a person answered, in the place of what they answered before."""
        points = sum(
            question.points for question in self.questions.all() if question.is_right(answers.get(question.pk))
        )
        submission, _ = self.submissions.update_or_create(
            user=user, defaults={"answers": dict(answers), "points": points, "submitted_at": timezone.now()}
        )
        return submission


class Question(models.Model):
    """A question with some choices, one of them right."""

    quiz = models.ForeignKey(Quiz, models.CASCADE, related_name="questions")
    position = models.PositiveSmallIntegerField(default=0)
    text = models.CharField(max_length=500)
    points = models.PositiveSmallIntegerField(default=1, validators=[MinValueValidator(1)])
    choices = models.TextField(help_text="One on each line; the right one begins with a star (*).")

    class Meta:
        ordering = ["position", "pk"]

    def __str__(self) -> str:
        return self.text

    def clean(self) -> None:
        """Refuse choices that nobody could answer, or that could not be told apart."""
        texts = self.choice_texts()
        if len(texts) < 2 or len(texts) != len(set(texts)):
            raise ValidationError({"choices": "Write at least two choices, each a different one."})
        if sum(line.startswith("*") for line in self._lines()) != 1:
            raise ValidationError({"choices": "Put a star before the right choice, and before no other."})

    def choice_texts(self) -> list[str]:
        """What a person chooses from."""
        return [line.removeprefix("*").strip() for line in self._lines()]

    def right_choice(self) -> str:
        """The choice that gives the points."""
        return next((line[1:].strip() for line in self._lines() if line.startswith("*")), "")

    def is_right(self, answer: str | None) -> bool:
        """Whether this answer gives the points."""
        return answer is not None and answer == self.right_choice()

    def _lines(self) -> list[str]:
        return [line.strip() for line in self.choices.splitlines() if line.strip(" *")]


class Submission(models.Model):
    """What one person answered in one quiz; answering again replaces it."""

    quiz = models.ForeignKey(Quiz, models.CASCADE, related_name="submissions")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    answers = models.JSONField(default=dict)
    points = models.PositiveIntegerField()
    submitted_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["quiz", "user"], name="quiz_submission_unique")]

    def __str__(self) -> str:
        return f"{self.user}: {self.points}"

    def answers_by_question(self) -> Answers:
        """The answers as they were given (JSON has only text for keys)."""
        return {int(question_id): answer for question_id, answer in self.answers.items()}
