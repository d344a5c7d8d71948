"""The quiz in Django's admin: edit the questions, look at the answers."""

from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest

from example_project.quiz.models import Question, Quiz, Submission


class QuestionInline(admin.TabularInline):
    model = Question
    extra = 0


@admin.register(Quiz)
class QuizAdmin(admin.ModelAdmin):
    list_display = ["resource_link", "context"]
    list_select_related = ["resource_link__context"]
    readonly_fields = ["resource_link"]
    inlines = [QuestionInline]

    @admin.display(description="course")
    def context(self, quiz: Quiz) -> str:
        return str(quiz.resource_link.context)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # a quiz is made when its activity is opened for the first time


@admin.register(Submission)
class SubmissionAdmin(admin.ModelAdmin):
    list_display = ["user", "quiz", "points", "submitted_at"]
    list_select_related = ["user", "quiz__resource_link"]
    readonly_fields = ["quiz", "user", "answers", "points", "submitted_at"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, submission: Submission | None = None) -> bool:
        return False  # the grade in the LMS would not follow
