"""`request.lti` on every request, and pages and cookies that live in the LMS's frame."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest, HttpResponse
from django.http.multipartparser import MultiPartParserError
from django.http.request import RawPostDataException, UnreadablePostError
from django.utils import translation
from django.utils.functional import SimpleLazyObject

from ltiaas_django import framing, languages
from ltiaas_django.models import AbsentLaunch, Launch
from ltiaas_django.models.launches import HEADER, PARAMETER
from ltiaas_django.operations import launching

_FORM_TYPES = {"application/x-www-form-urlencoded", "multipart/form-data"}


class LtiMiddleware:
    """Sets `request.lti`: the launch that the request names, or something falsy. It comes first in MIDDLEWARE.

    Under a launch the site speaks the launch's language, if it can. In a session that began in a frame, cookies are
    sent so that browsers keep them there, and X-Frame-Options is lifted. Nothing is read from the database unless a
    launch is named, `request.lti` is looked at, or an answer to a frame has to be fitted.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def process_view(self, request: HttpRequest, *_view: Any) -> None:
        """Claim the launch that the request names, before the view: with ATOMIC_REQUESTS a view's error undoes it."""
        if request.GET.get(PARAMETER) or request.headers.get(HEADER):  # a form is left to the view that reads it
            bool(request.lti)  # type: ignore[attr-defined]

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request.lti = SimpleLazyObject(lambda: _launch_of(request))  # type: ignore[attr-defined]
        framing.choose_session(request, is_named=bool(request.GET.get(PARAMETER) or request.headers.get(HEADER)))
        language = translation.get_language()
        try:
            response = self.get_response(request)
        finally:
            if language is not None and translation.get_language() != language:
                translation.activate(language)
        framing.fit(request, response)
        return response


def _launch_of(request: HttpRequest) -> Launch | AbsentLaunch:
    named = named_launch(request)
    if not named:
        return AbsentLaunch("unnamed")
    launch = launching.find_launch(named, request.user)
    if launch:
        languages.speak(request, launch.locale)
    return launch


def named_launch(request: HttpRequest) -> str:
    """The launch id in the request's URL, header or form, in this order; blank if there is none."""
    return request.GET.get(PARAMETER) or request.headers.get(HEADER) or _form_field(request)


def _form_field(request: HttpRequest) -> str:
    if request.method != "POST" or request.content_type not in _FORM_TYPES:
        return ""
    try:
        return request.POST.get(PARAMETER) or ""
    except (MultiPartParserError, RawPostDataException, SuspiciousOperation, UnreadablePostError):
        return ""  # a form that cannot be read names nothing; the view that wants it will say so
