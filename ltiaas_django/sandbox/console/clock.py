"""The sandbox's clock: moved on, so that ltiks end and nights pass, and put back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from django.http import HttpRequest, HttpResponse

from .. import errors, pages
from ..simulator import Sandbox
from . import frame

STEPS = (
    (60, "+1 minute"),
    (3600, "+1 hour"),
    (86_400, "+1 day"),
    (90_000, "+25 hours: ltiks expire"),
)


@pages.page("GET", "HEAD", "POST")
def clock(request: HttpRequest, sandbox: Sandbox) -> HttpResponse:
    """How far the clock is ahead, and buttons that move it."""
    return frame.answer(request, sandbox, _show, {"advance": _advance, "reset": _reset})


def _show(request: HttpRequest, sandbox: Sandbox, error: errors.SandboxError | None) -> HttpResponse:
    return frame.render(
        request,
        "console_clock",
        "Clock",
        error,
        shows=f"{sandbox.clock.now():%Y-%m-%d %H:%M:%S}",  # a template's filter would take the project's zone
        real=f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S}",
        ahead=_words(sandbox.clock.offset),
        is_moved=bool(sandbox.clock.offset),
        steps=STEPS,
        typed=frame.text(request, "seconds"),
    )


def _advance(request: HttpRequest, sandbox: Sandbox) -> HttpResponse:
    try:
        seconds = float(frame.text(request, "seconds"))
    except ValueError:
        raise errors.BadRequest("Say by how many seconds the clock moves; a minus moves it back.") from None
    sandbox.advance_clock(seconds)
    return frame.done("console_clock", "moved")


def _reset(request: HttpRequest, sandbox: Sandbox) -> HttpResponse:
    sandbox.clock.reset()
    return frame.done("console_clock", "clock_reset")


def _words(offset: timedelta) -> str:
    """The offset for people."""
    if not offset:
        return "shows the real time"
    return f"is {abs(offset)} {'ahead of' if offset > timedelta() else 'behind'} the real time"
