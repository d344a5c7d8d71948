"""The two sites of a launch: the tool on http://127.0.0.1, and pages of the LMS's site on http://localhost.

These two hosts are cross-site to each other, as a tool and an LMS are; two ports of one host would prove nothing.
Browsers take both for secure, so that cookies marked Secure work without HTTPS.
"""

from __future__ import annotations

import contextlib
import http.server
import itertools
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Self

from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.core.handlers.wsgi import WSGIHandler
from django.core.servers import basehttp
from django.db import connections

TOOL_HOST = "127.0.0.1"
LMS_HOST = "localhost"


class Tool:
    """The tool under test, served from a thread; made anew for each test, so that its settings are those of the test.

    It answers one request at a time: a database in memory has one connection, which all threads share.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_stopped = False
        self.delays: Iterator[float] = itertools.repeat(0.0)
        """Seconds that each answer is on its way, so that some arrive in another order than they were given in."""
        self._shared = {c.alias: c for c in connections.all() if c.vendor == "sqlite" and c.is_in_memory_db()}  # type: ignore[attr-defined]
        self._handler = StaticFilesHandler(WSGIHandler())
        self._server = _Server((TOOL_HOST, 0), _Handler, connections_override=self._shared)
        self._server.set_app(self)
        self.url = f"http://{TOOL_HOST}:{self._server.server_port}"

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        with self._lock:
            if self._is_stopped:
                start_response("503 Service Unavailable", [("Content-Length", "0")])
                return []
            answer = self._handler(environ, start_response)
        time.sleep(next(self.delays))
        return answer

    @contextlib.contextmanager
    def idle(self) -> Iterator[None]:
        """No request is being answered meanwhile: the test may use the database."""
        with self._lock:
            yield

    def __enter__(self) -> Self:
        for connection in self._shared.values():
            connection.inc_thread_sharing()
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        with self._lock:  # the last answer is finished first: the database is about to be emptied
            self._is_stopped = True
        self._server.shutdown()
        self._server.server_close()
        for connection in self._shared.values():
            connection.dec_thread_sharing()


class _Handler(basehttp.WSGIRequestHandler):
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


class _Server(basehttp.ThreadedWSGIServer):
    request_queue_size = 64
    daemon_threads = False  # so that `server_close` waits for them: they let go of the database last of all

    def server_bind(self) -> None:
        # As HTTPServer does, but without asking the DNS for our name.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])
        self.setup_environ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._open: set[socket.socket] = set()
        super().__init__(*args, **kwargs)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser cuts connections whenever it likes."""

    def server_close(self) -> None:
        for connection in list(self._open):  # kept alive by the browser
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        super().server_close()


class Pages:
    """A few pages of a host: by path, an HTML text, or cookies to set, or the cookies that came written out."""

    def __init__(self, host: str) -> None:
        self.html: dict[str, str] = {}
        self.cookies: dict[str, list[str]] = {}
        pages = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                path = self.path.partition("?")[0]
                came = self.headers.get("Cookie", "")
                html = pages.html.get(path, f'<p id="cookies">{came}</p>')
                body = (
                    f'<!doctype html><html lang="en"><title>Page</title><link rel="icon" href="data:,">{html}'.encode()
                )
                self.send_response(200)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                for cookie in pages.cookies.get(path, []):
                    self.send_header("Set-Cookie", cookie)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing."""

        self._server = http.server.ThreadingHTTPServer((TOOL_HOST, 0), Handler)  # localhost is the same address
        self.url = f"http://{host}:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.shutdown()
        self._server.server_close()
