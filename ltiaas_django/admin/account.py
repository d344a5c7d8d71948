"""Platforms as LTIAAS holds them: sync, register, look, edit, switch and delete there, each with its permission.

What LTIAAS answers amiss becomes a message. Nothing is asked of LTIAAS inside a transaction.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from ltiaas_django import data, exceptions
from ltiaas_django.admin import cells, rows
from ltiaas_django.models import Platform
from ltiaas_django.operations import platforms

_WIDE: Final = forms.TextInput(attrs={"size": 60})
_AT_ONCE: Final = 50  # platforms that one click may switch: each is a call to LTIAAS that the browser waits for
# After these the next platform would fare no better.
_OF_THE_ACCOUNT: Final = (
    exceptions.ConfigurationError,
    exceptions.OutcomeUnknown,
    exceptions.Refused,
    exceptions.ServerError,
    exceptions.Throttled,
    exceptions.Unreachable,
)


class RegistrationForm(forms.Form):
    """What LTIAAS must know of an LMS, as the LMS's administrator tells it."""

    issuer = forms.CharField(
        label=_("Issuer"), widget=_WIDE, help_text=_("The LMS's own address, to the letter: its “platform id”.")
    )
    client_id = forms.CharField(label=_("Client id"), help_text=_("The id that the LMS has given to this tool."))
    name = forms.CharField(label=_("Name"), widget=_WIDE)
    authentication_endpoint = forms.CharField(
        label=_("Authentication endpoint"), widget=_WIDE, help_text=_("Also called authentication request URL.")
    )
    access_token_endpoint = forms.CharField(label=_("Access token endpoint"), widget=_WIDE)
    auth_method = forms.ChoiceField(
        label=_("How the LMS signs"),
        choices=[
            ("JWK_SET", _("JWK_SET: the address of its public keys, which the LMS may renew")),
            ("JWK_KEY", _("JWK_KEY: one public key as JSON")),
            ("RSA_KEY", _("RSA_KEY: one public key as PEM text")),
        ],
    )
    auth_key = forms.CharField(
        label=_("Address of the keys, or the public key"), widget=forms.Textarea(attrs={"rows": 4, "cols": 80})
    )

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        for name, problem in platforms.problems(self.registration()).items():
            if name not in self.errors:
                self.add_error(name, problem)
        return given

    def registration(self) -> data.PlatformRegistration:
        """What was typed."""
        typed = {name: self.cleaned_data.get(name, "") for name in self.fields}
        return data.PlatformRegistration(**{name: text.replace("\r\n", "\n") for name, text in typed.items()})

    def changes(self, held: data.PlatformRegistration) -> list[tuple[str, str, str]]:
        """What was typed that LTIAAS holds otherwise: the field's label, what it holds, what it is to hold."""
        typed = self.registration()
        both = [(str(field.label), getattr(held, name), getattr(typed, name)) for name, field in self.fields.items()]
        return [(label, now, then) for label, now, then in both if now != then]

    @classmethod
    def of(cls, held: data.PlatformRegistration) -> RegistrationForm:
        """The form as LTIAAS would fill it in."""
        return cls(initial={name: getattr(held, name) for name in cls.base_fields})


class AccountAdmin(rows.RowAdmin[Platform]):
    """What the admin of platforms has beside its rows: LTIAAS's side of them."""

    change_list_template = "admin/ltiaas_django/platform/change_list.html"
    change_form_template = "admin/ltiaas_django/platform/change_form.html"

    def get_urls(self) -> list[URLPattern]:
        def own(route: str, view: Callable[..., HttpResponse], name: str) -> URLPattern:
            return path(route, self.admin_site.admin_view(view), name=f"ltiaas_django_platform_{name}")

        return [
            own("sync/", self.sync_view, "sync"),
            own("register/", self.register_view, "register"),
            own("<int:pk>/ltiaas/", self.ltiaas_view, "ltiaas"),
            own("<int:pk>/ltiaas/delete/", self.ltiaas_delete_view, "ltiaas_delete"),
            *super().get_urls(),
        ]

    # --- who may ---

    def _may(self, request: HttpRequest, *verbs: str) -> bool:
        """By the model's permissions; `has_add_permission` says no to everybody, for rows are not made by hand."""
        return all(request.user.has_perm(f"ltiaas_django.{verb}_platform") for verb in verbs)

    def _need(self, request: HttpRequest, *verbs: str) -> None:
        if not self._may(request, *verbs):
            raise PermissionDenied

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        may = {"may_sync": self._may(request, "add", "change"), "may_register": self._may(request, "add")}
        return super().changelist_view(request, {**may, **(extra_context or {})})

    # --- views ---

    def sync_view(self, request: HttpRequest) -> HttpResponse:
        """Make our rows agree with LTIAAS's list."""
        self._need(request, "add", "change")
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        try:
            synced = platforms.sync()
        except exceptions.LtiError as error:
            self._tell_error(request, error)
        else:
            text = _("LTIAAS lists %(listed)d platforms: %(created)d new here, %(changed)d changed.")
            self.message_user(request, text % vars_of(synced), messages.SUCCESS)
            if synced.gone:
                said = ngettext("%(n)d platform here is not known to LTIAAS any more, and cannot launch.",
                                "%(n)d platforms here are not known to LTIAAS any more, and cannot launch.",
                                synced.gone)  # fmt: skip
                self.message_user(request, said % {"n": synced.gone}, messages.WARNING)
        return HttpResponseRedirect(self._url("changelist"))

    def register_view(self, request: HttpRequest) -> HttpResponse:
        """Register an LMS by hand."""
        self._need(request, "add")
        form = RegistrationForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            try:
                platform = platforms.register(form.registration())
            except exceptions.LtiError as error:
                self._tell_error(request, error)
            else:
                self.log_addition(request, platform, "Registered at LTIAAS by hand.")
                self.message_user(request, _("%s was registered at LTIAAS.") % platform, messages.SUCCESS)
                return HttpResponseRedirect(self._url("changelist"))
        return self._show(request, "register", _("Register an LMS at LTIAAS"), form=form)

    def ltiaas_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """What LTIAAS holds of a platform, to look at and, with the permission, to change."""
        platform = self._platform(request, pk)
        if not self.has_view_permission(request, platform):
            raise PermissionDenied
        if request.method == "POST":
            self._need(request, "change")
        form = RegistrationForm(request.POST) if request.method == "POST" else None
        try:
            if form is not None and form.is_valid():
                if "confirmed" not in request.POST:
                    return self._ask_to_change(request, platform, form)
                platforms.replace(platform, form.registration())
                self.log(request, [platform], "Changed at LTIAAS.")
                self.message_user(request, _("%s was changed at LTIAAS.") % platform, messages.SUCCESS)
                return HttpResponseRedirect(request.path)
            held = platforms.fetch(platform)
        except exceptions.LtiError as error:
            self._tell_error(request, error)
            if form is None:
                return HttpResponseRedirect(self._url("change", platform.pk))
            held = form.registration()
        return self._show(
            request,
            "ltiaas",
            _("%s at LTIAAS") % platform,
            platform=platform,
            held=held,
            badge=of_launches(held.is_active),
            form=form or RegistrationForm.of(held),
            may_change=self._may(request, "change"),
            may_delete=self._may(request, "delete"),
        )

    def _ask_to_change(self, request: HttpRequest, platform: Platform, form: RegistrationForm) -> HttpResponse:
        """What is about to change, before it does. Raises ApiError subclasses."""
        changes = form.changes(platforms.fetch(platform))
        if not changes:
            self.message_user(request, _("Nothing was changed."), messages.INFO)
            return HttpResponseRedirect(request.path)
        title = _("Change at LTIAAS?")
        return self._show(request, "ltiaas_change", title, platform=platform, form=form, changes=changes)

    def ltiaas_delete_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Take a platform out of the account, once it is known what hangs on it."""
        platform = self._platform(request, pk)
        self._need(request, "delete")
        if request.method == "POST":
            try:
                platforms.delete(platform)
            except exceptions.LtiError as error:
                self._tell_error(request, error)
            else:
                self.log(request, [platform], "Deleted at LTIAAS.")
                text = _("%s was deleted at LTIAAS. What is known of it here stays until you delete it too.")
                self.message_user(request, text % platform, messages.SUCCESS)
            return HttpResponseRedirect(self._url("change", platform.pk))
        _names, counts, _missing, _protected = self.get_deleted_objects([platform], request)
        del counts[str(self.opts.verbose_name_plural)]
        return self._show(request, "ltiaas_delete", _("Delete at LTIAAS?"), platform=platform, counts=counts.items())

    # --- actions ---

    @admin.action(description=_("Activate at LTIAAS: let them launch"), permissions=["change"])
    @rows.ask_first(_("LTIAAS will let these LMSs launch this tool. Activate them?"))
    def activate(self, request: HttpRequest, queryset: QuerySet[Platform]) -> None:
        self._switch(request, queryset, is_active=True)

    @admin.action(description=_("Deactivate at LTIAAS: no launches"), permissions=["change"])
    @rows.ask_first(
        _("Nobody in these LMSs can open this tool until they are activated again; grades and rosters may fail too. "
          "Deactivate them?")
    )  # fmt: skip
    def deactivate(self, request: HttpRequest, queryset: QuerySet[Platform]) -> None:
        self._switch(request, queryset, is_active=False)

    def _switch(self, request: HttpRequest, queryset: QuerySet[Platform], *, is_active: bool) -> None:
        chosen, done = list(queryset[: _AT_ONCE + 1]), []
        if len(chosen) > _AT_ONCE:
            text = _("Nothing was done: at most %(n)d platforms can be chosen at once.")
            self.message_user(request, text % {"n": _AT_ONCE}, messages.ERROR)
            return
        for platform in chosen:
            try:
                platforms.set_active(platform, is_active=is_active)
            except exceptions.LtiError as error:
                self._tell_error(request, error, f"{platform}: ")
                if isinstance(error, _OF_THE_ACCOUNT):
                    break
            else:
                done.append(platform)
        self.log(request, done, "Activated at LTIAAS." if is_active else "Deactivated at LTIAAS.")
        count, left = len(done), len(chosen) - len(done)
        if is_active:
            said = ngettext("%(n)d platform is active at LTIAAS.", "%(n)d platforms are active at LTIAAS.", count)
        else:
            said = ngettext("%(n)d platform is inactive at LTIAAS.", "%(n)d platforms are inactive at LTIAAS.", count)
        why_left = ngettext("%(n)d was left as it is.", "%(n)d were left as they are.", left) % {"n": left}
        self.tell(request, count, said % {"n": count}, left, why_left)

    # --- pieces ---

    def _platform(self, request: HttpRequest, pk: int) -> Platform:
        platform = self.get_object(request, str(pk))
        if platform is None:
            raise Http404
        return platform

    def _url(self, name: str, *args: object) -> str:
        return reverse(f"admin:ltiaas_django_platform_{name}", args=args, current_app=self.admin_site.name)

    def _tell_error(self, request: HttpRequest, error: exceptions.LtiError, before: str = "") -> None:
        self.message_user(request, f"{before}{platforms.explain(error)}", messages.ERROR)

    def _show(self, request: HttpRequest, name: str, title: object, **context: Any) -> HttpResponse:
        request.current_app = self.admin_site.name
        page = {
            **self.admin_site.each_context(request),
            "title": title,
            "opts": self.opts,
            "media": self.media,
            **context,
        }
        return TemplateResponse(request, f"admin/ltiaas_django/platform/{name}.html", page)


def vars_of(synced: platforms.Synced) -> dict[str, int]:
    """The counts by name, for a sentence."""
    return {"listed": synced.listed, "created": synced.created, "changed": synced.changed}


def of_launches(is_active: bool | None) -> str:
    """Whether LTIAAS lets an LMS launch, as far as is known."""
    if is_active is None:
        return cells.badge("idle", _("not known"))
    return cells.badge("good", _("active")) if is_active else cells.badge("bad", _("inactive"))
