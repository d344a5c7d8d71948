"""Service keys: fingerprint and health, never the key."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from ltiaas_django.admin import badges, cells, filters, rows
from ltiaas_django.models import ServiceKey
from ltiaas_django.operations import connecting


class HealthFilter(filters.AnswerFilter):
    """Whether a key works, as far as is known."""

    title = _("health")
    parameter_name = "health"
    answers = {
        "healthy": (_("healthy"), lambda: Q(refused_at__isnull=True)),
        "refused": (_("refused"), lambda: Q(refused_at__isnull=False)),
        "unused": (_("not used yet"), lambda: Q(used_at__isnull=True, refused_at__isnull=True)),
    }


@admin.register(ServiceKey)
class ServiceKeyAdmin(rows.RowAdmin[ServiceKey]):
    """Which keys work, and since when the others do not."""

    list_display = [
        "key", "health", "place",
        cells.since("refreshed_at", _("brought")), cells.since("used_at", _("last used")), "error",
    ]  # fmt: skip
    list_filter = [HealthFilter, "offers_grades", "offers_roster", filters.CourseFilter, filters.CoursePlatformFilter]
    list_select_related = ["context", "resource_link"]
    search_fields = ["fingerprint", "context__title", "context__label", "context__lti_id", "resource_link__title"]
    ordering = ["-pk"]  # by index: there may be a million
    actions = ["refuse"]
    may_be_deleted = True
    fields = [
        "fingerprint", "health", "context", "resource_link", "offers_grades", "offers_roster",
        "refreshed_at", "used_at", "refused_at", "last_error",
    ]  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[ServiceKey]:
        return super().get_queryset(request).defer("sealed")

    @admin.display(description=_("health"), ordering="refused_at")
    def health(self, key: ServiceKey) -> str:
        return cells.below(badges.of_key(key), cells.ago(key.refused_at) if key.refused_at else "")

    @admin.display(description=_("activity and course"), ordering="context__title")
    def place(self, key: ServiceKey) -> str:
        return cells.below(str(key.resource_link or _("(no activity)")), str(key.context))

    @admin.display(description=_("key, and what it offers"), ordering="fingerprint")
    def key(self, key: ServiceKey) -> str:
        names = [(_("grades"), key.offers_grades), (_("roster"), key.offers_roster)]
        return cells.below(key.fingerprint, ", ".join(str(name) for name, is_offered in names if is_offered))

    @admin.display(description=_("last error"), ordering="last_error")
    def error(self, key: ServiceKey) -> str:
        return cells.clipped(key.last_error)

    @admin.action(description=_("Mark as refused"), permissions=["change"])
    @rows.ask_first(_("These keys are not used again until a launch brings new ones. Mark them as refused?"))
    def refuse(self, request: HttpRequest, queryset: QuerySet[ServiceKey]) -> None:
        chosen = list(queryset)
        refused = [key for key in chosen if connecting.refuse_by_hand(key)]
        self.log(request, refused, "Marked as refused.")
        done, left = len(refused), len(chosen) - len(refused)
        said = ngettext("%(n)d key was marked as refused.", "%(n)d keys were marked as refused.", done)
        why_left = ngettext("%(n)d was refused already.", "%(n)d were refused already.", left)
        self.tell(request, done, said % {"n": done}, left, why_left % {"n": left})
