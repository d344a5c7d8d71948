"""The ltik of a launch's URL: a bearer credential, taken out of the request before anything else looks at it.

What fails later, in another middleware (a host that is not allowed) or in a view, ends in pages, mails and trackers
that show the request as it is then.
"""

from __future__ import annotations

from urllib.parse import quote, urlsplit

from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse, QueryDict
from django.utils.encoding import escape_uri_path

from ltiaas_django.redaction import Hidden, redact

PARAMETER = "ltik"
_TAKEN = "_ltiaas_ltiks"  # attribute of a request, until its launch view asks


def take(request: HttpRequest) -> None:
    """Take every ltik out of the request's URL, for `given` to return."""
    if PARAMETER not in request.GET:
        return
    setattr(request, _TAKEN, [Hidden(value) for value in take_parameter(request, PARAMETER)])
    request.META["QUERY_STRING"] = query = written(request.GET)
    if hasattr(request, "scope"):  # ASGI's
        request.scope["query_string"] = query.encode()
    for name in ("RAW_URI", "REQUEST_URI", "HTTP_REFERER"):
        if name in request.META:
            request.META[name] = redact(request.META[name])


def given(request: HttpRequest) -> list[Hidden]:
    """The ltiks that the request came with. They are asked for once: its answer is then the launch view's."""
    take(request)  # where no middleware has
    found: list[Hidden] = request.__dict__.pop(_TAKEN, [])
    return found


def carry_on(request: HttpRequest, response: HttpResponse) -> None:
    """Give the ltik back to a redirect that leads to the same page: to https, to a slash at its end, to a language.

    No view has seen the request then, and the browser comes again.
    """
    if _TAKEN not in request.__dict__ or not response.has_header("Location"):
        return
    url = response.headers["Location"]
    to, path = urlsplit(url), escape_uri_path(request.path_info).rstrip("/")
    is_same_page = to.path.rstrip("/").endswith(path) and (path or to.netloc in ("", _host(request)))
    if is_same_page and to.query == request.META["QUERY_STRING"]:
        ltiks = "&".join(f"{PARAMETER}={quote(ltik, safe='', errors='replace')}" for ltik in given(request))
        response.headers["Location"] = f"{url}{'&' if to.query else '?'}{ltiks}"


def _host(request: HttpRequest) -> str:
    try:
        return request.get_host()
    except DisallowedHost:
        return ""


def take_parameter(request: HttpRequest, name: str) -> list[str]:
    """The values of this query parameter, which leaves the request: the tool's own parameters stay."""
    query = request.GET.copy()
    taken = query.pop(name, [])
    if taken:
        query._mutable = False
        request.GET = query  # type: ignore[assignment]
    return taken


def written(query: QueryDict) -> str:
    """The query as it stands in a URL; blank if it holds what none can (half a character, by a made-up charset)."""
    try:
        return query.urlencode()
    except UnicodeError:
        return ""
