"""Platforms, their courses and activities, and the people in them.

`lti_id` is always the LMS's own id, a case-sensitive text. A blank one is a sentinel where the launch named none: a
context without id stands for launches outside any course, so that every launch has a place.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import ClassVar

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from ltiaas_django import vocabulary
from ltiaas_django.connections.base import ServiceConnection

LTI_ID_LENGTH = 255  # LTI Core 1.3, sections 5.3.4 to 5.3.6: ids are at most 255 characters


_ORIGIN = re.compile(r"https?://(\*\.)?[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*(:\d{1,5})?")


def check_frame_ancestors(text: str) -> None:
    """Raises ValidationError unless each word is an origin (CSP 3, section 2.3.1, host-source)."""
    for line in text.split():
        if not _ORIGIN.fullmatch(line):
            raise ValidationError(
                _("“%(line)s” is no origin such as https://canvas.school.edu."), params={"line": line}
            )


class Platform(models.Model):
    """One registration of an LMS. Its row is also what a worker owns while it talks to that LMS."""

    class ConnectionKind(models.TextChoices):
        LTIAAS = "ltiaas", "LTIAAS"
        LTI13 = "lti13", _("LTI 1.3, direct")

    class AccountLinking(models.TextChoices):
        OFF = "off", _("off: each person gets an account of their own")
        ASK = "ask", _("ask: the person signs in once and agrees")
        EMAIL = "email", _("by e-mail: trust the addresses that this LMS asserts")

    connection_kind = models.CharField(
        _("connection"), max_length=16, choices=ConnectionKind, default=ConnectionKind.LTIAAS, editable=False
    )
    ltiaas_id = models.CharField(_("LTIAAS id"), max_length=LTI_ID_LENGTH, unique=True, null=True)  # noqa: DJ001  null for other kinds
    issuer = models.CharField(_("issuer"), max_length=2000, blank=True)
    client_id = models.CharField(_("client id"), max_length=255, blank=True)
    name = models.CharField(_("name"), max_length=255, blank=True)
    product_family = models.CharField(_("product family"), max_length=255, blank=True)
    version = models.CharField(_("version"), max_length=255, blank=True)
    guid = models.CharField(_("guid"), max_length=255, blank=True)

    is_active = models.BooleanField(
        _("active"), default=True, help_text=_("Off: nothing is sent to this LMS and no roster is read.")
    )
    active_at_ltiaas = models.BooleanField(_("launches at LTIAAS"), null=True, editable=False)
    """Whether LTIAAS lets this LMS launch, as of the last time it was asked; None: it has not said."""
    account_linking = models.CharField(
        _("linking of accounts"),
        max_length=8,
        choices=AccountLinking,
        default=AccountLinking.OFF,
        help_text=_(
            "Whether people who have an account here already may come in with it. "
            "By e-mail: any administrator of this LMS can then sign in as any plain user whose e-mail they assert."
        ),
    )
    frame_ancestors = models.TextField(
        _("pages that may frame this tool"),
        blank=True,
        validators=[check_frame_ancestors],
        help_text=_("Origins such as https://canvas.school.edu, one on each line. Blank: any page may."),
    )
    parallel_calls = models.PositiveSmallIntegerField(
        _("parallel calls"), null=True, blank=True, validators=[MinValueValidator(1)]
    )
    calls_per_second = models.FloatField(
        _("calls per second"), null=True, blank=True, validators=[MinValueValidator(0.01)]
    )
    paused_until = models.DateTimeField(_("paused until"), null=True, blank=True)
    pause_reason = models.CharField(_("pause reason"), max_length=255, blank=True)
    failures_in_a_row = models.PositiveIntegerField(_("failures in a row"), default=0, editable=False)
    """Of the network, LTIAAS or the LMS. While the breaker is open, a pass begins with one call as a probe."""
    worked_at = models.DateTimeField(_("last worked on"), null=True, blank=True, editable=False)
    """When a worker last took it: the one that waits for longest comes first."""
    lease_token = models.UUIDField(null=True, editable=False)
    lease_until = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(_("first launch"), auto_now_add=True)

    class Meta:
        verbose_name = _("platform")
        verbose_name_plural = _("platforms")

    def __str__(self) -> str:
        return self.name or self.issuer or self.ltiaas_id or f"#{self.pk}"


class Context(models.Model):
    """Usually a course."""

    platform = models.ForeignKey(Platform, models.CASCADE, related_name="contexts", verbose_name=_("platform"))
    deployment_id = models.CharField(_("deployment"), max_length=LTI_ID_LENGTH, blank=True)
    lti_id = models.CharField(_("LMS id"), max_length=LTI_ID_LENGTH, blank=True)
    label = models.CharField(_("label"), max_length=255, blank=True)
    title = models.CharField(_("title"), max_length=255, blank=True)
    types = models.JSONField(_("types"), default=list, blank=True)

    is_active = models.BooleanField(
        _("active"), default=True, help_text=_("Off: nothing is sent for this course and its roster is not read.")
    )
    launched_at = models.DateTimeField(_("last launch"), null=True, editable=False)
    concluded_at = models.DateTimeField(_("concluded"), null=True, blank=True, editable=False)
    """When the LMS said that the course is over: nothing is asked of it until somebody launches it again."""
    roster_due_at = models.DateTimeField(_("roster due"), null=True, editable=False)
    roster_attempted_at = models.DateTimeField(_("roster last attempted"), null=True, editable=False)
    roster_synced_at = models.DateTimeField(_("roster last read"), null=True, editable=False)
    roster_failures = models.PositiveSmallIntegerField(_("roster failures in a row"), default=0, editable=False)
    roster_error = models.CharField(_("roster error"), max_length=500, blank=True, editable=False)
    roster_held = models.JSONField(_("departures held"), null=True, blank=True, editable=False)
    """None, or {"fingerprint": of the set of leavers, "count": how many, "of": active before, "nights": how often}."""
    check_due_at = models.DateTimeField(_("gradebook check due"), null=True, editable=False)
    checked_at = models.DateTimeField(_("gradebook last checked"), null=True, editable=False)
    check_error = models.CharField(_("gradebook check error"), max_length=500, blank=True, editable=False)

    class Meta:
        verbose_name = _("context")
        verbose_name_plural = _("contexts")
        constraints = [
            models.UniqueConstraint(fields=["platform", "deployment_id", "lti_id"], name="ltiaas_context_unique"),
        ]
        indexes = [
            models.Index(
                fields=["platform", "roster_due_at"],
                name="ltiaas_context_due",
                condition=models.Q(roster_due_at__isnull=False),
            ),
            # What is wrong, or asked for, is little beside what exists: each has an index of its own.
            models.Index(
                fields=["platform", "check_due_at"],
                name="ltiaas_context_check",
                condition=models.Q(check_due_at__isnull=False),
            ),
            models.Index(fields=["platform"], name="ltiaas_context_failing", condition=models.Q(roster_failures__gt=0)),
            models.Index(
                fields=["platform"], name="ltiaas_context_held", condition=models.Q(roster_held__isnull=False)
            ),
            models.Index(fields=["-launched_at"], name="ltiaas_context_launched"),
        ]

    def __str__(self) -> str:
        return self.title or self.label or self.lti_id or str(_("(no course)"))


class ResourceLink(models.Model):
    """Usually an activity of the course."""

    opener: ClassVar[Callable[[ResourceLink], AbstractContextManager[ServiceConnection]]]
    """Set by `operations.connecting`, which alone knows what kind of connection a platform uses."""

    context = models.ForeignKey(Context, models.CASCADE, related_name="resource_links", verbose_name=_("context"))
    lti_id = models.CharField(_("LMS id"), max_length=LTI_ID_LENGTH)
    title = models.CharField(_("title"), max_length=255, blank=True)
    description = models.CharField(_("description"), max_length=2000, blank=True)

    class Meta:
        verbose_name = _("resource link")
        verbose_name_plural = _("resource links")
        constraints = [models.UniqueConstraint(fields=["context", "lti_id"], name="ltiaas_resource_link_unique")]

    def __str__(self) -> str:
        return self.title or self.lti_id

    def open(self) -> AbstractContextManager[ServiceConnection]:
        """A connection to this activity's services, with its own key or a sibling's, to be used in a `with` block.

        Raises ServiceNotOffered if no healthy key is stored.
        """
        return type(self).opener(self)


class LtiUser(models.Model):
    """A person of one platform. Two LMSs' "user 2" are two people (design: identity is platform and LMS id)."""

    platform = models.ForeignKey(Platform, models.CASCADE, related_name="lti_users", verbose_name=_("platform"))
    lti_id = models.CharField(_("LMS id"), max_length=LTI_ID_LENGTH)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="lti_users",
        verbose_name=_("Django user"),
    )
    name = models.CharField(_("name"), max_length=255, blank=True)
    given_name = models.CharField(_("given name"), max_length=255, blank=True)
    family_name = models.CharField(_("family name"), max_length=255, blank=True)
    email = models.CharField(_("e-mail"), max_length=254, blank=True)
    picture = models.CharField(_("picture"), max_length=2000, blank=True)
    is_provisional = models.BooleanField(default=False, db_default=False, editable=False)  # rosters write SQL
    """The Django user was made for this person, who has not been signed in with it: there may be another."""
    linked_at = models.DateTimeField(_("account linked"), null=True, blank=True, editable=False)
    """When the person signed in to an account that was there before, and agreed that it is theirs."""

    class Meta:
        verbose_name = _("LTI user")
        verbose_name_plural = _("LTI users")
        constraints = [models.UniqueConstraint(fields=["platform", "lti_id"], name="ltiaas_lti_user_unique")]

    def __str__(self) -> str:
        return self.name or f"{self.given_name} {self.family_name}".strip() or self.lti_id


class Membership(models.Model):
    """That a person belongs to a context, and as what."""

    class Status(models.TextChoices):
        ACTIVE = vocabulary.MembershipStatus.ACTIVE.value, _("active")
        INACTIVE = vocabulary.MembershipStatus.INACTIVE.value, _("inactive")
        DELETED = vocabulary.MembershipStatus.DELETED.value, _("deleted")

    context = models.ForeignKey(Context, models.CASCADE, related_name="memberships", verbose_name=_("context"))
    lti_user = models.ForeignKey(LtiUser, models.CASCADE, related_name="memberships", verbose_name=_("person"))
    roles = models.JSONField(_("roles"), default=list, blank=True)
    is_learner = models.BooleanField(_("learner"), default=False)
    is_instructor = models.BooleanField(_("instructor"), default=False)
    status = models.CharField(_("status"), max_length=16, choices=Status, default=Status.ACTIVE)
    fingerprint = models.CharField(max_length=32, blank=True, editable=False)
    """Of the last roster entry, so that an unchanged one writes nothing; blank when the row came from a launch."""

    class Meta:
        verbose_name = _("membership")
        verbose_name_plural = _("memberships")
        constraints = [models.UniqueConstraint(fields=["context", "lti_user"], name="ltiaas_membership_unique")]

    def __str__(self) -> str:
        return f"{self.lti_user} · {self.context}"
