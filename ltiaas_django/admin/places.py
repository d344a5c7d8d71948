"""Activities, people and memberships. Platforms are in `platforms`, courses in `contexts`."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth import get_permission_codename
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from ltiaas_django.admin import cells, filters, rows
from ltiaas_django.models import (
    LtiUser,
    Membership,
    OutgoingScore,
    ResourceLink,
)
from ltiaas_django.operations import forgetting, linking


@admin.register(ResourceLink)
class ResourceLinkAdmin(rows.RowAdmin[ResourceLink]):
    """Activities."""

    list_display = ["__str__", "context", "lti_id", "open_scores"]
    list_filter = [filters.CourseFilter, filters.CoursePlatformFilter]
    list_select_related = ["context"]
    search_fields = ["title", "lti_id", "context__title", "context__label", "context__lti_id"]
    ordering = ["-pk"]
    fields = ["title", "description", "context", "lti_id", "open_scores"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[ResourceLink]:
        count = cells.counting(OutgoingScore.objects.open(), "line_item__resource_link")
        return super().get_queryset(request).annotate(counted_scores=count)

    @admin.display(description=_("open scores"), ordering="counted_scores")
    def open_scores(self, link: Any) -> str:
        url = cells.list_url(self.admin_site, OutgoingScore, course=link.context_id, delivery="open")
        return cells.count_link(link.counted_scores, url)


class AccountFilter(filters.AnswerFilter):
    """Whether a person has a Django account."""

    title = _("Django user")
    parameter_name = "account"
    answers = {
        "yes": (_("has one"), lambda: Q(user__isnull=False)),
        "linked": (_("linked their own"), lambda: Q(linked_at__isnull=False)),
        "no": (_("never launched"), lambda: Q(user__isnull=True)),
    }


@admin.register(LtiUser)
class LtiUserAdmin(rows.RowAdmin[LtiUser]):
    """People, each of one LMS."""

    list_display = ["__str__", "email", "lti_id", "platform", "user", cells.since("linked_at", _("account linked"))]
    list_filter = [AccountFilter, filters.PlatformFilter]
    list_select_related = ["platform", "user"]
    search_fields = ["name", "given_name", "family_name", "email", "lti_id"]
    ordering = ["-pk"]
    actions = ["unlink", "forget"]
    fields = ["name", "given_name", "family_name", "email", "picture", "platform", "lti_id", "user", "linked_at"]

    @admin.action(description=_("Unlink the account: the next launch makes a new one, or asks"), permissions=["change"])
    @rows.ask_first(
        _("These people are parted from their Django users, which stay, with all that they have here. Their launches "
          "are over, and so are their sessions, if the database keeps them. At their next launch they get a new user, "
          "or are asked for their account. Unlink them?")
    )  # fmt: skip
    def unlink(self, request: HttpRequest, queryset: QuerySet[LtiUser]) -> None:
        chosen = list(queryset)
        parted = [person for person in chosen if linking.unlink(person)]
        self.log(request, parted, "Unlinked from the Django user.")
        done, left = len(parted), len(chosen) - len(parted)
        said = ngettext("%(n)d person was unlinked.", "%(n)d people were unlinked.", done)
        why_left = ngettext("%(n)d had no Django user.", "%(n)d had no Django user.", left)
        self.tell(request, done, said % {"n": done}, left, why_left % {"n": left})

    def has_forget_permission(self, request: HttpRequest) -> bool:
        """Who may delete people may erase them; the row alone is never deleted."""
        return request.user.has_perm(f"ltiaas_django.{get_permission_codename('delete', self.opts)}")

    @admin.action(description=_("Forget: erase these people and all that is known of them"), permissions=["forget"])
    @rows.ask_first(
        _("Names, launches, memberships and scores of these people are erased; what the LMS itself holds stays, and "
          "while they are enrolled its roster brings them back. Their Django users stay. Erase them?")
    )  # fmt: skip
    def forget(self, request: HttpRequest, queryset: QuerySet[LtiUser]) -> None:
        chosen, kept = list(queryset), []
        for person in chosen:
            self.log(request, [person], "Asked to be erased.")  # whose name goes with the others
            try:
                forgetting.erase([person])
            except forgetting.CannotForget as error:
                kept.append(f"#{person.pk}: {error}")
        done = len(chosen) - len(kept)
        said = ngettext("%(n)d person was erased.", "%(n)d people were erased.", done)
        self.tell(request, done, said % {"n": done}, len(kept), " ".join(kept))


@admin.register(Membership)
class MembershipAdmin(rows.RowAdmin[Membership]):
    """Who belongs to which course."""

    list_display = ["lti_user", "context", "standing", "is_learner", "is_instructor"]
    list_filter = ["status", "is_learner", "is_instructor", filters.CourseFilter, filters.CoursePlatformFilter]
    list_select_related = ["lti_user", "context"]
    search_fields = ["lti_user__name", "lti_user__email", "lti_user__lti_id", "context__title", "context__lti_id"]
    ordering = ["-pk"]
    fields = ["lti_user", "context", "standing", "is_learner", "is_instructor", "roles"]

    @admin.display(description=_("status"), ordering="status")
    def standing(self, membership: Membership) -> str:
        is_active = membership.status == Membership.Status.ACTIVE
        return cells.badge("good" if is_active else "idle", membership.get_status_display())
