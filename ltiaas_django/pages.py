"""The few pages of our own: errors, choosing a launch, asking before a session is replaced. All may be framed."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _

from ltiaas_django.models import Launch
from ltiaas_django.models.launches import PARAMETER, add_launch
from ltiaas_django.operations import launching


def show(request: HttpRequest, template: str, context: dict[str, Any], status: int = 200) -> HttpResponse:
    """Render one of our pages: never cached, and shown in the LMS's frame."""
    response = render(request, f"ltiaas_django/{template}", context, status=status)
    response.headers["Cache-Control"] = "no-store"
    response.xframe_options_exempt = True
    return response


def error(request: HttpRequest, message: str, *, status: int, title: str = "", return_url: str = "") -> HttpResponse:
    """A readable error; `return_url` leads back to the LMS."""
    title = title or _("This did not work")
    return show(request, "error.html", {"title": title, "message": message, "return_url": return_url}, status)


def launch_needed(request: HttpRequest, reason: str) -> HttpResponse:
    """For a page that needs a launch and has none: choose a live one, or launch again from the course."""
    if reason == "unnamed" and request.method in {"GET", "HEAD"}:
        launches = launching.live_launches(request.user)
        if launches:
            choices = [(launch, _same_page(request, launch)) for launch in launches]
            return show(request, "choose.html", {"title": _("Which activity?"), "choices": choices})
    again = _("Please open the activity from your course again.")
    not_yours = _("This page belongs to somebody else's launch, or your browser did not keep the sign-in.")
    messages = {
        "unnamed": _("This page opens only from an activity in your course. Please open the activity there."),
        "unknown": " ".join([_("This page belongs to a launch that is not known here any more."), again]),
        "expired": " ".join([_("This page was opened too long ago."), again]),
        "not_yours": " ".join([not_yours, _("Nothing was saved."), again]),
    }
    return error(request, messages[reason], status=403, title=_("Please launch again"))


def _same_page(request: HttpRequest, launch: Launch) -> str:
    query = request.GET.copy()
    query.pop(PARAMETER, None)
    return add_launch(f"{request.path}?{query.urlencode()}" if query else request.path, str(launch.pk))
