"""Line items, the outbox of scores, and what happened when they were sent."""

from __future__ import annotations

from typing import Self

from django.db import connection, models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ltiaas_django import vocabulary
from ltiaas_django.models.places import LTI_ID_LENGTH, Context, LtiUser, ResourceLink

AMOUNT_DIGITS = 14  # what a JSON number surely carries; 15 significant digits survive any reader's binary float
AMOUNT_PLACES = 5  # Moodle keeps five, every other LMS fewer


def skip_locked(rows: models.QuerySet[OutgoingScore]) -> models.QuerySet[OutgoingScore]:
    """Lock the rows that are free and pass over the others, where the database can (SQLite locks as a whole).

    A tool's transaction may hold a row for a minute; no worker waits for it.
    """
    if connection.features.has_select_for_update_skip_locked:
        return rows.select_for_update(skip_locked=True, of=("self",))
    return rows


def lock_free(rows: models.QuerySet[OutgoingScore]) -> models.QuerySet[OutgoingScore]:
    """Those of the rows that no other transaction holds, locked for this one, in the order of their ids."""
    ids = list(skip_locked(rows.order_by("pk")).values_list("pk", flat=True))
    return OutgoingScore.objects.filter(pk__in=ids)


class LineItem(models.Model):
    """A column of the LMS's gradebook, wanted or found. `lti_id` is blank until it is found or created."""

    context = models.ForeignKey(Context, models.CASCADE, related_name="line_items", verbose_name=_("context"))
    resource_link = models.ForeignKey(
        ResourceLink,
        models.CASCADE,
        null=True,
        blank=True,
        related_name="line_items",
        verbose_name=_("resource link"),
    )
    tag = models.CharField(_("tag"), max_length=LTI_ID_LENGTH, blank=True)
    resource_id = models.CharField(_("resource id"), max_length=LTI_ID_LENGTH, blank=True)
    lti_id = models.CharField(_("LMS id"), max_length=2000, blank=True)
    gone_at = models.DateTimeField(_("gone"), null=True, blank=True, editable=False)
    """When the LMS said that it no longer has it; it is then looked for again, or created."""
    renewed_at = models.DateTimeField(null=True, blank=True, editable=False)
    """When another column took its place lately: what was sent before does not count, whoever held the row then."""
    label = models.CharField(_("label"), max_length=255, blank=True)
    score_maximum = models.DecimalField(
        _("maximum"), max_digits=AMOUNT_DIGITS, decimal_places=AMOUNT_PLACES, null=True, blank=True
    )

    class Meta:
        verbose_name = _("line item")
        verbose_name_plural = _("line items")
        constraints = [
            models.UniqueConstraint(
                fields=["context", "resource_link", "resource_id", "tag"],
                condition=Q(resource_link__isnull=False),
                name="ltiaas_line_item_unique",
            ),
            models.UniqueConstraint(
                fields=["context", "resource_id", "tag"],
                condition=Q(resource_link__isnull=True),
                name="ltiaas_line_item_unique_no_link",
            ),
            models.CheckConstraint(
                condition=Q(score_maximum__isnull=True) | Q(score_maximum__gt=0), name="ltiaas_line_item_maximum"
            ),
        ]
        indexes = [
            models.Index(fields=["renewed_at"], name="ltiaas_line_item_renewed", condition=Q(renewed_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return self.label or str(self.resource_link or self.resource_id or f"#{self.pk}")


class OutgoingScoreQuerySet(models.QuerySet["OutgoingScore"]):
    """Questions asked of the outbox."""

    def open(self) -> Self:
        """Scores that the LMS has not yet accepted as they are wanted."""
        return self.exclude(state=OutgoingScore.State.SENT)

    def due(self) -> Self:
        """Scores to be sent, or asked about, now."""
        return self.actionable().filter(due_at__lte=timezone.now())

    def actionable(self) -> Self:
        """Scores that a worker may take once they are due."""
        return self.filter(ACTIONABLE)

    def sendable(self) -> Self:
        """Leaves out what an operator has stopped, and what belongs to a course that the LMS calls over."""
        return self.filter(
            line_item__context__is_active=True,
            line_item__context__concluded_at=None,
            line_item__context__platform__is_active=True,
        )


class OutgoingScore(models.Model):
    """The wanted grade of one person in one line item: one row, whose revision grows at each change.

    `revision` is wanted, `sending_revision` in flight, `sent_revision` accepted by the LMS. A tool's transaction
    writes the wanted values and `revision`; all else belongs to the worker that holds the lease.
    """

    class State(models.TextChoices):
        DUE = "due", _("due")
        SENDING = "sending", _("sending")
        UNKNOWN = "unknown", _("outcome unknown")
        WAITING = "waiting", _("waiting for a launch")
        SENT = "sent", _("sent")
        PARKED = "parked", _("parked")

    class Drift(models.TextChoices):
        """How the gradebook differs from what was sent, where it was read back."""

        OVERRIDDEN = "overridden", _("changed in the LMS")
        MISSING = "missing", _("not in the gradebook")
        COLUMN_GONE = "column_gone", _("column deleted")

    line_item = models.ForeignKey(LineItem, models.CASCADE, related_name="scores", verbose_name=_("line item"))
    lti_user = models.ForeignKey(LtiUser, models.CASCADE, related_name="scores", verbose_name=_("person"))

    given = models.DecimalField(
        _("given"), max_digits=AMOUNT_DIGITS, decimal_places=AMOUNT_PLACES, null=True, blank=True
    )
    maximum = models.DecimalField(
        _("maximum"), max_digits=AMOUNT_DIGITS, decimal_places=AMOUNT_PLACES, null=True, blank=True
    )
    activity_progress = models.CharField(
        _("activity progress"),
        max_length=16,
        choices=[(p.value, p.value) for p in vocabulary.ActivityProgress],
        default=vocabulary.ActivityProgress.COMPLETED.value,
    )
    grading_progress = models.CharField(
        _("grading progress"),
        max_length=16,
        choices=[(p.value, p.value) for p in vocabulary.GradingProgress],
        default=vocabulary.GradingProgress.FULLY_GRADED.value,
    )
    comment = models.TextField(_("comment"), blank=True)
    extra = models.JSONField(_("further members"), default=dict, blank=True)
    recorded_at = models.DateTimeField(_("recorded"), default=timezone.now)

    revision = models.PositiveIntegerField(_("revision"), default=1)
    sending_revision = models.PositiveIntegerField(null=True, editable=False)
    sent_revision = models.PositiveIntegerField(_("sent revision"), null=True, editable=False)
    state = models.CharField(_("state"), max_length=16, choices=State, default=State.DUE)
    attempts = models.PositiveSmallIntegerField(_("failures in a row"), default=0)
    due_at = models.DateTimeField(_("due"), null=True, blank=True)
    """None waits for the night."""
    attempted_at = models.DateTimeField(_("last attempt"), null=True, blank=True)
    lease_until = models.DateTimeField(null=True, editable=False)
    lease_token = models.UUIDField(null=True, editable=False)
    last_error_code = models.CharField(_("error"), max_length=64, blank=True)
    last_error = models.CharField(_("error text"), max_length=500, blank=True)
    unconfirmed = models.CharField(_("unconfirmed"), max_length=64, blank=True)
    """Which parts of the sent revision the LMS could not confirm, such as `comment`."""
    sent_at = models.DateTimeField(_("sent"), null=True, blank=True)
    cleared = models.BooleanField(default=False, editable=False)
    """A clear has gone out, and no value was accepted since: a result without a score then says nothing of a 0."""

    drift = models.CharField(_("drift"), max_length=16, choices=Drift, blank=True, editable=False)
    """Blank: the gradebook agreed when it was last read, or was not read since the score was sent."""
    result_score = models.DecimalField(
        _("in the gradebook"), max_digits=AMOUNT_DIGITS, decimal_places=AMOUNT_PLACES, null=True, editable=False
    )
    result_maximum = models.DecimalField(
        _("maximum in the gradebook"), max_digits=AMOUNT_DIGITS, decimal_places=AMOUNT_PLACES, null=True, editable=False
    )
    result_at = models.DateTimeField(_("gradebook read"), null=True, editable=False)

    objects = OutgoingScoreQuerySet.as_manager()

    class Meta:
        verbose_name = _("outgoing score")
        verbose_name_plural = _("outgoing scores")
        constraints = [
            models.UniqueConstraint(fields=["line_item", "lti_user"], name="ltiaas_score_unique"),
            models.CheckConstraint(
                # A comparison with NULL is NULL, which a CHECK lets through: hence "is not null", here and below.
                condition=Q(given__isnull=True) | Q(given__gte=0, maximum__isnull=False, maximum__gt=0),
                name="ltiaas_score_amounts",
            ),
            models.CheckConstraint(
                condition=~Q(state="sent") | Q(sent_revision__isnull=False, sent_revision=F("revision")),
                name="ltiaas_score_sent_is_newest",
            ),
            models.CheckConstraint(
                condition=~Q(state="sending")
                | Q(lease_token__isnull=False, lease_until__isnull=False, sending_revision__isnull=False),
                name="ltiaas_score_sending_is_leased",
            ),
        ]
        indexes = [
            # The outbox is small beside the history: only what is open is indexed by when it is due.
            models.Index(fields=["due_at"], name="ltiaas_score_due", condition=Q(state="due") | Q(state="unknown")),
            models.Index(fields=["line_item"], name="ltiaas_score_waiting", condition=Q(state="waiting")),
            models.Index(fields=["lease_until"], name="ltiaas_score_leased", condition=Q(state="sending")),
            models.Index(fields=["line_item"], name="ltiaas_score_open", condition=~Q(state="sent")),
            models.Index(fields=["line_item"], name="ltiaas_score_drift", condition=~Q(drift="")),
            models.Index(
                fields=["line_item"],
                name="ltiaas_score_not_gradable",
                condition=Q(last_error_code="course_not_gradable"),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.lti_user} · {self.line_item}"


ACTIONABLE = Q(state=OutgoingScore.State.DUE) | Q(state=OutgoingScore.State.UNKNOWN)
"""What a worker may take once it is due. Not "in": SQLite finds the partial index only for what is said as it is."""


class ScoreAttempt(models.Model):
    """A send that failed, or whose outcome nobody knows."""

    class Outcome(models.TextChoices):
        FAILED = "failed", _("failed")
        UNKNOWN = "unknown", _("outcome unknown")
        SENT = "sent", _("sent")

    score = models.ForeignKey(OutgoingScore, models.CASCADE, related_name="history", verbose_name=_("score"))
    revision = models.PositiveIntegerField(_("revision"))
    outcome = models.CharField(_("outcome"), max_length=16, choices=Outcome)
    error_code = models.CharField(_("error"), max_length=64, blank=True)
    error = models.CharField(_("error text"), max_length=500, blank=True)
    at = models.DateTimeField(_("at"), default=timezone.now, db_index=True)

    class Meta:
        verbose_name = _("score attempt")
        verbose_name_plural = _("score attempts")

    def __str__(self) -> str:
        return f"{self.score_id} r{self.revision} {self.outcome}"
