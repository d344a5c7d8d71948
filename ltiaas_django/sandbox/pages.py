"""What all pages for people share: how they refuse, render and lead on. The LMS's own are in `lms`.

No cookies: who one is in the LMS travels in the URL. No JavaScript but where a registration needs it (`registering`).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from django.core.exceptions import BadRequest, SuspiciousOperation
from django.http import HttpRequest, HttpResponse, UnreadablePostError
from django.http.multipartparser import MultiPartParserError
from django.template import Context, Engine
from django.urls import reverse
from django.utils.encoding import iri_to_uri

from . import errors, web
from .simulator import Sandbox

View = Callable[..., HttpResponse]

# An engine of our own: the project's templates, tags and context processors are no part of the LMS.
_engine = Engine(dirs=[str(Path(__file__).parent / "templates")])


def page(*methods: str) -> Callable[[View], View]:
    """A page for some methods; what the sandbox refuses becomes a readable page of the refusal's status."""

    def decorate(view: View) -> View:
        @functools.wraps(view)
        def shown(request: HttpRequest, **ids: str) -> HttpResponse:
            sandbox = web.sandbox_of(request)
            try:
                if request.method not in methods:
                    raise errors.WrongMethod(f"This page answers only {' and '.join(methods)}.")
                with sandbox.lock:
                    return view(request, sandbox, **ids)
            except errors.InactivePlatform as error:
                return web.error_response(error)  # LTIAAS has no page for it: the JSON stands in the frame
            except errors.SandboxError as error:
                return _refusal(error, request, sandbox, ids)
            except (BadRequest, SuspiciousOperation, MultiPartParserError, UnreadablePostError):
                return _refusal(errors.BadRequest("The form could not be read."), request, sandbox, ids)

        return shown

    return decorate


def _refusal(
    error: errors.SandboxError, request: HttpRequest, sandbox: Sandbox, ids: Mapping[str, str]
) -> HttpResponse:
    context: dict[str, Any] = {"error": error, "title": error.status.phrase}
    course = sandbox.courses.get(ids.get("course_id", ""))
    if course is not None:
        person = request.GET.get("person", "")
        query = f"?{urlencode({'person': person})}" if person in course.people else ""
        context |= {f"{name}_url": reverse(name, kwargs={"course_id": course.id}) + query for name in ("course", "who")}
    return render("error", context, error.status)


def render(name: str, context: dict[str, Any], status: int = 200) -> HttpResponse:
    """A page. Numbers are written plainly, whatever the project's locale is."""
    template = _engine.get_template(f"ltiaas_sandbox/{name}.html")
    html = template.render(Context(context, use_l10n=False))
    return HttpResponse(html, status=status, content_type="text/html; charset=utf-8")


def redirect(url: str, status: int = 303) -> HttpResponse:
    """On to another page, ours or the tool's."""
    return HttpResponse(status=status, headers={"Location": iri_to_uri(url)})


def to_tool(url: str, status: int) -> HttpResponse:
    """On to the tool's launch URL."""
    response = redirect(url, status)
    response.headers["Referrer-Policy"] = "no-referrer"  # the ltik is a bearer credential
    return response


def text(request: HttpRequest, name: str) -> str:
    """A form field or query parameter, blank when left out."""
    return str(request.POST.get(name, request.GET.get(name, ""))).strip()


def plain(amount: Decimal) -> str:
    """The amount without trailing zeros, and never as 1E+1."""
    return f"{amount.normalize():f}"


@page("GET", "HEAD", "POST")
def no_such(request: HttpRequest, sandbox: Sandbox) -> HttpResponse:
    """Any other path."""
    raise errors.NotFound("The sandbox has no such page.")
