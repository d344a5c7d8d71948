"""Launches: who came from where, and whether the browser brought its cookie back."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ltiaas_django.admin import badges, cells, filters, rows
from ltiaas_django.models import Launch


class LaunchStateFilter(filters.AnswerFilter):
    """Whether pages are still served under a launch."""

    title = _("state")
    parameter_name = "state"
    answers = {
        "live": (_("live"), lambda: Q(expires_at__gt=timezone.now(), claimed_at__isnull=False)),
        "unclaimed": (_("cookie not back"), lambda: Q(expires_at__gt=timezone.now(), claimed_at__isnull=True)),
        "over": (_("over"), lambda: Q(expires_at__lte=timezone.now())),
    }


class LaunchPlatformFilter(filters.PlatformFilter):
    """Launches of one platform, those outside any course too."""

    path = "lti_user__platform"


@admin.register(Launch)
class LaunchAdmin(rows.RowAdmin[Launch]):
    """Launches, until they are purged."""

    list_display = [
        "lti_user", "context", "resource_link", "type", "state",
        cells.since("created_at", _("launched")), cells.since("expires_at", _("expires")), "framed",
    ]  # fmt: skip
    list_filter = [LaunchStateFilter, "type", "framed", filters.CourseFilter, LaunchPlatformFilter]
    list_select_related = ["lti_user", "context", "resource_link"]
    search_fields = [
        "lti_user__name", "lti_user__email", "lti_user__lti_id", "context__title", "context__lti_id",
        "resource_link__title",
    ]  # fmt: skip
    ordering = ["-created_at"]
    may_be_deleted = True
    fields = [
        "id", "state", "lti_user", "user", "context", "resource_link", "type", "roles", "locale", "return_url",
        "custom", "framed", "created_at", "claimed_at", "expires_at",
    ]  # fmt: skip

    @admin.display(description=_("state"), ordering="expires_at")
    def state(self, launch: Launch) -> str:
        return badges.of_launch(launch)
