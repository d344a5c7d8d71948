"""What all pages of the console share: navigation, how a form is answered, the sentence about what was done."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from .. import errors, pages
from ..simulator import Sandbox

SECTIONS = (
    ("console", "Requests"),
    ("console_faults", "Faults"),
    ("console_lms", "LMS"),
    ("console_clock", "Clock"),
    ("console_tool", "Tool"),
    ("console_state", "State"),
)
_NOTICES = {
    "cleared": "The log is empty.",
    "planned": "The fault waits for its requests.",
    "taken_back": "The fault was taken back.",
    "all_taken_back": "Nothing goes wrong any more.",
    "expired": "Ltiks that have ended: {}.",
    "revoked": "Service keys that are refused from now on: {}.",
    "switched": "The LMS behaves so from now on.",
    "profile": "The school has another LMS. Launch the tool anew.",
    "moved": "The clock was moved.",
    "clock_reset": "The clock shows the real time.",
    "tool_url": "Launches go to this address from now on.",
    "reset": "Everything is as at the start.",
    "loaded": "The sandbox is in the state of the file.",
}

Show = Callable[[HttpRequest, Sandbox, errors.SandboxError | None], HttpResponse]
Action = Callable[[HttpRequest, Sandbox], HttpResponse]


def answer(request: HttpRequest, sandbox: Sandbox, show: Show, actions: Mapping[str, Action]) -> HttpResponse:
    """Show the page, or do what its form's `action` names; what is refused is said on the page."""
    if request.method != "POST":
        return show(request, sandbox, None)
    try:
        if request.headers.get("Sec-Fetch-Site") == "cross-site":  # there are no cookies that could tell
            raise errors.BadRequest("A form on another site does nothing here.")
        action = actions.get(request.POST.get("action", ""))
        if action is None:
            raise errors.BadRequest("The form does not say what to do.")
        return action(request, sandbox)
    except errors.SandboxError as error:
        return show(request, sandbox, error)


def render(
    request: HttpRequest, template: str, title: str, error: errors.SandboxError | None = None, **context: Any
) -> HttpResponse:
    """A page of the console, with the refusal that led to it."""
    here = request.path_info
    sections = [(reverse(name), label) for name, label in SECTIONS]
    current = max((url for url, _label in sections if here.startswith(url)), key=len)
    shared = {
        "title": title,
        "sections": sections,
        "current": current,
        "refusal": error,
        "notice": None if error else _notice(request),
    }
    return pages.render(template, {**shared, **context}, error.status if error else 200)


def done(page: str, what: str, count: int | None = None, **ids: Any) -> HttpResponse:
    """On to a page that says what was done."""
    query = {"done": what, **({} if count is None else {"count": count})}
    return pages.redirect(f"{reverse(page, kwargs=ids or None)}?{urlencode(query)}", 303)


def confirm(
    request: HttpRequest, title: str, sentences: list[str], button: str, back: str, **context: Any
) -> HttpResponse:
    """Ask before the form is acted upon: the same form again, with `sure`."""
    fields = [(name, value) for name, value in request.POST.items() if name != "sure"]
    return render(
        request,
        "console_confirm",
        title,
        sentences=sentences,
        button=button,
        back=back,
        fields=fields,
        **context,
    )


def is_sure(request: HttpRequest) -> bool:
    """Whether the question was answered with yes."""
    return text(request, "sure") == "yes"


def text(request: HttpRequest, name: str) -> str:
    """A field of a form, blank when left out."""
    return str(request.POST.get(name, "")).strip()


def _notice(request: HttpRequest) -> str | None:
    sentence = _NOTICES.get(request.GET.get("done", ""))
    count = request.GET.get("count", "")
    return sentence.format(count if count.isascii() and count.isdigit() else "some") if sentence else None
