"""Service keys: sealed at rest, one for each place that a launch came from."""

from __future__ import annotations

from typing import Self

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from ltiaas_django import sealing
from ltiaas_django.models.places import Context, ResourceLink


class ServiceKeyQuerySet(models.QuerySet["ServiceKey"]):
    """Questions asked of stored keys."""

    def healthy(self) -> Self:
        """Keys that have not been refused since they came."""
        return self.filter(refused_at__isnull=True)

    def freshest_first(self) -> Self:
        """The key that a launch brought last comes first."""
        return self.order_by(F("refreshed_at").desc(), "-pk")


class ServiceKey(models.Model):
    """What opens a context's services outside a launch. Replaced at every launch; no page or log shows it."""

    context = models.ForeignKey(Context, models.CASCADE, related_name="service_keys", verbose_name=_("context"))
    resource_link = models.ForeignKey(
        ResourceLink,
        models.CASCADE,
        null=True,
        blank=True,
        related_name="service_keys",
        verbose_name=_("resource link"),
    )
    sealed = models.TextField(editable=False)
    sealed_with = models.CharField(max_length=12, editable=False, db_index=True)
    """Names the sealing key, so that the night finds what an older one sealed without opening any."""
    fingerprint = models.CharField(_("fingerprint"), max_length=12, editable=False)
    offers_roster = models.BooleanField(_("offers roster"), default=False)
    offers_grades = models.BooleanField(_("offers grades"), default=False)
    is_legacy = models.BooleanField(_("LTI 1.1"), default=False, editable=False)
    """Of a launch of LTI 1.1 or 1.2: kept, but LTIAAS documents no service that it opens."""
    refreshed_at = models.DateTimeField(_("brought by a launch"))
    used_at = models.DateTimeField(_("last used"), null=True, blank=True)
    refused_at = models.DateTimeField(_("refused"), null=True, blank=True)
    last_error = models.CharField(_("last error"), max_length=500, blank=True)

    objects = ServiceKeyQuerySet.as_manager()

    class Meta:
        verbose_name = _("service key")
        verbose_name_plural = _("service keys")
        constraints = [
            models.UniqueConstraint(
                fields=["context", "resource_link"],
                condition=Q(resource_link__isnull=False),
                name="ltiaas_service_key_unique",
            ),
            models.UniqueConstraint(
                fields=["context"], condition=Q(resource_link__isnull=True), name="ltiaas_service_key_unique_no_link"
            ),
        ]
        indexes = [
            models.Index(fields=["context"], name="ltiaas_key_refused", condition=Q(refused_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return self.fingerprint

    @property
    def is_healthy(self) -> bool:
        """Whether it may be used: no call with it was refused since it came."""
        return self.refused_at is None

    def put(self, secret: str) -> None:
        """Take in a new secret; the caller saves."""
        self.sealed, self.sealed_with = sealing.seal(secret), sealing.newest_key()
        self.fingerprint = sealing.fingerprint(secret)

    def reveal(self) -> str:
        """The secret. Raises SealError when the sealing keys have changed under it."""
        return sealing.unseal(self.sealed)
