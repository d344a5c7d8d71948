"""Line items, and the outbox of scores: what is due, waiting, failing or parked, why, and since when."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import F, Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from ltiaas_django.admin import badges, cells, filters, rows
from ltiaas_django.models import LineItem, OutgoingScore
from ltiaas_django.models.grades import ACTIONABLE
from ltiaas_django.operations import grades

State = OutgoingScore.State

_SHOWN_ATTEMPTS = 50
_CHUNK = 500  # ids in one statement


class LineItemStateFilter(filters.AnswerFilter):
    """Whether the LMS is known to have the column."""

    title = _("state")
    parameter_name = "state"
    answers = {
        "found": (_("found"), lambda: Q(gone_at__isnull=True) & ~Q(lti_id="")),
        "wanted": (_("not looked for yet"), lambda: Q(gone_at__isnull=True, lti_id="")),
        "gone": (_("gone"), lambda: Q(gone_at__isnull=False)),
    }


@admin.register(LineItem)
class LineItemAdmin(rows.RowAdmin[LineItem]):
    """Columns of gradebooks."""

    list_display = ["__str__", "context", "state", "maximum", "tag", "resource_id", "open_scores"]
    list_filter = [LineItemStateFilter, filters.CourseFilter, filters.CoursePlatformFilter]
    list_select_related = ["context", "resource_link"]
    search_fields = ["label", "lti_id", "tag", "resource_id", "context__title", "resource_link__title"]
    ordering = ["-pk"]
    fields = [
        "label", "state", "context", "resource_link", "maximum", "tag", "resource_id", "lti_id", "gone_at",
        "open_scores",
    ]  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[LineItem]:
        count = cells.counting(OutgoingScore.objects.open(), "line_item")
        return super().get_queryset(request).annotate(counted_scores=count)

    @admin.display(description=_("state"))
    def state(self, line_item: LineItem) -> str:
        return badges.of_line_item(line_item)

    @admin.display(description=_("maximum"), ordering="score_maximum")
    def maximum(self, line_item: LineItem) -> str:
        return cells.NOTHING if line_item.score_maximum is None else cells.points(line_item.score_maximum)

    @admin.display(description=_("open scores"), ordering="counted_scores")
    def open_scores(self, line_item: Any) -> str:
        url = cells.list_url(self.admin_site, OutgoingScore, line_item__id__exact=line_item.pk, delivery="open")
        return cells.count_link(line_item.counted_scores, url)


def _stopped() -> Q:
    return Q(line_item__context__is_active=False) | Q(line_item__context__platform__is_active=False)


class DeliveryFilter(filters.AnswerFilter):
    """Where a score has got to."""

    title = _("delivery")
    parameter_name = "delivery"
    answers = {
        "open": (_("not sent yet"), lambda: ~Q(state=State.SENT)),
        "due": (_("due now"), lambda: ACTIONABLE & Q(due_at__lte=timezone.now()) & ~_stopped()),
        "night": (_("waiting for the night"), lambda: Q(state=State.DUE, due_at__isnull=True)),
        "launch": (_("waiting for a launch"), lambda: Q(state=State.WAITING)),
        "failing": (_("failing"), lambda: Q(attempts__gt=0) & ~Q(state__in=[State.SENT, State.PARKED])),
        "parked": (_("parked"), lambda: Q(state=State.PARKED)),
        "unknown": (_("outcome unknown"), lambda: Q(state=State.UNKNOWN)),
        "sending": (_("being sent"), lambda: Q(state=State.SENDING)),
        "stopped": (_("stopped by hand"), lambda: ~Q(state=State.SENT) & _stopped()),
        "unconfirmed": (_("sent, unconfirmed"), lambda: Q(state=State.SENT) & ~Q(unconfirmed="")),
        "sent": (_("sent"), lambda: Q(state=State.SENT)),
    }


class DriftFilter(filters.AnswerFilter):
    """How the gradebook differs from what was sent."""

    title = _("gradebook")
    parameter_name = "drift"
    answers = {
        "any": (_("differs"), lambda: ~Q(drift="")),
        "overridden": (_("changed in the LMS"), lambda: Q(drift=OutgoingScore.Drift.OVERRIDDEN)),
        "missing": (_("not in the gradebook"), lambda: Q(drift=OutgoingScore.Drift.MISSING)),
        "column_gone": (_("column deleted"), lambda: Q(drift=OutgoingScore.Drift.COLUMN_GONE)),
    }


class ScoreCourseFilter(filters.CourseFilter):
    """Scores of one course."""

    path = "line_item__context"


class ScorePlatformFilter(filters.PlatformFilter):
    """Scores of one platform."""

    path = "line_item__context__platform"


@admin.register(OutgoingScore)
class OutgoingScoreAdmin(rows.RowAdmin[OutgoingScore]):
    """The outbox and what has left it."""

    list_display = [
        "lti_user", "place", "amount", "gradebook", "delivery", cells.since("due_at", _("due")),
        cells.since("attempted_at", _("last attempt")),
    ]  # fmt: skip
    list_filter = [DeliveryFilter, DriftFilter, "grading_progress", ScoreCourseFilter, ScorePlatformFilter]
    list_select_related = ["lti_user", "line_item__resource_link", "line_item__context__platform"]
    search_fields = [
        "lti_user__name", "lti_user__email", "lti_user__lti_id", "line_item__label", "line_item__resource_link__title",
        "line_item__context__title", "line_item__context__lti_id", "last_error_code",
    ]  # fmt: skip
    ordering = ["-pk"]
    linked_by = ["state"]
    actions = ["send_open", "send_again"]
    fieldsets = [
        (None, {"fields": ["lti_user", "line_item", "course", "amount", "comment", "activity_progress",
                           "grading_progress", "extra", "recorded_at"]}),
        (_("Delivery"), {"fields": ["delivery", "due_at", "attempted_at", "attempts", "last_error_code", "last_error",
                                    "sent_at", "unconfirmed", "revision", "sent_revision"]}),
        (_("Gradebook, as last read"), {"fields": ["gradebook", "result_at"]}),
        (_("Failures and unknown outcomes, newest first"), {"fields": ["past_attempts"]}),
    ]  # fmt: skip

    @admin.display(description=_("line item and course"), ordering="line_item__context__title")
    def place(self, score: OutgoingScore) -> str:
        return cells.below(str(score.line_item), str(score.line_item.context))

    @admin.display(description=_("course"))
    def course(self, score: OutgoingScore) -> str:
        return cells.row_link(self.admin_site, score.line_item.context)

    @admin.display(description=_("score"), ordering="given")
    def amount(self, score: OutgoingScore) -> str:
        if score.given is None or score.maximum is None:
            return str(_("cleared"))
        return cells.share(score.given, score.maximum)

    @admin.display(description=_("in the gradebook"), ordering="drift")
    def gradebook(self, score: OutgoingScore) -> str:
        if score.drift != OutgoingScore.Drift.OVERRIDDEN:
            return badges.of_drift(score)
        held = (
            cells.share(score.result_score, score.result_maximum) if score.result_score is not None else _("no value")
        )
        return cells.below(held, badges.of_drift(score))

    @admin.display(description=_("delivery"), ordering="state")
    def delivery(self, score: OutgoingScore) -> str:
        if score.state == State.SENT:
            return cells.below(badges.of_score(score), cells.join(score.unconfirmed, cells.ago(score.sent_at)))
        return cells.below(badges.of_score(score), score.last_error_code)

    @admin.display(description=_("history"))
    def past_attempts(self, score: OutgoingScore) -> str:
        attempts = list(score.history.order_by(F("at").desc(), "-pk")[: _SHOWN_ATTEMPTS + 1])
        lines = format_html_join(
            "",
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            (
                (cells.ago(attempt.at), attempt.revision, badges.of_attempt(attempt), attempt.error_code, attempt.error)
                for attempt in attempts[:_SHOWN_ATTEMPTS]
            ),
        )
        if not lines:
            return str(_("None."))
        head = format_html_join("", "<th>{}</th>", ((text,) for text in (
            _("when"), _("revision"), _("outcome"), _("error"), _("error text"),
        )))  # fmt: skip
        more = _("Older ones are not shown.") if len(attempts) > _SHOWN_ATTEMPTS else ""
        return format_html('<table class="lti-table"><tr>{}</tr>{}</table>{}', head, lines, more)

    @admin.action(description=_("Send now what is not sent yet (retry)"), permissions=["change"])
    def send_open(self, request: HttpRequest, queryset: QuerySet[OutgoingScore]) -> None:
        chosen = list(queryset.values_list("pk", "state"))
        self._resend(request, [pk for pk, state in chosen if state != State.SENT], len(chosen))

    @admin.action(description=_("Send again, sent ones too"), permissions=["change"])
    @rows.ask_first(
        _("A grade that a teacher has changed in the LMS since is overwritten by ours. (If all of a list are chosen at "
          "once, those known to be changed are left out.) Send all of these again?")
    )  # fmt: skip
    def send_again(self, request: HttpRequest, queryset: QuerySet[OutgoingScore]) -> None:
        all_at_once = request.POST.get("select_across") == "1" and request.GET.get("drift") != "overridden"
        overridden = Q(state=State.SENT, drift=OutgoingScore.Drift.OVERRIDDEN)
        chosen = list((queryset.exclude(overridden) if all_at_once else queryset).values_list("pk", flat=True))
        left_out = queryset.filter(overridden).count() if all_at_once else 0
        self._resend(request, chosen, len(chosen))
        if left_out:
            tell_left_out(self, request, left_out)

    def _resend(self, request: HttpRequest, ids: list[int], chosen: int) -> None:
        done = 0
        for start in range(0, len(ids), _CHUNK):
            some = ids[start : start + _CHUNK]
            done += grades.resend(some)
            asked = OutgoingScore.objects.filter(pk__in=some).select_related("lti_user", "line_item__resource_link")
            self.log(request, asked, "Asked to be sent again.")
        left = chosen - done
        said = ngettext("%(n)d score is due now.", "%(n)d scores are due now.", done)
        why_left = ngettext("%(n)d was left alone: sent, being sent, or its outcome is being looked up.",
                            "%(n)d were left alone: sent, being sent, or their outcome is being looked up.",
                            left)  # fmt: skip
        self.tell(request, done, said % {"n": done}, left, why_left % {"n": left})


def tell_left_out(model_admin: rows.RowAdmin[Any], request: HttpRequest, number: int, **place: int) -> None:
    """Say how many grades were left out because a teacher has changed them, and lead to them."""
    text = ngettext("%(n)d grade was left out, for it was changed in the LMS. To overwrite it, choose it.",
                    "%(n)d grades were left out, for they were changed in the LMS. To overwrite them, choose them.",
                    number) % {"n": number}  # fmt: skip
    url = cells.list_url(model_admin.admin_site, OutgoingScore, drift="overridden", **place)
    model_admin.message_user(request, format_html('<a href="{}">{}</a>', url, text), messages.WARNING)
