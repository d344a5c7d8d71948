"""The HTTP server, and the WSGI application that it runs.

The application is made of Django's parts, with nothing of the host project's: no middleware, no signals, no database,
no sessions, its own URLs and templates. So it can run in a thread beside a test, or in a project it knows nothing of.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import socketserver
import threading
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Any, Self

from django.core.handlers.wsgi import WSGIRequest
from django.core.servers import basehttp
from django.http import HttpResponse
from django.urls import Resolver404, resolve, set_urlconf

from . import web
from .certificates import Certificate
from .credentials import redact
from .simulator import Sandbox

logger = logging.getLogger(__name__)

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
"""WSGI."""

_URLCONF = "ltiaas_django.sandbox.urls"


class SandboxApplication:
    """One sandbox as a WSGI application."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        # Django's own handler would send the host project's signals, load its middleware and log to its loggers.
        environ[web.SANDBOX] = self.sandbox
        request = WSGIRequest(environ)
        request.path_info = f"/{request.path_info.lstrip('/')}"  # LTIAAS's own Python client writes two
        set_urlconf(_URLCONF)
        try:
            response = _respond(request)
        finally:
            set_urlconf(None)
            request.close()
        response.headers.setdefault("Content-Length", str(len(response.content)))
        response.headers.setdefault("Cache-Control", "no-store")
        start_response(f"{response.status_code} {response.reason_phrase}", list(response.items()))
        if isinstance(response, web.CutResponse):
            return _Half(response.content, environ)
        return [response.content]


class _Half:
    """The first half of a body; then the connection is cut."""

    def __init__(self, body: bytes, environ: dict[str, Any]) -> None:
        self._body = body
        self._environ = environ

    def __iter__(self) -> Iterator[bytes]:
        yield self._body[: len(self._body) // 2]

    def close(self) -> None:
        web.drop(self._environ)


def _respond(request: WSGIRequest) -> HttpResponse:
    if "HTTP_TRANSFER_ENCODING" in request.META:
        return HttpResponse("Send a Content-Length.", status=411, content_type="text/plain")
    try:
        view, args, kwargs = resolve(request.path_info, _URLCONF)
        response: HttpResponse = view(request, *args, **kwargs)
        return response
    except Resolver404:
        return HttpResponse("This is no path.", status=400, content_type="text/plain")
    except Exception:
        logger.exception("The sandbox has a bug, or a `mutate` hook failed.")
        return HttpResponse("The sandbox failed; its log says why.", status=500, content_type="text/plain")


class _Handler(basehttp.WSGIRequestHandler):
    disable_nagle_algorithm = True  # small answers go out at once

    def get_environ(self) -> dict[str, Any]:
        environ: dict[str, Any] = super().get_environ()
        environ["REQUEST_URI"] = self.requestline.split()[1]  # `path` has lost slashes at its beginning
        environ[web.DROP] = self._drop
        if "HTTP_TRANSFER_ENCODING" in environ:
            # A body is read as far as Content-Length says; the rest would be taken for the next request.
            self.close_connection = True
        return environ

    def _drop(self) -> None:
        """Close the connection; what is written afterwards goes nowhere."""
        self.close_connection = True
        connection: Any = self.connection  # django-stubs take it for a request
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *args: Any) -> None:
        logger.debug("%s", redact(format % args))


class _Server(basehttp.ThreadedWSGIServer):
    request_queue_size = 128

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._connections: set[socket.socket] = set()
        super().__init__(*args, **kwargs)

    def server_bind(self) -> None:
        # As HTTPServer does, but without asking the DNS for our name, which can take seconds.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])
        self.setup_environ()

    def process_request(self, request: Any, client_address: Any) -> None:
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        logger.debug("A connection broke.", exc_info=True)

    def server_close(self) -> None:
        """Stop listening, and end connections that are kept alive: they would serve on from a sandbox that is gone."""
        super().server_close()
        for connection in list(self._connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class SandboxServer:
    """Serves a sandbox in a thread, as a context manager or by `start` and `stop`."""

    def __init__(
        self,
        sandbox: Sandbox,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        certificate: Certificate | None = None,
        application: Application | None = None,
    ) -> None:
        self.sandbox = sandbox
        self.host = host
        self.port = port
        self.certificate = certificate
        """For HTTPS."""
        self.application = application or SandboxApplication(sandbox)
        """What is served: the sandbox, or what wraps its application."""
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """The origin, without a slash at its end; LTIAAS's base URL for the tool."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104 (compared, not bound)
        scheme = "http" if self.certificate is None else "https"
        return f"{scheme}://[{host}]:{self.port}" if ":" in host else f"{scheme}://{host}:{self.port}"

    def start(self) -> Self:
        """Listen and serve; port 0 becomes a free one. Raises OSError if the port is taken."""
        self._server = _Server((self.host, self.port), _Handler, ipv6=":" in self.host)
        self._server.set_app(self.application)
        if self.certificate is not None:
            # The handshake belongs into the connection's own thread: a caller that is slow with it holds up nobody.
            self._server.socket = self.certificate.context().wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self.port = self._server.server_port
        self.sandbox.origin = self.url
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, name="ltiaas-sandbox", daemon=True
        )
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stop serving and close all connections."""
        self.sandbox.faults.release()
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()
            self._server = self._thread = None

    def wait(self) -> None:
        """Sleep until `stop`, or an exception such as KeyboardInterrupt."""
        while self._thread is not None and self._thread.is_alive():
            self._thread.join(timeout=1)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
