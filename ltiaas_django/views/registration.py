"""Dynamic registration: an LMS asks to be let in, and a person of the staff decides.

LTIAAS sends the LMS's window here, a frame or a popup. Nothing is decided in a frame: a page around it could guide the
clicks of somebody who is signed in. There a link opens the same page in a tab, which tells the frame when it is done.
"""

from __future__ import annotations

import logging
from typing import Any
from urllib.parse import urlencode, urlsplit

from django import forms
from django.conf import settings
from django.http import HttpRequest, HttpResponse, QueryDict
from django.http.response import HttpResponseBase
from django.shortcuts import resolve_url
from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views import View

from ltiaas_django import data, exceptions, pages, sealing
from ltiaas_django.models import Platform
from ltiaas_django.operations import platforms, registration

logger = logging.getLogger(__name__)

_DECIDED = "ltiaas_registrations"  # in the session: what this person approved lately, so that a reload is harmless
_REMEMBERED = 10


class ApprovalForm(forms.Form):
    """What the staff may choose of a registration."""

    name = forms.CharField(
        label=gettext_lazy("Name of the LMS"),
        max_length=255,
        help_text=gettext_lazy("As it is to be called here and at LTIAAS."),
    )
    messages = forms.MultipleChoiceField(
        required=False, error_messages={"invalid_choice": gettext_lazy("The LMS does not offer this.")}
    )
    activate = forms.BooleanField(label=gettext_lazy("Let it launch at once"), required=False)

    def __init__(self, asked: data.RegistrationRequest, given: QueryDict | None = None) -> None:
        self.offers = registration.offers(asked)
        every = [value for value, _type, _placement in self.offers]
        initial = {"name": _host(asked.issuer) or asked.product_family, "messages": every, "activate": True}
        super().__init__(given, initial=initial)
        self.fields["messages"].choices = [(value, value) for value in every]  # type: ignore[attr-defined]

    def clean_messages(self) -> list[str]:
        chosen: list[str] = self.cleaned_data["messages"]
        if self.offers and not chosen:
            raise forms.ValidationError(_("Choose at least one, or refuse the registration."))
        return chosen

    def groups(self) -> list[tuple[str, list[tuple[str, str, bool]]]]:
        """The boxes to tick, by message: (value, placement, whether it is ticked)."""
        ticked = set(self["messages"].value() or [])
        grouped: dict[str, list[tuple[str, str, bool]]] = {}
        for value, type_, placement in self.offers:
            words = registration.message_in_words(type_)
            grouped.setdefault(words, []).append((value, placement or _("wherever the LMS offers it"), value in ticked))
        return list(grouped.items())


class RegisterView(View):
    """What an LMS says of itself, to be approved or refused. Subclass it to ask for another permission."""

    http_method_names = ["get", "head", "post"]
    permission = "ltiaas_django.add_platform"

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            response = self.turn_away(request) or super().dispatch(request, *args, **kwargs)
        except registration.Closed as error:
            response = self.show_end(request, _("This registration is not open"), str(error), status=404)
        except (exceptions.ApiError, exceptions.ConfigurationError) as error:
            logger.warning("A registration failed: %s", error)
            response = self.show_end(request, _("This did not work"), platforms.explain(error), status=503)
        # Django's default, same-origin, would cut the popup off from the LMS's window, which waits to be told.
        response.headers["Cross-Origin-Opener-Policy"] = "unsafe-none"
        return response

    def turn_away(self, request: HttpRequest) -> HttpResponse | None:
        """The page for those who may not decide, or not here; None for the others."""
        if _is_framed(request):
            return self._show_way_in(request, "tab", 200)
        user = request.user
        if not user.is_authenticated:
            return self._show_way_in(request, "login", 403)
        if not (user.is_active and getattr(user, "is_staff", False) and user.has_perm(self.permission)):
            return self._show_way_in(request, "permission", 403)
        return None

    def get(self, request: HttpRequest) -> HttpResponse:
        """Show what the LMS says. Changes nothing, here or at LTIAAS."""
        asked = registration.fetch(_registration_id(request))
        return self._show_form(request, asked, ApprovalForm(asked))

    def post(self, request: HttpRequest) -> HttpResponse:
        """Approve or refuse."""
        if "refuse" in request.POST:
            said = _("You refused. Nothing was sent, and the LMS cannot launch this tool.")
            return self.show_end(request, _("Refused"), said, status=200)
        registration_id = _registration_id(request)
        known = self._decided_before(request, registration_id)
        if known is not None:
            return self._show_done(request, known, "")
        asked = registration.fetch(registration_id)
        form = ApprovalForm(asked, request.POST)
        if "approve" not in request.POST or not form.is_valid():
            return self._show_form(request, asked, form)
        platform, html = registration.approve(
            registration_id,
            asked,
            name=form.cleaned_data["name"],
            activate=form.cleaned_data["activate"],
            messages=registration.chosen_messages(asked, form.cleaned_data["messages"]),
        )
        decided = request.session.get(_DECIDED, [])
        request.session[_DECIDED] = [*decided, [sealing.digest(registration_id), platform.pk]][-_REMEMBERED:]
        return self._show_done(request, platform, html)

    # --- pages ---

    def show_end(self, request: HttpRequest, title: str, message: str, *, status: int) -> HttpResponse:
        """A page on which nothing is left to do but to close it."""
        return pages.show(request, "register_end.html", {"title": title, "message": message}, status)

    def _show_form(self, request: HttpRequest, asked: data.RegistrationRequest, form: ApprovalForm) -> HttpResponse:
        scopes = [registration.scope_in_words(scope) for scope in asked.scopes]
        context = {"title": _("An LMS asks to be registered"), "asked": asked, "form": form, "scopes": scopes}
        response = pages.show(request, "register.html", context, 400 if form.is_bound else 200)
        pages.keep_out_of_frames(response)  # browsers that do not say where a page is shown obey this
        return response

    def _show_done(self, request: HttpRequest, platform: Platform, html: str) -> HttpResponse:
        context = {"title": _("Registered"), "platform": platform, "html": html, "url": _admin_page(platform)}
        return pages.show(request, "register_done.html", context)

    def _show_way_in(self, request: HttpRequest, way: str, status: int) -> HttpResponse:
        """Where the person must go first: to a tab, to the sign-in, or to somebody who may."""
        # A sign-in page has Django's own opener policy. Opened in the LMS's popup, it would cut that off for good.
        by_lms = request.headers.get("Sec-Fetch-Site") != "none"
        context = {"title": _("For the staff of this tool"), "way": way, "by_lms": by_lms, "login_url": _login(request)}
        return pages.show(request, "register_way_in.html", context, status)

    def _decided_before(self, request: HttpRequest, registration_id: str) -> Platform | None:
        """The platform that this person has approved this registration for, if so."""
        decided: dict[str, int] = dict(request.session.get(_DECIDED, []))
        return Platform.objects.filter(pk=decided.get(sealing.digest(registration_id), 0)).first()


def _registration_id(request: HttpRequest) -> str:
    return request.GET.get("registrationId", "")


def _host(address: str) -> str:
    """Blank where there is none. Never what stands before an @: it may look like another LMS."""
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""


def _is_framed(request: HttpRequest) -> bool:
    return request.headers.get("Sec-Fetch-Dest") in {"iframe", "frame", "embed", "object"}


def _login(request: HttpRequest) -> str:
    """The site's sign-in for staff, which leads back here."""
    try:
        url = reverse("admin:login")
    except NoReverseMatch:
        url = resolve_url(settings.LOGIN_URL)
    return f"{url}{'&' if '?' in url else '?'}{urlencode({'next': request.get_full_path()})}"


def _admin_page(platform: Platform) -> str:
    try:
        return reverse("admin:ltiaas_django_platform_change", args=[platform.pk])
    except NoReverseMatch:
        return ""
