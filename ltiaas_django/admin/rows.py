"""Rows that launches and syncs write: looked at here, and not written, except for an operator's fields."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.admin.utils import flatten_fieldsets
from django.core.paginator import Page, Paginator
from django.db import models
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import ngettext

from ltiaas_django.operations import passes

if TYPE_CHECKING:
    from django.forms import ModelForm
    from django_stubs_ext import StrOrPromise

    ModelAdmin = admin.ModelAdmin
else:

    class ModelAdmin(admin.ModelAdmin):
        """Django's own takes its type parameter only in the stubs."""

        def __class_getitem__(cls, row: object) -> type:
            return cls


Row = TypeVar("Row", bound=models.Model)
Action = Callable[[Any, HttpRequest, QuerySet[Any]], HttpResponse | None]

_SHOWN = 20  # rows that a question before an action names


class DeepPaginator(Paginator):  # type: ignore[type-arg]
    """Finds a page by the ids of its rows first: what a row shows is not worked out for all the rows before it."""

    def page(self, number: int | str) -> Page:  # type: ignore[type-arg]
        number = self.validate_number(number)
        first = (number - 1) * self.per_page
        rows: Any = self.object_list
        ids = list(rows.values_list("pk", flat=True)[first : first + self.per_page])
        return Page(rows.filter(pk__in=ids), number, self)


class RowAdmin(ModelAdmin[Row]):
    """Base of every class here. `operator_fields` may be edited; nothing is added by hand.

    A class must list what it shows (`fields` or `fieldsets`): by default a page would show every field.
    """

    operator_fields: ClassVar[Sequence[str]] = ()
    linked_by: ClassVar[Sequence[str]] = ()
    """Further fields that links filter by."""
    may_be_deleted: ClassVar[bool] = False
    going_along: ClassVar[Sequence[tuple[StrOrPromise, Callable[[], QuerySet[Any]], str]]] = ()
    """What a deletion takes with it: a name, all such rows, and the path from them to the deleted row."""

    list_per_page = 50
    paginator = DeepPaginator
    show_full_result_count = False

    class Media:
        css = {"all": ["ltiaas_django/admin.css"]}

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Row | None = None) -> bool:
        # A row without an operator's fields has nothing to save on its page; actions ask without a row.
        return (obj is None or bool(self.operator_fields)) and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Row | None = None) -> bool:
        return self.may_be_deleted and super().has_delete_permission(request, obj)

    def get_readonly_fields(self, request: HttpRequest, obj: Row | None = None) -> list[Any]:
        shown = flatten_fieldsets(self.get_fieldsets(request, obj))
        return [field for field in shown if field not in self.operator_fields]

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Only by what is shown. Django allows every field of the row, so that a URL such as
        ?ltik_digest__startswith=a would tell a secret letter by letter.
        """
        filters = {getattr(one, "parameter_name", one) for one in self.list_filter}
        shown = {*flatten_fieldsets(self.get_fieldsets(request)), *filters, *self.linked_by, "id"}
        return lookup.partition("__")[0] in shown and super().lookup_allowed(lookup, value, request)

    def save_model(self, request: HttpRequest, obj: Row, form: ModelForm[Row], change: bool) -> None:
        """Write what was changed on the page and nothing else: a worker may have written the rest meanwhile."""
        if form.changed_data:
            obj.save(update_fields=form.changed_data)

    def get_deleted_objects(
        self, objs: QuerySet[Row] | Sequence[Row], request: HttpRequest
    ) -> tuple[list[Any], dict[str, int], set[str], list[str]]:
        """Count what goes along, where Django would list it row by row and ask the permission for each kind."""
        if not self.going_along:
            return super().get_deleted_objects(objs, request)
        pks = [obj.pk for obj in objs]
        counts = {str(self.opts.verbose_name_plural): len(pks)}
        for name, rows, path in self.going_along:
            counts[str(name)] = rows().filter(**{f"{path}__in": pks}).count()
        missing, protected = set(), []
        for relation, rows_of_tool in self._rows_of_the_tool(pks):
            meta = relation.related_model._meta
            if relation.on_delete in {models.PROTECT, models.RESTRICT}:
                protected += [f"{meta.verbose_name}: {row}" for row in rows_of_tool[:_SHOWN]]
            elif relation.on_delete is models.CASCADE and (count := rows_of_tool.count()):
                counts[str(meta.verbose_name_plural)] = count
                if not self._may_delete(request, relation.related_model):
                    missing.add(str(meta.verbose_name))
        return [str(obj) for obj in objs], counts, missing, protected

    def _rows_of_the_tool(self, pks: list[Any]) -> Iterator[tuple[Any, QuerySet[Any]]]:
        """Rows of the tool's own models that point, in one step or several, to what is to be deleted."""
        paths: dict[type[models.Model], str] = {self.model: ""}
        paths |= {rows().model: f"__{path}" for _name, rows, path in self.going_along}
        ahead = list(paths)
        while ahead:
            model = ahead.pop(0)
            for relation in _relations_to(model):
                if relation.related_model in paths:
                    continue
                path = f"{relation.field.name}{paths[model]}"
                yield relation, relation.related_model._base_manager.filter(**{f"{path}__in": pks})
                if relation.on_delete is models.CASCADE:
                    paths[relation.related_model] = f"__{path}"
                    ahead.append(relation.related_model)

    def _may_delete(self, request: HttpRequest, model: type[models.Model]) -> bool:
        registered = self.admin_site.is_registered(model)
        return not registered or self.admin_site.get_model_admin(model).has_delete_permission(request)

    def tell(self, request: HttpRequest, done: int, said: str, left: int = 0, why_left: str = "") -> None:
        """Say what an action did, to how many, and what it left alone."""
        text = f"{said} {why_left}" if left else said
        self.message_user(request, text, messages.SUCCESS if done else messages.WARNING)

    def log(self, request: HttpRequest, rows: Iterable[Row], what: str) -> None:
        """Leave a line in the history of each row, so that the next operator sees who did it."""
        LogEntry.objects.log_actions(request.user.pk, rows, CHANGE, change_message=what)  # type: ignore[arg-type]


def _relations_to(model: type[models.Model]) -> list[Any]:
    """Foreign keys that point to the model, those without a name on this side too."""
    relations = model._meta.get_fields(include_hidden=True)
    return [one for one in relations if one.auto_created and not one.concrete and not one.many_to_many]


def switch(model_admin: RowAdmin[Any], request: HttpRequest, queryset: QuerySet[Any], *, is_active: bool) -> None:
    """The action behind "stop" and "resume", for platforms and courses alike."""
    chosen = list(queryset)
    switched = [row for row in chosen if passes.set_active(row, is_active=is_active)]
    model_admin.log(request, switched, "Resumed." if is_active else "Stopped.")
    done, left = len(switched), len(chosen) - len(switched)
    if is_active:
        said = ngettext("%(n)d was resumed.", "%(n)d were resumed.", done)
        why_left = ngettext("%(n)d was active already.", "%(n)d were active already.", left)
    else:
        said = ngettext("%(n)d was stopped.", "%(n)d were stopped.", done)
        why_left = ngettext("%(n)d was stopped already.", "%(n)d were stopped already.", left)
    model_admin.tell(request, done, said % {"n": done}, left, why_left % {"n": left})


def ask_first(question: StrOrPromise) -> Callable[[Action], Action]:
    """Make an action that is hard to undo ask on a page of its own before it does anything."""

    def decorate(action: Action) -> Action:
        @functools.wraps(action)
        def asking(model_admin: RowAdmin[Any], request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
            if "confirmed" in request.POST:
                return action(model_admin, request, queryset)
            count = queryset.count()
            request.current_app = model_admin.admin_site.name
            page = {
                **model_admin.admin_site.each_context(request),
                "title": getattr(asking, "short_description", ""),
                "question": question,
                "opts": model_admin.opts,
                "media": model_admin.media,
                "rows": queryset[:_SHOWN],
                "count": count,
                "unshown": max(count - _SHOWN, 0),
                "action": action.__name__,
                "selected": request.POST.getlist("_selected_action"),
                "select_across": request.POST.get("select_across", "0"),
            }
            return TemplateResponse(request, "admin/ltiaas_django/confirm_action.html", page)

        return asking

    return decorate
