"""Cookies and headers for the LMS's frame.

In a frame of another site a browser keeps only cookies that are `SameSite=None; Secure; Partitioned` (CHIPS): each LMS
then has a jar of its own for the tool, beside the one of the tool's own tabs. So the cookies that Django sets in a
session that began in a frame (its own, CSRF, messages) are sent like that, and all others as the site's settings say.
"""

from __future__ import annotations

from collections.abc import Iterator
from http.cookies import Morsel

from django.conf import settings
from django.contrib.messages.storage.cookie import CookieStorage
from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_vary_headers

from ltiaas_django.operations import sso

_FRAMES = ("iframe", "frame")  # values of Sec-Fetch-Dest (Fetch Metadata, section 2.1)


def comes_from_frame(request: HttpRequest, document_target: str = "") -> bool:
    """Whether the answer will stand in a frame. The browser knows best; where it is silent, the LMS is believed."""
    return (request.headers.get("Sec-Fetch-Dest") or document_target) in _FRAMES


class _Partitioned(Morsel[str]):
    """A cookie that may be partitioned: Python's own know the attribute from 3.14 on."""

    _reserved = {**Morsel._reserved, "partitioned": "Partitioned"}  # type: ignore[attr-defined]
    _flags = Morsel._flags | {"partitioned"}  # type: ignore[attr-defined]


def fit(request: HttpRequest, response: HttpResponse) -> None:
    """Make the answer one that a frame can show and keep the cookies of, if it belongs to a framed session."""
    _leave_newer_session(request, response)
    ours = (settings.SESSION_COOKIE_NAME, settings.CSRF_COOKIE_NAME, CookieStorage.cookie_name)
    names = [name for name in ours if name in response.cookies]
    # A browser that does not say where the answer will stand may mean a frame, if the header would keep it out of one.
    assumed = "iframe" if response.has_header("X-Frame-Options") else ""
    if not names and not comes_from_frame(request, assumed):
        return  # without a look at the session
    ancestors: str | None = request.session.get(sso.FRAMED) if hasattr(request, "session") else None
    if ancestors is None:
        _fit_beside_session(request, response)
        return
    for name in names:
        _partition(response, name)
    if response.has_header("X-Frame-Options"):
        del response["X-Frame-Options"]
        patch_vary_headers(response, ["Cookie"])
    if ancestors:
        _add_ancestors(response, ancestors)


def _leave_newer_session(request: HttpRequest, response: HttpResponse) -> None:
    """Take back the session cookie of an answer to a request that brought one of the past.

    Another frame or tab may have begun a session meanwhile, and the browser would lose its cookie.
    """
    session: SessionBase | None = getattr(request, "session", None)
    if session is None or settings.SESSION_COOKIE_NAME not in response.cookies:
        return
    name = settings.SESSION_COOKIE_NAME
    was_gone = session.is_empty() and not session.modified  # and nobody has signed out just now
    is_replaced = sso.REPLACED in session and session.session_key == request.COOKIES.get(name)
    if (was_gone and response.cookies[name]["max-age"] == 0) or is_replaced:
        del response.cookies[name]


def _fit_beside_session(request: HttpRequest, response: HttpResponse) -> None:
    """Where the session is not a framed one yet, or no longer: the form before it, and the cookie that goes with it."""
    ancestors: str | None = getattr(response, "lti_framed_by", None)
    if ancestors is not None:
        _partition(response, settings.CSRF_COOKIE_NAME)
    if ancestors:
        _add_ancestors(response, ancestors)
    session = response.cookies.get(settings.SESSION_COOKIE_NAME)
    if session is not None and session["max-age"] == 0 and comes_from_frame(request):
        _partition(response, settings.SESSION_COOKIE_NAME)


def _partition(response: HttpResponse, name: str) -> None:
    sent = response.cookies.get(name)
    if sent is None:
        return
    cookie = _Partitioned()
    cookie.set(sent.key, sent.value, sent.coded_value)
    cookie.update(sent)
    cookie.update({"samesite": "None", "secure": True, "partitioned": True})  # type: ignore[arg-type]
    dict.__setitem__(response.cookies, name, cookie)


def _add_ancestors(response: HttpResponse, ancestors: str) -> None:
    """The operator's list; a policy that the site sends for itself is left, and says what it says of frames."""
    policy = response.headers.get("Content-Security-Policy", "")
    if "frame-ancestors" not in policy:
        said = f"frame-ancestors 'self' {ancestors}"
        response.headers["Content-Security-Policy"] = f"{policy.rstrip('; ')}; {said}" if policy else said


def choose_session(request: HttpRequest, *, is_named: bool) -> None:
    """Where the browser sends two session cookies, the frame's and that of the tool's own tabs, take the right one.

    It does on the LMS's own site, and where third-party cookies are allowed and the site's own are SameSite=None.
    """
    keys = list(dict.fromkeys(_session_keys(request)))
    if len(keys) < 2:
        return
    store, alive = sso.session_store(), {}
    for key in keys[-4:]:
        session = store(key)
        if session.keys():  # what is dead or forged holds nothing
            alive[key] = sso.FRAMED in session
    wants_frame = is_named or comes_from_frame(request)
    # The cookie that was set last stands last (RFC 6265, section 5.4), among those of the right kind.
    best = [key for key, framed in alive.items() if framed == wants_frame] or list(alive)
    if best:
        request.COOKIES[settings.SESSION_COOKIE_NAME] = best[-1]


def _session_keys(request: HttpRequest) -> Iterator[str]:
    for pair in request.META.get("HTTP_COOKIE", "").split(";"):
        name, _, value = pair.strip().partition("=")
        if name == settings.SESSION_COOKIE_NAME:
            yield value
