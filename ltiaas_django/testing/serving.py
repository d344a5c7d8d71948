"""How the tool reaches the sandbox: through sockets, as it will reach LTIAAS, or by a call within the process."""

from __future__ import annotations

import http.client
import io
import itertools
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

from ltiaas_django.operations import connecting
from ltiaas_django.sandbox import Sandbox, SandboxServer
from ltiaas_django.sandbox.server import SandboxApplication
from ltiaas_django.sandbox.web import DROP

TRANSPORTS = ("socket", "in_process")

_numbers = itertools.count(1)


@contextmanager
def serving(sandbox: Sandbox, transport: str) -> Iterator[str]:
    """Inside the block the sandbox answers at the URL that is given."""
    if transport == "socket":
        try:
            with SandboxServer(sandbox) as server:
                yield server.url
        finally:
            connecting.close_idle()  # the next one has another address, and a suite has thousands
    elif transport == "in_process":
        # Nobody can have this name (RFC 2606), and no other sandbox has this number: nothing else is ever asked.
        sandbox.origin = f"http://sandbox-{next(_numbers)}.invalid"
        with connecting.answered_by(sandbox.origin, InProcess(sandbox)):
            try:
                yield sandbox.origin
            finally:
                sandbox.clear_faults()  # calls that hang end now, and with them their threads
    else:
        raise ValueError(f"There is no transport {transport!r}, only {' and '.join(TRANSPORTS)}.")


class InProcess:
    """Answers requests by calling the sandbox, each in a thread of its own.

    So the sandbox shares neither language nor URLconf with the request of the tool that is being served, and a call can
    be given up when its time is over, as one over a socket can.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self._application = SandboxApplication(sandbox)

    def __call__(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, timeout: float
    ) -> tuple[int, Mapping[str, str], bytes]:
        exchange = _Exchange(self._application, _environ(method, url, headers, body or b""))
        thread = threading.Thread(target=exchange.run, name="ltiaas-sandbox-call", daemon=True)
        thread.start()
        thread.join(timeout)
        return exchange.outcome(still_running=thread.is_alive())


class _Exchange:
    """One request, and what became of it."""

    def __init__(self, application: Callable[..., Any], environ: dict[str, Any]) -> None:
        self._application = application
        self._environ = {**environ, DROP: self._drop}
        self._is_cut = self._is_begun = False
        self._status = ""
        self._headers: dict[str, str] = {}
        self._content = b""

    def run(self) -> None:
        answer = self._application(self._environ, self._start_response)
        self._content = b"".join(answer)
        if hasattr(answer, "close"):
            answer.close()

    def outcome(self, *, still_running: bool) -> tuple[int, Mapping[str, str], bytes]:
        """The answer, or the error that a socket would have given."""
        if still_running:
            raise TimeoutError("the sandbox has not answered in time")
        if self._is_cut and self._is_begun:
            raise http.client.IncompleteRead(self._content)
        if self._is_cut or not self._status:
            raise http.client.RemoteDisconnected("the sandbox has closed the connection without an answer")
        return int(self._status.split()[0]), self._headers, self._content

    def _start_response(self, status: str, headers: list[tuple[str, str]]) -> None:
        self._status, self._headers = status, dict(headers)

    def _drop(self) -> None:
        """The connection is cut: at once, or when a part of the answer is through."""
        self._is_cut, self._is_begun = True, bool(self._status)


def _environ(method: str, url: str, headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
    """The request for a WSGI application, as the sandbox's own server says it."""
    parts = urlsplit(url)
    named = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()}
    return {
        **named,
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(parts.path).decode("iso-8859-1"),
        "QUERY_STRING": parts.query,
        "REQUEST_URI": f"{parts.path}?{parts.query}" if parts.query else parts.path,
        "CONTENT_TYPE": named.pop("HTTP_CONTENT_TYPE", ""),
        "CONTENT_LENGTH": str(len(body)),
        "SERVER_NAME": parts.hostname or "",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": parts.scheme,
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
