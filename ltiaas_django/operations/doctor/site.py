"""The site's own settings: LTIAAS's, middleware, cookies, HTTPS, what frames the pages, and the launch URL."""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Iterator
from wsgiref.util import setup_testing_defaults

from django.conf import settings as django_settings
from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from django.http import HttpResponseBase
from django.urls import NoReverseMatch, reverse

from ltiaas_django.findings import Finding, advice, ok, problem
from ltiaas_django.operations.doctor.visit import Visit, check_names, said

_ELSEWHERE = {  # the examination that shows them; "settings" shows all others
    "check_middleware", "check_cookies", "check_urls", "check_schedule", "check_database"
}  # fmt: skip
_SESSIONS = "django.contrib.sessions.middleware.SessionMiddleware"
_AUTHENTICATION = "django.contrib.auth.middleware.AuthenticationMiddleware"
_PROXY_HEADER = 'SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")'
_PROXIES = f"If a proxy in front ends TLS and sets that header itself, write {_PROXY_HEADER}."
_LOGGERS = ("django.request", "django.security", "django.security.DisallowedHost", "django.security.csrf")


def settings(visit: Visit) -> Iterator[Finding]:
    """The LTIAAS dict, and what a launch needs of Django."""
    found = list(visit.checks(*(check_names() - _ELSEWHERE)))
    yield from found or [ok("The LTIAAS settings are sound, and so is what they need of Django.")]


def middleware(visit: Visit) -> Iterator[Finding]:
    """What stands in MIDDLEWARE, and in which order."""
    found = list(visit.checks("check_middleware"))
    yield from found
    listed = list(django_settings.MIDDLEWARE)
    if {_SESSIONS, _AUTHENTICATION} <= set(listed) and listed.index(_SESSIONS) > listed.index(_AUTHENTICATION):
        yield problem(
            "AuthenticationMiddleware comes before SessionMiddleware: every request ends with an error.",
            f'Write MIDDLEWARE = [..., "{_SESSIONS}", ..., "{_AUTHENTICATION}", ...].',
        )
    elif not found:
        yield ok("LtiMiddleware comes first; sessions and authentication are there.")


def cookies(visit: Visit) -> Iterator[Finding]:
    """Whether cookies come back to the launch URL, over https only, and forms are taken that were sent with them.

    The cookies of a frame LtiMiddleware sees to.
    """
    found = list(visit.checks("check_cookies"))
    path = django_settings.SESSION_COOKIE_PATH or "/"
    with contextlib.suppress(NoReverseMatch):
        if not (f"{reverse('ltiaas:launch').rstrip('/')}/").startswith(f"{path.rstrip('/')}/"):
            text = f"The session cookie is for pages below {path}, and the launch URL is none of them: no launch works."
            found.append(problem(text, 'Write SESSION_COOKIE_PATH = "/".'))
    if not django_settings.DEBUG:
        found += _open_cookies(found)
    policy = django_settings.SECURE_REFERRER_POLICY or ""
    policies = [one.strip() for one in (policy.split(",") if isinstance(policy, str) else policy)]
    if policies[-1] == "no-referrer":  # browsers take the last one that they know
        text = "The referrer policy no-referrer makes forms say “Origin: null”, which Django's CSRF protection refuses."
        found.append(problem(text, 'Write SECURE_REFERRER_POLICY = "same-origin".'))
    yield from found or [ok("LtiMiddleware fits the cookies of a launch for the LMS's frame.")]


def _open_cookies(found: list[Finding]) -> Iterator[Finding]:
    names = [f"{name}_COOKIE_SECURE" for name in ("SESSION", "CSRF")]
    told = " ".join(finding.hint for finding in found)
    missing = [f"{name} = True" for name in names if not getattr(django_settings, name) and name not in told]
    if missing:
        text = "Outside a frame, cookies are sent over plain http too, where anybody on the way can take them."
        yield advice(text, f"Write {' and '.join(missing)}.")


def https(visit: Visit) -> Iterator[Finding]:
    """What makes a public site safe: no DEBUG, https, named hosts, a key that nobody knows."""
    if django_settings.DEBUG:
        text = "DEBUG is on, which is for development: on a public site it shows code and settings to everybody."
        yield advice(text, "Write DEBUG = False on a public site, and run this again there.")
        return
    found = [*_transport(), *_hosts(), *_secret_key()]
    yield from found or [ok("People come over https, to hosts that are named.")]


def _transport() -> Iterator[Finding]:
    header = django_settings.SECURE_PROXY_SSL_HEADER
    if header is not None and not _is_proxy_header(header):
        text = "SECURE_PROXY_SSL_HEADER is no pair of a header, as Django names it, and a value: it is never found."
        yield problem(text, f"Write {_PROXY_HEADER}.")
    elif header is None and not django_settings.SECURE_SSL_REDIRECT:
        text = "Nothing tells Django that people come over https: links that it makes begin with http, and http works."
        yield advice(text, f"Write SECURE_SSL_REDIRECT = True. {_PROXIES}")
    elif not django_settings.SECURE_SSL_REDIRECT:
        text = "Django does not send people on from http to https; does the server in front of it?"
        yield advice(text, "Write SECURE_SSL_REDIRECT = True.")


def _is_proxy_header(header: object) -> bool:
    is_pair = isinstance(header, list | tuple) and len(header) == 2 and all(isinstance(part, str) for part in header)
    return is_pair and re.fullmatch(r"HTTP_[A-Z0-9_]+", header[0]) is not None  # type: ignore[index]


def _hosts() -> Iterator[Finding]:
    hosts = list(django_settings.ALLOWED_HOSTS)
    if not hosts:
        text = "ALLOWED_HOSTS is empty: every request is answered with an error."
        yield problem(text, 'Write ALLOWED_HOSTS = ["quiz.example.edu"].')
    elif "*" in hosts:
        text = "ALLOWED_HOSTS allows every host: whoever sends a request decides what links to this site look like."
        yield advice(text, 'Write ALLOWED_HOSTS = ["quiz.example.edu"].')


def _secret_key() -> Iterator[Finding]:
    key = str(django_settings.SECRET_KEY)
    if key.startswith("django-insecure-") or len(key) < 50 or len(set(key)) < 5:  # what Django's own check says
        make = "python -c 'from django.core.management.utils import get_random_secret_key as k; print(k())'"
        yield problem(
            "SECRET_KEY can be guessed: whoever does signs in as anybody and opens the stored keys.",
            f"Let {make} make one, and keep the one of now in SECRET_KEY_FALLBACKS until the next night is over.",
        )


# --- the launch URL, by asking for it ---------------------------------------------------------------------------------


def launch(visit: Visit) -> Iterator[Finding]:
    """Whether the launch URL answers, and what to enter in LTIAAS."""
    yield from visit.checks("check_urls")
    try:
        path = reverse("ltiaas:launch")
    except NoReverseMatch:
        return
    answer = _ask(path)
    status = answer.status_code if isinstance(answer, HttpResponseBase) else 500
    if isinstance(answer, BaseException) or status >= 500:
        why = f" ({said(answer)})" if isinstance(answer, BaseException) else ""
        hint = f"Type curl --head {_addresses(path)[0]}, and look into the log of the web server."
        yield problem(f"The launch URL, {path}, answers with an error{why}.", hint)
    elif status != 200:
        to = f" to {answer.headers['Location']}" if 300 <= status < 400 else ""
        text = f"A middleware or view before ours answers at the launch URL, {path}: status {status}{to}."
        yield problem(text, "Exempt the launch URL there: whoever launches is not signed in yet.")
    else:
        yield ok(f"Enter this in LTIAAS as the launch URL: {' or '.join(_addresses(path))}")


def frames(visit: Visit) -> Iterator[Finding]:
    """Whether an LMS may show our pages in a frame."""
    try:
        answer = _ask(reverse("ltiaas:launch"))
    except NoReverseMatch as error:
        answer = error
    if isinstance(answer, BaseException) or answer.status_code != 200:
        return  # "launch" says so
    ancestors = frame_ancestors(answer.headers.get("Content-Security-Policy", ""))
    if answer.has_header("X-Frame-Options"):
        text = "A middleware sets X-Frame-Options on every page: where a launch fails, the LMS's frame stays blank."
        yield advice(text, "Let it pass over responses with xframe_options_exempt, as Django's own does.")
    if ancestors is not None and not [source for source in ancestors if source.lower() not in ("'none'", "'self'")]:
        text = f"The Content-Security-Policy says frame-ancestors {' '.join(ancestors)}: no LMS can show our pages."
        hint = "Leave frame-ancestors out of your policy; list an LMS's origins on its page in the admin instead."
        yield problem(text, hint)
    elif ancestors is not None:
        yield ok(f"Pages may be framed by: {' '.join(ancestors)}")
    else:
        yield ok("An LMS may show the pages of a launch in a frame.")


def frame_ancestors(policies: str) -> list[str] | None:
    """What a Content-Security-Policy says of frames; None if nothing (CSP 3, section 6.4.2).

    >>> frame_ancestors("default-src 'self'; frame-ancestors https://a.edu https://b.edu")
    ['https://a.edu', 'https://b.edu']
    """
    for directive in re.split("[;,]", policies):
        name, *sources = directive.split() or [""]
        if name.lower() == "frame-ancestors":
            return sources or ["'none'"]
    return None


def _addresses(path: str) -> list[str]:
    hosts = [host.lstrip(".") for host in django_settings.ALLOWED_HOSTS if host not in ("*", "localhost", "127.0.0.1")]
    if hosts:
        return [f"https://{host}{path}" for host in hosts]
    return [f"http://127.0.0.1:8000{path}" if django_settings.DEBUG else f"https://YOUR-HOST{path}"]


def _ask(path: str) -> HttpResponseBase | BaseException:
    """HEAD, which a launch answers without doing anything, through all the middleware; or what was raised."""
    host = next((host.lstrip(".") for host in django_settings.ALLOWED_HOSTS if host != "*"), "localhost")
    environ: dict[str, object] = {
        "REQUEST_METHOD": "HEAD", "PATH_INFO": path, "HTTP_HOST": host, "SERVER_NAME": host, "SERVER_PORT": "443",
        "wsgi.url_scheme": "https",
    }  # fmt: skip
    header = django_settings.SECURE_PROXY_SSL_HEADER
    if header is not None and _is_proxy_header(header):
        environ[header[0]] = header[1]
    setup_testing_defaults(environ)
    try:
        with _quiet():
            return WSGIHandler().get_response(WSGIRequest(environ))
    except Exception as error:  # the site's own middleware may raise anything
        return error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """An error in the site's own code is a finding, and neither a stack trace on the terminal nor a mail to admins."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    before = [logger.disabled for logger in loggers]
    for logger in loggers:
        logger.disabled = True
    try:
        yield
    finally:
        for logger, was in zip(loggers, before, strict=True):
            logger.disabled = was
