"""The few pages of our own: errors, choosing a launch, asking before a session is replaced."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.encoding import escape_uri_path
from django.utils.http import escape_leading_slashes
from django.utils.translation import gettext as _

from ltiaas_django import languages, ltiks
from ltiaas_django.models import AbsentLaunch, Launch
from ltiaas_django.models.launches import PARAMETER, add_launch
from ltiaas_django.operations import launching, sso


def show(
    request: HttpRequest, template: str, context: dict[str, Any], status: int = 200, *, launch: Launch | None = None
) -> HttpResponse:
    """Render one of our pages: never cached.

    Under a launch its session says whether the page may be framed; where there is none, it may be, for there is nothing
    to click. `launch`: one that `request.lti` is not, or not yet. The page may be framed if the launch is, with forms
    that work there; whoever shows it has it speak the launch's language (`languages.speak`).
    """
    response = render(request, f"ltiaas_django/{template}", context, status=status)
    response.headers["Cache-Control"] = "no-store"
    response.headers["Referrer-Policy"] = "same-origin"  # stricter, and forms would say "Origin: null"
    response.xframe_options_exempt = launch.framed if launch is not None else not getattr(request, "lti", None)
    if launch is not None and launch.framed:
        response.lti_framed_by = sso.ancestors_of(launch)  # type: ignore[attr-defined]
    return response


def keep_out_of_frames(response: Any) -> None:
    """Have no page show this one in a frame, in a session that began in one either: a hidden frame catches clicks."""
    response.headers["X-Frame-Options"] = "DENY"
    response.headers["Content-Security-Policy"] = "frame-ancestors 'none'"
    response.xframe_options_exempt, response.lti_framed_by = False, None


def error(request: HttpRequest, message: str, *, status: int, title: str = "", return_url: str = "") -> HttpResponse:
    """A readable error; `return_url` leads back to the LMS."""
    title = title or _("This did not work")
    return show(request, "error.html", {"title": title, "message": message, "return_url": return_url}, status)


def launch_needed(request: HttpRequest, absent: AbsentLaunch) -> HttpResponse:
    """For a page that needs a launch and has none: choose a live one, or launch again, and where."""
    reason = absent.reason
    if absent.launch is not None:
        languages.speak(request, absent.launch.locale)
    if reason == "unnamed" and request.method in {"GET", "HEAD"}:
        launches = launching.live_launches(request.user)
        if launches:
            languages.speak(request, launches[0].locale)
            choices = [(launch, clean_url(request, launch)) for launch in launches]
            response = show(request, "choose.html", {"title": _("Which activity?"), "choices": choices})
            response.xframe_options_exempt = False  # there is something to click: the session says who may frame it
            return response
    place = launching.place_of(absent, request.user)
    from_course = _("Please open “%(activity)s” from the course “%(course)s” again.") % place if place else again()
    not_yours = _("This page belongs to somebody else's launch, or your browser did not keep the sign-in.")
    messages = {
        "unnamed": _("This page opens only from an activity in your course. Please open the activity there."),
        "unknown": " ".join([_("This page belongs to a launch that is not known here any more."), from_course]),
        "expired": " ".join([_("This page was opened too long ago."), from_course]),
        "not_yours": " ".join([not_yours, _("Nothing was saved."), from_course]),
    }
    return error(request, messages[reason], status=403, title=_("Please launch again"))


def again() -> str:
    """What helps nearly always."""
    return _("Please open the activity from your course again.")


def clean_url(request: HttpRequest, launch: Launch) -> str:
    """This page's URL with the launch named, and with the tool's own query parameters, but without any other launch."""
    query = request.GET.copy()
    query.pop(PARAMETER, None)
    rest, path = ltiks.written(query), escape_leading_slashes(escape_uri_path(request.path))
    return add_launch(f"{path}?{rest}" if rest else path, str(launch.pk))
