"""`request.lti` on every request, and pages and cookies that live in the LMS's frame."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest, HttpResponse
from django.http.multipartparser import MultiPartParserError
from django.http.request import RawPostDataException, UnreadablePostError
from django.utils import translation
from django.utils.functional import SimpleLazyObject

from ltiaas_django import framing, languages, ltiks, pages
from ltiaas_django.models import AbsentLaunch, Launch
from ltiaas_django.models.launches import HEADER, PARAMETER
from ltiaas_django.operations import launching

_FORM_TYPES = {"application/x-www-form-urlencoded", "multipart/form-data"}
_CSRF = "django.middleware.csrf.CsrfViewMiddleware"
_READS = {"GET", "HEAD", "OPTIONS", "TRACE"}  # to Django, too: it asks for no token


class LtiMiddleware:
    """Sets `request.lti`: the launch that the request names, or something falsy. It comes first in MIDDLEWARE.

    Under a launch the site speaks the launch's language, if it can. In a session that began in a frame, cookies are
    sent so that browsers keep them there, and X-Frame-Options is lifted. Nothing is read from the database unless a
    launch is named, `request.lti` is looked at, or an answer to a frame has to be fitted.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        self._csrf_comes_next = _CSRF in settings.MIDDLEWARE

    def process_view(self, request: HttpRequest, view: Callable[..., Any], *_arguments: Any) -> HttpResponse | None:
        """Claim the launch that the request names, before the view: with ATOMIC_REQUESTS a view's error undoes it.

        What a page of somebody else's launch sends acts on nothing, and is answered here: Django's protection against
        forged forms comes next, and its page does not say where to launch again. A form is read only where Django is
        about to read it; one that cannot be is a 400, as it is then.
        """
        is_guarded = self._csrf_comes_next and request.method not in _READS and not getattr(view, "csrf_exempt", False)
        if not (_is_named(request) or (is_guarded and _form_field(request))):
            return None
        launch: Any = request.lti  # type: ignore[attr-defined]
        if not launch and is_guarded and launch.reason == "not_yours":
            return pages.launch_needed(request, launch)
        return None

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request.lti = SimpleLazyObject(lambda: _launch_of(request))  # type: ignore[attr-defined]
        ltiks.take(request)
        framing.choose_session(request, is_named=_is_named(request))
        language = translation.get_language()
        try:
            response = self.get_response(request)
        finally:
            if language is not None and translation.get_language() != language:
                translation.activate(language)
        framing.fit(request, response)
        ltiks.carry_on(request, response)
        return response


def _launch_of(request: HttpRequest) -> Launch | AbsentLaunch:
    named = named_launch(request)
    if not named:
        return AbsentLaunch("unnamed")
    launch = launching.find_launch(named, request.user)
    if launch:
        languages.speak(request, launch.locale)
    return launch


def _is_named(request: HttpRequest) -> bool:
    """Whether its URL or a header names a launch."""
    return bool(request.GET.get(PARAMETER) or request.headers.get(HEADER))


def named_launch(request: HttpRequest) -> str:
    """The launch id in the request's URL, header or form, in this order; blank if there is none."""
    if _is_named(request):
        return request.GET.get(PARAMETER) or request.headers[HEADER]
    try:
        return _form_field(request)
    except (MultiPartParserError, SuspiciousOperation):
        return ""  # a form that cannot be read names nothing; the view that wants it will say so


def _form_field(request: HttpRequest) -> str:
    if request.method != "POST" or request.content_type not in _FORM_TYPES:
        return ""
    try:
        return request.POST.get(PARAMETER) or ""
    except (RawPostDataException, UnreadablePostError):
        return ""  # somebody has read it as a stream, or it did not come whole
