"""Courses: which work, which are stale or failing, since when; and what mends them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib import admin, messages
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from ltiaas_django.admin import badges, cells, filters, glance, rows
from ltiaas_django.admin.grades import tell_left_out
from ltiaas_django.models import (
    Context,
    Launch,
    LineItem,
    Membership,
    OutgoingScore,
    ResourceLink,
    ScoreAttempt,
    ServiceKey,
)
from ltiaas_django.operations import grades, passes, rosters

_CHECKED_LATELY = timedelta(days=1)  # what a teacher changed before the gradebook was read is known
_AT_ONCE = 500  # courses that a person may ask for; more than that is what the night is for


def _stale() -> Q:
    return Q(roster_synced_at__lt=timezone.now() - badges.STALE_AFTER)


class RosterFilter(filters.AnswerFilter):
    """How the roster is doing."""

    title = _("roster")
    parameter_name = "roster"
    answers = {
        "held": (_("departures held"), lambda: Q(roster_held__isnull=False)),
        "failing": (_("failing"), lambda: Q(roster_failures__gt=0)),
        "due": (_("due now"), lambda: Q(roster_due_at__lte=timezone.now())),
        "stale": (_("stale"), _stale),
        "never": (_("never read"), lambda: Q(roster_synced_at__isnull=True)),
        "fresh": (
            _("in step"),
            lambda: ~_stale() & Q(roster_failures=0, roster_held__isnull=True, roster_synced_at__isnull=False),
        ),
    }


class KeysFilter(filters.AnswerFilter):
    """Whether anything opens the course's services."""

    title = _("keys")
    parameter_name = "keys"
    answers = {
        "healthy": (_("a healthy one"), lambda: Exists(_keys().filter(refused_at__isnull=True))),
        "refused": (
            _("all refused"),
            lambda: Q(Exists(_keys())) & ~Q(Exists(_keys().filter(refused_at__isnull=True))),
        ),
        "none": (_("none"), lambda: ~Q(Exists(_keys()))),
    }


def _keys() -> QuerySet[ServiceKey]:
    return ServiceKey.objects.filter(context=OuterRef("pk"))


def _roster_keys() -> Exists:
    return Exists(ServiceKey.objects.healthy().filter(context=OuterRef("pk"), offers_roster=True))


class OpenScoresFilter(filters.AnswerFilter):
    """Whether scores are on their way, or stuck."""

    title = _("scores")
    parameter_name = "scores"
    answers = {
        "open": (_("open"), lambda: Q(pk__in=OutgoingScore.objects.open().values("line_item__context"))),
        "parked": (_("parked"), lambda: Q(pk__in=_parked().values("line_item__context"))),
    }


def _parked() -> QuerySet[OutgoingScore]:
    return OutgoingScore.objects.open().filter(state=OutgoingScore.State.PARKED)  # "open" is what has an index


@admin.register(Context)
class ContextAdmin(rows.RowAdmin[Context]):
    """Courses."""

    change_form_template = "admin/ltiaas_django/context/change_form.html"
    list_display = [
        "course", "switch", cells.since("launched_at", _("last launch")), "roster", "keys",
        "open_scores",
    ]  # fmt: skip
    list_filter = [RosterFilter, KeysFilter, OpenScoresFilter, "is_active", filters.PlatformFilter]
    list_select_related = ["platform"]
    search_fields = ["title", "label", "lti_id", "platform__name"]
    ordering = ["-launched_at", "-pk"]
    actions = ["sync_now", "check_gradebook", "send_all", "confirm_departures", "stop", "resume"]
    operator_fields = ["is_active"]
    may_be_deleted = True
    going_along = [
        (_("activities"), ResourceLink.objects.all, "context"),
        (_("memberships"), Membership.objects.all, "context"),
        (_("launches"), Launch.objects.all, "context"),
        (_("service keys"), ServiceKey.objects.all, "context"),
        (_("line items"), LineItem.objects.all, "context"),
        (_("scores"), OutgoingScore.objects.all, "line_item__context"),
        (_("scores that the LMS does not have yet"), OutgoingScore.objects.open, "line_item__context"),
        (_("score attempts"), ScoreAttempt.objects.all, "score__line_item__context"),
    ]
    fieldsets = [
        (None, {"fields": ["title", "label", "platform", "is_active"]}),
        (
            _("Roster"),
            {"fields": ["roster_synced_at", "roster_attempted_at", "roster_due_at", "roster_failures", "roster_error",
                        "held"]},
        ),
        (_("What the LMS says of it"), {"fields": ["lti_id", "deployment_id", "types", "launched_at"]}),
    ]  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[Context]:
        refused = ServiceKey.objects.filter(refused_at__isnull=False)
        return (
            super()
            .get_queryset(request)
            .annotate(
                reads_roster=_roster_keys(),
                counted_healthy=cells.counting(ServiceKey.objects.healthy(), "context"),
                counted_refused=cells.counting(refused, "context"),
                counted_scores=cells.counting(OutgoingScore.objects.open(), "line_item__context"),
            )
        )

    @admin.display(description=_("course"), ordering="title")
    def course(self, context: Context) -> str:
        return cells.below(str(context), str(context.platform))

    @admin.display(description=_("state"), ordering="is_active")
    def switch(self, context: Context) -> str:
        if context.is_active and context.platform.is_active:
            return cells.badge("good", _("active"))
        return cells.badge("bad", _("stopped") if context.platform.is_active else _("platform stopped"))

    @admin.display(description=_("roster, last read"), ordering="roster_synced_at")
    def roster(self, context: Any) -> str:
        read_at = cells.ago(context.roster_synced_at) if context.roster_synced_at else ""
        return cells.below(badges.of_roster(context), read_at)

    @admin.display(description=_("keys"), ordering="counted_refused")
    def keys(self, context: Any) -> str:
        return badges.of_keys(context.counted_healthy, context.counted_refused)

    @admin.display(description=_("open scores"), ordering="counted_scores")
    def open_scores(self, context: Any) -> str:
        url = cells.list_url(self.admin_site, OutgoingScore, course=context.pk, delivery="open")
        return cells.count_link(context.counted_scores, url)

    @admin.display(description=_("departures held"))
    def held(self, context: Context) -> str:
        return badges.held_text(context) or cells.NOTHING

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Context | None = None,
    ) -> HttpResponse:
        if obj is not None:
            context["glance"] = glance.look_at(self.admin_site, obj)
            context["roster"] = badges.of_roster(obj)
            context["held"] = badges.held_text(obj)
        return super().render_change_form(request, context, add, change, form_url, obj)

    def response_change(self, request: HttpRequest, obj: Context) -> HttpResponse:
        if "_sync_now" in request.POST:
            self.sync_now(request, self.get_queryset(request).filter(pk=obj.pk))
            return HttpResponseRedirect(request.get_full_path())
        if "_check_gradebook" in request.POST:
            self.check_gradebook(request, self.get_queryset(request).filter(pk=obj.pk))
            return HttpResponseRedirect(request.get_full_path())
        return super().response_change(request, obj)

    @admin.action(description=_("Sync now: grades and roster"), permissions=["change"])
    def sync_now(self, request: HttpRequest, queryset: QuerySet[Context]) -> None:
        chosen = self._chosen(request, queryset)
        active = [context for context in chosen if context.is_active and context.platform.is_active]
        for context in active:
            passes.request_scores(context)
            if getattr(context, "reads_roster", False):
                passes.request_roster(context)
        done = len(active)
        said = ngettext("%(n)d course is synced as soon as a worker is free.",
                        "%(n)d courses are synced as soon as a worker is free.", done)  # fmt: skip
        self._tell_stopped(request, done, said, len(chosen) - done)

    def _chosen(self, request: HttpRequest, queryset: QuerySet[Context]) -> list[Context]:
        """The chosen courses; none, and a message, if there are more than a person may ask for at once."""
        chosen = list(queryset.select_related("platform")[: _AT_ONCE + 1])
        if len(chosen) <= _AT_ONCE:
            return chosen
        text = _("Nothing was done: at most %(n)d courses can be chosen at once; the night does all of them.")
        self.message_user(request, text % {"n": _AT_ONCE}, messages.ERROR)
        return []

    def _tell_stopped(self, request: HttpRequest, done: int, said: str, left: int) -> None:
        if done or left:
            why_left = ngettext("%(n)d was left alone: stopped.", "%(n)d were left alone: stopped.", left)
            self.tell(request, done, said % {"n": done}, left, why_left % {"n": left})

    @admin.action(description=_("Check the gradebook: what differs from what was sent"), permissions=["change"])
    def check_gradebook(self, request: HttpRequest, queryset: QuerySet[Context]) -> None:
        chosen = self._chosen(request, queryset)
        active = [context for context in chosen if context.is_active and context.platform.is_active]
        for context in active:
            passes.request_check(context)
        done = len(active)
        said = ngettext("The gradebook of %(n)d course is read as soon as a worker is free.",
                        "The gradebooks of %(n)d courses are read as soon as a worker is free.", done)  # fmt: skip
        self._tell_stopped(request, done, said, len(chosen) - done)

    @admin.action(description=_("Send again: all grades"), permissions=["change"])
    @rows.ask_first(
        _("Every grade of these courses is sent once more, save those that a teacher has changed in the LMS. The "
          "gradebook must have been read within a day, for that to be known. Send them?")
    )  # fmt: skip
    def send_all(self, request: HttpRequest, queryset: QuerySet[Context]) -> None:
        chosen = self._chosen(request, queryset)
        known = [one for one in chosen if one.checked_at and one.checked_at > timezone.now() - _CHECKED_LATELY]
        sent = 0
        for context in known:
            done, left_out = grades.resend_all(context)
            sent += done
            if left_out:
                tell_left_out(self, request, left_out, course=context.pk)
            passes.request_scores(context)
        self.log(request, known, "All grades asked to be sent again.")
        unknown = [context for context in chosen if context not in known]
        for context in unknown:
            passes.request_check(context)
        said = ngettext("%(n)d score is due now.", "%(n)d scores are due now.", sent)
        left = len(unknown)
        why_left = ngettext(
            "The gradebook of %(n)d course is read first; please come back when that is done.",
            "The gradebooks of %(n)d courses are read first; please come back when that is done.", left,
        )  # fmt: skip
        if chosen:
            self.tell(request, sent, said % {"n": sent}, left, why_left % {"n": left})

    @admin.action(description=_("Confirm held departures"), permissions=["change"])
    @rows.ask_first(
        _("The held people lose their membership at the next reading, if the LMS still leaves out the same.")
    )
    def confirm_departures(self, request: HttpRequest, queryset: QuerySet[Context]) -> None:
        chosen = list(queryset)
        confirmed = [context for context in chosen if rosters.confirm_departures(context)]
        self.log(request, confirmed, "Held departures confirmed.")
        done, left = len(confirmed), len(chosen) - len(confirmed)
        said = ngettext("The departures of %(n)d course are carried out at its next reading, which is due now.",
                        "The departures of %(n)d courses are carried out at their next reading, which is due now.",
                        done)  # fmt: skip
        why_left = ngettext("%(n)d holds no departures.", "%(n)d hold no departures.", left)
        self.tell(request, done, said % {"n": done}, left, why_left % {"n": left})

    @admin.action(description=_("Stop: send nothing, read no roster"), permissions=["change"])
    @rows.ask_first(_("Nothing will be sent for these courses and no roster read until they are resumed. Stop them?"))
    def stop(self, request: HttpRequest, queryset: QuerySet[Context]) -> None:
        rows.switch(self, request, queryset, is_active=False)

    @admin.action(description=_("Resume what was stopped"), permissions=["change"])
    def resume(self, request: HttpRequest, queryset: QuerySet[Context]) -> None:
        rows.switch(self, request, queryset, is_active=True)
