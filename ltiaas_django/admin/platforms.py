"""Platforms: which work, which are stopped, paused or inactive; what mends them. LTIAAS's side is in `account`."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from ltiaas_django.admin import account, cells, filters, rows
from ltiaas_django.models import (
    Context,
    Launch,
    LineItem,
    LtiUser,
    Membership,
    OutgoingScore,
    Platform,
    ResourceLink,
    ScoreAttempt,
    ServiceKey,
    SyncRun,
)
from ltiaas_django.operations import leases


def _paused() -> Q:
    return Q(paused_until__gt=timezone.now())


class PlatformStateFilter(filters.AnswerFilter):
    """What is wrong with a platform, if anything."""

    title = _("state")
    parameter_name = "state"
    answers = {
        "stopped": (_("stopped by hand"), lambda: Q(is_active=False)),
        "paused": (_("paused"), _paused),
        "keys": (
            _("refused keys"),
            lambda: Q(pk__in=ServiceKey.objects.filter(refused_at__isnull=False).values("context__platform")),
        ),
        "rosters": (
            _("failing rosters"),
            lambda: Q(pk__in=Context.objects.filter(roster_failures__gt=0).values("platform")),
        ),
        "scores": (_("parked scores"), lambda: Q(pk__in=_parked().values("line_item__context__platform"))),
    }


def _parked() -> QuerySet[OutgoingScore]:
    return OutgoingScore.objects.open().filter(state=OutgoingScore.State.PARKED)  # "open" is what has an index


def _open_scores(platform_ids: list[int]) -> dict[int, int]:
    """By platform: how many scores are not sent yet."""
    place = "line_item__context__platform"
    rows = OutgoingScore.objects.open().filter(**{f"{place}__in": platform_ids})
    return dict(rows.order_by().values_list(place).annotate(Count("pk")))


@admin.register(Platform)
class PlatformAdmin(account.AccountAdmin):
    """LMSs: stop one, let a paused one go on, set its pace."""

    list_display = [
        "__str__", "product_family", "state", "at_ltiaas", "course_count", "open_scores", "refused_keys",
        "failing_rosters",
    ]  # fmt: skip
    list_filter = [PlatformStateFilter, "active_at_ltiaas", "account_linking", "product_family"]
    search_fields = ["name", "issuer", "client_id", "ltiaas_id", "guid", "product_family"]
    ordering = ["name", "pk"]
    actions = ["stop", "resume", "unpause", "activate", "deactivate"]
    operator_fields = ["is_active", "account_linking", "frame_ancestors", "parallel_calls", "calls_per_second"]
    may_be_deleted = True
    going_along = [
        (_("courses"), Context.objects.all, "platform"),
        (_("activities"), ResourceLink.objects.all, "context__platform"),
        (_("people"), LtiUser.objects.all, "platform"),
        (_("memberships"), Membership.objects.all, "context__platform"),
        (_("launches"), Launch.objects.all, "lti_user__platform"),
        (_("service keys"), ServiceKey.objects.all, "context__platform"),
        (_("line items"), LineItem.objects.all, "context__platform"),
        (_("scores"), OutgoingScore.objects.all, "line_item__context__platform"),
        (_("scores that the LMS does not have yet"), OutgoingScore.objects.open, "line_item__context__platform"),
        (_("score attempts"), ScoreAttempt.objects.all, "score__line_item__context__platform"),
        (_("sync runs"), SyncRun.objects.all, "platform"),
    ]
    fieldsets = [
        (
            None,
            {
                "description": _("What can be changed on this page is ours alone: LTIAAS and the LMS are not told."),
                "fields": ["name", "state", "is_active", "paused_until", "pause_reason"],
            },
        ),
        (_("Work"), {"fields": ["course_count", "open_scores", "refused_keys", "failing_rosters"]}),
        (_("Sign-in and frames"), {"fields": ["account_linking", "frame_ancestors"]}),
        (_("Pace"), {"fields": ["parallel_calls", "calls_per_second"]}),
        (
            _("What LTIAAS and the LMS say"),
            {
                "description": _("Brought by launches and by a sync. To change it, open “At LTIAAS”, above."),
                "fields": [
                    "at_ltiaas", "product_family", "version", "issuer", "client_id", "guid", "connection_kind",
                    "ltiaas_id", "known_since",
                ],
            },
        ),
    ]  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[Platform]:
        keys = ServiceKey.objects.filter(refused_at__isnull=False)
        return (
            super()
            .get_queryset(request)
            .annotate(
                counted_courses=cells.counting(Context.objects.all(), "platform"),
                counted_keys=cells.counting(keys, "context__platform"),
                counted_failing=cells.counting(Context.objects.filter(roster_failures__gt=0), "platform"),
            )
        )

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        # Counted for all rows of the page at once: an annotation would look through the outbox once for each.
        changes = super().get_changelist_instance(request)
        counts = _open_scores([platform.pk for platform in changes.result_list])
        for platform in changes.result_list:
            platform.counted_scores = counts.get(platform.pk, 0)
        return changes

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Platform | None:
        platform: Any = super().get_object(request, object_id, from_field)
        if platform is not None:
            platform.counted_scores = _open_scores([platform.pk]).get(platform.pk, 0)
        return platform  # type: ignore[no-any-return]

    @admin.display(description=_("state"), ordering="is_active")
    def state(self, platform: Platform) -> str:
        if not platform.is_active:
            return cells.badge("bad", _("stopped"))
        if platform.paused_until is not None and platform.paused_until > timezone.now():
            pause = cells.badge("warn", _("paused"), platform.pause_reason)
            return cells.below(pause, format_html(str(_("goes on {}")), cells.ago(platform.paused_until)))
        return cells.badge("good", _("active"))

    @admin.display(description=_("known here since"))
    def known_since(self, platform: Platform) -> datetime:
        return platform.created_at  # the first launch, or the registration

    @admin.display(description=_("launches at LTIAAS"), ordering="active_at_ltiaas")
    def at_ltiaas(self, platform: Platform) -> str:
        return account.of_launches(platform.active_at_ltiaas)

    def _link(self, platform: Any, model: type[Any], count: str, **query: str) -> str:
        url = cells.list_url(self.admin_site, model, platform=platform.pk, **query)
        return cells.count_link(getattr(platform, count), url)

    @admin.display(description=_("courses"), ordering="counted_courses")
    def course_count(self, platform: Platform) -> str:
        return self._link(platform, Context, "counted_courses")

    @admin.display(description=_("open scores"))
    def open_scores(self, platform: Platform) -> str:
        return self._link(platform, OutgoingScore, "counted_scores", delivery="open")

    @admin.display(description=_("refused keys"), ordering="counted_keys")
    def refused_keys(self, platform: Platform) -> str:
        return self._link(platform, ServiceKey, "counted_keys", health="refused")

    @admin.display(description=_("failing rosters"), ordering="counted_failing")
    def failing_rosters(self, platform: Platform) -> str:
        return self._link(platform, Context, "counted_failing", roster="failing")

    @admin.action(description=_("Stop: send nothing, read no roster"), permissions=["change"])
    @rows.ask_first(_("Nothing will be sent to these LMSs and no roster read until they are resumed. Stop them?"))
    def stop(self, request: HttpRequest, queryset: QuerySet[Platform]) -> None:
        rows.switch(self, request, queryset, is_active=False)

    @admin.action(description=_("Resume what was stopped"), permissions=["change"])
    def resume(self, request: HttpRequest, queryset: QuerySet[Platform]) -> None:
        rows.switch(self, request, queryset, is_active=True)

    @admin.action(description=_("End the pause now"), permissions=["change"])
    def unpause(self, request: HttpRequest, queryset: QuerySet[Platform]) -> None:
        chosen = list(queryset)
        paused = [platform for platform in chosen if leases.end_pause(platform)]
        self.log(request, paused, "Pause ended by hand.")
        done, left = len(paused), len(chosen) - len(paused)
        self.tell(
            request,
            done,
            ngettext("%(n)d platform goes on now.", "%(n)d platforms go on now.", done) % {"n": done},
            left,
            ngettext("%(n)d was not paused.", "%(n)d were not paused.", left) % {"n": left},
        )
