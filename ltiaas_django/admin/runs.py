"""Runs: what each pass did, how long it took, and which were broken off."""

from __future__ import annotations

from datetime import timedelta

from django.contrib import admin
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ltiaas_django.admin import badges, cells, filters, rows
from ltiaas_django.conf import settings
from ltiaas_django.models import SyncRun

Outcome = SyncRun.Outcome


def broken_off() -> Q:
    """Runs that are said to be going on while their worker shows no sign of life, as `badges.is_broken_off`."""
    now = timezone.now()
    unowned = Q(platform__lease_until__isnull=True) | Q(platform__lease_until__lt=now)
    old = Q(started_at__lte=now - timedelta(seconds=settings.LEASE))
    return Q(outcome=Outcome.RUNNING) & old & unowned


class OutcomeFilter(filters.AnswerFilter):
    """How a run ended."""

    title = _("outcome")
    parameter_name = "ended"
    answers = {
        "trouble": (_("in any trouble"), lambda: Q(outcome__in=[Outcome.PARTIAL, Outcome.FAILED]) | broken_off()),
        "partial": (_("some failed"), lambda: Q(outcome=Outcome.PARTIAL)),
        "failed": (_("nothing worked"), lambda: Q(outcome=Outcome.FAILED)),
        "broken": (_("broken off"), broken_off),
        "running": (_("running"), lambda: Q(outcome=Outcome.RUNNING) & ~broken_off()),
        "stopped": (_("stopped"), lambda: Q(outcome=Outcome.STOPPED)),
        "ok": (_("all done"), lambda: Q(outcome=Outcome.OK)),
    }


@admin.register(SyncRun)
class SyncRunAdmin(rows.RowAdmin[SyncRun]):
    """The log of passes."""

    list_display = [
        cells.since("started_at", _("started")), "what", "platform", "ended", "took", "summary", "why",
    ]  # fmt: skip
    list_filter = [OutcomeFilter, "kind", "trigger", filters.PlatformFilter]
    list_select_related = ["platform"]
    search_fields = ["platform__name", "platform__issuer", "error"]
    date_hierarchy = "started_at"
    may_be_deleted = True
    fields = ["kind", "trigger", "platform", "ended", "started_at", "finished_at", "took", "summary", "error"]

    @admin.display(description=_("outcome"), ordering="outcome")
    def ended(self, run: SyncRun) -> str:
        return badges.of_run(run)

    @admin.display(description=_("kind, trigger"), ordering="kind")
    def what(self, run: SyncRun) -> str:
        return cells.below(run.get_kind_display(), run.get_trigger_display())

    @admin.display(description=_("error"), ordering="error")
    def why(self, run: SyncRun) -> str:
        return cells.clipped(run.error)

    @admin.display(description=_("took"))
    def took(self, run: SyncRun) -> str:
        if run.finished_at is None:
            return cells.NOTHING
        return cells.duration(run.finished_at - run.started_at)

    @admin.display(description=_("counts"))
    def summary(self, run: SyncRun) -> str:
        counts = run.counts if isinstance(run.counts, dict) else {}
        done = [f"{name}\N{NO-BREAK SPACE}{number}" for name, number in counts.items() if number]
        return ", ".join(done) or cells.NOTHING
