"""Runs: one pass over one platform's grades or rosters."""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ltiaas_django.models.places import Platform


class SyncRun(models.Model):
    """What a pass did, written while it goes on, so that a killed one shows as unfinished."""

    class Kind(models.TextChoices):
        GRADES = "grades", _("grades")
        ROSTERS = "rosters", _("rosters")
        CHECK = "check", _("gradebook check")

    class Trigger(models.TextChoices):
        NIGHTLY = "nightly", _("nightly")
        TICK = "tick", _("tick")
        COMMIT = "commit", _("on commit")
        LAUNCH = "launch", _("launch")
        COMMAND = "command", _("command")
        ADMIN = "admin", _("admin")

    class Outcome(models.TextChoices):
        RUNNING = "running", _("running")
        OK = "ok", _("all done")
        PARTIAL = "partial", _("some failed")
        FAILED = "failed", _("nothing worked")
        STOPPED = "stopped", _("stopped")

    kind = models.CharField(_("kind"), max_length=16, choices=Kind)
    trigger = models.CharField(_("trigger"), max_length=16, choices=Trigger)
    platform = models.ForeignKey(
        Platform, models.CASCADE, null=True, blank=True, related_name="runs", verbose_name=_("platform")
    )
    started_at = models.DateTimeField(_("started"), default=timezone.now, db_index=True)
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)
    counts = models.JSONField(_("counts"), default=dict)
    """For grades: sent, failed, waiting, parked. For rosters: read, failed, joined, changed, left, held. For gradebook
    checks: read, failed, overridden, missing, column_gone."""
    outcome = models.CharField(_("outcome"), max_length=16, choices=Outcome, default=Outcome.RUNNING)
    error = models.CharField(_("error"), max_length=500, blank=True)

    class Meta:
        verbose_name = _("sync run")
        verbose_name_plural = _("sync runs")
        ordering = ["-started_at"]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.started_at:%Y-%m-%d %H:%M}"


class Heartbeat(models.Model):
    """A sign of life: when something that must run all the time did so last."""

    TICK = "tick"
    """Celery's, every minute."""
    NIGHT = "night"
    """Housekeeping, by Celery or by `ltiaas_sync all`."""

    name = models.CharField(_("name"), max_length=32, primary_key=True)
    beat_at = models.DateTimeField(_("last sign of life"), default=timezone.now)

    class Meta:
        verbose_name = _("heartbeat")
        verbose_name_plural = _("heartbeats")

    def __str__(self) -> str:
        return f"{self.name} {self.beat_at:%Y-%m-%d %H:%M:%S}"
