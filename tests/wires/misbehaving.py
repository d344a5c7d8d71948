"""A small HTTP server on a real socket whose every byte the test decides."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self

API_KEY = "the-account-api-key-0123456789"
LTIK = "ltik-that-opens-a-launch-0123456789"
SERVICE_KEY = "service-key-of-a-course-0123456789"

Talk = Callable[["Peer"], None]
"""What to do instead of sending fixed bytes; returns when the connection may be closed."""


@dataclass
class Request:
    """What arrived, as it arrived."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    connection: int

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Peer:
    """The client's end of a connection, for answers that are more than bytes."""

    sock: socket.socket
    stopping: threading.Event

    def send(self, piece: bytes) -> None:
        self.sock.sendall(piece)

    def trickle(self, pieces: bytes, every: float) -> None:
        """One byte at a time, until the client has had enough."""
        for byte in pieces:
            if self.stopping.wait(every):
                return
            self.send(bytes([byte]))

    def wait(self) -> None:
        """Say nothing until the test is over."""
        self.stopping.wait(20)

    def reset(self) -> None:
        """Cut the connection with RST, as a crash or a firewall does."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")


def reply(status: int = 200, body: object = b"", **headers: str) -> bytes:
    """A sound answer; a body that is no bytes is written as JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(content)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content


@dataclass
class Server:
    """Answers requests in order with `answers`; the last one is given again and again. Connections are kept alive."""

    answers: list[bytes | Talk] = field(default_factory=lambda: [reply(204)])
    tls: ssl.SSLContext | None = None
    requests: list[Request] = field(default_factory=list)
    connections: int = 0

    def __enter__(self) -> Self:
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._socks: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in self._socks:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    def answer_with(self, *answers: bytes | Talk) -> None:
        self.answers = list(answers)

    def _start(self, target: Callable[..., None], *args: Any) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._stopping.is_set():
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._start(self._serve, sock, self.connections)

    def _serve(self, sock: socket.socket, number: int) -> None:
        sock.settimeout(10)
        with contextlib.suppress(OSError), contextlib.closing(sock):
            if self.tls:
                sock = self.tls.wrap_socket(sock, server_side=True)
            with contextlib.closing(sock):
                self._socks.append(sock)
                while request := self._read(sock, number):
                    with self._lock:
                        self.requests.append(request)
                        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
                    if callable(answer):
                        answer(Peer(sock, self._stopping))
                        return
                    sock.sendall(answer)

    def _read(self, sock: socket.socket, number: int) -> Request | None:
        head = self._receive(sock, lambda got: b"\r\n\r\n" in got)
        if not head:
            return None
        top, _, rest = head.partition(b"\r\n\r\n")
        line, *lines = top.decode("latin-1").split("\r\n")
        method, target, _ = line.split(" ")
        headers = {name.lower(): value for name, value in (each.split(": ", 1) for each in lines)}
        length = int(headers.get("content-length", 0))
        body = rest + self._receive(sock, lambda got: len(rest) + len(got) >= length)
        return Request(method, target, headers, body, number)

    def _receive(self, sock: socket.socket, is_enough: Callable[[bytes], bool]) -> bytes:
        got = b""
        while not is_enough(got):
            piece = sock.recv(65536)
            if not piece:
                return b""
            got += piece
        return got
