"""The Django app."""

from django.apps import AppConfig


class QuizConfig(AppConfig):
    name = "example_project.quiz"
    label = "quiz"
    default_auto_field = "django.db.models.BigAutoField"
