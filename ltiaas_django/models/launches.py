"""A launch: one person opening one thing of one LMS, once."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, ClassVar, Literal, Self
from urllib.parse import urlsplit

from django.conf import settings
from django.db import models
from django.shortcuts import resolve_url
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ltiaas_django import vocabulary
from ltiaas_django.connections.base import ServiceConnection
from ltiaas_django.models.places import Context, LtiUser, ResourceLink

PARAMETER = "lti"
"""Names the launch in URLs and form fields."""
HEADER = "X-LTI-Launch"
"""Names the launch in requests that a page's scripts make."""


class LaunchQuerySet(models.QuerySet["Launch"]):
    """Questions asked of launches."""

    def live(self) -> Self:
        """Launches that pages may still be served under."""
        return self.filter(expires_at__gt=timezone.now())


class Launch(models.Model):
    """`request.lti` on pages served under it. Its id is public: a name, no credential."""

    class Type(models.TextChoices):
        RESOURCE_LINK = vocabulary.LaunchType.RESOURCE_LINK.value, _("activity")
        DEEP_LINKING = vocabulary.LaunchType.DEEP_LINKING.value, _("deep linking")
        SUBMISSION_REVIEW = vocabulary.LaunchType.SUBMISSION_REVIEW.value, _("submission review")
        LEGACY = vocabulary.LaunchType.LEGACY.value, _("activity (LTI 1.1)")

    opener: ClassVar[Callable[[Launch], AbstractContextManager[ServiceConnection]]]
    """Set by `operations.connecting`, which alone knows what kind of connection a platform uses."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    lti_user = models.ForeignKey(LtiUser, models.CASCADE, related_name="launches", verbose_name=_("person"))
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="lti_launches", verbose_name=_("Django user")
    )
    context = models.ForeignKey(Context, models.CASCADE, null=True, related_name="launches", verbose_name=_("context"))
    resource_link = models.ForeignKey(
        ResourceLink, models.CASCADE, null=True, related_name="launches", verbose_name=_("resource link")
    )
    type = models.CharField(_("type"), max_length=64, choices=Type)
    roles = models.JSONField(_("roles"), default=list)
    locale = models.CharField(_("locale"), max_length=64, blank=True)
    return_url = models.CharField(_("return URL"), max_length=2000, blank=True)
    custom = models.JSONField(_("custom parameters"), default=dict)
    for_user = models.ForeignKey(
        LtiUser, models.SET_NULL, null=True, related_name="+", verbose_name=_("whose work"), editable=False
    )
    """Of a submission review: the learner whose work is looked at, if the LMS names one that is known here."""
    deep_linking = models.JSONField(_("deep linking"), default=dict, editable=False)
    """Of a deep linking launch: what the LMS accepts (Deep Linking 2.0, section 4.4.1); else empty."""
    framed = models.BooleanField(_("in a frame"), default=False)
    ltik_digest = models.CharField(max_length=64, unique=True, editable=False)
    ltik_sealed = models.TextField(blank=True, editable=False)
    """Only for deep linking, whose answer needs the ltik; every other launch has forgotten it."""
    session_sealed = models.TextField(blank=True, editable=False)
    """The session that the launch began, until its cookie came back: a second start ends it."""
    created_at = models.DateTimeField(_("launched"), default=timezone.now)
    claimed_at = models.DateTimeField(_("claimed"), null=True, blank=True)
    expires_at = models.DateTimeField(_("expires"), db_index=True)

    objects = LaunchQuerySet.as_manager()

    class Meta:
        verbose_name = _("launch")
        verbose_name_plural = _("launches")
        indexes = [models.Index(fields=["user", "-created_at"], name="ltiaas_launch_of_user")]

    def __str__(self) -> str:
        return f"{self.lti_user} · {self.resource_link or self.context or ''}"

    @property
    def is_instructor(self) -> bool:
        """Whether the person teaches in this context (by context roles only)."""
        return vocabulary.is_instructor(self.roles)

    @property
    def is_learner(self) -> bool:
        """Whether the person learns in this context."""
        return vocabulary.is_learner(self.roles)

    @property
    def is_test_user(self) -> bool:
        """Whether the LMS says that this person is its own test student; its id changes with each reset."""
        return vocabulary.is_test_user(self.roles)

    @property
    def is_legacy(self) -> bool:
        """Whether it is of LTI 1.1 or 1.2: such a launch brings no key that could send grades or read the roster."""
        return self.type == Launch.Type.LEGACY

    @property
    def is_live(self) -> bool:
        """Whether pages may still be served under it."""
        return self.expires_at > timezone.now()

    @property
    def safe_return_url(self) -> str:
        """Where the LMS wants the person back, if it is a web address; else blank."""
        try:
            scheme = urlsplit(self.return_url).scheme
        except ValueError:
            return ""
        return self.return_url if scheme in {"http", "https"} else ""

    def url(self, to: Any, *args: Any, **kwargs: Any) -> str:
        """The URL of a page (as for `redirect`: view name, model or path) with this launch named in it."""
        return add_launch(resolve_url(to, *args, **kwargs), str(self.pk))

    def open(self) -> AbstractContextManager[ServiceConnection]:
        """A connection to the launch's services, to be used in a `with` block.

        Raises ServiceNotOffered if the launch brought no key that still works.
        """
        return type(self).opener(self)


class AbsentLaunch:
    """`request.lti` outside a launch: falsy, with `reason` saying why."""

    pk = None
    id = None
    is_instructor = False
    is_learner = False
    is_test_user = False
    is_legacy = False

    def __init__(
        self, reason: Literal["unnamed", "unknown", "expired", "not_yours"] = "unnamed", launch: Launch | None = None
    ) -> None:
        self.reason = reason
        self.launch = launch
        """The one that was named; what it says is for its own person, or for members of its course."""

    def __bool__(self) -> Literal[False]:
        return False

    def __repr__(self) -> str:
        return f"<AbsentLaunch: {self.reason}>"

    def url(self, to: Any, *args: Any, **kwargs: Any) -> str:
        """The URL of a page, with no launch named in it."""
        return resolve_url(to, *args, **kwargs)


def add_launch(url: str, launch_id: str) -> str:
    """The URL with the launch named in its query."""
    front, hash_mark, fragment = url.partition("#")
    return f"{front}{'&' if '?' in front else '?'}{PARAMETER}={launch_id}{hash_mark}{fragment}"
