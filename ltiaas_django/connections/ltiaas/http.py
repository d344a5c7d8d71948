"""One way to ask LTIAAS anything: `send`. It keeps a deadline, retries reads, and knows one tree of errors.

It sees neither settings nor models. Errors are raised where no local variable holds a header or an answer, and without
a cause: a cause would carry the request with its credentials, or the whole answer, to wherever the error is reported.
"""

from __future__ import annotations

import dataclasses
import http.client
import logging
import random
import ssl
import time
from collections.abc import Callable, Mapping
from importlib import metadata
from typing import Any, Final, TypeVar
from urllib.parse import quote, urlsplit

import requests
import urllib3

from ltiaas_django import exceptions
from ltiaas_django.connections.ltiaas import classification, reading, transport
from ltiaas_django.connections.ltiaas.auth import Auth

logger = logging.getLogger(__name__)

MAX_BODY: Final = 32 * 2**20  # a roster page of 100,000 people is about 25 MB
_RETRY_BASE: Final = 0.25
_LONGEST_WAIT: Final = 5.0  # a longer Retry-After is the caller's to plan for


Parsed = TypeVar("Parsed")
Parser = Callable[[object, str], Parsed]
"""Takes the decoded JSON and what was asked; raises `InvalidResponse`."""
Hear = Callable[[Mapping[str, str], float], None]
"""Told the headers of an answer, and how many seconds it took, whatever it says."""


def _user_agent() -> str:
    try:
        return f"ltiaas-django/{metadata.version('ltiaas-django')}"
    except metadata.PackageNotFoundError:  # run from a checkout
        return "ltiaas-django"


USER_AGENT: Final = _user_agent()


@dataclasses.dataclass(frozen=True, slots=True)
class Endpoint:
    """Where LTIAAS is, and how long a call may take. Times are seconds.

    Raises `ConfigurationError` for an address that cannot be one.
    """

    url: str
    deadline: float = 30.0
    """For one whole call, retries included."""
    connect_timeout: float = 5.0
    max_pages: int = 2000
    read_attempts: int = 3

    def __post_init__(self) -> None:
        url = self.url.strip().rstrip("/") if isinstance(self.url, str) else ""
        object.__setattr__(self, "url", url)
        if not _is_address(url):
            raise exceptions.ConfigurationError("The LTIAAS URL must look like https://your.ltiaas.com.")
        if self.deadline <= 0 or self.connect_timeout <= 0:
            raise exceptions.ConfigurationError("The deadline of calls to LTIAAS must be above 0 seconds.")


def _is_address(url: str) -> bool:
    """http(s) and a host in ASCII; no user, query or fragment, which would end up in every request."""
    if not url.isascii() or any(character <= " " or character == "\x7f" for character in url):
        return False
    try:
        parts = urlsplit(url)
        port_is_sound = parts.port is None or parts.port > 0
    except ValueError:
        return False
    has_extras = bool(parts.query or parts.fragment or "@" in parts.netloc or "?" in url or "#" in url)
    return parts.scheme in ("http", "https") and bool(parts.hostname) and port_is_sound and not has_extras


@dataclasses.dataclass(frozen=True, slots=True)
class _Request:
    """What is asked, without the credential."""

    method: str
    url: str
    asked: str
    body: bytes | None
    hear: Hear | None = None

    @property
    def is_read(self) -> bool:
        return self.method == "GET"


@dataclasses.dataclass(frozen=True, slots=True)
class _Answer:
    """A whole answer."""

    status: int
    headers: Mapping[str, str] = dataclasses.field(repr=False)
    body: bytes = dataclasses.field(repr=False)


def send(
    endpoint: Endpoint,
    auth: Auth,
    method: str,
    path: str,
    *,
    asked: str,
    query: Mapping[str, str] | None = None,
    body: Mapping[str, object] | None = None,
    deadline: float | None = None,
    expects_json: bool = True,
    hear: Hear | None = None,
) -> Any:
    """Ask LTIAAS once (a write) or up to `read_attempts` times (a GET); returns the decoded JSON.

    `path` is percent-encoded already (`segment`), `query` is not; `asked` names the call in errors and logs and holds
    no id of a person. With `expects_json=False` the answer's body does not matter and None is returned.
    Raises `ApiError` subclasses, and `ValueError` for a `body` that JSON cannot say.
    """
    url = endpoint.url + path
    if query:
        url += "?" + "&".join(f"{quote(name, safe='')}={quote(text, safe='')}" for name, text in query.items())
    request = _Request(method, url, asked, None if body is None else reading.encode(body), hear)
    until = time.monotonic() + (endpoint.deadline if deadline is None else deadline)
    attempts = endpoint.read_attempts if request.is_read else 1  # a write that is sent twice may count twice
    attempt = 1
    while True:
        outcome = _attempt(endpoint, auth, request, until, expects_json)
        if not isinstance(outcome, exceptions.ApiError):
            return outcome[0]
        wait = _wait_before_retry(outcome, attempt)
        if attempt >= attempts or wait is None or time.monotonic() + wait >= until:
            raise outcome
        time.sleep(wait)
        attempt += 1


def ask(
    endpoint: Endpoint, auth: Auth, parse: Parser[Parsed], method: str, path: str, *, asked: str, **options: Any
) -> Parsed:
    """`send` and parse. An `InvalidResponse` of the parser loses its frames: an ID token holds the service key."""
    answer = send(endpoint, auth, method, path, asked=asked, **options)
    try:
        return parse(answer, asked)
    except exceptions.InvalidResponse as error:
        failure = error.with_traceback(None)
    del answer
    raise failure


def segment(text: str, asked: str) -> str:
    """An id as one path segment, encoded whole. `InvalidRequest` for one that no path can carry."""
    try:
        encoded = quote(text, safe="")
    except UnicodeEncodeError:
        encoded = ""
    if encoded in ("", ".", ".."):  # gateways resolve the dots, encoded or not
        raise exceptions.InvalidRequest(asked, "Not sent: the id is blank or cannot stand in a path.", origin="ltiaas")
    return encoded


def _wait_before_retry(error: exceptions.ApiError, attempt: int) -> float | None:
    """Seconds, with full jitter; None when another try would be useless or too soon."""
    if not error.retryable:
        return None
    jittered = random.uniform(0, _RETRY_BASE * 2 ** (attempt - 1))  # noqa: S311 -- no secret hangs on it
    asked_for = error.retry_after if isinstance(error, exceptions.Throttled) else None
    if asked_for is None:
        return jittered
    return asked_for + jittered if asked_for <= _LONGEST_WAIT else None


def _attempt(
    endpoint: Endpoint, auth: Auth, request: _Request, until: float, expects_json: bool
) -> tuple[Any] | exceptions.ApiError:
    """One try; the error is returned, not raised, so that what this frame holds stays behind."""
    started = time.monotonic()
    answer = _exchange(endpoint, auth, request, until)
    took = time.monotonic() - started
    status = answer.status if isinstance(answer, _Answer) else answer.code
    logger.debug("%s: %s after %d ms", request.asked, status, took * 1000)
    if not isinstance(answer, _Answer):
        return answer
    if request.hear is not None:
        request.hear(answer.headers, took)
    return _judge(answer, auth, request, expects_json)


def _judge(answer: _Answer, auth: Auth, request: _Request, expects_json: bool) -> tuple[Any] | exceptions.ApiError:
    """What an answer means: its JSON (in a tuple, for null is JSON too) or an error."""
    if answer.status >= 400:
        text = answer.body.decode("utf-8", "replace")
        return classification.classify(request.asked, answer.status, answer.headers, text, hide=auth.hide)

    def invalid(detail: str) -> exceptions.InvalidResponse:
        return exceptions.InvalidResponse(request.asked, detail, status_code=answer.status)

    if not 200 <= answer.status < 300:
        # A redirect is not followed: it would take the credentials along, to wherever somebody points.
        return invalid("a redirect; is the LTIAAS URL right?" if answer.status >= 300 else "no final status")
    if answer.body.lstrip()[:1] == b"<":
        return invalid("an HTML page instead of JSON, probably from a gateway or proxy")
    if not expects_json:
        return (None,)
    if not answer.body.strip():
        return invalid("an empty body instead of JSON")  # Sakai's answer for an empty roster; never "nobody is there"
    try:
        return (reading.decode(answer.body),)
    except ValueError:
        return invalid("not JSON")


# ValueError is what http.client makes of an answer whose lengths are no numbers.
_FAILURES: Final = (
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    http.client.HTTPException,
    OSError,
    ValueError,
)


def _exchange(endpoint: Endpoint, auth: Auth, request: _Request, until: float) -> _Answer | exceptions.ApiError:
    """Send and read the whole answer; what goes wrong is told apart by whether anything was sent."""
    call = transport.Call(until=until, connect_timeout=endpoint.connect_timeout)
    try:
        with transport.bind(call):
            pool, headers = transport.pool_for(endpoint.url), _headers(request, auth)
            status, said, body = pool.exchange(request.method, request.url, headers, request.body, call, MAX_BODY)
            if body is None:
                return exceptions.InvalidResponse(request.asked, f"more than {MAX_BODY} bytes", status_code=status)
            return _Answer(status, said, body)
    except _FAILURES as e:
        kind = exceptions.OutcomeUnknown if call.is_sent else exceptions.Unreachable
        return kind(request.asked, auth.hide(_describe(e)), origin="network")


def _headers(request: _Request, auth: Auth) -> dict[str, str]:
    headers = {
        "Authorization": auth.header,
        "Accept": "application/json",
        "Accept-Encoding": "gzip",
        "User-Agent": USER_AGENT,
    }
    if request.body is not None:
        headers["Content-Type"] = "application/json"
        headers["Content-Length"] = str(len(request.body))
    return headers


def _describe(error: BaseException) -> str:
    """What went wrong: the innermost reason. urllib3's own texts quote URLs, and proxies with their passwords."""
    innermost = error
    for _ in range(10):
        reason = getattr(innermost, "reason", None)
        inner = next((x for x in (reason, *reversed(innermost.args)) if isinstance(x, BaseException)), None)
        inner = inner or innermost.__cause__ or (None if innermost.__suppress_context__ else innermost.__context__)
        if inner is None:
            break
        innermost = inner
    if isinstance(innermost, ssl.SSLCertVerificationError):
        return f"The certificate was not accepted: {innermost.verify_message}"
    if isinstance(innermost, TimeoutError):
        return "No whole answer in time"
    if isinstance(innermost, OSError) and innermost.strerror:
        return f"{type(innermost).__name__}: {innermost.strerror}"
    return type(innermost).__name__
