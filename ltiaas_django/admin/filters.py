"""Filters: an operator's questions, as tables of conditions; and rows of one course or platform."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import admin
from django.db import models
from django.db.models import Exists, Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from ltiaas_django.models import Context, Platform

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise


class AnswerFilter(admin.SimpleListFilter):
    """A filter written as a table: for each value its label, and what holds, at this moment, of the rows it keeps."""

    answers: ClassVar[dict[str, tuple[StrOrPromise, Callable[[], Q | Exists]]]]

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin[Any]) -> list[tuple[str, StrOrPromise]]:
        return [(value, label) for value, (label, _condition) in self.answers.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        answer = self.answers.get(self.value() or "")
        return queryset.filter(answer[1]()) if answer else queryset


class ChosenFilter(admin.SimpleListFilter):
    """Rows of one course or platform, chosen by a link. The sidebar names the chosen one, never all ten thousand."""

    rows: ClassVar[type[models.Model]]
    path: ClassVar[str]

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin[Any]) -> list[tuple[str, str]]:
        chosen = self.value() or ""
        row = self.rows._default_manager.filter(pk=chosen).first() if chosen.isdecimal() else None
        return [(chosen, str(row))] if row else []

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(**{self.path: self.value()}) if self.value() else queryset


class CourseFilter(ChosenFilter):
    """Rows of one course."""

    title = _("course")
    parameter_name = "course"
    rows = Context
    path = "context"


class PlatformFilter(ChosenFilter):
    """Rows of one platform."""

    title = _("platform")
    parameter_name = "platform"
    rows = Platform
    path = "platform"


class CoursePlatformFilter(PlatformFilter):
    """Rows of one platform's courses."""

    path = "context__platform"
