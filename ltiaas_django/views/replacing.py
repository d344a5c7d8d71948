"""The question before a launch ends a session that no launch began: an operator's, say."""

from __future__ import annotations

from typing import Any

from django.contrib import auth
from django.core import signing
from django.db import transaction
from django.http import HttpRequest, HttpResponseBase, QueryDict
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views import View

from ltiaas_django import exceptions, languages, pages, sealing
from ltiaas_django.models import Launch
from ltiaas_django.operations import launching, sso
from ltiaas_django.views import redirects

_SALT = "ltiaas_django.replace_session"
_LASTS = 600  # seconds that the question may be answered


def ask_first(request: HttpRequest, launch: Launch, clean_url: str, *, created: bool | None) -> HttpResponseBase:
    """Somebody is signed in here, and not by a launch: their session is not ended unasked.

    The question stands at a URL of its own, so that the ltik is in no Referer header of the answer. `created`: whether
    the person was not known before; None: the launch has been told of already.
    """
    asked = {
        "launch": str(launch.pk),
        "session": _session_of(request),
        "next": clean_url,
        "created": created,
    }
    return redirects.to(reverse("ltiaas:continue"), token=signing.dumps(asked, salt=_SALT))


def _session_of(request: HttpRequest) -> str:
    """Names the session that is asked about by who is signed in; its key is a new one with each change in a cookie."""
    return sealing.digest(f"{request.user.pk}:{request.session.get(auth.HASH_SESSION_KEY, '')}")


class ContinueView(View):
    """The question "replace your session?", and its answer: a yes signs the launch's person in."""

    http_method_names = ["get", "head", "post"]

    def get(self, request: HttpRequest) -> HttpResponseBase:
        """Ask."""
        asked = self._asked(request, request.GET)
        launch = asked and self._launch(asked)
        if not launch:
            return self._refuse(request)
        context = {"title": _("Replace your session?"), "person": launch.lti_user, "token": request.GET["token"]}
        return pages.show(request, "replace_session.html", context, launch=launch)

    def post(self, request: HttpRequest) -> HttpResponseBase:
        """Sign in, if the question was asked in this very session, lately, and is not answered yet."""
        asked = self._asked(request, request.POST)
        if not asked:
            return self._refuse(request)
        with transaction.atomic():
            launch = self._launch(asked)
            if not launch:
                return self._refuse(request)
            try:
                sso.policy().check(launch.user)
            except exceptions.SsoRefused as error:
                return pages.error(request, str(error), status=error.status_code)
            sso.sign_in(request, launch)
        if asked["created"] is not None:
            launching.announce(request, launch, created=asked["created"])
        return redirects.after_sign_in(asked["next"], launch)

    def _asked(self, request: HttpRequest, given: QueryDict) -> dict[str, Any]:
        """What was asked in this session; empty if nothing was, or too long ago."""
        try:
            asked: dict[str, Any] = signing.loads(given.get("token", ""), salt=_SALT, max_age=_LASTS)
        except (signing.BadSignature, UnicodeError):
            return {}
        return asked if asked["session"] == _session_of(request) else {}

    def _launch(self, asked: dict[str, Any]) -> Launch | None:
        open_ones = Launch.objects.live().filter(claimed_at=None, session_sealed="")
        with transaction.atomic():
            locked = open_ones.select_for_update(of=("self",)).select_related("user", "lti_user__platform")
            launch: Launch | None = locked.filter(pk=asked["launch"]).first()
        if launch is not None:
            languages.speak(self.request, launch.locale)
        return launch

    def _refuse(self, request: HttpRequest) -> HttpResponseBase:
        message = _("This question is no longer open. Please open the activity from your course again.")
        return pages.error(request, message, status=403)
