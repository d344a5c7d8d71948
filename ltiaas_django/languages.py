"""The language that the LMS shows the launch in."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest
from django.utils import translation


def spoken(locale: str) -> str | None:
    """The site's language that is nearest to a launch's locale (`es-MX`, `es_MX`); None if it speaks none such."""
    if not locale or not settings.USE_I18N:
        return None
    try:
        return translation.get_supported_language_variant(locale.replace("_", "-").lower())
    except LookupError:
        return None


def speak(request: HttpRequest, locale: str) -> None:
    """Speak that language for the rest of the request, if the site does, and if our middleware is there to end it."""
    if hasattr(request, "lti") and (language := spoken(locale)):
        translation.activate(language)
        request.LANGUAGE_CODE = language
